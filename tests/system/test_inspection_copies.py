"""What an inspection says of copies of a real system that are broken, and that it is silent on a healthy one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.record import Record
from tests.system.answering import answering
from tests.system.breaking import Sample, blob_of, flip, found, newest, outcome, packs, told

HOUR = timedelta(hours=1)
LOCAL = ("usb", "vault")
EVERYTHING_DAILY = '\n[inspection]\nread_all_within = "1d"\n'


def _codes(record: Record) -> set[str]:
    return {finding.code for finding in record.findings}


def _at_home(home: Path) -> Callable[[str], str]:
    """The plan, with off-site repositories that are folders: the first a mirror, the second the very same."""

    def change(text: str) -> str:
        text = re.sub(r"(?m)^(ssh_key|known_hosts) = .*\n", "", text)
        text = text.replace("sftp:backup@offsite:/restic/telemetry", str(home / "mirror"))
        return text.replace("sftp:backup@offsite:/restic/vault", str(home / "usb" / "vault-by-another-name"))

    return change


def test_a_healthy_system_has_no_finding(system: Sample) -> None:
    record = system.inspect(system.copy("inspected"))
    counting = [finding for finding in record.findings if not finding.accepted]
    assert counting == [], told(record)
    assert record.verdict == "proven", told(record)


def test_copies_that_are_all_too_old_are_named_one_by_one(system: Sample) -> None:
    record = system.inspect(system.copy("stale"), lost_at=datetime.now(UTC) + 27 * HOUR)
    stale = {finding.where for finding in record.findings if finding.code == "copy-stale"}
    assert len(stale) == 12, told(record)
    found(record, "too-few-copies", where="media", says="usb is too old")
    assert record.verdict == "failed"


def test_a_run_that_shrank_and_never_got_off_site_is_named(system: Sample) -> None:
    home = system.backed_up("shrunk", "mv /srv/media/photos /root/", "mv /root/photos /srv/media/")
    record = system.inspect(home, lost_at=datetime.now(UTC) + 2 * HOUR)
    found(record, "run-incomplete", where="offsite", says="is in usb")
    found(record, "run-incomplete", where="vault-offsite")
    found(record, "snapshot-shrunk", where="usb", says="files")
    assert not {"copy-stale", "too-few-copies"} & _codes(record), told(record)


def test_damage_that_only_reading_finds_is_found_in_its_turn(system: Sample) -> None:
    home = system.copy("bit-flip")
    pack, at = blob_of(system.living, "/etc/nginx/nginx.conf")
    flip(home / "usb" / "telemetry" / pack, at)
    packs(home / "usb" / "vault")[-1].unlink()
    record = system.inspect(home, repositories=LOCAL, change=lambda text: text + EVERYTHING_DAILY)
    found(record, "repository-damaged", where="usb", says="restic check")
    found(record, "repository-damaged", where="vault", says="does not exist")
    assert outcome(record, "integrity:usb", "integrity:vault") == {"failed"}


def test_copies_that_are_none_are_named(system: Sample) -> None:
    home = system.copy("one-place")
    shutil.copytree(home / "usb" / "telemetry", home / "mirror")
    (home / "usb" / "vault-by-another-name").symlink_to("vault")
    record = system.inspect(home, change=_at_home(home), store=False)
    found(record, "offsite-not-elsewhere", where="offsite", says="folder of the host")
    found(record, "offsite-not-elsewhere", where="vault-offsite")
    assert found(record, "copies-not-independent", where="usb, offsite").severity == "warning"
    assert found(record, "copies-not-independent", where="vault, vault-offsite").severity == "error"
    found(record, "too-few-copies", where="keys", says="vault-offsite is the same")
    found(record, "one-medium", where="media", says="share a disk")
    found(record, "no-offsite", where="media")


def test_a_store_that_nobody_reaches_leaves_the_copies_unproven(system: Sample) -> None:
    record = system.inspect(system.copy("no-store"), store=False)
    assert found(record, "repository-unreachable", where="offsite").severity == "unproven"
    assert found(record, "too-few-copies", where="media", says="could not be seen").severity == "unproven"
    assert record.verdict == "not proven", told(record)


def test_a_timer_that_is_not_enabled_and_a_second_password_that_is_wrong_are_named(system: Sample) -> None:
    home = system.backed_up(
        "timer-off", "systemctl disable -q telemetry-backup.timer", "systemctl enable -q telemetry-backup.timer"
    )
    (home / "envelope" / "restic.password").write_text("quite-another-password\n")
    (home / "envelope" / "vault.password").unlink()
    record = system.inspect(home, repositories=LOCAL)
    found(record, "timer-not-enabled", where="the Pi", says="disabled")
    found(record, "escrow-differs", where="usb")
    found(record, "escrow-missing", where="vault")


@pytest.mark.parametrize(("hours", "stale"), [(1, False), (2, True)])
def test_without_manifest_and_window_the_timers_file_says_how_old_a_copy_may_be(
    system: Sample, hours: int, *, stale: bool
) -> None:
    home = system.copy(f"plain-{hours}")
    made = newest(home / "usb" / "telemetry").stat().st_mtime

    def plain(text: str) -> str:
        without = re.sub(r"(?m)^window = .*\n", "", text)
        return without.replace('hostname = "', 'manifest = "/none/of/it.json"\nhostname = "', 1)

    record = system.inspect(home, change=plain, repositories=LOCAL, lost_at=datetime.fromtimestamp(made, UTC) + hours * HOUR)
    found(record, "no-manifest")
    assert ("copy-stale" in _codes(record)) == stale, told(record)
    assert any("1h10m (the timer's file in the backup)" in one.what for one in record.looked if one.check == "freshness")


def test_the_living_pi_is_asked_how_its_last_run_ended(system: Sample, tmp_path: Path) -> None:
    home = system.copy("asked")
    with answering(system.living, tmp_path / "ask") as pi:
        well = system.inspect(home, change=lambda text: text + pi.table, repositories=("vault",))
        system.living.run("mkdir -p /run/systemd/system/telemetry-backup.service.d")
        drop_in = "/run/systemd/system/telemetry-backup.service.d/fails.conf"
        system.living.run(f"printf '[Service]\\nExecStart=\\nExecStart=sh -c \"exit 3\"\\n' > {drop_in}; systemctl daemon-reload")
        try:
            system.living.run("systemctl start telemetry-backup.service", check=False)
            badly = system.inspect(home, change=lambda text: text + pi.table, repositories=("vault",))
        finally:
            system.living.run(f"rm {drop_in}; systemctl daemon-reload; systemctl reset-failed telemetry-backup.service")
    silent = system.inspect(home, change=lambda text: text + pi.table, repositories=("vault",))
    assert not {"run-failed", "pi-unreachable", "run-unknown"} & _codes(well), told(well)
    found(badly, "run-failed", where="the Pi", says="partial")
    assert found(silent, "pi-unreachable", where="the Pi").severity == "unproven"
