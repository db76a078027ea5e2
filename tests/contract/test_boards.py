"""Each limit of a board bites: the same work with it and without it, on the same host and in the same run."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from muster.machines import container, engine, speed
from muster.machines.boards import BOARDS, Board, Card
from muster.machines.container import Container
from muster.machines.machine import Result
from muster.machines.relay import Endpoint, Relays
from muster.session import new_run

SHARE = 0.5  # of one CPU
CARD = Card(read=6_000_000, write=6_000_000, reads=50, writes=50)
MINUTE = timedelta(seconds=60)


@pytest.fixture(scope="module")
def slow() -> Board:
    """A board that every host is much faster than."""
    one = speed.mips(engine.connect(), "trixie")
    return replace(BOARDS["pi-zero-2"], mips=round(SHARE * one), memory=256, card=CARD)


def provisioned(board: Board | None, name: str) -> Iterator[Container]:
    run = new_run()
    made = Container("trixie", (), "board-pi", f"muster-{run}-{name}", container.owner_labels(run, name), board=board)
    made.prepare(print)
    try:
        made.provision()
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def held(slow: Board) -> Iterator[Container]:
    yield from provisioned(slow, "held")


@pytest.fixture(scope="module")
def free() -> Iterator[Container]:
    yield from provisioned(None, "free")


def limited(machine: Container, what: str) -> None:
    """Leave out what this host cannot limit: the report of a drill says so, too."""
    if "not limited" in machine.limits[what]:
        pytest.skip(f"{what}: {machine.limits[what]}")


def run(machine: Container, command: str) -> Result:
    return machine.run(command, timeout=MINUTE)


def cpus(machine: Container) -> float:
    """How many CPUs two busy processes got."""
    busy = "timeout 2 sha256sum /dev/zero"
    result = run(machine, f"{{ {busy} & {busy} & wait; }}; times")
    minutes, seconds = re.findall(r"(\d+)m([\d.]+)s", result.out)[2]  # the second line is the children's, user time first
    return (60 * int(minutes) + float(seconds)) / result.seconds


def rate(machine: Container, arguments: str) -> float:
    """Bytes a second of a dd(1) that goes around the host's memory."""
    result = run(machine, f"dd {arguments} 2>&1")
    found = re.search(r"(\d+) bytes .*copied, ([\d.e-]+) s", result.out)
    assert found, result.out
    return int(found[1]) / float(found[2])


def halts(machine: Container) -> int:
    """How often the kernel has made it wait for having had its share: what other work takes of the host is not in it."""
    return int(machine._container.stats(stream=False)["cpu_stats"]["throttling_data"]["throttled_periods"])


def test_the_cpu_does_what_the_board_does(held: Container, free: Container) -> None:
    limited(held, "CPU")
    slower, faster = cpus(held), cpus(free)
    assert slower < 1.3 * SHARE
    assert halts(free) == 0
    if faster < 1.5 * SHARE:
        pytest.skip(f"this host is so busy that a machine without a limit gets {faster:.2f} CPUs, too")
    assert halts(held) > 0


def test_programs_that_need_more_memory_than_the_board_has_are_killed(held: Container, free: Container) -> None:
    limited(held, "memory")
    command = "head -c 400M /dev/zero | tail | wc -c"  # one endless line, which tail has to keep
    assert run(free, command).out.strip() == str(400 << 20)
    assert run(held, command).out.strip() != str(400 << 20)


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ("if=/dev/zero of=/var/tmp/in-order bs=1M count=12 oflag=direct", CARD.write),
        ("if=/dev/zero of=/var/tmp/in-order bs=1M count=12 conv=fsync", CARD.write),
        ("if=/usr/lib/locale/C.utf8/LC_CTYPE of=/var/tmp/small bs=4k count=80 oflag=direct", 4096 * CARD.writes),
    ],
    ids=["written", "synced", "written in small pieces"],
)
def test_writing_takes_as_long_as_on_the_card(held: Container, free: Container, arguments: str, limit: int) -> None:
    limited(held, "SD card")
    slower, faster = rate(held, arguments), rate(free, arguments)
    assert slower < 1.5 * limit
    assert faster > 2 * slower


@pytest.mark.parametrize(("size", "limit"), [("bs=1M count=12", CARD.read), ("bs=4k count=80", 4096 * CARD.reads)])
def test_reading_takes_as_long_as_from_the_card(held: Container, free: Container, size: str, limit: int) -> None:
    limited(held, "SD card")
    for machine in (held, free):
        assert run(machine, "test -s /var/tmp/read || dd if=/dev/zero of=/var/tmp/read bs=1M count=12 conv=fsync").ok
    slower, faster = (rate(each, f"if=/var/tmp/read of=/dev/null {size} iflag=direct") for each in (held, free))
    assert slower < 1.5 * limit
    assert faster > 2 * slower


def test_the_report_says_of_each_limit_how_it_applies(held: Container, free: Container) -> None:
    assert all("held to" in held.limits[what] or "not limited: " in held.limits[what] for what in ("CPU", "memory", "SD card"))
    assert "nothing to limit" in held.limits["network"]
    assert free.limits == {}


class Source(socketserver.BaseRequestHandler):
    """Sends a megabyte to whoever connects."""

    def handle(self) -> None:
        self.request.sendall(bytes(1 << 20))


@pytest.fixture
def source() -> Iterator[Endpoint]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Source) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Endpoint("127.0.0.1", server.server_address[1])
        server.shutdown()


def fetched(source: Endpoint, rate: float | None) -> float:
    """Seconds for two connections to fetch a megabyte each through relays of that rate."""
    relays = Relays([source], rate)
    try:
        connections = [_connected(relays.folder / "0.sock") for _ in range(2)]
        began = time.monotonic()
        threads = [threading.Thread(target=_drain, args=(each,)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began
    finally:
        relays.close()


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    return connection


def _drain(connection: socket.socket) -> None:
    with connection:
        while connection.recv(1 << 16):
            pass


def test_all_that_is_reached_on_other_hosts_shares_the_boards_network(source: Endpoint) -> None:
    slower, faster = fetched(source, 1_000_000), fetched(source, None)
    assert slower > 3 * faster
