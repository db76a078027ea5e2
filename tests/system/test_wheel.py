"""What a user gets who has never seen this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from images.sample_pi import ROOT
from muster import seal_program
from muster.journal import read
from muster.record import fold
from tests.system.breaking import Sample
from tests.system.running import lost_at, written_plan

DRILL = '''
"""The Pi is gone."""


def test_service_answers(drill, smoke):
    drill.reach("verified", smoke)


def test_objective_is_met(drill, objective):
    drill.hold(objective)
'''


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a user would whose Python knows nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel of this checkout, and nothing else, installed."""
    folder = tmp_path_factory.mktemp("wheel")
    for command in (
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        [sys.executable, "-m", "venv", str(folder / "venv")],
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    made = folder / "venv" / "bin" / "python"
    done = run(str(made), "-m", "pip", "install", "--quiet", str(next(folder.glob("*.whl"))), cwd=folder)
    assert done.returncode == 0, done.stderr
    return made


def test_one_plan_and_one_drill_file_are_enough(python: Path, system: Sample, tmp_path: Path) -> None:
    home = system.copy("wheel")
    (tmp_path / "my-pi.toml").write_text(written_plan(home).read_text())
    (tmp_path / "test_my_pi.py").write_text(DRILL)
    done = run(str(python), "-m", "pytest", "--drill-lost-at", lost_at(home), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    journal = next(tmp_path.glob("reports/*/journal*.jsonl"))
    assert fold(read(journal)).verdict == "recovered"
    assert (journal.parent / "report.html").is_file()
    assert (tmp_path / "reports" / "index.html").is_file()


def test_the_seal_is_packed_as_the_guide_says(python: Path, tmp_path: Path) -> None:
    assert run(str(python), "-m", "muster.seal_program", "muster-seal", cwd=tmp_path).returncode == 0
    assert (tmp_path / "muster-seal").read_bytes() == seal_program.program()
    asked = run("/usr/bin/env", "-i", str(tmp_path / "muster-seal"), "--help", cwd=tmp_path)
    assert (asked.returncode, asked.stdout.split()[:2]) == (0, ["usage:", "muster-seal"])


def test_other_projects_tests_are_left_alone(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert True\n")
    done = run(str(python), "-m", "pytest", cwd=tmp_path)
    assert done.returncode == 0
    assert "muster" not in done.stdout.replace("plugins: muster", "").lower().replace(str(tmp_path).lower(), "")
    assert not (tmp_path / "reports").exists()


def test_a_drill_without_a_plan_says_what_is_missing(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_my_pi.py").write_text(DRILL)
    done = run(str(python), "-m", "pytest", cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "No recovery plan found" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
