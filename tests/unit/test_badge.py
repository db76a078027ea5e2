"""A badge says what the latest drills said, and never more."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from muster.command import main
from muster.report.badge import Badge, badges, files
from tests.data.demo import passing


def run(verdict: str, day: int, incident: str = "disk-loss", **other: str) -> dict[str, Any]:
    figures = {"plan": "telemetry", "purpose": "recovery", "incident": incident, "verdict": verdict}
    return {**figures, "started_at": f"2026-11-{day:02d}T04:17:00+00:00", **other}


def said(*runs: dict[str, Any]) -> str:
    return badges(runs)["badge"].message


def test_it_says_the_verdict_and_the_day_of_the_latest_drill() -> None:
    assert said(run("failed", 1), run("recovered", 3)) == "recovered 3 Nov 2026"
    assert said(run("recovered", 3), run("failed", 4)) == "failed 4 Nov 2026"


def test_the_worst_of_the_latest_of_each_incident_decides() -> None:
    assert said(run("recovered", 9), run("not proven", 2, "corruption")) == "not proven 2 Nov 2026"
    assert said(run("not proven", 9), run("failed", 2, "corruption")) == "failed 2 Nov 2026"


def test_among_equals_it_is_the_oldest_day_so_that_nothing_looks_fresher_than_it_is() -> None:
    assert said(run("recovered", 9), run("recovered", 2, "corruption")) == "recovered 2 Nov 2026"


def test_an_unknown_verdict_is_never_a_good_one() -> None:
    odd = badges([run("recovered", 9), run("splendid", 2, "corruption")])["badge"]
    assert odd.verdict == "splendid"
    assert odd.colour not in {Badge("", "", "recovered").colour, Badge("", "", "proven").colour}


def test_inspections_do_not_stand_for_recoveries() -> None:
    found = badges([run("proven", 9, "backups", purpose="inspection")])
    assert found["badge"].message == "no drill yet"
    assert (found["backups"].label, found["backups"].message) == ("backups", "proven 9 Nov 2026")


def test_several_plans_have_a_badge_each() -> None:
    found = badges([run("recovered", 9), run("failed", 8, plan="garden")])
    assert {name: badge.message for name, badge in found.items()} == {
        "badge": "failed 8 Nov 2026",
        "badge-garden": "failed 8 Nov 2026",
        "badge-telemetry": "recovered 9 Nov 2026",
    }


@pytest.mark.parametrize("plan", ["../../etc/x", "a/b", "", ".hidden", "x" * 99, "a b"])
def test_a_foreign_name_of_a_plan_names_no_file(plan: str) -> None:
    assert set(files([run("recovered", 9), run("recovered", 9, plan=plan)])) == {
        *("badge.svg", "badge.json", "badge-telemetry.svg", "badge-telemetry.json"),
    }


@pytest.mark.parametrize("verdict", ["recovered", "not proven", "failed"])
def test_the_picture_is_told_in_words_too_and_asks_for_nothing(verdict: str) -> None:
    svg = files([run(verdict, 3)])["badge.svg"]
    root = ET.fromstring(svg)  # noqa: S314  # our own
    assert root.get("role") == "img"
    assert root.get("aria-label") == root[0].text == f"muster: {verdict} 3 Nov 2026"
    assert svg.count("http") == 1  # the name of SVG itself
    assert "<script" not in svg


def test_a_hostile_label_stays_text() -> None:
    root = ET.fromstring(Badge('<a href="x">&', "<script>", "failed").svg())  # noqa: S314  # our own
    assert root.get("aria-label") == '<a href="x">&: <script>'
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "title", "clipPath", "rect", "g", "path", "text"}


def test_white_on_each_colour_is_read_easily() -> None:
    for verdict in ("recovered", "proven", "failed", "not proven", ""):
        assert contrast("#ffffff", Badge("", "", verdict).colour) >= 4.5


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_service_reads_the_same_from_a_file() -> None:
    assert json.loads(files([run("failed", 3)])["badge.json"]) == {
        "schemaVersion": 1,
        "label": "muster",
        "message": "failed 3 Nov 2026",
        "color": "red",
        "isError": True,
    }


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passing(tmp_path / "reports" / "a")
    assert main(["badge", str(tmp_path / "out"), "--reports", str(tmp_path / "reports")]) == 0
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == {"badge.svg", "badge.json"}
    assert "recovered 1 Mar 2026" in (tmp_path / "out" / "badge.svg").read_text()
