"""What only the living Pi can tell, and what is taken over from it when a restored tree is sealed again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from muster.backups.manifest import Manifest
from muster.seal import command, living
from muster.seal.errors import SealError
from muster.seal.plan import Table


class TestAgain:
    @pytest.fixture
    def old(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/a").write_text("12345", encoding="utf-8")
        old = {"hostname": "garden-pi", "run": "r1", "sealed_at": "2026-03-01T09:00:00+00:00", "metrics": {"rows": "7"}}
        old |= {
            "datasets": {"etc": {"files": 9, "bytes": 9}},
            "secrets": {"/x": {}},
            "addresses": ["192.0.2.1"],
            "users": {"pi": {}},
        }
        (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
        return old

    def sealed(self, tmp_path: Path, more: str = "") -> dict[str, Any]:
        paths = f'paths = ["{tmp_path}/etc"]'
        plan = f'name = "garden"\nhostname = "garden-pi"\n[data.etc]\nclass = "config"\n{paths}\n{more}'
        (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
        options = {"plan": tmp_path / "plan.toml", "run": "r2", "output": tmp_path / "var/manifest.json", "hash_within": 60}
        command.seal(SimpleNamespace(**options, look_within=0, again=tmp_path / "old.json"))  # type: ignore[arg-type]
        told: dict[str, Any] = json.loads((tmp_path / "var/manifest.json").read_text(encoding="utf-8"))
        return told

    def test_what_lies_on_disk_is_sealed_anew_and_the_rest_taken_over(self, tmp_path: Path, old: dict[str, Any]) -> None:
        told = self.sealed(tmp_path, '[metrics.rows]\nrun = "exit 1"\n')  # nobody is asked: nothing runs on a restored tree
        assert {key: told[key] for key in ("metrics", "hostname", "addresses", "users")} == {
            key: old[key] for key in ("metrics", "hostname", "addresses", "users")
        }
        assert (told["run"], told["again"], told["secrets"]) == ("r2", "r1", {})
        assert told["datasets"] == {"etc": {"files": 1, "bytes": 5}}
        assert told["sealed_at"] > old["sealed_at"]
        assert told["file_list"]["hashed"] == 1

    def test_the_run_that_the_pi_itself_made_stays_known(self, tmp_path: Path, old: dict[str, Any]) -> None:
        (tmp_path / "old.json").write_text(json.dumps(old | {"run": "r1b", "again": "r0"}), encoding="utf-8")
        assert self.sealed(tmp_path)["again"] == "r0"

    @pytest.mark.parametrize("text", ["", "[]", "{}", "nothing"])
    def test_a_manifest_that_is_none_is_refused(self, tmp_path: Path, old: dict[str, Any], text: str) -> None:
        assert old
        (tmp_path / "old.json").write_text(text, encoding="utf-8")
        with pytest.raises(SealError, match="cannot take anything over from"):
            self.sealed(tmp_path)
        assert not (tmp_path / "var").exists()


class TestSurroundings:
    def test_what_cannot_be_seen_is_left_out_with_a_word(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(_: Table) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(living, "timer", broken)
        facts = living.surroundings({"data": {}}, Path("/nowhere/manifest.json"), 0)
        assert "timer" not in facts
        assert facts["mounts"] == {}
        assert capsys.readouterr().err.startswith("muster-seal: the manifest is sealed without timer: PermissionError")

    def test_all_of_it_is_what_muster_reads(self) -> None:
        facts = living.surroundings({"data": {"etc": {"paths": ["/etc"]}}}, Path("/nowhere/manifest.json"), 0)
        read = Manifest.model_validate({"hostname": "pi", "sealed_at": "2026-03-01T09:00:00+00:00", **facts})
        assert read.mounts["data.etc"].exists
        assert not read.uncovered_is_whole
        assert read.addresses
