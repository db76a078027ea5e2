"""The pages that people open, each from the writer that writes it after a real run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from muster.journal import read
from muster.record import fold
from muster.report import kept, runbook, site
from muster.report.history import record_of
from muster.report.index import write_index
from muster.report.page import whole
from tests.data import demo, hostile, incidents, inspections, recovered, year
from tests.fake.folder import DRILL, ROOT
from tests.fake.machine import write_plan

JOURNALS = ROOT / "tests" / "data" / "journals"
OFTEN = 1000
CONFTEST = """
from pathlib import Path
from tests.fake.machine import FakeMachine

def pytest_drill_machine(plan, labels):
    return FakeMachine({answers!r})
"""
HARMFUL = """
import logging

import pytest

TEXT = {text!r}

@pytest.mark.parametrize("text", [TEXT[:400]], ids=[TEXT[:400]])
def test_harm(text, drill):
    print(TEXT)
    logging.getLogger().warning(TEXT)
    assert text == "", TEXT
"""


def told(*tellers: Callable[[Path], Path], folder: Path) -> Path:
    """One page of the drills that are told."""
    journals = [tell(folder / str(number)) for number, tell in enumerate(tellers)]
    return _page(folder, [fold(read(journal)) for journal in journals])


def kept_journal(name: str, folder: Path) -> Path:
    """The page of a journal that was really recorded, by an earlier version."""
    return _page(folder, [record_of(Path(shutil.copy(JOURNALS / name, folder / "journal.jsonl")))])


def _page(folder: Path, records: Iterable[object]) -> Path:
    path = folder / "page.html"
    path.write_text(whole(list(records)))  # type: ignore[arg-type]  # records, of whatever kind
    return path


def index_of(tell: Callable[[Path], object] | None, folder: Path) -> Path:
    """The index over the runs that are told."""
    if tell:
        tell(folder)
    return write_index(folder)


def year_of_runs(folder: Path) -> None:
    """Thirteen runs, with the runbook of each that recovered."""
    for journal in (*year.year(folder), year.after_following(folder)):
        runbook.write(record_of(journal), journal)
    runbook.keep(folder)


def many_runs(folder: Path) -> None:
    """A thousand runs: those of a year, and the kept figures of all the weeks before."""
    year_of_runs(folder)
    write_index(folder)
    made_from, figures = kept.read(next(folder.glob("*/record*.json")))
    began = datetime.fromisoformat(figures["started_at"])
    for number in range(OFTEN - 13):
        run = folder / f"week-{number}"
        run.mkdir()
        at = (began - timedelta(weeks=number + 1)).isoformat()
        kept.write(run / "record.json", made_from, figures | {"run": run.name, "started_at": at})


def harmful_runs(folder: Path) -> None:
    """Runs whose names and facts are meant to do harm, and a foreign file of such a name."""
    name = hostile.SHOWN[1].replace("/", "")
    for number, tell in enumerate((hostile.recovered, hostile.failed, hostile.inspected)):
        journal = tell(folder / f"{number}{name}")
        # The index takes no run whose names are longer than 1,000 characters for one of ours.
        journal.write_text(journal.read_text().replace(hostile.SHOWN[-1], hostile.SHOWN[-1][:300]))
        runbook.write(record_of(journal), journal)
    (folder / f"9{name}").mkdir()
    (folder / f"9{name}" / "journal.jsonl").write_text(hostile.SHOWN[0])
    runbook.keep(folder)


def runbook_of(tell: Callable[[Path], Path], folder: Path) -> Path:
    """The runbook of a drill that recovered."""
    journal = tell(folder)
    return next(path for path in runbook.write(record_of(journal), journal) if path.suffix == ".html")


def proved_by_hand(folder: Path) -> Path:
    """The journal of a small drill with all that a runbook has."""
    journal = recovered.told(folder / "journal.jsonl")
    journal.close()
    return journal.path


def published(folder: Path) -> Path:
    """The front page of a site."""
    year_of_runs(folder / "reports")
    site.publish(folder / "reports", folder / "site")
    return folder / "site" / "index.html"


def of_pytest(folder: Path, *, harm: bool = False) -> Path:
    """The detailed page of a run of pytest on a Pi of scripted answers."""
    plan = write_plan(folder)
    plan.write_text(
        plan.read_text().replace('hostname = "tiny-pi"', "hostname = \"tiny-pi\"\nabout = '''" + _about(harm) + "'''")
    )
    answers = {"ask-web": (1, hostile.TEXT), "count-rows": (0, hostile.TEXT)} if harm else {}
    (folder / "conftest.py").write_text(CONFTEST.format(answers=answers))
    (folder / "test_recovery.py").write_text(DRILL)
    (folder / "test_harm.py").write_text(HARMFUL.format(text=hostile.TEXT) if harm else "")
    paths = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'fixtures'}", "BUILD_TAG": hostile.SHOWN[1] if harm else "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, timeout=180, check=False)
    pages = list(folder.glob("reports/*/report.html"))
    assert done.returncode == int(harm), done.stdout
    assert "without a strict policy" not in done.stderr
    return pages[0]


def _about(harm: bool) -> str:  # noqa: FBT001  # one of two
    return hostile.SHOWN[0] if harm else "A page and its rows"


PAGES: dict[str, Callable[[Path], Path]] = {
    "recovered": lambda folder: told(demo.passing, folder=folder),
    "failed": lambda folder: told(demo.failing, folder=folder),
    "not-proven": lambda folder: told(demo.cut_off, folder=folder),
    "corruption": lambda folder: told(incidents.corruption, folder=folder),
    "compromise": lambda folder: told(partial(incidents.compromise, healthy=False), folder=folder),
    "site-loss": lambda folder: told(incidents.site_loss, folder=folder),
    "inspection": lambda folder: told(inspections.healthy, folder=folder),
    "bad-inspection": lambda folder: told(inspections.ailing, folder=folder),
    "several": lambda folder: told(demo.passing, incidents.corruption, inspections.ailing, folder=folder),
    "nothing": lambda folder: told(folder=folder),
    "earlier-version": partial(kept_journal, "1-recovered.jsonl"),
    "no-index": partial(index_of, None),
    "short-index": partial(index_of, demo.passing),
    "index": partial(index_of, year_of_runs),
    "long-index": partial(index_of, many_runs),
    "incidents-index": partial(index_of, incidents.write_run),
    "site": published,
    "runbook": partial(runbook_of, proved_by_hand),
    "of-pytest": of_pytest,
}
HARMFUL_PAGES: dict[str, Callable[[Path], Path]] = {
    "harmful-recovered": lambda folder: told(hostile.recovered, folder=folder),
    "harmful-failed": lambda folder: told(hostile.failed, folder=folder),
    "harmful-inspection": lambda folder: told(hostile.inspected, folder=folder),
    "harmful-runbook": partial(runbook_of, hostile.recovered),
    "harmful-index": partial(index_of, harmful_runs),
    "harmful-of-pytest": partial(of_pytest, harm=True),
}


if __name__ == "__main__":  # `python -m tests.pages.made FOLDER [NAME...]` writes them, to be looked at
    OUT, NAMES = Path(sys.argv[1]), sys.argv[2:]
    for NAME, MAKE in (PAGES | HARMFUL_PAGES).items():
        if not NAMES or NAME in NAMES:
            (OUT / NAME).mkdir(parents=True)
            sys.stdout.write(f"{MAKE(OUT / NAME)}\n")
