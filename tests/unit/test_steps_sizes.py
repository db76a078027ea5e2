"""Sizes of repositories and versions of packages: told where they can be measured, and deciding nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.handbook import Stored
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from tests.fake.machine import Answer, FakeMachine, write_plan

Drilled = Callable[..., tuple[Record, FakeMachine]]


@pytest.fixture
def drilled(tmp_path: Path) -> Drilled:
    """The record of a drill, and its machine, given what that answers and what is said in its plan."""

    def drill_it(answers: dict[str, Answer], *change: str) -> tuple[Record, FakeMachine]:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace(*change) if change else path.read_text())
        machine = FakeMachine(answers)
        incident = Incident("disk-loss", datetime.now(UTC))
        drill = Drill(load(path), incident, machine, Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
        with suppress(MusterError, Blocked):
            drill.conclude()
        machine.destroy()
        drill.close()
        return drill.record, machine

    return drill_it


def test_how_large_a_disk_s_repository_is_stands_in_the_record(drilled: Drilled) -> None:
    record, _ = drilled({r"find \S*/usb .*awk": (0, "60974190"), r"find \S*/vault .*awk": (0, "6431")})
    assert record.handbook.stored == {"usb": Stored("usb", 60974190, 1), "vault": Stored("vault", 6431, 1)}
    assert record.verdict == "recovered"


def test_restic_says_how_large_a_remote_repository_is(drilled: Drilled) -> None:
    far = 'url = "sftp:backup@nas.invalid:/usb"\nknown_hosts = "password"'
    said = '{"total_size": 4711, "total_blob_count": 3, "snapshots_count": 1}\n'
    record, machine = drilled({r"restic .* stats --mode raw-data": (0, said)}, 'url = "usb"', far)
    assert record.handbook.stored["usb"].bytes == 4711
    assert sum(" stats " in command for command in machine.commands) == 1


@pytest.mark.parametrize("answer", [(1, "find: no folder"), (None, ""), (0, ""), (0, "0"), (0, "many"), (0, "-4"), (0, "4²")])
def test_a_size_that_cannot_be_measured_is_left_out_and_decides_nothing(drilled: Drilled, answer: Answer) -> None:
    record, _ = drilled({r"find .*awk": answer})
    assert record.handbook.stored == {}
    assert record.verdict == "recovered"


def test_sizes_are_asked_for_when_all_is_verified(drilled: Drilled) -> None:
    record, machine = drilled({r"find .*awk": (0, "5")})
    first = next(number for number, command in enumerate(machine.commands) if "awk" in command)
    asked = max(number for number, command in enumerate(machine.commands) if command in {"ask-app", "ask-web"})
    assert first > asked
    assert record.steps["check:usb"].milestone == "afterwards"


def test_versions_of_what_is_installed_are_told_once(drilled: Drilled) -> None:
    record, machine = drilled({r"dpkg-query --show": (1, ""), r"^dpkg-query": (0, "")})
    assert record.handbook.versions == {}
    assert sum("--showformat" in command for command in machine.commands) == 1


def test_a_package_that_is_not_installed_has_no_version(drilled: Drilled) -> None:
    record, _ = drilled({r"dpkg-query --show": (0, "restic 0.18.0-1+b4\nsqlite3 \n")})
    assert record.handbook.versions == {"restic": "0.18.0-1+b4"}
