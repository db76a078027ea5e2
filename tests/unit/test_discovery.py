"""Plans are found beside the drills, or where the command line says, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.discovery import plans

PLAN = "[objectives]\n[repositories]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: Path, text: str = PLAN) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_plans_that_are_named_are_the_only_ones(here: Path) -> None:
    put(here / "plans" / "other.toml")
    assert plans(["a.toml", "b.toml", "a.toml"], ["."], here) == [here / "a.toml", here / "b.toml"]


def test_a_folder_named_plans_beside_the_drills_is_found(here: Path) -> None:
    found = [put(here / "drills" / "plans" / name) for name in ("a.toml", "b.toml")]
    put(here / "drills" / "test_it.py", "")
    for argument in (
        "drills",
        "drills/",
        "drills/test_it.py",
        "drills/test_it.py::TestIt::test_it[a-b]",
        ".",
        str(here / "drills"),
    ):
        assert plans([], [argument], here) == found, argument


def test_without_arguments_the_root_counts(here: Path) -> None:
    assert plans([], [], here) == []
    assert plans([], [], put(here / "x" / "plans" / "a.toml").parent.parent) == [here / "x" / "plans" / "a.toml"]


def test_a_plan_in_the_folder_of_the_drill_is_found(here: Path) -> None:
    plan = put(here / "my-pi.toml")
    put(here / "pyproject.toml", "[project]\nname = 'x'\n")
    put(here / "broken.toml", "[[[")
    assert plans([], ["."], here) == [plan]


def test_a_folder_named_plans_goes_before_what_lies_about(here: Path) -> None:
    put(here / "my-pi.toml")
    plan = put(here / "plans" / "a.toml")
    assert plans([], ["."], here) == [plan]


def test_a_plan_is_found_once_for_many_arguments(here: Path) -> None:
    plan = put(here / "plans" / "a.toml")
    assert plans([], ["test_a.py", "test_b.py", "test_a.py::test_c"], here) == [plan]


def test_other_folders_have_no_plan(here: Path) -> None:
    put(here / "drills" / "plans" / "a.toml")
    (here / "tests").mkdir()
    assert plans([], ["tests"], here) == []
    assert plans([], ["tests/unit/test_nowhere.py"], here) == []
