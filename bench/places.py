"""Where the systems' repositories are reached: on a disk, over SFTP, over REST; with the servers that these want."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from bench.systems import System
from images.sample_pi import PLAN, address, start_store
from muster.machines import engine, images

OURS = {"muster.bench": "script"}  # besides a run's own labels, what a script's container carries and a server's does not
_REST_PORT = 8000
_OFFSITE = ("offsite", "vault-offsite")
_UP = f"timeout 20 sh -c 'until nc -z 127.0.0.1 {_REST_PORT}; do sleep 0.1; done'"
_SSH = """Host {host}
    IdentityFile /mnt/secrets/offsite.key
    UserKnownHostsFile /mnt/secrets/known_hosts
    BatchMode yes
    ConnectTimeout 4
"""


@dataclass(frozen=True, slots=True)
class Place:
    """How one system is reached: by its plan's text, and by a script in a container that is started with `arguments`.

    `home` has its passwords, and `repositories` says which of the plan's a drill takes (the first each dataset names if empty).
    """

    kind: str
    system: System
    plan: Path
    arguments: tuple[str, ...]
    command: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def _plan(system: System, folder: Path, changes: Mapping[str, str]) -> Path:
    text = PLAN.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "plan.toml"
    path.write_text(text.replace("../../.sample", str(system.home)))
    return path


def _machine() -> Mapping[str, Any]:
    """What a container needs so that systemd boots in it: the same for scripts and for drills."""
    return engine.systemd_arguments(engine.connect().info().get("CgroupVersion", "1"))


def _arguments(system: System, labels: Mapping[str, str], network: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What `docker run` is told by a script, for a machine like those of a drill."""
    like = _machine()
    words = ["--hostname", "telemetry-pi", "--pull", "never", "--network", network, f"--cgroupns={like['cgroupns']}"]
    words += [f"--cap-add={each}" for each in like["cap_add"]] + [f"--security-opt={each}" for each in like["security_opt"]]
    words += [f"--tmpfs={at}{':' + options if options else ''}" for at, options in like["tmpfs"].items()]
    words += [f"--volume={source}:{each['bind']}:{each['mode']}" for source, each in like.get("volumes", {}).items()]
    words += [f"--volume={system.home}/usb:/mnt/usb:ro", f"--volume={system.home}/secrets:/mnt/secrets:ro"]
    words += [f"--env={name}={value}" for name, value in {**like["environment"], **environment}.items()]
    return (*words, *(f"--label={name}={value}" for name, value in {**labels, **OURS}.items()))


def on_disk(system: System, folder: Path, labels: Mapping[str, str]) -> Place:
    """The repositories lie on a disk of this host. A script needs no network then, and has none."""
    environment = {"REPOSITORY": "/mnt/usb/telemetry", "VAULT": "/mnt/usb/vault"}
    arguments = _arguments(system, labels, "none", environment)
    return Place("local", system, _plan(system, folder, {}), arguments, tuple(_machine()["command"]), (), labels)


def beside_its_store(system: System, folder: Path) -> tuple[Path, System]:
    """A plan of a system in a copy of its home, where this checkout's drills find its off-site store and start it."""
    folder.mkdir()
    for path in system.home.iterdir():
        if path.name in ("store", "secrets", "envelope"):
            shutil.copytree(path, folder / path.name)
        else:
            (folder / path.name).symlink_to(path)
    return _plan(System(system.name, folder), folder, {}), system


@contextlib.contextmanager
def elsewhere(client: docker.DockerClient, kind: str, system: System, folder: Path, labels: Mapping[str, str]) -> Iterator[Place]:
    """The repositories are behind a server on a network of its own: `kind` is `sftp` or `rest`."""
    network = client.networks.create(labels["muster.run"], driver="bridge", labels=dict(labels))
    server: Any = None
    try:
        server = (
            _sftp(client, system, str(network.name), labels)
            if kind == "sftp"
            else _rest(client, system, str(network.name), labels)
        )
        host = address(server, str(network.name))
        yield _reached(kind, system, folder, labels, (str(network.name), host))
    finally:
        if server is not None:
            server.remove(force=True)
        network.remove()


def _reached(kind: str, system: System, folder: Path, labels: Mapping[str, str], where: tuple[str, str]) -> Place:
    network, host = where
    base = f"sftp:backup@{host}:/restic/" if kind == "sftp" else f"rest:http://{host}:{_REST_PORT}/"
    known = folder / "known_hosts"
    known.write_text((system.home / "secrets" / "known_hosts").read_text().replace("offsite", host))
    config = folder / "ssh.conf"
    config.write_text(_SSH.format(host=host).replace("/mnt/secrets/known_hosts", "/mnt/known_hosts"))
    config.chmod(0o644)
    changes = {"sftp:backup@offsite:/restic/": base, "../../.sample/secrets/known_hosts": str(known)}
    environment = {"REPOSITORY": f"{base}telemetry", "VAULT": f"{base}vault"}
    mounts = [f"--volume={known}:/mnt/known_hosts:ro", f"--volume={config}:/etc/ssh/ssh_config.d/bench.conf:ro"]
    arguments = (*mounts, *_arguments(system, labels, network, environment))
    return Place(kind, system, _plan(system, folder, changes), arguments, tuple(_machine()["command"]), _OFFSITE, labels)


def _sftp(client: docker.DockerClient, system: System, network: str, labels: Mapping[str, str]) -> Any:  # noqa: ANN401  # a container of docker-py
    return start_store(client, network, labels, home=system.home)


def _rest(client: docker.DockerClient, system: System, network: str, labels: Mapping[str, str]) -> Any:  # noqa: ANN401  # as above
    served = client.containers.run(
        images.with_packages(client, "trixie", ["rclone"]).tag,
        ["rclone", "serve", "restic", "--addr", f"0.0.0.0:{_REST_PORT}", "/srv/repositories"],
        detach=True,
        init=True,
        network=network,
        labels=dict(labels),
        volumes={str(system.home / "usb"): {"bind": "/srv/repositories", "mode": "ro"}},
    )
    served.exec_run(_UP)
    served.reload()
    return served
