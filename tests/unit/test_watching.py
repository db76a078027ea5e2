"""Where there is no live view every event becomes a line, once, in order, and with the plan's name where there are several."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from muster.journal import Journal
from muster.record import Record, fold
from muster.report.watching import Watcher


class Shown:
    """A drill that a test tells what happens."""

    percent: Mapping[str, float] = {}

    def __init__(self, path: Path, plan: str) -> None:
        self.journal = Journal(path / f"{plan}.jsonl")
        steps = [
            {"name": name, "kind": "start", "subject": name, "milestone": "serving", "needs": [], "services": []}
            for name in "abc"
        ]
        facts = {
            "run": "r",
            "plan": plan,
            "about": "",
            "hostname": "pi",
            "incident": "x",
            "machine": "m",
            "lost_at": "",
            "versions": {},
        }
        objectives = {"objectives": {"rto": 1.0, "rpo": 1.0}, "services": {}, "datasets": {}, "manual": []}
        self.journal.write("drill", v=1, steps=steps, **facts, **objectives)

    @property
    def record(self) -> Record:
        return fold(list(self.journal.events))

    def end(self, step: str) -> None:
        self.journal.write("step_started", step=step)
        self.journal.write("step_ended", step=step, outcome="done")


def told(lines: list[str]) -> list[str]:
    return [line.split("✓ ")[1].split(":")[0] for line in lines if "✓" in line]


def test_a_quiet_run_is_told_nothing(tmp_path: Path) -> None:
    watcher, drill = Watcher(contextlib.nullcontext, None), Shown(tmp_path, "one")
    watcher.say("hello")
    watcher.follow(drill)
    with watcher.watch(drill) as tick:
        drill.end("a")
        tick()
    watcher.drain()


def test_each_event_is_told_once_and_in_order(tmp_path: Path) -> None:
    lines: list[str] = []
    watcher, drill = Watcher(contextlib.nullcontext, lines.append), Shown(tmp_path, "one")
    drill.end("a")
    for _ in range(2):
        with watcher.watch(drill) as tick:
            tick()
            tick()
    with watcher.watch(drill) as tick:
        drill.end("b")
        tick()
    assert told(lines) == ["a", "b"]


def test_what_happens_after_the_last_wait_is_told_at_the_end(tmp_path: Path) -> None:
    lines: list[str] = []
    watcher, drill = Watcher(contextlib.nullcontext, lines.append), Shown(tmp_path, "one")
    watcher.follow(drill)
    drill.end("a")
    assert lines == []
    watcher.drain()
    watcher.drain()
    assert told(lines) == ["a"]


def test_two_drills_are_told_apart_and_neither_twice(tmp_path: Path) -> None:
    lines: list[str] = []
    watcher = Watcher(contextlib.nullcontext, lines.append)
    one, two = Shown(tmp_path, "one"), Shown(tmp_path, "two")
    for drill in (one, two, one, two):
        watcher.follow(drill)
        with watcher.watch(drill):
            pass
    one.end("a")
    two.end("b")
    one.end("c")
    watcher.drain()
    assert sorted(told(lines)) == ["a", "b", "c"]
    assert [line.split(":")[0] for line in lines if "✓ b" in line] == ["two"]
    assert [line.split(":")[0] for line in lines if "✓ c" in line] == ["one"]


def test_what_takes_long_is_said(tmp_path: Path) -> None:
    lines: list[str] = []
    Watcher(contextlib.nullcontext, lines.append).say("making an image")
    assert lines == ["muster: making an image"]
    assert not list(tmp_path.iterdir())
