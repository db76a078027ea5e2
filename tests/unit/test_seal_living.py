"""What only the living Pi can tell: disks, timer, services, and what no dataset covers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from muster.backups.manifest import Manifest, Mount, ServiceFacts, Timer
from muster.seal import command, living, mounted, mounts, packaged, services, timer
from muster.seal.errors import SealError
from muster.seal.generated import is_generated
from muster.seal.packaged import Packages
from muster.seal.plan import Table, local_repositories
from muster.seal.uncovered import Search

Answers = Callable[[dict[str, str]], None]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Let programs of the system answer as on a Pi: by the first words of their command line."""

    def answer(answers: dict[str, str]) -> None:
        def said(command: list[str]) -> str:
            return next((text for start, text in answers.items() if " ".join(command).startswith(start)), "")

        monkeypatch.setattr("muster.seal.programs.output", said)

    return answer


class TestMounts:
    def test_a_folder_lies_on_a_mounted_disk_with_room(self, tmp_path: Path) -> None:
        found = Mount.model_validate(mounts.mount(str(tmp_path)))
        assert found.exists
        assert str(tmp_path).startswith(found.mount_point)
        assert 0 < found.free_bytes <= found.total_bytes
        assert found.device == f"{os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)}"

    def test_a_disk_that_is_not_mounted_is_told_by_what_is_there_instead(self, tmp_path: Path) -> None:
        found = mounts.mount(str(tmp_path / "usb/restic"))
        assert (found["exists"], found["mount_point"]) == (False, mounts.mount(str(tmp_path))["mount_point"])

    def test_the_system_is_with_itself_and_memory_is_not(self) -> None:
        assert mounts.mount("/usr")["with_system"]
        assert not mounts.mount("/proc")["with_system"]

    def test_the_mount_that_hides_another_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = [
            ("/", "ext4", "/dev/a"),
            ("/usr", "autofs", "systemd-1"),
            ("/usr", "nfs4", "nas:/usr"),
            ("/us", "ext4", "/dev/b"),
        ]
        monkeypatch.setattr(mounted, "table", lambda: table)
        found = mounts.mount("/usr/bin")
        assert (found["mount_point"], found["source"], found["transport"]) == ("/usr", "nas:/usr", "network")

    @pytest.mark.parametrize(
        ("device", "kind"),
        [
            ("platform/soc/3f980000.usb/usb1/1-1/1-1.2/1-1.2:1.0/host0/target0:0:0/0:0:0:0/block/sda", "usb"),
            ("platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0", "mmc"),
            ("platform/scb/fd500000.pcie/pci0001:01/0001:01:00.0/nvme/nvme0/nvme0n1", "nvme"),
            ("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", "ata"),
            ("virtual/block/loop0", ""),
        ],
    )
    def test_how_a_disk_is_attached(self, device: str, kind: str) -> None:
        assert mounts._transport("ext4", [f"/sys/devices/{device}"]) == kind

    def test_a_partition_is_its_whole_disk_and_encryption_what_it_lies_on(self, tmp_path: Path) -> None:
        (tmp_path / "sda/sda2").mkdir(parents=True)
        (tmp_path / "sda/sda2/partition").touch()
        (tmp_path / "dm-0/slaves").mkdir(parents=True)
        (tmp_path / "dm-0/slaves/sda2").symlink_to(tmp_path / "sda/sda2")
        assert mounts._whole_disks(tmp_path / "dm-0") == mounts._whole_disks(tmp_path / "sda") == {str(tmp_path / "sda")}

    def test_repositories_that_this_pi_sees_as_folders(self) -> None:
        urls = {"usb": "../usb", "disk": "/srv/b", "plain": "local:/srv/c", "far": "sftp:nas:/b", "rest": "rest:http://nas/"}
        plan = {"repositories": {name: {"url": url} for name, url in urls.items()}}
        plan["repositories"]["usb"]["at"] = "/mnt/usb/b"
        assert local_repositories(plan) == {"usb": "/mnt/usb/b", "disk": "/srv/b", "plain": "/srv/c"}

    def test_a_dataset_is_told_by_its_first_path_that_is_there(self, tmp_path: Path) -> None:
        datasets = {"one": {"paths": ["/nowhere", str(tmp_path)]}, "none": {"paths": ["/nowhere"]}}
        found = mounts.mounts({"data": datasets})
        assert found["data.one"]["at"] == str(tmp_path)
        assert (found["data.none"]["at"], found["data.none"]["exists"]) == ("/nowhere", False)

    def test_a_disk_that_broke_keeps_no_backup_from_being_sealed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(path: str) -> dict[str, Any]:
            raise OSError(5, "Input/output error", path)

        monkeypatch.setattr(mounts, "mount", broken)
        assert mounts.mounts({"data": {"etc": {"paths": ["/etc"]}}}) == {"data.etc": {"at": "/etc", "exists": False}}


