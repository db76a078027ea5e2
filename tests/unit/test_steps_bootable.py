"""What restored boot files say about the next boot: each fault is named, and a healthy system is left alone."""

from __future__ import annotations

import gzip
import struct
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.backups.trees import Entry
from muster.errors import HarnessError, RecoveryError
from muster.findings import Finding
from muster.journal import Journal
from muster.plan import load
from muster.steps import adapt, bootable, bootfiles, bootlook
from muster.steps.context import Recovering
from tests.fake.machine import FakeMachine, write_plan

DEVICES = """\
DEVNAME=/dev/vda1
LABEL_FATBOOT=bootfs
LABEL=bootfs
UUID=5E4D-1A2B
TYPE=vfat
PARTUUID=aaaa1111-01

DEVNAME=/dev/vda2
LABEL=rootfs
UUID=0a1b2c3d-0000-4000-8000-000000000001
TYPE=ext4
PARTUUID=aaaa1111-02
"""
FSTAB = """\
proc            /proc           proc    defaults          0       0
PARTUUID=aaaa1111-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=aaaa1111-02  /               ext4    defaults,noatime  0       1
# a swapfile is not a swap partition, no line here
tmpfs /tmp tmpfs defaults 0 0
nas:/photos /srv/photos nfs defaults 0 0
//nas/music /srv/music cifs credentials=/root/nas 0 0
/srv/a /srv/b none bind 0 0
"""
HEALTHY = {
    "root": "/dev/vda2",
    "devices": DEVICES,
    "fstab": FSTAB,
    "present": "",
    "firmware": "config.txt\ncmdline.txt\nkernel8.img\ninitramfs8\nkernel_2712.img\ninitramfs_2712",
    "config": "dtparam=audio=on\nauto_initramfs=1\n[cm4]\notg_mode=1\n[all]\n[pi4]\narm_boost=1\n",
    "cmdline": "console=serial0,115200 console=tty1 root=PARTUUID=aaaa1111-02 rootfstype=ext4 fsck.repair=yes rootwait\n",
    "misplaced": "",
    "free": "523248 460000",
    "modules": "6.12.47+rpt-rpi-v8\n6.12.47+rpt-rpi-2712",
    "model": "linux,dummy-virt",
    "end": "",
}
VERSIONS = {"kernel8.img": "6.12.47+rpt-rpi-v8", "kernel_2712.img": "6.12.47+rpt-rpi-2712"}
ALL = (
    "/etc/fstab",
    "/boot/firmware/config.txt",
    "/boot/firmware/cmdline.txt",
    "/boot/firmware/kernel8.img",
    "/usr/lib/modules/6.12",
)
LOST = FSTAB.replace("aaaa1111", "bbbb2222")

Check = Callable[..., list[Finding]]


def _printed(parts: dict[str, str]) -> str:
    return "".join(f"\n== muster {name}\n{text}" for name, text in parts.items())


class Pi(FakeMachine):
    """A machine with these boot files."""

    def __init__(self, parts: dict[str, str], versions: dict[str, str], *, boots: bool) -> None:
        said = "".join(f"{name} {version}\n" for name, version in versions.items())
        super().__init__({r"== muster %s": (0, _printed(parts)), r"HdrS": (0, said)})
        self.boots = boots


def _recovering(machine: FakeMachine, folder: Path, back: tuple[str, ...], more: str = "") -> Recovering:
    path = write_plan(folder)
    path.write_text(path.read_text().replace('["/etc/app"]', '["/etc/app", "/etc/fstab", "/boot", "/usr/lib/modules"]') + more)
    context = Recovering(load(path), machine, Journal(folder / "journal.jsonl"), ["usb"], datetime.now(UTC), {})
    context.back = {name: Entry("file", 0o644, 100, "root", "root") for name in back}
    return context


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """What is found on a machine whose boot files differ from healthy ones in these parts."""

    def find(
        *, back: tuple[str, ...] = ALL, boots: bool = True, versions: dict[str, str] = VERSIONS, plan: str = "", **parts: str
    ) -> list[Finding]:
        machine = Pi(HEALTHY | parts, versions, boots=boots)
        context = _recovering(machine, tmp_path, back, plan)
        try:
            bootable.check(context, "bootable")
            worst = []
        except RecoveryError as error:
            worst = [error.finding]
        told = [event for event in context.journal.events if event["kind"] == "finding"]
        return worst + [Finding(*(event[name] for name in ("code", "severity", "where", "what", "fix"))) for event in told]

    return find


