"""What is in the backups is wrong: the inspection restores a sample, looks into it, and names the cause."""

from __future__ import annotations

from muster.record import Record
from tests.system.breaking import Sample, blob_of, flip, found, newest, outcome, told

LOCAL = ("usb", "vault")
CHECKS = ("restore", "consistency", "one-run", "classification", "coverage")
KEYS, CONFIG, DUMPS = "/etc/telemetry/keys", "/etc/telemetry/config", "/var/backups/telemetry"
RESTIC_BACK = "mv /root/restic /usr/bin/restic"


def _restic(ordinary: str, secret: str = "") -> str:
    """A backup job that does something of its own right before (and adds `$more` to) what restic backs up."""
    script = f'case "$*" in\n*" backup "*{CONFIG}*) {ordinary} ;;\n*" backup "*{KEYS}*) {secret or ":"} ;;\nesac'
    wrapped = f'#!/bin/sh\nset -e\nmore=\n{script}\nexec /root/restic "$@" $more'
    return f"mv /usr/bin/restic /root/restic; cat > /usr/bin/restic <<'END'\n{wrapped}\nEND\nchmod 755 /usr/bin/restic"


def _every_file(plan: str) -> str:
    """A plan that samples whatever is small enough."""
    return plan + "\n[inspection]\nsample = 1000\n"


def _mine(record: Record) -> list[str]:
    return [name for name in record.steps if name.partition(":")[0] in CHECKS]


def test_a_healthy_system_says_nothing_and_nothing_is_weaker(system: Sample) -> None:
    record = system.inspect(system.copy("contents-healthy"))
    assert outcome(record, *_mine(record)) == {"done"}, told(record)
    assert [finding for finding in record.findings if finding.step in _mine(record) and not finding.accepted] == [], told(record)
    about = {one.check: one for one in record.looked if one.check in CHECKS}
    assert sorted(about) == sorted(CHECKS)
    assert [one for one in record.looked if one.check in CHECKS and one.weaker] == []


# What the Pi does to its own files between its seal and its backup shows as a difference from what it sealed.
SETTINGS = f"{CONFIG}/postgresql.conf"
BIT_ROT = f"touch -r {SETTINGS} /tmp/then; sed -i '1s/./%/' {SETTINGS}; touch -r /tmp/then {SETTINGS}"
SPILL = f"more='{KEYS} --exclude /usr/local/lib/telemetry/telemetry/mqtt.py'"
LIVE = """
mkdir -p /srv/media/pg/global /opt/ingest
cp -a /var/lib/postgresql/17/main/PG_VERSION /var/lib/postgresql/17/main/postmaster.pid /srv/media/pg/
cp -a /var/lib/postgresql/17/main/global/pg_control /srv/media/pg/global/
cp -a /var/lib/telemetry/events.db* /srv/media/
cp -a /etc/telemetry/keys/nginx.key /etc/telemetry/config/old.key
echo 'of use' > /opt/ingest/extra.conf; echo 'of use' > /etc/unheard-of.conf
mkdir -p /etc/systemd/system/telemetry-ingest.service.d
printf '[Service]\\nExecStartPre=-/bin/cat /opt/ingest/extra.conf\\n' > /etc/systemd/system/telemetry-ingest.service.d/extra.conf
systemctl daemon-reload
"""
DEAD = """
rm -r /srv/media/pg /srv/media/events.db* /etc/telemetry/config/old.key /opt/ingest /etc/unheard-of.conf
rm -r /etc/systemd/system/telemetry-ingest.service.d; systemctl daemon-reload
chown root /usr/local/bin/telemetry-sql; mv /root/postgresql.conf /etc/telemetry/config/postgresql.conf
"""


def test_what_should_not_be_in_a_backup_and_what_is_not_as_it_was_are_named(system: Sample) -> None:
    rot = f"{BIT_ROT}; chown pi /usr/local/bin/telemetry-sql; {SPILL}"
    do = f"cp -a {SETTINGS} /root/; {LIVE}\n{_restic(rot)}"
    home = system.backed_up("contents-a", do, f"{RESTIC_BACK}; {DEAD}")
    record = system.inspect(home, change=_every_file, repositories=LOCAL)
    found(record, "file-differs", "usb/etc", f"{SETTINGS} has other content")
    found(record, "file-differs", "usb/programs", "/usr/local/bin/telemetry-sql has owner pi:root instead of root:root")
    found(record, "file-missing", "usb/programs", "telemetry/mqtt.py")
    assert found(record, "database-copied-hot", "media", "/srv/media/pg").severity == "error"
    found(record, "sqlite-copied-open", "media", "/srv/media/events.db")
    assert found(record, "secret-looking", f"{CONFIG}/old.key", "holds a private key").severity == "error"
    found(record, "secret-in-plain-sight", "usb", KEYS)
    found(record, "path-not-covered", "/opt/ingest", "ingest uses")
    assert found(record, "not-covered", "/etc/unheard-of.conf").severity == "warning"
    assert record.verdict == "failed", told(record)
    assert outcome(record, "restore:vault/keys", "restore:usb/media", "consistency:readings") == {"done"}, told(record)


