"""What a person types for the steps of a recovery does what the drill did, in any shell, whatever text is in the plan."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from muster.backups import dumps, owners
from muster.backups.manifest import Manifest
from muster.backups.trees import Entry
from muster.drill import Drill
from muster.incidents import Incident, by_hand
from muster.journal import Journal
from muster.plan import load
from muster.steps.by_hand import repositories, shell
from muster.steps.context import Recovering
from tests.fake.machine import _MANIFEST, NOW, SECRET, FakeMachine, write_plan

Typed = dict[str, dict[str, Any]]
Drilled = Callable[..., Typed]


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[Drilled]:
    """Drill the tiny plan, changed by `edit`, on a machine with `answers`; returns what was typed for each step."""
    drills: list[Drill] = []

    def drill(
        answers: Mapping[str, Any] | None = None, edit: Callable[[str], str] = str, incident: Incident | None = None
    ) -> Typed:
        path = write_plan(tmp_path)
        path.write_text(edit(path.read_text()))
        what = incident or Incident("disk-loss", datetime.now(UTC))
        journal = Journal(tmp_path / f"journal-{len(drills)}.jsonl")
        drills.append(Drill(load(path), what, FakeMachine(answers), journal, "run", say=lambda _: None))
        drills[-1].start()
        drills[-1]._graph.release()
        assert drills[-1]._graph.join(30)
        assert drills[-1].untold == ""
        return {event["step"]: event for event in journal.events if event["kind"] == "typed"}

    yield drill
    for each in drills:
        each.machine.destroy()
        each.close()


def run(script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], check=False, text=True, capture_output=True, cwd=cwd)


def everything(typed: Typed) -> list[str]:
    return [command for event in typed.values() for command in (*event["commands"], event["check"]) if command]


class TestARecovery:
    def test_each_step_that_acts_or_asks_is_typed(self, drilled: Drilled) -> None:
        typed = drilled()
        assert set(typed) == {
            *("provision", "list:usb", "list:vault", "restore:usb", "restore:usb/archive", "restore:vault", "accounts"),
            *("units", "start:db", "start:app", "start:web", "load:rows", "metric:rows", "watermark:rows"),
            *("smoke:ping", "smoke:page"),
        } | {"owners:vault"} & set(typed)

    def test_every_command_is_whole_and_right_for_a_shell(self, drilled: Drilled) -> None:
        for command in everything(drilled()):
            assert "" not in [line.strip() for line in command.split("\n")]
            checked = subprocess.run(["sh", "-n", "-c", command], check=False, capture_output=True, text=True)
            assert checked.stderr == ""

    def test_every_step_has_words_for_a_tired_person(self, drilled: Drilled) -> None:
        for event in drilled().values():
            assert event["title"], event
            assert event["expect"].endswith("."), event
            assert event["otherwise"], event

    def test_no_secret_and_no_place_of_the_drill_stands_in_it(self, drilled: Drilled) -> None:
        text = json.dumps(drilled())
        assert "/run/recovery/usb.password" in text
        for word in (SECRET, "the-password-of-restic", "/run/muster", "--json", "--no-cache"):
            assert word not in text

    def test_the_pi_gets_its_name_and_packages(self, tmp_path: Path, drilled: Drilled) -> None:
        drilled(edit=lambda plan: f'{plan}\n[machine]\npackages = ["nginx"]\n')
        lines = (tmp_path / "journal-0.jsonl").read_text().splitlines()
        both = [event for event in map(json.loads, lines) if event["kind"] == "typed" and event["step"] == "provision"]
        assert "echo tiny-pi > /etc/hostname" in both[0]["commands"][0]
        words = both[1]["commands"][0].replace("\\\n", " ").split()
        assert words[words.index("--no-install-recommends") + 1 :][:3] == ["nginx", "openssh-client", "restic"]

    def test_restic_restores_what_the_drill_restored(self, drilled: Drilled) -> None:
        (command,) = drilled()["restore:usb"]["commands"]
        words = shlex.split(command)
        assert words[:6] == [*("restic", "--repo", words[2], "--password-file", "/run/recovery/usb.password", "--no-lock")]
        assert words[6:10] == ["restore", "${SNAPSHOT_USB:-latest}", "--host", "tiny-pi"]
        given = [words[at + 1] for at, word in enumerate(words) if word == "--include"]
        assert given == ["/etc/app", "/var/backups/rows", "/var/lib/muster/manifest.json"]
        assert words.index("--delete") > words.index("--target")

    def test_services_are_started_and_waited_for(self, drilled: Drilled) -> None:
        event = drilled()["start:db"]
        assert "systemctl restart db.service" in event["commands"][0]
        assert "timeout 30 sh -c 'until nc -z -w 2 127.0.0.1 5432" in event["commands"][0]
        assert event["check"] == "nc -z -w 2 127.0.0.1 5432 2>/dev/null"

    def test_a_figure_is_told_with_what_the_drill_saw(self, drilled: Drilled) -> None:
        event = drilled()["metric:rows"]
        assert event["commands"] == ["count-rows"]
        assert event["expect"].startswith("The drill saw 42; the Pi had sealed 42.")

    def test_restore_points_are_listed_the_oldest_first(self, tmp_path: Path, drilled: Drilled) -> None:
        drilled({r"\bsnapshots$": (0, json.dumps([_snapshot("b", 1), _snapshot("a", 5), _snapshot("c", 3, host="other")]))})
        events = map(json.loads, (tmp_path / "journal-0.jsonl").read_text().splitlines())
        listed = next(event for event in events if event["kind"] == "listed" and event["repository"] == "usb")
        assert [one for one, _ in listed["snapshots"]] == ["a" * 64, "b" * 64]

    def test_when_the_pi_backed_itself_up_is_told_as_it_was_sealed(self, tmp_path: Path, drilled: Drilled) -> None:
        timer = {
            "unit": "b.timer",
            "calendars": ["hourly"],
            "persistent": True,
            "randomized_delay_s": 60.0,
            "service_started": NOW.isoformat(),
            "service_ended": (NOW + timedelta(seconds=90)).isoformat(),
        }
        drilled({r"cat /var/lib/muster/manifest.json": (0, json.dumps(_MANIFEST | {"timer": timer}))})
        events = map(json.loads, (tmp_path / "journal-0.jsonl").read_text().splitlines())
        told = next(event for event in events if event["kind"] == "backed_up_by")
        assert (told["unit"], told["calendars"], told["persistent"]) == ("b.timer", ["hourly"], True)
        assert (told["delay"], told["took"]) == (60.0, 90.0)


def _snapshot(letter: str, minutes: int, host: str = "tiny-pi", paths: tuple[str, ...] = ()) -> dict[str, Any]:
    held = list(paths) or ["/etc/app", "/var/backups/rows", "/srv/media", "/etc/keys"]
    taken = (NOW - timedelta(minutes=minutes)).isoformat()
    return {"id": letter * 64, "time": taken, "hostname": host, "paths": held, "tags": ["run=r1"]}


class TestTheRestorePoint:
    def test_one_that_was_asked_for_is_named_and_can_be_changed(self, drilled: Drilled) -> None:
        both = {r"\bsnapshots$": (0, json.dumps([_snapshot("a", 9), _snapshot("b", 1)]))}
        event = drilled(both, incident=Incident("disk-loss", datetime.now(UTC), wanted="a" * 12))["restore:usb"]
        assert '"${SNAPSHOT_USB:-aaaaaaaa}"' in event["commands"][0]
        assert "asked for by name" in event["expect"]

    def test_one_from_before_the_first_sign_says_so(self, drilled: Drilled) -> None:
        both = {r"\bsnapshots$": (0, json.dumps([_snapshot("a", 9), _snapshot("b", 1)]))}
        sign = NOW - timedelta(minutes=5)
        case = Incident("theft", datetime.now(UTC), class_="compromise", restore="before-first-sign", first_sign=sign)
        event = drilled(both, incident=case)["restore:usb"]
        assert '"${SNAPSHOT_USB:-aaaaaaaa}"' in event["commands"][0]
        assert "first sign" in event["expect"]

    def test_the_latest_of_its_own_paths_is_the_latest_whatever_else_was_backed_up_since(self, drilled: Drilled) -> None:
        other = _snapshot("b", 1, paths=("/home",))
        command = drilled({r"\bsnapshots$": (0, json.dumps([_snapshot("a", 9), other]))})["restore:usb"]["commands"][0]
        assert '"${SNAPSHOT_USB:-latest}"' in command
        assert "--path /etc/app --path /var/backups/rows" in command

    def test_two_snapshots_of_one_repository_have_a_variable_each(self, drilled: Drilled) -> None:
        apart = [_snapshot("a", 9, paths=("/etc/app", "/etc/keys")), _snapshot("b", 8, paths=("/var/backups/rows", "/srv/media"))]
        commands = drilled({r"\bsnapshots$": (0, json.dumps(apart))})["restore:usb"]["commands"]
        assert [re.findall(r"SNAPSHOT_\w+:-\w+", command) for command in commands] == [
            ["SNAPSHOT_USB_ETC:-latest"],
            ["SNAPSHOT_USB_ROWS:-latest"],
        ]

    def test_a_snapshot_of_a_folder_above_is_not_asked_for_by_a_path_that_it_does_not_have(self, drilled: Drilled) -> None:
        command = drilled({r"\bsnapshots$": (0, json.dumps([_snapshot("a", 1, paths=("/",))]))})["restore:usb"]["commands"][0]
        assert "--path" not in command
        assert "latest" in command


class TestRepositoriesElsewhere:
    REMOTE = """
