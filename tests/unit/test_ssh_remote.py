"""Commands over one connection: what becomes of them when the other side is slow, silent, strange or gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import paramiko
import pytest

from muster.errors import HarnessError, Stopped, Unreachable
from muster.machines.machine import Result
from muster.machines.relay import Endpoint
from muster.machines.shells import shell as shells
from muster.machines.ssh.host import Host, Sudo
from muster.machines.ssh.remote import Remote
from tests.fake.ssh_peer import Cable, Peer, say, shell

SOON = timedelta(seconds=10)
HOUR = timedelta(hours=1)
PASSWORD = "correct-horse-battery"  # noqa: S105  # nobody's


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer().serving() as peer:
        yield peer


def host(peer: Peer, **changed: object) -> Host:
    known = Host("spare", "127.0.0.1", peer.port, key=peer.ours.private, host_key=peer.theirs.public)
    return replace(known, **changed)  # type: ignore[arg-type]


@pytest.fixture
def remote(peer: Peer) -> Iterator[Remote]:
    remote = Remote(host(peer), slack=timedelta(seconds=0.3))
    yield remote
    remote.close()


class TestSessions:
    def test_more_commands_than_the_server_allows_wait_their_turn(self, peer: Peer, remote: Remote, tmp_path: Path) -> None:
        peer.most = 3
        # Nobody ends before three run at once.
        wait = f"until [ $(ls {tmp_path} | wc -l) -ge 3 ]; do sleep 0.02; done"
        with ThreadPoolExecutor(12) as pool:
            commands = [f"touch {tmp_path}/{number}; {wait}; echo {number}" for number in range(12)]
            results = list(pool.map(lambda command: remote.run(command, timeout=SOON), commands))
        assert [result.out for result in results] == [f"{number}\n" for number in range(12)]
        assert peer.at_once == 3
        assert len(peer.commands) == 3  # the rest ran on shells that were there

    def test_a_server_that_allows_none_is_no_endless_wait(self, peer: Peer, remote: Remote) -> None:
        peer.most = 0
        with pytest.raises(HarnessError, match=r"spare .* lets no command run"):
            remote.run("true", timeout=SOON)


def begun(remote: Remote, pool: ThreadPoolExecutor, command: str, timeout: timedelta = HOUR) -> Future[Result]:
    """A command that runs."""
    seen = threading.Event()
    running = pool.submit(remote.run, f"echo begun; {command}", timeout=timeout, on_line=lambda _line: seen.set())
    assert seen.wait(10)
    return running


class TestGone:
    def test_a_host_that_is_unplugged_is_noticed_though_its_command_is_silent(self, peer: Peer) -> None:
        with Cable(peer.port).plugged_in() as cable:
            remote = Remote(host(peer, port=cable.port, silence=timedelta(seconds=0.4)))
            with ThreadPoolExecutor(1) as pool:
                running = begun(remote, pool, "sleep 5")
                cable.pull()
                with pytest.raises(Unreachable, match=r"The connection to spare .* was cut while a command ran on it"):
                    running.result(10)
            remote.close()

    def test_a_host_that_only_says_nothing_is_kept(self, peer: Peer) -> None:
        remote = Remote(host(peer, silence=timedelta(seconds=0.3)))
        assert remote.run("sleep 1.5; echo late", timeout=SOON).out == "late\n"
        remote.close()

    def test_a_connection_that_was_cut_is_made_again_and_what_it_left_is_ended(self, peer: Peer, remote: Remote) -> None:
        left = "sleep 43.21"
        with ThreadPoolExecutor(1) as pool:
            running = begun(remote, pool, left)
            peer.cut()
            with pytest.raises(Unreachable, match="was cut while a command ran"):
                running.result(10)
        assert remote.run(f"pgrep -fx '{left}'; echo again", timeout=SOON).out == "again\n"
        names = [command.split()[2] for command in peer.commands]
        assert [name.rpartition("-")[2] for name in names] == ["1", "2"]

    def test_a_shell_that_went_is_no_result_on_a_host_that_is_shutting_down(self, remote: Remote, tmp_path: Path) -> None:
        (tmp_path / "systemctl").write_text("#!/bin/sh\necho stopping\nexit 1\n")
        (tmp_path / "systemctl").chmod(0o700)
        kill = "kill -KILL $(ps -o ppid= -p $PPID)"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
            with pytest.raises(Unreachable, match="was cut while a command ran"):
                remote.run(kill, timeout=SOON)
            (tmp_path / "systemctl").write_text("#!/bin/sh\necho running\n")
            assert remote.run(kill, timeout=SOON).exit == 137
        assert remote.run("echo here", timeout=SOON).out == "here\n"

    def test_a_command_that_the_far_side_does_not_end_is_not_waited_for(self, remote: Remote) -> None:
        with pytest.raises(HarnessError, match=r"spare .* did not end a command that was over its 0\.1 s"):
            remote.run("trap '' TERM; while :; do sleep 0.1; done", timeout=timedelta(seconds=0.1))

    def test_what_stays_and_holds_the_output_is_not_waited_for(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shells, "GRACE", 0.1)
        assert remote.run("sleep 2 & echo started", timeout=SOON).out == "started\n"

    def test_closing_stops_what_runs_and_what_comes_later(self, remote: Remote) -> None:
        with ThreadPoolExecutor(1) as pool:
            running = begun(remote, pool, "sleep 5")
            remote.close()
            with pytest.raises(Stopped):
                running.result(10)
        with pytest.raises(Stopped):
            remote.run("true", timeout=SOON)

    def test_a_host_that_is_not_there_yet_is_waited_for(self, peer: Peer) -> None:
        gone = Remote(host(peer, port=1))
        with pytest.raises(Unreachable, match="refuses connections"):
            gone.connect(timedelta(seconds=0.3))

    def test_a_wrong_key_is_not_tried_again(self, peer: Peer) -> None:
        with Peer().serving() as other:
            wrong = Remote(host(peer, host_key=other.theirs.public))
            with pytest.raises(HarnessError, match="or was set up anew"):
                wrong.connect(timedelta(hours=1))
        assert len(peer.transports) <= 1


class TestLines:
    def test_an_error_of_who_hears_the_lines_comes_through(self, remote: Remote) -> None:
        def on_line(line: str) -> None:
            raise ValueError(line)

        with pytest.raises(ValueError, match="one"):
            remote.run("echo one; echo two", timeout=SOON, on_line=on_line)
        assert remote.run("echo one; echo two", timeout=SOON).out == "one\ntwo\n"

    def test_both_streams_can_be_bigger_than_what_may_be_under_way(self, remote: Remote) -> None:
        result = remote.run("head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2", timeout=SOON)
        assert (len(result.raw), len(result.err)) == (9_000_000, 9_000_000)


class TestSudo:
    def asked(self, peer: Peer, password: str, said: bytes, status: int = 1) -> str:
        peer.answer = say(status, b"", said)
        remote = Remote(host(peer, user="pi", sudo=Sudo(password)))
        try:
            with pytest.raises(HarnessError) as raised:
                remote.run("true", timeout=SOON)
        finally:
            remote.close()
        assert PASSWORD not in str(raised.value)
        return str(raised.value)

    @pytest.mark.parametrize(
        ("password", "said", "sentence"),
        [
            ("", b"sudo: a password is required\n", "Sudo asks pi on spare"),
            (PASSWORD, b"sudo: 3 incorrect password attempts\n", "is not the one that was given for sudo"),
            (PASSWORD, b"Sorry, try again.\nsudo: no password was provided\n", "is not the one that was given for sudo"),
            ("", b"pi is not in the sudoers file.\n", "may not use sudo: add the user to the group sudo"),
            (PASSWORD, b"bash: line 1: sudo: command not found\n", "There is no sudo on spare"),
            ("", b"sh: 1: sudo: not found\n", "There is no sudo on spare"),
            ("", b"something else\n", "did not become root: something else"),
        ],
    )
    def test_each_refusal_is_one_sentence(self, peer: Peer, password: str, said: bytes, sentence: str) -> None:
        assert sentence in self.asked(peer, password, said)

    def test_a_user_without_a_shell_is_told(self, peer: Peer) -> None:
        peer.answer = say(1, b"This account is currently not available.\n")
        remote = Remote(host(peer, user="nobody"))
        with pytest.raises(HarnessError, match=r"nobody on spare .* cannot run a command .*with a usual shell"):
            remote.run("true", timeout=SOON)
        remote.close()

    def test_the_password_is_in_no_command_and_is_given_as_the_first_line(self, peer: Peer, tmp_path: Path) -> None:
        told = tmp_path / "told"

        def sudo(command: str, channel: paramiko.Channel) -> None:
            asking = f'sh -c \'read -r password; echo "$password" >>{told}; exec "$@"\' sudo'
            shell(f"exec {asking} {command.partition(' -- ')[2]}", channel)

        peer.answer = sudo
        remote = Remote(host(peer, user="pi", sudo=Sudo(PASSWORD)))
        assert remote.run("cat", timeout=SOON, stdin=b"the input").out == "the input"
        assert remote.run("cat", timeout=SOON).out == ""
        remote.close()
        assert told.read_text() == f"{PASSWORD}\n"  # once
        assert PASSWORD not in "".join(peer.commands)
        assert PASSWORD not in repr(remote.host)


class TestForwards:
    def test_each_endpoint_gets_a_port_which_stays_the_same(self, peer: Peer) -> None:
        remote = Remote(host(peer), outside=[Endpoint("nas", 22), Endpoint("nas", 8000)])
        remote.connect(SOON)
        assert remote.relays == {"nas:22": "127.0.0.1:61000", "nas:8000": "127.0.0.1:61001"}
        remote.drop()
        remote.connect(SOON)
        assert peer.asked == [61000, 61001, 61000, 61001]
        remote.close()

    def test_a_server_that_forwards_nothing_is_told(self, peer: Peer) -> None:
        peer.forwards = False
        remote = Remote(host(peer), outside=[Endpoint("nas", 22)])
        with pytest.raises(HarnessError, match="does not let nas:22 be reached through it: its SSH server has to allow TCP"):
            remote.connect(SOON)
        remote.close()
