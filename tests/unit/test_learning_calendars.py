"""What the calendar of a timer is taken for, and which one is proposed."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime
from itertools import pairwise

import pytest

from muster.report.learning.calendars import CALENDARS, longest_within, pause

HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("calendar", "seconds"),
    [
        ("*-*-* *:00/10:00", 600.0),
        ("*:0/10", 600.0),
        ("*:0/7", 420.0),
        ("*:5,35", 1800.0),
        ("*:0,10", 50 * 60.0),
        ("hourly", HOUR),
        ("0/6:00", 6 * HOUR),
        ("*-*-* 00:00:00", DAY),
        ("*-*-* 03:17:00 UTC", DAY),
        ("8..18:0", 14 * HOUR),
        ("daily", DAY),
        ("weekly", 7 * DAY),
        ("Mon *-*-* 00:00:00", 7 * DAY),
        ("Mon..Fri *-*-* 02:00:00", 3 * DAY),
        ("Mon,Thu *-*-* 02:00:00", 4 * DAY),
        ("monthly", 31 * DAY),
    ],
)
def test_the_longest_pause_of_a_calendar_is_known(calendar: str, seconds: float) -> None:
    assert pause([calendar]) == seconds


def test_several_calendars_pause_as_long_as_all_of_them_together() -> None:
    assert pause(["*-*-* 00:00:00", "*-*-* 06:00:00"]) == 18 * HOUR


@pytest.mark.parametrize(
    "calendar", ["*-*-01 00:00:00", "2026-01-01", "nonsense", "", "*:0/0", "Xyz 00:00", "25:00", "00:00:00~3"]
)
def test_a_calendar_that_is_not_understood_is_not_guessed(calendar: str) -> None:
    assert pause([calendar]) is None
    assert pause(["*:0/10", calendar]) is None


def test_a_span_counts_and_the_boot_does_not() -> None:
    assert pause([], ["OnUnitActiveSec=1h 30min", "OnBootSec=5min"]) == 1.5 * HOUR
    assert pause([], ["OnBootSec=5min"]) is None
    assert pause(["daily"], ["OnUnitActiveSec=6h"]) == 6 * HOUR


@pytest.mark.parametrize(
    ("seconds", "calendar"),
    [(59, None), (60, "*:0/1"), (655, "*:0/10"), (719, "*:0/10"), (2820, "*:0/30"), (HOUR, "hourly"), (5.9 * HOUR, "0/4:00")],
)
def test_the_longest_calendar_that_will_do_is_proposed(seconds: float, calendar: str | None) -> None:
    found = longest_within(seconds)
    assert (found[1] if found else None) == calendar


def test_every_calendar_that_is_proposed_is_understood_in_the_same_way() -> None:
    assert {calendar: pause([calendar]) for _, calendar in CALENDARS} == {calendar: seconds for seconds, calendar in CALENDARS}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_agrees_about_every_calendar_that_is_proposed() -> None:
    for seconds, calendar in CALENDARS:
        asked = ["systemd-analyze", "calendar", "--base-time=2026-03-01 00:00:00 UTC", "--iterations=30", calendar]
        said = subprocess.run(
            asked, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}
        ).stdout
        times = [datetime.fromisoformat(found) for found in re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= UTC)", said)]
        gaps = {(after - before).total_seconds() for before, after in pairwise(times)} - {0.0}
        assert gaps == {seconds}, calendar