@pytest.mark.parametrize("boots", [True, False])
def test_a_healthy_system_is_left_alone(check: Check, *, boots: bool) -> None:
    fix = '\n[boot]\nadapt = ["/etc/fstab", "/boot/firmware/cmdline.txt"]\n'
    assert check(boots=boots, plan=fix) == []


def test_nobody_looks_where_nothing_of_it_came_back(check: Check) -> None:
    assert check(back=("/etc/app/app.conf",), fstab=LOST, cmdline="", firmware="") == []


@pytest.mark.parametrize(
    ("parts", "code", "severity", "where", "says"),
    [
        ({"fstab": LOST}, "boot-disk-differs", "error", "/etc/fstab", "PARTUUID=bbbb2222-02 (for /)"),
        ({"fstab": LOST}, "boot-disk-differs", "error", "/etc/fstab", "its root is PARTUUID=aaaa1111-02"),
        (
            {"fstab": FSTAB.replace("aaaa1111-01", "aaaa1111-02").replace("-02  /  ", "-01  /  ")},
            "boot-disk-differs",
            "error",
            "/etc/fstab",
            "-01 (for /)",
        ),
        (
            {"cmdline": "rootwait root=PARTUUID=bbbb2222-02"},
            "boot-disk-differs",
            "error",
            "cmdline.txt",
            "says root=PARTUUID=bbbb2222-02",
        ),
        ({"cmdline": "root=PARTUUID=aaaa1111-01"}, "boot-disk-differs", "error", "cmdline.txt", "root=PARTUUID=aaaa1111-01"),
        ({"cmdline": "root=/dev/sda2"}, "boot-disk-by-slot", "unproven", "cmdline.txt", "/dev/sda2"),
        ({"fstab": "/dev/mmcblk0p2 / ext4 defaults 0 1"}, "boot-disk-by-slot", "unproven", "/etc/fstab", "/dev/mmcblk0p2"),
        ({"fstab": FSTAB + "UUID=9-9 /srv/media ext4 defaults 0 2"}, "boot-mount-missing", "error", "/etc/fstab", "/srv/media"),
        ({"fstab": FSTAB + "LABEL=usb /srv/media ext4 noatime 0 2"}, "boot-mount-missing", "error", "/etc/fstab", "emergency"),
        ({"fstab": FSTAB + "/dev/sda1 /srv/media ext4 nofail 0 2"}, "boot-disk-absent", "warning", "/etc/fstab", "/srv/media"),
        ({"fstab": FSTAB + "UUID=9-9 /mnt/usb ext4 noauto 0 0"}, "boot-disk-absent", "warning", "/etc/fstab", "/mnt/usb"),
        ({"fstab": FSTAB + "/var/swap none swap sw 0 0"}, "boot-disk-absent", "warning", "/etc/fstab", "waits 90 s"),
        ({"cmdline": ""}, "boot-cmdline-wrong", "error", "cmdline.txt", "is missing or empty"),
        ({"cmdline": "root=PARTUUID=aaaa1111-02\nquiet\n"}, "boot-cmdline-wrong", "error", "cmdline.txt", "has 2 lines"),
        ({"cmdline": "console=tty1 rootwait"}, "boot-cmdline-wrong", "error", "cmdline.txt", "says no root="),
        ({"config": "kernel=mine.img\n"}, "boot-kernel-missing", "error", "/boot/firmware", "config.txt asks for mine.img"),
        (
            {"firmware": "config.txt\ncmdline.txt"},
            "boot-kernel-missing",
            "error",
            "/boot/firmware",
            "kernel8.img or kernel_2712.img",
        ),
        (
            {"modules": "6.6.51+rpt-rpi-v8"},
            "boot-modules-missing",
            "error",
            "/boot/firmware",
            "kernel8.img (6.12.47+rpt-rpi-v8) and kernel_2712.img",
        ),
        ({"modules": ""}, "boot-modules-missing", "error", "/boot/firmware", "but for nothing"),
        ({"modules": "6.12.47+rpt-rpi-v8"}, "boot-modules-missing", "warning", "/boot/firmware", "for kernel_2712.img"),
        (
            {"firmware": "kernel8.img\ninitramfs_2712"},
            "boot-initramfs-missing",
            "warning",
            "/boot/firmware",
            "initramfs8, which is not",
        ),
        ({"config": "initramfs initrd.img followkernel"}, "boot-initramfs-missing", "warning", "/boot/firmware", "initrd.img"),
        ({"free": "523248 1200"}, "boot-partition-full", "warning", "/boot/firmware", "1200 KiB left"),
    ],
)
def test_each_fault_of_the_boot_files_is_named(
    check: Check, parts: dict[str, str], code: str, severity: str, where: str, says: str
) -> None:
    told = check(**parts)
    assert [(finding.code, finding.severity) for finding in told] == [(code, severity)]
    assert where in told[0].where
    assert says in told[0].what


