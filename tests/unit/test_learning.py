"""What is proposed from which evidence, and that a healthy system with margin gets no proposal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from muster.record import fold
from muster.report.learning import proposals
from muster.report.learning.past import runs_left
from muster.report.learning.retention import keeping
from tests.data.learning import BEGAN, USUAL, Event, changed, events, figures, keys, only, record, with_plan
from tests.data.replay import Month

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from muster.record import Record
    from muster.report.learning import Figures

LATE = Month(BEGAN, timedelta(hours=5), 40.0, calendar="*-*-* 00:00:00", every=timedelta(days=1))


def without(*kinds: str) -> Callable[[Event], Event | None]:
    """A change that leaves out some kinds of events."""
    return lambda event: None if event["kind"] in kinds else event


def put(kind: str, **facts: Any) -> Callable[[Event], Event]:  # noqa: ANN401  # any fact
    """A change of all events of a kind."""
    return lambda event: event | facts if event["kind"] == kind else event


def promising(rto: float) -> Callable[[Event], Event]:
    """A drill whose plan promises that RTO, in seconds."""
    return lambda event: event | {"objectives": event["objectives"] | {"rto": rto}} if event["kind"] == "drill" else event


# --- silence


def test_a_healthy_system_with_margin_gets_no_proposal(tmp_path: Path) -> None:
    assert proposals(record(tmp_path / "run")) == ()


def test_a_healthy_system_gets_none_after_years_that_were_all_alike(tmp_path: Path) -> None:
    years = [
        figures(record(tmp_path / str(n), Month(BEGAN - timedelta(days=30 * n), timedelta(minutes=5), 40.0))) for n in range(1, 6)
    ]
    other = {"restore_points": [["offsite", "ab", ""], ["vault-offsite", "cd", ""]]}
    names = ("corruption", "compromise", "site-loss", "password-loss", "ransomware")
    years += [{**years[0], "incident": name, **other} for name in names]
    assert proposals(record(tmp_path / "now"), years) == ()


def test_what_the_owner_accepts_is_not_proposed_to_be_changed(tmp_path: Path) -> None:
    entry = {"code": "rpo-missed", "where": "*", "reason": "it is a test of nothing", "until": "2036-12-31"}
    assert "rpo:readings" in keys(proposals(record(tmp_path / "a", LATE)))
    assert proposals(record(tmp_path / "b", LATE, put("drill", accept=[entry]))) == ()


def test_a_missed_rto_that_the_owner_accepts_is_not_proposed_to_be_shortened(tmp_path: Path) -> None:
    entry = {"code": "rto-missed", "where": "RTO of telemetry", "reason": "it is a test of nothing", "until": "2036-12-31"}
    slow = promising(1000.0)
    assert proposals(record(tmp_path / "a", change=slow))
    assert proposals(record(tmp_path / "b", change=lambda event: put("drill", accept=[entry])(slow(event)))) == ()


def test_a_journal_without_a_drill_gets_none() -> None:
    assert proposals(fold([])) == ()


# --- backups that are too seldom


def test_a_missed_rpo_proposes_the_longest_calendar_that_keeps_it_with_a_margin(tmp_path: Path) -> None:
    found = only(record(tmp_path / "run", LATE), "rpo:readings")
    assert found.change
    assert (found.change.file, found.change.after) == ("telemetry-backup.timer", "OnCalendar=*:0/10")
    assert "A backup takes 21 s." in found.why


@pytest.mark.parametrize(
    ("facts", "calendar"), [({"took": 200.0}, "*:0/6"), ({"delay": 300.0}, "*:0/5"), ({"took": 500.0}, "*:0/2")]
)
def test_a_long_backup_and_a_random_delay_take_their_share_of_the_rpo(
    tmp_path: Path, facts: dict[str, float], calendar: str
) -> None:
    found = only(record(tmp_path / "run", LATE, put("backed_up_by", **facts)), "rpo:readings")
    assert found.change
    assert found.change.after == f"OnCalendar={calendar}"


def test_a_backup_that_takes_longer_than_the_rpo_only_leaves_another_promise(tmp_path: Path) -> None:
    found = only(record(tmp_path / "run", LATE, put("backed_up_by", took=1000.0)), "rpo:readings")
    assert "No timer keeps an RPO of 15 min" in found.how
    assert found.change
    assert found.change.before == 'rpo = "15m"'


def test_a_timer_that_would_keep_the_rpo_is_left_alone_and_its_last_run_doubted(tmp_path: Path) -> None:
    found = only(record(tmp_path / "run", Month(BEGAN, timedelta(hours=5), 40.0)), "rpo:readings")
    assert found.title.startswith("Find out why the last backup before the loss did not run")
    assert found.change is None


def test_a_timer_of_spans_gets_a_shorter_span(tmp_path: Path) -> None:
    spans = put("backed_up_by", calendars=[], monotonic=["OnBootSec=5min", "OnUnitActiveSec=1d"])
    found = only(record(tmp_path / "run", LATE, spans), "rpo:readings")
    assert found.change
    assert (found.change.before, found.change.after) == ("OnUnitActiveSec=1d", "OnUnitActiveSec=10m")


def test_without_a_timer_the_restore_points_tell_how_often_and_cron_is_told_in_words(tmp_path: Path) -> None:
    found = only(record(tmp_path / "run", LATE, without("backed_up_by")), "rpo:readings")
    assert "The newest restore points are 1 d apart." in found.why
    assert "where cron does, `*/10 * * * *`" in found.how
    assert found.change is None


def test_an_older_restore_point_that_was_asked_for_says_nothing_of_the_timer(tmp_path: Path) -> None:
    assert proposals(record(tmp_path / "run", LATE, put("case", restore="8f3a1c77"))) == ()


def test_a_journal_of_version_1_has_words_where_others_have_lines(tmp_path: Path) -> None:
    handbook = without("plan", "place", "typed", "backed_up_by", "listed", "stored", "oldest")
    found = only(record(tmp_path / "run", LATE, handbook), "rpo:readings")
    assert (found.change, found.instead) == (None, None)
    assert "(`data.readings.rpo`)" in found.otherwise


# --- recoveries that take too long


def test_a_missed_rto_proposes_the_steps_that_it_really_waits_for(tmp_path: Path) -> None:
    found = proposals(record(tmp_path / "run", change=promising(1000.0)))
    assert keys(found)[0].startswith("manual:Flash")
    steps = [proposal for proposal in found if proposal.key.startswith("rto:")]
    # Services that start side by side save nothing each, however long they take: the other one takes as long.
    assert [proposal.key for proposal in steps] == ["rto:provision"]
    assert all(proposal.urgency == 0 and 0 < proposal.gain <= proposal.figure for proposal in steps)


def test_a_step_beside_the_critical_path_is_not_proposed_however_long_it_takes(tmp_path: Path) -> None:
    told = events(tmp_path / "run")
    told = changed(told, promising(1000.0))
    # 200 seconds for a check that nothing waits for, and that began when all was there.
    told = changed(told, lambda event: event | {"t": event["t"] + 100.0} if event.get("step") == "conform" else event)
    assert "rto:conform" not in keys(proposals(fold(told)))


def test_a_load_is_proposed_with_several_processes_and_its_comment_and_neighbours_stay(tmp_path: Path) -> None:
    slow = Month(BEGAN, timedelta(minutes=5), 100.0)
    found = only(record(tmp_path / "run", slow, promising(600.0)), "rto:load:readings")
    assert found.change
    assert found.change.before.startswith('load = "createuser telemetry &&')
    assert found.change.after.endswith('&& pg_restore -j 4 -d telemetry --exit-on-error \\"$DUMP\\""')
    assert found.change.line == 74


def test_the_promise_of_the_plan_can_be_changed_and_its_comment_stays(tmp_path: Path) -> None:
    found = proposals(record(tmp_path / "run", change=promising(1000.0)))
    (instead,) = [proposal.instead for proposal in found if proposal.instead]
    assert instead.line == 9
    assert instead.after == 'rto = "25m"      # loss declared -> last check green, hands and package installation included'


def test_a_dataset_from_off_site_is_proposed_to_come_from_the_disk_beside_the_pi(tmp_path: Path) -> None:
    def offsite(event: Event) -> Event:
        if event["kind"] == "plan":
            return event
        return json_replaced(event, "restore:usb", "restore:offsite", '"usb', '"offsite')

    plan = with_plan(
        lambda text: text.replace('paths = ["/srv/media"]', 'paths = ["/srv/media"]\nrepositories = ["offsite", "usb"]')
    )
    slow = Month(plan.began, plan.age, 40.0, 6.0, plan=plan.plan)
    found = only(record(tmp_path / "run", slow, lambda event: promising(1000.0)(offsite(event))), "rto:restore:offsite/archive")
    assert found.change
    assert (found.change.before, found.change.after) == ('repositories = ["offsite", "usb"]', 'repositories = ["usb", "offsite"]')


def json_replaced(event: Event, *pairs: str) -> Event:
    text = json.dumps(event)
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        text = text.replace(old, new)
    found: Event = json.loads(text)
    return found


def test_minutes_by_hand_are_proposed_with_their_line_where_the_rto_has_none_to_spare(tmp_path: Path) -> None:
    found = [
        proposal for proposal in proposals(record(tmp_path / "run", change=promising(1100.0))) if proposal.key[:6] == "manual"
    ]
    assert [proposal.change.before for proposal in found if proposal.change] == ['takes = "8m"', 'takes = "3m"']
    assert [proposal.figure for proposal in found] == [480.0, 180.0]
    assert "44% of the RTO" in found[0].why


def test_a_trend_needs_runs_that_grow() -> None:
    assert runs_left([10, 11, 12, 13], 15) == pytest.approx(2.0)
    assert runs_left([10, 11, 12], 15) is None
    assert runs_left([13, 12, 11, 10], 15) is None
    assert runs_left([10, 10.2, 10.1, 10.3], 11) is None


def test_runs_under_the_limits_of_another_board_make_no_trend(tmp_path: Path) -> None:
    now = record(tmp_path / "now", change=promising(1250.0))
    assert now.rto.measured
    growing = [
        {
            **figures(record(tmp_path / str(n), Month(BEGAN - timedelta(days=n), USUAL.age, 40.0))),
            "rto": now.rto.measured - 60.0 * n,
        }
        for n in range(1, 4)
    ]
    assert "it would be missed" in proposals(now, growing)[0].why
    assert proposals(now, [{**each, "board": "zero2"} for each in growing]) == ()


# --- restore points that are gone


def searched(days: float, late: float, *, good: int | None, number: int = 10) -> Callable[[list[Event]], list[Event]]:
    """A corruption that was searched for in restore points that go back so many days; `good` is the place of the good one."""

    def told(of: list[Event]) -> list[Event]:
        lost = BEGAN - timedelta(seconds=90)
        step = timedelta(days=days) / number
        points = [{"snapshot": f"{n:04x}", "time": (lost - timedelta(days=days) + n * step).isoformat()} for n in range(number)]
        new: list[Event] = []
        for event in of:
            new.append(event)
            if event["kind"] == "case":
                new[-1] = event | {"class_": "corruption", "name": "corruption", "restore": "newest-good"}
                stamp = {"t": event["t"], "at": event["at"]}
                new.append({"kind": "searched", "repository": "usb", "points": points, **stamp})
                probes = [(place, place == good) for place in ({0, 5} if good is None else {good, good + 1})]
                asked = {"run": "", "seconds": 1.0, "answers": [], "reason": "", **stamp}
                new += [{"kind": "probe", "repository": "usb", "good": well, **points[place], **asked} for place, well in probes]
                if late:
                    at = (lost - timedelta(days=late)).isoformat()
                    new.append({**stamp, "kind": "happened", "at": at, "why": "it was seen then"})
            if event["kind"] == "restore_point" and good is not None and event["repository"] == "usb":
                new[-1] = event | {"snapshot": points[good]["snapshot"], "time": points[good]["time"]}
        return new

    return told


def corrupted(folder: Path, change: Callable[[list[Event]], list[Event]], *more: Event) -> Record:
    return fold([*change(events(folder)), *more])


GONE = {
    "kind": "finding", "t": 900.0, "at": "", "code": "no-good-restore-point", "severity": "error", "where": "restore points",
    "what": "None is good.", "fix": "", "evidence": "",
}  # fmt: skip


def test_where_no_restore_point_was_good_more_are_proposed_to_be_kept(tmp_path: Path) -> None:
    found = only(corrupted(tmp_path / "run", searched(10, 0, good=None), GONE), "keep:usb")
    assert found.urgency == 0
    assert (found.figure, found.aim) == (10 * 86400, 20 * 86400)
    assert "`restic forget --keep-daily 14 --keep-weekly 4`" in found.how
    assert "Muster does not know where that is" in found.how


def test_restore_points_that_hardly_go_back_far_enough_are_proposed_to_be_kept_longer(tmp_path: Path) -> None:
    found = only(corrupted(tmp_path / "run", searched(10, 9, good=3)), "keep:usb")
    assert found.urgency == 1
    assert "an incident has begun 9 d before it was noticed" in found.why


def test_restore_points_that_go_back_far_enough_are_left_alone(tmp_path: Path) -> None:
    assert "keep:usb" not in keys(proposals(corrupted(tmp_path / "run", searched(30, 9, good=6))))


def test_a_repository_that_is_not_a_day_old_is_no_matter_of_retention(tmp_path: Path) -> None:
    assert "keep:usb" not in keys(proposals(corrupted(tmp_path / "run", searched(0.5, 9, good=0))))


def test_a_good_restore_point_that_was_the_oldest_left_is_told(tmp_path: Path) -> None:
    found = only(corrupted(tmp_path / "run", searched(30, 9, good=0)), "keep:usb")
    assert "the good one was the oldest that was left" in found.why


def test_a_plan_that_forgets_gets_the_changed_line(tmp_path: Path) -> None:
    forgets = 'run = "restic forget --keep-daily 3 --prune"'
    month = with_plan(lambda text: text.replace('run = "telemetry-rotate tls"', forgets), USUAL)
    told = searched(10, 0, good=None)(events(tmp_path / "run", month))
    found = only(fold([*told, GONE]), "keep:usb")
    assert found.change
    assert (found.change.before, found.change.after) == (
        forgets,
        'run = "restic forget --keep-daily 14 --keep-weekly 4 --prune"',
    )


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (3, "--keep-hourly 48 --keep-daily 7"),
        (13, "--keep-hourly 48 --keep-daily 14"),
        (40, "--keep-daily 14 --keep-weekly 7"),
        (200, "--keep-daily 14 --keep-weekly 8 --keep-monthly 8"),
    ],
)
def test_what_is_kept_goes_back_as_far_as_is_needed(days: float, line: str) -> None:
    assert keeping(days * 86400) == line


# --- what nobody would notice


def months(folder: Path, number: int, **month: Any) -> list[Figures]:  # noqa: ANN401  # parts of a month
    found: list[Figures] = []
    for n in range(number, 0, -1):
        at = BEGAN - timedelta(days=30 * n)
        found.insert(0, figures(record(folder / f"m{n}", Month(at, timedelta(minutes=5), 40.0, **month)), found))
    return found


def test_checks_that_have_not_run_in_three_runs_are_told_with_what_keeps_them(tmp_path: Path) -> None:
    breaks = {"start:nginx": "nginx.service failed."}
    now = record(tmp_path / "now", Month(BEGAN, timedelta(minutes=5), 40.0, breaks=breaks))
    found = only(now, "unrun", months(tmp_path, 2, breaks=breaks))
    assert found.title == "Get 2 checks to run that never do"
    assert "smoke:status-page and smoke:archive" in found.why
    assert "needs start:nginx, which failed" in found.how
    assert "unrun" not in keys(proposals(now, months(tmp_path / "well", 2)))


def test_a_dataset_that_nothing_asks_about_is_told_with_a_question_to_add(tmp_path: Path) -> None:
    month = with_plan(lambda text: f'{text}\n[data.letters]\nclass = "data"\npaths = ["/srv/letters"]\n')
    found = only(record(tmp_path / "run", month), "unasked")
    assert found.title == "Ask something about letters"
    assert found.change
    assert found.change.after.startswith("[metrics.letters]\nrun = ")
    assert found.change.line == month.plan(plan_text(tmp_path / "other")).splitlines().index("[data.letters]") + 1


def plan_text(folder: Path) -> str:
    return record(folder).handbook.plan_text


def test_incidents_and_copies_that_were_never_tried_are_told_once_there_is_a_habit(tmp_path: Path) -> None:
    now = record(tmp_path / "now")
    assert proposals(now, months(tmp_path / "few", 1)) == ()
    found = proposals(now, months(tmp_path / "many", 2))
    assert keys(found) == ["undrilled", "unrestored"]
    assert "corruption, compromise, site-loss, password-loss and ransomware were never drilled" in found[0].why
    assert "--drill-repo offsite --drill-repo vault-offsite" in found[1].how


def test_an_incident_that_was_drilled_half_a_year_ago_is_due_again(tmp_path: Path) -> None:
    old = {**months(tmp_path, 2)[0], "incident": "corruption", "started_at": (BEGAN - timedelta(days=200)).isoformat()}
    found = only(record(tmp_path / "now"), "undrilled", [*months(tmp_path / "more", 2), old])
    assert "corruption was drilled 200 d ago" in found.why


# --- secrets


def old(days: float) -> Event:
    at = (BEGAN - timedelta(days=days)).isoformat()
    return {"kind": "oldest", "t": 900.0, "at": "", "dataset": "keys", "path": "/etc/telemetry/keys/app.key", "modified": at}


def test_secrets_that_will_be_overdue_at_the_next_drill_are_told_with_what_rotates_them(tmp_path: Path) -> None:
    found = only(fold([*events(tmp_path / "run"), old(80)]), "secret:keys")
    assert found.title == "Rotate the secrets of keys within 10 d"
    assert "`telemetry-rotate app-key`" in found.how
    assert proposals(fold([*events(tmp_path / "young"), old(40)])) == ()


def test_overdue_secrets_are_told_with_the_line_that_promises_less(tmp_path: Path) -> None:
    overdue = GONE | {"code": "secret-overdue", "where": "keys", "what": "The Pi has 9 secrets older than 90d."}
    found = only(fold([*events(tmp_path / "run"), old(100), overdue]), "secret:keys")
    assert (found.urgency, found.why) == (0, "The Pi has 9 secrets older than 90d.")
    assert found.instead
    assert (found.instead.before, found.instead.after) == ('rotate_every = "90d"', 'rotate_every = "2640h"')


# --- plans that cannot be read


@pytest.mark.parametrize(
    "text", ["", "not [ toml", "[objectives]\nrpo = 7\n", "data = 3\nservices = []\nmanual = 'x'", "\x00", "a = {" * 500]
)
def test_a_plan_that_cannot_be_read_only_takes_the_lines_away(tmp_path: Path, text: str) -> None:
    found = proposals(record(tmp_path / "run", LATE, lambda event: promising(1000.0)(put("plan", text=text)(event))))
    assert "rpo:readings" in keys(found)
    assert all(proposal.change is None for proposal in found if not proposal.key.startswith("rpo:"))
