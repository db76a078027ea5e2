"""Drills of the three classes of incidents, told in full: what a search, a comparison and rotations leave in a journal.

`python -m tests.data.incidents FOLDER` writes them there as one run, to look at the pages made from them.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.data.demo import ALL, LOST, begin, facts_of, failing, passing, play
from tests.data.told import Told, node

NOTICED = LOST + timedelta(seconds=108)
RUN = timedelta(minutes=14)
GOOD_UNTIL = 46  # of 64 restore points, counted from 0; those behind it are bad
MQTT = "/etc/telemetry/keys/mqtt-ingest.password"


def at(moment: datetime) -> str:
    """A time as journals hold it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def case(journal: Told, name: str, class_: str, about: str, **other: Any) -> None:  # noqa: ANN401  # any fact of a case
    """The event that says what is rehearsed."""
    facts = {
        "name": name,
        "class_": class_,
        "about": about,
        "restore": {"corruption": "newest-good", "compromise": "before-first-sign"}.get(class_, "latest"),
        "lost": [],
        "passwords": "usual",
        "first_sign": "",
        "section": "",
        "planted": "",
    }
    journal.write("case", **(facts | other))


def snapshot(number: int) -> str:
    """The id of a restore point."""
    return f"{number:02d}a1c77d2e94b01"


def taken(number: int) -> datetime:
    """When a restore point was made: every 14 minutes, the 64th right before the incident was noticed."""
    return LOST - timedelta(minutes=2) - RUN * (63 - number)


def point(journal: Told, number: int, datasets: list[str], repository: str = "usb") -> None:
    """A restore point that was used."""
    facts = {"url": f"/mnt/{repository}", "host": "telemetry-pi", "time": at(taken(number)), "datasets": datasets}
    journal.write("restore_point", repository=repository, snapshot=snapshot(number), **facts)


def searched(journal: Told, probed: list[int], good: set[int]) -> None:
    """The search among 64 restore points."""
    points = [{"snapshot": snapshot(number), "time": at(taken(number))} for number in range(64)]
    journal.write("searched", repository="usb", points=points)
    for number in probed:
        right = number in good
        journal.write(
            "probe",
            repository="usb", snapshot=snapshot(number), time=at(taken(number)), run=f"run-{number}",
            good=right, seconds=2.4 + number / 64,
            reason="" if right else "readings: 9 of its rows have no sensor",
            answers=[
                {"question": "invariant orphans", "answer": "0" if right else "9", "right": right},
                {"question": "metric sum", "answer": str(10_000 + 3 * number), "right": True},
                {"question": "watermark readings", "answer": at(taken(number)), "right": True},
            ],
        )  # fmt: skip


def corruption(folder: Path, began: datetime = NOTICED, probed: list[int] | None = None, good: set[int] | None = None) -> Path:
    """A drill that finds the newest good restore point, and takes the archive from a newer one."""
    journal = Told(folder / "journal-telemetry-corruption.jsonl", began)
    begin(journal, incident="corruption", more=[node("search", "configured"), node("invariant orphans")])
    case(journal, "corruption", "corruption", "The data is wrong, and nobody knows since when")
    journal.step("search", 4.0, 9.0)
    probed = [31, 47, 55, 39, 43, 45, 46] if probed is None else probed
    searched(journal, probed, set(range(GOOD_UNTIL + 1)) if good is None else good)
    journal.write("happened", at=at(taken(GOOD_UNTIL + 1)), why="the first restore point after it is bad")
    journal.write("chose", why="It is the newest of 64 restore points that is good: the next one breaks the invariant orphans.")
    journal.write("merge", dataset="media", snapshot=snapshot(63), time=at(taken(63)), skew=14280.0, taken=True)
    journal.write("merge", dataset="events", snapshot=snapshot(63), time=at(taken(63)), skew=14280.0, taken=False)

    def facts(journal: Told, name: str) -> None:
        if name == "find usb":
            point(journal, GOOD_UNTIL, ["etc", "programs", "readings", "events"])
            point(journal, 63, ["media"])
            point(journal, GOOD_UNTIL, ["keys"], "vault")
        elif name.startswith("watermark"):
            newest = at(taken(GOOD_UNTIL) - timedelta(seconds=2))
            journal.write("watermark", dataset=name.split()[1], newest=newest, manifest=newest)
        else:
            facts_of(journal, name)

    play(journal, ALL, facts=facts)
    journal.step("invariant orphans", 39.0, 39.4)
    journal.write("ended", how="finished")
    journal.close()
    return journal.path


