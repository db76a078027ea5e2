"""Which part of a repository's data is read each day, and what a check that ends badly means."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from muster.facts import PacksRead
from muster.inspection.integrity import Rota, unread
from tests.fake.inspecting import inspected, of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
BROKEN = '{"message_type":"error","message":"pack 12ab: does not exist\\n"}'


def _read(part: int, days_ago: float, parts: int = 30) -> PacksRead:
    return PacksRead("usb", part, parts, (NOW - timedelta(days=days_ago)).isoformat())


def test_a_month_of_days_reads_everything() -> None:
    read: list[PacksRead] = []
    for day in range(30):
        now = NOW + timedelta(days=day)
        part = Rota.of(MONTH, read).order(now)[0]
        read.append(PacksRead("usb", part, 30, now.isoformat()))
    assert {entry.part for entry in read} == set(range(1, 31))


def test_days_that_remember_nothing_read_everything_too() -> None:
    parts = {Rota.of(MONTH, ()).order(NOW + timedelta(days=day))[0] for day in range(30)}
    assert parts == set(range(1, 31))


def test_what_was_read_longest_ago_comes_first() -> None:
    read = [_read(part, 30 - part) for part in range(1, 31)]
    assert Rota.of(MONTH, read).order(NOW)[:2] == [1, 2]


def test_more_days_than_restic_can_tell_parts_apart_make_no_more_parts() -> None:
    assert Rota.of(timedelta(days=700), ()).parts == 256
    assert Rota.of(timedelta(hours=3), ()).parts == 1


def test_what_was_read_counts_after_the_plan_asked_for_other_parts() -> None:
    read = [_read(part, 1, parts=4) for part in (1, 2, 3, 4)]
    assert Rota.of(timedelta(days=7), read).last_read(5) == NOW - timedelta(days=1)
    assert Rota.of(timedelta(days=7), read[:3]).last_read(5) is None


def test_nothing_is_overdue_before_anybody_had_time_to_read_it() -> None:
    assert Rota.of(MONTH, [_read(1, 29)]).overdue(NOW) == []
    assert unread(Rota.of(MONTH, [_read(1, 29)]), "usb", NOW) == []


def test_what_nobody_read_in_time_is_a_warning() -> None:
    rota = Rota.of(MONTH, [_read(part, 31) for part in range(1, 16)] + [_read(part, 3) for part in range(3, 30)])
    assert set(rota.overdue(NOW)) == {1, 2, 30}
    [finding] = unread(rota, "usb", NOW)
    assert (finding.code, finding.severity) == ("packs-unread", "warning")
    assert "3 of 30" in finding.what


def test_a_sound_repository_is_left_alone_and_its_part_remembered(tmp_path: Path) -> None:
    record = inspected(tmp_path)
    assert not of(record, "repository-damaged", "packs-unread")
    assert {(entry.repository, entry.parts) for entry in record.packs_read} == {("usb", 30), ("vault", 30)}


def test_what_is_overdue_is_caught_up_with_while_there_is_time(tmp_path: Path) -> None:
    ages = {1: 40, 2: 40, 3: 40}
    now = datetime.now(UTC)
    read = [PacksRead("usb", part, 30, (now - timedelta(days=ages.get(part, 2))).isoformat()) for part in range(1, 31)]
    record = inspected(tmp_path, read_before={"usb": read})
    assert [entry.part for entry in record.packs_read if entry.repository == "usb"] == [1, 2, 3]


def test_damage_is_told_with_what_restic_says_first(tmp_path: Path) -> None:
    record = inspected(tmp_path, {r"usb.* check ": (1, BROKEN)})
    [finding] = of(record, "repository-damaged")
    assert finding.where == "usb"
    assert "pack 12ab: does not exist" in finding.what
    assert record.verdict == "failed"


def test_a_part_that_was_not_read_to_its_end_is_not_remembered(tmp_path: Path) -> None:
    record = inspected(tmp_path, {r"usb.* check ": (1, BROKEN)})
    assert {entry.repository for entry in record.packs_read} == {"vault"}


def test_a_part_that_was_read_and_found_damaged_is_remembered(tmp_path: Path) -> None:
    summary = json.dumps({"message_type": "summary", "num_errors": 1, "broken_packs": ["12ab"]})
    record = inspected(tmp_path, {r"usb.* check ": (1, summary)})
    assert {entry.repository for entry in record.packs_read} == {"usb", "vault"}


def test_too_little_time_for_a_part_is_not_proven(tmp_path: Path) -> None:
    record = inspected(tmp_path, {r"usb.* check --read-data": (None, "")})
    [finding] = of(record, "packs-unread")
    assert finding.severity == "unproven"
    assert record.steps["integrity:usb"].outcome == "error"


def test_a_repository_that_went_away_is_not_proven(tmp_path: Path) -> None:
    record = inspected(tmp_path, {r"usb.* check": (1, "connect: Connection refused")})
    assert [finding.severity for finding in of(record, "repository-unreachable")] == ["unproven"]


def test_files_that_may_not_be_read_are_not_proven(tmp_path: Path) -> None:
    record = inspected(tmp_path, {r"usb.* check": (1, "open data/12/12ab: permission denied")})
    assert [finding.severity for finding in of(record, "repository-unreadable")] == ["unproven"]


def test_old_locks_are_mentioned_and_no_finding(tmp_path: Path) -> None:
    lock = tmp_path / "plans" / "usb" / "locks" / "1234"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    record = inspected(tmp_path)
    assert any("1 lock older than a day" in looked.what for looked in record.looked)
    assert not of(record, "repository-locked")