def test_old_boot_files_beside_the_firmware_are_named(check: Check) -> None:
    told = check(misplaced="/boot/cmdline.txt\n/boot/config.txt", back=("/boot/cmdline.txt", "/boot/config.txt"))
    assert [finding.code for finding in told] == ["boot-files-misplaced"]
    assert "/boot/cmdline.txt and /boot/config.txt came back beside" in told[0].what


def test_files_beside_the_firmware_that_did_not_come_back_are_left_alone(check: Check) -> None:
    assert check(misplaced="/boot/cmdline.txt", back=ALL) == []


def test_a_kernel_that_says_no_version_is_unproven(check: Check) -> None:
    told = check(versions=VERSIONS | {"kernel8.img": ""})
    assert [(finding.code, finding.severity) for finding in told] == [("boot-kernel-unread", "unproven")]


def test_a_card_s_slot_is_the_disk_of_a_virtual_machine(check: Check) -> None:
    assert check(cmdline="root=/dev/mmcblk0p2 rootwait") == []


@pytest.mark.parametrize(
    "root",
    ["UUID=0a1b2c3d-0000-4000-8000-000000000001", "LABEL=rootfs", "/dev/disk/by-label/rootfs", "PARTUUID=AAAA1111-02"],
)
def test_the_disk_can_be_named_in_every_usual_way(check: Check, root: str) -> None:
    assert check(cmdline=f"root={root}", fstab=FSTAB.replace("PARTUUID=aaaa1111-02", root)) == []


def test_what_the_board_does_not_boot_needs_no_modules(check: Check) -> None:
    told = check(
        modules="6.12.47+rpt-rpi-v8", model="Raspberry Pi 4 Model B Rev 1.4", versions={"kernel8.img": "6.12.47+rpt-rpi-v8"}
    )
    assert told == []


def test_a_look_that_was_cut_short_proves_nothing(tmp_path: Path) -> None:
    machine = FakeMachine({r"== muster %s": (0, _printed({"root": "/dev/vda2", "fstab": LOST}))})
    machine.boots = True
    with pytest.raises(HarnessError, match="could not be looked at"):
        bootable.check(_recovering(machine, tmp_path, ALL), "bootable")


def test_boot_files_that_did_not_come_back_are_the_new_card_s_own(check: Check) -> None:
    assert check(back=("/etc/fstab",), cmdline="root=PARTUUID=bbbb2222-02", modules="", firmware="config.txt") == []


