"""The seal runs on a Pi that has no Muster: as a program of its own it writes the manifest, or says why not."""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from muster import seal_program
from muster.backups import manifest
from muster.seal import questions
from muster.seal.errors import SealError

ME = pwd.getpwuid(os.geteuid()).pw_name
CANARY = "hunter2-canary"


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """Make a small tree to seal: two configs, one excluded cache, one secret."""
    (tmp_path / "etc/cache").mkdir(parents=True)
    (tmp_path / "etc/a.conf").write_text("12345", encoding="utf-8")
    (tmp_path / "etc/odd\nname").write_text("1", encoding="utf-8")
    (tmp_path / "etc/cache/x").write_text("left out", encoding="utf-8")
    (tmp_path / "etc/link").symlink_to("a.conf")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/mqtt").write_text(CANARY, encoding="utf-8")
    (tmp_path / "keys/mqtt").chmod(0o640)
    return tmp_path


def plan(pi: Path, more: str = "") -> str:
    return f"""
name = "garden"
hostname = "garden-pi"
manifest = "{pi}/var/manifest.json"
[data.etc]
class = "config"
paths = ["{pi}/etc"]
exclude = ["{pi}/etc/cache"]
[data.keys]
class = "secrets"
paths = ["{pi}/keys"]
[data.unmounted]
class = "data"
paths = ["{pi}/mnt"]
{more}
"""


