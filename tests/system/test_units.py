"""The units of docs/workflows/systemd, in the systemd of a clean Pi OS: they run, publish after a failure, and tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from muster.machines.container import Container, owner_labels
from muster.machines.machine import Mount, Result
from muster.session import new_run

HERE = Path(__file__).parents[2] / "docs" / "workflows" / "systemd"
UNITS = sorted(path.name for path in HERE.iterdir())
# What the units call, and what it sees of its surroundings: whether it can write where it must, and only there.
PROGRAM = r"""#!/bin/sh
case $0 in */apprise) echo "told $*"; exit 0 ;; esac
{
    echo "$0 $*"
    id -un; id -Gn; pwd
    echo "secret: $MUSTER_OFFSITE_PASSWORD"
    grep NoNewPrivs /proc/self/status
    test -w /var/run/docker.sock && echo "may use docker"
    touch /srv/muster/reports && echo "writes reports"
    touch /tmp/copy-of-a-backup && echo "writes where docker sees it"
    touch /etc/own /usr/own /home/own /root/own 2>/dev/null || echo "writes nowhere else"
} >> "/srv/muster/$(basename "$0").log" 2>&1
case $*:$(cat /srv/muster/broken 2>/dev/null) in *pytest*:yes) exit 1 ;; esac
"""
ALERT = "-u muster-alert@muster-drill.service.service --no-pager --output=cat"
SETUP = r"""set -e
groupadd --system docker
useradd --system --user-group --home-dir /srv/muster muster
mkdir -p /srv/muster/.venv/bin /etc/muster /var/run
for name in python muster apprise; do
    printf '%s' "$PROGRAM" > "/srv/muster/.venv/bin/$name"; chmod 755 "/srv/muster/.venv/bin/$name"
done
echo 'json://nowhere.invalid' > /etc/muster/alerts
(umask 077; echo 'MUSTER_OFFSITE_PASSWORD=from-the-file-of-root' > /etc/muster/secrets.env)
touch /run/docker.sock; chown root:docker /run/docker.sock; chmod 660 /run/docker.sock
chown -R muster: /srv/muster
cp /mnt/units/* /etc/systemd/system/
systemctl daemon-reload
"""


@pytest.fixture(scope="module")
def pi() -> Iterator[Container]:
    run = new_run()
    machine = Container("trixie", (), "nas", f"muster-{run}-units", owner_labels(run, "test"), [Mount(HERE, "/mnt/units")])
    machine.prepare(print)
    try:
        machine.provision()
        done = ask(machine, f"PROGRAM={quoted(PROGRAM)}; {SETUP}")
        assert done.ok, done.err
        yield machine
    finally:
        machine.destroy()


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def ask(pi: Container, command: str) -> Result:
    return pi.run(command, timeout=timedelta(seconds=60))


def log(pi: Container, program: str) -> str:
    """What a program wrote about its surroundings, once."""
    return ask(pi, f"cat /srv/muster/{program}.log; rm -f /srv/muster/{program}.log").out


def properties(pi: Container, unit: str, *names: str) -> dict[str, str]:
    said = ask(pi, f"systemctl show {unit} --property={','.join(names)}").out
    return dict(line.split("=", 1) for line in said.splitlines())


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(pi: Container, unit: str) -> None:
    done = ask(pi, f"systemd-analyze verify --man=no {unit.replace('@', '@muster-drill.service')}")
    assert (done.exit, done.out + done.err) == (0, "")


def test_systemd_would_find_something_wrong_with_one(pi: Container) -> None:
    wrong = "sed 's/OnCalendar=.*/OnCalendar=*-13-99/; s/Persistent/Persistant/' /mnt/units/muster-drill.timer > /tmp/wrong.timer"
    done = ask(pi, f"{wrong}; systemd-analyze verify --man=no /tmp/wrong.timer")
    assert "wrong.timer" in done.err


@pytest.mark.parametrize(("unit", "what"), [("muster-drill", "drills/"), ("muster-check", "drills/test_backups.py")])
def test_a_job_runs_with_what_it_needs_and_publishes(pi: Container, unit: str, what: str) -> None:
    done = ask(pi, f"systemctl start {unit}.service")
    assert done.ok, ask(pi, f"journalctl -u {unit} --no-pager").out
    said = log(pi, "python")
    assert f"-m pytest {what}\n" in said
    assert "\nmuster\n" in said
    assert "docker" in said.split("\n")[2].split()
    assert "\n/srv/muster\nsecret: from-the-file-of-root\n" in said
    for right in ("may use docker", "writes reports", "writes where docker sees it", "writes nowhere else"):
        assert f"\n{right}\n" in said
    assert "NoNewPrivs:\t0" in said
    assert "muster publish site --retain 400d" in log(pi, "muster")


def test_a_drill_that_failed_is_published_and_told(pi: Container) -> None:
    ask(pi, "echo yes > /srv/muster/broken")
    assert not ask(pi, "systemctl start muster-drill.service").ok
    ask(pi, "rm /srv/muster/broken")
    assert "muster publish site" in log(pi, "muster")
    assert ask(pi, "systemctl is-failed muster-drill.service").ok
    # It was asked for when the drill failed; asking again would be no proof.
    told = ask(pi, f"until journalctl {ALERT} | grep '^told'; do sleep 0.1; done").out
    assert "--config=/etc/muster/alerts --title=muster-drill.service did not end well on nas" in told
    assert "--body=journalctl -u muster-drill.service says more." in told


@pytest.mark.parametrize("timer", ["muster-drill.timer", "muster-check.timer"])
def test_a_timer_makes_up_for_what_was_missed_and_does_not_start_all_machines_at_once(pi: Container, timer: str) -> None:
    assert ask(pi, f"systemctl enable --now {timer}").ok
    found = properties(pi, timer, "Persistent", "RandomizedDelayUSec", "ActiveState", "NextElapseUSecRealtime", "Unit")
    assert (found["Persistent"], found["ActiveState"], found["Unit"]) == ("yes", "active", timer.replace(".timer", ".service"))
    assert found["RandomizedDelayUSec"] not in {"", "0"}
    assert found["NextElapseUSecRealtime"]
