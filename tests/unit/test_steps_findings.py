"""What a recovery finds wrong, told to it by a machine that answers as a broken Pi would."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.findings import Finding
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from tests.fake import machine as fake
from tests.fake.machine import Answer, FakeMachine, write_plan

Found = Callable[..., list[Finding]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """What a drill finds, given what its machine answers and what is said in its plan."""

    def find(answers: dict[str, Answer], *change: str) -> list[Finding]:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace(*change) if change else path.read_text())
        incident = Incident("disk-loss", datetime.now(UTC))
        drill = Drill(load(path), incident, FakeMachine(answers), Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
        with suppress(MusterError, Blocked):
            drill.conclude()
        drill.machine.destroy()
        drill.close()
        return [finding for finding in drill.record.findings if not finding.code.endswith("-missed")]

    return find


def _sealed(**more: object) -> dict[str, Answer]:
    """A manifest that says something else."""
    return {r"cat /var/lib/muster/manifest.json": (0, json.dumps(fake._MANIFEST | more))}


def test_healthy_machine_is_left_alone(found: Found) -> None:
    assert found({}) == []


@pytest.mark.parametrize(
    ("sealed", "code", "where", "says"),
    [
        ({"datasets": {"media": {"files": 1, "bytes": 1000}}}, "", "", ""),
        ({"datasets": {"media": {"files": 3, "bytes": 1000}}}, "", "", ""),
        ({"datasets": {"media": {"files": 4, "bytes": 1000}}}, "dataset-partial", "media", "4 files (1000 bytes)"),
        ({"datasets": {"media": {"files": 1, "bytes": 1100}}}, "dataset-partial", "media", "holds 1 (1000 bytes)"),
        ({"datasets": {"etc": {"files": 2, "bytes": 240}}}, "dataset-partial", "etc", "2 files"),
        ({"datasets": {"etc": {"files": 1, "bytes": 120}}}, "", "", ""),
        ({"secrets": {"/etc/keys/gone": {"mode": "0600", "user": "root", "group": "root"}}}, "secret-missing", "keys", "gone"),
        ({"secrets": {"/etc/other": {"mode": "0600", "user": "root", "group": "root"}}}, "", "", ""),
        (
            {"secrets": {"/etc/keys/app.key": {"mode": "0600", "user": "app", "group": "app"}}},
            "secret-changed",
            "keys",
            "app:app",
        ),
        ({"secrets": {"/etc/keys/app.key": {"mode": "0400", "user": "root", "group": "root"}}}, "secret-changed", "keys", "0400"),
        ({"users": {}, "groups": {}}, "owners-not-sealed", "manifest", "no users"),
        ({"hostname": "garden-pi"}, "manifest-of-another-host", "manifest", "garden-pi"),
        ({"sealed_at": "2026-01-01T00:00:00+00:00"}, "manifest-stale", "manifest", "older than the snapshot"),
    ],
)
def test_backup_is_compared_with_what_was_sealed(
    found: Found, sealed: dict[str, object], code: str, where: str, says: str
) -> None:
    told = [(finding.code, finding.where) for finding in found(_sealed(**sealed)) if says in finding.what]
    assert told[:1] == ([(code, where)] if code else [])


@pytest.mark.parametrize(
    ("answers", "code", "where", "says"),
    [
        ({r"^hostname$": (0, "raspberrypi\n")}, "hostname-differs", "hostname", "raspberrypi"),
        ({r"app-load": (1, "FATAL: no space left on device")}, "disk-full", "rows", "too small"),
        ({r"app-load": (1, "it would not")}, "load-failed", "rows", "it would not"),
        ({r"count-rows": (1, "no such table: rows")}, "question-failed", "metric rows", "no such table"),
        ({r"ask-app": (1, "the key does not open it")}, "smoke-failed", "app", "the key does not open it"),
        ({r"restic .* check$": (1, "pack 1234 contains 1 errors")}, "repository-damaged", "usb", "restic check"),
        (
            {r"restic .*vault.* ls ": (0, ""), r"is-enabled": (0, "enabled\n.\ndisabled\n.\nenabled\n.\n")},
            "unit-not-enabled",
            "app",
            "disabled",
        ),
    ],
)
def test_machine_says_what_is_wrong(found: Found, answers: dict[str, Answer], code: str, where: str, says: str) -> None:
    told = found(answers)
    assert [finding for finding in told if (finding.code, finding.where) == (code, where) and says in finding.what], told


def test_secret_in_the_ordinary_repository_is_found(found: Found) -> None:
    node = {"message_type": "node", "path": "/etc/keys/app.key", "type": "file", "mode": 0o600, "size": 22, "uid": 0, "gid": 0}
    command = r"restic .*/usb .* ls .*/etc/app"
    told = found({command: (0, json.dumps(node))})
    assert any(finding.code == "secret-in-plain-sight" and "/etc/keys/app.key" in finding.what for finding in told)


@pytest.mark.parametrize(("promised", "codes"), [("1m", ["secret-overdue"]), ("90d", [])])
def test_secret_that_was_never_rotated_is_found(found: Found, promised: str, codes: list[str]) -> None:
    told = found({}, 'mode = "0600"', f'mode = "0600"\nrotate_every = "{promised}"')
    assert [finding.code for finding in told] == codes


def test_service_that_only_comes_up_in_order_is_found(found: Found) -> None:
    asked = 0

    def answer(_: str) -> Answer:
        nonlocal asked
        asked += 1
        return (0, "") if asked == 1 else (91, "")

    told = found({r"systemctl show -p ActiveState --value app.service": answer})
    assert [(finding.code, finding.where) for finding in told] == [("not-up-after-boot", "app")]
    assert "as at a boot" in told[0].what


@pytest.mark.parametrize(("place", "codes"), [("/mnt/larger/photos", ["link-leads-out"]), ("/srv/media/photos", []), ("", [])])
def test_path_that_is_back_as_a_link_to_nothing_is_found(
    found: Found, monkeypatch: pytest.MonkeyPatch, place: str, codes: list[str]
) -> None:
    monkeypatch.setitem(fake._FILES, "/srv/photos", ("symlink", 0o777, 0))
    findings = found({r"readlink -m /srv/photos": (0, place)}, 'paths = ["/srv/media"]', 'paths = ["/srv/media", "/srv/photos"]')
    assert [finding.code for finding in findings] == codes
