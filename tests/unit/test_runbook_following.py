"""A runbook is followed, and everything that a recovery checks is looked at; nothing else is done to the machine."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill
from muster.errors import HarnessError, MusterError
from muster.findings import Finding
from muster.handbook import Typed
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from muster.runbook.book import Book, BookStep
from muster.runbook.following import Following
from muster.runbook.judging import Reference
from tests.fake.machine import _FILES, _MANIFEST, NOW, Answer, FakeMachine, write_plan

ACTS = r"restic .* restore |app-load|systemctl (re)?start(?! --no-block muster-boot)|useradd|daemon-reload(?!; systemctl)|apt-get"
FOLLOWS = r"^cd \S+ && \S*sh \S+ </dev/null"
STEPS = (
    BookStep(1, "Flash the card", "by hand", 1, 1, minutes=8),
    BookStep(2, "Bring it back", "typed", 2, 2, "restore:usb", ("bring-it-back",)),
    BookStep(3, "Start app", "typed", 3, 3, "start:app", ("start-app",)),
    BookStep(4, "Ask app", "typed", 4, 4, "smoke:ping", ("ask-app",)),
)
WRITTEN = Reference(
    "2026-03-01T09:00:00Z",
    tuple(Typed(step.step, step.title, step.commands) for step in STEPS if step.commands),
    is_writer=True,
)
MakeDrill = Callable[..., Drill]


def own(*steps: BookStep, path: Path = Path("own.md")) -> Book:
    """A person's own: it names no steps of a recovery, and nobody wrote it."""
    return Book(path, "md", "", tuple(replace(step, step="") for step in steps or STEPS))


def followed(*, fails: int = 0, said: str = "") -> Callable[[str], Answer]:
    """What a shell prints that follows STEPS, up to the one that fails; the checks are asked for by themselves, and come last."""
    parts = iter([STEPS[:3], STEPS[3:]])

    def answer(_command: str) -> Answer:
        lines = []
        for step in next(parts):
            lines.append(f"== {step.number} {step.title}")
            if step.number == fails:
                return 1, "\n".join([*lines, said])
        return 0, "\n".join(lines)

    return answer


class Typing(FakeMachine):
    """The shell's words come on standard output, however it ended."""

    def run(self, command: str, **words: object) -> object:
        result = super().run(command, **words)  # type: ignore[arg-type]  # passed on
        on_line = words.get("on_line")
        if re.search(FOLLOWS, command) and callable(on_line) and result.exit:
            for line in result.err.splitlines():
                on_line(line)
        return result


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeDrill]:
    made: list[Drill] = []

    def make_drill(
        book: Book | None = None,
        reference: Reference | None = WRITTEN,
        more: str = "",
        **answers: Answer | Callable[[str], Answer],
    ) -> Drill:
        path = write_plan(tmp_path)
        path.write_text(path.read_text() + more)
        known = {"-- follow": followed(), **answers}
        patterns = {FOLLOWS if name == "-- follow" else name: answer for name, answer in known.items()}
        machine = Typing({**patterns, " dump ": (0, json.dumps(_MANIFEST))})
        incident = Incident("runbook", datetime.now(UTC))
        writer = reference and replace(reference, plan=path.read_text())
        following = Following(book or Book(Path("runbook.sh"), "sh", "", STEPS, "tiny", "disk-loss", "r1"), writer)
        journal = Journal(tmp_path / f"journal-{len(made)}.jsonl")
        made.append(Drill(load(path), incident, machine, journal, "run", following=following, say=lambda _: None))
        return made[-1]

    yield make_drill
    for drill in made:
        drill.machine.destroy()
        drill.close()


def concluded(drill: Drill) -> Record:
    with contextlib.suppress(MusterError, Blocked):
        drill.conclude()
    drill.close()
    return drill.record


def codes(record: Record) -> list[str]:
    return [finding.code for finding in record.findings]


def test_a_healthy_one_recovers_and_nothing_but_the_shell_has_acted(make: MakeDrill) -> None:
    drill = make()
    record = concluded(drill)
    assert (record.verdict, codes(record)) == ("recovered", []), record.reasons
    assert [(step.number, step.outcome) for step in record.handbook.followed] == [
        (1, "done"),
        (2, "done"),
        (3, "done"),
        (4, "done"),
    ]
    assert record.handbook.runbook
    assert (record.handbook.runbook.path, record.handbook.runbook.by) == ("runbook.sh", "r1")
    acted = [command for command in drill.machine.commands if re.search(ACTS, command)]  # type: ignore[attr-defined]
    assert acted == [], "Muster itself did what the runbook is there for"
    assert drill.record.handbook.typed == []  # it proves no other runbook


