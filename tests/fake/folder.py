"""A user's own folder with a plan and drills, and pytest run in it on a Pi of scripted answers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import muster.plugin.drilling  # noqa: F401  # here already, or each run in this process would get modules of its own
from muster.journal import read
from muster.record import Record, fold
from tests.fake.machine import write_plan

ROOT = Path(__file__).parents[2]
DRILL = (ROOT / "drills" / "test_recovery.py").read_text()
_CONFTEST = """\
from pathlib import Path
from tests.fake.machine import FakeMachine

def pytest_drill_machine(plan, labels):
    return FakeMachine({answers!r}, log=Path({log!r}), **{options!r})
"""


@dataclass
class Folder:
    """`run` runs pytest in it: in this process unless `subprocess` is given, since that is ten times as fast."""

    pytester: pytest.Pytester
    output: str = ""
    plans: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan()
        self.drill("test_recovery.py", DRILL)
        self.machine()

    @property
    def path(self) -> Path:
        return self.pytester.path

    @property
    def log(self) -> list[str]:
        """What the machines did: prepare, provision, hanging, destroy."""
        path = self.path / "machine.log"
        return path.read_text().split() if path.exists() else []

    def plan(self, name: str = "tiny") -> Path:
        """One more plan."""
        self.plans.append(write_plan(self.path, name, f"plans/{name}.toml"))
        return self.plans[-1]

    def drill(self, name: str, text: str) -> Path:
        """A file of tests."""
        path = self.path / name
        path.write_text(text)
        return path

    def machine(self, answers: dict[str, tuple[int | None, str]] | None = None, *, more: str = "", **options: str | int) -> None:
        """What the Pi answers; `more` is more of the conftest."""
        text = _CONFTEST.format(answers=answers or {}, log=str(self.path / "machine.log"), options=options)
        (self.path / "conftest.py").write_text(text + more)

    def run(self, *arguments: str, subprocess: bool = False) -> int:
        """Run pytest; its exit status. What it printed is in `output`."""
        typed = ["-p", "no:cacheprovider", *arguments]
        if subprocess:
            done = self.pytester.run(sys.executable, "-m", "pytest", *typed, timeout=180)
        else:
            done = self.pytester.runpytest_inprocess(*typed, no_reraise_ctrlc=True)
        self.output = f"{done.stdout}\n{done.stderr}"
        return int(done.ret)

    def line(self, pattern: str) -> str:
        """The one line of the output that matches."""
        found = [line for line in self.output.splitlines() if re.search(pattern, line)]
        assert len(found) == 1, f"{len(found)} lines match {pattern!r}:\n{self.output}"
        return found[0]

    @property
    def journals(self) -> Sequence[Path]:
        """Every journal of every run."""
        return sorted(self.path.glob("reports/*/journal*.jsonl"))

    @property
    def record(self) -> Record:
        """The only drill."""
        (journal,) = self.journals
        return fold(read(journal))

    @property
    def written(self) -> dict[str, str]:
        """The text of every file below reports/, by name; what HTML hides in attributes is unfolded."""
        texts = {}
        for path in sorted(self.path.glob("reports/**/*")):
            if path.is_file():
                text = path.read_text()
                texts[path.name] = text + json.dumps(text).replace("&#34;", '"').replace("&quot;", '"')
        return texts


@dataclass
class Outcomes:
    """The outcomes of a run, as its closing line counts them."""

    output: str

    def __getitem__(self, kind: str) -> int:
        closing = [line for line in self.output.splitlines() if re.search(r" in \d+\.\d+s", line)][-1]
        found = re.search(rf"(\d+) {kind}\b", closing)
        return int(found[1]) if found else 0
