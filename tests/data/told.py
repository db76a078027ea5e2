"""A journal whose clock is told instead of read, so that a drill of minutes is written in a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from muster.journal import VERSION, Journal, read
from muster.record import Record, fold

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Told(Journal):
    """A real journal file; `clock` is what its clock says, in seconds."""

    def __init__(self, path: Path, began: datetime = BEGAN) -> None:
        super().__init__(path)
        self.clock = 0.0
        self.began = began

    def now(self) -> float:
        return self.clock

    def wall(self) -> datetime:
        return self.began + timedelta(seconds=self.clock)

    def drill(self, steps: Iterable[dict[str, Any]], **other: Any) -> None:  # noqa: ANN401  # any fact of the first event
        """The first event; `other` replaces or adds facts."""
        facts: dict[str, Any] = {
            "v": VERSION,
            "run": self.path.parent.name,
            "plan": "telemetry",
            "about": "",
            "hostname": "telemetry-pi",
            "incident": "disk-loss",
            "machine": "container",
            "lost_at": self.wall().isoformat(),
            "objectives": {"rto": 1800.0, "rpo": 3600.0},
            "services": {},
            "datasets": {},
            "manual": [],
            "steps": list(steps),
            "versions": {},
        }
        self.write("drill", **(facts | other))

    def step(self, name: str, start: float, end: float, outcome: str = "done", **facts: str) -> None:
        """One step from its start to its end."""
        self.clock = start
        self.write("step_started", step=name)
        self.clock = end
        self.write("step_ended", step=name, outcome=outcome, **facts)

    def told(self) -> Record:
        """Close the file, read it again, and fold what it says."""
        self.close()
        return fold(read(self.path))


def node(name: str, milestone: str = "verified", *services: str, needs: Iterable[str] = ()) -> dict[str, Any]:
    """A step of the graph; its kind and subject are the two halves of its name."""
    kind, _, subject = name.partition(" ")
    return {
        "name": name,
        "kind": kind,
        "subject": subject,
        "milestone": milestone,
        "needs": list(needs),
        "services": list(services),
    }
