"""What cannot be used is one clear sentence before anything starts; a run without drills notices nothing of Muster."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fake.folder import Outcomes

if TYPE_CHECKING:
    from tests.fake.folder import Folder

NO_PLAN = "ERROR: No recovery plan found: put one into plans/ beside the drills, or name it with --drill-plan FILE."


def refused(folder: Folder, *arguments: str, subprocess: bool = False) -> str:
    """Run, expect a usage error and no trace of it, and return what was said."""
    assert folder.run(*arguments, subprocess=subprocess) == 4, folder.output
    assert "Traceback" not in folder.output
    assert "INTERNALERROR" not in folder.output
    assert folder.log == []
    assert not (folder.path / "reports").exists()
    return folder.output


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["-x"], ["-k", "boots"], ["--collect-only"]])
def test_no_plan_is_one_clear_error(folder: Folder, arguments: list[str]) -> None:
    folder.plans[0].unlink()
    assert refused(folder, *arguments, subprocess="-n" in arguments).count(NO_PLAN) == 1


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]])
def test_every_mistake_of_every_plan_is_told_at_once(folder: Folder, arguments: list[str]) -> None:
    text = folder.plans[0].read_text()
    folder.plans[0].write_text(text.replace('rto = "30m"', 'rto = "soon"').replace('after = ["db"]', 'after = ["bd"]'))
    folder.plan("second").write_text("schema = 7\n")
    said = refused(folder, *arguments, subprocess=bool(arguments))
    assert said.count("ERROR: ") == 1
    for mistake in ('[services.app] after: "bd" is no service', "[objectives] rto:", "second.toml: schema:"):
        assert said.count(mistake) == 1, mistake


def test_two_plans_of_one_name_are_refused(folder: Folder) -> None:
    (folder.path / "plans" / "twin.toml").write_text(folder.plans[0].read_text())
    assert "are both named tiny: their reports could not be told apart." in refused(folder)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--drill-plan", "nowhere.toml"], "nowhere.toml does not exist; write a recovery plan there or name another one."),
        (["--drill-repo", "valt"], 'ERROR: --drill-repo valt is no repository of the plan; did you mean "vault"?'),
        (["--drill-repo", "xyzzy"], "ERROR: --drill-repo xyzzy is no repository of the plan; there are usb, vault"),
        (["--drill-repo", ""], "is no repository of the plan"),
        (["--drill-lost-at", "yesterday"], "ERROR: --drill-lost-at 'yesterday' is no time: write it like 2026-02-28T23:40:00Z."),
        (["--drill-lost-at", ""], "ERROR: --drill-lost-at '' is no time"),
        (["--drill-lost-at", "2999-01-01T00:00:00Z"], "ERROR: --drill-lost-at 2999-01-01T00:00:00Z is in the future."),
        (["--drill-snapshot", "newest!"], "ERROR: --drill-snapshot 'newest!' is no snapshot: give the id of one"),
        (["--drill-snapshot", ""], "ERROR: --drill-snapshot '' is no snapshot"),
        (["--drill-snapshot", "2026-13-45"], "ERROR: --drill-snapshot '2026-13-45' is no snapshot"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(folder: Folder, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(folder, *arguments)


def test_options_that_cannot_be_used_are_told_together(folder: Folder) -> None:
    said = refused(folder, "--drill-repo", "a", "--drill-repo", "b", "--drill-lost-at", "x", "--drill-snapshot", "?")
    assert len(re.findall(r"--drill-\S+ \S+ is no ", said)) == 4


def test_a_repository_need_only_be_in_one_of_several_plans(folder: Folder) -> None:
    second = folder.plan("second")
    second.write_text(second.read_text().replace("vault", "cellar"))
    (folder.path / "plans" / "cellar").mkdir()
    assert folder.run("--drill-repo", "cellar", "-k", "boots") == 0


@pytest.mark.parametrize("which", ["latest", "aaaaaaaa", "2999-01-01T00:00:00+01:00"])
def test_a_restore_point_that_may_be_is_looked_for(folder: Folder, which: str) -> None:
    assert folder.run("--drill-snapshot", which, "-k", "boots") == 0


def test_reports_that_cannot_be_written_are_one_sentence(folder: Folder) -> None:
    (folder.path / "taken").write_text("a file")
    assert folder.run("--drill-out", "taken", "-p", "no:html", "-p", "no:junitxml") == 1
    assert re.search(r"taken/\S+ cannot be written: Not a directory. Name another folder with --drill-out.", folder.output)
    assert "Traceback" not in folder.output


@pytest.mark.parametrize(
    ("planned", "arguments"),
    [(True, []), (True, ["-n", "1"]), (True, ["-p", "no:html"]), (True, ["-v"]), (False, []), (False, ["-v"])],
)
def test_a_run_of_other_tests_leaves_and_says_nothing(folder: Folder, planned: bool, arguments: list[str]) -> None:  # noqa: FBT001
    if not planned:
        folder.plans[0].unlink()
    (folder.path / "test_recovery.py").unlink()
    folder.drill("test_other.py", "def test_it(): pass\n")
    assert folder.run(*arguments, subprocess="-n" in arguments) == 0
    assert Outcomes(folder.output)["passed"] == 1
    assert not (folder.path / "reports").exists()
    for word in ("muster:", "report", "Report", "drill", "xml"):
        assert word not in folder.output.replace(str(folder.path), ""), word


def test_a_failure_of_other_tests_is_shown_as_ever(folder: Folder) -> None:
    (folder.path / "test_recovery.py").unlink()
    folder.drill("test_other.py", "def test_it():\n    assert 1 == 2\n")
    assert folder.run() == 1
    assert "assert 1 == 2" in folder.output


def test_a_run_without_plans_loads_nothing_that_only_drills_need(folder: Folder) -> None:
    folder.plans[0].unlink()
    (folder.path / "conftest.py").unlink()
    (folder.path / "test_recovery.py").unlink()
    folder.drill("test_other.py", "import sys\ndef test_it():\n    print(*sys.modules, sep='\\n')\n")
    assert folder.run("-s", subprocess=True) == 0
    loaded = set(folder.output.split())
    assert "muster.plugin" in loaded
    assert not loaded & {"docker", "pydantic", "rich", "muster.plan", "muster.session", "muster.drill", "requests"}


def test_loading_the_plugin_costs_next_to_nothing() -> None:
    script = "import pytest, sys, time; start = time.process_time(); import muster.plugin; print(time.process_time() - start)"
    took = [
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout) for _ in range(3)
    ]
    assert min(took) < 0.15


@pytest.mark.parametrize(
    "arguments", [["-p", "no:html"], ["-p", "no:junitxml"], ["-p", "no:metadata", "-p", "no:html"], ["--capture=no", "-qq"]]
)
def test_a_drill_does_without_its_neighbours(folder: Folder, arguments: list[str]) -> None:
    assert folder.run(*arguments) == 0, folder.output
    assert folder.record.verdict == "recovered"


def test_help_and_fixtures_read_well(folder: Folder) -> None:
    assert folder.run("--help") == 0
    text = " ".join(folder.output.split())
    assert "recovery drills (Muster): --drill-plan=FILE recovery plan to drill (repeatable; default: plans/*.toml" in text
    assert set(re.findall(r"^  (--drill-[a-z-]+)", folder.output, re.MULTILINE)) >= {
        "--drill-plan", "--drill-repo", "--drill-snapshot", "--drill-lost-at", "--drill-keep", "--drill-seed", "--drill-out"
    }  # fmt: skip
    assert folder.run("--fixtures") == 0
    text = " ".join(folder.output.split())
    for sentence in (
        "The drill of the plan: `drill.reach(milestone, row)` waits for that part of the recovery and says what went wrong.",
        "The recovered Pi as a testinfra host",
        "One dataset of the plan: the test runs once for each.",
        "One objective of the plan (rto, rpo, rto-SERVICE, rpo-DATASET)",
    ):
        assert sentence in text
    assert folder.run("--markers") == 0
    assert "@pytest.mark.incident(name): what happened to the Pi" in folder.output
    assert folder.log == []
    assert not (folder.path / "reports").exists()
