"""Triage: from signs to the incident, the restore point, and what to do first."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from muster.backups.restic import Snapshot
from muster.findings import Finding
from muster.incidents import known
from muster.incidents.bisecting import most_probes
from muster.plan import Plan, load
from muster.triage import SYMPTOMS, Judgement, Sign, judge
from muster.triage.judging import Usable
from muster.triage.looking import found_before
from muster.triage.signs import SEEN
from muster.triage.telling import page
from tests.fake.machine import NOW, write_plan

if TYPE_CHECKING:
    from tests.fake.folder import Folder

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)
EVERYTHING = ("/etc/app", "/var/backups/rows", "/srv/media", "/etc/keys")


def snapshot(identity: str, when: datetime) -> Snapshot:
    return Snapshot(identity * 32, when, "tiny-pi", EVERYTHING, (f"run={when:%H%M}",))


LISTED = {
    name: [snapshot("a1", NOW - 3 * HOUR), snapshot("b2", NOW - 2 * HOUR), snapshot("c3", NOW)] for name in ("usb", "vault")
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load(write_plan(tmp_path))


def judged(plan: Plan, *names: str, usable: Usable | None = None, first_sign: datetime | None = None) -> Judgement:
    signs = [Sign(name) for name in names]
    return judge(plan, signs, usable or Usable(LISTED, {}), now=NOW + HOUR, first_sign=first_sign)


@pytest.mark.parametrize("name", SYMPTOMS)
def test_every_symptom_leads_to_the_incident_of_its_class(plan: Plan, name: str) -> None:
    judgement = judged(plan, name)
    assert judgement.incident is not None
    assert judgement.incident.class_ == SYMPTOMS[name].class_
    assert judgement.first


def test_nothing_said_and_nothing_seen_is_no_judgement(plan: Plan) -> None:
    judgement = judged(plan)
    assert judgement.incident is None
    assert "nothing says what happened" in page(judgement)


def test_a_dead_disk_is_recovered_from_the_latest_restore_point(plan: Plan) -> None:
    judgement = judged(plan, "disk-errors")
    assert judgement.sure
    assert {one.id for _, one in (judgement.point or {}).values()} == {"c3" * 32}
    assert judgement.missing == ""


def test_of_signs_as_strong_the_costlier_incident_wins(plan: Plan) -> None:
    judgement = judged(plan, "disk-errors", "unknown-key", "wrong-data")
    assert judgement.incident is not None
    assert judgement.incident.class_ == "compromise"
    assert {sign.name for sign in judgement.against} == {"disk-errors", "wrong-data"}


def test_a_hint_of_a_dead_disk_does_not_outweigh_wrong_data(plan: Plan) -> None:
    judgement = judged(plan, "does-not-boot", "wrong-data")
    assert judgement.incident is not None
    assert judgement.incident.class_ == "corruption"


def test_after_a_compromise_the_last_restore_point_before_the_first_sign_is_right(plan: Plan) -> None:
    judgement = judged(plan, "unknown-login", first_sign=NOW - HOUR)
    assert {one.id for _, one in (judgement.point or {}).values()} == {"b2" * 32}
    assert judgement.missing == ""
    assert "before the first sign" in judgement.why


def test_a_compromise_without_a_first_sign_says_that_its_restore_point_is_a_guess(plan: Plan) -> None:
    assert "--drill-first-sign" in judged(plan, "unknown-login").missing


def test_wrong_data_says_that_the_good_restore_point_has_to_be_searched(plan: Plan) -> None:
    judgement = judged(plan, "wrong-data")
    assert f"asking {most_probes(3)} of them is enough" in judgement.why
    assert "until the search has run" in judgement.missing


def test_a_repository_that_does_not_open_is_no_source(plan: Plan) -> None:
    shut = Finding("wrong-password", "error", "usb", "The password does not open usb.", "Find it.")
    judgement = judged(plan, "disk-errors", usable=Usable({"vault": LISTED["vault"]}, {"usb": shut}))
    assert judgement.point is None
    assert "no copy but in usb" in judgement.missing


def test_the_page_names_the_restore_point_the_loss_and_the_next_step(plan: Plan) -> None:
    text = page(judged(plan, "disk-errors"))
    assert "tiny-pi: disk-loss." in text
    assert "| rows | usb | c3c3c3c3 |" in text
    assert "| 1 h" in text
    assert 'the section "The disk is gone" of the runbook' in text
    assert "pytest drills/ -k disk-loss" in text


def test_there_is_a_drill_of_each_incident_that_triage_can_name(plan: Plan) -> None:
    drills = "".join(path.read_text() for path in (ROOT / "drills").glob("test_*.py"))
    for name in known(plan):
        assert f'pytest.mark.incident("{name}")' in drills


def test_what_the_last_exercises_found_is_a_sign() -> None:
    found = [("metric-differs", "Metric rows is 3."), ("persistence-found", "A key."), ("rto-missed", "Late.")]
    assert [sign.name for sign in found_before(found)] == ["found-wrong", "found-intruder"]
    assert {sign.name for sign in found_before(found)} <= SEEN.keys()


TEST = """
def test_what_happened(triage):
    judgement = triage.judge()
    assert judgement.incident.class_ == "{}"
"""


def test_it_runs_only_when_it_is_asked_for(folder: Folder) -> None:
    folder.drill("test_triage.py", TEST.format("disk-loss"))
    assert folder.run("-k", "boots or what_happened") == 0
    assert "triage" not in " ".join(folder.log)
    assert folder.run("test_triage.py") == 4
    assert "say what you see with --drill-triage" in folder.output


def test_it_judges_and_keeps_what_it_says(folder: Folder) -> None:
    folder.drill("test_triage.py", TEST.format("disk-loss"))
    assert folder.run("--drill-triage", "does-not-boot") == 0
    assert "tiny-pi: disk-loss, probably." in folder.output
    (kept,) = folder.path.glob("reports/*/triage-tiny.md")
    assert "The Pi does not boot" in kept.read_text()
    assert folder.log[-1] == "destroy"


def test_looking_alone_at_whole_backups_says_nothing_and_says_so(folder: Folder) -> None:
    folder.drill("test_triage.py", TEST.format("disk-loss"))
    assert folder.run("--drill-triage", "look") == 1
    assert "Nothing that can be looked at says what happened" in folder.output


def test_a_sign_that_nobody_knows_is_one_sentence(folder: Folder) -> None:
    assert folder.run("--drill-triage", "dose-not-boot") == 4
    assert '--drill-triage dose-not-boot is no sign; did you mean "does-not-boot"?' in folder.output
    assert folder.run("--drill-triage", "zzz") == 4
    assert "does-not-boot (the Pi does not boot)" in folder.output


def test_the_page_about_triage_names_every_sign() -> None:
    text = (ROOT / "docs" / "triage.md").read_text()
    for name, symptom in SYMPTOMS.items():
        assert f"| `{name}` | {symptom.says} | {symptom.incident or symptom.class_} |" in text
