"""An off-site account gets a new key, proved from both sides; where nobody can give it one, that is said aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Drill
from muster.errors import RecoveryError
from muster.incidents import incident
from muster.incidents.account import renew
from muster.journal import Journal
from muster.plan import load
from muster.redact import Redactor
from tests.fake.machine import Answer, FakeMachine, write_plan

KEY = 'ssh_key = { file = "password" }'
OTHER = 'ssh_key = { env = "ANOTHER_KEY" }'
VARIABLES = 'environment = { B2_TOKEN = { file = "password" } }'
REFUSED: Answer = (255, "pi@nas: Permission denied (publickey).")
PAIR: Answer = (0, "ssh-ed25519 OLD\nssh-ed25519 NEW muster\n")
PRIVATE = "the-private-half-of-the-new-key"
Answers = dict[str, Answer | Callable[[str], Answer]]


class Host:
    """A stand-in: what it answers to the old key depends on whether it has taken the new one."""

    def __init__(self, after: Answer = REFUSED, *, takes: bool = True) -> None:
        self.after = after
        self.takes = takes
        self.asked: list[tuple[str, str, str]] = []
        self.answers: Answers = {
            r"ssh-keygen": PAIR,
            r"^cat .*new-key$": (0, PRIVATE),
            r"old-key .*-s pi@nas": lambda _: self.after if self.asked else (0, ""),
        }

    def change(self, repository: str, old: str, new: str) -> bool:
        self.asked.append((repository, old, new))
        return self.takes


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[Callable[..., Drill]]:
    """Makes the drill of a compromise with off-site repositories that have these credentials, and ends it."""
    made = []

    def make(answers: Answers, *credentials: str) -> Drill:
        path = write_plan(tmp_path)
        for number, words in enumerate(credentials):
            url = f'url = "sftp:pi@nas:/restic/{number}"\nmedia = "disk"\noffsite = true'
            text = f'{path.read_text()}\n[repositories.away{number}]\n{url}\npassword = {{ file = "password" }}\n{words}\n'
            path.write_text(text)
        plan, now = load(path), datetime.now(UTC)
        what = incident(plan, "compromise", lost_at=now, first_sign=now)
        journal = Journal(tmp_path / "journal.jsonl", Redactor())
        made.append(Drill(plan, what, FakeMachine(answers), journal, "run", say=lambda _: None))
        return made[-1]

    yield make
    for drill in made:
        drill.machine.destroy()
        drill.close()


def renewed(drill: Drill, host: Host | None, *names: str) -> tuple[list[tuple[str, str, str]], list[bool | None]]:
    """What is found (code, severity, where) when an account is given a new key, and what was proved of it."""
    drill.context.change_key = host.change if host else None
    raised = []
    try:
        renew(drill.context, names or ["away0"], "account:away0")
    except RecoveryError as error:
        raised.append((error.finding.code, error.finding.severity, error.finding.where))
    told = [event for event in drill.journal.events if event["kind"] == "finding"]
    found = raised + [(event["code"], event["severity"], event["where"]) for event in told]
    rotated = [event for event in drill.journal.events if event["kind"] == "rotated"]
    return found, [rotated[0][name] for name in ("old_worked", "old_refused", "new_works")] if rotated else []


def test_both_sides_are_proved(drilled: Callable[..., Drill]) -> None:
    host = Host()
    found, proofs = renewed(drilled(host.answers, KEY), host)
    assert (found, proofs) == ([], [True, True, True])
    assert host.asked == [("away0", "ssh-ed25519 OLD", "ssh-ed25519 NEW muster")]


def test_every_repository_of_the_account_has_the_new_key_afterwards(drilled: Callable[..., Drill]) -> None:
    host = Host()
    drill = drilled(host.answers, KEY, KEY)
    renewed(drill, host, "away0", "away1")
    [installed] = [command for command in drill.machine.commands if "install " in command]  # type: ignore[attr-defined]  # FakeMachine's
    assert "/away0.key" in installed
    assert "/away1.key" in installed


def test_an_old_key_that_still_works_is_found(drilled: Callable[..., Drill]) -> None:
    host = Host((0, ""))
    found, proofs = renewed(drilled(host.answers, KEY), host)
    assert found == [("old-account-works", "error", "away0")]
    assert proofs == [True, False, True]


@pytest.mark.parametrize(
    "after",
    [(255, "nas: Connection refused"), (127, "sh: ssh: not found"), (1, "/run/muster/old-key: Permission denied")],
)
def test_silence_is_no_refusal(drilled: Callable[..., Drill], after: Answer) -> None:
    host = Host(after)
    found, proofs = renewed(drilled(host.answers, KEY), host)
    assert found == [("account-not-rotated", "unproven", "away0")]
    assert proofs == [True, None, True]


def test_a_new_key_that_reads_nothing_is_found(drilled: Callable[..., Drill]) -> None:
    host = Host()
    unread: Answers = {r"restic .*/restic/1 .* snapshots$": (1, "Fatal: subprocess ssh: Permission denied (publickey).")}
    found, proofs = renewed(drilled(host.answers | unread, KEY, KEY), host, "away0", "away1")
    assert found == [("account-not-rotated", "error", "away1")]
    assert proofs == [True, True, False]


def test_a_host_that_goes_away_has_refused_no_new_key(drilled: Callable[..., Drill]) -> None:
    host = Host((255, "nas: Connection refused"))
    gone: Answers = {r"restic .* snapshots$": (1, "Fatal: subprocess ssh: connect to host nas port 22: Connection refused")}
    found, proofs = renewed(drilled(host.answers | gone, KEY), host)
    assert {*found} == {("account-not-rotated", "unproven", "away0")}
    assert proofs == [True, None, None]


@pytest.mark.parametrize(
    "answers",
    [
        {r"old-key .*-s pi@nas": (255, "nas: Connection timed out")},
        {r"ssh-keygen": (1, "Load key: invalid format")},
    ],
)
def test_an_account_that_nobody_could_look_at_is_left_alone(drilled: Callable[..., Drill], answers: Answers) -> None:
    host = Host()
    found, _ = renewed(drilled(host.answers | answers, KEY), host)
    assert found == [("account-not-rotated", "unproven", "away0")]
    assert host.asked == []


@pytest.mark.parametrize("host", [None, Host(takes=False)])
def test_an_account_that_nobody_changes_is_named(drilled: Callable[..., Drill], host: Host | None) -> None:
    found, proofs = renewed(drilled((host or Host()).answers, KEY, KEY), host, "away0", "away1")
    assert found == [("account-by-hand", "warning", "away0"), ("account-by-hand", "warning", "away1")]
    assert proofs == [None, None, None]


def test_credentials_that_are_no_key_are_left_to_hands(drilled: Callable[..., Drill]) -> None:
    host = Host()
    found, proofs = renewed(drilled(host.answers, VARIABLES), host)
    assert found == [("account-by-hand", "warning", "away0")]
    assert (proofs, host.asked) == ([None, None, None], [])


def test_the_new_key_is_in_no_journal(drilled: Callable[..., Drill]) -> None:
    host = Host()
    drill = drilled(host.answers, KEY)
    renewed(drill, host)
    assert PRIVATE not in drill.journal.path.read_text()
    assert PRIVATE not in drill.journal.redact(f"it is {PRIVATE}")


class TestTheSteps:
    def test_there_is_one_for_each_account(self, drilled: Callable[..., Drill]) -> None:
        steps = drilled({}, KEY, OTHER, KEY, VARIABLES).steps
        assert [name for name in steps if name.startswith("account:")] == ["account:away0", "account:away1", "account:away3"]
        assert steps["account:away0"].rows == ("rotation:away0", "rotation:away2")

    def test_without_an_off_site_repository_there_is_none(self, drilled: Callable[..., Drill]) -> None:
        assert not [name for name in drilled({}).steps if name.startswith("account:")]

    def test_all_that_needs_the_old_key_comes_before_it(self, drilled: Callable[..., Drill]) -> None:
        steps = drilled({}, KEY).steps
        waited_for = {*steps["account:away0"].after, *steps["account:away0"].needs}
        assert {name for name, step in steps.items() if step.milestone != "afterwards"} - waited_for == {
            "account:away0",
            "still-up",
        }
        assert "account:away0" in steps["still-up"].after
