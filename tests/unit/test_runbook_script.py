"""A runbook that is followed by real shells of this host, and what its drill says of each step."""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from muster.errors import HarnessError, PlanError, RecoveryError, Unreachable
from muster.journal import Journal
from muster.machines.console import Console
from muster.machines.machine import OnLine, Result
from muster.plan import Plan, build
from muster.plan_docs import MINIMAL
from muster.redact import Redactor
from muster.runbook import network, script
from muster.runbook.reading import Book, read
from muster.runbook.script import Ran
from tests.fake.machine import FakeMachine

PASSWORD = "correct-horse-battery"  # noqa: S105  # a made-up one
SCRIPT = """\
#!/bin/sh
set -eu
step() { echo; echo "== $1 $2"; echo "   details"; }
by_hand() { echo "== $1 $2"; if [ -t 0 ]; then read -r _; fi; }
ran() { s=$?; [ $s -eq 0 ] || exit $s; }
seen() { sh -c "$2" || { echo "not so: $1" >&2; exit 1; }; }
#: manual 1 8
by_hand 1 'Flash it' '8'

#: step 2 provision
step 2 'Install $(what) `it` needs'

made=$PWD
echo installing
ran

#: step 3 restore:usb
step 3 'Restore'

echo "restoring in $made"
ran

seen 'it is there' true 'look'

#: step 4 start:app
step 4 'Start'

echo started
ran

#: end
"""
MARKDOWN = """\
# Mine

## Flash it (8 min)

## Prepare

```sh
cd /
WHERE=$(pwd)
```

## Restore

```sh
echo "restoring in $WHERE"; pwd
```

## Start

```console
$ echo started
started
```
"""


class Shell(FakeMachine):
    """A machine that is this host: what it runs are shells of its own."""

    def run(self, command: str, *, timeout: timedelta, stdin: bytes = b"", on_line: OnLine | None = None) -> Result:
        self.commands.append(command)
        began = time.monotonic()
        typed = ["timeout", "--kill-after=1", str(timeout.total_seconds()), "sh", "-c", command]
        done = subprocess.run(typed, input=stdin, capture_output=True, check=False)
        out = done.stdout.decode()
        for line in out.splitlines() if on_line else ():
            on_line(line)  # type: ignore[misc]  # it is one
        status = None if done.returncode == 124 else done.returncode
        return Result(command, status, "" if on_line else out, done.stderr.decode(), time.monotonic() - began)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(script, "AT", tmp_path / "root" / "runbook.sh")
    monkeypatch.setattr(script, "RECOVERY", str(tmp_path / "recovery"))
    monkeypatch.setattr(network, "CONFIG", str(tmp_path / "ssh.conf"))
    return Shell()


@pytest.fixture
def console(machine: Shell, tmp_path: Path) -> Console:
    return Console(machine, Journal(tmp_path / "journal.jsonl", Redactor()))


def plan(tmp_path: Path, more: str = "", repository: str = "") -> Plan:
    text = MINIMAL.replace('password = { file = "usb.password" }', f'password = {{ file = "usb.password" }}\n{repository}')
    (tmp_path / "usb.password").write_text(PASSWORD)
    return build(tomllib.loads(f"{text}\n{more}\n"), tmp_path / "plan.toml")


@pytest.fixture
def follow(console: Console, tmp_path: Path) -> Callable[..., tuple[Ran, ...]]:
    def following(text: str, name: str = "runbook.sh", seconds: float = 20, which: slice = slice(None)) -> tuple[Ran, ...]:
        book = written(tmp_path, text, name)
        return script.follow(console, book, book.steps[which], step="runbook", timeout=timedelta(seconds=seconds))

    return following


def written(tmp_path: Path, text: str, name: str = "runbook.sh") -> Book:
    (tmp_path / name).write_text(text)
    return read(tmp_path / name)


def outcomes(ran: tuple[Ran, ...]) -> list[str]:
    return [one.outcome for one in ran]


