"""What the fake machine of the unit tests owes them: the part of the contract that a machine without a system can keep.

It runs nothing, so that it is not held to files, units, times or signals: those are promised by machines that have them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from muster.errors import Stopped
from muster.machines.machine import Machine
from tests.fake.machine import FakeMachine

TEN = timedelta(seconds=10)


def test_it_has_all_that_a_machine_has() -> None:
    machine: Machine = FakeMachine()
    promised = [name for name in vars(Machine) if not name.startswith("_")]
    assert promised
    assert [name for name in promised if not hasattr(machine, name)] == []


def test_exit_status_and_words_come_back() -> None:
    result = FakeMachine({"ask": (3, "no\n")}).run("ask", timeout=TEN)
    assert (result.exit, result.out, result.err) == (3, "", "no\n")


def test_lines_are_told_and_then_left_out() -> None:
    lines: list[str] = []
    result = FakeMachine({"ask": (0, "one\ntwo")}).run("ask", timeout=TEN, on_line=lines.append)
    assert (lines, result.out) == (["one", "two"], "")


def test_a_destroyed_one_runs_nothing_and_can_be_destroyed_again() -> None:
    machine = FakeMachine()
    machine.destroy()
    machine.destroy()
    with pytest.raises(Stopped):
        machine.run("true", timeout=TEN)


def test_what_runs_is_stopped_when_it_is_destroyed() -> None:
    machine = FakeMachine(hang="forever")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(machine.run, "forever", timeout=TEN)
        machine.destroy()
        with pytest.raises(Stopped):
            running.result(10)
