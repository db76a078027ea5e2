"""Every kind of machine that a drill can recover to, made for the contract, and what is done to one from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from images.spare import NAME, Keys, SpareContainer
from muster.machines import container, engine
from muster.machines.container import Container
from muster.machines.machine import Machine, Mount, Result
from muster.machines.spare import Spare
from muster.machines.sparing.production import Production
from muster.machines.ssh import hosts
from muster.machines.ssh.remote import Remote
from muster.machines.vm import Vm
from muster.machines.wanted import Wanted
from muster.plan.machine import MachineSpec
from muster.session import new_run

TEN = timedelta(seconds=10)
NOTICED = 30  # seconds within which a machine that is gone has to be noticed
HOSTNAME = "contract-pi"
SHARED = "/mnt/shared"


@dataclass(frozen=True, slots=True)
class Subject:
    """A machine under contract.

    `kill` ends it from outside, as a power cut does, and `mend` is what has to be done after that before it can be destroyed;
    `remote` is the connection that it is reached over, if there is one.
    """

    machine: Machine
    kill: Callable[[], None]
    remote: Callable[[], Remote | None] = lambda: None
    mend: Callable[[], None] = lambda: None


def run(machine: Machine, command: str, *, timeout: timedelta = TEN, **arguments: Any) -> Result:  # noqa: ANN401  # what `run` takes
    """A command on a machine, with the time that its pace asks for."""
    return machine.run(command, timeout=timeout * machine.pace if timeout is TEN else timeout, **arguments)


def wanted(kind: str, shared: Path) -> Wanted:
    """A clean machine that sees one folder of this host."""
    run = new_run()
    labels = container.owner_labels(run, kind)
    return Wanted(MachineSpec(), HOSTNAME, f"muster-{run}-contract", labels, [Mount(shared, SHARED)])


@contextlib.contextmanager
def made(kind: str, shared: Path, folder: Path) -> Iterator[Subject]:
    """A machine of a kind, provisioned; it is gone afterwards, with all that was made with it."""
    with _KINDS[kind](wanted(kind, shared), folder) as subject:
        subject.machine.prepare(print)
        try:
            subject.machine.provision()
            yield subject
        finally:
            subject.machine.destroy()


@contextlib.contextmanager
def _container(asked: Wanted, _folder: Path) -> Iterator[Subject]:
    client = engine.connect()
    machine = Container(asked.spec.os, (), asked.hostname, asked.name, asked.labels, asked.mounts)
    yield Subject(machine, lambda: client.containers.get(asked.name).kill())
    assert not container.remove_labelled(client, asked.labels), "destroy left something behind"


@contextlib.contextmanager
def _vm(asked: Wanted, _folder: Path) -> Iterator[Subject]:
    machine = Vm(asked)

    def kill() -> None:
        assert machine._qemu is not None
        machine._qemu.kill()

    yield Subject(machine, kill, lambda: machine._remote)


@contextlib.contextmanager
def _ssh(asked: Wanted, folder: Path) -> Iterator[Subject]:
    """Spare hardware, which a container plays: it has no card to boot from, and all else of a Pi on the desk."""
    with SpareContainer(engine.connect(), Keys(folder)) as spare:
        host = hosts.named(NAME, spare.keys.config)
        production = Production("production-pi", (), (), ())
        machine = Spare(asked, production, host, NAME)
        yield Subject(machine, spare.unplug, lambda: machine._door, spare.plug_in)


_KINDS = {"container": _container, "vm": _vm, "ssh": _ssh}
KINDS = tuple(_KINDS)
