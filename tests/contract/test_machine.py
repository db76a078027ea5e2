"""What every kind of machine owes a drill: commands, a clean Pi, and no way out.

Times are those of a usual machine; one that is emulated has a pace of its own.
"""

from __future__ import annotations

import hashlib
import shlex
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from muster.machines import container, engine, images
from muster.machines.machine import Machine
from muster.session import new_run
from tests.contract.subjects import HOSTNAME, SHARED, Subject, run

SECOND = timedelta(seconds=1)


class TestCommands:
    def test_exit_status_and_both_streams_come_back_apart(self, machine: Machine) -> None:
        result = run(machine, "echo out; echo err >&2; exit 3")
        assert (result.exit, result.out, result.err) == (3, "out\n", "err\n")

    def test_a_command_over_its_time_is_killed_with_all_it_started(self, machine: Machine) -> None:
        result = run(machine, "sleep 54321 & sleep 54321", timeout=SECOND)
        assert result.exit is None
        assert result.seconds < 10 * machine.pace
        assert run(machine, "pgrep -fx 'sleep 54321'").out == ""

    def test_a_command_that_ignores_the_polite_signal_is_killed_too(self, machine: Machine) -> None:
        result = run(machine, "trap '' TERM; while :; do sleep 1; done", timeout=SECOND)
        assert result.exit is None

    def test_so_is_a_child_that_outlives_the_command(self, subject: Subject) -> None:
        if subject.remote() is None:
            pytest.skip("a container's engine waits for what holds its output, and then says that it cannot be reached")
        machine = subject.machine
        result = run(machine, "(trap '' TERM; exec sleep 65432) & (trap '' TERM; sleep 76543; :) & sleep 54321", timeout=SECOND)
        assert result.exit is None
        assert run(machine, "pgrep -fx 'sleep (65432|76543)'").out == ""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
    def test_a_command_that_a_signal_ended_has_the_status_a_shell_gives(self, machine: Machine, number: signal.Signals) -> None:
        result = run(machine, f"echo before; kill -{number.value} $$")
        assert (result.exit, result.out, result.err) == (128 + number, "before\n", "")

    def test_one_command_may_have_many_lines_and_every_quote(self, machine: Machine) -> None:
        odd = """it's "quoted" $HOME `tick` \\ back"""
        script = f"while read -r line\ndo\n  echo \"<$line>\"\ndone <<'END'\n{odd}\nEND\n"
        assert run(machine, script).out == f"<{odd}>\n"
        assert run(machine, f"printf %s {shlex.quote(odd)}").out == odd

    def test_it_runs_as_root_in_the_root_folder_with_a_usual_mask(self, machine: Machine) -> None:
        assert run(machine, "id -u; pwd; umask").out == "0\n/\n0022\n"

    def test_an_own_status_of_124_is_no_timeout(self, machine: Machine) -> None:
        assert run(machine, "exit 124").exit == 124

    def test_big_output_comes_back_whole(self, machine: Machine) -> None:
        result = run(machine, "head -c 20000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2")
        assert (len(result.out), len(result.err)) == (20_000_000, 1_000_000)

    def test_odd_bytes_are_escaped_and_never_lost(self, machine: Machine) -> None:
        assert run(machine, r"printf 'caf\351 \303\251 \0 end'").out == "caf\\xe9 é \0 end"

    def test_output_is_there_byte_for_byte(self, machine: Machine) -> None:
        data = bytes(range(256)) * 4000
        result = run(machine, "cat", stdin=data)
        assert result.raw == data

    def test_an_empty_input_ends_at_once(self, machine: Machine) -> None:
        assert run(machine, "wc -c").out.strip() == "0"

    def test_input_that_nobody_reads_keeps_nobody(self, machine: Machine) -> None:
        assert run(machine, "echo done", stdin=bytes(5_000_000)).out == "done\n"

    def test_input_arrives_byte_for_byte(self, machine: Machine) -> None:
        data = bytes(range(256)) * 4000
        assert run(machine, "sha256sum", stdin=data).out.split()[0] == hashlib.sha256(data).hexdigest()

    def test_lines_are_told_as_they_come(self, machine: Machine) -> None:
        lines: list[str] = []
        arrived = threading.Event()

        def on_line(line: str) -> None:
            lines.append(line)
            arrived.set()

        with ThreadPoolExecutor(1) as pool:
            # The command ends only once its first line was seen outside.
            waiting = "rm -f /tmp/seen; echo one; until [ -e /tmp/seen ]; do sleep 0.05; done; printf two"
            future = pool.submit(run, machine, waiting, on_line=on_line)
            assert arrived.wait(10 * machine.pace)
            run(machine, "touch /tmp/seen")
            assert future.result().out == ""
        assert lines == ["one", "two"]

    def test_many_commands_run_at_once(self, machine: Machine) -> None:
        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(lambda number: run(machine, f"echo {number}; sleep 0.2"), range(32)))
        assert [result.out for result in results] == [f"{number}\n" for number in range(32)]

    def test_a_missing_program_is_status_127(self, machine: Machine) -> None:
        assert run(machine, "no-such-program").exit == 127


