"""What the pages tell of an incident: when it was, the restore point and why, what is lost, and what was done because of it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from muster.alerts.message import Ended, message
from muster.journal import read
from muster.record import Record, fold
from muster.report.compromised import compromised
from muster.report.history import history, record_of
from muster.report.incident import Rehearsed, rehearsed, said_of_loss, said_of_points
from muster.report.index import write_index
from muster.report.lines import Teller
from muster.report.page import summary
from muster.report.probing import search
from muster.report.publish import closing, summaries
from muster.report.timeline import KINDS, timeline
from tests.data import incidents
from tests.data.demo import LOST, passing
from tests.data.incidents import GOOD_UNTIL, at, case, compromise, corruption, site_loss, taken
from tests.data.inspections import healthy
from tests.data.told import Told, node

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600.0


def told(tell: Callable[[Path], Path], folder: Path) -> Record:
    return fold(read(tell(folder / tell.__name__)))


def text_of(html: str) -> str:
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
    return re.sub(r"\s+", " ", bare)


def of(record: Record) -> Rehearsed:
    found = rehearsed(record)
    assert found is not None
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Told:
    return Told(tmp_path / "run" / "journal.jsonl")


def lost_from(journal: Told, newest: timedelta, began: timedelta | None) -> Rehearsed:
    """A drill with one dataset; both times are counted back from when the incident was noticed."""
    dataset = {"readings": {"class": "state", "rpo": 900.0, "watermark": True}}
    journal.drill([node("smoke login")], datasets=dataset, lost_at=at(LOST))
    case(journal, "corruption", "corruption", "")
    if began is not None:
        journal.write("happened", at=at(LOST - began), why="so it was")
    journal.write("restored", dataset="readings", files=1, bytes=1)
    journal.write("watermark", dataset="readings", newest=at(LOST - newest), manifest=None)
    return of(journal.told())


def test_what_is_lost_is_parted_into_before_it_began_and_by_noticing_late(journal: Told) -> None:
    (lost,) = lost_from(journal, timedelta(hours=5), timedelta(hours=4)).lost
    assert (lost.before, lost.late, lost.total) == (HOUR, 4 * HOUR, 5 * HOUR)


def test_a_dataset_from_a_newer_restore_point_has_lost_less_by_noticing_late(journal: Told) -> None:
    (lost,) = lost_from(journal, timedelta(hours=1), timedelta(hours=4)).lost
    assert (lost.before, lost.late, lost.total) == (0.0, HOUR, HOUR)


def test_nothing_is_lost_by_noticing_late_what_nobody_knows_the_beginning_of(journal: Told) -> None:
    incident = lost_from(journal, timedelta(hours=1), None)
    assert (incident.began, incident.late) == ("", 0.0)
    assert [(lost.before, lost.late) for lost in incident.lost] == [(HOUR, 0.0)]


def test_what_is_lost_is_unknown_while_one_dataset_is(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    datasets = {name: {"class": "data", "rpo": 900.0, "watermark": False} for name in ("etc", "media")}
    journal.drill([node("smoke login")], datasets=datasets)
    journal.write("restore_point", repository="usb", url="", snapshot="1", time=at(LOST), host="", datasets=["etc", "media"])
    journal.write("restored", dataset="etc", files=1, bytes=1)
    record = journal.told()
    assert of(record).worst is None
    assert said_of_loss(of(record)) == "unknown of 1 of 2 datasets"
    assert "Data lost unknown media" in text_of(summary(record))


def test_milestones_count_hands_and_packages_as_the_rto_does(tmp_path: Path) -> None:
    record = told(passing, tmp_path)
    reached = {each.milestone: each for each in of(record).reached}
    assert reached["provisioned"].seconds == pytest.approx(3.9 + 480 + 71.4)
    assert reached["configured"].seconds == pytest.approx(5.6 + 480 + 180 + 71.4)
    assert reached["verified"].seconds == record.rto.measured
    text = text_of(summary(record))
    assert "✓ provisioned after 9 min 15 s 3.9 s of it in the drill" in text


def test_a_milestone_that_was_not_reached_has_no_time(journal: Told) -> None:
    manual = [{"before": "provisioned", "what": "flash", "seconds": 50.0}]
    journal.drill([node("provision machine", "provisioned"), node("smoke login")], manual=manual)
    journal.step("provision machine", 1.0, 2.0)
    reached = of(journal.told()).reached
    assert [each.seconds for each in reached] == [52.0, 52.0, 52.0, 52.0, None]


def test_the_page_of_a_corruption_tells_when_from_where_why_and_what_is_lost(tmp_path: Path) -> None:
    text = text_of(summary(told(corruption, tmp_path)))
    for words in (
        "with data from at most 14 min 02 s before the incident began, which was 3 h 46 min before it was noticed.",
        "What happened corruption The data is wrong, and nobody knows since when",
        "Began 2026-03-01 05:12:12 UTC as far as is known",
        "Why it is taken to have begun then: the first restore point after it is bad.",
        "Noticed 2026-03-01 08:58:12 UTC 3 h 46 min later",
        "Restore point 2026-03-01 04:58:12 UTC 14 min before the incident",
        "Data lost 4 h at most, of readings: 14 min 02 s before it began, 3 h 46 min by noticing late",
        "It is the newest of 64 restore points that is good",
        "usb 46a1c77d 2026-03-01 04:58:12 UTC 14 min before the incident (4 h when it was noticed)",
        "readings 2026-03-01 04:58:10 UTC (newest recovered record) 4 h 14 min 02 s 3 h 46 min",
    ):
        assert words in text


def test_a_restore_point_of_several_runs_is_told_with_its_skew(tmp_path: Path) -> None:
    record = told(corruption, tmp_path)
    assert of(record).skew == 17 * 14 * 60
    assert "It is a set of snapshots of different backup runs, up to 3 h 58 min apart." in text_of(summary(record))
    assert said_of_points(of(record)) == (
        "usb 46a1c77d, vault 46a1c77d, of 2026-03-01 04:58:12 UTC; usb 63a1c77d, of 2026-03-01 08:56:12 UTC"
    )


def test_snapshots_of_one_run_are_told_with_one_time(journal: Told) -> None:
    journal.drill([node("smoke login")])
    for repository, seconds in (("vault", 1), ("usb", 0)):
        time = at(LOST + timedelta(seconds=seconds))
        journal.write("restore_point", repository=repository, url="", snapshot=repository, time=time, host="", datasets=[])
    assert said_of_points(of(journal.told())) == "usb usb, vault vault, of 2026-03-01 08:58:12 UTC"


def test_a_restore_point_of_one_run_has_no_skew(tmp_path: Path) -> None:
    record = told(site_loss, tmp_path)
    assert of(record).skew == 0
    assert "a set of snapshots" not in text_of(summary(record))


def test_every_probe_is_shown_with_its_order_its_answers_and_its_seconds(tmp_path: Path) -> None:
    text = text_of(summary(told(corruption, tmp_path)))
    assert "7 probes among 64 restore points, 21.6 s in all." in text
    assert "2026-03-01 05:12:12 UTC usb 47a1c77d 2 of 7 ✗ bad readings: 9 of its rows have no sensor" in text
    assert "invariant orphans: 9 ✗ wrong metric sum: 10141 ✓ right" in text
    assert "usb 46a1c77d ◆ chosen 7 of 7 ✓ good invariant orphans: 0 ✓ right" in text
    text = text.partition("7 probes among")[2]
    assert text.index("1 of 7") < text.index("4 of 7") < text.index("7 of 7") < text.index("2 of 7")


def test_the_picture_of_a_search_shows_all_restore_points_and_where_the_good_end(tmp_path: Path) -> None:
    found = search(told(corruption, tmp_path))
    assert found is not None
    (strip,) = found.strips
    states = [mark.state for mark in strip.marks]
    assert (len(states), states.count("good"), states.count("bad"), states.count("unasked")) == (64, 5, 2, 57)
    assert [number for number, mark in enumerate(strip.marks) if mark.chosen] == [GOOD_UNTIL]
    assert strip.boundary == pytest.approx(100 * (GOOD_UNTIL + 1) / 64, abs=0.2)
    assert all(mark.left >= 0 and mark.left + mark.width <= 100 for mark in strip.marks)


def test_a_search_without_its_restore_points_is_drawn_from_its_probes(tmp_path: Path) -> None:
    events = [event for event in read(corruption(tmp_path)) if event["kind"] != "searched"]
    found = search(fold(events))
    assert found is not None
    assert (len(found.strips[0].marks), found.exhaustive) == (7, False)
    assert "7 probes, 21.6 s in all" in text_of(summary(fold(events)))


def test_a_history_that_turns_back_is_told_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    good = {*range(20), *range(31, GOOD_UNTIL + 1)}
    turning = fold(read(corruption(tmp_path / "a", probed=[31, 19, 25, 47], good=good)))
    assert "! The history is not monotonic: 2026-03-01 01:28:12 UTC was good although" in text_of(summary(turning))
    assert "--drill-exhaustive" in text_of(summary(turning))
    assert "not monotonic" not in text_of(summary(told(corruption, tmp_path)))


def test_an_exhaustive_search_folds_its_table_and_asks_for_no_other_one(tmp_path: Path) -> None:
    good = {*range(20), *range(31, GOOD_UNTIL + 1)}
    record = fold(read(corruption(tmp_path, probed=list(range(63, -1, -1)), good=good)))
    found = search(record)
    assert found is not None
    assert (found.exhaustive, found.labelled) == (True, False)
    html = summary(record)
    assert "64 probes, one of each restore point, 3 min 05 s in all" in text_of(html)
    assert "not monotonic" in text_of(html)
    assert "--drill-exhaustive" not in text_of(html)
    assert "<summary>All 64 probes</summary>" in html


def test_a_bad_restore_point_that_gave_another_dataset_is_not_the_chosen_one(tmp_path: Path) -> None:
    record = fold(read(corruption(tmp_path, probed=list(range(63, -1, -1)), good=set(range(GOOD_UNTIL + 1)))))
    found = search(record)
    assert found is not None
    assert [asked.probe.snapshot for asked in found.rows if asked.chosen] == [incidents.snapshot(GOOD_UNTIL)]


def test_a_restore_point_that_could_not_be_asked_is_neither_good_nor_bad(journal: Told) -> None:
    journal.drill([node("search")])
    facts = {"repository": "usb", "snapshot": "1", "time": at(LOST), "run": "", "seconds": 1.0, "answers": []}
    journal.write("probe", good=None, reason="its pack is damaged", **facts)
    text = text_of(summary(journal.told()))
    assert "1 of 1 ? not asked its pack is damaged" in text
    assert "✗ bad" not in text


def test_one_restore_point_needs_no_picture(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("search")])
    facts = {"repository": "usb", "snapshot": "1", "time": at(LOST), "run": "", "seconds": 1.0, "answers": [], "reason": ""}
    journal.write("probe", good=True, **facts)
    assert 'class="strip"' not in summary(journal.told())
    assert 'class="strip"' in summary(told(corruption, tmp_path))


def test_what_could_be_merged_is_told_with_what_was_taken(tmp_path: Path) -> None:
    text = text_of(summary(told(corruption, tmp_path)))
    assert "media 63a1c77d 2026-03-01 08:56:12 UTC 3 h 58 min ✓ taken" in text
    assert "events 63a1c77d 2026-03-01 08:56:12 UTC 3 h 58 min left there" in text


def test_a_compromise_shows_what_was_compared_replaced_and_tried(tmp_path: Path) -> None:
    text = text_of(summary(told(compromise, tmp_path)))
    for words in (
        "Began 2026-03-01 05:58:12 UTC as far as is known",
        "Why it is taken to have begun then: the first sign of it was left then.",
        "It is the last one before the first sign of the incident.",
        "Rehearsed in a copy, where this is what breaks the Pi: useradd -o -u 0 backup",
        "units and timers 212 ✓ none snapshot 00a1c77d of usb",
        "mqtt /etc/telemetry/keys/mqtt-ingest.password ✓ yes ✓ refused ✓ works 3.2 s",
        "4 attempts with what the lost Pi had, ✓ all refused",
        "SFTP: remove a pack offsite ✓ refused Permission denied",
    ):
        assert words in text
    assert "What was not done to the end" not in text


def test_a_compromise_that_went_wrong_says_where(tmp_path: Path) -> None:
    text = text_of(summary(fold(read(compromise(tmp_path, healthy=False)))))
    for words in (
        "programs of packages 9,211 ✗ 2 the clean machine",
        "tls ? no ✗ still works ? not tried 2.8 s",
        "4 attempts with what the lost Pi had, ✗ 1 not refused",
        "SFTP: remove a pack offsite ✗ not refused",
        "rotate tls ✗ failed : the old certificate is still taken",
        "rotate app-key ⊘ blocked, did not run : it needs rotate tls, which failed",
    ):
        assert words in text
    assert "all refused" not in text


def test_a_step_that_failed_with_a_cure_is_not_called_none(tmp_path: Path) -> None:
    text = text_of(summary(fold(read(compromise(tmp_path, healthy=False)))))
    assert "Findings ✗ failed · rotate tls the old certificate is still taken" in text
    assert "Findings None." in text_of(summary(told(compromise, tmp_path)))


def test_an_attempt_that_tells_about_two_repositories_is_counted_once(journal: Told) -> None:
    journal.drill([node("tryout offsite")])
    for what in ("delete a pack", "delete the key"):
        for repository in ("offsite", "vault-offsite"):
            journal.write("attempt", repository=repository, what=what, refused=True, said="Permission denied")
    text = text_of(summary(journal.told()))
    assert "2 attempts with what the lost Pi had, ✓ all refused" in text
    assert "delete a pack offsite, vault-offsite ✓ refused Permission denied" in text


def test_comparing_nothing_is_not_called_equal(journal: Told) -> None:
    journal.drill([node("compare usb")])
    journal.write("compared", what="timers", against="nothing older", looked=0, differing=0)
    text = text_of(summary(journal.told()))
    assert re.search("timers 0 . nothing older", text)
    assert "✓ none" not in text


def test_the_loss_of_a_site_names_what_is_gone_and_where_the_passwords_came_from(tmp_path: Path) -> None:
    text = text_of(summary(told(site_loss, tmp_path)))
    assert "What happened site-loss (disk-loss) The Pi is gone, and so is every disk beside it" in text
    assert "Gone with the Pi: usb, vault ." in text
    assert "all of them came from the escrow" in text
    assert "Began, and was noticed 2026-03-01 08:58:12 UTC" in text
    assert "By noticing late" not in text


def test_a_restore_point_that_was_asked_for_by_name_is_said_to_be(journal: Told) -> None:
    journal.drill([node("smoke login")])
    case(journal, "disk-loss", "disk-loss", "", restore="8f3a1c77")
    assert of(journal.told()).why == "8f3a1c77 was asked for by name."


def test_a_compromise_without_a_first_sign_claims_none(journal: Told) -> None:
    journal.drill([node("smoke login")])
    case(journal, "compromise", "compromise", "")
    record = journal.told()
    assert of(record).why == "No first sign of the incident was named: it is the latest that is left."
    assert "before the first sign" not in text_of(summary(record))


@pytest.mark.parametrize("tell", [corruption, compromise, site_loss])
def test_a_journal_of_before_incidents_were_told_has_a_page(tmp_path: Path, tell: Callable[[Path], Path]) -> None:
    new = {"case", "happened", "chose", "searched", "probe", "merge", "compared", "rotated", "attempt"}
    record = fold(event for event in read(tell(tmp_path)) if event["kind"] not in new)
    text = text_of(summary(record))
    assert f"What happened {record.incident}" in text
    assert "Began, and was noticed 2026-03-01 08:58:12 UTC" in text
    assert "Time to each milestone" in text
    assert "probe" not in text


def test_the_incident_of_a_drill_that_found_nothing_is_told_too(journal: Told) -> None:
    journal.drill([node("list usb", "configured"), node("smoke login")])
    case(journal, "corruption", "corruption", "")
    journal.step("list usb", 1.0, 2.0, "failed", reason="no snapshot")
    text = text_of(summary(journal.told()))
    assert "Began not known" in text
    assert "Restore point none was found" in text
    assert re.search(". verified not reached", text)


def hostile(journal: Told, text: str) -> Record:
    """An incident in which every word is `text`."""
    journal.drill([node("search"), node("rotate x")], datasets={text: {"class": "state", "rpo": 60.0, "watermark": True}})
    facts: dict[str, Any] = {"restore": text, "lost": [text], "first_sign": text, "section": text, "planted": text}
    case(journal, text, text, text, **facts)
    journal.write("happened", at=text, why=text)
    journal.write("chose", why=text)
    journal.write("restore_point", repository=text, url=text, snapshot=text, time=text, host=text, datasets=[text])
    journal.write("searched", repository=text, points=[{"snapshot": text, "time": text}])
    answers = [{"question": text, "answer": text, "right": False}]
    probe = {"repository": text, "snapshot": text, "time": text, "run": text, "reason": text, "answers": answers}
    journal.write("probe", good=True, seconds=1.0, **probe)
    journal.write("merge", dataset=text, snapshot=text, time=text, skew=1.0, taken=True)
    journal.write("compared", what=text, against=text, looked=1, differing=1)
    journal.write("rotated", name=text, secrets=[text], old_worked=None, old_refused=None, new_works=None, seconds=1.0)
    journal.write("attempt", repository=text, what=text, refused=False, said=text)
    journal.step("rotate x", 1.0, 2.0, "failed", reason=text)
    return journal.told()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}<b>"])
def test_what_an_incident_says_stands_as_text(journal: Told, text: str) -> None:
    html = summary(hostile(journal, text))
    assert text not in html
    assert not re.search("<(script|img|b/)", html)


def test_control_marks_of_an_incident_are_shown_as_escapes(journal: Told) -> None:
    html = summary(hostile(journal, "\x1b[31mred\x1b[0m\x07 \u202egpj.exe \x00"))
    assert "red\\x07 \\u202egpj.exe \\x00" in html
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html)


def test_the_new_kinds_of_steps_have_a_colour_of_their_own(tmp_path: Path) -> None:
    assert {"search", "compare", "rotate", "tryout", "invariant"} <= set(KINDS)
    drawn = set(timeline(told(corruption, tmp_path)).kinds) | set(timeline(told(compromise, tmp_path)).kinds)
    assert {"search", "compare", "rotate", "tryout", "invariant"} <= drawn
    html = summary(told(corruption, tmp_path / "again"))
    for kind in KINDS:
        assert f"--{kind}:" in html
        assert f".{kind} {{ fill: var(--{kind})" in html


def test_a_page_of_several_drills_begins_with_all_of_them(tmp_path: Path) -> None:
    incidents.write_run(tmp_path)
    pages = summaries(tmp_path / "20260302-090000-b2")
    text = text_of(pages[0])
    assert len(pages) == 4
    assert "3 drills in this run" in text
    assert "compromise Failed rotate tls: the old certificate is still taken (and 2 more) 2026-03-01 05:54:12 UTC" in text
    assert "corruption Recovered 2026-03-01 04:58:12 UTC 14 min before the incident at most 4 h (readings), 3 h 46 min" in text
    assert "disk-loss Failed" in text
    assert "unknown of 2 of 6 datasets ? not measured" in text
    ids = re.findall(r'\sid="([^"]*)"', "".join(pages))
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]*)"', pages[0])
    assert len(links) == 3
    assert set(links) <= set(ids)


def test_an_inspection_beside_a_drill_recovers_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    site_loss(folder)
    healthy(folder)
    text = text_of(summaries(folder)[0])
    assert "1 drill and 1 inspection in this run" in text
    assert "inspection of the backups Proven nothing was recovered" in text


def test_a_page_of_one_drill_needs_no_overview(tmp_path: Path) -> None:
    passing(tmp_path / "run")
    assert len(summaries(tmp_path / "run")) == 1


def test_the_terminal_names_incident_restore_point_and_what_is_lost(tmp_path: Path) -> None:
    corruption(tmp_path / "run")
    text = re.sub(r"\s+", " ", " ".join(closing(tmp_path / "run", {}, color=False)))
    assert "Incident corruption of 2026-03-01 05:12:12 UTC, noticed 3 h 46 min later" in text
    assert "Restore point usb 46a1c77d, vault 46a1c77d, of 2026-03-01 04:58:12 UTC; usb 63a1c77d" in text
    assert "It is the newest of 64 restore points that is good" in text
    assert "Data lost at most 4 h (readings), 3 h 46 min of it by noticing late" in text
    assert "RTO of mosquitto" in text


def test_the_terminal_leaves_out_services_without_a_promise_where_several_drills_are_told(tmp_path: Path) -> None:
    incidents.write_run(tmp_path)
    text = "\n".join(closing(tmp_path / "20260301-090000-a1", {}, color=False))
    assert text.count("Data lost") == 4
    assert text.count("RTO of ingest") == 4
    assert "RTO of mosquitto" not in text
    failed = "\n".join(closing(tmp_path / "20260302-090000-b2", {}, color=False))
    assert re.search("RTO of ingest +[?] not measured", failed)


def test_an_alert_names_the_incident_how_late_it_was_noticed_and_the_restore_point(tmp_path: Path) -> None:
    lines = message(Ended(told(compromise, tmp_path)), tmp_path).body.splitlines()
    assert "Incident: compromise: Somebody else was on the Pi" in lines
    assert "Noticed: 3 h after it began; lost at most 3 h 4 min (readings), 3 h of it by noticing late" in lines
    assert "Restore point: usb 50a1c77d, vault 50a1c77d, of 2026-03-01 05:54:12 UTC" in lines
    assert "Data lost before it began: 4 min 02 s (promised: 1 h)" in lines


def test_an_alert_of_an_older_journal_is_as_it_was(tmp_path: Path) -> None:
    body = message(Ended(told(passing, tmp_path)), tmp_path).body
    assert "Incident:" not in body
    assert "Data lost: 13 min 13 s (promised: 1 h)" in body


def test_plain_lines_tell_each_probe_and_the_choice(tmp_path: Path) -> None:
    teller = Teller()
    lines = [line for event in read(corruption(tmp_path)) for line in teller.tell(event)]
    assert "  0:09  ✓ probe of usb, 2026-03-01 01:28:12 UTC: good in 2.9 s" in lines
    reason = "readings: 9 of its rows have no sensor"
    assert f"  0:09  ✗ probe of usb, {taken(47):%Y-%m-%d %H:%M:%S} UTC: bad in 3.1 s: {reason}" in lines
    assert [line for line in lines if line.startswith("  0:09  restore point: It is the newest of 64")]


def test_the_index_shows_the_latest_of_each_incident(tmp_path: Path) -> None:
    incidents.write_run(tmp_path)
    html = write_index(tmp_path).read_text()
    text = text_of(html.partition('id="runs"')[0])
    for incident, day in (("disk-loss", "02"), ("site-loss", "01"), ("corruption", "02"), ("compromise", "02")):
        assert text.count(f"The latest recovery from {incident} , 2026-03-{day} ") == 2
    assert html.count('<details class="latest"') == 4
    assert html.count('<details class="latest" open>') == 1
    assert "<title>2 of 4 well · Muster</title>" in html
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(ids)


def test_plans_are_told_apart_on_the_index(tmp_path: Path) -> None:
    passing(tmp_path / "a")
    other = Told(tmp_path / "b" / "journal.jsonl", LOST + timedelta(days=1))
    other.drill([node("smoke login")], plan="garden")
    other.close()
    text = text_of(write_index(tmp_path).read_text())
    assert "The latest recovery from disk-loss of telemetry" in text
    assert "The latest recovery from disk-loss of garden" in text


def test_the_table_of_runs_tells_what_was_lost_by_noticing_late(tmp_path: Path) -> None:
    incidents.write_run(tmp_path)
    table = text_of(write_index(tmp_path).read_text()).partition("All runs Verdict")[2]
    assert "recovery from site-loss (disk-loss), container" in table
    assert table.count("lost at most 4 h, 3 h 46 min of it by noticing late") == 2


def test_history_keeps_class_beginning_and_loss(tmp_path: Path) -> None:
    corruption(tmp_path / "run")
    (run,) = history(tmp_path)[0]
    kept = {name: run.figures[name] for name in ("incident", "class", "began", "lost", "late")}
    began = at(taken(GOOD_UNTIL + 1))
    assert kept == {
        "incident": "corruption",
        "class": "corruption",
        "began": began,
        "lost": pytest.approx(4 * HOUR + 2),
        "late": 3 * HOUR + 46 * 60,
    }


def test_an_inspection_has_no_incident(tmp_path: Path) -> None:
    record = record_of(healthy(tmp_path / "run"))
    assert rehearsed(record) is None
    assert search(record) is None
    assert compromised(record) is None
