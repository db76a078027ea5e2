"""What the copies and the datasets of a Pi lie on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from muster.backups.manifest import Mount
from muster.seal import mounted, mounts
from muster.seal.plan import local_repositories


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
