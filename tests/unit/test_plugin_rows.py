"""What is selected is recovered as far as it needs, in whatever order, and nothing else is asked of the user."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.fake.folder import Outcomes

if TYPE_CHECKING:
    from tests.fake.folder import Folder

ROWS = 21  # of the drill file with the plan of the fake Pi


def test_a_whole_drill_passes_with_one_row_for_each_thing(folder: Folder) -> None:
    assert folder.run("-v") == 0
    assert Outcomes(folder.output)["passed"] == ROWS
    for row in ("dataset_comes_back[tiny-keys]", "service_serves[tiny-web]", "service_answers[tiny-ping]",
                "metric_matches_the_manifest[tiny-rows]", "objective_is_met[tiny-rto-app]", "objective_is_met[tiny-rpo-rows]",
                "clean_machine_boots[tiny]"):  # fmt: skip
        assert f"{row} PASSED" in folder.output
    assert folder.record.verdict == "recovered"
    assert folder.record.ended == "finished"
    assert folder.log == ["prepare", "provision", "destroy"]


def test_a_drill_leaves_its_pages_and_the_index(folder: Folder) -> None:
    folder.run()
    names = {re.sub(r"\d{8}-\d{6}-\w{4}", "RUN", str(path.relative_to(folder.path))) for path in folder.path.glob("reports/**/*")}
    assert names >= {
        "reports/index.html",
        "reports/RUN",
        "reports/RUN/report.html",
        "reports/RUN/junit.xml",
        "reports/RUN/journal-tiny-disk-loss.jsonl",
    }
    assert "report.html" in folder.written["index.html"]
    cases = ET.fromstring(next(folder.path.glob("reports/*/junit.xml")).read_text()).iter("testcase")  # noqa: S314  # our own
    assert len(list(cases)) == ROWS


def test_every_event_is_told_once_and_the_last_one_too(folder: Folder) -> None:
    folder.run("-k", "provisioned or boots")
    assert folder.line(r"✓ provision: done")
    folder.run()
    assert folder.line(r"\* verified after")
    assert folder.line(r"✓ still-up: done")
    assert folder.line(r"✓ RECOVERED")


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["-k", "tiny-keys"], 1),
        (["-k", "disk-loss"], ROWS),
        (["-k", "boots"], 1),
        (["test_recovery.py::TestRecovery::test_service_answers[tiny-page]"], 1),
        (["test_recovery.py::TestRecovery::test_nothing_else_is_wrong"], 1),
        (["-x"], ROWS),
        (["-q", "-q"], ROWS),
        (["--drill-repo", "vault"], ROWS),
        (["-s"], ROWS),
        (["-p", "no:terminal"], None),
        (["--drill-plan", "plans/tiny.toml", "test_recovery.py"], ROWS),
    ],
)
def test_any_selection_passes_by_itself(folder: Folder, arguments: list[str], passed: int | None) -> None:
    assert folder.run(*arguments) == 0, folder.output
    if passed and "-q" not in arguments:
        assert Outcomes(folder.output)["passed"] == passed
    assert folder.log == ["prepare", "provision", "destroy"]
    assert (folder.path / "reports" / "index.html").is_file()


def test_reversed_order_passes(folder: Folder) -> None:
    folder.machine(more="\ndef pytest_collection_modifyitems(items):\n    items.reverse()\n")
    assert folder.run("-v") == 0
    first, *_, last = re.findall(r"::(test_\w+)\S* PASSED", folder.output)
    assert (first, last) == ("test_nothing_else_is_wrong", "test_clean_machine_boots")
    assert folder.record.verdict == "recovered"


def test_the_last_failures_run_again_by_themselves(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page")})
    folder.pytester.runpytest_inprocess()
    folder.machine()
    done = folder.pytester.runpytest_inprocess("--lf", "-v")
    assert done.ret == 0
    assert "test_service_answers[tiny-page] PASSED" in str(done.stdout)
    assert "test_dataset_comes_back" not in str(done.stdout)


def test_collecting_makes_nothing(folder: Folder) -> None:
    assert folder.run("--collect-only", "-q") == 0
    assert "test_dataset_comes_back[tiny-etc]" in folder.output
    assert folder.log == []
    assert not (folder.path / "reports").exists()


def test_a_row_needs_no_mention_of_the_drill(folder: Folder) -> None:
    folder.drill("test_recovery.py", "def test_it(metric):\n    assert str(metric) == 'rows'\n")
    assert folder.run() == 0
    assert Outcomes(folder.output)["passed"] == 1


def test_a_drill_that_is_never_asked_for_anything_leaves_nothing_behind(folder: Folder) -> None:
    folder.drill("test_recovery.py", "def test_it(drill):\n    assert drill.plan.name == 'tiny'\n")
    assert folder.run() == 0
    assert not folder.journals
    assert folder.log == ["destroy"]


def test_a_test_of_two_kinds_of_row_is_refused(folder: Folder) -> None:
    folder.drill("test_recovery.py", "def test_it(drill, metric, smoke): ...\n")
    assert folder.run() == 2
    assert "Traceback" not in folder.output
    assert "_pytest" not in folder.output
    assert "test_it asks for smoke and metric: a drill test has one kind of row." in folder.output


def test_two_plans_recover_one_after_the_other(folder: Folder) -> None:
    folder.plan("second")
    assert folder.run("-v") == 0
    assert Outcomes(folder.output)["passed"] == 2 * ROWS
    assert [journal.name for journal in folder.journals] == [
        "journal-second-disk-loss.jsonl",
        "journal-tiny-disk-loss.jsonl",
    ]
    plans = re.findall(r"::test_\w+\[(second|tiny)\S* PASSED", folder.output)
    assert plans == ["second"] * ROWS + ["tiny"] * ROWS
    assert folder.line(r"tiny: .* \* verified after")
    assert folder.log == ["prepare", "provision", "destroy"] * 2  # the first machine is gone before the second is made


def test_two_incidents_of_one_plan_are_two_drills(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

@pytest.mark.incident("flood", class_="disk-loss", about="The cellar is under water")
def test_a(drill):
    drill.reach("provisioned")

def test_b(drill):
    drill.reach("provisioned")
""",
    )
    assert folder.run("--strict-markers") == 0
    assert [journal.name for journal in folder.journals] == ["journal-tiny-disk-loss.jsonl", "journal-tiny-flood.jsonl"]


def test_a_test_may_go_elsewhere(folder: Folder) -> None:
    folder.drill("test_recovery.py", "def test_it(monkeypatch, tmp_path, drill):\n    monkeypatch.chdir(tmp_path)\n"
                 "    drill.reach('verified')\n")  # fmt: skip
    assert folder.run() == 0
    assert folder.record.verdict == "recovered"


def test_reports_go_where_they_are_wanted(folder: Folder) -> None:
    out = folder.path / "else" / "where"
    assert folder.run("--drill-out", str(out), "--html", "mine.html", "--junitxml", "mine.xml") == 0
    assert (folder.path / "mine.html").is_file()
    assert (folder.path / "mine.xml").is_file()
    assert (out / "index.html").is_file()
    assert not (folder.path / "reports").exists()
    assert not list(out.glob("*/report.html"))
