"""Wires this checkout to the plugin: the sample Pi's off-site store, and when the sample Pi was lost. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from images import sample
from muster.machines import engine
from muster.plan import Plan

# An uninstalled clone works too; an installed plugin has the same name, so that it is loaded once.
pytest_plugins = ("muster.plugin",)
SAMPLE = Path(__file__).parent / "drills" / "plans" / "telemetry.toml"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The sample Pi was lost when `make drill` destroyed it, not when pytest happens to run."""
    lost_at = sample.HOME / "lost-at"
    if not config.option.drill_lost_at and not config.option.drill_plan and lost_at.is_file():
        config.option.drill_lost_at = lost_at.read_text().strip()


def pytest_drill_network(plan: Plan, network: str, labels: Mapping[str, str]) -> Mapping[str, str] | None:
    """Put the sample's off-site store, read-only, on the network of a drill that recovers the sample."""
    return sample.store_for(engine.connect())(network, labels) if plan.path == SAMPLE else None
