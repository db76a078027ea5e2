"""Alerts of whole drills, really received: by mail, over HTTP, by a dead man's switch; and none that may not be sent."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fake.machine import SECRET
from tests.fake.receivers import free_port, post, web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake.folder import Folder
    from tests.fake.receivers import Post, Web

TOKEN = "tk_4711aLongTokenOfOurs"  # noqa: S105  # what no output may hold
PASSWORD = "the-password-of-restic"  # noqa: S105  # the same, of the plan
LOGS = ("--log-level=DEBUG", "--log-cli-level=DEBUG", "--log-file=debug.log", "--log-file-level=DEBUG", "-rA")
NO_ROOM = {"systemctl start --no-block db": (91, "no room")}


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as received:
        yield received


@pytest.fixture
def mail() -> Iterator[Post]:
    with post() as received:
        yield received


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch, server: Web) -> None:
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{server.port}/{TOKEN}")
    monkeypatch.setenv("PING", f"http://127.0.0.1:{server.port}/ping/{TOKEN}")
    monkeypatch.setenv("DEAD", f"json://127.0.0.1:{free_port()}/{TOKEN}")
    monkeypatch.setenv("DEAD_PING", f"http://127.0.0.1:{free_port()}/ping/{TOKEN}")


def told(server: Web) -> list[dict[str, str]]:
    """What json:// was told."""
    return [json.loads(request.body) for request in server.got if request.path == f"/{TOKEN}"]


def pinged(server: Web) -> list[str]:
    return [path.removeprefix(f"/ping/{TOKEN}") or "/success" for path in server.paths if path.startswith("/ping")]


def nothing_leaked(folder: Folder, *sent: str) -> None:
    logs = {path.name: path.read_text() for path in folder.path.glob("*.log")}
    for name, text in {"terminal": folder.output, **logs, **folder.written}.items():
        assert TOKEN not in text, name
    for text in sent:
        for secret in (TOKEN, SECRET, PASSWORD):
            assert secret not in text


def test_a_failure_reaches_mail_and_two_kinds_of_web_with_cause_and_cure_and_no_secret(
    folder: Folder, server: Web, mail: Post
) -> None:
    folder.machine({"ask-web": (1, f"{SECRET} and {PASSWORD}")})
    (folder.path / "alerts").write_text(f"# who\n\nntfy://127.0.0.1:{server.port}/{TOKEN}-topic\n{mailto(mail)}\n")
    assert folder.run("--drill-notify", "env:HOOK", "--drill-notify", "file:alerts", "--drill-ping", "env:PING", *LOGS) == 1
    (hook,) = told(server)
    (ntfy,) = [json.loads(request.body) for request in server.got if request.path == "/"]
    (letter,) = mail.got
    assert hook["title"] == ntfy["title"] == letter["subject"] == "FAILED: tiny disk-loss"
    assert hook["type"] == "failure"
    assert letter["to"] == "owner@example.org"
    for text in (hook["message"], ntfy["message"], letter.get_content()):
        assert "tiny-pi did not come back as its plan promises." in text
        assert "- web: Smoke check page ended with status 1, not 0" in text
        assert "-> " in text
        assert re.search(
            r"^Data lost: \d+ min( \d+ s)? \(promised: 1 h\)", text, re.MULTILINE
        )  # more by now than when tests began
        assert "Back after: not measured (promised: 30 min)" in text
        assert f"Report: {folder.path}/reports/" in text
        assert "report.html on " in text
    nothing_leaked(folder, hook["message"], ntfy["message"].replace(TOKEN, ""), letter.as_string())
    assert ntfy["topic"] == f"{TOKEN}-topic"


def mailto(mail: Post) -> str:
    return f"mailto://127.0.0.1:{mail.port}?from=muster@example.org&to=owner@example.org&mode=insecure"


def test_a_test_that_prints_an_address_shows_none_of_it(folder: Folder) -> None:
    lines = ("drill.reach('verified')", "print(os.environ['HOOK'])", "assert not os.environ['HOOK']")
    folder.drill("test_recovery.py", "import os\n\ndef test_it(drill):\n" + "".join(f"    {line}\n" for line in lines))
    for workers in ([], ["-n", "1"]):
        assert folder.run("--drill-notify", "env:HOOK", "-rA", "-vv", "--showlocals", *workers, subprocess=bool(workers)) == 1
        nothing_leaked(folder)
        assert "[redacted]" in folder.output


