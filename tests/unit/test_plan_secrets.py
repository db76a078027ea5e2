"""References to secrets: the value, or one sentence that names the reference and never the value."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from muster.errors import PlanError
from muster.plan import SecretRef, secret


def sentence(reference: SecretRef) -> str:
    with pytest.raises(PlanError) as caught:
        reference.resolve()
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_way_leads_to_the_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_RESTIC", "hunter2")
    (tmp_path / "password").write_text("hunter2\n", encoding="utf-8")
    assert SecretRef(env="PI_RESTIC").resolve() == "hunter2"
    assert SecretRef(file=tmp_path / "password").resolve() == "hunter2"
    assert SecretRef(command="echo hunter2").resolve() == "hunter2"


def test_only_one_newline_at_the_end_is_not_part_of_the_value(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b" a b\n\n")
    assert SecretRef(file=tmp_path / "password").resolve() == " a b\n"


def test_a_command_runs_in_the_folder_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    assert SecretRef(command="cat password").resolve(tmp_path) == "hunter2"


def test_a_reference_describes_itself_without_the_value() -> None:
    assert SecretRef(env="PI_RESTIC").describe() == "variable PI_RESTIC"
    assert SecretRef(file=Path("/x/usb")).describe() == "file /x/usb"
    assert SecretRef(command="pass show pi").describe() == 'command "pass show pi"'


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PI_RESTIC", raising=False)
    assert (
        sentence(SecretRef(env="PI_RESTIC"))
        == "The secret in variable PI_RESTIC is not set or empty; export it before the drill."
    )
    monkeypatch.setenv("PI_RESTIC", " ")
    assert "is not set or empty" in sentence(SecretRef(env="PI_RESTIC"))


def test_a_file_without_a_secret_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    assert sentence(SecretRef(file=file)) == f"The secret in file {file} is missing; create the file or correct the plan."
    file.write_text("\n", encoding="utf-8")
    assert "is empty; write the secret into it" in sentence(SecretRef(file=file))
    file.write_bytes(b"hunter2\xff")
    assert "is not text in UTF-8" in sentence(SecretRef(file=file))
    assert "cannot be read: Is a directory" in sentence(SecretRef(file=tmp_path))
    assert "is larger than 1 MiB" in sentence(SecretRef(file=Path("/dev/zero")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_of_somebody_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    (tmp_path / "password").chmod(0)
    assert "cannot be read: Permission denied" in sentence(SecretRef(file=tmp_path / "password"))


def test_a_command_that_fails_never_shows_what_it_printed() -> None:
    said = sentence(SecretRef(command="cat /dev/null; exit 3"))
    assert said == 'The secret in command "cat /dev/null; exit 3" failed with status 3; run it by hand to see why.'
    assert "printed nothing" in sentence(SecretRef(command="true"))


def test_a_command_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secret, "PATIENCE", 0.3)
    began = time.monotonic()
    said = sentence(SecretRef(command=f"(sleep 2; touch {tmp_path}/alive) & sleep 60 | cat"))
    assert "did not come within" in said
    assert time.monotonic() - began < 2
    time.sleep(2.2)
    assert not (tmp_path / "alive").exists()
