"""A machine sees one folder of this host, to be read, and nothing outside of it, whatever it asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import paramiko
import pytest

from muster.errors import HarnessError
from muster.machines.machine import Mount
from muster.machines.ssh.folder import Folder
from muster.machines.ssh.host import Host
from muster.machines.ssh.remote import Remote
from tests.fake.ssh_peer import Peer, say, shell

SOON = timedelta(seconds=10)
SECRET = "not to be seen"  # noqa: S105  # by whoever it is
ODD = 'it\'s ä "name"\nof two lines'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    (made / "data" / "ab").mkdir(parents=True)
    (made / "data" / "ab" / "file").write_bytes(bytes(range(256)) * 1000)
    (made / "empty").touch()
    (made / ODD).write_text("odd")
    (made / "inside").symlink_to("data/ab/file")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "repository-beside").mkdir()
    (tmp_path / "repository-beside" / "secret").write_text(SECRET)
    return made


def among(folder: Path, programs: Mapping[str, str], command: str, channel: paramiko.Channel) -> None:
    """Run a command where these programs are others."""
    folder.mkdir(exist_ok=True)
    for name, does in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o700)
    shell(f"PATH={folder}:$PATH exec {command}", channel)


@pytest.fixture
def seen(folder: Path, tmp_path: Path) -> Iterator[paramiko.SFTPClient]:
    """What a machine sees of a folder: it speaks SFTP over the channel that sshfs would have."""
    clients: list[paramiko.SFTPClient] = []
    mounted = tmp_path / "mounted"

    def answer(command: str, channel: paramiko.Channel) -> None:
        if "exec sshfs" in command:
            clients.append(paramiko.SFTPClient(channel))
            mounted.touch()
        else:
            among(tmp_path / "programs", {"grep": f"test -e {mounted}", "mountpoint": "true"}, command, channel)

    with Peer(answer).serving() as peer:
        host = Host("spare", "127.0.0.1", peer.port, key=peer.ours.private, host_key=peer.theirs.public)
        remote = Remote(host, mounts=[Mount(folder, "/mnt/repository")])
        remote.connect(SOON)
        yield clients[0]
        remote.close()


def test_all_that_is_in_it_is_there_to_be_read(seen: paramiko.SFTPClient, folder: Path) -> None:
    assert sorted(seen.listdir("/")) == sorted(path.name for path in folder.iterdir())
    assert seen.open("/data/ab/file").read() == (folder / "data/ab/file").read_bytes()
    assert seen.open("/empty").read() == b""
    assert seen.open(f"/{ODD}").read() == b"odd"
    assert seen.open("/inside").read() == (folder / "data/ab/file").read_bytes()
    assert seen.readlink("/inside") == "data/ab/file"
    shown, real = seen.lstat("/data/ab/file"), (folder / "data/ab/file").stat()
    assert (shown.st_size, shown.st_mode, shown.st_uid) == (real.st_size, real.st_mode, real.st_uid)
    assert shown.st_mtime == int(real.st_mtime)


def test_ten_thousand_files_are_listed(seen: paramiko.SFTPClient, folder: Path) -> None:
    for number in range(10_000):
        (folder / "data" / str(number)).touch()
    assert len(seen.listdir("/data")) == 10_001


def test_a_name_that_is_no_text_spoils_no_listing(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
    listed = Folder(paramiko.ServerInterface(), folder).list_folder("/")
    assert isinstance(listed, list)
    assert b"caf\xe9" in [entry.filename for entry in listed]


@pytest.mark.parametrize(
    "path", ["/../secret", "../secret", "/data/../../secret", "/..", "/data/ab/../../../secret", "/../repository-beside/secret"]
)
def test_the_way_up_is_refused(seen: paramiko.SFTPClient, path: str) -> None:
    for ask in (seen.open, seen.stat, seen.lstat, seen.listdir, seen.readlink):
        with pytest.raises(OSError):  # noqa: PT011  # which one depends on what was asked for
            ask(path)


def test_an_absolute_path_begins_at_the_folder(seen: paramiko.SFTPClient, folder: Path) -> None:
    for path in ("/etc/passwd", str(folder.parent / "secret"), "//etc/passwd"):
        with pytest.raises(FileNotFoundError):
            seen.open(path)


@pytest.mark.parametrize("to", ["/etc/passwd", "../secret", "data/../../secret", "../repository-beside/secret"])
def test_a_link_that_leads_out_is_not_followed(seen: paramiko.SFTPClient, folder: Path, to: str) -> None:
    (folder / "link").symlink_to(to)
    for ask in (seen.open, seen.stat, seen.listdir):
        with pytest.raises(PermissionError):
            ask("/link")


def test_nor_is_one_on_the_way(seen: paramiko.SFTPClient, folder: Path) -> None:
    (folder / "up").symlink_to("..")
    for ask in (seen.open, seen.stat, seen.lstat, seen.readlink):
        with pytest.raises(PermissionError):
            ask("/up/secret")
    with pytest.raises(PermissionError):
        seen.listdir("/up")


def test_a_pipe_is_not_waited_for(seen: paramiko.SFTPClient, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(PermissionError):
        seen.open("/pipe")


def test_nothing_can_be_changed(seen: paramiko.SFTPClient, folder: Path) -> None:
    before = {path: path.lstat() for path in folder.rglob("*")}
    changes = (
        lambda: seen.open("/empty", "w"),
        lambda: seen.open("/empty", "a"),
        lambda: seen.open("/empty", "r+"),
        lambda: seen.open("/new", "wx"),
        lambda: seen.remove("/empty"),
        lambda: seen.rename("/empty", "/other"),
        lambda: seen.posix_rename("/empty", "/other"),
        lambda: seen.mkdir("/new"),
        lambda: seen.rmdir("/data"),
        lambda: seen.symlink("/etc/passwd", "/new"),
        lambda: seen.chmod("/empty", 0o777),
        lambda: seen.truncate("/data/ab/file", 0),
        lambda: seen.utime("/empty", (0, 0)),
        lambda: seen.open("/empty").chmod(0o777),
        lambda: seen.open("/data/ab/file").truncate(0),
    )
    for change in changes:
        with pytest.raises(OSError):  # noqa: PT011  # forbidden, or not supported
            change()
    after = {path: path.lstat() for path in folder.rglob("*")}
    assert {path: (stat.st_mode, stat.st_size, stat.st_mtime_ns) for path, stat in after.items()} == {
        path: (stat.st_mode, stat.st_size, stat.st_mtime_ns) for path, stat in before.items()
    }


class TestOffer:
    @pytest.fixture
    def peer(self) -> Iterator[Peer]:
        with Peer().serving() as peer:
            yield peer

    def offered(self, peer: Peer, mount: Mount) -> str:
        host = Host("spare", "127.0.0.1", peer.port, key=peer.ours.private, host_key=peer.theirs.public)
        remote = Remote(host, mounts=[mount])
        with pytest.raises(HarnessError) as raised:
            remote.connect(SOON)
        remote.close()
        return str(raised.value)

    def test_a_folder_that_is_not_there_is_named(self, peer: Peer, tmp_path: Path) -> None:
        said = self.offered(peer, Mount(tmp_path / "none", "/mnt/usb"))
        assert f"{tmp_path}/none, which spare" in said
        assert "is no folder on this host" in said

    def test_one_to_be_written_to_is_refused(self, peer: Peer, folder: Path) -> None:
        assert "to be written to: only a container" in self.offered(peer, Mount(folder, "/mnt/usb", writable=True))

    def test_one_that_may_not_be_read_is_named(self, peer: Peer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, _mode: path != folder)  # root may read everything
        assert "may not be read by this user" in self.offered(peer, Mount(folder, "/mnt/usb"))

    @pytest.mark.parametrize("why", ["the program sshfs is missing: install the package sshfs", "its kernel has no FUSE"])
    def test_a_machine_that_cannot_see_it_says_why(self, peer: Peer, folder: Path, tmp_path: Path, why: str) -> None:
        def answer(command: str, channel: paramiko.Channel) -> None:
            if "exec sshfs" in command:
                say(1, b"", f"{why}\n".encode())(command, channel)
            else:
                among(tmp_path / "programs", {"sleep": "exec /bin/sleep 0.01"}, command, channel)

        peer.answer = answer
        said = self.offered(peer, Mount(folder, "/mnt/usb"))
        assert said == f"spare (127.0.0.1:{peer.port}) cannot see {folder}: {why}."