def test_a_test_that_fails_is_told_even_if_the_recovery_went_well(folder: Folder, server: Web) -> None:
    folder.drill(
        "test_recovery.py", "def test_it(drill):\n    drill.reach('verified')\n    drill.conclude()\n    assert not drill\n"
    )
    assert folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING") == 1
    assert folder.record.verdict == "recovered"
    (hook,) = told(server)
    assert hook["title"] == "FAILED: tiny disk-loss"
    assert "But 1 test of it did not pass." in hook["message"]
    assert "test_recovery.py::test_it[tiny] failed" in hook["message"]
    assert pinged(server) == ["/start", "/fail"]


def test_good_news_comes_only_after_bad_news(folder: Folder, server: Web) -> None:
    for answers, titles in (
        ({}, []),
        (NO_ROOM, ["FAILED: tiny disk-loss"]),
        ({}, ["FAILED: tiny disk-loss", "RECOVERED: tiny disk-loss (before: failed)"]),
        ({}, ["FAILED: tiny disk-loss", "RECOVERED: tiny disk-loss (before: failed)"]),
    ):
        folder.machine(answers)
        folder.run("--drill-notify", "env:HOOK")
        assert [message["title"] for message in told(server)] == titles
    assert told(server)[1]["type"] == "success"


@pytest.mark.parametrize(
    ("on", "told_of"), [("failure", "F"), ("not-proven,recovery", "R"), ("always", "RFR"), ("not-proven", "")]
)
def test_an_owner_says_what_is_worth_a_message(folder: Folder, server: Web, on: str, told_of: str) -> None:
    for answers in ({}, NO_ROOM, {}):
        folder.machine(answers)
        folder.run("--drill-notify", "env:HOOK", "--drill-notify-on", on)
    assert "".join(message["title"][0] for message in told(server)) == told_of


def test_a_drill_that_could_not_be_judged_is_not_proven(folder: Folder, server: Web) -> None:
    folder.machine(engine="No container engine answers at nowhere: start Docker.")
    assert folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING") == 1
    (hook,) = told(server)
    assert (hook["title"], hook["type"]) == ("NOT PROVEN: tiny disk-loss", "warning")
    assert "No container engine answers at nowhere: start Docker." in hook["message"]
    assert pinged(server) == ["/start", "/fail"]


def test_warnings_of_a_library_are_no_business_of_a_drill(folder: Folder, server: Web) -> None:
    options = ["-W", "error", "--drill-notify", "env:HOOK", "--drill-notify-on", "always", "--drill-metrics", "m.prom"]
    assert folder.run(*options, subprocess=True) == 0
    assert len(told(server)) == 1
    assert "Deprecat" not in folder.output


@pytest.mark.parametrize("quiet", [[], ["-q", "-q"], ["-p", "no:terminal"]])
def test_a_receiver_that_is_not_there_is_said_aloud_and_changes_nothing(folder: Folder, quiet: list[str]) -> None:
    for answers, status in (({}, 0), (NO_ROOM, 1)):
        folder.machine(answers)
        options = ["--drill-notify", "env:DEAD", "--drill-notify-on", "always", "--drill-ping", "env:DEAD_PING"]
        assert folder.run(*options, *quiet) == status
        said = " ".join(folder.output.split())
        assert 'disk-loss" could not be sent to the address in variable DEAD: A Connection error occurred' in said
        assert 'The ping "start" could not be sent to the address in variable DEAD_PING: it cannot be reached' in said
        assert f'The ping "{"fail" if status else "success"}" could not be sent' in said
        assert "Traceback" not in folder.output
        nothing_leaked(folder)


