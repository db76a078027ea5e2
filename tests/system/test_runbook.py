"""Somebody follows a runbook on a clean machine: what a drill wrote, the same with a command taken out, and one of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster.machines import engine
from muster.plan import load
from muster.runbook.reading import read
from tests.system import small
from tests.system.breaking import Sample, found, lost, outcome, told
from tests.system.following import Shelf, became, commands, of_a_person, without
from tests.system.running import written_plan

OWN = """\
# When the attic Pi is gone

It is quick, once the card is there. Its repository is on the stick.

1. Flash a card, and boot the Pi from it (8 min)
2. Fetch the stick and the note with the password from the safe (2 min)
3. Become the attic Pi

   ```sh
   echo attic-pi > /etc/hostname && hostname -F /etc/hostname && echo 127.0.1.1 attic-pi >> /etc/hosts
   ```

4. Get the packages

```console
root@raspberrypi:~# apt-get update
root@raspberrypi:~# apt-get install -y python3 restic
Reading package lists... Done
```

5. Fetch what was backed up

```sh
export RESTIC_REPOSITORY={usb} RESTIC_PASSWORD_FILE=/root/note
restic --no-lock restore latest --target / --include /srv --include /var/lib/muster
```

```sh
restic --no-lock restore latest --target / --delete --include /etc/systemd/system
```

6. Start it

```sh
systemctl daemon-reload
systemctl start attic
```
"""


@pytest.fixture(scope="module")
def attic(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A small Pi that is lost, and the runbooks that the drill of its recovery wrote."""
    folder = tmp_path_factory.mktemp("attic")
    pi = small.make(engine.connect(), folder / "plans", "attic")
    secrets = '[runbook]\nsecrets = { "/root/note" = { file = "attic.password" } }\n'
    pi.plan.write_text(f"{pi.plan.read_text()}\n{secrets}")
    shelf = Shelf(pi.plan, folder / "reports")
    assert shelf.wrote.verdict == "recovered", told(shelf.wrote)
    return shelf


@pytest.fixture(scope="module")
def shelf(system: Sample) -> Shelf:
    """What is left of a sample Pi, and the runbooks that the drill of its recovery wrote."""
    home = system.copy("followed")
    shelf = Shelf(written_plan(home), system.out, lost(home))
    assert shelf.wrote.verdict == "recovered", told(shelf.wrote)
    return shelf


@pytest.fixture
def own(attic: Shelf, tmp_path: Path) -> Path:
    """A runbook that the owner of the small Pi wrote."""
    path = tmp_path / "own.md"
    path.write_text(OWN.format(usb=attic.plan.parent / "usb-attic"))
    return path


class TestOfADrill:
    def test_its_script_brings_the_pi_back_by_the_shell_alone(self, attic: Shelf) -> None:
        record = attic.follow(attic.script)
        assert record.verdict == "recovered", told(record)
        assert record.handbook.runbook
        assert record.handbook.runbook.by == attic.wrote.run
        assert len(became(record, "done")) == len(read(attic.script).steps)
        ours = [one.command for one in record.commands if one.step.startswith("runbook") or one.step == "hands"]
        assert not [command for command in ours if command.startswith("restic")]

    def test_its_markdown_does_so_too_when_it_says_no_longer_whose_it_is(self, attic: Shelf) -> None:
        record = attic.follow(attic.markdown, of_a_person)
        assert record.verdict == "recovered", told(record)
        assert record.handbook.runbook
        assert (record.handbook.runbook.by, record.handbook.runbook.format) == ("", "md")

    @pytest.mark.parametrize("step", ["restore:usb/archive", "start:attic"])
    def test_a_command_that_is_taken_out_is_named_with_its_step(self, attic: Shelf, step: str) -> None:
        command = next(command for of, command in commands(read(attic.script)) if of == step)
        record = attic.follow(attic.script, without(f"{command}\nran\n"))
        assert record.verdict == "failed", told(record)
        assert found(record, "runbook-step-missing", step).evidence.splitlines()[0] in command
        assert [one.lacks for one in record.handbook.followed if one.step == step] != [()]

    def test_a_command_that_fails_is_named_and_ends_it(self, attic: Shelf) -> None:
        record = attic.follow(attic.script, lambda text: text.replace('restore "${SNAPSHOT_USB:-latest}"', "restore 0badc0de", 1))
        assert record.verdict == "failed", told(record)
        number = next(step.number for step in read(attic.script).steps if step.step.startswith("restore:usb"))
        assert "0badc0de" in found(record, "runbook-step-failed", f"step {number}").what
        (failed,) = became(record, "failed")
        assert failed.number == number
        assert {step.number for step in became(record, "not reached")} == {
            step.number for step in read(attic.script).steps if step.number > number
        }


class TestOfAPerson:
    def test_it_brings_the_pi_back_and_its_hands_count(self, attic: Shelf, own: Path) -> None:
        record = attic.follow(own)
        assert record.verdict == "recovered", told(record)
        assert [(step.number, step.how, step.outcome) for step in record.handbook.followed] == [
            (1, "by hand", "done"),
            (2, "by hand", "done"),
            (3, "typed", "done"),
            (4, "typed", "done"),
            (5, "typed", "done"),
            (6, "typed", "done"),
        ]
        assert record.rto.measured
        assert record.rto.measured > 600, "ten minutes of hands"

    @pytest.mark.parametrize(
        ("line", "code", "says"),
        [
            (
                "restic --no-lock restore latest --target / --include /srv --include /var/lib/muster",
                "runbook-incomplete",
                "pages",
            ),
            (
                "restic --no-lock restore latest --target / --delete --include /etc/systemd/system",
                "runbook-step-failed",
                "Start it",
            ),
            ("systemctl start attic", "runbook-incomplete", "Nothing in the runbook starts attic"),
            ("root@raspberrypi:~# apt-get install -y python3 restic", "runbook-step-failed", "Fetch what was backed up"),
        ],
    )
    def test_a_line_that_is_taken_out_is_felt_and_told(self, attic: Shelf, own: Path, line: str, code: str, says: str) -> None:
        record = attic.follow(own, without(line))
        assert record.verdict == "failed", told(record)
        assert found(record, code, says=says)


class TestOfTheSample:
    def test_every_check_and_figure_passes_after_its_script_as_it_stands(self, shelf: Shelf) -> None:
        record = shelf.follow(shelf.script)
        assert record.verdict == "recovered", told(record)
        assert len(became(record, "done")) == len(record.handbook.followed) == len(read(shelf.script).steps)
        asked = [step for step in record.steps.values() if step.kind in ("smoke", "metric")]
        assert len(asked) == len(load(shelf.plan).smoke) + len(load(shelf.plan).metrics)
        assert outcome(record, *(step.name for step in asked)) == {"done"}

    def test_a_load_that_somebody_forgot_is_told(self, shelf: Shelf) -> None:
        command = next(command for of, command in commands(read(shelf.script)) if of == "load:readings")
        record = shelf.follow(shelf.script, lambda text: of_a_person(without(f"{command}\nran\n")(text)))
        assert record.verdict == "failed", told(record)
        (failed,) = became(record, "failed")
        assert found(record, "runbook-step-failed", f"step {failed.number}")
        assert "ingest" in failed.title or "readings" in failed.title, told(record)
