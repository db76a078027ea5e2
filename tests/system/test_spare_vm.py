"""The same drill on spare hardware that boots a kernel and a card of its own: a virtual machine of this host's architecture."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.sample_pi import PLAN
from images.spare import NAME, Keys
from images.spare_vm import SpareVm
from muster.journal import read
from muster.machines.sparing.clean import TOOLS
from muster.plan import load
from muster.record import fold
from tests.system.breaking import Sample
from tests.system.running import start

_PACKAGES = (*load(PLAN).machine.packages, *TOOLS.values())
pytestmark = pytest.mark.skipif("MUSTER_SLOW" not in os.environ, reason="ten minutes under emulation: set MUSTER_SLOW=1")
_BOOT = "cat /proc/sys/kernel/random/boot_id"


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[SpareVm]:
    architecture = "arm64" if platform.machine() == "aarch64" else "amd64"
    with SpareVm(Keys(tmp_path / "keys"), architecture, _PACKAGES) as machine:
        yield machine


def test_a_pi_comes_back_on_it_boots_there_and_it_boots_its_own_system_afterwards(
    system: Sample, spare: SpareVm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = spare.run(_BOOT)
    running = start(
        system.copy("spare-vm"),
        system.folder / "reports-spare-vm",
        *("--drill-machine", "ssh", "--drill-host", NAME, "--drill-erase", NAME),
        *("--drill-ssh-config", str(spare.keys.config)),
    )
    assert running.finish(1500) == 0, running.output
    journal = running.journal()
    assert journal
    events = read(journal)
    assert fold(events).verdict == "recovered"
    assert [event for event in events if event["kind"] == "rebooted"]
    assert spare.run("hostname; ls /.muster; cat /etc/hostname") == f"{NAME}\nback.log\nclean\nstamp\n{NAME}"
    assert spare.run(_BOOT) != before
    assert spare.run("ls -d /etc/telemetry /usr/lib/muster /srv/media", check=False) == ""