OLD_DUMPS = f"""
cp -a {DUMPS} /root/dumps
cd {DUMPS}/readings; mv "$(ls | tail -n 1)" readings-latest; rm -f readings-2*
truncate -s 9000 readings-latest; touch -d '3 hours ago' readings-latest
cd {DUMPS}/events; new="$(ls | tail -n 1)"; dd if=/dev/zero of="$new" bs=4096 seek=2 count=1 conv=notrunc status=none
"""
DUMPS_BACK = f"rm -r {DUMPS}; mv /root/dumps {DUMPS}"


def test_dumps_that_are_old_cut_off_or_overwritten_are_named(system: Sample) -> None:
    home = system.backed_up("contents-b", OLD_DUMPS, DUMPS_BACK, backup="--reuse-dumps")
    record = system.inspect(home, repositories=LOCAL)
    found(record, "dump-stale", "readings", "older than the snapshot")
    assert found(record, "dump-unversioned", "readings", "readings-latest").severity == "warning"
    found(record, "dump-damaged", "readings", "cannot be read to its end")
    found(record, "dump-damaged", "events", "cannot be read to its end")
    assert outcome(record, "restore:usb/readings", "restore:usb/events") == {"done"}, told(record)


NO_DUMPS = f"""
cp -a {DUMPS} /root/dumps; cp -a {KEYS} /root/keys
cd {DUMPS}/readings; for dump in *; do mv "$dump" "other-$dump"; done
cd {DUMPS}/events; truncate -s 0 "$(ls | tail -n 1)"
chmod 0644 {KEYS}/nginx.key; touch -d '100 days ago' {KEYS}/mqtt-ingest.password
"""


def test_missing_dumps_and_secrets_that_are_not_kept_well_are_named(system: Sample) -> None:
    secret = f"chown pi {KEYS}/mqtt-recorder.password; more='--exclude {KEYS}/app.key'"
    undo = f"{RESTIC_BACK}; {DUMPS_BACK}; rm -r {KEYS}; mv /root/keys {KEYS}"
    home = system.backed_up("contents-c", f"{NO_DUMPS}\n{_restic(':', secret)}", undo, backup="--reuse-dumps")
    record = system.inspect(home, repositories=LOCAL)
    found(record, "dump-missing", "readings", "nothing matches")
    found(record, "dump-empty", "events", "is empty")
    found(record, "mode-too-open", "keys", "nginx.key")
    found(record, "secret-overdue", "keys", "mqtt-ingest.password")
    found(record, "secret-missing", "keys", "app.key")
    found(record, "secret-changed", "keys", "pi:")
    found(record, "file-missing", "vault/keys", "app.key")
    assert outcome(record, "classification:etc", "consistency:etc", "restore:usb/etc") == {"done"}, told(record)


def test_a_password_in_a_script_is_named_and_never_shown(system: Sample) -> None:
    script = "/usr/local/bin/old-backup"
    do = f"printf '#!/bin/sh\\nexport RESTIC_PASSWORD=%s\\n' $(cat /etc/telemetry/backup/vault.password) > {script}"
    home = system.backed_up("contents-script", do, f"rm {script}")
    record = system.inspect(home, repositories=LOCAL)
    finding = found(record, "secret-in-plain-sight", where="usb", says=f"The password of vault stands in {script}")
    assert finding.severity == "error"
    password = (home / "secrets" / "vault.password").read_text().strip()
    assert not [journal for journal in system.out.rglob("journal*.jsonl") if password in journal.read_text()]


def test_a_file_that_cannot_be_restored_and_runs_that_do_not_fit_are_named(system: Sample) -> None:
    system.living.backup()  # a healthy one, which is the newest of the two when the next one is gone
    where, at = blob_of(system.living, SETTINGS)
    home = system.backed_up("contents-d", "true")
    flip(home / "usb" / "telemetry" / where, at)
    newest(home / "usb" / "telemetry").unlink()
    record = system.inspect(home, change=_every_file, repositories=LOCAL)
    assert SETTINGS in found(record, "repository-damaged", "usb/etc", "cannot be restored").evidence
    assert found(record, "restore-point-mixed", "restore point").severity == "warning"
    assert outcome(record, "restore:usb/programs", "restore:vault/keys") == {"done"}, told(record)


def test_without_a_manifest_it_looks_at_less_and_says_so(system: Sample) -> None:
    home = system.backed_up("contents-e", _restic("more='--exclude /var/lib/muster'"), RESTIC_BACK)
    record = system.inspect(home, repositories=LOCAL)
    assert found(record, "no-manifest", "coverage").severity == "unproven"
    assert outcome(record, "restore:usb/etc", "consistency:readings", "classification:keys") == {"done"}, told(record)
    weaker = {f"{one.check}:{one.subject}" for one in record.looked if one.weaker}
    assert {"restore:usb/etc", "restore:vault/keys", "classification:keys"} <= weaker
    assert outcome(record, "coverage:the Pi") == {"error"}, told(record)
