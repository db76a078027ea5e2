"""What a benchmark leaves: a table on the terminal, `reports/bench.json`, and `docs/benchmarks.md` with its picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.growth import curves
from bench.hands import Measured
from bench.page import rendered
from bench.results import MEANS, WANTED, figures, flat
from images.sample_pi import ROOT


def show(measured: Measured, console: Console) -> None:
    """Print the medians of everything, and the figures with their spread."""
    every = Table("measured", "median", "rounds", title="Seconds")
    for name, values in sorted(measured.items()):
        if name.rpartition("/")[2] in ("critical", "verified", "outside", "cpu", "own_cpu", "processes", "restic", "muster"):
            every.add_row(name, f"{median(values):.2f}", str(len(values)))
    console.print(every)
    table = Table("figure", "value", "spread", "rounds", "wanted", "what it is")
    for key, figure in figures(measured).items():
        met = "green" if figure.value <= WANTED[key] else "red"
        row = (f"[{met}]{figure.value:.2f}[/]", f"{figure.spread:.2f}", str(figure.rounds), f"{WANTED[key]:g}", MEANS[key])
        table.add_row(key, *row)
    console.print(table)


def write(measured: Measured, about: Mapping[str, str], *, whole: bool, root: Path = ROOT) -> None:
    """Write the figures, and all that they come from; after a `whole` run the page and its picture as well."""
    (root / "reports" / "bench.json").write_text(
        json.dumps({**flat(measured), "about": about, "measured": measured}, indent=1) + "\n"
    )
    if whole:
        document(measured, about, root)


def document(measured: Measured, about: Mapping[str, str], root: Path = ROOT) -> None:
    """Write `docs/benchmarks.md`, and the picture of the cost curve if there is one."""
    from bench.picture import draw  # noqa: PLC0415  # loads what draws, which a part of the benchmark does not need

    (root / "docs" / "benchmarks.md").write_text(rendered(measured, about))
    if drawn := curves(measured):
        draw(drawn, root / "docs" / "pictures" / "cost-curve.svg")
