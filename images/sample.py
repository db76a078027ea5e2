"""The sample Pi: a real station with real backups, made, used and lost on this host.

    python images/sample.py make                leaves .sample/ as a dead Pi's owner has it: USB disk, off-site copy, passwords
    python images/sample.py store-up NETWORK    the off-site store, from .sample/, on a network of the container engine

Tests use the same as a library, to break a living Pi by hand:

    with SamplePi(client, new_home(folder)) as pi:
        pi.feed(500)
        pi.run("systemctl stop postgresql@17-main")
        pi.backup()
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, this file's own folder would be first

from images.sample_pi import (
    HOME,
    MEDIA_MB,
    ROOT,
    SampleError,
    SamplePi,
    Say,
    as_root,
    new_home,
    pi_image,
    start_store,
    store_for,
    store_image,
)
from muster.errors import MusterError
from muster.machines import container, engine
from muster.plan.kinds import duration

if TYPE_CHECKING:
    import docker

__all__ = ["HOME", "SampleError", "SamplePi", "Wish", "make", "new_home", "start_store", "store_for"]

WORK = ROOT / ".cache" / "sample"  # half-made output lives here; it never looks like a finished one
MADE = "made.json"  # written last: a home without it is none
READINGS = 3000
LOST = 25  # readings that come after the last backup, and are lost with the Pi


@dataclass(frozen=True, slots=True)
class Wish:
    """What `make` is asked for."""

    readings: int = READINGS
    media_mb: int = MEDIA_MB
    max_age: timedelta = timedelta()


def make(client: docker.DockerClient, wish: Wish, say: Say, home: Path = HOME) -> bool:
    """Make the sample's backups in `home`, and lose the Pi; False when they are there already and young enough."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, the second finds what the first has made
        for name in container.remove_leftovers(client):
            say(f"removed {name}, which a killed run left behind")
        recipe = [store_image(client, say).tag, pi_image(client, say).tag, str(wish.readings), str(wish.media_mb)]
        if _is_young(home / MADE, recipe, wish.max_age):
            say(f"the sample in {home.name} is of the same recipe and young enough: nothing to do")
            return False
        fresh = WORK / "new"
        _clear(client, fresh)
        try:
            seconds = _live_and_die(client, new_home(fresh), wish, say)
            made = {"recipe": recipe, "made_at": datetime.now(UTC).isoformat(), "seconds": round(seconds, 1)}
            (fresh / MADE).write_text(json.dumps(made) + "\n")
            _replace(client, home, fresh)
        finally:
            _clear(client, fresh)
    return True


def _live_and_die(client: docker.DockerClient, home: Path, wish: Wish, say: Say) -> float:
    started = time.monotonic()
    say("booting the sample Pi for the first time")
    with SamplePi(client, home, wish.media_mb, say) as pi:
        say(f"feeding it {wish.readings} readings and as many events over MQTT")
        pi.feed(wish.readings, span=timedelta(minutes=10))
        say("it backs itself up, while more comes in")
        with pi.feeding():
            run = pi.backup()
        pi.feed(LOST)
        lost = pi.lose()
    say(f"the Pi is lost, at {lost:%H:%M:%S} UTC; its last backup is run {run}")
    return time.monotonic() - started


def _is_young(made: Path, recipe: list[str], max_age: timedelta) -> bool:
    try:
        stamp = json.loads(made.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(stamp["made_at"])
    except (OSError, ValueError, KeyError):
        return False
    return bool(stamp["recipe"] == recipe and timedelta() <= age < max_age)


def _replace(client: docker.DockerClient, home: Path, fresh: Path) -> None:
    """Put the new home in the place of the old one."""
    old = WORK / "old"
    _clear(client, old)
    if home.exists():
        home.rename(old)
    fresh.rename(home)
    _clear(client, old)


def _clear(client: docker.DockerClient, folder: Path) -> None:
    """Remove a folder, whoever its files belong to."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        as_root(client, folder.parent, ["rm", "-rf", folder.name])


def _span(text: str) -> timedelta:
    if text == "0":
        return timedelta()
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The sample Pi: make its backups and lose it.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make .sample/: back the sample Pi up, then lose it")
    making.add_argument("--max-age", type=_span, default=timedelta(), help='keep a sample younger than e.g. "1h" (make it anew)')
    making.add_argument("--readings", type=int, default=READINGS, help="readings, and as many events (%(default)s)")
    making.add_argument("--media-mb", type=int, default=MEDIA_MB, help="size of the media archive in MB (%(default)s)")
    store = commands.add_parser("store-up", help="start the off-site store from .sample/, read-only; remove it with docker rm -f")
    store.add_argument("network", help="an existing network of the container engine")
    store.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="label of the container")
    return parser.parse_args()


def main() -> int:
    """Do what the command line says; 1 and one sentence when that cannot be done."""
    from docker.errors import DockerException  # noqa: PLC0415  # for the program alone, not for tests
    from rich.console import Console  # noqa: PLC0415  # the same

    options = _arguments()
    console, started = Console(stderr=True, highlight=False), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through every `with`, as Ctrl-C does

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {text}", soft_wrap=True)

    try:
        client = engine.connect()
        if options.command == "make":
            make(client, Wish(options.readings, options.media_mb, options.max_age), say)
        else:
            labels = dict(label.partition("=")[::2] for label in options.label)
            sys.stdout.write(f"{start_store(client, options.network, labels).id}\n")
    except (MusterError, DockerException, OSError, subprocess.SubprocessError) as error:
        console.print(f"sample: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("sample: stopped; nothing is left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
