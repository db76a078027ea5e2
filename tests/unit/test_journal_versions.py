"""Journals that earlier versions of Muster wrote are still read, and say what they said then.

Those in tests/data/journals were written by real drills of the sample; long commands and outputs are cut short in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from muster.journal import VERSION, read
from muster.journal_versions import upgraded
from muster.record import fold
from muster.report.history import record_of
from muster.report.page import summary
from muster.report.sentences import headline

JOURNALS = Path(__file__).parents[1] / "data" / "journals"

# What was said of them when they were written.
SAID = {
    "1-recovered": (
        "recovered",
        "telemetry-pi is back and correct, 11 min 56 s after the loss was declared, with data at most 11.4 s old.",
    ),
    "2-recovered": (
        "recovered",
        "telemetry-pi is back and correct, 12 min 11 s after the loss was declared, with data at most 19.6 s old.",
    ),
    "1-failed-rpo": ("failed", "RPO of readings: 22 min 39 s is more than the promised 15 min."),
    "1-failed-password": ("failed", "usb: The password does not open the repository, or its key file is gone."),
    "1-cut-off": ("not proven", "restore:usb/archive and inspect:usb were cut short: the drill ended first"),
    "1-inspection": ("proven", "The backups of telemetry-pi are fresh, whole and where its plan wants them."),
    "1-corruption": (
        "recovered",
        "telemetry-pi is back and correct, 12 min 05 s after the loss was declared, with data at most 10.8 s old.",
    ),
}


def first_of(path: Path) -> dict[str, Any]:
    begin: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    return begin


def test_each_journal_that_is_kept_has_its_words_here() -> None:
    assert {path.stem for path in JOURNALS.glob("*.jsonl")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_it_is_of_the_version_in_its_name_and_says_what_it_said_then(name: str) -> None:
    path = JOURNALS / f"{name}.jsonl"
    assert str(first_of(path)["v"]) == name.partition("-")[0]
    record = record_of(path)
    assert record.verdict == SAID[name][0]
    assert SAID[name][1] in (headline(record), *record.reasons)


@pytest.mark.parametrize("name", SAID)
def test_its_page_tells_it(name: str) -> None:
    page = summary(record_of(JOURNALS / f"{name}.jsonl"))
    assert SAID[name][1] in page
    assert record_of(JOURNALS / f"{name}.jsonl").run in page


def test_what_it_did_not_record_is_unknown_and_not_made_up() -> None:
    record = record_of(JOURNALS / "1-failed-rpo.jsonl")
    assert "purpose" not in first_of(JOURNALS / "1-failed-rpo.jsonl")
    assert (record.purpose, record.limits, record.handbook.typed, record.case_file.case) == ("recovery", {}, [], None)


def test_reading_brings_every_event_to_this_version() -> None:
    begin = next(read(JOURNALS / "1-failed-rpo.jsonl"))
    assert begin["v"] == VERSION
    assert {step["urgency"] for step in begin["steps"]} == {1}


def test_an_event_of_this_version_is_left_as_it_is() -> None:
    event = {"kind": "drill", "v": VERSION, "steps": []}
    assert upgraded(event, VERSION) is event


def test_bringing_an_event_to_this_version_changes_no_other(tmp_path: Path) -> None:
    lines = (JOURNALS / "1-recovered.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    kept = json.dumps(events)
    changed = [upgraded(event, 1) for event in events]
    assert json.dumps(events) == kept
    (tmp_path / "journal.jsonl").write_text("\n".join(json.dumps(event) for event in changed) + "\n", encoding="utf-8")
    assert fold(read(tmp_path / "journal.jsonl")) == fold(changed) == record_of(JOURNALS / "1-recovered.jsonl")


def test_a_journal_of_a_later_version_asks_for_an_update_in_one_sentence(tmp_path: Path) -> None:
    later = written(tmp_path, first_of(JOURNALS / "1-recovered.jsonl") | {"v": VERSION + 1})
    with pytest.raises(ValueError, match=r"^[^\n]* was written by a later Muster .*: update Muster$"):
        record_of(later)


@pytest.mark.parametrize("version", ["2", None, 0, -1, 1.5, True, [], "x"])
def test_a_version_that_is_none_is_no_journal(tmp_path: Path, version: object) -> None:
    odd = written(tmp_path, first_of(JOURNALS / "1-recovered.jsonl") | {"v": version})
    with pytest.raises(ValueError, match="is not a journal: its version is"):
        record_of(odd)


@pytest.mark.parametrize("steps", [None, 3, [3], [{"name": "x"}]])
def test_an_old_first_event_that_is_garbled_is_named(tmp_path: Path, steps: object) -> None:
    garbled = written(tmp_path, first_of(JOURNALS / "1-recovered.jsonl") | {"steps": steps})
    with pytest.raises(ValueError, match="is not a journal"):
        record_of(garbled)


def test_a_line_nested_without_end_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("[" * 100_000 + "\n" + '{"kind": "ended"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 is not an event"):
        list(read(path))


def test_no_kept_journal_has_a_secret_or_a_path_of_the_machine_that_wrote_it() -> None:
    for path in JOURNALS.glob("*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_size < 110_000
        assert not [word for word in ("/work/", "/tmp/pytest", "PRIVATE KEY", "RESTIC_PASSWORD=") if word in text]  # noqa: S108


def written(folder: Path, begin: Mapping[str, Any]) -> Path:
    """A journal of one event and its end."""
    path = folder / "journal.jsonl"
    end = {"kind": "ended", "t": 1.0, "at": begin["at"], "how": "finished"}
    path.write_text("\n".join(json.dumps(event) for event in (begin, end)) + "\n", encoding="utf-8")
    return path
