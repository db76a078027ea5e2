"""What the terminal is told: the same verdict as the page, in words that no machine can garble."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from muster import words
from muster.journal import read
from muster.record import fold
from muster.report.closing import verdict
from muster.report.lines import Teller, plain
from muster.report.terminal import live
from tests.data.demo import cut_off, failing, passing
from tests.data.told import Told, node

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType


def shown(what: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines_of(journal: Path) -> list[str]:
    teller = Teller()
    return [line for event in read(journal) for line in teller.tell(event)]


def test_the_live_view_shows_milestones_what_runs_and_the_clock_against_the_rto(tmp_path: Path) -> None:
    record = fold(event for event in read(passing(tmp_path / "run")) if event["t"] < 12)
    text = shown(live(record, 12.4, {"restore media": 37.4}))
    assert "✓ provisioned  ✓ configured  ▸ restored  · serving  · verified" in text
    assert "restore media  0:04" in text
    assert "37%" in text
    assert "12:23 of 30:00 (hands and packages 12:11)" in text
    assert "restore etc" not in text


def test_the_live_view_counts_what_went_wrong(tmp_path: Path) -> None:
    text = shown(live(fold(read(failing(tmp_path / "run"))), 40.0))
    assert "2 failed  1 not judged  10 blocked" in text


def test_the_live_view_fits_a_narrow_terminal_and_a_percentage_out_of_range(tmp_path: Path) -> None:
    record = fold(event for event in read(passing(tmp_path / "run")) if event["t"] < 12)
    text = shown(live(record, 12.4, {"restore media": 170.0, "load readings": -3.0, "unknown": 5.0}), 40)
    assert "100%" in text
    assert max(len(line) for line in text.splitlines()) <= 40


def test_plain_lines_tell_steps_with_their_seconds_milestones_and_findings(tmp_path: Path) -> None:
    lines = lines_of(passing(tmp_path / "run"))
    assert "  0:31  ✓ restore media: done in 23.4 s" in lines
    assert "  0:38  * verified after 38.7 s" in lines
    assert sum(" * " in line for line in lines) == 5
    assert any("! MUS-B14 dataset media" in line for line in lines)


def test_plain_lines_say_why_a_step_did_not_end_well(tmp_path: Path) -> None:
    lines = lines_of(failing(tmp_path / "run"))
    assert lines[-1] == "  0:36  ⊘ 10 steps: blocked, did not run: it needs load readings, which failed"
    assert not any("* verified" in line for line in lines)


@pytest.mark.parametrize("kind", ["command", "note", "ended", "weather"])
def test_most_events_are_not_worth_a_line(kind: str) -> None:
    assert plain({"kind": kind, "t": 1.0}) is None


@pytest.mark.parametrize(("tell", "word"), [(passing, "✓ RECOVERED"), (failing, "✗ FAILED"), (cut_off, "? NOT PROVEN")])
def test_the_verdict_comes_first(tmp_path: Path, tell: object, word: str) -> None:
    assert callable(tell)
    assert shown(verdict(fold(read(tell(tmp_path / "run"))))).startswith(word)


def test_the_verdict_says_how_to_mend_every_finding_and_names_it_once(tmp_path: Path) -> None:
    record = fold(read(failing(tmp_path / "run")))
    text = shown(verdict(record), 300)
    for finding in record.findings:
        assert finding.fix in text
        assert text.count(finding.what) == 1


def test_the_verdict_of_an_empty_journal_is_not_proven() -> None:
    assert "the journal holds no drill" in shown(verdict(fold([])))


def test_no_machine_can_write_markup_or_controls_to_the_terminal(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    evil = "[red]x[/] \x1b]0;owned\x07\x1b[2J\u202e end"
    journal.drill([node("smoke login") | {"name": evil}], plan=evil, hostname=evil)
    journal.write("finding", code="X", severity="error", where=evil, what=evil, fix=evil, evidence=evil)
    journal.write("step_started", step=evil)
    text = shown(live(fold(journal.events), 2.0))
    journal.step(evil, 1.0, 2.0, "failed", reason=evil, fix=f"do {evil}")
    text += shown(verdict(journal.told())) + "\n".join(lines_of(journal.path))
    assert "[red]x[/]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "not measured"), (0, "0 s"), (0.04, "0.04 s"), (14.23, "14.2 s"), (59.96, "1 min"), (185, "3 min 05 s"),
        (3599.7, "1 h"), (4800, "1 h 20 min"), (86399, "1 d"), (90000, "1 d 1 h"), (-90, "-1 min 30 s"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("size", "said"), [(0, "0 B"), (999, "999 B"), (48_201_774, "48.2 MB"), (1.3e12, "1.3 TB")])
def test_sizes_are_said_as_disks_are_sold(size: float, said: str) -> None:
    assert words.size(size) == said


@pytest.mark.parametrize(("seconds", "said"), [(7, "0:07"), (751, "12:31"), (3723, "1:02:03"), (-4, "0:00")])
def test_clocks_run_in_minutes_and_seconds(seconds: float, said: str) -> None:
    assert words.clock(seconds) == said


def test_a_time_is_told_in_utc_and_what_is_none_as_it_is() -> None:
    assert words.moment("2026-03-01T14:05:09.123+01:00") == "2026-03-01 13:05:09 UTC"
    assert words.moment("soon\x07") == "soon\\x07"
