"""A journal keeps every fact that it can, whatever the disk does, and says when it could not."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from muster.journal import Journal, read
from muster.redact import Redactor


@pytest.fixture
def full(tmp_path: Path) -> Journal:
    """A journal on a disk without a byte left."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal._file.close()
    journal._file = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  # as long as the journal
    return journal


def test_a_full_disk_stops_no_drill_and_is_told(full: Journal) -> None:
    for number in range(3):
        full.write("note", text=str(number))
    full.close()
    full.close()
    assert full.lost == f"{full.path} is not complete: No space left on device"
    assert [event["text"] for event in full.events] == ["0", "1", "2"]


def test_listeners_hear_what_the_disk_did_not_take(full: Journal) -> None:
    heard: list[object] = []
    full.listeners.append(heard.append)
    full.write("note", text="x")
    assert len(heard) == 1


def test_a_whole_journal_has_lost_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("note", text="x")
    journal.close()
    assert journal.lost == ""


def test_each_fact_is_on_the_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(3):
        journal.write("note", number=number)
        assert [event["number"] for event in read(journal.path)] == list(range(number + 1))


def test_no_secret_enters_however_deep_it_stands(tmp_path: Path) -> None:
    redact = Redactor()
    redact.add("hunter22")
    journal = Journal(tmp_path / "journal.jsonl", redact)
    journal.write("note", text="hunter22", deep={"hunter22": ["hunter22", ("hunter22", 1)]}, number=22)
    assert "hunter22" not in journal.path.read_text()
    assert "hunter22" not in str(journal.events)


def test_names_that_are_no_text_are_written_as_escapes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("note", text="b\udcffd\u2028\n")
    assert next(read(journal.path))["text"] == "b\\udcffd\u2028\n"


def test_a_fact_is_one_line_whatever_it_says(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("note", text="a\nb\r\x0b\x0c\x85\u2028c")
    journal.write("note", text="d")
    assert len(journal.path.read_bytes().splitlines()) == 2


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    threads = [threading.Thread(target=lambda: [journal.write("note", text="x" * 2000) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert len(events) == 400
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal.jsonl").path.stat().st_mode & 0o777 == 0o600


def test_another_runs_journal_is_never_written_over(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.jsonl").write("note", text="first")
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "journal.jsonl")
