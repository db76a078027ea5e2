"""The same drill on machines that boot: one command each, the same steps, one report, and nothing left of it.

On an emulated arm64 Pi, and on spare hardware over SSH, which a virtual machine of this host's own architecture plays.
"""

from __future__ import annotations

import contextlib
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.sample_pi import PLAN
from images.spare import NAME, Keys
from images.spare_vm import SpareVm
from muster.journal import read
from muster.machines.qemu import places
from muster.machines.sparing.clean import TOOLS
from muster.plan import load
from muster.record import MILESTONES, Record, fold
from muster.recovery import Recovery, sources
from tests.system.breaking import Sample
from tests.system.running import Running, start

WITHIN = 2400  # seconds; an emulated processor shares its two cores with whatever else runs there
_PLAN = load(PLAN)
_PACKAGES = (*_PLAN.machine.packages, *TOOLS.values())
_HOST: tuple[str, ...] = ("--drill-host", NAME, "--drill-erase", NAME)


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drill that has ended, its record, and the spare hardware that it was on, if it was."""

    running: Running
    exit: int
    record: Record
    spare: SpareVm | None


@contextlib.contextmanager
def _spare(folder: Path) -> Iterator[SpareVm]:
    with SpareVm(Keys(folder), "arm64" if platform.machine() == "aarch64" else "amd64", _PACKAGES) as machine:
        yield machine


@pytest.fixture(scope="module", params=["vm", "ssh"])
def drilled(request: pytest.FixtureRequest, system: Sample) -> Iterator[Drilled]:
    """The recovery of the sample on one kind of machine."""
    kind = request.param
    folder = system.folder / f"reach-{kind}"
    with _spare(folder) if kind == "ssh" else contextlib.nullcontext() as spare:
        more = [*_HOST, "--drill-ssh-config", str(spare.keys.config)] if spare else []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder / "state"))
            running = start(system.copy(f"on-{kind}"), system.folder / f"reports-{kind}", "--drill-machine", kind, *more)
        status = running.finish(WITHIN)
        journal = running.journal()
        assert journal is not None, running.output
        yield Drilled(running, status, fold(read(journal)), spare)


@pytest.fixture
def spare(drilled: Drilled) -> SpareVm:
    if drilled.spare is None:
        pytest.skip("a claim about spare hardware")
    return drilled.spare


def test_the_sample_is_recovered(drilled: Drilled) -> None:
    assert drilled.exit == 0, drilled.running.output[-4000:]
    assert drilled.record.verdict == "recovered", drilled.record.reasons
    assert None not in [drilled.record.milestones[milestone] for milestone in MILESTONES]


def test_every_step_of_a_containers_drill_was_done(drilled: Drilled) -> None:
    expected = {step.name for step in Recovery(_PLAN, sources(_PLAN)).steps()}
    done = {name for name, step in drilled.record.steps.items() if step.outcome == "done"}
    assert done == expected


def test_it_was_booted_again_with_a_kernel_of_its_own(drilled: Drilled) -> None:
    assert drilled.record.rebooted is not None
    assert drilled.record.rebooted > 1


def test_the_report_says_what_kind_of_machine_it_was(drilled: Drilled) -> None:
    (page,) = drilled.running.out.glob("*/report.html")
    assert drilled.record.machine.startswith(("vm (trixie, arm64", f"ssh ({NAME}"))
    assert drilled.record.machine in page.read_text()


def test_no_process_and_no_disk_of_the_drill_is_left(drilled: Drilled) -> None:
    run = drilled.record.run
    assert run
    assert subprocess.run(["pgrep", "-fa", run], capture_output=True, text=True, check=False).stdout == ""
    assert [path.name for path in places.folder("running").iterdir() if run in path.name] == []


def test_spare_hardware_is_as_it_was_and_runs_its_own_system(spare: SpareVm) -> None:
    assert spare.run("hostname; ls /.muster; cat /etc/hostname") == f"{NAME}\nback.log\nclean\nstamp\n{NAME}"
    assert spare.run("ls -d /etc/telemetry /usr/lib/muster /srv/media", check=False) == ""
