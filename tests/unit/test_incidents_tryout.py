"""Whether the off-site copy can be deleted is tried, and only what was refused and is still there counts as safe."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.drill import Drill
from muster.errors import RecoveryError
from muster.incidents import attempts, incident
from muster.incidents.beside import Beside, same_account
from muster.incidents.tryout import try_to_delete
from muster.journal import Journal
from muster.machines.machine import OnLine, Result
from muster.plan import Plan, load
from muster.redact import Redactor
from tests.fake.machine import Answer, FakeMachine, write_plan

SFTP, REST = "sftp:pi@nas:/restic/pi", "rest:http://nas:8000/pi"
NO: Answer = (1, 'remote delete "x": Permission denied')
HEX = "0123456789abcdef" * 4
LISTED = "\n".join(f"/restic/{name}/{HEX}" for name in ("keys", "snapshots", "index", "data/01"))
SNAPSHOTS = [{"id": "a" * 64}, {"id": "b" * 64}]
Answers = dict[str, Answer | Callable[[str], Answer]]
Tell = Callable[..., tuple[list[tuple[str, str]], dict[str, bool]]]


class Pi(FakeMachine):
    """Keeps what is written to it, so that a repository can give it back."""

    def __init__(self, answers: Answers) -> None:
        self.backups = 0
        self.written = b""
        known: Answers = {
            r"restic .* backup ": self._backed_up,
            r"restic .* snapshots$": (0, json.dumps(SNAPSHOTS)),
            r"restic .* dump ": lambda _: (0, self.written.decode()),
            r"\bls -1 ": (0, LISTED),
            r"restic .* forget ": (1, "Fatal: Remove(<snapshot>) failed: permission denied"),
            r"\| sftp ": NO,
            r"curl .*Accept": (0, json.dumps([{"name": HEX, "size": 1}])),
            r"curl ": (0, "403"),
        }
        super().__init__(answers | {name: answer for name, answer in known.items() if name not in answers})

    def _backed_up(self, _: str) -> Answer:
        self.backups += 1
        return 0, json.dumps({"message_type": "summary", "snapshot_id": SNAPSHOTS[self.backups - 1]["id"]})

    def run(self, command: str, *, timeout: timedelta, stdin: bytes = b"", on_line: OnLine | None = None) -> Result:
        if stdin and command.endswith(".first"):
            self.written = stdin
        return super().run(command, timeout=timeout, stdin=stdin, on_line=on_line)


def planned(folder: Path, *urls: str, more: str = "") -> Plan:
    """The tiny Pi with off-site repositories."""
    path = write_plan(folder)
    text = path.read_text()
    for number, url in enumerate(urls):
        lines = f'url = "{url}"\nmedia = "disk"\noffsite = true\npassword = {{ file = "password" }}\n{more}'
        text += f"\n[repositories.away{number or ''}]\n{lines}\n"
    path.write_text(text)
    return load(path)


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[Callable[..., Drill]]:
    """Makes the drill of a compromise, and ends it."""
    made = []

    def make(plan: Plan, answers: Answers | None = None, **words: object) -> Drill:
        now = datetime.now(UTC)
        what = incident(plan, "compromise", lost_at=now, first_sign=now, **words)
        machine = Pi(answers or {})
        made.append(Drill(plan, what, machine, Journal(tmp_path / "journal.jsonl", Redactor()), "run", say=lambda _: None))
        return made[-1]

    yield make
    for drill in made:
        drill.machine.destroy()
        drill.close()


@pytest.fixture
def told(tmp_path: Path, drilled: Callable[..., Drill]) -> Tell:
    """What is found (code and severity) when a machine with these answers tries, and what was tried."""

    def tell(answers: Answers | None = None, url: str = SFTP, tryout: str = "") -> tuple[list[tuple[str, str]], dict[str, bool]]:
        place = tryout or f"{url}-tryout"
        plan = planned(tmp_path, url, more=f'tryout = "{place}"' if place != "none" else "")
        context = drilled(plan, answers).context
        found: list[tuple[str, str]] = []
        try:
            try_to_delete(context, ["away"], "tryout:away")
        except RecoveryError as error:
            found.append((error.finding.code, error.finding.severity))
        events = [event for event in context.journal.events if event["kind"] == "attempt"]
        return found, {event["what"]: event["refused"] for event in events}

    return tell


def test_what_refuses_every_attempt_is_left_alone(told: Tell) -> None:
    found, tried = told()
    assert found == []
    assert len(tried) == 13
    assert all(tried.values())


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"restic .* forget ", attempts.FORGET),
        (r"'rm .*/snapshots/", "delete a snapshot"),
        (r"'rm .*/data/", "delete a pack"),
        (r"'put .*/config", "overwrite the config"),
        (r"'chmod 0", "change the mode of a snapshot"),
        (r"'rename .*snapshots-gone", "rename the folder of the snapshots"),
        (r"'rename .*/index/", "put another file in the place of an index"),
        (r"'rmdir ", "remove a folder"),
    ],
)
def test_one_thing_that_is_possible_is_enough(told: Tell, pattern: str, what: str) -> None:
    found, tried = told({pattern: (0, "")})
    assert found == [("offsite-deletable", "error")]
    assert [name for name, refused in tried.items() if not refused] == [what]


@pytest.mark.parametrize(
    "left",
    [
        {r"restic .* snapshots$": (0, json.dumps(SNAPSHOTS[1:]))},
        {r"restic .* snapshots$": (1, "Fatal: unable to open config file")},
        {r"restic .* dump ": (0, "other content")},
        {r"restic .* check ": (1, "Fatal: repository contains errors")},
    ],
)
def test_what_is_left_has_the_last_word(told: Tell, left: Answers) -> None:
    found, tried = told(left)
    assert found == [("offsite-deletable", "error")]
    assert all(tried.values())


@pytest.mark.parametrize(
    "answer",
    [(1, "Fatal: dial tcp 192.0.2.1:22: connect: connection refused"), (None, ""), (1, "ssh: Could not resolve")],
)
@pytest.mark.parametrize("asked", ["snapshots$", "dump ", "check "])
def test_a_host_that_goes_away_has_lost_nothing(told: Tell, asked: str, answer: Answer) -> None:
    assert told({rf"restic .* {asked}": answer})[0] == [("offsite-not-tried", "unproven")]


def test_what_was_possible_counts_though_the_host_goes_away(told: Tell) -> None:
    answers: Answers = {r"restic .* snapshots$": (None, ""), r"'rm .*/data/": (0, "")}
    assert told(answers)[0] == [("offsite-deletable", "error")]


@pytest.mark.parametrize(
    "answers",
    [
        {r"\| sftp .*": (255, "nas: Connection closed")},
        {r"'rm .*/data/": (255, "nas: Permission denied (publickey).")},
        {r"'rm .*/data/": (127, "sh: sftp: not found")},
        {r"'rm .*/data/": (1, 'remote delete "x": No such file or directory')},
        {r"restic .* forget ": (127, "sh: restic: not found")},
        {r"\bls -1 ": (0, LISTED.replace("/data/", "/elsewhere/"))},
        {r"restic .* init": (1, '{"message_type":"exit_error","code":1,"message":"Fatal: permission denied"}')},
    ],
)
def test_what_could_not_be_tried_is_unproven(told: Tell, answers: Answers) -> None:
    assert told(answers)[0] == [("offsite-not-tried", "unproven")]


@pytest.mark.parametrize(
    "answer", [(1, "Fatal: unable to save snapshot: permission denied"), (0, "nothing that looks like a summary")]
)
def test_an_account_that_takes_no_backup_is_an_error(told: Tell, answer: Answer) -> None:
    assert told({r"restic .* backup ": answer})[0] == [("append-refused", "error")]


@pytest.mark.parametrize(
    ("url", "tryout"),
    [
        (SFTP, "none"),
        (SFTP, "sftp:other@nas:/restic/tryout"),
        (SFTP, "sftp:pi@elsewhere:/restic/tryout"),
        (SFTP, REST),
        (REST, "rest:http://nas:9000/tryout"),
        (SFTP, SFTP),
        (SFTP, f"{SFTP}/tryout/"),
        ("offsite-disk", "none"),
    ],
)
def test_a_place_that_would_prove_nothing_is_not_used(told: Tell, url: str, tryout: str) -> None:
    found, tried = told(None, url, tryout)
    assert found == [("offsite-not-tried", "unproven")]
    assert tried == {}


class TestRest:
    def test_a_server_that_forbids_is_left_alone(self, told: Tell) -> None:
        found, tried = told({}, REST)
        assert found == []
        assert tried["delete a pack"] is tried["put another file in the place of the key"] is True

    @pytest.mark.parametrize("status", ["200", "204"])
    def test_a_server_that_does_it_is_found(self, told: Tell, status: str) -> None:
        assert told({r"curl .* DELETE .*/snapshots/": (0, status)}, REST)[0] == [("offsite-deletable", "error")]

    @pytest.mark.parametrize("answer", [(7, "curl: (7) Failed to connect"), (127, "sh: curl: not found"), (0, "404"), (0, "500")])
    def test_no_answer_is_no_refusal(self, told: Tell, answer: Answer) -> None:
        assert told({r"curl .* DELETE .*/snapshots/": answer}, REST)[0] == [("offsite-not-tried", "unproven")]

    @pytest.mark.parametrize("password", ["plain", 'with "quotes"', "with \\\\ a backslash", "with %s and $HOME"])
    def test_curl_reads_every_password_as_it_is(self, tmp_path: Path, drilled: Callable[..., Drill], password: str) -> None:
        drill = drilled(planned(tmp_path, REST, more=f'tryout = "{REST}-tryout"\n'))
        with suppress(RecoveryError):
            try_to_delete(drill.context, ["away"], "tryout:away")
        asked = next(command for command in drill.machine.commands if "DELETE" in command)  # type: ignore[attr-defined]  # FakeMachine's
        known = {"PATH": "/usr/bin:/bin", "RESTIC_REST_USERNAME": "pi", "RESTIC_REST_PASSWORD": password}
        said = subprocess.run(["sh", "-c", asked.partition(" | curl ")[0]], env=known, capture_output=True, check=True, text=True)
        value = said.stdout.removeprefix('user = "pi:').removesuffix('"\n')
        assert re.sub(r"\\(.)", r"\1", value) == password

    def test_no_password_stands_in_a_command(self, tmp_path: Path, drilled: Callable[..., Drill]) -> None:
        further = 'environment = { RESTIC_REST_PASSWORD = { file = "password" } }\n'
        drill = drilled(planned(tmp_path, REST, more=f'tryout = "{REST}-tryout"\n{further}'))
        with suppress(RecoveryError):
            try_to_delete(drill.context, ["away"], "tryout:away")
        asked = [command for command in drill.machine.commands if "curl " in command]  # type: ignore[attr-defined]  # FakeMachine's
        assert asked
        assert not [command for command in asked if "the-password-of-restic" in command]


class TestTheSteps:
    @staticmethod
    def steps(drill: Drill, kind: str) -> dict[str, Sequence[str]]:
        return {step.name: step.rows for step in drill.steps.values() if step.name.startswith(kind)}

    def test_repositories_of_one_account_share_a_step(self, tmp_path: Path, drilled: Callable[..., Drill]) -> None:
        plan = planned(tmp_path, SFTP, f"{SFTP}-vault", more='tryout = "sftp:pi@nas:/tryout"')
        assert self.steps(drilled(plan), "tryout") == {"tryout:away": ("tryout:away", "tryout:away1")}

    def test_accounts_are_kept_apart(self, tmp_path: Path, drilled: Callable[..., Drill]) -> None:
        plan = planned(tmp_path, SFTP, SFTP.replace("pi@", "vault@"))
        assert list(self.steps(drilled(plan), "tryout")) == ["tryout:away", "tryout:away1"]

    def test_a_lost_repository_is_not_tried(self, tmp_path: Path, drilled: Callable[..., Drill]) -> None:
        drill = drilled(planned(tmp_path, SFTP), lost=("away",))
        assert self.steps(drill, "tryout") == {}

    def test_no_step_is_waited_for_by_a_recovery_from_disk_loss(self, tmp_path: Path) -> None:
        plan = planned(tmp_path, SFTP)
        what = incident(plan, "disk-loss", lost_at=datetime.now(UTC))
        drill = Drill(plan, what, Pi({}), Journal(tmp_path / "other.jsonl"), "run", say=lambda _: None)
        assert self.steps(drill, "tryout") == {}
        drill.close()


@pytest.mark.parametrize(
    ("url", "tryout", "same"),
    [
        ("sftp:pi@nas:/a", "sftp:pi@nas:/b", True),
        ("sftp://pi@nas:2222//a", "sftp://pi@nas:2222//b", True),
        ("sftp://pi@nas:2222//a", "sftp://pi@nas//b", False),
        ("rest:http://nas:8000/a", "rest:http://nas:8000/b", True),
        ("rest:http://nas:8000/a", "rest:http://nas:8001/b", False),
        ("s3:https://host/bucket", "sftp:pi@nas:/a", False),
    ],
)
def test_the_same_account_is_known(tmp_path: Path, url: str, tryout: str, *, same: bool) -> None:
    repository = planned(tmp_path, url, more=f'tryout = "{tryout}"').repositories["away"]
    assert same_account(repository) is same


@pytest.mark.parametrize(
    ("tryout", "folder"),
    [("sftp:pi@nas:/b", "/b"), ("sftp:pi@nas:b", "b"), ("sftp://pi@nas:2222//b", "/b"), ("rest:http://nas/b/", "http://nas/b")],
)
def test_the_folder_is_what_the_server_calls_it(tmp_path: Path, tryout: str, folder: str, drilled: Callable[..., Drill]) -> None:
    plan = planned(tmp_path, tryout.replace("b", "a"), more=f'tryout = "{tryout}"')
    beside = Beside(drilled(plan).context.console, "away", plan.repositories["away"], "usual")
    assert beside.folder.rpartition("/")[0] == folder
