"""The index over all runs: every run once, nothing foreign touched."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from muster.report import history as history_module
from muster.report.history import history
from muster.report.index import write_index
from tests.data.demo import LOST, cut_off, failing, passing
from tests.data.told import Told, node

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    passing(tmp_path / "reports" / "a-first")
    failing(tmp_path / "reports" / "b-second")
    return tmp_path / "reports"


def text_of(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page.read_text(), flags=re.DOTALL)))


def runs_table(page: Path) -> str:
    return page.read_text().partition('id="runs"')[2]


def test_the_latest_run_is_told_on_top(out: Path) -> None:
    html = write_index(out).read_text()
    assert html.index('class="verdict failed"') < html.index('id="runs"')
    assert 'class="verdict recovered"' not in html


def test_every_run_stands_in_the_table_the_newest_first(out: Path) -> None:
    cut_off(out / "c-third")
    page = write_index(out)
    runs, skipped = history(out)
    assert ([run.name for run in runs], skipped) == (["c-third", "b-second", "a-first"], [])
    assert runs_table(page).index("run c-third") < runs_table(page).index("run a-first")


def test_the_newest_is_by_its_time_and_not_by_its_name(out: Path) -> None:
    passing(out / "0-newest", LOST + timedelta(days=9))
    assert history(out)[0][0].name == "0-newest"


def test_several_drills_of_one_run_stand_each_for_itself(out: Path) -> None:
    other = failing(out / "a-first" / "other")
    moved = other.rename(out / "a-first" / "journal-telemetry-corruption.jsonl")
    other.parent.rmdir()
    page = write_index(out)
    assert [run.figures["verdict"] for run in history(out)[0]] == ["failed", "failed", "recovered"]
    assert runs_table(page).count("run a-first<") >= 2
    assert f'href="a-first/{moved.name}"' in page.read_text()
    assert (out / "a-first" / "record-telemetry-corruption.json").is_file()


def test_a_run_that_was_killed_is_not_proven_and_cut_off(out: Path) -> None:
    cut_off(out / "c-third")
    text = text_of(write_index(out))
    assert "Not proven cut off" in text
    assert "the drill was cut off" in text


def test_links_are_relative_and_lead_to_files_that_are_there(out: Path) -> None:
    (out / "a-first" / "report.html").touch()
    odd = passing(out / "d #4%?", LOST + timedelta(days=4)).parent
    (odd / "junit.xml").touch()
    links = re.findall(r'href="([^"#]*)"', write_index(out).read_text())
    files = [link for link in links if not link.startswith("data:")]
    assert {"a-first/report.html", "a-first/journal.jsonl", "d%20%234%25%3F/junit.xml"} <= set(files)
    assert "b-second/report.html" not in files
    assert not [link for link in files if link.startswith("/") or "//" in link or ".." in link]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b'{"kind": "weather", "t": 1}\n',
        b"\xff\xfe\n\n",
        b"[1]\n[2]\n",
        b'{"kind": "drill"}\n',
        b'{"kind": "note", "t": "x"}\n',
        b'{"kind": "note", "t": null}\n',
    ],
)
def test_what_is_no_journal_is_named_skipped_and_left_alone(out: Path, content: bytes) -> None:
    foreign = out / "zz-foreign" / "journal.jsonl"
    foreign.parent.mkdir()
    foreign.write_bytes(content)
    page = write_index(out)
    assert "zz-foreign/journal.jsonl" in text_of(page)
    assert "run zz-foreign" not in text_of(page)
    assert "run b-second" in text_of(page)
    assert foreign.read_bytes() == content
    assert [path.name for path in foreign.parent.iterdir()] == ["journal.jsonl"]


def test_a_journal_that_cannot_be_opened_does_not_hide_the_others(out: Path) -> None:
    (out / "zz-folder" / "journal.jsonl").mkdir(parents=True)
    text = text_of(write_index(out))
    assert "zz-folder/journal.jsonl" in text
    assert "run a-first" in text


def test_a_folder_without_runs_has_an_index_that_says_how_to_get_one(tmp_path: Path) -> None:
    assert "No drill has been run yet" in text_of(write_index(tmp_path / "new" / "reports"))


def test_figures_are_kept_and_a_journal_is_read_once(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = history(out)
    assert (out / "a-first" / "record.json").is_file()
    monkeypatch.setattr(history_module, "record_of", lambda _: pytest.fail("read again"))
    assert history(out) == before


def test_figures_of_a_journal_that_has_grown_are_made_again(tmp_path: Path) -> None:
    journal = Told(tmp_path / "run" / "journal.jsonl")
    journal.drill([node("smoke login")])
    journal.step("smoke login", 1.0, 2.0)
    assert history(tmp_path)[0][0].figures["verdict"] == "not proven"
    journal.write("ended", how="finished")
    assert history(tmp_path)[0][0].figures["verdict"] == "recovered"


@pytest.mark.parametrize("content", ['{"mine": 1}', "no json", "[]", '{"muster": "record"}', '{"figures": {}, "made_from": []}'])
def test_a_record_json_of_someone_else_is_neither_believed_nor_overwritten(out: Path, content: str) -> None:
    foreign = out / "a-first" / "record.json"
    foreign.write_text(content)
    runs, _ = history(out)
    assert runs[-1].figures["verdict"] == "recovered"
    assert foreign.read_text() == content


def test_a_record_json_of_another_journal_is_not_believed(out: Path) -> None:
    history(out)
    kept = json.loads((out / "a-first" / "record.json").read_text())
    kept["figures"]["verdict"] = "recovered"
    (out / "b-second" / "record.json").write_text(json.dumps(kept))
    assert {run.name: run.figures["verdict"] for run in history(out)[0]}["b-second"] == "failed"


def test_the_index_is_replaced_whole_and_leaves_nothing_beside_it(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_index(out).read_text()
    monkeypatch.setattr("os.fdopen", lambda *_, **__: pytest.fail("the disk is full"))
    with pytest.raises(pytest.fail.Exception):
        write_index(out)
    assert (out / "index.html").read_text() == before
    assert sorted(path.name for path in out.iterdir()) == ["a-first", "b-second", "index.html"]


def test_names_of_folders_stand_as_text(out: Path) -> None:
    passing(out / "<script>x", LOST + timedelta(days=4))
    html = write_index(out).read_text()
    assert "<script" not in html
    assert "&lt;script&gt;x" in html


def test_the_index_leaves_the_commands_to_the_page_of_the_run(out: Path) -> None:
    assert "pg_isready" not in write_index(out).read_text()


def test_the_index_loads_nothing_and_forbids_it_too(out: Path) -> None:
    html = write_index(out).read_text()
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "http://" not in html
    assert "https://" not in html