def run_seal(pi: Path, text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program alone, isolated from this checkout, as the Pi does."""
    seal_program.write(pi / "muster-seal")
    (pi / "plan.toml").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-I",
        "-S",
        str(pi / "muster-seal"),
        "--plan",
        str(pi / "plan.toml"),
        "--run",
        "r1",
        "--look-within",
        "0",
        *arguments,
    ]
    return subprocess.run(  # our own program
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def sealed(pi: Path, text: str, **environment: str) -> dict[str, Any]:
    done = run_seal(pi, text, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    facts: dict[str, Any] = json.loads((pi / "var/manifest.json").read_text(encoding="utf-8"))
    return facts


def refused(pi: Path, text: str) -> str:
    done = run_seal(pi, text)
    assert done.returncode == 1
    assert not (pi / "var/manifest.json").exists()
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("muster-seal: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def asks(run: str, kind: str = "metrics", user: str = ME) -> str:
    return f"[{kind}.rows]\nrun = {json.dumps(run)}\nuser = {json.dumps(user)}\n"


class TestWhatIsSealed:
    def test_muster_reads_what_the_seal_wrote(self, pi: Path) -> None:
        sealed(pi, plan(pi, asks("echo 42") + asks("echo 2026-01-01T00:00:00Z", "watermark")))
        facts = manifest.parse((pi / "var/manifest.json").read_text(encoding="utf-8"))
        assert facts.run == "r1"
        assert facts.metrics == {"rows": "42"}
        assert facts.watermarks == {"rows": "2026-01-01T00:00:00Z"}
        assert facts.users[ME].uid == os.geteuid()
        assert facts.sealed_at.tzinfo is not None

    def test_a_dataset_is_counted_without_what_it_excludes(self, pi: Path) -> None:
        assert sealed(pi, plan(pi))["datasets"]["etc"] == {"files": 2, "bytes": 6}

    def test_a_disk_that_is_not_mounted_is_sealed_as_nothing(self, pi: Path) -> None:
        assert sealed(pi, plan(pi))["datasets"]["unmounted"] == {"files": 0, "bytes": 0}

    def test_of_a_secret_the_manifest_knows_owner_and_mode_and_never_the_value(self, pi: Path) -> None:
        facts = sealed(pi, plan(pi))
        assert facts["secrets"] == {f"{pi}/keys/mqtt": {"mode": "0640", "user": ME, "group": (pi / "keys/mqtt").group()}}
        assert CANARY not in (pi / "var/manifest.json").read_text(encoding="utf-8")

    def test_a_metric_sees_the_environment_of_the_backup_job(self, pi: Path) -> None:
        assert sealed(pi, plan(pi, asks("echo $PGSNAPSHOT")), PGSNAPSHOT="00000003-1")["metrics"] == {"rows": "00000003-1"}

    def test_the_manifest_is_its_owners_alone(self, pi: Path) -> None:
        sealed(pi, plan(pi))
        assert stat.S_IMODE((pi / "var/manifest.json").stat().st_mode) == 0o600

    def test_the_output_can_be_named(self, pi: Path) -> None:
        assert run_seal(pi, plan(pi), "--output", str(pi / "here.json")).returncode == 0
        assert json.loads((pi / "here.json").read_text(encoding="utf-8"))["plan"] == "garden"


class TestWhatIsRefused:
    """A figure that was not measured is no figure: the backup job must stop and say so."""

    @pytest.mark.parametrize(
        ("question", "said"),
        [
            (asks("echo no such table >&2; exit 3"), "metric rows could not be measured: exit 3: no such table"),
            (asks("true"), "metric rows could not be measured: its command printed nothing"),
            (asks("echo ' '"), "its command printed nothing"),
            (asks("true", "watermark"), "watermark rows could not be measured"),
            (asks("echo 1", user="nobody-at-all"), "metric rows cannot be asked"),
            ("[metrics.rows]\n", "metric rows cannot be asked"),
            ("[metrics]\nrows = 3\n", "muster-seal: "),
        ],
    )
    def test_a_question_without_an_answer(self, pi: Path, question: str, said: str) -> None:
        assert said in refused(pi, plan(pi, question))

    def test_a_command_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(questions, "COMMAND_WITHIN", 0.2)
        with pytest.raises(SealError, match="metric rows could not be measured"):
            questions.answer("metric rows", {"run": "sleep 5", "user": ME})

    @pytest.mark.parametrize("text", ["", "name = 3", 'name = "x"\nhostname = "y"\ndata = 3', "not toml", 'name = "x'])
    def test_a_plan_that_says_too_little(self, pi: Path, text: str) -> None:
        assert "plan.toml" in refused(pi, text)

    @pytest.mark.parametrize("table", ["x = 3", "[data.x]", "[data.x]\npaths = 3"])
    def test_a_dataset_that_is_none(self, pi: Path, table: str) -> None:
        refused(pi, f'name = "x"\nhostname = "y"\nmanifest = "{pi}/var/manifest.json"\n[data]\n{table}\n')

    def test_the_old_manifest_stays_whole_when_a_new_one_fails(self, pi: Path) -> None:
        before = sealed(pi, plan(pi))
        listed = (pi / "var/files.jsonl").read_text(encoding="utf-8")
        (pi / "etc/new").touch()
        assert run_seal(pi, plan(pi, asks("false"))).returncode == 1
        assert json.loads((pi / "var/manifest.json").read_text(encoding="utf-8")) == before
        assert (pi / "var/files.jsonl").read_text(encoding="utf-8") == listed
        assert sorted(os.listdir(pi / "var")) == ["files.jsonl", "manifest.json"]  # noqa: PTH208

    def test_a_manifest_that_cannot_be_written_leaves_nothing_half_written_behind(self, pi: Path) -> None:
        (pi / "var").mkdir()
        (pi / "var/manifest.json").mkdir()
        assert run_seal(pi, plan(pi)).returncode == 1
        assert not [*(pi / "var").glob(".*")]


class TestOddFiles:
    def test_a_secret_with_a_name_that_is_no_text_can_still_be_read_back(self, pi: Path) -> None:
        Path(os.fsdecode(os.fsencode(pi) + b"/keys/\xff")).write_text("x", encoding="utf-8")
        sealed(pi, plan(pi))
        assert len(manifest.parse((pi / "var/manifest.json").read_text(encoding="utf-8")).secrets) == 2

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_a_secret_of_an_owner_without_a_name_is_sealed_by_number(self, pi: Path) -> None:
        os.chown(pi / "keys/mqtt", 54321, 54321)
        assert sealed(pi, plan(pi))["secrets"][f"{pi}/keys/mqtt"]["user"] == "54321"