class TestCleanPi:
    def test_systemd_is_pid_1_and_nothing_failed(self, machine: Machine) -> None:
        assert run(machine, "cat /proc/1/comm; systemctl --failed --no-legend").out == "systemd\n"

    def test_it_has_the_name_that_was_asked_for(self, machine: Machine) -> None:
        assert run(machine, "hostname").out == f"{HOSTNAME}\n"

    def test_it_looks_like_raspberry_pi_os(self, machine: Machine) -> None:
        asked = ". /etc/os-release; echo $VERSION_CODENAME; id -un 1000; systemctl is-active ssh; systemd-detect-virt; "
        asked += "ls /boot/firmware"
        release, user, served, virtual, *firmware = run(machine, asked).out.split()
        assert (release, user, served) == ("trixie", "pi", "active")
        kernel = set() if virtual == "docker" else {"kernel8.img"}  # a container boots none, also where it plays a Pi on the desk
        assert {"cmdline.txt", "config.txt"} | kernel <= set(firmware)

    def test_it_serves_nothing_of_a_plan(self, machine: Machine) -> None:
        # 127.0.0.11 is the container engine's own, 52022 the harness's door.
        listening = run(machine, "ss -Hltn 'sport != :22 and sport != :52022 and not src 127.0.0.11'").out
        assert listening == ""

    def test_its_identities_are_its_own(self, machine: Machine) -> None:
        shown = run(machine, "cat /etc/machine-id; ls /etc/ssh/ssh_host_*_key").out.split()
        assert len(shown[0]) == 32
        assert shown[1:] == ["/etc/ssh/ssh_host_ed25519_key"]


class TestIsolation:
    @pytest.fixture
    def listener(self) -> Iterator[int]:
        """A port of this host that answers on every address of it."""
        with closing(socket.socket()) as server:
            server.bind(("0.0.0.0", 0))  # noqa: S104  # the point is that even this cannot be reached
            server.listen()
            yield server.getsockname()[1]

    def test_the_host_itself_cannot_be_reached(self, machine: Machine, listener: int) -> None:
        with closing(socket.create_connection(("127.0.0.1", listener), 2)):
            pass  # it does answer, so that silence below means isolation
        addresses = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        first = run(machine, "hostname -I").out.split()[0].rpartition(".")[0]
        for address in {*addresses, f"{first}.1"} - {"127.0.0.1"}:
            assert run(machine, f"nc -z -w 2 {address} {listener}").exit != 0, f"{address} can be reached"

    def test_another_network_cannot_be_reached(self, machine: Machine) -> None:
        client = engine.connect()
        labels = container.owner_labels(new_run(), "elsewhere")
        network = client.networks.create(labels["muster.run"], driver="bridge", labels=labels)
        try:
            listen = ["nc", "-lk", "-p", "7777"]
            tag = images.clean(client).tag
            other = client.containers.run(tag, listen, detach=True, init=True, network=network.name, labels=labels)
            other.reload()
            address = other.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
            # It does answer whoever may reach it, so that silence below means isolation.
            assert other.exec_run(f"timeout 10 sh -c 'until nc -z -w 1 {address} 7777; do sleep 0.1; done'").exit_code == 0
            assert run(machine, f"nc -z -w 2 {address} 7777").exit != 0
        finally:
            container.remove_labelled(client, labels)

    def test_names_are_refused_at_once(self, machine: Machine) -> None:
        if machine.description.startswith(
            "ssh"
        ):  # ask a router, as a Pi on the desk does, and not the engine's own server inside
            run(machine, "echo nameserver $(ip route | awk '/^default/ { print $3 }') > /etc/resolv.conf")
        result = run(machine, "getent hosts somewhere.invalid")
        assert result.exit == 2
        assert result.seconds < 5 * machine.pace

    def test_a_repository_is_mounted_read_only(self, machine: Machine) -> None:
        assert run(machine, f"cat {SHARED}/file").out == "from the host"
        assert "Read-only" in run(machine, f"touch {SHARED}/new").err
        assert "Read-only" in run(machine, f"echo changed > {SHARED}/file").err
