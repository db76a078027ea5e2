"""Two Pis drilled at the same time: by two workers of this host, and by two hosts over SSH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from images.sample_pi import ROOT
from muster.journal import Event, read
from muster.machines import engine
from muster.record import Record, fold
from tests.fake.ssh_server import SshServer
from tests.system import small

PLANS = ("attic", "garden")
DRILL = ROOT / "drills" / "test_recovery.py"


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of pytest, ended."""

    status: int
    output: str
    journals: Mapping[str, list[Event]]

    @property
    def records(self) -> Mapping[str, Record]:
        return {plan: fold(events) for plan, events in self.journals.items()}


@pytest.fixture(scope="module")
def pis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drills with the plans of two small Pis that are lost."""
    folder = tmp_path_factory.mktemp("fleet")
    for name in PLANS:
        small.make(engine.connect(), folder / "plans", name)
    shutil.copy(DRILL, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    (tmp_path / "ssh").mkdir()
    with SshServer(tmp_path / "ssh", ("nas", "laptop")).serving() as server:
        yield server


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def ended(folder: Path, process: subprocess.Popen[str]) -> Ran:
    output, _ = process.communicate(timeout=300)
    found = [[*read(path)] for path in sorted(folder.glob("reports/*/journal*.jsonl"))]
    journals = {str(events[0]["plan"]): events for events in found}
    assert len(journals) == len(found), "a plan was drilled twice"
    return Ran(process.returncode, output, journals)


def between(events: list[Event]) -> tuple[datetime, datetime]:
    """When the steps of a drill began and ended."""
    moments = [datetime.fromisoformat(event["at"]) for event in events if event["kind"] in ("step_started", "step_ended")]
    return min(moments), max(moments)


def overlapped(ran: Ran) -> bool:
    (began, end), (other_began, other_end) = map(between, ran.journals.values())
    return began < other_end and other_began < end


def on(ssh: SshServer, **hosts: Path) -> list[str]:
    """The options that spread drills over hosts, each with a checkout of its own."""
    words = ["--dist", "loadscope"]
    for host, checkout in hosts.items():
        words += ["--tx", f"ssh={host}//ssh_config={ssh.config}//python={sys.executable}//chdir={checkout}"]
    return words


def checkouts(pis: Path, folder: Path) -> tuple[Path, Path, Path]:
    """Where the run is started, which has plans and no backups, and two hosts, which have both."""
    desk, nas, laptop = (folder / name for name in ("desk", "nas", "laptop"))
    for host in (nas, laptop):
        shutil.copytree(pis, host, ignore=shutil.ignore_patterns("reports"))
    shutil.copytree(pis, desk, ignore=shutil.ignore_patterns("reports", "usb-*", "*.password"))
    return desk, nas, laptop


def left_of(ran: Ran) -> list[str]:
    runs = {str(events[0]["run"]) for events in ran.journals.values()}
    return [name for run in runs for name in small.left_of(engine.connect(), run)]


def test_two_plans_are_recovered_at_the_same_time_and_do_not_mix(pis: Path) -> None:
    ran = ended(pis, start(pis, "-n", "2"))
    assert ran.status == 0, ran.output
    assert {plan: record.verdict for plan, record in ran.records.items()} == dict.fromkeys(PLANS, "recovered")
    assert overlapped(ran)
    for plan, other in (PLANS, PLANS[::-1]):
        assert other not in "\n".join(command.command + command.out for command in ran.records[plan].commands)
    (page,) = pis.glob("reports/*/report.html")
    assert all(f"{plan}-pi is back and correct" in page.read_text() for plan in PLANS)
    assert not left_of(ran)


def test_two_hosts_recover_one_plan_each_and_all_journals_come_back(pis: Path, ssh: SshServer, tmp_path: Path) -> None:
    desk, nas, laptop = checkouts(pis, tmp_path)
    ran = ended(desk, start(desk, *on(ssh, nas=nas, laptop=laptop)))
    assert ran.status == 0, ran.output
    assert {plan: record.verdict for plan, record in ran.records.items()} == dict.fromkeys(PLANS, "recovered")
    assert overlapped(ran)
    there = [path for host in (nas, laptop) for path in host.glob("reports/*/journal*.jsonl")]
    assert {path.parents[2] for path in there} == {nas, laptop}, "one host did it all"
    assert {path.read_text() for path in there} == {path.read_text() for path in desk.glob("reports/*/journal*.jsonl")}
    assert f"host {os.uname().nodename} (" in next(desk.glob("reports/*/report.html")).read_text()
    assert (desk / "reports" / "index.html").is_file()
    assert not left_of(ran)


def test_a_host_that_is_cut_off_proves_nothing_of_that_plan_and_drills_the_next_when_it_is_back(
    pis: Path, ssh: SshServer, tmp_path: Path
) -> None:
    desk, nas, _ = checkouts(pis, tmp_path)
    process = start(desk, *on(ssh, nas=nas))
    deadline = time.monotonic() + 120
    while not any(event["kind"] == "restored" for path in desk.glob("reports/*/journal*") for event in read(path)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing was restored"
        time.sleep(0.02)
    ssh.cut()
    ran = ended(desk, process)
    assert ran.status == 1, ran.output
    assert {plan: record.verdict for plan, record in ran.records.items()} == {"attic": "not proven", "garden": "recovered"}
    assert "The worker gw0 on nas died: nothing that it had begun is proven" in ran.output
    assert not left_of(ran), "the next drill there removes what was left"
