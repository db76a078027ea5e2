"""Records and figures for proposals: one drill of the sample, replayed, with what a test wants to be otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from muster.record import Record, fold
from muster.report.figures import as_dict
from muster.report.learning import learn, proposals
from tests.data.replay import Month, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from muster.report.learning import Figures, Proposal

BEGAN = datetime(2026, 3, 1, 5, 21, 30, tzinfo=UTC)
USUAL = Month(BEGAN, timedelta(minutes=5), 40.0)

Event = dict[str, Any]


def events(folder: Path, month: Month = USUAL) -> list[Event]:
    """The events of a replayed drill."""
    path = replay(folder, month)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def changed(told: Iterable[Event], change: Callable[[Event], Event | None]) -> list[Event]:
    """The events, each as `change` gives it back; without those that it gives nothing for."""
    return [new for event in told if (new := change(dict(event))) is not None]


def record(folder: Path, month: Month = USUAL, change: Callable[[Event], Event | None] | None = None) -> Record:
    """The record of a replayed drill, with its events changed."""
    told = events(folder, month)
    return fold(changed(told, change) if change else told)


def with_plan(edit: Callable[[str], str], month: Month = USUAL) -> Month:
    """A month whose plan says something else."""
    return replace(month, plan=edit)


def keys(found: Sequence[Proposal]) -> list[str]:
    """What is proposed, in order."""
    return [proposal.key for proposal in found]


def only(record: Record, key: str, earlier: Sequence[Figures] = ()) -> Proposal:
    """The one proposal of that key."""
    (found,) = [proposal for proposal in proposals(record, earlier) if proposal.key == key]
    return found


def figures(record: Record, earlier: Sequence[Figures] = ()) -> Figures:
    """What history keeps of a record, with its proposals."""
    return as_dict(record) | {"proposals": learn(record, earlier)}
