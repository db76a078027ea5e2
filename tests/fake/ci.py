"""The machinery of a CI as far as a machine without it can have it: it runs the lines of a workflow as they stand.

Actions of others (checkout, artifacts, Pages) are replaced by what they do to files; every line that is the project's own is run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def workflow(path: Path) -> dict[str, Any]:
    """A workflow, read as YAML 1.2, in which `on` is a word."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@dataclass
class Ran:
    """What became of a job: `output` is all that its lines said, `summary` what stands on its page."""

    ok: bool
    output: str
    summary: str


@dataclass
class GitHub:
    """One repository on GitHub: `origin` is a bare repository, `known` the values of expressions, `pages` what is served."""

    origin: Path
    scratch: Path
    environment: Mapping[str, str]
    known: Mapping[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    pages: Path | None = None
    jobs: int = 0

    def job(self, job: Mapping[str, Any]) -> Ran:
        """Run the steps of one job on a fresh machine."""
        self.jobs += 1
        home = self.scratch / f"job-{self.jobs}"
        work, temp = home / "work", home / "temp"
        temp.mkdir(parents=True)
        runner = {"GITHUB_STEP_SUMMARY": str(home / "summary.md"), "RUNNER_TEMP": str(temp), "CI": "true"}
        base = {**self.environment, **runner, **self._values(job.get("env", {}))}
        ok, output = True, []
        for step in job["steps"]:
            if not ok and "cancelled()" not in step.get("if", ""):
                continue
            try:
                output.append(self._step(step, work, base))
            except subprocess.CalledProcessError as error:
                ok = False
                output.append(error.stdout)
        summary = home / "summary.md"
        return Ran(ok, "\n".join(output), summary.read_text(encoding="utf-8") if summary.exists() else "")

    def _step(self, step: Mapping[str, Any], work: Path, base: Mapping[str, str]) -> str:
        if "uses" in step:
            action = step["uses"].partition("@")[0].rpartition("/")[2].replace("-", "_")
            getattr(self, f"_{action}")(work, **{name.replace("-", "_"): value for name, value in step.get("with", {}).items()})
            return f"[{action}]"
        return shell(step["run"], work, {**base, **self._values(step.get("env", {}))})

    def _values(self, env: Mapping[str, object]) -> dict[str, str]:
        """The variables with their expressions as they are known; one that is not known is empty, as on GitHub."""
        return {
            name: self.known.get(name, "") if re.fullmatch(r"\$\{\{.*\}\}", str(value)) else str(value)
            for name, value in env.items()
        }

    def _checkout(self, work: Path) -> None:
        subprocess.run(["git", "clone", "-q", "--branch", "main", str(self.origin), str(work)], check=True)

    def _upload_artifact(self, work: Path, *, name: str, path: str, if_no_files_found: str = "warn") -> None:
        assert if_no_files_found == "error"
        assert (work / path).is_dir()
        shutil.rmtree(self.scratch / f"artifact-{name}", ignore_errors=True)
        self.artifacts[name] = Path(
            shutil.copytree(work / path, self.scratch / f"artifact-{name}", ignore=shutil.ignore_patterns(".*"))
        )

    def _download_artifact(self, work: Path, *, name: str, path: str) -> None:
        if name not in self.artifacts:
            raise subprocess.CalledProcessError(1, "download-artifact", f"there is no artifact {name}")
        shutil.copytree(self.artifacts[name], work / path)

    def _upload_pages_artifact(self, work: Path, *, path: str) -> None:
        self.artifacts["github-pages"] = work / path

    def _deploy_pages(self, _: Path) -> None:
        self.pages = self.artifacts["github-pages"]


@dataclass
class GitLab:
    """One project on GitLab with a runner of its own: its cache, and the site that it serves."""

    origin: Path
    scratch: Path
    environment: Mapping[str, str]
    cache: Path | None = None
    pages: Path | None = None
    jobs: int = 0

    def pipeline(self, ci: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[Ran, Ran]:
        """Run the drill and the publishing of its site."""
        drill, work = self._job(ci, ci["drill"], variables, None)
        pages, served = self._job(ci, ci["pages"], variables, work / "public")
        self.pages = served / "public"
        return drill, pages

    def _job(
        self, ci: Mapping[str, Any], job: Mapping[str, Any], variables: Mapping[str, str], artifact: Path | None
    ) -> tuple[Ran, Path]:
        self.jobs += 1
        work = self.scratch / f"job-{self.jobs}"
        if job.get("variables", {}).get("GIT_STRATEGY") == "none":
            work.mkdir(parents=True)
        else:
            subprocess.run(["git", "clone", "-q", "--branch", "main", str(self.origin), str(work)], check=True)
        if artifact is not None:
            shutil.copytree(artifact, work / "public")
        if "cache" in job and self.cache is not None:
            shutil.copytree(self.cache, work / "public")
        env = {**self.environment, **ci["variables"], **variables, "CI": "true"}
        ok = True
        try:
            output = shell("\n".join([*job.get("before_script", []), *job["script"]]), work, env)
        except subprocess.CalledProcessError as error:
            ok, output = False, error.stdout
        if "after_script" in job:
            output += shell("\n".join(job["after_script"]), work, env)
        if "cache" in job and (work / "public").is_dir() and (ok or job["cache"]["when"] == "always"):
            self.cache = Path(shutil.copytree(work / "public", self.scratch / f"cache-{self.jobs}"))
        return Ran(ok, output, ""), work


def shell(lines: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run lines as a CI does: one shell, which ends at the first that fails. Raises CalledProcessError."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=folder, env=dict(environment), text=True, check=True, timeout=300, **streams)  # type: ignore[call-overload]
    return str(done.stdout)
