"""A drill reaches a host as `ssh HOST` does with the same configuration."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from muster.errors import PlanError
from muster.machines.ssh import hosts
from muster.machines.ssh.host import Sudo


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any configuration but what a test puts there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def config(home: Path, text: str) -> Path:
    path = home / "ssh_config"
    path.write_text(text)
    return path


def test_all_that_is_said_of_a_host_is_used(home: Path) -> None:
    (home / "spare.key").touch()
    said = config(
        home,
        f"Host spare\n HostName 192.0.2.7\n Port 2222\n User pi\n IdentityFile {home}/spare.key\n"
        f" UserKnownHostsFile {home}/known {home}/more\n HostKeyAlias the-spare\n IdentitiesOnly yes\n",
    )
    host = hosts.named("spare", said)
    assert (host.name, host.address, host.port, host.user) == ("spare", "192.0.2.7", 2222, "pi")
    assert host.keys == (home / "spare.key",)
    assert host.known_hosts == (home / "known", home / "more")
    assert (host.alias, host.agent) == ("the-spare", False)


def test_without_a_configuration_the_usual_holds(home: Path) -> None:
    (home / ".ssh" / "id_ed25519").touch()
    host = hosts.named("spare")
    assert (host.address, host.port, host.user) == ("spare", 22, getpass.getuser())
    assert host.keys == (home / ".ssh" / "id_ed25519",)
    assert host.known_hosts[0] == home / ".ssh" / "known_hosts"
    assert host.agent
    assert host.jumps == ()


def test_the_own_configuration_is_read_where_none_is_named(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host spare\n Port 2200\n")
    assert hosts.named("spare").port == 2200


def test_a_user_and_a_port_in_the_name_come_first(home: Path) -> None:
    said = config(home, "Host spare\n User pi\n Port 2222\n")
    host = hosts.named("root@spare:22", said)
    assert (host.name, host.user, host.port) == ("spare", "root", 22)


def test_the_way_leads_past_each_host_in_order(home: Path) -> None:
    said = config(home, "Host spare\n ProxyJump door,guard@hall:2222\nHost door\n HostName 192.0.2.1\n ProxyJump street\n")
    host = hosts.named("spare", said)
    assert [jump.name for jump in host.jumps] == ["street", "door", "hall"]
    assert [jump.address for jump in host.jumps] == ["street", "192.0.2.1", "hall"]
    assert (host.jumps[2].user, host.jumps[2].port) == ("guard", 2222)


def test_a_way_that_leads_in_a_circle_is_told(home: Path) -> None:
    said = config(home, "Host spare\n ProxyJump door\nHost door\n ProxyJump spare\n")
    with pytest.raises(PlanError, match="The way to spare leads through spare twice: mend ProxyJump"):
        hosts.named("spare", said)


def test_a_way_that_a_drill_does_not_know_is_told(home: Path) -> None:
    with pytest.raises(PlanError, match="spare has a ProxyCommand in the SSH configuration, and a drill knows ProxyJump only"):
        hosts.named("spare", config(home, "Host spare\n ProxyCommand nc %h %p\n"))


def test_root_needs_no_sudo_and_others_do(home: Path) -> None:
    said = config(home, "Host spare\n User pi\n")
    assert hosts.named("root@spare", said).sudo is None
    assert hosts.named("spare", said, "the-password").sudo == Sudo("the-password")
    assert hosts.named("spare", said).sudo == Sudo()


def test_a_key_that_is_asked_for_and_not_there_is_kept_to_be_missed(home: Path) -> None:
    said = config(home, f"Host spare\n IdentityFile {home}/none\n")
    assert hosts.named("spare", said).keys == (home / "none",)


def test_a_configuration_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(PlanError, match=rf"The SSH configuration {home}/none cannot be read: No such file"):
        hosts.named("spare", home / "none")


def test_what_names_no_host_is_told() -> None:
    with pytest.raises(PlanError, match="pi@ names no host"):
        hosts.named("pi@")
