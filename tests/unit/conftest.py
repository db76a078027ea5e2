"""A folder of drills for the tests of the plugin."""

from __future__ import annotations

import matplotlib.figure  # noqa: F401  # pytester forgets modules that it has loaded, and numpy cannot be loaded twice
import pytest

from tests.fake.folder import ROOT, Folder


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'fixtures'}")
    monkeypatch.delenv("CI", raising=False)  # a CI's short summary is longer
    monkeypatch.setenv("COLUMNS", "400")  # for whole sentences in the short summary
    return Folder(pytester)
