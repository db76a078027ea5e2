"""The workflows of docs/workflows do what they say: their lines are run as they stand, on machines of scripted answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from muster.report.history import history
from tests.fake.ci import GitHub, GitLab, Ran, workflow
from tests.fake.machine import write_plan
from tests.fake.receivers import web

ROOT = Path(__file__).parents[2]
HERE = ROOT / "docs" / "workflows"
PASSWORD = "a-password-that-no-page-may-show"  # noqa: S105  # which is what is asked
CONFTEST = """\
import os
from tests.fake.machine import FakeMachine

def pytest_drill_machine(plan, labels):
    broken = {"systemctl start --no-block db": (91, "no room")} if os.environ.get("BROKEN") else {}
    return FakeMachine(broken)
"""
SHIMS = {
    "sudo": 'exec "$@"',
    # What would be installed must be there to be had, as far as this machine has lists of packages.
    "apt-get": "ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || exit 0\n"
    '[ "$1" = update ] || exec /usr/bin/apt-get --simulate "$@" >/dev/null',
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a CI's machine: a wheel of this checkout can be had, with what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("machine")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder / "wheels"), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (folder / "deps").mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.match(r"pytest_muster|_?_?editable|_pytest_muster|pip\b|.*\.pth$", path.name):
            (folder / "deps" / path.name).symlink_to(path)
    (folder / "bin").mkdir()
    for name, line in SHIMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "bin" / "python3").symlink_to(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "PYTHON", "MUSTER"))}
    return {
        **kept,
        "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": f"{folder / 'deps'}:{ROOT}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HOME": str(folder),
    }


@pytest.fixture
def origin(tmp_path: Path, machine: Mapping[str, str]) -> Path:
    """What an owner has on a forge: drills, a plan whose password is a secret of the CI, and a Pi of scripted answers."""
    work = tmp_path / "owner"
    plan = write_plan(work, file="drills/plans/tiny.toml")
    plan.write_text(plan.read_text().replace('{ file = "password" }', '{ env = "MUSTER_OFFSITE_PASSWORD" }'))
    for repository in ("usb", "vault"):
        (plan.parent / repository / "config").touch()
    (plan.parent / "password").unlink()
    for name in ("test_recovery.py", "test_backups.py"):
        shutil.copy(ROOT / "drills" / name, work / "drills")
    (work / "drills" / "conftest.py").write_text(CONFTEST)
    (work / ".gitignore").write_text("site/\nreports/\npublic/\n.venv/\n")
    identity = ["-c", "user.name=owner", "-c", "user.email=owner@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "My drills"]):
        subprocess.run(["git", *arguments], cwd=work, env=dict(machine), check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(tmp_path / "origin.git")], check=True)
    return tmp_path / "origin.git"


def runs(site: Path) -> list[str]:
    """The verdicts of a site's runs, the oldest first."""
    return [run.figures["verdict"] for run in reversed(history(site)[0])]


def told(site: Path, tmp_path: Path) -> str:
    """All that a site says."""
    texts = [path.read_text(encoding="utf-8") for path in site.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert not list(site.rglob("journal*"))
    assert str(tmp_path) not in (site / "index.html").read_text()
    return "\n".join(texts)


@pytest.mark.parametrize(("file", "schema"), [("github-actions.yml", "github-workflows"), ("gitlab-ci.yml", "gitlab-ci")])
def test_a_workflow_is_one_by_the_published_schema(file: str, schema: str) -> None:
    transform = ["--data-transform", "gitlab-ci"] if schema == "gitlab-ci" else []
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *transform, str(HERE / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_actions_of_others_are_pinned_and_rights_are_the_least() -> None:
    found = workflow(HERE / "github-actions.yml")
    uses = re.findall(r"uses: (\S+)(.*)", (HERE / "github-actions.yml").read_text())
    assert uses
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) and "# v" in comment for action, comment in uses)
    assert found["permissions"] == {}
    assert found["jobs"]["drill"]["permissions"] == {"contents": "read"}
    with_secrets = [name for name, job in found["jobs"].items() if "secrets." in str(job)]
    assert with_secrets == ["drill"]
    assert found["concurrency"]["cancel-in-progress"] is False


