"""The newest good restore point is found by few probes, whatever the history is like, and what could be merged is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muster.errors import RecoveryError
from muster.incidents import bisecting, incident, search
from muster.incidents.bisecting import most_probes
from muster.journal import Journal
from muster.machines.machine import OnLine, Result
from muster.plan import Plan, load
from muster.record import Record, fold
from muster.recovery import Recovery, sources
from muster.steps.context import Recovering
from tests.fake import machine as fake
from tests.fake.machine import NOW, Answer, FakeMachine, write_plan

MANY = 64
UNLOAD = '\nunload = "app-unload"'
SOUND = '\n[invariants.sound]\ndataset = "rows"\nrun = "is-sound"\nexpect = { matches = "^0$" }\n'
LOST_AT = NOW + timedelta(hours=1)


def _id(place: int) -> str:
    return f"{place:04x}" + "a" * 60


def _time(place: int) -> datetime:
    return NOW + timedelta(seconds=10 * place)


@dataclass
class History:
    """Backups as a repository lists them: of each run (the oldest first) whether its rows are sound, and how large it is."""

    sound: Sequence[bool]
    sizes: Sequence[int] = ()
    damaged: Sequence[int] = ()

    def listed(self, command: str) -> Answer:
        paths = ["/etc/app", "/var/backups/rows", "/srv/media"]
        if "vault" in command:
            return 0, json.dumps([_entry(0, "b" * 64, ["/etc/keys"], "r0")])
        sizes = self.sizes or [100] * len(self.sound)
        entries = [_entry(place, _id(place), paths, f"r{place}", sizes[place]) for place in range(len(self.sound))]
        return 0, json.dumps(entries)


def _entry(place: int, identity: str, paths: list[str], run: str, size: int = 1) -> dict[str, Any]:
    summary = {"total_files_processed": 1, "total_bytes_processed": size}
    tags = [f"run={run}"]
    return {
        "id": identity,
        "time": _time(place).isoformat(),
        "hostname": "tiny-pi",
        "paths": paths,
        "tags": tags,
        "summary": summary,
    }


class Scripted(FakeMachine):
    """A machine whose rows are those of the dump that was restored last; `asked` lists the places of what was restored."""

    def __init__(self, history: History, more: Mapping[str, Answer | Callable[[str], Answer]] | None = None) -> None:
        answers: dict[str, Answer | Callable[[str], Answer]] = {
            r"is-sound": lambda _: (0, "0\n" if history.sound[self.asked[-1]] else "17\n"),
            r"restic .* restore \w+ .*rows": self._restore,
        }
        super().__init__(answers | dict(more or {}))
        self.history = history
        self.asked: list[int] = []

    def _restore(self, command: str) -> Answer:
        found = re.search(r" restore ([0-9a-f]+) ", command)
        assert found
        self.asked.append(int(found[1][:4], 16))
        return 0, ""

    def run(
        self,
        command: str,
        *,
        timeout: timedelta,  # noqa: ARG002  # every machine takes these two
        stdin: bytes = b"",  # noqa: ARG002
        on_line: OnLine | None = None,
    ) -> Result:
        found = re.search(r" restore ([0-9a-f]+) .*rows", command)
        if found and int(found[1][:4], 16) in self.history.damaged:
            self._restore(command)
            error = {"message_type": "error", "item": "/var/backups/rows/rows-20260301", "error": {"message": "hash mismatch"}}
            return Result(command, 1, "", json.dumps(error), 0.01)
        for pattern, answer in (*self.answers.items(), *fake._HEALTHY.items()):  # as its own, and at once
            if re.search(pattern, command):
                status, out = answer(command) if callable(answer) else answer
                for line in out.splitlines() if on_line else ():
                    on_line(line)
                return Result(command, status, "" if on_line else out, "" if status == 0 else out, 0.01)
        return Result(command, 0, "", "", 0.01)


@dataclass
class Searched:
    """How a search ended."""

    context: Recovering
    machines: list[Scripted] = field(default_factory=list)
    error: RecoveryError | None = None

    @property
    def chosen(self) -> int:
        return int(self.context.chosen["rows"].id[:4], 16)

    @property
    def record(self) -> Record:
        begin = {"kind": "drill", "t": 0, "at": NOW.isoformat(), "plan": "tiny", "objectives": {"rto": 1, "rpo": 1}, "steps": []}
        names = ("run", "about", "hostname", "machine", "lost_at")
        return fold([begin | dict.fromkeys(names, "") | {"versions": {}, "services": {}, "datasets": {}}, *self.events])

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return list(self.context.journal.events)

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    def codes(self) -> set[str]:
        return {event["code"] for event in self.told("finding")} | ({self.error.finding.code} if self.error else set())


Search = Callable[..., Searched]


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[Search]:
    journals: list[Journal] = []

    def run(
        history: History,
        *,
        more: str = SOUND,
        change: tuple[str, str] = ('load = "app-load"', 'load = "app-load"' + UNLOAD),
        answers: Mapping[str, Answer | Callable[[str], Answer]] | None = None,
        **words: Any,  # noqa: ANN401  # what describes an incident
    ) -> Searched:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace(*change) + more)
        journals.append(Journal(tmp_path / f"journal-{len(journals)}.jsonl"))
        return _search(load(path), history, journals[-1], answers, words)

    yield run
    for journal in journals:
        journal.close()


def _search(
    plan: Plan,
    history: History,
    journal: Journal,
    answers: Mapping[str, Answer | Callable[[str], Answer]] | None,
    words: Mapping[str, Any],
) -> Searched:
    what = incident(plan, "corruption", **{"lost_at": LOST_AT} | words)
    source = sources(plan)
    listing = {r"\bsnapshots$": history.listed}
    context = Recovering(plan, Scripted(history, listing), journal, list(dict.fromkeys(source.values())), what.lost_at, source)
    done = Searched(context)

    def spare() -> Scripted:
        done.machines.append(Scripted(history, answers))
        return done.machines[-1]

    context.spare = spare
    known = {step.name: step for step in Recovery(plan, source).steps()}
    for name in (name for name in known if name.startswith("list:")):
        known[name].action(context, name)
    (step,) = search.steps(plan, what, known)
    try:
        step.action(context, step.name)
    except RecoveryError as error:
        done.error = error
    return done


def turned_bad(at: int, count: int = MANY) -> History:
    """Restore points of which those from `at` on are bad."""
    return History([place < at for place in range(count)])


@pytest.mark.parametrize("at", range(1, MANY + 1))
def test_corruption_that_starts_anywhere_is_found_by_seven_probes(searched: Search, at: int) -> None:
    done = searched(turned_bad(at))
    assert done.error is None
    assert done.chosen == at - 1
    assert len(done.told("probe")) <= 7
    assert [event["good"] for event in done.told("probe")].count(True) >= 1
    assert len(done.machines) == 1
    assert done.machines[0].gone.is_set()


def test_a_history_without_a_good_restore_point_is_an_error(searched: Search) -> None:
    done = searched(turned_bad(0))
    assert done.codes() == {"no-good-restore-point"}
    assert len(done.told("probe")) <= 8  # the oldest once more, with its own configuration
    assert done.error
    assert "Not one of 64 restore points is good" in done.error.finding.what
    assert done.context.chosen == {}


def test_the_newest_is_chosen_at_once_when_it_is_good(searched: Search) -> None:
    done = searched(turned_bad(MANY))
    assert done.chosen == MANY - 1
    assert len(done.told("probe")) == 1
    assert done.told("happened") == []
    assert "nothing seems to be corrupt" in done.record.case_file.chose


@pytest.mark.parametrize("count", [1, 2, 3, 5, 17, 33, 63, 65, 100])
def test_never_more_probes_than_promised(count: int) -> None:
    for at in range(count + 1):
        places: list[int] = []
        answers = bisecting.newest_good(count, lambda place, at=at, places=places: (places.append(place), place < at)[1])
        assert bisecting.best(answers) == (at - 1 if at else None)
        assert len(places) == len(set(places)) <= most_probes(count)


def test_the_incident_began_at_the_first_bad_restore_point(searched: Search) -> None:
    done = searched(turned_bad(47))
    (happened,) = done.told("happened")
    assert datetime.fromisoformat(happened["at"]) == _time(47).replace(microsecond=0)
    assert "Invariant sound said nothing that matches '^0$'" in happened["why"]
    assert "the newest good one (7 of 64 restore points asked about rows)" in done.record.case_file.chose


def test_every_dataset_comes_from_the_chosen_run_or_from_before_it(searched: Search) -> None:
    done = searched(turned_bad(47))
    assert {name: snapshot.run for name, snapshot in done.context.chosen.items()} == {
        "etc": "r46", "rows": "r46", "media": "r46", "keys": "r0",
    }  # fmt: skip


def test_what_each_question_was_answered_stands_in_the_probe(searched: Search) -> None:
    probe = searched(turned_bad(0, 1)).record.case_file.probes[0]
    assert {answer.question: (answer.answer, answer.right) for answer in probe.answers} == {
        "invariant sound": ("17", False),
        "metric rows": ("42", True),
        "watermark rows": (NOW.isoformat(), True),
    }
    assert probe.good is False
    assert probe.run == "r0"


def test_every_restore_point_that_there_is_stands_in_the_journal(searched: Search) -> None:
    (all_of_them,) = searched(turned_bad(3, 8)).record.case_file.searched
    assert len(all_of_them.points) == 8
    assert [time for _, time in all_of_them.points] == sorted(time for _, time in all_of_them.points)


def test_what_a_probe_reads_is_no_figure_of_the_recovered_pi(searched: Search) -> None:
    done = searched(turned_bad(3, 8))
    kinds = {event["kind"] for event in done.events}
    assert kinds <= {"command", "listed", "searched", "probe", "happened", "chose", "merge"}


def test_a_probe_restores_the_dump_and_the_manifest_alone(searched: Search) -> None:
    done = searched(turned_bad(3, 8))
    machine = done.machines[0]
    restores = [event["command"] for event in done.told("command") if f" restore {_id(machine.asked[-1])}" in event["command"]]
    assert all("/srv/media" not in command and "/etc/keys" not in command for command in restores)
    assert sum("--include /var/backups/rows --include /var/lib/muster/manifest.json" in command for command in restores) == 1
    assert [event["command"] for event in done.told("command")].count("systemctl daemon-reload") == 1


def test_without_an_unload_each_probe_has_a_machine_of_its_own(searched: Search) -> None:
    done = searched(turned_bad(3, 8), change=("no", "change"))
    assert len(done.machines) == len(done.told("probe")) == 7
    assert all(machine.gone.is_set() for machine in done.machines)
    assert done.chosen == 2


def test_an_unload_that_fails_costs_a_machine_and_no_answer(searched: Search) -> None:
    done = searched(turned_bad(3, 8), answers={"app-unload": (1, "in use")})
    assert len(done.machines) == len(done.told("probe"))
    assert done.chosen == 2


def test_a_load_that_fails_is_bad_with_its_reason(searched: Search) -> None:
    done = searched(turned_bad(1, 1), answers={"app-load": (1, "invalid byte sequence")})
    (probe,) = done.record.case_file.probes
    assert probe.good is False
    assert "Loading /var/backups/rows/rows-20260301 ended with status 1: invalid byte sequence" in probe.reason
    assert done.codes() == {"no-good-restore-point"}


def test_a_dump_that_differs_from_its_seal_is_bad(searched: Search) -> None:
    (probe,) = searched(turned_bad(1, 1), answers={"count-rows": (0, "41\n")}).record.case_file.probes
    assert probe.good is False
    assert "Metric rows is 41, and was 42 when the Pi was backed up" in probe.reason


@pytest.mark.parametrize(
    ("newest", "says"),
    [(NOW - timedelta(hours=2), "older than its snapshot"), (NOW + timedelta(hours=2), ""), (NOW, None)],
)
def test_the_newest_record_is_held_against_the_snapshot(searched: Search, newest: datetime, says: str | None) -> None:
    probe = searched(turned_bad(1, 1), answers={"newest-row": (0, newest.isoformat())}).record.case_file.probes[0]
    assert probe.good is (says is None)
    assert (says or "") in probe.reason


def test_a_restore_point_that_cannot_be_read_says_nothing_of_its_neighbours(searched: Search) -> None:
    done = searched(History([place < 47 for place in range(MANY)], damaged=[31, 46]))
    assert done.chosen == 45
    unreadable = [event for event in done.told("probe") if event["good"] is None]
    assert unreadable
    assert all("cannot be restored from usb" in event["reason"] for event in unreadable)


def test_a_repository_that_cannot_be_used_is_no_bad_restore_point(searched: Search) -> None:
    done = searched(turned_bad(47), answers={r"restic .* restore \w+ .*rows": (12, "wrong password or no key found")})
    assert done.codes() == {"wrong-password"}
    assert done.told("probe") == []


def test_an_exhaustive_search_sees_every_turn(searched: Search) -> None:
    sound = [True] * 5 + [False] * 3 + [True] * 2 + [False] * 2
    done = searched(History(sound), exhaustive=True)
    assert [event["time"] for event in done.told("probe")] == [
        _time(place).isoformat(timespec="seconds") for place in reversed(range(12))
    ]
    assert done.chosen == 9
    assert done.codes() == {"history-not-monotonic"}
    (finding,) = done.told("finding")
    assert finding["severity"] == "warning"
    assert finding["evidence"].count("\n") == 2


def test_a_good_restore_point_after_bad_ones_is_noticed_by_its_size(searched: Search) -> None:
    sound = [True] * 20 + [False] * 20 + [True] * 10 + [False] * 14
    sizes = [1000 + place if good else 500 + place for place, good in enumerate(sound)]
    done = searched(History(sound, sizes))
    assert done.chosen == 49
    assert done.codes() == {"history-not-monotonic"}
    assert "known to be good" in done.record.case_file.chose


@pytest.mark.parametrize(
    ("sound", "newest_good"),
    [
        ([True, False, True, False], 2),
        ([True, True, False, True, False, False], 3),
        ([False, False, False, True, False], 3),
        ([True] * 4 + [False] * 4 + [True] * 4 + [False] * 4, 11),
    ],
)
def test_a_short_history_that_goes_back_and_forth_is_noticed_without_any_sign(
    searched: Search,
    sound: list[bool],
    newest_good: int,
) -> None:
    done = searched(History(sound))
    assert done.chosen == newest_good
    assert done.codes() == {"history-not-monotonic"}


def test_a_history_that_goes_back_and_forth_in_any_way_is_seen_through_up_to_seven_restore_points() -> None:
    for count in range(1, 8):
        for shape in range(2**count):
            sound = [bool(shape >> place & 1) for place in range(count)]
            answers = bisecting.newest_good(count, sound.__getitem__)
            assert bisecting.best(answers) == max((place for place in range(count) if sound[place]), default=None)
            assert len(answers) <= most_probes(count)


def test_sizes_that_only_grow_cost_no_probe(searched: Search) -> None:
    done = searched(History([place < 47 for place in range(MANY)], [1000 + 10 * place for place in range(MANY)]))
    assert len(done.told("probe")) == 7
    assert done.codes() == set()


def test_a_plan_without_questions_proves_nothing(searched: Search) -> None:
    done = searched(turned_bad(MANY), more="", datasets=["media"])
    assert done.codes() == {"nothing-to-ask"}
    assert done.error
    assert done.error.finding.severity == "unproven"
    assert done.told("probe") == []


def test_a_dataset_that_cannot_be_asked_is_told_beside_those_that_can(searched: Search) -> None:
    done = searched(turned_bad(47), datasets=["rows", "media"])
    assert done.chosen == 46
    assert done.codes() == {"nothing-to-ask"}
    assert "whether media is right" in done.told("finding")[0]["what"]


def test_a_dataset_that_answers_nothing_is_not_taken_for_right_beside_one_that_does(searched: Search) -> None:
    counted = '\n[metrics.media]\ndataset = "media"\nrun = "count-media"\n'  # which no manifest here seals
    done = searched(turned_bad(3, 3), more=SOUND + counted, datasets=["rows", "media"], answers={"count-media": (0, "7\n")})
    assert {probe.good for probe in done.record.case_file.probes} == {None}
    assert done.codes() == {"no-good-restore-point"}
    assert done.error
    assert "could be asked of media" in done.error.finding.what


@pytest.mark.parametrize("merge", [False, True])
def test_what_is_not_corrupt_can_come_from_newer_runs(searched: Search, merge: bool) -> None:  # noqa: FBT001
    done = searched(turned_bad(47), merge=merge)
    (told,) = done.record.case_file.merges
    assert (told.dataset, told.snapshot, told.taken, told.skew) == ("media", _id(63), merge, 170.0)
    assert done.context.chosen["media"].run == ("r63" if merge else "r46")
    assert done.context.chosen["rows"].run == "r46"
    assert ("media" in done.context.manifests) is merge


def test_what_was_backed_up_after_the_loss_is_not_asked(searched: Search) -> None:
    done = searched(turned_bad(40), lost_at=_time(20) + timedelta(seconds=5))
    assert done.chosen == 20
    assert "1 of 21 restore points" in done.record.case_file.chose


def test_sizes_that_go_up_and_down_cost_one_probe_at_the_most(searched: Search) -> None:
    sizes = [1000 + (place % 7) for place in range(47)] + [400 + 300 * (place % 2) for place in range(MANY - 47)]
    done = searched(History([place < 47 for place in range(MANY)], sizes))
    assert done.chosen == 46
    assert len(done.told("probe")) == 8
    assert done.codes() == set()


def _sealed(**more: object) -> dict[str, Answer]:
    return {r"cat /var/lib/muster/manifest.json": (0, json.dumps(fake._MANIFEST | more))}


def test_a_night_without_new_records_is_not_bad(searched: Search) -> None:
    quiet = NOW - timedelta(hours=2)
    answers = {"newest-row": (0, quiet.isoformat())} | _sealed(watermarks={"rows": quiet.isoformat()})
    done = searched(turned_bad(1, 1), answers=answers)
    assert done.record.case_file.probes[0].good is True


def test_what_the_owner_accepts_is_not_bad(searched: Search) -> None:
    accepted = '\n[[accept]]\ncode = "metric-differs"\nreason = "rows are thinned out at night"\nuntil = 2036-12-31\n'
    done = searched(turned_bad(1, 1), more=SOUND + accepted, answers={"count-rows": (0, "41\n")})
    assert done.record.case_file.probes[0].good is True


def test_without_a_manifest_the_other_questions_tell(searched: Search) -> None:
    done = searched(turned_bad(5, 8), answers={r"cat /var/lib/muster/manifest.json": (1, "")})
    assert done.chosen == 4
    assert {answer.question for answer in done.record.case_file.probes[0].answers} == {"invariant sound", "watermark rows"}


def test_backups_of_another_host_are_told_as_ever(searched: Search) -> None:
    done = searched(turned_bad(1, 1), answers=_sealed(hostname="other-pi"))
    assert done.codes() == {"manifest-of-another-host"}
    assert all(machine.gone.is_set() for machine in done.machines)


def test_a_machine_is_prepared_from_the_oldest_where_the_newest_cannot_be_read(searched: Search) -> None:
    done = searched(turned_bad(5, 8), answers={rf"restic .* restore {_id(7)} .*/etc/app": (1, "pack is damaged")})
    assert done.chosen == 4
    assert len(done.machines) == 2


def test_programs_that_went_wrong_make_no_restore_point_bad(searched: Search) -> None:
    made: list[str] = []

    def sound(_command: str) -> Answer:
        newest = [command for command in made if "/etc/app" in command][-1].split(" restore ")[1].startswith(_id(7))
        rows = int(made[-1].split(" restore ")[1][:4], 16)
        return (127, "is-sound: not found") if newest else (0, "0" if rows < 5 else "17")

    def restore(command: str) -> Answer:
        made.append(command)
        return 0, ""

    restores = dict.fromkeys((r"restic .* restore \w+ .*rows", r"restic .* restore "), restore)
    done = searched(turned_bad(5, 8), answers=restores | {"is-sound": sound})
    assert done.error is None
    assert done.chosen == 4
    assert "Programs and configuration of the oldest restore point asked" in done.record.case_file.chose
    assert done.codes() == set()
    assert len(done.machines) == 2
    assert all(machine.gone.is_set() for machine in done.machines)


def test_a_seal_that_is_older_than_its_snapshot_is_bad(searched: Search) -> None:
    old = (NOW - timedelta(hours=3)).isoformat()
    (probe,) = searched(turned_bad(1, 1), answers=_sealed(sealed_at=old)).record.case_file.probes
    assert "older than the snapshot" in probe.reason


def test_a_pi_whose_loads_need_no_configuration_is_asked_as_well(searched: Search) -> None:
    done = searched(turned_bad(5, 8), change=('class = "config"', 'class = "data"'), more=SOUND)
    assert done.chosen == 4
    assert any("systemctl start --no-block db.service" in command["command"] for command in done.told("command"))


def test_a_newest_restore_point_that_cannot_be_read_hides_nothing() -> None:
    history: list[bool | None] = [True] * 20 + [False] * 20 + [True] * 10 + [None]
    sizes = [1000 + place if good is not False else 500 + place for place, good in enumerate(history)]
    answers = bisecting.newest_good(len(history), lambda place: history[place], sizes)
    assert bisecting.best(answers) == 49
    assert bisecting.returns(answers)


def test_what_cannot_be_read_at_all_is_no_good_restore_point(searched: Search) -> None:
    done = searched(History([True] * 4, damaged=range(4)))
    assert done.codes() == {"no-good-restore-point"}
    assert done.error
    assert "cannot be restored from usb" in done.error.finding.what
