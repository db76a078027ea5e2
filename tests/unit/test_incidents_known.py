"""An incident is what its name, the plan and a test say of it; what cannot be rehearsed is one sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from muster.errors import PlanError
from muster.incidents import Incident, incident, known
from muster.incidents.incident import nothing_left
from muster.plan import Plan, load
from muster.recovery import sources
from tests.fake.machine import write_plan

if TYPE_CHECKING:
    from tests.fake.folder import Folder

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OFFSITE = """
[repositories.away]
url = "sftp:backup@away:/restic"
media = "disk"
offsite = true
password = { file = "password" }

[repositories.vault-away]
url = "sftp:backup@away:/vault"
media = "disk"
offsite = true
password = { file = "password" }
"""


def plan(folder: Path, more: str = "", *, offsite: bool = False) -> Plan:
    path = write_plan(folder)
    text = path.read_text()
    if offsite:
        text = text.replace('repositories = ["vault"]', 'repositories = ["vault", "vault-away"]')
        text = text.replace("[data.etc]", f"{OFFSITE}\n[data.etc]", 1)
    path.write_text(f"{text}\n{more}")
    return load(path)


def made(of: Plan, name: str, **words: Any) -> Incident:  # noqa: ANN401  # what describes one
    return incident(of, name, lost_at=NOW, **words)


class TestWhatIsKnown:
    def test_the_depths_of_a_disk_loss_differ_in_what_is_lost(self, tmp_path: Path) -> None:
        whole = plan(tmp_path, offsite=True)
        assert made(whole, "disk-loss").lost == ()
        assert made(whole, "site-loss").lost == ("usb", "vault")
        assert made(whole, "password-loss").passwords == "escrow"
        assert {made(whole, name).restore for name in ("disk-loss", "site-loss", "password-loss")} == {"latest"}

    def test_ransomware_takes_all_that_the_pi_could_write_to_and_is_a_compromise(self, tmp_path: Path) -> None:
        of = made(plan(tmp_path, offsite=True), "ransomware")
        assert (of.class_, of.lost, of.restore) == ("compromise", ("usb", "vault"), "before-first-sign")

    def test_a_table_of_the_plan_is_an_incident_and_comes_last(self, tmp_path: Path) -> None:
        own = plan(tmp_path, '[incidents.drift]\nclass = "corruption"\nabout = "The sensor drifts"\nmerge = true\n')
        assert list(known(own))[-1] == "drift"
        of = made(own, "drift")
        assert (of.class_, of.restore, of.about, of.merge) == ("corruption", "newest-good", "The sensor drifts", True)

    def test_a_table_changes_one_that_is_known_only_where_it_says_something(self, tmp_path: Path) -> None:
        own = plan(tmp_path, '[incidents.password-loss]\nclass = "disk-loss"\nabout = "The NAS is gone"\n')
        of = made(own, "password-loss")
        assert (of.about, of.passwords) == ("The NAS is gone", "escrow")

    def test_a_test_can_describe_one_in_words(self, tmp_path: Path) -> None:
        words = {"class_": "corruption", "lost": ["usb"], "breaks": "rm -rf /", "runs": 3, "restore": "newest-good"}
        of = made(plan(tmp_path, offsite=True), "flood", **words)
        assert (of.class_, of.lost, of.breaks, of.runs) == ("corruption", ("usb",), "rm -rf /", 3)

    def test_a_time_in_words_is_a_time(self, tmp_path: Path) -> None:
        of = made(plan(tmp_path), "visit", class_="compromise", first_sign="2026-11-20T03:12:00")
        assert of.first_sign == datetime(2026, 11, 20, 3, 12, tzinfo=UTC)


class TestWhatMeansNothing:
    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ({}, 'No incident is called "flud"; did you mean "flood"?'),
            ({"class_": "weather"}, "The incident flud: .*weather.* is none of disk-loss, corruption, compromise"),
            ({"class_": "corruption", "lots": ["usb"]}, "flud: .*lots: is no key of this table"),
            ({"class_": "corruption", "runs": "three"}, "flud: .*runs: must be a whole number"),
            ({"class_": "corruption", "runs": 0}, "flud: .*runs: must be 1 or more"),
            ({"class_": "corruption", "lost": ["ubs"]}, 'flud: ubs is no repository of tiny; did you mean "usb"?'),
            ({"class_": "corruption", "lost": "usb"}, "flud: .*lost: must be a list"),
            ({"class_": "compromise", "first_sign": "yesterday"}, "flud: .*first_sign: .*must be a day and a time"),
            ({"class_": "compromise", "restore": "newest"}, "flud: .*restore: .* is no restore point"),
        ],
    )
    def test_it_is_one_sentence(self, tmp_path: Path, words: dict[str, Any], sentence: str) -> None:
        own = plan(tmp_path, '[incidents.flood]\nclass = "disk-loss"\n')
        with pytest.raises(PlanError, match=sentence):
            made(own, "flud", **words)


class TestNothingLeft:
    def test_an_incident_that_takes_every_copy_is_said_in_one_sentence(self, tmp_path: Path) -> None:
        local = plan(tmp_path)
        finding = nothing_left(local, made(local, "site-loss"))
        assert finding is not None
        assert (finding.code, finding.severity, finding.where) == ("nothing-left", "error", "tiny")
        assert finding.what == (
            "Nothing would be left of etc, rows, media and keys: there is no copy but in usb and vault, which are lost with the "
            "Pi in this incident (site-loss)."
        )

    def test_one_dataset_without_another_copy_is_named_alone(self, tmp_path: Path) -> None:
        part = plan(tmp_path, offsite=True)
        finding = nothing_left(part, made(part, "theft", class_="disk-loss", lost=["vault", "vault-away"]))
        assert finding is not None
        assert finding.where == "keys"

    def test_a_copy_that_outlives_it_is_enough(self, tmp_path: Path) -> None:
        whole = plan(tmp_path, offsite=True)
        assert nothing_left(whole, made(whole, "site-loss")) is None
        assert set(sources(whole, (), ("usb", "vault")).values()) == {"away", "vault-away"}


class TestTheDrill:
    def test_of_a_site_without_another_fails_with_that_sentence_and_makes_no_machine(self, folder: Folder) -> None:
        folder.drill("test_recovery.py", _DRILL.format(name="site-loss"))
        assert folder.run() == 1
        assert "Nothing would be left of etc, rows, media and keys" in folder.output
        assert "Traceback" not in folder.output
        assert folder.record.verdict == "failed"
        assert [finding.code for finding in folder.record.findings] == ["nothing-left"]
        assert "provision" not in folder.log

    def test_of_lost_passwords_fails_where_there_is_no_second_place(self, folder: Folder) -> None:
        folder.drill("test_recovery.py", _DRILL.format(name="password-loss"))
        assert folder.run() == 1
        assert [finding.code for finding in folder.record.findings] == ["no-escrow"]
        assert folder.record.verdict == "failed"
        assert "provision" not in folder.log

    def test_of_lost_passwords_reads_the_second_place_alone(self, folder: Folder) -> None:
        path = folder.plans[0]
        second = 'password = { file = "gone" }\nescrow = { file = "password" }'
        path.write_text(path.read_text().replace('password = { file = "password" }', second))
        folder.drill("test_recovery.py", _DRILL.format(name="password-loss"))
        assert folder.run() == 0, folder.output
        assert folder.record.verdict == "recovered"

    @pytest.mark.parametrize("second", ["", 'escrow_environment = { PI_TOKEN = { file = "password" } }'])
    def test_of_lost_passwords_wants_a_second_place_for_variables_too(self, folder: Folder, second: str) -> None:
        path = folder.plans[0]
        places = f"""password = {{ file = "gone" }}