class TestWithoutADisk:
    """A container has no disk to compare with: only what restored files say of themselves is judged."""

    def test_files_that_name_the_lost_disk_are_a_warning(self, check: Check) -> None:
        told = check(boots=False, devices="", root="overlay", fstab=LOST)
        assert [(finding.code, finding.where) for finding in told] == [
            ("boot-disk-named", "/etc/fstab"),
            ("boot-disk-named", "/boot/firmware/cmdline.txt"),
        ]
        assert {finding.severity for finding in told} == {"warning"}

    def test_the_container_s_own_boot_files_name_no_disk(self, check: Check) -> None:
        assert check(boots=False, fstab="", cmdline="root=PARTUUID=00000000-02", versions={}) == []

    def test_settings_alone_are_no_fault(self, check: Check) -> None:
        told = check(boots=False, back=("/boot/firmware/config.txt",), firmware="config.txt", cmdline="", fstab="", free="")
        assert told == []

    def test_a_kernel_is_held_against_modules_that_came_back(self, check: Check) -> None:
        told = check(boots=False, modules="6.6.51+rpt-rpi-v8", fstab="", cmdline="root=LABEL=rootfs")
        assert {finding.code for finding in told} == {"boot-modules-missing"}

    def test_a_kernel_alone_is_not_held_against_the_container_s_modules(self, check: Check) -> None:
        back = tuple(path for path in ALL if "modules" not in path)
        assert check(boots=False, back=back, modules="", fstab="", cmdline="root=LABEL=rootfs") == []


class TestAdapting:
    """The new disk's id takes the place of the lost one's, in the files that the plan names."""

    PLAN = '\n[boot]\nadapt = ["/etc/fstab", "/boot/firmware/cmdline.txt"]\n'
    FILES = f"{LOST}UUID=9-9 /srv ext4 nofail 0 2\nconsole=tty1 root=PARTUUID=bbbb2222-02 rootwait\n"

    def _adapted(self, folder: Path, machine: FakeMachine, back: tuple[str, ...] = ALL) -> list[str]:
        adapt.adapt(_recovering(machine, folder, back, self.PLAN), "adapt")
        return machine.commands

    def _machine(self, new: str = "aaaa1111-02", files: str = FILES) -> FakeMachine:
        machine = FakeMachine({r"^cat ": (0, files), r"echo": (0, f"{new}\n")})
        machine.boots = True
        return machine

    def test_the_lost_id_is_replaced_in_each_of_them(self, tmp_path: Path) -> None:
        command = self._adapted(tmp_path, self._machine())[-1]
        assert "s/bbbb2222-/" in command
        assert command.endswith("/etc/fstab /boot/firmware/cmdline.txt")

    def test_the_command_does_to_files_what_a_hand_would(self, tmp_path: Path) -> None:
        command = self._adapted(tmp_path, self._machine())[-1]
        file = tmp_path / "fstab"
        file.write_text(f"{LOST}PARTUUID=cccc3333-01 /srv ext4 nofail 0 2\n")
        typed = command.replace(adapt._NEW, "new=aaaa1111-02").replace("/etc/fstab /boot/firmware/cmdline.txt", str(file))
        subprocess.run(["sh", "-c", typed], check=True)
        assert file.read_text() == f"{FSTAB}PARTUUID=cccc3333-01 /srv ext4 nofail 0 2\n"

    @pytest.mark.parametrize("files", ["LABEL=rootfs / ext4 defaults 0 1\n", "# PARTUUID=bbbb2222-02 / ext4 defaults 0 1\n", ""])
    def test_what_names_no_id_stays_as_it_is(self, tmp_path: Path, files: str) -> None:
        assert not any("sed" in command for command in self._adapted(tmp_path, self._machine(files=files)))

    def test_what_did_not_come_back_stays_as_it_is(self, tmp_path: Path) -> None:
        assert self._adapted(tmp_path, self._machine(), ("/etc/app/app.conf",)) == []

    def test_a_machine_without_a_disk_is_left_alone(self, tmp_path: Path) -> None:
        assert not any("sed" in command for command in self._adapted(tmp_path, FakeMachine()))

    def test_a_disk_of_another_kind_is_not_guessed_at(self, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match="needs one of an MBR"):
            self._adapted(tmp_path, self._machine("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"))

    def test_a_file_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        machine = self._machine()
        machine.answers[r"sed -i"] = (4, "sed: couldn't open temporary file: Read-only file system")
        with pytest.raises(RecoveryError, match="Read-only file system") as raised:
            self._adapted(tmp_path, machine)
        assert raised.value.finding.code == "boot-not-adapted"


