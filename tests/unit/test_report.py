"""The page of one drill: what it says, what it must never say, and that nothing in it comes from elsewhere."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import muster.report
from muster.journal import read
from muster.record import Record, fold
from muster.report.budget import budget, gauge
from muster.report.page import LONGEST, summary, whole
from muster.report.timeline import timeline
from tests.data.demo import cut_off, failing, passing
from tests.data.told import BEGAN, Told, node

if TYPE_CHECKING:
    from collections.abc import Callable

TELLERS = {"recovered": passing, "failed": failing, "not proven": cut_off}


def told(tell: Callable[[Path], Path], folder: Path) -> Record:
    return fold(read(tell(folder / tell.__name__)))


@pytest.fixture(params=TELLERS)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    return told(TELLERS[request.param], tmp_path)


class Page(HTMLParser):
    """The elements and the text of a page; style counts as no text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "rect", "line", "path", "circle", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"rect", "line", "path", "circle"}:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def hostile(journal: Told, text: str) -> Record:
    """A drill in which every word from a machine or a plan is `text`."""
    step = node("smoke login", "verified", text) | {"name": text, "subject": text, "needs": [text]}
    journal.drill(
        [step],
        plan=text, about=text, hostname=text, incident=text, machine=text, run=text, versions={text: text},
        services={text: {"rto": 60.0}}, datasets={text: {"class": "state", "rpo": 60.0, "watermark": True}},
        manual=[{"before": text, "what": text, "seconds": 1.0}],
    )  # fmt: skip
    journal.write("carried", what=text, seconds=1.0, measured_at=text)
    journal.write("restore_point", repository=text, url=text, snapshot=text, time=text, host=text, datasets=[text])
    journal.write("restored", dataset=text, files=1, bytes=1)
    journal.write("metric", name=text, value=text, expected=text, tolerance=text)
    journal.write("watermark", dataset=text, newest=text, manifest=None)
    journal.write("command", step=text, command=text, exit=1, seconds=1.0, out=text, err=text)
    journal.write("command", step="of no step", command=text, exit=0, seconds=1.0, out=text, err=text)
    journal.write("finding", code=text, severity="error", where=text, what=text, fix=text, evidence=text)
    journal.write("note", text=text)
    journal.step(text, 1.0, 2.0, "failed", reason=f"because {text}", fix=f"do {text}")
    journal.write("ended", how=text)
    return journal.told()


@pytest.mark.parametrize(("verdict", "word"), [("recovered", "Recovered"), ("failed", "Failed"), ("not proven", "Not proven")])
def test_the_page_opens_with_the_verdict_in_words(tmp_path: Path, verdict: str, word: str) -> None:
    page = Page(summary(told(TELLERS[verdict], tmp_path)))
    assert page.text.strip().startswith(word)


def test_the_page_says_what_was_proved(tmp_path: Path) -> None:
    text = Page(summary(told(passing, tmp_path))).text
    for words in (
        "telemetry-pi is back and correct, 12 min 50 s after",
        "disk-loss",
        "8f3a1c77 of usb",
        "2026-03-01 08:45:02 UTC",
    ):
        assert words in text


def test_a_drill_that_proved_nothing_shows_no_rto(tmp_path: Path) -> None:
    text = Page(summary(told(cut_off, tmp_path))).text
    assert "RTO: back after not measured" in text
    assert "is back and correct" not in text


def test_every_page_is_whole_html_with_unique_ids(record: Record) -> None:
    page = Page(summary(record))
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert labels <= set(ids)


