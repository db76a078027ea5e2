"""A drill as its user runs it: `pytest` in a process of its own, and what its journal says of the time it took."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.places import Place
from bench.scripts import cpu_seconds
from images.sample_pi import ROOT
from muster.errors import HarnessError
from muster.journal import read
from muster.plan import load
from muster.record import Record, fold

_WITHIN = 600


@dataclass(frozen=True, slots=True)
class Drilled:
    """What one drill took: seconds from when its machine was asked for, and what lies outside of that.

    `outside` is the time of the whole process less that between the first and the last fact of its journal; `megabytes` is the
    most memory it had; `cpu` is what the host's processors were busy, and `own_cpu` what its own process was.
    """

    critical: float
    verified: float
    archive: float
    outside: float
    megabytes: float
    processes: int
    cpu: float
    own_cpu: float
    commands: int


def drill(place: Place, out: Path, *options: str) -> Drilled:
    """Recover what is left at `place`. Raises HarnessError if that does not end with `recovered`."""
    arguments = ["drills/test_recovery.py", "--drill-plan", str(place.plan), "--drill-lost-at", place.system.lost_at]
    arguments += ["--drill-no-alerts"]
    arguments += [f"--drill-repo={name}" for name in place.repositories]
    before, (wall, used) = cpu_seconds(), run(arguments + list(options), out)
    journal = next(iter(out.glob("*/journal*.jsonl")))
    record = fold(read(journal))
    if record.verdict != "recovered":
        raise HarnessError(f"The drill of {place.system.name} ({place.kind}) is {record.verdict}: {'; '.join(record.reasons)}")
    # CPU of the whole host since both scripts and drills have their work done by the engine, in other processes.
    return Drilled(
        critical=_critical(record, place),
        verified=_since_asked(record, record.milestones["verified"] or 0.0),
        archive=_archive(record),
        outside=wall - record.seconds,
        megabytes=used.ru_maxrss / 1024,
        processes=sum(record.processes.values()),
        cpu=cpu_seconds() - before,
        own_cpu=used.ru_utime + used.ru_stime,
        commands=len(record.commands),
    )


def run(arguments: Sequence[str], out: Path, *, passing: bool = True) -> tuple[float, resource.struct_rusage]:
    """Run pytest with its reports in `out`, which is emptied first; seconds, and what the process used.

    Raises HarnessError if a test fails that should be `passing`, or if there was none to run.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "--drill-out", str(out)]
    return timed(command, out / "said", accept=(0,) if passing else (0, 1))


def timed(command: Sequence[str], output: Path, accept: Sequence[int] = (0,)) -> tuple[float, resource.struct_rusage]:
    """Run a command of this checkout, what it says in a file; seconds, and what it used. Raises HarnessError if it fails."""
    with output.open("w+") as said:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # noqa: S603  # ours
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()  # it leaves through every `with`, and removes its machine
            process.wait(_WITHIN)
            raise
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accept:
            said.seek(0)
            raise HarnessError(f"`{' '.join(command[1:5])}` ended with {process.returncode}: {said.read()[-1500:]}")
    return wall, used


def _environment() -> Mapping[str, str]:
    """The environment of a user: without what this process was told about pytest, and with compiled modules kept."""
    left_out = ("PYTEST", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _since_asked(record: Record, seconds: float) -> float:
    """Seconds since the drill began as seconds since its machine was asked for."""
    asked = min(step.started for step in record.steps.values() if step.started is not None)
    return seconds - (asked - record.began)


def _critical(record: Record, place: Place) -> float:
    """When the last check of the critical services was green: of those that were promised back sooner than all of the plan."""
    plan = load(place.plan)
    urgent = [name for name, service in plan.services.items() if service.rto]
    checks = [f"smoke:{name}" for name, check in plan.smoke.items() if check.service in urgent]
    ends = [record.steps[name].ended for name in checks]
    return _since_asked(record, max(end for end in ends if end is not None) - record.began)


def _archive(record: Record) -> float:
    """Seconds of the step that restores the archive."""
    archives = (step for name, step in record.steps.items() if name.startswith("restore:") and name.endswith("/archive"))
    return sum(step.ended - step.started for step in archives if step.started is not None and step.ended is not None)