class TestConfig:
    """What config.txt asks for."""

    @pytest.mark.parametrize(
        ("text", "board", "kernels"),
        [
            ("", "", ["kernel8.img", "kernel_2712.img"]),
            ("", "pi4", ["kernel8.img"]),
            ("", "pi5", ["kernel_2712.img", "kernel8.img"]),
            ("arm_64bit=0", "pi3", ["kernel7l.img", "kernel7.img", "kernel.img"]),
            ("kernel=vmlinuz # mine", "pi5", ["vmlinuz"]),
            ("os_prefix=old/\nkernel=vmlinuz", "", ["old/vmlinuz"]),
            ("[pi5]\nkernel=five.img", "pi5", ["five.img"]),
            ("[pi5]\nkernel=five.img", "pi4", ["kernel8.img"]),
            ("[pi5]\nkernel=five.img\n[all]\nkernel=any.img", "pi4", ["any.img"]),
            ("[none]\nkernel=never.img", "pi4", ["kernel8.img"]),
            ("[gpio4=1]\nkernel=pressed.img", "pi4", ["kernel8.img"]),
        ],
    )
    def test_the_kernel_is_the_one_that_the_firmware_takes(self, text: str, board: str, kernels: list[str]) -> None:
        assert list(bootfiles.config(text, board).kernels) == kernels

    @pytest.mark.parametrize(
        ("model", "board"),
        [
            ("Raspberry Pi 5 Model B Rev 1.0", "pi5"),
            ("Raspberry Pi Compute Module 4 Rev 1.1", "pi4"),
            ("Raspberry Pi 400 Rev 1.0", "pi4"),
            ("Raspberry Pi 3 Model B Plus Rev 1.3", "pi3"),
            ("Raspberry Pi Zero 2 W Rev 1.0", "pi-zero-2"),
            ("linux,dummy-virt", ""),
        ],
    )
    def test_a_board_is_known_by_its_own_words(self, model: str, board: str) -> None:
        assert bootfiles.board_of(model) == board


class TestVersions:
    """Reading the version out of a kernel, with the very script that runs on the machine."""

    SAYS = b"\0junk\0Linux version 6.12.47+rpt-rpi-v8 (builder@host) (gcc 14) #1 SMP\n\0%s version %s (x)\0"

    def _read(self, folder: Path, content: bytes) -> str:
        file = folder / "kernel8.img"
        file.write_bytes(content)
        script = f"{bootlook._VERSIONS}version {file}"
        return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout.strip()

    def test_of_one_that_lies_there_as_it_is(self, tmp_path: Path) -> None:
        assert self._read(tmp_path, b"MZ\0\0" + bytes(60) + self.SAYS) == "6.12.47+rpt-rpi-v8"

    def test_of_one_that_is_packed(self, tmp_path: Path) -> None:
        assert self._read(tmp_path, gzip.compress(bytes(5000) + self.SAYS)) == "6.12.47+rpt-rpi-v8"

    def test_of_one_that_unpacks_itself(self, tmp_path: Path) -> None:
        packed = gzip.compress(self.SAYS)
        head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed))
        assert self._read(tmp_path, head.ljust(64, b"\0") + packed + bytes(100)) == "6.12.47+rpt-rpi-v8"

    def test_of_one_for_a_pc(self, tmp_path: Path) -> None:
        setup = bytearray(2048)
        setup[514:518] = b"HdrS"
        setup[526:528] = struct.pack("<H", 1024)
        setup[1536:1575] = b"6.12.48+deb13-cloud-amd64 (debian) #1\0"[:39]
        assert self._read(tmp_path, bytes(setup)) == "6.12.48+deb13-cloud-amd64"

    @pytest.mark.parametrize("content", [b"", b"nothing of the kind", gzip.compress(b"nothing", mtime=0)[:-12]])
    def test_of_nothing_that_is_a_kernel(self, tmp_path: Path, content: bytes) -> None:
        assert self._read(tmp_path, content) == ""
