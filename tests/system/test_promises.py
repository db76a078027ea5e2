"""What Muster promises about every drill, held against real ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import signal
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

import docker
import pytest

from images import sample
from muster.drill import rows
from muster.journal import read
from muster.plan import load
from muster.record import MILESTONES, Record, fold
from tests.system.breaking import Sample
from tests.system.running import Running, start

# Longer than any word of ours, shorter than any generated secret.
_SECRET = re.compile(r"[^\s:]{16,}")
_EVERY_KEY = "b3BlbnNzaC1rZXktdjEA"  # how each OpenSSH private key begins, also those in programs' own documentation


def canaries(system: Sample) -> set[str]:
    """The value of every secret in the sample, line by line."""
    texts = [path.read_text() for path in (system.whole / "secrets").iterdir() if path.name != "known_hosts"]
    texts.append(system.living.run("cat /etc/telemetry/keys/* /etc/ssh/ssh_host_ed25519_key"))
    lines = [line for text in texts for line in text.splitlines() if not line.startswith(("-----", _EVERY_KEY))]
    values = {value for line in lines for value in _SECRET.findall(line)}
    assert len(values) >= 15, "the sample has more secrets than this"
    return values


def digest(folder: Path) -> dict[str, str]:
    """Every file, its content, mode and time."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode:o} {path.stat().st_mtime_ns} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }


def left(client: docker.DockerClient, run: str) -> list[str]:
    """The names of what a run has in the engine."""
    filters = {"label": f"muster.run={run}"}
    things = [*client.containers.list(all=True, filters=filters), *client.networks.list(filters=filters)]
    return [str(thing.name) for thing in things] + [volume.name for volume in client.volumes.list(filters=filters)]


def temporary() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("muster*")}


@dataclass
class Healthy:
    """A drill of the healthy sample, and the world before and after it."""

    status: int
    running: Running
    record: Record
    folder: Path
    before: dict[str, str]
    after: dict[str, str]
    temporary: set[str]


@pytest.fixture(scope="module")
def healthy(system: Sample) -> Healthy:
    home, out = system.copy("healthy"), system.folder / "healthy-reports"
    before, files = digest(home / "usb") | digest(home / "offsite"), temporary()
    running = start(home, out, "-v")
    status = running.finish()
    journal = running.journal()
    assert journal, running.output
    after = digest(home / "usb") | digest(home / "offsite")
    return Healthy(status, running, fold(read(journal)), journal.parent, before, after, temporary() - files)


class TestHealthySystem:
    def test_it_is_recovered_with_every_milestone_reached(self, healthy: Healthy) -> None:
        assert healthy.status == 0, healthy.running.output
        assert healthy.record.verdict == "recovered"
        assert all(healthy.record.milestones[name] for name in MILESTONES)

    def test_nothing_is_found_wrong(self, healthy: Healthy) -> None:
        assert healthy.record.findings == ()

    def test_each_row_of_the_plan_is_a_test_that_passed(self, healthy: Healthy) -> None:
        plan = load(healthy.folder.parents[1] / "healthy" / "plan.toml")
        suite = ET.parse(healthy.folder / "junit.xml").getroot()[0]  # noqa: S314  # our own file
        names = [case.attrib["name"] for case in suite.iter("testcase")]
        kinds = ("dataset", "service", "metric", "smoke", "objective")
        wanted = [f"[telemetry-{row}]" for kind in kinds for row in rows(plan)[kind]]
        assert len(wanted) > 20
        assert all(any(name.endswith(ending) for name in names) for ending in wanted)
        assert (suite.attrib["failures"], suite.attrib["errors"], suite.attrib["skipped"]) == ("0", "0", "0")

    def test_packages_and_hands_count_in_the_rto(self, healthy: Healthy) -> None:
        record = healthy.record
        assert record.rto.measured is not None
        assert record.carried_over > 5
        assert record.by_hand == 11 * 60
        assert record.rto.measured > record.carried_over + record.by_hand

    def test_no_test_sees_services_go_down_for_the_boot_that_is_rehearsed(self, healthy: Healthy) -> None:
        steps = healthy.record.steps
        asked = [command for command in healthy.record.commands if command.step == "test" and "is-active" in command.command]
        assert len(asked) == len(healthy.record.services)
        assert {command.out.strip() for command in asked} <= {"active", "activating"}
        assert steps["boot"].started
        assert all(command.started < steps["boot"].started for command in asked)

    def test_no_critical_service_waits_for_the_archive(self, healthy: Healthy) -> None:
        steps = healthy.record.steps
        waits, new = set(), {"smoke:round-trip"}
        while new:
            waits |= new
            new = {need for name in new for need in steps[name].needs} - waits
        assert {"start:ingest", "load:readings", "restore:usb"} <= waits
        assert not [name for name in waits if "archive" in name]
        # And it gets the disk for itself first.
        first, archive = steps["restore:usb"].ended, steps["restore:usb/archive"].started
        assert first
        assert archive
        assert first <= archive

    def test_repositories_are_the_same_bytes_afterwards(self, healthy: Healthy) -> None:
        assert len(healthy.before) > 50
        assert healthy.after == healthy.before

    def test_no_secret_stands_in_anything_it_wrote_or_said(self, healthy: Healthy, system: Sample) -> None:
        written = {path.name: path.read_text("utf-8", "replace") for path in healthy.folder.parent.rglob("*") if path.is_file()}
        assert {"report.html", "junit.xml", "index.html"} < written.keys()
        for name, text in (written | {"the terminal": healthy.running.output}).items():
            assert not [value[:4] for value in canaries(system) if value in text], f"a secret stands in {name}"

    def test_no_secret_stands_in_any_process_list(self, healthy: Healthy, system: Sample) -> None:
        assert any("restic" in line and "--password-file" in line for line in healthy.running.seen), "the watcher saw nothing"
        assert not [value[:4] for value in canaries(system) for line in healthy.running.seen if value in line]

    def test_nothing_is_left_behind(self, healthy: Healthy, system: Sample) -> None:
        assert left(system.client, healthy.record.run) == []
        assert healthy.temporary == set()


