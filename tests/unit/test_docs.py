"""What the documentation says can be found, typed and loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muster import catalogue
from muster.faults import Fault
from muster.incidents import incident, known
from muster.plan import load
from muster.plugin import options
from tests.fake.machine import NOW, write_plan

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
INCIDENTS = (ROOT / "docs" / "incidents.md").read_text(encoding="utf-8")


def example(page: str, language: str, having: str) -> str:
    """The first example of a page in this language that has these words in it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return next(block for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if having in block)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings in links."""
    heads = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


class Taken:
    """Stands in for pytest's parser, and remembers the names of options."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def getgroup(self, *_: str) -> Taken:
        return self

    def addoption(self, name: str, **_: Any) -> None:  # noqa: ANN401  # whatever argparse takes
        self.names.append(name)


@pytest.fixture
def taken() -> set[str]:
    parser = Taken()
    options.add(parser)
    return set(parser.names)


def links(page: Path) -> Iterator[str]:
    return (url for url in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if not url.startswith("http"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    for url in links(page):
        file, _, heading = url.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), url
        assert not heading or heading in anchors(there), url


def test_the_readme_has_every_option_in_its_table(taken: set[str]) -> None:
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `--drill-")]
    assert set(re.findall(r"--drill-[\w-]+", " ".join(rows))) == taken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_page_names_an_option_that_is_none(page: Path, taken: set[str]) -> None:
    assert set(re.findall(r"(?<![\w-])--drill-[a-z][\w-]*", page.read_text(encoding="utf-8"))) <= taken


def test_the_page_about_incidents_has_each_with_its_class_and_the_file_of_its_drill(tmp_path: Path) -> None:
    for name, table in known(load(write_plan(tmp_path))).items():
        row = next(line for line in INCIDENTS.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1].replace(" ", "-") == table["class_"]
        assert f'pytest.mark.incident("{name}")' in (ROOT / "drills" / cells[4].strip("`")).read_text(encoding="utf-8")


def test_the_table_and_the_test_of_an_own_incident_describe_the_same_one(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    path.write_text(path.read_text().replace("rows", "events") + example("docs/incidents.md", "toml", "[incidents."))
    marked: dict[str, Any] = {}
    exec(example("docs/incidents.md", "python", "mark.incident"), marked)  # noqa: S102  # our own page
    marker = marked["TestNoTimes"].pytestmark[0]
    own, plain = incident(load(path), "no-times", lost_at=NOW), incident(load(path), *marker.args, lost_at=NOW, **marker.kwargs)
    assert (own.breaks, own.runs, own.restore) == (marked["BREAKS"], 5, "newest-good")
    assert plain == own


def test_the_fault_of_the_documentation_is_one() -> None:
    made: dict[str, Any] = {}
    exec(example("docs/prove.md", "python", "@fault"), made)  # noqa: S102  # our own page
    assert isinstance(made["the_zigbee_backup_is_cut_off"], Fault)


def test_the_drill_of_the_readme_can_be_read_by_python() -> None:
    compile(example("README.md", "python", "def test_"), "README.md", "exec")


def test_what_a_drill_says_without_what_it_needs_is_a_finding() -> None:
    page = (ROOT / "docs" / "your-pi.md").read_text(encoding="utf-8").split("## 4.")[1].split("\n## ")[0]
    said = [code for line in page.splitlines() if "proven |" in line or "failed" in line for code in _codes(line)]
    assert len(said) == 5
    assert set(said) <= set(catalogue.codes())


def _codes(row: str) -> list[str]:
    return re.findall(r"`([a-z]+(?:-[a-z]+)+)`", row.split("|")[3])
