"""A virtual Pi that plays spare hardware: it boots a kernel and a card of its own, and starts again whenever it is told to.

    python images/spare_vm.py FOLDER                    run one until Ctrl-C
    python images/spare_vm.py FOLDER -- COMMAND ...     run one as long as a command, with pytest options for it

FOLDER gets ssh_config, its key and its known_hosts. It answers at an address of loopback that is its own, where port 2222 leads
to its SSH server and 52022 to the door that a drill opens. It has no way to a package mirror, so that the packages of
`--plan` are on it.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self, get_args

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]  # an uninstalled clone works as well

from images.spare import NAME, Keys, settle  # noqa: E402  # after the path
from muster.errors import MusterError  # noqa: E402  # after the path
from muster.machines import door, engine  # noqa: E402  # after the path
from muster.machines.qemu import booting, disk, emulator, firmware, partition, running  # noqa: E402  # after the path
from muster.machines.qemu.command import Body, Boot, Memory, machine, told  # noqa: E402  # after the path
from muster.machines.qemu.emulator import Architecture  # noqa: E402  # after the path
from muster.machines.qemu.process import CONSOLE, Qemu  # noqa: E402  # after the path
from muster.machines.sparing.clean import TOOLS  # noqa: E402  # after the path
from muster.machines.ssh.host import Host  # noqa: E402  # after the path
from muster.machines.ssh.keys import KeyPair, new_pair  # noqa: E402  # after the path
from muster.machines.ssh.remote import Remote  # noqa: E402  # after the path
from muster.plan import load  # noqa: E402  # after the path
from muster.plan.machine import MachineSpec  # noqa: E402  # after the path

PORT = 2222
_TOLD = timedelta(seconds=60)
_LOOK = timedelta(seconds=1)


def _loopback() -> str:
    """An address of this host that nobody else uses: all that begin with 127 are its own."""
    return f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}.{secrets.randbelow(250) + 2}"


@dataclass(slots=True)
class SpareVm:
    """One such machine; as a context manager it is gone on exit."""

    keys: Keys
    architecture: Architecture = "arm64"
    packages: Sequence[str] = ()
    release: str = "trixie"
    address: str = field(default_factory=_loopback)
    _console_key: KeyPair = field(default_factory=new_pair)
    _console_host: KeyPair = field(default_factory=new_pair)
    _folder: Path | None = None
    _qemu: Qemu | None = None
    _console: Remote | None = None
    _power: threading.Thread | None = None
    _off: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Switch it on, wait until it has booted, and set it up as its owner does."""
        spec = MachineSpec(os="trixie", packages=tuple(self.packages))
        made = disk.clean(spec, self.architecture, connect=engine.connect)
        by = emulator.find(self.architecture, made.kernel, made.initrd)
        self._folder = running.make(f"spare-{secrets.token_hex(4)}")
        partition.overlay(made.path, "raw", self._folder / "disk.qcow2")
        self._qemu = self._boot(made, by)
        port = self._qemu.port()
        self._power = threading.Thread(target=self._keep_on, args=(made, by, port), name="power", daemon=True)
        host = Host("the spare's console", "127.0.0.1", port, key=self._console_key.private, host_key=self._console_host.public)
        self._console = Remote(host)
        booting.wait(self._qemu, self._console, booting.limit(by.pace) * 2)
        self._power.start()
        settle(self.run, self.keys)
        self.keys.write(self.address, PORT)

    def _boot(self, made: disk.Disk, by: emulator.Emulator, port: int = 0) -> Qemu:
        """Do what a Pi's firmware does, and start."""
        folder = self._folder or Path()
        found = firmware.look(folder / "disk.qcow2", folder)
        files = told(folder, self._console_host, self._console_key.public, "" if port else NAME)
        boot = Boot(made.kernel, made.initrd, firmware.line(found.line, by.console), files)
        command = [*machine(by, Body(memory=768), folder / "disk.qcow2", Memory(), folder / CONSOLE, port), *boot.arguments]
        ports = f"hostfwd=tcp:{self.address}:{PORT}-:22,hostfwd=tcp:{self.address}:{door.PORT}-:{door.PORT}"
        return Qemu(NAME, folder, [f"user,id=pi,{ports}" if word.startswith("user,id=pi,") else word for word in command])

    def _keep_on(self, made: disk.Disk, by: emulator.Emulator, port: int) -> None:
        """A machine that reboots starts again; QEMU ends instead."""
        while not self._off.is_set():
            qemu = self._qemu
            if qemu is None or qemu.wait(_LOOK):
                if qemu is not None:
                    qemu.close()
                if not self._off.is_set():
                    self._qemu = self._boot(made, by, port)

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command as its root, as at a console of its own; return what it printed."""
        if self._console is None:
            raise RuntimeError("The spare is off.")
        done = self._console.run(command, timeout=_TOLD)
        if check and not done.ok:
            raise RuntimeError(f"On the spare, `{shlex.split(command)[:3]}` ended with {done.exit}: {done.err[-500:]}")
        return done.out.strip()

    def remove(self) -> None:
        """Switch it off, and throw it away; safe to call twice."""
        self._off.set()
        if self._console is not None:
            self._console.close()
        if self._power is not None and self._power.is_alive():
            self._power.join(10)
        if self._qemu is not None:
            self._qemu.close()
        if self._folder is not None:
            running.remove(self._folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A virtual Pi that plays spare hardware.")
    parser.add_argument("folder", type=Path, help="gets ssh_config, a key and known_hosts")
    own: Architecture = "arm64" if platform.machine() == "aarch64" else "amd64"
    parser.add_argument("--arch", choices=get_args(Architecture), default=own, help="architecture (this host's: %(default)s)")
    parser.add_argument("--plan", type=Path, help="have the packages of this plan on it")
    parser.add_argument("command", nargs="*", help="what to run meanwhile (default: nothing, until Ctrl-C)")
    return parser.parse_args()


def main() -> int:
    """Run one, and return what its command ended with; 1 and one sentence when it cannot be had."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through the `with`, as Ctrl-C does
    packages = (*load(asked.plan).machine.packages, *TOOLS.values()) if asked.plan else ()
    try:
        with SpareVm(Keys(asked.folder.resolve()), asked.arch, packages) as spare:
            sys.stdout.write(f"{NAME} is at {spare.address}: `ssh -F {spare.keys.config} {NAME}`\n")
            sys.stdout.flush()
            if not asked.command:
                signal.pause()
            options = ["--drill-machine", "ssh", "--drill-host", NAME, "--drill-erase", NAME]
            reached = shlex.join([*options, "--drill-ssh-config", str(spare.keys.config)])
            return subprocess.run(asked.command, env={**os.environ, "PYTEST_ADDOPTS": reached}, check=False).returncode  # noqa: S603
    except MusterError as error:
        sys.stderr.write(f"spare: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
