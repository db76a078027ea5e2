"""Inspections of the telemetry plan's backups, told in full: proven, failed, and not all of it seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.data.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

AS_OF = datetime(2026, 3, 1, 8, 58, 12, tzinfo=UTC)
HOMES = {"usb": "etc programs readings events media", "offsite": "etc programs readings events media"}
HOMES |= {"vault": "keys", "vault-offsite": "keys"}
COPIES = [f"{repository}/{dataset}" for repository, datasets in HOMES.items() for dataset in datasets.split()]
DATASETS = ["etc", "programs", "keys", "readings", "events", "media"]
PI = "the Pi"

# check, what it is asked of, what it needs of its own repository, from when on (seconds), how long each takes, what was looked at
CHECKS: tuple[tuple[str, Iterable[str], str, float, float, str], ...] = (
    ("open", HOMES, "provision", 2.9, 2.2, "42 of 42 snapshots are of telemetry-pi"),
    ("look", HOMES, "open", 5.1, 1.4, "3,103 files, 78.0 MB in the newest snapshots"),
    ("sample", HOMES, "look", 6.5, 1.7, "61 files asked for"),
    ("manifest", [PI], "sample", 8.3, 0.0, "sealed 2026-03-01 08:45:02 UTC"),
    ("completion", HOMES, "look", 8.3, 0.1, "run 20260301T084500Z-8f3a, 3,103 files against a median of 3,098"),
    ("freshness", COPIES, "look", 8.4, 0.0, "0:13:10 old, at the most 26h"),
    ("integrity", HOMES, "open", 8.4, 1.9, "structure, and part 12 of 30 of the data"),
    ("restore", COPIES, "sample", 10.4, 0.1, "12 of 3,111 files, 1.2 of 78.0 MB, seed 271828"),
    ("copies", DATASETS, "", 10.6, 0.0, "2 copies on usb-ssd and disk, 1 of them off-site"),
    ("consistency", DATASETS, "", 10.6, 0.1, "the newest of 3 dumps, taken 4 s before its snapshot"),
    ("classification", DATASETS, "", 10.7, 0.1, "214 names, 3 files that look like keys"),
    ("coverage", [PI], "manifest", 10.9, 0.0, "41 paths of 6 services"),
    ("schedule", [PI], "manifest", 10.9, 0.0, "telemetry-backup.timer, enabled, next on 2026-03-01 20:45:00 UTC"),
    ("escrow", HOMES, "open", 11.0, 0.0, "1 password, found in 2 places"),
)


def graph() -> list[dict[str, Any]]:
    """The steps of the inspection, as the first event names them."""
    steps = [_node("provision", "machine", []) | {"name": "provision", "milestone": "provisioned"}]
    for check, subjects, needs, *_ in CHECKS:
        steps += [_node(check, subject, _needs(needs, subject)) for subject in subjects]
    return steps


def _node(check: str, subject: str, needs: list[str]) -> dict[str, Any]:
    name = f"{check}:{subject}"
    return {"name": name, "kind": check, "subject": subject, "milestone": "inspected", "needs": needs, "services": []}


def _needs(needs: str, subject: str) -> list[str]:
    if not needs or needs == "provision":
        return ["provision"]
    return [f"{needs}:{subject.partition('/')[0]}"]


def begin(journal: Told, accept: Iterable[dict[str, str]] = ()) -> None:
    """What is known before anything was looked at."""
    journal.write(
        "drill",
        v=1, purpose="inspection", run=journal.path.parent.name, plan="telemetry", hostname="telemetry-pi", incident="backups",
        about="MQTT telemetry into PostgreSQL and SQLite, a TLS status page, and a media archive",
        machine="container (trixie, aarch64)", lost_at=AS_OF.isoformat(), accept=list(accept), steps=graph(), seed=271828,
        versions={"muster": "0.1.0", "restic": "0.18.0", "os": "trixie"},
    )  # fmt: skip


def play(journal: Told, broken: dict[str, dict[str, Any]] | None = None, weaker: dict[str, str] | None = None) -> None:
    """Tell every step; `broken` says which end otherwise, and how, `weaker` which saw less (by check, or check and subject)."""
    journal.clock = 0.1
    journal.write("step_started", step="provision")
    journal.clock = 2.9
    journal.write("step_ended", step="provision", outcome="done")
    for check, subjects, _, start, took, what in CHECKS:
        for subject in subjects:
            name = f"{check}:{subject}"
            ended = (broken or {}).get(name, {}).get("ended", {"outcome": "done"})
            journal.clock = start
            if ended["outcome"] not in {"blocked", "stopped"}:
                journal.write("step_started", step=name)
                _facts(journal, check, subject, what, (weaker or {}).get(check, ""))
            journal.clock = start + took
            for finding in (broken or {}).get(name, {}).get("findings", ()):
                journal.write("finding", **finding, step=name)
            journal.write("step_ended", step=name, **ended)


def _facts(journal: Told, check: str, subject: str, what: str, weaker: str) -> None:
    if check in {"open", "look", "integrity"}:
        command = f"restic --no-lock --no-cache --json {check} {subject}"
        journal.write("command", step=f"{check}:{subject}", command=command, exit=0, seconds=1.3, out="[]", err="")
    journal.write("looked", check=check, subject=subject, what=what, weaker=weaker)
    if check == "restore":
        journal.write("restored", dataset=subject, files=12, bytes=1_204_311)
    if check == "integrity":
        journal.write("packs_read", repository=subject, part=12, parts=30)


def end(journal: Told, how: str = "finished") -> Path:
    """The last facts."""
    journal.clock = 40.0  # closed with the other drills of its run, long after its own last step
    for repository in HOMES:
        journal.write("processes", repository=repository, restic=4)
    journal.write("ended", how=how)
    journal.close()
    return journal.path


def finding(code: str, severity: str, where: str, what: str, fix: str, **other: str) -> dict[str, str]:
    """One finding, as the journal keeps it."""
    return {"code": code, "severity": severity, "where": where, "what": what, "fix": fix, "evidence": ""} | other


STALE = finding(
    "copy-stale", "error", "offsite/media",
    "The newest snapshot of media in offsite is of 2026-02-07 08:45 UTC: 22 days, 0:13:10 old, and the window is 26h.",
    "See why the Pi's backup, or the copy to this repository, no longer runs: timer, journal, disk, network.",
)  # fmt: skip
ONE_MEDIUM = finding(
    "one-medium", "error", "keys", "Both copies of keys are on usb-ssd.", "Keep one of them on something else.",
    accepted="the second kind of disk comes in March (until 2026-03-31)",
)  # fmt: skip


def healthy(folder: Path, began: datetime = AS_OF + timedelta(days=1)) -> Path:
    """Backups that are as the plan promises, but for a finding that it accepts; one check saw less than it could have."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    play(journal, {"copies:keys": {"findings": [ONE_MEDIUM]}}, {"schedule": "the Pi itself was not asked"})
    return end(journal)


