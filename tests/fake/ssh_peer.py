"""The other side of a connection, in this process: it runs shells of this host, or answers as it is told."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import paramiko

from muster.machines.ssh import keys
from muster.machines.ssh.keys import KeyPair, new_pair

Answer = Callable[[str, paramiko.Channel], None]


def say(status: int | None = 0, out: bytes = b"", err: bytes = b"") -> Answer:
    """Say this, and end with a status, or with none."""

    def answer(_command: str, channel: paramiko.Channel) -> None:
        channel.sendall(out)
        channel.sendall_stderr(err)
        if status is not None:
            channel.send_exit_status(status)
        channel.close()

    return answer


def nothing(_command: str, _channel: paramiko.Channel) -> None:
    """Never answer."""


def shell(command: str, channel: paramiko.Channel) -> None:
    """Run it on this host, in a session of its own, until it ends or nobody listens any more."""
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        threading.Thread(target=_feed, args=(channel, running.stdin), daemon=True).start()
        saying = threading.Thread(target=_pour, args=(running.stderr.fileno(), channel.sendall_stderr))
        saying.start()
        _pour(running.stdout.fileno(), channel.sendall)
        saying.join()
    with contextlib.suppress(OSError):
        if running.returncode >= 0:  # what a signal ended has none
            channel.send_exit_status(running.returncode)
        channel.close()


def _feed(channel: paramiko.Channel, target: IO[bytes]) -> None:
    with contextlib.suppress(OSError), target:
        while data := channel.recv(1 << 16):
            target.write(data)
            target.flush()


def _pour(source: int, take: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(source, 1 << 16):
            take(data)


@dataclass
class Peer:
    """A server on loopback with a host key of its own, which takes `ours` and has `most` sessions at once."""

    answer: Answer = shell
    ours: KeyPair = field(default_factory=new_pair)
    theirs: KeyPair = field(default_factory=new_pair)
    most: int = 100
    forwards: bool = True
    commands: list[str] = field(default_factory=list)
    at_once: int = 0
    port: int = 0
    transports: list[paramiko.Transport] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # ports to listen at

    @contextlib.contextmanager
    def serving(self) -> Iterator[Peer]:
        """Take connections meanwhile."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self
            listening.shutdown(socket.SHUT_RDWR)
            self.cut()

    def cut(self) -> None:
        """Lose every connection."""
        for transport in self.transports:
            transport.close()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(keys.private(self.theirs.private))
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Server(self, transport))
                    self.transports.append(transport)


class _Server(paramiko.ServerInterface):
    def __init__(self, peer: Peer, transport: paramiko.Transport) -> None:
        self.peer = peer
        self.transport = transport
        self.asking = threading.Lock()

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002  # paramiko's own
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002  # paramiko's own
        return paramiko.AUTH_SUCCESSFUL if key == keys.public(self.peer.ours.public) else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002  # paramiko's own
        running = self.transport._channels.values()
        return paramiko.OPEN_SUCCEEDED if len(running) < self.peer.most else paramiko.OPEN_FAILED_CONNECT_FAILED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.peer.at_once = max(self.peer.at_once, len(self.transport._channels.values()))
        self.peer.commands.append(command.decode())
        threading.Thread(target=self._answer, args=(command.decode(), channel), daemon=True).start()
        return True

    def _answer(self, command: str, channel: paramiko.Channel) -> None:
        # The reply to this is read once the request for the command is dealt with: nothing may be said before that.
        with self.asking:
            self.transport.global_request("begun")
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.peer.answer(command, channel)

    def check_port_forward_request(self, address: str, port: int) -> int | bool:  # type: ignore[override]  # its types forget bool
        self.peer.asked.append(port)
        return port if self.peer.forwards and address == "127.0.0.1" else False

    def check_channel_direct_tcpip_request(self, chanid: int, origin: tuple[str, int], to: tuple[str, int]) -> int:  # noqa: ARG002
        threading.Thread(target=self._lead, args=(to,), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def _lead(self, to: tuple[str, int]) -> None:
        channel = self.transport.accept(5)
        assert channel is not None
        with contextlib.suppress(OSError), socket.create_connection(to, 5) as out:
            threading.Thread(target=pour, args=(out, channel), daemon=True).start()
            pour(channel, out)


def pour(source: socket.socket | paramiko.Channel, target: socket.socket | paramiko.Channel) -> None:
    """Pass on what comes, until no more does."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)


@dataclass
class Cable:
    """What leads to a port of this host, and can be pulled: it then passes nothing on, and tells nobody."""

    to: int
    port: int = 0
    _pulled: threading.Event = field(default_factory=threading.Event)

    def pull(self) -> None:
        """Pass nothing on from here on."""
        self._pulled.set()

    @contextlib.contextmanager
    def plugged_in(self) -> Iterator[Cable]:
        """Lead there meanwhile."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self
            listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pour, args=(source, target), daemon=True).start()

    def _pour(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 16)) and not self._pulled.is_set():
                target.sendall(data)
            if not self._pulled.is_set():
                target.close()
