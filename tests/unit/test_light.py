"""What a run of pytest does not load before it drills: each of these was waited for once, and held memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLAN = Path(__file__).parents[2] / "drills" / "plans" / "telemetry.toml"
HEAVY = (
    "apprise", "cryptography", "invoke", "jinja2.ext", "markdown_it", "matplotlib", "muster.faults", "muster.machines.ssh",
    "muster.machines.vm", "muster.report.index", "muster.report.learning", "muster.report.publish", "muster.triage", "numpy",
    "paramiko", "playwright", "qemu", "rich", "tomlkit",
)  # fmt: skip
_COLLECTS = """
import sys, pytest
assert pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", "--drill-plan", sys.argv[1], "test_it.py"]) == 0
print("LOADED", *(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_a_drill_that_is_collected_has_loaded_nothing_that_it_does_not_begin_with(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(drill, pi):\n    drill.reach('provisioned')\n")
    asked = [sys.executable, "-c", _COLLECTS, str(PLAN), *HEAVY]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


def test_docker_is_used_without_paramiko_until_an_engine_is_behind_ssh() -> None:
    asks = """
import sys
from muster.machines import engine
assert "paramiko" not in sys.modules
from docker.api import client
try:
    client.SSHHTTPAdapter("ssh://nobody@127.0.0.1:1", 1)
except Exception as error:
    print(type(error).__module__)
print("paramiko" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1:] == ["True"], done.stdout + done.stderr
