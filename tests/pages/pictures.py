"""`make pictures`: the pictures in docs/pictures, of pages that are made from journals which are kept for it.

The drill and its runbook are of a drill of the sample that was really recorded (tests/data/pictured.jsonl, with long outputs
cut short); the index is that of a year which is replayed from another one, and says so.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser

from muster.report.history import record_of
from muster.report.page import whole
from tests.fake.folder import ROOT
from tests.pages.looking import browser
from tests.pages.made import index_of, runbook_of, year_of_runs

RECORDED = ROOT / "tests" / "data" / "pictured.jsonl"
WIDTH = 1000  # pixels


def recorded(folder: Path) -> Path:
    """The journal of the drill, where its run would have it."""
    folder.mkdir(parents=True)
    return Path(shutil.copy(RECORDED, folder / "journal.jsonl"))


def drill(folder: Path) -> Path:
    """The page of the drill."""
    path = folder / "drill.html"
    path.write_text(whole([record_of(recorded(folder / "run"))]))
    return path


def runbook(folder: Path) -> Path:
    """Its runbook."""
    return runbook_of(recorded, folder / "run")


PICTURES: dict[str, tuple[Callable[[Path], Path], str, int]] = {  # how each page is made, and what is shown of it: pixels
    "drill": (drill, "", 1340),
    "index": (partial(index_of, year_of_runs), "", 1340),
    "runbook": (runbook, "#steps", 1340),
}


def take(on: Browser, page: Path, part: str, height: int, to: Path) -> None:
    """One picture of a page, from a part of it."""
    opened = on.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
    opened.goto(f"{page.as_uri()}{part}")
    opened.screenshot(path=to, animations="disabled")
    opened.close()


def main(to: Path) -> None:
    """Take them all."""
    to.mkdir(parents=True, exist_ok=True)
    with browser() as on, tempfile.TemporaryDirectory() as folder:
        for name, (make, part, height) in PICTURES.items():
            take(on, make(Path(folder) / name), part, height, to / f"{name}.png")
            sys.stdout.write(f"{to / name}.png\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
