"""What a runbook says, from the facts of a drill: the order, the times, who is back when, and which drills prove one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muster.record import Record
from muster.report.runbook.book import Book, book
from muster.report.runbook.choosing import parts
from muster.report.runbook.files import proves
from muster.report.runbook.planned import Planned, planned
from muster.report.runbook.points import variable
from muster.report.runbook.telling import afterwards, needed, places, proof
from tests.data import recovered


def record(tmp_path: Path, **begin: Any) -> Record:  # noqa: ANN401  # any fact of the first event
    return recovered.told(tmp_path / "run" / "journal.jsonl", **begin).told()


@pytest.fixture
def made(tmp_path: Path) -> Book:
    return book(record(tmp_path))


def titles(made: Book) -> list[str]:
    return [line.title for line in made.lines]


def test_what_is_critical_comes_first_and_archives_before_nothing_but_checks(made: Book) -> None:
    assert titles(made) == [
        "Flash the SD card",
        "Name the machine",
        "Install the packages",
        "Fetch the disk and the envelope",
        "Bring back configuration from usb",
        "Start broker",
        "Start page",
        "Bring back the archive",
        "Ask: rows",
        "Ask: login",
    ]


def test_figures_are_asked_before_smoke_checks_which_may_write(made: Book) -> None:
    assert titles(made).index("Ask: rows") < titles(made).index("Ask: login")


def test_hands_that_are_needed_last_come_last(tmp_path: Path) -> None:
    late = [{"before": "verified", "what": "Plug in the siren", "seconds": 60.0}]
    said = titles(book(record(tmp_path, manual=late)))
    assert said.index("Plug in the siren") == said.index("Bring back the archive") + 1


def test_a_manual_step_that_nothing_follows_is_not_lost(tmp_path: Path) -> None:
    known = recovered.TYPED[:3]
    late = [{"before": "verified", "what": "Plug in the siren", "seconds": 60.0}]
    made = book(recovered.told(tmp_path / "run" / "journal.jsonl", known, manual=late).told())
    assert titles(made)[-1] == "Plug in the siren"


def test_times_add_up_with_hands_and_packages_that_the_image_had(made: Book) -> None:
    seconds = {line.title: line.seconds for line in made.lines}
    assert seconds["Install the packages"] == pytest.approx(10 + 30)
    assert seconds["Name the machine"] is None
    assert made.by_hand == pytest.approx(480 + 150)
    assert made.seconds == pytest.approx(480 + 150 + 30 + 7 * 10)


def test_each_service_is_told_with_the_step_after_which_it_runs(made: Book) -> None:
    assert [(each.service, each.number, each.critical) for each in made.back] == [("broker", 6, True), ("page", 7, False)]
    assert made.critical == pytest.approx(480 + 150 + 30 + 10 + 10 + 10)
    assert [line.proved for line in made.lines[-2:]] == [("page",), ("broker",)]


def test_restic_is_listed_as_it_was_called(made: Book) -> None:
    (source,) = made.sources
    assert source.variable == "SNAPSHOT_USB"
    assert source.folder == "/mnt/usb/pi"
    assert source.listing == f"{recovered.RESTIC} snapshots --host pi"
    assert "--no-lock" not in source.key


def test_restic_in_several_lines_is_found_too(tmp_path: Path) -> None:
    several = f'{recovered.RESTIC} \\\n  restore "${{SNAPSHOT_USB:-latest}}" --host pi \\\n  --target /'
    typed = recovered.typed("restore usb", "Bring it back", several)
    (source,) = book(recovered.told(tmp_path / "run" / "journal.jsonl", (typed,)).told()).sources
    assert source.restic == recovered.RESTIC


@pytest.mark.parametrize(("name", "said"), [("usb", "SNAPSHOT_USB"), ("vault-off.site", "SNAPSHOT_VAULT_OFF_SITE")])
def test_a_repository_has_a_variable_that_every_shell_takes(name: str, said: str) -> None:
    assert variable(name) == said


def test_only_steps_that_open_a_repository_need_its_password(made: Book) -> None:
    assert [line.title for line in made.lines if line.opens] == ["Bring back configuration from usb", "Bring back the archive"]


def test_each_class_of_incidents_has_its_rule(made: Book) -> None:
    first, second, third = parts(made)
    assert (first.title, second.title, third.title) == ("The disk is gone", "The data is wrong", "Somebody was here")
    assert "newest restore point" in first.rule
    assert "newest restore point that is good" in second.rule
    assert any(each.command == "SNAPSHOT_USB=1a2b3c4d sh runbook.sh" for each in second.points)
    assert "before the first sign" in third.rule


def test_credentials_are_replaced_in_the_order_of_the_plan_after_a_compromise(made: Book) -> None:
    commands = [each.command for each in parts(made)[2].points]
    assert commands.index("rotate tls") < commands.index("rotate mqtt") < commands.index("selftest login")


def test_an_incident_of_ones_own_comes_first_under_its_own_name(tmp_path: Path) -> None:
    case = {"name": "mould", "class_": "corruption", "section": "Something grew"}
    made = book(recovered.told(tmp_path / "run" / "journal.jsonl", case=case).told())
    assert parts(made)[0].title == "Something grew"
    assert not made.newest


def test_a_secret_is_told_by_both_of_its_places(made: Book) -> None:
    (found,) = places(made)
    assert found.path == "/run/recovery/usb.password"
    assert "file /home/me/usb.password; second place: file /media/envelope/usb.password" in found.text


def test_where_passwords_are_lost_the_envelope_comes_first(tmp_path: Path) -> None:
    (found,) = places(book(recovered.told(tmp_path / "run" / "journal.jsonl", case={"passwords": "escrow"}).told()))
    assert "found in file /media/envelope/usb.password; second place: file /home/me/usb.password" in found.text


def test_what_must_be_at_hand_is_named(made: Book) -> None:
    said = " ".join(each.plainly for each in needed(made))
    assert "pi4" in said
    assert "trixie" in said
    assert "/mnt/usb/pi" in said
    assert "mount -o ro /dev/sda1 /mnt/usb" in said


def test_the_backup_of_the_pi_is_started_again_by_hand(made: Book) -> None:
    assert "systemctl enable --now pi-backup.timer" in [each.command for each in afterwards(made)]
    assert not [line for line in made.lines for command in line.commands if "pi-backup" in command]


def test_the_proof_names_run_machine_and_version(made: Book) -> None:
    said = proof(made)
    assert all(word in said for word in ("the drill run (disk-loss)", "container", "Muster 1.2.3", "2026-03-01 09:00:00 UTC"))


def test_a_drill_that_recovered_proves_a_runbook(tmp_path: Path) -> None:
    assert proves(record(tmp_path))


def test_a_drill_that_failed_proves_none(tmp_path: Path) -> None:
    journal = recovered.told(tmp_path / "run" / "journal.jsonl")
    journal.write("finding", code="x", severity="error", where="pi", what="It is broken.", fix="", evidence="")
    assert not proves(journal.told())


def test_a_drill_that_broke_a_copy_on_purpose_proves_none(tmp_path: Path) -> None:
    assert not proves(recovered.told(tmp_path / "run" / "journal.jsonl", case={"planted": "rm -r /etc"}).told())


def test_a_drill_that_followed_a_runbook_proves_no_other(tmp_path: Path) -> None:
    journal = recovered.told(tmp_path / "run" / "journal.jsonl")
    journal.write("runbook", path="reports/runbook-pi.sh", format="sh", by="")
    assert not proves(journal.told())


def test_a_drill_of_an_older_muster_proves_none(tmp_path: Path) -> None:
    assert not proves(recovered.told(tmp_path / "run" / "journal.jsonl", ()).told())


def test_a_plan_that_cannot_be_read_is_left_out() -> None:
    assert planned("[machine\nos = [redacted]") == Planned()


def test_what_a_plan_says_in_another_shape_is_left_out() -> None:
    said = planned('machine = 3\n[data.x]\npaths = "/etc"\n[rotate.a]\nafter = ["a"]\nrun = 7\n')
    assert (said.os, said.of("x"), said.of("y")) == ("", (), ())
    assert [each.run for each in said.rotations] == [""]
