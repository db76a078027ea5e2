"""What is true of containers alone: the engine, what is made in it, and what is cleaned up."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from muster.errors import EngineError, HarnessError, Stopped
from muster.machines import container, engine, images
from muster.machines.container import Container
from muster.machines.machine import Mount
from muster.session import new_run


@pytest.fixture
def client() -> docker.DockerClient:
    return engine.connect()


@pytest.fixture
def fresh() -> Iterator[Container]:
    run = new_run()
    made = Container("trixie", (), "fresh-pi", f"muster-{run}", container.owner_labels(run, "test"))
    yield made
    made.destroy()


class TestEngine:
    def test_no_engine_is_one_sentence_that_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
        with pytest.raises(EngineError, match=r"No container engine answers at .*nothing\.sock: start Docker"):
            engine.connect()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
    def test_no_permission_is_one_sentence_that_says_what_to_do(self) -> None:
        os.seteuid(65534)
        try:
            with pytest.raises(EngineError, match=r"refuses this user: run `sudo usermod -aG docker"):
                engine.connect()
        finally:
            os.seteuid(0)

    def test_docker_host_comes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
        assert engine.connect().ping()

    def test_a_context_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = docker.context.Context("faraway", host="unix:///nowhere/faraway.sock")
        monkeypatch.setattr(docker.context.ContextAPI, "get_current_context", lambda: made)
        with pytest.raises(EngineError, match="faraway"):
            engine.connect()

    def test_a_host_with_neither_cgroups_is_told_what_is_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(engine, "_UNIFIED", tmp_path / "unified")
        engine.systemd_arguments.cache_clear()
        with pytest.raises(EngineError, match="cgroup v1 alone, and systemd in a container needs version 2"):
            engine.systemd_arguments("1")

    def test_cgroup_v2_gets_a_namespace_of_its_own_and_nothing_of_the_host(self) -> None:
        arguments = engine.systemd_arguments("2")
        assert arguments["cgroupns"] == "private"
        assert "volumes" not in arguments


class TestImages:
    def test_an_image_is_made_once(self, client: docker.DockerClient) -> None:
        first = images.clean(client)
        said: list[str] = []
        assert images.clean(client, say=said.append) == first
        assert said == []

    def test_two_that_want_an_image_at_once_make_it_once(self, client: docker.DockerClient, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN echo {new_run()} > /once\n")
        base, said = images.clean(client), list[str]()

        def made(_: int) -> images.Image:
            return images.layer(engine.connect(), tmp_path, base, "once", said.append)

        try:
            with ThreadPoolExecutor(2) as pool:
                first, second = pool.map(made, range(2))
            assert first.tag == second.tag
            assert said == [f"building {first.tag}"]
        finally:
            for tag in {tag for image in client.images.list("muster/once") for tag in image.tags}:
                client.images.remove(tag)

    def test_other_packages_are_another_image_and_their_seconds_are_kept(self, client: docker.DockerClient) -> None:
        bare = images.with_packages(client, "trixie", [])
        more = images.with_packages(client, "trixie", ["tree"])
        assert bare.tag != more.tag
        assert more.seconds > 0

    def test_a_package_that_does_not_exist_is_named(self, client: docker.DockerClient) -> None:
        with pytest.raises(EngineError, match="no-such-package-anywhere"):
            images.with_packages(client, "trixie", ["no-such-package-anywhere"])

    def test_no_space_for_an_image_is_one_sentence(self, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5 << 20})())
        with pytest.raises(EngineError, match="5 MB free, and making an image needs 1024 MB"):
            images.clean(client, "bookworm", say=lambda _: None)


class TestContainer:
    def test_a_repository_that_is_not_there_is_no_empty_folder(self, fresh: Container, tmp_path: Path) -> None:
        fresh.mounts = [Mount(tmp_path / "gone", "/mnt/gone")]
        fresh.prepare(print)
        with pytest.raises(EngineError, match="gone"):
            fresh.provision()
        assert not (tmp_path / "gone").exists()

    def test_a_machine_that_was_not_prepared_says_so(self, fresh: Container) -> None:
        with pytest.raises(HarnessError, match="not prepared"):
            fresh.provision()

    def test_a_destroyed_machine_runs_nothing(self, fresh: Container) -> None:
        fresh.destroy()
        fresh.prepare(print)
        with pytest.raises(Stopped):
            fresh.provision()


class TestLeftovers:
    def test_what_a_killed_process_left_is_removed_and_nothing_else(self, client: docker.DockerClient) -> None:
        # A process that makes a network under its own name, and is gone: what a SIGKILL leaves.
        program = (
            "from muster.machines import container, engine\n"
            "labels = container.owner_labels('killed', 'test')\n"
            "print(engine.connect().networks.create('muster-killed', internal=True, labels=labels).name)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(images.__file__).parents[2])}
        subprocess.run([sys.executable, "-c", program], check=True, env=environment, capture_output=True)
        mine = client.networks.create("muster-alive", internal=True, labels=container.owner_labels("alive", "test"))
        others = client.networks.create("somebody-elses", internal=True, labels={"theirs": "1"})
        try:
            # Whatever runs beside this test looks for leftovers too: only what is left counts, not who removed it.
            assert set(container.remove_leftovers(client)).isdisjoint({"muster-alive", "somebody-elses"})
            assert "muster-killed" not in {network.name for network in client.networks.list()}
            assert {mine.id, others.id} <= {network.id for network in client.networks.list()}
        finally:
            mine.remove()
            others.remove()

    def test_a_reused_process_number_is_not_taken_for_the_owner(self) -> None:
        alive = engine.owner_label()
        assert engine.owner_is_alive(alive)
        host, number, _ = alive.split(":")
        assert not engine.owner_is_alive(f"{host}:{number}:1")
        assert engine.owner_is_alive(f"another-host:{number}:1")


def test_no_word_is_lost_when_this_host_is_slow(fresh: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = http.client.HTTPResponse.begin

    def late(response: http.client.HTTPResponse) -> None:
        time.sleep(0.2)  # the engine's answer and what the command says meanwhile then come in one piece
        begin(response)

    fresh.prepare(print)
    fresh.provision()
    monkeypatch.setattr(http.client.HTTPResponse, "begin", late)
    assert fresh.run("echo said", timeout=timedelta(seconds=20)).out == "said\n"
    assert fresh.run("cat", timeout=timedelta(seconds=20), stdin=b"given").out == "given"
    assert fresh.run("cat", timeout=timedelta(seconds=20)).out == ""
