"""Every credential is replaced after a compromise, and each of the two halves of the proof counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill, rows
from muster.errors import MusterError, PlanError
from muster.findings import Finding
from muster.incidents import Incident, credential, incident
from muster.journal import Journal
from muster.plan import Plan, load
from muster.redact import MARK, Redactor
from tests.fake.machine import Answer, FakeMachine, write_plan

KEYS = """
[rotate.app]
run = "rotate-app"
secrets = ["/etc/keys/app.key"]
old_fails = "try-old-app"
new_works = "try-new-app"
"""
CA = """
[rotate.ca]
run = "rotate-ca"
secrets = ["/etc/keys/ca.key"]
old_fails = "try-old-ca"
new_works = "try-new-ca"
"""
NEW = "a-value-that-nobody-has-seen"
Answers = dict[str, Answer | Callable[[str], Answer]]
Findings = list[tuple[str, str]]


class FakePi:
    """Knows which credentials were replaced: of the plan's rotations, and of the keys of repositories."""

    def __init__(self) -> None:
        self.rotated: set[str] = set()
        self.keys = {"usb": ["old"], "vault": ["old"]}
        self.answers: Answers = {
            r"\nrotate-(\w+)\n": self.rotate,
            r"\ntry-old-(\w+)": lambda command: (1, "refused") if self._name("try-old", command) in self.rotated else (0, ""),
            r"\ntry-new-(\w+)": lambda command: (0, "") if self._name("try-new", command) in self.rotated else (1, "unknown"),
            r"-size -64k": lambda _: (0, NEW if self.rotated else "the-old-value"),
            r"key list": self.key_list,
            r"key add": self.key_add,
            r"key remove": self.key_remove,
            r"cat config": lambda command: (0, "{}") if self._opens(command) else (12, "wrong password or no key found"),
        }

    @staticmethod
    def _name(word: str, command: str) -> str:
        return re.findall(rf"\n{word}-(\w+)", command)[0]

    @staticmethod
    def _repository(command: str) -> str:
        return re.findall(r"--repo /run/muster/rekey/(\w+)", command)[0]

    def _opens(self, command: str) -> str:
        password = "new" if ".new --no-cache" in command else "old"
        return password if password in self.keys[self._repository(command)] else ""

    def rotate(self, command: str) -> Answer:
        self.rotated.add(self._name("rotate", command))
        return 0, ""

    def key_list(self, command: str) -> Answer:
        opened = self._opens(command)
        if not opened:
            return 12, "wrong password or no key found"
        held = self.keys[self._repository(command)]
        keys = [
            {
                "current": at == held.index(opened),
                "id": f"{at}-{key}",
                "userName": "root",
                "hostName": "tiny-pi",
                "created": "then",
            }
            for at, key in enumerate(held)
        ]
        return 0, json.dumps(keys)

    def key_add(self, command: str) -> Answer:
        self.keys[self._repository(command)].append("new")
        return 0, "saved"

    def key_remove(self, command: str) -> Answer:
        self.keys[self._repository(command)].pop(int(re.findall(r"remove (\d)-", command)[0]))
        return 0, "removed"


