"""Journals in which every word that comes from a machine, a plan or a person is meant to do harm to whoever shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.data.recovered import CASE, told
from tests.data.told import Told, node

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = (  # what a page has to show, letter by letter
    "<script>window.hacked = 1; alert(1)</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "'><svg onload=window.hacked=1>",
    "</style><style>* { display: none }</style>",
    "</script><script>window.hacked = 1</script>",
    "</textarea></title><!-- ]]> -->",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript:window.hacked=1",
    "`touch /tmp/hacked` $(touch /tmp/hacked)",
    "W" * 5000,
)
UNSEEN = "\x1b[31mred\x1b[0m\x07\u202egpj.exe\u2066"  # of which the marks must not be left
TEXT = " ".join((*SHOWN, UNSEEN))
MOMENT = "2026-03-01T08:00:00+00:00"


def recovered(folder: Path) -> Path:
    """A drill that recovered, with a runbook."""
    typed = {
        "step": "restore usb",
        "title": TEXT,
        "commands": [f"echo '{TEXT}'"],
        "expect": TEXT,
        "check": TEXT,
        "otherwise": TEXT,
    }
    plan = {"plan": TEXT, "about": TEXT, "hostname": TEXT, "machine": TEXT, "versions": {"pytest-muster": TEXT, TEXT: TEXT}}
    manual = [{"before": "provisioned", "what": TEXT, "seconds": 60.0}]
    journal = told(folder / "journal.jsonl", (typed | {"where": TEXT},), {"about": TEXT, "name": TEXT}, **plan, manual=manual)
    journal.write("place", name=TEXT, repository=TEXT, what=TEXT, found=TEXT, second=TEXT)
    journal.write("restore_point", repository=TEXT, url=TEXT, snapshot=TEXT, time=MOMENT, host=TEXT, datasets=[TEXT])
    journal.write("note", text=TEXT)
    journal.close()
    return journal.path


def failed(folder: Path) -> Path:
    """A drill of a compromise that failed, in which a runbook was followed."""
    journal = Told(folder / "journal.jsonl")
    check = node("smoke login", "verified", TEXT) | {"name": TEXT, "subject": TEXT, "needs": [TEXT]}
    journal.drill(
        [check, node("metric rows"), node("never asked")],
        plan=TEXT, about=TEXT, hostname=TEXT, incident=TEXT, machine=TEXT, run=TEXT, versions={"pytest-muster": TEXT},
        services={TEXT: {"rto": 60.0}}, datasets={TEXT: {"class": "state", "rpo": 60.0, "watermark": True}},
        manual=[{"before": TEXT, "what": TEXT, "seconds": 1.0}], limits={"board": TEXT, TEXT: TEXT},
    )  # fmt: skip
    journal.write("case", **CASE | {"class_": "compromise", "name": TEXT, "about": TEXT, "planted": TEXT, "lost": [TEXT]})
    journal.write("happened", at=TEXT, why=TEXT)
    journal.write("chose", why=TEXT)
    journal.write("carried", what=TEXT, seconds=1.0, measured_at=TEXT)
    journal.write("restore_point", repository=TEXT, url=TEXT, snapshot=TEXT, time=MOMENT, host=TEXT, datasets=[TEXT])
    journal.write("restored", dataset=TEXT, files=1, bytes=1)
    journal.write("metric", name="rows", value=TEXT, expected=TEXT, tolerance=TEXT)
    journal.write("watermark", dataset=TEXT, newest=TEXT, manifest=None)
    journal.write("searched", repository=TEXT, points=[{"snapshot": TEXT, "time": MOMENT}])
    answers = [{"question": TEXT, "answer": TEXT, "right": False}]
    probe = {"repository": TEXT, "snapshot": TEXT, "time": MOMENT, "run": TEXT, "good": False, "seconds": 1.0, "reason": TEXT}
    journal.write("probe", **probe, answers=answers)
    journal.write("compared", what=TEXT, against=TEXT, looked=1, differing=1)
    journal.write("rotated", name=TEXT, secrets=[TEXT], old_worked=True, old_refused=False, new_works=None, seconds=1.0)
    journal.write("attempt", repository=TEXT, what=TEXT, refused=False, said=TEXT)
    journal.write("runbook", path=TEXT, format="md", by=TEXT)
    one = {"number": 1, "title": TEXT, "step": TEXT, "how": "typed", "outcome": "failed", "seconds": 1.0}
    journal.write("followed", **one, said=TEXT, lacks=[TEXT])
    journal.write("command", step=TEXT, command=TEXT, exit=1, seconds=1.0, out=TEXT, err=TEXT)
    for accepted in ("", f"{TEXT} (until 2026-12-31)"):
        journal.write("finding", code=TEXT, severity="error", where=TEXT, what=TEXT, fix=TEXT, evidence=TEXT, accepted=accepted)
    journal.write("note", text=TEXT)
    journal.step(TEXT, 1.0, 2.0, "failed", reason=f"because {TEXT}", fix=f"do {TEXT}")
    journal.step("metric rows", 2.0, 3.0, "error", reason=TEXT, fix=TEXT)
    journal.write("ended", how=TEXT)
    journal.close()
    return journal.path


def inspected(folder: Path) -> Path:
    """An inspection in which all is wrong."""
    journal = Told(folder / "journal.jsonl")
    steps = [node("open usb") | {"subject": TEXT}, node("restore usb") | {"subject": f"{TEXT}/{TEXT}"}]
    journal.drill(steps, purpose="inspection", seed=7, plan=TEXT, about=TEXT, hostname=TEXT, machine=TEXT, versions={TEXT: TEXT})
    journal.write("looked", check="open", subject=TEXT, what=TEXT, weaker=TEXT)
    journal.write("packs_read", repository=TEXT, part=1, parts=3)
    journal.write("processes", repository=TEXT, restic=3)
    journal.write("finding", code=TEXT, severity="unproven", where=TEXT, what=TEXT, fix=TEXT, evidence=TEXT)
    journal.step("open usb", 0.0, 1.0, "failed", reason=TEXT, fix=TEXT)
    journal.step("restore usb", 1.0, 2.0, "error", reason=TEXT, fix=TEXT)
    journal.write("ended", how="finished")
    journal.close()
    return journal.path
