"""A virtual machine before there is one, and a QEMU that does not start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from muster.errors import EngineError, HarnessError, Stopped
from muster.machines import container, engine
from muster.machines.container import KEPT
from muster.machines.qemu import booting, places
from muster.machines.qemu.process import CONSOLE, LOG, Qemu
from muster.machines.qemu.saved import Saved
from muster.machines.vm import Vm
from muster.machines.wanted import Wanted
from muster.plan.machine import MachineSpec

SOON = timedelta(seconds=10)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def vm() -> Iterator[Vm]:
    labels = container.owner_labels("run", "worker")
    made = Vm(Wanted(MachineSpec(), "my-pi", "muster-my", labels))
    yield made
    made.destroy()


class TestBefore:
    def test_no_qemu_is_told_before_anything_is_made(self, vm: Vm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(engine, "connect", lambda: pytest.fail("the engine was asked"))
        with pytest.raises(EngineError, match=r"qemu-system-aarch64 is missing.*`images/host\.sh vm` installs it"):
            vm.prepare(print)

    def test_a_machine_that_was_not_prepared_says_so(self, vm: Vm) -> None:
        with pytest.raises(HarnessError, match="not prepared"):
            vm.provision()
        with pytest.raises(HarnessError, match="not prepared"):
            _ = vm.prepared

    def test_a_machine_that_was_not_provisioned_says_so(self, vm: Vm) -> None:
        with pytest.raises(HarnessError, match="not provisioned"):
            vm.run("true", timeout=SOON)
        with pytest.raises(HarnessError, match="not provisioned"):
            vm.reboot()

    def test_a_destroyed_machine_is_not_provisioned(self, vm: Vm) -> None:
        vm.destroy()
        with pytest.raises(Stopped):
            vm.provision()
        with pytest.raises(Stopped):
            vm.run("true", timeout=SOON)

    def test_it_is_described_before_there_is_one(self, vm: Vm) -> None:
        assert vm.description == "vm (trixie, arm64)"
        assert vm.boots
        assert vm.relays == {}
        assert vm.by_hand == {}

    def test_no_key_is_shown_with_a_machine(self, vm: Vm) -> None:
        assert vm._ours.private not in repr(vm)
        assert vm._door.private not in repr(vm)

    def test_a_machine_that_is_kept_says_how_to_enter_and_to_remove_it(self) -> None:
        vm = Vm(Wanted(MachineSpec(), "my-pi", "muster-my", {"muster.run": "r", KEPT: "1"}))
        vm._folder = places.folder("running")
        vm._port = 2222
        assert vm.by_hand["enter"].startswith("ssh -p 2222 -i ")
        assert str(vm._folder) in vm.by_hand["remove"]


class TestProcess:
    def test_a_qemu_that_does_not_start_is_quoted(self, tmp_path: Path) -> None:
        with pytest.raises(HarnessError, match=r"^my-pi did not start: qemu: no such board$"):
            Qemu("my-pi", tmp_path, ["sh", "-c", "echo qemu: no such board >&2; exit 1", "sh"])
        assert {(tmp_path / name).stat().st_mode & 0o777 for name in (CONSOLE, LOG)} == {0o600}

    def test_a_slow_machine_gets_longer_to_boot(self) -> None:
        assert booting.limit(10) > booting.limit(1) > timedelta(minutes=1)

    def test_a_saved_machine_is_forgotten_whole(self) -> None:
        saved = Saved(places.folder("saved") / "key")
        saved.folder.mkdir()
        saved.state.touch()
        saved.forget()
        assert not saved.folder.exists()
        saved.forget()
