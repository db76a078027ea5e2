"""A really recorded drill, told again with other dates and other lengths; the journal itself says that it is replayed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.data.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RECORDED = Path(__file__).with_name("recorded.jsonl")
"""The sample's drill as `pytest drills/test_recovery.py` recorded it, with long commands and outputs cut short."""

Event = dict[str, Any]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_OF = {"restored": "data:{dataset}", "metric": "metric:{name}", "watermark": "watermark:{name}", "restore_point": "choose"}
_OURS = ("backed_up_by", "listed", "stored", "oldest")  # told anew for each month
_JUST = 0.02  # seconds: a step that began so soon after another ended had waited for it


@dataclass(frozen=True)
class Month:
    """One run of the replay: when it began, how old its data was then, and how much slower and larger things are.

    `times` lengthens every step, `growth` those of the archive besides. `calendar` is what the Pi's timer says, and `breaks` a
    step that fails, with what then is said.
    """

    began: datetime
    age: timedelta
    times: float = 1.0
    growth: float = 1.0
    calendar: str = "*-*-* *:00/10:00"
    every: timedelta = timedelta(minutes=10)
    breaks: dict[str, str] = field(default_factory=dict)
    plan: Callable[[str], str] = str


def recorded() -> list[Event]:
    """The events of the recorded drill."""
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def replay(folder: Path, month: Month) -> Path:
    """Write a journal of the recorded drill as if it had been that month."""
    events = recorded()
    journal = Told(folder / "journal-telemetry-disk-loss.jsonl", month.began)
    told = _renamed(_moved(events, month), folder.name)
    for at, event in sorted(_lengthened(told, month), key=lambda pair: pair[0]):
        journal.clock = at
        journal.write(event["kind"], **{name: fact for name, fact in event.items() if name not in {"kind", "t", "at"}})
        if event["kind"] == "drill":
            journal.write("note", text=_said(events[0], month))
            _backed_up(journal, month)
    journal.close()
    return journal.path


def _said(begin: Event, month: Month) -> str:
    """What keeps anybody from taking a replay for a drill."""
    broken = " Its failure is made up." if month.breaks else ""
    return (
        f"Replayed, not measured: this is the drill of {begin['at'][:10]} ({begin['run']}) with its dates moved, every step "
        f"{month.times:g} times as long and the media archive {month.growth:g} times as large besides. The timer, the restore "
        f"points that are listed and the age of the data are made up.{broken}"
    )


def _backed_up(journal: Told, month: Month) -> None:
    newest = _lost(month) - month.age
    points = [[sha256(f"{month.began}{n}".encode()).hexdigest()[:16], (newest - n * month.every).isoformat()] for n in range(24)]
    journal.write(
        "backed_up_by",
        unit="telemetry-backup.timer",
        calendars=[month.calendar],
        monotonic=[],
        persistent=True,
        delay=0.0,
        took=21.0,
    )
    journal.write("listed", repository="usb", snapshots=points[::-1])
    size = round(_BYTES * month.times * month.growth)
    journal.write("stored", repository="usb", bytes=size, snapshots=len(points))


_BYTES = 61_400_000  # of the sample's repository when it was recorded


def _lost(month: Month) -> datetime:
    return month.began - timedelta(seconds=90)


def _moved(events: list[Event], month: Month) -> list[Event]:
    """The events with all moments moved so that the snapshot is as old as that month wants it."""
    taken = next(event["time"] for event in events if event["kind"] == "restore_point")
    by = _lost(month) - month.age - datetime.fromisoformat(taken)
    moved: list[Event] = [_mapped(event, lambda text: _shifted(text, by)) for event in events if event["kind"] not in _OURS]
    moved[0]["lost_at"] = _lost(month).isoformat()
    for event in moved:
        if event["kind"] == "plan":
            event["text"] = month.plan(event["text"])
        if event["kind"] == "restored" and event["dataset"] == "media":
            event["bytes"] = round(event["bytes"] * month.times * month.growth)
    return moved


