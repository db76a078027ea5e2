"""The one way out of a drill's network."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.machines.relay import Endpoint, Relays, remove_leftovers


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data.upper())


@pytest.fixture
def echo() -> Iterator[Endpoint]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Endpoint("127.0.0.1", server.server_address[1])
        server.shutdown()


@pytest.fixture
def relays(echo: Endpoint) -> Iterator[Relays]:
    made = Relays([echo, Endpoint("127.0.0.1", 9)])
    yield made
    made.close()


def connect(relays: Relays, number: int) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(relays.folder / f"{number}.sock"))
    return connection


def test_bytes_go_both_ways_whole(relays: Relays) -> None:
    data = os.urandom(1 << 20).lower()
    received = bytearray()
    with connect(relays, 0) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        while chunk := connection.recv(1 << 16):
            received += chunk
        sender.join()
    assert bytes(received) == data.upper()


def test_a_server_that_is_not_there_ends_the_connection_at_once(relays: Relays) -> None:
    with connect(relays, 1) as connection:
        assert connection.recv(1) == b""


def test_nothing_is_left_when_it_is_closed(echo: Endpoint) -> None:
    made = Relays([echo])
    made.close()
    assert not made.folder.exists()


def test_sockets_of_a_killed_process_are_removed_and_no_others(
    relays: Relays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive, other = (
        tmp_path / name for name in ("muster-relay-999999999-x", f"muster-relay-{os.getpid()}-x", "another-1-x")
    )
    for folder in (dead, alive, other):
        folder.mkdir()
    remove_leftovers()
    assert [folder.exists() for folder in (dead, alive, other)] == [False, True, True]
    assert relays.folder.exists()
