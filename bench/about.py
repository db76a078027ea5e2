"""What a benchmark ran on, and with what: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import docker

from bench.hands import Hands
from muster.machines import images
from muster.plan import load


def about(hands: Hands) -> dict[str, str]:
    """Machine and versions, by what they are called."""
    plan = load(hands.local("half").plan)
    image = images.with_packages(hands.client, plan.machine.os, plan.machine.packages).tag
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "engine": f"Docker {hands.client.version()['Version']}",
        "machine": f"container of Debian {plan.machine.os}",
        "restic": _restic(hands.client, image, hands.labels),
        "Muster": version("pytest-muster"),
        "Python": f"{platform.python_version()}, pytest {version('pytest')}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _restic(client: docker.DockerClient, image: str, labels: dict[str, str]) -> str:
    said: bytes = client.containers.run(image, ["restic", "version"], labels=labels, network_mode="none", remove=True)
    return said.decode().split()[1]
