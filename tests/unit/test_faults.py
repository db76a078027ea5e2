"""Faults are made on copies, must be noticed by the finding made for them, and nothing else must be."""

from __future__ import annotations

import json
import re

import pytest

from tests.fake.folder import ROOT, Folder, Outcomes

TESTS = (ROOT / "drills" / "test_faults.py").read_text()
HOOK = """
import datetime, tomllib
from muster import catalogue
from muster.faults import Copied

# The fake Pi is a small one, with much that an inspection would not let pass: only what these tests are about counts.
COUNTING = ("password-missing", "metric-differs")

def pytest_drill_copy(plan, folder):
    table = tomllib.loads(plan.path.read_text())
    known = {"reason": "the fake Pi is a small one", "until": datetime.date(2099, 1, 1)}
    table["accept"] = [known | {"code": code} for code in catalogue.codes() if code not in COUNTING]
    folders = {}
    for name, repository in table["repositories"].items():
        folders[name] = folder / name
        folders[name].mkdir()
        (folders[name] / "config").write_text("copied")
        repository["url"] = str(folders[name])
        repository["password"] = {"file": str(plan.path.parent / "password")}
    return Copied(table, folders, datetime.datetime.now(datetime.UTC))
"""
MINE = '''
from muster.faults import Inapplicable, fault

@fault("repository", "password-missing")
def mine_lost_password(bed):
    """The envelope is gone."""
    bed.change_plan(lambda table: table["repositories"]["usb"].update(password={"file": str(bed.folder / "gone")}))
    return "usb"
'''


@pytest.fixture
def prover(folder: Folder) -> Folder:
    folder.drill("test_faults.py", TESTS)
    folder.machine(more=HOOK)
    (folder.path / "faults").mkdir()
    folder.drill("faults/mine.py", MINE)
    return folder


def prove(folder: Folder, *arguments: str, fault: str = "") -> int:
    if fault:
        folder.drill("faults/mine.py", MINE + fault)
    return folder.run("--drill-prove", "-k", "mine", "-v", *arguments)


def _fault(name: str, body: str, code: str = "password-missing", more: str = "") -> str:
    return f'@fault("repository", "{code}"{more})\ndef {name}(bed):\n    """Something."""\n    {body}\n'


LOST = 'bed.change_plan(lambda table: table["repositories"]["usb"].update(password={"file": str(bed.folder / "gone")}))'


def test_a_fault_of_ones_own_is_caught_and_told(prover: Folder) -> None:
    assert prove(prover) == 0
    assert "test_fault_is_caught[mine-lost-password] PASSED" in prover.output
    assert re.search(r"✓ +mine-lost-password +inspection: open +password-missing, usb .* s$", prover.output, re.MULTILINE)
    assert "1 fault caught" in prover.output


def test_the_table_is_written_for_people_and_for_programs(prover: Folder) -> None:
    prove(prover)
    (proof,) = json.loads(next(prover.path.glob("reports/*/faults.json")).read_text())
    assert (proof["fault"], proof["outcome"], proof["step"], proof["where"]) == ("mine-lost-password", "caught", "open", "usb")
    assert ">Faults, and what caught them</title>" in next(prover.path.glob("reports/*/report.html")).read_text()
    page = next(prover.path.glob("reports/*/faults.md")).read_text()
    assert "| mine-lost-password | The envelope is gone. | inspection: open |" in page
    assert str(prover.path) not in page


def test_a_fault_that_nothing_notices_fails(prover: Folder) -> None:
    unseen = _fault("mine_unseen", "(bed.files('usb') / 'config').write_text('other')")
    assert prove(prover, fault=unseen) == 1
    assert "The inspection did not notice mine-unseen: no password-missing of any place" in prover.output
    assert "1 NOT PROVEN: mine-unseen" in prover.output
    assert [path.parts[-3] for path in prover.path.glob("reports/*/faults/*/*/journal*.jsonl")] == ["mine-unseen"]


def test_another_finding_than_the_one_made_for_it_is_not_enough(prover: Folder) -> None:
    assert prove(prover, fault=_fault("mine_mistaken", LOST, "wrong-password")) == 1
    assert "did not notice mine-mistaken" in prover.output
    assert "What was found: password-missing" in prover.output


def test_another_place_than_the_one_that_was_broken_is_not_enough(prover: Folder) -> None:
    assert prove(prover, fault=_fault("mine_misplaced", f"{LOST}\n    return 'vault'")) == 1
    assert "no password-missing of vault" in prover.output


def test_other_words_than_those_made_for_it_are_not_enough(prover: Folder) -> None:
    assert prove(prover, fault=_fault("mine_misspoken", LOST, more=', says="of a submarine"')) == 1
    assert "says 'of a submarine'" in prover.output


def test_a_fault_that_changes_nothing_proves_nothing(prover: Folder) -> None:
    assert prove(prover, fault=_fault("mine_lazy", "bed.files('usb')")) == 1
    assert "The fault mine-lazy could not be made, so that it proves nothing: nothing is other than before." in prover.output
    assert "NOT INJECTED" in prover.output


def test_a_fault_that_cannot_be_made_proves_nothing(prover: Folder) -> None:
    assert prove(prover, fault=_fault("mine_broken", "(bed.files('usb') / 'nowhere').unlink()")) == 1
    assert "The fault mine-broken could not be made" in prover.output


def test_a_fault_that_spoils_the_plan_proves_nothing(prover: Folder) -> None:
    spoilt = _fault("mine_spoilt", "bed.change_plan(lambda table: table.update(nonsense=1))")
    assert prove(prover, fault=spoilt) == 1
    assert re.search(r"✗ +mine-spoilt +NOT INJECTED", prover.output)


