"""Drills of the telemetry plan, told in full: one that recovers, one that fails, one that was cut off.

`python -m tests.data.demo FOLDER` writes them there as runs, to look at the pages made from them.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.data.inspections import ailing, healthy
from tests.data.told import Told, node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOST = datetime(2026, 3, 1, 8, 58, 12, tzinfo=UTC)
_S = ("mosquitto", "postgresql", "ingest", "recorder", "status", "nginx")

# name, milestone, needs, services, start, end, commands
STEPS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], float, float, tuple[str, ...]], ...] = (
    ("provision machine", "provisioned", (), _S, 0.1, 3.9, ("systemctl is-system-running --wait", "cat /etc/os-release")),
    ("find usb", "provisioned", (), _S, 0.1, 1.7, ("restic --no-lock --json snapshots --host telemetry-pi",)),
    ("find vault", "provisioned", (), _S, 0.1, 1.6, ("restic --no-lock --json snapshots --host telemetry-pi",)),
    ("restore etc", "configured", ("provision machine", "find usb"), _S, 4.0, 5.6, (
        ("restic --no-lock --json restore 8f3a1c77:/etc --target /etc --include /etc/mosquitto --include /etc/nginx"
        " --include /etc/postgresql --include /etc/systemd/system --include /etc/telemetry/config"),
        "chown --from=118:123 -h postgres:postgres /etc/postgresql/17/main/pg_hba.conf",
        "systemctl daemon-reload",
    )),
    ("restore keys", "configured", ("provision machine", "find vault"), _S, 4.0, 5.1, (
        "restic --no-lock --json restore 51be09d2 --target / --include /etc/telemetry/keys",
        "stat -c '%a %U:%G %n' /etc/telemetry/keys/mqtt.key /etc/telemetry/keys/app.key",
    )),
    ("restore programs", "configured", ("provision machine", "find usb"), ("ingest", "recorder"), 4.0, 5.3, (
        "restic --no-lock --json restore 8f3a1c77 --target / --include /usr/local/bin --include /usr/local/lib/telemetry",
    )),
    ("restore readings", "restored", ("restore etc",), ("ingest", "status", "nginx"), 5.7, 7.9, (
        "restic --no-lock --json restore 8f3a1c77 --target / --include /var/backups/telemetry/readings",
        "pg_restore --list /var/backups/telemetry/readings/readings-20260301T084500Z",
    )),
    ("restore events", "restored", ("restore etc",), ("recorder",), 5.7, 7.2, (
        "restic --no-lock --json restore 8f3a1c77 --target / --include /var/backups/telemetry/events",
    )),
    ("start postgresql", "serving", ("restore etc",), ("postgresql", "ingest", "status", "nginx"), 5.7, 8.4, (
        "systemctl enable --now postgresql@17-main.service", "pg_isready -q", "pg_isready -q", "pg_isready -q",
    )),
    ("start mosquitto", "serving", ("restore etc", "restore keys"), ("mosquitto", "ingest", "recorder"), 5.7, 6.9, (
        "systemctl enable --now mosquitto.service", "ss -Hltn 'sport = :8883'", "ss -Hltn 'sport = :8883'",
    )),
    ("load readings", "restored", ("restore readings", "start postgresql"), ("ingest", "status", "nginx"), 8.5, 14.9, (
        ("createuser telemetry && createdb -O telemetry telemetry && pg_restore -d telemetry --exit-on-error"
        " < /var/backups/telemetry/readings/readings-20260301T084500Z"),
    )),
    ("load events", "restored", ("restore events",), ("recorder",), 7.3, 7.7, (
        ('install -D -o telemetry -g telemetry -m 0640 "$DUMP" /var/lib/telemetry/events.db'
        " && chown telemetry:telemetry /var/lib/telemetry"),
    )),
    ("restore media", "restored", ("restore etc",), ("nginx",), 8.0, 31.4, (
        "restic --no-lock --json restore 8f3a1c77 --target / --include /srv/media",
        "find /srv/media -xdev -type f -newermt 2026-03-01T08:45:00Z -print0 | head -z -n 20",
    )),
    ("check-data media", "restored", ("restore media",), ("nginx",), 31.5, 36.2, (
        "find /srv/media -printf '%y %m %u:%g %s %p\\0' | md5sum", "getcap -r /srv/media", "getfacl -Rcp /srv/media | md5sum",
    )),
    ("start recorder", "serving", ("start mosquitto", "load events"), ("recorder",), 7.8, 9.1, (
        "systemctl enable --now telemetry-recorder.service", "systemctl is-active telemetry-recorder.service",
    )),
    ("start ingest", "serving", ("start mosquitto", "load readings"), ("ingest",), 15.0, 16.3, (
        "systemctl enable --now telemetry-ingest.service", "systemctl is-active telemetry-ingest.service",
        "systemctl is-active telemetry-ingest.service",
    )),
    ("start status", "serving", ("load readings",), ("status", "nginx"), 15.0, 16.8, (
        "systemctl enable --now telemetry-status.service", "test -S /run/telemetry-status/http.sock",
        "test -S /run/telemetry-status/http.sock",
    )),
    ("start nginx", "serving", ("start status",), ("nginx",), 16.9, 18.0, (
        "systemctl enable --now nginx.service", "ss -Hltn 'sport = :443'",
    )),
    ("smoke login", "verified", ("start mosquitto",), ("mosquitto",), 7.0, 7.6, ("telemetry-selftest login",)),
    ("smoke stranger", "verified", ("start mosquitto",), ("mosquitto",), 7.0, 7.5, ("telemetry-selftest stranger",)),
    ("smoke record", "verified", ("start recorder",), ("recorder",), 9.2, 11.4, ("telemetry-selftest record",)),
    ("smoke round-trip", "verified", ("start ingest",), ("ingest",), 16.4, 18.9, ("telemetry-selftest round-trip",)),
    ("smoke old-notes", "verified", ("start ingest",), ("ingest",), 16.4, 17.1, ("telemetry-selftest decrypt",)),
    ("smoke status-page", "verified", ("start nginx",), ("nginx", "status"), 18.1, 18.9, ("telemetry-selftest status",)),
    ("smoke archive", "verified", ("start nginx", "check-data media"), ("nginx",), 36.3, 38.7, ("telemetry-selftest archive",)),
    ("metric readings", "verified", ("load readings",), (), 15.0, 15.6, ("telemetry-sql 'select count(*) from reading'",)),
    ("metric events", "verified", ("load events",), (), 7.8, 8.0, (
        'sqlite3 "${EVENTS_DB:-/var/lib/telemetry/events.db}" \'select count(*), max(id) from event\'',
    )),
    ("metric media", "verified", ("check-data media",), (), 36.3, 36.9, (
        "find /srv/media | wc -l; du -s --apparent-size -B1 /srv/media | cut -f1",
    )),
    ("watermark readings", "verified", ("load readings",), (), 15.0, 15.4, ("telemetry-sql 'select max(at) from reading'",)),
    ("watermark events", "verified", ("load events",), (), 7.8, 8.0, (
        "sqlite3 /var/lib/telemetry/events.db 'select max(at) from event'",
    )),
    ("conform packages", "verified", ("start nginx",), (), 18.1, 19.6, ("dpkg-query -W -f '${Package} ${Version}\\n'",)),
)  # fmt: skip

RESTORED = {"etc": (214, 1_482_210), "programs": (19, 402_118), "keys": (9, 17_020)}
RESTORED |= {"readings": (3, 48_201_774), "events": (1, 6_291_456), "media": (4_212, 1_913_400_201)}
METRICS = {
    "readings": ("182441", "182441", "0%"),
    "events": ("90112|90112", "90112|90112", "0%"),
    "media": ("4377 1913400201", "4380 1913409941", "1%"),
}


def begin(journal: Told, *, rto: float = 1800.0, incident: str = "disk-loss", more: Iterable[dict[str, Any]] = ()) -> None:
    """What is known before anything ran: the plan, the graph (with `more` steps), what was carried, and what to restore from."""
    journal.drill(
        [*(node(name, milestone, *services, needs=needs) for name, milestone, needs, services, *_ in STEPS), *more],
        incident=incident,
        about="MQTT telemetry into PostgreSQL and SQLite, a TLS status page, and a media archive",
        lost_at=LOST.isoformat(),
        objectives={"rto": rto, "rpo": 3600.0},
        services={name: {"rto": 1200.0 if name == "ingest" else None} for name in _S},
        datasets={
            name: {"class": kind, "rpo": rpo, "watermark": kind == "state"}
            for name, kind, rpo in (
                ("etc", "config", 3600.0),
                ("programs", "config", 3600.0),
                ("keys", "secrets", 3600.0),
                ("readings", "state", 900.0),
                ("events", "state", 900.0),
                ("media", "data", 3600.0),
            )
        },
        manual=[
            {"before": "provisioned", "what": "Flash the SD card with Raspberry Pi OS Lite and boot the Pi", "seconds": 480.0},
            {"before": "configured", "what": "Fetch the USB disk and the sealed envelope with the passwords", "seconds": 180.0},
        ],
        versions={"muster": "0.1.0", "restic": "0.18.0", "docker": "28.0.1", "os": "trixie", "machine": "aarch64"},
    )
    journal.write("carried", what="11 packages into the clean image", seconds=71.4, measured_at="2026-02-27T20:11:09+00:00")


def found(journal: Told) -> None:
    """The restore points."""
    taken = (LOST - timedelta(minutes=13, seconds=10)).isoformat()
    journal.write(
        "restore_point",
        repository="usb", url="/mnt/usb/telemetry", snapshot="8f3a1c77d2e94b01", time=taken, host="telemetry-pi",
        datasets=["etc", "programs", "readings", "events", "media"],
    )  # fmt: skip
    journal.write(
        "restore_point",
        repository="vault", url="/mnt/usb/vault", snapshot="51be09d2aa017f63", time=taken, host="telemetry-pi", datasets=["keys"],
    )  # fmt: skip


def facts_of(journal: Told, name: str) -> None:
    """What a step that ended well leaves in the journal beside its commands."""
    kind, _, subject = name.partition(" ")
    if name == "find usb":
        found(journal)
    if kind == "restore":
        files, size = RESTORED[subject]
        journal.write("restored", dataset=subject, files=files, bytes=size)
    if kind == "metric":
        value, expected, tolerance = METRICS[subject]
        journal.write("metric", name=subject, value=value, expected=expected, tolerance=tolerance)
    if kind == "watermark":
        newest = (LOST - timedelta(minutes=13, seconds=11.4 if subject == "readings" else 12.9)).isoformat()
        journal.write("watermark", dataset=subject, newest=newest, manifest=newest)


def events(names: Iterable[str], stretch: float) -> list[tuple[float, int, str, Any]]:
    """What happens when: (seconds, order, what, of which step or command)."""
    told: list[tuple[float, int, str, Any]] = []
    for name, _, _, _, start, end, commands in STEPS:
        if name not in names:
            continue
        told.append((start * stretch, 2, "start", name))
        each = (end - start) * stretch / len(commands)
        told += [(start * stretch + each * (n + 1), 0, "command", (name, line, each * 0.9)) for n, line in enumerate(commands)]
        told.append((end * stretch, 1, "end", name))
    return sorted(told, key=lambda entry: entry[:2])


OUT = {"telemetry-selftest round-trip": "stored: reading 182442 came back through the status page after 0.84 s\n"}


def play(
    journal: Told,
    names: Iterable[str],
    stretch: float = 1.0,
    broken: dict[str, dict[str, Any]] | None = None,
    facts: Callable[[Told, str], None] | None = None,
) -> None:
    """Tell the steps in order of their times, and their `facts`; `broken` says which of them end otherwise, and how."""
    broken = broken or {}
    for at, _, what, subject in events(names, stretch):
        journal.clock = at
        if what == "start":
            journal.write("step_started", step=subject)
        elif what == "command":
            step, line, seconds = subject
            exit_ = broken.get(step, {}).get("exit", 0)
            err = broken.get(step, {}).get("err", "")
            journal.write("command", step=step, command=line, exit=exit_, seconds=seconds, out=OUT.get(line, ""), err=err)
        elif subject in broken:
            for finding in broken[subject].get("findings", ()):
                journal.write("finding", **finding)
            journal.write("step_ended", step=subject, **broken[subject]["ended"])
        else:
            (facts or facts_of)(journal, subject)
            journal.write("step_ended", step=subject, outcome="done", reason="", fix="")


ALL = tuple(name for name, *_ in STEPS)


def passing(folder: Path, began: datetime = LOST + timedelta(seconds=108), stretch: float = 1.0, rto: float = 1800.0) -> Path:
    """A drill that recovers: about 30 steps, 60 commands, one warning."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal, rto=rto)
    play(journal, ALL, stretch)
    journal.write(
        "finding", code="MUS-B14", severity="warning", where="dataset media",
        what="3 files that changed during the backup are older than the manifest says.",
        fix="Stop telemetry-archive.timer for the snapshot, or snapshot the filesystem first.",
        evidence="/srv/media/2026/02/28/cam1 — motion 07.mp4\n/srv/media/2026/03/01/index.db-wal",
    )  # fmt: skip
    journal.write("note", text="The USB repository held a stale lock of telemetry-pi; it was read without a lock.")
    journal.write("ended", how="finished")
    journal.close()
    return journal.path


