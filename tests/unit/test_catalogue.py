"""The catalogue knows every finding that the code can make, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from muster import catalogue
from muster.findings_docs import document

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "fixtures" / "muster"
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
MADE_OF = {"rto-missed", "rpo-missed"}  # codes that no module spells out, since they are put together
SEVERITIES = {"error", "unproven", "warning"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module that can make a finding, parsed; the catalogue itself, plans and documents only speak of them."""
    files = [file.relative_to(SOURCE) for file in SOURCE.rglob("*.py") if not file.name.endswith("_docs.py")]
    making = [file for file in files if file.parts[0] not in ("catalogue", "plan")]
    return {str(file): ast.parse((SOURCE / file).read_text(encoding="utf-8")) for file in making}


def texts(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def spelt(node: ast.AST) -> set[str]:
    return {text for text in texts(node) if CODE.fullmatch(text)}


def takers(sources: dict[str, ast.Module]) -> dict[str, int]:
    """Whatever is called with a code: functions with a parameter `code`, classes with a field `code`, and its position."""
    found = {"Finding": 0}
    for node in (node for module in sources.values() for node in ast.walk(module)):
        if isinstance(node, ast.ClassDef):
            names = [
                each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
        elif isinstance(node, ast.FunctionDef):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in ("self", "cls")]
        else:
            continue
        if "code" in names:
            found[node.name] = names.index("code")
    return found


def given(module: ast.Module, taking: dict[str, int]) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls of a module that take a code, and what stands for it."""
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        named = [word.value for word in call.keywords if word.arg == "code"]
        position = taking.get(name, -1)
        if named and name in taking:
            yield call, named[0]
        elif 0 <= position < len(call.args):
            yield call, call.args[position]


def tabled(module: ast.Module) -> set[str]:
    """What may be a code in a module that takes some from variables: first in a tuple, a value of a dict, or called so."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            found |= spelt(node.elts[0])
        elif isinstance(node, ast.Dict):
            found |= {code for value in node.values if isinstance(value, ast.Constant | ast.IfExp) for code in spelt(value)}
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
            found |= spelt(node.value) if any(name.lower().endswith(("code", "codes")) for name in names) else set()
    return found


def emitted(sources: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Every code that some module can emit, with the modules that do."""
    found: dict[str, set[str]] = defaultdict(set)
    taking = takers(sources)
    for name, module in sources.items():
        values = [value for _, value in given(module, taking)]
        codes = {code for value in values for code in spelt(value)}
        if any(isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.Starred) for value in values):
            codes |= tabled(module)
        for code in codes:
            found[code].add(name)
    return found


def severities(sources: dict[str, ast.Module]) -> Iterator[tuple[str, str, set[str]]]:
    """The module and code of each call that spells out a code, with the severities that it names; none if it computes them."""
    taking = takers(sources)
    for name, module in sources.items():
        for call, value in given(module, taking):
            arguments = [*call.args, *(word.value for word in call.keywords)]
            said = {text for each in arguments if isinstance(each, ast.Constant | ast.IfExp) for text in texts(each)}
            for code in spelt(value):
                yield name, code, said & SEVERITIES


@pytest.mark.parametrize(
    "source",
    [
        'raise RecoveryError(Finding("all-new", "error", "here", "what", "fix"))',
        'context.report(Finding(severity="error", code="all-new", where="here", what="what", fix="fix"))',
        'Finding("all-new" if late else "dump-stale", "error", "here", "what", "fix")',
        'def tell(where, code):\n    report(Finding(code, "error", where, "what", "fix"))\ntell("here", "all-new")',
        'class Rule:\n    words: str\n    code: str\nRULES = [Rule("late", "all-new")]',
        'for code, what in (("all-new", "what"), ("dump-stale", "what")):\n    Finding(code, "error", "here", what, "fix")',
        'KINDS = {"late": "all-new"}\nFinding(KINDS[kind], "error", "here", "what", "fix")',
        'code = "all-new" if late else "dump-stale"\nFinding(code, "error", "here", "what", "fix")',
    ],
)
def test_a_new_code_is_noticed_however_it_is_written(source: str) -> None:
    assert "all-new" in emitted({"new.py": ast.parse(source)})


@pytest.mark.parametrize("severity", ['"warning"', '"error" if sure else "warning"'])
def test_a_new_severity_is_noticed(severity: str) -> None:
    source = ast.parse(f'Finding("dump-stale", {severity}, "here", "what", "fix")')
    ((module, code, said),) = severities({"new.py": source})
    assert (module, code) == ("new.py", "dump-stale")
    assert "warning" in said


def test_every_code_that_can_be_emitted_is_explained() -> None:
    unknown = {code: sorted(where) for code, where in emitted(modules()).items() if code not in catalogue.codes()}
    assert not unknown, "add an entry to muster/catalogue for each, and run `make docs`"


def test_every_code_that_is_explained_can_be_emitted() -> None:
    assert not set(catalogue.codes()) - set(emitted(modules())) - MADE_OF


def test_findings_have_the_severity_that_the_catalogue_says() -> None:
    wrong = [
        (name, code, said)
        for name, code, said in severities(modules())
        if code in catalogue.codes() and not said <= {catalogue.entry(code).severity, *catalogue.entry(code).also}
    ]
    assert not wrong


def test_the_catalogue_says_no_severity_that_a_finding_never_has() -> None:
    said: dict[str, set[str]] = defaultdict(set)
    for _, code, spelt_out in severities(modules()):
        said[code] |= spelt_out or SEVERITIES  # one that is computed may be any
    for code in said.keys() & set(catalogue.codes()):
        assert {catalogue.entry(code).severity, *catalogue.entry(code).also} <= said[code], code


def test_no_code_is_explained_twice() -> None:
    every = [entry.code for area in catalogue.AREAS for entry in area.entries]
    assert sorted(every) == sorted(set(every))


@pytest.mark.parametrize("code", catalogue.codes())
def test_an_explanation_is_whole_sentences(code: str) -> None:
    entry = catalogue.entry(code)
    assert CODE.fullmatch(code)
    assert not entry.title.endswith(".")
    for sentence in (entry.means, entry.cause, entry.cure):
        assert sentence[0].isupper() or sentence[0] == "`" or sentence.startswith(("restic", "systemd"))
        assert sentence.endswith(".")
        assert "  " not in sentence


def test_a_code_that_nobody_knows_has_no_entry() -> None:
    with pytest.raises(KeyError):
        catalogue.entry("all-is-well")


class TestTheDocument:
    def test_it_is_the_one_that_the_catalogue_writes(self) -> None:
        on_disk = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
        assert on_disk == document(), "run: python -m muster.findings_docs docs/findings.md"

    def test_every_link_leads_to_a_heading(self) -> None:
        text = document()
        headings = [
            re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines() if line[:1] == "#"
        ]
        links = re.findall(r"\]\(#([^)]+)\)", text)
        assert len(links) == len(catalogue.codes()) + len(catalogue.AREAS)
        assert set(links) <= set(headings)

    def test_every_finding_has_its_cause_and_cure(self) -> None:
        text = document()
        for code in catalogue.codes():
            chapter = text.partition(f"### `{code}`\n")[2].partition("\n#")[0]
            assert "- **Usual cause:** " in chapter, code
            assert "- **Cure:** " in chapter, code
