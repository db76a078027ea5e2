"""Several plans in one run: each drilled by one worker, at the same time, here or on other hosts; and one report of all."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import execnet
import pytest

from muster.facts import PacksRead
from muster.journal import read
from muster.plugin import fleet, workers
from muster.plugin.scheduling import DrillScheduling
from muster.plugin.wire import Listener
from muster.record import Record, fold
from muster.report import history
from tests.fake.folder import ROOT, Folder, Outcomes
from tests.fake.hosts import Host, Hosts

PATIENCE = 60.0  # seconds; a busy host starts a pytest in ten
_MEET = """
import time
from pathlib import Path
from tests.fake.machine import FakeMachine

def pytest_drill_machine(plan, labels):
    here = Path({here!r})

    def meet(command):
        (here / f"{{plan.name}}.here").touch()
        deadline = time.monotonic() + 60
        while len(list(here.glob("*.here"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        return (0, "") if time.monotonic() < deadline else (1, "nobody came")

    return FakeMachine({{"app-load": meet}}, log=here / "machine.log")
"""


@pytest.fixture
def hosts(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    assert folder.plans, "its own environment comes first"
    return Hosts(tmp_path / "hosts", monkeypatch)


def on(*hosts: Host) -> list[str]:
    return ["--dist", "loadscope", *(word for host in hosts for word in ("--tx", host.address))]


def records(folder: Folder) -> dict[str, Record]:
    found = [fold(read(path)) for path in folder.journals]
    assert len({record.plan for record in found}) == len(found), "two journals of one plan"
    return {record.plan: record for record in found}


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def running(folder: Folder, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own; what it printed is in `folder.output` afterwards."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=folder.path, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
            folder.output, _ = process.communicate(timeout=3 * PATIENCE)
        finally:
            process.kill()


def kill_the_worker_of(journal: Path) -> None:
    """Kill the process that has this journal open for writing, as a kernel short of memory would."""
    (holder,) = {
        int(link.parts[2])
        for link in Path("/proc").glob("[0-9]*/fd/*")
        if link.is_symlink() and _target(link) == str(journal) and "exec" in (link.parents[1] / "cmdline").read_text()
    }
    os.kill(holder, signal.SIGKILL)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_plans_are_drilled_at_the_same_time_each_by_one_worker(folder: Folder, dist: str) -> None:
    folder.plan("tiny-two")  # of names that begin alike
    (folder.path / "conftest.py").write_text(_MEET.format(here=str(folder.path)))
    assert folder.run("-n", "2", "--dist", dist, subprocess=True) == 0, folder.output
    assert folder.log.count("provision") == folder.log.count("destroy") == 2
    assert {name: record.verdict for name, record in records(folder).items()} == {"tiny": "recovered", "tiny-two": "recovered"}


def test_a_row_that_is_called_as_another_plan_tears_no_drill_apart(folder: Folder) -> None:
    folder.plan("rows")
    assert folder.run("-n", "2", subprocess=True) == 0, folder.output
    assert folder.log.count("provision") == len(folder.journals) == 2


def test_journals_of_other_hosts_are_all_here_and_nothing_is_copied_there(folder: Folder, hosts: Hosts) -> None:
    folder.plan("nas")
    attic, cellar = hosts.make("attic", "tiny", "nas"), hosts.make("cellar", "tiny", "nas")
    assert folder.run(*on(attic, cellar), subprocess=True) == 0, folder.output
    assert {path.name: path.read_text() for path in folder.journals} == attic.journals | cellar.journals
    assert len(attic.journals) == len(cellar.journals) == 1
    assert folder.output.count("✓ RECOVERED") == 2
    assert folder.written["report.html"].upper().count("RECOVERED") >= 2
    assert (folder.path / "reports" / "index.html").is_file()
    assert not folder.log, "it was drilled on this host"
    assert not list(attic.path.glob("*pytest/")), "xdist copied this host's pytest over the checkout"
    assert "ServerAliveInterval" in hosts.typed


def test_the_command_of_the_guide_spreads_plans_over_two_hosts(folder: Folder, hosts: Hosts) -> None:
    folder.plan("nas")
    there = [hosts.make(name, "tiny", "nas", checkout="my-drills") for name in ("nas", "workshop")]
    guide = (ROOT / "docs" / "fleet.md").read_text()
    (command,) = [block for block in re.findall(r"```console\n(.*?)```", guide, re.DOTALL) if "--tx" in block]
    words = shlex.split(command.replace("$ cd my-drills\n$ pytest", "").replace("\\\n", ""))
    assert folder.run(*words, subprocess=True) == 0, folder.output
    assert [len(host.journals) for host in there] == [1, 1]
    assert [record.verdict for record in records(folder).values()] == ["recovered", "recovered"]


@pytest.mark.usefixtures("hosts")
def test_a_host_that_writes_into_the_same_folder_has_one_journal(folder: Folder) -> None:
    here = Host(folder.path)
    assert folder.run("--dist", "load", "--tx", here.address, subprocess=True) == 0, folder.output
    assert records(folder)["tiny"].verdict == "recovered"


def test_a_plan_whose_worker_was_killed_is_not_proven_and_the_others_are(folder: Folder) -> None:
    folder.plan("nas")
    folder.machine(more=_hanging("nas", folder.path))
    with running(folder, "-n", "2") as run:
        wait_until(lambda: "hanging" in folder.log)
        kill_the_worker_of(next(path for path in folder.journals if "nas" in path.name))
    assert run.returncode == 1
    assert {name: record.verdict for name, record in records(folder).items()} == {"tiny": "recovered", "nas": "not proven"}
    assert folder.log.count("provision") == 2, "a drill was begun twice"
    assert Outcomes(folder.output)["failed"] == 1
    assert Outcomes(folder.output)["blocked"] > 10
    assert folder.line(r"muster: The worker gw\d died: nothing that it had begun is proven")
    assert "so that its drill of nas is not proven" in folder.written["report.html"]
    assert "INTERNALERROR" not in folder.output


def test_a_host_that_dies_takes_only_its_own_drill_along(folder: Folder, hosts: Hosts) -> None:
    folder.plan("nas")
    every = [hosts.make(name, "tiny", "nas", hanging="nas") for name in ("attic", "cellar")]
    with running(folder, *on(*every)) as run:
        wait_until(lambda: any("hanging" in host.log for host in every))
        dead = next(host for host in every if "hanging" in host.log)
        (dead.path / "unplugged").touch()
        kill_the_worker_of(next(dead.path.glob("reports/*/journal-nas*")))
    assert run.returncode == 1
    assert {name: record.verdict for name, record in records(folder).items()} == {"tiny": "recovered", "nas": "not proven"}
    assert records(folder)["nas"].steps, "what the host had told is lost"
    assert folder.line(rf"No worker could be started again on {dead.path.name}: the run went on without it")
    assert folder.line(rf"The worker gw\d on {dead.path.name} died: nothing that it had begun is proven, and what it left")
    assert "INTERNALERROR" not in folder.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_controller_alone_ends_drills_on_other_hosts(folder: Folder, hosts: Hosts, number: signal.Signals) -> None:
    host = hosts.make("attic", "tiny", hanging="tiny")
    with running(folder, *on(host)) as run:
        wait_until(lambda: "hanging" in host.log)
        run.send_signal(number)
    assert run.returncode == 2
    assert host.log[-1] == "destroy"
    *_, last = read(folder.journals[0])
    assert (last["kind"], last["how"]) == ("ended", "interrupted")
    assert records(folder)["tiny"].verdict == "not proven"
    assert "INTERNALERROR" not in folder.output


def test_a_controller_that_is_killed_leaves_no_machine_on_another_host(folder: Folder, hosts: Hosts) -> None:
    host = hosts.make("attic", "tiny", hanging="tiny")
    with running(folder, *on(host)) as run:
        wait_until(lambda: "hanging" in host.log)
        run.kill()
    wait_until(lambda: host.log[-1] == "destroy")
    assert records(folder)["tiny"].verdict == "not proven"


def test_a_host_that_cannot_be_reached_is_named_before_anything_starts(folder: Folder, hosts: Hosts) -> None:
    host = hosts.make("attic", "tiny")
    (host.path / "unplugged").touch()
    assert folder.run(*on(host), subprocess=True) == 4
    assert folder.line(r"^ERROR: No worker could be started on attic: ")
    assert "INTERNALERROR" not in folder.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tx", "ssh=attic"], r"--tx ssh=attic would be ignored, and the drills run here: add --dist loadscope\."),
        (["--dist", "load", "--tx", "ssh=attic", "test_recovery.py"], r"test_recovery\.py: drills on other hosts are those of "),
        (["--dist", "load", "--tx", "2*ssh=attic", "--drill-plan", "plans/tiny.toml"], r"write --drill-plan=plans/tiny\.toml\.$"),
        (
            ["--dist", "each", "--tx", "2*popen", "--drill-machine", "ssh", "--drill-host", "old", "--drill-erase", "old"],
            r"--dist each would have all workers recover to one spare machine at once",
        ),
    ],
)
def test_what_would_not_drill_where_it_should_is_refused(folder: Folder, arguments: list[str], said: str) -> None:
    assert folder.run(*arguments, subprocess=True) == 4
    assert folder.line(said)
    assert not folder.log


class _Channel:
    def setcallback(self, hear: Callable[[object], None], endmarker: object = None) -> None:  # noqa: ARG002  # execnet's
        self.hear = hear


class _Node(SimpleNamespace):
    __hash__ = object.__hash__  # as xdist's own


@pytest.mark.parametrize(("sent", "lost"), [(2, ""), (3, "misses facts of gw0 on attic")])
def test_a_fact_that_did_not_arrive_is_missed(tmp_path: Path, sent: int, lost: str) -> None:
    channel = _Channel()
    listener = Listener(channel, tmp_path / "run", "gw0", "attic")
    for number in (1, 2):
        channel.hear(("fact", "journal-pi.jsonl", f'{{"kind": "note", "t": {number}}}'))
    channel.hear(("over", {"lost": False, "aloud": []}, {"journal-pi.jsonl": sent}))
    assert listener.lost.endswith(lost)
    assert bool(listener.lost) == bool(lost)
    assert len((tmp_path / "run" / "journal-pi.jsonl").read_text().splitlines()) == 2


def test_a_journal_that_cannot_be_written_here_is_missed(tmp_path: Path) -> None:
    channel = _Channel()
    (tmp_path / "run").write_text("no folder")
    listener = Listener(channel, tmp_path / "run", "gw0", "attic")
    channel.hear(("fact", "journal-pi.jsonl", "{}"))
    assert "journal-pi.jsonl is not complete" in listener.lost


def test_a_journal_from_another_host_is_written_nowhere_else(tmp_path: Path) -> None:
    channel = _Channel()
    Listener(channel, tmp_path / "run", "gw0", "attic")
    channel.hear(("fact", "../../journal-pi.jsonl", "{}"))
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == ["journal-pi.jsonl"]
    assert (tmp_path / "run" / "journal-pi.jsonl").is_file()


def scheduling(machine: str) -> DrillScheduling:
    option = SimpleNamespace(dist="load", drill_machine=machine)
    config: Any = SimpleNamespace(option=option, getvalue=lambda _: ["popen"])
    return DrillScheduling(config, SimpleNamespace(loadscopesched=None), lambda nodeid: nodeid.partition(":")[0])


@pytest.mark.parametrize(("machine", "apart"), [("ssh", 1), ("vm", 2)])
def test_drills_on_one_spare_machine_are_never_at_the_same_time(machine: str, apart: int) -> None:
    scheduler = scheduling(machine)
    assert len({scheduler._split_scope(nodeid) for nodeid in ("pi:a", "nas:a", "nas:b")}) == apart
    assert scheduler._split_scope(":other") == ":other"


def test_what_no_worker_is_left_for_is_told_rather_than_waited_for() -> None:
    scheduler, node = scheduling("container"), _Node()
    scheduler.workqueue["drills of nas"] = {"nas:a": False, "nas:b": False}
    scheduler.do_without(node)
    assert scheduler.left == {"nas:a": node, "nas:b": node}
    assert scheduler.tests_finished


def test_a_worker_elsewhere_learns_what_was_read_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"usb": [PacksRead("usb", 1, 4, "2026-03-01T09:00:00+00:00")]}
    monkeypatch.setattr(history, "packs_read", lambda _out, plan: before if plan == "tiny" else {})
    drilling: Any = SimpleNamespace(config=None, folder=tmp_path / "run", plans=[SimpleNamespace(name="tiny")])
    told = {}
    for host in ("attic", None):
        gateway = SimpleNamespace(spec=SimpleNamespace(ssh=host), newchannel=_Channel, id="gw0")
        node = _Node(gateway=gateway, workerinput={})
        fleet.Fleet(drilling).pytest_configure_node(node)
        told[host] = node.workerinput
    assert workers.read_elsewhere(execnet.loads(execnet.dumps(told["attic"]["drill_read"]))["tiny"]) == before
    assert "drill_read" not in told[None]


def _hanging(plan: str, here: Path) -> str:
    """More of a conftest: one plan's machine hangs."""
    return f"""
def pytest_drill_machine(plan, labels):
    return FakeMachine({{}}, log=Path({str(here / "machine.log")!r}), hang="app-load" if plan.name == {plan!r} else "")
"""
