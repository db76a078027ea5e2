"""The reboot of a recovered machine that boots: what has to be right after it, and what is said when it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from muster.backups.trees import Entry
from muster.drill import Blocked, Drill
from muster.errors import HarnessError, MusterError, NotBooted, RecoveryError
from muster.findings import Finding
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from muster.steps import patience, reboot
from muster.steps.context import Recovering
from tests.fake import machine as fake
from tests.fake.machine import Answer, FakeMachine, write_plan

Answers = Mapping[str, Answer | Callable[[str], Answer]]
LOST = "PARTUUID=bbbb2222-02 / ext4 defaults 0 1\n"
LOOK = f"""
== muster root
/dev/vda2
== muster devices
DEVNAME=/dev/vda2
PARTUUID=aaaa1111-02
== muster fstab
{LOST}== muster end
"""


class Pi(FakeMachine):
    """A machine that boots, and answers otherwise once it has been booted again; `fails` is how it does not."""

    boots = True

    def __init__(self, answers: Answers, after: Answers, fails: Exception | None = None) -> None:
        super().__init__(answers)
        self.after = after
        self.fails = fails
        self.booted_at = 0

    def reboot(self) -> None:
        self.booted_at = len(self.commands)
        if self.fails:
            raise self.fails
        self.answers = {**self.after, **self.answers}


class Drilled:
    """A drill that is over: what it found, and what was asked after the reboot."""

    def __init__(self, folder: Path, machine: Pi, more: str, etc: str) -> None:
        path = write_plan(folder)
        path.write_text(path.read_text().replace('["/etc/app"]', etc) + more)
        self.machine = machine
        self.drill = Drill(
            load(path), Incident("disk-loss", datetime.now(UTC)), machine, Journal(folder / "j.jsonl"), "run", say=lambda _: None
        )
        with suppress(MusterError, Blocked):
            self.drill.conclude()
        machine.destroy()
        self.drill.close()

    @property
    def record(self) -> Record:
        return self.drill.record

    @property
    def told(self) -> list[Finding]:
        return [finding for finding in self.record.findings if not finding.code.endswith("-missed")]

    @property
    def codes(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.where) for finding in self.told]

    @property
    def asked(self) -> list[str]:
        return self.machine.commands[self.machine.booted_at :]


Drilling = Callable[..., Drilled]


@pytest.fixture
def drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drilling:
    """Drill on a machine that boots, with what it answers before and after its reboot."""
    monkeypatch.setattr(reboot, "HEED", timedelta(0))

    def drill(
        after: Answers | None = None,
        *,
        before: Answers | None = None,
        fails: Exception | None = None,
        more: str = "",
        etc: str = '["/etc/app"]',
    ) -> Drilled:
        return Drilled(tmp_path, Pi(before or {}, after or {}, fails), more, etc)

    return drill


def test_a_healthy_machine_comes_back_and_is_asked_everything_once_more(drilled: Drilling) -> None:
    done = drilled()
    assert done.told == []
    assert done.record.verdict == "recovered"
    assert done.record.rebooted is not None
    assert {"ask-app", "ask-web"} <= set(done.asked)
    assert sum("systemctl is-active -q" in command or "nc -z" in command for command in done.asked) == len(
        done.drill.plan.services
    )


def test_the_reboot_is_no_part_of_the_rto(drilled: Drilling) -> None:
    record = drilled().record
    assert record.steps["boot"].milestone == "afterwards"


def test_nothing_looks_at_repositories_while_the_machine_is_down(drilled: Drilling) -> None:
    done = drilled()
    ends = [step.ended for name, step in done.record.steps.items() if name.startswith("check:")]
    assert ends
    assert all(ended and ended <= (done.record.steps["boot"].started or 0) for ended in ends)
    assert not any("restic" in command for command in done.asked)


@pytest.mark.parametrize(
    ("after", "code", "where", "says"),
    [
        (
            {r"until .* app.service": (91, "")},
            "not-up-after-boot",
            "app",
            "did not come up at a reboot: app.service failed to start",
        ),
        ({r"ask-web": (1, "no such page")}, "not-right-after-boot", "web", "Smoke check page held when web was started"),
        ({r"^hostname$": (0, "raspberrypi\n")}, "hostname-differs", "hostname", "raspberrypi"),
        ({r"^date -u": (0, "1700000000\n")}, "clock-off-after-boot", "boot", "off after the reboot"),
        ({r"systemctl --failed": (0, "exim4.service\n")}, "unit-failed-at-boot", "systemd", "exim4.service failed at the boot"),
    ],
)
def test_what_is_wrong_after_the_reboot_is_named(drilled: Drilling, after: Answers, code: str, where: str, says: str) -> None:
    told = drilled(after).told
    assert [(finding.code, finding.where) for finding in told] == [(code, where)]
    assert says in told[0].what


@pytest.mark.parametrize(
    "same",
    [
        {r"systemctl --failed": (0, "exim4.service\n")},
        {r"findmnt -rno": (0, "/\n/boot/firmware\n")},
    ],
)
def test_what_was_so_before_is_no_fault_of_the_reboot(drilled: Drilling, same: Answers) -> None:
    assert drilled(before=same).told == []


def test_a_file_system_that_is_gone_is_named(drilled: Drilling) -> None:
    mounted = {r"findmnt -rno": (0, "/\n/boot/firmware\n")}

    def answer(_: str) -> Answer:
        return (0, "/\n") if done_with else mounted[r"findmnt -rno"]

    done_with: list[str] = []
    machine_after = {r"^uname -r$": lambda _: (done_with.append("booted") or 0, "6.12.47\n")}
    told = drilled(machine_after, before={r"findmnt -rno": answer}).told
    assert [(finding.code, finding.where) for finding in told] == [("mount-gone-after-boot", "/etc/fstab")]
    assert "/boot/firmware was mounted before" in told[0].what


def test_units_of_the_plan_are_told_by_themselves(drilled: Drilling) -> None:
    failed = "app.service\nbackup.service\n"
    more = '\n[schedule]\ntimer = "backup.timer"\nwindow = "1d"\n'
    enabled = {r"is-enabled": (0, "enabled\n.\n" * 4)}
    assert drilled({r"systemctl --failed": (0, failed)}, before=enabled, more=more).told == []


def test_what_does_not_come_up_is_not_asked(drilled: Drilling) -> None:
    done = drilled({r"until .* app.service": (91, ""), r"ask-app": (1, "connection refused")})
    assert done.codes == [("not-up-after-boot", "app")]
    assert "ask-app" not in done.asked
    assert any("Smoke check ping was not asked after the reboot" in note for note in done.record.notes)


def test_what_is_not_enabled_is_told_once(drilled: Drilling) -> None:
    disabled = {r"is-enabled": (0, "enabled\n.\ndisabled\n.\nenabled\n.\n")}
    done = drilled({r"until .* app.service": (92, "")}, before=disabled)
    assert done.codes == [("unit-not-enabled", "app")]


def test_a_machine_that_does_not_come_back_is_the_fault_of_what_was_restored(drilled: Drilling) -> None:
    done = drilled(fails=NotBooted("it was not up again after 180 s.", "Kernel panic - not syncing"))
    assert done.codes == [("does-not-boot", "boot")]
    assert done.told[0].severity == "error"
    assert "Kernel panic" in done.told[0].evidence
    assert done.record.verdict == "failed"
    assert done.record.rebooted is None


def test_the_cause_comes_first_where_the_boot_files_have_told_it(drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fake._FILES, "/etc/fstab", ("file", 0o644, 300))
    done = drilled(
        before={r"== muster %s": (0, LOOK)},
        fails=NotBooted("it was not up again after 180 s.", "You are in emergency mode."),
        etc='["/etc/app", "/etc/fstab"]',
    )
    assert [code for code, _ in done.codes] == ["boot-disk-differs", "does-not-boot"]
    assert done.told[1].what.startswith("The restored /etc/fstab names PARTUUID=bbbb2222-02 (for /)")
    assert "[boot]" in done.told[1].fix


@pytest.mark.parametrize(("back", "severity"), [("/srv/media/a.jpg", "unproven"), ("/etc/systemd/system/a.mount", "error")])
def test_only_what_was_restored_can_be_the_backup_s_fault(tmp_path: Path, back: str, severity: str) -> None:
    machine = Pi({}, {}, NotBooted("it was not up again after 180 s."))
    context = Recovering(load(write_plan(tmp_path)), machine, Journal(tmp_path / "j.jsonl"), ["usb"], datetime.now(UTC), {})
    context.back = {back: Entry("file", 0o644, 100, "root", "root")}
    with pytest.raises(RecoveryError) as raised:
        reboot.reboot(context, "boot")
    assert (raised.value.finding.code, raised.value.finding.severity) == ("does-not-boot", severity)


def test_a_machine_that_cannot_be_told_to_reboot_proves_nothing(drilled: Drilling) -> None:
    done = drilled(fails=HarnessError("the connection to pi was cut"))
    assert done.record.verdict == "not proven"
    assert done.record.steps["boot"].outcome == "error"


class TestUnitsThatTimeThemselves:
    """A unit's own time to start is multiplied by the machine's pace, now and over the reboot."""

    SHOWN: ClassVar = {
        r"Timeout\(Start\)": (0, "== db.service\nType=notify\n== app.service\nType=oneshot\n== web.service\nTimeoutStartSec=20\n")
    }

    def _drop_ins(self, done: Drilled) -> list[str]:
        return [command for command in done.machine.commands if "50-muster-pace.conf" in command]

    def test_a_usual_machine_gets_no_more(self, drilled: Drilling) -> None:
        assert self._drop_ins(drilled(before=self.SHOWN)) == []

    def test_a_slow_one_gets_as_much_as_it_is_slower(self, drilled: Drilling, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Pi, "pace", 4.0)
        now, over, forgotten = self._drop_ins(drilled(before=self.SHOWN))
        for command, folder in ((now, patience.UNTIL_REBOOT), (over, patience.OVER_A_REBOOT)):
            assert f"{folder}/db.service.d && printf '[Service]\\nTimeoutStartSec=6m\\n'" in command
            assert f"{folder}/web.service.d && printf '[Service]\\nTimeoutStartSec=1m20s\\n'" in command
            assert "app.service" not in command
        assert forgotten.startswith("rm -f ")
