"""The sample is fair, repeatable, within its bounds, and asks for each file by a name of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from muster.backups.trees import Entry, Tree, wanted
from muster.inspection.choosing import Choice, choose


def entry(size: int = 10, kind: str = "file", inode: int = 0) -> Entry:
    return Entry(kind, 0o644, size, "0", "0", 1.0, inode)


SMALL: Tree = {f"/d/{number:03}": entry() for number in range(99)}
TREE: Tree = {"/d": entry(0, "dir"), **SMALL, "/d/large": entry(10_000)}


def chosen(tree: Tree = TREE, *, count: int = 4, room: int = 1 << 20, seed: object = 1) -> Choice:
    return choose(tree, count=count, room=room, seed=str(seed))


def test_the_same_seed_chooses_the_same_and_another_one_does_not() -> None:
    assert chosen(seed=7) == chosen(dict(reversed(TREE.items())), seed=7)
    assert len({chosen(seed=seed).paths for seed in range(10)}) == 10


def test_it_is_as_large_as_asked_for_and_says_of_how_much() -> None:
    choice = chosen()
    assert (len(choice.paths), len(set(choice.paths)), choice.files, choice.bytes) == (4, 4, 100, 10_990)


def test_the_large_file_is_nearly_always_in_it_and_small_ones_take_turns() -> None:
    times = Counter(path for seed in range(200) for path in chosen(seed=seed).paths)
    assert times["/d/large"] > 150
    assert len(times) > 95
    assert max(times[path] for path in SMALL) < 30


def test_a_folder_is_nothing_to_restore() -> None:
    assert chosen({"/d": entry(0, "dir")}) == Choice()


def test_it_never_reads_more_than_it_may() -> None:
    for seed in range(20):
        choice = chosen(room=35, seed=seed)
        assert sum(TREE[path].size for path in choice.paths) <= 35
        assert len(choice.paths) == 3
        assert choice.too_large == 1


def test_a_symbolic_link_is_chosen_too_and_costs_nothing() -> None:
    choice = chosen({"/d/link": entry(5000, "symlink"), "/d/file": entry(5)}, room=5)
    assert (set(choice.paths), choice.bytes) == ({"/d/link", "/d/file"}, 5)


def test_special_files_are_left_alone() -> None:
    assert chosen({"/d/pipe": entry(0, "fifo"), "/d/disk": entry(0, "dev")}).paths == ()


def test_other_names_of_a_chosen_file_come_along_up_to_a_few() -> None:
    twins = {f"/d/twin{number}": entry(10_000, inode=9) for number in range(9)}
    choice = chosen({**SMALL, **twins}, count=2)
    assert len(set(choice.paths) & set(twins)) in (4, 5)


def test_files_that_are_alike_and_no_links_stay_alone() -> None:
    strangers = {f"/d/{number}": entry(10_000, inode=number + 1) for number in range(9)}
    assert len(chosen(strangers, count=2).paths) == 2


def test_names_that_cannot_be_told_apart_are_not_chosen() -> None:
    nodes = [
        {"path": path, "type": "file", "mode": 0o644, "size": 1} for path in ("/d/\ufffd\ufffda", "/d/\ufffdb", "/d/\ufffdb")
    ]
    tree = wanted(nodes, {}, {})
    assert len(tree) == 3
    assert chosen(tree).paths == ("/d/\ufffda",)
    assert tree["/d/\ufffda"].name == "/d/\ufffd\ufffda"


@pytest.mark.parametrize("count", [1, 5])
def test_a_copy_of_one_file_is_taken_whole(count: int) -> None:
    assert chosen({"/d/dump": entry()}, count=count).paths == ("/d/dump",)
