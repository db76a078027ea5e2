"""Commands over one connection: what becomes of them when the other side is slow, silent, strange or gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import paramiko
import pytest

from muster.errors import HarnessError, Stopped, Unreachable
from muster.machines.relay import Endpoint
from muster.machines.ssh import channel as channels
from muster.machines.ssh.host import Host, Sudo
from muster.machines.ssh.remote import Remote
from tests.fake.ssh_peer import Cable, Peer, nothing, say

SOON = timedelta(seconds=10)
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
    def test_more_commands_than_the_server_allows_wait_their_turn(self, peer: Peer, remote: Remote) -> None:
        peer.most = 3
        full = threading.Event()

        def answer(command: str, channel: paramiko.Channel) -> None:
            # Nobody ends before three run at once.
            if peer.at_once == 3:
                full.set()
            full.wait(10)
            say(0, command[-60:].encode())(command, channel)

        peer.answer = answer
        with ThreadPoolExecutor(12) as pool:
            results = list(pool.map(lambda number: remote.run(f"echo {number:02}", timeout=SOON), range(12)))
        assert all(f"echo {number:02}" in result.out for number, result in enumerate(results))
        assert peer.at_once == 3

    def test_a_server_that_allows_none_is_no_endless_wait(self, peer: Peer, remote: Remote) -> None:
        peer.most = 0
        with pytest.raises(HarnessError, match=r"spare .* lets no command run"):
            remote.run("true", timeout=SOON)


class TestGone:
    def test_a_host_that_is_unplugged_is_noticed_though_its_command_is_silent(self, peer: Peer) -> None:
        peer.answer = nothing
        with Cable(peer.port).plugged_in() as cable:
            reached = host(peer, port=cable.port, silence=timedelta(seconds=0.4))
            remote = Remote(reached)
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(remote.run, "sleep", timeout=timedelta(hours=1))
                wait_for(lambda: len(peer.commands) == 1)
                cable.pull()
                with pytest.raises(Unreachable, match=r"The connection to spare .* was cut while a command ran on it"):
                    running.result(10)
            remote.close()

    def test_a_host_that_only_says_nothing_is_kept(self, peer: Peer) -> None:
        done = threading.Event()

        def answer(command: str, channel: paramiko.Channel) -> None:
            done.wait(1.5)
            say(0, b"late")(command, channel)

        peer.answer = answer
        remote = Remote(host(peer, silence=timedelta(seconds=0.3)))
        assert remote.run("sleep", timeout=SOON).out == "late"
        remote.close()

    def test_a_connection_that_was_cut_is_made_again_and_what_it_left_is_ended(self, peer: Peer, remote: Remote) -> None:
        remote.run("true", timeout=SOON)
        peer.cut()
        wait_for(lambda: remote._connection is not None and not remote._connection.alive)
        remote.run("again", timeout=SOON)
        mark = peer.commands[0].split("muster-")[1].split()[0]
        assert f"pgrep -f '\"'\"'[m]uster-{mark} " in peer.commands[1]
        assert "again" in peer.commands[2]

    def test_no_status_is_no_result(self, peer: Peer, remote: Remote) -> None:
        peer.answer = say(None, b"half of it")
        with pytest.raises(Unreachable, match="was cut while a command ran"):
            remote.run("true", timeout=SOON)

    def test_a_cut_that_is_noticed_late_is_no_timeout(self, peer: Peer, remote: Remote) -> None:
        late = threading.Event()

        def answer(_command: str, channel: paramiko.Channel) -> None:
            late.wait(0.2)  # longer than the command may take
            channel.close()

        peer.answer = answer
        with pytest.raises(Unreachable, match="was cut while a command ran"):
            remote.run("true", timeout=timedelta(seconds=0.1))

    def test_a_command_that_the_far_side_does_not_end_is_not_waited_for(self, peer: Peer, remote: Remote) -> None:
        peer.answer = nothing
        with pytest.raises(HarnessError, match=r"spare .* did not end a command that was over its 0\.1 s"):
            remote.run("true", timeout=timedelta(seconds=0.1))

    def test_what_stays_and_holds_the_output_is_not_waited_for(
        self, peer: Peer, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channels, "_GRACE", 0.1)

        def answer(_command: str, channel: paramiko.Channel) -> None:
            channel.sendall(b"started")
            channel.send_exit_status(0)

        peer.answer = answer
        assert remote.run("daemon &", timeout=SOON).out == "started"

    def test_closing_stops_what_runs_and_what_comes_later(self, peer: Peer, remote: Remote) -> None:
        peer.answer = nothing
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(remote.run, "sleep", timeout=timedelta(hours=1))
            wait_for(lambda: len(peer.commands) == 1)
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
    def test_an_error_of_who_hears_the_lines_comes_through(self, peer: Peer, remote: Remote) -> None:
        def on_line(line: str) -> None:
            raise ValueError(line)

        peer.answer = say(0, b"one\ntwo\n")
        with pytest.raises(ValueError, match="one"):
            remote.run("true", timeout=SOON, on_line=on_line)
        assert remote.run("true", timeout=SOON).out == "one\ntwo\n"

    def test_both_streams_can_be_bigger_than_what_may_be_under_way(self, peer: Peer, remote: Remote) -> None:
        peer.answer = say(0, b"o" * 9_000_000, b"e" * 9_000_000)
        result = remote.run("true", timeout=SOON)
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

    def test_the_password_is_in_no_command_and_is_given_as_the_first_line(self, peer: Peer) -> None:
        heard: list[bytes] = []

        def answer(command: str, channel: paramiko.Channel) -> None:
            data = b""
            while block := channel.recv(1000):
                data += block
            heard.append(data)
            say(0, b"0\n")(command, channel)

        peer.answer = answer
        remote = Remote(host(peer, user="pi", sudo=Sudo(PASSWORD)))
        remote.run("cat", timeout=SOON, stdin=b"the input")
        remote.close()
        assert PASSWORD not in "".join(peer.commands)
        assert PASSWORD not in repr(remote.host)
        password, mark, rest = heard[-1].split(b"\n", 2)
        assert (password.decode(), rest) == (PASSWORD, b"the input")
        assert mark.decode() in peer.commands[-1]


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


def wait_for(holds: object) -> None:
    done = threading.Event()
    for _ in range(1000):
        if holds():  # type: ignore[operator]
            return
        done.wait(0.01)
    raise AssertionError("what was waited for did not come")
