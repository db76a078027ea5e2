"""A container that plays spare hardware: a clean Pi with a user `pi` who has sudo, and an SSH server that this host reaches.

    python images/spare.py FOLDER       run one until Ctrl-C; FOLDER gets ssh_config, its key and its known_hosts

It has a kernel of the host's, so that it boots no card; for all else a drill cannot tell it from a Pi on the desk.
"""

from __future__ import annotations

import secrets
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "fixtures"))  # an uninstalled clone works as well

from muster.machines import container, engine, images  # noqa: E402  # after the path
from muster.machines.ssh.keys import KeyPair, new_pair  # noqa: E402  # after the path

if TYPE_CHECKING:
    import docker

NAME = "spare-pi"
BOOTED = "until [ -S /run/systemd/private ]; do sleep 0.02; done; systemctl is-system-running --wait"


@dataclass(slots=True)
class Keys:
    """How a machine is reached: an SSH configuration in `folder` that knows it as NAME, by a key and a host key of its own."""

    folder: Path
    ours: KeyPair = field(default_factory=new_pair)
    theirs: KeyPair = field(default_factory=new_pair)

    @property
    def config(self) -> Path:
        """The file for `ssh -F`."""
        return self.folder / "ssh_config"

    def write(self, address: str, port: int = 22, name: str = NAME) -> None:
        """Write the configuration for a machine at `address`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key, known = self.folder / "key", self.folder / "known_hosts"
        key.touch(mode=0o600)
        key.write_text(self.ours.private)
        where = address if port == 22 else f"[{address}]:{port}"  # noqa: PLR2004  # the port that nobody names
        known.write_text(f"{where} {self.theirs.public}\n")
        lines = [f"HostName {address}", f"Port {port}", "User pi", f"IdentityFile {key}", f"UserKnownHostsFile {known}"]
        self.config.write_text(f"Host {name}\n" + "".join(f"    {line}\n" for line in lines))


class _Runs(Protocol):
    def __call__(self, command: str, *, check: bool = True) -> str: ...


def settle(run: _Runs, keys: Keys, password: str = "") -> None:
    """Set a clean machine up as its owner does: the user pi with a key and sudo (which asks for a `password` if it has one)."""
    run(f"echo 'pi ALL=(ALL) {'ALL' if password else 'NOPASSWD: ALL'}' > /etc/sudoers.d/010_pi")
    if password:
        run(f"echo 'pi:{password}' | chpasswd")
    else:
        run("usermod -p '*' pi")
    run(f"install -d -o pi -m 0700 /home/pi/.ssh; echo '{keys.ours.public}' > /home/pi/.ssh/authorized_keys")
    run("install -o pi -g pi -m 0644 /dev/null /home/pi/.sudo_as_admin_successful")  # what the first sudo leaves
    run(f"umask 077; rm -f /etc/ssh/ssh_host_*; echo '{keys.theirs.private}' > /etc/ssh/ssh_host_ed25519_key")
    run("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key > /etc/ssh/ssh_host_ed25519_key.pub; systemctl restart ssh")


@dataclass(slots=True)
class SpareContainer:
    """One such container, on a network of its own with a way out; as a context manager it is removed on exit."""

    client: docker.DockerClient
    keys: Keys
    password: str = ""  # what sudo asks for; nothing if empty
    release: str = "trixie"
    packages: tuple[str, ...] = ()  # what was installed on it before
    labels: dict[str, str] = field(default_factory=dict)
    _machine: Any = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def address(self) -> str:
        """Where it answers."""
        self._machine.reload()
        return str(next(iter(self._machine.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"])

    def start(self) -> None:
        """Start it, and wait until it has booted."""
        image = images.clean(self.client, self.release)
        if self.packages:
            image = images.with_packages(self.client, self.release, self.packages)
        name = f"muster-spare-{secrets.token_hex(4)}"
        self.labels = container.owner_labels(name, "spare")
        self.client.networks.create(name, driver="bridge", labels=self.labels)
        arguments = engine.systemd_arguments(self.client.info().get("CgroupVersion", "1"))
        arguments["cap_add"] = [*arguments["cap_add"], "NET_ADMIN", "SYS_BOOT"]  # a fence of its own, and to boot itself
        self._machine = self.client.containers.create(
            image.tag,
            name=name,
            hostname=NAME,
            network=name,
            labels=self.labels,
            devices=["/dev/fuse:/dev/fuse:rwm"],
            restart_policy={"Name": "always"},
            stop_signal="SIGRTMIN+3",
            **arguments,
        )
        self._machine.start()
        self.run(BOOTED)
        settle(self.run, self.keys, self.password)
        self.keys.write(self.address)

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command as its root, as at a console of its own; return what it printed."""
        code, output = self._machine.exec_run(["sh", "-c", command])
        text = str(output.decode("utf-8", "backslashreplace").strip())
        if code and check:
            raise RuntimeError(f"On the spare, `{command[:60]}` ended with {code}: {text[-500:]}")
        return text

    def unplug(self) -> None:
        """Cut its power."""
        self._machine.kill()

    def plug_in(self) -> None:
        """Give it power again, and wait until it has booted."""
        self._machine.start()
        self.run(BOOTED, check=False)

    def remove(self) -> None:
        """Remove it and its network; safe to call twice."""
        if self.labels:
            container.remove_labelled(self.client, self.labels)


def main() -> None:
    """Run one until Ctrl-C."""
    keys = Keys(Path(sys.argv[1] if len(sys.argv) > 1 else "spare").resolve())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with SpareContainer(engine.connect(), keys) as spare:
        sys.stdout.write(f"{NAME} is at {spare.address}: `ssh -F {keys.config} {NAME}`\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
