"""A year of monthly drills of the sample, replayed from one that was really recorded, and the run after a proposal was followed.

The media archive grows from month to month, and with it the RTO. In the ninth month a service does not start; in the twelfth the
Pi's timer, which somebody had made daily, has missed the RPO. Every journal says that it is replayed.

`python -m tests.data.year FOLDER` writes the runs there, with the index over them, to look at.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from muster.report.history import record_of, write_whole
from muster.report.index import write_index
from muster.report.learning.recall import learned
from muster.report.page import whole
from tests.data.replay import Month, replay

TIMES = (40.0, 38.7, 40.4, 39.6, 41.1, 40.2, 38.9, 40.8, 39.3, 40.6, 39.8, 40.3)  # a Pi is slower than what recorded it
FAILED, MISSED = 8, 11  # the months, counted from 0
GROWTH = (1.0, 1.5, 2.0, 2.4, 2.9, 3.3, 3.8, 4.3, 4.7, 5.2, 5.7, 6.1)
AGES = (4, 8, 2, 6, 9, 3, 7, 1, 5, 8, 4, 0)  # minutes since the last backup
DAYS = ("20251102", "20251207", "20260104", "20260201", "20260301", "20260405")
DAYS += ("20260503", "20260607", "20260705", "20260802", "20260906", "20261004")


def month(number: int) -> Month:
    """The plan's drill of one month, the first Sunday at 05:21:30."""
    began = datetime.strptime(f"{DAYS[number]}052130+0000", "%Y%m%d%H%M%S%z")
    if number == MISSED:
        return Month(began, timedelta(hours=5, minutes=20), TIMES[number], GROWTH[number], "*-*-* 00:00:00", timedelta(days=1))
    breaks = {"start:ingest": "telemetry-ingest.service failed: it ended with 1."} if number == FAILED else {}
    return Month(began, timedelta(minutes=AGES[number]), TIMES[number], GROWTH[number], breaks=breaks)


def year(out: Path) -> list[Path]:
    """Write the twelve runs and return their journals, the oldest first."""
    return [replay(out / f"{DAYS[number]}-052130-{number + 1:04x}", month(number)) for number in range(len(DAYS))]


def after_following(out: Path) -> Path:
    """Write the run of the month after: the timer's calendar is as was proposed, and the archive has grown once more."""
    began = datetime(2026, 11, 1, 5, 21, 30, tzinfo=UTC)
    return replay(out / "20261101-052130-000d", Month(began, timedelta(minutes=9), 39.7, 6.4))


def pages(out: Path, journals: list[Path]) -> None:
    """Write the page of each run beside its journal, with what it proposes."""
    records = [record_of(journal) for journal in journals]
    for journal, record, each in zip(journals, records, learned(out, records), strict=True):
        write_whole(journal.with_name("report.html"), whole([record], [each]))


if __name__ == "__main__":
    OUT = Path(sys.argv[1])
    WRITTEN = [*year(OUT), after_following(OUT)]
    write_index(OUT)  # which keeps what each run proposes, for the pages and for the index
    pages(OUT, WRITTEN)
    write_index(OUT)
    sys.stdout.write(f"{OUT / 'index.html'}\n")
