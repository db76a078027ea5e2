"""A whole inspection's restore: what is asked of restic, what is said of it, and what never gets into the journal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muster.inspection import sampling
from muster.record import Record
from tests.fake import machine as fake
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW, FakeMachine

MANIFEST = "/var/lib/muster/manifest.json"
LIST = "/var/lib/muster/files.jsonl"


def looked(record: Record, subject: str) -> tuple[str, str]:
    [one] = [one for one in record.looked if (one.check, one.subject) == ("restore", subject)]
    return one.what, one.weaker


def restores(machine: FakeMachine, repository: str) -> list[str]:
    return [command for command in machine.commands if re.search(rf"restic .*/{repository}\b.* restore ", command)]


def test_one_process_restores_the_sample_of_each_repository(tmp_path: Path) -> None:
    machine = FakeMachine()
    record = inspected(tmp_path, machine)
    [usb], [vault] = restores(machine, "usb"), restores(machine, "vault")
    for path in ("/etc/app/app.conf", "/var/backups/rows/rows-20260301", "/srv/media/a.jpg"):
        assert f"--include {path}" in usb
    assert "--include /etc/keys/app.key" in vault
    assert "--target /var/tmp/muster/usb" in usb
    assert "--delete" not in usb
    assert looked(record, "usb/etc")[0] == "1 of 1 file, 120 B of 120 B, seed 1"


def test_without_a_list_of_files_it_is_weaker_and_says_why(tmp_path: Path) -> None:
    assert "no list of files" in looked(inspected(tmp_path), "usb/etc")[1]


def test_a_dump_on_a_disk_at_hand_may_be_larger_than_a_sample(tmp_path: Path) -> None:
    machine = FakeMachine()
    inspected(tmp_path, machine, change=lambda plan: plan + '\n[inspection]\nsample_bytes = "1K"\n')
    assert "--include /var/backups/rows/rows-20260301" in restores(machine, "usb")[0]


def test_a_file_that_is_too_large_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine()
    monkeypatch.setitem(fake._FILES, "/var/backups/rows/rows-20260301", ("file", 0o640, 9000))
    record = inspected(tmp_path, machine, change=lambda plan: plan + '\n[inspection]\nsample_bytes = "1K"\n')
    assert "rows-20260301" not in restores(machine, "usb")[0]
    assert "1 file larger than sample_bytes (1.0 kB)" in looked(record, "usb/rows")[1]


def test_the_units_of_the_backup_come_along(tmp_path: Path) -> None:
    units = ("/etc/systemd/system/save.timer", "/etc/systemd/system/save.service.d/a.conf", "/etc/systemd/system/other.service")
    facts = {"message_type": "node", "type": "file", "mode": 0o644, "size": 9, "uid": 0, "gid": 0}
    nodes = [json.dumps({**facts, "path": path}) for path in ("/etc/app/app.conf", *units)]
    machine = FakeMachine({"usb.* ls ": (0, "\n".join(nodes))})
    inspected(tmp_path, machine, change=lambda plan: plan + '\n[schedule]\ntimer = "save.timer"\n')
    [usb] = restores(machine, "usb")
    assert [unit in usb for unit in units] == [True, True, False]


def test_many_names_are_restored_in_portions_and_none_is_lost() -> None:
    paths = [f"/srv/{number:04}/{'long name ' * 20}" for number in range(1000)]
    portions = [*sampling._portions(paths)]
    assert [path for portion in portions for path in portion] == paths
    assert len(portions) > 2
    assert all(sum(len(path) for path in portion) < 100_000 for portion in portions)


def test_one_name_that_is_longer_than_any_portion_is_a_portion() -> None:
    assert [*sampling._portions(["x" * 200_000, "y"])] == [["x" * 200_000], ["y"]]


def test_no_digest_stands_in_the_journal(tmp_path: Path) -> None:
    inspected(tmp_path)
    [journal] = tmp_path.glob("journal-*.jsonl")
    assert "sha256sum" in journal.read_text()
    assert "0" * 64 not in journal.read_text()


@pytest.mark.parametrize("answer", [(None, "f 644 1"), (0, "f 644 1"), (0, "nonsense\0")])
def test_a_sample_that_cannot_be_looked_at_is_not_proven(tmp_path: Path, answer: tuple[int | None, str]) -> None:
    record = inspected(tmp_path, {"cd /var/tmp/muster/usb .*": answer})
    [finding] = of(record, "sample-empty")
    assert (finding.severity, finding.where) == ("unproven", "usb")
    assert record.steps["restore:usb/etc"].outcome == "blocked"
    assert record.steps["restore:vault/keys"].outcome == "done"


def sealing(change: Callable[[dict[str, Any]], object] = lambda _: None, lines: str = "") -> dict[str, Any]:
    """The answers of a machine on which a manifest, with its list, came back."""
    manifest: dict[str, Any] = {
        "hostname": "tiny-pi",
        "sealed_at": NOW.isoformat(),
        "run": "r1",
        "file_list": {"path": LIST, "count": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    }
    change(manifest)
    nodes = [
        {"message_type": "node", "path": path, "type": "file", "mode": 0o600, "size": 9, "uid": 0, "gid": 0}
        for path in ("/etc/app/app.conf", MANIFEST, LIST)
    ]
    return {
        "usb.* ls ": (0, "\n".join(map(json.dumps, nodes))),
        f"cat .*{MANIFEST}": (0, json.dumps(manifest)),
        f"cat .*{LIST}": (0, lines + "."),
    }


def test_a_list_that_is_not_the_sealed_one_is_an_error(tmp_path: Path) -> None:
    record = inspected(tmp_path, sealing(lines='{"path": "/etc/app/app.conf"}\n'))
    [finding] = of(record, "file-list-unreadable")
    assert finding.severity == "error"
    assert "no list of files" in looked(record, "usb/etc")[1]


def test_an_older_seal_without_a_list_is_a_warning(tmp_path: Path) -> None:
    record = inspected(tmp_path, sealing(lambda manifest: manifest.pop("file_list")))
    [finding] = of(record, "file-list-missing")
    assert (finding.severity, finding.where) == ("warning", "manifest")


def test_a_list_that_was_promised_and_not_backed_up_is_not_proven(tmp_path: Path) -> None:
    answers = sealing()
    answers["usb.* ls "] = (0, "\n".join(line for line in answers["usb.* ls "][1].splitlines() if LIST not in line))
    [finding] = of(inspected(tmp_path, answers), "file-list-missing")
    assert (finding.severity, finding.where) == ("unproven", "usb")


def test_a_manifest_that_the_repository_cannot_give_back_is_damage(tmp_path: Path) -> None:
    error = {"message_type": "error", "item": MANIFEST, "error": {"message": "ciphertext verification failed"}}
    answers = sealing() | {"restic .*usb.* restore ": (1, json.dumps(error))}
    record = inspected(tmp_path, answers)
    assert MANIFEST in of(record, "repository-damaged")[0].what
    assert of(record, "no-manifest")


def test_a_manifest_that_cannot_be_read_is_told_and_the_sample_is_compared_all_the_same(tmp_path: Path) -> None:
    record = inspected(tmp_path, sealing() | {f"cat .*{MANIFEST}": (0, "{")})
    assert of(record, "manifest-unreadable")
    assert record.steps["restore:usb/etc"].outcome != "blocked"


def test_a_list_of_another_host_is_compared_with_nothing(tmp_path: Path) -> None:
    record = inspected(tmp_path, sealing(lambda manifest: manifest.update(hostname="garden-pi")))
    assert of(record, "manifest-of-another-host")
    assert "no list of files" in looked(record, "usb/etc")[1]


def test_a_list_names_what_the_snapshot_lacks(tmp_path: Path) -> None:
    line = {"path": "/etc/app/gone", "type": "file", "mode": "644", "user": "root", "group": "root", "uid": 0, "gid": 0}
    text = json.dumps(line) + "\n"
    answers = sealing(lambda manifest: manifest["file_list"].update(sha256=_digest(text)), text)
    [finding] = of(inspected(tmp_path, answers), "file-missing")
    assert finding.where == "usb/etc"
    assert "/etc/app/gone" in finding.what


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
