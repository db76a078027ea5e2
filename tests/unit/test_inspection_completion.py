"""Whether the last run reached each repository, and left there what it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.manifest import Manifest
from muster.backups.restic import Snapshot
from muster.inspection.completion import incomplete, sealed_for, shrunk
from tests.fake import machine as fake
from tests.fake.inspecting import inspected, of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def manifest_in_the_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fake._FILES, "/var/lib/muster/manifest.json", ("file", 0o600, 300))


def _snapshot(hours: float = 0, run: str = "", files: int | None = None, size: int | None = None) -> Snapshot:
    tags = (f"run={run}",) if run else ()
    return Snapshot(f"{hours:g}".rjust(8, "a"), NOW + hours * HOUR, "tiny-pi", ("/etc",), tags, files, size)


def _runs(*hours: float) -> list[Snapshot]:
    return [_snapshot(hour, f"r{hour:g}") for hour in hours]


def _incomplete(usb: Sequence[Snapshot], away: Sequence[Snapshot], after: float) -> list[str]:
    found = incomplete("away", {"usb": usb, "away": away}, NOW + after * HOUR, HOUR)
    return [finding.what for finding in found]


class TestRuns:
    def test_a_run_that_is_everywhere_is_complete(self) -> None:
        assert not _incomplete(_runs(0, 1), _runs(0, 1), 5)

    def test_a_run_that_missed_a_repository_is_named(self) -> None:
        [what] = _incomplete(_runs(0, 1), _runs(0), 3)
        assert "Run r1 of 2026-11-23 13:00 UTC is in usb and not in away" in what

    def test_a_run_may_still_be_on_its_way(self) -> None:
        assert not _incomplete(_runs(0, 1), _runs(0), 1.9)

    def test_a_later_run_makes_up_for_one_that_was_missed(self) -> None:
        assert not _incomplete(_runs(0, 1, 2), _runs(0, 2), 5)

    def test_a_repository_that_takes_every_tenth_run_misses_none(self) -> None:
        assert not _incomplete(_runs(*range(25)), _runs(0, 10, 20), 30)

    def test_a_repository_that_stopped_long_ago_is_named_still(self) -> None:
        assert _incomplete(_runs(*range(25)), _runs(0, 1, 2), 30)

    def test_a_job_of_secrets_alone_is_not_meant_for_other_repositories(self) -> None:
        weekly = [_snapshot(hour + 0.5, f"secrets-{hour}") for hour in (-168, 0)]
        listed = {"usb": _runs(-48, -24, 0), "away": _runs(-48, -24, 0), "vault": weekly}
        assert not [*incomplete("usb", listed, NOW + 4 * HOUR, HOUR), *incomplete("away", listed, NOW + 4 * HOUR, HOUR)]

    def test_a_run_that_ended_after_the_secrets_is_named(self) -> None:
        both = _runs(-48, -24, 0)
        listed = {"vault": both, "usb": both[:-1]}
        [finding] = incomplete("usb", listed, NOW + 4 * HOUR, HOUR)
        assert "Run r0 of 2026-11-23 12:00 UTC is in vault and not in usb" in finding.what

    def test_snapshots_without_a_run_say_nothing(self) -> None:
        assert not _incomplete([_snapshot(0), _snapshot(1)], [_snapshot(0)], 5)


class TestSize:
    def test_a_snapshot_like_those_before_is_left_alone(self) -> None:
        assert not list(shrunk("usb", _snapshot(3, files=60, size=900), [_snapshot(h, files=100, size=1000) for h in (0, 1, 2)]))

    def test_half_of_the_files_gone_is_named(self) -> None:
        [finding] = shrunk("usb", _snapshot(3, files=49, size=900), [_snapshot(h, files=100, size=1000) for h in (0, 1, 2)])
        assert (finding.code, finding.severity) == ("snapshot-shrunk", "error")
        assert "49 files" in finding.what

    def test_half_of_the_bytes_gone_is_named(self) -> None:
        [finding] = shrunk("usb", _snapshot(3, files=100, size=400), [_snapshot(h, files=100, size=1000) for h in (0, 1, 2)])
        assert "400 bytes" in finding.what

    def test_one_large_snapshot_among_many_changes_nothing_usual(self) -> None:
        earlier = [_snapshot(h, files=100, size=1000) for h in range(4)] + [_snapshot(4, files=100, size=900_000)]
        assert not list(shrunk("usb", _snapshot(5, files=100, size=1000), earlier))

    def test_a_first_snapshot_is_compared_with_nothing(self) -> None:
        assert not list(shrunk("usb", _snapshot(0, files=0, size=0), []))


def test_a_manifest_is_only_held_against_its_own_run() -> None:
    sealed = Manifest(hostname="tiny-pi", sealed_at=NOW - timedelta(minutes=1), run="r0")
    assert sealed_for(_snapshot(0, "r0"), sealed) is sealed
    assert sealed_for(_snapshot(0, "r1"), sealed) is None
    assert sealed_for(_snapshot(0), sealed) is sealed
    assert sealed_for(_snapshot(1), sealed) is None
    assert sealed_for(_snapshot(0), None) is None


def test_a_healthy_backup_is_complete_and_what_was_not_counted_is_said(tmp_path: Path) -> None:
    record = inspected(tmp_path)
    assert not of(record, "dataset-partial", "dataset-empty", "path-not-in-backup", "run-incomplete", "snapshot-shrunk")
    [usb] = [one for one in record.looked if (one.check, one.subject) == ("completion", "usb")]
    assert "run r1" in usb.what
    assert "no manifest of that run says how many files" in usb.weaker


@pytest.mark.parametrize(
    ("counts", "code", "where"),
    [
        ({"media": {"files": 1, "bytes": 1000}, "keys": {"files": 1, "bytes": 22}}, "", ""),
        ({"media": {"files": 4, "bytes": 4000}}, "dataset-partial", "usb/media"),
        ({"etc": {"files": 2, "bytes": 240}}, "dataset-partial", "usb/etc"),
        ({"keys": {"files": 2, "bytes": 44}}, "dataset-partial", "vault/keys"),
    ],
)
def test_the_pis_own_count_is_held_against_each_copy(tmp_path: Path, counts: dict[str, object], code: str, where: str) -> None:
    answers = {r"cat .*manifest.json": (0, json.dumps(fake._MANIFEST | {"datasets": counts}))}
    found = [(finding.code, finding.where) for finding in of(inspected(tmp_path, answers), "dataset-partial")]
    assert found == ([(code, where)] if code else [])


def test_an_empty_dataset_and_a_missing_path_are_named_at_their_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(fake._FILES, "/srv/media/a.jpg")
    monkeypatch.delitem(fake._FILES, "/etc/keys")
    found = {(finding.code, finding.where) for finding in inspected(tmp_path).findings}
    assert {("dataset-empty", "usb/media"), ("path-not-in-backup", "vault/keys")} <= found
