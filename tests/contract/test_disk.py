"""Disks of virtual machines as they are really made: what a Pi's disk promises, and one made of an owner's own image."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from muster.errors import EngineError, HarnessError
from muster.machines import container, engine, foreign, images, workshop
from muster.machines.qemu import disk
from muster.machines.vm import Vm
from muster.machines.wanted import Wanted
from muster.plan.machine import MachineSpec, OwnImage
from muster.session import new_run

ARCHITECTURE = "arm64"
SMALL = 1800  # megabytes
TEN = timedelta(seconds=10)
# Its name, the disk that it runs from, what is mounted beside that, and a program of the plan's packages.
ASKED = (
    "hostname; blkid -c /dev/null -s PARTUUID -o value $(findmnt -nro SOURCE /) | cut -d - -f 1; "
    "findmnt -nro TARGET /boot/firmware; tree --version | cut -c 6-7"
)
Look = Callable[[Path, str], str]


@pytest.fixture(scope="module")
def client() -> docker.DockerClient:
    return engine.connect()


@pytest.fixture(scope="module")
def clean() -> disk.Disk:
    """The disk that the virtual machine of the contract starts from, too."""
    return disk.clean(MachineSpec(), ARCHITECTURE)


@pytest.fixture(scope="module")
def look(client: docker.DockerClient) -> Look:
    """What a program says of a folder's disk, which it finds at $DISK, and whose root file system at $ROOT."""
    image = images.workshop(client)

    def ask(folder: Path, command: str) -> str:
        begin = f"DISK={workshop.AT}/disk.raw; ROOT=$DISK?offset=$((520 << 20)); "
        return workshop.run(client, image, ["sh", "-ec", begin + command], folder)

    return ask


class TestLayout:
    def test_it_has_the_partitions_of_raspberry_pi_os(self, clean: disk.Disk, look: Look) -> None:
        said = look(clean.path.parent, "sfdisk --dump $DISK")
        assert f"label-id: 0x{clean.partuuid}" in said
        assert [line.rpartition("type=")[2] for line in said.splitlines() if "start=" in line] == ["c", "83"]

    def test_fstab_and_kernel_line_name_this_disk_and_no_other(self, clean: disk.Disk, look: Look) -> None:
        fstab = look(clean.path.parent, 'debugfs -R "cat /etc/fstab" $ROOT 2>/dev/null')
        assert f"PARTUUID={clean.partuuid}-01  /boot/firmware" in fstab
        line = look(clean.path.parent, "mtype -i $DISK@@8M ::cmdline.txt")
        assert f" root=PARTUUID={clean.partuuid}-02 " in line
        assert len(line.splitlines()) == 1

    def test_the_boot_partition_has_the_kernel_that_the_root_has_modules_for(self, clean: disk.Disk, look: Look) -> None:
        names = look(clean.path.parent, "mdir -b -i $DISK@@8M ::").split()
        assert {"::/kernel8.img", "::/initramfs8", "::/cmdline.txt", "::/config.txt"} <= set(names)
        modules = look(clean.path.parent, 'debugfs -R "ls -p /usr/lib/modules" $ROOT 2>/dev/null')
        assert f"/{clean.kernel_version}/" in modules

    def test_its_file_systems_are_whole(self, clean: disk.Disk, look: Look) -> None:
        said = look(clean.path.parent, "e2fsck -fn $ROOT 2>&1; mdir -i $DISK@@8M :: >/dev/null")
        assert "rootfs:" in said

    def test_no_container_left_its_mark_and_no_machine_its_identity(self, clean: disk.Disk, look: Look) -> None:
        root, keys, identity = (
            look(clean.path.parent, f'debugfs -R "{command}" $ROOT 2>/dev/null')
            for command in ("ls -p /", "ls -p /etc/ssh", "cat /etc/machine-id")
        )
        assert "dockerenv" not in root
        assert "ssh_host" not in keys
        assert identity == "uninitialized\n"

    def test_nobody_else_reads_it_and_empty_space_takes_no_room(self, clean: disk.Disk) -> None:
        state = clean.path.stat()
        assert (state.st_mode & 0o777, clean.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert state.st_uid == os.getuid()
        assert state.st_blocks * 512 < clean.size / 4

    def test_it_is_made_once(self, clean: disk.Disk) -> None:
        def refused() -> docker.DockerClient:
            raise EngineError("the engine was asked")

        assert disk.clean(MachineSpec(), ARCHITECTURE, connect=refused) == clean


@pytest.fixture(scope="module")
def download(clean: disk.Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnImage]:
    """An image like those that are published, with a release's first boot still to come."""
    path = tmp_path_factory.mktemp("download") / "raspios.img"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk, "MEGABYTES", SMALL)
        small = disk.clean(MachineSpec(), clean.architecture)
    shutil.copyfile(small.path, path)
    packed = path.with_suffix(".img.xz")
    subprocess.run(["xz", "-0", "-T", "0", path], check=True)
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    yield OwnImage(path=packed, sha256=digest)
    shutil.rmtree(small.path.parent)


