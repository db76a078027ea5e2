"""What the command line says of machines is checked before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fake.folder import Folder

SSH = ("--drill-machine", "ssh")
SPARE = (*SSH, "--drill-host", "spare-pi", "--drill-erase", "spare-pi")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (SSH, "ERROR: --drill-machine ssh wants --drill-host HOST, the spare hardware as `ssh HOST` reaches it."),
        (
            (*SSH, "--drill-host", "spare-pi"),
            "ERROR: A drill erases spare-pi: if all on it may go, say --drill-erase spare-pi.",
        ),
        (
            (*SSH, "--drill-host", "spare-pi", "--drill-erase", "spare"),
            "ERROR: --drill-erase spare is not --drill-host spare-pi: if all on it may go, say --drill-erase spare-pi.",
        ),
        (("--drill-erase", "spare-pi"), "ERROR: --drill-erase is for spare hardware: add --drill-machine ssh, or leave it out."),
        (
            ("--drill-arch", "amd64"),
            "ERROR: --drill-arch amd64 is for virtual machines: add --drill-machine vm, or leave it out.",
        ),
        ((*SPARE, "--drill-sudo", "env:NO_SUCH_VARIABLE"), "ERROR: The secret in variable NO_SUCH_VARIABLE is not set or empty"),
        ((*SPARE, "--drill-sudo", "hunter2"), "ERROR: --drill-sudo takes env:NAME, file:PATH or command:PROGRAM"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(folder: Folder, arguments: tuple[str, ...], sentence: str) -> None:
    assert folder.run(*arguments) == 4, folder.output
    assert sentence in folder.output
    assert "Traceback" not in folder.output
    assert folder.log == []


def test_a_password_for_sudo_is_not_repeated(folder: Folder) -> None:
    assert folder.run(*SPARE, "--drill-sudo", "hunter2") == 4
    assert "hunter2" not in folder.output


def test_mistakes_in_several_options_are_told_together(folder: Folder) -> None:
    assert folder.run("--drill-erase", "a", "--drill-arch", "amd64", "--drill-host", "b") == 4
    assert [
        word for word in ("--drill-erase is for", "--drill-arch amd64 is for", "--drill-host is for") if word not in folder.output
    ] == []
