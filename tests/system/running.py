"""`pytest drills/` as a user runs it: in a process of its own, on what is left of a sample Pi."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from images.sample_pi import PLAN, ROOT
from muster.journal import Event, read

DRILL = ROOT / "drills" / "test_recovery.py"


def written_plan(home: Path, change: Callable[[str], str] = str) -> Path:
    """The sample's plan for what is left in `home`."""
    path = home / "plan.toml"
    path.write_text(change(PLAN.read_text().replace("../../.sample", str(home))))
    return path


def lost_at(home: Path) -> str:
    """A moment after the last backup: how long other tests took since then is no loss of data."""
    last = max(path.stat().st_mtime for path in (home / "usb" / "telemetry" / "snapshots").iterdir())
    return datetime.fromtimestamp(last + 1, UTC).isoformat()


def command(home: Path, out: Path, *arguments: str) -> list[str]:
    """The command line of a drill of `home`, its reports in `out`."""
    return [
        *(sys.executable, "-m", "pytest", str(DRILL), "-p", "no:cacheprovider", "--drill-plan", str(written_plan(home))),
        *("--drill-out", str(out), "--drill-lost-at", lost_at(home), *arguments),
    ]


@dataclass
class Running:
    """A drill in progress. `seen` collects the command line of every process of this host meanwhile, containers' included."""

    process: subprocess.Popen[str]
    out: Path
    seen: set[str] = field(default_factory=set)
    output: str = ""

    def finish(self, within: float = 300) -> int:
        """Wait for the end; the exit status."""
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        self.output, _ = self.process.communicate(timeout=within)
        watcher.join()
        return self.process.returncode

    def _watch(self) -> None:
        while self.process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue
            time.sleep(0.02)

    def journal(self) -> Path | None:
        """Its journal, once there is one."""
        return next(iter(self.out.glob("*/journal*.jsonl")), None)

    def wait_until_ended(self, step: str, within: float = 120) -> None:
        """Wait until the journal says that a step has ended."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            journal = self.journal()
            if journal and any(_ended(event, step) for event in read(journal)):
                return
            assert self.process.poll() is None, f"the drill ended before {step} did"
            time.sleep(0.02)
        raise AssertionError(f"{step} did not end in {within} s")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the drill alone, as a terminal's user or a kernel short of memory would."""
        os.kill(self.process.pid, number)


def _ended(event: Event, step: str) -> bool:
    return event["kind"] == "step_ended" and event["step"] == step


def start(home: Path, out: Path, *arguments: str) -> Running:
    """Start a drill."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    process = subprocess.Popen(
        command(home, out, *arguments),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Running(process, out)
