"""A server of SSH on loopback that runs what it is asked to run as this user: hosts for tests that want some, and no daemon."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import paramiko

_BLOCK = 1 << 16


class _Door(paramiko.ServerInterface):
    """Lets in whoever has the one key, to run commands and nothing else."""

    def __init__(self, known: paramiko.PKey, running: set[int]) -> None:
        self._known = known
        self._running = running

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002  # paramiko's own
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002  # paramiko's own
        return paramiko.AUTH_SUCCESSFUL if key == self._known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002  # paramiko's own
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_serve, args=(channel, command.decode(), self._running), daemon=True).start()
        return True


def _serve(channel: paramiko.Channel, command: str, running: set[int]) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        running.add(process.pid)
        assert process.stdin
        assert process.stdout
        assert process.stderr
        threading.Thread(target=_pour, args=(channel, process.stdin), daemon=True).start()
        for stream, send in ((process.stderr, channel.sendall_stderr), (process.stdout, channel.sendall)):
            reader = threading.Thread(target=_draw, args=(stream, send), daemon=True)
            reader.start()
        reader.join()
        status = process.wait()
    running.discard(process.pid)
    with contextlib.suppress(OSError, EOFError):
        channel.send_exit_status(status if status >= 0 else 128 - status)
        channel.close()


def _pour(channel: paramiko.Channel, stdin: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        while block := channel.recv(_BLOCK):
            stdin.write(block)
            stdin.flush()
    with contextlib.suppress(OSError):
        stdin.close()


def _draw(stream: IO[bytes], send: object) -> None:
    with contextlib.suppress(OSError, EOFError):
        while block := os.read(stream.fileno(), _BLOCK):
            send(block)  # type: ignore[operator]  # a method of paramiko's channel


@dataclass
class SshServer:
    """Hosts of any name, all of them this one; `config` is what ssh needs to reach them, and to trust them."""

    folder: Path
    hosts: tuple[str, ...]
    running: set[int] = field(default_factory=set)  # the processes that it has started
    _open: list[paramiko.Transport] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @contextlib.contextmanager
    def serving(self) -> Iterator[SshServer]:
        """Serve meanwhile."""
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.folder / name], check=True)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._write(listening.getsockname()[1])
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            try:
                yield self
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                self.cut()

    def cut(self) -> None:
        """Lose every connection, and end what was run over them."""
        for transport in self._open:
            transport.close()
        for pid in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _write(self, port: int) -> None:
        key = (self.folder / "host.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
        options = {
            "HostName": "127.0.0.1",
            "Port": str(port),
            "User": "drill",
            "IdentityFile": str(self.folder / "user"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "StrictHostKeyChecking": "yes",
        }
        lines = [f"  {name} {shlex.quote(value)}" for name, value in options.items()]
        self.config.write_text("\n".join([f"Host {' '.join(self.hosts)}", *lines, ""]))

    def _accept(self, listening: socket.socket) -> None:
        key = paramiko.Ed25519Key.from_private_key_file(str(self.folder / "host"))
        known = paramiko.Ed25519Key.from_private_key_file(str(self.folder / "user"))
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(key)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Door(known, self.running))
                    self._open.append(transport)
