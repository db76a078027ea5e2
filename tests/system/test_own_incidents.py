"""Incidents of an owner's own, as a user drills them: made in a copy, recovered from there, and no original is touched."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from images.sample_pi import ROOT
from muster.journal import read
from muster.record import Record, fold
from tests.system.breaking import Sample, found, told
from tests.system.running import lost_at, written_plan

# One that the plan's questions see, and one that nothing in the plan asks about.
INCIDENTS = """
[incidents.clock]
class = "corruption"
about = "After a power cut the clock was wrong, and events came in from the last century"
breaks = '''sqlite3 "$DUMP_EVENTS" "update event set at = '19' || substr(at, 3) where id % 2 = 0"'''
runs = 3

[incidents.unasked]
class = "corruption"
about = "Somebody changed a setting that no question of the plan is about"
breaks = "echo '# changed' >> /etc/telemetry/config/postgresql.conf"
lost = ["usb", "vault"]
"""


def digests(home: Path) -> dict[Path, str]:
    files = [path for name in ("usb", "offsite", "secrets", "envelope") for path in (home / name).rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Drilled(NamedTuple):
    """How the run ended, what it said, and the record of each incident."""

    status: int
    said: str
    records: dict[str, Record]


@pytest.fixture(scope="module")
def drilled(system: Sample) -> Drilled:
    home = system.copy("own-incidents")
    (home / "lost-at").write_text(lost_at(home))
    plan, out, before = written_plan(home, lambda text: text + INCIDENTS), system.out / "own", digests(home)
    typed = [sys.executable, "-m", "pytest", str(ROOT / "drills" / "test_incidents.py"), "-p", "no:cacheprovider"]
    typed += ["--drill-plan", str(plan), "--drill-out", str(out), "-k", "clock or restore_point"]  # the other ends there
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(typed, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert digests(home) == before, "the originals were written to"
    records = [fold(read(path)) for path in out.glob("*/journal-*.jsonl")]
    return Drilled(done.returncode, done.stdout + done.stderr, {record.incident: record for record in records})


def test_what_broke_the_copy_is_seen_and_the_newest_from_before_it_is_restored(drilled: Drilled) -> None:
    record = drilled.records["clock"]
    assert record.verdict == "recovered", told(record)
    case = record.case_file
    assert [probe.good for probe in case.probes].count(True) == 1
    assert case.happened is not None
    assert {point.time < case.happened.at for point in record.restore_points} == {True}
    assert case.case is not None
    assert "substr(at, 3)" in case.case.planted


def test_one_that_no_question_sees_is_a_finding_that_names_both_restore_points(drilled: Drilled) -> None:
    record = drilled.records["unasked"]
    assert record.verdict == "failed", told(record)
    assert "the right one is snapshot" in found(record, "wrong-restore-point").what
    assert {point.repository for point in record.restore_points} == {"offsite", "vault-offsite"}, told(record)


def test_it_is_one_run_with_the_rows_of_each(drilled: Drilled) -> None:
    assert drilled.status == 1
    assert "Traceback" not in drilled.said
    assert re.search(r"making the incident clock in a copy of the backups", drilled.said)
    assert "test_restore_point_is_right[telemetry-unasked]" in drilled.said
    assert "test_restore_point_is_right[telemetry-clock]" not in drilled.said.partition("short test summary")[2]
