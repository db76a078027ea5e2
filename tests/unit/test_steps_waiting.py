"""The script that starts a unit and waits for it, run by a real shell, with a systemctl that says what a test wants."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Drill
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.steps import serve
from tests.fake.machine import FakeMachine, write_plan

REFUSED, DEAD, LATE, SKIPPED = 90, 91, 92, 93
SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  start*) {start} ;;
  is-active*) {active} ;;
  *ActiveState*) echo {state} ;;
esac
"""


def _script(folder: Path, name: str, ready: str) -> str:
    path = write_plan(folder)
    path.write_text(path.read_text().replace("ready = { tcp = 5432 }", "ready = { tcp = 9 }") + ready)
    plan = load(path)
    drill = Drill(
        plan, Incident("disk-loss", datetime.now(UTC)), FakeMachine({}), Journal(folder / "j"), "run", say=lambda _: None
    )
    try:
        return serve._start_and_wait(drill.context, name, plan.services[name])
    finally:
        drill.close()


class Pi:
    """A shell whose systemctl answers as told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"

    def starts(self, name: str, *, start: str = ":", active: str = "exit 3", state: str = "activating", ready: str = "") -> int:
        """Run the script and return its exit status."""
        script = _script(self.folder, name, ready)
        program = self.folder / "systemctl"
        program.write_text(SYSTEMCTL.format(log=self.log, start=start, active=active, state=state))
        program.chmod(0o755)
        path = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", script], env=path, capture_output=True, timeout=20, check=False).returncode

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_unit_that_systemd_says_is_up_is_asked_once_more_and_no_further(pi: Pi) -> None:
    assert pi.starts("app", active="exit 0") == 0
    assert [asked.split()[0] for asked in pi.asked] == ["start", "is-active"]


def test_a_unit_that_systemd_does_not_know_is_refused(pi: Pi) -> None:
    assert pi.starts("app", start='echo "Failed to start app.service: Unit app.service not found." >&2; exit 5') == REFUSED


def test_a_unit_whose_start_fails_is_dead_and_started_no_second_time(pi: Pi) -> None:
    failed = 'echo "Job for app.service failed because the control process exited with error code." >&2; exit 1'
    assert pi.starts("app", start=failed, state="failed") == DEAD
    assert sum(asked.startswith("start") for asked in pi.asked) == 1


def test_a_unit_that_systemd_skipped_is_told(pi: Pi) -> None:
    assert pi.starts("app", state="inactive") == SKIPPED


def test_a_port_that_nobody_opens_is_late_and_its_unit_not_blamed(pi: Pi) -> None:
    late = pi.starts("late", ready='\n[services.late]\nready = { tcp = 9, within = "1s" }\n')
    assert late == LATE
    assert pi.asked[0].startswith("start --no-block")


def test_a_port_whose_unit_died_is_not_waited_for(pi: Pi) -> None:
    assert pi.starts("db", state="failed") == DEAD
