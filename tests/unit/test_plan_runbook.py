"""The table [runbook]: a file found from the plan, and references only."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath

import pytest

from muster.errors import PlanError
from muster.plan import RunbookSpec, build
from muster.plan.kinds import toml
from muster.plan_docs import MINIMAL

SECRET = "correct horse battery staple"  # noqa: S105  # a made-up password


def runbook(table: str) -> RunbookSpec:
    return build(tomllib.loads(f"{MINIMAL}\n[runbook]\n{table}\n"), Path("/garden/plan.toml")).runbook


def test_a_plan_without_the_table_has_no_runbook_of_its_own() -> None:
    assert build(tomllib.loads(MINIMAL), Path("plan.toml")).runbook == RunbookSpec(file=None, secrets={})


def test_files_are_found_from_the_plan() -> None:
    found = runbook('file = "recovery.md"\nsecrets = { "/root/usb.pw" = { file = "usb" }, "/root/nas.pw" = { env = "NAS" } }')
    assert found.file == Path("/garden/recovery.md")
    assert [reference.file for reference in found.secrets.values()] == [Path("/garden/usb"), None]
    assert list(found.secrets) == [PurePosixPath("/root/usb.pw"), PurePosixPath("/root/nas.pw")]


def test_its_examples_are_what_a_plan_can_say() -> None:
    for name, field in RunbookSpec.model_fields.items():
        found = runbook(f"{name} = {toml(field.examples[0])}")  # type: ignore[index]  # every key of a plan has one
        assert getattr(found, name)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('fiel = "x"', 'fiel: is no key of this table; did you mean "file"?'),
        ('file = ""', "file: is no file name"),
        (f'secrets = {{ "/root/pw" = "{SECRET}" }}', "give a reference, never the value"),
        ('secrets = { "root/pw" = { env = "A" } }', "full path"),
        ('secrets = ["usb"]', "secrets: must be a table"),
    ],
)
def test_a_mistake_is_one_sentence_and_shows_no_password(table: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        runbook(table)
    assert "[runbook] " in str(caught.value)
    assert said in str(caught.value)
    assert "horse" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
