"""A time without new records is no corruption, and records that were deleted are none of a quiet time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from muster.backups import manifest
from muster.backups.restic import Snapshot
from muster.incidents.stillness import was_quiet
from muster.journal import Journal
from muster.plan import load
from muster.recovery import sources
from muster.steps.context import Recovering
from tests.fake import machine as fake
from tests.fake.machine import NOW, FakeMachine, write_plan

HOUR = timedelta(hours=1)
LAST = NOW - 8 * HOUR  # the newest record of a restore point that was made now


def sealed(newest: datetime | None) -> str:
    return json.dumps(fake._MANIFEST | {"watermarks": {"rows": newest.isoformat()} if newest else {}})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.jsonl")
    yield made
    made.close()


def asked(
    tmp_path: Path, journal: Journal, own: datetime | None, earlier: datetime | None, hours: tuple[int, ...] = (9, 7, 3, 0)
) -> bool:
    """Whether a restore point with such a seal was quiet, where others were made so many hours ago and sealed `earlier`."""
    plan = load(write_plan(tmp_path))
    machine = FakeMachine({r"cat \S*/earlier-rows/": (0, sealed(earlier)) if earlier else (1, "")})
    context = Recovering(plan, machine, journal, ["usb"], NOW, sources(plan))
    context.listed = {"usb": [Snapshot(f"{ago}" * 64, NOW - ago * HOUR, "tiny-pi", ("/srv",), (), 1, 1) for ago in hours]}
    context.manifest = manifest.parse(sealed(own))
    quiet = was_quiet(context, "usb", "rows", LAST, NOW, "search")
    restores = [command for command in machine.commands if " restore " in command]
    assert all("7" * 64 in command for command in restores), "the first one after the newest record tells"
    return quiet


def test_a_night_without_records_is_quiet(tmp_path: Path, journal: Journal) -> None:
    assert asked(tmp_path, journal, LAST, LAST)


def test_the_first_backup_of_a_quiet_time_is_quiet(tmp_path: Path, journal: Journal) -> None:
    assert asked(tmp_path, journal, LAST, None, hours=(9, 0))


def test_records_that_an_older_restore_point_had_were_lost(tmp_path: Path, journal: Journal) -> None:
    assert not asked(tmp_path, journal, LAST, LAST + HOUR / 2)


def test_a_dump_without_the_records_that_its_own_seal_tells_of_is_stale(tmp_path: Path, journal: Journal) -> None:
    assert not asked(tmp_path, journal, LAST + HOUR, LAST)


@pytest.mark.parametrize(("own", "earlier"), [(None, LAST), (LAST, None)])
def test_what_nobody_sealed_cannot_be_told_from_a_loss(
    tmp_path: Path, journal: Journal, own: datetime | None, earlier: datetime | None
) -> None:
    assert not asked(tmp_path, journal, own, earlier)
