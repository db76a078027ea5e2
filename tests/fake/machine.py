"""A machine that answers every command of a recovery as a healthy Pi would, except where a test says otherwise."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from muster.errors import EngineError, Stopped
from muster.machines.machine import OnLine, Result
from tests.fake import laid

SECRET = "correct-horse-battery"  # noqa: S105  # the value that no output may hold
PLAN = """\
schema = 1
name = "tiny"
hostname = "tiny-pi"

[objectives]
rpo = "1h"
rto = "30m"

[repositories.usb]
url = "usb"
media = "usb-ssd"
password = { file = "password" }

[repositories.vault]
url = "vault"
media = "usb-ssd"
password = { file = "password" }

[data.etc]
class = "config"
paths = ["/etc/app"]

[data.rows]
class = "state"
paths = ["/var/backups/rows"]
load = "app-load"

[data.media]
class = "data"
paths = ["/srv/media"]

[data.keys]
class = "secrets"
paths = ["/etc/keys"]
mode = "0600"
repositories = ["vault"]

[services.db]
ready = { tcp = 5432 }

[services.app]
after = ["db"]
uses = ["etc", "rows", "keys"]
rto = "10m"

[services.web]
uses = ["media"]

[smoke.ping]
service = "app"
run = "ask-app"
expect = { contains = "pong" }

[smoke.page]
service = "web"
run = "ask-web"

[metrics.rows]
run = "count-rows"

[watermark.rows]
run = "newest-row"
"""

Answer = tuple[int | None, str]
NOW = datetime.now(UTC) - timedelta(minutes=5)
_FILES = {  # path: (type, mode, size)
    "/etc/app": ("dir", 0o755, 0),
    "/etc/app/app.conf": ("file", 0o644, 120),
    "/var/backups/rows": ("dir", 0o755, 0),
    "/var/backups/rows/rows-20260301": ("file", 0o644, 4096),
    "/srv/media": ("dir", 0o755, 0),
    "/srv/media/a.jpg": ("file", 0o644, 1000),
    "/etc/keys": ("dir", 0o755, 0),
    "/etc/keys/app.key": ("file", 0o600, 22),
}
_MANIFEST = {
    "hostname": "tiny-pi",
    "sealed_at": NOW.isoformat(),
    "run": "r1",
    "metrics": {"rows": "42"},
    "watermarks": {"rows": NOW.isoformat()},
    "users": {"root": {"uid": 0, "gid": 0}, "app": {"uid": 900, "gid": 900}},
    "groups": {"root": 0, "app": 900},
    "packages": {},
    "secrets": {"/etc/keys/app.key": {"mode": "0600", "user": "root", "group": "root"}},
}


def write_plan(folder: Path, name: str = "tiny", file: str = "plans/tiny.toml") -> Path:
    """Write PLAN under another name, with the repositories and the password that it refers to."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLAN.replace('"tiny"', f'"{name}"'))
    for repository in ("usb", "vault"):
        (path.parent / repository).mkdir(exist_ok=True)
    (path.parent / "password").write_text("the-password-of-restic\n")
    return path