SHOWN_TIMER = """Unit=backup.service
TimersCalendar={ OnCalendar=*-*-* 03:00:00 ; next_elapse=@1795500000 }
TimersCalendar={ OnCalendar=Sun *-*-* 12:00:00 ; next_elapse=@1795900000 }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=0 }
RandomizedDelayUSec=1h 30min
Persistent=yes
LoadState=loaded
ActiveState=active
SubState=waiting
UnitFileState=enabled
"""
SHOWN_SERVICE = """Result=exit-code
ExecMainStatus=3
ExecMainStartTimestamp=@1795411609
ExecMainExitTimestamp=@1795411619
ActiveState=failed
"""
RUNNING = """Result=success
ExecMainStatus=0
ExecMainStartTimestamp=@1795411609
ExecMainExitTimestamp=
ActiveState=activating
"""
SHOW = "systemctl show --timestamp=unix --property="
PLAN = {"schedule": {"timer": "backup.timer"}}


def told_timer(programs: Answers, service: str = SHOWN_SERVICE, listed: str = "", shown: str = SHOWN_TIMER) -> Timer:
    programs({f"{SHOW}Unit,": shown, f"{SHOW}ActiveState,Result": service, "systemctl list-timers": listed})
    return Timer.model_validate(timer.timer(PLAN))


class TestTimer:
    def test_a_plan_without_a_schedule_has_none(self) -> None:
        assert timer.timer({}) is None

    def test_when_it_elapses(self, programs: Answers) -> None:
        told = told_timer(programs)
        assert (told.calendars, told.monotonic) == (("*-*-* 03:00:00", "Sun *-*-* 12:00:00"), ("OnBootSec=15min",))
        assert (told.randomized_delay_s, told.persistent) == (5400, True)
        assert (told.load_state, told.file_state, told.active_state, told.sub_state) == ("loaded", "enabled", "active", "waiting")

    def test_when_it_did_last_and_will_next(self, programs: Answers) -> None:
        told = told_timer(programs, listed='[{"next":1795411800000000,"last":1795411200000000,"unit":"backup.timer"}]')
        assert [str(moment) for moment in (told.last_trigger, told.next_elapse)] == [
            "2026-11-23 05:20:00+00:00", "2026-11-23 05:30:00+00:00",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "listed", ["", "[]", "NEXT LEFT", '[{"next":0,"last":0}]', '[{"next":null}]', '[{"next":18446744073709551615}]']
    )
    def test_never_is_no_moment(self, programs: Answers, listed: str) -> None:
        told = told_timer(programs, listed=listed)
        assert (told.last_trigger, told.next_elapse) == (None, None)

    def test_how_its_service_ended(self, programs: Answers) -> None:
        told = told_timer(programs)
        assert (told.service, told.service_active, told.service_result, told.service_exit) == (
            "backup.service", "failed", "exit-code", 3,
        )  # fmt: skip
        assert str(told.service_ended) == "2026-11-23 05:26:59+00:00"

    def test_a_run_that_has_not_ended_has_no_exit_status(self, programs: Answers) -> None:
        told = told_timer(programs, RUNNING)
        assert (told.service_active, told.service_exit, told.service_ended) == ("activating", None, None)
        assert told.service_started is not None

    def test_a_timer_that_does_not_exist_is_told_as_that(self, programs: Answers) -> None:
        told = told_timer(programs, shown="Unit=\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n")
        assert (told.load_state, told.service, told.service_result) == ("not-found", "", "")

    def test_without_systemd_nothing_is_claimed(self, programs: Answers) -> None:
        programs({})
        assert Timer.model_validate(timer.timer(PLAN)) == Timer(unit="backup.timer")

    @pytest.mark.parametrize(
        ("span", "seconds"), [("0", 0), ("5s", 5), ("1min 30s", 90), ("1d 2h", 93600), ("1month", 2629800), ("infinity", 0)]
    )
    def test_spans(self, span: str, seconds: float) -> None:
        assert timer._seconds(span) == seconds


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    """What dpkg and ucf know: a folder, two files, one of them with a default content."""
    database = tmp_path / "db/var/lib/dpkg"
    (database / "info").mkdir(parents=True)
    (tmp_path / "db/var/lib/ucf").mkdir(parents=True)
    (database / "info/app.list").write_text("/.\n/etc\n/etc/app\n/etc/app/owned\n/usr/bin/app\n", encoding="utf-8")
    of = f"/etc/app/app.conf {hashlib.md5(b'default').hexdigest()}"  # noqa: S324  # what dpkg has
    status = f"Package: app\nConffiles:\n {of}\n {of.replace('app.conf', 'old.conf')} obsolete\n /etc/app/new newconffile\n"
    (database / "status").write_text(status + "Description: an app\n", encoding="utf-8")
    (tmp_path / "db/var/lib/ucf/hashfile").write_text(f"{'0' * 32}  /etc/app/ucf.conf\n", encoding="utf-8")
    return Packages(str(tmp_path / "db"))


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


