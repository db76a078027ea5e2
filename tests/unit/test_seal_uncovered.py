"""What packages bring, and what neither they bring nor any dataset covers."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from muster.seal import packaged
from muster.seal.generated import is_generated
from muster.seal.packaged import Packages
from muster.seal.uncovered import Search
from tests.fake.sealing import debian


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return debian(tmp_path)


class TestPackages:
    def test_without_dpkg_nothing_can_be_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(LookupError, match="does not say which files are packages'"):
            Packages(str(tmp_path))

    def test_files_where_owners_keep_things_are_known(self, packages: Packages) -> None:
        assert packages.owned == {"/etc", "/etc/app", "/etc/app/owned"}
        assert sorted(packages.defaults) == ["/etc/app/app.conf", "/etc/app/old.conf", "/etc/app/ucf.conf"]

    @pytest.mark.parametrize(("content", "default"), [("default", True), ("my own", False)])
    def test_a_configuration_file_is_default_as_long_as_its_content_is(
        self, packages: Packages, tmp_path: Path, content: str, *, default: bool
    ) -> None:
        (tmp_path / "app.conf").write_text(content, encoding="utf-8")
        packages.defaults[str(tmp_path / "app.conf")] = packages.defaults["/etc/app/app.conf"]
        assert packages.is_default(str(tmp_path / "app.conf")) is default

    @pytest.mark.parametrize(
        "path",
        [
            "/etc/passwd-",
            "/etc/ld.so.cache",
            "/etc/rc3.d",
            "/etc/systemd/system/timers.target.wants",
            "/etc/x.dpkg-old",
            "/etc/ssl/certs/4042bcee.0",
            "/home/pi/.cache",
            "/home/pi/.ssh/known_hosts.old",
            "/var/lib/dpkg",
            "/etc/ssh/ssh_host_rsa_key.pub",
        ],
    )
    def test_what_every_debian_makes_itself_is_no_news(self, path: str) -> None:
        assert is_generated(path)

    @pytest.mark.parametrize(
        "path",
        [
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/fstab",
            "/home/pi/.ssh/authorized_keys",
            "/etc/NetworkManager/system-connections/home",
            "/etc/apt/sources.list.d/docker.list",
            "/var/lib/homeassistant",
            "/etc/cron.d/mine",
            "/etc/docker/daemon.json",
        ],
    )
    def test_what_an_owner_would_miss_is(self, path: str) -> None:
        assert not is_generated(path)

    @pytest.mark.parametrize(("text", "nothing"), [("", True), ("# a\n\n  // b\n", True), ("# a\nb\n", False)])
    def test_comments_alone_say_nothing(self, tmp_path: Path, text: str, *, nothing: bool) -> None:
        (tmp_path / "hosts.allow").write_text(text, encoding="utf-8")
        assert packaged.says_nothing(str(tmp_path / "hosts.allow")) is nothing

    @pytest.mark.parametrize(("target", "nothing"), [("/usr/lib/systemd/system/ssh.service", True), ("../mine.conf", False)])
    def test_nor_do_links_to_what_packages_bring(self, tmp_path: Path, target: str, *, nothing: bool) -> None:
        (tmp_path / "link").symlink_to(target)
        assert packaged.says_nothing(str(tmp_path / "link")) is nothing


class TestSearch:
    """The tops are those of a Pi; what is found below one is shown on a tree of the test's own."""

    def search(self, packages: Packages, *covered: str, own: str = "/nowhere/manifest.json", within: float = 60) -> Search:
        datasets = {"a": {"paths": covered[:1]}, "b": {"paths": [], "covers": covered[1:]}}
        return Search({"data": datasets}, Path(own), packages, within)

    def found(self, search: Search, top: Path, least: int = 1, *, deep: bool = False) -> dict[str, tuple[str, int, int]]:
        entries = list(search._below(str(top), least, into_packages=deep))
        return {entry["path"].removeprefix(f"{top}/"): (entry["kind"], entry["files"], entry["bytes"]) for entry in entries}

    @pytest.fixture
    def top(self, tmp_path: Path) -> Path:
        top = tmp_path / "top"
        (top / "app/cache").mkdir(parents=True)
        (top / "app/a").write_text("12345", encoding="utf-8")
        (top / "app/cache/b").write_text("678", encoding="utf-8")
        (top / "file").write_text("1", encoding="utf-8")
        (top / "empty").mkdir()
        return top

    def test_a_folder_is_told_as_one_with_what_is_in_it(self, packages: Packages, top: Path) -> None:
        assert self.found(self.search(packages), top) == {"app": ("folder", 2, 8), "file": ("unowned-file", 1, 1)}

    def test_small_folders_of_state_are_not(self, packages: Packages, top: Path) -> None:
        assert self.found(self.search(packages), top, least=8) == {"app": ("folder", 2, 8)}
        assert self.found(self.search(packages), top, least=9) == {}

    def test_what_a_dataset_holds_is_covered(self, packages: Packages, top: Path) -> None:
        assert self.found(self.search(packages, str(top / "app"), f"{top}/file/"), top) == {}

    def test_what_is_left_of_a_folder_is_told_part_by_part(self, packages: Packages, top: Path) -> None:
        assert self.found(self.search(packages, str(top / "app/a"), str(top / "file")), top) == {"app/cache": ("folder", 1, 3)}

    def test_the_folder_of_the_manifest_and_repositories_are_covered(self, packages: Packages, top: Path) -> None:
        repositories = {"usb": {"url": "../usb", "at": str(top / "app")}}
        plan = {"data": {"a": {"paths": [str(top / "file")]}}, "repositories": repositories}
        assert self.found(Search(plan, top / "m/manifest.json", packages, 60), top) == {}
        assert self.found(self.search(packages, own=str(top / "app/manifest.json")), top) == {"file": ("unowned-file", 1, 1)}

    def test_what_a_dataset_holds_behind_a_link_is_covered(self, packages: Packages, top: Path) -> None:
        (top.parent / "link").symlink_to(top)
        assert self.found(self.search(packages, f"{top.parent}/link/app", f"{top.parent}/link/file"), top) == {}

    def test_what_packages_bring_is_no_find(self, packages: Packages, top: Path) -> None:
        packages.owned.update({str(top / "app"), str(top / "app/a")})
        assert self.found(self.search(packages), top) == {"app": ("folder", 1, 3), "file": ("unowned-file", 1, 1)}
        deep = {"app/cache": ("folder", 1, 3), "file": ("unowned-file", 1, 1)}
        assert self.found(self.search(packages), top, deep=True) == deep

    def test_a_changed_configuration_file_is_told_as_that(self, packages: Packages, top: Path) -> None:
        packages.defaults[str(top / "file")] = hashlib.md5(b"1").hexdigest()  # noqa: S324  # what dpkg has
        assert "file" not in self.found(self.search(packages), top)
        packages.defaults[str(top / "file")] = "0" * 32
        assert self.found(self.search(packages), top)["file"] == ("changed-conffile", 1, 1)

    def test_pipes_are_not_opened(self, packages: Packages, top: Path) -> None:
        os.mkfifo(top / "pipe")
        assert "pipe" not in self.found(self.search(packages), top)

    def test_a_search_that_ran_out_of_time_is_not_whole(self, packages: Packages) -> None:
        search = self.search(packages, within=0)
        assert search() == []
        assert not search.is_whole

    @pytest.mark.parametrize(
        ("lines", "system"),
        [
            ("proc /proc proc defaults 0 0\nPARTUUID=1-01 /boot/firmware vfat x 0 2\n# x\nPARTUUID=1-02 / ext4 x 0 1\n", True),
            ("PARTUUID=1-02 / ext4 x 0 1\nLABEL=usb /mnt/usb ext4 nofail 0 2\n", False),
        ],
    )
    def test_an_fstab_counts_when_it_mounts_more_than_the_system(
        self, lines: str, monkeypatch: pytest.MonkeyPatch, *, system: bool
    ) -> None:
        monkeypatch.setattr(packaged.Path, "read_text", lambda *_, **__: lines)
        assert packaged.is_system_fstab("/etc/fstab") is system
