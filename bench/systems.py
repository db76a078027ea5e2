"""The systems that are recovered: what is left of sample Pis of several sizes, made once and kept in `.cache/bench`.

All come from one living Pi that grows, so that they share their readings. The repositories of each are hard links of the
living one's: restic never changes a file that it has written.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docker

from bench import growing
from images.sample_pi import ROOT, SamplePi, Say, as_root, new_home, pi_image, store_image
from muster.machines import container, images
from muster.machines.engine import owner_label

CACHE = ROOT / ".cache" / "bench"
READINGS = 300_000
MEGABYTES = {"half": 500, "1g": 1000, "2g": 2000}
FILES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
UNITS = 18
SNAPSHOTS = {"snapshots-16": 4, "snapshots-256": 8}  # how often their number is doubled
_MADE = "made"  # written last: a folder without it is none
_DOUBLED = """
for repository in telemetry:restic vault:vault; do
    export RESTIC_REPOSITORY=/folder/usb/${repository%:*} RESTIC_PASSWORD_FILE=/folder/envelope/${repository#*:}.password
    for day in $(seq 1 TIMES); do
        restic rewrite --quiet --no-cache --new-host telemetry-pi --new-time "2026-01-0$day 03:00:00" || exit 1
    done
done
"""


@dataclass(frozen=True, slots=True)
class System:
    """What is left of one Pi: the folder `home` with its repositories, passwords, and the moment of its loss."""

    name: str
    home: Path

    @property
    def lost_at(self) -> str:
        """When its Pi was lost."""
        return (self.home / "lost-at").read_text().strip()


@dataclass(slots=True)
class Systems:
    """All of them, in one folder. `system` makes those that are asked for if they are not there yet."""

    client: docker.DockerClient
    say: Say
    as_made: bool = False  # whatever recipe those that are there were made by

    def system(self, name: str) -> System:
        """What is left of this one; all are made when one is missing."""
        CACHE.mkdir(parents=True, exist_ok=True)
        folder = self._made() or CACHE / self._key()
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / _MADE).is_file():
                self._make(folder)
        return System(name, folder / name)

    def _made(self) -> Path | None:
        """Those that were made last, if that is good enough."""
        return next((path.parent for path in CACHE.glob(f"*/{_MADE}")), None) if self.as_made else None

    def _key(self) -> str:
        recipe = [store_image(self.client, self.say).tag, pi_image(self.client, self.say).tag]
        recipe += [Path(module).read_text() for module in (growing.__file__, __file__) if module]
        return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]

    def _make(self, folder: Path) -> None:
        """Make all of them, in the place of any that are of another recipe."""
        started = time.monotonic()
        as_root(self.client, CACHE, ["sh", "-c", "find . -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +"])
        folder.mkdir()
        self.say("making the systems to recover, once: a Pi lives and grows, which takes some minutes")
        try:
            self._live(folder)
        finally:
            as_root(self.client, folder, ["rm", "-rf", "living"])
        for name, times in SNAPSHOTS.items():
            self._copy(folder, "half", name)
            self._double(folder / name, times)
        (folder / _MADE).touch()
        self.say(f"made them in {time.monotonic() - started:.0f} s")

    def _live(self, folder: Path) -> None:
        with SamplePi(self.client, new_home(folder / "living"), MEGABYTES["half"]) as pi:
            pi.run("systemctl stop telemetry-backup.timer")
            growing.read(pi, READINGS)
            self._keep(pi, folder, "half", lambda: None)
            pi.local_only()
            self._keep(pi, folder, "units", lambda: growing.units(pi, UNITS))
            growing.no_units(pi)
            self._keep(pi, folder, "1g", lambda: growing.film(pi, 500))
            self._keep(pi, folder, "2g", lambda: growing.film(pi, 1000))
            for name, count in FILES.items():
                self._keep(pi, folder, name, lambda count=count: growing.photos(pi, count))  # type: ignore[misc]  # of this turn

    def _keep(self, pi: SamplePi, folder: Path, name: str, grow: Callable[[], None]) -> None:
        """Let the Pi grow, back itself up, and keep what would be left of it at that moment."""
        began = time.monotonic()
        grow()
        growing.back_up(pi)
        self._copy(folder, "living", name)
        self.say(f"kept {name} ({time.monotonic() - began:.0f} s)")

    def _copy(self, folder: Path, source: str, target: str) -> None:
        copying = (
            f"mkdir {target} && cp -a {source}/secrets {source}/envelope {source}/store {target} && "
            f"cp -al {source}/usb {source}/offsite {target} && chown -R {os.getuid()}:{os.getgid()} {target}/[!o]*"
        )
        as_root(self.client, folder, ["sh", "-c", copying])
        lost_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        as_root(self.client, folder, ["sh", "-c", f"echo {lost_at} > {target}/lost-at; chmod 0755 {target}"])

    def _double(self, home: Path, times: int) -> None:
        """Double the number of snapshots so many times: the others are of the same run, and older."""
        image = images.with_packages(self.client, "trixie", [], self.say)
        labels = container.owner_labels(f"bench-{owner_label().rpartition(':')[2]}", "bench")
        volumes = {str(home): {"bind": "/folder", "mode": "rw"}}
        command = ["sh", "-c", _DOUBLED.replace("TIMES", str(times))]
        self.client.containers.run(image.tag, command, volumes=volumes, labels=labels, network_mode="none", remove=True)
