"""What counts as one restore point: a run by its name, or what was backed up at about one time where runs have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from muster.backups.restic import Snapshot
from muster.errors import RecoveryError
from muster.incidents.history import RestorePoint, restore_points
from muster.journal import Journal
from muster.plan import load
from muster.recovery import sources
from muster.steps.context import Recovering
from tests.fake.machine import NOW, FakeMachine, write_plan

MINUTE = timedelta(minutes=1)
MAIN, SECRETS = ("/etc/app", "/var/backups/rows", "/srv/media"), ("/etc/keys",)

Points = Callable[..., list[RestorePoint]]


def snapshot(identity: str, minutes: float, paths: tuple[str, ...] = MAIN, run: str = "", host: str = "tiny-pi") -> Snapshot:
    tags = (f"run={run}",) if run else ()
    return Snapshot(identity, NOW + minutes * MINUTE, host, paths, tags, 1, 100)


@pytest.fixture
def points(tmp_path: Path) -> Iterator[Points]:
    journal = Journal(tmp_path / "journal.jsonl")
    plan = load(write_plan(tmp_path))
    source = sources(plan)

    def find(usb: list[Snapshot], vault: list[Snapshot], until: float = 10_000) -> list[RestorePoint]:
        context = Recovering(plan, FakeMachine(), journal, ["usb", "vault"], NOW + until * MINUTE, source)
        context.listed = {"usb": usb, "vault": vault}
        return restore_points(context, ["rows"])

    yield find
    journal.close()


def ids(point: RestorePoint) -> dict[str, str]:
    return {name: snapshot.id for name, snapshot in point.snapshots.items()}


def test_a_run_is_one_restore_point_with_its_own_secrets(points: Points) -> None:
    found = points(
        [snapshot("b", 60, run="r2"), snapshot("a", 0, run="r1")],
        [snapshot("y", 61, SECRETS, "r2"), snapshot("x", 1, SECRETS, "r1")],
    )
    assert [ids(point) for point in found] == [
        {"etc": "a", "rows": "a", "media": "a", "keys": "x"},
        {"etc": "b", "rows": "b", "media": "b", "keys": "y"},
    ]


def test_a_run_without_secrets_takes_the_newest_that_were_there(points: Points) -> None:
    found = points(
        [snapshot("a", 0, run="r1"), snapshot("b", 60, run="r2"), snapshot("c", 120, run="r3")],
        [snapshot("x", 1, SECRETS, "r1"), snapshot("z", 121, SECRETS, "r3")],
    )
    assert [point.snapshots["keys"].id for point in found] == ["x", "x", "z"]


def test_runs_without_names_take_the_secrets_that_followed_at_once(points: Points) -> None:
    found = points(
        [snapshot("a", 0), snapshot("b", 1440), snapshot("c", 1450)],
        [snapshot("x", 2, SECRETS), snapshot("y", 1441, SECRETS), snapshot("z", 1452, SECRETS)],
    )
    assert [point.snapshots["keys"].id for point in found] == ["x", "y", "z"]


def test_datasets_in_snapshots_of_their_own_are_put_together(points: Points) -> None:
    found = points(
        [
            *(snapshot("a", 0, MAIN[:1]), snapshot("b", 1, MAIN[1:2]), snapshot("c", 2, MAIN[2:])),
            *(snapshot("d", 100, MAIN[:1]), snapshot("e", 101, MAIN[1:2]), snapshot("f", 102, MAIN[2:])),
        ],
        [snapshot("x", 0, SECRETS)],
    )
    assert [ids(point) for point in found] == [
        {"etc": "a", "rows": "b", "media": "c", "keys": "x"},
        {"etc": "d", "rows": "e", "media": "f", "keys": "x"},
    ]


def test_other_hosts_and_later_backups_are_no_restore_points(points: Points) -> None:
    usb = [snapshot("a", 0, run="r1"), snapshot("b", 5, run="r2", host="other-pi"), snapshot("c", 50, run="r3")]
    found = points(usb, [snapshot("x", 0, SECRETS, "r1")], until=20)
    assert [point.anchor.id for point in found] == ["a"]


@pytest.mark.parametrize(
    ("usb", "code"),
    [
        ([], "no-snapshot-of-host"),
        ([snapshot("a", 0, host="other-pi")], "no-snapshot-of-host"),
        ([snapshot("a", 60)], "no-snapshot"),
        ([snapshot("a", 0, MAIN[:1])], "dataset-not-in-backup"),
    ],
)
def test_a_history_without_restore_points_is_told_as_ever(points: Points, usb: list[Snapshot], code: str) -> None:
    with pytest.raises(RecoveryError) as caught:
        points(usb, [snapshot("x", 0, SECRETS)], until=20)
    assert caught.value.finding.code == code


def test_the_size_is_that_of_the_snapshots_that_are_asked(points: Points) -> None:
    (point,) = points([snapshot("a", 0, run="r1")], [snapshot("x", 0, SECRETS, "r1")])
    assert point.size(["rows"]) == point.size(["rows", "etc"]) == 100
    assert point.size(["rows", "keys"]) == 200
