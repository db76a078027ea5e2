"""Where the passwords are kept: not on the Pi that they bring back, in two places that agree, and in no other repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from muster.backups.filelist import SealedFile
from muster.backups.manifest import Manifest
from muster.inspection import escrow
from muster.inspection.escrow import Host, hosts_in, lying_open, on_the_pi
from muster.plan import Plan, load
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW, write_plan

PASSWORD, OTHER = "the-password-of-restic", "another-password-altogether"
IDENTITY = hashlib.sha256(b"0123456789abcdef").hexdigest()
SEALED = Manifest(hostname="tiny-pi", sealed_at=NOW, machine_id_sha256=IDENTITY, addresses=("192.0.2.7",))
LAPTOP = Host("laptop", "", "pi@tiny-pi:/home /mnt/pi fuse.sshfs rw 0 0\nnas:/x /mnt/nas nfs rw 0 0\n")
FIRST = 'url = "usb"\nmedia = "usb-ssd"\npassword = { file = "password" }'


def _changed(more: str, from_where: str = 'file = "password"') -> str:
    return f'url = "usb"\nmedia = "usb-ssd"\n{more}\npassword = {{ {from_where} }}'


def _plan(folder: Path, more: str = "", from_where: str = 'file = "password"') -> Plan:
    path = write_plan(folder)
    path.write_text(path.read_text().replace(FIRST, _changed(more, from_where)))
    return load(path)


def _severities(plan: Plan, manifest: Manifest | None = SEALED, host: Host = LAPTOP) -> list[str]:
    return [finding.severity for finding in on_the_pi(plan, "usb", manifest, host)]


def test_a_password_on_another_machine_is_left_alone(tmp_path: Path) -> None:
    assert _severities(_plan(tmp_path)) == []


def test_an_inspection_on_the_pi_itself_is_named(tmp_path: Path) -> None:
    assert _severities(_plan(tmp_path), host=Host("tiny-pi.lan", IDENTITY, "")) == ["error"]


def test_another_machine_of_the_same_name_is_not_the_pi(tmp_path: Path) -> None:
    assert _severities(_plan(tmp_path), host=Host("tiny-pi", "f" * 64, "")) == []


def test_the_name_alone_is_a_warning(tmp_path: Path) -> None:
    assert _severities(_plan(tmp_path), None, Host("tiny-pi", IDENTITY, "")) == ["warning"]


@pytest.mark.parametrize(
    ("password", "found"),
    [
        ('file = "/mnt/pi/password"', ["error"]),
        ('file = "/mnt/nas/password"', []),
        ('command = "ssh pi@tiny-pi cat /etc/restic.password"', ["error"]),
        ('command = "ssh -p 22 192.0.2.7 cat password"', ["error"]),
        ('command = "/usr/bin/scp tiny-pi.local:/etc/password /dev/stdout"', ["error"]),
        ('command = "curl -s http://tiny-pi:8080/password"', ["error"]),
        ('command = "ssh nas cat tiny-pi.password"', []),
        ('command = "pass show tiny-pi"', []),
        ('env = "TINY_PI"', []),
    ],
)
def test_a_reference_that_leads_to_the_pi_is_named(tmp_path: Path, password: str, found: list[str]) -> None:
    assert _severities(_plan(tmp_path, from_where=password)) == found


def test_a_second_place_elsewhere_makes_good_for_a_password_on_the_pi(tmp_path: Path) -> None:
    command = 'command = "ssh tiny-pi cat password"'
    assert _severities(_plan(tmp_path, 'escrow = { command = "ssh nas cat password" }', command)) == []
    assert _severities(_plan(tmp_path, 'escrow = { command = "ssh pi@tiny-pi cat copy" }', command)) == ["error"]


def test_an_ssh_key_on_the_pi_is_named_whatever_the_escrow(tmp_path: Path) -> None:
    key = 'ssh_key = { command = "ssh tiny-pi cat key" }\nescrow = { env = "SECOND" }'
    url = _changed(key).replace('url = "usb"', 'url = "sftp:backup@store:/pi"')
    path = write_plan(tmp_path)
    path.write_text(path.read_text().replace(FIRST, url))
    [finding] = on_the_pi(load(path), "usb", SEALED, LAPTOP)
    assert "SSH key" in finding.what


def test_hosts_are_found_however_a_command_writes_them() -> None:
    assert hosts_in("ssh -l pi [2001:db8::1]:x") == ["ssh", "-l", "pi", "2001:db8::1"]
    assert hosts_in("rsync rsync://a@host:873/x 'unclosed") == ["rsync", "host", "'unclosed"]


class TestSecondPlace:
    def _found(self, folder: Path, reference: str) -> list[tuple[str, str]]:
        record = inspected(folder, change=lambda text: text.replace(FIRST, _changed(f"escrow = {{ {reference} }}")))
        return [(finding.code, finding.where) for finding in of(record, "escrow-missing", "escrow-differs")]

    def _kept(self, folder: Path, value: str) -> str:
        (folder / "second").write_text(value)
        return f'file = "{folder}/second"'

    def test_the_same_password_twice_is_well_kept(self, tmp_path: Path) -> None:
        assert self._found(tmp_path, self._kept(tmp_path, f"{PASSWORD}\n")) == []

    def test_another_password_is_named(self, tmp_path: Path) -> None:
        assert self._found(tmp_path, self._kept(tmp_path, OTHER)) == [("escrow-differs", "usb")]

    def test_none_is_named(self, tmp_path: Path) -> None:
        assert self._found(tmp_path, 'command = "false"') == [("escrow-missing", "usb")]
        assert self._found(tmp_path, self._kept(tmp_path, "\n")) == [("escrow-missing", "usb")]

    def test_no_value_is_ever_shown(self, tmp_path: Path) -> None:
        self._found(tmp_path, f'command = "echo {OTHER}"')
        journal = (tmp_path / "journal-0.jsonl").read_text()
        assert OTHER not in journal
        assert PASSWORD not in journal


def test_where_every_secret_is_kept_is_told(tmp_path: Path) -> None:
    [usb] = [one for one in inspected(tmp_path).looked if (one.check, one.subject) == ("escrow", "usb")]
    assert f"password in file {tmp_path}/plans/password" in usb.what
    assert "no second place" in usb.weaker


def test_a_password_that_lies_in_the_backup_is_known_by_its_digest() -> None:
    def sealed(path: str, content: bytes) -> SealedFile:
        return SealedFile(path, "file", 0o600, "root", "root", 0, 0, len(content), 0, hashlib.sha256(content).hexdigest())

    held = [sealed("/a", PASSWORD.encode()), sealed("/b", f"{PASSWORD}\n".encode()), sealed("/c", b"x"), sealed("/d", b"")]
    files = {one.path: one for one in held}
    assert lying_open(PASSWORD, files) == ["/a", "/b"]
    assert lying_open(OTHER, files) == []


def test_this_host_knows_itself() -> None:
    assert escrow.this_host().name
    assert PASSWORD not in repr(escrow.this_host())