def test_two_drills_on_one_page_keep_their_ids_apart(tmp_path: Path) -> None:
    page = Page(summary(told(passing, tmp_path)) + summary(told(failing, tmp_path)))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_comes_from_elsewhere_and_nothing_runs(record: Record) -> None:
    html = summary(record)
    assert "//" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img", "object", "link", "base", "form"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "href", "srcset", "style"}}
    assert "@import" not in html


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}<b>", "</style><svg/onload=x>"]
)
def test_what_machines_say_stands_as_text(tmp_path: Path, text: str) -> None:
    html = summary(hostile(Told(tmp_path / "journal.jsonl"), text))
    page = Page(html)
    assert text not in html
    assert re.sub(r"\s+", " ", text) in page.text
    assert not [tag for tag, _ in page.tags if tag in {"script", "img", "b/"}]
    assert not [attributes for _, attributes in page.tags if {"onerror", "onload"} & attributes.keys()]


def test_control_and_direction_marks_are_shown_as_escapes(tmp_path: Path) -> None:
    html = summary(hostile(Told(tmp_path / "journal.jsonl"), "\x1b[31mred\x1b[0m\x07 \u202egpj.exe \x00"))
    assert "red\\x07 \\u202egpj.exe \\x00" in html
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html)


def test_the_reason_of_every_step_that_did_not_end_well_is_shown(tmp_path: Path) -> None:
    record = told(failing, tmp_path)
    text = Page(summary(record)).text
    wrong = [step for step in record.steps.values() if step.outcome != "done"]
    assert len(wrong) > 10
    for step in wrong:
        assert step.reason in text
        assert re.search(rf"[✗?⊘] {step.name}", text)


def test_every_finding_says_where_what_and_how_to_mend_it(record: Record) -> None:
    text = Page(summary(record)).text
    for finding in record.findings:
        for words in (finding.code, finding.where, finding.what, finding.fix):
            assert words in text


def test_the_findings_that_decide_come_first(tmp_path: Path) -> None:
    record = fold(read(passing(tmp_path / "slow", stretch=3.0, rto=720.0)))
    text = Page(summary(record)).text
    assert text.index("✗ error · rto-missed") < text.index("! warning · MUS-B14")


def test_the_sheet_comes_first_then_the_timeline_what_was_found_and_the_evidence(record: Record) -> None:
    text = Page(summary(record)).text
    story = ["Restore point", "Timeline", "Findings", "The incident", "Promised and measured", "What came back", "Commands"]
    places = [text.index(words) for words in story]
    assert places == sorted(places)


def test_only_what_recovered_is_called_a_certificate(tmp_path: Path) -> None:
    kinds = {verdict: Page(summary(told(tell, tmp_path))).text for verdict, tell in TELLERS.items()}
    assert "Certificate of recovery" in kinds["recovered"]
    assert "Read and accepted by" in kinds["recovered"]
    for verdict, kind in {
        "failed": "Report of a failed drill",
        "not proven": "Report of a drill that proves nothing yet",
    }.items():
        assert kind in kinds[verdict]
        assert "certificate" not in kinds[verdict].lower()
        assert "accepted by" not in kinds[verdict]


def test_the_sheet_says_in_numbers_what_was_proved_and_what_was_not(tmp_path: Path) -> None:
    good, bad = (Page(summary(told(tell, tmp_path))).text for tell in (passing, failing))
    for words in ("Datasets came back ✓ 6 of 6 4,458 files, 2.0 GB", "Services answer ✓ 6 of 6", "Smoke checks ✓ 7 of 7"):
        assert words in good
    for words in ("Datasets came back ✗ 5 of 6", "Services answer ✗ 0 of 6", "Metrics ✗ 2 of 3", "Objectives kept ✗ 4 of 9"):
        assert words in bad


def test_the_sheet_names_run_and_version_and_has_a_line_to_sign_on(tmp_path: Path) -> None:
    text = Page(summary(told(passing, tmp_path))).text
    assert "Run passing , by Muster 0.1.0." in text
    assert "Read and accepted by Date" in text


def test_a_whole_page_has_a_strict_policy_and_a_title(tmp_path: Path) -> None:
    html = whole([told(passing, tmp_path), told(failing, tmp_path)])
    assert "<title>1 of 2 drills well: telemetry · Muster</title>" in html
    policy = html.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert html.count("<style>") == 1
    assert "Recovered: recovery of telemetry · Muster" in whole([told(passing, tmp_path / "one")])


