"""The index over many runs: the runbook first, each run with its verdict, what changed, and a page that stays small."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from muster.report import history as history_module
from muster.report.changes import Change, changes, in_short
from muster.report.history import as_dict, history, keep_proposals, record_of
from muster.report.index import write_index
from tests.data.demo import LOST, cut_off, failing, passing
from tests.data.inspections import healthy

MONTH = timedelta(days=30)


def text_of(page: str) -> str:
    bare = re.sub(r"<(style|title|desc)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", bare)))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Three months: one that recovered, one that failed, and one that recovered too late."""
    out = tmp_path / "reports"
    passing(out / "a-good")
    failing(out / "b-bad", LOST + MONTH)
    passing(out / "c-late", LOST + 2 * MONTH, stretch=3.0, rto=720.0)
    return out


def many(out: Path, number: int, **other: Any) -> None:  # noqa: ANN401  # any figure
    """So many runs of which only the figures are left, a day from one another."""
    source = json.loads((out / "a-good" / "record.json").read_text())
    for each in range(number):
        figures = source["figures"] | {"started_at": (LOST - timedelta(days=each + 1)).isoformat(), "run": f"old-{each}"} | other
        folder = out / f"old-{each}"
        folder.mkdir()
        (folder / "record.json").write_text(json.dumps(source | {"figures": figures}))


def test_each_run_stands_in_the_strip_with_a_mark_a_word_and_its_day(out: Path) -> None:
    page = write_index(out).read_text()
    strip = page.partition('<div class="strip">')[2].partition("</ol>")[0]
    chips = re.findall(r'<li class="chip (\w+)">(.*?)</li>', strip, re.DOTALL)
    assert [(colour, text_of(chip).strip()) for colour, chip in chips] == [
        ("good", "Recovered 2026-03-01"),
        ("bad", "Failed 2026-03-31"),
        ("bad", "Failed 2026-04-30"),
    ]
    assert all("<svg" in chip for _, chip in chips)
    assert "Recovery from disk-loss 2 failed, 1 recovered" in text_of(strip)


def test_pictures_of_what_was_promised_stand_there_with_their_figures(out: Path) -> None:
    page = write_index(out).read_text()
    titles = re.findall(r'<svg class="plot".*?<title[^>]*>(.*?)</title>', page)
    assert titles == ["How long until it is back (RTO)", "How old the data is that comes back (RPO)", "How fast restic restores"]
    table = page.partition('<table class="numbers">')[2].partition("</table>")[0]
    assert "✗ 14 min 08 s of 12 min" in text_of(table)
    assert "? not measured" in text_of(table)


def test_one_run_has_no_course_and_needs_no_pictures(tmp_path: Path) -> None:
    passing(tmp_path / "a")
    page = write_index(tmp_path).read_text()
    assert 'id="over-time"' not in page
    assert '<svg class="plot"' not in page


def test_what_changed_is_told_against_the_run_before_and_against_the_last_good_one(out: Path) -> None:
    page = text_of(write_index(out).read_text())
    assert "since the one before, of 2026-03-31 " in page
    assert "since the last good one, of 2026-03-01 " in page


def test_each_pair_of_neighbours_can_be_unfolded_in_the_table(out: Path) -> None:
    table = write_index(out).read_text().partition('id="runs"')[2]
    assert re.findall(r"<caption>(Run .*?)</caption>", table) == ["Run c-late against run b-bad", "Run b-bad against run a-good"]


def test_drills_of_another_kind_are_not_compared(tmp_path: Path) -> None:
    passing(tmp_path / "a")
    healthy(tmp_path / "b")
    page = write_index(tmp_path).read_text()
    assert "<caption>Run " not in page
    assert "What changed" not in page


def test_the_runbook_comes_first_for_who_needs_it_now(out: Path) -> None:
    assert "Need it now?" not in write_index(out).read_text()
    (out / "runbook-telemetry.html").touch()
    (out / "runbook-telemetry.sh").touch()
    page = write_index(out).read_text()
    assert page.index("Need it now?") < page.index('class="strip"')
    assert 'href="runbook-telemetry.html"' in page
    assert 'href="runbook-telemetry.sh"' in page
    assert "runbook-telemetry.md" not in page
    assert "proved on 2026-03-01" in text_of(page)


def test_the_runbooks_of_a_run_are_linked(out: Path) -> None:
    (out / "a-good" / "runbook.html").touch()
    assert 'href="a-good/runbook.html">runbook<' in write_index(out).read_text()


def test_what_the_newest_runs_propose_is_shown_once(out: Path) -> None:
    write_index(out)
    kept = history(out)[0][0].figures["proposals"]
    one = {"key": "timer", "title": "Back up <b>more</b> often", "why": "The RPO was missed.", "change": "", "effect": ""}
    one |= {"how": "", "otherwise": "", "instead": "", "runs": 1, "since": "c-late", "became": ""}
    keep_proposals(out / "c-late" / "journal.jsonl", [one, one])
    assert kept is not None
    page = write_index(out).read_text()
    assert page.count("Back up &lt;b&gt;more&lt;/b&gt; often") == 1