class FakeMachine:
    """Implements muster.machines.machine.Machine. `answers` override what a healthy Pi says: pattern to (exit, output).

    `hang` is a pattern of commands that take until the machine is destroyed, `interrupt` the signal that this process gets then,
    `impatience` whether somebody presses Ctrl-C while it is removed; `log` gets a line for what matters.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | Callable[[str], Answer]] | None = None,
        *,
        hang: str = "",
        interrupt: int = 0,
        impatience: bool = False,
        log: Path | None = None,
        engine: str = "",
    ) -> None:
        self.answers = dict(answers or {})
        self.hang = hang
        self.interrupt = interrupt
        self.impatience = impatience
        self.log = log
        self.engine = engine
        self.commands: list[str] = []
        self.gone = threading.Event()

    description = "fake (trixie)"
    relays: Mapping[str, str] = {}  # a protocol's read-only property
    by_hand: Mapping[str, str] = {"enter": "fake enter tiny", "remove": "fake remove tiny"}
    boots = False
    pace = 1.0
    limits: Mapping[str, str] = {}
    prepared: Mapping[str, tuple[float, str]] = {"packages installed": (30.0, "2026-03-01T09:00:00+00:00")}

    def prepare(self, say: Callable[[str], None]) -> None:
        say("making nothing at all")
        self._note("prepare")
        if self.engine:
            raise EngineError(self.engine)

    def start(self) -> None:
        """Nothing: it is there as soon as it is thought of."""

    def provision(self) -> None:
        self._note("provision")
        if self.hang == "provision":
            self._hang()

    def reboot(self) -> None:
        self._note("reboot")

    def destroy(self) -> None:
        if self.impatience:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        if not self.gone.is_set():
            self._note("destroy")
        self.gone.set()

    def run(self, command: str, *, timeout: timedelta, stdin: bytes = b"", on_line: OnLine | None = None) -> Result:  # noqa: ARG002
        self.commands.append(command)
        if self.hang and re.search(self.hang, command):
            self._hang()
        status, out = self._answer(command)
        if on_line and status == 0:  # what went wrong is said on the other stream
            for line in out.splitlines():
                on_line(line)
            out = ""
        return Result(command, status, out if status == 0 else "", out if status else "", 0.01)

    def _hang(self) -> None:
        self._note("hanging")
        if self.interrupt:
            number, self.interrupt = self.interrupt, 0
            os.kill(os.getpid(), number)
        self.gone.wait()
        raise Stopped("the drill was stopped")

    def _note(self, what: str) -> None:
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{what}\n")

    def _answer(self, command: str) -> Answer:
        if self.gone.is_set():
            raise Stopped("the drill was stopped")
        time.sleep(0.002)
        for pattern, answer in (*self.answers.items(), *_HEALTHY.items()):
            if re.search(pattern, command):
                return answer(command) if callable(answer) else answer
        return 0, ""


def _snapshots(command: str) -> Answer:
    paths = ["/etc/keys"] if "usb" not in command else [path for path in _FILES if path.count("/") < 4 and "key" not in path]
    identity = ("b" if "usb" not in command else "a") * 64
    entry = {"id": identity, "time": NOW.isoformat(), "hostname": "tiny-pi", "paths": paths, "tags": ["run=r1"]}
    return 0, json.dumps([entry])


def _asked(command: str) -> dict[str, tuple[str, int, int]]:
    words = [word.strip("'") for word in command.split()]
    return {path: entry for path, entry in _FILES.items() if any(path == word or path.startswith(f"{word}/") for word in words)}


def _listing(command: str) -> Answer:
    letters = {"file": "f", "dir": "d", "symlink": "l"}
    lines = [
        f"{letters[kind]} {mode:o} {size} root root {NOW.timestamp()} {path}\0"
        for path, (kind, mode, size) in _asked(command).items()
    ]
    return 0, "".join(lines)


def _ls(command: str) -> Answer:
    everything = not shlex.split(command.partition(" ls ")[2])[2:]  # no path after the option and the snapshot
    asked = _FILES if everything else _asked(command)
    held = {path: entry for path, entry in asked.items() if ("key" in path) == ("usb" not in command)}
    nodes = [
        {
            "message_type": "node",
            "path": path,
            "type": kind,
            "mode": mode,
            "size": size,
            "uid": 0,
            "gid": 0,
            "mtime": NOW.isoformat(),
        }
        for path, (kind, mode, size) in held.items()
    ]
    return 0, "\n".join(map(json.dumps, nodes))


def _sample(command: str) -> Answer:
    files = {path: entry for path, entry in _FILES.items() if entry[0] == "file" and ("key" in path) == ("usb" not in command)}
    listed = [f"f {mode:o} {size} 0 0 {NOW.timestamp()} 7 .{path}\0\0" for path, (_, mode, size) in files.items()]
    digests = [f"{'0' * 64}  .{path}\0" for path in files]
    return 0, "".join([*listed, "\0", *digests, "\0/usr/bin/getfattr\n"])


_HEALTHY: Mapping[str, Answer | Callable[[str], Answer]] = {
    r"== muster accounts": (0, laid.machine()),
    r"muster-compared/\S*manifest.json": (0, json.dumps(_MANIFEST)),
    r"muster-compared/.*\n.*sha256sum": (0, laid.printed({"/etc/app/app.conf": laid.file("port = 80")})),
    r"\bsnapshots$": _snapshots,
    r"restic .* restore ": (0, '{"message_type":"status","percent_done":0.5}'),
    r"restic .* ls ": _ls,
    r"cat /var/lib/muster/manifest.json": (0, json.dumps(_MANIFEST)),
    r"getent passwd": (0, "root:x:0:0::/root:/bin/bash\n\nroot:x:0:\n"),
    r"sha256sum -z": _sample,
    r"-printf": _listing,
    r"-size -64k": (0, f"app:{SECRET}\n"),
    r"ask-app": (0, "pong"),
    r"ask-web": (0, "<html>"),
    r"count-rows": (0, "42\n"),
    r"newest-row": (0, NOW.isoformat()),
    r"^hostname$": (0, "tiny-pi\n"),
    r"^systemctl is-active [^-]\S*$": (0, "active\n"),
    r"is-enabled": (0, "enabled\n.\nenabled\n.\nenabled\n.\n"),
    r"systemctl show -p ActiveState,NRestarts": lambda command: (
        0,
        "\n".join("ActiveState=active\nNRestarts=0\nResult=success\n" for _ in command.split()[4:]),
    ),
    r"^date -u \+%s$": lambda _: (0, f"{datetime.now(UTC).timestamp():.0f}\n"),
    r"os-release": (0, "ID=debian\nVERSION_CODENAME=trixie\n"),
    r"uname -s": (0, "Linux\n"),
}
