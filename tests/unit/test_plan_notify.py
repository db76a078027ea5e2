"""The table [notify]: references only, words only, and files found from the plan."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from muster.errors import PlanError
from muster.plan import Notify, build
from muster.plan_docs import MINIMAL

SECRET = "https://alerts.invalid/tk_4711_do_not_tell"  # noqa: S105  # a made-up address


def notify(table: str) -> Notify | None:
    return build(tomllib.loads(f"{MINIMAL}\n[notify]\n{table}\n"), Path("/garden/plan.toml")).notify


def test_a_plan_without_the_table_tells_nobody() -> None:
    assert build(tomllib.loads(MINIMAL), Path("plan.toml")).notify is None


def test_files_are_found_from_the_plan() -> None:
    found = notify('to = [{ file = "alerts" }, { env = "X" }]\nping = { file = "ping" }\ntextfile = "muster.prom"')
    assert found
    assert [reference.file for reference in found.to] == [Path("/garden/alerts"), None]
    assert found.ping
    assert found.ping.file == Path("/garden/ping")
    assert found.textfile == Path("/garden/muster.prom")


def test_what_is_bad_and_the_first_good_after_it_are_told_unless_said_otherwise() -> None:
    assert notify("") == Notify(on=("failure", "not-proven", "recovery"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('on = ["fail"]', 'on, number 1: "fail" is none of failure, not-proven, recovery, always; did you mean "failure"?'),
        ('on = "failure"', "on: must be a list in brackets"),
        (f'to = ["{SECRET}"]', "to, number 1: give a reference, never the value"),
        (f'ping = "{SECRET}"', "ping: give a reference, never the value"),
        (f'to = [{{ env = "{SECRET}" }}]', "to, number 1.env: is no name of a variable"),
        ('to = [{ env = "A", file = "b" }]', "to, number 1: give exactly one of env, file or command"),
        ('text = "x"', 'text: is no key of this table; did you mean "textfile"?'),
    ],
)
def test_a_mistake_is_one_sentence_and_shows_no_address(table: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        notify(table)
    assert f"[notify] {said}" in str(caught.value)
    assert "tk_4711" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
