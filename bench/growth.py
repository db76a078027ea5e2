"""The cost curve: how the time of a recovery grows with data, files, services and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import linear_regression, median

from bench.hands import Measured

SPANS = ("critical", "verified")


@dataclass(frozen=True, slots=True)
class Curve:
    """One of them: seconds to each milestone at some sizes; `step` is what its slope is told for."""

    key: str
    label: str
    step: float
    unit: str
    sizes: tuple[float, ...]
    seconds: Mapping[str, tuple[float, ...]]

    def slope(self, span: str) -> float:
        """Seconds that each `step` of growth adds, by the straight line that fits best."""
        return linear_regression(self.sizes, self.seconds[span]).slope * self.step


# What grows, what it is called, what its slope is told for, and which systems stand for which size.
_CURVES: tuple[tuple[str, str, float, str, Mapping[str, float]], ...] = (
    ("data", "archive, GB", 1, "GB of archive", {"half": 0.5, "1g": 1.0, "2g": 2.0}),
    ("files", "small files", 10_000, "10,000 files", {"1k": 1_000, "10k": 10_000, "100k": 100_000}),
    ("services", "services", 1, "service", {"services-6": 6, "services-12": 12, "services-24": 24}),
    ("snapshots", "snapshots", 100, "100 snapshots", {"half": 1, "snapshots-16": 16, "snapshots-256": 256}),
)


def curves(measured: Measured) -> list[Curve]:
    """Those that were measured at two sizes at least."""
    found = []
    for key, label, step, unit, systems in _CURVES:
        known = {name: size for name, size in systems.items() if f"{name}/local/muster/critical" in measured}
        if len(known) > 1:
            seconds = {span: tuple(median(measured[f"{name}/local/muster/{span}"]) for name in known) for span in SPANS}
            found.append(Curve(key, label, step, unit, tuple(known.values()), seconds))
    return found
