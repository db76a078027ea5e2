"""The documents of a runbook: what Markdown, page and script have in common, and that no text of a plan escapes in any."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from muster.report import runbook
from muster.report.runbook.book import Book, book
from muster.report.runbook.escaping import code, fence, markdown, prose, whole
from muster.report.runbook.render import markdown as as_markdown
from muster.report.runbook.render import page, script
from muster.runbook.reading import read
from tests.data import recovered

HOSTILE = (
    "`x` $(touch /tmp/hit) <script>alert(1)</script> <!-- --> --> *b* _c_ [d](http://e.invalid) # | ~~f~~ &lt; \\ \x1b[31m "
    "'; touch /tmp/hit; ' \"\n## 9. Another step\n#: step 9 x\n\u202etxt"
)


def told(tmp_path: Path, text: str = "It is there.") -> Book:
    """A runbook in which `text` stands wherever a plan or a machine has a word."""
    typed = recovered.typed("start broker", text, "echo started", expect=text, check="true", otherwise=text, where=text)
    journal = recovered.told(
        tmp_path / "run" / "journal.jsonl",
        (*recovered.TYPED[:4], typed, *recovered.TYPED[6:]),
        about=text,
        machine=text,
        manual=[{"before": "provisioned", "what": text, "seconds": 60.0}],
    )
    journal.write("place", name="vault.key", repository="usb", what="ssh key", found=f"command {text}", second=text)
    return book(journal.told())


class Text(HTMLParser):
    """The text of a page, and the elements in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said = ""
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # what the parser gives
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.said += data


def test_markdown_and_script_type_the_same(tmp_path: Path) -> None:
    made = told(tmp_path)
    (tmp_path / "a.md").write_text(as_markdown(made))
    (tmp_path / "a.sh").write_text(script(made))
    one, other = read(tmp_path / "a.md"), read(tmp_path / "a.sh")
    assert (one.plan, one.incident, one.by) == (other.plan, other.incident, other.by) == ("pi", "disk-loss", "run")
    assert len(one.steps) == len(made.lines) == len(other.steps)
    for mine, theirs, line in zip(one.steps, other.steps, made.lines, strict=True):
        assert (mine.number, mine.step, mine.how, mine.commands, mine.check) == (
            theirs.number, theirs.step, theirs.how, theirs.commands, theirs.check,
        )  # fmt: skip
        assert (mine.number, mine.step, mine.commands, mine.check) == (line.number, line.step, line.commands, line.check)


def test_hostile_text_adds_no_step_to_any_form(tmp_path: Path) -> None:
    made = told(tmp_path, HOSTILE)
    (tmp_path / "a.md").write_text(as_markdown(made))
    (tmp_path / "a.sh").write_text(script(made))
    for name in ("a.md", "a.sh"):
        steps = read(tmp_path / name).steps
        assert [(step.number, step.step) for step in steps] == [(line.number, line.step) for line in made.lines], name
        assert [step.commands for step in steps] == [line.commands for line in made.lines], name


def test_hostile_text_is_text_in_markdown(tmp_path: Path) -> None:
    shown = Text(MarkdownIt("commonmark", {"html": True}).render(as_markdown(told(tmp_path, HOSTILE))))
    assert shown.tags <= {"h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "code", "pre", "a"}
    assert shown.said.count("<script>alert(1)</script>") >= 4
    assert "*b* _c_ [d](http://e.invalid) # | ~~f~~ &lt; \\" in shown.said


def test_hostile_text_is_text_on_the_page(tmp_path: Path) -> None:
    shown = Text(page(told(tmp_path, HOSTILE)))
    assert shown.tags.isdisjoint({"script", "img", "iframe", "object"})
    assert shown.said.count("<script>alert(1)</script>") >= 4


@pytest.mark.parametrize("form", [as_markdown, page, script])
def test_no_control_character_reaches_a_reader(tmp_path: Path, form: Callable[[Book], str]) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", form(told(tmp_path, HOSTILE)))


def test_the_page_asks_for_nothing_and_runs_nothing(tmp_path: Path) -> None:
    made = page(told(tmp_path))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"(?:src|href)=\"(?!#|data:,)", made)
    assert '<html lang="en">' in made


def test_headings_of_the_page_leave_no_level_out(tmp_path: Path) -> None:
    levels = [int(found) for found in re.findall(r"<h([1-6])", page(told(tmp_path)))]
    assert levels[0] == levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_command_stands_on_the_page_as_it_is_typed(tmp_path: Path) -> None:
    made = told(tmp_path)
    said = Text(page(made)).said
    assert all(command in said for line in made.lines for command in line.commands)


