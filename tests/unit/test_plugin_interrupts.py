"""However a run is ended, its machine is removed and its journal is closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from muster.journal import read

if TYPE_CHECKING:
    from tests.fake.folder import Folder

MOMENTS = {
    "provisioned": "provision",
    "configured": r"restic .* restore ",
    "restored": "app-load",
    "serving": "systemctl start app",
    "verified": "ask-app",
}


def end(folder: Folder, number: int, *arguments: str, patience: float = 30) -> int:
    """Run pytest until the machine hangs, send it a signal, and return its exit status."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=folder.path, text=True, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        deadline = time.monotonic() + patience
        while "hanging" not in folder.log and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)  # so that it waits
        if number == signal.SIGINT:  # a terminal sends it to every process in the foreground
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        try:
            folder.output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            folder.output, _ = process.communicate()
    return process.returncode


def ended_well(folder: Folder) -> None:
    assert folder.log[-1] == "destroy"
    (journal,) = folder.journals
    *_, last = read(journal)
    assert (last["kind"], last["how"]) == ("ended", "interrupted")
    assert "Traceback" not in folder.output
    assert "INTERNALERROR" not in folder.output
    assert folder.output.count("stopping: the recovered machine is being removed") == 1
    assert folder.line("NOT PROVEN")
    assert (folder.path / "reports" / "index.html").is_file()


@pytest.mark.parametrize("milestone", MOMENTS)
def test_ctrl_c_in_any_milestone_removes_the_machine_and_closes_the_journal(folder: Folder, milestone: str) -> None:
    folder.machine(hang=MOMENTS[milestone], interrupt=int(signal.SIGINT))
    assert folder.run() == 2
    ended_well(folder)


def test_one_more_ctrl_c_does_not_leave_the_machine_behind(folder: Folder) -> None:
    folder.machine(hang="app-load", interrupt=int(signal.SIGINT), impatience=True)
    assert folder.run() == 2
    ended_well(folder)
    assert folder.line("still removing the machine; another Ctrl-C leaves that to the next run")


def test_ctrl_c_in_a_process_of_its_own_ends_it_with_2(folder: Folder) -> None:
    folder.machine(hang="app-load")
    assert end(folder, signal.SIGINT) == 2
    ended_well(folder)


def test_sigterm_ends_a_run_as_ctrl_c_does(folder: Folder) -> None:
    folder.machine(hang="app-load", interrupt=int(signal.SIGTERM))
    assert folder.run() == 2
    ended_well(folder)
    assert "ended by SIGTERM" in folder.output


def test_a_killed_run_leaves_a_journal_that_can_be_read(folder: Folder) -> None:
    folder.machine(hang="app-load")
    assert end(folder, signal.SIGKILL) == -signal.SIGKILL
    kinds = {event["kind"] for event in read(folder.journals[0])}
    assert {"drill", "step_ended", "command"} <= kinds
    assert folder.record.verdict == "not proven"


def test_ctrl_c_of_the_controller_ends_its_workers(folder: Folder) -> None:
    folder.machine(hang="app-load")
    assert end(folder, signal.SIGINT, "-n", "1") == 2
    deadline = time.monotonic() + 10
    while folder.log[-1] != "destroy" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert folder.log[-1] == "destroy"
    assert "Traceback" not in folder.output


def test_the_first_failure_ends_a_run_that_was_asked_for_no_more(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page")}, hang="ask-app")
    started = time.monotonic()
    assert folder.run("-x", "-k", "answers and page") == 1
    assert time.monotonic() - started < 30
    assert folder.log[-1] == "destroy"


def test_a_drill_that_is_asked_after_its_end_does_not_hang(folder: Folder) -> None:
    folder.machine(more="""
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    from muster.drill import Blocked
    for item in session.items[:1]:
        for drill in item.config.stash[__import__("muster.plugin.drilling").plugin.drilling.DRILLING].session.drills.values():
            for ask in (lambda: drill.reach("verified"), drill.conclude, drill.start):
                try:
                    ask()
                except Blocked as error:
                    print(f"\\nafter the end: {error}")
""", hang="ask-app")  # fmt: skip
    assert folder.run("-k", "boots", "-s") == 0
    assert folder.output.count("after the end: ") >= 2


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_that_other_code_swallowed_still_ends_the_run(folder: Folder, number: str) -> None:
    folder.drill(
        "test_deaf.py",
        f"""
import contextlib, signal

def test_of_a_library_that_takes_it_for_its_own(drill):
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.{number})

def test_that_comes_next(drill):
    print("went on")
""",
    )
    assert folder.run("-s", "test_deaf.py", "test_recovery.py") == 2
    assert "went on" not in folder.output


def test_the_signal_is_the_users_own_again_afterwards(folder: Folder) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    folder.run("-k", "boots")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
