"""Correct, and not only up: what a recovery concludes from what its data answers, while every service runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.manifest import parse
from muster.checks.unasked import unasked
from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from tests.data.told import BEGAN, Told, node
from tests.fake.machine import _MANIFEST, NOW, Answer, FakeMachine, write_plan

Recover = Callable[..., Record]
SUM = '\n[invariants.sum]\ndataset = "rows"\nrun = "add-rows"\nexpect = { contains = "right" }\n'
SECOND = '\n[watermark.log]\ndataset = "rows"\nrun = "latest-log"\n'


@pytest.fixture
def recover(tmp_path: Path) -> Recover:
    """A recovery of a plan with `more` tables by a machine that gives these answers, `sealed` as the Pi was."""

    def drill_of(answers: dict[str, Answer], more: str = "", *, at: datetime = NOW, **sealed: object) -> Record:
        path = write_plan(tmp_path)
        path.write_text(path.read_text() + more)
        manifest = {r"cat /var/lib/muster/manifest.json": (0, json.dumps(_MANIFEST | sealed))}
        incident = Incident("disk-loss", at + timedelta(minutes=5))
        machine = FakeMachine(answers | manifest)
        drill = Drill(load(path), incident, machine, Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
        with suppress(MusterError, Blocked):
            drill.conclude()
        drill.machine.destroy()
        drill.close()
        return drill.record

    return drill_of


def told(record: Record) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in record.findings]


def ago(**how: float) -> str:
    return (NOW - timedelta(**how)).isoformat()


@pytest.mark.parametrize(("about", "verdict"), [('service = "app"', "not proven"), ('dataset = "rows"', "failed")])
def test_a_metric_of_no_dataset_is_no_word_on_what_was_merged(tmp_path: Path, about: str, verdict: str) -> None:
    path = write_plan(tmp_path)
    path.write_text(f"{path.read_text()}\n[metrics.all]\nrun = 'count-all'\n{about}\n")
    sealed = _MANIFEST | {"metrics": {"rows": "42", "all": "42"}}
    machine = FakeMachine({"count-all": (0, "50\n"), r"cat /var/lib/muster/manifest.json": (0, json.dumps(sealed))})
    incident = Incident("corruption", NOW + timedelta(minutes=5))
    drill = Drill(load(path), incident, machine, Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
    drill.context.manifests["media"] = parse(json.dumps(sealed))
    with suppress(MusterError, Blocked):
        drill.conclude()
    drill.close()
    assert drill.record.verdict == verdict
    assert "50" in drill.record.steps["metric:all"].reason


class TestInvariants:
    def test_one_that_holds_says_nothing(self, recover: Recover) -> None:
        record = recover({"add-rows": (0, "right\n")}, SUM)
        assert (record.verdict, record.findings, record.steps["invariant:sum"].outcome) == ("recovered", (), "done")

    def test_one_that_is_broken_fails_a_drill_whose_services_are_all_up(self, recover: Recover) -> None:
        record = recover({"add-rows": (0, "41 of 42\n")}, SUM)
        assert record.verdict == "failed"
        assert told(record) == [("invariant-broken", "sum")]
        what = "Invariant sum did not say 'right': 41 of 42. app is up, and the data of rows is wrong."
        assert record.findings[0].what == what
        assert {step.outcome for step in record.steps.values() if step.kind in ("start", "smoke")} == {"done"}

    @pytest.mark.parametrize("answer", [(1, "no such table: rows"), (None, "")])
    def test_one_that_could_not_be_asked_is_no_word_on_the_data(self, recover: Recover, answer: Answer) -> None:
        assert told(recover({"add-rows": answer}, SUM)) == [("question-failed", "invariant sum")]

    @pytest.mark.parametrize(("status", "code"), [(1, "invariant-broken"), (127, "question-failed")])
    def test_one_that_answers_by_its_status_is_broken_by_it(self, recover: Recover, status: int, code: str) -> None:
        more = '\n[invariants.sum]\ndataset = "rows"\nrun = "add-rows"\n'
        assert [found for found, _ in told(recover({"add-rows": (status, "")}, more))] == [code]

    def test_it_is_asked_before_anything_writes(self, recover: Recover) -> None:
        record = recover({"add-rows": (0, "right")}, SUM)
        asked, smoke = record.steps["invariant:sum"], record.steps["smoke:ping"]
        assert asked.ended is not None
        assert smoke.started is not None
        assert asked.ended <= smoke.started

    def test_a_plan_whose_one_question_it_is_checks_something(self, recover: Recover, monkeypatch: pytest.MonkeyPatch) -> None:
        text = "tests.fake.machine.PLAN"
        plan = write_plan.__globals__["PLAN"]
        monkeypatch.setattr(text, plan[: plan.index("[smoke.ping]")])
        record = recover({"add-rows": (0, "right")}, SUM)
        assert (record.verdict, record.reasons) == ("recovered", ())


class TestWatermarks:
    def test_one_table_that_is_a_day_old_makes_its_dataset_a_day_old(self, recover: Recover) -> None:
        old = ago(days=1)
        record = recover({"latest-log": (0, old)}, SECOND, watermarks=_MANIFEST["watermarks"] | {"log": old})  # type: ignore[operator]
        assert record.verdict == "failed"
        assert {step.outcome for step in record.steps.values() if step.kind == "start"} == {"done"}
        assert ("rpo-missed", "RPO of rows") in told(record)
        (missed,) = [finding for finding in record.findings if finding.where == "RPO of rows"]
        assert missed.what == "1 d is more than the promised 1 h, by its watermark log."
        assert record.datasets["rows"].at == old

    def test_the_newer_of_two_says_nothing_while_both_are_new(self, recover: Recover) -> None:
        record = recover({"latest-log": (0, ago(minutes=20))}, SECOND)
        assert (record.verdict, record.findings) == ("recovered", ())
        assert record.datasets["rows"].by == "log"
        assert record.datasets["rows"].measured == pytest.approx(25 * 60, abs=1)

    def test_one_that_could_not_be_asked_leaves_no_figure(self, recover: Recover) -> None:
        record = recover({"latest-log": (1, "no such table: log")}, SECOND)
        assert record.datasets["rows"].measured is None
        assert record.datasets["rows"].basis == "log: the newest recovered record is unknown"

    def test_newest_rows_that_did_not_come_back_are_told_while_counts_are_right(self, recover: Recover) -> None:
        was = {"rows": ago(minutes=10)}
        record = recover({"newest-row": (0, ago(minutes=30))}, watermarks=was)
        assert told(record) == [("watermark-differs", "rows")]
        assert record.verdict == "failed"
        assert record.metrics["rows"].value == record.metrics["rows"].expected

    @pytest.mark.parametrize(
        ("newest", "sealed"),
        [
            ({"minutes": 10}, {"minutes": 10}),  # as it was
            ({"minutes": 10.01}, {"minutes": 10}),  # without the parts of a second
            ({"minutes": 9}, {"minutes": 10}),  # dumped after it was sealed
            ({"minutes": 10}, {"seconds": 10}),  # sealed after it was dumped
        ],
    )
    def test_what_was_written_while_the_pi_backed_itself_up_is_not_missing(
        self, recover: Recover, newest: dict[str, float], sealed: dict[str, float]
    ) -> None:
        record = recover({"newest-row": (0, ago(**newest))}, watermarks={"rows": ago(**sealed)})
        assert (record.verdict, record.findings) == ("recovered", ())

    def test_files_without_a_dump_are_held_against_their_snapshot(self, recover: Recover) -> None:
        more = '\n[watermark.media]\nrun = "last-photo"\n'
        was = {"rows": NOW.isoformat(), "media": ago(minutes=10)}
        assert told(recover({"last-photo": (0, ago(minutes=30))}, more, watermarks=was)) == [("watermark-differs", "media")]

    @pytest.mark.parametrize("sealed", [{}, {"rows": "not yet"}])
    def test_one_that_was_not_sealed_is_compared_with_nothing(self, recover: Recover, sealed: dict[str, str]) -> None:
        record = recover({"newest-row": (0, ago(minutes=30))}, watermarks=sealed)
        assert record.findings == ()


class TestUnasked:
    """A service that is up says nothing of what it knows."""

    TABLE = '\n[data.notes]\nclass = "state"\npaths = ["/srv/notes"]\n[services.pad]\nuses = ["notes"]\n'

    @pytest.mark.parametrize(
        ("more", "names"),
        [
            ("", ["notes"]),
            ('[smoke.pad]\nservice = "pad"\nrun = "ask-pad"\n', ["notes"]),
            ('[smoke.pad]\nservice = "pad"\nuses = ["notes"]\nrun = "ask-pad"\n', []),
            ('[metrics.notes]\nrun = "count-notes"\n', []),
            ('[metrics.many]\nservice = "pad"\nrun = "count-notes"\n', []),
            ('[metrics.many]\nservice = "web"\nrun = "count-pages"\n', ["notes"]),
            ('[metrics.many]\nrun = "count-all"\n', []),
            ('[watermark.pad]\ndataset = "notes"\nrun = "newest-note"\n', []),
            ('[invariants.pad]\ndataset = "notes"\nrun = "test-notes"\n', []),
        ],
    )
    def test_state_that_no_question_is_about_is_named(self, tmp_path: Path, more: str, names: list[str]) -> None:
        path = write_plan(tmp_path)
        path.write_text(path.read_text() + self.TABLE + more)
        assert unasked(load(path)) == names

    def test_the_drill_warns_of_it_and_recovers_all_the_same(self, recover: Recover, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = write_plan.__globals__["PLAN"]
        monkeypatch.setattr("tests.fake.machine.PLAN", plan[: plan.index("[metrics.rows]")])
        record = recover({})
        assert told(record) == [("dataset-not-asked", "rows")]
        assert record.verdict == "recovered"


def test_the_questions_of_the_documentation_are_ones_that_a_plan_takes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "right-data.md").read_text(encoding="utf-8")
    questions = page.split("```toml\n")[1].split("```")[0]
    path = write_plan(tmp_path)
    plan = path.read_text()
    path.write_text(plan[: plan.index("[metrics.rows]")].replace("rows", "readings") + questions)
    loaded = load(path)
    assert {mark.dataset for mark in loaded.watermark.values()} == {"readings"}
    assert (len(loaded.invariants), unasked(loaded)) == (2, [])


def test_a_journal_of_before_has_one_watermark_for_a_dataset(tmp_path: Path) -> None:

    journal = Told(tmp_path / "run" / "journal.jsonl")
    journal.drill([node("smoke login")], datasets={"rows": {"class": "state", "rpo": 60.0, "watermark": True}})
    journal.write("restored", dataset="rows", files=1, bytes=1)
    journal.write("watermark", dataset="rows", newest=(BEGAN - timedelta(seconds=30)).astimezone(UTC).isoformat(), manifest=None)
    assert journal.told().datasets["rows"].measured == 30.0
