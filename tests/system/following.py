"""A recovery that writes a runbook, and the same runbook followed on a clean machine, as it is or changed by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from muster.drill import Blocked
from muster.errors import MusterError
from muster.exercise import Exercise
from muster.handbook import Followed
from muster.incidents.incident import RUNBOOK
from muster.plan import Plan, load
from muster.record import Record
from muster.report import runbook
from muster.runbook.book import Book
from muster.runbook.following import Following
from muster.runbook.judging import Reference
from muster.runbook.reading import read
from muster.session import Options, Session, new_run

Change = Callable[[str], str]


@dataclass(slots=True)
class Shelf:
    """The runbooks of one lost Pi, by its `plan`; `out` is where drills write. `wrote` is the recovery that wrote them."""

    plan: Path
    out: Path
    lost_at: datetime | None = None
    wrote: Record = field(init=False)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        session, self.wrote = self._concluded(lambda session, plan: session.drill(plan, "disk-loss"))
        self.folder = session.folder
        (journal,) = self.folder.glob("journal*.jsonl")
        runbook.write(self.wrote, journal)

    @property
    def script(self) -> Path:
        return next(self.folder.glob("runbook*.sh"))

    @property
    def markdown(self) -> Path:
        return next(self.folder.glob("runbook*.md"))

    def follow(self, path: Path, change: Change = str) -> Record:
        """The record of a drill that follows a runbook, to whose text `change` was made."""
        changed = self.folder / f"changed{path.suffix}"
        changed.write_text(change(path.read_text()))
        assert change is str or changed.read_text() != path.read_text(), "nothing was changed"
        book = read(changed)
        reference = Reference(
            self.wrote.started_at, tuple(self.wrote.handbook.typed), self.wrote.handbook.plan_text, book.by == self.wrote.run
        )
        return self._concluded(lambda session, plan: session.drill(plan, RUNBOOK, following=Following(book, reference)))[1]

    def _concluded(self, begin: Callable[[Session, Plan], Exercise]) -> tuple[Session, Record]:
        session = Session(Options(self.out, new_run(), lost_at=self.lost_at), say=lambda _: None)
        try:
            with contextlib.suppress(MusterError, Blocked):
                begin(session, load(self.plan)).conclude()
        finally:
            records = session.close()
        return session, records[0]


def without(command: str) -> Change:
    """A runbook from which somebody took one command."""
    return lambda text: text.replace(f"\n{command}\n", "\n", 1)


def of_a_person(text: str) -> str:
    """A runbook that says neither who wrote it nor what each step does of a recovery."""
    kept = (line for line in text.splitlines() if "muster-runbook: 1" not in line and not line.startswith("<!-- step:"))
    return "\n".join(kept).replace("#: step", "#: step") + "\n"


def commands(book: Book) -> list[tuple[str, str]]:
    """Every command of a runbook, with the step that it stands in."""
    return [(step.step or step.title, command) for step in book.steps for command in step.commands]


def became(record: Record, outcome: str) -> list[Followed]:
    """The steps of a runbook of which this became."""
    return [step for step in record.handbook.followed if step.outcome == outcome]
