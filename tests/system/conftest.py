"""One living sample Pi and what is left of it when it is lost, made once for all tests that break and recover it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from images.sample_pi import as_root
from muster.machines import container, engine
from muster.session import new_run
from tests.system import breaking
from tests.system.breaking import Sample

READINGS = 300
MEDIA_MB = 2


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A healthy sample system, to be broken; nothing of it is left when the tests end, however they end."""
    client = engine.connect()
    container.remove_leftovers(client)
    folder = tmp_path_factory.mktemp("system")
    try:
        with breaking.living_pi(client, folder / "living", READINGS, MEDIA_MB) as living:
            whole = breaking.copy_home(client, folder / "living", folder / "whole")
            living.local_only()
            yield Sample(client, living, whole, folder, folder / "reports")
    finally:
        if os.getuid():  # what containers wrote is root's, and pytest could not remove it
            as_root(client, folder, ["sh", "-c", "rm -rf ./*"])


@pytest.fixture
def elsewhere(system: Sample) -> Iterator[tuple[str, dict[str, str]]]:
    """A network that no drill is on, and the labels of what a test puts there."""
    labels = container.owner_labels(new_run(), "elsewhere")
    network = system.client.networks.create(labels["muster.run"], driver="bridge", labels=labels)
    yield str(network.name), labels
    container.remove_labelled(system.client, labels)