def test_a_step_that_failed_without_a_finding_still_shows_its_cure(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("smoke login")])
    journal.step("smoke login", 1.0, 2.0, "failed", reason="it was refused", fix="Restore the password file.")
    assert "How to mend it: Restore the password file." in Page(summary(journal.told())).text


def test_a_metric_that_was_never_asked_is_shown_as_that(tmp_path: Path) -> None:
    text = Page(summary(told(failing, tmp_path))).text
    assert re.search("readings not asked . . ⊘ blocked, did not run", text)


def test_a_metric_that_differs_is_never_called_the_same(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("metric readings")])
    journal.write("metric", name="readings", value="9", expected="10", tolerance="0%")
    journal.step("metric readings", 1.0, 2.0, "failed", reason="9 is not 10")
    text = Page(summary(journal.told())).text
    assert "9 10 0% ✗ failed" in text
    assert "✓ the same" not in text


def test_a_metric_within_tolerance_is_told_from_one_that_is_the_same(tmp_path: Path) -> None:
    text = Page(summary(told(passing, tmp_path))).text
    assert "readings 182441 182441 0% ✓ the same" in text
    assert "4380 1913409941 1% ✓ within tolerance" in text


def test_commands_stand_under_their_step_with_time_and_exit(tmp_path: Path) -> None:
    record = told(failing, tmp_path)
    text = Page(summary(record)).text
    for command in record.commands:
        assert re.sub(r"\s+", " ", command.command) in text
    assert "✗ exit 1" in text
    assert "✗ ran out of time" in text
    without = Page(summary(record, commands=False)).text
    assert "pg_isready" not in without


def test_the_end_of_a_long_output_is_kept(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("smoke login")])
    journal.write("command", step="smoke login", command="x", exit=1, seconds=1.0, out="a" * (LONGEST + 5) + "the end", err="")
    html = summary(journal.told())
    assert "the end" in html
    assert "[12 characters before this are in the journal]" in html


def test_nothing_on_the_page_is_wider_than_the_picture(record: Record) -> None:
    rects = [
        attributes
        for tag, attributes in Page(summary(record)).tags
        if tag == "rect" and str(attributes.get("x", "")).endswith("%")
    ]
    assert rects
    for rect in rects:
        left, width = (float(str(rect[name]).removesuffix("%")) for name in ("x", "width"))
        assert 0 <= left <= 100
        assert left + width <= 100.7


def test_a_journal_without_a_drill_has_a_page_that_says_so() -> None:
    assert "the journal holds no drill" in Page(summary(fold([]))).text


def test_the_rto_line_is_drawn_where_hands_and_packages_leave_it(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    manual = [{"before": "provisioned", "what": "flash", "seconds": 50.0}]
    journal.drill([node("smoke login")], objectives={"rto": 100.0, "rpo": 3600.0}, manual=manual)
    journal.step("smoke login", 0.0, 100.0)
    picture = timeline(journal.told())
    assert picture.deadline == 50.0
    assert picture.line == pytest.approx(50 / 1.02)
    assert picture.beyond is None


def test_an_rto_far_beyond_the_drill_is_an_arrow(tmp_path: Path) -> None:
    record = told(passing, tmp_path)
    picture = timeline(record)
    assert picture.line is None
    assert picture.beyond == pytest.approx(1800 - 660 - 71.4 - record.seconds)
    assert "RTO →" in summary(record)


def test_bars_count_from_the_drill_and_not_from_the_journal(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.clock = 90.0
    journal.drill([node("smoke login")])
    journal.step("smoke login", 90.0, 100.0)
    (group,) = timeline(journal.told()).groups
    assert (group.bars[0].left, group.bars[0].seconds) == (0.0, 10.0)


def test_the_picture_ends_with_the_last_step_and_not_with_the_machine(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("smoke login")], objectives={"rto": 1000.0, "rpo": 3600.0})
    journal.step("smoke login", 0.0, 10.0)
    journal.clock = 60.0
    journal.write("ended", how="finished")
    assert timeline(journal.told()).beyond == 990.0


def test_unknown_kinds_and_milestones_are_drawn_too(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("dance tango", "celebrated")])
    journal.step("dance tango", 1.0, 2.0)
    picture = timeline(journal.told())
    assert [(group.milestone, bar.kind) for group in picture.groups for bar in group.bars] == [("celebrated", "other")]


