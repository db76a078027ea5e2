"""What `fold` may conclude from a journal, and what it must never conclude."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from muster.journal import Journal, read
from muster.record import Record, fold
from muster.report.history import as_dict
from tests.data.demo import cut_off, failing, passing
from tests.data.told import BEGAN, Told, node

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Told:
    return Told(tmp_path / "run" / "journal.jsonl")


STEPS = [node("provision machine", "provisioned"), node("smoke login", "verified", "mosquitto")]


def a_drill(journal: Told, *, smoke: str = "done", end: float = 100.0, **begin: Any) -> Record:  # noqa: ANN401  # any fact of the first event
    """A drill of two steps that ended; `smoke` is how its one check did."""
    journal.drill(begin.pop("steps", STEPS), **begin)
    journal.step("provision machine", 1.0, 5.0)
    journal.step("smoke login", 5.0, end, smoke)
    journal.write("ended", how="finished")
    return journal.told()


def a_dataset(journal: Told, newest: str | None, *, rpo: float = 900.0, files: int = 3, watermark: bool = True) -> Record:
    """A drill with one dataset, whose newest record or snapshot is of `newest`."""
    journal.drill(STEPS, datasets={"readings": {"class": "state", "rpo": rpo, "watermark": watermark}})
    snapshot = newest if not watermark and newest else BEGAN.isoformat()
    journal.write("restore_point", repository="usb", url="/u", snapshot="ab", time=snapshot, host="pi", datasets=["readings"])
    journal.step("provision machine", 1.0, 5.0)
    journal.write("restored", dataset="readings", files=files, bytes=10)
    if watermark:
        journal.write("watermark", dataset="readings", newest=newest, manifest=newest)
    journal.step("smoke login", 5.0, 9.0)
    journal.write("ended", how="finished")
    return journal.told()


def before_the_loss(**ago: float) -> str:
    return (BEGAN - timedelta(**ago)).isoformat()


def finding(severity: str, what: str = "it is broken.") -> dict[str, str]:
    return {"code": "MUS-X01", "severity": severity, "where": "there", "what": what, "fix": "Mend it.", "evidence": ""}


def test_a_drill_whose_every_step_is_done_has_recovered(journal: Told) -> None:
    record = a_drill(journal)
    assert (record.verdict, record.reasons) == ("recovered", ())
    assert record.rto.measured == 100.0


def test_an_rto_is_not_a_number_unless_verified_was_reached(journal: Told) -> None:
    record = a_drill(journal, smoke="failed")
    assert record.milestones["verified"] is None
    assert record.rto.measured is None
    assert not record.rto.missed


@pytest.mark.parametrize("outcome", ["blocked", "error", "stopped"])
def test_a_step_that_could_not_run_makes_the_drill_not_proven(journal: Told, outcome: str) -> None:
    record = a_drill(journal, smoke=outcome)
    assert record.verdict == "not proven"
    assert any(reason.startswith("smoke login") for reason in record.reasons)
    assert record.rto.measured is None


def test_a_step_that_never_began_makes_the_drill_not_proven(journal: Told) -> None:
    record = a_drill(journal, steps=[*STEPS, node("smoke other")])
    assert record.verdict == "not proven"
    assert "smoke other did not run: the drill ended first" in record.reasons


def test_a_drill_with_no_check_never_reaches_verified(journal: Told) -> None:
    journal.drill([node("provision machine", "provisioned")])
    journal.step("provision machine", 0.0, 2.0)
    journal.write("ended", how="finished")
    record = journal.told()
    assert record.milestones == {"provisioned": 2.0, "configured": 2.0, "restored": 2.0, "serving": 2.0, "verified": None}
    assert record.verdict == "not proven"


def test_a_drill_that_looks_at_the_machine_but_checks_nothing_is_not_proven(journal: Told) -> None:
    journal.drill([node("conform machine")])
    journal.step("conform machine", 0.0, 2.0)
    journal.write("ended", how="finished")
    assert journal.told().reasons == ("no step of the drill checks anything",)


def test_a_drill_of_nothing_proves_nothing(journal: Told) -> None:
    journal.drill([], objectives={"rto": None, "rpo": 3600.0})
    journal.write("ended", how="finished")
    assert journal.told().verdict == "not proven"


def test_a_milestone_is_not_reached_before_those_under_it(journal: Told) -> None:
    journal.drill([node("restore etc", "configured"), node("smoke login")])
    journal.step("restore etc", 1.0, 2.0, "failed", reason="no space")
    journal.step("smoke login", 1.0, 3.0)
    record = journal.told()
    assert record.milestones["provisioned"] == 0.0
    assert record.milestones["configured"] is None
    assert record.milestones["verified"] is None


def test_a_milestone_counts_from_the_drill_and_not_from_the_journal(journal: Told) -> None:
    journal.clock = 40.0
    journal.drill([node("smoke login")])
    journal.step("smoke login", 41.0, 50.0)
    assert journal.told().milestones["verified"] == 10.0


def test_a_failed_step_makes_the_drill_fail_and_says_why(journal: Told) -> None:
    journal.drill(STEPS)
    journal.step("smoke login", 1.0, 2.0, "failed", reason="the password was refused")
    record = journal.told()
    assert record.verdict == "failed"
    assert record.reasons[0] == "smoke login: the password was refused"


def test_failed_comes_before_not_proven(journal: Told) -> None:
    record = a_drill(journal, smoke="failed", steps=[*STEPS, node("smoke other")])
    assert record.verdict == "failed"
    assert len(record.reasons) > 1


@pytest.mark.parametrize(("severity", "verdict"), [("error", "failed"), ("unproven", "not proven"), ("warning", "recovered")])
def test_the_severity_of_a_finding_decides(journal: Told, severity: str, verdict: str) -> None:
    journal.drill(STEPS)
    journal.write("finding", **finding(severity))
    journal.step("provision machine", 1.0, 5.0)
    journal.step("smoke login", 5.0, 6.0)
    journal.write("ended", how="finished")
    record = journal.told()
    assert record.verdict == verdict
    assert ("there: it is broken." in record.reasons) == (severity != "warning")


def test_what_a_finding_says_is_not_said_again_for_its_step(journal: Told) -> None:
    journal.drill(STEPS)
    journal.write("finding", **finding("error", "the dump is cut."))
    journal.step("smoke login", 1.0, 2.0, "failed", reason="the dump is cut. Mend it.")
    assert [reason for reason in journal.told().reasons if "the dump is cut" in reason] == ["there: the dump is cut."]


def test_a_missed_rto_fails_though_every_step_is_done(journal: Told) -> None:
    record = a_drill(journal, end=1801.0)
    assert record.rto.missed
    assert record.rto.margin == -1.0
    assert record.verdict == "failed"
    assert record.reasons == ("RTO of telemetry: 30 min 01 s is more than the promised 30 min.",)


def test_an_rto_met_to_the_second_is_met(journal: Told) -> None:
    assert a_drill(journal, end=1800.0).verdict == "recovered"


def test_carried_and_manual_seconds_count_in_every_rto(journal: Told) -> None:
    journal.drill(
        STEPS, manual=[{"before": "provisioned", "what": "flash", "seconds": 480.0}], services={"mosquitto": {"rto": 1200.0}}
    )
    journal.write("carried", what="packages", seconds=70.0, measured_at=BEGAN.isoformat())
    journal.step("provision machine", 1.0, 5.0)
    journal.step("smoke login", 5.0, 100.0)
    journal.write("ended", how="finished")
    record = journal.told()
    assert (record.by_hand, record.carried_over) == (480.0, 70.0)
    assert record.rto.measured == 650.0
    assert record.services["mosquitto"].measured == 650.0
    assert record.milestones["verified"] == 100.0


def test_a_service_that_misses_its_own_rto_fails_the_drill(journal: Told) -> None:
    record = a_drill(journal, services={"mosquitto": {"rto": 60.0}})
    assert record.verdict == "failed"
    assert record.reasons == ("RTO of mosquitto: 1 min 40 s is more than the promised 1 min.",)


def test_a_service_is_not_back_while_one_of_its_steps_is_not_done(journal: Told) -> None:
    record = a_drill(journal, smoke="failed", services={"mosquitto": {"rto": None}})
    assert record.services["mosquitto"].measured is None


def test_a_service_that_no_step_proves_makes_the_drill_not_proven(journal: Told) -> None:
    record = a_drill(journal, services={"nginx": {"rto": None}})
    assert record.verdict == "not proven"
    assert "nginx: no step of the drill proves this service" in record.reasons


def test_an_rpo_is_the_age_of_the_newest_recovered_record(journal: Told) -> None:
    record = a_dataset(journal, before_the_loss(minutes=10))
    assert record.datasets["readings"].measured == 600.0
    assert record.datasets["readings"].basis == "newest recovered record"
    assert record.rpo.measured == 600.0
    assert record.verdict == "recovered"


def test_without_a_watermark_an_rpo_is_the_age_of_the_snapshot(journal: Told) -> None:
    objective = a_dataset(journal, before_the_loss(minutes=10), watermark=False).datasets["readings"]
    assert (objective.measured, objective.basis) == (600.0, "time of the snapshot")


def test_a_missed_rpo_fails(journal: Told) -> None:
    record = a_dataset(journal, before_the_loss(minutes=16))
    assert record.verdict == "failed"
    assert record.reasons == ("RPO of readings: 16 min is more than the promised 15 min.",)
    assert [found.code for found in record.findings] == ["rpo-missed"]


def test_an_rpo_whose_watermark_is_missing_is_not_a_number(journal: Told) -> None:
    record = a_dataset(journal, None)
    assert record.datasets["readings"].measured is None
    assert record.rpo.measured is None
    assert record.verdict == "not proven"


def test_an_rpo_of_a_dataset_that_did_not_come_back_is_not_a_number(journal: Told) -> None:
    record = a_drill(journal, datasets={"readings": {"class": "state", "rpo": 900.0, "watermark": False}})
    assert record.datasets["readings"].measured is None
    assert record.verdict == "not proven"


def test_a_dataset_of_zero_files_did_not_come_back(journal: Told) -> None:
    record = a_dataset(journal, before_the_loss(minutes=1), files=0)
    assert record.datasets["readings"].measured is None
    assert "RPO of readings could not be measured: nothing of it came back" in record.reasons


@pytest.mark.parametrize("text", ["2026-03-01 08:59:00", "yesterday", ""])
def test_a_watermark_that_is_no_time_with_a_zone_proves_nothing(journal: Told, text: str) -> None:
    record = a_dataset(journal, text)
    assert record.datasets["readings"].measured is None
    assert record.verdict == "not proven"


def test_a_record_newer_than_the_loss_proves_nothing(journal: Told) -> None:
    record = a_dataset(journal, before_the_loss(minutes=-5))
    assert record.datasets["readings"].measured is None
    assert any("later than the loss" in reason for reason in record.reasons)


def test_clocks_that_differ_by_a_moment_are_forgiven(journal: Told) -> None:
    assert a_dataset(journal, before_the_loss(seconds=-2)).datasets["readings"].measured == 0.0


def test_a_dataset_with_more_slack_than_the_plan_answers_to_its_own_promise_alone(journal: Told) -> None:
    record = a_dataset(journal, before_the_loss(hours=5), rpo=86400.0)
    assert record.verdict == "recovered"
    assert record.rpo.promised is None


def test_a_killed_drill_is_not_proven_and_keeps_what_it_had(journal: Told) -> None:
    journal.drill(STEPS)
    journal.step("provision machine", 1.0, 5.0)
    journal.clock = 6.0
    journal.write("step_started", step="smoke login")
    journal.close()
    with journal.path.open("a") as file:
        file.write('{"kind": "step_en')
    record = fold(read(journal.path))
    assert record.verdict == "not proven"
    assert record.reasons[0] == "the drill was cut off"
    assert "smoke login was cut short: the drill ended first" in record.reasons
    assert record.milestones["provisioned"] == 5.0


def test_a_drill_that_did_everything_but_never_ended_is_not_proven(journal: Told) -> None:
    journal.drill(STEPS)
    journal.step("provision machine", 1.0, 5.0)
    journal.step("smoke login", 5.0, 6.0)
    assert journal.told().verdict == "not proven"


def test_steps_that_did_not_run_for_one_reason_share_a_sentence(journal: Told) -> None:
    names = ["smoke one", "smoke two", "smoke three", "smoke four"]
    journal.drill([node("restore etc", "restored"), *(node(name) for name in names)])
    journal.step("restore etc", 1.0, 2.0, "failed", reason="no space")
    for name in names:
        journal.write("step_ended", step=name, outcome="blocked", reason="needs restore etc, which failed")
    journal.write("ended", how="finished")
    told = [reason for reason in journal.told().reasons if "did not run" in reason]
    assert told == ["smoke one, smoke two and 2 more steps did not run: needs restore etc, which failed"]


def test_an_interrupted_drill_says_so(journal: Told) -> None:
    journal.drill(STEPS)
    journal.write("ended", how="interrupted")
    assert journal.told().reasons[0] == "the drill was interrupted"


def test_fold_is_pure(tmp_path: Path) -> None:
    events = list(read(passing(tmp_path / "run")))
    before = json.dumps(events)
    assert fold(events) == fold(events)
    assert json.dumps(events) == before


def test_a_drill_is_the_same_while_it_runs_and_when_it_is_read_again(journal: Told) -> None:
    record = a_drill(journal)
    assert fold(journal.events) == record


@pytest.mark.parametrize("kind", ["weather", "take", "class__", "begin", "_init__"])
def test_events_of_unknown_kind_are_ignored(journal: Told, kind: str) -> None:
    journal.write(kind, of="no matter")
    assert a_drill(journal).verdict == "recovered"


def test_no_events_are_no_drill() -> None:
    record = fold([])
    assert (record.verdict, record.reasons) == ("not proven", ("the journal holds no drill",))


def test_commands_know_when_they_began_and_whether_they_ran_out_of_time(journal: Told) -> None:
    journal.drill(STEPS)
    journal.clock = 10.0
    journal.write("command", step="smoke login", command="true", exit=None, seconds=4.0, out="", err="")
    (command,) = journal.told().commands
    assert (command.started, command.seconds, command.exit) == (6.0, 4.0, None)


def test_the_figures_of_a_record_are_json_and_say_the_verdict(tmp_path: Path) -> None:
    for tell, verdict in ((passing, "recovered"), (failing, "failed"), (cut_off, "not proven")):
        figures = as_dict(fold(read(tell(tmp_path / tell.__name__))))
        assert json.loads(json.dumps(figures)) == figures
        assert figures["verdict"] == verdict


def test_a_journal_of_a_later_version_is_refused_in_words(journal: Told) -> None:
    journal.drill(STEPS, v=3)
    with pytest.raises(ValueError, match="update Muster"):
        journal.told()


def test_a_line_that_is_no_event_is_named(journal: Told) -> None:
    journal.drill(STEPS)
    journal.close()
    journal.path.write_text("[1]\n" + journal.path.read_text())
    with pytest.raises(ValueError, match="line 1 is not an event"):
        list(read(journal.path))


def test_a_name_that_is_no_utf_8_can_be_written_and_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("note", text=b"caf\xe9".decode("utf-8", "surrogateescape"))
    journal.close()
    (event,) = read(journal.path)
    assert event["text"] == "caf\\udce9"
    assert journal.events == [event]


def test_every_string_is_redacted_on_its_way_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", lambda text: text.replace("hunter2", "[secret]"))
    journal.write("note", text="hunter2", deep=[{"hunter2": ["a hunter2"]}])
    journal.close()
    assert "hunter2" not in journal.path.read_text()


def test_a_snapshot_that_was_found_but_not_restored_is_no_rpo(journal: Told) -> None:
    journal.drill(STEPS, datasets={"media": {"class": "data", "rpo": 900.0, "watermark": False}})
    found = {"url": "/u", "snapshot": "ab", "time": before_the_loss(minutes=1), "host": "pi", "datasets": ["media"]}
    journal.write("restore_point", repository="usb", **found)
    assert journal.told().datasets["media"].measured is None


def test_the_rpo_of_the_plan_is_not_a_number_while_one_dataset_has_none(journal: Told) -> None:
    both = {name: {"class": "data", "rpo": 900.0, "watermark": False} for name in ("media", "notes")}
    journal.drill(STEPS, datasets=both)
    found = {"url": "/u", "snapshot": "ab", "time": before_the_loss(minutes=1), "host": "pi", "datasets": ["media", "notes"]}
    journal.write("restore_point", repository="usb", **found)
    journal.write("restored", dataset="media", files=1, bytes=1)
    record = journal.told()
    assert record.datasets["media"].measured == 60.0
    assert record.rpo.measured is None


def test_a_service_is_back_with_the_last_of_its_steps(journal: Told) -> None:
    journal.drill(
        [node("start nginx", "serving", "nginx"), node("smoke page", "verified", "nginx")], services={"nginx": {"rto": None}}
    )
    journal.step("start nginx", 1.0, 5.0)
    assert fold(journal.events).services["nginx"].measured is None
    journal.step("smoke page", 5.0, 9.0)
    assert journal.told().services["nginx"].measured == 9.0
