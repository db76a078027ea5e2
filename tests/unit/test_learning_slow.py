"""What an RTO really waited for, how much a step of it can save at most, and what would shorten it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from muster.record import fold
from muster.report.learning import proposals
from muster.report.learning.critical import goals, path
from muster.report.learning.planned import Planned
from muster.report.learning.shorten import advice
from tests.data.learning import Event, events, only, record
from tests.data.told import Told, node

if TYPE_CHECKING:
    from pathlib import Path

    from muster.record import Record

PLAN = """\
[repositories.usb]
[repositories.far]
offsite = true
[data.photos]  # many
class = "data"
paths = ["/srv/photos"]
[data.state]
class = "state"
load = "psql -q shop"  # one after the other
[services.web]
uses = ["state", "photos"]  # it shows them
rto = "5m"
"""


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "run" / "journal.jsonl")


def legs(record: Record, service: str = "") -> list[tuple[str, float, float]]:
    return [(leg.step.name, leg.seconds, leg.saves) for leg in path(record, goals(record, service))]


def test_the_path_is_what_the_end_waited_for_and_no_longer_branch_saves_more_than_the_other_leaves(told: Told) -> None:
    told.drill([
        node("a", "restored"), node("long", "restored", needs=["a"]), node("other", "restored", needs=["a"]),
        node("smoke x", "verified", "web", needs=["long", "other"]),
    ])  # fmt: skip
    told.step("a", 0.0, 10.0)
    told.step("long", 10.0, 110.0)
    told.step("other", 10.0, 80.0)
    told.step("smoke x", 110.0, 115.0)
    record = told.told()
    assert legs(record) == [("a", 10.0, 10.0), ("long", 100.0, 30.0), ("smoke x", 5.0, 5.0)]


def test_a_step_that_waited_for_a_free_hand_leads_to_what_held_it(told: Told) -> None:
    told.drill([node("a", "restored"), node("busy", "restored"), node("smoke x", "verified", needs=["a"])])
    told.step("a", 0.0, 5.0)
    told.step("busy", 0.0, 60.0)
    told.step("smoke x", 60.001, 65.0)
    assert [name for name, *_ in legs(told.told())] == ["busy", "smoke x"]


def test_a_service_has_a_path_of_its_own_and_an_unfinished_drill_none(told: Told) -> None:
    told.drill([node("restore db", "restored", "web"), node("restore archive", "restored"), node("smoke x", "verified", "web")])
    told.step("restore db", 0.0, 5.0)
    told.step("smoke x", 5.0, 6.0)
    told.write("step_started", step="restore archive")
    record = told.told()
    assert [name for name, *_ in legs(record, "web")] == ["smoke x"]
    assert legs(record) == []


def restored(told: Told, step: str, *names: str) -> Record:
    told.drill([node(step, "restored")])
    told.write("restore_point", repository="usb", url="/u", snapshot="ab", time="", host="pi", datasets=list(names))
    for number, name in enumerate(names, 1):
        told.write("restored", dataset=name, files=3, bytes=10**9 * number**3)
    told.step(step, 0.0, 600.0)
    return told.told()


def test_bulk_that_a_critical_service_waits_for_is_proposed_to_be_taken_out_of_it(told: Told) -> None:
    record = restored(told, "restore:usb", "state", "photos")
    step = replace(record.steps["restore:usb"], kind="restore", subject="usb")
    title, _, change = advice(record, Planned("plan.toml", PLAN), step)
    assert title.startswith("Take photos out of what critical services wait for")
    assert change
    assert (change.line, change.before, change.after) == (
        11,
        'uses = ["state", "photos"]  # it shows them',
        'uses = ["state"]  # it shows them',
    )


def test_a_dump_of_text_is_proposed_to_be_one_that_several_processes_load(told: Told) -> None:
    told.drill([node("load state", "restored")])
    told.step("load state", 0.0, 600.0)
    record = told.told()
    title, how, change = advice(record, Planned("plan.toml", PLAN), record.steps["load state"])
    assert (title, change) == ("Dump state in PostgreSQL's custom format", None)
    assert "`pg_dump -Fc`" in how


def test_steps_by_hand_of_a_runbook_that_was_followed_are_proposed_as_commands(tmp_path: Path) -> None:
    def pressed(event: Event) -> Event:
        return event | {"objectives": {"rto": 1100.0, "rpo": 3600.0}} if event["kind"] == "drill" else event

    stamp = {"t": 900.0, "at": ""}
    step = {**stamp, "kind": "followed", "step": "", "outcome": "done"}
    followed = [
        {**stamp, "kind": "runbook", "path": "my.md", "format": "md", "by": ""},
        {**step, "number": 4, "title": "Type the users in", "how": "by hand", "seconds": 240.0},
        {**step, "number": 5, "title": "Start it", "how": "typed", "seconds": 300.0},
    ]
    well = fold([*events(tmp_path / "margin"), *followed])
    assert proposals(well) == ()
    slow = fold([*map(pressed, events(tmp_path / "slow")), *followed])
    found = only(slow, "runbook:Type the users in")
    assert "fenced block" in found.how
    assert not [each for each in proposals(slow) if "Start it" in each.key]


def test_packages_that_take_long_are_proposed_to_be_on_the_card(tmp_path: Path) -> None:
    def slow(event: Event) -> Event:
        if event["kind"] == "carried":
            return event | {"what": "11 packages", "seconds": 700.0}
        return event

    found = only(record(tmp_path / "run", change=slow), "rto:11 packages")
    assert (found.figure, found.gain) == (700.0, 700.0)
