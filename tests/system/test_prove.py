"""`pytest drills/ --drill-prove` as a user runs it: every fault of every group is caught, and the healthy system is silent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from images.sample_pi import ROOT
from tests.system.breaking import Sample
from tests.system.running import lost_at, written_plan

AT_LEAST = {"repository": 15, "backup": 30, "recovery": 8, "incident": 4, "drill": 8}


def _originals(home: Path) -> dict[Path, tuple[int, int]]:
    files = [path for name in ("usb", "offsite", "secrets", "store") for path in (home / name).rglob("*") if path.is_file()]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _prove(home: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (home / "lost-at").write_text(lost_at(home))
    shutil.copytree(ROOT / "drills" / "faults", home / "faults", dirs_exist_ok=True)
    typed = [sys.executable, "-m", "pytest", str(ROOT / "drills"), "--drill-prove", "-p", "no:cacheprovider"]
    typed += ["--drill-plan", str(written_plan(home)), "--drill-out", str(out), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(typed, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=3000)


class Proved(NamedTuple):
    """A whole run: how it ended, what became of each fault, and the folder that it wrote."""

    done: subprocess.CompletedProcess[str]
    proofs: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def proved(system: Sample) -> Proved:
    home = system.copy("proved")
    before = _originals(home)
    done = _prove(home, system.out / "prove", "-n", "2")
    assert _originals(home) == before, "the originals were written to"
    written = sorted((system.out / "prove").glob("*/faults.json"))
    assert written, done.stdout[-3000:] + done.stderr[-1000:]
    return Proved(done, json.loads(written[-1].read_text()), written[-1].parent)


def test_every_fault_is_caught_and_the_healthy_system_is_silent(proved: Proved) -> None:
    ended = {proof["fault"]: (proof["outcome"], proof["what"], proof["beside"]) for proof in proved.proofs}
    assert not {name: told for name, told in ended.items() if told[0] not in ("caught", "unnoticed")}
    assert proved.done.returncode == 0, proved.done.stdout[-3000:]
    assert {"healthy-1", "healthy-recovery"} <= set(ended)


def test_there_are_faults_of_every_group(proved: Proved) -> None:
    groups = Counter(proof["group"] for proof in proved.proofs)
    assert all(groups[name] >= number for name, number in AT_LEAST.items()), groups


def test_the_table_holds_neither_secrets_nor_places_of_this_host(system: Sample, proved: Proved) -> None:
    folder = proved.folder
    passwords = [path.read_text().strip() for path in (system.folder / "proved" / "secrets").glob("*.password")]
    assert len(passwords) == 2
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not [word for word in passwords if word in text], path
    assert str(system.folder) not in (folder / "faults.md").read_text()
