"""The seal as it travels: one file, the same wherever it is made, that needs nothing of what surrounds it."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from muster import seal, seal_program


def builds(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(Path(seal_program.__file__).parents[1]), **environment}
    command = [sys.executable, "-m", "muster.seal_program", *arguments]
    return subprocess.run(command, cwd=cwd, env=known, capture_output=True, text=True, check=False)


def test_it_is_written_for_everybody_to_run(tmp_path: Path) -> None:
    assert builds("muster-seal", cwd=tmp_path).stderr == ""
    assert stat.S_IMODE((tmp_path / "muster-seal").stat().st_mode) == 0o755
    assert (tmp_path / "muster-seal").read_bytes().startswith(b"#!/usr/bin/python3\n")


def test_the_same_source_is_the_same_program_wherever_and_whenever_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "seal"
    copied.mkdir()
    modules = sorted(Path(str(seal.__file__)).parent.glob("*.py"), reverse=True)  # in another order, of now, and closed to others
    for module in modules:
        (copied / module.name).write_bytes(module.read_bytes())
        (copied / module.name).chmod(0o600)
    before = seal_program.program()
    monkeypatch.setattr(seal, "__file__", str(copied / "__init__.py"))
    assert seal_program.program() == before
    assert builds("here", cwd=tmp_path, TZ="Pacific/Auckland").returncode == 0
    assert (tmp_path / "here").read_bytes() == before


def test_another_source_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = seal_program.program()
    (tmp_path / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(seal, "__file__", str(tmp_path / "__init__.py"))
    assert seal_program.program() != before


def test_nothing_but_the_seal_is_packed() -> None:
    names = zipfile.ZipFile(io.BytesIO(seal_program.program())).namelist()
    assert names[0] == "__main__.py"
    assert {Path(name).parent.name for name in names[1:]} == {"muster_seal"}
    assert all(name.endswith(".py") for name in names)


def test_it_runs_beside_a_muster_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "muster").mkdir()
    (tmp_path / "muster/__init__.py").write_text("raise SystemExit('not me')", encoding="utf-8")
    seal_program.write(tmp_path / "muster-seal")
    command = [sys.executable, "muster-seal", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:18]) == (0, "usage: muster-seal")


@pytest.mark.parametrize("arguments", [(), ("one", "two")])
def test_who_does_not_say_where_to_is_told_how(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = builds(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "python -m muster.seal_program muster-seal" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = builds("nowhere/muster-seal", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "nowhere/muster-seal cannot be written: No such file or directory.\n")
