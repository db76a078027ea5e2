"""What Muster costs from day to day: an inspection of all copies, and the index over a thousand runs."""

from __future__ import annotations

import hashlib
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.drilled import run, timed
from bench.hands import Hands
from bench.places import beside_its_store
from images.sample_pi import ROOT
from muster.errors import HarnessError
from tests.data.replay import Month, replay

RUNS = 1000
CACHE = ROOT / ".cache" / "bench-runs"
_FIRST = "first"  # how long reading them took, written last
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
    """Time the index with the figures of a thousand runs kept, as it is written after each; to read them first is kept work."""
    out = CACHE / f"runs-{_recipe()}"
    if not (out / _FIRST).is_file():
        shutil.rmtree(out, ignore_errors=True)
        hands.say(f"telling {RUNS} runs, and reading them for the first time: some minutes, once")
        for number in range(RUNS):
            _replayed(out, number)
        seconds, _ = _index(hands, out)
        (out / _FIRST).write_text(f"{seconds}\n")
    hands.keep("index/first", float((out / _FIRST).read_text()))
    _replayed(out, RUNS)
    seconds, megabytes = _index(hands, out)
    hands.keep("index/next", seconds)
    hands.keep("index/next-mb", megabytes)
    hands.say(f"the index over {RUNS} runs and one more: {seconds:.1f} s")
    shutil.rmtree(out / _name(RUNS))


def _recipe() -> str:
    """Names what the runs are told by, and all of Muster that reads them: another one has to read them anew."""
    told = sorted([*(ROOT / "tests" / "data").glob("re*.*"), *(ROOT / "fixtures" / "muster").rglob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in told)).hexdigest()[:12]


def _index(hands: Hands, out: Path) -> tuple[float, float]:
    """Write the index; seconds, and the most memory it had in MB."""
    wall, used = timed([sys.executable, "-c", _INDEX, str(out)], hands.folder / "index.said")
    if not (out / "index.html").is_file():
        raise HarnessError(f"No index came of {RUNS} runs: see {hands.folder / 'index.said'}.")
    return wall, used.ru_maxrss / 1024


def _began(number: int) -> datetime:
    return datetime(2024, 1, 1, 5, 21, 30, tzinfo=UTC) + timedelta(days=number)


def _name(number: int) -> str:
    return f"{_began(number):%Y%m%d-%H%M%S}-{number:04x}"


def _replayed(out: Path, number: int) -> None:
    if not (out / _name(number)).exists():
        replay(out / _name(number), Month(_began(number), timedelta(minutes=5), growth=1 + number / RUNS))
