"""How old a copy may be: by the plan, by the timer that was sealed, by the timer's file, or nothing says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.manifest import Timer
from muster.inspection import rhythm
from muster.inspection.rhythm import Rhythm
from tests.fake import machine as fake
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW

HOURS = "".join(f"   Iteration #{hour}: Mon 2026-11-23 {hour:02}:00:00 UTC\n" for hour in range(1, 6))
DAYS = (
    "    Next elapse: Fri 2026-11-20 03:00:00 UTC\n   Iter. #2: Mon 2026-11-23 03:00:00 UTC\n"
    "   Iter. #3: Tue 2026-11-24 03:00:00 UTC\n"
)


@pytest.fixture(autouse=True)
def manifest_in_the_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fake._FILES, "/var/lib/muster/manifest.json", ("file", 0o600, 300))


def _scheduled(text: str, more: str = "") -> str:
    return f'{text}\n[schedule]\ntimer = "tiny.timer"\n{more}'


def _sealed(**facts: object) -> dict[str, tuple[int, str]]:
    timer = {"unit": "tiny.timer", "calendars": ["hourly"]} | facts
    return {
        r"cat .*manifest.json": (0, json.dumps(fake._MANIFEST | {"timer": timer})),
        "systemd-analyze calendar": (0, HOURS),
        "systemd-analyze timespan": (0, "Original: 30min\n      μs: 1800000000\n   Human: 30min\n"),
    }


def test_moments_are_read_from_what_both_releases_of_systemd_say() -> None:
    assert len(rhythm.elapses(HOURS)) == 5
    assert rhythm.elapses(DAYS)[0] == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert rhythm.elapses("    Next elapse: never\n") == []


def test_a_timer_of_working_days_may_rest_over_a_weekend() -> None:
    assert rhythm.longest_gap([rhythm.elapses(DAYS)]) == timedelta(days=3)


def test_two_calendars_fill_each_others_gaps_as_far_as_both_are_known() -> None:
    moments = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(24)]
    assert rhythm.longest_gap([moments[0:20:4], moments[2:20:4]]) == timedelta(hours=2)
    assert rhythm.longest_gap([moments[0:8:2], []]) == timedelta(hours=2)
    assert rhythm.longest_gap([moments[:1]]) is None
    assert rhythm.longest_gap([]) is None


def test_a_file_of_a_timer_says_what_its_drop_ins_leave_of_it() -> None:
    unit = (
        "[Unit]\nOnCalendar=never-this\n[Timer]\nOnCalendar=daily\n# OnCalendar=weekly\nRandomizedDelaySec=1h\nOnBootSec=5min\n"
    )
    assert rhythm.of_units([unit]) == Rhythm(("daily",), (), "1h")
    assert rhythm.of_units([unit, "[Timer]\nOnCalendar=\nOnUnitActiveSec = 30min\n"]) == Rhythm((), ("30min",), "1h")
    assert not rhythm.of_units([])


def test_a_sealed_timer_has_its_spans_and_its_delay() -> None:
    timer = Timer(unit="tiny.timer", monotonic=("OnBootSec=5min", "OnUnitActiveSec=1d"), randomized_delay_s=90)
    assert rhythm.of_timer(timer) == Rhythm((), ("1d",), "90.0s")


def test_two_backups_are_no_rhythm_yet() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    assert rhythm.usual_gap([day, day + timedelta(days=1)]) is None
    assert rhythm.usual_gap([day, day + timedelta(days=1), day + timedelta(days=8)]) == timedelta(days=7)


def test_a_copy_within_the_plans_window_is_fresh(tmp_path: Path) -> None:
    record = inspected(tmp_path, change=lambda text: _scheduled(text, 'window = "26h"'))
    assert not of(record, "copy-stale", "window-unknown")
    assert any("at the most 1d2h" in one.what for one in record.looked)


def test_each_copy_that_is_too_old_is_named(tmp_path: Path) -> None:
    later = NOW + timedelta(hours=27)
    record = inspected(tmp_path, change=lambda text: _scheduled(text, 'window = "26h"'), as_of=later)
    stale = of(record, "copy-stale")
    assert {finding.where for finding in stale} == {"usb/etc", "usb/rows", "usb/media", "vault/keys"}
    assert "by the plan's window" in stale[0].what


def test_a_repository_that_is_copied_to_once_a_week_has_a_window_of_its_own(tmp_path: Path) -> None:
    def weekly(text: str) -> str:
        return _scheduled(text, 'window = "26h"').replace("[repositories.vault]", '[repositories.vault]\nwindow = "8d"')

    record = inspected(tmp_path, change=weekly, as_of=NOW + timedelta(days=7))
    assert {finding.where for finding in of(record, "copy-stale")} == {"usb/etc", "usb/rows", "usb/media"}
    record = inspected(tmp_path, change=weekly, as_of=NOW + timedelta(days=9))
    [vault] = [finding for finding in of(record, "copy-stale") if finding.where == "vault/keys"]
    assert "by the window of vault" in vault.what


def test_where_cron_starts_the_backup_a_window_without_a_timer_will_do(tmp_path: Path) -> None:
    def by_cron(text: str) -> str:
        return f'{text}\n[schedule]\nwindow = "26h"\n'

    record = inspected(tmp_path, change=by_cron)
    assert not of(record, "copy-stale", "window-unknown", "timer-unknown", "timer-missing")
    assert {finding.severity for finding in of(record, "no-schedule")} == {"warning"}
    assert len(of(inspected(tmp_path, change=by_cron, as_of=NOW + timedelta(hours=27)), "copy-stale")) == 4


def test_the_window_follows_from_the_timer_that_was_sealed(tmp_path: Path) -> None:
    record = inspected(tmp_path, _sealed(), change=_scheduled, as_of=NOW + timedelta(minutes=110))
    assert any("2h" in one.what for one in record.looked if one.check == "freshness")
    assert not of(record, "copy-stale", "window-unknown")
    record = inspected(tmp_path, _sealed(), change=_scheduled, as_of=NOW + timedelta(minutes=130))
    assert len(of(record, "copy-stale")) == 4


def test_what_the_timer_may_delay_is_part_of_the_window(tmp_path: Path) -> None:
    record = inspected(tmp_path, _sealed(randomized_delay_s=1800), change=_scheduled, as_of=NOW + timedelta(minutes=140))
    assert not of(record, "copy-stale", "window-unknown")


def test_a_sealed_timer_of_another_name_says_nothing(tmp_path: Path) -> None:
    record = inspected(tmp_path, _sealed(unit="other.timer"), change=_scheduled)
    assert {finding.severity for finding in of(record, "window-unknown")} == {"unproven"}


def test_without_a_manifest_the_timers_file_tells_and_is_weaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = "/etc/systemd/system/tiny.timer"
    monkeypatch.setitem(fake._FILES, unit, ("file", 0o644, 30))
    answers = {
        "tiny.timer": (0, "[Timer]\nOnCalendar=hourly\n"),
        "systemd-analyze calendar": (0, HOURS),
        "manifest.json": (1, "no such file"),
    }
    record = inspected(tmp_path, answers, change=_scheduled)
    assert not of(record, "window-unknown", "copy-stale")
    assert all("no manifest" in one.weaker for one in record.looked if one.check == "freshness")


def test_nothing_that_tells_how_old_a_copy_may_be_is_not_proven(tmp_path: Path) -> None:
    record = inspected(tmp_path)
    assert {finding.severity for finding in of(record, "window-unknown")} == {"unproven"}
    assert len(of(record, "window-unknown")) == 4


def test_a_dataset_that_no_snapshot_holds_is_named_and_was_looked_for(tmp_path: Path) -> None:
    record = inspected(tmp_path, change=lambda text: text.replace('"/srv/media"', '"/srv/other"'))
    assert "usb/media" in {finding.where for finding in of(record, "dataset-not-in-backup")}
    assert any("none of which holds it" in one.what for one in record.looked if one.subject == "usb/media")
