"""The list beside the manifest: every file of every dataset as it was, digests as far as the time went, secrets without."""

from __future__ import annotations

import json
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from muster.backups import manifest
from muster.backups.filelist import SealedFile, read_list
from muster.seal import digests, listing, writing

CANARY = "hunter2"
FAR = 1e9


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    (tmp_path / "data/sub/deep").mkdir(parents=True)
    (tmp_path / "data/a").write_text("alpha", encoding="utf-8")
    (tmp_path / "data/sub/deep/b").write_text("beta", encoding="utf-8")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/mqtt").write_text(CANARY, encoding="utf-8")
    (tmp_path / "var").mkdir()
    return tmp_path


def plan(pi: Path, **more: list[str]) -> dict[str, Any]:
    datasets = {
        "data": {"class": "data", "paths": [str(pi / "data")]} | more,
        "keys": {"class": "secrets", "paths": [str(pi / "keys")]},
    }
    return {"name": "garden", "hostname": "garden-pi", "data": datasets}


def sealed(pi: Path, of: dict[str, Any] | None = None, within: float = 60) -> tuple[dict[str, SealedFile], manifest.FileList]:
    """Seal the list, and read it as an inspection does."""
    path = pi / "var/manifest.json"
    content = {"hostname": "garden-pi", "sealed_at": "2026-03-01T09:00:00+00:00"}
    writing.write(path, content, listing.Listing(of or plan(pi), path, within))
    facts = manifest.parse(path.read_text(encoding="utf-8")).file_list
    assert facts is not None
    listed = read_list((pi / "var/files.jsonl").read_text(encoding="utf-8"), facts)
    assert len(listed) == facts.count
    return {path.removeprefix(f"{pi}/"): file for path, file in listed.items()}, facts


class TestWhatIsListed:
    def test_files_folders_and_links_of_every_dataset(self, pi: Path) -> None:
        (pi / "data/link").symlink_to("a")
        os.mkfifo(pi / "data/pipe")
        files, facts = sealed(pi)
        assert {path: file.type for path, file in files.items()} == {
            "data": "dir", "data/a": "file", "data/link": "symlink", "data/sub": "dir", "data/sub/deep": "dir",
            "data/sub/deep/b": "file", "keys": "dir", "keys/mqtt": "file",
        }  # fmt: skip
        assert files["data/link"].target == "a"
        assert files["data/link"].leads == "file"
        assert (facts.hashed, facts.unhashed) == (2, 0)

    def test_what_a_link_leads_to_is_told_as_far_as_it_is_there(self, pi: Path) -> None:
        (pi / "elsewhere").mkdir()
        (pi / "data/out").symlink_to("../elsewhere")
        (pi / "data/dangling").symlink_to("/nowhere/at all")
        (pi / "data/round").symlink_to("round")
        files = sealed(pi)[0]
        assert [files[f"data/{name}"].leads for name in ("out", "dangling", "round")] == ["dir", "", ""]

    def test_what_a_restore_must_bring_back(self, pi: Path) -> None:
        (pi / "data/a").chmod(0o4750)
        os.utime(pi / "data/a", ns=(1, 1_700_000_000_123_456_789))
        file = sealed(pi)[0]["data/a"]
        facts = (pi / "data/a").stat()
        assert (file.mode, file.uid, file.gid, file.user) == (0o4750, facts.st_uid, facts.st_gid, (pi / "data/a").owner())
        assert (file.size, file.mtime_ns, file.sha256) == (5, 1_700_000_000_123_456_789, sha256(b"alpha").hexdigest())

    def test_a_second_name_of_a_file_is_told_with_the_first(self, pi: Path) -> None:
        (pi / "data/z").hardlink_to(pi / "data/a")
        files = sealed(pi)[0]
        assert (files["data/a"].links, files["data/z"].links) == ("", str(pi / "data/a"))

    def test_a_file_of_two_datasets_is_listed_once(self, pi: Path) -> None:
        both = plan(pi)
        both["data"]["again"] = {"class": "data", "paths": [str(pi / "data/sub")]}
        assert sealed(pi, both)[1].count == 7

    def test_names_that_are_no_text(self, pi: Path) -> None:
        Path(os.fsdecode(os.fsencode(pi / "data") + b"/odd\xff\nname")).write_bytes(b"1")
        assert sealed(pi)[0]["data/odd\\xff\nname"].size == 1

    def test_extended_attributes(self, pi: Path) -> None:
        try:
            os.setxattr(pi / "data/a", "user.taken.by", b"camera\xff")
        except OSError:
            pytest.skip("this file system has no attributes")
        assert sealed(pi)[0]["data/a"].xattrs == {"user.taken.by": b"camera\xff".hex()}

    def test_neither_the_list_nor_the_manifest_is_on_it(self, pi: Path) -> None:
        own = plan(pi)
        own["data"]["own"] = {"class": "config", "paths": [str(pi / "var")]}
        sealed(pi, own)
        assert [path for path in sealed(pi, own)[0] if path.startswith("var")] == ["var"]

    @pytest.mark.parametrize(
        "pattern", ["deep", "/{pi}/data/sub/deep", "sub/*", "**/deep", "d??p", "/{pi}/**/deep", "/*/**/deep"]
    )
    def test_what_restic_leaves_out_is_left_out(self, pi: Path, pattern: str) -> None:
        files = sealed(pi, plan(pi, exclude=[pattern.format(pi=str(pi)[1:])]))[0]
        assert [path for path in files if "deep" in path] == []
        assert "data/a" in files

    @pytest.mark.parametrize(
        "pattern", ["eep", "/deep", "/data/sub/deep", "data/deep", "data/*/b", "/{pi}/*/deep", "data/deep/**"]
    )
    def test_what_restic_keeps_is_kept(self, pi: Path, pattern: str) -> None:
        assert "data/sub/deep/b" in sealed(pi, plan(pi, exclude=[pattern.format(pi=str(pi)[1:])]))[0]


