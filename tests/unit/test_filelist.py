"""The list of sealed files is read as it was sealed, or refused in one sentence."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from muster.backups.filelist import read_list
from muster.backups.manifest import FileList
from muster.errors import RecoveryError

GOOD: dict[str, Any] = {
    "path": "/etc/a",
    "type": "file",
    "mode": "4755",
    "user": "root",
    "group": "adm",
    "uid": 0,
    "gid": 4,
    "ino": 9,
}


def text(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_what_is_not_said_is_empty() -> None:
    file = read_list(text(GOOD))["/etc/a"]
    assert (file.mode, file.group, file.sha256, file.links, dict(file.xattrs)) == (0o4755, "adm", "", "", {})


def test_all_that_is_said_is_kept() -> None:
    said = {"size": 3, "mtime_ns": 5, "sha256": "ab", "xattrs": {"security.capability": "01"}}
    file = read_list(text(GOOD | said))["/etc/a"]
    assert (file.size, file.mtime_ns, file.sha256, dict(file.xattrs)) == (3, 5, "ab", {"security.capability": "01"})


def test_no_name_hides_another_that_is_the_same_as_text() -> None:
    assert [*read_list(text(GOOD, GOOD | {"path": "/etc/a (1)"}, GOOD, GOOD))] == [
        "/etc/a",
        "/etc/a (1)",
        "/etc/a (2)",
        "/etc/a (3)",
    ]


def test_the_list_that_was_sealed_is_taken() -> None:
    sealed = FileList(path="/x", count=1, sha256=hashlib.sha256(text(GOOD).encode()).hexdigest())
    assert read_list(text(GOOD), sealed)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (text(GOOD)[:-1], "its last line is cut off"),
        (text(GOOD, GOOD)[:-20], "its last line is cut off"),
        ("\n", "line 1 "),
        ("[]\n", "line 1 "),
        (text(GOOD) + "{}\n", "line 2 "),
        (text(GOOD | {"type": "door"}), "line 1 "),
        (text(GOOD | {"mode": "rwx"}), "line 1 "),
        (text(GOOD | {"mode": 755}), "line 1 "),
        (text(GOOD | {"size": None}), "line 1 "),
    ],
)
def test_a_list_that_is_none_is_refused_with_the_reason(content: str, why: str) -> None:
    with pytest.raises(RecoveryError) as caught:
        read_list(content)
    assert caught.value.finding.code == "file-list-unreadable"
    assert f"cannot be read: {why}" in str(caught.value)


def test_a_list_of_another_seal_is_refused() -> None:
    with pytest.raises(RecoveryError, match="not the list that this manifest was sealed with"):
        read_list(text(GOOD), FileList(path="/x", count=1, sha256="0" * 64))