def test_what_a_receiver_answers_is_said_aloud_without_the_address(folder: Folder, server: Web) -> None:
    server.statuses = [404, 500, 500, 403]
    folder.machine(NO_ROOM)
    assert folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING", "-q", "-q") == 1
    assert 'The ping "start" could not be sent to the address in variable PING: it answered with status 404.' in folder.output
    assert '"FAILED: tiny disk-loss" could not be sent to the address in variable HOOK: ' in folder.output
    nothing_leaked(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--drill-notify", "env:NOWHERE"], "--drill-notify: The secret in variable NOWHERE is not set or empty"),
        (["--drill-notify", "file:nowhere"], "--drill-notify: The secret in file nowhere is missing"),
        (["--drill-notify", "command:exit 3"], 'The secret in command "exit 3" failed with status 3'),
        (["--drill-notify", f"json://nas/{TOKEN}"], "--drill-notify takes env:NAME, file:PATH or command:PROGRAM"),
        (["--drill-notify", f"env:json://nas/{TOKEN}"], "--drill-notify: what follows env: is no name of a variable"),
        (["--drill-notify", TOKEN], "--drill-notify takes env:NAME, file:PATH or command:PROGRAM"),
        (["--drill-notify", f"command:echo {TOKEN[:4]}://x"], "is none that Apprise knows, or lacks a part"),
        (["--drill-notify-on", "failures"], "--drill-notify-on 'failures' is no occasion; did you mean \"failure\"?"),
        (["--drill-ping", f"https://nas/{TOKEN}"], "--drill-ping takes env:NAME, file:PATH or command:PROGRAM"),
        (["--drill-ping", "env:HOOK"], "--drill-ping: variable HOOK must hold one web address that begins with https://"),
        (["--drill-metrics", "muster.txt"], "must end in .prom: the node exporter reads no other files."),
        (["--drill-metrics", "nowhere/muster.prom"], "nowhere; create it, or name another one."),
    ],
)
def test_what_leads_nowhere_is_known_before_anything_starts(folder: Folder, options: list[str], said: str) -> None:
    assert folder.run(*options) == 4
    assert said in folder.output
    assert folder.log == []
    nothing_leaked(folder)


def test_all_that_leads_nowhere_is_told_at_once(folder: Folder) -> None:
    assert folder.run("--drill-notify", "env:NO_ONE", "--drill-notify", "env:NO_TWO", "--drill-ping", "env:NO_THREE") == 4
    for name in ("NO_ONE", "NO_TWO", "NO_THREE"):
        assert folder.line(f"variable {name} is not set or empty")
    assert folder.line("To drill without telling anybody, use --drill-no-alerts.")


def test_a_whole_drill_pings_start_and_success(folder: Folder, server: Web) -> None:
    assert folder.run("--drill-ping", "env:PING") == 0
    assert pinged(server) == ["/start", "/success"]
    assert server.got[-1].body == "RECOVERED: tiny disk-loss"


def test_a_drill_that_fails_pings_so_with_the_reason(folder: Folder, server: Web) -> None:
    folder.machine(NO_ROOM)
    assert folder.run("--drill-ping", "env:PING") == 1
    assert pinged(server) == ["/start", "/fail"]
    assert server.got[-1].body.startswith("FAILED: tiny disk-loss\n\ntiny-pi did not come back")


@pytest.mark.parametrize("part", [["-k", "boots"], ["test_recovery.py::TestRecovery::test_clean_machine_boots"]])
def test_a_part_of_a_drill_is_no_success_and_no_bad_news(folder: Folder, server: Web, part: list[str]) -> None:
    options = [
        "--drill-ping",
        "env:PING",
        "--drill-notify",
        "env:HOOK",
        "--drill-notify-on",
        "always",
        "--drill-metrics",
        "m.prom",
    ]
    assert folder.run(*options, *part) == 0
    assert server.got == []
    assert "The address in variable PING got no ping: a part of a drill is no proof that the whole goes well." in folder.output
    assert not (folder.path / "m.prom").exists()


def test_a_part_that_every_step_came_back_for_is_no_success_either(folder: Folder, server: Web) -> None:
    assert folder.run("--drill-ping", "env:PING", "-k", "not boots") == 0
    assert folder.record.verdict == "recovered"
    assert pinged(server) == []


def test_a_drill_that_stops_early_by_itself_starts_and_does_not_succeed(folder: Folder, server: Web) -> None:
    folder.machine(hang="ask-app")
    folder.drill("test_recovery.py", "def test_it(drill):\n    drill.reach('restored')\n")
    assert folder.run("--drill-ping", "env:PING", "--drill-notify", "env:HOOK") == 0
    assert pinged(server) == ["/start"]
    assert told(server) == []


def test_a_drill_that_is_interrupted_says_so(folder: Folder, server: Web) -> None:
    folder.machine(hang="app-load", interrupt=int(signal.SIGTERM))
    assert folder.run("--drill-ping", "env:PING", "--drill-notify", "env:HOOK") == 2
    assert pinged(server) == ["/start", "/fail"]
    (hook,) = told(server)
    assert hook["title"] == "NOT PROVEN: tiny disk-loss"
    assert "the drill was interrupted" in hook["message"]


