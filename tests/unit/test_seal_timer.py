"""The timer of the backup, told as systemd has it."""

from __future__ import annotations

import pytest

from muster.backups.manifest import Timer
from muster.seal import timer
from tests.fake.sealing import SHOW, Answers, answering

SHOWN_TIMER = """Unit=backup.service
TimersCalendar={ OnCalendar=*-*-* 03:00:00 ; next_elapse=@1795500000 }
TimersCalendar={ OnCalendar=Sun *-*-* 12:00:00 ; next_elapse=@1795900000 }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=0 }
RandomizedDelayUSec=1h 30min
Persistent=yes
LoadState=loaded
ActiveState=active
SubState=waiting
UnitFileState=enabled
"""
SHOWN_SERVICE = """Result=exit-code
ExecMainStatus=3
ExecMainStartTimestamp=@1795411609
ExecMainExitTimestamp=@1795411619
ActiveState=failed
"""
RUNNING = """Result=success
ExecMainStatus=0
ExecMainStartTimestamp=@1795411609
ExecMainExitTimestamp=
ActiveState=activating
"""
PLAN = {"schedule": {"timer": "backup.timer"}}


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return answering(monkeypatch)


def told_timer(programs: Answers, service: str = SHOWN_SERVICE, listed: str = "", shown: str = SHOWN_TIMER) -> Timer:
    programs({f"{SHOW}Unit,": shown, f"{SHOW}ActiveState,Result": service, "systemctl list-timers": listed})
    return Timer.model_validate(timer.timer(PLAN))


class TestTimer:
    def test_a_plan_without_a_schedule_has_none(self) -> None:
        assert timer.timer({}) is None

    def test_when_it_elapses(self, programs: Answers) -> None:
        told = told_timer(programs)
        assert (told.calendars, told.monotonic) == (("*-*-* 03:00:00", "Sun *-*-* 12:00:00"), ("OnBootSec=15min",))
        assert (told.randomized_delay_s, told.persistent) == (5400, True)
        assert (told.load_state, told.file_state, told.active_state, told.sub_state) == ("loaded", "enabled", "active", "waiting")

    def test_when_it_did_last_and_will_next(self, programs: Answers) -> None:
        told = told_timer(programs, listed='[{"next":1795411800000000,"last":1795411200000000,"unit":"backup.timer"}]')
        assert [str(moment) for moment in (told.last_trigger, told.next_elapse)] == [
            "2026-11-23 05:20:00+00:00", "2026-11-23 05:30:00+00:00",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "listed", ["", "[]", "NEXT LEFT", '[{"next":0,"last":0}]', '[{"next":null}]', '[{"next":18446744073709551615}]']
    )
    def test_never_is_no_moment(self, programs: Answers, listed: str) -> None:
        told = told_timer(programs, listed=listed)
        assert (told.last_trigger, told.next_elapse) == (None, None)

    def test_how_its_service_ended(self, programs: Answers) -> None:
        told = told_timer(programs)
        assert (told.service, told.service_active, told.service_result, told.service_exit) == (
            "backup.service", "failed", "exit-code", 3,
        )  # fmt: skip
        assert str(told.service_ended) == "2026-11-23 05:26:59+00:00"

    def test_a_run_that_has_not_ended_has_no_exit_status(self, programs: Answers) -> None:
        told = told_timer(programs, RUNNING)
        assert (told.service_active, told.service_exit, told.service_ended) == ("activating", None, None)
        assert told.service_started is not None

    def test_a_timer_that_does_not_exist_is_told_as_that(self, programs: Answers) -> None:
        told = told_timer(programs, shown="Unit=\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n")
        assert (told.load_state, told.service, told.service_result) == ("not-found", "", "")

    def test_without_systemd_nothing_is_claimed(self, programs: Answers) -> None:
        programs({})
        assert Timer.model_validate(timer.timer(PLAN)) == Timer(unit="backup.timer")

    @pytest.mark.parametrize(
        ("span", "seconds"), [("0", 0), ("5s", 5), ("1min 30s", 90), ("1d 2h", 93600), ("1month", 2629800), ("infinity", 0)]
    )
    def test_spans(self, span: str, seconds: float) -> None:
        assert timer._seconds(span) == seconds