def test_a_script_runs_as_it_stands(follow: Callable[..., tuple[Ran, ...]], tmp_path: Path) -> None:
    ran = follow(SCRIPT)
    assert outcomes(ran) == ["done"] * 4
    assert (tmp_path / "root" / "runbook.sh").read_text() == SCRIPT
    assert (tmp_path / "root" / "runbook.sh").stat().st_mode & 0o777 == 0o600
    assert [one.written.number for one in ran] == [1, 2, 3, 4]
    assert "restoring in" in ran[2].said
    assert "installing" in ran[1].said
    assert "installing" not in ran[2].said


@pytest.mark.parametrize(
    ("line", "instead", "number"),
    [
        ("echo installing", "false", 2),
        ("echo installing", "false && true", 2),
        ('echo "restoring in $made"', "echo 'no such snapshot' >&2; exit 3", 3),
        ("true 'look'", "false 'look'", 3),
        ('echo "restoring in $made"', 'echo "$unknown_to_all"', 3),
        ("echo started", 'echo "never closed', 4),
    ],
)
def test_a_command_that_fails_ends_it_in_its_step(
    follow: Callable[..., tuple[Ran, ...]], line: str, instead: str, number: int
) -> None:
    ran = follow(SCRIPT.replace(line, instead))
    assert outcomes(ran) == ["done"] * (number - 1) + ["failed"] + ["not reached"] * (4 - number)
    assert ran[number - 1].exit


def test_what_it_said_last_is_kept_of_both_streams(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace("echo installing", "echo one; echo two >&2; false"))
    assert ran[1].said.endswith("one\ntwo")
    assert ran[1].exit == 1


def test_what_a_script_says_of_itself_is_left_out(follow: Callable[..., tuple[Ran, ...]]) -> None:
    chatter = "echo '   10:00:00, step 2 of 4, took 2 s when it was proved'; echo '   ok: so it is'; "
    closing = "echo 'runbook: step 2 (Install) failed'; echo 'runbook: mend it, then go on with: sh x --from 2'; false"
    ran = follow(SCRIPT.replace("echo installing", f"{chatter}echo 'E: no such package'; {closing}"))
    assert ran[1].said.splitlines()[-1] == "E: no such package"
    assert "proved" not in ran[1].said


def test_of_a_step_that_went_well_the_last_whole_lines_are_kept(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace("echo installing", f"echo {'x' * 150}; echo {'y' * 100}"))
    assert ran[1].said == "y" * 100


def test_a_script_that_fails_before_its_first_step_fails_there(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace("#: manual 1 8\nby_hand 1 'Flash it' '8'\n", "echo 'usb.password is missing'; exit 1\n"))
    assert outcomes(ran) == ["failed", "not reached", "not reached"]
    assert ran[0].said == "usb.password is missing"


def test_one_that_ends_early_and_well_has_not_done_the_rest(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace('echo "restoring in $made"', "exit 0"))
    assert outcomes(ran) == ["done", "done", "failed", "not reached"]
    assert "nothing that comes after" in ran[2].said


def test_one_that_takes_too_long_is_ended_and_names_its_step(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace('echo "restoring in $made"', "echo waiting; exec sleep 60"), seconds=1)
    assert outcomes(ran) == ["done", "done", "failed", "not reached"]
    assert ran[2].exit is None
    assert "waiting\nIt was not done within 1 s" in ran[2].said


