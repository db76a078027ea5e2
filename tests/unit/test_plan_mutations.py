"""Whatever a plan file holds, it loads or it is a PlanError: never a traceback, and never a wait."""

from __future__ import annotations

import copy
import random
import time
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from muster.errors import PlanError
from muster.plan import build, load

if TYPE_CHECKING:
    from collections.abc import Iterator

TELEMETRY = Path(__file__).parents[2] / "drills" / "plans" / "telemetry.toml"
INSPECTED = """
[pi]
address = "pi@telemetry-pi:22"
ssh_key = { file = "ask.key" }
[inspection]
sample = 5
sample_bytes = "1M"
read_within = "30s"
[[accept]]
code = "no-offsite"
where = "usb*"
reason = "the second disk comes in March"
until = 2027-01-31
"""
ODD: list[Any] = [
    3, -1, True, 1.5, float("nan"), "", " ", "x", "a\0b", "/", "~nobody/x", "..", "-x", [], {}, [[]], [{}], [3], {"x": {}},
    ["x", "x"], date(2020, 1, 1), 10**5000, "1h" * 1000, "(" * 5000, "\u202e", {"env": 3}, {"file": ""}, {"file": "\0"}, "sftp:",
    {"": {}}, {"[key]": 1}, {"tcp": 1.0}, {"within": "1s"},
]  # fmt: skip
KEYS = ["", "x", "a b", "\0", "after", "é", "[key]", "rto", "class_", "schema_", "path", "_path", "model_config", "x" * 300]
NOISE = [b'"', b"'", b"[", b"]", b"{", b"}", b"=", b"\n", b".", b"\xff", b"\0", b"[[", b"'''", b"#", b"\\u0000", b"\\ud800"]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


def value_at(data: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401
    for key in path:
        data = data[key]
    return data


def mutate(data: dict[str, Any], rng: random.Random) -> None:
    found = list(places(data))
    path = rng.choice(found)
    parent = value_at(data, path[:-1])
    match rng.randrange(4):
        case 0:
            del parent[path[-1]]
        case 1 if isinstance(parent, dict):
            parent[rng.choice(KEYS)] = copy.deepcopy(rng.choice(ODD))
        case 2:
            parent[path[-1]] = copy.deepcopy(value_at(data, rng.choice(found)))
        case _:
            parent[path[-1]] = copy.deepcopy(rng.choice(ODD))


@pytest.mark.parametrize("seed", range(10))
def test_values_of_any_kind_anywhere_are_mistakes_and_no_more(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    original = tomllib.loads(TELEMETRY.read_text(encoding="utf-8") + INSPECTED)
    for _ in range(40):
        data = copy.deepcopy(original)
        for _ in range(rng.choice([1, 1, 3, 8])):
            mutate(data, rng)
        try:
            build(data, Path("plan.toml"))
        except PlanError as error:
            assert all(line.startswith("plan.toml: ") and line.isprintable() for line in str(error).splitlines())  # noqa: PT017


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_file_is_a_mistake_and_no_more(seed: int, tmp_path: Path) -> None:
    rng, file = random.Random(seed), tmp_path / "plan.toml"  # noqa: S311
    for _ in range(40):
        content = bytearray(TELEMETRY.read_bytes() + INSPECTED.encode())
        for _ in range(rng.choice([1, 2, 20])):
            at = rng.randrange(len(content))
            content[at : at + rng.choice([0, 1, 300])] = rng.choice([*NOISE, bytes([rng.randrange(256)])])
        file.write_bytes(content)
        try:
            load(file)
        except PlanError as error:
            assert str(error).isprintable() or "\n" in str(error)  # noqa: PT017


def test_thousands_of_mistakes_are_listed_within_seconds() -> None:
    data = tomllib.loads(TELEMETRY.read_text(encoding="utf-8"))
    data["services"] |= {f"s{n}": {"after": [f"s{(n * 7 + 1) % 3000}", f"t{n}"]} for n in range(3000)}
    began = time.monotonic()
    with pytest.raises(PlanError) as caught:
        build(data, Path("plan.toml"))
    assert len(str(caught.value).splitlines()) > 3000
    assert time.monotonic() - began < 20
