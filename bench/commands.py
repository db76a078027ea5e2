"""Milliseconds that a command on a machine costs: in a container, and over SSH's kept connection to what plays spare hardware."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median
from typing import Protocol

from bench.hands import Hands
from images.spare import NAME, Keys, SpareContainer
from muster.machines.container import Container
from muster.machines.machine import Result
from muster.machines.ssh import hosts
from muster.machines.ssh.remote import Remote

_TIMES, _BATCHES = 60, 5
_WITHIN = timedelta(seconds=30)


class _Runs(Protocol):
    def run(self, command: str, *, timeout: timedelta) -> Result: ...


def measure(hands: Hands) -> None:
    """Run `true` a few hundred times on each kind of machine."""
    _container(hands)
    _ssh(hands)


def _container(hands: Hands) -> None:
    machine = Container("trixie", (), "bench-pi", f"muster-{hands.labels['muster.run']}", hands.labels)
    machine.prepare(lambda _: None)
    try:
        machine.provision()
        _ask(hands, "commands/container", machine)
    finally:
        machine.destroy()


def _ssh(hands: Hands) -> None:
    with SpareContainer(hands.client, Keys(hands.folder / "spare")) as spare:
        remote = Remote(hosts.named(NAME, spare.keys.config))
        try:
            remote.connect(_WITHIN)
            _ask(hands, "commands/ssh", remote)
        finally:
            remote.close()


def _ask(hands: Hands, name: str, machine: _Runs) -> None:
    """Keep the medians of some batches of commands, in milliseconds."""
    for number in range(_BATCHES + 1):
        took = [_seconds(machine) * 1000 for _ in range(_TIMES)]
        if number:  # the first batch makes whatever is made once
            hands.keep(name, median(took))
    hands.say(f"{name}: {median(hands.measured[name]):.1f} ms")


def _seconds(machine: _Runs) -> float:
    started = time.monotonic()
    machine.run("true", timeout=_WITHIN)
    return time.monotonic() - started
