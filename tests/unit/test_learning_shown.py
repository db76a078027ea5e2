"""Where proposals are shown: on the page of a drill, and as a line in the terminal; whatever their text is."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console

from muster.report.closing import verdict
from muster.report.history import history, record_of
from muster.report.learning import learn
from muster.report.learning.recall import learn_all, learned
from muster.report.page import summary, whole
from tests.data.learning import BEGAN, Event, figures, record
from tests.data.replay import Month, replay

if TYPE_CHECKING:
    from pathlib import Path

    from muster.record import Record

LATE = Month(BEGAN, timedelta(hours=5), 40.0, calendar="*-*-* 00:00:00", every=timedelta(days=1))
NEXT = Month(BEGAN + timedelta(days=30), timedelta(minutes=5), 40.0)
HOSTILE = "</pre><script>alert(1)</script>`$(reboot)`\n## x"


def said(record: Record, learned: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=120, highlight=False).print(verdict(record, learned=learned))
    return buffer.getvalue()


def test_a_page_shows_what_to_change_next_with_the_changed_line(tmp_path: Path) -> None:
    late = record(tmp_path / "late", LATE)
    html = summary(late, learned=learn(late))
    assert "What to change next</h2>" in html
    assert '<span class="bad">-OnCalendar=*-*-* 00:00:00</span>\n<span class="good">+OnCalendar=*:0/10</span>' in html
    assert "The other way: promise less" in html


def test_a_page_of_a_drill_with_nothing_to_change_has_no_such_section(tmp_path: Path) -> None:
    well = record(tmp_path / "well")
    assert "What to change next" not in summary(well, learned=learn(well))
    assert "To change next" not in said(well, learn(well))


def test_more_than_a_handful_is_folded(tmp_path: Path) -> None:
    def pressed(event: Event) -> Event:
        return event | {"objectives": {"rto": 900.0, "rpo": 3600.0}} if event["kind"] == "drill" else event

    slow = record(tmp_path / "slow", Month(BEGAN, timedelta(hours=5), 100.0, 2.0, calendar="daily"), pressed)
    html, found = summary(slow, learned=learn(slow)), learn(slow)
    assert len(found) > 4
    section = html.partition("What to change next</h2>")[2].partition("</section>")[0]
    assert section.count('<article class="finding proposal">') == len(found)
    assert section.partition(" more proposal")[0].count('<article class="finding proposal">') == 4


def test_the_page_and_the_terminal_say_what_a_followed_proposal_did(tmp_path: Path) -> None:
    before = figures(record(tmp_path / "late", LATE))
    now = record(tmp_path / "now", NEXT)
    found = learn(now, [before])
    sentence = "Followed since late: the RPO of readings was 5 h and is 5 min 04 s: within 15 min."
    assert sentence in summary(now, learned=found)
    assert "✓ it helped" in summary(now, learned=found)
    assert sentence in said(now, found)


def test_the_terminal_names_the_first_proposal_and_counts_the_others(tmp_path: Path) -> None:
    def pressed(event: Event) -> Event:
        return event | {"objectives": {"rto": 1000.0, "rpo": 3600.0}} if event["kind"] == "drill" else event

    late = record(tmp_path / "late", LATE, pressed)
    assert "To change next: Back up every 10 min, so that the RPO of readings is kept (3 more proposals" in said(
        late, learn(late)
    )


def test_what_plans_and_machines_say_stays_text(tmp_path: Path) -> None:
    def hostile(event: Event) -> Event:
        if event["kind"] == "drill":
            manual = [{"before": "provisioned", "what": HOSTILE, "seconds": 900.0}]
            return event | {"manual": manual, "objectives": {"rto": 1000.0, "rpo": 3600.0}}
        if event["kind"] == "backed_up_by":
            return event | {"unit": f"{HOSTILE}.timer"}
        return event | {"path": HOSTILE} if event["kind"] == "plan" else event

    late = record(tmp_path / "late", LATE, hostile)
    found = learn(late)
    html = whole([late], [found])
    assert any(HOSTILE in one["title"] for one in found)
    assert "<script" not in html
    assert "&lt;/pre&gt;&lt;script&gt;" in html
    assert "style=" not in html.partition("What to change next</h2>")[2].partition("</section>")[0]


def test_each_run_is_thought_about_once_the_oldest_first(tmp_path: Path) -> None:
    replay(tmp_path / "a-late", LATE)
    replay(tmp_path / "b-next", NEXT)
    assert [run.figures["proposals"] for run in history(tmp_path)[0]] == [None, None]
    learn_all(tmp_path)
    newer, older = history(tmp_path)[0]
    assert [one["key"] for one in older.figures["proposals"]] == ["rpo:readings"]
    assert [one["became"] for one in newer.figures["proposals"]] == ["kept"]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/record*.json")}
    learn_all(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_what_is_kept_is_what_a_page_made_later_shows(tmp_path: Path) -> None:
    replay(tmp_path / "a-late", LATE)
    newest = replay(tmp_path / "b-next", NEXT)
    learn_all(tmp_path)
    assert learned(tmp_path, [record_of(newest)]) == [history(tmp_path)[0][0].figures["proposals"]]
