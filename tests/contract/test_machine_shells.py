"""Commands share kept shells on a machine, and none of them can tell: nothing of one is there for the next."""

from __future__ import annotations

import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from muster.machines.machine import Machine
from muster.machines.shells import shell as shells
from tests.contract.subjects import Subject, run

SHELLS = "pgrep -cfx 'sh -s muster\\S* kept'"
SECRET = "correct-horse-battery"  # noqa: S105  # nobody's


class TestNothingStays:
    def test_neither_place_nor_variables_nor_mask_nor_limits(self, machine: Machine) -> None:
        asked = "pwd; umask; ulimit -n; env; ls /proc/self/fd; cat"
        before = run(machine, asked).out
        run(
            machine,
            "cd /tmp; umask 077; ulimit -n 20; export LEFT=1 PATH=/nowhere; exec 9</etc/passwd; set -e; trap 'echo left' EXIT; :",
        )
        assert run(machine, asked).out == before

    def test_the_shell_itself_is_out_of_reach_of_words_that_end_one(self, machine: Machine) -> None:
        for command, status in (("exit 3", 3), ("set -e; false", 1), ("echo 'open", 2), (")", 2), ("kill -9 0", 137)):
            assert run(machine, command).exit == status, command
        assert run(machine, "").exit == 0
        assert run(machine, "# nothing").exit == 0

    def test_what_a_command_leaves_behind_speaks_in_nobody_elses_name(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shells, "GRACE", 0.3)
        go = "/run/left-may-speak"
        left = f"(trap '' PIPE; until [ -e {go} ]; do sleep 0.05; done; echo late; echo late >&2; touch {go}.said) &"
        assert run(machine, f"rm -f {go} {go}.said; {left} echo begun").out == "begun\n"
        heard = run(machine, f"touch {go}; until [ -e {go}.said ]; do sleep 0.05; done; echo mine; echo mine >&2")
        assert (heard.out, heard.err) == ("mine\n", "mine\n")

    def test_one_that_holds_nothing_open_is_not_waited_for_and_lives_on(self, machine: Machine) -> None:
        assert run(machine, "setsid sleep 34567 >/dev/null 2>&1 & echo begun").seconds < shells.GRACE * machine.pace
        assert run(machine, "sleep 5", timeout=timedelta(seconds=1)).exit is None
        assert run(machine, "pkill -fx 'sleep 34567'").ok

    def test_no_process_is_left_of_commands_that_ended(self, machine: Machine) -> None:
        run(machine, "true")
        asked = "ps -e -o stat= | grep -c Z; pgrep -cx cat; pgrep -c timeout"
        before = run(machine, asked).out
        for _ in range(20):
            run(machine, "cat; (exit 3) | false", stdin=b"given")
        assert run(machine, asked).out == before


class TestWords:
    @pytest.mark.parametrize("given", [b"x", b"no end of line", bytes(range(256)), b"exit 1\n" * 20_000])
    def test_input_is_never_taken_for_commands(self, machine: Machine, given: bytes) -> None:
        assert run(machine, "exec <&-; echo done", stdin=given).out == "done\n"
        assert run(machine, "head -c 1 | wc -c", stdin=given).out.strip() == "1"
        assert run(machine, "cat", stdin=given).raw == given

    def test_output_that_looks_like_the_shells_own_is_output(self, machine: Machine) -> None:
        words = "0123456789abcdef0123456789abcdefE0000000000"
        assert run(machine, f"printf %s {words}; printf %s {words} >&2; exit 4").exit == 4
        assert run(machine, f"printf %s {words}").out == words

    def test_bytes_that_are_no_text_reach_the_machine(self, machine: Machine) -> None:
        odd = b"caf\xe9 \xff\x81\x88".decode("utf-8", "surrogateescape")
        assert run(machine, f"printf %s {shlex.quote(odd)}").raw == b"caf\xe9 \xff\x81\x88"

    def test_a_hundred_megabytes_come_whole(self, machine: Machine) -> None:
        if machine.pace > 1:
            pytest.skip("an emulated one takes minutes to say that much")
        result = run(machine, "head -c 100000000 /dev/zero", timeout=timedelta(seconds=60))
        assert (len(result.raw), result.raw.strip(b"\0"), result.err) == (100_000_000, b"", "")

    def test_what_is_given_stands_in_no_list_of_processes(self, machine: Machine) -> None:
        seen = run(machine, "cat >/dev/null; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null", stdin=SECRET.encode())
        assert seen.ok or seen.exit == 1  # a process can end meanwhile
        assert "muster" in seen.out
        assert SECRET not in seen.out


class TestManyShells:
    def test_few_are_kept_however_many_commands_ran_at_once(self, machine: Machine) -> None:
        threads = threading.active_count()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: run(machine, "sleep 0.3"), range(12)))
        assert (
            1
            <= int(run(machine, f"for _ in 1 2 3 4 5 6 7 8 9; do [ $({SHELLS}) -gt 8 ] || break; sleep 0.1; done; {SHELLS}").out)
            <= 8
        )
        assert threading.active_count() <= threads

    def test_they_outlive_what_a_restore_does_to_a_system(self, machine: Machine) -> None:
        before = run(machine, SHELLS).out
        spoil = "cp -a /etc/passwd /tmp/passwd.kept; sed -i 's|^root:.*|root:x:0:0::/nowhere:/usr/sbin/nologin|' /etc/passwd"
        try:
            assert run(machine, f"ldconfig; {spoil}; touch /etc/nologin; systemctl daemon-reexec").ok
            assert run(machine, "echo here").out == "here\n"
            assert run(machine, SHELLS).out == before
        finally:
            run(machine, "rm -f /etc/nologin; cp -a /tmp/passwd.kept /etc/passwd")

    @pytest.mark.parametrize("kill", ["pkill -KILL -fx 'sh -s muster\\S* kept'", "kill -KILL -1"])
    def test_a_command_that_kills_the_shells_has_a_result_and_the_next_one_runs(self, subject: Subject, kill: str) -> None:
        machine = subject.machine
        if subject.remote() is not None and kill.endswith("-1"):
            pytest.skip("it kills what it is reached over, too: a connection that is cut is no result")
        result = run(machine, f"echo before; {kill}; sleep 5")
        assert (result.exit, result.out) == (137, "before\n")
        assert run(machine, "echo here").out == "here\n"
