"""What the command line says of an incident is checked before anything starts, and reaches the drill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fake.folder import Folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--drill-first-sign", "monday"], "ERROR: --drill-first-sign 'monday' is no time: write it like 2026-02-28T23:40:00Z."),
        (["--drill-first-sign", ""], "ERROR: --drill-first-sign '' is no time"),
        (["--drill-first-sign", "2999-01-01T00:00:00Z"], "ERROR: --drill-first-sign 2999-01-01T00:00:00Z is in the future."),
        (
            ["--drill-first-sign", "2026-03-02T00:00:00Z", "--drill-lost-at", "2026-03-01T00:00:00Z"],
            "--drill-first-sign 2026-03-02T00:00:00Z is later than the loss of the Pi (--drill-lost-at 2026-03-01T00:00:00Z).",
        ),
        (["--drill-known-good", "latest"], "ERROR: --drill-known-good 'latest' is no snapshot: give the id of one"),
        (["--drill-known-good", ""], "ERROR: --drill-known-good '' is no snapshot"),
        (["--drill-known-good", "2026-13-45"], "ERROR: --drill-known-good '2026-13-45' is no snapshot"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(folder: Folder, arguments: list[str], sentence: str) -> None:
    assert folder.run(*arguments) == 4, folder.output
    assert sentence in folder.output
    assert "Traceback" not in folder.output
    assert folder.log == []


def test_mistakes_in_several_options_are_told_together(folder: Folder) -> None:
    assert folder.run("--drill-first-sign", "x", "--drill-lost-at", "y", "--drill-known-good", "?") == 4
    assert [word for word in ("'x' is no time", "'y' is no time", "'?' is no snapshot") if word not in folder.output] == []


def test_what_was_said_reaches_the_drill_and_has_the_last_word(folder: Folder) -> None:
    folder.drill(
        "test_recovery.py",
        """
import pytest

@pytest.mark.incident("visit", class_="disk-loss", first_sign="2026-01-01T00:00:00Z", known_good="2025-12-31")
def test_it(drill):
    of = drill.incident
    print(f"the words: {of.first_sign:%Y-%m-%d} {of.known_good} {of.exhaustive}")
""",
    )
    assert folder.run("-s") == 0, folder.output
    assert "the words: 2026-01-01 2025-12-31 False" in folder.output
    asked = ("--drill-first-sign", "2026-02-01T00:00:00", "--drill-known-good", "abcd", "--drill-exhaustive")
    assert folder.run("-s", *asked) == 0, folder.output
    assert "the words: 2026-02-01 abcd True" in folder.output
