"""What an owner accepts is told in every record and counts for nothing, until its day is over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muster.drill import Drill, Row
from muster.errors import MusterError, RecoveryError
from muster.exercise import Blocked
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from tests.fake.machine import FakeMachine, write_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeDrill = Callable[..., Drill]

TODAY = datetime.now(UTC).date()
DISABLED = {r"is-enabled": (0, "disabled\n.\nenabled\n.\nenabled\n.\n")}


def accept(code: str, where: str = "*", until: object = TODAY) -> str:
    return f'[[accept]]\ncode = "{code}"\nwhere = "{where}"\nreason = "the second disk comes in March"\nuntil = {until}\n'


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeDrill]:
    made: list[Drill] = []

    def make_drill(answers: dict[str, tuple[int, str]], more: str, change: Callable[[str], str] = str) -> Drill:
        path = write_plan(tmp_path)
        path.write_text(change(path.read_text()) + more)
        incident = Incident("disk-loss", datetime.now(UTC))
        machine = FakeMachine(answers)
        made.append(Drill(load(path), incident, machine, Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None))
        return made[-1]

    yield make_drill
    for drill in made:
        drill.machine.destroy()
        drill.close()


def test_an_accepted_finding_is_told_and_fails_nothing(make: MakeDrill) -> None:
    drill = make(DISABLED, accept("unit-not-enabled", "db"))
    drill.conclude()
    drill.close()
    assert (drill.record.verdict, drill.record.findings) == ("recovered", ())
    (finding,) = drill.record.accepted
    assert (finding.code, finding.where) == ("unit-not-enabled", "db")
    assert finding.accepted == f"the second disk comes in March (until {TODAY})"
    assert drill.record.steps[finding.step].outcome == "done"


@pytest.mark.parametrize(
    "other",
    [accept("unit-not-enabled", "app"), accept("unit-failed"), accept("unit-not-enabled", until=TODAY - timedelta(1))],
)
def test_another_code_place_or_day_accepts_nothing(make: MakeDrill, other: str) -> None:
    drill = make(DISABLED, other)
    with contextlib.suppress(MusterError, Blocked):
        drill.conclude()
    assert drill.record.verdict == "failed"
    assert "unit-not-enabled" in {finding.code for finding in drill.record.findings}
    assert drill.record.accepted == ()


def test_an_acceptance_that_is_over_is_said_to_be(make: MakeDrill) -> None:
    drill = make({}, accept("unit-not-enabled", until=TODAY - timedelta(days=1)))
    drill.conclude()
    (finding,) = drill.record.findings
    assert (finding.code, finding.severity) == ("acceptance-expired", "warning")
    assert "the second disk comes in March" in finding.fix


def test_what_others_build_on_stays_failed_whoever_accepts_it(make: MakeDrill) -> None:
    drill = make({r"app-load": (1, "pg_restore: error: no")}, accept("load-failed"))
    with pytest.raises(RecoveryError):
        drill.reach("restored", Row("dataset", "rows"))
    with contextlib.suppress(MusterError, Blocked):
        drill.conclude()
    assert drill.record.verdict != "recovered"
    assert drill.record.steps["start:app"].outcome == "blocked"


def test_a_missed_objective_can_be_accepted(make: MakeDrill) -> None:
    drill = make({}, accept("rto-missed", "RTO of tiny"), lambda plan: plan.replace('rto = "30m"', 'rto = "1s"'))
    drill.conclude()
    drill.hold(Row("objective", "rto"))
    drill.close()
    assert drill.record.rto.missed
    assert drill.record.verdict == "recovered"
    assert [finding.code for finding in drill.record.accepted] == ["rto-missed"]