class TestServices:
    def plan(self, *covered: str) -> dict[str, Any]:
        return {"services": {"app": {}, "db": {"unit": "db@1.service"}}, "data": {"app": {"paths": covered}}}

    @pytest.fixture
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(services, "KEPT", (str(tmp_path),))
        monkeypatch.setattr(services, "_processes", dict)
        return tmp_path

    def told(self, packages: Packages, programs: Answers, app: str, *covered: str) -> ServiceFacts:
        programs({SHOW: f"ActiveState=active\n{app}\n\nActiveState=inactive\n"})
        described = services.services(self.plan(*covered), packages)
        assert described["db"] == {"unit": "db@1.service", "active": "inactive", "paths": []}
        return ServiceFacts.model_validate(described["app"])

    def test_paths_that_the_unit_names(self, packages: Packages, programs: Answers, kept: Path) -> None:
        for name in ("app.service", "a.conf", "b.conf", "env", "run", "ready"):
            (kept / name).touch()
        (kept / "start").symlink_to("run")
        lines = [
            f"FragmentPath={kept}/app.service", f"EnvironmentFiles={kept}/env (ignore_errors=yes)",
            f"ExecStart={{ path={kept}/start ; argv[]={kept}/start -c {kept}/a.conf --more={kept}/b.conf /nowhere ; pid=1 }}",
            f"ExecStart={{ path=/bin/sh ; argv[]=/bin/sh {kept}/ready ; pid=2 }}",
        ]  # fmt: skip
        told = self.told(packages, programs, "\n".join(lines))
        assert (told.unit, told.active) == ("app.service", "active")
        names = ("a.conf", "app.service", "b.conf", "env", "ready", "run", "start")
        assert told.paths == tuple(f"{kept}/{name}" for name in names)

    def test_what_a_package_brings_as_it_is_is_no_path_of_the_owners(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "default.conf").write_text("default", encoding="utf-8")
        (kept / "changed.conf").write_text("mine", encoding="utf-8")
        for name in ("default.conf", "changed.conf"):
            packages.defaults[f"{kept}/{name}"] = packages.defaults["/etc/app/app.conf"]
        told = self.told(packages, programs, f"ExecStart={{ argv[]=/bin/app {kept}/default.conf {kept}/changed.conf ; }}")
        assert told.paths == (f"{kept}/changed.conf",)

    def test_an_empty_folder_is_none_and_a_folder_with_files_is(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "empty").mkdir()
        (kept / "full").mkdir()
        (kept / "full/row").touch()
        assert self.told(packages, programs, f"WorkingDirectory={kept}/full {kept}/empty").paths == (f"{kept}/full",)

    def test_many_files_of_one_folder_are_told_as_the_folder(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "base").mkdir()
        files = [f"{kept}/base/{number}" for number in range(services.TOGETHER + 1)]
        for file in files:
            Path(file).touch()
        assert self.told(packages, programs, f"ExecStart={{ argv[]=/bin/db {' '.join(files)} ; }}").paths == (f"{kept}/base",)
        few = " ".join(files[1:])
        assert len(self.told(packages, programs, f"ExecStart={{ argv[]=/bin/db {few} ; }}").paths) == services.TOGETHER

    def test_a_folder_speaks_for_what_is_in_it(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "app/deep").mkdir(parents=True)
        (kept / "app/deep/row").touch()
        (kept / "application").touch()
        told = self.told(packages, programs, f"ExecStart={{ argv[]=/bin/x {kept}/app/deep/row {kept}/application {kept}/app ; }}")
        assert told.paths == (f"{kept}/app", f"{kept}/application")

    def test_a_folder_whose_content_is_all_covered_is_no_path_of_its_own(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "app/db").mkdir(parents=True)
        (kept / "app/db/row").touch()
        line = f"WorkingDirectory={kept}/app\nExecStart={{ argv[]=/bin/x {kept}/app/db/row ; }}"
        assert self.told(packages, programs, line, f"{kept}/app/db").paths == (f"{kept}/app/db/row",)

    def test_a_folder_that_datasets_hold_a_part_of_speaks_for_none_of_it(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "app/db").mkdir(parents=True)
        (kept / "app/db/row").touch()
        files = [f"{kept}/app/{number:02}" for number in range(services.TOGETHER + 1)]
        for file in files:
            Path(file).touch()
        line = f"WorkingDirectory={kept}/app\nExecStart={{ argv[]=/bin/x {kept}/app/db/row {' '.join(files)} ; }}"
        told = self.told(packages, programs, line, f"{kept}/app/db")
        assert told.paths == (f"{kept}/app", *files, f"{kept}/app/db/row")

    def test_a_file_behind_a_link_is_told_as_the_plan_spells_it(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "disk/www").mkdir(parents=True)
        (kept / "disk/www/index").touch()
        (kept / "web").symlink_to("disk")
        line = f"ExecStart={{ argv[]=/bin/x {kept}/disk/www/index ; }}"
        assert self.told(packages, programs, line, f"{kept}/web/www").paths == (f"{kept}/web/www/index",)
        assert self.told(packages, programs, line, f"{kept}/web").paths == (
            f"{kept}/disk/www/index",
        )  # restic keeps the link alone

    def test_a_process_is_seen_with_its_arguments_and_open_files(self, tmp_path: Path) -> None:
        with (tmp_path / "open").open("w"):
            used = services._used(Path("/proc/self"))
        assert str(tmp_path / "open") in used
        assert str(Path.cwd()) in used
        assert not any(path.startswith("/dev") for path in used)

    def test_a_process_that_is_gone_uses_nothing(self) -> None:
        assert services._used(Path("/proc/0")) == set()


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