def test_figures_are_asked_before_the_runbook_asks_what_may_write(make: MakeDrill) -> None:
    drill = make()
    concluded(drill)
    commands = drill.machine.commands  # type: ignore[attr-defined]
    acting, checking = (place for place, command in enumerate(commands) if re.search(FOLLOWS, command))
    assert acting < commands.index("count-rows") < checking
    assert checking < next(place for place, command in enumerate(commands) if command == "ask-app")


def test_what_hands_do_counts_by_the_runbook_or_by_the_plan_and_never_both(make: MakeDrill) -> None:
    manual = '\n[[manual]]\nbefore = "provisioned"\nwhat = "Buy a card"\ntakes = "20m"\n'
    record = concluded(make(more=manual))
    assert [(entry.what, entry.seconds) for entry in record.manual] == [("Flash the card", 480.0)]
    typed = Book(Path("runbook.sh"), "sh", "", STEPS[1:], "tiny", "disk-loss", "r1")
    drill = make(typed, more=manual)
    drill.reach("provisioned")
    assert [entry.what for entry in drill.record.manual] == ["Buy a card"]


class TestAStepFails:
    def test_it_is_told_first_and_those_after_it_are_not_reached(self, make: MakeDrill) -> None:
        record = concluded(make(**{"-- follow": followed(fails=2, said="restic: command not found")}))
        assert record.verdict == "failed"
        assert codes(record)[0] == "runbook-step-failed"
        assert "Step 2 of the runbook (Bring it back) failed" in record.reasons[0]
        assert "restic: command not found" in record.reasons[0]
        became = {step.number: step.outcome for step in record.handbook.followed}
        assert became == {1: "done", 2: "failed", 3: "not reached", 4: "not reached"}

    def test_what_did_work_is_looked_at_all_the_same(self, make: MakeDrill) -> None:
        record = concluded(make(**{"-- follow": followed(fails=3)}))
        looked = {name: step.outcome for name, step in record.steps.items()}
        assert looked["data:media"] == looked["start:app"] == looked["smoke:ping"] == looked["conform"] == "done"
        assert looked["runbook:checks"] == "blocked"

    def test_what_is_missing_after_it_is_no_reason_to_look_for_another_cause(self, make: MakeDrill) -> None:
        gone = {r"-printf": (0, "")}
        record = concluded(make(own(), **{"-- follow": followed(fails=2)}, **gone))
        assert "dataset-incomplete" in codes(record)
        assert "runbook-incomplete" not in codes(record)

    def test_without_restic_nothing_is_compared_and_one_finding_says_why(self, make: MakeDrill) -> None:
        record = concluded(make(**{"-- follow": followed(fails=2), "command -v restic": (1, "")}))
        assert codes(record) == ["runbook-step-failed", "runbook-incomplete"]
        assert record.steps["list:usb"].outcome == "blocked"


