"""One run makes each drill once, writes where it may, and ends all of them whatever one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.errors import PlanError
from muster.plan import load
from muster.session import LONGEST_NAME, Options, Session, _named
from tests.fake.machine import FakeMachine, write_plan


def session(out: Path, worker: str = "main", machines: list[FakeMachine] | None = None) -> Session:
    def make(_plan: object, _labels: object) -> FakeMachine:
        made = FakeMachine()
        (machines if machines is not None else []).append(made)
        return made

    return Session(Options(out, "run", worker), make_machine=make, say=lambda _: None)


def test_a_plan_and_an_incident_are_one_drill(tmp_path: Path) -> None:
    one, plan = session(tmp_path), load(write_plan(tmp_path))
    assert one.drill(plan, "disk-loss") is one.drill(plan, "disk-loss")
    assert one.drill(plan, "disk-loss") is not one.drill(plan, "password-loss")


def test_two_workers_of_one_run_have_journals_of_their_own(tmp_path: Path) -> None:
    plan = load(write_plan(tmp_path))
    paths = [session(tmp_path, worker).drill(plan, "disk-loss").journal.path.name for worker in ("gw0", "gw1")]
    assert paths == ["journal-tiny-disk-loss.jsonl", "journal-tiny-disk-loss-gw1.jsonl"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PlanError, match=r"out/run cannot be written: Not a directory. Name another folder with --drill-out."):
        session(tmp_path / "out").drill(load(write_plan(tmp_path)), "disk-loss")


def test_one_machine_that_cannot_be_removed_does_not_keep_the_others(tmp_path: Path) -> None:
    machines: list[FakeMachine] = []
    one, plan = session(tmp_path, machines=machines), load(write_plan(tmp_path))
    for incident in ("fire", "flood"):
        one.drill(plan, incident, class_="disk-loss").reach("provisioned")
    machines[0].destroy = None  # type: ignore[method-assign,assignment]  # cannot be called
    records = one.close()
    assert machines[1].gone.is_set()
    assert len(records) == 2
    assert "could not be removed; the next run tries again" in one.aloud[0]
    machines[0].gone.set()


def test_names_of_the_plan_are_never_taken_for_secrets(tmp_path: Path) -> None:
    one = session(tmp_path)
    one.drill(load(write_plan(tmp_path)), "disk-loss")
    one.redact.add("tiny-pi:hunter22")
    assert one.redact("tiny-pi hunter22") == "tiny-pi [redacted]"


def test_two_machines_of_one_run_never_share_a_name() -> None:
    alike = [f"muster-20260301-120000-abcd-main-a-rather-long-plan-the-cellar-{what}" for what in ("floods", "burns")]
    short, names = "muster-20260301-120000-abcd-main-tiny-disk-loss", [_named(name) for name in alike]
    assert _named(short) == short
    assert len(set(names)) == 2
    assert all(len(name) <= LONGEST_NAME for name in names)