[repositories.away]
url = "sftp:backup@nas:/restic/pi"
media = "disk"
password = { file = "password" }
ssh_key = { file = "password" }
known_hosts = "password"

[repositories.cloud]
url = "s3:s3.invalid/pi"
media = "cloud"
password = { file = "password" }
environment = { AWS_SECRET_ACCESS_KEY = { file = "password" } }
"""

    def test_ssh_gets_the_key_and_the_host_keys_that_hands_have_put_there(self, tmp_path: Path) -> None:
        words = shlex.split(self._typed(tmp_path, "away"))
        assert words[:3] == ["restic", "--repo", "sftp:backup@nas:/restic/pi"]
        arguments = shlex.split(words[words.index("-o") + 1].removeprefix("sftp.args="))
        assert arguments[arguments.index("-i") + 1] == "/run/recovery/away.key"
        assert "UserKnownHostsFile=/run/recovery/away.known_hosts" in arguments
        assert not any("Proxy" in word for word in arguments)

    def test_variables_come_from_their_file(self, tmp_path: Path) -> None:
        assert self._typed(tmp_path, "cloud").startswith(". /run/recovery/cloud.env; restic --repo s3:s3.invalid/pi ")

    def _typed(self, tmp_path: Path, name: str) -> str:
        path = write_plan(tmp_path)
        path.write_text(path.read_text() + self.REMOTE)
        return repositories.restic(name, load(path).repositories[name], "snapshots")


HOSTILE = "/srv/it's $(touch x) `y` \\z"


class TestHostileText:
    def test_a_path_is_quoted_for_the_shell_and_for_restic(self, drilled: Drilled) -> None:
        all_of_it = {r"\bsnapshots$": (0, json.dumps([_snapshot("a", 1, paths=("/",))]))}
        typed = drilled(all_of_it, edit=lambda plan: plan.replace('"/srv/media"', json.dumps(HOSTILE)))
        words = shlex.split(typed["restore:usb/archive"]["commands"][0])
        assert words[words.index("--include") + 1] == HOSTILE.replace("\\", r"\\")

    def test_an_expectation_is_quoted(self, drilled: Drilled, tmp_path: Path) -> None:
        typed = drilled({"ask-app": (0, HOSTILE)}, edit=lambda plan: plan.replace('"pong"', json.dumps(HOSTILE)))
        check = typed["smoke:ping"]["check"].replace("$(ask-app)", f"$(echo {shlex.quote(HOSTILE)})")
        assert run(check, cwd=tmp_path).returncode == 0
        assert list(tmp_path.glob("x")) == []

    def test_a_command_of_several_lines_stays_one(self, drilled: Drilled) -> None:
        odd = "ask-app\n\n#: end\nseen 'x'\n```"
        typed = drilled(edit=lambda plan: plan.replace('"ask-app"', json.dumps(odd)))
        (command,) = typed["smoke:ping"]["commands"]
        assert "\n" not in command
        assert run(command.replace("sh -c", "printf %s")).stdout == odd


class TestDumps:
    FILES = (("rows-20260301", 3), ("rows-20260302", 1), ("rows-20251231", 2), ("other-20270101", 9))

    @staticmethod
    def _tree(root: Path, files: Mapping[str, int]) -> dict[str, Entry]:
        for name, modified in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            os.utime(path, (modified, modified))
        return {str(root / name): Entry("file", 0o644, 1, "root", "root", float(at)) for name, at in files.items()}

    @pytest.mark.parametrize(
        "files",
        [
            {"rows-20260301": 3, "rows-20260302": 1, "rows-20251231": 2, "other-20270101": 9},
            {"rows-mon": 3, "rows-tue": 5, "rows-wed": 4, "other": 9},
            {"rows-20260301/toc.dat": 3, "rows-20260301/99.dat": 30, "rows-20260302/toc.dat": 4, "rows-20260302/1.dat": 4},
            {"rows-mon/toc.dat": 3, "rows-mon/99.dat": 30, "rows-tue/toc.dat": 4, "rows-tue/1.dat": 4},
            {"rows-it's $(odd)": 5},
        ],
        ids=["by name", "by time", "folders by name", "folders by time", "odd"],
    )
    def test_the_shell_chooses_the_one_that_the_drill_chose(self, tmp_path: Path, files: dict[str, int]) -> None:
        tree, pattern = self._tree(tmp_path, files), f"{tmp_path}/rows-*"
        newest = dumps.matching(tree, pattern)[-1]
        command = dumps.newest(pattern, newest, by_name=dumps.are_named(tree, pattern))
        assert run(command).stdout == f"{newest}\n"

    def test_one_that_is_not_there_or_empty_is_not_loaded(self, drilled: Drilled, tmp_path: Path) -> None:
        (command,) = drilled()["load:rows"]["commands"]
        here = command.replace("/var/backups/rows", str(tmp_path)).replace("app-load", "cat")
        assert run(here).returncode == 1
        (tmp_path / "rows-1").write_text("")
        assert run(here).returncode == 1
        (tmp_path / "rows-1").write_text("data")
        assert run(here).stdout.endswith("data")


class TestPeople:
    MANIFEST = Manifest(
        hostname="pi",
        sealed_at=NOW,
        users={"root": {"uid": 0, "gid": 0}, "app": {"uid": 900, "gid": 901}, "www-data": {"uid": 33, "gid": 33}},
        groups={"root": 0, "app": 901, "www-data": 33},
    )
    CLEAN = owners.accounts("root:x:0:0::/root:/bin/sh\n\nroot:x:0:\n")
    STUBS = """
