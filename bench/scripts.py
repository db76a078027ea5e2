"""Runs the shell scripts that Muster is held against, and reads what they say."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import docker

from bench.places import OURS, Place
from muster.errors import HarnessError
from muster.machines import container

_WITHIN = 300
_SAID = re.compile(r"^(critical|verified|archive) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from when a machine was asked for until something was there, by its name; `cpu` are those of the whole host."""

    seconds: dict[str, float]
    cpu: float


def cpu_seconds() -> float:
    """How many seconds the processors of this host have been busy since it was started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / 100


def run(client: docker.DockerClient, script: str, place: Place, image: str) -> Took:
    """Run `script` in a container of `image`, which is removed again. Raises HarnessError if it fails."""
    path, before = Path(__file__).with_name(script), cpu_seconds()
    try:
        done = subprocess.run(  # noqa: S603  # ours
            [path, *place.arguments, image, *place.command], capture_output=True, text=True, timeout=_WITHIN, check=False
        )
        spent = cpu_seconds() - before
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{script} took more than {_WITHIN} s: see whether the host is busy.") from None
    finally:
        remove(client, place)
    seconds = {name: int(milliseconds) / 1000 for name, milliseconds in _SAID.findall(done.stdout)}
    if done.returncode or not seconds:
        raise HarnessError(f"{script} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return Took(seconds, spent)


def remove(client: docker.DockerClient, place: Place) -> None:
    """Remove the containers of scripts at this place, and leave its server alone."""
    container.remove_labelled(client, {**place.labels, **OURS})
