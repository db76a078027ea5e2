"""An incident that was made in a copy is known: when the Pi broke, and which restore point is right."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muster.backups.restic import Snapshot
from muster.errors import RecoveryError
from muster.faults.bed import Copied
from muster.faults.rehearsal import INTERVAL, Rehearsed, rehearse
from muster.faults.workshop import _known
from muster.incidents import Incident, incident, rehearsal
from muster.journal import Journal
from muster.plan import Plan, load
from muster.recovery import sources
from muster.steps.context import Recovering
from tests.fake.machine import FakeMachine, write_plan

BROKEN = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWN = """
[invariants.rows]
dataset = "rows"
run = "count-wrong-rows"

[incidents.drift]
class = "corruption"
breaks = "falsify"
runs = 3
"""


def plan(folder: Path) -> Plan:
    path = write_plan(folder)
    path.write_text(path.read_text() + OWN)
    return load(path)


@dataclass
class ABed:
    """A bed that writes down what is done to it."""

    whole: Plan
    folders: Mapping[str, Path]
    left_out: tuple[str, ...] = ()
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return self.whole

    @property
    def copied(self) -> Copied:
        return Copied({}, self.folders, BROKEN, left_out=self.left_out)

    def run_at(self, after: timedelta) -> datetime:
        return BROKEN + after - INTERVAL

    def back_up_again(self, do: str, **how: Any) -> None:  # noqa: ANN401  # as a bed takes it
        self.runs.append({"do": do, **how})

    def files(self, repository: str) -> Path:
        return self.folders[repository]


def made(bed: ABed, **words: Any) -> Rehearsed:  # noqa: ANN401  # what describes an incident
    return rehearse(bed, incident(bed.whole, "drift", lost_at=BROKEN, **words))  # type: ignore[arg-type]  # as good as a bed


class TestMakingIt:
    @pytest.fixture
    def bed(self, tmp_path: Path) -> ABed:
        whole = plan(tmp_path)
        folders = {name: tmp_path / "copy" / name for name in whole.repositories}
        for folder in folders.values():
            (folder / "data").mkdir(parents=True)
            (folder / "data" / "pack").write_text("bytes")
            (folder / "config").write_text("bytes")
        return ABed(whole, folders)

    def test_the_broken_pi_backs_itself_up_as_often_as_the_plan_says(self, bed: ABed) -> None:
        made(bed)
        assert [run["do"] for run in bed.runs] == ["falsify"] * 3
        assert [run["after"] for run in bed.runs] == [INTERVAL, 2 * INTERVAL, 3 * INTERVAL]

    def test_what_is_lost_gets_no_backups_and_is_empty_and_the_rest_is_as_it_was(self, bed: ABed) -> None:
        made(bed, lost=["usb"])
        assert [run["to"] for run in bed.runs] == [["vault"]] * 3
        assert list(bed.folders["usb"].iterdir()) == []
        assert sorted(path.name for path in bed.folders["vault"].iterdir()) == ["config", "data"]

    def test_the_loss_is_after_the_last_backup_and_however_many_there_are_the_data_grows_little_older(self, bed: ABed) -> None:
        facts = made(bed, runs=100).facts
        assert facts["broken_at"] == BROKEN
        assert facts["lost_at"] > BROKEN + 99 * INTERVAL
        assert facts["lost_at"] - BROKEN < timedelta(minutes=5)

    def test_the_first_sign_of_a_compromise_is_between_the_last_good_backup_and_the_first_broken_one(self, bed: ABed) -> None:
        facts = made(bed, class_="compromise").facts
        assert BROKEN - INTERVAL < facts["first_sign"] < facts["broken_at"]

    def test_a_first_sign_of_its_own_is_kept_and_other_classes_have_none(self, bed: ABed) -> None:
        sign = BROKEN - timedelta(days=1)
        assert made(bed, class_="compromise", first_sign=sign).facts["first_sign"] == sign
        assert "first_sign" not in made(bed).facts


def test_what_breaks_the_pi_finds_the_newest_dump_of_each_dataset_that_has_dumps(tmp_path: Path) -> None:
    pattern = tmp_path / "rows-*"
    for name in ("rows-1", "rows-2"):
        (tmp_path / name).write_text(name)
    whole = plan(tmp_path)
    dumped = whole.data["rows"].model_copy(update={"dumps": str(pattern)})
    of = whole.model_copy(update={"data": {**whole.data, "rows": dumped}})
    script = f'{_known(of, BROKEN)}echo "$AT $MANIFEST $DUMP_ROWS ${{DUMP_ETC-none}}"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert said == [f"{BROKEN.timestamp():.0f}", "/var/lib/muster/manifest.json", str(tmp_path / "rows-2"), "none"]


def snapshot(minutes: float, path: str, name: str) -> Snapshot:
    return Snapshot(name * 16, BROKEN + timedelta(minutes=minutes), "tiny-pi", (path, "/etc/app", "/srv/media"))


class TestHoldingIt:
    @pytest.fixture
    def context(self, tmp_path: Path) -> Recovering:
        whole = plan(tmp_path)
        source = sources(whole)
        journal = Journal(tmp_path / "journal.jsonl")
        context = Recovering(whole, FakeMachine(), journal, list(set(source.values())), BROKEN, source)
        for repository, path in (("usb", "/var/backups/rows"), ("vault", "/etc/keys")):
            times = {"a": -20, "b": -10, "c": 1, "d": 2}
            context.listed[repository] = [snapshot(minutes, path, name) for name, minutes in times.items()]
        return context

    def hold(self, context: Recovering, chosen: Mapping[str, str] | str, **words: Any) -> None:  # noqa: ANN401  # of an incident
        letters = dict.fromkeys(context.plan.data, chosen) if isinstance(chosen, str) else chosen
        for name, letter in letters.items():
            context.points[name] = next(one for one in context.listed[context.sources[name]] if one.id[0] == letter)
        of = incident(context.plan, "drift", lost_at=BROKEN, broken_at=BROKEN, **words)
        rehearsal.hold(context, of)

    def test_the_newest_from_before_it_is_right(self, context: Recovering) -> None:
        self.hold(context, "b")
        assert context.journal.events == []

    @pytest.mark.parametrize("wrong", ["a", "c", "d"])
    def test_any_other_is_a_finding_that_names_both(self, context: Recovering, wrong: str) -> None:
        with pytest.raises(RecoveryError) as caught:
            self.hold(context, wrong)
        finding = caught.value.finding
        assert (finding.code, finding.severity) == ("wrong-restore-point", "error")
        assert f"snapshot {wrong * 8}" in finding.what
        assert "the right one is snapshot bbbbbbbb of 2026-11-23 11:50:00 UTC" in finding.what

    def test_one_dataset_from_another_is_named(self, context: Recovering) -> None:
        with pytest.raises(RecoveryError) as caught:
            self.hold(context, dict.fromkeys(context.plan.data, "b") | {"rows": "c"})
        assert caught.value.finding.where == "rows"

    def test_what_is_not_asked_about_may_be_newer_where_newer_is_wanted(self, context: Recovering) -> None:
        newer = dict.fromkeys(context.plan.data, "d") | {"rows": "b"}
        self.hold(context, newer, merge=True)
        with pytest.raises(RecoveryError):
            self.hold(context, newer)
        with pytest.raises(RecoveryError):
            self.hold(context, newer | {"rows": "d"}, merge=True)

    def test_where_the_latest_is_wanted_or_one_was_named_nothing_is_held(self, context: Recovering) -> None:
        self.hold(context, "d", class_="disk-loss", restore="latest")
        self.hold(context, "a", wanted="aaaa")

    def test_what_the_copy_lacks_is_said(self, context: Recovering) -> None:
        self.hold(context, "b", left_out=("media",))
        (event,) = context.journal.events
        assert (event["code"], event["severity"]) == ("rehearsed-in-part", "warning")
        assert "lacks media" in event["what"]


def test_only_an_incident_that_was_made_is_held(tmp_path: Path) -> None:
    whole = plan(tmp_path)
    of = Incident("drift", BROKEN)
    assert list(rehearsal.steps(whole, of, {})) == []
    (step,) = rehearsal.steps(whole, replace(of, broken_at=BROKEN), {})
    assert (step.needs, step.rows, step.milestone) == (("choose",), ("restore-point:",), "configured")
