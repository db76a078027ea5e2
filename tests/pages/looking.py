"""What people meet who open a page: in a real browser, on a phone and a desk, by day and by night, with keyboard alone.

`python -m tests.pages.looking PAGE...` says it of any page.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

Scheme = Literal["light", "dark"]
PHONE, DESK = 390, 1000  # pixels
MOST_STOPS = 150  # presses of Tab on one page: the rows of a long table are all alike
GRAVE = ("serious", "critical")
NEEDED = "No Chromium here: the tests of pages open them in it. Install it (`images/host.sh browser`), then run this again."

_OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
_TOO_WIDE = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
_STOPS = """() => {
  document.body.tabIndex = -1;  // the way begins at the top again
  document.body.focus();
  document.body.removeAttribute('tabindex');
  const scrolls = each => {
    const { overflowX, overflowY } = getComputedStyle(each);
    return (/auto|scroll/.test(overflowY) && each.scrollHeight > each.clientHeight)
        || (/auto|scroll/.test(overflowX) && each.scrollWidth > each.clientWidth);
  };
  const asked = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  const all = [...document.querySelectorAll('body *')].filter(
    each => each.matches(asked) || (scrolls(each) && !each.querySelector(asked)));
  window.musterStops = all.filter(each => !each.disabled && each.checkVisibility({ visibilityProperty: true }));
  window.musterReached = new Map();
  document.addEventListener('focusin', event => {
    const { outlineStyle, outlineWidth } = getComputedStyle(event.target);
    const shown = event.target.matches(':focus-visible') && outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
    window.musterReached.set(event.target, shown);
  });
  return window.musterStops.length;
}"""
_WAY = """count => {
  const named = each => each.outerHTML.slice(0, 120);
  const stops = window.musterStops.slice(0, count);
  return {
    missed: stops.filter(each => each.isConnected && !window.musterReached.has(each)).map(named),
    unseen: stops.filter(each => window.musterReached.get(each) === false).map(named),
  };
}"""


# Colours do not depend on the width, nor the layout on the colours: two views are all four.
VIEWS: tuple[tuple[int, Scheme], ...] = ((DESK, "light"), (PHONE, "dark"))


@dataclass(slots=True)
class Looked:
    """What a look at a page showed; all of it is empty for a page that is as it should be."""

    complaints: list[str] = field(default_factory=list)  # what the console says, and what a script threw
    asked: list[str] = field(default_factory=list)  # what was requested beside the page itself
    ran: list[str] = field(default_factory=list)  # what text from a machine made the browser do
    seen: list[str] = field(default_factory=list)  # what is wrong with how it looks or is reached, and in which view

    def wrong(self) -> list[str]:
        """All of it, in lines."""
        named = (("console", self.complaints), ("request", self.asked), ("ran", self.ran))
        return [*(f"{name}: {each}" for name, found in named for each in found), *self.seen]


@contextmanager
def browser() -> Iterator[Browser]:
    """The Chromium of this system, without a window. Raises RuntimeError where there is none."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise RuntimeError(NEEDED)
    # Chromium's own sandbox does not work for root, as in most containers.
    bare = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=bare)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def opened(on: Browser, path: Path, looked: Looked) -> Iterator[Page]:
    """The page in a window of its own; what it asks for and complains of comes into `looked`."""
    context = on.new_context()
    try:
        page = context.new_page()
        page.on("request", lambda request: _note_request(request.url, path, looked.asked))
        page.on("console", lambda said: looked.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: looked.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (looked.ran.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(path.as_uri(), wait_until="load")
        yield page
    finally:
        context.close()


def _note_request(url: str, path: Path, asked: list[str]) -> None:
    if url.partition("?")[0].partition("#")[0] != path.as_uri() and not url.startswith("data:"):
        asked.append(url)


def look(on: Browser, path: Path) -> list[str]:
    """Open one page and look at everything, in each view: first as it opens, then with all that can be unfolded.

    Returns what is wrong with it, in lines.
    """
    looked = Looked()
    with opened(on, path, looked) as page:
        for opens in (False, True):
            if opens:
                page.evaluate(_OPEN_ALL)
            for width, scheme in VIEWS:
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                wrong = [*_too_wide(page), *(_in_view(page) if opens else ())]
                looked.seen += [f"{width} px, {scheme}: {each}" for each in wrong]
        if page.evaluate("window.hacked"):
            looked.ran.append("a script of a text")
    return looked.wrong()


def _too_wide(page: Page) -> Iterator[str]:
    wide = int(page.evaluate(_TOO_WIDE))
    if wide > 0:
        yield f"{wide} pixels too wide"


def _in_view(page: Page) -> Iterator[str]:
    yield from _walk(page)
    yield from _hindrances(page)


def _walk(page: Page) -> Iterator[str]:
    """Press Tab until everything was visited that can be."""
    stops = min(int(page.evaluate(_STOPS)), MOST_STOPS)
    for _ in range(stops + 1):
        page.keyboard.press("Tab")
    way = page.evaluate(_WAY, stops)
    yield from (f"not reached by Tab: {each}" for each in way["missed"])
    yield from (f"focus not seen: {each}" for each in way["unseen"])


def _hindrances(page: Page) -> Iterator[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    for each in found:
        if each["impact"] in GRAVE:
            yield f"axe: {each['impact']}: {each['id']} ({each['help']}), {len(each['nodes'])} times: {_first(each)}"


def _first(violation: dict[str, Any]) -> str:
    node = violation["nodes"][0]
    why = next((one["message"] for kind in ("any", "all", "none") for one in node[kind]), "")
    return f"{node['html'][:200]} {why}"


def main(pages: list[str]) -> int:
    """Say what is wrong with each page; 1 if anything is."""
    bad = 0
    with browser() as on:
        for name in pages:
            wrong = look(on, Path(name).resolve())
            bad += len(wrong)
            sys.stdout.writelines(
                f"{line}\n" for line in (f"{name}:{'' if wrong else ' nothing wrong'}", *(f"    {each}" for each in wrong))
            )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
