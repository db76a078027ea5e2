"""Every kind of machine lives as a Pi does: units, a clock, a reboot; and what becomes of a command that is cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from muster.errors import Unreachable
from muster.machines.machine import Machine
from muster.machines.ssh.remote import Remote
from tests.contract.subjects import HOSTNAME, NOTICED, SHARED, TEN, Subject, run

HOUR = timedelta(hours=1)


class TestUnits:
    @pytest.fixture
    def unit(self, machine: Machine) -> Iterator[str]:
        name = "contract-unit.service"
        yield name
        run(
            machine,
            f"systemctl stop {name}; systemctl reset-failed {name}; rm -f /run/systemd/system/{name}; systemctl daemon-reload",
        )

    def write(self, machine: Machine, unit: str, command: str) -> None:
        lines = f"[Service]\nExecStart={command}\n"
        run(machine, f"cat > /run/systemd/system/{unit} && systemctl daemon-reload", stdin=lines.encode())

    def test_a_unit_starts_and_stops(self, machine: Machine, unit: str) -> None:
        self.write(machine, unit, "/bin/sleep infinity")
        assert run(machine, f"systemctl start {unit} && systemctl is-active {unit}").out == "active\n"
        assert run(machine, f"systemctl stop {unit}; systemctl is-active {unit}").out == "inactive\n"

    def test_a_unit_that_failed_says_why(self, machine: Machine, unit: str) -> None:
        self.write(machine, unit, "/bin/sh -c 'echo the reason; exit 3'")
        asked = f"systemctl start {unit}; until systemctl is-failed -q {unit}; do sleep 0.05; done; "
        shown = run(machine, f"{asked}systemctl show -p Result -p ExecMainStatus --value {unit}; journalctl -o cat -u {unit}").out
        assert shown.split("\n")[:2] in (["exit-code", "3"], ["3", "exit-code"])
        assert "the reason" in shown


def test_its_clock_is_right(machine: Machine) -> None:
    before = time.time()
    said = float(run(machine, "date +%s.%N").out)
    assert before - 2 < said < time.time() + 2


class TestReboot:
    def test_what_is_on_the_disk_stays_and_what_is_in_memory_goes(self, machine: Machine) -> None:
        run(machine, "echo kept > /root/stays; echo lost > /run/goes; sync")
        machine.reboot()
        assert run(machine, "cat /root/stays; ls /run/goes").out == "kept\n"
        assert run(machine, "systemctl is-system-running").out == "running\n"
        # What it was and what it reached, it is and reaches again.
        assert run(machine, f"hostname; cat {SHARED}/file").out == f"{HOSTNAME}\nfrom the host"
        before = time.time()
        assert before - 2 < float(run(machine, "date +%s.%N").out) < time.time() + 2


class TestCut:
    """Of machines that are reached over a connection: a command that it is cut under is no result, and the next one runs."""

    @pytest.fixture
    def remote(self, subject: Subject) -> Remote:
        remote = subject.remote()
        if remote is None:
            pytest.skip("a container is reached through its engine")
        return remote

    def cut_under(self, machine: Machine, cut: str | None, remote: Remote) -> float:
        """Run what does not end, cut its connection, by a command on the machine or here; the seconds until it was noticed."""
        begun = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(machine.run, "echo begun; exec sleep 87654", timeout=HOUR, on_line=lambda _line: begun.set())
            assert begun.wait(TEN.total_seconds() * machine.pace)
            started = time.monotonic()
            if cut is None:
                remote.drop()
            else:
                with pytest.raises(Unreachable, match="cut"):
                    run(machine, cut)
            with pytest.raises(Unreachable, match=r"The connection to .* was cut while a command ran on it"):
                running.result(NOTICED * machine.pace)
        return time.monotonic() - started

    def whole_again(self, machine: Machine) -> None:
        assert run(machine, f"cat {SHARED}/file").out == "from the host"
        assert run(machine, "pgrep -fx 'sleep 87654'").out == ""

    def test_a_connection_that_is_cut_here_is_made_again(self, machine: Machine, remote: Remote) -> None:
        self.cut_under(machine, None, remote)
        self.whole_again(machine)

    def test_one_that_is_cut_there_too(self, machine: Machine, remote: Remote) -> None:
        self.cut_under(machine, "kill -9 $(pgrep -f '^sshd.*root')", remote)
        self.whole_again(machine)
