"""A slow machine gets the time that it needs, and a usual one no more than it did."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.journal import Journal
from muster.machines.console import Console
from muster.machines.machine import OnLine, Result
from muster.plan import load
from muster.steps import serve
from muster.steps.context import Recovering
from tests.fake.machine import FakeMachine, write_plan


class Slow(FakeMachine):
    """A machine of some pace that notes how long each command may take."""

    def __init__(self, pace: float) -> None:
        super().__init__()
        self.pace = pace
        self.allowed: list[timedelta] = []

    def run(self, command: str, *, timeout: timedelta, stdin: bytes = b"", on_line: OnLine | None = None) -> Result:
        self.allowed.append(timeout)
        return super().run(command, timeout=timeout, stdin=stdin, on_line=on_line)


def _recovering(machine: FakeMachine, folder: Path, *change: str) -> Recovering:
    path = write_plan(folder)
    path.write_text(path.read_text().replace(*change) if change else path.read_text())
    return Recovering(load(path), machine, Journal(folder / "journal.jsonl"), ["usb"], datetime.now(UTC), {})


@pytest.mark.parametrize(("pace", "seconds"), [(1.0, 20), (8.0, 160), (0.5, 20)])
def test_every_timeout_is_multiplied_by_the_pace(tmp_path: Path, pace: float, seconds: float) -> None:
    machine = Slow(pace)
    console = Console(machine, Journal(tmp_path / "journal.jsonl"))
    console.run("true", step="any", timeout=timedelta(seconds=20))
    console.read_secret("true", timeout=timedelta(seconds=20))
    assert machine.allowed == [timedelta(seconds=seconds)] * 2


@pytest.mark.parametrize(("pace", "seconds"), [(1.0, 30), (4.0, 120)])
def test_a_wait_within_a_command_is_as_long_as_the_pace_asks(tmp_path: Path, pace: float, seconds: int) -> None:
    machine = Slow(pace)
    serve.start(_recovering(machine, tmp_path), "db", "start:db")
    (command,) = machine.commands
    assert f"now + {seconds}00))" in command, "in hundredths of a second"
    assert machine.allowed[0] > timedelta(seconds=seconds), "the command is not cut off before it has given up itself"


@pytest.mark.parametrize(("ready", "asked"), [("{ tcp = 5432 }", r"nc -z -w 8 "), ('{ http = "http://pi/" }', r"--max-time 20 ")])
def test_one_question_has_as_long_for_its_answer(tmp_path: Path, ready: str, asked: str) -> None:
    machine = Slow(4.0)
    serve.start(_recovering(machine, tmp_path, "{ tcp = 5432 }", ready), "db", "start:db")
    assert re.search(asked, machine.commands[0])


def test_how_long_was_really_waited_is_said(tmp_path: Path) -> None:
    machine = Slow(4.0)
    machine.answers[r"--no-block db.service"] = (92, "")
    with pytest.raises(Exception, match=r"within 30 s \(and not in 120 s either, which this machine's pace allows\)"):
        serve.start(_recovering(machine, tmp_path), "db", "start:db")
