"""What is read off a boot partition before a kernel runs: as the firmware of a Pi does it."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from muster.errors import HarnessError, NotBooted
from muster.machines.qemu import firmware, partition, settings

LINE = "console=serial0,115200 console=tty1 root=PARTUUID=0badc0de-02 rootfstype=ext4 rootwait"
KERNEL = b"\0" * 56 + b"ARMd" + b"\0" * 500
MIB = 1 << 20
BOOT_AT = 4 * MIB
BOOT_SIZE = 34 * MIB


class TestSettings:
    def test_without_a_word_every_pi_starts_kernel8(self) -> None:
        assert settings.read("", "pi4") == settings.Settings(("kernel8.img",), "cmdline.txt", "")

    def test_a_pi5_tries_its_own_kernel_first(self) -> None:
        assert settings.read("", "pi5").kernels == ("kernel_2712.img", "kernel8.img")

    def test_what_is_named_is_all_that_is_tried(self) -> None:
        assert settings.read("kernel = mine.img # not theirs", "pi5").kernels == ("mine.img",)

    def test_a_section_of_another_board_says_nothing(self) -> None:
        text = "[pi5]\nkernel=five.img\n[pi4]\ncmdline=four.txt\n[all]\nos_prefix=old/\n[none]\nos_prefix=never/\n"
        assert settings.read(text, "pi4") == settings.Settings(("kernel8.img",), "four.txt", "old/")

    def test_a_comment_is_no_setting(self) -> None:
        assert settings.read("# kernel=mine.img\n", "pi4").kernels == ("kernel8.img",)


def test_the_kernel_line_keeps_what_the_disk_says_and_ends_with_our_console() -> None:
    line = firmware.line(LINE, "ttyAMA0")
    assert line.startswith("console=ttyAMA0,115200 console=tty1 root=PARTUUID=0badc0de-02 ")
    assert line.endswith(" console=ttyAMA0")
    assert "serial0" not in line
    assert "muster.modules" not in line


def test_modules_are_lent_where_the_kernel_on_the_disk_is_another() -> None:
    assert " muster.modules " in firmware.line(LINE, "ttyAMA0", lend=True)


@pytest.mark.skipif(not (shutil.which("qemu-img") and shutil.which("mcopy")), reason="QEMU's and DOS's tools are not installed")
class TestDisk:
    @pytest.fixture
    def files(self) -> dict[str, bytes]:
        return {"config.txt": b"kernel=kernel8.img\n", "cmdline.txt": f"{LINE}\n".encode(), "kernel8.img": KERNEL}

    def disk(self, folder: Path, files: dict[str, bytes], *, table: bool = True, fat: bool = True) -> Path:
        """A disk whose first partition holds these files, as an overlay that a machine runs on."""
        raw = folder / "disk.raw"
        with raw.open("wb") as image:
            image.truncate(BOOT_AT + BOOT_SIZE)
            if table:
                image.seek(446)
                image.write(struct.pack("<8xLL", BOOT_AT // 512, BOOT_SIZE // 512))
                image.seek(510)
                image.write(b"\x55\xaa")
        if fat:
            subprocess.run(
                ["mformat", "-i", f"{raw}@@{BOOT_AT}", "-T", str(BOOT_SIZE // 512), "-h", "16", "-s", "32", "::"], check=True
            )
        for name, content in files.items():
            (folder / name).write_bytes(content)
            subprocess.run(["mcopy", "-i", f"{raw}@@{BOOT_AT}", str(folder / name), f"::{name}"], check=True)
        partition.overlay(raw, "raw", folder / "disk.qcow2")
        return folder / "disk.qcow2"

    def test_what_the_disk_says_is_found(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        disk = self.disk(tmp_path, files)
        found = firmware.look(disk, tmp_path)
        assert (found.line, found.kernel, found.content) == (LINE, "kernel8.img", KERNEL)
        assert disk.stat().st_mode & 0o777 == 0o600
        assert not (tmp_path / "boot.img").exists()

    def test_a_kernel_that_is_not_there_is_named(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        del files["kernel8.img"]
        with pytest.raises(NotBooted, match=r"there is no kernel8\.img on its boot partition"):
            firmware.look(self.disk(tmp_path, files), tmp_path)

    def test_rubbish_is_no_kernel(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        files["kernel8.img"] = b"\0" * 4096
        with pytest.raises(NotBooted, match=r"kernel8\.img on its boot partition is no kernel"):
            firmware.look(self.disk(tmp_path, files), tmp_path)

    @pytest.mark.parametrize(("line", "what"), [(None, "is not there"), (b"console=tty1\n", "says nothing of root=")])
    def test_a_kernel_line_without_a_root_is_told(
        self, tmp_path: Path, files: dict[str, bytes], line: bytes | None, what: str
    ) -> None:
        del files["cmdline.txt"]
        if line is not None:
            files["cmdline.txt"] = line
        with pytest.raises(NotBooted, match=rf"cmdline\.txt on its boot partition {what}"):
            firmware.look(self.disk(tmp_path, files), tmp_path)

    def test_a_boot_partition_without_a_file_system_does_not_boot(self, tmp_path: Path) -> None:
        with pytest.raises(NotBooted, match="its boot partition holds no FAT file system"):
            firmware.look(self.disk(tmp_path, {}, fat=False), tmp_path)

    def test_a_disk_without_partitions_does_not_boot(self, tmp_path: Path) -> None:
        with pytest.raises(NotBooted, match="its disk has no partition table"):
            firmware.look(self.disk(tmp_path, {}, table=False, fat=False), tmp_path)

    def test_a_disk_that_we_cannot_read_is_our_fault(self, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match="qemu-img could not dd"):
            firmware.look(tmp_path / "nothing.qcow2", tmp_path)
