"""Copies of what is left of the sample Pi, for faults to break."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from images.sample_pi import HOME, PLAN, SampleError

if TYPE_CHECKING:
    from muster.faults import Copied

FOLDERS = {"usb": "usb/telemetry", "vault": "usb/vault", "offsite": "offsite/telemetry", "vault-offsite": "offsite/vault"}


def copy_into(folder: Path, home: Path = HOME, plan: Path = PLAN) -> Copied:
    """Copy what outlived the Pi of a plan into a folder; its off-site store can run from there."""
    from muster.faults import Copied  # noqa: PLC0415  # what breaks things is not loaded where nothing is broken

    program = shutil.which("cp")
    if program is None:
        raise SampleError("cp is missing, which copies the sample.")
    # Owners too: the files of the off-site store are its own user's.
    subprocess.run([program, "-a", f"{home}/.", folder], check=True)  # noqa: S603  # fixed words
    table = tomllib.loads(plan.read_text().replace("../../.sample", str(folder)).replace(str(home), str(folder)))
    lost_at = datetime.fromisoformat((folder / "lost-at").read_text().strip())
    return Copied(table, {name: folder / place for name, place in FOLDERS.items()}, lost_at)


def home_of(plan: Path) -> Path | None:
    """Where what outlived the Pi of a plan lies: the sample's own, or a copy; None if it is another Pi's plan."""
    if plan == PLAN:
        return HOME
    return plan.parent if (plan.parent / "store" / "host_key").is_file() else None
