"""What opening a repository finds, and that each finding says at which step it was found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.fake.inspecting import inspected, of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_snapshots_that_are_all_later_are_not_called_those_of_another_host(tmp_path: Path) -> None:
    record = inspected(tmp_path, as_of=LONG_AGO)
    assert not of(record, "no-snapshot-of-host")
    found = of(record, "no-snapshot")
    assert {finding.where for finding in found} == {"usb", "vault"}
    assert all("no snapshot of tiny-pi from before 2020-01-01 00:00:00 UTC" in finding.what for finding in found)


def test_a_finding_names_the_step_that_found_it(tmp_path: Path) -> None:
    record = inspected(tmp_path, as_of=LONG_AGO)
    assert {finding.step for finding in of(record, "no-snapshot")} == {"open:usb", "open:vault"}
