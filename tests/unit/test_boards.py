"""Boards: their figures, what of them a host can be held to, and what is said of it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from muster.errors import EngineError, PlanError
from muster.machines import disk, held, speed, throttle
from muster.machines.boards import BOARDS, Board
from muster.machines.bucket import Bucket
from muster.machines.qemu.command import Body
from muster.plan import load
from muster.plan.machine import BoardName
from muster.report.closing import verdict
from muster.report.page import summary
from tests.data.told import Told, node
from tests.fake.machine import write_plan

ABLE = {
    "ID": "A",
    "NCPU": 8,
    "MemTotal": 16 << 30,
    "KernelVersion": "6.1",
    "CpuCfsQuota": True,
    "MemoryLimit": True,
    "SwapLimit": True,
    "CgroupVersion": "2",
    "DockerRootDir": "/",
    "Warnings": None,
}
RATED = """\
22:       4193   100   4074   4079  |      42739   100   3666   3649
----------------------------------  | ------------------------------
Avr:      3212    95   3501   3349  |      41201    98   3667   3591
Tot:              97   3584   3470
"""


class FakeEngine:
    """As much of docker-py as is asked what it can do."""

    def __init__(self, base_url: str = "http+docker://localhost", **about: object) -> None:
        self.api = type("Api", (), {"base_url": base_url})
        self._about = ABLE | about

    def info(self) -> dict[str, Any]:
        return self._about


HoldTo = Callable[..., held.Held]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> HoldTo:
    """Hold a container to a board on a host of which one CPU does `mips`, and whose disk is /dev/sda."""

    def hold(board: BoardName, mips: float = 4000.0, *, outside: bool = False, **about: object) -> held.Held:
        monkeypatch.setattr(speed, "mips", lambda *_: mips)
        monkeypatch.setattr(disk, "_whole", lambda *_: "/dev/sda")
        return held.to(BOARDS[board], FakeEngine(**about), "trixie", outside=outside)  # type: ignore[arg-type]

    return hold


class TestFigures:
    def test_every_board_that_a_plan_may_name_has_them(self) -> None:
        assert set(BOARDS) == set(get_args(BoardName))

    @pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
    def test_one_core_does_no_more_than_all_and_no_less_than_its_share(self, board: Board) -> None:
        assert board.mips / board.cores <= board.mips_alone <= board.mips

    @pytest.mark.parametrize("what", ["mips", "mips_alone", "memory", "network"])
    def test_newer_boards_are_no_slower(self, what: str) -> None:
        figures = [getattr(BOARDS[name], what) for name in ("pi-zero-2", "pi3", "pi4", "pi5")]
        assert figures == sorted(figures)

    def test_memory_is_told_as_it_is_sold(self) -> None:
        assert [BOARDS[name].ram for name in ("pi-zero-2", "pi3", "pi5")] == ["512 MB", "1 GB", "8 GB"]

    @pytest.mark.parametrize("name", BOARDS)
    def test_the_page_on_hardware_has_each_of_them(self, name: BoardName) -> None:
        page = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text()
        assert f"`{name}`" in page
        assert f"{BOARDS[name].mips:,} [" in page
        assert f"{BOARDS[name].card.reads:,} [" in page


def test_a_board_that_is_not_known_gets_the_nearest_name(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    path.write_text(path.read_text().replace("[objectives]", '[machine]\nhardware = "pi-4"\n\n[objectives]'))
    with pytest.raises(PlanError, match='"pi-4" is none of pi-zero-2, pi3, pi4, pi5; did you mean "pi4"'):
        load(path)


class TestHeld:
    def test_all_cores_together_get_their_share_of_the_host(self, hold: HoldTo) -> None:
        made = hold("pi4", mips=4000.0)
        assert made.arguments["nano_cpus"] == 1_440_000_000
        assert "held to 1.44 of this host's 8 CPUs" in made.limits["CPU"]

    def test_how_much_too_fast_one_thread_is_stands_beside_it(self, hold: HoldTo) -> None:
        assert "one thread alone runs up to 2.3 times as fast as there" in hold("pi4", mips=4000.0).limits["CPU"]
        assert "one thread" not in hold("pi5", mips=3305.0).limits["CPU"]

    def test_a_slower_host_is_not_limited_and_says_so(self, hold: HoldTo) -> None:
        made = hold("pi5", mips=1000.0, NCPU=2)
        assert "nano_cpus" not in made.arguments
        assert "not limited: this host is slower (2 x 1,000 MIPS to 11,830)" in made.limits["CPU"]

    def test_a_host_whose_speed_is_unknown_says_why(self, hold: HoldTo, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object) -> float:
            raise EngineError("7-Zip could not be installed")

        hold("pi4")
        monkeypatch.setattr(speed, "mips", fails)
        made = held.to(BOARDS["pi4"], FakeEngine(), "trixie", outside=False)  # type: ignore[arg-type]
        assert "nano_cpus" not in made.arguments
        assert "not limited: 7-Zip could not be installed" in made.limits["CPU"]

    def test_memory_has_no_swap_to_flee_to(self, hold: HoldTo) -> None:
        made = hold("pi-zero-2")
        assert made.arguments["mem_limit"] == made.arguments["memswap_limit"] == 512 << 20

    def test_swap_that_cannot_be_limited_is_told(self, hold: HoldTo) -> None:
        made = hold("pi-zero-2", SwapLimit=False)
        assert "memswap_limit" not in made.arguments
        assert "swap is not limited" in made.limits["memory"]

    def test_a_host_with_less_memory_than_the_board_says_so(self, hold: HoldTo) -> None:
        made = hold("pi5", MemTotal=4 << 30)
        assert "mem_limit" not in made.arguments
        assert "not limited: this host has 4.0 GB" in made.limits["memory"]

    def test_the_card_is_the_disk_of_the_engine(self, hold: HoldTo) -> None:
        made = hold("pi4")
        assert made.arguments["device_write_bps"] == [{"Path": "/dev/sda", "Rate": 36_300_000}]
        assert made.arguments["device_read_iops"] == [{"Path": "/dev/sda", "Rate": 3_200}]
        assert "for all writes" in made.limits["SD card"]

    def test_what_cgroup_v1_cannot_count_is_told(self, hold: HoldTo) -> None:
        assert "for writes that are synced" in hold("pi4", CgroupVersion="1").limits["SD card"]

    @pytest.mark.parametrize(
        ("about", "why"),
        [
            ({"base_url": "http://nas:2375"}, "the engine is on another host"),
            ({"DockerRootDir": "/nowhere/at/all"}, "the engine's files are not seen from here"),
            ({"Warnings": ["WARNING: No io.max (rbps) support"]}, "the engine cannot limit disks"),
        ],
        ids=["remote", "unseen", "unable"],
    )
    def test_a_disk_that_cannot_be_limited_says_why(self, hold: HoldTo, about: dict[str, Any], why: str) -> None:
        made = hold("pi4", **about)
        assert "device_read_bps" not in made.arguments
        assert f"not limited: {why}" in made.limits["SD card"]

    def test_an_engine_without_control_groups_limits_nothing_and_says_so(self, hold: HoldTo) -> None:
        made = hold("pi4", CpuCfsQuota=False, MemoryLimit=False, Warnings=["No blkio throttle.read_bps_device support"])
        assert made.arguments == {}
        assert all("not limited" in made.limits[what] for what in ("CPU", "memory", "SD card"))

    def test_the_network_is_limited_where_one_is_used(self, hold: HoldTo) -> None:
        assert hold("pi3", outside=True).network == 37_500_000
        assert hold("pi3").network is None
        assert "nothing to limit" in hold("pi3").limits["network"]

    def test_what_the_engine_left_out_is_an_error(self, hold: HoldTo) -> None:
        made = hold("pi4")
        taken = {
            "NanoCpus": 1, "Memory": 1, "BlkioDeviceReadBps": [1], "BlkioDeviceWriteBps": [1],
            "BlkioDeviceReadIOps": [1], "BlkioDeviceWriteIOps": [1],
        }  # fmt: skip
        made.check(taken)
        with pytest.raises(EngineError, match="left out device_write_bps: mend it, or leave `hardware` out"):
            made.check(taken | {"BlkioDeviceWriteBps": None})


class TestSpeed:
    def test_the_rating_is_the_one_by_cpu_time(self) -> None:
        assert speed.rating(RATED) == 3584.0

    def test_no_rating_is_one_sentence(self) -> None:
        with pytest.raises(EngineError, match="could not be measured: 7-Zip said 'Killed'"):
            speed.rating("Killed\n")

    def test_a_host_is_measured_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        said: list[str] = []
        monkeypatch.setattr(speed, "_measured", lambda *_: 3584.0)
        asked = [speed.mips(FakeEngine(), "trixie", said.append) for _ in range(2)]  # type: ignore[arg-type]
        assert asked == [3584.0, 3584.0]
        assert len(said) == 1

    def test_another_kernel_or_engine_is_measured_anew(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        rates = iter([1.0, 2.0, 3.0])
        monkeypatch.setattr(speed, "_measured", lambda *_: next(rates))
        engines = [FakeEngine(), FakeEngine(KernelVersion="6.2"), FakeEngine(ID="B")]
        assert [speed.mips(each, "trixie", str) for each in engines] == [1.0, 2.0, 3.0]  # type: ignore[arg-type]

    def test_a_rating_that_was_cut_off_is_measured_anew(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(speed, "_measured", lambda *_: 7.0)
        speed.mips(FakeEngine(), "trixie", str)  # type: ignore[arg-type]
        (kept,) = (path for path in (tmp_path / "muster" / "speed").iterdir() if not path.suffix)
        kept.write_text("")
        assert speed.mips(FakeEngine(), "trixie", str) == 7.0  # type: ignore[arg-type]


class TestBucket:
    def test_what_passes_takes_as_long_as_the_rate_says(self) -> None:
        now = [100.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        bucket = Bucket(1000.0, lambda: now[0], sleep)
        for _ in range(10):
            bucket.take(500)
        assert now[0] - 100.0 == pytest.approx(5.0, abs=0.1)

    def test_rest_is_not_saved_up(self) -> None:
        now = [100.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        bucket = Bucket(1000.0, lambda: now[0], sleep)
        bucket.take(1)
        now[0] += 3600
        began = now[0]
        bucket.take(2000)
        assert now[0] - began == pytest.approx(2.0, abs=0.1)


class TestVirtualMachines:
    @pytest.mark.parametrize(("host", "cores"), [(1, 1), (2, 2), (16, 4)])
    def test_they_have_no_more_cpus_than_their_host(self, monkeypatch: pytest.MonkeyPatch, host: int, cores: int) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: host)
        assert throttle.body(BOARDS["pi4"]).cores == cores

    def test_they_have_the_memory_of_the_board_or_of_a_smaller_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert throttle.body(BOARDS["pi-zero-2"]).memory == 512
        monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 18, "SC_PAGE_SIZE": 4096}.__getitem__)
        small = throttle.body(BOARDS["pi5"])
        assert small.memory == 1024
        assert "it has 1024 MB, as much as this host" in throttle.limits(BOARDS["pi5"], small, "KVM", outside=True)["memory"]

    def test_their_drive_is_the_card(self) -> None:
        assert throttle.body(BOARDS["pi4"]).drive == (
            "throttling.bps-read=43730000,throttling.bps-write=36300000,throttling.iops-read=3200,throttling.iops-write=1200"
        )

    def test_emulation_is_never_told_as_the_speed_of_the_board(self) -> None:
        said = throttle.limits(BOARDS["pi4"], Body(cores=2, memory=4096), "TCG", outside=False)
        assert "2 of 4 CPUs, not limited: emulated" in said["CPU"]
        assert said["memory"] == "4 GB: held to it"


class TestReport:
    LIMITS = {"board": "Raspberry Pi 4 Model B", "CPU": "4 cores: held <b>fast</b>", "network": "not limited: because"}  # noqa: RUF012

    def told(self, folder: Path, **facts: object) -> Any:  # noqa: ANN401  # a record
        journal = Told(folder / "journal.jsonl")
        journal.drill([node("smoke login")], **facts)
        journal.step("smoke login", 1.0, 2.0)
        journal.write("ended", how="finished")
        return journal.told()

    def test_the_page_says_beside_the_rto_whose_limits_it_was_measured_under(self, tmp_path: Path) -> None:
        page = summary(self.told(tmp_path, limits=self.LIMITS))
        assert "under limits of a Raspberry Pi 4 Model B</small></dd>" in page
        assert "not limited: because" in page
        assert "held <b>fast" not in page

    def test_the_terminal_says_so_too(self, tmp_path: Path) -> None:
        console = Console(file=io.StringIO(), width=200, color_system=None)
        console.print(verdict(self.told(tmp_path, limits=self.LIMITS)))
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert "promised 30 min, under limits of a Raspberry Pi 4 Model B" in text
        assert "limit of network: not limited: because" in text

    def test_a_drill_without_a_board_says_nothing_of_limits(self, tmp_path: Path) -> None:
        record = self.told(tmp_path)
        assert "Limits of the machine" not in summary(record)
        assert "under limits" not in summary(record)
