"""Retention: what is old gives its room back, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from muster.report.history import history
from muster.report.index import write_index
from muster.report.retention import retire
from tests.data.demo import LOST, failing, passing
from tests.data.inspections import healthy
from tests.fake.folder import Folder

PAGE = '<html><article class="muster" id="muster-12">Recovered</article></html>'
JUNIT = '<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest"></testsuite></testsuites>'
NOW = LOST + timedelta(days=400)
MONTH = timedelta(days=30)
BOOKS = {
    "runbook.sh": "#!/bin/sh\n# muster-runbook: 1 plan=x incident=y run=z\n",
    "runbook.html": '<body class="muster runbook">',
}
BOOKS |= {"runbook.md": "# Back\n\n<!-- muster-runbook: 1 plan=x -->\n"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four recoveries, a month from one another; the newest failed."""
    for number in range(3):
        passing(tmp_path / f"{number}-good", LOST + number * MONTH)
    failing(tmp_path / "3-bad", LOST + 3 * MONTH)
    for folder in tmp_path.iterdir():
        (folder / "report.html").write_text(PAGE)
        (folder / "junit.xml").write_text(JUNIT)
    for name, text in BOOKS.items():
        (tmp_path / "1-good" / name).write_text(text)
    history(tmp_path)
    return tmp_path


def files(out: Path, run: str) -> list[str]:
    return sorted(path.name for path in (out / run).iterdir())


def test_of_an_old_run_only_its_figures_stay(out: Path) -> None:
    before = [run.figures for run in history(out)[0]]
    retired = retire(out, timedelta(days=90), NOW)
    assert files(out, "0-good") == ["record.json"]
    assert (retired.runs, retired.files, retired.left) == (1, 3, ())
    assert [run.figures for run in history(out)[0]] == before


def test_the_newest_run_and_the_newest_good_one_and_the_newest_with_a_runbook_keep_all(out: Path) -> None:
    before = {run: files(out, run) for run in ("1-good", "2-good", "3-bad")}
    retire(out, timedelta(seconds=1), NOW)
    assert {run: files(out, run) for run in before} == before


def test_each_drill_keeps_its_own_newest(out: Path) -> None:
    journal = healthy(out / "inspection")
    retire(out, timedelta(seconds=1), NOW)
    assert journal.exists()


def test_a_young_run_keeps_all(out: Path) -> None:
    assert retire(out, timedelta(days=401), NOW).said(timedelta(days=401)) == ""
    assert files(out, "0-good") == ["journal.jsonl", "junit.xml", "record.json", "report.html"]


def test_the_runbook_of_an_old_run_goes_with_it(out: Path) -> None:
    for name, text in BOOKS.items():
        (out / "0-good" / name).write_text(text)
        (out / "2-good" / name).write_text(text)
    retire(out, timedelta(days=1), NOW)
    assert files(out, "0-good") == files(out, "1-good") == ["record.json"]
    assert "runbook.sh" in files(out, "2-good")


@pytest.mark.parametrize(
    "name", ["report.html", "junit.xml", "runbook.sh", "runbook.md", "runbook.html", "notes.txt", "report.htm"]
)
def test_what_somebody_else_wrote_is_left(out: Path, name: str) -> None:
    (out / "0-good" / name).write_text("mine")
    retire(out, timedelta(days=1), NOW)
    assert (out / "0-good" / name).read_text() == "mine"


def test_a_link_is_left_and_what_it_leads_to(out: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.html"
    elsewhere.write_text(PAGE)
    (out / "0-good" / "report.html").unlink()
    (out / "0-good" / "report.html").symlink_to(elsewhere)
    retire(out, timedelta(days=1), NOW)
    assert (out / "0-good" / "report.html").is_symlink()
    assert elsewhere.exists()


@pytest.mark.parametrize("content", ['{"mine": 1}', ""])
def test_a_journal_whose_figures_are_not_kept_stays(out: Path, content: str) -> None:
    (out / "0-good" / "record.json").write_text(content)
    retire(out, timedelta(days=1), NOW)
    assert "journal.jsonl" in files(out, "0-good")


def test_what_is_no_journal_stays(out: Path) -> None:
    foreign = out / "zz" / "journal.jsonl"
    foreign.parent.mkdir()
    foreign.write_text("hello\n")
    retire(out, timedelta(days=1), NOW)
    assert foreign.read_text() == "hello\n"


def test_a_page_of_several_drills_stays_while_one_of_them_does(out: Path) -> None:
    inspection = healthy(out / "inspection")
    inspection.rename(out / "0-good" / "journal-telemetry-backups.jsonl")
    history(out)
    retire(out, timedelta(days=1), NOW)
    assert "report.html" in files(out, "0-good")
    assert "journal.jsonl" not in files(out, "0-good")
    assert "journal-telemetry-backups.jsonl" in files(out, "0-good")


def test_what_was_removed_is_said_in_one_line(out: Path) -> None:
    span = timedelta(days=90)
    said = retire(out, span, NOW).said(span)
    assert said.startswith("removed 3 files (")
    assert said.endswith(" of 1 run older than 90 d; their figures stay.")


def test_the_index_is_the_same_afterwards_but_for_links(out: Path) -> None:
    before = write_index(out).read_text()
    retire(out, timedelta(days=90), NOW)
    after = write_index(out).read_text()
    assert "0-good/journal.jsonl" in before
    assert "0-good/journal.jsonl" not in after
    assert "run 0-good<" in after


def test_retiring_twice_removes_nothing_more(out: Path) -> None:
    retire(out, timedelta(days=90), NOW)
    assert retire(out, timedelta(days=90), NOW).files == 0


# The option


@pytest.mark.parametrize(("span", "says"), [("soon", "is no duration"), ("90", "has no unit"), ("0s", "longer than nothing")])
def test_a_span_that_is_none_is_one_sentence(folder: Folder, span: str, says: str) -> None:
    assert folder.run("--drill-retain", span) == 4, folder.output
    assert f"ERROR: --drill-retain {span}" in folder.output
    assert says in folder.output
    assert folder.log == []


@pytest.mark.parametrize("option", [(), ("--drill-retain", "90d")])
def test_a_run_removes_what_is_old_only_if_it_was_asked_to(folder: Folder, option: tuple[str, ...]) -> None:
    reports = folder.path / "reports"
    for number, name in enumerate(("a-old", "b-newer")):
        passing(reports / name, LOST - timedelta(days=500) + number * MONTH)
    folder.run(*option)
    assert (reports / "a-old" / "journal.jsonl").exists() is not bool(option)
    assert (reports / "b-newer" / "journal.jsonl").exists()
    assert ("of 1 run older than 90 d; their figures stay." in folder.output) is bool(option)
    assert "run a-old<" in (reports / "index.html").read_text()