def test_output_that_looks_like_an_earlier_step_or_a_strange_one_is_words(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(SCRIPT.replace("echo started", "echo '== 2 Install'; echo '== 9 x'; echo '== 4 Other'; false"))
    assert outcomes(ran) == ["done", "done", "done", "failed"]
    assert "== 9 x" in ran[3].said


def test_the_last_steps_can_be_followed_by_themselves(follow: Callable[..., tuple[Ran, ...]], tmp_path: Path) -> None:
    first = follow(SCRIPT, which=slice(0, 2))
    assert outcomes(first) == ["done", "done"]
    assert "restoring" not in (tmp_path / "root" / "runbook.sh").read_text()
    last = follow(SCRIPT, which=slice(3, None))
    assert outcomes(last) == ["done"]
    assert "started" in last[0].said
    assert "installing" not in (tmp_path / "root" / "runbook.sh").read_text()


def test_markdown_is_one_shell_whose_folder_and_variables_stay(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(MARKDOWN, "mine.md")
    assert outcomes(ran) == ["done"] * 4
    assert ran[2].said == "restoring in /\n/"
    assert [one.seconds for one in ran if one.written.how == "by hand"] == [0.0]


@pytest.mark.parametrize(
    "instead", ["false", "false && echo never", "echo $(", 'echo "never closed', "exit 0", "no-such-program", "[[ a == b ]]"]
)
def test_a_fence_that_fails_ends_a_markdown_runbook_in_its_step(follow: Callable[..., tuple[Ran, ...]], instead: str) -> None:
    ran = follow(MARKDOWN.replace('echo "restoring in $WHERE"; pwd', instead), "mine.md")
    assert outcomes(ran) == ["done", "done", "failed", "not reached"]


def test_a_title_is_text_to_the_shell(follow: Callable[..., tuple[Ran, ...]], tmp_path: Path) -> None:
    evil = f"It's $(touch {tmp_path}/evil) `touch {tmp_path}/evil`; touch {tmp_path}/evil #"
    ran = follow(MARKDOWN.replace("## Restore", f"## {evil}"), "mine.md")
    assert outcomes(ran) == ["done"] * 4
    assert not (tmp_path / "evil").exists()


def test_a_runbook_that_asks_gets_no_answer(follow: Callable[..., tuple[Ran, ...]]) -> None:
    ran = follow(MARKDOWN.replace('echo "restoring in $WHERE"; pwd', "read -r answer"), "mine.md")
    assert ran[2].outcome == "failed"


def test_a_machine_that_goes_away_says_at_which_step(tmp_path: Path, machine: Shell) -> None:
    def gone(*_: object, on_line: OnLine | None = None, **__: object) -> Result:
        if on_line is None:
            return Result("", 0, "", "", 0.0)
        on_line("== 1 Flash it")
        on_line("== 2 Install $(what) `it` needs")
        raise Unreachable("It is gone.")

    machine.run = gone  # type: ignore[method-assign]
    book = written(tmp_path, SCRIPT)
    told: list[str] = []
    with pytest.raises(HarnessError, match=r"It is gone. The runbook was at its step 2 \(Install") as caught:
        script.follow(
            Console(machine, Journal(tmp_path / "journal.jsonl", str)),
            book,
            book.steps,
            step="runbook",
            timeout=timedelta(seconds=1),
            began=lambda one: told.append(one.title),
        )
    assert isinstance(caught.value, Unreachable)
    assert told == ["Flash it", "Install $(what) `it` needs"]


def test_a_secret_stands_in_no_words_and_in_no_command(
    console: Console, machine: Shell, tmp_path: Path, follow: Callable[..., tuple[Ran, ...]]
) -> None:
    file = f"{tmp_path}/recovery/usb.password"
    text = MARKDOWN.replace('echo "restoring in $WHERE"; pwd', f"cat {file}; false")
    book = written(tmp_path, text, "mine.md")
    script.hands(console, book, plan(tmp_path), step="hands")
    ran = follow(text, "mine.md")
    assert ran[2].said == "[redacted]"
    assert PASSWORD not in "".join(machine.commands)
    assert PASSWORD not in (tmp_path / "journal.jsonl").read_text()
    assert Path(file).read_text() == f"{PASSWORD}\n"
    assert Path(file).stat().st_mode & 0o777 == 0o600
    assert Path(file).parent.stat().st_mode & 0o777 == 0o700


def test_hands_bring_what_the_runbook_names_and_nothing_else(console: Console, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key that is long")
    (tmp_path / "hosts").write_text("offsite ssh-ed25519 AAAA")
    (tmp_path / "id").write_text("it's an id")
    more = 'ssh_key = { file = "key" }\nknown_hosts = "hosts"\nenvironment = { AWS_ID = { file = "id" } }\n'
    of_usb = plan(tmp_path, repository=more)
    script.hands(console, written(tmp_path, SCRIPT), of_usb, step="hands")
    assert not (tmp_path / "recovery").exists()
    script.hands(console, written(tmp_path, f"{SCRIPT}# {tmp_path}/recovery/usb.env"), of_usb, step="hands")
    found = {path.name: path.read_text() for path in (tmp_path / "recovery").iterdir()}
    assert found == {
        "usb.password": f"{PASSWORD}\n",
        "usb.key": "a key that is long\n",
        "usb.known_hosts": "offsite ssh-ed25519 AAAA",
        "usb.env": "export AWS_ID='it'\"'\"'s an id'\n",
    }


def test_hands_bring_what_an_owner_expects_elsewhere(console: Console, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "restic-pw"
    spec = plan(tmp_path, f'[runbook]\nsecrets = {{ "{place}" = {{ file = "usb.password" }} }}')
    script.hands(console, written(tmp_path, f"{MARKDOWN}\n`{place}`\n", "mine.md"), spec, step="hands")
    assert place.read_text() == f"{PASSWORD}\n"
    assert place.stat().st_mode & 0o777 == 0o600
    (tmp_path / "usb.password").unlink()
    script.hands(console, written(tmp_path, MARKDOWN, "mine.md"), spec, step="hands")
    with pytest.raises(RecoveryError, match=r"usb\.password is missing") as caught:
        script.hands(console, written(tmp_path, f"{MARKDOWN}\n`{place}`\n", "mine.md"), spec, step="hands")
    assert caught.value.finding.code == "password-missing"


def test_a_server_behind_a_relay_is_reached_by_its_own_name(console: Console, machine: Shell, tmp_path: Path) -> None:
    machine.relays = {"nas:22": "/mnt/muster/0.sock", "vault:2222": "127.0.0.1:7001"}
    urls = ("sftp:backup@nas:/restic", "sftp://backup@vault:2222//restic", "/mnt/usb", "sftp:backup@elsewhere:/restic")
    text = "".join(
        f'[repositories.r{at}]\nurl = "{url}"\nmedia = "disk"\npassword = {{ env = "X" }}\n' for at, url in enumerate(urls)
    )
    network.lead(console, plan(tmp_path, text).repositories.values(), "hands")
    config = tmp_path / "ssh.conf"
    assert config.stat().st_mode & 0o777 == 0o644
    asked = [["nas"], ["-p", "2222", "vault"], ["vault"], ["elsewhere"]]
    ways = [
        subprocess.run(["ssh", "-G", "-F", config, *words], capture_output=True, text=True, check=True).stdout for words in asked
    ]
    said = [next((line for line in way.splitlines() if line.startswith("proxycommand")), "") for way in ways]
    assert said == ["proxycommand nc -U /mnt/muster/0.sock", "proxycommand nc 127.0.0.1 7001", "", ""]


def test_a_rest_server_by_its_address_cannot_be_typed(console: Console, machine: Shell, tmp_path: Path) -> None:
    machine.relays = {"192.0.2.7:8000": "/mnt/muster/0.sock"}
    text = '[repositories.nas]\nurl = "rest:http://192.0.2.7:8000/"\nmedia = "disk"\npassword = { env = "X" }\n'
    with pytest.raises(HarnessError, match="give the server a name in the plan"):
        network.lead(console, plan(tmp_path, text).repositories.values(), "hands")


def test_a_runbook_without_a_step_is_never_followed(tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        written(tmp_path, "# Nothing\n", "mine.md")