class TestSecrets:
    def test_a_secret_is_listed_and_has_no_digest(self, pi: Path) -> None:
        files, facts = sealed(pi)
        assert (files["keys/mqtt"].size, files["keys/mqtt"].sha256) == (len(CANARY), "")
        assert facts.unhashed == 0
        assert sha256(CANARY.encode()).hexdigest() not in (pi / "var/files.jsonl").read_text(encoding="utf-8")

    def test_nor_when_an_ordinary_dataset_holds_it_as_well(self, pi: Path) -> None:
        assert sealed(pi, plan(pi, paths=[str(pi)]))[0]["keys/mqtt"].sha256 == ""

    def test_nor_under_another_name(self, pi: Path) -> None:
        (pi / "data/copy").hardlink_to(pi / "keys/mqtt")
        assert sealed(pi)[0]["data/copy"].sha256 == ""

    def test_free_text_of_its_attributes_stays_out(self, pi: Path) -> None:
        try:
            os.setxattr(pi / "keys/mqtt", "user.password", CANARY.encode())
        except OSError:
            pytest.skip("this file system has no attributes")
        assert CANARY.encode().hex() not in (sealed(pi), (pi / "var/files.jsonl").read_text(encoding="utf-8"))[1]


class TestDigests:
    def test_no_time_leaves_all_for_the_next_run(self, pi: Path) -> None:
        assert sealed(pi, within=0)[1].unhashed == 2
        assert sealed(pi)[1].unhashed == 0

    def test_what_did_not_change_is_not_read_again(self, pi: Path) -> None:
        before = sealed(pi)[0]
        assert sealed(pi, within=0)[0] == before

    def test_what_changed_has_no_old_digest(self, pi: Path) -> None:
        sealed(pi)
        times = (pi / "data/a").stat()
        (pi / "data/a").write_text("alphb", encoding="utf-8")  # as long as before, and set back to the old time
        os.utime(pi / "data/a", ns=(times.st_atime_ns, times.st_mtime_ns))
        files, facts = sealed(pi, within=0)
        assert (files["data/a"].sha256, facts.hashed, facts.unhashed) == ("", 1, 1)
        assert sealed(pi)[0]["data/a"].sha256 == sha256(b"alphb").hexdigest()

    def test_a_file_that_changes_while_it_is_read_has_none(self, pi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = (pi / "data/a").stat().st_size
        identities = iter([(before, 1, 1, 1), (before + 1, 1, 1, 1)])
        monkeypatch.setattr(digests, "identity_of", lambda _: next(identities))
        assert digests.digest(str(pi / "data/a"), time.monotonic() + FAR) is None

    def test_a_file_that_is_too_large_for_the_time_keeps_no_other_waiting(
        self, pi: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (pi / "data/aa-large").write_bytes(bytes(100))
        order: list[str] = []
        monkeypatch.setattr(listing, "digest", lambda path, _: order.append(Path(path).name))
        listing.Listing(plan(pi), pi / "var/manifest.json", 60)
        assert order == ["b", "a", "aa-large"]

    def test_a_file_that_takes_longer_than_the_deadline_has_none(self, pi: Path) -> None:
        assert digests.digest(str(pi / "data/a"), time.monotonic()) is None

    @pytest.mark.parametrize("damage", ["", "{", '{"path": "x"}\n', "[]\n", "\x00"])
    def test_a_list_that_cannot_be_read_is_no_cache_and_no_obstacle(self, pi: Path, damage: str) -> None:
        (pi / "var/files.jsonl").write_text(damage, encoding="utf-8")
        assert sealed(pi)[1].hashed == 2


def test_the_list_is_its_owners_alone(pi: Path) -> None:
    sealed(pi)
    assert (pi / "var/files.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_list_is_lines_that_any_tool_reads(pi: Path) -> None:
    sealed(pi)
    lines = (pi / "var/files.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["path"] for line in lines][:2] == [str(pi / "data"), str(pi / "data/a")]
