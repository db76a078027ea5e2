"""Disks of virtual machines, without an engine: what is cached and what is not, the owner's image, the harness's door."""

from __future__ import annotations

import hashlib
import json
import lzma
import tomllib
from pathlib import Path
from typing import NoReturn

import pytest

from muster.errors import EngineError, HarnessError, PlanError
from muster.machines import door, images
from muster.machines.qemu import disk, image, kernel, places
from muster.machines.recipes import VM
from muster.plan import Plan, build
from muster.plan.machine import MachineSpec
from muster.plan_docs import MINIMAL

DIGITS = "ab" * 32


def no_engine() -> NoReturn:
    raise EngineError("the engine was asked")


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_kernel() -> kernel.Kernel:
    """A kernel as if it had been made."""
    with pytest.raises(EngineError):
        kernel.ours("trixie", "arm64", silent, no_engine)
    folder = next(path.with_suffix("") for path in places.folder("kernels").glob("*.lock"))
    folder.mkdir()
    for name in ("kernel", "initrd", "modules.tar"):
        (folder / name).write_bytes(b"")
    (folder / "version").write_text("6.12.0-arm64\n")
    return kernel.Kernel(folder, folder.name)


def disk_as_made(name: str) -> Path:
    folder = places.folder("disks") / name
    folder.mkdir()
    (folder / "disk.raw").write_bytes(b"0123")
    said = {"partuuid": "11b69311", "seconds": 59.0, "made_at": "2026-11-23T13:00:00+00:00", "emulated": True}
    (folder / "disk.json").write_text(json.dumps(said))
    return folder


def locked_name() -> str:
    """What the disk that was just asked for is called."""
    return max(places.folder("disks").glob("*.lock"), key=lambda path: path.stat().st_mtime_ns).stem


class TestCache:
    def test_what_is_there_is_taken_without_an_engine(self, made_kernel: kernel.Kernel) -> None:
        with pytest.raises(EngineError, match="was asked"):
            disk.clean(MachineSpec(), "arm64", silent, no_engine)
        folder = disk_as_made(locked_name())
        found = disk.clean(MachineSpec(), "arm64", silent, no_engine)
        assert (found.path, found.size, found.partuuid) == (folder / "disk.raw", 4, "11b69311")
        assert (found.kernel, found.kernel_version) == (made_kernel.kernel, "6.12.0-arm64")

    @pytest.mark.usefixtures("made_kernel")
    def test_other_packages_are_another_disk(self) -> None:
        for packages in ((), ("mosquitto",)):
            with pytest.raises(EngineError, match="was asked"):
                disk.clean(MachineSpec(packages=packages), "arm64", silent, no_engine)
        assert len(list(places.folder("disks").glob("*.lock"))) == 2

    @pytest.mark.usefixtures("made_kernel")
    def test_a_disk_that_was_half_made_is_no_disk(self) -> None:
        with pytest.raises(EngineError, match="was asked"):
            disk.clean(MachineSpec(), "arm64", silent, no_engine)
        (disk_as_made(locked_name()) / "disk.json").unlink()
        with pytest.raises(EngineError, match="was asked"):
            disk.clean(MachineSpec(), "arm64", silent, no_engine)

    def test_the_cache_is_nobody_elses(self, cache: Path) -> None:
        places.folder("disks")
        assert [path.stat().st_mode & 0o777 for path in (cache / "muster" / "vm", cache / "muster" / "vm" / "disks")] == [
            0o700
        ] * 2


class TestTags:
    def test_a_container_is_called_what_it_was_before_there_were_disks(self) -> None:
        assert images.clean_tag("trixie").startswith("muster/pios:trixie-")
        assert images.tag("trixie", []).startswith(f"{images.clean_tag('trixie')}-")

    def test_each_architecture_and_release_has_a_name_of_its_own(self) -> None:
        names = {images.clean_tag(release, of) for release in ("trixie", "bookworm") for of in ("", "arm64", "amd64")}
        assert len(names) == 6

    def test_repositories_can_be_mounted_on_a_disk(self) -> None:
        assert "sshfs" in (VM / "packages").read_text().split()


