"""What page, terminal and index say of an inspection, and of findings that the plan accepts, whoever found them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from muster import words
from muster.journal import read
from muster.record import Record, fold
from muster.report.closing import verdict
from muster.report.index import write_index
from muster.report.inspected import ASKS, cells, grids, tallies
from muster.report.lines import Teller
from muster.report.overview import figures, unseen, weaker
from muster.report.page import summary
from muster.report.terminal import live
from tests.data import demo
from tests.data.inspections import COPIES, HOMES, ONE_MEDIUM, STALE, ailing, begin, end, finding, healthy, out_of_reach, plain
from tests.data.inspections import play as look
from tests.data.told import Told, node
from tests.unit.test_report import Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TELLERS = {"proven": healthy, "failed": ailing, "not proven": out_of_reach}


@pytest.fixture(params=TELLERS)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    return told(TELLERS[request.param], tmp_path)


def told(tell: Callable[[Path], Path], folder: Path) -> Record:
    return fold(read(tell(folder / tell.__name__)))


def inspected(folder: Path, broken: dict[str, dict[str, Any]] | None = None, less: dict[str, str] | None = None) -> Record:
    journal = Told(folder / "journal.jsonl")
    begin(journal)
    look(journal, broken, less)
    return fold(read(end(journal)))


def closing(record: Record, width: int = 400) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(verdict(record))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines_of(journal: Path) -> list[str]:
    teller = Teller()
    return [line for event in read(journal) for line in teller.tell(event)]


def word(record: Record, check: str, subject: str) -> str:
    (cell,) = [cell for cell in cells(record) if (cell.check, cell.subject) == (check, subject)]
    return f"{cell.sign} {cell.word}"


# The verdict


@pytest.mark.parametrize("expected", TELLERS)
def test_the_demo_ends_as_it_says(tmp_path: Path, expected: str) -> None:
    assert told(TELLERS[expected], tmp_path).verdict == expected


def test_a_verdict_that_rests_on_what_is_accepted_says_so(tmp_path: Path) -> None:
    assert "where its plan wants them, except for 1 finding that the plan accepts." in summary(told(healthy, tmp_path))
    assert "where its plan wants them." in summary(told(plain, tmp_path))


def test_a_reason_is_told_once_where_a_finding_says_it(tmp_path: Path) -> None:
    reasons = " ".join(told(out_of_reach, tmp_path).reasons)
    assert reasons.count("The host of offsite did not answer") == 1
    assert "needs open:offsite, which could not be judged" in reasons


# How a check of one subject ended


def test_a_check_that_found_something_never_looks_good(tmp_path: Path) -> None:
    record = told(ailing, tmp_path)
    assert word(record, "freshness", "offsite/media") == "✗ failed"
    assert word(record, "open", "vault-offsite") == "? not judged"
    assert word(record, "restore", "vault-offsite/keys") == "⊘ did not run"
    assert word(record, "copies", "keys") == "○ accepted"
    assert word(record, "restore", "usb/etc") == "✓ weaker"
    assert word(record, "freshness", "usb/etc") == "✓ good"


@pytest.mark.parametrize(
    ("severity", "expected"), [("error", "✗ failed"), ("unproven", "? not proven"), ("warning", "✓ warning")]
)
def test_a_finding_shows_at_the_step_that_found_it_even_if_that_ended_well(tmp_path: Path, severity: str, expected: str) -> None:
    found = finding("packs-unread", severity, "usb", "Some of it was not read.", "Read it.")
    record = inspected(tmp_path, {"integrity:usb": {"findings": [found]}})
    assert word(record, "integrity", "usb") == expected
    assert word(record, "integrity", "offsite") == "✓ good"


def test_a_step_that_was_cut_short_proves_nothing(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    begin(journal)
    journal.write("step_started", step="open:usb")
    record = journal.told()
    assert word(record, "open", "usb") == "… cut short"
    assert word(record, "freshness", "usb/etc") == "⊘ did not run"
    assert not any(tally.proved for tally in tallies(record))


# Grids and tallies


def test_every_check_of_every_subject_stands_in_one_grid(record: Record) -> None:
    shown = [cell.step for grid in grids(record) for line in grid.lines for cell in line.cells if cell]
    hidden = {"look", "sample", "manifest"}
    assert len(shown) == len(set(shown))
    assert set(shown) == {step.name for step in record.steps.values() if step.kind not in {*hidden, "provision"}}


def test_copies_are_told_dataset_by_dataset(tmp_path: Path) -> None:
    copies = grids(told(healthy, tmp_path))[0]
    assert copies.checks == ("freshness", "restore")
    assert len(copies.lines) == len(COPIES)
    assert [line.name for line in copies.lines[:2]] == [("etc", "usb"), ("etc", "offsite")]


def test_a_dataset_may_be_named_like_a_repository(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    steps = [node(f"{kind} {name}", "inspected") for kind, name in (("open", "usb"), ("copies", "usb"), ("copies", "etc"))]
    journal.drill(steps, purpose="inspection")
    by_title = {grid.title: [line.name[0] for line in grid.lines] for grid in grids(journal.told())}
    assert by_title == {"Repositories": ["usb"], "Datasets": ["usb", "etc"]}


def test_what_checks_build_on_is_told_only_where_something_is_wrong_with_it(tmp_path: Path) -> None:
    assert "look" not in [tally.check for tally in tallies(told(plain, tmp_path))]
    missing = finding("dataset-not-in-backup", "error", "usb/media", "No snapshot in usb holds media.", "Add it.")
    record = inspected(tmp_path / "broken", {"look:usb": {"findings": [missing]}})
    assert {tally.check: (tally.sign, tally.proved, tally.of) for tally in tallies(record)}["look"] == ("✗", 3, 4)


def test_a_kind_of_check_that_nobody_knows_yet_is_told_too(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("open usb", "inspected"), node("dance usb", "inspected")], purpose="inspection")
    journal.step("dance usb", 1.0, 2.0, "failed", reason="it fell")
    record = journal.told()
    assert [(tally.check, tally.asks) for tally in tallies(record)][1] == ("dance", "")
    assert "dance" in Page(summary(record)).text
    assert "dance" not in ASKS


def test_tallies_count_what_was_proved_and_name_the_rest(tmp_path: Path) -> None:
    found = {tally.check: (tally.sign, tally.proved, tally.of, tally.besides) for tally in tallies(told(ailing, tmp_path))}
    assert found["restore"] == ("✗", 10, 12, "10 weaker, 1 failed, 1 did not run")
    assert found["copies"] == ("○", 5, 6, "1 accepted")
    assert found["consistency"] == ("✓", 6, 6, "")


# Figures, and what was not seen


def test_the_figures_add_up(tmp_path: Path) -> None:
    it = figures(told(ailing, tmp_path))
    assert (it.copies, it.seen, it.datasets, it.repositories) == (12, 11, 6, 4)
    assert (it.files, it.compared, it.processes) == (11 * 12, 11, 16)
    assert it.share == pytest.approx(3 / 30 / 4)


def test_a_part_that_was_read_twice_counts_once(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("open usb", "inspected"), node("integrity usb", "inspected")], purpose="inspection")
    for part in (3, 3, 4):
        journal.write("packs_read", repository="usb", part=part, parts=4)
    assert figures(journal.told()).share == pytest.approx(0.5)


def test_an_inspection_that_reads_no_data_gives_no_share(tmp_path: Path) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    journal.drill([node("open usb", "inspected")], purpose="inspection")
    record = journal.told()
    assert figures(record).share is None
    assert figures(record).files is None
    assert "Data read" not in summary(record)


@pytest.mark.parametrize(("part", "said"), [(0, "0%"), (0.001, "less than 1%"), (1 / 30, "3%"), (0.999, "99%"), (1.0, "100%")])
def test_a_share_is_never_rounded_up_to_all_or_down_to_nothing(part: float, said: str) -> None:
    assert words.share(part) == said


def test_what_was_not_looked_at_is_named_with_its_reason(tmp_path: Path) -> None:
    record = told(out_of_reach, tmp_path)
    named = [name for part in unseen(record) for name in part.names]
    assert set(named) == {step.name for step in record.steps.values() if step.outcome != "done"}
    text = Page(summary(record)).text
    assert "What was not looked at" in text
    assert all(name in text for name in named)
    assert "What was not looked at" not in summary(told(plain, tmp_path))


def test_which_checks_were_weaker_is_said_with_the_reason(tmp_path: Path) -> None:
    record = told(ailing, tmp_path)
    (part,) = weaker(record)
    assert len(part.names) == 11
    for text in (Page(summary(record)).text, closing(record)):
        assert "no list of files was sealed: compared with the snapshot's own listing only" in text


# The page


def test_the_page_of_an_inspection_has_no_rto_rpo_or_milestone(record: Record) -> None:
    text = Page(summary(record)).text
    assert not re.search(r"\bRTO\b|\bRPO\b|not measured|milestone|provisioned|came back after", text)


def test_the_page_names_copies_files_data_processes_seconds_and_seed(tmp_path: Path) -> None:
    text = Page(summary(told(healthy, tmp_path))).text
    for figure in (
        "12 of 12",
        "Files compared 144",
        "14.5 MB restored from 12 copies",
        "usb 1/30",
        "16 usb 4",
        "11 s",
        "271828",
    ):
        assert figure in text


def test_every_cell_says_in_words_what_its_colour_says(record: Record) -> None:
    spoken = re.findall(r'<span class="cell[^"]*">([^<]*)</span>', summary(record))
    assert len(spoken) > 40
    assert all(re.fullmatch(r"[✓✗?⊘○■…] [a-z ]+", text) for text in spoken)


def test_what_each_check_looked_at_is_told_with_how_it_ended(record: Record) -> None:
    text = Page(summary(record)).text
    for entry in record.looked:
        assert entry.what in text
    for step in record.steps.values():
        assert step.reason in text


def test_every_page_is_whole_html_with_unique_ids_and_nothing_from_elsewhere(record: Record) -> None:
    html = summary(record)
    page = Page(html)
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes} <= set(ids)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img", "object", "link", "base", "form"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "href", "srcset", "style"}}


def test_findings_come_before_the_checks_unless_all_is_well(tmp_path: Path) -> None:
    bad, good = (Page(summary(told(tell, tmp_path))).text for tell in (ailing, healthy))
    assert bad.index("Findings") < bad.index("What was checked")
    assert good.index("Findings") > good.index("What was checked")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[31mred\x07 \u202egpj.exe"])
def test_what_machines_and_plans_say_stands_as_text(tmp_path: Path, text: str) -> None:
    journal = Told(tmp_path / "journal.jsonl")
    steps = [node(f"{kind} x", "inspected") | {"subject": text, "kind": kind} for kind in ("open", "look", text)]
    journal.drill(steps, purpose="inspection", plan=text, about=text, hostname=text, machine=text, run=text, seed=1)
    journal.step("look x", 1.0, 2.0, "failed", reason=text, fix=text)
    journal.write("looked", check="look", subject=text, what=text, weaker=text)
    journal.write("packs_read", repository=text, part=1, parts=2)
    journal.write("processes", repository=text, restic=1)
    journal.write("finding", **finding(text, "error", text, text, text, accepted=f"{text} (until {text})"))
    record = journal.told()
    html = summary(record)
    assert text not in html
    assert not [tag for tag, _ in Page(html).tags if tag in {"script", "img"}]
    said = html + closing(record) + "\n".join(lines_of(journal.path)) + write_index(tmp_path).read_text()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", said)


def test_findings_that_one_cure_mends_stand_together_and_none_is_lost(tmp_path: Path) -> None:
    alike = [finding("no-offsite", "error", name, f"No good copy of {name} is away.", "Add one.") for name in ("etc", "media")]
    other = finding("copy-stale", "error", "usb/etc", "It is old.", "See the timer.")
    broken = {"copies:etc": [alike[0]], "freshness:usb/etc": [other], "copies:media": [alike[1]]}
    record = inspected(tmp_path, {step: {"findings": found} for step, found in broken.items()})
    for text in (Page(summary(record)).text, closing(record)):
        assert text.count("Add one.") == text.count("See the timer.") == 1
        assert all(found["what"] in text for found in (*alike, other))
    assert "no-offsite · 2 times" in Page(summary(record)).text


# Accepted findings


def test_accepted_findings_stand_in_a_section_of_their_own(record: Record) -> None:
    text = Page(summary(record)).text
    if not record.accepted:
        assert "Accepted findings" not in text
        return
    section = text.partition("Accepted findings")[2]
    for said in ("one-medium", "keys", ONE_MEDIUM["what"], "the second kind of disk comes in March", "2026-03-31"):
        assert said in section


def recovered(folder: Path, **other: str) -> Record:
    journal = Told(folder / "journal.jsonl")
    journal.drill([node("smoke login")])
    journal.step("smoke login", 1.0, 2.0)
    journal.write("finding", **finding("unit-not-enabled", "error", "db", "db is not enabled.", "Enable it.", **other))
    journal.write("ended", how="finished")
    return journal.told()


def test_a_recovery_tells_its_accepted_findings_too(tmp_path: Path) -> None:
    record = recovered(tmp_path, accepted="it is started by hand (until 2027-01-31)")
    assert record.verdict == "recovered"
    for text in (Page(summary(record)).text, closing(record)):
        for said in ("unit-not-enabled", "db is not enabled.", "it is started by hand", "2027-01-31"):
            assert said in text
        assert "except for 1 finding that the plan accepts" in text


def test_an_acceptance_without_a_day_is_still_told(tmp_path: Path) -> None:
    text = Page(summary(recovered(tmp_path, accepted="because"))).text
    assert re.search("because not told", text)


def test_the_terminal_tells_accepted_findings_when_they_are_found_and_at_the_end(tmp_path: Path) -> None:
    journal = healthy(tmp_path / "run")
    (line,) = [line for line in lines_of(journal) if "one-medium" in line]
    assert "○ one-medium keys" in line
    assert "Accepted: the second kind of disk comes in March (until 2026-03-31)" in line
    text = closing(fold(read(journal)))
    assert "○ accepted: one-medium keys: Both copies" in text
    assert "because the second kind of disk comes in March (until 2026-03-31)" in text


# The terminal


def test_the_closing_words_count_by_check_and_tell_cures(tmp_path: Path) -> None:
    text = closing(told(ailing, tmp_path))
    assert text.startswith("✗ FAILED  The backups of telemetry-pi are not what its plan promises.")
    assert re.search(r"freshness +✗ 10 of 12 +1 failed, 1 did not run", text)
    assert f"✗ copy-stale offsite/media: {STALE['what']}" in text
    assert STALE["fix"] in text
    assert "132 files (13.2 MB) restored and compared, 2% of all data read, 16 processes of restic, 11 s, seed 271828" in text
    assert "RTO" not in text


def test_the_live_view_of_an_inspection_counts_steps_and_no_rto(tmp_path: Path) -> None:
    record = fold(event for event in read(ailing(tmp_path / "run")) if event["t"] < 7)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(live(record, 7.5))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "9 of 70 steps  1 not judged  1 blocked" in text
    assert "sample:usb      0:01" in text
    assert "0:07" in text
    assert "RTO" not in text
    assert "provisioned" not in text


def test_quick_checks_are_told_as_one_line_and_slow_ones_by_themselves(tmp_path: Path) -> None:
    lines = lines_of(plain(tmp_path / "run"))
    assert "  0:08  ✓ freshness: 12 of 12 done" in lines
    assert "  0:10  ✓ integrity:usb: done in 1.9 s" in lines
    assert not [line for line in lines if "freshness:" in line and "/" in line]
    assert not [line for line in lines if "integrity: " in line]
    assert len(lines) < 30


def test_a_check_that_did_not_end_well_is_told_by_itself_and_not_counted_as_done(tmp_path: Path) -> None:
    lines = lines_of(ailing(tmp_path / "run"))
    assert [line for line in lines if "✗ freshness:offsite/media: failed in 0 s: The newest snapshot" in line]
    assert "  0:08  · freshness: 10 of 12 done" in lines
    assert not [line for line in lines if "✓ freshness: " in line]


# The index


def test_the_index_tells_the_latest_of_each_kind_and_which_is_which(tmp_path: Path) -> None:
    demo.write_runs(tmp_path)
    html = write_index(tmp_path).read_text()
    top, _, table = html.partition('id="runs"')
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", top))
    assert text.index("The latest inspection , ") < text.index("The latest recovery from disk-loss , ")
    assert html.count('<details class="latest" open>') == html.count('<details class="latest"') == 2
    assert "<title>Proven: inspection of telemetry · Recovered: recovery of telemetry · Muster</title>" in html
    assert "The latest inspection , 2026-03-07 08:58:12 UTC" in text
    assert "The latest recovery from disk-loss , 2026-03-05 08:58:12 UTC" in text
    assert table.count("inspection of its backups") == 2
    assert table.count("recovery from disk-loss") == 5


def test_the_index_asks_no_rto_of_an_inspection(tmp_path: Path) -> None:
    healthy(tmp_path / "run")
    text = re.sub(r"<style>.*?</style>", "", write_index(tmp_path).read_text(), flags=re.DOTALL).partition('id="runs"')[2]
    assert "not measured" not in text
    assert "4 repositories" in text
    assert "16 processes of restic" in text
    assert "1 accepted: one-medium" in text


def test_an_index_of_inspections_alone_has_one_story(tmp_path: Path) -> None:
    healthy(tmp_path / "a")
    ailing(tmp_path / "b")
    html = write_index(tmp_path).read_text()
    assert html.count('class="latest"') == 1
    assert 'class="verdicts"' not in html
    assert "Failed: inspection of telemetry" in html


def test_ids_of_an_index_are_unique(tmp_path: Path) -> None:
    demo.write_runs(tmp_path)
    html = write_index(tmp_path).read_text()
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids)) > len(HOMES)
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(ids)