groupadd() { case "$*" in *"--gid 901"*) return 4 ;; esac; echo "group $*"; }
useradd() { echo "user $*"; }
"""

    def test_whoever_is_there_already_is_not_made_again(self) -> None:
        script = shell.together(owners.create_missing_by_hand(self.MANIFEST, self.CLEAN))
        assert run(f"getent() {{ true; }}\n{self.STUBS}\n{script}").stdout == ""

    def test_an_id_that_is_taken_is_another_one(self) -> None:
        script = shell.together(owners.create_missing_by_hand(self.MANIFEST, self.CLEAN))
        made = run(f"getent() {{ false; }}\n{self.STUBS}\n{script}")
        assert made.returncode == 0
        assert "group --system app\n" in made.stdout
        assert "--gid app --uid 900 app\n" in made.stdout

    def test_ids_that_every_debian_has_given_stay(self) -> None:
        assert owners.of_names(self.MANIFEST, {"www-data", "app"}, {"www-data", "root"}) == owners.Named({900: "app"}, {})

    def test_who_stands_in_access_lists_is_found_by_name(self) -> None:
        special = owners.special("more\nuser app\ngroup app\ngroup nobody knows\n", self.MANIFEST)
        assert special == owners.Special(owners.Named({900: "app"}, {901: "app"}), more=True)

    def test_files_of_the_app_go_to_the_app_by_name(self, drilled: Drilled) -> None:
        listed = [f"f 600 22 app app {NOW.timestamp()} /etc/keys/app.key\0", f"d 755 0 root root {NOW.timestamp()} /etc/keys\0"]
        typed = drilled({r"find /etc/keys -printf": (0, "".join(listed))})
        (command,) = typed["owners:vault"]["commands"]
        assert "find /etc/keys -uid 900 -fprint0 u900 , -gid 900 -fprint0 g900" in command
        assert "chown -h app < u900" in command
        assert "getfacl" not in command

    def test_a_secret_that_anybody_may_read_is_seen(self, drilled: Drilled, tmp_path: Path) -> None:
        listed = [f"f 600 22 app app {NOW.timestamp()} /etc/keys/app.key\0", f"d 755 0 root root {NOW.timestamp()} /etc/keys\0"]
        check = drilled({r"find /etc/keys -printf": (0, "".join(listed))})["owners:vault"]["check"]
        here = check.replace("/etc/keys", str(tmp_path / "keys"))
        (tmp_path / "keys").mkdir()
        secret = tmp_path / "keys" / "app.key"
        secret.write_text("x")
        secret.chmod(0o600)
        assert run(here).returncode == 0
        secret.chmod(0o644)
        assert run(here).returncode == 1


class TestCredentials:
    ROTATE = """
