"""The guard of a virtual machine, with commands that stand for QEMU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from muster.machines import engine
from muster.machines.qemu import places, running
from muster.machines.qemu.guard import KEPT, PID, Guard

STARTS = """
import sys
from pathlib import Path
from muster.machines.qemu.guard import Guard
folder = Path(sys.argv[1])
with (folder / "log").open("ab") as log:
    guard = Guard(folder, ["sleep", "600"], [], log)
while not (folder / "pid").exists() or not (folder / "pid").read_text().strip():
    pass
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "machine"
    made.mkdir()
    return made


def guarded(folder: Path, *command: str) -> Guard:
    with (folder / "log").open("ab") as log:
        return Guard(folder, command, [], log)


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def number(folder: Path) -> int:
    assert soon(lambda: (folder / PID).exists() and bool((folder / PID).read_text().strip()))
    return int((folder / PID).read_text())


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed_owner(folder: Path) -> int:
    """A process that starts a guarded command and is killed; the number of that command."""
    environment = os.environ | {"PYTHONPATH": str(Path(engine.__file__).parents[2])}
    command = [sys.executable, "-c", STARTS, str(folder)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    guarded_one = number(folder)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    return guarded_one


def test_what_a_killed_owner_started_is_killed_and_its_folder_removed(folder: Path) -> None:
    command = killed_owner(folder)
    assert soon(lambda: not runs(command))
    assert soon(lambda: not folder.exists())


def test_what_is_kept_outlives_its_killed_owner(folder: Path) -> None:
    (folder / KEPT).touch()
    command = killed_owner(folder)
    try:
        assert not soon_gone(command)
        assert folder.exists()
    finally:
        os.kill(command, signal.SIGKILL)


def soon_gone(command: int) -> bool:
    """Whether a process goes within a moment that a guard takes many times over."""
    deadline = time.monotonic() + 1
    while runs(command) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not runs(command)


def test_a_command_that_ends_by_itself_leaves_its_folder_to_its_owner(folder: Path) -> None:
    guard = guarded(folder, "true")
    assert guard.wait(20)
    guard.stop()
    assert folder.exists()


def test_a_command_that_is_stopped_is_gone_and_its_folder_is_not(folder: Path) -> None:
    guard = guarded(folder, "sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done")
    command = number(folder)
    assert not guard.ended
    guard.stop()
    assert guard.ended
    assert not runs(command)
    assert folder.exists()
    guard.stop()


def test_a_dismissed_guard_lets_its_command_run_on(folder: Path) -> None:
    guard = guarded(folder, "sleep", "600")
    command = number(folder)
    guard.dismiss()
    try:
        assert not soon_gone(command)
    finally:
        os.kill(command, signal.SIGKILL)
    assert guard.wait(20)


class TestLeftovers:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def dead(self, name: str) -> Path:
        host, number, _ = engine.owner_label().rsplit(":", 2)
        folder = places.folder("running") / f"{name}@{host}:{number}:1"
        folder.mkdir()
        return folder

    def test_the_folder_of_an_owner_that_is_gone_is_removed_with_what_runs_in_it(self) -> None:
        folder = self.dead("muster-gone")
        left = subprocess.Popen(["tail", "-f", "/dev/null", f"{folder}/disk.qcow2"], stderr=subprocess.DEVNULL)
        (folder / PID).write_text(f"{left.pid}\n")
        assert soon(lambda: Path(f"/proc/{left.pid}/cmdline").read_bytes().startswith(b"tail"))
        assert running.remove_leftovers() == ["muster-gone"]
        assert not folder.exists()
        assert left.wait(20) == -signal.SIGKILL

    def test_a_number_that_is_another_process_by_now_is_left_alone(self) -> None:
        folder = self.dead("muster-gone")
        other = subprocess.Popen(["sleep", "600"])
        try:
            (folder / PID).write_text(f"{other.pid}\n")
            assert running.remove_leftovers() == ["muster-gone"]
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()

    def test_what_is_in_use_or_was_kept_stays(self) -> None:
        mine = running.make("muster-alive")
        kept = self.dead("muster-kept")
        (kept / KEPT).touch()
        assert running.remove_leftovers() == []
        assert mine.exists()
        assert kept.exists()

    def test_the_folder_of_a_machine_is_nobody_elses_to_read(self) -> None:
        assert running.make("muster-alive").stat().st_mode & 0o777 == 0o700
        assert places.folder("saved").stat().st_mode & 0o777 == 0o700
        assert places.cache().stat().st_mode & 0o777 == 0o700
