"""Files go to every kind of machine and come back from it as they were."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.errors import HarnessError
from muster.machines import files
from muster.machines.machine import Machine
from tests.contract.subjects import run

PLACE = "/var/tmp/contract"  # noqa: S108  # the machine's own
MANY = 10_000
ODD = 'it\'s ä "name"\nof\ttwo lines *'
LONG = "n" * 200


@pytest.fixture(autouse=True)
def place(machine: Machine) -> Iterator[None]:
    yield
    run(machine, f"rm -rf {PLACE}")


def entry(name: str, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.mode, made.type, made.linkname = mode, kind, link
    made.uid, made.gid, made.mtime = 1000, 33, 1_000_000_000
    return made


def packed(entries: dict[tarfile.TarInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries.items():
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def everything() -> bytes:
    return packed(
        {
            entry("folder", 0o1750, tarfile.DIRTYPE): b"",
            entry("folder/program", 0o4755): b"#!/bin/sh\n",
            entry("folder/secret", 0o600): bytes(range(256)),
            entry("folder/empty"): b"",
            entry(f"folder/{ODD}"): b"odd",
            entry(f"folder/{LONG}"): b"long",
            entry("folder/link", 0o777, tarfile.SYMTYPE, "../elsewhere"): b"",
            entry("folder/same", 0o600, tarfile.LNKTYPE, "folder/secret"): b"",
        }
    )


def told(content: bytes) -> dict[str, tuple[object, ...]]:
    """What an archive says of each entry; of two names of one file, either may be the link to the other."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            f"folder{member.name.partition('folder')[2]}": (
                "file" if member.isreg() or member.islnk() else member.type,
                member.mode,
                member.uid,
                member.gid,
                int(member.mtime),
                member.linkname if member.issym() else (archive.extractfile(member) or io.BytesIO()).read(),
            )
            for member in archive.getmembers()
        }


def test_modes_owners_times_and_links_are_kept_up_and_down(machine: Machine) -> None:
    sent = everything()
    files.send(machine, sent, PLACE)
    look = f"cd {PLACE}/folder; stat -c '%a %u %g %Y' . program secret link; readlink link; stat -c %h secret; cat {LONG}"
    seen = run(machine, look).out.splitlines()
    assert seen[:3] == ["1750 1000 33 1000000000", "4755 1000 33 1000000000", "600 1000 33 1000000000"]
    assert seen[3:] == ["777 1000 33 1000000000", "../elsewhere", "2", "long"]
    assert told(files.fetch(machine, [f"{PLACE}/folder"])) == told(sent)


def test_names_of_any_kind_can_be_asked_for(machine: Machine) -> None:
    files.send(machine, everything(), PLACE)
    with files.unpacked(files.fetch(machine, [f"{PLACE}/folder/{ODD}", f"{PLACE}/folder/{LONG}"])) as archive:
        contents = [(archive.extractfile(member) or io.BytesIO()).read() for member in archive.getmembers()]
    assert contents == [b"odd", b"long"]


def test_ten_thousand_small_files_go_up_and_come_down(machine: Machine, tmp_path: Path) -> None:
    for number in range(MANY):
        (tmp_path / f"{number:05}").write_text(f"{number}\n")
    files.send(machine, tmp_path, PLACE)
    counted = run(machine, f"cd {PLACE}; ls | wc -l; find . -type f -exec cat {{}} + | sort -n | uniq | wc -l")
    assert counted.out.split() == [str(MANY), str(MANY)]
    with files.unpacked(files.fetch(machine, [PLACE])) as archive:
        assert sum(member.isreg() for member in archive) == MANY


def test_what_cannot_be_read_is_an_error_and_never_an_empty_archive(machine: Machine) -> None:
    with pytest.raises(HarnessError, match=r"did not hand out /no/such/file: .*No such file"):
        files.fetch(machine, ["/no/such/file"])


def test_what_does_not_fit_is_an_error(machine: Machine) -> None:
    run(machine, f"mkdir -p {PLACE} && mount -t tmpfs -o size=1m none {PLACE}")
    try:
        with pytest.raises(HarnessError, match=rf"did not take what should go into {PLACE}: .*(No space left|Wrote only)"):
            files.send(machine, packed({entry("big"): bytes(2_000_000)}), PLACE)
    finally:
        run(machine, f"umount {PLACE}")


def test_a_torn_archive_is_an_error(machine: Machine) -> None:
    with pytest.raises(HarnessError, match="did not take"):
        files.send(machine, packed({entry("big"): bytes(2_000_000)})[:-1_000_000], PLACE)
