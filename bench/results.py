"""What the measurements amount to: the keys of `reports/bench.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.figures import Figure, middle, ratio
from bench.hands import Measured

KEYS = (
    "critical_vs_floor", "critical_2g_vs_half", "verified_vs_serial", "restore_vs_restic", "outside_s", "outside_mb",
    "command_ms_container", "command_ms_ssh",
)  # fmt: skip
WANTED: Mapping[str, float] = {
    "critical_vs_floor": 1.15, "critical_2g_vs_half": 1.10, "verified_vs_serial": 0.65, "restore_vs_restic": 1.05,
    "outside_s": 2.0, "outside_mb": 150.0, "command_ms_container": 15.0, "command_ms_ssh": 10.0,
}  # fmt: skip
"""At most this is what the project wants of each."""
MEANS: Mapping[str, str] = {
    "critical_vs_floor": "time to the critical service, over the hand-tuned floor's",
    "critical_2g_vs_half": "time to the critical service with an archive of 2 GB, over that with 0.5 GB",
    "verified_vs_serial": "time to `verified`, over the serial script's to its last check",
    "restore_vs_restic": "restore of the archive by itself, over restic alone",
    "outside_s": "seconds of a passing drill outside the recovery: collection, set-up, teardown, reports",
    "outside_mb": "most memory of the drill's process, MB",
    "command_ms_container": "milliseconds for a command in a container",
    "command_ms_ssh": "milliseconds for a command over SSH's kept connection",
}
_HALF, _LARGE = "half/local", "2g/local"
_FROM: Mapping[str, Callable[[Measured], Figure]] = {
    "critical_vs_floor": lambda of: ratio(of[f"{_HALF}/muster/critical"], of[f"{_HALF}/floor/critical"]),
    "critical_2g_vs_half": lambda of: ratio(of[f"{_LARGE}/muster/critical"], of[f"{_HALF}/muster/critical"]),
    "verified_vs_serial": lambda of: ratio(of[f"{_HALF}/muster/verified"], of[f"{_HALF}/serial/verified"]),
    "restore_vs_restic": lambda of: ratio(of["archive/muster"], of["archive/restic"]),
    "outside_s": lambda of: middle(of[f"{_HALF}/muster/outside"]),
    "outside_mb": lambda of: middle(of[f"{_HALF}/muster/megabytes"]),
    "command_ms_container": lambda of: middle(of["commands/container"]),
    "command_ms_ssh": lambda of: middle(of["commands/ssh"]),
}


def figures(measured: Measured) -> dict[str, Figure]:
    """The figures that can be had from what was measured."""
    found = {}
    for key in KEYS:
        try:
            found[key] = _FROM[key](measured)
        except KeyError:  # a part of the benchmark that was left out
            continue
    return found


def flat(measured: Measured) -> dict[str, float]:
    """The same as flat keys, each with its spread beside it."""
    said: dict[str, float] = {}
    for key, figure in figures(measured).items():
        said |= {key: round(figure.value, 4), f"{key}_spread": round(figure.spread, 4)}
    return said
