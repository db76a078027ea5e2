"""Pis that are as small as a Pi can be and still proven: one folder, one service, one repository; made in seconds."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from muster import seal_program
from muster.machines import container, images
from muster.session import new_run

PACKAGES = ["python3"]
_PLAN = """\
schema = 1
name = "{name}"
hostname = "{name}-pi"

[objectives]
rpo = "1d"
rto = "30m"

[machine]
os = "trixie"
packages = ["python3"]

[repositories.usb]
url = "usb-{name}"
media = "usb-ssd"
password = {{ file = "{name}.password" }}

[data.etc]
class = "config"
paths = ["/etc/systemd/system/{name}.service", "/etc/systemd/system/multi-user.target.wants/{name}.service"]

[data.pages]
class = "data"
paths = ["/srv/{name}"]

[services.{name}]
uses = ["etc", "pages"]
ready = {{ tcp = 8080, within = "60s" }}

[smoke.greeting]
service = "{name}"
run = "curl -sS http://127.0.0.1:8080/greeting"
expect = {{ contains = "this is {name}" }}

[metrics.pages]
run = "find /srv/{name} -type f | wc -l"

[watermark.pages]
run = "date -u -r /srv/{name}/greeting +%FT%TZ"
"""
_UNIT = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server -d /srv/{name} 8080
[Install]
WantedBy=multi-user.target
"""
_LIVES = """\
set -e
mkdir -p /srv/{name} /etc/muster /etc/systemd/system/multi-user.target.wants
echo "this is {name}" > /srv/{name}/greeting
seq 1000 > /srv/{name}/numbers
printf %s {unit} > /etc/systemd/system/{name}.service
ln -s /etc/systemd/system/{name}.service /etc/systemd/system/multi-user.target.wants/
python3 /mnt/muster-seal --plan /mnt/plans/{name}.toml --run r1 >&2
export RESTIC_REPOSITORY=/mnt/plans/usb-{name} RESTIC_PASSWORD_FILE=/mnt/plans/{name}.password
restic --quiet init
restic --quiet backup --tag run=r1 /srv/{name} /etc/systemd/system /var/lib/muster
chown -R --reference=/mnt/plans $RESTIC_REPOSITORY
"""


@dataclass(frozen=True, slots=True)
class SmallPi:
    """What is left of one: its plan, and beside it the repository and the password that it refers to."""

    name: str
    plan: Path


def left_of(client: docker.DockerClient, run: str) -> list[str]:
    """The names of what a run has in the engine."""
    filters = {"label": f"muster.run={run}"}
    return [str(thing.name) for kind in (client.containers, client.networks) for thing in _all(kind, filters)]


def _all(kind: Any, filters: dict[str, str]) -> list[Any]:  # noqa: ANN401  # collections of docker-py
    return list(kind.list(filters=filters, **({"all": True} if hasattr(kind, "run") else {})))


def make(client: docker.DockerClient, folder: Path, name: str) -> SmallPi:
    """Have one live, back itself up into `folder` and be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / f"{name}.toml"
    plan.write_text(_PLAN.format(name=name))
    (folder / f"{name}.password").write_text(f"the-password-of-{name}\n")
    seal = folder.parent / "muster-seal"
    seal.write_bytes(seal_program.program())
    image = images.with_packages(client, "trixie", PACKAGES, lambda _: None)
    client.containers.run(
        image.tag,
        ["sh", "-c", _LIVES.format(name=name, unit=shlex.quote(_UNIT.format(name=name)))],
        hostname=f"{name}-pi",
        labels=container.owner_labels(new_run(), name),
        network_mode="none",
        remove=True,
        volumes={str(folder): {"bind": "/mnt/plans"}, str(seal): {"bind": "/mnt/muster-seal", "mode": "ro"}},
    )
    return SmallPi(name, plan)
