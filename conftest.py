"""Wires this checkout to the plugin: the sample Pi's backups, when it was lost, and its off-site store. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from images import sample, sample_copy
from images.sample_pi import PLAN, replace_key
from muster.errors import MusterError
from muster.machines import engine
from muster.plan import Plan

if TYPE_CHECKING:
    from muster.faults import Copied

# An uninstalled clone works too; an installed plugin has the same name, so that it is loaded once.
pytest_plugins = ("muster.plugin",)

LOST_AT = sample.HOME / "lost-at"
ANY_AGE = sample.Wish(max_age=timedelta.max)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the sample Pi live, back itself up and die, if it never has; and say when that was, rather than now."""
    option = session.config.option
    if option.collectonly or not any(_drills_the_sample(item) for item in session.items):
        return
    if not LOST_AT.is_file():
        try:
            sample.make(engine.connect(), ANY_AGE, print)
        except MusterError as error:
            raise pytest.UsageError(str(error)) from None
    option.drill_lost_at = option.drill_lost_at or LOST_AT.read_text().strip()


def _drills_the_sample(item: pytest.Item) -> bool:
    asked = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    return any(isinstance(plan, Plan) and plan.path == PLAN for plan in asked)


def pytest_drill_network(plan: Plan, reached: Sequence[str], network: str, labels: Mapping[str, str]) -> Mapping[str, str] | None:
    """Put the sample's off-site store, read-only, on the network of a drill of the sample, or of a copy, that looks into it."""
    home = sample_copy.home_of(plan.path) if reached else None
    return sample.store_for(engine.connect(), home)(network, labels) if home else None


def pytest_drill_account(plan: Plan, labels: Mapping[str, str], old_key: str, new_key: str) -> bool | None:
    """Have the off-site store of this drill take a new key in the place of the old one, as its owner would."""
    return replace_key(engine.connect(), labels, old_key, new_key) if sample_copy.home_of(plan.path) else None


def pytest_drill_copy(plan: Plan, folder: Path) -> Copied | None:
    """Copy the sample as it lies on this host, so that faults can be tried on it."""
    home = sample_copy.home_of(plan.path)
    return sample_copy.copy_into(folder, home, plan.path) if home else None