def plain(folder: Path, began: datetime = AS_OF + timedelta(days=1)) -> Path:
    """Backups of which nothing but good can be said."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    play(journal)
    return end(journal)


def ailing(folder: Path, began: datetime = AS_OF + timedelta(days=2)) -> Path:
    """A stale copy, a file that differs, a repository out of reach, no manifest, and one finding that is accepted."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    evidence = "/srv/media/2026/02/28/cam1 — motion 07.mp4\n  sealed   sha256 9c1a…, 0640 telemetry\n  restored sha256 77e0…"
    differs = finding(
        "file-differs", "error", "usb/media", "1 of 12 restored files is not what the Pi sealed.",
        "Recover media from offsite, and check the disk under usb.", evidence=f"{evidence}\n<script>alert('xss')</script>",
    )  # fmt: skip
    away = finding(
        "repository-unreachable", "unproven", "vault-offsite", "The host of vault-offsite did not answer within 4 s.",
        "See whether it is up, and whether its address in the plan is right.",
    )  # fmt: skip
    blocked = {"outcome": "blocked", "reason": "needs open:vault-offsite, which could not be judged"}
    broken: dict[str, dict[str, Any]] = {
        "freshness:offsite/media": _failed(STALE),
        "restore:usb/media": _failed(differs),
        "open:vault-offsite": _failed(away, "error"),
        "copies:keys": {"findings": [ONE_MEDIUM]},
        "coverage:the Pi": {"ended": {"outcome": "error", "reason": "No backup holds a manifest.", "fix": "Run muster-seal."}},
    }
    for step in graph():
        if "vault-offsite" in step["subject"] and step["kind"] != "open":
            broken[step["name"]] = {"ended": blocked}
    play(journal, broken, {"restore": "no list of files was sealed: compared with the snapshot's own listing only"})
    return end(journal)


def _failed(found: dict[str, str], outcome: str = "failed") -> dict[str, Any]:
    return {"findings": [found], "ended": {"outcome": outcome, "reason": found["what"], "fix": found["fix"]}}


def out_of_reach(folder: Path, began: datetime = AS_OF + timedelta(days=3)) -> Path:
    """Nothing wrong was seen, but one repository was not seen at all."""
    journal = Told(folder / "journal.jsonl", began)
    begin(journal)
    away = finding(
        "repository-unreachable", "unproven", "offsite", "The host of offsite did not answer within 4 s.", "See whether it is up."
    )
    broken: dict[str, dict[str, Any]] = {
        step["name"]: {"ended": {"outcome": "blocked", "reason": "needs open:offsite, which could not be judged"}}
        for step in graph()
        if step["subject"].partition("/")[0] == "offsite"
    }
    play(journal, broken | {"open:offsite": _failed(away, "error")})
    return end(journal)
