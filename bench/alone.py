"""The restore of the archive by itself: restic with its best flags, and Muster's own step, on machines that do nothing else."""

from __future__ import annotations

import time
from datetime import datetime
from graphlib import TopologicalSorter

from bench.hands import Hands
from bench.places import Place
from images.sample_pi import BOOTED
from muster.drill import Drill
from muster.machines import images
from muster.plan import load
from muster.session import Options, Session, new_run

# No flag made it quicker than these; what `--no-cache` reads again is little.
_RESTORE = (
    "restic --no-lock --no-cache --quiet --repo /mnt/usb/telemetry --password-file /mnt/secrets/restic.password "
    "restore latest --host telemetry-pi --target / --include /srv/media"
)


def measure(hands: Hands) -> None:
    """Let both restore it, one after the other, round by round."""
    place = hands.local("half")
    for _ in range(hands.rounds):
        hands.keep("archive/restic", by_restic(hands, place))
        hands.keep("archive/muster", by_muster(hands, place))
        last = {who: hands.measured[f"archive/{who}"][-1] for who in ("restic", "muster")}
        hands.say(f"the archive alone: restic {last['restic']:.2f}, Muster's step {last['muster']:.2f}")


def by_restic(hands: Hands, place: Place) -> float:
    """Seconds of restic's own restore into a clean container."""
    plan = load(place.plan)
    image = images.with_packages(hands.client, plan.machine.os, plan.machine.packages).tag
    with hands.clean(place, image) as machine:
        machine.exec_run(["sh", "-c", BOOTED])
        started = time.monotonic()
        code, said = machine.exec_run(["sh", "-c", _RESTORE])
        took = time.monotonic() - started
        hands.require(code == 0, f"restic alone ended with {code}: {said[-300:]!r}")
    return took


def by_muster(hands: Hands, place: Place) -> float:
    """Seconds of the step that restores it, when all that it needs is done and nothing else runs."""
    options = Options(hands.folder / "alone", new_run(), lost_at=datetime.fromisoformat(place.system.lost_at))
    session = Session(options, say=lambda _: None)
    drill = session.drill(load(place.plan), "disk-loss")
    try:
        drill.machine.prepare(lambda _: None)
        name = next(name for name in drill.steps if name.startswith("restore:") and name.endswith("/archive"))
        for before in _needed(drill, name):
            drill.steps[before].action(drill.context, before)
        started = time.monotonic()
        drill.steps[name].action(drill.context, name)
        return time.monotonic() - started
    finally:
        session.close()


def _needed(drill: Drill, name: str) -> list[str]:
    """All steps that a step needs, in order."""
    wanted: dict[str, tuple[str, ...]] = {}
    left = list(drill.steps[name].needs)
    while left:
        step = left.pop()
        wanted[step] = drill.steps[step].needs
        left += [need for need in wanted[step] if need not in wanted]
    return list(TopologicalSorter(wanted).static_order())