def test_what_a_copy_cannot_tell_is_left_out_and_told(prover: Folder) -> None:
    less = HOOK.replace(
        "datetime.datetime.now(datetime.UTC))", 'datetime.datetime.now(datetime.UTC), ("password-missing",), ("media",))'
    )
    prover.machine(more=less)
    whole = _fault("mine_whole", LOST, "metric-differs", ', caught_by="drill"')
    assert prove(prover, "-rs", fault=whole) == 0
    assert "does not apply: copies on one disk of this host cannot tell" in prover.output
    assert "a recovery needs all datasets, and the copy lacks media" in prover.output
    assert prover.run("--drill-prove", "-k", "healthy") == 0
    assert "silent 1 time where nothing was wrong; 1 did not apply" in prover.output


def test_what_is_no_fault_must_not_be_noticed(prover: Folder) -> None:
    harmless = _fault("mine_harmless", "(bed.files('usb') / 'config').write_text('other')", "")
    assert prove(prover, fault=harmless) == 0
    assert re.search(r"✓ +mine-harmless +unnoticed", prover.output)
    noticed = _fault("mine_noticed", LOST, "")
    assert prove(prover, fault=noticed) == 1
    assert "The inspection cried wolf at mine-noticed" in prover.output


def test_what_a_system_lacks_cannot_break_and_is_told(prover: Folder) -> None:
    absent = _fault("mine_absent", "raise Inapplicable('there is no cellar')")
    assert prove(prover, "-rs", fault=absent) == 0
    assert "does not apply: there is no cellar" in prover.output
    assert Outcomes(prover.output)["skipped"] == 1
    assert "1 did not apply" in prover.output


def test_a_recovery_sees_what_an_inspection_cannot(prover: Folder) -> None:
    prover.machine({"count-rows": (0, "41")}, more=HOOK)
    fewer = _fault("mine_fewer", "bed.spoil('true')\n    return 'rows'", "metric-differs", ', caught_by="drill"')
    assert prove(prover, fault=fewer) == 0
    assert re.search(r"✓ +mine-fewer +drill: metric +metric-differs, rows", prover.output)


def test_a_healthy_system_is_silent_as_often_as_it_is_asked(prover: Folder) -> None:
    assert prover.run("--drill-prove", "--drill-healthy", "3", "-k", "healthy") == 0
    assert "silent 4 times where nothing was wrong" in prover.output
    assert len(re.findall(r"✓ +healthy-\d", prover.output)) == 3


def test_silence_is_not_proved_by_looking_never(prover: Folder) -> None:
    assert prover.run("--drill-prove", "--drill-healthy", "0") == 4
    assert "--drill-healthy 0 proves no silence" in prover.output


def test_a_system_that_is_not_healthy_fails_before_it_is_broken(prover: Folder) -> None:
    prover.machine({"count-rows": (0, "41")}, more=HOOK)
    assert prover.run("--drill-prove", "-k", "healthy") == 1
    assert "The drill cried wolf at healthy-recovery" in prover.output


def test_without_the_option_nothing_is_broken_or_said(prover: Folder) -> None:
    assert prover.run("-k", "boots") == 0
    assert "faults" not in prover.output
    assert prover.run("test_faults.py") == 4
    assert "say --drill-prove to run them" in prover.output


def test_with_the_option_nothing_else_is_run(prover: Folder) -> None:
    assert prover.run("--drill-prove", "--collect-only", "-q") == 0
    assert "test_recovery" not in prover.output
    assert prove(prover) == 0
    collected, selected = re.search(r"collected (\d+) items / \d+ deselected / (\d+) selected", prover.output).groups()
    assert int(collected) > int(selected) == 1
    assert prover.run("--drill-prove", "test_recovery.py") == 4
    assert "no test here asks for `proving`" in prover.output


def test_originals_stay_as_they_are_and_nothing_is_left(prover: Folder) -> None:
    spill = _fault("mine_spill", f"(bed.files('usb') / 'config').unlink()\n    {LOST}")
    before = {path: path.stat().st_mtime_ns for path in prover.path.glob("plans/**/*")}
    assert prove(prover, fault=spill) == 0
    assert {path: path.stat().st_mtime_ns for path in prover.path.glob("plans/**/*")} == before
    assert not list(prover.path.glob("**/muster-beds-*"))


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (_fault("mine_unknown", "pass", "no-such-code"), "made for the finding 'no-such-code', which does not exist"),
        ('@fault("weather", "")\ndef mine_rain(bed):\n    """It rains."""\n', "is of the group 'weather'; there are repository"),
        ("import nothing_of_the_kind\n", "mine.py cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_mistake_in_a_fault_is_one_sentence(prover: Folder, code: str, says: str) -> None:
    assert prove(prover, fault=code) != 0
    assert says in prover.output
    assert "Traceback" not in prover.output


def test_two_faults_of_one_name_are_an_error(prover: Folder) -> None:
    prover.drill("faults/other.py", MINE)
    assert prove(prover) != 0
    assert "Two faults are named mine-lost-password" in prover.output


def test_workers_of_xdist_tell_what_they_proved(prover: Folder) -> None:
    assert prove(prover, "-n", "2", fault=_fault("mine_other_password", LOST)) == 0
    assert "2 faults caught" in prover.output
    assert len(json.loads(next(prover.path.glob("reports/*/faults.json")).read_text())) == 2
