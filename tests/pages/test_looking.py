"""The look at a page sees what is wrong with one: each page here is broken in one way, and the whole one in none."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from muster.report.csp import strict
from tests.pages import looking
from tests.pages.looking import look

WHOLE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Drills</title><link rel="icon" href="data:,">
<style>button { outline-offset: 0 } i { outline: 0 !important } .wide { width: 2000px } .pale { color: #ddd }</style></head>
<body><main><h1>Drills</h1><p>All is well.</p><button>Press</button>
<div tabindex="-1" role="button" hidden>never</div></main></body></html>"""


def looked(chromium: Browser, folder: Path, old: str = "", new: str = "", *, policy: bool = True) -> list[str]:
    text = WHOLE.replace(old, new) if old else WHOLE
    path = folder / "page.html"
    path.write_text(strict(text) if policy else text)
    return look(chromium, path)


def test_nothing_is_wrong_with_a_whole_page(chromium: Browser, tmp_path: Path) -> None:
    assert looked(chromium, tmp_path) == []


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ('<p class="wide">All is well.</p>', "pixels too wide"),
        ("<details><summary>More</summary><p class='wide'>All.</p></details>", "pixels too wide"),
        ('<p class="pale">All is well.</p>', "color-contrast"),
        ("<p>All.</p><input type='checkbox'>", "axe: critical: label"),
        ("<p><a href='#x' tabindex='-1'>All</a></p>", "not reached by Tab: <a href"),
        ("<p><i tabindex='0' role='button'>All</i></p>", "focus not seen: <i tabindex"),
        ("<p><img src='elsewhere.png' alt='All'></p>", "console: error"),
    ],
)
def test_what_is_wrong_with_a_page_is_said(chromium: Browser, tmp_path: Path, new: str, said: str) -> None:
    wrong = looked(chromium, tmp_path, "<p>All is well.</p>", new)
    assert any(said in line for line in wrong), wrong


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("<script>alert(1)</script>", "ran: dialog: 1"),
        ("<script>window.hacked = true</script>", "ran: a script of a text"),
        ("<script>console.warn('oh')</script>", "console: warning: oh"),
        ("<script>nothing()</script>", "console: error: nothing is not defined"),
        ("<img src='elsewhere.png' alt='All'>", "request: file:"),
    ],
)
def test_what_runs_or_asks_without_a_policy_is_said(chromium: Browser, tmp_path: Path, new: str, said: str) -> None:
    wrong = looked(chromium, tmp_path, "<p>All is well.</p>", new, policy=False)
    assert any(said in line for line in wrong), wrong


def test_no_browser_is_one_sentence_and_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match=r"No Chromium here.*images/host\.sh browser"), looking.browser():
        pass
