"""What is left of the Pi is damaged, of somebody else, or out of reach: the drill fails, and says what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.system.breaking import Sample, blob_of, flip, found, newest, outcome, packs, told


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o600)
        path.write_bytes(b"")


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to a home, and the finding that must name it."""

    do: Callable[[Path], object]
    code: str
    where: str
    says: str


DAMAGES = {
    "wrong-vault-password": Damage(
        lambda home: (home / "secrets/vault.password").write_text("not-the-password\n"),
        "wrong-password",
        "vault",
        "password does not open",
    ),
    "password-file-gone": Damage(
        lambda home: (home / "secrets/restic.password").unlink(), "password-missing", "usb", "restic.password"
    ),
    "key-truncated": Damage(lambda home: _empty(home / "usb/telemetry/keys"), "key-missing", "usb", "key file"),
    "index-emptied": Damage(lambda home: _empty(home / "usb/telemetry/index"), "repository-damaged", "usb", "damaged"),
    "snapshot-truncated": Damage(lambda home: _empty(home / "usb/telemetry/snapshots"), "repository-damaged", "usb", "damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(system: Sample, name: str) -> None:
    damage = DAMAGES[name]
    home = system.copy(name)
    damage.do(home)
    record = system.recover(home)
    found(record, damage.code, where=damage.where, says=damage.says)
    assert record.verdict == "failed", told(record)
    assert record.rto.measured is None


def test_flipped_bit_is_blamed_on_its_dataset_and_the_others_serve(system: Sample) -> None:
    home = system.copy("flipped")
    pack, at = blob_of(system.living, "/srv/media/film/0.mp4")
    flip(home / "usb/telemetry" / pack, at)
    record = system.recover(home)
    assert record.verdict == "failed", told(record)
    assert "from usb" in found(record, "repository-damaged", "media", "film/0.mp4").what
    assert outcome(record, "smoke:round-trip", "smoke:record", "smoke:status-page") == {"done"}, told(record)


def test_flipped_bit_in_a_dump_leaves_what_does_not_need_it(system: Sample) -> None:
    home = system.backed_up("flipped-dump", "true")
    dump = system.living.run("ls /var/backups/telemetry/readings/* | tail -n 1")
    pack, at = blob_of(system.living, dump)
    flip(home / "usb/telemetry" / pack, at)
    record = system.recover(home)
    assert record.verdict == "failed", told(record)
    found(record, "repository-damaged", "readings", dump)
    assert outcome(record, "smoke:login", "smoke:events-sound", "start:recorder") == {"done"}, told(record)
    assert record.steps["start:ingest"].outcome == "blocked"


def test_pack_that_is_gone_is_blamed_on_the_repository(system: Sample) -> None:
    home = system.copy("pack-gone")
    packs(home / "usb/telemetry")[-1].unlink()
    record = system.recover(home)
    assert record.verdict == "failed", told(record)
    assert "from usb" in found(record, "repository-damaged").what
    assert {finding.code for finding in record.findings} <= {"repository-damaged", "unit-not-enabled"}, told(record)
    assert record.seconds < 25, "no service is waited for that cannot come"


def test_pack_without_its_tail_is_found_though_everything_restores(system: Sample) -> None:
    home = system.copy("tail")
    path = packs(home / "usb/telemetry")[-1]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-10])
    record = system.recover(home)
    assert record.verdict == "failed", told(record)
    assert found(record, "repository-damaged").where == "usb"


def test_deleted_newest_snapshot_shows_as_lost_data(system: Sample) -> None:
    home = system.backed_up("older", "true")
    newest(home / "usb/telemetry").unlink()
    record = system.recover(home, lost_at=datetime.now(UTC) + timedelta(minutes=20))
    assert record.verdict == "failed", told(record)
    assert found(record, "rpo-missed").where == "RPO of readings"
    assert "different backup runs" in found(record, "restore-point-mixed").what
    assert outcome(record) == {"done"}, told(record)


def test_stale_lock_does_not_stop_a_drill(system: Sample) -> None:
    home = system.backed_up("locked", LOCK, "rm -f /mnt/usb/telemetry/locks/*", backup=None)
    assert list((home / "usb/telemetry/locks").iterdir())
    record = system.recover(home)
    assert (record.verdict, record.findings) == ("recovered", ()), told(record)


LOCK = r"""
export RESTIC_REPOSITORY=/mnt/usb/telemetry RESTIC_PASSWORD_FILE=/etc/telemetry/backup/restic.password
restic check --no-cache --read-data --limit-download 1 >/dev/null 2>&1 & checking=$!
until [ -n "$(ls /mnt/usb/telemetry/locks)" ]; do sleep 0.02; done
kill -9 $checking
[ -n "$(ls /mnt/usb/telemetry/locks)" ]
"""


def test_snapshots_of_another_host_are_not_taken(system: Sample) -> None:
    rename = (
        "cp -a /etc/muster/plan.toml /root/plan.toml; sed -i 's/^hostname = .*/hostname = \"garden-pi\"/' /etc/muster/plan.toml"
    )
    home = system.backed_up("garden", rename, "mv /root/plan.toml /etc/muster/plan.toml")
    for repository in ("telemetry", "vault"):
        last = newest(home / "usb" / repository)
        for path in (home / "usb" / repository / "snapshots").iterdir():
            if path != last:
                path.unlink()
    record = system.recover(home)
    finding = found(record, "no-snapshot-of-host")
    assert record.verdict == "failed"
    assert "garden-pi" in finding.what


class TestOffsite:
    OFFSITE = ("offsite", "vault-offsite")

    def test_only_the_off_site_copy_is_left(self, system: Sample) -> None:
        home = system.copy("offsite")
        shutil.rmtree(home / "usb")
        record = system.recover(home, repositories=self.OFFSITE)
        assert (record.verdict, record.findings) == ("recovered", ()), told(record)

    def test_host_shows_another_key(self, system: Sample) -> None:
        home = system.copy("impostor")
        key = (home / "store/host_key.pub").read_text().split()[1]
        known = home / "secrets/known_hosts"
        known.write_text(known.read_text().replace(key, key[:-6] + "AAAAAA"))
        record = system.recover(home, repositories=self.OFFSITE)
        assert record.verdict == "failed", told(record)
        assert found(record, "host-key-changed").where in self.OFFSITE

    def test_key_is_refused(self, system: Sample) -> None:
        home = system.copy("refused")
        (home / "store/authorized_keys").write_text("")
        record = system.recover(home, repositories=self.OFFSITE)
        assert record.verdict == "failed", told(record)
        assert found(record, "ssh-refused").where in self.OFFSITE

    def test_host_is_down(self, system: Sample) -> None:
        record = system.recover(system.copy("down"), repositories=self.OFFSITE, store=False)
        assert record.verdict == "failed", told(record)
        assert found(record, "repository-unreachable").where in self.OFFSITE
