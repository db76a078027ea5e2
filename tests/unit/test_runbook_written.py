"""The script of a runbook in real shells: how far it says it is, where it stops, what it asks for, and how it goes on."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from muster.report.runbook.book import book
from muster.report.runbook.render import script
from tests.data import recovered

SHELLS = [shell for shell in (["dash"], ["busybox", "sh"], ["bash", "--posix"]) if shutil.which(shell[0])]
PASSWORD = "correct 'horse' $battery `staple`"  # noqa: S105  # a made-up one
HOSTILE = "it's $(touch HIT) `touch HIT` \"; touch HIT; '\n#: step 1 x\n%s \\n"


class Pi:
    """A folder that plays the new Pi: what is typed there is a program that notes how it was called."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.programs, self.recovery, self.usb = tmp_path / "bin", tmp_path / "recovery", tmp_path / "usb"
        self.programs.mkdir()
        (self.usb / "pi").mkdir(parents=True)
        (self.usb / "pi" / "config").write_text("as of a repository")
        self.password = self.recovery / "usb.password"
        self.noted = tmp_path / "noted"
        self.noted.touch()
        self.program("id", "echo 0")
        self.program("hostname", "echo raspberrypi")
        for name in ("hostnamectl", "apt-get", "restic", "systemctl", "selftest", "nc"):
            self.program(name, "")
        self.program("rows", "echo 42")

    def program(self, name: str, does: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.noted}\n{does}\n')
        path.chmod(0o755)

    def give_password(self) -> None:
        self.recovery.mkdir()
        self.password.write_text("known\n")

    def write(self, *typed: dict[str, object], **begin: object) -> Path:
        """Its runbook; without `typed`, that of the usual drill."""
        journal = recovered.told(self.folder / "run" / "journal.jsonl", typed or recovered.TYPED, **begin)
        text = script(book(journal.told())).replace("/run/recovery", str(self.recovery)).replace("/mnt/usb", str(self.usb))
        path = self.folder / "runbook.sh"
        path.write_text(text.replace("/etc/mosquitto/mosquitto.conf", str(self.usb / "pi" / "config")))
        return path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, cwd=self.folder,
            env=self.environment | variables,
        )  # fmt: skip

    @property
    def typed(self) -> list[str]:
        return [line for line in self.noted.read_text().splitlines() if not line.startswith(("id", "hostname "))]


