"""What failed is a sentence, what could not run is blocked, and no part that passed hides either."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muster.journal import Journal
from tests.fake.folder import Outcomes
from tests.fake.machine import SECRET, FakeMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake.folder import Folder


def cases(folder: Folder) -> dict[str, ET.Element]:
    junit = next(folder.path.glob("reports/*/junit.xml")).read_text()
    return {case.get("name", ""): case for case in ET.fromstring(junit).iter("testcase")}  # noqa: S314  # our own


def page(folder: Folder) -> dict[str, str]:
    """The outcome of each test on the page of pytest-html."""
    text = folder.written["report.html"]
    data = re.search(r'data-jsonblob="([^"]*)"', text)
    assert data
    tests = json.loads(
        data[1].replace("&#34;", '"').replace("&#39;", "'").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
    )
    return {name.partition("::")[2]: runs[0]["result"] for name, runs in tests["tests"].items()}


def test_a_failed_step_blocks_what_depends_on_it_and_only_that(folder: Folder) -> None:
    folder.machine({"systemctl start --no-block db": (91, "no room")})
    assert folder.run("-v") == 1
    for outcome, row in {
        "FAILED": ("service_serves[tiny-db]",),
        "BLOCKED": ("service_serves[tiny-app]", "service_answers[tiny-ping]", "objective_is_met[tiny-rto]"),
        "PASSED": ("service_serves[tiny-web]", "service_answers[tiny-page]", "dataset_comes_back[tiny-keys]"),
    }.items():
        for name in row:
            assert f"{name} {outcome}" in folder.output, name
    assert folder.record.verdict == "failed"
    assert Outcomes(folder.output)["blocked"] > 3


def test_blocked_steps_are_told_in_one_line_and_blocked_tests_by_their_cause(folder: Folder) -> None:
    folder.machine({"systemctl start --no-block db": (91, "no room")})
    folder.run()
    assert re.search(r"⊘ \d+ steps: blocked, did not run: needs start:db, which failed", folder.output)
    assert folder.output.count("⊘") == 1
    assert re.search(r"BLOCKED \d+ tests: start:db failed: db.service failed to start", folder.output)


def test_blocked_is_skipped_with_its_reason_in_junit_and_on_the_page(folder: Folder) -> None:
    folder.machine({"systemctl start --no-block db": (91, "no room")})
    folder.run()
    skipped = cases(folder)["test_service_serves[tiny-app]"].find("skipped")
    assert skipped is not None
    assert "BLOCKED: " in skipped.get("message", "")
    assert "start:db failed: db.service failed to start" in skipped.get("message", "")
    assert page(folder)["TestRecovery::test_service_serves[tiny-app]"] in {"Skipped", "Blocked"}
    assert "start:db failed: db.service failed to start" in folder.written["report.html"]


def test_what_failed_is_one_sentence_there_and_in_the_short_summary(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page")})
    assert folder.run("--tb=long") == 1
    assert "Traceback" not in folder.output
    assert "drill.reach(" not in folder.output
    assert folder.line(r"^FAILED .*test_service_answers\[tiny-page\] - Smoke")
    failure = cases(folder)["test_service_answers[tiny-page]"].find("failure")
    assert failure is not None
    assert failure.get("message", "").startswith("Smoke check page ended with status 1, not 0: no page. web is up")


def test_a_check_that_fails_fails_its_own_row_alone(folder: Folder) -> None:
    folder.machine({"count-rows": (0, "41")})
    assert folder.run() == 1
    outcomes = Outcomes(folder.output)
    assert outcomes["failed"] == 1
    assert "Metric rows is 41, and was 42" in folder.line(r"^FAILED ")
    assert folder.record.verdict == "failed"


def test_a_figure_that_is_known_is_held_against_its_promise_whatever_else_failed(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page")})
    folder.run("-v")
    for name in ("rpo", "rpo-rows", "rto-app"):
        assert f"objective_is_met[tiny-{name}] PASSED" in folder.output
    assert "objective_is_met[tiny-rto] BLOCKED" in folder.output


def test_a_part_that_passed_does_not_hide_that_the_drill_failed(folder: Folder) -> None:
    folder.machine({"count-rows": (0, "41")})
    folder.drill("test_recovery.py", "def test_it(drill):\n    drill.reach('serving')\n    drill._graph.join(10)\n")
    assert folder.run() == 1
    assert Outcomes(folder.output)["passed"] == 1
    assert "✗ FAILED" in folder.output


def test_what_was_only_blocked_does_not_exit_with_success(folder: Folder) -> None:
    folder.machine({"systemctl start --no-block db": (91, "no room")})
    for quiet in ([], ["-p", "no:terminal"]):
        assert folder.run("-k", "service_serves and app", *quiet) == 1
    assert folder.run("-k", "service_serves and web") in {0, 1}  # the drill may fail before it is ended


def test_a_step_that_decides_no_row_is_told_by_the_last_test(folder: Folder) -> None:
    folder.machine({"daemon-reload": (1, "bad unit")})
    assert folder.run() == 1
    assert folder.line(r"^FAILED .*test_nothing_else_is_wrong.* - systemd")


def test_what_breaks_in_muster_itself_is_not_proven_and_says_so(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("muster.steps.asking.metric", broken)
    assert folder.run() == 1
    assert "metric:rows broke in Muster itself: ZeroDivisionError('oh')" in folder.output
    assert folder.record.verdict == "not proven"
    assert "ZeroDivisionError" in next(iter(folder.journals)).read_text()


def test_no_engine_is_one_sentence_and_blocks_everything_else(folder: Folder) -> None:
    folder.machine(engine="No container engine answers at nowhere: start Docker.")
    assert folder.run() == 1
    outcomes = Outcomes(folder.output)
    assert (outcomes["failed"], outcomes["passed"]) == (1, 0)
    assert outcomes["blocked"] == 20
    assert folder.line(r"^FAILED .*test_clean_machine_boots.* - No container engine")
    assert "Traceback" not in folder.output
    assert folder.record.verdict == "not proven"


def test_a_missing_secret_is_one_sentence_before_anything_long_starts(folder: Folder) -> None:
    (folder.path / "plans" / "password").unlink()
    assert folder.run() == 1
    assert folder.line(r"^FAILED .*test_clean_machine_boots.* - The secret in")
    assert "is missing; create the file or correct the plan." in folder.output
    assert folder.log == ["destroy"]
    assert Outcomes(folder.output)["blocked"] == 20


def test_a_repository_that_is_not_there_is_one_sentence(folder: Folder) -> None:
    (folder.path / "plans" / "usb").rmdir()
    assert folder.run() == 1
    assert f"There is no restic repository at {folder.path / 'plans' / 'usb'}." in folder.output
    assert folder.log == ["destroy"]


def test_an_unknown_snapshot_is_one_sentence(folder: Folder) -> None:
    assert folder.run("--drill-snapshot", "abcdef12") == 1
    assert "No snapshot has an id that begins with abcdef12." in folder.output
    assert "Traceback" not in folder.output


def test_an_error_of_a_fixture_of_the_owner_stays_theirs(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

@pytest.fixture
def mine(drill):
    drill.reach("provisioned")
    raise LookupError("mine")

def test_it(mine, drill): ...
def test_other(drill):
    drill.reach("verified")
""",
    )
    assert folder.run() == 1
    outcomes = Outcomes(folder.output)
    assert (outcomes["passed"], outcomes["error"]) == (1, 1)
    assert "LookupError: mine" in folder.output
    assert folder.log == ["prepare", "provision", "destroy"]


