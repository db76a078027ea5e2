"""A manifest is read as it was sealed, or refused in one sentence."""

from __future__ import annotations

import json

import pytest

from muster.backups.manifest import parse
from muster.errors import RecoveryError

GOOD = {"hostname": "pi", "sealed_at": "2026-03-01T09:00:00+00:00"}


def test_what_was_not_sealed_is_simply_not_there() -> None:
    manifest = parse(json.dumps(GOOD))
    assert (manifest.metrics, manifest.users, manifest.units.enabled) == ({}, {}, ())


def test_what_a_later_seal_says_more_is_left_alone() -> None:
    assert parse(json.dumps(GOOD | {"weather": "fine", "users": {"pi": {"uid": 1, "gid": 2, "shoe": 43}}})).users["pi"].gid == 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "the file"),
        ("{", "the file"),
        ("[]", "the file"),
        (json.dumps({"hostname": "pi"}), "sealed_at"),
        (json.dumps(GOOD | {"sealed_at": "yesterday"}), "sealed_at"),
        (json.dumps(GOOD | {"sealed_at": "2026-03-01T09:00:00"}), "sealed_at"),
        (json.dumps(GOOD | {"users": {"pi": {"uid": "x", "gid": 1}}}), "users.pi.uid"),
        (json.dumps(GOOD | {"metrics": {"rows": None}}), "metrics.rows"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, where: str) -> None:
    with pytest.raises(RecoveryError) as caught:
        parse(text)
    assert caught.value.finding.code == "manifest-unreadable"
    assert f"cannot be read: {where}: " in str(caught.value)
    assert "muster-seal" in str(caught.value)


def test_what_an_older_seal_did_not_say_is_empty_and_not_whole() -> None:
    manifest = parse(json.dumps(GOOD))
    assert (manifest.file_list, manifest.timer, manifest.mounts, manifest.services) == (None, None, {}, {})
    assert (manifest.uncovered, manifest.uncovered_is_whole) == ((), False)


def test_times_of_the_timer_are_moments() -> None:
    manifest = parse(json.dumps(GOOD | {"timer": {"unit": "b.timer", "last_trigger": "2026-03-01T09:00:00+00:00"}}))
    assert manifest.timer is not None
    assert (manifest.timer.last_trigger, manifest.timer.next_elapse) == (manifest.sealed_at, None)
