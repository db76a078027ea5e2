"""Boards: their figures, and what of them a host can be held to."""

from __future__ import annotations

from typing import get_args

import pytest

from muster.machines.boards import BOARDS, Board
from muster.plan.model import BoardName


def test_every_board_that_a_plan_may_name_has_figures() -> None:
    assert set(BOARDS) == set(get_args(BoardName))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_one_core_does_no_more_than_all_and_no_less_than_its_share(board: Board) -> None:
    assert board.mips / board.cores <= board.mips_alone <= board.mips


def test_newer_boards_are_faster_in_everything() -> None:
    order = [BOARDS[name] for name in ("pi-zero-2", "pi3", "pi4", "pi5")]
    for what in ("mips", "mips_alone", "memory", "network"):
        figures = [getattr(board, what) for board in order]
        assert figures == sorted(figures)


def test_memory_is_told_as_it_is_sold() -> None:
    assert [BOARDS[name].ram for name in ("pi-zero-2", "pi3", "pi5")] == ["512 MB", "1 GB", "8 GB"]
