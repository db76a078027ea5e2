"""A living Pi that answers SSH, on a port of this host that leads to it and ends with the test."""

from __future__ import annotations

import contextlib
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from images.sample_pi import SamplePi

_SSHD = "mkdir -p /run/sshd; exec /usr/sbin/sshd -i -o StrictModes=no -o AuthorizedKeysFile=/root/asked_with.pub"


@dataclass(frozen=True, slots=True)
class Answering:
    """Where the Pi is asked, and the files to ask it with."""

    port: int
    key: Path
    known_hosts: Path

    @property
    def table(self) -> str:
        """The plan's table for it."""
        address = f'address = "root@127.0.0.1:{self.port}"'
        return f'\n[pi]\n{address}\nssh_key = {{ file = "{self.key}" }}\nknown_hosts = "{self.known_hosts}"\n'


@contextlib.contextmanager
def answering(pi: SamplePi, folder: Path) -> Iterator[Answering]:
    """Let whoever has the key in `folder` ask the Pi: each connection gets an SSH server of its own inside of it."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "ask.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    pi.run(f"echo '{key.with_suffix('.key.pub').read_text().strip()}' > /root/asked_with.pub")
    with _Server(("127.0.0.1", 0), _handler(pi._pi.name)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{port} {pi.run('ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key')}\n")
        try:
            yield Answering(port, key, known_hosts)
        finally:
            server.shutdown()
            pi.run("rm -f /root/asked_with.pub")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def _handler(container: str) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            command = ["docker", "exec", "-i", container, "sh", "-c", _SSHD]
            with subprocess.Popen(command, stdin=self.request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as sshd:
                said = cast("BinaryIO", sshd.stdout)
                while some := said.read1(1 << 16):  # type: ignore[attr-defined]  # of what a pipe is
                    self.wfile.write(some)

    return Handler
