"""What becomes of a command whose machine goes away. The last of the contract: nothing is left of the machine after it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from muster.errors import HarnessError, Stopped
from muster.machines.machine import Machine, Result
from tests.contract.conftest import Making
from tests.contract.subjects import NOTICED, TEN, Subject, run

HOUR = timedelta(hours=1)


def begun(machine: Machine, pool: ThreadPoolExecutor) -> Future[Result]:
    """A command that runs, and does not end."""
    seen = threading.Event()
    running = pool.submit(machine.run, "echo begun; exec sleep 1000", timeout=HOUR, on_line=lambda _line: seen.set())
    assert seen.wait(TEN.total_seconds() * machine.pace)
    return running


# Spare hardware takes minutes to be taken back; what its connection does then is told by tests of it.
@pytest.mark.parametrize("kind", ["container", "vm"])
def test_a_machine_that_is_destroyed_stops_its_commands(making: Making, kind: str) -> None:
    with making(kind) as subject, ThreadPoolExecutor(1) as pool:
        machine = subject.machine
        running = begun(machine, pool)
        machine.destroy()
        with pytest.raises(Stopped):
            running.result(NOTICED)
        with pytest.raises(Stopped):
            run(machine, "true")
        machine.destroy()


def test_a_machine_that_is_switched_off_is_no_result_of_a_command(subject: Subject) -> None:
    machine = subject.machine
    with ThreadPoolExecutor(1) as pool:
        running = begun(machine, pool)
        subject.kill()
        try:
            with pytest.raises(HarnessError, match=r"(muster-\S+|spare-pi)") as raised:
                running.result(NOTICED)
            assert not isinstance(raised.value, Stopped)
            with pytest.raises(HarnessError):
                run(machine, "true")
        finally:
            subject.mend()
