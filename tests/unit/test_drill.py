"""What tests hold on to: a drill starts once, waits for what decides a row, and ends whoever asks."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muster import graph
from muster.drill import Blocked, Drill, Row, rows
from muster.errors import HarnessError, PlanError, RecoveryError
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from tests.fake.machine import FakeMachine, write_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeDrill = Callable[..., Drill]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeDrill]:
    made: list[Drill] = []

    def make_drill(machine: FakeMachine | None = None, more: str = "") -> Drill:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace("[data.etc]", f"{more}\n[data.etc]"))
        plan = load(path)
        journal = Journal(tmp_path / f"journal-{len(made)}.jsonl")
        incident = Incident("disk-loss", datetime.now(UTC))
        made.append(Drill(plan, incident, machine or FakeMachine(), journal, "run", say=lambda _: None))
        return made[-1]

    yield make_drill
    for drill in made:
        drill.machine.destroy()
        drill.close()


def test_nothing_happens_before_the_first_question(make: MakeDrill) -> None:
    drill = make()
    assert not drill.started
    assert drill.journal.events == []


def test_a_drill_starts_once_however_often_it_is_asked(make: MakeDrill) -> None:
    drill = make()
    threads = [threading.Thread(target=drill.reach, args=("provisioned",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    drill.conclude()
    assert [event["kind"] for event in drill.journal.events].count("drill") == 1
    assert sum(event["kind"] == "step_started" and event["step"] == "provision" for event in drill.journal.events) == 1


def test_a_milestone_waits_for_those_before_it(make: MakeDrill) -> None:
    drill = make(FakeMachine(hang="ask-app"))
    drill.reach("serving")
    ended = {event["step"] for event in drill.journal.events if event["kind"] == "step_ended"}
    assert {"provision", "restore:vault", "load:rows", "start:app", "data:media"} <= ended
    assert "smoke:ping" not in ended


def test_a_row_waits_for_its_own_steps_alone(make: MakeDrill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "PATIENCE", 0.1)
    drill = make(FakeMachine(hang="app-load"))
    drill.reach("restored", Row("dataset", "media"))
    drill.reach("serving", Row("service", "web"))
    assert not drill.finished


@pytest.mark.parametrize("row", [Row("dataset", "nowhere"), Row("weather", "etc"), Row("objective", "rto")])
def test_a_row_that_nothing_decides_is_no_pass(make: MakeDrill, row: Row) -> None:
    with pytest.raises(PlanError, match=f"No step of this drill decides {row.kind} {row.name}."):
        make().reach("verified", row)


def test_every_row_of_a_plan_is_decided_by_a_step(make: MakeDrill) -> None:
    drill = make()
    elsewhere = ("objective", "rotation", "tryout")  # held against figures, and decided by the drill of a compromise
    of_plan = [row for kind, of_kind in rows(drill.plan).items() if kind not in elsewhere for row in of_kind]
    decided = {row for step in drill.steps.values() for row in step.rows}
    assert {f"{row.kind}:{row.name}" for row in [*of_plan, drill.restore_point, drill.conformity]} == decided


def test_every_objective_of_a_plan_is_a_row(make: MakeDrill) -> None:
    names = [row.name for row in rows(make().plan)["objective"]]
    assert names == ["rto", "rpo", "rto-app", "rpo-etc", "rpo-rows", "rpo-media", "rpo-keys"]


def test_all_of_a_good_drill_holds(make: MakeDrill) -> None:
    drill = make()
    for row in rows(drill.plan)["objective"]:
        drill.hold(row)
    drill.conclude()
    drill.close()
    assert drill.record.verdict == "recovered"


def test_an_objective_that_was_missed_is_a_failure_with_its_finding(make: MakeDrill) -> None:
    machine = FakeMachine()
    machine.prepared = {"packages installed": (3600.0, "2026-03-01T09:00:00+00:00")}
    drill = make(machine)
    with pytest.raises(RecoveryError, match="is more than the promised 30 min") as caught:
        drill.hold(Row("objective", "rto"))
    assert caught.value.finding.code == "rto-missed"
    with pytest.raises(RecoveryError, match="promised 10 min"):
        drill.hold(Row("objective", "rto-app"))
    drill.hold(Row("objective", "rpo"))
    drill.conclude()


def test_an_objective_that_was_not_measured_is_blocked_and_never_met(make: MakeDrill) -> None:
    drill = make(FakeMachine({"ask-web": (1, "no page")}))
    with pytest.raises(Blocked, match="rto could not be measured: Smoke check page ended with status 1"):
        drill.hold(Row("objective", "rto"))
    drill.hold(Row("objective", "rto-app"))


def test_the_worst_that_became_of_a_row_is_raised(make: MakeDrill) -> None:
    drill = make(FakeMachine({"systemctl start --no-block db": (91, "x")}))
    with pytest.raises(RecoveryError, match=r"db.service failed to start"):
        drill.reach("serving")
    with pytest.raises(Blocked, match="start:app could not run: start:db failed: "):
        drill.reach("serving", Row("service", "app"))
    drill.reach("serving", Row("service", "web"))


def test_what_breaks_while_the_machine_is_made_ready_is_said_by_the_first_step(make: MakeDrill) -> None:
    machine = FakeMachine()
    machine.prepare = lambda _say: 1 / 0  # type: ignore[method-assign,assignment]
    drill = make(machine)
    with pytest.raises(HarnessError, match="Muster itself broke while the machine was made ready: ZeroDivisionError"):
        drill.reach("provisioned")
    with pytest.raises(Blocked, match="machine error: Muster itself broke"):
        drill.reach("restored", Row("dataset", "etc"))
    drill.close()
    assert drill.record.verdict == "not proven"


def test_a_step_without_a_row_is_told_at_the_end(make: MakeDrill) -> None:
    drill = make(FakeMachine({"daemon-reload": (1, "bad unit")}))
    with pytest.raises(RecoveryError, match="systemd could not read the restored units"):
        drill.conclude()


def test_what_a_row_has_told_is_not_told_again_at_the_end(make: MakeDrill) -> None:
    drill = make(FakeMachine({"ask-web": (1, "no page")}))
    with pytest.raises(Blocked, match="5 steps of the drill did not end well, smoke:page the first of them"):
        drill.conclude()


def test_lost_facts_are_told_at_the_end(make: MakeDrill) -> None:
    drill = make()
    drill.journal.lost = "journal is not complete: No space left on device"
    with pytest.raises(HarnessError, match="No space left"):
        drill.conclude()


def test_a_listener_that_breaks_hangs_nobody(make: MakeDrill) -> None:
    drill = make()
    drill.journal.listeners.append(lambda event: 1 / 0 if event["kind"] == "step_ended" else None)  # type: ignore[arg-type,return-value]
    done = threading.Event()

    def ask() -> None:
        try:
            drill.conclude()
        except (HarnessError, Blocked):
            done.set()

    threading.Thread(target=ask, daemon=True).start()
    assert done.wait(10)


@pytest.mark.parametrize(
    "ask", [lambda drill: drill.reach("verified"), lambda drill: drill.conclude(), lambda drill: drill.start()]
)
def test_a_drill_that_was_closed_before_it_started_does_not_start(make: MakeDrill, ask: Callable[[Drill], None]) -> None:
    drill = make()
    drill.close()
    with pytest.raises(Blocked, match="the drill is over"):
        ask(drill)
    assert not drill.journal.path.exists()


def test_whoever_waits_is_let_go_when_the_drill_is_closed(make: MakeDrill) -> None:
    machine = FakeMachine(hang="app-load")
    drill = make(machine)
    said: list[BaseException] = []

    def ask() -> None:
        try:
            drill.reach("verified")
        except BaseException as error:  # noqa: BLE001
            said.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while "load:rows" not in {event.get("step") for event in list(drill.journal.events)}:
        time.sleep(0.01)
    drill.stop()
    machine.destroy()
    drill.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(said[0], Blocked)
    assert drill.record.ended == "interrupted"


def test_whoever_waits_is_let_go_even_if_a_step_never_ends(make: MakeDrill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.exercise._PATIENCE", 0.1)
    drill = make(FakeMachine(hang="app-load"))
    closing = threading.Timer(0.3, drill.close)
    closing.start()
    with pytest.raises(Blocked, match="the drill is over"):
        drill.reach("restored", Row("dataset", "rows"))
    closing.join()
    assert drill.record.ended == "interrupted"


def test_a_drill_that_was_stopped_is_not_finished(make: MakeDrill) -> None:
    machine = FakeMachine(hang="app-load")
    drill = make(machine)
    drill.reach("restored", Row("dataset", "media"))
    drill.stop()
    machine.destroy()
    drill.close()
    assert not drill.finished
    assert drill.record.ended == "interrupted"
    drill.close()
    assert [event["kind"] for event in drill.journal.events].count("ended") == 1


def test_a_repository_that_is_not_mounted_is_known_before_the_machine_is_made(make: MakeDrill, tmp_path: Path) -> None:
    machine = FakeMachine(log=tmp_path / "log")
    drill = make(machine)
    (tmp_path / "plans" / "vault").rmdir()
    with pytest.raises(RecoveryError, match="There is no restic repository at"):
        drill.reach("provisioned")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('ssh_key = { file = "nowhere" }', "The secret in file .*nowhere is missing"),
        ('environment = { S3 = { env = "NOT_SET_AT_ALL" } }', "The secret in variable NOT_SET_AT_ALL is not set or empty"),
        ('known_hosts = "nowhere"', "nowhere, the known_hosts of vault, is missing"),
    ],
)
def test_every_reference_is_followed_before_the_machine_is_made(
    make: MakeDrill, tmp_path: Path, more: str, sentence: str
) -> None:
    drill = make(FakeMachine(log=tmp_path / "log"), more)
    with pytest.raises((PlanError, RecoveryError), match=sentence):
        drill.reach("provisioned")
    assert not (tmp_path / "log").exists()


def test_what_fails_on_a_machine_that_is_dying_is_no_fault_of_the_backup(make: MakeDrill) -> None:
    drill = make(FakeMachine({"systemctl start --no-block db": (90, "x"), "systemctl show -p Version": (1, "")}))
    with pytest.raises(HarnessError, match="systemd does not answer on the machine any more"):
        drill.reach("serving", Row("service", "db"))
    assert not drill.record.findings
    assert drill.record.verdict == "not proven"
