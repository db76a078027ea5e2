"""A year of monthly drills: the trend, the break, exactly the right proposals, and what following one of them did."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from muster.report.history import Run, history, record_of
from muster.report.index import write_index
from tests.data.year import after_following, year

if TYPE_CHECKING:
    from pathlib import Path

BLIND = ["undrilled", "unrestored"]
SLOW = ["rto:restore:usb/archive", "manual:Flash the SD card with Raspberry Pi OS Lite and boot the Pi"]
SLOW += ["rto:owners:usb/archive", "rto:smoke:archive", "manual:Fetch the USB disk and the sealed envelope with the passwords"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("year")
    year(folder)
    write_index(folder)
    after_following(folder)
    write_index(folder)
    return folder


@pytest.fixture(scope="module")
def runs(out: Path) -> list[Run]:
    """The oldest first."""
    found, skipped = history(out)
    assert not skipped
    return found[::-1]


def keys(run: Run) -> list[str]:
    return [one["key"] for one in run.figures["proposals"] if not one["effect"]]


def proposed(run: Run, key: str) -> dict[str, Any]:
    (found,) = [one for one in run.figures["proposals"] if one["key"] == key and not one["effect"]]
    return found


def test_every_run_says_that_it_is_replayed(runs: list[Run]) -> None:
    for run in runs:
        assert run.journal
        assert record_of(run.journal).notes[0].startswith("Replayed, not measured: this is the drill of 2026-11-23")


def test_the_rto_grows_from_run_to_run_and_the_failed_run_has_none(runs: list[Run]) -> None:
    rtos = [run.figures["rto"] for run in runs]
    assert rtos[8] is None
    measured = [rto for rto in rtos if rto is not None]
    assert 1000 < measured[0] < 1200
    assert 1700 < measured[-1] < 1800  # of 30 minutes
    assert measured[2:] == sorted(measured[2:])


def test_the_two_breaks_are_the_failed_run_and_the_one_that_missed_its_rpo(runs: list[Run]) -> None:
    assert [number for number, run in enumerate(runs) if run.figures["verdict"] != "recovered"] == [8, 11]
    assert runs[8].figures["findings"] == ["unit-failed"]
    assert set(runs[11].figures["findings"]) == {"rpo-missed"}


def test_nothing_is_proposed_while_there_is_margin_and_too_little_history_to_have_a_habit(runs: list[Run]) -> None:
    assert [keys(run) for run in runs[:2]] == [[], []]


def test_with_margin_only_that_is_proposed_which_was_never_tried(runs: list[Run]) -> None:
    assert [keys(run) for run in (*runs[2:4], runs[8])] == [BLIND] * 3


def test_months_before_an_rto_is_missed_it_is_told_when_with_what_would_shorten_what_grows(runs: list[Run]) -> None:
    assert [keys(run) for run in runs[4:8]] == [[SLOW[0], *BLIND]] * 4
    found = proposed(runs[7], SLOW[0])
    assert found["title"] == (
        "The RTO is missed in about 5 months (October 2026) as the data grows: "
        "bring back less of media, or from a faster disk (13.6 GB from usb)"
    )
    assert found["why"].startswith(
        "With this growth (media by 1.4 GB a month; the repository usb by 1.1 GB) the RTO of 30 min is missed"
    )
    assert (
        "By 8 drills since 2025-11-02: 6 min 49 s of 24 min 40 s follow the data (restored at 39.5 MB in a second)"
        in found["why"]
    )
    assert '+rto = "40m"' in found["instead"]


def test_the_months_that_are_told_hold_the_one_in_which_it_happens(runs: list[Run]) -> None:
    told = [forecast for run in runs for forecast in run.figures["forecast"]]
    assert len(told) == 8
    assert {each["service"] for each in told} == {""}  # what the archive does not hold up is not said to be late
    # With 60 s more a month, those 29 min 22 s of the first of November are 30 min in its course.
    assert all(each["earliest"][:7] <= "2026-11" <= each["latest"][:7] for each in told)


def test_the_steps_that_the_rto_waits_for_are_proposed_before_it_is_missed(runs: list[Run]) -> None:
    assert [keys(run) for run in runs[9:11]] == [[*SLOW, *BLIND]] * 2
    slowest = proposed(runs[10], SLOW[0])
    assert "it would be missed in 3 runs" in slowest["why"]
    assert slowest["figure"] > 420
    assert slowest["instead"].startswith("drills/plans/telemetry.toml:9\n-rto = ")


def test_the_missed_rpo_comes_first_with_the_changed_line_of_the_timer(runs: list[Run]) -> None:
    assert keys(runs[11]) == ["rpo:readings", *SLOW, *BLIND]
    found = proposed(runs[11], "rpo:readings")
    assert found["change"] == "telemetry-backup.timer\n-OnCalendar=*-*-* 00:00:00\n+OnCalendar=*:0/10"
    assert found["instead"] == 'drills/plans/telemetry.toml:79\n-rpo = "15m"\n+rpo = "1d3h"'
    assert found["why"].startswith("The RPO of readings was missed: 5 h 20 min, and 15 min are promised.")
    assert (found["figure"], found["aim"], found["unit"]) == (pytest.approx(19204, abs=1), 900.0, "s")


def test_a_proposal_that_was_followed_shows_its_effect_in_the_next_run(runs: list[Run]) -> None:
    (effect,) = [one for one in runs[12].figures["proposals"] if one["effect"]]
    since = runs[11].name
    assert effect["effect"] == f"Followed since {since}: the RPO of readings was 5 h 20 min and is 9 min 04 s: within 15 min."
    assert effect["became"] == "kept"
    assert effect["change"] == "-OnCalendar=*-*-* 00:00:00\n+OnCalendar=*-*-* *:00/10:00"
    assert "rpo:readings" not in keys(runs[12])


def test_proposals_that_nobody_followed_stand_with_how_long_they_have(runs: list[Run]) -> None:
    standing = proposed(runs[12], SLOW[0])
    assert (standing["since"], standing["runs"]) == (runs[4].name, 8)


def rto_told(folder: Path, runs: int) -> str:
    """The first picture of an index over the first runs of the year, with what stands below it."""
    for journal in year(folder)[runs:]:
        shutil.rmtree(journal.parent)
    return write_index(folder).read_text(encoding="utf-8").partition('<figure class="trend">')[2].partition("</figure>")[0]


def test_the_index_draws_how_the_rto_goes_on_and_says_the_same_in_words(tmp_path: Path) -> None:
    told = rto_told(tmp_path, 5)
    assert told.count('opacity="0.16"') == 1
    description = told.partition("<desc")[2].partition("</desc>")[0]
    assert "the RTO is missed in about 7 months (October 2026; between August and December 2026)" in description
    assert '<p class="coming">With this growth (media by 1.6 GB a month; the repository usb by 1.2 GB) the RTO of 30 min' in told
    assert "if the data goes on growing, with its range</li>" in told


def test_an_index_over_runs_that_foresee_nothing_draws_and_says_nothing(tmp_path: Path) -> None:
    told = rto_told(tmp_path, 4)
    assert "<svg" in told
    assert not [word for word in ("opacity", "coming", "goes on growing", "is missed") if word in told]


def test_the_index_tells_of_the_effect_and_of_what_still_stands(out: Path) -> None:
    html = (out / "index.html").read_text(encoding="utf-8")
    assert "the RPO of readings was 5 h 20 min and is 9 min 04 s: within 15 min." in html
    assert "bring back less of media, or from a faster disk" in html
