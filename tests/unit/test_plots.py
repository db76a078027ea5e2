"""Trends and their pictures: every run in them, gaps where something was not measured, and nothing a strict page refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from muster.report import trends
from muster.report.history import Run, as_dict, record_of
from muster.report.plots import picture
from muster.report.trends import Point, Trend, drawn
from tests.data.demo import LOST, passing

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return as_dict(record_of(passing(tmp_path_factory.mktemp("run"))))


def runs(figures: dict[str, Any], *each: dict[str, Any]) -> list[Run]:
    """Runs a day from one another, the oldest first, with other figures each."""
    days = [(LOST + timedelta(days=number)).isoformat() for number in range(len(each))]
    made = (json.loads(json.dumps(figures | {"started_at": day} | other)) for day, other in zip(days, each, strict=True))
    return [Run(f"run-{number}", None, one, ()) for number, one in enumerate(made)]


def parsed(trend: Trend) -> ET.Element:
    return ET.fromstring(str(picture(trend)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314  # ours


def rto(figures: dict[str, Any], *values: float | None) -> Trend:
    return trends.rto(runs(figures, *({"rto": value, "services": {}, "services_promised": {}} for value in values)), "x-rto")


def pen_lifts(trend: Trend) -> list[int]:
    """How often the line of each series is begun anew."""
    paths = (path.get("d", "") for path in parsed(trend).iter(f"{SVG}path") if path.get("stroke") == "var(--line-1)")
    return [path.count("M") for path in paths if path.count("L") and "stroke-dasharray" not in path]


def test_every_service_and_all_of_it_have_a_line_of_their_own(figures: dict[str, Any]) -> None:
    trend = trends.rto(runs(figures, {}, {}), "x")
    assert [line.name for line in trend.lines] == [
        "all of it",
        "ingest",
        "mosquitto",
        "postgresql",
        "recorder",
        "status",
        "nginx",
    ]
    assert [line.name for line in trend.lines if line.promises] == ["all of it", "ingest"]
    assert trend.lines[0].points[0].promised == 1800.0


def test_datasets_that_are_always_alike_are_one_line(figures: dict[str, Any]) -> None:
    trend = trends.rpo(runs(figures, {}, {}), "x")
    assert [line.name for line in trend.lines] == ["etc, programs, keys, media", "readings", "events"]


def test_more_lines_than_can_be_told_apart_stand_in_the_table(figures: dict[str, Any]) -> None:
    many = {f"service-{number}": 100.0 + number for number in range(20)}
    trend = trends.rto(runs(figures, {"services": many}, {"services": many}), "x")
    assert (len(trend.lines), len(trend.more), len(trend.all_lines)) == (7, 14, 21)


def test_a_miss_is_counted_marked_and_told(figures: dict[str, Any]) -> None:
    trend = rto(figures, 1700.0, 1900.0, 1750.0)
    assert (trend.missed, trend.open) == (1, 0)
    rings = [use for use in parsed(trend).iter(f"{SVG}use") if use.get("stroke") == "var(--bad)"]
    assert len(rings) == 1
    assert "1 run over what was promised" in trend.description
    assert not [use for use in parsed(rto(figures, 1700.0, 1750.0)).iter(f"{SVG}use") if use.get("stroke") == "var(--bad)"]


def test_a_run_without_a_figure_breaks_the_line_and_is_marked(figures: dict[str, Any]) -> None:
    whole, broken = rto(figures, 1.0, 2.0, 3.0, 4.0, 5.0), rto(figures, 1.0, 2.0, None, 4.0, 5.0)
    assert (whole.open, broken.open) == (0, 1)
    assert sum(pen_lifts(broken)) == sum(pen_lifts(whole)) + 1
    assert len([use for use in parsed(broken).iter(f"{SVG}use") if use.get("stroke") == "var(--open)"]) == 1
    assert "1 run without a figure" in broken.description


@pytest.mark.parametrize("values", [(5.0,), (5.0, 5.0), (0.0, 0.0), (None, 5.0), (1e10, 1.0), (0.001, 0.002)])
def test_few_and_odd_figures_make_a_picture_too(figures: dict[str, Any], values: tuple[float | None, ...]) -> None:
    assert parsed(rto(figures, *values)).findall(f".//{SVG}path")


def test_nothing_to_draw_is_no_picture(figures: dict[str, Any]) -> None:
    assert picture(rto(figures, None, None)) == ""
    assert picture(trends.sizes(runs(figures, {"stored": {}}), "x")) == ""


def test_a_picture_has_a_title_a_description_and_a_role(figures: dict[str, Any]) -> None:
    root = parsed(rto(figures, 1.0, 2.0))
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{title.get('id')} {desc.get('id')}")
    assert (desc.text or "").startswith("2 runs from 2026-03-01 to 2026-03-02; all of it is 2 s of 30 min")


def test_a_picture_has_nothing_that_a_strict_policy_refuses(figures: dict[str, Any]) -> None:
    svg = str(picture(trends.rto(runs(figures, {}, {}, {}), "x")))
    assert "style=" not in svg
    assert "<style" not in svg
    assert "http" not in svg
    assert "metadata" not in svg
    assert not re.search(r"#[0-9a-f]{6}", svg), "a colour that the page's schemes do not know"


def test_ids_are_unique_on_a_page_and_all_that_is_referred_to_is_there(figures: dict[str, Any]) -> None:
    svg = "".join(str(picture(make(runs(figures, {}, {"rto": 5.0}), f"x-{make.__name__}"))) for make in (trends.rto, trends.rpo))
    ids = re.findall(r'\sid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)) - {("", "")}
    assert {one or other for one, other in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)} <= set(ids)


def test_the_same_figures_give_the_same_picture(figures: dict[str, Any]) -> None:
    assert picture(rto(figures, 1.0, 2.0)) == picture(rto(figures, 1.0, 2.0))


def test_names_stand_as_text(figures: dict[str, Any]) -> None:
    odd = {"</desc><script>x": 5.0, "$a_b$": 6.0, "`$(id)`": 7.0}
    svg = str(picture(trends.rto(runs(figures, {"services": odd}, {"services": odd}), "x")))
    assert "<script" not in svg
    assert "&lt;/desc&gt;&lt;script&gt;x" in svg
    assert "$a_b$" in svg


def test_a_thousand_runs_are_thinned_and_small(figures: dict[str, Any]) -> None:
    trend = trends.rto(runs(figures, *({"rto": 1000.0 + number} for number in range(1000))), "x")
    assert len(str(picture(trend))) < 40_000
    assert trend.thinned == 9
    assert trend.missed == 199


def test_thinning_keeps_the_worst_of_its_neighbours_and_what_was_not_measured() -> None:
    points = [Point(LOST + timedelta(days=number), float(number % 10), 8.5) for number in range(100)]
    points[55] = Point(points[55].at, None, 8.5, open=True)
    found = drawn(points, 10)
    assert [point.value for point in found] == [9.0] * 10
    assert all(point.missed for point in found)
    assert [point.open for point in found].count(True) == 1
    assert drawn(points, 10, least=True)[0].value == 9.0, "a missed one is worse than any other"
    free = [Point(point.at, point.value) for point in points]
    assert [point.value for point in drawn(free, 10, least=True)] == [0.0] * 10


def test_sizes_and_speed_are_of_the_runs_that_have_them(figures: dict[str, Any]) -> None:
    of = runs(
        figures, {"stored": {"usb": [5_000_000, 3]}}, {"stored": {}, "throughput": None}, {"stored": {"usb": [7_000_000, 4]}}
    )
    sizes, speed = trends.sizes(of, "x"), trends.speed(of, "y")
    assert [point.value for point in sizes.lines[0].points] == [5_000_000, 7_000_000]
    assert (len(speed.runs), sizes.open, speed.open) == (2, 0, 0)
    assert "usb is 7.0 MB" in sizes.description
    assert sizes.said(7_000_000) == "7.0 MB"
    assert speed.said(7_000_000) == "7.0 MB/s"


def test_the_library_is_loaded_only_for_a_picture() -> None:
    program = "import muster.report.index, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_page_of_the_same_style_knows_every_colour_of_the_pictures(figures: dict[str, Any]) -> None:
    style = "".join(path.read_text() for path in Path(trends.__file__).with_name("templates").glob("*.css"))
    used = set(
        re.findall(r"var\((--[a-z0-9-]+)\)", str(picture(trends.rto(runs(figures, {}, {"rto": None}, {"rto": 2e3}), "x"))))
    )
    assert len(used) > 8
    for name in used:
        assert style.count(f"{name}:") >= 2, f"{name} is not of both colour schemes"


def test_drills_of_one_run_measure_repositories_together(figures: dict[str, Any]) -> None:
    usb, offsite = {"stored": {"usb": [100, 1]}}, {"stored": {"offsite": [90, 1]}}
    first, second = runs(figures, usb, offsite)
    (later,) = runs(figures, {"stored": {"usb": [200, 2], "offsite": [190, 2]}})
    trend = trends.sizes([first, replace(second, name=first.name), replace(later, name="later")], "x")
    assert {line.name: [point.value for point in line.points] for line in trend.lines} == {
        "usb": [100, 200],
        "offsite": [90, 190],
    }
