"""The backup ended well and is wrong: everything exits 0. A drill names several causes at once; test_prove.py has each alone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

from tests.system.breaking import Sample, found, outcome, told

PLAN = "/etc/muster/plan.toml"
KEYS = "/etc/telemetry/keys"
INGEST = "/etc/systemd/system/telemetry-ingest.service"
# Several faults may want to change the plan on the Pi: the first keeps it, and the first to be undone puts it back.
KEEP_PLAN, PLAN_BACK = f"cp -an {PLAN} /root/plan.toml", f"[ ! -f /root/plan.toml ] || mv /root/plan.toml {PLAN}"
RESTIC_BACK, SEAL_BACK = "mv /root/restic /usr/bin/restic", "mv /root/muster-seal /usr/local/bin/muster-seal"
UNTOUCHED = ("smoke:login", "smoke:record", "smoke:events-sound")
SERVING = (*UNTOUCHED, "smoke:round-trip", "smoke:old-notes", "smoke:status-page")


def _restic(script: str) -> str:
    """A backup job of its owner's own making around restic; `script` runs it as /root/restic."""
    wrapped = f'#!/bin/sh\nset -e\ncase "$*" in *" backup "*) {script};; *) exec /root/restic "$@";; esac'
    return f"mv /usr/bin/restic /root/restic; cat > /usr/bin/restic <<'END'\n{wrapped}\nEND\nchmod 755 /usr/bin/restic"


def _excluding(path: str) -> str:
    return _restic(f'/root/restic "$@" --exclude {path}')


def _sealing(change: str) -> str:
    """A seal that writes something else: `change` is Python, and has the manifest as `sealed`."""
    program = f"""
import json, subprocess, sys, datetime
subprocess.run(["/root/muster-seal", *sys.argv[1:]], check=True)
path = "/var/lib/muster/manifest.json"
sealed = json.load(open(path))
{change}
json.dump(sealed, open(path, "w"))
"""
    where = "/usr/local/bin/muster-seal"
    return f"mv {where} /root/muster-seal; cat > {where} <<'END'\n#!/usr/bin/python3\n{program}END\nchmod 755 {where}"


def _dumping(dataset: str, command: str) -> str:
    """A dump of the owner's own making, and figures that are measured on the living database instead of on the dump."""
    before = {"readings": "pg_dump", "events": "telemetry-dump-events"}[dataset]
    script = f"/tmp/dump-{dataset}"  # noqa: S108  # on the Pi, where nobody else is
    write = f"cat > {script} <<'END'\nset -e\n{command}\nEND"
    edits = [f's,^dump = "{before}.*,dump = "sh {script}",', "s,[$][{]EVENTS_DB:-\\([^}]*\\)},\\1,"]
    return f"{KEEP_PLAN}\n{write}\nsed -i {shlex.join(['-e', edits[0], '-e', edits[1]])} {PLAN}"


