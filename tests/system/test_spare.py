"""Drills on spare hardware over SSH, played by a container: what is refused, what is fenced in, and what is left afterwards."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from images.sample_pi import PLAN
from images.spare import NAME, Keys, SpareContainer
from muster.journal import read
from muster.machines import engine
from muster.machines.sparing.clean import TOOLS
from muster.plan import load
from muster.record import Record, fold
from tests.system.breaking import Sample
from tests.system.running import Running, start

# All that the machine's owner would miss, or would not want there; logs and caches change with every boot.
_LISTING = (
    r"find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /.muster -o -path /var/log"
    r" -o -path /var/lib/systemd -o -path /var/cache -o -path /var/tmp"
    r" -o -path /etc/resolv.conf -o -path /etc/hosts -o -path /etc/hostname \)"
    r" -prune -o ! -type d -printf '%p %m %U %G %s %l\n' -o -printf '%p %m %U %G\n' | sort"
)
_KEPT = "find /.muster -maxdepth 2 -printf '%p %C@\\n' | sort"
_PACKAGES = (*load(PLAN).machine.packages, *TOOLS.values())
_FIRST = ("-k", "test_clean_machine_boots")  # no more than a machine is asked for


@pytest.fixture(scope="module")
def client() -> docker.DockerClient:
    return engine.connect()


@pytest.fixture(scope="module")
def spare(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpareContainer]:
    """One machine for all tests: each of them leaves it as it was."""
    keys = Keys(tmp_path_factory.mktemp("keys"))
    with SpareContainer(client, keys, packages=_PACKAGES) as machine:
        yield machine


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this host keeps the keys of doors meanwhile."""
    state = tmp_path_factory.getbasetemp() / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    return state


def drill(system: Sample, spare: SpareContainer, name: str, *arguments: str, erase: str = NAME) -> Running:
    home, out = system.folder / "spare", system.folder / f"reports-{name}"
    if not home.exists():
        system.copy("spare")
    config = ("--drill-host", NAME, "--drill-ssh-config", str(spare.keys.config), "--drill-erase", erase)
    return start(home, out, "--drill-machine", "ssh", *config, *arguments)


def record(running: Running) -> Record:
    journal = running.journal()
    assert journal, running.output
    return fold(read(journal))


@contextmanager
def production(address: str) -> Iterator[int]:
    """Something in the network of the machine that it could reach: the port of it, on this host."""
    with socket.create_server((address, 0)) as server:
        threading.Thread(target=_take, args=(server,), daemon=True).start()
        yield int(server.getsockname()[1])


def _take(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        return


def reaches(spare: SpareContainer, address: str, port: int) -> bool:
    # What it says on the way comes over another stream, and can come last.
    return spare.run(f"nc -z -w 5 {address} {port} 2>/dev/null && echo open", check=False) == "open"


def gateway(spare: SpareContainer) -> str:
    """This host, as the machine sees it."""
    return spare.address.rpartition(".")[0] + ".1"


def test_a_pi_comes_back_on_it_fenced_in_and_it_is_as_it_was_afterwards(
    system: Sample, spare: SpareContainer, own_state: Path
) -> None:
    before, host = spare.run(_LISTING), gateway(spare)
    with production(host) as port:
        assert reaches(spare, host, port), "without a fence the test shows nothing"
        running = drill(system, spare, "whole")
        running.wait_until_ended("choose")
        assert not reaches(spare, host, port)
        assert "telemetry-pi" in spare.run("hostname")
        status = running.finish()
        assert reaches(spare, host, port)
    assert status == 0, running.output
    found = record(running)
    assert found.verdict == "recovered"
    assert spare.run(_LISTING) == before
    assert spare.run("ls /.muster") == "back.log\nclean\nstamp"
    assert not list(own_state.rglob("*key*"))


def test_a_machine_that_lost_its_power_in_a_restore_proves_nothing_and_is_cleaned_by_the_next_drill(
    system: Sample, spare: SpareContainer
) -> None:
    before = spare.run(_LISTING)
    running = drill(system, spare, "unplugged")
    running.wait_until_ended("accounts")
    spare.unplug()
    status = running.finish()
    assert status != 0
    found = record(running)
    assert found.verdict == "not proven", running.output
    spare.plug_in()
    assert "used" in spare.run("ls /.muster")
    again = drill(system, spare, "after-unplugged", *_FIRST)
    again.finish()
    assert f"taking {NAME} back to its clean system" in again.output
    assert " 1 passed" in again.output
    assert spare.run(_LISTING) == before


def test_what_looks_like_production_is_left_alone(system: Sample, spare: SpareContainer) -> None:
    spare.run("hostname telemetry-pi; mkdir -p /srv/media; echo a > /srv/media/photo.jpg; touch /.muster/mounted")
    try:
        before, copied = spare.run(_LISTING), spare.run(_KEPT)
        running = drill(system, spare, "production", *_FIRST)
        assert running.finish() != 0
        said = " ".join(running.output.split())
        assert f"{NAME} looks like production and is not erased" in said
        assert "it is called telemetry-pi" in said
        assert "/srv/media/photo.jpg" in said
        assert spare.run(_LISTING) == before
        assert spare.run(_KEPT) == copied
        assert record(running).verdict == "not proven"
    finally:
        spare.run(f"hostname {NAME}; rm -rf /srv/media")


def test_another_name_to_erase_stops_everything(system: Sample, spare: SpareContainer) -> None:
    running = drill(system, spare, "other-name", erase="spare-pi-2")
    assert running.finish() != 0
    assert "--drill-erase spare-pi-2 is not --drill-host spare-pi" in running.output
    assert running.journal() is None


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("echo 'pi ALL=(ALL) ALL' > /etc/sudoers.d/010_pi; passwd -q -l pi", r"sudo"),
        ("rm /home/pi/.ssh/authorized_keys", r"refuses .*key"),
        (
            "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh",
            "host key",
        ),
    ],
    ids=["sudo", "key", "host-key"],
)
def test_a_way_in_that_is_closed_is_one_sentence(system: Sample, spare: SpareContainer, broken: str, sentence: str) -> None:
    kept = "tar -C / -cf /tmp/kept.tar etc/sudoers.d etc/shadow etc/ssh home/pi"
    spare.run(f"{kept}; {broken}")
    try:
        running = drill(system, spare, re.sub(r"\W", "", sentence), *_FIRST)
        assert running.finish() != 0
        assert re.search(sentence, running.output)
        assert "Traceback" not in running.output
        assert record(running).verdict == "not proven"
    finally:
        spare.run("rm -f /etc/ssh/ssh_host_*; tar -C / -xpf /tmp/kept.tar; systemctl restart ssh")
