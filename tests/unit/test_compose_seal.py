"""What the living Pi seals of its stacks, and what it never does: a value."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muster.backups.manifest import Stack
from muster.seal import containers, stacks
from muster.seal.services import services
from tests.fake.sealing import answering, debian

VALUE = "hunter-two"
OTHER = {"Config": {"Labels": {"com.docker.compose.project.working_dir": "/elsewhere"}}}


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    containers._every.cache_clear()
    yield
    containers._every.cache_clear()


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A plan whose stack runs one container."""
    folder, data = tmp_path / "stack", tmp_path / "volumes/house_rows/_data"
    for path in (folder / "www", data / "deep"):
        path.mkdir(parents=True)
    (folder / ".env").write_text(f"DB_PASSWORD={VALUE}\n")
    (data / "deep/a").write_text("1")
    labels = {"project": "house", "service": "web", "project.working_dir": str(folder)}
    ours = {
        "Image": "sha256:1234",
        "Config": {
            "Image": "app/web:latest",
            "Env": [f"DB_PASSWORD={VALUE}"],
            "Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()},
        },
        "Mounts": [
            {"Type": "volume", "Name": "house_rows", "Source": str(data)},
            {"Type": "volume", "Name": "f" * 64, "Source": str(data)},
            {"Type": "bind", "Source": str(folder / "www")},
            {"Type": "tmpfs", "Destination": "/cache"},
        ],
    }
    warning = 'time="now" level=warning msg="The \\"TZ\\" variable is not set. Defaulting to a blank string."\n'
    answering(monkeypatch)(
        {
            "docker ps": "id1\nid2\n",
            "docker inspect id1 id2": json.dumps([ours, OTHER]),
            "docker image inspect": "sha256:aa sha256:bb \n",
            "sh -c cd": warning,
        }
    )
    table = {"compose": str(folder)}
    return {"data": {"stack": {"paths": [str(folder)]}}, "services": {"house": table, "plain": {}}}


def test_a_stack_is_sealed_as_it_runs(pi: dict[str, Any]) -> None:
    sealed = Stack.model_validate(stacks.stacks(pi)["house"])
    folder = pi["services"]["house"]["compose"]
    here = f"{os.getuid()}:{os.getgid()}"
    assert (sealed.project, sealed.env, sealed.unset) == ("house", True, ("TZ",))
    assert sealed.containers["web"].image == "app/web:latest"
    assert len(sealed.containers["web"].content) == 64
    assert sealed.volumes == {"house_rows": 1}
    assert sealed.owners == {"house_rows": here, f"{folder}/www": here}


def test_no_value_of_a_variable_is_sealed(pi: dict[str, Any]) -> None:
    assert VALUE not in json.dumps(stacks.stacks(pi))


def test_the_same_layers_are_the_same_image_however_they_are_listed(pi: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = stacks.stacks(pi)["house"]["containers"]["web"]["content"]
    monkeypatch.setattr(containers, "layers", lambda _: "sha256:aa  sha256:bb")
    assert stacks.stacks(pi)["house"]["containers"]["web"]["content"] == first
    monkeypatch.setattr(containers, "layers", lambda _: "sha256:aa sha256:cc")
    assert stacks.stacks(pi)["house"]["containers"]["web"]["content"] != first


def test_a_pi_without_docker_seals_what_it_can(pi: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)({})
    containers._every.cache_clear()
    assert stacks.stacks(pi)["house"]["containers"] == {}


def test_the_unit_of_a_stack_is_the_engine_s(pi: dict[str, Any], tmp_path: Path) -> None:
    told = services({**pi, "services": {"house": pi["services"]["house"]}}, debian(tmp_path))
    assert told["house"]["unit"] == "docker.service"
