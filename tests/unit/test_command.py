"""`muster`: any report again from its journal alone, and every mistake in one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from muster.command import main
from muster.report.history import history
from tests.data.demo import LOST, cut_off, failing, passing
from tests.unit.test_journal_versions import JOURNALS, SAID

ROOT = Path(__file__).parents[2]


def words_of(page: Path) -> str:
    text = re.sub(r"<style>.*?</style>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


@pytest.mark.parametrize("name", SAID)
def test_every_report_of_an_old_journal_is_built_and_says_what_it_said_then(name: str, tmp_path: Path) -> None:
    assert main(["report", str(JOURNALS / f"{name}.jsonl"), "--out", str(tmp_path)]) == 0
    folder = tmp_path / "journals"
    runbook = {f"runbook-{name}.{form}" for form in ("md", "html", "sh")} if name == "2-recovered" else set()
    assert {path.name for path in folder.iterdir()} == {f"drill-{name}.html", f"record-{name}.json"} | runbook
    assert SAID[name][1] in words_of(folder / f"drill-{name}.html").replace("&#39;", "'")
    figures = json.loads((folder / f"record-{name}.json").read_text())["figures"]
    assert figures["verdict"] == SAID[name][0]


def test_a_runbook_is_built_again_with_the_commands_that_recovered_it(tmp_path: Path) -> None:
    main(["report", str(JOURNALS / "2-recovered.jsonl"), "--out", str(tmp_path)])
    script = tmp_path / "journals" / "runbook-2-recovered.sh"
    assert os.access(script, os.X_OK)
    assert "restic --repo /mnt/usb/telemetry" in script.read_text()
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    main(["report", str(JOURNALS / "1-recovered.jsonl"), "--out", str(tmp_path)])
    html = (tmp_path / "journals" / "drill-1-recovered.html").read_text()
    assert "Content-Security-Policy" in html
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']+|url\((?!["']?data:)""", html)
    assert "restic --repo /mnt/usb/telemetry" in html  # what it ran is on it


def test_it_writes_beside_the_journal_and_says_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = passing(tmp_path / "a")
    assert main(["report", str(journal)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "a" / name) for name in ("drill.html", "record.json")]


def test_the_folder_of_a_run_stands_for_its_journals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passing(tmp_path / "a")
    failing(tmp_path / "b").rename(tmp_path / "a" / "journal-telemetry-corruption.jsonl")
    assert main(["report", str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    written = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert {"drill.html", "drill-telemetry-corruption.html"} <= written
    assert (tmp_path / "out" / "a" / "drill.html").is_file()


def test_runs_of_the_same_name_of_journal_do_not_write_over_one_another(tmp_path: Path) -> None:
    journals = [str(passing(tmp_path / "a")), str(failing(tmp_path / "b"))]
    assert main(["report", *journals, "--out", str(tmp_path / "out")]) == 0
    assert "is back and correct" in words_of(tmp_path / "out" / "a" / "drill.html")
    assert "did not come back" in words_of(tmp_path / "out" / "b" / "drill.html")


def test_a_wrong_file_is_one_sentence_and_the_others_are_still_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal-noise.jsonl").write_text("hello\nworld\n")
    later = tmp_path / "journal-later.jsonl"
    later.write_text(cut_off(tmp_path / "c").read_text().replace('"v": 2', '"v": 99', 1))
    (tmp_path / "empty").mkdir()
    wrong = [tmp_path / "journal-noise.jsonl", later, tmp_path / "missing.jsonl", tmp_path / "empty", ROOT / "README.md"]
    good = passing(tmp_path / "a")
    assert main(["report", *map(str, wrong), str(good)]) == 1
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == len(wrong)
    assert all(str(path) in line for path, line in zip(wrong, said.err.splitlines(), strict=True))
    assert "update Muster" in said.err
    assert (tmp_path / "a" / "drill.html").is_file()


def test_a_file_of_someone_else_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = passing(tmp_path / "a")
    (tmp_path / "a" / "drill.html").write_text("my notes on the drill")
    assert main(["report", str(journal)]) == 1
    assert (tmp_path / "a" / "drill.html").read_text() == "my notes on the drill"
    assert "was left as it is" in capsys.readouterr().err


def test_a_report_is_built_again_over_its_own(tmp_path: Path) -> None:
    journal = passing(tmp_path / "a")
    assert main(["report", str(journal)]) == 0
    first = (tmp_path / "a" / "drill.html").read_text()
    assert main(["report", str(journal)]) == 0
    assert (tmp_path / "a" / "drill.html").read_text() == first


def missed(tmp_path: Path) -> tuple[Path, Path]:
    """A real drill that missed its RPO, and where its figures are kept."""
    (tmp_path / "a").mkdir()
    return Path(shutil.copy(JOURNALS / "1-failed-rpo.jsonl", tmp_path / "a" / "journal.jsonl")), tmp_path / "a" / "record.json"


def test_what_a_run_proposed_when_it_ended_stays_with_its_figures_and_on_its_page(tmp_path: Path) -> None:
    journal, path = missed(tmp_path)
    main(["report", str(journal)])
    kept = json.loads(path.read_text())
    kept["figures"]["proposals"][0]["title"] = "Back up as often as the tide turns"
    path.write_text(json.dumps(kept))
    main(["report", str(journal)])
    assert json.loads(path.read_text()) == kept
    assert "Back up as often as the tide turns" in words_of(tmp_path / "a" / "drill.html")


def test_proposals_that_are_none_are_thought_of_again(tmp_path: Path) -> None:
    journal, path = missed(tmp_path)
    main(["report", str(journal)])
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "figures": {**kept["figures"], "proposals": [{"title": "x"}, {"effect": 3}]}}))
    assert main(["report", str(journal)]) == 0
    assert json.loads(path.read_text()) == kept


