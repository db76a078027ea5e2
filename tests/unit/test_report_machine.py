"""What a report says of the machine: what it turned out to be, how slow it was, and whether it really booted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from muster.drill import Drill
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from muster.report.closing import verdict
from muster.report.hardware import said_of_machine
from muster.report.page import summary
from tests.fake.machine import FakeMachine, write_plan


class Emulated(FakeMachine):
    """A machine that says only when it is there what it is."""

    boots = True
    pace = 8.0
    description = "vm (not there yet)"

    def provision(self) -> None:
        super().provision()
        self.description = "vm (trixie, arm64, TCG)"


def _drilled(folder: Path, machine: FakeMachine) -> Record:
    drill = Drill(load(write_plan(folder)), Incident("disk-loss", datetime.now(UTC)), machine, Journal(folder / "j.jsonl"), "run")
    drill.conclude()
    drill.machine.destroy()
    drill.close()
    return drill.record


def test_a_machine_is_what_it_turned_out_to_be(tmp_path: Path) -> None:
    record = _drilled(tmp_path, Emulated())
    assert (record.machine, record.pace) == ("vm (trixie, arm64, TCG)", 8.0)


def test_a_usual_container_needs_no_words(tmp_path: Path) -> None:
    assert said_of_machine(_drilled(tmp_path, FakeMachine())) == []


def test_pace_and_reboot_are_told_on_the_page_and_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = _drilled(tmp_path, Emulated())
    slow, booted = said_of_machine(record)
    assert slow == "where commands had 8 times the time that a usual Pi gets"
    assert booted.startswith("booted again from its own disk in ")
    Console(width=300).print(verdict(record))
    for shown in (summary(record), capsys.readouterr().out):
        assert "vm (trixie, arm64, TCG)" in shown
        assert slow in shown
        assert booted in shown
