"""Every way in which a host is not got through to is one sentence, of the right kind."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization

from muster.errors import HarnessError, Unreachable
from muster.machines.ssh import dialling, keys
from muster.machines.ssh.host import Host
from muster.machines.ssh.keys import new_pair
from tests.fake.ssh_peer import Peer

SOON = 10.0


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer().serving() as peer:
        yield peer


def host(peer: Peer, **changed: object) -> Host:
    known = Host("spare", "127.0.0.1", peer.port, key=peer.ours.private, host_key=peer.theirs.public)
    return replace(known, **changed)  # type: ignore[arg-type]


def dialled(to: Host) -> list[paramiko.SSHClient]:
    clients = dialling.dial(to, SOON)
    dialling.hang_up(clients)
    return clients


def key_file(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def known_hosts(path: Path, peer: Peer, name: str = "") -> Path:
    path.write_text(f"{name or f'[127.0.0.1]:{peer.port}'} {peer.theirs.public}\n")
    return path


class TestHealthy:
    def test_a_key_of_this_run_and_a_known_host_key_lead_there(self, peer: Peer) -> None:
        assert len(dialled(host(peer))) == 1

    def test_a_key_file_and_a_file_of_known_hosts_do(self, peer: Peer, tmp_path: Path) -> None:
        files = (tmp_path / "none", known_hosts(tmp_path / "known", peer))
        ours = key_file(tmp_path / "key", peer.ours.private)
        assert dialled(host(peer, key="", keys=(ours,), host_key="", known_hosts=files))

    def test_a_host_can_be_known_by_another_name(self, peer: Peer, tmp_path: Path) -> None:
        files = (known_hosts(tmp_path / "known", peer, "the-spare"),)
        assert dialled(host(peer, host_key="", known_hosts=files, alias="the-spare"))

    def test_the_way_can_lead_through_others(self, peer: Peer) -> None:
        with Peer().serving() as between:
            assert len(dialled(host(peer, jumps=(host(between),)))) == 2


class TestKeysOfHosts:
    def test_another_key_is_told_with_both_fingerprints_and_what_to_do(self, peer: Peer) -> None:
        expected = new_pair()
        with pytest.raises(HarnessError) as raised:
            dialled(host(peer, host_key=expected.public))
        said = str(raised.value)
        assert keys.public(peer.theirs.public).fingerprint in said
        assert keys.public(expected.public).fingerprint in said
        assert f"ssh-keygen -R '[127.0.0.1]:{peer.port}'" in said
        assert not isinstance(raised.value, Unreachable)

    def test_a_host_that_nobody_knows_is_not_believed(self, peer: Peer) -> None:
        with pytest.raises(HarnessError, match=r"host key of spare .* is not known: it shows ssh-ed25519 SHA256:"):
            dialled(host(peer, host_key=""))

    def test_nor_is_one_between(self, peer: Peer) -> None:
        with Peer().serving() as between, pytest.raises(HarnessError, match=r"host key of hop .* is not known"):
            dialled(host(peer, jumps=(host(between, name="hop", host_key=""),)))


class TestKeysOfOurs:
    def test_one_that_is_refused_is_named(self, peer: Peer, tmp_path: Path) -> None:
        ours = key_file(tmp_path / "key", new_pair().private)
        with pytest.raises(HarnessError, match=rf"spare .* refuses {ours} for the user root: put the public key") as raised:
            dialled(host(peer, key="", keys=(ours,)))
        assert not isinstance(raised.value, Unreachable)

    def test_without_any_key_that_is_said(self, peer: Peer) -> None:
        with pytest.raises(HarnessError, match="refuses a login without any key for the user root"):
            dialled(host(peer, key=""))

    def test_one_with_a_passphrase_and_no_agent_is_told(self, peer: Peer, tmp_path: Path) -> None:
        plain = serialization.load_ssh_private_key(peer.ours.private.encode(), None)
        locked = plain.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.BestAvailableEncryption(b"words")
        )
        ours = key_file(tmp_path / "key", locked.decode())
        with pytest.raises(HarnessError, match=rf"{ours} for spare has a passphrase, and no agent holds it: run `ssh-add"):
            dialled(host(peer, key="", keys=(ours,)))

    def test_a_file_that_is_not_there_is_named(self, peer: Peer, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match=rf"The key file {tmp_path}/none for spare is not there"):
            dialled(host(peer, key="", keys=(tmp_path / "none",)))


class TestSilence:
    def test_a_name_that_nobody_has(self) -> None:
        with pytest.raises(HarnessError, match=r"No host is called nowhere\.invalid: check the name") as raised:
            dialled(Host("nowhere", "nowhere.invalid"))
        assert not isinstance(raised.value, Unreachable)

    def test_a_port_where_nobody_listens(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(Unreachable, match=r"spare .* refuses connections: start the SSH server there"):
                dialled(Host("spare", "127.0.0.1", unused.getsockname()[1]))

    def test_a_server_that_speaks_something_else(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_speak, args=(server, b"HTTP/1.0 400 Bad Request\r\n"), daemon=True).start()
            with pytest.raises(Unreachable, match="does not answer as an SSH server"):
                dialling.dial(Host("spare", "127.0.0.1", server.getsockname()[1]), 2)

    def test_a_server_that_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Unreachable, match="does not answer as an SSH"):
            dialling.dial(Host("spare", "127.0.0.1", server.getsockname()[1]), 0.5)

    def test_a_host_that_the_one_between_does_not_reach(self, peer: Peer) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            beyond = Host("beyond", "127.0.0.1", unused.getsockname()[1], jumps=(host(peer),))
            with pytest.raises(Unreachable, match="beyond"):
                dialling.dial(beyond, 2)

    def test_what_paramiko_thinks_of_it_is_not_printed(self, capfd: pytest.CaptureFixture[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, contextlib.suppress(Unreachable):
            dialling.dial(Host("spare", "127.0.0.1", server.getsockname()[1]), 0.5)
        assert capfd.readouterr() == ("", "")


def _speak(server: socket.socket, words: bytes) -> None:
    with contextlib.suppress(OSError):
        connection, _ = server.accept()
        connection.sendall(words)
        connection.close()
