"""The cost curve as a picture for the documentation: SVG that stands alone, with text as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.growth import SPANS, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"critical": "#b3441e", "verified": "#1f5f99"}
_SHAPES = {"critical": "o", "verified": "s"}  # the second signal beside the colours
_WORDS = {"critical": "critical service checked", "verified": "verified"}
_SOFT, _GRID = "#555555", "#dddddd"
_WIDTH, _HEIGHT = 4.6, 2.9  # inches of one panel
_WIDE = 20  # times that the largest size may be the smallest before the scale is one of powers


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw each curve in a panel of its own; the same figures always give the same file."""
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "muster", "font.family": "DejaVu Sans", "font.size": 10.0}
    with rc_context(settings):
        rows = math.ceil(len(curves) / 2)
        figure = Figure(figsize=(2 * _WIDTH, rows * _HEIGHT), layout="constrained")
        FigureCanvasSVG(figure)
        for number, curve in enumerate(curves):
            _panel(figure.add_subplot(rows, 2, number + 1), curve, legend=number == 0)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


def _panel(axes: Axes, curve: Curve, *, legend: bool) -> None:
    for span in SPANS:
        label = _WORDS[span]
        axes.plot(curve.sizes, curve.seconds[span], color=_COLOURS[span], marker=_SHAPES[span], linewidth=2, label=label)
    if max(curve.sizes) / min(curve.sizes) > _WIDE:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(curve.sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylim(0, max(curve.seconds["verified"]) * 1.15)
    axes.set_xlabel(curve.label, color=_SOFT)
    axes.set_ylabel("seconds", color=_SOFT)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_SOFT, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_SOFT)
    if legend:
        axes.legend(frameon=False, loc="upper left", labelcolor=_SOFT)
