"""A living Pi that runs a stack of docker compose, as a container that runs containers; what it leaves is backed up for real."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "fixtures"))  # an uninstalled clone works as well

from muster import seal_program  # noqa: E402  # after the path
from muster.errors import MusterError  # noqa: E402  # after the path
from muster.machines import images  # noqa: E402  # after the path
from muster.machines.container import Container  # noqa: E402  # after the path
from muster.machines.machine import Mount  # noqa: E402  # after the path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import docker

RECIPE = ROOT / "images" / "stack"
PLAN = RECIPE / "plan.toml"
PACKAGES = ("docker.io", "docker-cli", "docker-compose")
PATIENCE = timedelta(minutes=3)
_PASSWORD = "the password of two repositories in a test"  # noqa: S105  # it opens nothing but these


class StackError(MusterError):
    """The stack's Pi did not do what it was told; the text says what and why."""


class StackPi:
    """The Pi; `home` outlives it: two repositories, their password, and the plan. Its stack is made for `architecture`."""

    def __init__(
        self, client: docker.DockerClient, home: Path, labels: Mapping[str, str], architecture: Literal["arm64", "amd64"]
    ) -> None:
        self.home = home
        self.architecture = architecture
        for name in ("usb", "vault"):
            (home / name).mkdir(parents=True)
        (home / "password").write_text(f"{_PASSWORD}\n")
        (home / "password").chmod(0o600)
        shutil.copy(PLAN, home / "plan.toml")
        mounts = [Mount(home / name, f"/mnt/{name}", writable=True) for name in ("usb", "vault")]
        self.machine = Container(
            "trixie", PACKAGES, "stack-pi", f"{labels['muster.run']}-living", labels, mounts, image=_image(client)
        )

    def __enter__(self) -> Self:
        try:
            self.machine.provision()
            self.run("umask 077; cat > /etc/stack-password", stdin=_PASSWORD.encode())
            self.run(f"stack-up {self.architecture}")
        except BaseException:
            self.machine.destroy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.destroy()

    def run(self, command: str, stdin: bytes = b"") -> str:
        """Run a command as root; what it printed. Raises StackError if it fails."""
        done = self.machine.run(command, timeout=PATIENCE, stdin=stdin)
        if not done.ok:
            raise StackError(f"`{command}` failed on the stack's Pi: {(done.err or done.out).strip()[-800:]}")
        return done.out

    def backup(self, environment: str = "") -> None:
        """Back the Pi up, and let whoever runs this read what that made."""
        self.run(f"{environment} stack-backup && chown -R {os.getuid()}:{os.getgid()} /mnt/usb /mnt/vault")


def _image(client: docker.DockerClient) -> images.Image:
    base = images.with_packages(client, "trixie", PACKAGES, lambda _: None)
    with tempfile.TemporaryDirectory(prefix="muster-") as scratch:
        recipe = Path(scratch, "stack")
        shutil.copytree(RECIPE, recipe)
        seal_program.write(recipe / "muster-seal")
        return images.layer(client, recipe, base, "stack", lambda _: None)
