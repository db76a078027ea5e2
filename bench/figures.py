"""The arithmetic of a benchmark: medians, their spread, and ratios of medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its spread: how far apart the middle half of what it comes from lies, in the figure's own unit."""

    value: float
    spread: float
    rounds: int


def spread(values: Sequence[float]) -> float:
    """How far apart the middle half of some values lies (of fewer than four, all of them)."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    return ordered[len(ordered) - 1 - cut] - ordered[cut]


def middle(values: Sequence[float]) -> Figure:
    """The median of some values. Raises ValueError if there is none."""
    if not values:
        raise ValueError("there is nothing to take the median of")
    return Figure(median(values), spread(values), len(values))


def ratio(over: Sequence[float], under: Sequence[float]) -> Figure:
    """The ratio of two medians; its spread is that of the ratios of each round, as both were measured one after the other."""
    each = [one / other for one, other in zip(over, under, strict=False)]
    return Figure(median(over) / median(under), spread(each), len(each))
