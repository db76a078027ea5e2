"""Every kind of machine that a drill can recover to; the contract holds for each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from muster.machines.machine import Machine
from tests.contract import subjects
from tests.contract.subjects import Subject

Making = Callable[[str], contextlib.AbstractContextManager[Subject]]


@pytest.fixture(scope="session")
def making(tmp_path_factory: pytest.TempPathFactory) -> Making:
    """Makes a machine of a kind, which sees a folder with a file in it."""
    shared = tmp_path_factory.mktemp("shared")
    (shared / "file").write_text("from the host")
    return lambda kind: subjects.made(kind, shared, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="session", params=subjects.KINDS)
def subject(request: pytest.FixtureRequest, making: Making) -> Iterator[Subject]:
    """One machine of each kind, for all tests that leave it as it was."""
    with making(request.param) as made:
        yield made


@pytest.fixture
def machine(subject: Subject) -> Machine:
    return subject.machine
