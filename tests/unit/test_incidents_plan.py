"""A plan's own incidents are drills of their own, one after the other, and those of a test are described by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.fake.folder import ROOT, Outcomes

if TYPE_CHECKING:
    from tests.fake.folder import Folder

INCIDENTS = (ROOT / "drills" / "test_incidents.py").read_text()
OWN = """
[incidents.flood]
class = "disk-loss"
about = "The cellar is under water"

[incidents.theft]
class = "disk-loss"
lost = ["usb"]
"""


def own(folder: Folder, more: str = OWN) -> None:
    path = folder.plans[0]
    path.write_text(path.read_text() + more)
    folder.drill("test_incidents.py", INCIDENTS)


def names(folder: Folder) -> list[str]:
    return [path.name for path in folder.journals]


def test_each_of_them_is_a_drill_with_a_journal_of_its_own(folder: Folder) -> None:
    own(folder, OWN.replace('lost = ["usb"]', ""))
    assert folder.run("-v", "test_incidents.py") == 0, folder.output
    assert "test_restore_point_is_right[tiny-flood] PASSED" in folder.output
    assert "test_objective_is_met[tiny-theft-rpo-rows] PASSED" in folder.output
    assert names(folder) == ["journal-tiny-flood.jsonl", "journal-tiny-theft.jsonl"]
    assert folder.line(r"theft: .* \* verified after")
    assert folder.log == ["prepare", "provision", "destroy"] * 2


def test_one_ends_before_the_next_begins_to_be_asked_for(folder: Folder) -> None:
    own(folder, OWN.replace('lost = ["usb"]', ""))
    assert folder.run("-v") == 0, folder.output
    asked = re.findall(r"^test_\w+\.py::\w+::test_\w+\[tiny-?(flood|theft|)\S* PASSED", folder.output, re.MULTILINE)
    assert [name for place, name in enumerate(asked) if asked[place - 1 : place] != [name]] == ["flood", "theft", ""]


def test_one_that_leaves_nothing_fails_and_the_other_does_not(folder: Folder) -> None:
    own(folder)
    assert folder.run("-v", "test_incidents.py") == 1
    assert "test_services_answer[tiny-flood] PASSED" in folder.output
    assert "test_services_answer[tiny-theft] PASSED" not in folder.output
    assert "Nothing would be left of etc, rows and media: there is no copy but in usb, which is lost with the Pi" in folder.output


def test_a_plan_without_any_leaves_their_tests_out_rather_than_skipping_them(folder: Folder) -> None:
    own(folder, "")
    assert folder.run() == 0, folder.output
    assert Outcomes(folder.output)["skipped"] == 0
    assert Outcomes(folder.output)["deselected"] == 5


def test_one_of_a_test_is_what_the_test_says(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

@pytest.mark.incident("visit", class_="disk-loss", about="Somebody took it", section="Call the police")
def test_it(drill):
    drill.conclude()
""",
    )
    assert folder.run() == 0, folder.output
    case = folder.record.case_file.case
    assert case is not None
    assert (case.name, case.about, case.section) == ("visit", "Somebody took it", "Call the police")


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        ('"visit", class_="disk-loss", runs="many"', "The incident visit: [incidents.visit] runs: must be a whole number"),
        ('"visit"', 'No incident is called "visit"'),
    ],
)
def test_one_that_means_nothing_is_one_sentence_and_no_pass(folder: Folder, marker: str, sentence: str) -> None:
    text = "import pytest\n\n@pytest.mark.incident({})\ndef test_it(drill):\n    drill.conclude()\n"
    folder.drill("test_recovery.py", text.format(marker))
    assert folder.run() == 1
    assert sentence in folder.output
    assert "Traceback" not in folder.output
    assert folder.log == []


@pytest.mark.parametrize("word", ["lost_at", "name", "wanted", "repositories"])
def test_what_a_marker_cannot_say_is_one_sentence(folder: Folder, word: str) -> None:
    text = f'import pytest\n\n@pytest.mark.incident("site-loss", {word}="a")\ndef test_it(drill):\n    drill.conclude()\n'
    folder.drill("test_recovery.py", text)
    assert folder.run() == 2
    assert f"The incident site-loss: {word} cannot be said with the marker incident" in folder.output
    assert "TypeError" not in folder.output


def test_one_that_two_tests_describe_differently_is_not_drilled_as_one_of_them_alone(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

@pytest.mark.incident("disk-loss")
def test_one(drill):
    drill.conclude()

@pytest.mark.incident("disk-loss", about="Somebody took it")
def test_other(drill):
    drill.conclude()
""",
    )
    assert folder.run() == 1
    assert "Two tests of this run describe the incident disk-loss in different words" in folder.output
    assert Outcomes(folder.output)["passed"] == 1
    assert "Traceback" not in folder.output


@pytest.mark.parametrize("row", ["", ", smoke"])
def test_a_marker_that_names_none_is_one_sentence(folder: Folder, row: str) -> None:
    folder.drill(
        "test_recovery.py", f"import pytest\n\n@pytest.mark.incident()\ndef test_it(drill{row}):\n    drill.conclude()\n"
    )
    assert folder.run() == 2
    assert "The marker incident wants the name of one incident first" in folder.output


def test_one_that_cannot_be_made_in_a_copy_is_not_proven_and_says_why(folder: Folder) -> None:
    own(folder, '\n[incidents.flood]\nclass = "disk-loss"\nbreaks = "rm -rf /srv/media"\n')
    folder.machine(
        more="""
from muster.errors import HarnessError

def pytest_drill_copy(plan, folder):
    raise HarnessError("the copier is out of paper")
"""
    )
    assert folder.run("test_incidents.py") == 1
    assert "The incident flood could not be made in a copy: the copier is out of paper" in folder.output
    assert "Traceback" not in folder.output
    assert folder.record.verdict == "not proven"
    assert folder.record.incident == "flood"
    assert "provision" not in folder.log


def test_one_that_leaves_nothing_is_not_even_made(folder: Folder) -> None:
    own(folder, '\n[incidents.fire]\nclass = "disk-loss"\nbreaks = "true"\nlost = ["usb", "vault"]\n')
    folder.machine(more="\ndef pytest_drill_copy(plan, folder):\n    raise AssertionError('copied')\n")
    assert folder.run("test_incidents.py") == 1
    assert [finding.code for finding in folder.record.findings] == ["nothing-left"]


def test_tests_of_one_drill_stay_together_wherever_they_stand(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

flood = pytest.mark.incident("flood", class_="disk-loss")

@flood
def test_a(drill):
    drill.reach("provisioned")

def test_b(drill):
    drill.reach("provisioned")

@flood
def test_c(drill):
    drill.conclude()
""",
    )
    assert folder.run("-v") == 0, folder.output
    assert re.findall(r"::(test_\w)\S* PASSED", folder.output) == ["test_a", "test_c", "test_b"]
    assert folder.log == ["prepare", "provision", "destroy"] * 2