escrow = {{ file = "password" }}
environment = {{ PI_TOKEN = {{ file = "gone-too" }} }}
{second}"""
        path.write_text(path.read_text().replace('password = { file = "password" }', places))
        folder.drill("test_recovery.py", _DRILL.format(name="password-loss"))
        assert folder.run() == (0 if second else 1), folder.output
        assert folder.record.verdict == ("recovered" if second else "failed")
        assert second or "The PI_TOKEN of usb is kept nowhere" in folder.output

    def test_of_an_incident_that_nobody_knows_is_one_sentence_and_no_pass(self, folder: Folder) -> None:
        folder.drill("test_recovery.py", _DRILL.format(name="site-los"))
        assert folder.run() == 1
        assert 'No incident is called "site-los"; did you mean "site-loss"?' in folder.output
        assert "Traceback" not in folder.output


_DRILL = """
import pytest

@pytest.mark.incident("{name}")
def test_it(drill):
    drill.conclude()
"""


class TestEncrypted:
    GONE = (10, "Fatal: repository does not exist: unable to open config file: stat config: no such file or directory")

    @pytest.mark.parametrize(
        ("strange", "code"),
        [
            ("config.locked\ndata/00/00ff.locked\n", "repository-damaged"),
            ("READ-ME.txt\n", "no-repository"),  # one file of somebody's does not make a repository another's
            ("", "no-repository"),
        ],
    )
    def test_an_encrypted_repository_is_not_taken_for_an_empty_disk(self, folder: Folder, strange: str, code: str) -> None:
        folder.machine({r"\bsnapshots$": self.GONE, r"grep -Ev": (0, strange)})
        assert folder.run("-k", "restore_point") == 1
        assert {finding.code for finding in folder.record.findings} == {code}
        assert ("recover from a copy that was out of reach" in folder.output) == (code == "repository-damaged")
