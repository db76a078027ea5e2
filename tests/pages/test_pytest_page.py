"""pytest-html's page works under its policy: its boxes, rows and headings, with a mouse and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.pages.looking import Looked, opened
from tests.pages.made import of_pytest

ROWS = "#results-table .collapsible"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_pytest(tmp_path_factory.mktemp("run"), harm=True)


@pytest.fixture
def page(chromium: Browser, path: Path) -> Iterator[Page]:
    looked = Looked()
    with opened(chromium, path, looked) as page:
        yield page
    assert looked.wrong() == []


def test_a_box_leaves_out_the_tests_of_one_outcome(page: Page) -> None:
    every = page.locator(ROWS).count()
    passed = page.locator("tbody.passed").count()
    page.get_by_role("checkbox", name="passed", exact=True).click()
    assert 0 < passed < every
    assert page.locator(ROWS).count() == every - passed
    page.get_by_role("checkbox", name="passed", exact=True).click()
    assert page.locator(ROWS).count() == every


def test_a_row_opens_and_closes_by_keyboard_and_keeps_the_focus(page: Page) -> None:
    button = page.locator("tbody.passed .col-result button").first
    button.focus()
    assert button.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert page.locator("tbody.passed .extras-row:not(.hidden)").count() == 1
    page.keyboard.press("Enter")
    assert page.locator("tbody.passed .extras-row:not(.hidden)").count() == 0


def test_a_row_opens_by_mouse_wherever_it_is_pressed(page: Page) -> None:
    page.locator("tbody.passed .col-testId").first.click()
    assert page.locator("tbody.passed .extras-row:not(.hidden)").count() == 1


def test_rows_are_sorted_by_a_heading_that_a_keyboard_reaches(page: Page) -> None:
    heading = page.locator("#results-table th.sortable[data-column-type=testId] button")
    heading.focus()
    orders = []
    for _ in range(2):
        page.keyboard.press("Enter")
        orders.append(page.locator(f"{ROWS} .col-testId").all_inner_texts())
    assert orders[0] == orders[1][::-1]
    assert orders[0] != orders[1]


def test_all_rows_open_and_close_at_once(page: Page) -> None:
    page.get_by_role("button", name="Hide all details").click()
    assert page.locator(".extras-row:not(.hidden)").count() == 0
    page.get_by_role("button", name="Show all details").click()
    assert page.locator(".extras-row.hidden").count() == 0


def test_its_policy_has_no_hole(path: Path) -> None:
    policy = path.read_text().partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert policy.count("sha256-") <= 4