def _shifted(text: str, by: timedelta) -> str:
    text = _MOMENT.sub(lambda found: (datetime.fromisoformat(found[0]) + by).astimezone(UTC).isoformat(), text)
    return _STAMP.sub(lambda found: f"{datetime.strptime(found[0], '%Y%m%dT%H%M%S%z') + by:%Y%m%dT%H%M%SZ}", text)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401  # any JSON value in, the same shape out
    if isinstance(value, dict):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _renamed(events: list[Event], run: str) -> list[Event]:
    """The events with the run's own name and snapshots of its own."""
    old = {event["snapshot"] for event in events if event["kind"] == "restore_point"}
    names = {each: sha256(f"{run}{each}".encode()).hexdigest() for each in old} | {events[0]["run"]: run}

    def change(text: str) -> str:
        for each, name in names.items():
            text = text.replace(each, name)
        return text

    return [_mapped(event, change) for event in events]


def _lengthened(events: list[Event], month: Month) -> Iterable[tuple[float, Event]]:
    """Each event with its moment, in seconds, when every step takes as long as it does that month."""
    spans = _spans(events)
    moved = _schedule({step["name"]: step["needs"] for step in events[0]["steps"]}, spans, month)
    blocked = _blocked(events[0]["steps"], month.breaks)
    at = 0.0
    for event in events:
        step = event.get("step") or _OF.get(event["kind"], "").format(**event)
        if step in spans:
            start, end = spans[step]
            new, until = moved[step]
            share = (event["t"] - start) / (end - start) if end > start else 0.0
            at = new + (until - new) * min(1.0, max(0.0, share))
        elif event["kind"] in {"processes", "ended"}:
            at = max(until for _, until in moved.values())
        if event["kind"] == "command":
            event["seconds"] = round(event["seconds"] * _times(step, month), 3)
        yield from _told(event, at, step, month, blocked)


def _told(event: Event, at: float, step: str, month: Month, blocked: dict[str, str]) -> Iterable[tuple[float, Event]]:
    """The event, or what is told in its place of a step that failed or never ran."""
    ends = event["kind"] == "step_ended"
    if step in blocked:
        if ends:
            yield at, event | {"outcome": "blocked", "reason": f"needs {blocked[step]}, which failed"}
    elif step in month.breaks and ends:
        what, fix = month.breaks[step], "See its journal on the machine (--drill-keep)."
        yield at, {
            "kind": "finding", "code": "unit-failed", "severity": "error", "where": step.partition(":")[2],
            "what": what, "fix": fix, "evidence": "", "step": step,
        }  # fmt: skip
        yield at, event | {"outcome": "failed", "reason": what, "fix": fix}
    else:
        yield at, event


def _blocked(steps: Iterable[Event], broken: Iterable[str]) -> dict[str, str]:
    """What never ran, and because of which step."""
    found: dict[str, str] = {}
    for step in steps:
        because = next((need for need in step["needs"] if need in broken or need in found), None)
        if because:
            found[step["name"]] = found.get(because, because)
    return found


def _spans(events: Iterable[Event]) -> dict[str, tuple[float, float]]:
    """From when until when each step ran, in seconds."""
    spans: dict[str, tuple[float, float]] = {}
    for event in events:
        if event["kind"] == "step_started":
            spans[event["step"]] = (event["t"], event["t"])
        elif event["kind"] == "step_ended":
            spans[event["step"]] = (spans[event["step"]][0], event["t"])
    return spans


def _times(step: str, month: Month) -> float:
    archive = step.endswith("/archive") or step in {"data:media", "smoke:archive"}
    return month.times * (month.growth if archive else 1.0)


def _schedule(needs: dict[str, list[str]], spans: dict[str, tuple[float, float]], month: Month) -> dict[str, tuple[float, float]]:
    """When each step runs if it takes that much longer, and begins after the same steps as it did."""
    moved: dict[str, tuple[float, float]] = {}
    for step in sorted(spans, key=lambda name: spans[name]):
        start, end = spans[step]
        before = [name for name in spans if name in moved and spans[name][1] <= start]
        waited = [name for name in before if name in needs[step] or start - spans[name][1] <= _JUST]
        last = max((spans[name][1] for name in waited), default=0.0)
        begin = max((moved[name][1] for name in waited), default=0.0) + (start - last) * month.times
        moved[step] = (begin, begin + (end - start) * _times(step, month))
    return moved