def compromise(folder: Path, began: datetime = NOTICED, *, healthy: bool = True) -> Path:
    """A drill after a compromise: everything compared, every credential replaced, and the off-site copy attacked."""
    journal = Told(folder / "journal-telemetry-compromise.jsonl", began)
    more = [node("compare programs"), node("rotate mqtt"), node("rotate tls"), node("rotate app-key"), node("tryout offsite")]
    begin(journal, incident="compromise", more=more)
    sign = at(taken(50) + timedelta(minutes=4))
    case(journal, "compromise", "compromise", "Somebody else was on the Pi", first_sign=sign, planted="useradd -o -u 0 backup")
    journal.write("happened", at=sign, why="the first sign of it was left then")

    def facts(journal: Told, name: str) -> None:
        if name == "find usb":
            point(journal, 50, ["etc", "programs", "readings", "events", "media"])
            point(journal, 50, ["keys"], "vault")
        elif name.startswith("watermark"):
            newest = at(taken(50) - timedelta(seconds=2))
            journal.write("watermark", dataset=name.split()[1], newest=newest, manifest=newest)
        else:
            facts_of(journal, name)

    play(journal, ALL, facts=facts)
    journal.step("compare programs", 39.0, 41.0)
    against = f"snapshot 00a1c77d of usb, {at(taken(0))}"
    for what, looked in (("authorized_keys and sshd", 4), ("units and timers", 212), ("setuid and capabilities", 31)):
        journal.write("compared", what=what, against=against, looked=looked, differing=0)
    journal.write(
        "compared", what="programs of packages", against="the clean machine", looked=9211, differing=0 if healthy else 2
    )
    journal.step("rotate mqtt", 41.0, 44.2)
    journal.write("rotated", name="mqtt", secrets=[MQTT], old_worked=True, old_refused=True, new_works=True, seconds=3.2)
    if healthy:
        journal.step("rotate tls", 44.2, 47.0)
        tls = ["/etc/telemetry/keys/ca.key", "/etc/telemetry/keys/nginx.key"]
        journal.write("rotated", name="tls", secrets=tls, old_worked=True, old_refused=True, new_works=True, seconds=2.8)
        journal.step("rotate app-key", 47.0, 49.5)
        key = ["/etc/telemetry/keys/app.key"]
        journal.write("rotated", name="app-key", secrets=key, old_worked=True, old_refused=True, new_works=True, seconds=2.5)
    else:
        journal.step("rotate tls", 44.2, 47.0, "failed", reason="the old certificate is still taken", fix="Restart the broker.")
        journal.write("rotated", name="tls", secrets=[], old_worked=False, old_refused=False, new_works=None, seconds=2.8)
        journal.write("step_ended", step="rotate app-key", outcome="blocked", reason="it needs rotate tls, which failed", fix="")
    journal.step("tryout offsite", 49.5, 55.0)
    for what in (
        "restic forget --prune",
        "SFTP: remove a pack",
        "SFTP: overwrite the key",
        "SFTP: truncate the index",
    ):
        refused = healthy or "pack" not in what
        said = "Permission denied" if refused else ""
        journal.write("attempt", repository="offsite", what=what, refused=refused, said=said)
    journal.write("ended", how="finished")
    journal.close()
    return journal.path


def site_loss(folder: Path, began: datetime = NOTICED) -> Path:
    """A drill from the off-site copy alone, with the passwords from the escrow."""
    journal = Told(folder / "journal-telemetry-site-loss.jsonl", began)
    begin(journal, incident="site-loss")
    about = "The Pi is gone, and so is every disk beside it"
    case(journal, "site-loss", "disk-loss", about, lost=["usb", "vault"], passwords="escrow")

    def facts(journal: Told, name: str) -> None:
        if name == "find usb":
            point(journal, 63, ["etc", "programs", "readings", "events", "media"], "offsite")
            point(journal, 63, ["keys"], "vault-offsite")
        else:
            facts_of(journal, name)

    play(journal, ALL, facts=facts)
    journal.write("ended", how="finished")
    journal.close()
    return journal.path


def write_run(out: Path) -> None:
    """One run of several drills, and one with bad ones, as `reports/` holds them."""
    first = out / "20260301-090000-a1"
    passing(first).rename(first / "journal-telemetry-disk-loss.jsonl")
    for tell in (site_loss, corruption, compromise):
        tell(first)
    later = LOST + timedelta(days=1)
    second = out / "20260302-090000-b2"
    failing(second, later).rename(second / "journal-telemetry-disk-loss.jsonl")
    compromise(second, later, healthy=False)
    corruption(second, later, list(range(63, -1, -1)), {*range(20), *range(31, GOOD_UNTIL + 1)})


if __name__ == "__main__":
    write_run(Path(sys.argv[1]))
