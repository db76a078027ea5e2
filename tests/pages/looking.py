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
  const scrolls = each => {
    const { overflowX, overflowY } = getComputedStyle(each);
    return (/auto|scroll/.test(overflowY) && each.scrollHeight > each.clientHeight)
        || (/auto|scroll/.test(overflowX) && each.scrollWidth > each.clientWidth);
  };
  const asked = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  const all = [...document.querySelectorAll('body *')].filter(each => each.matches(asked) || scrolls(each));
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


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at a page showed; all of it is empty for a page that is as it should be."""

    complaints: list[str] = field(default_factory=list)  # what the console says, and what a script threw
    asked: list[str] = field(default_factory=list)  # what was requested beside the page itself
    ran: list[str] = field(default_factory=list)  # what text from a machine made the browser do
    too_wide: int = 0  # pixels
    missed: list[str] = field(default_factory=list)  # what Tab does not come to
    unseen: list[str] = field(default_factory=list)  # where nobody sees that it came
    hindrances: list[str] = field(default_factory=list)  # what axe found to be serious

    def wrong(self) -> list[str]:
        """All of it, in lines."""
        wide = [f"{self.too_wide} pixels too wide"] if self.too_wide > 0 else []
        named = (("console", self.complaints), ("request", self.asked), ("ran", self.ran), ("width", wide),
                 ("not reached by Tab", self.missed), ("focus not seen", self.unseen), ("axe", self.hindrances))  # fmt: skip
        return [f"{name}: {each}" for name, found in named for each in found]


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
def opened(on: Browser, path: Path, width: int, scheme: Scheme, looked: Looked) -> Iterator[Page]:
    """The page in a window of its own; what it asks for and complains of comes into `looked`."""
    context = on.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
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


def look(on: Browser, path: Path, width: int = DESK, scheme: Scheme = "light", *, keyboard: bool = True) -> Looked:
    """Open one page and look at everything: first as it opens, then with all that can be unfolded."""
    looked = Looked()
    with opened(on, path, width, scheme, looked) as page:
        wide = int(page.evaluate(_TOO_WIDE))
        page.evaluate(_OPEN_ALL)
        wide = max(wide, int(page.evaluate(_TOO_WIDE)))
        way = _walk(page) if keyboard else {"missed": [], "unseen": []}
        if page.evaluate("window.hacked"):
            looked.ran.append("a script of a text")
        said = [*looked.complaints]  # before axe, which is a script itself
        return Looked(said, looked.asked, looked.ran, wide, way["missed"], way["unseen"], _hindrances(page))


def _walk(page: Page) -> Any:  # noqa: ANN401  # JSON from the browser
    """Press Tab until everything was visited that can be."""
    stops = min(int(page.evaluate(_STOPS)), MOST_STOPS)
    page.evaluate("document.activeElement && document.activeElement.blur()")
    for _ in range(stops + 1):
        page.keyboard.press("Tab")
    return page.evaluate(_WAY, stops)


def _hindrances(page: Page) -> list[str]:
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['impact']}: {each['id']} ({each['help']}), {len(each['nodes'])} times: {_first(each)}"
        for each in found
        if each["impact"] in GRAVE
    ]


def _first(violation: dict[str, Any]) -> str:
    node = violation["nodes"][0]
    why = next((one["message"] for kind in ("any", "all", "none") for one in node[kind]), "")
    return f"{node['html'][:200]} {why}"


def main(pages: list[str]) -> int:
    """Say what is wrong with each page; 1 if anything is."""
    bad = 0
    with browser() as on:
        for name in pages:
            for width in (PHONE, DESK):
                for scheme in ("light", "dark"):
                    wrong = look(on, Path(name).resolve(), width, scheme).wrong()  # type: ignore[arg-type]  # one of the two
                    bad += len(wrong)
                    sys.stdout.write(f"{name} {width} {scheme}: {'nothing wrong' if not wrong else ''}\n")
                    sys.stdout.writelines(f"    {line}\n" for line in wrong)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
