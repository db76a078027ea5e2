"""The graph runs each step as early as its needs allow, blocks what cannot run, and never leaves anybody waiting."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from graphlib import CycleError
from typing import TYPE_CHECKING

import pytest

from muster import graph as graphs
from muster.graph import Ending, Graph, Node, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WAIT = 5.0


class Told:
    """Makes graphs, and keeps what they tell."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[tuple[str, Outcome, str]] = []
        self.ran: list[str] = []

    def graph(self, nodes: Iterable[Node], threads: int = 4) -> Graph:
        return Graph(
            nodes,
            judge=lambda error: "failed" if isinstance(error, ValueError) else "error",
            starting=self.started.append,
            ended=lambda name, ending: self.ended.append((name, ending.outcome, ending.blocked_by)),
            threads=threads,
        )

    def node(self, name: str, *needs: str, urgency: int = 1, action: Callable[[], None] | None = None) -> Node:
        def act() -> None:
            self.ran.append(name)
            if action:
                action()

        return Node(name, act, needs, urgency)

    def run(self, *nodes: Node, threads: int = 4) -> Graph:
        graph = self.graph(nodes, threads)
        graph.start()
        assert graph.join(WAIT), "somebody was left waiting"
        return graph


def boom() -> None:
    raise ValueError("boom")


def outcomes(graph: Graph) -> dict[str, str]:
    return {name: ending.outcome for name, ending in graph.endings.items()}


def test_a_step_runs_after_all_that_it_needs() -> None:
    told = Told()
    graph = told.run(told.node("c", "a", "b"), told.node("b", "a"), told.node("a"))
    assert told.ran == ["a", "b", "c"]
    assert set(outcomes(graph).values()) == {"done"}


def test_a_failed_step_blocks_what_depends_on_it_and_only_that() -> None:
    told = Told()
    nodes = [
        told.node("bad", action=boom),
        told.node("child", "bad", "good"),
        told.node("grandchild", "child"),
        told.node("good"),
        told.node("other", "good"),
    ]
    graph = told.run(*nodes)
    assert outcomes(graph) == {
        "bad": "failed",
        "child": "blocked",
        "grandchild": "blocked",
        "good": "done",
        "other": "done",
    }
    assert graph.endings["grandchild"].blocked_by == "bad"
    assert set(told.ran) == {"bad", "good", "other"}


def test_what_is_blocked_is_told_once_and_never_started() -> None:
    told = Told()
    told.run(told.node("bad", action=boom), told.node("x", "bad"), told.node("y", "bad", "x"), told.node("z", "x", "y"))
    assert sorted(told.ended) == [
        ("bad", "failed", ""),
        ("x", "blocked", "bad"),
        ("y", "blocked", "bad"),
        ("z", "blocked", "bad"),
    ]
    assert told.started == ["bad"]


def test_the_most_urgent_step_goes_first() -> None:
    told = Told()
    told.run(told.node("late", urgency=2), told.node("usual"), told.node("first", urgency=0), threads=1)
    assert told.ran == ["first", "usual", "late"]


def test_what_is_equally_urgent_keeps_its_order() -> None:
    told = Told()
    told.run(*(told.node(name) for name in "abcd"), threads=1)
    assert told.ran == list("abcd")


def test_an_urgent_step_does_not_jump_over_what_it_needs() -> None:
    told = Told()
    told.run(told.node("urgent", "slow", urgency=0), told.node("slow", urgency=2), threads=1)
    assert told.ran == ["slow", "urgent"]


def test_independent_steps_run_at_the_same_time() -> None:
    told, meeting = Told(), threading.Barrier(3, timeout=WAIT)
    graph = told.run(*(told.node(name, action=lambda: meeting.wait() and None) for name in "abc"), threads=3)
    assert set(outcomes(graph).values()) == {"done"}


def test_no_more_steps_run_at_once_than_there_are_threads() -> None:
    told, lock, running, most = Told(), threading.Lock(), [0], [0]

    def action() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    told.run(*(told.node(str(number), action=action) for number in range(8)), threads=2)
    assert most[0] == 2


def test_an_unknown_need_is_named() -> None:
    told = Told()
    with pytest.raises(ValueError, match="step a needs nowhere, which is no step"):
        told.graph([told.node("a", "nowhere")])


def test_a_cycle_is_refused_before_anything_runs() -> None:
    told = Told()
    with pytest.raises(CycleError):
        told.graph([told.node("a", "b"), told.node("b", "a")])
    assert told.ran == []


def test_stop_ends_what_waits_as_stopped_and_tells_each_once() -> None:
    told, go = Told(), threading.Event()
    graph = told.graph([told.node("a", action=lambda: go.wait(WAIT) and None), told.node("b", "a"), told.node("c", "b")])
    graph.start()
    while not told.ran:
        time.sleep(0.001)
    graph.stop()
    assert sorted(told.ended) == [("b", "stopped", ""), ("c", "stopped", "b")]
    go.set()
    assert graph.join(WAIT)
    assert outcomes(graph) == {"a": "done", "b": "stopped", "c": "stopped"}


def test_a_step_that_breaks_because_of_a_stop_counts_as_stopped() -> None:
    told, go = Told(), threading.Event()

    def action() -> None:
        go.wait(WAIT)
        raise ValueError("the machine is gone")

    graph = told.graph([told.node("a", action=action)])
    graph.start()
    while not told.ran:
        time.sleep(0.001)
    graph.stop()
    go.set()
    assert graph.join(WAIT)
    assert outcomes(graph) == {"a": "stopped"}


