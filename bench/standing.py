"""What Muster costs from day to day: an inspection of all copies, and the index over a thousand runs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.drilled import run, timed
from bench.hands import Hands
from bench.places import beside_its_store
from muster.errors import HarnessError
from tests.data.replay import Month, replay

RUNS = 1000
_INDEX = "import sys; from pathlib import Path; from muster.report.index import write_index; write_index(Path(sys.argv[1]))"


def measure(hands: Hands) -> None:
    """Inspect once, and write the index over many runs twice: for the first time, and after one run more."""
    _inspect(hands)
    _report(hands)


def _inspect(hands: Hands) -> None:
    plan, system = beside_its_store(hands.system("half"), hands.folder / "inspected")
    arguments = ["drills/test_backups.py", "--drill-plan", str(plan), "--drill-lost-at", system.lost_at, "--drill-no-alerts"]
    wall, used = run(arguments, hands.folder / "inspections", passing=False)
    hands.keep("inspection/seconds", wall)
    hands.keep("inspection/cpu", used.ru_utime + used.ru_stime)
    hands.say(f"an inspection of all copies: {wall:.1f} s")


def _report(hands: Hands) -> None:
    out = hands.folder / "thousand"
    for number in range(RUNS):
        _replayed(out, number)
    for what in ("first", "next"):
        wall, used = timed([sys.executable, "-c", _INDEX, str(out)], hands.folder / "index.said")
        if not (out / "index.html").is_file():
            raise HarnessError(f"No index came of {RUNS} runs: see {hands.folder / 'index.said'}.")
        hands.keep(f"index/{what}", wall)
        hands.keep(f"index/{what}-mb", used.ru_maxrss / 1024)
        hands.say(f"the index over {RUNS} runs, the {what} time: {wall:.1f} s")
        _replayed(out, RUNS)


def _replayed(out: Path, number: int) -> None:
    began = datetime(2024, 1, 1, 5, 21, 30, tzinfo=UTC) + timedelta(days=number)
    folder = out / f"{began:%Y%m%d-%H%M%S}-{number:04x}"
    if not folder.exists():
        replay(folder, Month(began, timedelta(minutes=5), growth=1 + number / RUNS))
