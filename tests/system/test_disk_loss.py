"""The Pi is gone and more with it: the disk beside it, the passwords' machine, or all of it to ransomware."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from images import sample
from muster.errors import MusterError
from muster.exercise import Blocked
from muster.plan import load
from muster.record import Record
from muster.session import Options, Session, new_run
from tests.system.breaking import Sample, found, lost, told
from tests.system.running import written_plan


def drilled(system: Sample, home: Path, name: str, words: Mapping[str, Any]) -> Record:
    """The record of a drill of that incident, of what is left in `home`."""
    put_store = sample.store_for(system.client, home)
    options = Options(system.out, new_run(), lost_at=lost(home))
    session = Session(options, on_network=lambda _plan, _reached, network, labels: put_store(network, labels), say=lambda _: None)
    try:
        session.drill(load(written_plan(home)), name, **words).conclude()
    except (MusterError, Blocked):
        pass
    finally:
        records = session.close()
    return records[0]


def encrypt(disk: Path) -> None:
    """What ransomware leaves of a disk: random bytes under other names, and a note."""
    for path in [path for path in disk.rglob("*") if path.is_file()]:
        path.chmod(0o600)
        path.write_bytes(os.urandom(path.stat().st_size))
        path.rename(path.with_name(f"{path.name}.locked"))
    for folder in (disk, *disk.iterdir()):
        (folder / "HOW-TO-PAY.txt").write_text("Your files are encrypted.\n")


def test_the_off_site_copy_and_the_envelope_are_enough(system: Sample) -> None:
    home = system.copy("burnt")
    shutil.rmtree(home / "usb")
    for secret in ("restic.password", "vault.password", "offsite.key"):
        (home / "secrets" / secret).unlink()  # known_hosts is none
    fire = {"class_": "disk-loss", "lost": ["usb", "vault"], "passwords": "escrow"}
    record = drilled(system, home, "fire", fire)
    assert record.verdict == "recovered", told(record)
    assert {point.repository for point in record.restore_points} == {"offsite", "vault-offsite"}
    assert record.rto.measured is not None
    assert record.rpo.measured is not None


def test_passwords_without_a_second_place_are_lost_with_their_machine(system: Sample) -> None:
    home = system.copy("unsealed")
    (home / "envelope" / "vault.password").unlink()
    record = drilled(system, home, "password-loss", {})
    assert record.verdict == "failed", told(record)
    assert "envelope/vault.password" in found(record, "password-missing", "vault").what


class TestRansomware:
    def test_the_off_site_copy_alone_brings_everything_back(self, system: Sample) -> None:
        home = system.copy("ransomed")
        encrypt(home / "usb")
        record = drilled(system, home, "ransomware", {})
        assert {point.repository for point in record.restore_points} == {"offsite", "vault-offsite"}, told(record)
        assert all(record.milestones.values()), told(record)
        assert record.verdict == "recovered", told(record)
        assert not [
            command.command for command in record.commands if "/mnt/usb" in command.command and "restic" in command.command
        ]

    def test_a_plain_loss_of_the_disk_says_what_is_wrong_and_where_else_to_go(self, system: Sample) -> None:
        home = system.copy("held")
        encrypt(home / "usb")
        record = system.recover(home)
        assert record.verdict == "failed", told(record)
        finding = found(record, "repository-damaged", "usb", "no longer restic's own")
        assert "--drill-repo" in finding.fix
        assert "off-site" in finding.fix
