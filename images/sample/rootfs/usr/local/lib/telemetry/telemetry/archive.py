"""The media archive: thousands of files with everything that a file can have, and the list that proves them whole."""

import base64
import hashlib
import json
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from grp import getgrgid
from pathlib import Path
from pwd import getpwuid
from typing import Any

from telemetry.settings import Failed

LIST = "ARCHIVE.json"
SMALL = 3000  # small files
LARGE = 4  # large files, which share most of the bytes
SPARSE = 16 << 20  # bytes that the sparse file says it has
ODD_NAMES = (
    b"with space", b"trailing space ", b"'single' \"double\"", b"new\nline", b"tab\there", "snow \u2603 \u65e5\u672c".encode(),
    b"-rf", b"--delete", b"*", b"[a-z]?", b"{a,b}", b"back\\slash", b"$HOME", b"`id`", b"semi;colon & more", b"#hash", b"%41",
    b"not-utf8-\xff\xfe\x80", b"~", b"colon:in:name", b".hidden", b"!bang", b"n" * 255,
)  # fmt: skip
ACL_XATTRS = ("system.posix_acl_access", "system.posix_acl_default")


def make(root: Path, megabytes: int, owner: str) -> int:
    """Fill `root` with about `megabytes` MB that belong to `owner`; return the number of entries on the list."""
    root.mkdir(parents=True, exist_ok=True)
    dice = random.Random(20)  # noqa: S311  # content, not secrets
    _small(root / "photos", dice)
    _large(root / "film", dice, megabytes)
    odd = os.fsencode(root / "odd")
    Path(os.fsdecode(odd)).mkdir()
    for name in ODD_NAMES:
        Path(os.fsdecode(odd + b"/" + name)).write_bytes(dice.randbytes(100))
    _links(root / "links", dice)
    _special(root / "special", dice)
    for path in _walk(root):
        shutil.chown(path, owner, owner, follow_symlinks=False)
    shutil.chown(root, owner, owner)
    _privileges(root / "special", owner)
    described = describe(root)
    (root / LIST).write_text(json.dumps(described, indent=0))
    return len(described)


def _small(folder: Path, dice: random.Random) -> None:
    for number in range(SMALL):
        month = folder / f"2026-{number % 12 + 1:02}" / f"{number % 28 + 1:02}"
        month.mkdir(parents=True, exist_ok=True)
        photo = month / f"{number:05}.jpg"
        photo.write_bytes(dice.randbytes(dice.randrange(200, 6000)))
        os.utime(photo, ns=(time := 1_700_000_000_123_456_789 + number * 10**9, time))