class TestSomethingIsLeftOut:
    TYPED = (
        Typed("restore:usb", "Bring back what usb has", ("bring-it-back",)),
        Typed("start:app", "Start app", ("start-app",)),
        Typed("restore:vault", "Bring back keys", ("bring-keys-back",)),
        Typed("smoke:ping", "Ask app", ("ask-app",)),
    )

    def test_a_step_that_its_writer_typed_is_told_before_anything_is_followed(self, make: MakeDrill) -> None:
        drill = make(reference=Reference("2026-03-01T09:00:00Z", self.TYPED, is_writer=True))
        record = concluded(drill)
        assert record.verdict == "failed"
        assert (codes(record)[0], record.findings[0].where) == ("runbook-step-missing", "restore:vault")
        missing = next(step for step in record.handbook.followed if step.outcome == "missing")
        assert (missing.step, missing.lacks) == ("restore:vault", ("bring-keys-back",))
        assert record.handbook.followed[0] == missing

    def test_what_an_own_one_does_not_bring_back_is_told_with_what_was_typed(self, make: MakeDrill) -> None:
        def without_keys(command: str) -> Answer:
            asked = {path: entry for path, entry in _FILES.items() if path in command or str(Path(path).parent) in command}
            kept = {path: entry for path, entry in asked.items() if "key" not in path}
            letters = {"file": "f", "dir": "d"}
            lines = [
                f"{letters[kind]} {mode:o} {size} root root {NOW.timestamp()} {path}\0"
                for path, (kind, mode, size) in kept.items()
            ]
            return 0, "".join(lines)

        reference = Reference("2026-03-01T09:00:00Z", self.TYPED)
        record = concluded(make(own(), reference, **{"-printf": without_keys}))
        (told,) = (finding for finding in record.findings if finding.code == "runbook-incomplete")
        assert told.where == "keys"
        assert "Nothing in the runbook brings back keys. The recovery of 2026-03-01 typed: bring-keys-back" in told.what

    def test_a_service_that_nothing_starts_is_told_at_once(self, make: MakeDrill) -> None:
        down = "ActiveState=inactive\nJob=\nLoadState=loaded\n"
        began = time.monotonic()
        record = concluded(make(own(), **{r"^nc -z -w \d+ 127.0.0.1 5432": (1, ""), "ActiveState,Job": (0, down)}))
        assert time.monotonic() - began < 20, "it was waited for"
        finding = next(each for each in record.findings if each.code == "service-not-started")
        assert finding.where == "db"
        assert "db.service does not run" in finding.what
        assert record.steps["start:web"].outcome == "done"


class TestAnOwnWay:
    def test_one_that_works_has_no_finding(self, make: MakeDrill) -> None:
        reference = Reference("2026-03-01T09:00:00Z", TestSomethingIsLeftOut.TYPED)
        book = own(*STEPS[:3], replace(STEPS[3], commands=("curl my-own-check",)))
        everything = iter([f"== {step.number} {step.title}" for step in STEPS])
        record = concluded(make(book, reference, **{"-- follow": lambda _: (0, "\n".join(everything))}))
        assert (record.verdict, codes(record)) == ("recovered", []), record.reasons

    def listing(self, size: int, at: float) -> dict[str, Callable[[str], Answer]]:
        def answer(command: str) -> Answer:
            letters = {"file": "f", "dir": "d"}
            words = shlex.split(command.partition("find ")[2].partition(" -printf")[0])
            shown = []
            for path, (kind, mode, usual) in _FILES.items():
                if any(path == word or path.startswith(f"{word}/") for word in words):
                    ours = path == "/srv/media/a.jpg"
                    shown.append(
                        f"{letters[kind]} {mode:o} {size if ours else usual} root root {at if ours else NOW.timestamp()} {path}\0"
                    )
            return 0, "".join(shown)

        return {"-printf": answer}

    def test_what_a_service_wrote_since_is_no_difference_and_is_said(self, make: MakeDrill) -> None:
        record = concluded(make(own(), **self.listing(2000, time.time() + 60)))
        assert record.verdict == "recovered", record.reasons
        assert any("1 file of media was written to since coming back" in note for note in record.notes)

    def test_an_old_file_of_another_size_is_one(self, make: MakeDrill) -> None:
        record = concluded(make(own(), **self.listing(2000, NOW.timestamp())))
        assert "dataset-incomplete" in codes(record)


def test_without_a_runbook_nothing_is_proved(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    drill = Drill(
        load(write_plan(tmp_path)), Incident("runbook", datetime.now(UTC)), FakeMachine(), journal, "run", say=lambda _: None
    )
    with pytest.raises(HarnessError, match="Nobody said which runbook is to be followed"):
        drill.reach("provisioned")
    drill.close()
    assert drill.record.verdict == "not proven"


def test_hands_bring_the_secrets_of_what_the_runbook_names_besides(tmp_path: Path) -> None:
    plan = load(write_plan(tmp_path))
    named = Following(Book(Path("own.md"), "md", "restic -p /run/recovery/vault.password snapshots", STEPS))
    assert named.repositories(plan, ["usb"]) == ["usb", "vault"]
    assert Following(own()).repositories(plan, ["usb"]) == ["usb"]


def test_a_finding_is_kept_whole_when_it_is_judged_again() -> None:
    assert {"code", "severity", "where", "what", "fix", "evidence", "step"} <= set(Finding.__dataclass_fields__)
