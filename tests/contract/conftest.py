"""Every kind of machine that a drill can recover to; the contract holds for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.machines import container, engine
from muster.machines.container import Container
from muster.machines.machine import Machine, Mount
from muster.session import new_run


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "file").write_text("from the host")
    return folder


@pytest.fixture(scope="session", params=["container"])
def machine(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[Machine]:
    run = new_run()
    made = Container(
        release="trixie",
        packages=(),
        hostname="contract-pi",
        name=f"muster-{run}-contract",
        labels=container.owner_labels(run, request.param),
        mounts=[Mount(shared_folder, "/mnt/shared")],
    )
    made.prepare(print)
    try:
        made.provision()
        yield made
    finally:
        made.destroy()
    assert not container.remove_labelled(engine.connect(), made.labels), "destroy left something behind"