def test_no_line_is_put_together_from_text_of_others() -> None:
    for job in workflow(HERE / "github-actions.yml")["jobs"].values():
        assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]


class TestGitHub:
    """Two runs of the workflow, each on machines that know nothing of the other."""

    def run(self, github: GitHub, **known: str) -> tuple[Ran, Ran]:
        github.known = {"DRILLS": "drills/test_recovery.py", "MUSTER_OFFSITE_PASSWORD": PASSWORD, **known}
        jobs = workflow(HERE / "github-actions.yml")["jobs"]
        return github.job(jobs["drill"]), github.job(jobs["publish"])

    def test_history_survives_between_runs_and_a_failed_drill_is_published_and_told(
        self, origin: Path, machine: Mapping[str, str], tmp_path: Path
    ) -> None:
        github = GitHub(origin, tmp_path / "github", machine)
        drill, publish = self.run(github)
        assert drill.ok, drill.output
        assert publish.ok, publish.output
        assert github.pages is not None
        assert runs(github.pages) == ["recovered"]
        assert "There was no run before this one." in drill.output
        assert "**recovered**" in drill.summary

        with web() as receiver:
            github.environment = {**machine, "BROKEN": "1"}
            alerts = f"json://127.0.0.1:{receiver.port}/alerts"
            ping = f"http://127.0.0.1:{receiver.port}/ping"
            drill, publish = self.run(github, MUSTER_ALERTS=alerts, MUSTER_PING=ping)
        assert not drill.ok
        assert publish.ok, publish.output
        assert "1 earlier run remembered" in drill.output
        assert "**failed**" in drill.summary
        assert runs(github.pages) == ["recovered", "failed"]
        assert "db.service failed to start" in told(github.pages, tmp_path)
        assert {"/ping/start", "/alerts", "/ping/fail"} == set(receiver.paths)
        assert "muster: failed" in (github.pages / "badge.svg").read_text()

        assert PASSWORD not in told(github.pages, tmp_path) + drill.output + drill.summary
        log = ["git", "-C", str(origin), "log", "--format=%h", "muster-history"]
        assert len(subprocess.run(log, capture_output=True, text=True, check=True).stdout.split()) == 1

    def test_a_history_that_cannot_be_had_stops_the_run_and_is_not_overwritten(
        self, origin: Path, machine: Mapping[str, str], tmp_path: Path
    ) -> None:
        github = GitHub(origin, tmp_path / "github", machine)
        steps = workflow(HERE / "github-actions.yml")["jobs"]["drill"]["steps"]
        get = next(step for step in steps if step.get("name") == "Get the history")
        gone = {"run": f"git remote set-url origin {tmp_path}/nowhere\n"}
        ran = github.job({"steps": [steps[0], gone, get]})
        assert not ran.ok
        assert "There was no run" not in ran.output
        publish = github.job(workflow(HERE / "github-actions.yml")["jobs"]["publish"])
        assert not publish.ok
        heads = subprocess.run(["git", "-C", str(origin), "branch"], capture_output=True, text=True, check=True).stdout
        assert "muster-history" not in heads


def test_gitlab_keeps_the_history_in_its_cache_and_publishes_the_daily_look_and_a_failed_drill(
    origin: Path, machine: Mapping[str, str], tmp_path: Path
) -> None:
    ci = workflow(HERE / "gitlab-ci.yml")
    gitlab = GitLab(origin, tmp_path / "gitlab", machine)
    secret = {"MUSTER_OFFSITE_PASSWORD": PASSWORD}
    drill, pages = gitlab.pipeline(ci, {**secret, "DRILLS": "drills/test_backups.py"})
    assert "inspection of the backups" in drill.output
    drill, pages = gitlab.pipeline(ci, {**secret, "DRILLS": "drills/test_recovery.py", "BROKEN": "1"})
    assert not drill.ok
    assert "**failed**" in drill.output
    assert pages.ok, pages.output
    assert gitlab.pages is not None
    assert [run.figures["purpose"] for run in history(gitlab.pages)[0]] == ["recovery", "inspection"]
    assert (gitlab.pages / "backups.svg").is_file()
    assert PASSWORD not in told(gitlab.pages, tmp_path) + drill.output
    assert list((tmp_path / "gitlab").glob("job-1/" + ci["drill"]["artifacts"]["reports"]["junit"]))
