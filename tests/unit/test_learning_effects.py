"""What a proposal did that was followed: better, kept, nothing, worse, or not to be told; and what was not followed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from muster.report.learning import followed, learn
from tests.data.learning import BEGAN, Event, figures, record
from tests.data.replay import Month

if TYPE_CHECKING:
    from pathlib import Path

    from muster.record import Record
    from muster.report.learning import Figures

DAILY, OFTEN = "*-*-* 00:00:00", "*-*-* *:00/10:00"


def month(number: int, hours: float, calendar: str, **more: Any) -> Month:  # noqa: ANN401  # parts of a month
    return Month(BEGAN + timedelta(days=30 * number), timedelta(hours=hours), 40.0, calendar=calendar, **more)


@pytest.fixture
def before(tmp_path: Path) -> Figures:
    """A run that has lost five hours, and proposed a timer."""
    return figures(record(tmp_path / "before", month(0, 5.0, DAILY, every=timedelta(days=1))))


def effects(before: Figures, now: Record) -> list[tuple[str, str, str]]:
    return [(one["key"], one["became"], one["effect"]) for one in learn(now, [before]) if one["effect"]]


@pytest.mark.parametrize(
    ("hours", "became", "said"),
    [
        (0.1, "kept", "was 5 h and is 6 min 04 s: within 15 min."),
        (1.0, "better", "was 5 h and is 1 h: better, but not yet what it should be."),
        (5.1, "none", "was 5 h and is 5 h 6 min: no effect."),
        (9.0, "worse", "was 5 h and is 9 h: worse than before."),
    ],
)
def test_the_figure_before_and_now_says_what_a_changed_timer_did(
    tmp_path: Path, before: Figures, hours: float, became: str, said: str
) -> None:
    now = record(tmp_path / "now", month(1, hours, OFTEN))
    assert effects(before, now) == [("rpo:readings", became, f"Followed since before: the RPO of readings {said}")]


def test_a_timer_that_was_changed_in_another_way_counts_as_well(tmp_path: Path, before: Figures) -> None:
    now = learn(record(tmp_path / "now", month(1, 0.1, "*-*-* *:00/05:00")), [before])
    assert now[0]["change"] == "-OnCalendar=*-*-* 00:00:00\n+OnCalendar=*-*-* *:00/05:00"


def test_what_was_not_followed_has_no_effect_and_stands_longer(tmp_path: Path, before: Figures) -> None:
    now = learn(record(tmp_path / "now", month(1, 5.0, DAILY)), [before])
    (standing,) = [one for one in now if one["key"] == "rpo:readings"]
    assert (standing["effect"], standing["since"], standing["runs"]) == ("", "before", 2)


def test_luck_is_no_effect(tmp_path: Path, before: Figures) -> None:
    assert effects(before, record(tmp_path / "now", month(1, 0.1, DAILY))) == []


def test_a_promise_that_was_changed_instead_counts_too(tmp_path: Path, before: Figures) -> None:
    def promise(event: Event) -> Event:
        if event["kind"] == "drill":
            readings = event["datasets"]["readings"] | {"rpo": 97200.0}
            return event | {"datasets": event["datasets"] | {"readings": readings}}
        return event

    less = month(1, 5.5, DAILY, plan=lambda text: text.replace('rpo = "15m"', 'rpo = "1d3h"', 1))
    ((key, became, said),) = effects(before, record(tmp_path / "now", less, promise))
    assert (key, became) == ("rpo:readings", "kept")
    assert said.endswith("is 5 h 30 min: within 1 d 3 h.")


def test_a_run_that_could_not_measure_it_says_so_and_the_next_one_tells(tmp_path: Path, before: Figures) -> None:
    broken = month(1, 0.1, OFTEN, breaks={"start:postgresql": "postgresql failed."})
    failed = figures(record(tmp_path / "failed", broken), [before])
    assert [one["became"] for one in failed["proposals"] if one["effect"]] == ["unknown"]
    now = learn(record(tmp_path / "now", month(2, 0.1, OFTEN)), [failed, before])
    assert [(one["became"], one["since"]) for one in now if one["effect"]] == [("kept", "before")]


def test_an_effect_is_told_once(tmp_path: Path, before: Figures) -> None:
    second = figures(record(tmp_path / "second", month(1, 0.1, OFTEN)), [before])
    assert [one["effect"] for one in second["proposals"] if one["effect"]]
    third = learn(record(tmp_path / "third", month(2, 0.1, OFTEN)), [second, before])
    assert [one["effect"] for one in third if one["effect"]] == []


def test_minutes_that_hands_no_longer_take_are_told_of_all_of_them(tmp_path: Path) -> None:
    def pressed(event: Event) -> Event:
        return event | {"objectives": {"rto": 1100.0, "rpo": 3600.0}} if event["kind"] == "drill" else event

    def prepared(event: Event) -> Event:
        event = pressed(event)
        if event["kind"] == "drill":
            event["manual"] = [event["manual"][0] | {"seconds": 120.0}, event["manual"][1]]
        return event

    first = figures(record(tmp_path / "first", month(0, 0.1, OFTEN), pressed))
    easier = month(1, 0.1, OFTEN, plan=lambda text: text.replace('takes = "8m"', 'takes = "2m"'))
    ((key, became, said),) = effects(first, record(tmp_path / "now", easier, prepared))
    assert (key[:12], became) == ("manual:Flash", "better")
    assert said == "Followed since first: all that is done by hand was 11 min and is 5 min: better."


@pytest.mark.parametrize(
    "kept",
    [
        "rpo", None, {}, {"key": "rpo:readings"}, {"key": "x", "title": "", "figure": 1, "of": {"change": 7}},
        {"key": "rpo:gone", "title": "", "figure": "much", "of": {"change": {"key": "timer:x"}}},
        {"key": "rpo:readings", "title": [], "figure": {}, "runs": "many", "of": 3},
    ],
)  # fmt: skip
def test_figures_of_another_making_are_passed_over(tmp_path: Path, before: Figures, kept: object) -> None:
    assert followed([{**before, "proposals": [kept]}], record(tmp_path / "now", month(1, 0.1, OFTEN))) == ()
