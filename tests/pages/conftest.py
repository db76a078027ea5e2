"""One browser for all tests of pages, and the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.pages.looking import browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; its absence is an error of every test, and never a skip."""
    with browser() as on:
        yield on
