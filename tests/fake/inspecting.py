"""An inspection of the fake machine's backups: its record, whatever it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muster.errors import MusterError
from muster.exercise import Blocked
from muster.facts import PacksRead
from muster.findings import Finding
from muster.inspection.inspection import Inspection, Scope
from muster.journal import Journal
from muster.machines.machine import Machine
from muster.plan import load
from muster.record import Record
from muster.redact import Redactor
from tests.fake.machine import FakeMachine, write_plan


def inspected(  # an inspection has as many parts
    folder: Path,
    machine: Machine | Mapping[str, Any] | None = None,
    *,
    change: Callable[[str], str] = str,
    read_before: Mapping[str, Sequence[PacksRead]] | None = None,
    as_of: datetime | None = None,
) -> Record:
    """The record of an inspection of the fake plan after `change`; a mapping stands for a machine that answers so."""
    path = write_plan(folder)
    path.write_text(change(path.read_text()))
    used = FakeMachine(machine) if machine is None or isinstance(machine, Mapping) else machine
    scope = Scope(as_of or datetime.now(UTC), (), 1, read_before or {})
    number = len(list(folder.glob("journal-*.jsonl")))
    journal = Journal(folder / f"journal-{number}.jsonl", Redactor())
    inspection = Inspection(load(path), scope, used, journal, "run", say=lambda _: None)
    with suppress(MusterError, Blocked):
        inspection.conclude()
    used.destroy()
    inspection.close()
    return inspection.record


def of(record: Record, *codes: str) -> list[Finding]:
    """The findings of these kinds."""
    return [finding for finding in record.findings if finding.code in codes]
