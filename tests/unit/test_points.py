"""The restore point is of this host, from before the loss, and the one that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest

from muster.backups.points import choose, moment, named
from muster.backups.restic import Snapshot
from muster.errors import RecoveryError
from muster.plan import Dataset

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ETC = Dataset.model_validate({"class": "config", "paths": ["/etc/app"]})
MEDIA = Dataset.model_validate({"class": "data", "paths": ["/srv/media"]})


def snapshot(identity: str, hours: float, *paths: str, host: str = "pi", run: str = "") -> Snapshot:
    tags = (f"run={run}",) if run else ()
    return Snapshot(identity, NOON + timedelta(hours=hours), host, paths or ("/etc/app", "/srv/media"), tags)


def chosen(*snapshots: Snapshot, until: datetime = NOON, pinned: Snapshot | None = None, **datasets: Dataset) -> dict[str, str]:
    found = choose(snapshots, datasets or {"etc": ETC}, repository="usb", host="pi", until=until, pinned=pinned)
    return {name: entry.id for name, entry in found.items()}


def refusal(*snapshots: Snapshot, until: datetime = NOON, pinned: Snapshot | None = None) -> tuple[str, str]:
    with pytest.raises(RecoveryError) as caught:
        chosen(*snapshots, until=until, pinned=pinned)
    return caught.value.finding.code, str(caught.value)


def test_the_newest_before_the_loss_is_chosen_in_whatever_order_they_are_listed() -> None:
    assert chosen(snapshot("b", -1), snapshot("a", -2), snapshot("late", 1), snapshot("c", -3)) == {"etc": "b"}


def test_one_made_at_the_moment_of_the_loss_counts() -> None:
    assert chosen(snapshot("a", 0)) == {"etc": "a"}


def test_another_host_never_counts_however_new() -> None:
    assert chosen(snapshot("a", -2), snapshot("b", -1, host="nas")) == {"etc": "a"}


def test_times_of_other_zones_are_compared_as_moments() -> None:
    assert chosen(snapshot("a", -1), until=datetime.fromisoformat("2026-03-01T13:00:00+02:00")) == {"etc": "a"}


def test_each_dataset_gets_the_newest_snapshot_that_holds_it() -> None:
    found = chosen(snapshot("a", -3), snapshot("b", -1, "/etc/app"), etc=ETC, media=MEDIA)
    assert found == {"etc": "b", "media": "a"}


@pytest.mark.parametrize(("paths", "holds"), [
    (("/",), True), (("/etc",), True), (("/etc/app/conf.d",), True), (("/etc/apparmor",), False), (("/etc/ap",), False)
])  # fmt: skip
def test_a_snapshot_holds_a_dataset_whose_paths_are_its_own_or_within(paths: tuple[str, ...], holds: bool) -> None:  # noqa: FBT001
    if holds:
        assert chosen(snapshot("a", -1, *paths)) == {"etc": "a"}
    else:
        assert refusal(snapshot("a", -1, *paths))[0] == "dataset-not-in-backup"


def test_a_repository_without_this_host_says_whose_it_is() -> None:
    assert refusal(snapshot("a", -1, host="nas"), snapshot("b", -1, host="zoo")) == (
        "no-snapshot-of-host",
        (
            "usb has no snapshot of pi; it has those of nas, zoo. Check `hostname` in the plan, and "
            "that this Pi's backup really goes to this repository."
        ),
    )
    assert "it has none at all" in refusal()[1]


def test_nothing_from_before_the_loss_is_no_restore_point() -> None:
    code, sentence = refusal(snapshot("a", 1))
    assert code == "no-snapshot"
    assert "no snapshot of pi from before 2026-03-01 12:00:00 UTC" in sentence


def test_the_one_that_was_asked_for_is_taken_even_if_there_are_newer_ones() -> None:
    pinned = snapshot("a", -3)
    assert chosen(snapshot("b", -1), pinned, pinned=pinned) == {"etc": "a"}


def test_the_one_that_was_asked_for_is_taken_even_if_its_run_made_another() -> None:
    pinned = snapshot("a", -3, run="r1")
    assert chosen(snapshot("b", -2.9, run="r1"), pinned, pinned=pinned) == {"etc": "a"}


def test_in_another_repository_it_stands_for_those_of_its_run() -> None:
    pinned = snapshot("a", -3, run="r3")
    others = [snapshot("x", -4, run="r2"), snapshot("y", -2.9, run="r3"), snapshot("z", -1, run="r4")]
    assert chosen(*others, pinned=pinned) == {"etc": "y"}


@pytest.mark.parametrize("run", ["", "r9"])
def test_without_its_run_it_stands_for_what_was_there_when_it_was_made(run: str) -> None:
    pinned = snapshot("a", -3, run=run)
    assert chosen(snapshot("x", -4), snapshot("y", -2, run="r1"), pinned=pinned) == {"etc": "x"}


def test_one_of_another_host_is_refused_and_not_replaced_by_another() -> None:
    pinned = snapshot("abcdef0123", -3, host="nas")
    code, sentence = refusal(snapshot("x", -4), pinned=pinned)
    assert code == "no-snapshot"
    assert sentence.startswith("Snapshot abcdef01 is of nas, not of pi.")


def test_a_snapshot_is_found_by_the_beginning_of_its_id() -> None:
    assert named([snapshot("abcdef", 0), snapshot("abc123", 0)], "abcd").id == "abcdef"


def test_the_same_snapshot_listed_twice_is_one() -> None:
    assert named([snapshot("abcdef", 0), snapshot("abcdef", 0)], "ab").id == "abcdef"


@pytest.mark.parametrize(("identity", "begins"), [("ffff", "No snapshot"), ("abc", "More than one snapshot")])
def test_an_id_that_is_none_or_several_is_one_sentence(identity: str, begins: str) -> None:
    with pytest.raises(RecoveryError, match=f"^{begins} has an id that begins with {identity}."):
        named([snapshot("abcdef", 0), snapshot("abc123", 0)], identity)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01 12:00", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01", NOON - timedelta(hours=12)),
        ("20260301", None),
        ("latest", None),
        ("abcdef", None),
        ("2026-13-01", None),
    ],
)
def test_a_time_is_told_from_an_id(text: str, expected: datetime | None) -> None:
    assert moment(text) == expected


def test_a_path_is_never_compared_as_text() -> None:
    assert not PurePosixPath("/etc/apparmor").is_relative_to("/etc/app")