[rotate.app]
run = "echo new > KEY"
secrets = ["/etc/keys/app.key"]
old_fails = "test \\"$OLD\\" = \\"$(cat KEY)\\""
new_works = "grep -q new KEY && test -f \\"$OLD_DIR/etc/keys/app.key\\""
"""

    @pytest.fixture
    def typed(self, tmp_path: Path) -> dict[str, Any]:
        """What is typed for the rotation, for a key in the folder of the test."""
        key = tmp_path / "app.key"
        key.write_text("old\n")
        path = write_plan(tmp_path)
        path.write_text(path.read_text() + self.ROTATE)
        context = SimpleNamespace(plan=load(path))
        (event,) = by_hand.rotate(cast("Recovering", context), "rotate:app", "app")
        text = json.dumps(event.as_event()).replace("/run/recovery", str(tmp_path / "recovery")).replace("KEY", str(key))
        there = text.replace("/etc/keys/app.key", str(key)).replace(" etc/keys/app.key", f" {str(key).lstrip('/')}")
        return dict(json.loads(there))

    def test_the_new_one_works_and_the_old_one_is_refused(self, typed: dict[str, Any], tmp_path: Path) -> None:
        for command in typed["commands"]:
            assert run(f"set -eu\n{command}").returncode == 0, command
        assert (tmp_path / "app.key").read_text() == "new\n"
        assert run(typed["check"]).returncode == 0

    def test_no_value_stands_in_a_command_line(self, typed: dict[str, Any]) -> None:
        assert not any(re.search(r"\bold\n|OLD=old", command) for command in typed["commands"])
        assert 'OLD="$(cat ' in "\n".join(typed["commands"])

    def test_an_old_one_that_still_works_is_told(self, typed: dict[str, Any], tmp_path: Path) -> None:
        assert run(typed["commands"][0]).returncode == 0
        check = typed["check"].replace("timeout 10", "timeout 1")
        assert (tmp_path / "app.key").read_text() == "old\n"
        assert run(check).returncode == 124