def test_a_question_about_nothing_does_not_pass(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
from muster.drill import Row

def test_it(drill):
    drill.reach("restored", Row("dataset", "nowhere"))
""",
    )
    assert folder.run() == 1
    assert "No step of this drill decides dataset nowhere." in folder.output


SECRETS = f"""
import warnings

def test_assert(drill, pi):
    drill.reach("verified")
    assert pi.check_output("cat-the-key") == {{"key": "{SECRET}"}}

def test_output(drill, record_property):
    drill.reach("verified")
    print("so it is {SECRET}")
    record_property("key", "{SECRET}")
    raise LookupError("{SECRET}")

def test_own_words(drill):
    drill.reach("verified")
    import pytest
    pytest.skip("{SECRET}")
"""


@pytest.mark.parametrize("arguments", [["-vv", "-rA", "--showlocals"], ["-n", "1", "-rA", "-vv"]])
def test_no_secret_stands_in_any_report(folder: Folder, arguments: list[str]) -> None:
    folder.machine({"cat-the-key": (0, f"the key is {SECRET}")})
    folder.drill("test_recovery.py", SECRETS)
    assert folder.run(*arguments, subprocess="-n" in arguments) == 1
    assert Outcomes(folder.output)["failed"] == 2
    for name, text in {"terminal": folder.output, **folder.written}.items():
        assert SECRET not in text, name
    assert folder.output.count("[redacted]") >= 4
    assert "LookupError" in folder.output
    assert folder.line(r"^FAILED .*test_output.* - LookupError: \[redacted\]")


def test_the_password_of_a_repository_stands_nowhere(folder: Folder) -> None:
    folder.machine({r"\bsnapshots$": (1, "Fatal: the-password-of-restic is no password")})
    assert folder.run("-vv", "-rA") == 1
    for name, text in {"terminal": folder.output, **folder.written}.items():
        assert "the-password-of-restic" not in text, name


def test_what_is_kept_is_said_aloud_with_the_way_in_and_out(folder: Folder) -> None:
    for quiet in ([], ["-q", "-q"], ["-p", "no:terminal"]):
        assert folder.run("--drill-keep", "-k", "boots", *quiet) == 0
        said = " ".join(folder.output.split())
        assert "The machine of tiny was kept (--drill-keep), and the Pi's real secrets are on it." in said, quiet
        assert "To enter it: `fake enter tiny`. To remove it: `fake remove tiny`." in said, quiet
    assert "destroy" not in folder.log


def test_nothing_is_said_to_be_kept_where_nothing_was_made(folder: Folder) -> None:
    folder.drill("test_recovery.py", "def test_it(drill): ...\n")
    assert folder.run("--drill-keep") == 0
    assert "was kept" not in folder.output


def test_a_machine_that_cannot_be_removed_is_said_aloud(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: FakeMachine) -> None:
        raise OSError("engine gone")

    monkeypatch.setattr(FakeMachine, "destroy", gone)
    assert folder.run("-q") == 0
    assert "The machine of tiny could not be removed; the next run tries again: engine gone" in folder.output


def test_a_journal_that_lost_facts_proves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Journal.__init__

    def full(journal: Journal, path: Path, redact: Callable[[str], str] = str) -> None:
        real(journal, path, redact)
        journal._file.close()
        journal._file = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  # as long as the journal

    monkeypatch.setattr(Journal, "__init__", full)
    assert folder.run("-k", "boots") == 1
    assert "is not complete: No space left on device. What this drill proved cannot be shown." in folder.output
    assert "Traceback" not in folder.output


@pytest.mark.parametrize(
    "proof",
    [
        "raise Blocked('mine')",
        "drill.journal.lost = 'some facts are lost'",
        "(drill.journal.path.parent / 'journal-x.jsonl').write_text('no journal')",
    ],
)
def test_a_recovery_that_went_well_proves_nothing_if_the_proof_is_not_whole(folder: Folder, proof: str) -> None:
    head = "from muster.drill import Blocked\n\ndef test_it(drill):\n    drill.reach('verified')\n"
    folder.drill("test_recovery.py", f"{head}    drill.conclude()\n")
    assert folder.run() == 0
    folder.drill("test_recovery.py", f"{head}    drill.conclude()\n    {proof}\n")
    assert folder.run() == 1
    assert "Traceback" not in folder.output
