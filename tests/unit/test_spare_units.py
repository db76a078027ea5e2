from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from muster.errors import HarnessError
from muster.machines import door
from muster.machines.sparing import units
from muster.machines.sparing.access import Access
from muster.machines.sparing.fence import Peer, rules
from muster.machines.ssh.host import Host
from muster.machines.ssh.keys import private

KEYS = units.DoorKeys("ssh-ed25519 AAAA", "PRIVATE")
HOST = Host("spare-pi", "192.0.2.7")


def entries(*, watched: bool = True) -> dict[str, tarfile.TarInfo]:
    content = units.everything(Peer("192.0.2.1"), KEYS, penalizes=True, watched=watched)
    return {entry.name: entry for entry in tarfile.open(fileobj=io.BytesIO(content)).getmembers()}


def test_the_other_end_of_a_connection_is_found_in_what_sshd_tells() -> None:
    assert Peer.of("192.0.2.1 5022 192.0.2.7 22") == Peer("192.0.2.1")


def test_an_address_of_ipv4_in_ipv6_is_one_of_ipv4() -> None:
    assert Peer.of("::ffff:192.0.2.1 5022 ::ffff:192.0.2.7 22").family == "ip"


def test_a_scope_is_no_part_of_an_address() -> None:
    peer = Peer.of("fe80::1%eth0 5022 fe80::2%eth0 22")
    assert (peer.address, peer.family) == ("fe80::1", "ip6")


def test_without_a_word_from_sshd_no_fence_is_put_up() -> None:
    with pytest.raises(HarnessError, match="from where it is spoken to"):
        Peer.of("")


def test_the_fence_lets_in_and_out_what_belongs_to_the_door_alone() -> None:
    text = rules(Peer("fe80::1"), door.PORT)
    assert text.count("policy drop") == 3
    assert "ip6 saddr fe80::1 tcp dport 52022 accept" in text
    assert "ip6 daddr fe80::1 tcp sport 52022 accept" in text
    assert "flags owner" in text, "or restored rules would flush it"


def test_no_key_can_be_read_by_anyone_but_root() -> None:
    found = entries()
    assert {found[f"{units.DOOR}/{name}"].mode for name in ("host_key", "authorized_keys", "sshd_config")} == {0o600}
    assert found[units.DOOR].mode == 0o700


def test_nothing_is_put_where_a_backup_restores() -> None:
    assert all(name.startswith(("usr/lib/muster", "usr/lib/systemd/system/")) for name in entries())


def test_every_unit_is_found_by_what_takes_the_machine_back() -> None:
    named = [name for name in entries() if name.startswith("usr/lib/systemd") and not name.endswith(".wants")]
    assert named
    assert all("/muster-" in name for name in named)


def test_a_machine_that_is_kept_does_not_go_back_by_itself() -> None:
    links = [name for name in entries(watched=False) if ".wants/" in name]
    assert sorted(name.rpartition("/")[2] for name in links) == ["muster-door.service", "muster-fence.service"]
    assert any("muster-watch.timer" in name for name in entries() if ".wants/" in name)


@pytest.mark.parametrize("script", sorted(Path(units.__file__).parent.glob("*.sh")), ids=lambda path: path.name)
def test_each_program_is_one_that_a_shell_reads(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Access.to(HOST)


def test_the_keys_of_a_door_are_kept_for_whoever_finds_the_machine_unfinished(access: Access) -> None:
    access.take()
    made = access.new_keys(52022)
    assert Access.to(HOST).keys() == made
    assert private(made[0].private).get_name() == "ssh-ed25519"
    assert f"[{HOST.address}]:52022 {made[1].public}" in access.known_hosts.read_text()


def test_only_their_owner_can_read_them(access: Access) -> None:
    access.take()
    access.new_keys(52022)
    assert {path.stat().st_mode & 0o077 for path in access.folder.iterdir() if path.name != "lock"} == {0}
    assert access.folder.stat().st_mode & 0o077 == 0


def test_keys_that_are_forgotten_are_gone(access: Access) -> None:
    access.take()
    access.new_keys(52022)
    access.forget()
    assert access.keys() is None
    assert not list(access.folder.glob("*key*"))


def test_two_drills_never_have_one_machine(access: Access) -> None:
    access.take()
    with pytest.raises(HarnessError, match="Another drill on this host has spare-pi"):
        Access.to(HOST).take()
    access.leave()
    other = Access.to(HOST)
    other.take()
    other.leave()


def test_another_machine_of_the_same_name_has_a_folder_of_its_own(access: Access) -> None:
    assert Access.to(Host("spare-pi", "192.0.2.8")).folder != access.folder


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(HarnessError, match="cannot be written, where the keys of spare-pi are kept"):
        Access.to(HOST).take()
