"""What lies on the machine is read as it is, whatever files are called; a cut-off answer is no answer."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from muster.inspection.restored import Found, found, looking


def seen(root: Path) -> Found:
    output = subprocess.run(["sh", "-c", looking(str(root))], capture_output=True, check=True).stdout
    return found(output.decode("utf-8", "backslashreplace"))


def test_every_kind_of_file_is_seen(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "a"
    file.write_bytes(b"content")
    file.chmod(0o4750)
    os.utime(file, ns=(5, 1_700_000_000_123_456_789))
    (tmp_path / "hard").hardlink_to(file)
    (tmp_path / "soft").symlink_to("/no where\n")
    os.mkfifo(tmp_path / "pipe")
    files = seen(tmp_path).files
    one = files["/folder/a"]
    assert (one.type, one.mode, one.size, one.uid, one.gid) == ("file", 0o4750, 7, os.getuid(), os.getgid())
    assert one.modified == pytest.approx(1_700_000_000.123456, abs=1e-6)
    assert one.sha256 == hashlib.sha256(b"content").hexdigest()
    assert files["/hard"].inode == one.inode
    assert (files["/soft"].type, files["/soft"].target, files["/soft"].sha256) == ("symlink", "/no where\n", "")
    assert (files["/pipe"].type, files["/folder"].type) == ("fifo", "dir")


@pytest.mark.parametrize(
    "name", [b"with space", b"trailing ", b"new\nline", b"back\\slash", b"-rf", b"*", b"a=b", b"# file: x", "日本".encode()]
)
def test_odd_names_are_names_like_others(tmp_path: Path, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(name)
    [(path, file)] = seen(tmp_path).files.items()
    assert path == f"/{name.decode()}"
    assert file.sha256 == hashlib.sha256(name).hexdigest()


def test_a_name_that_is_no_text_is_known_by_what_is(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd\xff\xfe")).touch()
    assert [*seen(tmp_path).files] == ["/odd\ufffd"]


def test_nothing_restored_is_nothing_found(tmp_path: Path) -> None:
    assert seen(tmp_path).files == {}
    assert seen(tmp_path / "never made").files == {}


LISTED = "f 644 1 0 0 1.5 7 ./a=b\0\0\0aa  ./a=b\0\0"


def test_attributes_are_read_with_their_names_as_they_are() -> None:
    output = (
        LISTED
        + "/usr/bin/getfattr\n# file: a=b\nuser.o\\075d=0x\nsecurity.capability=0x0100\n\n# file: new\\012line\nuser.t=0x78\n"
    )
    looked = found(output)
    assert looked.xattrs
    assert dict(looked.files["/a=b"].xattrs) == {"user.o=d": "", "security.capability": "0100"}


def test_a_machine_without_the_program_says_so() -> None:
    assert not found(LISTED).xattrs
    assert found(LISTED).files["/a=b"].sha256 == "aa"


@pytest.mark.parametrize("length", range(1, len(LISTED) - 1))
def test_an_answer_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises((ValueError, KeyError, IndexError)):
        found(LISTED[:length])