@pytest.fixture
def new(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def steps(out: str) -> list[int]:
    return [int(found) for found in re.findall(r"^== (\d+) ", out, re.MULTILINE)]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_every_step_is_done_in_order_and_said(new: Pi, shell: list[str]) -> None:
    new.give_password()
    done = new.run(*shell, new.write())
    assert done.returncode == 0, done.stderr
    assert steps(done.stdout) == list(range(1, 11))
    assert [line.split()[0] for line in new.typed] == [
        "hostnamectl", "apt-get", "apt-get", "restic", "systemctl", "nc", "systemctl", "restic", "rows", "rows", "selftest",
        "selftest",
    ]  # fmt: skip
    assert "ok: The configuration of the broker is back." in done.stdout
    assert "step 5 of 10, took 10 s when it was proved" in done.stdout
    assert "all 10 steps are over" in done.stdout
    assert "systemctl enable --now pi-backup.timer" in done.stdout
    assert "pi-backup" not in new.noted.read_text()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("command", ["false", "false && true", "( true &&\nfalse )", "nobody-has-this", "exit 7", ": ${UNSET}"])
def test_a_command_that_fails_ends_it_and_is_named_by_its_step(new: Pi, shell: list[str], command: str) -> None:
    typed = recovered.typed("start page", "Start page", command, "systemctl later", otherwise="Look at the page.")
    done = new.run(*shell, new.write(recovered.TYPED[0], typed))
    assert done.returncode == 1
    assert re.search(r"^runbook: step \d+ \(Start page\) failed$", done.stderr, re.MULTILINE)
    assert "runbook: Look at the page." in done.stderr
    assert "--from 4" in done.stderr
    assert "later" not in new.noted.read_text()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_should_be_seen_and_is_not_ends_it(new: Pi, shell: list[str]) -> None:
    typed = recovered.typed(
        "start page", "Start page", "true", expect="It listens.", check="echo deaf; false", otherwise="Look at the page."
    )
    done = new.run(*shell, new.write(typed, recovered.typed("smoke login", "Ask", "systemctl later")))
    assert done.returncode == 1
    assert "deaf\nrunbook: this should be so, and is not: It listens.\nrunbook: Look at the page.\n" in done.stderr
    assert done.stderr.count("Look at the page.") == 1
    assert "(Start page) failed" in done.stderr
    assert not new.typed


def test_a_missing_password_is_one_sentence_that_says_where_it_is(new: Pi) -> None:
    done = new.run("sh", new.write())
    assert done.returncode == 1
    assert (
        f"runbook: {new.password} is missing, which holds the password; it is found in file /home/me/usb.password" in done.stderr
    )
    assert not [line for line in new.typed if line.startswith("restic")]


def test_a_disk_that_is_not_mounted_is_named(new: Pi) -> None:
    new.give_password()
    (new.usb / "pi" / "config").unlink()
    done = new.run("sh", new.write())
    assert done.returncode == 1
    assert f"there is no repository usb at {new.usb}/pi" in done.stderr


def test_nobody_but_root_gets_anywhere(new: Pi) -> None:
    new.program("id", "echo 1000")
    done = new.run("sh", new.write())
    assert (done.returncode, done.stdout) == (1, "")
    assert "run this as root" in done.stderr
    assert not new.typed


def test_its_steps_are_listed_without_being_done_or_root(new: Pi) -> None:
    new.program("id", "echo 1000")
    done = new.run("sh", new.write(), "--list")
    assert done.returncode == 0
    assert "  4  2 min 30 s    Fetch the disk and the envelope (by hand)" in done.stdout
    assert len(done.stdout.splitlines()) == 10 + 1
    assert not new.typed


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_it_goes_on_where_something_was_mended(new: Pi, shell: list[str]) -> None:
    done = new.run(*shell, new.write(), "--from", "9")
    assert done.returncode == 0, done.stderr
    assert steps(done.stdout) == [9, 10]
    assert "all 10 steps are over" in done.stdout


def test_what_it_goes_on_with_asks_for_what_it_needs(new: Pi) -> None:
    done = new.run("sh", new.write(), "--from", "8")
    assert done.returncode == 1
    assert "usb.password is missing" in done.stderr


@pytest.mark.parametrize("number", ["0", "11", "", ".*", "1 8"])
def test_a_step_that_is_not_there_is_said(new: Pi, number: str) -> None:
    done = new.run("sh", new.write(), "--from", number)
    assert done.returncode == 2
    assert "there is no step" in done.stderr
    assert not new.typed


def test_help_names_what_chooses_a_restore_point(new: Pi) -> None:
    done = new.run("sh", new.write(), "--help")
    assert done.returncode == 0
    assert "SNAPSHOT_USB=ID" in done.stdout


def test_a_word_that_it_does_not_know_does_nothing(new: Pi) -> None:
    assert new.run("sh", new.write(), "--form").returncode == 2
    assert not new.typed


def test_the_restore_point_is_the_latest_unless_one_is_named(new: Pi) -> None:
    new.give_password()
    path = new.write()
    assert new.run("sh", path).returncode == 0
    assert new.run("sh", path, SNAPSHOT_USB="1a2b3c4d").returncode == 0
    restored = [line for line in new.typed if line.startswith("restic")]
    assert ["latest" in line for line in restored] == [True, True, False, False]
    assert ["1a2b3c4d" in line for line in restored] == [False, False, True, True]


def test_after_a_corruption_the_restore_point_has_to_be_named(new: Pi) -> None:
    new.give_password()
    journal = recovered.told(new.folder / "other" / "journal.jsonl", case={"class_": "corruption"})
    path = new.write()
    text = script(book(journal.told())).replace("/run/recovery", str(new.recovery)).replace("/mnt/usb", str(new.usb))
    path.write_text(text.replace("/etc/mosquitto/mosquitto.conf", str(path)))
    refused = new.run("sh", path)
    assert refused.returncode == 1
    assert "say which restore point: SNAPSHOT_USB=ID" in refused.stderr
    assert new.run("sh", path, SNAPSHOT_USB="1a2b3c4d").returncode == 0


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_words_of_a_plan_are_only_shown(new: Pi, shell: list[str]) -> None:
    typed = recovered.typed("start page", HOSTILE, "true", expect=HOSTILE, check="true", otherwise=HOSTILE)
    manual = [{"before": "provisioned", "what": HOSTILE, "seconds": 60.0}]
    path = new.write(typed, manual=manual, about=HOSTILE, hostname=HOSTILE, machine=HOSTILE)
    for words in ([], ["--list"], ["--help"]):
        done = new.run(*shell, path, *words)
        assert done.returncode == 0, done.stderr
    assert "it's $(touch HIT) `touch HIT` \"; touch HIT; ' #: step 1 x %s \\n" in new.run(*shell, path).stdout
    assert not list(new.folder.rglob("HIT*"))


def test_a_step_that_a_secret_was_taken_out_of_is_not_done_without_it(new: Pi) -> None:
    done = new.run("sh", new.write(recovered.typed("start page", "Start page", "systemctl login [redacted]")))
    assert done.returncode == 1
    assert "put it in place of [redacted]" in done.stderr
    assert not new.typed


@pytest.mark.parametrize("text", ["It is there.", HOSTILE], ids=["usual", "hostile"])
def test_shellcheck_has_nothing_to_say(new: Pi, text: str) -> None:
    typed = recovered.typed("start page", text, "true", expect=text, check="true", otherwise=text)
    found = new.run(
        shutil.which("shellcheck", path=Path(sys.executable).parent) or "shellcheck", new.write(*recovered.TYPED, typed)
    )
    assert (found.returncode, found.stdout) == (0, "")


class Terminal:
    """A terminal in which the script runs, and somebody types."""

    def __init__(self, new: Pi, path: Path, *words: str) -> None:
        self.said = ""
        pid, self.master = pty.fork()
        if not pid:  # pragma: no cover  # the script itself
            os.execvpe("sh", ["sh", str(path), *words], new.environment)  # noqa: S606
        self.pid = pid

    def wait_for(self, words: str, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            self._take()

    def type(self, line: str) -> None:
        os.write(self.master, f"{line}\n".encode())

    def end(self) -> int:
        while self._take():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _take(self) -> bool:
        if not select.select([self.master], [], [], 0.5)[0]:
            return True
        try:
            more = os.read(self.master, 65536)
        except OSError:  # the last that held the terminal has ended
            return False
        self.said += more.decode().replace("\r\n", "\n")
        return bool(more)


def test_on_a_terminal_the_password_is_asked_for_and_never_shown(new: Pi) -> None:
    terminal = Terminal(new, new.write())
    terminal.wait_for("This machine is called raspberrypi")
    terminal.wait_for("type yes")
    terminal.type("yes")
    terminal.wait_for("== 1 Flash the SD card")
    terminal.wait_for("Press Enter")
    terminal.type("")
    terminal.wait_for("== 4 Fetch the disk")
    terminal.said = terminal.said.partition("== 4 Fetch the disk")[2]
    terminal.wait_for("Press Enter")
    terminal.type("")
    terminal.wait_for("Type it (nothing is shown)")
    terminal.type(PASSWORD)
    assert terminal.end() == 0, terminal.said
    assert new.password.read_text() == f"{PASSWORD}\n"
    assert stat.S_IMODE(new.password.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.recovery.stat().st_mode) == 0o700
    assert "horse" not in terminal.said
    assert "horse" not in new.noted.read_text()


def test_on_a_terminal_whoever_does_not_agree_changes_nothing(new: Pi) -> None:
    terminal = Terminal(new, new.write())
    terminal.wait_for("type yes")
    terminal.type("no")
    assert terminal.end() == 1
    assert "nothing was done" in terminal.said
    assert not new.typed


def test_a_variable_is_kept_so_that_a_shell_reads_it_back(new: Pi) -> None:
    journal = recovered.told(new.folder / "run" / "journal.jsonl", recovered.TYPED[2:3])
    for what in ("B2_KEY", "B2_ID"):
        journal.write("place", name="usb.env", repository="usb", what=what, found="variable X")
    path = new.folder / "runbook.sh"
    text = script(book(journal.told())).replace("/run/recovery", str(new.recovery)).replace("/mnt/usb", str(new.usb))
    path.write_text(text.replace("/etc/mosquitto/mosquitto.conf", str(path)))
    new.give_password()
    terminal = Terminal(new, path, "--from", "3")
    terminal.wait_for("The B2_KEY for usb.env")
    terminal.wait_for("nothing is shown")
    terminal.type(PASSWORD)
    terminal.wait_for("The B2_ID for usb.env")
    terminal.said = terminal.said.partition("The B2_ID")[2]
    terminal.wait_for("nothing is shown")
    terminal.type("me")
    assert terminal.end() == 0, terminal.said
    kept = new.recovery / "usb.env"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert new.run("sh", "-c", f". {kept}; sh -c 'echo \"$B2_KEY $B2_ID\"'").stdout == f"{PASSWORD} me\n"