def test_a_run_whose_journal_has_gone_is_told_from_its_figures(out: Path) -> None:
    before = write_index(out).read_text()
    for name in ("a-good", "b-bad", "c-late"):
        (out / name / "journal.jsonl").unlink()
    page = write_index(out).read_text()
    told = text_of(page.partition('<details class="latest"')[2].partition("</details>")[0])
    assert "Failed telemetry-pi on 2026-04-30: RTO 14 min 08 s of 12 min, RPO " in told
    assert "RTO of telemetry: 14 min 08 s is more than the promised 12 min." in told
    assert page.partition('id="over-time"')[2].count("<svg") >= 3
    assert re.findall(r'<svg class="plot".*?</svg>', page) == re.findall(r'<svg class="plot".*?</svg>', before)


def test_a_thousand_runs_make_a_small_page_and_read_no_journal_but_the_latest(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_index(out)
    many(out, 1000)
    read: list[Path] = []
    monkeypatch.setattr(history_module, "record_of", lambda journal: read.append(journal) or record_of(journal))
    page = write_index(out).read_text()
    assert read == []
    assert len(page) < 1_500_000
    assert page.count('<li class="chip') == 36
    assert page.count("run old-") < 2 * 40
    assert sum(int(number) for number in re.findall(r"<summary>(\d+) older runs? of", page)) == 1003 - 40


def test_the_page_is_strict_and_its_ids_are_unique(out: Path) -> None:
    cut_off(out / "d-cut", LOST + 3 * MONTH)
    many_kinds = healthy(out / "e-inspection", LOST + 4 * MONTH)
    assert many_kinds.exists()
    page = write_index(out).read_text()
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert len(policy) == 1
    assert "default-src 'none'" in html.unescape(policy[0])
    assert "unsafe-inline" not in policy[0]
    assert "style=" not in page
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_names_from_a_record_stand_as_text(out: Path) -> None:
    write_index(out)
    odd = "<img src=x onerror=alert(1)>"
    many(out, 3, plan=odd, versions={odd: odd}, services={odd: 5.0}, stored={odd: [5, 1]}, found=[[odd, "error", odd, odd]])
    page = write_index(out).read_text()
    assert "<img" not in page
    assert "&lt;img src=x" in page


# What changed


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return as_dict(record_of(passing(tmp_path_factory.mktemp("run"))))


def test_nothing_changed_is_nothing_told(figures: dict[str, Any]) -> None:
    assert changes(figures, figures) == []
    assert in_short([]) == "nothing of note"


def test_what_machines_differ_by_anyway_is_no_change(figures: dict[str, Any]) -> None:
    steps = figures["steps"] | {"restore media": ["done", 24.2]}
    assert changes(figures, figures | {"rto": figures["rto"] * 1.04, "steps": steps}) == []


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ({}, {"verdict": "failed"}, Change("verdict", "verdict", "Recovered", "Failed", "", "worse")),
        ({}, {"rto": 1020.0}, Change("objective", "RTO", "12 min 50 s", "17 min", "+4 min 10 s", "worse")),
        ({}, {"rto": None}, Change("objective", "RTO", "12 min 50 s", "not measured", "", "worse")),
        ({}, {"rto_promised": 900.0}, Change("promise", "promised RTO", "30 min", "15 min", "−15 min")),  # noqa: RUF001
        ({"versions": {"a": "1"}}, {"versions": {"a": "2"}}, Change("version", "a", "1", "2")),
        ({"versions": {"a": "1"}}, {"versions": {"a": "1", "b": "2"}}, Change("version", "b", "none", "2")),
        ({"stored": {"usb": [4, 1]}}, {"stored": {"usb": [9, 1]}}, Change("size", "repository usb", "4 B", "9 B", "+5 B")),
        ({"stored": {"usb": [4, 9]}}, {"stored": {"usb": [4, 3]}}, Change("size", "snapshots in usb", "9", "3", "-6")),
        ({"throughput": 100.0}, {"throughput": 50.0}, Change("speed", "restored in a second", "100 B", "50 B", "-50%", "worse")),
        ({"ages": [["usb", 60.0]]}, {"ages": [["usb", 3600.0]]}, Change(
            "restore point", "age of the restore point in usb", "1 min", "1 h", "+59 min",
        )),
        ({"steps": {"a": ["done", 4.0]}}, {"steps": {"a": ["done", 9.0]}}, Change("step", "a", "4 s", "9 s", "+5 s", "worse")),
        ({"steps": {"a": ["done", 4.0]}}, {"steps": {"a": ["failed", 9.0]}}, Change("step", "a", "done", "failed", "", "worse")),
        ({"found": [["c", "error", "x", "Bad."]]}, {"found": [["d", "error", "x", "Other."]]}, Change(
            "finding", "c (x)", "Bad.", "none", "gone", "better",
        )),
        ({"machine": "vm"}, {"machine": "ssh"}, Change("machine", "machine", "vm", "ssh")),
    ],
)  # fmt: skip
def test_what_changed_is_told(figures: dict[str, Any], before: dict[str, Any], now: dict[str, Any], change: Change) -> None:
    assert change in changes(figures | before, figures | now)


def test_things_that_changed_alike_are_told_together(figures: dict[str, Any]) -> None:
    before, now = ({"steps": {name: [how, 1.0] for name in "abcdef"}} for how in ("done", "blocked"))
    (change,) = changes(figures | before, figures | now)
    assert (change.what, change.of) == ("a, b, c and 3 more", 6)
    assert in_short([change]) == "6 steps"


def test_what_an_older_record_does_not_say_is_no_change(figures: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"versions": {}, "stored": {}, "restored": {}, "steps": {}, "throughput": None}
    assert [change for change in changes(figures | nothing, figures) if change.topic != "machine"] == []
