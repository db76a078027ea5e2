"""The parts of the benchmark: what is measured, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from bench import alone, commands, places, standing
from bench.hands import Hands
from bench.places import Place
from bench.systems import FILES, SNAPSHOTS, UNITS

FEW = 2  # rounds of what no ratio comes from
Round = tuple[tuple[str, str], ...]

_ALTERNATING: Mapping[str, Round] = MappingProxyType({
    "critical": (("floor", "half"), ("muster", "half"), ("muster", "2g")),
    "verified": (("serial", "half"), ("muster", "half")),
})  # fmt: skip


def _alternating(hands: Hands, chosen: Iterable[str]) -> None:
    """What the ratios come from: in every round each is measured once, so that whatever else the host does meets all of them."""
    wanted = dict.fromkeys(each for part in chosen for each in _ALTERNATING.get(part, ()))
    placed = {name: hands.local(name) for _, name in wanted}
    if not wanted:
        return
    hands.say("once without measuring it, so that everybody finds the same files in memory")
    _measure(Hands(hands.client, hands.folder, 1, hands.console, hands.as_made, {}, hands.labels), wanted, placed)
    for number in range(hands.rounds):
        hands.say(f"round {number + 1} of {hands.rounds}")
        _measure(hands, wanted, placed)


def _measure(hands: Hands, wanted: Iterable[tuple[str, str]], placed: Mapping[str, Place]) -> None:
    for who, name in wanted:
        if who == "muster":
            hands.drill(placed[name])
        else:
            hands.script(who, placed[name])


def _sizes(hands: Hands) -> None:
    placed = {name: hands.local(name) for name in ("1g", "2g")}
    for _ in range(min(FEW, hands.rounds)):
        _measure(hands, [(who, name) for name in placed for who in ("serial", "floor", "muster")], placed)


def _repositories(hands: Hands) -> None:
    for kind in ("sftp", "rest"):
        folder = hands.folder / kind
        folder.mkdir()
        with places.elsewhere(hands.client, kind, hands.system("half"), folder, hands.labels) as place:
            for _ in range(min(FEW, hands.rounds)):
                _measure(hands, [(who, "half") for who in ("serial", "floor", "muster")], {"half": place})


def _files(hands: Hands) -> None:
    placed = {name: hands.local(name) for name in FILES}
    _measure(hands, [(who, name) for name in placed for who in ("floor", "muster")], placed)


def _snapshots(hands: Hands) -> None:
    placed = {name: hands.local(name) for name in SNAPSHOTS}
    for _ in range(min(FEW, hands.rounds)):
        _measure(hands, [("muster", name) for name in placed], placed)


def _services(hands: Hands) -> None:
    for _ in range(min(FEW, hands.rounds)):
        for more in (0, UNITS // 3, UNITS):
            hands.drill(hands.local("units", with_services(more)), f"services-{6 + more}")


def with_services(more: int) -> Callable[[str], str]:
    """A change to the sample's plan: so many services more, which do nothing."""
    tables = "".join(
        f'[services.bench-{number}]\nunit = "telemetry-bench-{number}.service"\nuses = ["etc"]\n\n'
        for number in range(1, more + 1)
    )
    return lambda text: text.replace("[smoke.login]", f"{tables}[smoke.login]")


_OTHERS: Mapping[str, Callable[[Hands], None]] = MappingProxyType({
    "sizes": _sizes,
    "repositories": _repositories,
    "files": _files,
    "services": _services,
    "snapshots": _snapshots,
    "restic": alone.measure,
    "commands": commands.measure,
    "standing": standing.measure,
})  # fmt: skip
PARTS = (*_ALTERNATING, *_OTHERS)


def measure(hands: Hands, chosen: Iterable[str]) -> None:
    """Measure these parts; what comes out is in `hands.measured`."""
    wanted = list(chosen)
    _alternating(hands, wanted)
    for name in wanted:
        if part := _OTHERS.get(name):
            hands.say(f"measuring {name}")
            part(hands)
