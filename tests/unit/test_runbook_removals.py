"""The runbook of a real drill of the sample, from which somebody takes out one line after the other: each is told with its step.

This is what the drill of a runbook does before it has anything typed. Nothing that the machine shows has to tell.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from muster.record import Record
from muster.report import runbook
from muster.report.history import record_of
from muster.runbook import judging
from muster.runbook.book import Book, BookStep
from muster.runbook.reading import read

REAL = Path(__file__).parents[1] / "data" / "pictured.jsonl"
JOINING = ("&&", "\\")


@cache
def recorded() -> Record:
    return record_of(REAL)


@cache
def text() -> str:
    with TemporaryDirectory() as folder:
        written = runbook.write(recorded(), Path(folder) / "journal.jsonl")
        return next(path for path in written if path.suffix == ".sh").read_text()


def as_read(of: str) -> Book:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runbook.sh"
        path.write_text(of)
        return read(path)


@cache
def lines() -> list[tuple[int, BookStep]]:
    """Every line of every command, by its place in the text, with the step that it stands in."""
    written = text().splitlines()
    found = []
    for step in as_read(text()).steps:
        typed = {line for command in step.commands for line in command.splitlines() if line.strip() not in ("(", ")", "")}
        found += [(at, step) for at in range(step.line - 1, step.last) if written[at] in typed]
    return found


def without(at: int) -> str:
    """The script without a line, still one that a shell can read: what joined it to the next one goes with it."""
    kept = text().splitlines()
    gone = kept.pop(at)
    if not gone.rstrip().endswith(JOINING) and kept[at - 1].rstrip().endswith(JOINING):
        kept[at - 1] = kept[at - 1].rstrip().removesuffix("&&").removesuffix("\\").rstrip()
    return "\n".join(kept) + "\n"


def test_the_runbook_as_it_was_written_lacks_nothing() -> None:
    assert judging.missing(as_read(text()), recorded().handbook.typed) == []
    assert len(lines()) > 60, "the drill that was recorded is a whole one"


@pytest.mark.parametrize("at", [pytest.param(at, id=f"{step.number}-{step.step}-{at}") for at, step in lines()])
def test_a_line_that_is_taken_out_is_told_with_its_step(at: int) -> None:
    step = next(step for place, step in lines() if place == at)
    gone = " ".join(text().splitlines()[at].split())
    found = judging.missing(as_read(without(at)), recorded().handbook.typed)
    assert [finding.where for finding in found] == [step.step], gone
    assert found[0].severity == "error"


@pytest.mark.parametrize("number", [pytest.param(step.number, id=step.step) for step in as_read(text()).steps if step.commands])
def test_a_step_that_is_taken_out_is_told(number: int) -> None:
    kept, steps = text().splitlines(), as_read(text()).steps
    step = next(step for step in steps if step.number == number)
    del kept[step.line - 1 : step.last]
    found = judging.missing(as_read("\n".join(kept) + "\n"), recorded().handbook.typed)
    assert step.step in [finding.where for finding in found]


@pytest.mark.parametrize("number", [pytest.param(step.number, id=step.step) for step in as_read(text()).steps if step.check])
def test_a_check_that_is_taken_out_is_told_with_its_step(number: int) -> None:
    kept, steps = text().splitlines(), as_read(text()).steps
    step = next(step for step in steps if step.number == number)
    seen = [at for at in range(step.line - 1, step.last) if kept[at].startswith("seen ")]
    assert len(seen) == 1
    del kept[seen[0]]
    found = judging.missing(as_read("\n".join(kept) + "\n"), recorded().handbook.typed)
    assert [finding.where for finding in found] == [step.step]
