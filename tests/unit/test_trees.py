"""What was wanted is compared with what lies there, path by path, whatever paths are called."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from muster.backups.trees import Entry, Tree, below, differences, found, listing, wanted

FILE = Entry("file", 0o644, 5, "pi", "pi")
TREE = {"/a": Entry("dir", 0o755, 0, "pi", "pi"), "/a/b": FILE}


def told(actual: Tree, expected: Tree | None = None, *, owners: bool = True) -> list[str]:
    return differences(expected or TREE, actual, owners=owners)


def listed(folder: Path) -> Tree:
    output = subprocess.run(["sh", "-c", listing([str(folder)])], capture_output=True, check=True).stdout
    return found(output.decode("utf-8", "backslashreplace"))


def node(path: str, kind: str = "file", **more: int) -> dict[str, Any]:
    return {"path": path, "type": kind, "mode": 0o644, "size": 5, "uid": 1000, "gid": 1000} | more


def test_what_is_the_same_has_no_difference() -> None:
    assert told(dict(TREE)) == []


def test_what_is_there_beyond_it_is_no_difference() -> None:
    assert told(TREE | {"/a/c": FILE}) == []


@pytest.mark.parametrize(
    ("actual", "sentence"),
    [
        (Entry("symlink", 0o644, 5, "pi", "pi"), "/a/b has become a symlink, it was a file"),
        (Entry("file", 0o644, 4, "pi", "pi"), "/a/b has 4 bytes instead of 5"),
        (Entry("file", 0o600, 5, "pi", "pi"), "/a/b has mode 0600 instead of 0644"),
        (Entry("file", 0o4644, 5, "pi", "pi"), "/a/b has mode 4644 instead of 0644"),
        (Entry("file", 0o644, 5, "1000", "pi"), "/a/b has the owner 1000:pi instead of pi:pi"),
        (Entry("file", 0o644, 5, "pi", "root"), "/a/b has the owner pi:root instead of pi:pi"),
    ],
)
def test_what_differs_is_told_with_both_sides(actual: Entry, sentence: str) -> None:
    assert told(TREE | {"/a/b": actual}) == [sentence]


def test_what_is_missing_comes_first() -> None:
    assert told({"/a": FILE}) == ["/a/b is missing", "/a has become a file, it was a dir"]


def test_everything_missing_is_told() -> None:
    assert told({}) == ["/a is missing", "/a/b is missing"]


def test_owners_are_left_out_where_names_are_not_known() -> None:
    assert told(TREE | {"/a/b": Entry("file", 0o644, 5, "1000", "1000")}, owners=False) == []


def test_the_size_of_a_folder_and_the_mode_of_a_link_mean_nothing() -> None:
    expected = {"/a": Entry("dir", 0o755, 0, "pi", "pi"), "/l": Entry("symlink", 0o777, 3, "pi", "pi")}
    assert told({"/a": Entry("dir", 0o755, 4096, "pi", "pi"), "/l": Entry("symlink", 0o755, 3, "pi", "pi")}, expected) == []


def test_modification_times_are_no_difference() -> None:
    assert told(TREE | {"/a/b": Entry("file", 0o644, 5, "pi", "pi", 99.0)}) == []


def test_a_part_of_a_tree_ends_at_folders_and_not_in_the_middle_of_a_name() -> None:
    tree = dict.fromkeys(("/a", "/a/b", "/ab", "/a/b/c", "/c"), FILE)
    assert list(below(tree, [PurePosixPath("/a")])) == ["/a", "/a/b", "/a/b/c"]
    assert list(below(tree, [PurePosixPath("/a/b/c"), PurePosixPath("/c")])) == ["/a/b/c", "/c"]


def test_an_id_gets_the_name_that_it_had_on_the_pi_or_stays_a_number() -> None:
    tree = wanted([node("/a"), node("/b", uid=7, gid=8)], {1000: "pi"}, {1000: "users"})
    assert (tree["/a"].user, tree["/a"].group) == ("pi", "users")
    assert (tree["/b"].user, tree["/b"].group) == ("7", "8")


def test_bits_of_go_become_those_of_unix() -> None:
    bits = {1 << 23: 0o4755, 1 << 22: 0o2755, 1 << 20: 0o1755, 1 << 31: 0o755}
    for bit, mode in bits.items():
        assert wanted([node("/a", mode=0o755 | bit)], {}, {})["/a"].mode == mode


ODD = [
    "with space",
    "new\nline",
    "tab\tname",
    "back\\slash",
    "literal\\x41",
    "quote'\"",
    "-dash",
    "ünïcode",
    "*[?]",
    " lead",
    "trail ",
]


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_the_same_on_both_sides(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("12345")
    (tmp_path / name).chmod(0o640)
    both = listed(tmp_path), wanted([node(str(tmp_path / name))], {}, {})
    (path,) = both[1]
    assert path in both[0]
    assert (both[0][path].type, both[0][path].mode, both[0][path].size) == ("file", 0o640, 5)


def test_a_name_that_is_no_text_is_found_on_both_sides(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff\xfed")).write_text("12345")
    (path,) = wanted([node(f"{tmp_path}/b\ufffd\ufffdd")], {}, {})
    assert listed(tmp_path)[path].size == 5


def test_of_two_names_that_look_alike_none_hides_the_other(tmp_path: Path) -> None:
    both = wanted([node(f"{tmp_path}/b\ufffd", size=3), node(f"{tmp_path}/b\ufffd", size=5)], {}, {})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")).write_text("12345")
    assert len(differences(both, listed(tmp_path), owners=False)) == 2
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xfe")).write_text("123")
    assert differences(both, listed(tmp_path), owners=False) == []


def test_every_type_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    types = {Path(path).name: entry.type for path, entry in listed(tmp_path).items()}
    assert {name: types[name] for name in ("dir", "link", "fifo", "socket")} == {
        "dir": "dir", "link": "symlink", "fifo": "fifo", "socket": "socket"
    }  # fmt: skip


def test_a_path_that_is_not_there_is_left_out_and_no_failure(tmp_path: Path) -> None:
    assert listed(tmp_path / "nowhere") == {}


def test_the_listing_quotes_what_it_is_given() -> None:
    assert shlex.split(listing(["/a b", "/c;d"]))[1:3] == ["/a b", "/c;d"]