def _edited(change: str) -> str:
    """A dump of the readings in which `change` (SQL) was made."""
    return _dumping(
        "readings",
        'export PGOPTIONS="-c client_min_messages=error"; dropdb --if-exists edited; createdb -T template0 edited\n'
        "pg_dump -Fc telemetry | pg_restore -d edited\n"
        f'psql -qX -v ON_ERROR_STOP=1 -d edited -c "{change}" >&2\npg_dump -Fc edited; dropdb edited',
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with the Pi (and is put right by `undo`), the finding that must name it, and what still works."""

    do: str
    undo: str
    code: str
    where: str
    says: str
    still: tuple[str, ...] = SERVING
    backup: str = ""


FAULTS = {
    "media-not-mounted": Fault(
        "mv /srv/media /srv/away; mkdir /srv/media",
        "rmdir /srv/media; mv /srv/away /srv/media",
        "dataset-empty",
        "media",
        "/srv/media",
    ),
    "media-partly-left-out": Fault(_excluding("/srv/media/photos"), RESTIC_BACK, "dataset-partial", "media", "files"),
    "media-not-backed-up": Fault(
        f'{KEEP_PLAN}; sed -i \'s,^paths = ."/srv/media".,paths = ["/srv/media/odd"],\' {PLAN}',
        PLAN_BACK,
        "metric-differs",
        "media",
        "when the Pi",
    ),
    "dumps-stopped": Fault(
        "touch -d '3 hours ago' /var/backups/telemetry/*/*",
        "true",
        "dump-stale",
        "readings",
        "older than",
        backup="--reuse-dumps",
    ),
    "dump-cut-off": Fault(
        _dumping("readings", "pg_dump -Fc -Z none telemetry | head -c 9000"),
        PLAN_BACK,
        "dump-damaged",
        "readings",
        "cut off",
        still=UNTOUCHED,
    ),
    "dump-empty": Fault(_dumping("events", "echo"), PLAN_BACK, "dump-damaged", "events", "events-", still=("smoke:login",)),
    "sqlite-without-wal": Fault(
        _dumping("events", "cat /var/lib/telemetry/events.db"),
        PLAN_BACK,
        "metric-differs",
        "events",
        "WAL",
        still=("smoke:round-trip",),
    ),
    "sqlite-cut-off": Fault(
        _dumping("events", "telemetry-dump-events | head -c 5000"),
        PLAN_BACK,
        "dump-damaged",
        "events",
        "cut off",
        still=("smoke:round-trip",),
    ),
    "newest-rows-missing": Fault(
        _edited("delete from reading where id > (select max(id) - 20 from reading)"),
        PLAN_BACK,
        "metric-differs",
        "readings",
        "when the Pi",
    ),
    "rows-right-values-wrong": Fault(
        _edited("update reading set value = value + 1 where id % 2 = 0"), PLAN_BACK, "metric-differs", "sum", "when the Pi"
    ),
    "secret-too-open": Fault(
        f"chmod 0644 {KEYS}/nginx.key", f"chmod 0600 {KEYS}/nginx.key", "mode-too-open", "keys", "nginx.key"
    ),
    "host-key-too-open": Fault(
        "chmod 0644 /etc/ssh/ssh_host_ed25519_key",
        "chmod 0600 /etc/ssh/ssh_host_ed25519_key",
        "host-key-refused",
        "ssh",
        "ed25519",
    ),
    "secrets-in-the-ordinary-repository": Fault(
        _restic('case "$*" in *telemetry/config*) /root/restic "$@" /etc/telemetry/keys;; *) /root/restic "$@";; esac'),
        RESTIC_BACK,
        "secret-in-plain-sight",
        "usb",
        KEYS,
    ),
    "secret-never-rotated": Fault(
        f"touch -d '100 days ago' {KEYS}/mqtt-ingest.password",
        f"touch {KEYS}/mqtt-ingest.password",
        "secret-overdue",
        "keys",
        "ingest",
    ),
    "owners-lost": Fault(
        f"cp -a {KEYS} /root/keys; " + _restic(f'chown pi:pi {KEYS}/*; exec /root/restic "$@"'),
        f"{RESTIC_BACK}; rm -r {KEYS}; mv /root/keys {KEYS}",
        "secret-changed",
        "keys",
        "pi:pi",
        still=(),
    ),
    "unit-not-enabled": Fault(
        "systemctl disable telemetry-ingest",
        "systemctl enable telemetry-ingest",
        "unit-not-enabled",
        "ingest",
        "telemetry-ingest",
    ),
    "packaged-unit-not-enabled": Fault(
        "systemctl disable nginx", "systemctl enable nginx", "unit-not-enabled", "nginx", "nginx.service"
    ),
    "timer-disabled": Fault(
        "systemctl disable telemetry-backup.timer",
        "systemctl enable telemetry-backup.timer",
        "unit-not-enabled",
        "schedule",
        "disabled",
    ),
    "timer-masked": Fault(
        "cp -a /etc/systemd/system/telemetry-backup.timer /root/; ln -sf /dev/null /etc/systemd/system/telemetry-backup.timer",
        "cp -a --remove-destination /root/telemetry-backup.timer /etc/systemd/system/; systemctl daemon-reload",
        "unit-not-enabled",
        "schedule",
        "masked",
    ),
    "wrong-order": Fault(
        f"cp -a {INGEST} /root/ingest; sed -i -e 's/^After=.*/Before=postgresql@17-main.service/' -e '/^Restart/d' {INGEST}",
        f"cp -a /root/ingest {INGEST}",
        "not-up-after-boot",
        "ingest",
        "as at a boot",
    ),
    "default-page-answers": Fault(
        "cp -a /etc/nginx/sites-available/telemetry /root/site; sed -i 's,proxy_pass .*,root /usr/share/nginx/html;,' "
        "/etc/nginx/sites-available/telemetry",
        "cp -a /root/site /etc/nginx/sites-available/telemetry",
        "smoke-failed",
        "nginx",
        "status-page",
        still=(*UNTOUCHED, "smoke:old-notes"),
    ),
    "manifest-without-users": Fault(
        _sealing("sealed['users'] = sealed['groups'] = {}"), SEAL_BACK, "owner-unknown", "keys", "belong to", still=()
    ),
}


# Faults that do not hide each other are drilled together: each must be named all the same, and a drill takes its time.
TOGETHER = (
    ("media-not-mounted", "newest-rows-missing", "sqlite-cut-off", "unit-not-enabled", "timer-masked"),
    ("media-partly-left-out", "dump-cut-off", "sqlite-without-wal", "packaged-unit-not-enabled", "secret-too-open"),
    (
        "media-not-backed-up",
        "rows-right-values-wrong",
        "dump-empty",
        "secrets-in-the-ordinary-repository",
        "default-page-answers",
    ),
    ("dumps-stopped", "host-key-too-open", "secret-never-rotated", "timer-disabled", "wrong-order"),
    ("owners-lost",),
    ("manifest-without-users",),
)


@pytest.mark.parametrize("names", TOGETHER, ids=" ".join)
def test_faults_are_named(system: Sample, names: tuple[str, ...]) -> None:
    faults = [FAULTS[name] for name in names]
    do, undo = ("\n".join(parts) for parts in ([fault.do for fault in faults], [fault.undo for fault in reversed(faults)]))
    home = system.backed_up("-".join(names)[:100], do, undo, backup=faults[0].backup)
    record = system.recover(home)
    for fault in faults:
        assert found(record, fault.code, fault.where, fault.says).severity == "error"
    assert record.verdict == "failed", told(record)
    still = set.intersection(*(set(fault.still) for fault in faults))
    assert not still or outcome(record, *still) == {"done"}, told(record)


def test_every_fault_is_drilled() -> None:
    assert sorted(FAULTS) == sorted(name for names in TOGETHER for name in names)


def test_healthy_backup_of_the_same_pi_says_nothing(system: Sample) -> None:
    record = system.recover(system.backed_up("healthy", "true"))
    assert (record.verdict, record.findings) == ("recovered", ()), told(record)
