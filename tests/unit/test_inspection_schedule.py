"""Whether the next backup will be made and how the last one ended: by the Pi itself, by what it sealed, or by files alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.manifest import Timer
from muster.inspection import lastrun, schedule
from muster.record import Record
from tests.fake import machine as fake
from tests.fake.inspecting import inspected, of
from tests.fake.machine import FakeMachine

NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HEALTHY = {
    "unit": "tiny.timer",
    "service": "tiny.service",
    "load_state": "loaded",
    "file_state": "enabled",
    "active_state": "active",
    "sub_state": "waiting",
    "persistent": True,
    "last_trigger": NOW - HOUR,
    "next_elapse": NOW + HOUR,
    "service_active": "inactive",
    "service_result": "success",
    "service_exit": 0,
    "service_started": NOW - HOUR,
    "service_ended": NOW - HOUR,
}
KEY = "not-really-a-key-and-secret-all-the-same"


@pytest.fixture(autouse=True)
def manifest_in_the_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fake._FILES, "/var/lib/muster/manifest.json", ("file", 0o600, 300))


def _timer(**facts: object) -> Timer:
    return Timer.model_validate(HEALTHY | facts)


def _codes(timer: Timer, first: datetime | None = None) -> list[str]:
    return [finding.code for finding in schedule.faults(timer, 26 * HOUR, first or NOW - 30 * DAY, NOW)]


def _sealed(**facts: object) -> dict[str, tuple[int, str]]:
    timer = HEALTHY | facts
    return {r"cat .*manifest.json": (0, json.dumps(fake._MANIFEST | {"timer": timer}, default=str))}


def _scheduled(text: str) -> str:
    return f'{text}\n[schedule]\ntimer = "tiny.timer"\nwindow = "26h"\n'


def _asked(text: str) -> str:
    return f'{_scheduled(text)}\n[pi]\naddress = "pi@tiny-pi.lan:2222"\nssh_key = {{ file = "ask.key" }}\n'


class TestTimer:
    def test_a_timer_that_runs_is_left_alone(self) -> None:
        assert _codes(_timer()) == []

    def test_while_the_backup_runs_no_next_time_is_known(self) -> None:
        assert _codes(_timer(sub_state="running", next_elapse=None)) == []

    @pytest.mark.parametrize(
        ("facts", "code"),
        [
            ({"load_state": "not-found", "file_state": "", "active_state": "inactive"}, "timer-missing"),
            ({"load_state": "masked", "file_state": "masked", "active_state": "inactive"}, "timer-masked"),
            ({"file_state": "masked-runtime", "load_state": "masked"}, "timer-masked"),
            ({"file_state": "disabled"}, "timer-not-enabled"),
            ({"file_state": "enabled-runtime"}, "timer-not-enabled"),
            ({"file_state": ""}, "timer-not-enabled"),
            ({"active_state": "inactive", "sub_state": "dead", "next_elapse": None}, "timer-without-next"),
            ({"sub_state": "elapsed", "next_elapse": None}, "timer-without-next"),
            ({"last_trigger": None}, "timer-never-ran"),
            ({"last_trigger": NOW - 27 * HOUR}, "timer-late"),
        ],
    )
    def test_what_keeps_a_timer_from_its_work_is_named(self, facts: dict[str, object], code: str) -> None:
        assert _codes(_timer(**facts)) == [code]

    def test_a_timer_that_is_neither_enabled_nor_started_has_both_named(self) -> None:
        facts = {"file_state": "disabled", "active_state": "inactive", "next_elapse": None}
        assert _codes(_timer(**facts)) == ["timer-not-enabled", "timer-without-next"]

    def test_a_young_pi_has_not_been_triggered_yet(self) -> None:
        assert _codes(_timer(last_trigger=None), first=NOW - HOUR) == []

    def test_a_timer_that_forgets_at_each_boot_is_not_said_to_have_never_run(self) -> None:
        assert _codes(_timer(last_trigger=None, persistent=False)) == []


class TestLastRun:
    def test_a_run_that_ended_well_is_left_alone(self) -> None:
        assert not list(lastrun.faults(_timer(), HOUR, NOW))

    @pytest.mark.parametrize(
        ("facts", "severity", "says"),
        [
            ({"service_result": "exit-code", "service_exit": 1}, "error", "exit status 1"),
            ({"service_result": "exit-code", "service_exit": 3}, "error", "partial"),
            ({"service_result": "timeout", "service_exit": 0}, "error", "result timeout"),
            ({"service_result": "success", "service_exit": 3}, "warning", "takes for success"),
            ({"service_active": "activating", "service_started": NOW - 2 * HOUR}, "error", "more than 1h"),
        ],
    )
    def test_a_run_that_did_not_end_well_is_named(self, facts: dict[str, object], severity: str, says: str) -> None:
        [finding] = lastrun.faults(_timer(**facts), HOUR, NOW)
        assert (finding.code, finding.severity) == ("run-failed", severity)
        assert says in finding.what

    def test_a_run_in_progress_has_its_time(self) -> None:
        running = _timer(service_active="activating", service_started=NOW - HOUR / 2, service_result="exit-code")
        assert not list(lastrun.faults(running, HOUR, NOW))


class TestSealed:
    def test_what_was_sealed_is_judged_and_is_weaker(self, tmp_path: Path) -> None:
        record = inspected(
            tmp_path, _sealed(file_state="disabled", service_result="exit-code", service_exit=1), change=_scheduled
        )
        assert [finding.where for finding in of(record, "timer-not-enabled", "run-failed")] == ["the Pi", "the Pi"]
        assert all(one.weaker for one in record.looked if one.subject == "the Pi" and one.check in ("schedule", "completion"))

    def test_a_timer_of_another_plan_says_nothing(self, tmp_path: Path) -> None:
        record = inspected(tmp_path, _sealed(unit="other.timer"), change=_scheduled)
        assert {finding.severity for finding in of(record, "timer-unknown", "run-unknown")} == {"unproven"}
        assert len(of(record, "timer-unknown", "run-unknown")) == 2

    def test_a_backup_that_no_timer_makes_is_judged_by_its_snapshots(self, tmp_path: Path) -> None:
        def by_cron(plan: str) -> str:
            return plan + '\n[schedule]\nwindow = "26h"\n'

        record = inspected(tmp_path, _sealed(), change=by_cron)
        assert not of(record, "run-unknown")
        assert any("no timer of systemd" in one.weaker for one in record.looked if one.check == "completion")

    def test_a_plan_without_a_schedule_is_warned_and_not_proven(self, tmp_path: Path) -> None:
        record = inspected(tmp_path, _sealed())
        severities = {finding.code: finding.severity for finding in of(record, "no-schedule", "run-unknown")}
        assert severities == {"no-schedule": "warning", "run-unknown": "unproven"}


class TestFiles:
    UNIT, LINK = "/etc/systemd/system/tiny.timer", "/etc/systemd/system/timers.target.wants/tiny.timer"

    def _found(self, tmp_path: Path) -> Record:
        return inspected(tmp_path, change=_scheduled)

    def test_a_file_and_the_link_that_enables_it_will_do_and_are_weaker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(fake._FILES, self.UNIT, ("file", 0o644, 100))
        monkeypatch.setitem(fake._FILES, self.LINK, ("symlink", 0o777, 0))
        record = self._found(tmp_path)
        assert not of(record, "timer-unknown")
        assert [bool(one.weaker) for one in record.looked if one.check == "schedule"] == [True]

    @pytest.mark.parametrize(("kind", "says"), [("file", "no link"), ("symlink", "may be masked"), ("", "no repository holds")])
    def test_less_than_that_is_not_proven(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, says: str) -> None:
        if kind:
            monkeypatch.setitem(fake._FILES, self.UNIT, (kind, 0o644, 100))
        [finding] = of(self._found(tmp_path), "timer-unknown")
        assert finding.severity == "unproven"
        assert says in finding.what


class TestAsked:
    SAID = (
        "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nSubState=waiting\nUnit=tiny.service\nPersistent=yes\n"
        f"LastTriggerUSec=@{NOW.timestamp() - 60:.0f}\nNextElapseUSecRealtime=@{NOW.timestamp() + 60:.0f}\n"
        "NextElapseUSecMonotonic=infinity\n\n"
        "LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\n"
        f"ExecMainStartTimestamp=@{NOW.timestamp() - 60:.0f}\nExecMainExitTimestamp=@{NOW.timestamp() - 50:.0f}\n"
    )

    @pytest.fixture(autouse=True)
    def key(self, tmp_path: Path) -> None:
        (tmp_path / "plans").mkdir()
        (tmp_path / "plans" / "ask.key").write_text(KEY)

    def test_the_living_pi_knows_better_than_what_it_sealed(self, tmp_path: Path) -> None:
        answers = {"^ssh ": (0, self.SAID)} | _sealed(file_state="disabled", service_result="exit-code")
        record = inspected(tmp_path, answers, change=_asked)
        assert not of(record, "timer-not-enabled", "run-failed", "pi-unreachable")
        assert [one.weaker for one in record.looked if one.subject == "the Pi" and one.check == "schedule"] == [""]

    def test_the_pi_is_asked_once_and_nothing_but_what_systemd_knows(self, tmp_path: Path) -> None:
        machine = FakeMachine({"^ssh ": (0, self.SAID)} | _sealed())
        inspected(tmp_path, machine, change=_asked)
        [asked] = [command for command in machine.commands if command.startswith("ssh ")]
        assert " -p 2222 pi@tiny-pi.lan 'systemctl show --timestamp=unix " in asked
        assert "StrictHostKeyChecking=yes" in asked

    def test_a_run_that_failed_on_the_living_pi_is_named(self, tmp_path: Path) -> None:
        said = self.SAID.replace("Result=success\nExecMainStatus=0", "Result=exit-code\nExecMainStatus=3")
        record = inspected(tmp_path, {"^ssh ": (0, said)} | _sealed(), change=_asked)
        assert [finding.severity for finding in of(record, "run-failed")] == ["error"]

    def test_a_timer_that_starts_a_unit_of_another_name_is_asked_for_that(self, tmp_path: Path) -> None:
        machine = FakeMachine({"^ssh ": (0, self.SAID.replace("Unit=tiny.service", "Unit=other.service"))} | _sealed())
        inspected(tmp_path, machine, change=_asked)
        asked = [command for command in machine.commands if command.startswith("ssh ")]
        assert "tiny.service" in asked[0]
        assert "other.service" in asked[1]

    @pytest.mark.parametrize("answer", [(255, "ssh: connect to host tiny-pi.lan port 2222: No route to host"), (None, "")])
    def test_a_pi_that_does_not_answer_is_not_proven_and_its_seal_is_judged(
        self, tmp_path: Path, answer: tuple[int | None, str]
    ) -> None:
        record = inspected(tmp_path, {"^ssh ": answer} | _sealed(file_state="disabled"), change=_asked)
        assert [finding.severity for finding in of(record, "pi-unreachable")] == ["unproven"]
        assert of(record, "timer-not-enabled")

    def test_a_key_that_is_not_there_is_no_answer(self, tmp_path: Path) -> None:
        (tmp_path / "plans" / "ask.key").unlink()
        [finding] = of(inspected(tmp_path, {"^ssh ": (0, self.SAID)} | _sealed(), change=_asked), "pi-unreachable")
        assert "ask.key" in finding.what

    def test_the_key_stands_in_no_journal(self, tmp_path: Path) -> None:
        inspected(tmp_path, {"^ssh ": (255, f"Load key: {KEY}")} | _sealed(), change=_asked)
        assert KEY not in (tmp_path / "journal-0.jsonl").read_text()
