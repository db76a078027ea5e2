"""Triage on what is really left of a sample Pi."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.system.breaking import Sample
from tests.system.running import ROOT, written_plan


def triaged(home: Path, out: Path, *signs: str) -> tuple[int, str]:
    """The exit status of a triage of what is left in `home`, and what it says."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "drills" / "test_triage.py"), "-p", "no:cacheprovider"]
    plan = written_plan(home)
    options = ["--drill-plan", str(plan), "--drill-out", str(out), *(word for sign in signs for word in ("--drill-triage", sign))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(  # our own command
        [*command, *options], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False
    )
    return done.returncode, done.stdout


def encrypt(repository: Path) -> None:
    """What ransomware leaves of a folder: random bytes under other names, and a note."""
    for path in [path for path in repository.rglob("*") if path.is_file()]:
        path.chmod(0o600)
        path.write_bytes(os.urandom(path.stat().st_size))
        path.rename(path.with_name(f"{path.name}.locked"))
    (repository / "READ-ME-TO-PAY.txt").write_text("Your files are encrypted.\n")


def test_encrypted_backups_are_recognised_by_looking_alone(system: Sample) -> None:
    home = system.copy("ransomed")
    for name in ("telemetry", "vault"):
        encrypt(home / "usb" / name)
    status, said = triaged(home, system.folder / "triage", "look")
    assert status == 0, said
    assert "telemetry-pi: compromise (ransomware)." in said
    assert "What lies in a repository is no longer restic's" in said
    assert re.search(r"^\s*readings\s+offsite\s", said, re.MULTILINE), said
    assert re.search(r"^\s*keys\s+vault-offsite\s", said, re.MULTILINE), said


def test_a_dead_disk_is_recovered_from_what_is_near(system: Sample) -> None:
    status, said = triaged(system.copy("dead"), system.folder / "triage-dead", "does-not-boot")
    assert status == 0, said
    assert "telemetry-pi: disk-loss, probably." in said
    assert re.search(r"^\s*readings\s+usb\s", said, re.MULTILINE), said