def failing(folder: Path, began: datetime = LOST + timedelta(days=1)) -> Path:
    """A drill that fails: the dump does not load, and what needs it is blocked."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    what = "The dump of readings could not be loaded: pg_restore ended with 1."
    fix = "Add the role `grafana` to the plan's load, or dump with --no-owner."
    err = 'pg_restore: error: could not execute query: ERROR:  role "grafana" does not exist\n<script>alert("xss")</script>\n'
    finding = {"code": "MUS-D07", "severity": "error", "where": "dataset readings", "what": what, "fix": fix, "evidence": err}
    mode = {
        "code": "MUS-S02", "severity": "error", "where": "/etc/telemetry/keys/app.key",
        "what": "The restored secret may be read by everyone (0644, declared 0600).",
        "fix": "Set the mode on the Pi before the next backup: chmod 0600 /etc/telemetry/keys/app.key",
        "evidence": "644 root:root /etc/telemetry/keys/app.key",
    }  # fmt: skip
    blocked = {"start ingest", "start status", "start nginx", "smoke round-trip", "smoke old-notes", "smoke status-page"}
    blocked |= {"smoke archive", "metric readings", "watermark readings", "conform packages"}
    broken: dict[str, dict[str, Any]] = {
        "load readings": {
            "exit": 1,
            "err": err,
            "findings": [finding],
            "ended": {"outcome": "failed", "reason": f"{what} {fix}", "fix": fix},
        },
        "restore keys": {"findings": [mode], "ended": {"outcome": "failed", "reason": mode["what"], "fix": mode["fix"]}},
        "smoke record": {"exit": None, "ended": {"outcome": "error", "reason": "the machine did not answer for 30 s", "fix": ""}},
    }
    play(journal, [name for name in ALL if name not in blocked], 1.0, broken)
    for name in ALL:
        if name in blocked:
            journal.write("step_ended", step=name, outcome="blocked", reason="it needs load readings, which failed", fix="")
    journal.write("ended", how="finished")
    journal.close()
    return journal.path


def cut_off(folder: Path, began: datetime = LOST + timedelta(days=2)) -> Path:
    """A drill that was killed while the archive came back."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    play(journal, [name for name, _, _, _, _, end, _ in STEPS if end < 12])  # seconds
    journal.write("step_started", step="restore media")
    journal.clock = 19.0
    journal.write("note", text="half of it")
    journal.close()
    with journal.path.open("a") as file:
        file.write('{"kind": "comm')
    return journal.path


def write_runs(out: Path) -> None:
    """Several runs, as `reports/` holds them."""
    passing(out / "20260301-090000-a1")
    failing(out / "20260302-085812-b2")
    cut_off(out / "20260303-085812-c3")
    passing(out / "20260304-090000-d4", LOST + timedelta(days=3), stretch=3.0, rto=720.0)
    passing(out / "20260305-090000-e5", LOST + timedelta(days=4), stretch=1.3)
    ailing(out / "20260306-060000-f6", LOST + timedelta(days=5))
    healthy(out / "20260307-060000-a7", LOST + timedelta(days=6))


if __name__ == "__main__":
    write_runs(Path(sys.argv[1]))
