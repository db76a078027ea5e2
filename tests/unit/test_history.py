"""What is kept of each drill: read when its journal has gone, and what is none of ours named and left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from muster.report import history as history_module
from muster.report.figures import FORMAT, as_dict
from muster.report.history import history, keep_proposals, record_of
from tests.data.demo import LOST, cut_off, failing, passing
from tests.data.told import Told, node


@pytest.fixture
def out(tmp_path: Path) -> Path:
    passing(tmp_path / "reports" / "a-first")
    failing(tmp_path / "reports" / "b-second")
    return tmp_path / "reports"


def kept(out: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / name / "record.json").read_text())
    return found


def without_journal(out: Path, name: str) -> Path:
    """The record of a run whose journal has gone."""
    history(out)
    (out / name / "journal.jsonl").unlink()
    return out / name / "record.json"


def test_a_run_whose_journal_has_gone_stays_with_its_figures(out: Path) -> None:
    before = history(out)[0]
    without_journal(out, "a-first")
    runs, skipped = history(out)
    assert [run.figures for run in runs] == [run.figures for run in before]
    assert [run.journal for run in runs] == [out / "b-second" / "journal.jsonl", None]
    assert skipped == []


def test_a_record_alone_does_not_stand_beside_its_own_journal(out: Path) -> None:
    history(out)
    assert len(history(out)[0]) == 2


def test_a_record_of_the_format_before_is_still_read(out: Path) -> None:
    path = without_journal(out, "a-first")
    found = kept(out, "a-first")
    new = {"machine_kind", "board", "versions", "by_hand", "carried", "services_promised", "datasets_promised", "ages"}
    new |= {"restored", "throughput", "stored", "listed", "found", "steps", "slowest", "runbook", "proposals"}
    old = {name: value for name, value in found["figures"].items() if name not in new}
    path.write_text(json.dumps({"muster": "record", "made_from": [3, 1, 1], "figures": old}, indent=1))
    run = history(out)[0][-1]
    assert (run.figures["verdict"], run.figures["rto"]) == ("recovered", found["figures"]["rto"])
    assert (run.figures["stored"], run.figures["throughput"], run.figures["proposals"]) == ({}, None, None)


def test_a_record_of_ours_that_says_too_little_is_made_again_from_its_journal(out: Path) -> None:
    path = out / "a-first" / "record.json"
    path.write_text('{"muster": "record", "made_from": [1, 5, 5], "figures": {"verdict": "failed"}}')
    runs, skipped = history(out)
    assert (runs[-1].figures["verdict"], skipped) == ("recovered", [])
    assert kept(out, "a-first")["made_from"][0] == FORMAT


def test_a_record_of_ours_that_says_too_little_and_has_no_journal_is_named(out: Path) -> None:
    path = without_journal(out, "a-first")
    path.write_text(before := '{"muster": "record", "made_from": [1, 5, 5], "figures": {"verdict": "failed"}}')
    runs, skipped = history(out)
    assert (len(runs), [each.name for each in skipped]) == (1, ["a-first/record.json"])
    assert path.read_text() == before


GOOD = '{"muster": "record", "made_from": [4, 1, 1], "figures": %s}'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON"),
        (b"hello\n", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "not a record of Muster"),
        (b"4", "not a record of Muster"),
        (b'{"muster": "grid"}', "not a record of Muster"),
        (b'{"muster": "record", "figures": {}}', "what it was made from"),
        (b'{"muster": "record", "made_from": ["4"], "figures": {}}', "what it was made from"),
        (GOOD.encode() % b"{}", "not a record of a drill"),
        (GOOD.encode() % b"[]", "not a record of a drill"),
        (b" " * 1_000_001, "too large"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_what_is_no_record_is_named_and_left_alone(out: Path, content: bytes, why: str, *, beside: bool) -> None:
    path = out / "a-first" / "record.json"
    if not beside:
        (out / "a-first" / "journal.jsonl").unlink()
    path.write_bytes(content)
    runs, skipped = history(out)
    assert [run.name for run in runs] == (["b-second", "a-first"] if beside else ["b-second"])
    assert [(each.name, why in each.why) for each in skipped] == [("a-first/record.json", True)]
    assert path.read_bytes() == content


def test_a_record_cut_short_is_named_and_left_alone(out: Path) -> None:
    path = without_journal(out, "a-first")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        runs, skipped = history(out)
        assert ([run.name for run in runs], [each.name for each in skipped]) == (["b-second"], ["a-first/record.json"])
        assert path.read_bytes() == whole[:length]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "fine"),
        ("rto", "soon"),
        ("rto", 1e300),
        ("rpo", True),
        ("services", {"web": "soon"}),
        ("services", []),
        ("stored", {"usb": [10**400, 1]}),
        ("stored", {"usb": [-1, 1]}),
        ("plan", ""),
        ("plan", None),
        ("started_at", "yesterday"),
        ("started_at", "2026-03-01T09:00:00"),
        ("restore_points", [["usb"]]),
        ("reasons", "many"),
    ],
)
def test_a_record_with_a_figure_that_is_none_is_named_and_says_which(out: Path, name: str, value: object) -> None:
    path = without_journal(out, "a-first")
    found = kept(out, "a-first")
    found["figures"][name] = value
    path.write_text(json.dumps(found))
    runs, skipped = history(out)
    assert [run.name for run in runs] == ["b-second"]
    assert name in skipped[0].why
    assert "\n" not in skipped[0].why


@pytest.mark.parametrize("beside", [True, False])
def test_a_record_of_a_later_format_is_named_and_left_alone(out: Path, *, beside: bool) -> None:
    history(out)
    if not beside:
        (out / "a-first" / "journal.jsonl").unlink()
    path = out / "a-first" / "record.json"
    path.write_text(later := json.dumps(kept(out, "a-first") | {"made_from": [FORMAT + 1, 2, 3]}))
    runs, skipped = history(out)
    assert len(runs) == (2 if beside else 1)
    assert f"known up to {FORMAT}" in skipped[0].why
    assert path.read_text() == later


@pytest.mark.parametrize("name", ["journal.jsonl", "record.json"])
def test_a_pipe_is_named_and_never_waited_for(out: Path, name: str) -> None:
    (out / "zz-pipe").mkdir()
    os.mkfifo(out / "zz-pipe" / name)
    runs, skipped = history(out)
    assert len(runs) == 2
    assert [(each.name, each.why) for each in skipped] == [(f"zz-pipe/{name}", "is no file")]


def test_a_folder_of_the_name_of_a_record_is_named(out: Path) -> None:
    (out / "zz-folder" / "record.json").mkdir(parents=True)
    assert [(each.name, each.why) for each in history(out)[1]] == [("zz-folder/record.json", "is no file")]


def test_a_thousand_kept_runs_are_listed_without_reading_a_journal(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(out)
    for number in range(1000):
        (out / f"run-{number}").mkdir()
        (out / f"run-{number}" / "record.json").write_text((out / "a-first" / "record.json").read_text())
    monkeypatch.setattr(history_module, "record_of", lambda journal: pytest.fail(f"{journal} is read again"))
    assert len(history(out)[0]) == 1002


def test_proposals_are_kept_with_the_figures_and_stay(out: Path) -> None:
    history(out)
    journal = out / "a-first" / "journal.jsonl"
    keep_proposals(journal, [{"key": "timer", "title": "Back up more often"}])
    runs = {run.name: run for run in history(out)[0]}
    assert runs["a-first"].figures["proposals"] == [{"key": "timer", "title": "Back up more often"}]
    assert runs["b-second"].figures["proposals"] is None
    assert runs["a-first"].figures["verdict"] == "recovered"


def test_proposals_are_not_written_over_somebody_else_s_file(out: Path) -> None:
    foreign = out / "a-first" / "record.json"
    foreign.write_text('{"mine": 1}')
    keep_proposals(out / "a-first" / "journal.jsonl", [])
    assert foreign.read_text() == '{"mine": 1}'


# The figures


def test_figures_hold_what_came_back_how_fast_and_what_took_longest(tmp_path: Path) -> None:
    figures = as_dict(record_of(passing(tmp_path)))
    assert figures["restored"]["media"] == [4_212, 1_913_400_201]
    # While some restore ran: from 4.0 to 5.6, 5.7 to 7.9, and 8.0 to 31.4.
    assert figures["throughput"] == pytest.approx(sum(each[1] for each in figures["restored"].values()) / 27.2)
    assert figures["slowest"][:2] == [["restore media", 23.4], ["load readings", 6.4]]
    assert figures["steps"]["restore media"] == ["done", 23.4]


@pytest.mark.parametrize("write", [failing, cut_off])
def test_a_drill_that_did_not_bring_all_back_has_no_throughput(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    assert as_dict(record_of(write(tmp_path)))["throughput"] is None


def test_figures_hold_the_own_promises_of_services_and_datasets(tmp_path: Path) -> None:
    figures = as_dict(record_of(passing(tmp_path)))
    assert (figures["services_promised"]["ingest"], figures["services_promised"]["nginx"]) == (1200.0, None)
    assert figures["datasets_promised"]["readings"] == 900.0
    assert (figures["by_hand"], figures["carried"]) == (660.0, 71.4)


def test_figures_hold_findings_with_where_and_what(tmp_path: Path) -> None:
    found = as_dict(record_of(failing(tmp_path)))["found"]
    what = "The dump of readings could not be loaded: pg_restore ended with 1."
    assert ["MUS-D07", "error", "dataset readings", what] in found


def test_figures_hold_sizes_versions_and_how_a_runbook_went(tmp_path: Path) -> None:
    journal = Told(tmp_path / "run" / "journal.jsonl", LOST + timedelta(days=1))
    journal.drill([node("smoke login")], versions={"pytest-muster": "0.1.0"})
    journal.step("smoke login", 1.0, 2.0)
    journal.write("stored", repository="usb", bytes=5_000, snapshots=7)
    journal.write("listed", repository="usb", snapshots=[["a", "2026-01-01T00:00:00Z"], ["b", "2026-03-01T00:00:00Z"]])
    journal.write("versions", of={"restic": "0.18.0-1"})
    journal.write("runbook", path="r.sh", format="sh", by="run-1")
    for number, outcome in enumerate(["done", "missing", "failed"], 1):
        facts = {"number": number, "title": "x", "step": "", "how": "typed", "outcome": outcome, "seconds": 1.0}
        journal.write("followed", **facts)
    journal.write("ended", how="finished")
    figures = as_dict(journal.told())
    assert figures["stored"] == {"usb": [5_000, 7]}
    assert figures["listed"] == {"usb": [2, "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"]}
    assert figures["versions"] == {"pytest-muster": "0.1.0", "restic": "0.18.0-1"}
    runbook = figures["runbook"]
    assert (runbook["by"], runbook["proved"], runbook["steps"], runbook["failed"], runbook["missing"]) == ("run-1", True, 3, 1, 1)


def test_what_is_kept_of_a_drill_is_small(out: Path) -> None:
    history(out)
    assert (out / "a-first" / "record.json").stat().st_size < 8_000
