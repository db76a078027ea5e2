"""`docs/benchmarks.md`, from what `reports/bench.json` holds and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.growth import SPANS, curves
from bench.hands import Measured
from bench.results import KEYS, MEANS, WANTED, figures

_SYSTEMS = {
    "half": "0.5 GB", "1g": "1 GB", "2g": "2 GB",
    "1k": "1,000 small files", "10k": "10,000 small files", "100k": "100,000 small files",
    "services-6": "6 services", "services-12": "12 services", "services-24": "24 services",
    "snapshots-16": "16 snapshots", "snapshots-256": "256 snapshots",
}  # fmt: skip
_PLACES = {"local": "a disk", "sftp": "SFTP", "rest": "REST"}
_OTHER = {
    "half/local/muster/processes": ("restic processes of a drill", "{:.0f}"),
    "half/local/muster/commands": ("commands on the machine in a drill", "{:.0f}"),
    "half/local/muster/cpu": ("CPU of the whole host during a drill", "{:.1f} s"),
    "half/local/muster/own_cpu": ("CPU of the drill's own process", "{:.1f} s"),
    "half/local/floor/cpu": ("CPU of the whole host during the floor", "{:.1f} s"),
    "half/local/serial/cpu": ("CPU of the whole host during the serial script", "{:.1f} s"),
    "archive/restic": ("restic alone, the archive of 0.5 GB", "{:.2f} s"),
    "archive/muster": ("Muster's own step for the same", "{:.2f} s"),
    "inspection/seconds": ("a daily inspection of all four copies, from start to exit", "{:.1f} s"),
    "index/first": ("the index over 1,000 runs, none of which was read before", "{:.1f} s"),
    "index/next": ("the index after one run more, as after every drill", "{:.1f} s"),
    "index/next-mb": ("memory of that", "{:.0f} MB"),
}


def rendered(measured: Measured, about: Mapping[str, str]) -> str:
    """The page."""
    found = Environment(  # noqa: S701  # Markdown, and what stands in cells is escaped for these
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    found.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    drawn = curves(measured)
    return found.get_template("benchmarks.md.j2").render(
        about=about,
        figures=_figures(measured),
        seconds=_seconds(measured),
        other=[
            {"what": what, "value": form.format(median(measured[name])), "rounds": len(measured[name])}
            for name, (what, form) in _OTHER.items()
            if name in measured
        ],
        curves=[{"unit": curve.unit, **{span: f"{curve.slope(span):+.2f} s" for span in SPANS}} for curve in drawn],
        curve_rounds="the rounds of each are in the table above",
    )


def _figures(measured: Measured) -> list[dict[str, object]]:
    known = figures(measured)
    return [
        {
            "key": key,
            "value": f"**{known[key].value:.2f}**",
            "spread": f"{known[key].spread:.2f}",
            "rounds": known[key].rounds,
            "wanted": f"{WANTED[key]:g}",
            "means": MEANS[key],
        }
        for key in KEYS
        if key in known
    ]


def _seconds(measured: Measured) -> list[dict[str, object]]:
    """A row for each system and place that anything was measured of."""
    rows: list[dict[str, object]] = []
    for system, said in _SYSTEMS.items():
        for place, where in _PLACES.items():
            name = f"{system}/{place}"
            counts = [len(values) for key, values in measured.items() if key.startswith(f"{name}/")]
            if counts:
                row: dict[str, object] = {"system": said, "place": where, "rounds": max(counts)}
                row |= {
                    "serial_critical": _cell(measured, f"{name}/serial/critical"),
                    "floor": _cell(measured, f"{name}/floor/critical"),
                }
                row |= {"serial_verified": _cell(measured, f"{name}/serial/verified")}
                rows.append(row | {span: _cell(measured, f"{name}/muster/{span}") for span in SPANS})
    return rows


def _cell(measured: Measured, name: str) -> str:
    return f"{median(measured[name]):.1f}" if name in measured else "-"
