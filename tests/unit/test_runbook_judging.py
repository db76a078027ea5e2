"""What a runbook lacks is told by line and by step, and one that works in its own way is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from muster.findings import Finding
from muster.handbook import Typed
from muster.runbook import judging
from muster.runbook.book import Book, BookStep
from muster.runbook.judging import Reference
from muster.runbook.script import Ran

INSTALL = "(\napt-get update &&\napt-get install -y restic\n)"
RESTORE = "restic --repo /mnt/usb \\\n  restore latest \\\n  --include /etc/app"
TYPED = (
    Typed("provision", "Name the Pi", ("hostname tiny-pi",), check="test $(hostname) = tiny-pi"),
    Typed("provision", "Install the packages", (INSTALL,), check="command -v restic"),
    Typed("restore:usb", "Bring back etc", (RESTORE,)),
    Typed("accounts", "Make the users", ("useradd app", "useradd web")),
    Typed("start:app", "Start app", ("systemctl restart app",), check="systemctl is-active app"),
)


def book(steps: tuple[BookStep, ...] | None = None, *, by: str = "r1") -> Book:
    written = tuple(
        BookStep(number, one.title, "typed", 0, 0, one.step, one.commands, one.check) for number, one in enumerate(TYPED, 1)
    )
    return Book(Path("runbook.sh"), "sh", "", written if steps is None else steps, "tiny", "disk-loss", by)


def own(*commands: str) -> Book:
    return book((BookStep(1, "All of it", "typed", 0, 0, "", commands),), by="")


def without(line: str) -> Book:
    """The runbook without one line of a command, or without one check."""
    steps = [
        replace(
            step,
            commands=tuple(left for command in step.commands if (left := _left(command, line)).strip("()\n ")),
            check=step.check if step.check != line else "",
        )
        for step in book().steps
    ]
    return book(tuple(steps))


def _left(command: str, line: str) -> str:
    return "\n".join(each for each in command.splitlines() if each.strip() != line)


LINES = [
    (one, line.strip())
    for one in TYPED
    for line in (*(each for command in one.commands for each in command.splitlines()), one.check)
    if line.strip() not in ("", "(", ")")
]


@pytest.mark.parametrize(("of", "line"), LINES, ids=[line for _, line in LINES])
def test_any_line_that_is_taken_out_is_told_with_its_step(of: Typed, line: str) -> None:
    (finding,) = judging.missing(without(line), TYPED)
    assert (finding.code, finding.severity, finding.where) == ("runbook-step-missing", "error", of.step)
    assert of.title in finding.what
    assert line.rstrip("&\\ ") in finding.what


def test_a_step_that_is_gone_altogether_is_told() -> None:
    (finding,) = judging.missing(book(book().steps[:-1]), TYPED)
    assert finding.where == "start:app"
    assert "2 commands" in finding.what


def test_a_whole_runbook_lacks_nothing() -> None:
    assert judging.lacks(book(), TYPED) == []


def test_other_spaces_are_no_other_command() -> None:
    steps = tuple(replace(step, commands=tuple(each.replace(" ", "   ") for each in step.commands)) for step in book().steps)
    assert judging.lacks(book(steps), TYPED) == []


def test_a_line_that_stands_twice_is_wanted_twice() -> None:
    typed = (Typed("units", "Reload", ("systemctl daemon-reload", "systemctl daemon-reload")),)
    once = book((BookStep(1, "Reload", "typed", 0, 0, "units", ("systemctl daemon-reload",)),))
    assert [lack.step for lack in judging.lacks(once, typed)] == ["units"]


def test_what_was_changed_on_purpose_is_not_called_missing() -> None:
    steps = tuple(replace(step, commands=("service app restart",)) if step.step == "start:app" else step for step in book().steps)
    assert judging.missing(book(steps), TYPED) == []


class TestOutdated:
    NEW = (*TYPED[:2], Typed("restore:usb", "Bring back etc", (f"{RESTORE} --include /srv",)), *TYPED[3:])

    def test_what_a_changed_plan_types_is_told_as_a_warning(self) -> None:
        (finding,) = judging.outdated(book(), TYPED, self.NEW)
        assert (finding.code, finding.severity, finding.where) == ("runbook-outdated", "warning", "restore:usb")
        assert "--include /srv" in finding.what

    def test_what_the_runbook_has_already_is_not(self) -> None:
        steps = tuple(BookStep(1, "", "typed", 0, 0, one.step, one.commands) for one in self.NEW)
        assert judging.outdated(book(steps), TYPED, self.NEW) == []

    def test_what_differs_with_the_machine_is_not(self) -> None:
        now = (*TYPED, Typed("accounts", "Make the users", ("useradd third",)))
        assert judging.outdated(book(), TYPED, now) == []


class TestWhatAnOwnRunbookLeavesWrong:
    STEPS = {"etc": ["restore:usb"], "app": ["start:app"], "hostname-differs": ["provision"]}  # noqa: RUF012  # read only
    GONE = Finding("dataset-incomplete", "error", "etc", "The first: no file of it is on the machine.", "", step="data:etc")
    DOWN = Finding("service-not-started", "error", "app", "app.service does not run.", "", step="start:app")
    WRONG = Finding("smoke-failed", "error", "app", "Smoke check ping answered wrong.", "", step="smoke:ping")
    NAMELESS = Finding("hostname-differs", "error", "hostname", "The machine is called raspberrypi.", "", step="conform")

    def told(self, finding: Finding, of: Book, at: str = "2026-03-01T09:00:00Z") -> list[Finding]:
        return judging.undone(of, [finding], Reference(at, TYPED), self.STEPS)

    def test_a_dataset_that_is_not_back_is_told_with_what_a_recovery_typed(self) -> None:
        (finding,) = self.told(self.GONE, own("apt install restic"))
        assert (finding.code, finding.severity, finding.where) == ("runbook-incomplete", "error", "etc")
        assert "Nothing in the runbook brings back etc. The recovery of 2026-03-01 typed: restic --repo /mnt/usb" in finding.what
        assert "Bring back etc" in finding.fix

    def test_a_service_that_is_down_and_a_wrong_name_are_told_too(self) -> None:
        (down,) = self.told(self.DOWN, own("true"))
        assert "Nothing in the runbook starts app. The recovery of 2026-03-01 typed: systemctl restart app" in down.what
        (nameless,) = self.told(self.NAMELESS, own("true"))
        assert "The runbook leaves this wrong: The machine is called raspberrypi." in nameless.what
        assert "hostname tiny-pi" in nameless.what

    def test_nobody_knows_when_where_no_recovery_is_known(self) -> None:
        assert "A recovery types: " in self.told(self.DOWN, own("true"), at="")[0].what

    def test_the_cause_is_another_one_where_all_of_it_was_typed(self) -> None:
        assert self.told(self.GONE, own(RESTORE)) == []

    def test_an_answer_that_is_wrong_is_no_missing_command(self) -> None:
        assert self.told(self.WRONG, own("true")) == []

    def test_a_runbook_that_works_in_its_own_way_has_no_finding(self) -> None:
        assert judging.undone(own("magic --all"), [], Reference("", TYPED), self.STEPS) == []


class TestHands:
    def test_hands_without_minutes_in_an_own_runbook_are_told(self) -> None:
        steps = (BookStep(1, "Flash the card", "by hand", 0, 0), BookStep(2, "Plug it in", "by hand", 0, 0, minutes=3))
        finding = judging.untimed(book(steps, by=""))
        assert finding
        assert (finding.code, finding.severity) == ("runbook-by-hand", "warning")
        assert "step 1 (Flash the card)" in finding.what
        assert "more" not in finding.what

    def test_with_minutes_or_in_a_runbook_of_muster_they_are_not(self) -> None:
        timed = (BookStep(1, "Flash the card", "by hand", 0, 0, minutes=8),)
        assert judging.untimed(book(timed, by="")) is None
        assert judging.untimed(book((BookStep(1, "Flash the card", "by hand", 0, 0),))) is None


class TestFailing:
    STEP = BookStep(7, "Load `rows`\x1b[31m", "typed", 0, 0, "load:rows", ("app-load",), "count-rows")

    def test_the_step_its_command_and_its_last_words_are_told(self) -> None:
        finding = judging.failing(Ran(self.STEP, "failed", 1.0, "no such database", 1))
        assert finding
        assert (finding.code, finding.severity, finding.where) == ("runbook-step-failed", "error", "step 7")
        assert "no such database" in finding.what
        assert "app-load" in finding.evidence
        assert "\x1b" not in finding.what

    def test_one_that_ran_out_of_time_says_so(self) -> None:
        finding = judging.failing(Ran(self.STEP, "failed", 1.0, "", None))
        assert finding
        assert "ran out of time: it said nothing" in finding.what

    def test_one_that_ended_well_is_none(self) -> None:
        assert judging.failing(Ran(self.STEP, "done", 1.0, "", 0)) is None