def test_a_graph_that_was_stopped_before_it_started_ends_at_once() -> None:
    told = Told()
    graph = told.graph([told.node("a"), told.node("b", "a")])
    graph.stop()
    graph.start()
    assert graph.join(WAIT)
    assert told.ran == []


def test_wait_for_says_whether_all_have_ended() -> None:
    told, go = Told(), threading.Event()
    graph = told.graph([told.node("quick"), told.node("slow", action=lambda: go.wait(WAIT) and None)])
    graph.start()
    assert graph.wait_for(["quick"], WAIT)
    assert not graph.wait_for(["quick", "slow"], 0)
    go.set()
    assert graph.wait_for(["slow"], WAIT)


def test_wait_for_nothing_returns_at_once() -> None:
    assert Told().graph([]).wait_for([])


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError()])
def test_whatever_a_step_raises_ends_it(error: BaseException) -> None:
    def act() -> None:
        raise error

    told = Told()
    graph = told.run(told.node("a", action=act), told.node("b", "a"))
    assert outcomes(graph) == {"a": "error", "b": "blocked"}
    assert graph.endings["a"].error is error


def test_a_step_that_cannot_be_announced_ends_with_that_error_and_does_not_run() -> None:
    told = Told()

    def starting(name: str) -> None:
        if name == "a":
            raise OSError("disk full")

    graph = Graph([told.node("a"), told.node("b", "a"), told.node("c")], judge=lambda _: "error", starting=starting,
                  ended=lambda *_: None)  # fmt: skip
    graph.start()
    assert graph.join(WAIT)
    assert outcomes(graph) == {"a": "error", "b": "blocked", "c": "done"}
    assert told.ran == ["c"]


@pytest.mark.parametrize("raised", [OSError("disk full"), SystemExit()])
def test_an_ending_that_cannot_be_told_is_an_ending_all_the_same(raised: BaseException) -> None:
    told = Told()

    def ended(_name: str, _ending: Ending) -> None:
        raise raised

    nodes = [told.node("a", action=boom), told.node("b", "a"), told.node("c")]
    graph = Graph(nodes, judge=lambda _: "failed", starting=lambda _: None, ended=ended)
    graph.start()
    assert graph.join(WAIT)
    assert outcomes(graph) == {"a": "failed", "b": "blocked", "c": "done"}
    assert graph.untold == [raised] * 3


def test_stop_never_hangs_on_a_listener_that_raises() -> None:
    told = Told()

    def ended(_name: str, _ending: Ending) -> None:
        raise OSError("disk full")

    graph = Graph([told.node("a"), told.node("b", "a")], judge=lambda _: "failed", starting=lambda _: None, ended=ended)
    graph.stop()
    assert graph.join(0)


def test_a_chain_longer_than_the_stack_is_blocked_whole() -> None:
    told, length = Told(), sys.getrecursionlimit() + 200
    nodes = [told.node("0", action=boom), *(told.node(str(number), str(number - 1)) for number in range(1, length))]
    graph = told.graph(nodes)
    graph.start()
    assert graph.join(30)
    assert sum(outcome == "blocked" for outcome in outcomes(graph).values()) == length - 1


def test_the_threads_end_with_the_last_step() -> None:
    told = Told()
    before = threading.active_count()
    told.run(*(told.node(name) for name in "abc"))
    deadline = time.monotonic() + WAIT
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert threading.active_count() <= before


def test_a_held_step_waits_until_it_is_released() -> None:
    told = Told()
    graph = told.graph([told.node("before"), Node("held", lambda: told.ran.append("held"), ("before",), held=True)])
    graph.start()
    assert graph.wait_for(["before"], WAIT)
    assert not graph.wait_for(["held"], 0.1)
    graph.release()
    assert graph.join(WAIT)
    assert told.ran == ["before", "held"]


def test_a_held_step_that_nobody_released_is_stopped() -> None:
    told = Told()
    graph = told.graph([Node("held", lambda: told.ran.append("held"), held=True)])
    graph.start()
    graph.stop()
    assert graph.endings["held"].outcome == "stopped"
    assert told.ran == []


class TestYielding:
    def test_a_step_lets_another_go_first_that_is_slower_to_begin_with(self) -> None:
        told = Told()
        slow, done = threading.Event(), list[bool]()
        first = told.node("first", action=lambda: done.append(slow.wait(0.05)))
        told.run(first, told.node("last", "first"), replace(told.node("background"), yields=("last",)))
        assert told.ran == ["first", "last", "background"]

    def test_one_that_failed_or_was_blocked_is_not_waited_for(self) -> None:
        told = Told()
        told.run(told.node("first", action=boom), told.node("last", "first"), replace(told.node("rest"), yields=("last",)))
        assert told.ran == ["first", "rest"]

    def test_it_does_not_do_so_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(graphs, "PATIENCE", 0.05)
        told, hangs, done = Told(), threading.Event(), list[bool]()
        graph = told.graph(
            [told.node("hangs", action=lambda: done.append(hangs.wait(WAIT))), replace(told.node("rest"), yields=("hangs",))]
        )
        graph.start()
        assert graph.wait_for(["rest"], WAIT)
        assert "hangs" not in graph.endings
        hangs.set()
        assert graph.join(WAIT)
