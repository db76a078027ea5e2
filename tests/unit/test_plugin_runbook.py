"""Which runbook is followed: one that was named, this run's own, the newest of the folder; and one is made if there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muster.journal import read
from muster.machines.machine import Result
from muster.record import Record, fold
from muster.session import Session
from tests.fake.folder import ROOT, Outcomes
from tests.fake.machine import _MANIFEST, FakeMachine

if TYPE_CHECKING:
    from tests.fake.folder import Folder

DRILL = (ROOT / "drills" / "test_runbook.py").read_text()
OWN = """\
# How I get it back

## Flash the card (8 min)

## Bring it back

```sh
bring-it-back --all
```
"""


_STEPS = re.compile(r"^(?:step |by_hand |printf '%s\\n' '== )(\d+) '?([^']*)'", re.MULTILINE)


class Typist(FakeMachine):
    """A Pi on which every script that is put there is followed to its end, each step with its mark."""

    script = b""

    def run(self, command: str, **words: object) -> Result:
        given = words.get("stdin") or b""
        if isinstance(given, bytes) and _STEPS.search(given.decode()):
            self.script = given
        result = super().run(command, **words)  # type: ignore[arg-type]  # passed on
        on_line = words.get("on_line")
        if re.match(r"cd \S+ && \S*sh \S+ </dev/null", command) and callable(on_line):
            for number, title in _STEPS.findall(self.script.decode()):
                on_line(f"== {number} {title}")
        return result


@pytest.fixture
def drills(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder with the drill of the runbook beside that of the recovery; nothing in it ever starts a container."""
    monkeypatch.setattr("muster.session.kinds.make", lambda _choice, _wanted: Typist({" dump ": (0, json.dumps(_MANIFEST))}))
    monkeypatch.setattr(Session, "remove_leftovers", lambda _self: None)
    folder.drill("test_runbook.py", DRILL)
    return folder


def records(folder: Folder, incident: str) -> list[Record]:
    found = [fold(read(path)) for path in folder.journals]
    return [record for record in found if record.incident == incident]


def test_alone_it_drills_the_recovery_first_and_follows_what_that_wrote(drills: Folder) -> None:
    assert drills.run("test_runbook.py") == 0, drills.output
    assert "tiny: there is no runbook to follow yet" in drills.output
    (plain,), (followed,) = records(drills, "disk-loss"), records(drills, "runbook")
    assert (plain.verdict, followed.verdict) == ("recovered", "recovered"), followed.reasons
    assert followed.handbook.runbook
    assert followed.handbook.runbook.by == plain.run
    assert Path(followed.handbook.runbook.path).name == "runbook-tiny-disk-loss.sh"
    assert len(followed.handbook.followed) > 5


@pytest.mark.parametrize("files", [("test_recovery.py", "test_runbook.py"), ("test_runbook.py", "test_recovery.py")])
def test_with_the_recovery_in_the_same_run_that_is_drilled_once_and_before(drills: Folder, files: tuple[str, str]) -> None:
    assert drills.run("-v", *files) == 0, drills.output
    (plain,), (followed,) = records(drills, "disk-loss"), records(drills, "runbook")
    assert followed.handbook.runbook
    assert followed.handbook.runbook.by == plain.run == followed.run
    order = re.findall(r"test_(recovery|runbook)\.py::\S+ PASSED", drills.output)
    assert order == sorted(order)


def test_the_newest_of_earlier_runs_is_followed_without_another_recovery(drills: Folder) -> None:
    assert drills.run("test_recovery.py") == 0, drills.output
    assert drills.run("test_runbook.py") == 0, drills.output
    (plain,), (followed,) = records(drills, "disk-loss"), records(drills, "runbook")
    assert followed.handbook.runbook
    assert followed.handbook.runbook.by == plain.run
    assert followed.run != plain.run


def test_the_runbook_of_the_newest_is_kept_and_that_of_this_drill_is_not(drills: Folder) -> None:
    drills.run("test_runbook.py")
    names = {path.name for path in drills.path.glob("reports/**/*")}
    assert {"runbook-tiny.sh", "runbook-tiny.md", "runbook-tiny.html", "runbook-tiny-disk-loss.sh"} <= names
    assert "runbook-tiny-runbook.sh" not in names


@pytest.mark.parametrize("by", ["option", "plan"])
def test_one_that_was_named_is_followed_and_hands_count_by_it(drills: Folder, by: str) -> None:
    drills.drill("mine.md", OWN)
    plan = drills.plans[0]
    if by == "plan":
        plan.write_text(plan.read_text() + '\n[runbook]\nfile = "../mine.md"\n')
    assert drills.run("test_runbook.py", *(["--drill-runbook", "mine.md"] if by == "option" else [])) == 0, drills.output
    (followed,) = records(drills, "runbook")
    assert followed.handbook.runbook
    assert (Path(followed.handbook.runbook.path).name, followed.handbook.runbook.by) == ("mine.md", "")
    assert [(entry.what, entry.seconds) for entry in followed.manual] == [("Flash the card", 480.0)]
    assert records(drills, "disk-loss") == []
    assert "a person&#39;s own" in drills.written["report.html"] or "a person's own" in drills.written["report.html"]


class TestAFileThatCannotBeFollowed:
    def refused(self, folder: Folder, sentence: str) -> None:
        assert folder.run("test_runbook.py", "--drill-runbook", "mine.sh") == 4, folder.output
        assert sentence in folder.output
        assert "Traceback" not in folder.output
        assert folder.log == []
        assert folder.journals == []

    def test_one_that_is_not_there_is_one_sentence(self, drills: Folder) -> None:
        self.refused(drills, "mine.sh")

    def test_that_of_another_pi_or_another_incident_is_refused(self, drills: Folder) -> None:
        drills.run("test_recovery.py")
        written = next(drills.path.glob("reports/*/runbook*.sh")).read_text()
        for path in drills.path.glob("reports/*/*"):
            path.unlink()
        (drills.path / "machine.log").unlink()
        drills.drill("mine.sh", written.replace("plan=tiny", "plan=other"))
        self.refused(drills, "is the runbook of other, not of tiny")
        drills.drill("mine.sh", written.replace("incident=disk-loss", "incident=compromise"))
        self.refused(drills, "is for the incident compromise")

    def test_one_for_several_plans_is_refused(self, drills: Folder) -> None:
        drills.plan("second")
        drills.drill("mine.sh", OWN)
        self.refused(drills, "there are 2 plans: say --drill-plan")

    def test_one_that_the_plan_names_and_is_not_there_fails_its_tests_in_a_sentence(self, drills: Folder) -> None:
        plan = drills.plans[0]
        plan.write_text(plan.read_text() + '\n[runbook]\nfile = "../gone.md"\n')
        assert drills.run("test_runbook.py") != 0
        assert "gone.md" in drills.output
        assert "Traceback" not in drills.output


def test_without_a_recovery_that_recovers_there_is_none_and_nothing_passes(drills: Folder) -> None:
    drills.machine({"ask-app": (1, "no")})
    assert drills.run("test_runbook.py") == 1
    assert "There is no runbook of tiny to follow: the recovery that writes one is failed" in drills.output
    assert Outcomes(drills.output)["passed"] == 0
    (followed,) = records(drills, "runbook")
    assert followed.verdict == "not proven"
