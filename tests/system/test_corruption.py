"""Corruption that is found late: of 64 restore points the last 17 hold a database whose rows were silently changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.record import Record
from muster.session import Options, new_run
from tests.system import breaking
from tests.system.breaking import Sample, outcome, told

MANY, BAD = 64, 17
APART = 10  # seconds from one restore point to the next: the oldest dump that they carry stays fresh enough for all of them
# Every third value is off by a unit that somebody mixed up: all of it loads, serves, and answers.
SPOIL = "telemetry-sql 'update reading set value = value + 5000 where id % 3 = 0'"
HEAL = "telemetry-sql 'update reading set value = value - 5000 where value > 1100'"
SEAL = """cd /usr/local/lib/telemetry && python3 -B -c '
import tomllib
from telemetry import backup
backup.dump_and_seal(tomllib.loads(backup.PLAN.read_text()), "spoilt", False)'"""
RESTIC = "restic --quiet --no-cache -p /etc/telemetry/backup/restic.password"
PATHS = (
    "/etc/mosquitto /etc/muster /etc/nginx /etc/postgresql /etc/systemd/system /etc/telemetry/config /usr/local/bin "
    "/usr/local/lib/telemetry /var/backups/telemetry/readings /var/backups/telemetry/events /srv/media /var/lib/muster"
)


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What is left of the Pi, when it made its first restore point, and what its readings came to while they were right."""

    home: Path
    first: datetime
    count: str
    total: str

    def time(self, place: int) -> datetime:
        return self.first + timedelta(seconds=APART * place)


@pytest.fixture(scope="module")
def spoilt(system: Sample) -> Iterator[Spoilt]:
    """Backups of a Pi whose readings were right, and are wrong since the 48th of them."""
    pi = system.living
    try:
        pi.feed(30)
        pi.run(f"rm -rf /mnt/usb/many; {RESTIC} init -r /mnt/usb/many")
        with pi.ticking():
            pi.backup()
        count, total = pi.run("telemetry-sql 'select count(*), sum(value) from reading'").split("|")
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        pi.run(_backups(first, 0, MANY - BAD - 1))
        pi.feed(30)
        pi.run(f"{SPOIL}; {SEAL}")
        pi.run(_backups(first, MANY - BAD, MANY - 1))
        home = breaking.copy_home(system.client, pi.home, system.folder / "spoilt")
        yield Spoilt(_with_many(home), first, count, total)
    finally:
        pi.run(f"rm -rf /mnt/usb/many; {HEAL}")


def _backups(first: datetime, start: int, end: int) -> str:
    """The command that backs up what lies there as so many runs, one after the other in time, and several at once."""
    when = f"$(date -u -d @$(({first.timestamp():.0f} + {APART} * $0)) '+%Y-%m-%d %H:%M:%S')"
    each = f'TZ=UTC {RESTIC} -r /mnt/usb/many backup --host telemetry-pi --tag run=r$0 --time "{when}" {PATHS}'
    # The first of them by itself, so that the others find everything there already.
    return f"sh -ec {shlex.quote(each)} {start} && seq {start + 1} {end} | xargs -P 4 -n 1 sh -ec {shlex.quote(each)}"


def _with_many(home: Path) -> Path:
    (home / "usb" / "telemetry").rename(home / "usb" / "few")
    (home / "usb" / "many").rename(home / "usb" / "telemetry")
    return home


def _drill(system: Sample, spoilt: Spoilt, **words: object) -> Record:
    options = Options(system.out, new_run(), lost_at=spoilt.time(MANY))
    session = system._session(spoilt.home, options, store=False, make_machine=None)
    return breaking._concluded(session, session.drill(breaking._written(spoilt.home, str), "corruption", **words))


def test_the_newest_of_64_that_is_good_is_found_with_seven_probes(system: Sample, spoilt: Spoilt) -> None:
    record = _drill(system, spoilt)
    assert record.verdict == "recovered", told(record)
    probes, case = record.case_file.probes, record.case_file
    assert len(probes) <= 7
    assert [point.time for point in record.restore_points if point.repository == "usb"] == [_iso(spoilt.time(MANY - BAD - 1))]
    assert case.happened
    assert case.happened.at == _iso(spoilt.time(MANY - BAD))
    assert "Invariant plausible" in case.happened.why
    assert record.metrics["readings"].value == spoilt.count
    assert float(record.metrics["sum"].value) == pytest.approx(float(spoilt.total), abs=0.001)
    assert outcome(record, "invariant:plausible", "smoke:round-trip", "smoke:status-page") == {"done"}
    assert {merge.dataset for merge in case.merges} == {"events", "media"}
    assert _searching(record) < _restoring(record) * MANY / 10


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _searching(record: Record) -> float:
    """Seconds that all probes took together, and what it took to make the machine that they ran on."""
    search = record.steps["search"]
    assert search.started
    assert search.ended
    return search.ended - search.started


def _restoring(record: Record) -> float:
    """Seconds that one restore point takes: this very drill's, from when it was chosen until all of it was back and loaded.

    What each of the 64 would take beyond that (a clean machine, its services, its questions) is not even counted.
    """
    restored, searched = record.milestones["restored"], record.steps["search"].ended
    assert restored
    assert searched
    return restored - (searched - record.began)


def test_what_is_not_corrupt_comes_from_newer_runs_if_asked_for(system: Sample, spoilt: Spoilt) -> None:
    record = _drill(system, spoilt, merge=True)
    assert record.verdict == "recovered", told(record)
    times = {name: point.time for point in record.restore_points for name in point.datasets}
    assert times["readings"] == times["etc"] == _iso(spoilt.time(MANY - BAD - 1))
    assert times["events"] == times["media"] == _iso(spoilt.time(MANY - 1))
    assert {(merge.dataset, merge.taken, merge.skew) for merge in record.case_file.merges} == {
        ("events", True, float(APART * BAD)),
        ("media", True, float(APART * BAD)),
    }
    assert record.metrics["readings"].value == spoilt.count
