"""A repository elsewhere is reached through a socket of the machine or a port of it, whichever the machine has."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from muster.backups import ssh
from muster.backups.restic import Restic
from muster.journal import Journal
from muster.machines.console import Console
from muster.plan import Repository
from tests.fake.machine import FakeMachine

HOUR = timedelta(hours=1)


def repository(url: str, folder: Path) -> Repository:
    password = folder / "password"
    password.write_text("the-password\n")
    return Repository.model_validate({"url": url, "media": "disk", "password": {"file": password}})


def unlocked(url: str, relay: str, folder: Path) -> tuple[Restic, list[str]]:
    machine = FakeMachine()
    machine.relays = {"nas:8000": relay, "nas:22": relay}
    restic = Restic(Console(machine, Journal(folder / "journal.jsonl")), "far", repository(url, folder))
    restic.unlock("test")
    return restic, machine.commands


def test_ssh_goes_through_a_socket_or_a_port() -> None:
    assert ssh.options(relay="/mnt/muster/0.sock")[-1] == "ProxyCommand=nc -U /mnt/muster/0.sock"
    assert ssh.options(relay="127.0.0.1:61000")[-1] == "ProxyCommand=nc 127.0.0.1 61000"


def test_a_rest_server_gets_a_port_in_front_of_a_socket(tmp_path: Path) -> None:
    restic, commands = unlocked("rest:http://nas:8000/pi", "/mnt/muster/0.sock", tmp_path)
    assert restic.url == "rest:http://127.0.0.1:61000/pi"
    assert any("systemd-socket-proxyd /mnt/muster/0.sock" in command for command in commands)


def test_a_port_that_is_there_already_is_used_as_it_is(tmp_path: Path) -> None:
    restic, commands = unlocked("rest:http://nas:8000/pi", "127.0.0.1:61007", tmp_path)
    assert restic.url == "rest:http://127.0.0.1:61007/pi"
    assert not any("systemd-socket-proxyd" in command for command in commands)


@pytest.mark.parametrize("relay", ["/mnt/muster/0.sock", "127.0.0.1:61007"])
def test_a_server_with_a_certificate_keeps_its_name(tmp_path: Path, relay: str) -> None:
    restic, commands = unlocked("rest:https://nas:8000/pi", relay, tmp_path)
    assert restic.url.startswith("rest:https://nas:610")
    assert any("'127.0.0.1 nas' >> /etc/hosts" in command for command in commands)


def test_a_server_without_one_is_not_named(tmp_path: Path) -> None:
    _, commands = unlocked("rest:http://nas:8000/pi", "127.0.0.1:61007", tmp_path)
    assert not any("/etc/hosts" in command for command in commands)
