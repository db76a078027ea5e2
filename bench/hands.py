"""What every part of the benchmark works with: the engine, the systems, a folder of its own, and labels for all that is made."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from rich.console import Console

from bench import places
from bench.drilled import Drilled, drill
from bench.places import Place
from bench.scripts import Took, remove, run
from bench.systems import System, Systems
from muster.errors import HarnessError
from muster.machines import container, images
from muster.plan import load
from muster.session import new_run

Measured = dict[str, list[float]]
"""What was measured, by names like `half/local/floor/critical`; one value for each round."""


@dataclass
class Hands:
    """Makes, recovers and removes. `measured` collects what everything took."""

    client: docker.DockerClient
    folder: Path
    rounds: int
    console: Console
    as_made: bool = False
    measured: Measured = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=lambda: container.owner_labels(f"bench-{new_run()}", "bench"))

    def __post_init__(self) -> None:
        self.systems = Systems(self.client, self.say, self.as_made)

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        self.console.print(f"[dim]{text}[/dim]", soft_wrap=True)

    def system(self, name: str) -> System:
        """One of the systems to recover."""
        return self.systems.system(name)

    def local(self, name: str, change: Callable[[str], str] = str) -> Place:
        """The place of a system on a disk; `change` is made to the text of its plan."""
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        place = places.on_disk(self.system(name), folder, self.labels)
        place.plan.write_text(change(place.plan.read_text()))
        return place

    def script(self, which: str, place: Place) -> Took:
        """Run a script at a place, and keep what it took."""
        plan = load(place.plan)
        took = run(
            self.client, f"{which}.sh", place, images.with_packages(self.client, plan.machine.os, plan.machine.packages).tag
        )
        self._keep(which, place, {**took.seconds, "cpu": took.cpu})
        return took

    def drill(self, place: Place, name: str = "") -> Drilled:
        """Drill the recovery of a place, and keep what it took, under the name of its system or another."""
        done = drill(place, self.folder / "drilled")
        self._keep("muster", place, {each: float(getattr(done, each)) for each in Drilled.__slots__}, name)
        return done

    def _keep(self, who: str, place: Place, figures: dict[str, float], name: str = "") -> None:
        for what, value in figures.items():
            self.keep(f"{name or place.system.name}/{place.kind}/{who}/{what}", value)
        told = ", ".join(
            f"{what} {value:.2f}" for what, value in figures.items() if what in ("critical", "verified", "outside", "cpu")
        )
        self.say(f"{who:7} {name or place.system.name} ({place.kind}): {told}")

    def keep(self, name: str, value: float) -> None:
        """Keep one measurement."""
        self.measured.setdefault(name, []).append(value)

    @contextlib.contextmanager
    def clean(self, place: Place, image: str) -> Iterator[Any]:
        """A clean container that reaches a place's repositories, as a script starts one; it is removed again."""
        command = ["docker", "run", "--detach", *place.arguments, image, *place.command]
        try:
            started = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
            self.require(started.returncode == 0, f"A clean container did not start: {started.stderr.strip()[-300:]}")
            yield self.client.containers.get(started.stdout.strip())
        finally:
            remove(self.client, place)

    @staticmethod
    def require(true: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as a sentence
        """Raise HarnessError with a sentence unless something is true."""
        if not true:
            raise HarnessError(otherwise)

    def remove(self) -> None:
        """Remove whatever was made and is still there."""
        container.remove_labelled(self.client, self.labels)