@pytest.fixture(scope="module")
def own(download: OwnImage, client: docker.DockerClient) -> Iterator[disk.Disk]:
    made = disk.clean(MachineSpec(image=download, packages=("tree",)), ARCHITECTURE)
    yield made
    shutil.rmtree(made.path.parent)
    for image in client.images.list():
        for tag in image.tags:
            if f":{download.sha256[:12]}" in tag:
                client.images.remove(tag)


class TestOwnImage:
    def test_its_disk_keeps_the_id_that_its_own_files_name(self, own: disk.Disk, look: Look) -> None:
        fstab = look(own.path.parent, 'debugfs -R "cat /etc/fstab" $ROOT 2>/dev/null')
        line = look(own.path.parent, "mtype -i $DISK@@8M ::cmdline.txt")
        table = look(own.path.parent, "sfdisk --dump $DISK")
        assert f"PARTUUID={own.partuuid}-01" in fstab
        assert f"root=PARTUUID={own.partuuid}-02" in line
        assert f"0x{own.partuuid}" in table

    def test_the_plans_packages_are_on_it_and_their_time_is_known(self, own: disk.Disk, look: Look) -> None:
        assert "tree" in look(own.path.parent, 'debugfs -R "ls -p /usr/share/doc" $ROOT 2>/dev/null')
        assert own.seconds > 0

    def test_its_first_boot_finds_a_user_and_ssh(self, own: disk.Disk, look: Look) -> None:
        assert look(own.path.parent, "mtype -i $DISK@@8M ::userconf.txt").startswith("pi:$6$")
        assert "::/ssh" in look(own.path.parent, "mdir -b -i $DISK@@8M ::").split()

    def test_a_drill_boots_it_twice(self, own: disk.Disk, download: OwnImage) -> None:
        run = new_run()
        spec = MachineSpec(image=download, packages=("tree",))
        vm = Vm(Wanted(spec, "own-pi", f"muster-{run}-own", container.owner_labels(run, "own")), ARCHITECTURE)
        vm.prepare(print)
        assert vm._saved is not None
        try:
            vm.provision()
            for _ in range(2):
                assert vm.run(ASKED, timeout=TEN * vm.pace).out.split() == ["own-pi", own.partuuid, "/boot/firmware", "v2"]
                vm.reboot()
        finally:
            vm.destroy()
            vm._saved.forget()

    def test_another_file_under_its_name_is_refused(self, download: OwnImage, tmp_path: Path) -> None:
        other = tmp_path / "raspios.img.xz"
        other.write_bytes(b"other")
        with pytest.raises(HarnessError, match=f"and the plan wants {download.sha256}"):
            disk.clean(MachineSpec(image=OwnImage(path=other, sha256=download.sha256)), ARCHITECTURE)


class TestEmulation:
    def test_a_killed_process_leaves_no_emulation_behind(self, client: docker.DockerClient) -> None:
        other = "arm64" if client.version()["Arch"] == "amd64" else "amd64"
        program = (
            "import os, signal\n"
            "from muster.machines import engine, foreign, images\n"
            "client = engine.connect()\n"
            f"with foreign.emulated(client, images.workshop(client), {other!r}):\n"
            "    print(next(iter(client.containers.list(filters={'label': 'muster.owner=' + engine.owner_label()}))).id)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(foreign.__file__).parents[2])}
        done = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True, env=environment, check=False)
        container = client.containers.get(done.stdout.strip())
        try:
            assert container.wait(timeout=20)["StatusCode"] == 0
        finally:
            with contextlib.suppress(docker.errors.DockerException):
                container.remove(force=True)

    def test_a_program_that_fails_says_why(self, client: docker.DockerClient, tmp_path: Path) -> None:
        with pytest.raises(workshop.WorkFailed, match="no such thing"):
            workshop.run(client, images.workshop(client), ["sh", "-c", "echo no such thing; exit 3"], tmp_path)