def test_numbers_are_steps_in_all_forms(tmp_path: Path) -> None:
    made = told(tmp_path)
    for line in made.lines:
        assert re.search(rf"^## {line.number}\. ", as_markdown(made), re.MULTILINE)
        assert f'id="step-{line.number}"' in page(made)


def test_code_has_more_backticks_than_stand_in_it() -> None:
    assert code("a `` b") == "```a `` b```"
    assert code("`a`") == "`` `a` ``"
    assert fence("x\n````\ny").startswith("`````sh\n")


def test_words_of_code_in_a_sentence_stay_code_only_in_pairs() -> None:
    assert prose("see `ls -l` now") == "see `ls -l` now"
    assert prose("a ` b * c") == r"a \` b \* c"
    assert markdown("host_key and _x_") == r"host_key and \_x\_"


def test_a_command_can_neither_end_early_nor_look_like_a_mark() -> None:
    assert whole("a\n\n#: step 3 x\nb") == "a\n #: step 3 x\nb"


def test_files_lie_beside_the_journal_and_only_the_script_can_be_run(tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal-pi-disk-loss.jsonl"
    files = runbook.write(recovered.told(journal).told(), journal)
    assert [path.name for path in files] == [f"runbook-pi-disk-loss.{form}" for form in ("md", "html", "sh")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o644, 0o644, 0o755]
    assert "sh runbook-pi-disk-loss.sh" in files[0].read_text()
    assert runbook.write(recovered.told(tmp_path / "other" / "journal.jsonl", ()).told(), journal) == []


def test_the_same_journal_gives_the_same_files(tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal.jsonl"
    record = recovered.told(journal).told()
    first = [path.read_text() for path in runbook.write(record, journal)]
    assert [path.read_text() for path in runbook.write(record, journal)] == first


def run(folder: Path, name: str, incident: str = "disk-loss") -> Path:
    """A run with its journal and runbook below the folder of all runs."""
    journal = folder / name / "journal.jsonl"
    runbook.write(recovered.told(journal, case={"name": incident}, incident=incident).told(), journal)
    return journal


def test_the_newest_lost_disk_of_a_plan_is_kept_where_it_is_found(tmp_path: Path) -> None:
    run(tmp_path, "20260101-000000-aaaa")
    run(tmp_path, "20260201-000000-bbbb")
    run(tmp_path, "20260301-000000-cccc", "site-loss")
    assert [path.name for path in runbook.keep(tmp_path)] == ["runbook-pi.md", "runbook-pi.html", "runbook-pi.sh"]
    assert "run=20260201-000000-bbbb" in (tmp_path / "runbook-pi.sh").read_text()


def test_a_kept_runbook_gives_way_to_a_newer_one_alone(tmp_path: Path) -> None:
    newer = run(tmp_path, "20260201-000000-bbbb")
    runbook.keep(tmp_path)
    newer.unlink()
    run(tmp_path, "20260101-000000-aaaa")
    assert runbook.keep(tmp_path) == []
    assert "run=20260201-000000-bbbb" in (tmp_path / "runbook-pi.sh").read_text()


def test_a_file_of_somebodys_own_is_never_written_over(tmp_path: Path) -> None:
    run(tmp_path, "20260101-000000-aaaa")
    (tmp_path / "runbook-pi.sh").write_text("echo my own\n")
    assert runbook.keep(tmp_path) == []
    assert (tmp_path / "runbook-pi.sh").read_text() == "echo my own\n"


def test_a_script_that_names_a_plan_elsewhere_writes_nothing_there(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "20260101-000000-aaaa"
    folder.mkdir(parents=True)
    (folder / "runbook.sh").write_text("#!/bin/sh\n# muster-runbook: 1 plan=../../x incident=disk-loss run=1\n")
    assert runbook.keep(tmp_path / "reports") == []


@pytest.mark.parametrize("form", [as_markdown, page])
def test_whoever_reads_is_told_where_a_secret_has_to_be_put_in(tmp_path: Path, form: Callable[[Book], str]) -> None:
    typed = recovered.typed("start page", "Start page", "login [redacted]")
    made = book(recovered.told(tmp_path / "run" / "journal.jsonl", (typed,)).told())
    assert "a secret was taken out" in form(made)
    assert "a secret was taken out" not in form(told(tmp_path / "other"))
