"""What is true of virtual machines alone: identities, booting, a saved state, and that nothing of them is left."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from muster.errors import HarnessError, NotBooted, Stopped
from muster.machines import container, engine, images
from muster.machines.machine import Result
from muster.machines.qemu import places, running, saved
from muster.machines.qemu.command import Body
from muster.machines.relay import Endpoint
from muster.machines.vm import Vm
from muster.machines.wanted import Wanted
from muster.plan.machine import MachineSpec
from muster.session import new_run

ARCHITECTURE = os.environ.get("MUSTER_CONTRACT_ARCH", "arm64")
LONG = timedelta(seconds=120)
IDENTITY = "cat /etc/machine-id /etc/ssh/*.pub"

OWNER = """
import sys
from tests.contract.test_vm import fresh, run
vm = fresh("killed")
vm.prepare(lambda said: None)
vm.provision()
run(vm, "touch /began")
print(vm._port, flush=True)
sys.stdin.read()
"""


def fresh(what: str, body: Body | None = None) -> Vm:
    name = new_run()
    wanted = Wanted(MachineSpec(), f"{what}-pi", f"muster-{name}-{what}", container.owner_labels(name, what))
    return Vm(wanted, ARCHITECTURE, *([body] if body else []))  # type: ignore[arg-type]


def run(vm: Vm, command: str, **arguments: object) -> Result:
    return vm.run(command, **({"timeout": LONG} | arguments))  # type: ignore[arg-type]


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def processes(name: str) -> list[str]:
    """The processes of this host whose command line has a machine's name."""
    found = subprocess.run(["pgrep", "-f", "--", f"running/{name}"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def open_port(port: int) -> bool:
    with socket.socket() as trying:
        trying.settimeout(5)
        return trying.connect_ex(("127.0.0.1", port)) == 0


def folders(name: str) -> list[Path]:
    return list((places.cache() / "running").glob(f"{name}@*"))


@pytest.fixture(scope="module")
def vm() -> Iterator[Vm]:
    """One that every test leaves in working order."""
    made = fresh("shared")
    made.prepare(print)
    try:
        made.provision()
        yield made
    finally:
        made.destroy()


@dataclasses.dataclass(frozen=True, slots=True)
class Rebooted:
    """A machine that was booted again: who it was before, and how long it took to wake it and to boot it, in seconds."""

    vm: Vm
    port: int
    identity: str
    woke: float
    booted: float


@pytest.fixture(scope="module")
def rebooted() -> Iterator[Rebooted]:
    made = fresh("again")
    made.prepare(print)
    try:
        begun = time.monotonic()
        made.provision()
        identity = run(made, IDENTITY).out
        woke = time.monotonic() - begun
        run(made, "touch /kept /run/gone; sync")
        port, begun = made._port, time.monotonic()
        made.reboot()
        yield Rebooted(made, port, identity, woke, time.monotonic() - begun)
    finally:
        made.destroy()


@pytest.fixture
def other() -> Iterator[Vm]:
    """One that a test may break."""
    made = fresh("other")
    made.prepare(print)
    try:
        made.provision()
        yield made
    finally:
        made.destroy()


class TestWaking:
    def test_two_machines_of_one_saved_state_are_not_the_same(self, vm: Vm, other: Vm) -> None:
        asked = "cat /etc/machine-id; cat /etc/ssh/ssh_host_*_key.pub; head -c 16 /dev/urandom | od -An -tx1"
        one, two = (run(made, asked).out.splitlines() for made in (vm, other))
        assert len(one) == len(two) == 3
        assert not set(one) & set(two)
        assert [run(made, "hostname; cat /etc/hostname").out for made in (vm, other)] == ["shared-pi\n" * 2, "other-pi\n" * 2]

    def test_what_a_machine_shows_on_its_own_port_is_its_own_key(self, vm: Vm) -> None:
        shown = run(vm, "ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -v '^#' | cut -d' ' -f2-3").out
        assert shown.strip() == " ".join(run(vm, "cat /etc/ssh/ssh_host_ed25519_key.pub").out.split()[:2])

    def test_a_machine_that_slept_knows_the_time(self, other: Vm) -> None:
        before = time.time()
        told = float(run(other, "date +%s.%N").out)
        assert before - 1 < told < time.time() + 1

    def test_a_machine_that_woke_is_whole(self, vm: Vm) -> None:
        assert run(vm, "systemctl is-system-running --wait").out == "running\n"
        assert "Journal" in run(vm, "journalctl --unit systemd-journald --no-pager --lines 20").out

    def test_a_saved_state_that_does_not_load_is_made_anew_and_that_is_said(self, vm: Vm) -> None:
        broken = fresh("broken", Body(drive="throttling.iops-total=1000000"))  # a kind of its own, so that no other test loads it
        said: list[str] = []
        assert vm._saved is not None
        copied = saved.Saved(places.folder("saved") / saved.key(vm._by, broken.body, vm._made))
        shutil.rmtree(copied.folder, ignore_errors=True)
        shutil.copytree(vm._saved.folder, copied.folder, ignore=shutil.ignore_patterns("memory"))
        copied.memory.write_bytes(b"")
        os.truncate(copied.memory, vm._saved.memory.stat().st_size)
        copied.state.write_bytes(copied.state.read_bytes()[:1000])
        broken.prepare(said.append)
        assert said == []
        try:
            broken.provision()
            assert any("did not come up and is made anew" in words for words in said)
            assert run(broken, "hostname").out == "broken-pi\n"
        finally:
            broken.destroy()
            copied.forget()


class TestBooting:
    def test_a_machine_that_boots_again_keeps_its_disk_and_its_identity(self, rebooted: Rebooted) -> None:
        assert run(rebooted.vm, IDENTITY).out == rebooted.identity
        assert run(rebooted.vm, "ls -d /kept /run/gone 2>/dev/null").out == "/kept\n"
        assert rebooted.vm._port == rebooted.port

    def test_waking_takes_less_than_half_of_booting(self, rebooted: Rebooted) -> None:
        assert rebooted.woke < rebooted.booted / 2

    def test_each_boot_has_a_console_of_its_own(self, rebooted: Rebooted) -> None:
        assert rebooted.vm._folder is not None
        assert {path.name for path in rebooted.vm._folder.glob("console*")} == {"console.log", "console.log.1"}

    def test_a_kernel_line_that_names_the_old_card_does_not_boot(self, other: Vm) -> None:
        run(other, r"sed -i 's/root=PARTUUID=[^ ]*/root=PARTUUID=0badc0de-02/' /boot/firmware/cmdline.txt")
        with pytest.raises(NotBooted, match=r"did not boot: it shut down") as caught:
            other.reboot()
        assert "no partition has PARTUUID=0badc0de-02" in caught.value.evidence
        with pytest.raises(HarnessError, match=re.escape(other.wanted.name)):
            run(other, "true")

    def test_a_boot_partition_without_a_kernel_does_not_boot(self, other: Vm) -> None:
        run(other, "rm /boot/firmware/kernel8.img")
        with pytest.raises(NotBooted, match=r"there is no kernel8\.img on its boot partition"):
            other.reboot()


class TestNoWayOut:
    def test_neither_this_host_nor_any_name_is_reached(self, vm: Vm) -> None:
        with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # all that it could be reached by
            port = server.getsockname()[1]
            assert open_port(port)
            for address in ("10.0.2.2", "10.0.2.3", "192.0.2.1"):
                assert not run(vm, f"timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null").ok
        assert not run(vm, "timeout 10 getent hosts anything.invalid").ok

    def test_a_stand_in_for_another_host_is_reached_and_leaves_with_the_machine(self) -> None:
        client = engine.connect()
        answers = "while :; do echo hello | nc -l -N -p 9000; done"

        def on_network(network: str, labels: Mapping[str, str]) -> Mapping[str, str]:
            made = client.containers.run(
                images.clean(client).tag, ["sh", "-c", answers], network=network, labels=dict(labels), detach=True
            )
            made.reload()
            return {"offsite": made.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]}

        asked = dataclasses.replace(fresh("led").wanted, outside=[Endpoint("offsite", 9000)], on_network=on_network)
        led = Vm(asked, ARCHITECTURE)  # type: ignore[arg-type]
        led.prepare(print)
        try:
            led.provision()
            port = led.relays["offsite:9000"].rpartition(":")[2]
            assert run(led, f"nc -d offsite {port}").out == "hello\n"
        finally:
            led.destroy()
        assert container.remove_labelled(client, asked.labels) == []


class TestTheEnd:
    def test_nothing_is_left_of_a_machine_that_was_destroyed(self) -> None:
        made = fresh("ended")
        made.prepare(print)
        made.provision()
        name, port = made.wanted.name, made._port
        assert processes(name)
        assert open_port(port)
        made.destroy()
        made.destroy()
        assert (processes(name), folders(name), open_port(port)) == ([], [], False)

    def test_nothing_is_left_of_a_machine_whose_owner_was_killed(self) -> None:
        root = Path(__file__).parents[2]
        environment = os.environ | {"PYTHONPATH": f"{root / 'fixtures'}:{root}"}
        command = [sys.executable, "-c", OWNER]
        owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        mine = [path for path in (places.cache() / "running").iterdir() if f":{owner.pid}:" in path.name]
        assert len(mine) == 1
        name = mine[0].name.partition("@")[0]
        assert processes(name)
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
        assert soon(lambda: not processes(name))
        assert soon(lambda: not mine[0].exists())
        assert soon(lambda: not open_port(port))  # a process that dies loses its name before its sockets

    def test_a_machine_is_destroyed_while_commands_run(self, other: Vm) -> None:
        ends: list[BaseException | Result] = []

        def wait() -> None:
            try:
                ends.append(run(other, "touch /waiting; sleep 600"))
            except HarnessError as error:
                ends.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert soon(lambda: run(other, "test -e /waiting").ok)
        other.destroy()
        waiting.join(30)
        assert [type(end) for end in ends] == [Stopped]
        with pytest.raises(Stopped):
            run(other, "true")

    def test_a_machine_that_was_killed_is_named_with_its_last_words(self, other: Vm) -> None:
        assert other._qemu is not None
        other._qemu.kill()
        with pytest.raises(HarnessError, match=rf"{re.escape(other.wanted.name)} is gone while a command ran on it"):
            run(other, "sleep 600")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a disk that is small")
    def test_a_full_disk_of_this_host_is_our_fault_and_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = fresh("full")
        made.prepare(print)
        small = tmp_path / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(small)], check=True)
        try:
            folder = small / f"{made.wanted.name}@{engine.owner_label()}"
            folder.mkdir()
            monkeypatch.setattr(running, "make", lambda _: folder)
            made.provision()
            with pytest.raises(HarnessError, match="The disk of this host is full"):
                run(made, "head -c 64M /dev/urandom >/big; sync; sleep 600")
        finally:
            made.destroy()
            subprocess.run(["umount", str(small)], check=True)
