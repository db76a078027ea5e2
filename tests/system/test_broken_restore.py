"""The backup is good, and the clean machine is not what it has to be: the drill says so, and calls nothing recovered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from muster.machines.container import Container
from muster.machines.machine import Mount
from muster.plan import Plan
from tests.system.breaking import MakeMachine, Sample, found, outcome, told


@dataclass(slots=True)
class Spoilt(Container):
    """A clean machine to which something happens right after its boot."""

    spoil: str = "true"

    def start(self) -> None:
        super(Spoilt, self).start()  # slots make this a class of its own, which a bare super() does not know
        super(Spoilt, self).provision()
        assert self.run(self.spoil, timeout=timedelta(seconds=20)).ok


def _spoilt(spoil: str) -> MakeMachine:
    def make(plan: Plan, labels: Mapping[str, str]) -> Spoilt:
        local = [repository for repository in plan.repositories.values() if repository.is_local]
        mounts = [Mount(source=plan.path.parent / "usb" / repository.at.name, at=str(repository.at)) for repository in local]
        name = f"muster-{labels['muster.run']}-spoilt"
        return Spoilt(plan.machine.os, plan.machine.packages, plan.hostname, name, labels, mounts, spoil=spoil)

    return make


def test_disk_is_too_small_for_the_archive(system: Sample) -> None:
    small = _spoilt("mount -t tmpfs -o size=1M tmpfs /srv")
    record = system.recover(system.copy("small-disk"), make_machine=small)
    assert record.verdict == "not proven", told(record)
    assert "disk is too small" in found(record, "disk-full").what
    assert outcome(record, "smoke:round-trip", "smoke:record") == {"done"}, told(record)


def test_disk_is_too_small_for_the_dumps(system: Sample) -> None:
    small = _spoilt("mkdir -p /var/backups/telemetry; mount -t tmpfs -o size=16k tmpfs /var/backups/telemetry")
    record = system.recover(system.copy("smaller-disk"), make_machine=small)
    assert record.verdict == "not proven", told(record)
    assert "disk is too small" in found(record, "disk-full").what
    assert record.rto.measured is None


def test_restic_is_missing(system: Sample) -> None:
    record = system.recover(system.copy("no-restic"), make_machine=_spoilt("rm /usr/bin/restic"))
    assert record.verdict == "failed", told(record)
    assert "restic is not on" in found(record, "no-restic").what


def test_machine_has_another_name(system: Sample) -> None:
    record = system.recover(system.copy("renamed"), make_machine=_spoilt("hostname raspberrypi"))
    assert record.verdict == "failed", told(record)
    assert "raspberrypi" in found(record, "hostname-differs").what
    assert outcome(record, "smoke:round-trip", "smoke:status-page") == {"done"}, told(record)


def test_program_of_a_service_is_missing(system: Sample) -> None:
    record = system.recover(system.copy("no-driver"), make_machine=_spoilt("rm -r /usr/lib/python3/dist-packages/psycopg2"))
    assert record.verdict == "failed", told(record)
    assert "No module named 'psycopg2'" in found(record, "unit-failed", "ingest").what
    assert outcome(record, "start:mosquitto", "start:recorder", "start:postgresql") == {"done"}, told(record)