class Rehearsed:
    """A drill of a compromise, with what it found."""

    def __init__(self, drill: Drill, machine: FakeMachine) -> None:
        self.drill = drill
        self.machine = machine
        with suppress(MusterError, Blocked):
            drill.conclude()
        drill.machine.destroy()
        drill.close()
        self.findings = [finding for finding in drill.record.findings if not finding.code.endswith("-missed")]

    @property
    def codes(self) -> Findings:
        return [(finding.code, finding.where) for finding in self.findings]

    def said(self, code: str) -> Finding:
        return next(finding for finding in self.findings if finding.code == code)

    def started(self, step: str) -> int:
        return next(
            at
            for at, event in enumerate(self.drill.journal.events)
            if (event["kind"], event.get("step")) == ("step_started", step)
        )

    def ended(self, step: str) -> int:
        return next(
            at for at, event in enumerate(self.drill.journal.events) if (event["kind"], event.get("step")) == ("step_ended", step)
        )


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else that a compromise asks for, and no time for services to heed what is new."""
    for other in ("persistence", "tryout", "rehearsal"):
        monkeypatch.setattr(f"muster.incidents.{other}.steps", lambda *_: ())
    monkeypatch.setattr(credential, "PATIENCE", 0.0)
    monkeypatch.setattr(credential, "PAUSE", 0.0)


def planned(folder: Path, more: str) -> Plan:
    path = write_plan(folder)
    path.write_text(path.read_text() + more)
    return load(path)


Rehearse = Callable[..., Rehearsed]


@pytest.fixture
def rehearse(tmp_path: Path) -> Rehearse:
    def run(answers: Answers | None = None, more: str = KEYS, pi: FakePi | None = None, **words: object) -> Rehearsed:
        plan = planned(tmp_path, more)
        told = answers or {}
        machine = FakeMachine(told | {key: value for key, value in (pi or FakePi()).answers.items() if key not in told})
        journal = Journal(tmp_path / "journal.jsonl", Redactor())
        return Rehearsed(Drill(plan, compromise(plan, **words), machine, journal, "run", say=lambda _: None), machine)

    return run


def compromise(plan: Plan, **words: object) -> Incident:
    return incident(plan, "compromise", lost_at=datetime.now(UTC), **words)


def test_a_good_rotation_is_proved_from_both_sides(rehearse: Rehearse) -> None:
    rehearsed = rehearse()
    assert rehearsed.findings == []
    record = rehearsed.drill.record
    proofs = {each.name: (each.old_worked, each.old_refused, each.new_works) for each in record.case_file.rotated}
    assert proofs == dict.fromkeys(["app", "usb", "vault"], (True, True, True))
    assert record.verdict == "recovered"


@pytest.mark.parametrize(
    ("answers", "codes", "says"),
    [
        ({r"try-old-app": (0, "")}, [("old-credential-works", "app")], "still works"),
        ({r"try-new-app": (1, "not authorised")}, [("new-credential-refused", "app")], "not authorised"),
        ({r"try-new-app": (127, "not found")}, [("rotation-unproven", "app")], "new credential of app works could not be seen"),
        ({r"\nrotate-app\n": (3, "no disk left")}, [("rotation-failed", "app")], "ended with status 3"),
        ({r"old\); chown": (1, "cannot stat")}, [("rotation-unproven", "app")], "cannot stat"),
        (
            {r"sha256sum -c .*app/digests": (0, "/etc/keys/app.key\n")},
            [("secret-not-rotated", "/etc/keys/app.key")],
            "is the same",
        ),
        ({r"sha256sum -c .*before": (0, "/etc/keys/app.key\n")}, [], ""),
        ({r"sha256sum -c .*before": (0, "/etc/keys/x\n")}, [("secret-not-rotated", "/etc/keys/x")], "no rotation of the plan"),
        ({r"systemctl restart": (0, "")}, [], ""),
    ],
)
def test_what_a_rotation_lacks_is_found(rehearse: Rehearse, answers: Answers, codes: Findings, says: str) -> None:
    rehearsed = rehearse(answers)
    assert rehearsed.codes == codes
    assert all(says in finding.what for finding in rehearsed.findings)


@pytest.mark.parametrize("status", [None, 126, 127, 137])
def test_an_old_credential_that_nobody_could_try_is_not_refused(rehearse: Rehearse, status: int | None) -> None:
    asked = 0

    def answer(_: str) -> Answer:
        nonlocal asked
        asked += 1
        return (0, "") if asked == 1 else (status, "")

    rehearsed = rehearse({r"try-old-app": answer})
    assert rehearsed.codes == [("rotation-unproven", "app")]
    assert rehearsed.drill.record.case_file.rotated[-1].old_refused is None or rehearsed.drill.record.verdict == "not proven"
    assert rehearsed.drill.record.verdict == "not proven"


def test_an_old_credential_that_never_worked_proves_nothing(rehearse: Rehearse) -> None:
    rehearsed = rehearse({r"try-old-app": (1, "no such user")})
    assert rehearsed.codes == [("rotation-unproven", "app")]
    assert "did not work before the rotation" in rehearsed.findings[0].what
    rotated = next(each for each in rehearsed.drill.record.case_file.rotated if each.name == "app")
    assert (rotated.old_worked, rotated.old_refused, rotated.new_works) == (False, None, True)


def test_a_service_gets_the_time_to_heed_a_new_credential(rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential, "PATIENCE", 30.0)
    answers = iter([(1, "starting"), (1, "starting"), *[(0, "")] * 9])
    assert rehearse({r"try-new-app": lambda _: next(answers)}).findings == []


def test_the_new_one_works_before_the_old_one_is_asked_again(rehearse: Rehearse) -> None:
    commands = rehearse().machine.commands
    order = [found[0] for command in commands if (found := re.findall(r"\n(try-\w+-app|rotate-app)", command))]
    assert order == ["try-old-app", "rotate-app", "try-new-app", "try-old-app", "try-new-app", "try-old-app"]


def test_a_service_that_starts_anew_in_between_has_refused_nothing(rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential, "PATIENCE", 0.5)
    old = iter([(0, ""), (1, "connection refused"), *[(0, "")] * 9999])
    new = iter([(0, ""), (1, "connection refused"), *[(0, "")] * 9999])
    rehearsed = rehearse({r"try-old-app": lambda _: next(old), r"try-new-app": lambda _: next(new)})
    assert rehearsed.codes == [("old-credential-works", "app")]


def test_a_service_that_stays_down_after_a_refusal_is_no_proof(rehearse: Rehearse) -> None:
    new = iter([(0, ""), *[(1, "connection refused")] * 99])
    assert rehearse({r"try-new-app": lambda _: next(new)}).codes == [("new-credential-refused", "app")]


def test_an_old_credential_that_comes_back_with_a_restart_is_found(rehearse: Rehearse) -> None:
    pi, restarted = FakePi(), []

    def restart(_: str) -> Answer:
        restarted.append(True)
        return 0, ""

    def old(_: str) -> Answer:
        return (1, "refused") if pi.rotated and not restarted else (0, "")

    rehearsed = rehearse({r"systemctl restart": restart, r"try-old-app": old}, pi=pi)
    assert rehearsed.codes == [("old-credential-works", "app")]
    assert "works again" in rehearsed.findings[0].what


def test_a_rotation_that_another_one_undoes_is_found(rehearse: Rehearse) -> None:
    pi = FakePi()

    def old(_: str) -> Answer:
        return (1, "refused") if pi.rotated == {"ca"} else (0, "")

    assert rehearse({r"try-old-ca": old}, more=KEYS + 'after = ["ca"]\n' + CA, pi=pi).codes == [("old-credential-works", "ca")]


def test_rights_that_a_rotation_changes_are_found(rehearse: Rehearse) -> None:
    listed = iter(["600 22 root root", "644 22 root root"])

    def answer(_: str) -> Answer:
        return 0, f"f {next(listed)} 0.0 /etc/keys/app.key\0"

    rehearsed = rehearse({r"find /etc/keys/app.key -printf": answer})
    assert rehearsed.codes == [("rotation-changes-rights", "/etc/keys/app.key")]
    assert "0644 root:root, and it was 0600 root:root" in rehearsed.findings[0].what


def test_no_value_reaches_the_journal(rehearse: Rehearse) -> None:
    answers: Answers = {r"cat /run/muster/rotated/app/out": (0, f"made {NEW} of the-old-value")}
    rehearsed = rehearse(answers)
    text = rehearsed.drill.journal.path.read_text()
    assert MARK in text
    assert NEW not in text
    assert "the-old-value" not in text


def test_commands_find_the_old_values_and_no_command_line_holds_one(rehearse: Rehearse) -> None:
    commands = rehearse(more=KEYS.replace("[rotate.app]", '[rotate.app]\nuser = "pi"')).machine.commands
    asked = [command for command in commands if "try-old-app" in command]
    assert asked
    assert all(command.startswith("runuser -u pi -- sh -c ") for command in asked)
    assert all("OLD_DIR=/run/muster/rotated/app/old" in command for command in asked)
    assert not [command for command in commands if NEW in command or "the-old-value" in command]


def test_rotations_run_one_after_the_other_as_the_plan_asks(rehearse: Rehearse) -> None:
    rehearsed = rehearse(more=KEYS + 'after = ["ca"]\n' + CA)
    assert rehearsed.findings == []
    assert rehearsed.ended("rotate:ca") < rehearsed.started("rotate:app")
    assert rehearsed.ended("smoke:ping") < rehearsed.started("rotate:ca")
    assert rehearsed.ended("rotate:app") < rehearsed.started("reconnect") < rehearsed.started("again:ping")
    assert rehearsed.ended("again:ping") < rehearsed.started("still-up") < rehearsed.started("boot")


def test_a_rotation_that_fails_keeps_no_other_from_running(rehearse: Rehearse) -> None:
    rehearsed = rehearse({r"\nrotate-ca\n": (1, "broken")}, more=KEYS + 'after = ["ca"]\n' + CA)
    assert rehearsed.codes == [("rotation-failed", "ca")]
    assert rehearsed.drill.record.steps["rotate:app"].outcome == "done"


def test_rotations_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, KEYS + 'after = ["ca"]\n' + CA + 'after = ["app"]\n')
    with pytest.raises(PlanError, match=r"wait for each other: (ca -> app -> ca|app -> ca -> app)"):
        Drill(plan, compromise(plan), FakeMachine(), Journal(tmp_path / "journal.jsonl"), "run")


def test_a_plan_without_rotations_is_not_proven(rehearse: Rehearse) -> None:
    rehearsed = rehearse(more="")
    assert rehearsed.codes == [("no-rotation", "credentials")]
    assert rehearsed.drill.record.verdict == "not proven"


def test_another_incident_rotates_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path, KEYS)
    of = incident(plan, "disk-loss", lost_at=datetime.now(UTC))
    drill = Drill(plan, of, FakeMachine(), Journal(tmp_path / "journal.jsonl"), "run")
    drill.close()
    assert not [name for name in drill.steps if name.startswith(("rotate", "rekey", "again", "reconnect"))]


def test_an_owner_can_accept_a_key_that_cannot_change(rehearse: Rehearse) -> None:
    accepted = (
        '\n[[accept]]\ncode = "secret-not-rotated"\nwhere = "/etc/keys/f*"\nreason = "burnt into the board"\nuntil = 2099-01-01\n'
    )
    rehearsed = rehearse({r"sha256sum -c .*before": (0, "/etc/keys/fused\n")}, more=KEYS + accepted)
    assert rehearsed.findings == []
    assert rehearsed.drill.record.accepted[0].where == "/etc/keys/fused"
    assert rehearsed.drill.record.verdict == "recovered"


class TestClients:
    @staticmethod
    def _after(pi: FakePi, well: Answer, badly: Answer) -> Callable[[str], Answer]:
        return lambda _: badly if pi.rotated else well

    def test_one_that_is_locked_out_is_found(self, rehearse: Rehearse) -> None:
        pi = FakePi()
        rehearsed = rehearse({r"ask-app": self._after(pi, (0, "pong"), (1, "access denied"))}, pi=pi)
        assert rehearsed.codes == [("rotation-locks-out", "app")]
        assert "app was right before the rotations, and is not after them" in rehearsed.findings[0].what
        assert "access denied" in rehearsed.findings[0].what

    def test_one_that_does_not_come_up_again_is_found(self, rehearse: Rehearse) -> None:
        pi = FakePi()
        down = self._after(pi, (0, ""), (91, ""))
        rehearsed = rehearse({r"^read [^\n]*\nuntil systemctl is-active -q app.service": down}, pi=pi)
        assert ("rotation-locks-out", "app") in rehearsed.codes
        assert "does not come up with the new credentials" in rehearsed.said("rotation-locks-out").what

    def test_what_was_wrong_before_is_no_fault_of_a_rotation(self, rehearse: Rehearse) -> None:
        assert rehearse({r"ask-app": (1, "broken")}).codes == [("smoke-failed", "app")]

    def test_what_died_before_is_not_healed_by_starting_it_anew(self, rehearse: Rehearse) -> None:
        pi = FakePi()
        died = self._after(pi, (0, "ActiveState=failed\nNRestarts=0\nResult=signal\n"), (0, "ActiveState=active\nNRestarts=0\n"))
        answers: Answers = {r"systemctl show -p ActiveState,NRestarts,Result app": died}
        assert ("service-died", "app") in rehearse(answers, pi=pi).codes

    def test_only_users_of_what_was_replaced_start_anew(self, rehearse: Rehearse) -> None:
        commands = rehearse().machine.commands
        assert [command for command in commands if "systemctl restart" in command] == ["systemctl restart app.service"]

    def test_what_stands_on_a_user_starts_anew_with_it(self, rehearse: Rehearse) -> None:
        more = '\n[services.page]\nafter = ["app"]\n'
        commands = rehearse(more=KEYS + more).machine.commands
        assert "systemctl restart app.service page.service" in commands

    def test_what_nobody_uses_starts_nothing_anew(self, rehearse: Rehearse) -> None:
        rehearsed = rehearse(more=KEYS.replace("/etc/keys/app.key", "/etc/ssh/ssh_host_ed25519_key"))
        assert rehearsed.findings == []
        assert not [command for command in rehearsed.machine.commands if "systemctl restart" in command]

    def test_one_that_nobody_asks_is_not_proven(self, rehearse: Rehearse) -> None:
        rehearsed = rehearse(more=KEYS + '\n[services.quiet]\nuses = ["keys"]\n')
        assert ("client-not-asked", "quiet") in rehearsed.codes
        assert rehearsed.drill.record.verdict != "recovered"

    def test_one_is_asked_by_the_check_of_what_stands_on_it(self, rehearse: Rehearse) -> None:
        assert rehearse(more=KEYS.replace("/etc/keys/app.key", "/etc/app/app.conf")).findings == []


class TestRepositories:
    def test_the_old_password_of_several_keys_is_removed_from_all(self, rehearse: Rehearse) -> None:
        pi = FakePi()
        pi.keys["usb"] = ["old", "old"]
        assert ("old-credential-works", "usb") not in rehearse(pi=pi).codes
        assert pi.keys["usb"] == ["new"]

    def test_a_key_of_somebody_else_is_told(self, rehearse: Rehearse) -> None:
        pi = FakePi()
        pi.keys["vault"] = ["old", "intruder"]
        rehearsed = rehearse(pi=pi)
        assert rehearsed.codes == [("repository-key-left", "vault")]
        assert "1-intrud of root@tiny-pi" in rehearsed.findings[0].what
        assert rehearsed.drill.record.verdict == "recovered"

    @pytest.mark.parametrize(
        ("answers", "code"),
        [
            ({r"key remove": (0, "removed")}, "old-credential-works"),
            ({r"cat config": (12, "wrong password or no key found")}, "new-credential-refused"),
            ({r"key add": (1, "no space")}, "rotation-failed"),
            ({r"key remove": (1, "no such key")}, "rotation-failed"),
            ({r"cp -r": (1, "no such file")}, "rotation-unproven"),
            ({r"key list": (12, "wrong password or no key found")}, "wrong-password"),
        ],
    )
    def test_what_a_new_password_lacks_is_found(self, rehearse: Rehearse, answers: Answers, code: str) -> None:
        assert sorted(rehearse(answers).codes) == [(code, "usb"), (code, "vault")]

    def test_a_copy_that_fails_otherwise_refuses_no_password(self, rehearse: Rehearse) -> None:
        pi = FakePi()

        def answer(command: str) -> Answer:
            return pi.key_list(command) if "old" in pi.keys[pi._repository(command)] else (1, "input/output error")

        codes = rehearse({r"key list": answer}, pi=pi).codes
        assert {*codes} == {("rotation-unproven", "usb"), ("rotation-unproven", "vault")}

    def test_one_behind_another_backend_is_not_proven(self, rehearse: Rehearse) -> None:
        more = '\n[repositories.cloud]\nurl = "s3:bucket.invalid/pi"\nmedia = "cloud"\npassword = { file = "password" }\n'
        more += '\n[data.more]\nclass = "data"\npaths = ["/srv/more"]\nrepositories = ["usb", "cloud"]\n'
        assert ("rotation-unproven", "cloud") in rehearse(more=KEYS + more).codes

    def test_those_that_are_gone_with_the_pi_need_none(self, tmp_path: Path) -> None:
        more = '\n[repositories.far]\nurl = "sftp:backup@far.invalid:/pi"\nmedia = "disk"\noffsite = true\n'
        more += 'password = { file = "password" }\n'
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace('["vault"]', '["vault", "far"]') + more)
        plan = load(path)
        of = incident(plan, "compromise", lost_at=datetime.now(UTC), lost=["vault"])
        assert [row.name for row in rows(plan, of)["rotation"]] == ["usb", "far"]
        assert [row.name for row in rows(plan, of)["tryout"]] == ["far"]

    def test_the_repository_itself_is_only_read(self, rehearse: Rehearse) -> None:
        commands = [command for command in rehearse().machine.commands if re.search(r"restic .* key (add|remove)", command)]
        assert len(commands) == 4
        assert all("--repo /run/muster/rekey/" in command for command in commands)

    def test_it_is_said_once_that_its_master_key_stays(self, rehearse: Rehearse) -> None:
        assert sum("master key" in note for note in rehearse().drill.record.notes) == 1