class TestAgain:
    @pytest.fixture
    def old(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/a").write_text("12345", encoding="utf-8")
        old = {"hostname": "garden-pi", "run": "r1", "sealed_at": "2026-03-01T09:00:00+00:00", "metrics": {"rows": "7"}}
        old |= {
            "datasets": {"etc": {"files": 9, "bytes": 9}},
            "secrets": {"/x": {}},
            "addresses": ["192.0.2.1"],
            "users": {"pi": {}},
        }
        (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
        return old

    def sealed(self, tmp_path: Path, more: str = "") -> dict[str, Any]:
        paths = f'paths = ["{tmp_path}/etc"]'
        plan = f'name = "garden"\nhostname = "garden-pi"\n[data.etc]\nclass = "config"\n{paths}\n{more}'
        (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
        options = {"plan": tmp_path / "plan.toml", "run": "r2", "output": tmp_path / "var/manifest.json", "hash_within": 60}
        command.seal(SimpleNamespace(**options, look_within=0, again=tmp_path / "old.json"))  # type: ignore[arg-type]
        told: dict[str, Any] = json.loads((tmp_path / "var/manifest.json").read_text(encoding="utf-8"))
        return told

    def test_what_lies_on_disk_is_sealed_anew_and_the_rest_taken_over(self, tmp_path: Path, old: dict[str, Any]) -> None:
        told = self.sealed(tmp_path, '[metrics.rows]\nrun = "exit 1"\n')  # nobody is asked: nothing runs on a restored tree
        assert {key: told[key] for key in ("metrics", "hostname", "addresses", "users")} == {
            key: old[key] for key in ("metrics", "hostname", "addresses", "users")
        }
        assert (told["run"], told["again"], told["secrets"]) == ("r2", "r1", {})
        assert told["datasets"] == {"etc": {"files": 1, "bytes": 5}}
        assert told["sealed_at"] > old["sealed_at"]
        assert told["file_list"]["hashed"] == 1

    def test_the_run_that_the_pi_itself_made_stays_known(self, tmp_path: Path, old: dict[str, Any]) -> None:
        (tmp_path / "old.json").write_text(json.dumps(old | {"run": "r1b", "again": "r0"}), encoding="utf-8")
        assert self.sealed(tmp_path)["again"] == "r0"

    @pytest.mark.parametrize("text", ["", "[]", "{}", "nothing"])
    def test_a_manifest_that_is_none_is_refused(self, tmp_path: Path, old: dict[str, Any], text: str) -> None:
        assert old
        (tmp_path / "old.json").write_text(text, encoding="utf-8")
        with pytest.raises(SealError, match="cannot take anything over from"):
            self.sealed(tmp_path)
        assert not (tmp_path / "var").exists()


class TestSurroundings:
    def test_what_cannot_be_seen_is_left_out_with_a_word(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(_: Table) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(living, "timer", broken)
        facts = living.surroundings({"data": {}}, Path("/nowhere/manifest.json"), 0)
        assert "timer" not in facts
        assert facts["mounts"] == {}
        assert capsys.readouterr().err.startswith("muster-seal: the manifest is sealed without timer: PermissionError")

    def test_all_of_it_is_what_muster_reads(self) -> None:
        facts = living.surroundings({"data": {"etc": {"paths": ["/etc"]}}}, Path("/nowhere/manifest.json"), 0)
        read = Manifest.model_validate({"hostname": "pi", "sealed_at": "2026-03-01T09:00:00+00:00", **facts})
        assert read.mounts["data.etc"].exists
        assert not read.uncovered_is_whole
        assert read.addresses
