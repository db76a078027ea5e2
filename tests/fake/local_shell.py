"""A kept shell of this host, with the streams that an engine or a connection would lead to."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence

from muster.machines.shells.stream import ERR, NOTHING, OUT, Said


class LocalStream:
    """The streams of a process of this host."""

    def __init__(self, typed: Sequence[str] = ("sh", "-s", "kept"), env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            typed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._most = 1 << 16
        self._open = {self.process.stdout.fileno(): OUT, self.process.stderr.fileno(): ERR}
        self.injected: list[Said] = []

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self, patience: float) -> Said | None:
        if self.injected:
            return self.injected.pop(0)
        if not self._open:
            return None
        ready, _, _ = select.select([*self._open], [], [], patience)
        for file in ready:
            if data := os.read(file, self._most):
                return self._open[file], data
            del self._open[file]
        return NOTHING if not ready else self.receive(patience)

    def kill(self) -> None:
        """End the shell and what is in its session, as a host that goes away does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.process.stdin is not None:
                self.process.stdin.close()
