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
AWAITED = {
    "packs-unread", "too-few-copies", "one-medium", "no-offsite", "offsite-not-elsewhere", "copies-not-independent",
    "copy-with-the-pi", "copy-behind", "run-failed", "run-incomplete", "snapshot-shrunk", "timer-missing",
    "timer-not-enabled", "timer-masked", "timer-never-ran", "timer-late", "timer-without-next", "path-not-covered",
    "not-covered", "file-differs", "file-missing", "sample-empty", "file-list-missing", "dump-unversioned",
    "database-copied-hot", "sqlite-copied-open", "secret-looking", "escrow-missing", "escrow-differs", "escrow-on-the-pi",
}  # fmt: skip  # checks that are being built


@cache
def modules() -> dict[str, ast.Module]:
    """Every module that can make a finding, parsed; the catalogue itself, plans and documents only speak of them."""
    files = [file.relative_to(SOURCE) for file in SOURCE.rglob("*.py") if not file.name.endswith("_docs.py")]
    makers = [file for file in files if file.parts[0] not in ("catalogue", "plan")]
    return {str(file): ast.parse((SOURCE / file).read_text(encoding="utf-8")) for file in makers}


def makers(module: ast.AST) -> Iterator[ast.Call]:
    """The calls that take the code of a finding first: `Finding(...)`, `flag(...)`, `Cause(...)`, and helpers named alike."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "Cause" or re.search(r"(finding|flag)$", name, re.IGNORECASE):
                yield node


def code_of(call: ast.Call) -> ast.expr | None:
    return call.args[0] if call.args else next((word.value for word in call.keywords if word.arg == "code"), None)


def texts(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def spelt(node: ast.AST) -> set[str]:
    return {text for text in texts(node) if CODE.fullmatch(text)}


def tabled(module: ast.Module) -> set[str]:
    """Codes that stand first in a tuple, or are chosen by name, in a module that makes findings with a code from a variable."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Tuple) and node.elts:
            found |= spelt(node.elts[0]) if isinstance(node.elts[0], ast.Constant) else set()
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
            found |= spelt(node.value) if any(name.lower().endswith(("code", "codes")) for name in names) else set()
    return found


def emitted() -> dict[str, set[str]]:
    """Every code that some module can emit, with the modules that do."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, module in modules().items():
        given = [code for call in makers(module) if (code := code_of(call)) is not None]
        codes = {code for node in given for code in spelt(node)}
        if any(not texts(node) for node in given):
            codes |= tabled(module)
        for code in codes:
            found[code].add(name)
    return found


def severities() -> Iterator[tuple[str, str, str]]:
    """The module, code and severity of each finding that spells out both."""
    for name, module in modules().items():
        for call in makers(module):
            words = [arg.value for arg in call.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if len(words) == 2 and words[1] in SEVERITIES:
                yield name, words[0], words[1]


def test_the_walk_sees_codes_however_they_are_written() -> None:
    assert {
        "smoke-failed",  # in the call itself
        "disk-full",  # in a table of causes
        "unit-skipped",  # in a local table
        "role-missing",  # in a Cause
        "no-manifest",  # over several lines
    } <= set(emitted())


def test_every_code_that_can_be_emitted_is_explained() -> None:
    unknown = {code: sorted(where) for code, where in emitted().items() if code not in catalogue.codes()}
    assert not unknown, "add an entry to muster/catalogue for each, and run `make docs`"


def test_every_code_that_is_explained_can_be_emitted() -> None:
    known = set().union(*(texts(module) for module in modules().values())) | MADE_OF
    assert set(catalogue.codes()) - known <= AWAITED


def test_findings_have_the_severity_that_the_catalogue_says() -> None:
    wrong = [
        (name, code, severity)
        for name, code, severity in severities()
        if code in catalogue.codes() and severity not in (catalogue.entry(code).severity, *catalogue.entry(code).also)
    ]
    assert not wrong


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
