"""The arithmetic of the benchmark, and the page that is made of it; no time is measured here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import growth, writing
from bench.figures import middle, ratio, spread
from bench.page import rendered
from bench.parts import with_services
from bench.results import KEYS, MEANS, WANTED, figures, flat
from images.sample_pi import PLAN
from muster.plan import load

ABOUT = {"when": "2026-11-01 12:00 UTC", "processor": "2 cores, a | b"}


def all_measured() -> dict[str, list[float]]:
    """Five rounds of everything, in which Muster is half as slow again as the floor."""
    measured: dict[str, list[float]] = {}
    for system in (
        "half",
        "1g",
        "2g",
        "1k",
        "10k",
        "100k",
        "services-6",
        "services-12",
        "services-24",
        "snapshots-16",
        "snapshots-256",
    ):
        at = f"{system}/local"
        measured |= {f"{at}/muster/{what}": [value] * 5 for what, value in _MUSTER.items()}
        measured |= {f"{at}/floor/critical": [4.0] * 5, f"{at}/serial/critical": [18.0] * 5, f"{at}/serial/verified": [20.0] * 5}
    measured |= {"archive/restic": [2.0, 2.0, 2.0], "archive/muster": [2.1, 2.0, 2.2]}
    return measured | {"commands/container": [9.0, 9.5, 9.2], "commands/ssh": [4.0, 4.1, 4.2]}


_MUSTER = {"critical": 6.0, "verified": 12.0, "outside": 1.5, "megabytes": 99.0, "cpu": 8.0, "processes": 9.0, "commands": 80.0}


def test_the_spread_leaves_out_the_outer_quarters() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 100.0]) == 2.0
    assert spread([1.0, 3.0]) == 2.0


def test_a_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        middle([])


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds() -> None:
    figure = ratio([2.0, 4.0, 30.0], [1.0, 2.0, 3.0])
    assert figure.value == 2.0
    assert figure.spread == 8.0
    assert figure.rounds == 3


def test_every_key_is_there_with_its_spread() -> None:
    said = flat(all_measured())
    assert set(said) == {*KEYS, *(f"{key}_spread" for key in KEYS)}
    assert said["critical_vs_floor"] == 1.5
    assert said["verified_vs_serial"] == 0.6


def test_each_key_says_what_it_is_and_what_is_wanted() -> None:
    assert set(MEANS) == set(WANTED) == set(KEYS)


def test_what_was_not_measured_is_left_out_and_not_made_up() -> None:
    measured = all_measured()
    del measured["half/local/floor/critical"]
    assert "critical_vs_floor" not in figures(measured)
    assert "`critical_vs_floor`" not in rendered(measured, ABOUT)


def test_a_curve_tells_what_each_step_of_growth_adds() -> None:
    measured = all_measured()
    for system, seconds in (("half", 11.0), ("1g", 12.0), ("2g", 14.0)):
        measured[f"{system}/local/muster/verified"] = [seconds]
    data = next(curve for curve in growth.curves(measured) if curve.key == "data")
    assert data.slope("verified") == pytest.approx(2.0)
    assert data.slope("critical") == pytest.approx(0.0)


def test_one_size_alone_is_no_curve() -> None:
    measured = {name: values for name, values in all_measured().items() if name.startswith("half/")}
    assert growth.curves(measured) == []


def test_the_page_is_made_of_the_measurements_alone() -> None:
    page = rendered(all_measured(), ABOUT)
    assert "| `critical_vs_floor` | **1.50** | 0.00 | 5 | 1.15 |" in page
    assert "| 0.5 GB | a disk | 18.0 | 20.0 | 4.0 | 6.0 | 12.0 | 5 |" in page
    assert "a \\| b" in page, "a pipe in a value must not end its cell"
    assert "cost-curve.svg" in page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("reports", "docs/pictures"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_a_whole_run_leaves_figures_page_and_picture(root: Path) -> None:
    writing.write(all_measured(), ABOUT, whole=True, root=root)
    said = json.loads((root / "reports" / "bench.json").read_text())
    assert said["critical_vs_floor"] == 1.5
    assert said["measured"] == all_measured()
    assert "10,000 files" in (root / "docs" / "benchmarks.md").read_text()
    assert "critical service checked" in (root / "docs" / "pictures" / "cost-curve.svg").read_text()


def test_a_part_of_it_leaves_the_page_as_it_was(root: Path) -> None:
    writing.write(all_measured(), ABOUT, whole=False, root=root)
    assert (root / "reports" / "bench.json").is_file()
    assert not (root / "docs" / "benchmarks.md").exists()


def test_services_that_do_nothing_are_added_to_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(with_services(6)(PLAN.read_text()))
    plan = load(path)
    assert len(plan.services) == 12
    assert plan.services["bench-6"].rto is None
