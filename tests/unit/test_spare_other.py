from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Drill
from muster.errors import HarnessError
from muster.incidents import Incident
from muster.journal import Journal
from muster.machines.spare import Spare
from muster.machines.sparing.production import Production
from muster.machines.ssh.host import Host
from muster.machines.wanted import Wanted
from muster.plan import MachineSpec, load
from tests.fake.machine import _MANIFEST, FakeMachine, write_plan


class FakeSpare(FakeMachine):
    """A machine that could be the Pi: `own` is the digest of its machine-id, `sealed` the one in the backup."""

    def __init__(self, sealed: str, own: str) -> None:
        super().__init__({r"restic .* dump ": (0, json.dumps(_MANIFEST | {"machine_id_sha256": sealed}))})
        self.own = own

    def require_other(self, sealed: str) -> None:
        if sealed == self.own:
            raise HarnessError("the very machine that was backed up")


def drilled(tmp_path: Path, machine: FakeMachine) -> Drill:
    plan = load(write_plan(tmp_path))
    incident = Incident("disk-loss", datetime.now(UTC))
    return Drill(plan, incident, machine, Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)


def test_nothing_is_restored_to_the_very_machine_that_was_backed_up(tmp_path: Path) -> None:
    machine = FakeSpare("a" * 64, "a" * 64)
    drill = drilled(tmp_path, machine)
    with pytest.raises(HarnessError, match="the very machine"):
        drill.reach("configured", drill.restore_point)
    assert drill.record.verdict == "not proven"
    assert not [command for command in machine.commands if " restore " in command]
    drill.machine.destroy()
    drill.close()


def test_another_machine_is_restored_to(tmp_path: Path) -> None:
    machine = FakeSpare("a" * 64, "b" * 64)
    drill = drilled(tmp_path, machine)
    drill.conclude()
    drill.machine.destroy()
    drill.close()
    assert drill.record.verdict == "recovered"
    assert [command for command in machine.commands if " restore " in command]


def test_no_other_machine_pays_for_the_question(tmp_path: Path) -> None:
    machine = FakeMachine()
    drill = drilled(tmp_path, machine)
    drill.conclude()
    assert not [command for command in machine.commands if " dump " in command]
    drill.machine.destroy()
    drill.close()


def test_nothing_is_told_of_a_board_that_nobody_has_seen() -> None:
    wanted = Wanted(MachineSpec(), "telemetry-pi", "muster-run", {})
    machine = Spare(wanted, Production("telemetry-pi", (), (), ()), Host("nowhere.invalid", "nowhere.invalid"), "nowhere.invalid")
    assert machine.limits == {}
    assert machine.description == "ssh (nowhere.invalid)"
