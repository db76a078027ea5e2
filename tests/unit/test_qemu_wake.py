"""What a saved machine is told when it wakes, and by which QEMU it runs."""

from __future__ import annotations

import os
import platform
import socket
import stat
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from muster.errors import EngineError, HarnessError
from muster.machines.qemu import command, emulator, wake
from muster.machines.qemu.wake import Identity
from muster.machines.ssh.keys import new_pair

SOON = timedelta(seconds=10)


def identity(**words: object) -> Identity:
    return Identity("my-pi", new_pair(), new_pair().public, new_pair(), **words)  # type: ignore[arg-type]


class TestWake:
    def test_a_machine_is_told_its_names_and_keys(self) -> None:
        who = identity(names={"offsite": "127.0.0.1"})
        script = wake.script(who)
        assert who.machine_id in script
        assert who.door.private.strip() in script
        assert who.authorized in script
        assert who.server.private.strip() in script
        assert "127.0.0.1\toffsite" in script
        assert "echo my-pi >/proc/sys/kernel/hostname\n" in script

    def test_two_machines_share_neither_id_nor_random_numbers(self) -> None:
        one, other = identity(), identity()
        assert one.machine_id != other.machine_id
        seeds = {line for who in (one, one) for line in wake.script(who).splitlines() if "/dev/urandom" in line}
        assert len(seeds) == 3  # a seed for each of the two, and the line that has it used

    def test_the_script_is_shell(self) -> None:
        for text in (wake.script(identity()), wake.LISTEN, wake.START):
            done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
            assert done.stderr == ""

    def test_no_key_is_shown_with_an_identity(self) -> None:
        who = identity()
        assert who.door.private not in repr(who)
        assert who.server.private not in repr(who)

    def test_a_guest_that_says_what_went_wrong_is_quoted(self) -> None:
        with pytest.raises(HarnessError, match="did not wake up: date: no such clock"):
            self.answered(b"date: no such clock\n")

    def test_a_guest_that_says_nothing_does_not_keep_us(self) -> None:
        ours, _theirs = socket.socketpair()
        with pytest.raises(HarnessError, match="did not wake up: no word"):
            wake.wake(ours, identity(), timedelta(seconds=0.1))

    def test_a_guest_that_is_gone_is_told_of(self) -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        with pytest.raises(HarnessError, match="did not wake up"):
            wake.wake(ours, identity(), SOON)

    def test_a_guest_is_told_the_time_once_it_is_there_and_then_who_it_is(self) -> None:
        who = identity()
        before = time.time()
        called, told = self.answered(b"awake\n", who)
        now, size = told.partition(b"\n")[0].split()
        script = told.partition(b"\n")[2]
        assert called == b"who?\n"
        assert before <= float(now) < time.time() + 1
        assert len(script) == int(size)
        assert who.machine_id in script.decode()

    def answered(self, answer: bytes, who: Identity | None = None) -> list[bytes]:
        """What a guest was sent, before and after it said that it is there; it answers so in the end."""
        ours, theirs = socket.socketpair()
        sent: list[bytes] = []

        def guest() -> None:
            said = theirs.makefile("rb")
            sent.append(said.readline())
            theirs.sendall(b"here\n")
            line = said.readline()
            sent.append(line + said.read(int(line.split()[1])))
            theirs.sendall(answer)

        thread = threading.Thread(target=guest, daemon=True)
        thread.start()
        wake.wake(ours, who or identity(), SOON)
        thread.join(10)
        return sent


class TestEmulator:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def program(self, folder: Path, name: str, does: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder of programs that is all there is."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        for name in ("qemu-img", "mcopy"):
            self.program(folder, name, "exit 0")
        return folder

    def with_kvm(self, monkeypatch: pytest.MonkeyPatch, *, may: bool = True) -> None:
        """This host has the CPU of an arm64 board, and KVM."""
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
        monkeypatch.setattr(os, "access", lambda path, _: may or path != "/dev/kvm")

    def test_no_qemu_is_one_sentence_that_says_what_to_do(self, path: Path) -> None:
        with pytest.raises(EngineError, match=r"^qemu-system-aarch64 is missing.*`images/host\.sh vm` installs it\.$"):
            emulator.find("arm64", path, path)

    def test_an_old_qemu_is_told_of(self, path: Path) -> None:
        self.program(path, "qemu-system-aarch64", "echo QEMU emulator version 6.2.0")
        with pytest.raises(EngineError, match=r"too old or does not run: QEMU 7\.2 or later"):
            emulator.find("arm64", path, path)

    def test_another_architecture_is_emulated(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program(path, "qemu-system-x86_64", "echo QEMU emulator version 7.2.22")
        self.with_kvm(monkeypatch)
        assert emulator.find("amd64", path, path).by == "TCG"

    def test_kvm_that_works_is_taken_and_tried_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        does = "echo QEMU emulator version 7.2.22; [ $# = 1 ] || { echo tried >>$0.tried; echo muster: no root; }"
        self.program(path, "qemu-system-aarch64", does)
        self.with_kvm(monkeypatch)
        found = [emulator.find("arm64", path, path) for _ in range(2)]
        assert [(one.by, one.pace) for one in found] == [("KVM", 1.0)] * 2
        assert (path / "qemu-system-aarch64.tried").read_text() == "tried\n"

    @pytest.mark.parametrize("breaks", ["echo KVM: entry failed; exit 1", "exec /bin/sleep 60"])
    def test_kvm_that_is_broken_is_as_if_it_were_not_there(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
    ) -> None:
        self.program(path, "qemu-system-aarch64", f"[ $# = 1 ] || {{ {breaks}; }}; echo QEMU emulator version 7.2.22")
        self.with_kvm(monkeypatch)
        monkeypatch.setattr(emulator, "_PROBE", 0.5)
        found = emulator.find("arm64", path, path)
        assert (found.by, found.pace > 1) == ("TCG", True)
        assert "tcg,thread=multi,tb-size=256" in found.arguments

    def test_kvm_that_this_user_may_not_use_is_not_tried(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program(path, "qemu-system-aarch64", "[ $# = 1 ] || echo muster: ; echo QEMU emulator version 7.2.22")
        self.with_kvm(monkeypatch, may=False)
        assert emulator.find("arm64", path, path).by == "TCG"


def test_the_keys_of_a_start_are_nobody_elses_to_read(tmp_path: Path) -> None:
    files = command.told(tmp_path, new_pair(), new_pair().public)
    assert [name for name, _ in files] == ["host_key", "authorized_keys"]
    assert {stat.S_IMODE(path.stat().st_mode) for _, path in files} == {0o600}