def test_a_run_that_came_to_no_drill_says_so(folder: Folder, server: Web) -> None:
    folder.drill("test_recovery.py", "def test_it(drill:\n")
    assert folder.run("--drill-ping", "env:PING", "--drill-notify", "env:HOOK") == 2
    assert pinged(server) == ["/fail"]
    (hook,) = told(server)
    assert hook["title"] == "NOT PROVEN: tiny"
    assert "The run ended with exit status 2 and left no record of a drill of it" in hook["message"]


def test_a_file_of_figures_that_went_bad_meanwhile_is_said_aloud_and_changes_nothing(folder: Folder) -> None:
    folder.machine(more="\ndef pytest_runtestloop():\n    Path('m.prom').write_text('node_load1 1')\n")
    assert folder.run("--drill-metrics", "m.prom", "-q", "-q") == 0
    said = "muster: The metrics file "
    assert folder.line(said).endswith("m.prom holds metrics of others (node_load1); name a file of its own.")
    assert (folder.path / "m.prom").read_text() == "node_load1 1"


@pytest.mark.parametrize("options", [["--collect-only"], ["--drill-no-alerts"]])
def test_nobody_is_told_of_a_look_or_of_a_run_that_shall_be_silent(folder: Folder, server: Web, options: list[str]) -> None:
    folder.machine(NO_ROOM)
    folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING", "--drill-notify", "env:NOWHERE", *options)
    assert server.got == []
    assert "NOWHERE" not in folder.output
    assert "lerts" not in folder.output


@pytest.mark.parametrize(("end", "status"), [("assert False", 1), ("raise KeyboardInterrupt", 2)])
@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_tests_that_drill_nothing_tell_nobody(folder: Folder, server: Web, end: str, status: int, workers: list[str]) -> None:
    folder.drill("test_recovery.py", f"def test_it():\n    {end}\n")
    assert folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING", *workers, subprocess=bool(workers)) == status
    assert server.got == []


def test_a_folder_that_is_not_there_is_told(folder: Folder, server: Web) -> None:
    assert folder.run("--drill-plan", "plans/tiny.toml", "nowhere", "--drill-notify", "env:HOOK", "--drill-ping", "env:PING") == 4
    assert [message["title"] for message in told(server)] == ["NOT PROVEN: tiny"]
    assert pinged(server) == ["/fail"]


def test_workers_leave_telling_to_their_controller(folder: Folder, server: Web) -> None:
    folder.plan("second")
    folder.machine(NO_ROOM)
    assert folder.run("-n", "2", "--drill-notify", "env:HOOK", "--drill-ping", "env:PING", subprocess=True) == 1
    assert sorted(message["title"] for message in told(server)) == ["FAILED: second disk-loss", "FAILED: tiny disk-loss"]
    assert pinged(server) == ["/start", "/fail"]


def test_a_plan_tells_its_own_people(folder: Folder, server: Web) -> None:
    second = folder.plan("second")
    table = '[notify]\nto = [{ env = "HOOK" }]\non = ["always"]\nping = { env = "PING" }\ntextfile = "second.prom"\n'
    second.write_text(f"{second.read_text()}\n{table}")
    assert folder.run() == 0
    assert [message["title"] for message in told(server)] == ["RECOVERED: second disk-loss"]
    assert pinged(server) == ["/start", "/success"]
    figures = (folder.path / "plans" / "second.prom").read_text()
    assert 'muster_verdict{incident="disk-loss",plan="second",purpose="recovery",verdict="recovered"} 1.0' in figures
    assert "tiny" not in figures


def test_one_receiver_that_both_name_gets_one_message(folder: Folder, server: Web) -> None:
    folder.plans[0].write_text(folder.plans[0].read_text() + '\n[notify]\nto = [{ env = "HOOK" }]\nping = { env = "PING" }\n')
    folder.machine(NO_ROOM)
    folder.run("--drill-notify", "env:HOOK", "--drill-ping", "env:PING")
    assert len(told(server)) == 1


def test_what_breaks_in_the_telling_itself_changes_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("muster.alerts.message.headline", broken)
    assert folder.run("--drill-notify", "env:HOOK", "-q", "-q") == 0
    assert "Alerts broke in Muster itself, and not everybody may have got theirs: ZeroDivisionError('oh')" in folder.output
    assert "Traceback" not in folder.output