def test_steps_stand_in_order_of_their_start_and_those_that_never_ran_last(tmp_path: Path) -> None:
    for group in timeline(told(failing, tmp_path)).groups:
        starts = [float("inf") if bar.step.started is None else bar.step.started for bar in group.bars]
        assert starts == sorted(starts)


def test_the_scale_has_at_most_six_marks_whatever_the_length(tmp_path: Path) -> None:
    for length in (0.5, 7, 61, 900, 40_000, 900_000):
        journal = Told(tmp_path / str(length) / "journal.jsonl")
        journal.drill([node("smoke login")])
        journal.step("smoke login", 0.0, length)
        assert 1 <= len(timeline(journal.told()).ticks) <= 6


def test_the_parts_of_the_rto_add_up(record: Record) -> None:
    parts = budget(record).parts
    assert [part.name for part in parts] == ["hands", "carried", "recovery", "left"]
    assert sum(part.seconds for part in parts) == pytest.approx(1800)
    assert sum(part.width for part in parts) == pytest.approx(100)
    for part, after in pairwise(parts):
        assert part.left + part.width == pytest.approx(after.left)


def test_a_missed_rto_has_nothing_left_and_says_by_how_much(tmp_path: Path) -> None:
    record = fold(read(passing(tmp_path / "slow", stretch=3.0, rto=720.0)))
    made = budget(record)
    assert "left" not in [part.name for part in made.parts]
    assert made.over == pytest.approx(660 + 71.4 + 38.7 * 3 - 720)
    assert made.line is not None
    assert made.line < 100
    assert "✗ over the RTO by" in summary(record)


def test_a_gauge_shows_a_miss_beyond_its_line(tmp_path: Path) -> None:
    made = gauge(fold(read(passing(tmp_path / "slow", stretch=3.0, rto=720.0))).rto)
    assert made.filled is not None
    assert made.line is not None
    assert made.line < made.filled <= 100


def page_of_pytest_html(pytester: pytest.Pytester, record_of: Path) -> str:
    css = Path(muster.report.__file__).with_name("pytest_html.css")
    pytester.makeconftest(
        f"""
        from pathlib import Path
        from muster.journal import read
        from muster.record import fold
        from muster.report.page import summary

        def pytest_html_results_summary(prefix):
            prefix.insert(0, summary(fold(read(Path({str(record_of)!r})))))
        """
    )
    pytester.makepyfile("def test_it(): pass")
    run = pytester.runpytest_subprocess(
        "-p", "no:muster.plugin", "--html=report.html", "--self-contained-html", f"--css={css}", "-p", "no:cacheprovider"
    )  # fmt: skip
    run.assert_outcomes(passed=1)
    return (pytester.path / "report.html").read_text()


def test_the_summary_and_the_style_fit_into_a_page_of_pytest_html(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(muster.report.__file__).parents[2]))
    html = page_of_pytest_html(pytester, failing(tmp_path / "run"))
    assert html.index('class="muster"') < html.index('class="run-count"')
    assert "the drill first, readable on a phone" in html
    assert '<script>alert("xss")' not in html
    assert "&lt;script&gt;alert(&#34;xss&#34;)" in html


def test_times_of_a_page_are_told_in_utc(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    lost = (BEGAN + timedelta(hours=1)).isoformat().replace("+00:00", "+01:00")
    journal.drill([node("smoke login")], lost_at=lost)
    assert "2026-03-01 09:00:00 UTC" in summary(journal.told())
