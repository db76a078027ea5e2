"""A clean Pi whose packages somebody installs by hand: from a mirror inside it, with no network, and as on a Pi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from muster.machines import container, images
from muster.machines.container import Container
from muster.machines.kinds import Choice, make
from muster.machines.wanted import Wanted
from muster.plan import load
from muster.session import new_run

PLAN = load(Path(__file__).parents[2] / "drills" / "plans" / "telemetry.toml")
PACKAGES = " ".join([*PLAN.machine.packages, "restic", "openssh-client"])
MINUTES = timedelta(minutes=5)
SECOND = timedelta(seconds=30)


def wanted() -> Wanted:
    run = new_run()
    labels = container.owner_labels(run, "mirror")
    return Wanted(PLAN.machine, "raspberrypi", f"muster-{run}-mirror", labels, packages_by_hand=True)


@pytest.fixture(scope="module")
def machine() -> Iterator[Container]:
    made = make(Choice("vm"), wanted())
    assert isinstance(made, Container), "only a container has a mirror"
    made.prepare(print)
    try:
        made.provision()
        yield made
    finally:
        made.destroy()


def test_it_has_no_python_no_restic_and_the_name_of_a_new_pi(machine: Container) -> None:
    assert machine.run("hostname", timeout=SECOND).out == "raspberrypi\n"
    found = machine.run("command -v python3 python restic mosquitto psql; ls /usr/lib | grep python", timeout=SECOND)
    assert found.out == ""
    assert machine.run("command -v sh apt-get", timeout=SECOND).ok


def test_its_mirror_is_its_only_source(machine: Container) -> None:
    sources = "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#'"
    assert machine.run(sources, timeout=SECOND).out == "deb [trusted=yes] file:/var/lib/muster-mirror ./\n"


def test_downloading_took_its_time_when_the_mirror_was_made(machine: Container) -> None:
    ((what, (seconds, _)),) = machine.prepared.items()
    assert what == "packages downloaded (when their mirror was made)"
    assert seconds > 0
    assert "mirror" in machine.description


def test_packages_install_without_a_way_out_and_start_what_they_bring(
    machine: Container, record_property: Callable[[str, object], None]
) -> None:
    network = machine.client.networks.get(machine.name)
    assert network.attrs["Internal"]
    typed = f"apt-get update && apt-get install -y --no-install-recommends {PACKAGES} </dev/null"
    installed = machine.run(typed, timeout=MINUTES)
    assert installed.ok, installed.err[-2000:]
    record_property("seconds of installation from the mirror", round(installed.seconds, 1))
    started = machine.run("systemctl is-active mosquitto nginx postgresql@17-main", timeout=SECOND)
    assert started.out.split() == ["active"] * 3
    assert machine.run("systemctl is-enabled mosquitto nginx postgresql", timeout=SECOND).out.split() == ["enabled"] * 3
    assert machine.run("command -v restic python3", timeout=SECOND).ok
    simulated = machine.run(f"apt-get install -s --install-recommends {PACKAGES}", timeout=SECOND)
    assert simulated.ok, "recommended packages are missing in the mirror"


def test_a_mirror_is_made_once(machine: Container) -> None:
    said: list[str] = []
    again = images.with_mirror(machine.client, PLAN.machine.os, PLAN.machine.packages, said.append)
    assert again == machine.image
    assert said == []
    assert images.tag(PLAN.machine.os, PLAN.machine.packages) != again.tag
