"""A recovered machine is really booted again: it comes back, or what keeps it from that is named before and after.

What a restore leaves on the disk is put there by hand: these are about the boot, on a virtual machine of its own each.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.trees import Entry
from muster.errors import RecoveryError
from muster.findings import Finding
from muster.journal import Journal
from muster.machines import container
from muster.machines.vm import Vm
from muster.machines.wanted import Wanted
from muster.plan import MachineSpec, load
from muster.session import new_run
from muster.steps import adapt, bootable, reboot, serve
from muster.steps.context import Recovering

HOSTNAME = "boot-pi"
PLAN = f"""\
schema = 1
name = "boot"
hostname = "{HOSTNAME}"

[objectives]
rpo = "1d"
rto = "1h"

[repositories.usb]
url = "usb"
media = "usb-ssd"
password = {{ file = "password" }}

[data.system]
class = "config"
paths = ["/etc", "/boot/firmware/cmdline.txt"]

[boot]
adapt = ["/etc/fstab", "/boot/firmware/cmdline.txt"]

[services.beacon]
uses = ["system"]

[services.follower]
after = ["beacon"]

[smoke.light]
service = "beacon"
run = "cat /run/light /var/lib/light"
expect = {{ contains = "on" }}
"""
# The beacon takes a moment; its follower looks once, and waits for it only where its unit says so.
BEACON = """\
[Service]
Type=exec
ExecStart=/bin/sh -c 'sleep 3; touch /run/up; exec sleep infinity'
ExecStartPost=/bin/sh -c 'until [ -e /run/up ]; do sleep 0.2; done'
[Install]
WantedBy=multi-user.target
"""
FOLLOWER = """\
[Service]
Type=exec
ExecStartPre=test -e /run/up
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
"""
LIGHT = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo on > /run/light'
[Install]
WantedBy=multi-user.target
"""
CMDLINE, FSTAB = "/boot/firmware/cmdline.txt", "/etc/fstab"
LOST = "bbbb2222"


@dataclass(frozen=True, slots=True)
class Pi:
    """A machine to which something was restored, and what is found out about it."""

    context: Recovering

    def run(self, command: str) -> str:
        done = self.context.console.run(command, step="by hand")
        assert done.ok, done.err
        return done.out

    def bring_back(self, path: str, text: str) -> None:
        self.run(f"printf %s {shlex.quote(text)} > {path}")
        self.came_back(path)

    def came_back(self, *paths: str) -> None:
        self.context.back |= {path: Entry("file", 0o644, 100, "root", "root") for path in paths}

    def name_the_lost_card(self, *paths: str) -> None:
        """Give these files the id that they have in a backup of the lost Pi."""
        self.run(f"sed -Ei 's/PARTUUID=[0-9a-f]{{8}}-/PARTUUID={LOST}-/g' {shlex.join(paths)}")
        self.came_back(*paths)

    def services(self, follower: str = FOLLOWER.replace("[Service]", "[Unit]\nAfter=beacon.service\n[Service]")) -> None:
        """Bring back the services of the plan, and start them in order."""
        for name, unit in (("beacon", BEACON), ("follower", follower), ("light", LIGHT)):
            self.bring_back(f"/etc/systemd/system/{name}.service", unit)
        self.run("echo on > /var/lib/light; systemctl enable beacon follower light; systemctl start light")
        for name in self.context.plan.services:
            serve.start(self.context, name, f"start:{name}")

    def found(self, step: Callable[[Recovering, str], None], name: str) -> dict[str, Finding]:
        """What a step finds wrong, by code."""
        before = len(self.context.journal.events)
        try:
            step(self.context, name)
            worst = []
        except RecoveryError as error:
            worst = [error.finding]
        told = [event for event in self.context.journal.events[before:] if event["kind"] == "finding"]
        names = ("code", "severity", "where", "what", "fix", "evidence")
        found = [*worst, *(Finding(*(event[name] for name in names)) for event in told)]
        for finding in worst:
            self.context.report(finding)
        return {finding.code: finding for finding in found}


@pytest.fixture
def pi(tmp_path: Path) -> Iterator[Pi]:
    (tmp_path / "usb").mkdir()
    (tmp_path / "plan.toml").write_text(PLAN)
    run = new_run()
    vm = Vm(Wanted(MachineSpec(), HOSTNAME, f"muster-{run}-boot", container.owner_labels(run, "boot")))
    try:
        vm.prepare(print)
        vm.provision()
        journal = Journal(tmp_path / "journal.jsonl")
        yield Pi(Recovering(load(tmp_path / "plan.toml"), vm, journal, ["usb"], datetime.now(UTC), {"system": "usb"}))
        journal.close()
    finally:
        vm.destroy()


def test_a_pi_whose_files_name_the_lost_card_boots_from_the_new_one_once_they_are_adapted(pi: Pi) -> None:
    assert pi.found(bootable.check, "bootable") == {}, "nothing came back yet"
    pi.run(f"echo 'UUID=0000-1111 /srv/usb vfat nofail,x-systemd.device-timeout=1s 0 0' >> {FSTAB}")
    pi.name_the_lost_card(FSTAB, CMDLINE)
    named = pi.found(bootable.check, "bootable")
    assert set(named) == {"boot-disk-differs", "boot-disk-absent"}
    assert f"PARTUUID={LOST}-02" in named["boot-disk-differs"].what

    adapt.adapt(pi.context, "adapt")
    assert set(pi.found(bootable.check, "bootable")) == {"boot-disk-absent"}
    pi.services()
    assert pi.found(reboot.reboot, "boot") == {}
    (booted,) = [event for event in pi.context.journal.events if event["kind"] == "rebooted"]
    assert booted["seconds"] > 0
    assert "/boot/firmware" in pi.run("findmnt -rno TARGET -t vfat")


def test_what_was_right_by_hand_alone_is_named_after_the_reboot(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reboot, "HEED", timedelta(seconds=1))  # none of it comes right if it is waited for
    pi.services(FOLLOWER)  # it does not say what it waits for
    pi.run("systemctl disable -q light")
    found = pi.found(reboot.reboot, "boot")
    assert {code: finding.where for code, finding in found.items()} == {
        "not-up-after-boot": "follower",
        "not-right-after-boot": "beacon",
    }
    assert "did not come up at a reboot" in found["not-up-after-boot"].what
    assert "Smoke check light held when beacon was started" in found["not-right-after-boot"].what


def test_a_pi_that_looks_for_the_lost_card_does_not_boot_and_the_cause_comes_first(pi: Pi) -> None:
    pi.name_the_lost_card(CMDLINE)
    named = pi.found(bootable.check, "bootable")
    assert {code: finding.severity for code, finding in named.items()} == {"boot-disk-differs": "error"}
    dead = pi.found(reboot.reboot, "boot")["does-not-boot"]
    assert dead.severity == "error"
    assert dead.what.startswith(f"The restored {CMDLINE} says root=PARTUUID={LOST}-02")
    assert LOST in dead.evidence, "the last words on its console"
