"""A search within a whole drill: what it chooses is restored, and nobody waits for one that was stopped."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from muster.drill import Drill
from muster.errors import HarnessError, RecoveryError
from muster.incidents import incident
from muster.journal import Journal
from muster.plan import Plan, load
from muster.record import Record
from muster.session import Options, Session
from tests.fake.machine import NOW, Answer, FakeMachine, write_plan

SOUND = '\n[invariants.sound]\ndataset = "rows"\nrun = "is-sound"\nexpect = { matches = "^0$" }\n'
RUNS = {"a": "r1", "c": "r2"}  # by what the ids of their snapshots consist of; the second is corrupt


def listed(command: str) -> Answer:
    paths, letters = (["/etc/keys"], "bd") if "usb" not in command else (["/etc/app", "/var/backups/rows", "/srv/media"], "ac")
    entries = [
        {
            "id": letter * 64,
            "time": (NOW + timedelta(minutes=minutes)).isoformat(),
            "hostname": "tiny-pi",
            "paths": paths,
            "tags": [f"run=r{minutes + 1}"],
        }
        for minutes, letter in enumerate(letters)
    ]
    return 0, json.dumps(entries)


class Asked(FakeMachine):
    """Answers as sound only what came from the first run."""

    hanging = threading.Event()

    def __init__(self, hang: str = "") -> None:
        super().__init__({r"\bsnapshots$": listed, r"restic .* restore ": self._restore, "is-sound": self._sound}, hang=hang)
        self.rows = ""

    def _restore(self, command: str) -> Answer:
        found = re.search(r" restore (\w+) .*/var/backups/rows", command)
        self.rows = found[1] if found else self.rows
        return 0, '{"message_type":"status","percent_done":0.5}'

    def _hang(self) -> None:
        self.hanging.set()
        super()._hang()

    def _sound(self, _command: str) -> Answer:
        return 0, "0" if self.rows.startswith("a") else "17"


def made(tmp_path: Path, machines: list[Asked], hang: str = "") -> tuple[Session, Plan]:
    path = write_plan(tmp_path)
    path.write_text(path.read_text() + SOUND)

    def make(_plan: Plan, _labels: Mapping[str, str]) -> Asked:
        machines.append(Asked(hang if machines else ""))
        return machines[-1]

    options = Options(tmp_path / "out", "run", lost_at=NOW + timedelta(minutes=3))
    return Session(options, make_machine=make, say=lambda _: None), load(path)


def concluded(tmp_path: Path, machines: list[Asked]) -> Record:
    session, plan = made(tmp_path, machines)
    session.drill(plan, "corruption").conclude()
    return session.close()[0]


def test_the_recovery_is_from_the_good_restore_point(tmp_path: Path) -> None:
    machines: list[Asked] = []
    record = concluded(tmp_path, machines)
    assert record.verdict == "recovered", record.reasons
    assert {point.snapshot[0] for point in record.restore_points} == {"a", "b"}
    assert machines[0].rows == "a" * 64
    assert [probe.good for probe in record.case_file.probes] == [False, True]
    assert {finding.code for finding in record.findings} == set()
    restores = [command for command in record.commands if " restore " in command.command]
    listings = [command for command in record.commands if re.search(r"restic .* (snapshots|ls|check)\b", command.command)]
    assert sum(record.processes.values()) == len(restores) + len(listings)


def test_data_loss_is_measured_from_when_it_turned_bad(tmp_path: Path) -> None:
    record = concluded(tmp_path, [])
    assert record.case_file.happened
    assert record.rpo.measured == pytest.approx(60, abs=1)


def test_a_search_that_is_stopped_is_not_waited_for(tmp_path: Path) -> None:
    machines: list[Asked] = []
    session, plan = made(tmp_path, machines, hang="app-load")
    drill = session.drill(plan, "corruption")
    drill.start()
    assert Asked.hanging.wait(10)
    (record,) = session.close(finish=False)
    assert record.steps["search"].outcome == "stopped"
    assert all(machine.gone.is_set() for machine in machines)


def test_a_drill_without_a_second_machine_says_so(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    path.write_text(path.read_text() + SOUND)
    plan = load(path)
    what = incident(plan, "corruption", lost_at=NOW + timedelta(minutes=3))
    drill = Drill(plan, what, FakeMachine(), Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
    with pytest.raises(HarnessError, match="no machine to ask restore points on"):
        drill.reach("configured", drill.restore_point)
    drill.close()


def test_a_named_restore_point_is_taken_without_a_search(tmp_path: Path) -> None:
    session, plan = made(tmp_path, [])
    session.options = Options(tmp_path / "out", "run", snapshot="c" * 8, lost_at=NOW + timedelta(minutes=3))
    drill = session.drill(plan, "corruption")
    assert "search" not in drill.steps
    with pytest.raises(RecoveryError, match="Invariant sound"):
        drill.reach("verified")
    session.close()
