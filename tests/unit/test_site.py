"""A published site is whole, links nothing else, keeps what it has, and touches nothing of others."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from muster.command import main
from muster.errors import MusterError
from muster.report.history import history, packs_read
from muster.report.site import publish, remember
from tests.data.demo import failing, passing

NOW = datetime.now(UTC)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two runs, with the page and the runbook that a run has."""
    for name, play, began in (("a-first", passing, NOW - timedelta(days=40)), ("b-second", failing, NOW - timedelta(days=9))):
        folder = play(tmp_path / "reports" / name, began).parent
        (folder / "report.html").write_text("<!doctype html><title>Report</title>")
        (folder / "junit.xml").write_text("<testsuites/>")
    (tmp_path / "reports" / "a-first" / "runbook.sh").write_text("#!/bin/sh\n")
    return tmp_path / "reports"


class Links(HTMLParser):
    """Where a page leads, and what it loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"href", "src"}]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def words_of(page: Path) -> str:
    return re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8"))


def test_a_site_has_index_reports_runbooks_figures_and_a_badge(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    assert set(tree(tmp_path / "site")) == {
        *("index.html", "badge.svg", "badge.json", ".nojekyll", "site.json"),
        *("a-first/report.html", "a-first/record.json", "a-first/runbook.sh", "b-second/report.html", "b-second/record.json"),
    }
    assert os.access(tmp_path / "site" / "a-first" / "runbook.sh", os.X_OK)


def test_journals_are_in_it_only_on_demand(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site", journals=True)
    journal = tmp_path / "site" / "a-first" / "journal.jsonl"
    assert journal.read_bytes() == (reports / "a-first" / "journal.jsonl").read_bytes()
    assert journal.stat().st_mode & 0o777 == 0o644


def test_every_link_is_relative_and_leads_to_a_file_of_the_site(reports: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    publish(reports, site)
    links = [link for link in Links(site / "index.html").found if not link.startswith(("#", "data:"))]
    assert "a-first/report.html" in links
    for link in links:
        assert not re.match(r"[a-z]+:|/", link), link
        assert (site / unquote(link.partition("#")[0])).is_file(), link


def test_runs_of_before_stay_though_the_reports_are_empty_now(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    shutil.rmtree(reports)
    passing(reports / "c-third", NOW)
    publish(reports, tmp_path / "site")
    assert [run.name for run in history(tmp_path / "site")[0]] == ["c-third", "b-second", "a-first"]
    page = words_of(tmp_path / "site" / "index.html")
    assert all(name in page or name in str(Links(tmp_path / "site" / "index.html").found) for name in ("a-first", "b-second"))


def test_what_is_published_twice_is_written_once(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    before = tree(tmp_path / "site")
    done = publish(reports, tmp_path / "site")
    assert tree(tmp_path / "site") == before
    assert {path.name for path in done.written} == {"index.html", "badge.svg", "badge.json", ".nojekyll"}


@pytest.mark.parametrize("name", ["notes.txt", "index.html", "site.txt", ".htaccess"])
def test_a_folder_of_others_is_refused_in_one_sentence_and_untouched(name: str, reports: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(MusterError, match=r"^[^\n]*is not empty and no site of Muster's[^\n]*$"):
        publish(reports, tmp_path / "mine")
    assert tree(tmp_path / "mine") == {name: b"mine"}


def test_an_empty_branch_that_was_checked_out_is_as_good_as_an_empty_folder(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "site" / ".git").mkdir(parents=True)
    publish(reports, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_file_is_no_folder_for_a_site(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MusterError, match="is a file"):
        publish(reports, tmp_path / "file")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"muster": "site", "format": 1, "files": ["x"]}', "[" * 9999])
def test_a_list_of_a_site_that_is_none_is_named_and_nothing_is_touched(text: str, reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    (tmp_path / "site" / "site.json").write_text(text)
    before = tree(tmp_path / "site")
    with pytest.raises(MusterError, match=r"site\.json is not Muster's list"):
        publish(reports, tmp_path / "site")
    assert tree(tmp_path / "site") == before


def test_a_site_of_a_later_version_asks_for_an_update(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.json").write_text('{"muster": "site", "format": 2, "files": {}}')
    with pytest.raises(MusterError, match=r"update Muster\.$"):
        publish(reports, tmp_path / "site")


def test_what_an_owner_puts_into_the_site_stays_and_is_never_replaced(reports: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    publish(reports, site)
    (site / "CNAME").write_text("drills.invalid")
    passing(reports / "c-third", NOW)
    (site / "c-third").mkdir()
    (site / "c-third" / "record.json").write_text("mine")
    done = publish(reports, site, retain=timedelta(days=300))
    assert (site / "CNAME").read_text() == "drills.invalid"
    assert (site / "c-third" / "record.json").read_text() == "mine"
    assert any("c-third/record.json is not of Muster's making" in said for said in done.left)


def test_nothing_is_written_through_a_link(reports: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    publish(reports, site)
    (tmp_path / "elsewhere").mkdir()
    passing(reports / "c-third", NOW)
    (site / "c-third").symlink_to(tmp_path / "elsewhere")
    (site / "badge.svg").unlink()
    (site / "badge.svg").symlink_to(tmp_path / "elsewhere" / "badge.svg")
    publish(reports, site)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_links_in_the_reports_are_not_followed(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("secret")
    (reports / "a-first" / "runbook.html").symlink_to(tmp_path / "secret.html")
    publish(reports, tmp_path / "site")
    assert not (tmp_path / "site" / "a-first" / "runbook.html").exists()


@pytest.fixture
def better(reports: Path) -> Path:
    """The same, and a newer one that was good, so that nobody looks for the oldest any more."""
    passing(reports / "c-third", NOW - timedelta(days=2))
    return reports


def test_of_a_run_that_is_too_old_only_the_figures_stay(better: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    publish(better, site)
    shutil.rmtree(better / "a-first")
    done = publish(better, site, retain=timedelta(days=30))
    assert {str(path) for path in done.removed} == {"a-first/report.html", "a-first/runbook.sh"}
    assert set(tree(site / "a-first")) == {"record.json"}
    assert [run.name for run in history(site)[0]] == ["c-third", "b-second", "a-first"]


def test_a_run_that_is_too_old_is_not_published_again(better: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert not publish(better, tmp_path / "site", retain=timedelta(days=30)).left
        assert set(tree(tmp_path / "site" / "a-first")) == {"record.json"}
    assert (better / "a-first" / "journal.jsonl").is_file()


def test_the_newest_drill_and_the_newest_good_one_stay_however_old_they_are(reports: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert not publish(reports, tmp_path / "site", retain=timedelta(seconds=1)).removed
    assert (tmp_path / "site" / "a-first" / "runbook.sh").is_file()
    assert (tmp_path / "site" / "b-second" / "report.html").is_file()


def test_what_was_changed_by_hand_or_added_is_not_removed_with_an_old_run(better: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    publish(better, site)
    (site / "a-first" / "report.html").write_text("with my notes")
    (site / "a-first" / "photo.jpg").write_text("of the card")
    publish(better, site, retain=timedelta(days=30))
    assert set(tree(site / "a-first")) == {"report.html", "photo.jpg", "record.json"}


def test_a_publishing_that_was_killed_is_finished_by_the_next(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("muster.report.site.write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(reports, tmp_path / "site")
    done = publish(reports, tmp_path / "site")
    assert done.left == []
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_corrupt_journal_is_named_and_the_rest_published(
    reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / "c-bad").mkdir()
    (reports / "c-bad" / "journal.jsonl").write_text("x\ny\n")
    assert main(["publish", str(tmp_path / "site"), "--reports", str(reports)]) == 0
    said = capsys.readouterr()
    assert "c-bad/journal.jsonl was left out" in said.err
    assert "2 drills in it" in said.out


def test_figures_that_cannot_be_kept_are_said_to_be_missing(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("muster.report.history.kept.write", full)
    done = publish(reports, tmp_path / "site")
    assert any("a-first" in said and "is not published" in said for said in done.left)


def test_no_page_has_anything_of_the_machine_that_published_it(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    assert not [name for name, data in tree(tmp_path / "site").items() if str(tmp_path).encode() in data]


# The next run of a CI job.


def test_the_figures_come_back_from_the_site_and_what_is_there_already_stays(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    fresh = tmp_path / "fresh"
    (fresh / "a-first").mkdir(parents=True)
    (fresh / "a-first" / "runbook.sh").write_text("mine")
    remember(tmp_path / "site", fresh)
    assert set(tree(fresh)) == {"a-first/record.json", "a-first/runbook.sh", "b-second/record.json"}
    assert (fresh / "a-first" / "runbook.sh").read_text() == "mine"
    assert [run.figures for run in history(fresh)[0]] == [run.figures for run in history(reports)[0]]
    assert packs_read(fresh, "telemetry") == packs_read(reports, "telemetry")


def test_what_was_remembered_is_published_again_without_a_change(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    before = tree(tmp_path / "site")
    remember(tmp_path / "site", tmp_path / "fresh")
    assert publish(tmp_path / "fresh", tmp_path / "site").left == []
    assert tree(tmp_path / "site") == before


def test_the_first_run_has_nothing_to_remember(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for site in (tmp_path / "missing", tmp_path / "branch"):
        (tmp_path / "branch" / ".git").mkdir(parents=True, exist_ok=True)
        assert main(["remember", str(site), "--reports", str(tmp_path / "reports")]) == 0
    assert "nothing to remember yet" in capsys.readouterr().out


def test_a_folder_that_is_no_site_is_not_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["remember", str(tmp_path), "--reports", str(tmp_path / "reports")]) == 1
    assert "is not empty and no site of Muster's" in capsys.readouterr().err


def test_a_foreign_record_in_a_site_is_not_remembered(reports: Path, tmp_path: Path) -> None:
    publish(reports, tmp_path / "site")
    (tmp_path / "site" / "z").mkdir()
    (tmp_path / "site" / "z" / "record.json").write_text(json.dumps({"muster": "record", "figures": {}}))
    remember(tmp_path / "site", tmp_path / "fresh")
    assert not (tmp_path / "fresh" / "z").exists()


def test_the_runbook_of_a_plan_lies_beside_the_index_and_a_run_without_one_leaves_it_there(reports: Path, tmp_path: Path) -> None:
    for form in ("md", "html", "sh"):
        (reports / f"runbook-telemetry.{form}").write_text("how to do it")
    publish(reports, tmp_path / "site")
    shutil.rmtree(reports)
    failing(reports / "c-third", NOW)
    publish(reports, tmp_path / "site")
    assert (tmp_path / "site" / "runbook-telemetry.sh").read_text() == "how to do it"
    assert "runbook-telemetry.html" in Links(tmp_path / "site" / "index.html").found
