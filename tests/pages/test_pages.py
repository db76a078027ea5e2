"""Every page, opened as people open it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.data import hostile
from tests.pages.looking import Looked, look, opened
from tests.pages.made import HARMFUL_PAGES, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_by_itself_for_everybody(chromium: Browser, tmp_path: Path, name: str) -> None:
    path = PAGES[name](tmp_path)
    assert look(chromium, path) == []


@pytest.mark.parametrize("name", HARMFUL_PAGES)
def test_text_that_means_harm_is_shown_and_does_none(chromium: Browser, tmp_path: Path, name: str) -> None:
    path = HARMFUL_PAGES[name](tmp_path)
    assert look(chromium, path) == []
    with opened(chromium, path, Looked()) as page:
        shown = page.evaluate("document.body.textContent")
        assert page.evaluate("document.querySelectorAll('img[src=x], svg[onload], [onerror]').length") == 0
        links = page.evaluate("[...document.links].map(each => each.protocol)")
    assert set(links) <= {"file:", "https:", "http:"}
    assert {mark for mark in "\x1b\x07\u202e\u2066" if mark in shown} == set()
    if name != "harmful-of-pytest":  # which has no room for all of it
        assert [text for text in hostile.SHOWN if text[:300] not in shown] == []