class TestImages:
    def test_no_secret_stands_in_any_layer(self, system: Sample) -> None:
        values = [value.encode() for value in canaries(system)]
        marker = b"telemetry-selftest"  # is in a layer, so that silence about secrets means that layers were read
        seen = 0
        for tag in (sample.pi_image(system.client, print).tag, sample.store_image(system.client, print).tag):
            for content in layers(system.client, tag):
                seen += marker in content
                assert not [value[:4] for value in values if value in content]
        assert seen


def layers(client: docker.DockerClient, tag: str) -> Iterator[bytes]:
    """The bytes of every file that an image consists of: its configuration and each layer, unpacked."""
    with tempfile.TemporaryFile() as whole:
        for chunk in client.images.get(tag).save(named=True):
            whole.write(chunk)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file:
                    yield _unpacked(file)


def _unpacked(file: IO[bytes]) -> bytes:
    content = file.read()
    return gzip.GzipFile(fileobj=io.BytesIO(content)).read() if content[:2] == b"\x1f\x8b" else content


class TestInterruptedRun:
    def test_a_killed_run_leaves_its_journal_and_its_successor_cleans_up(self, system: Sample) -> None:
        home, out = system.copy("killed"), system.folder / "killed-reports"
        running = start(home, out)
        running.wait_until_ended("restore:usb")
        running.signal(signal.SIGKILL)
        running.process.communicate()
        journal = running.journal()
        assert journal
        record = fold(read(journal))
        assert record.verdict == "not proven"
        assert record.steps["restore:usb"].outcome == "done"
        assert record.rto.measured is None
        assert left(system.client, record.run), "there must be something to clean up"

        successor = start(home, system.folder / "successor-reports", "-k", "clean_machine_boots")
        assert successor.finish() == 0, successor.output
        assert "removed what a killed run left behind: muster-" in successor.output
        assert left(system.client, record.run) == []

    @pytest.mark.parametrize("step", ["provision", "restore:usb", "start:ingest"])
    def test_ctrl_c_leaves_nothing_but_the_journal(self, system: Sample, step: str) -> None:
        home, out = system.copy("interrupted"), system.folder / f"interrupted-{step.replace(':', '-')}"
        running = start(home, out)
        running.wait_until_ended(step)
        running.signal(signal.SIGINT)
        assert running.finish(60) == pytest.ExitCode.INTERRUPTED, running.output
        assert "Traceback" not in running.output
        journal = running.journal()
        assert journal
        record = fold(read(journal))
        assert (record.verdict, record.ended) == ("not proven", "interrupted")
        assert left(system.client, record.run) == []


class TestTwoRuns:
    def test_two_runs_at_once_do_not_disturb_each_other(self, system: Sample) -> None:
        home = system.copy("twice")
        runs = [start(home, system.folder / f"twice-{number}") for number in range(2)]
        for running in runs:
            assert running.finish() == 0, running.output
        assert runs[0].journal() != runs[1].journal()


class TestSelection:
    def test_two_workers_recover_the_pi_once(self, system: Sample) -> None:
        running = start(system.copy("workers"), system.folder / "workers-reports", "-n", "2")
        assert running.finish() == 0, running.output
        assert len(list(running.out.glob("*/journal*.jsonl"))) == 1

    def test_a_single_test_recovers_what_it_needs(self, system: Sample) -> None:
        running = start(system.copy("single"), system.folder / "single-reports", "-k", "test_service_answers and round-trip")
        assert running.finish() == 0, running.output
        assert "1 passed" in running.output
