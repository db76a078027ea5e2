"""Files that change together: all of them, or none.

What they will hold is written beside them first. Then a list of them says that it counts: from there on the change is carried
out, however often that is interrupted. Until then nothing has happened.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from telemetry import credentials
from telemetry.settings import KEYS


def begin(name: str, files: Mapping[Path, bytes]) -> None:
    """Write what these files will hold, with their mode and owner; when this is over, the change counts."""
    for path, content in files.items():
        _write(_beside(path), content)
        credentials.give(_beside(path), path)
    partial = _list(name).with_suffix(".partial")
    _write(partial, json.dumps([str(path) for path in files]).encode())
    for folder in {path.parent for path in files}:
        _settle(folder)
    partial.replace(_list(name))
    _settle(KEYS)


def begun() -> list[str]:
    """Name the changes that count, and are not over."""
    return sorted(path.name.removeprefix(".").removesuffix(".pending") for path in KEYS.glob(".*.pending"))


def carry_out(name: str) -> None:
    """Put the new files into the places of the old ones; those that are there already stay."""
    for path in map(Path, json.loads(_list(name).read_text())):
        with suppress(FileNotFoundError):
            _beside(path).replace(path)
        _settle(path.parent)


def end(name: str) -> None:
    """Say that a change is over."""
    _list(name).unlink()


def replace(path: Path, content: bytes) -> None:
    """Change one file, at once."""
    partial = path.with_name(f".{path.name}.partial")  # which no list names: half of it never counts
    _write(partial, content)
    credentials.give(partial, path)
    partial.replace(path)
    _settle(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _list(name: str) -> Path:
    return KEYS / f".{name}.pending"


def _write(path: Path, content: bytes) -> None:
    """Write a file that is root's alone, down to the disk."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Have the names in a folder down on the disk, too."""
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
