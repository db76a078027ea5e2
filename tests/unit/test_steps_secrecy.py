"""Secrets are held against what the Pi sealed, whatever their names are made of."""

from __future__ import annotations

import pytest

from muster.backups.manifest import Secret
from muster.backups.trees import Entry, comparable
from muster.plan.model import Dataset
from muster.steps.secrecy import faults
from tests.fake.machine import NOW

KEYS = Dataset.model_validate({"class": "secrets", "paths": ["/keys"]})
FILE = Entry("file", 0o600, 4, "root", "root", NOW.timestamp())
SEALED = Secret(mode="0600", user="root", group="root")


def codes(there: list[str], *sealed: str) -> list[str]:
    return [finding.code for finding in faults("keys", KEYS, dict.fromkeys(there, FILE), dict.fromkeys(sealed, SEALED), NOW)]


@pytest.mark.parametrize("name", ["/keys/a key", "/keys/latin\\xe9", "/keys/back\\x41", "/keys/new\nline"])
def test_a_secret_with_an_odd_name_is_there_if_its_tree_has_it(name: str) -> None:
    assert codes([comparable(name)], name) == []
    assert codes([], name) == ["secret-missing"]


def test_of_secrets_whose_names_are_one_in_a_tree_none_is_passed_over() -> None:
    names = ("/keys/latin\\xe9", "/keys/latin\\xe8")
    one = comparable(names[0])
    assert codes([one, f"{one} (1)"], *names) == []
    assert codes([one], *names) == ["secret-missing"]


def test_another_mode_of_an_odd_name_is_named() -> None:
    sealed = {"/keys/back\\x41": Secret(mode="0400", user="root", group="root")}
    [finding] = faults("keys", KEYS, {comparable("/keys/back\\x41"): FILE}, sealed, NOW)
    assert finding.code == "secret-changed"