class TestOwnImage:
    def source(self, path: Path, content: bytes, digest: str = "") -> image.Source:
        path.write_bytes(content)
        return image.Source(path, digest or hashlib.sha256(content).hexdigest())

    def test_the_one_that_the_plan_means_passes(self, tmp_path: Path) -> None:
        said: list[str] = []
        image.check(self.source(tmp_path / "os.img", b"image"), said.append)
        assert said == ["checking os.img"]

    def test_another_is_refused_in_one_sentence_with_both_digests(self, tmp_path: Path) -> None:
        found = hashlib.sha256(b"image").hexdigest()
        with pytest.raises(HarnessError, match=f"os.img has the SHA-256 {found}, and the plan wants {DIGITS}: fetch"):
            image.check(self.source(tmp_path / "os.img", b"image", DIGITS), silent)

    def test_one_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match=r"gone\.img cannot be read \(No such file or directory\)"):
            image.check(image.Source(tmp_path / "gone.img", DIGITS), silent)

    @pytest.mark.parametrize("name", ["os.img", "os.img.xz"])
    def test_it_is_unpacked_byte_for_byte_and_holes_stay_holes(self, tmp_path: Path, name: str) -> None:
        content = b"begin" + bytes(20 << 20) + b"end" + bytes(9 << 20)
        packed = lzma.compress(content, preset=0) if name.endswith("xz") else content
        target = tmp_path / "raw"
        image._unpack(self.source(tmp_path / name, packed), target, silent)
        assert target.read_bytes() == content
        assert target.stat().st_blocks * 512 < len(content)
        assert target.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("broken", [b"no xz at all", lzma.compress(bytes(4096))[:-20]])
    def test_one_that_is_cut_off_or_no_xz_is_named(self, tmp_path: Path, broken: bytes) -> None:
        with pytest.raises(HarnessError, match=r"os\.img\.xz cannot be unpacked: "):
            image._unpack(self.source(tmp_path / "os.img.xz", broken), tmp_path / "raw", silent)

    def test_too_little_room_is_said_before_it_is_filled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5 << 20})())
        with pytest.raises(HarnessError, match=r"5 MB free, and reading os\.img needs about 20 MB"):
            image._unpack(self.source(tmp_path / "os.img", bytes(10 << 20)), tmp_path / "raw", silent)
        assert not (tmp_path / "raw").exists()

    def planned(self, folder: Path, digest: str) -> Plan:
        said = tomllib.loads(MINIMAL)
        said.setdefault("machine", {})["image"] = {"path": "os.img.xz", "sha256": digest}
        return build(said, folder / "plan.toml")

    def test_a_plan_names_it_relative_to_itself(self, tmp_path: Path) -> None:
        own = self.planned(tmp_path, DIGITS.upper()).machine.image
        assert own is not None
        assert (own.path, own.sha256) == (tmp_path / "os.img.xz", DIGITS)

    def test_a_digest_that_is_none_is_a_mistake_of_the_plan(self, tmp_path: Path) -> None:
        with pytest.raises(PlanError, match="is no SHA-256; it has 64 hexadecimal digits"):
            self.planned(tmp_path, "abc")


class TestDoor:
    def test_only_root_comes_in_and_only_with_its_key(self) -> None:
        said = door.sshd_config("/somewhere").splitlines()
        assert {"AllowUsers root", "PasswordAuthentication no", "UsePAM no", "GatewayPorts no"} <= set(said)
        assert {"HostKey /somewhere/host_key", "AuthorizedKeysFile /somewhere/authorized_keys"} <= set(said)

    def test_an_older_sshd_is_told_no_word_that_it_does_not_know(self) -> None:
        assert "PerSourcePenalties no" in door.sshd_config("/x")
        assert "PerSourcePenalties" not in door.sshd_config("/x", penalizes=False)

    def test_it_listens_where_the_restored_network_and_firewall_do_not_reach(self) -> None:
        assert f"NetworkNamespacePath={door.NAMESPACE}" in door.socket()
        assert "NetworkNamespacePath" not in door.socket(namespace="")

    def test_it_opens_on_a_pi_whose_disks_cannot_be_mounted(self) -> None:
        assert "DefaultDependencies=no" in door.socket()
        assert "DefaultDependencies=no" in door.connection()

    def test_a_connection_that_fails_does_not_make_the_machine_look_degraded(self) -> None:
        assert "ExecStart=-/usr/sbin/sshd -i" in door.connection()

    def test_it_opens_again_after_ssh_was_stopped(self) -> None:
        assert all("ExecStartPre=/bin/mkdir -p -m 0755 /run/sshd" in unit for unit in (door.connection(), door.service("/x")))


def test_the_first_program_and_the_door_agree() -> None:
    """The shell program repeats what door.py says: both must name the same places."""
    text = (VM / "init").read_text()
    assert f"door={door.FOLDER}\n" in text
    assert f"namespace=$door/{Path(door.NAMESPACE).name}\n" in text
    assert f"ln -s ../{door.SOCKET} " in text