def test_hostile_text_stays_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = failing(tmp_path / "a")
    journal.write_text(journal.read_text().replace("telemetry-pi", "<script>alert(1)</script>"))
    assert main(["report", str(journal)]) == 0
    assert "<script" not in (tmp_path / "a" / "drill.html").read_text()
    assert main(["report", str(tmp_path / "a\x1b[31m\nb")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_latest_run_is_told_in_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passing(tmp_path / "a")
    failing(tmp_path / "b", LOST + timedelta(days=9))
    assert main(["summary", "--reports", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "| ❌ | telemetry | disk-loss | **failed** |" in said
    assert "**recovered**" not in said
    assert "\n- " in said


def test_markdown_of_the_latest_run_escapes_what_machines_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = failing(tmp_path / "a")
    hostile = "<img src=x>|`x`\\n# [y](http://z.invalid)"
    journal.write_text(journal.read_text().replace("readings", hostile))
    main(["summary", "--reports", str(tmp_path)])
    said = capsys.readouterr().out
    html = MarkdownIt("commonmark").enable("table").render(said)
    assert "z.invalid" in html
    assert not re.findall("<(?:img|a|code|h1)[ >]", html)


def test_the_summary_says_what_to_change_next_and_nothing_ends_its_fence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, path = missed(tmp_path)
    main(["report", str(journal)])
    kept = json.loads(path.read_text())
    kept["figures"]["proposals"] = [{"title": "Back up *more*", "change": "-a\n```\n# loud", "effect": ""}]
    path.write_text(json.dumps(kept))
    capsys.readouterr()
    main(["summary", "--reports", str(tmp_path)])
    html = MarkdownIt("commonmark").enable("table").render(capsys.readouterr().out)
    assert "What to change next" in html
    assert "Back up *more*" in html
    assert "<h1>" not in html


def test_a_summary_of_no_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "--reports", str(tmp_path)]) == 0
    assert "No drill has been run." in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["report"], ["publish"], ["publish", "x", "--retain", "soon"]])
def test_words_that_are_no_command_are_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_it_is_a_program_that_imports_no_pytest_and_starts_without_the_plan() -> None:
    code = "import sys; sys.argv[1:] = ['--version']\nimport muster.command as c\ntry: c.main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'pytest', 'pydantic', 'jinja2', 'docker', 'rich'} & set(sys.modules)))"
    done = run(["-c", code])
    assert done.stdout.splitlines()[-1] == "[]"


def test_building_a_report_needs_no_pytest(tmp_path: Path) -> None:
    code = (
        f"import sys, muster.command as c; c.main(['report', {str(passing(tmp_path / 'a'))!r}]); print('pytest' in sys.modules)"
    )
    assert run(["-c", code]).stdout.splitlines()[-1] == "False"


def test_the_module_is_the_program(tmp_path: Path) -> None:
    done = run(["-m", "muster.command", "publish", str(tmp_path), "--reports", str(tmp_path / "none")])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"muster: There is no folder {tmp_path / 'none'}: name the folder of the reports with --reports.\n"


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    passing(tmp_path / "a")
    command = f"{sys.executable} -m muster.command summary --reports {tmp_path} | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert history(tmp_path)[0]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=environment(), capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "fixtures")}