def _large(folder: Path, dice: random.Random, megabytes: int) -> None:
    folder.mkdir()
    for number in range(LARGE):
        with (folder / f"{number}.mp4").open("wb") as film:
            for _ in range(max(1, (megabytes - 10) // LARGE)):
                film.write(dice.randbytes(1 << 20))


def _links(folder: Path, dice: random.Random) -> None:
    folder.mkdir()
    (folder / "original").write_bytes(dice.randbytes(5000))
    (folder / "hard").hardlink_to(folder / "original")
    (folder / "far").mkdir()
    (folder / "far" / "hard").hardlink_to(folder / "original")
    (folder / "soft").symlink_to("original")
    (folder / "absolute").symlink_to(folder / "original")
    (folder / "to-folder").symlink_to("far")
    (folder / "dangling").symlink_to("nowhere/at all")
    (folder / "loop").symlink_to("loop")


def _special(folder: Path, dice: random.Random) -> None:
    folder.mkdir()
    (folder / "empty").touch()
    (folder / "empty-folder").mkdir()
    deep = folder.joinpath(*(f"{'long-' * 8}{level}" for level in range(20)))
    deep.mkdir(parents=True)
    (deep / "at the end of a long path").write_bytes(dice.randbytes(10))
    with (folder / "sparse").open("wb") as sparse:
        sparse.truncate(SPARSE)
        sparse.seek(SPARSE // 2)
        sparse.write(b"an island")
    for name in ("acl", "attributes", "capability", "setuid", "nobody-reads", "all-write"):
        (folder / name).write_bytes(dice.randbytes(200))
    (folder / "shared").mkdir()


def _privileges(folder: Path, owner: str) -> None:
    """Set what a later change of owner would take away again."""
    (folder / "setuid").chmod(0o4755)
    (folder / "nobody-reads").chmod(0o000)
    (folder / "all-write").chmod(0o666)
    (folder / "shared").chmod(0o3777)
    os.setxattr(folder / "attributes", "user.taken.by", b"camera 2")
    os.setxattr(folder / "attributes", "user.binary", b"\x00\xff\x01")
    commands = (
        ["setcap", "cap_net_bind_service=ep", "capability"],
        ["setfacl", "-m", f"u:{owner}:r,u:www-data:rw,g:camera:r", "acl"],
        ["setfacl", "-m", "u:www-data:rx,d:u:www-data:rx", "shared"],
    )
    for command in commands:
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603  # fixed words


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in sorted(folders + files) if name != LIST)


def describe(root: Path) -> list[dict[str, Any]]:
    """List every entry below `root` with all that must survive. Names may hold any byte; JSON carries them as surrogates."""
    first: dict[int, str] = {}
    described = []
    for path in _walk(root):
        facts = path.lstat()
        name = str(path.relative_to(root))
        entry: dict[str, Any] = {"name": name, "mode": oct(facts.st_mode), "owner": _owner(facts)}
        if stat.S_ISLNK(facts.st_mode):
            entry["target"] = str(path.readlink())
        else:
            entry |= _attributes(path)
        if stat.S_ISREG(facts.st_mode):
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            twin = first.setdefault(facts.st_ino, name) if facts.st_nlink > 1 else None
            entry |= {"size": facts.st_size, "sha256": digest, "modified": facts.st_mtime_ns, "twin": twin}
        described.append(entry)
    return described


def _owner(facts: os.stat_result) -> str:
    try:
        return f"{getpwuid(facts.st_uid).pw_name}:{getgrgid(facts.st_gid).gr_name}"
    except KeyError:
        return f"nobody known ({facts.st_uid}:{facts.st_gid})"


def _attributes(path: Path) -> dict[str, Any]:
    names = os.listxattr(path)
    plain = sorted(name for name in names if name.startswith("user.") or name == "security.capability")
    found: dict[str, Any] = {"xattrs": {name: base64.b64encode(os.getxattr(path, name)).decode() for name in plain}}
    if any(name in names for name in ACL_XATTRS):
        command = ["getfacl", "--omit-header", "--absolute-names", "--", os.fsencode(path)]
        found["acl"] = subprocess.run(command, capture_output=True, check=True).stdout.decode()  # noqa: S603  # fixed words
    return found


def check(root: Path) -> int:
    """Compare `root` with its list; return the number of entries, or raise Failed with the first differences."""
    try:
        wanted = {entry["name"]: entry for entry in json.loads((root / LIST).read_text())}
    except (OSError, ValueError) as error:
        raise Failed(f"the archive's own list {root / LIST} cannot be read: {error}") from None
    found = {entry["name"]: entry for entry in describe(root)}
    wrong = [_difference(name, wanted.get(name), found.get(name)) for name in sorted(wanted | found)]
    wrong = [difference for difference in wrong if difference]
    if wrong or not wanted:
        raise Failed(f"{len(wrong)} of {len(wanted)} entries differ: {'; '.join(wrong[:3])}")
    return len(found)


def _difference(name: str, wanted: dict[str, Any] | None, found: dict[str, Any] | None) -> str:
    if wanted is None or found is None:
        return f"{name!a} is {'missing' if found is None else 'not on the list'}"
    keys = [key for key in wanted | found if wanted.get(key) != found.get(key)]
    return f"{name!a}: {keys[0]} is {found.get(keys[0])!r}, not {wanted.get(keys[0])!r}" if keys else ""
