"""Forecasts are made from evidence alone: silent where nothing grows, where it jumps or is noise; else right about the month."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from muster.report import kept
from muster.report.learning import foresee, proposals
from muster.report.learning.forecast import MONTH, Forecast
from muster.report.learning.growth import DAY, growth
from muster.report.learning.line import slope
from tests.data.learning import BEGAN, Event, figures, record
from tests.data.replay import Month

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from muster.record import Record
    from muster.report.learning import Figures

GB = 1e9
WEEK = 7 * DAY


def sized(amounts: Sequence[float], every: float = 2 * WEEK) -> list[dict[str, Any]]:
    """Figures that have but a moment and an amount, the oldest first."""
    ats = (BEGAN + timedelta(seconds=number * every) for number in range(len(amounts)))
    return [{"started_at": at.isoformat(), "amount": amount} for at, amount in zip(ats, amounts, strict=True)]


def monthly(runs: Sequence[Figures]) -> float | None:
    found = growth(runs, lambda run: run["amount"])
    return found and found.each.middle * MONTH


def noisy(amounts: Sequence[float], chance: Random, by: float) -> list[float]:
    return [amount * (1 + chance.uniform(-by, by)) for amount in amounts]


def test_a_line_is_not_bent_by_a_stray_point() -> None:
    found = slope([(0, 0), (1, 2), (2, 4), (3, 90), (4, 8), (5, 10), (6, 12)])
    assert found
    assert found.middle == pytest.approx(2)
    assert slope([(1, 1), (1, 2), (2, 3)]) is None


def test_growth_is_told_with_what_it_is_from() -> None:
    runs = sized([10 * GB + number * GB for number in range(8)], MONTH)
    found = growth(runs, lambda run: run["amount"])
    assert found
    assert found.each.middle * MONTH == pytest.approx(GB)
    assert (found.now, found.drills, found.since) == (17 * GB, 8, runs[0]["started_at"])


@pytest.mark.parametrize(
    "amounts",
    [
        [10 * GB] * 12,
        [(20 - number) * GB for number in range(12)],
        [(10 + 0.02 * number) * GB for number in range(12)],
        [(10 + number) * GB for number in range(4)],
        [10 * GB] * 6 + [50 * GB] * 6,
        [(10 + 0.01 * number + (40 if number > 7 else 0)) * GB for number in range(12)],
        [10 * GB, 11 * GB, 12 * GB, 13 * GB, 14 * GB, 15 * GB, 40 * GB, 41 * GB, 42 * GB],
        [(10 + min(number, 6)) * GB for number in range(12)],
    ],
    ids=["flat", "shrinking", "hardly", "short", "jump", "jump-between", "jump-of-late", "at-rest"],
)
def test_what_is_no_growth_is_none(amounts: list[float]) -> None:
    assert monthly(sized(amounts)) is None


def test_many_drills_of_a_few_days_say_nothing_of_months() -> None:
    assert monthly(sized([(10 + 0.1 * number) * GB for number in range(60)], DAY / 4)) is None


def test_growth_goes_on_being_told_once_there_are_enough_drills_after_a_jump() -> None:
    amounts = [10.0 * GB] * 5 + [(50 + number) * GB for number in range(7)]
    assert monthly(sized(amounts, MONTH)) == pytest.approx(GB)


def test_an_archive_that_is_filled_once_a_quarter_grows() -> None:
    found = monthly(sized([(10 + 2 * (number // 3)) * GB for number in range(16)], MONTH))
    assert found == pytest.approx(2 / 3 * GB, rel=0.2)


def test_noise_alone_is_hardly_ever_taken_for_growth() -> None:
    chance = Random(7)  # noqa: S311  # the same noise each time
    cried = sum(monthly(sized(noisy([10 * GB] * chance.randint(5, 24), chance, 0.1))) is not None for _ in range(400))
    assert cried <= 4


def test_growth_through_noise_is_found_and_its_range_holds_it() -> None:
    chance = Random(11)  # noqa: S311  # see above
    held = 0
    for _ in range(100):
        drills = chance.randint(8, 24)
        amounts = noisy([(10 + number) * GB for number in range(drills)], chance, 0.03)
        found = growth(sized(amounts, MONTH), lambda run: run["amount"])
        assert found
        held += found.each.least * MONTH <= GB <= found.each.most * MONTH
    assert held >= 85


def drill(
    folder: Path,
    number: int,
    growth: float,
    change: Callable[[Event], Event | None] | None = None,
    **other: Any,  # noqa: ANN401  # any of a month
) -> Record:
    began = BEGAN + timedelta(days=30 * number)
    return record(
        folder / f"run-{number:02}", Month(began, timedelta(minutes=5), **{"times": 40.0, "growth": growth} | other), change
    )


def course(folder: Path, growths: Sequence[float], **other: Any) -> tuple[Record, list[Figures]]:  # noqa: ANN401  # see above
    """The newest of drills, a month from one another, and the figures of those before."""
    records = [drill(folder, number, growth, **other) for number, growth in enumerate(growths)]
    return records[-1], [figures(each) for each in records[:-1]]


GROWING = [3.0, 3.4, 3.8, 4.2, 4.6, 5.0]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, list[Figures]]:
    return course(tmp_path_factory.mktemp("grown"), GROWING)


def only(found: list[Forecast]) -> Forecast:
    (one,) = found
    return one


def test_the_month_is_that_in_which_it_really_happens(tmp_path: Path, grown: tuple[Record, list[Figures]]) -> None:
    ahead = only(foresee(*grown))
    number, growth = len(GROWING) - 1, GROWING[-1]
    late = grown[0]
    while not late.rto.missed:
        number, growth = number + 1, growth + 0.4
        late = drill(tmp_path, number, growth)
    missed = datetime.fromisoformat(ahead.missed)
    assert datetime.fromisoformat(late.started_at) - timedelta(days=35) <= missed <= datetime.fromisoformat(late.started_at)
    assert ahead.earliest <= ahead.missed <= ahead.latest <= ahead.until
    assert ahead.months == pytest.approx((number - len(GROWING) + 1) * 30 * DAY / MONTH, abs=1.1)


def test_a_step_that_nothing_waits_for_yet_is_seen_coming(tmp_path: Path) -> None:
    """The RTO has hardly grown so far, for the archive was back long before the last service."""
    growths = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    now, earlier = course(tmp_path, growths, change=promising(1150.0))
    rtos = [each["rto"] for each in earlier]
    assert max(rtos) - min(rtos) < 15
    ahead = only(foresee(now, earlier))
    number, growth, late = len(growths) - 1, growths[-1], now
    while not late.rto.missed:
        number, growth = number + 1, growth + 0.1
        late = drill(tmp_path, number, growth, promising(1150.0))
    assert abs((datetime.fromisoformat(ahead.missed) - datetime.fromisoformat(late.started_at)).days) <= 40


def test_a_forecast_says_what_it_is_from(grown: tuple[Record, list[Figures]]) -> None:
    said = only(foresee(*grown)).said
    assert said.startswith(
        "With this growth (media by 1.3 GB a month; the repository usb by 996.7 MB) the RTO of 30 min is missed in"
    )
    assert f"By 6 drills since {BEGAN:%Y-%m-%d}: " in said
    assert "follow the data (restored at " in said


def test_what_is_missed_within_a_year_is_proposed_with_the_step_and_the_lines(grown: tuple[Record, list[Figures]]) -> None:
    now, earlier = grown
    found = next(each for each in proposals(now, earlier) if each.key == "rto:restore:usb/archive")
    assert found.title.endswith(" as the data grows: bring back less of media, or from a faster disk (15.5 GB from usb)")
    assert found.title.startswith(f"The RTO is missed {only(foresee(now, earlier)).about}")
    assert found.instead
    assert found.instead.key == "objectives.rto"


def test_a_service_that_does_not_wait_for_what_grows_is_left_in_peace(grown: tuple[Record, list[Figures]]) -> None:
    assert [each.service for each in foresee(*grown)] == [""]


@pytest.mark.parametrize(
    "growths",
    [[3.0] * 6, [5.0, 4.6, 4.2, 3.8, 3.4, 3.0], GROWING[:4], [3.0, 3.1, 3.0, 6.0, 6.1, 6.0], [3.0, 3.4, 2.9, 3.5, 3.1, 3.2]],
    ids=["flat", "shrinking", "short", "jump", "noise"],
)
def test_a_healthy_history_foresees_nothing(tmp_path: Path, growths: list[float]) -> None:
    now, earlier = course(tmp_path, growths)
    assert foresee(now, earlier) == []


def changed(earlier: Sequence[Figures], **other: Any) -> list[Figures]:  # noqa: ANN401  # any figure
    return [{**each, **other} for each in earlier]


@pytest.mark.parametrize(
    "other",
    [{"machine": "vm pi4"}, {"board": "pi4"}, {"incident": "corruption"}, {"plan": "another"}, {"purpose": "inspection"}],
    ids=lambda other: next(iter(other)),
)
def test_drills_of_something_else_are_no_evidence(grown: tuple[Record, list[Figures]], other: dict[str, str]) -> None:
    now, earlier = grown
    assert foresee(now, changed(earlier, **other)) == []


def test_of_a_plan_whose_steps_have_changed_only_the_growth_counts(grown: tuple[Record, list[Figures]]) -> None:
    now, earlier = grown
    before = only(foresee(now, earlier))
    after = only(foresee(now, [{**each, "steps": {**each["steps"], "start:gone": ["done", 900.0]}} for each in earlier]))
    assert after.level == pytest.approx(now.rto.measured, abs=1)
    assert abs((after.months or 0) - (before.months or 0)) < 2


def test_one_slow_drill_does_not_bring_the_end_near(grown: tuple[Record, list[Figures]]) -> None:
    now, earlier = grown
    slow = foresee(replace(now, rto=replace(now.rto, measured=(now.rto.measured or 0.0) + 60.0)), earlier)
    assert only(slow).level == pytest.approx(only(foresee(now, earlier)).level, abs=20)


def promising(rto: float) -> Callable[[Event], Event]:
    def change(event: Event) -> Event:
        return event | {"objectives": event["objectives"] | {"rto": rto}} if event["kind"] == "drill" else event

    return change


def test_what_is_years_away_is_said_calmly_and_proposes_nothing(tmp_path: Path) -> None:
    now, earlier = course(tmp_path, GROWING, change=promising(6000.0))
    ahead = only(foresee(now, earlier))
    assert not ahead.soon
    assert not [each for each in proposals(now, earlier) if each.key.startswith("rto:")]
    assert "the RTO of 1 h 40 min is kept for the next 2 years, which is as far as this reaches" in ahead.said


def test_what_was_missed_already_or_not_measured_has_no_forecast(tmp_path: Path, grown: tuple[Record, list[Figures]]) -> None:
    now, earlier = grown
    assert foresee(replace(now, rto=replace(now.rto, measured=1900.0)), earlier) == []
    assert foresee(replace(now, rto=replace(now.rto, measured=None)), earlier) == []
    broken = drill(tmp_path, 5, 5.0, breaks={"start:ingest": "telemetry-ingest.service failed."})
    assert foresee(broken, earlier) == []


def test_a_machine_that_is_now_slow_and_now_fast_widens_the_range_but_is_not_taken_for_growth(tmp_path: Path) -> None:
    chance = Random(3)  # noqa: S311  # see above
    records = [
        drill(tmp_path, number, 4.0 * 40.0 / times, times=times)
        for number, times in enumerate(chance.uniform(36, 44) for _ in range(8))
    ]
    assert foresee(records[-1], [figures(each) for each in records[:-1]]) == []


def test_a_forecast_survives_being_kept_and_one_that_makes_no_sense_is_not_believed(grown: tuple[Record, list[Figures]]) -> None:
    now, earlier = grown
    ahead = only(foresee(now, earlier))
    whole = {**figures(now, earlier), "forecast": [ahead.as_dict()]}
    assert Forecast.of(kept.sound(whole)["forecast"][0]) == ahead
    for wrong in ({"earliest": ""}, {"missed": ahead.at[:4]}, {"latest": ahead.at}, {"promised": "much"}):
        with pytest.raises(kept.NotOursError, match="forecast"):
            kept.sound({**whole, "forecast": [ahead.as_dict() | wrong]})
