"""Every credential of the sample Pi can be replaced: the old one is refused then, the new one works, and all else stays.

The plan's own commands are what is tried, on one living Pi.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from images.sample_pi import PLAN, SamplePi, new_home
from muster.machines import container, engine
from muster.plan import load

ROTATIONS = load(PLAN).rotate
KEYS = "/etc/telemetry/keys"
FILES = f"{KEYS} /etc/telemetry/config /etc/ssh/ssh_host_ed25519_key*"
OLD = "/run/old"
KEEP_OLD = f"rm -rf {OLD}; mkdir -m 700 {OLD}; cp -a --parents {KEYS} /etc/ssh/ssh_host_ed25519_key {OLD}"
SELFTESTS = (
    "login", "stranger", "round-trip", "record", "decrypt", "status", "archive", "database", "tls", "host-key",
)  # fmt: skip
WORKS, REFUSED, NOT_ASKED = 0, 1, 126
CARRIED_OUT = f"timeout 60 sh -c 'while ls {KEYS}/.*.pending >/dev/null 2>&1; do sleep 0.05; done'"


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamplePi]:
    client = engine.connect()
    container.remove_leftovers(client)
    with SamplePi(client, new_home(tmp_path_factory.mktemp("rotate") / "home"), media_mb=2) as living:
        living.run("systemctl stop telemetry-backup.timer")
        living.feed(100)
        yield living


def ended(pi: SamplePi, command: str) -> int:
    """The exit status of a command of the plan, which finds the old credentials where a drill puts them."""
    return int(pi.run(f"export OLD_DIR={OLD}; {{ {command}\n}} >/dev/null 2>&1; echo $?"))


def rights(pi: SamplePi) -> str:
    return pi.run(f"find {FILES} -printf '%p %m %u:%g\\n' | sort")


def digests(pi: SamplePi) -> dict[str, str]:
    listed = pi.run(f"find {KEYS} /etc/ssh/ssh_host_ed25519_key -type f -exec sha256sum {{}} +")
    return {path: digest for digest, path in map(str.split, listed.splitlines())}


def assert_whole(pi: SamplePi) -> None:
    for test in SELFTESTS:
        pi.run(f"telemetry-selftest {test}")
    assert pi.run("systemctl is-system-running", check=False) == "running"


def python(pi: SamplePi, program: str) -> None:
    """Run a piece of the station's own programs."""
    pi.run(f"cd /usr/local/lib/telemetry && python3 -B -c {shlex.quote(program)}")


def interrupt(pi: SamplePi, name: str) -> None:
    """Begin a rotation, and kill all that works on it as soon as it has begun to be carried out."""
    pid = "systemctl show -p MainPID --value telemetry-rotation.service"
    pi.run(
        f"telemetry-rotate {name} >/dev/null 2>&1 & asking=$!\n"
        f"until ls {KEYS}/.{name}.pending >/dev/null 2>&1; do :; done\n"
        f'while [ -e {KEYS}/.{name}.pending ] && [ "$({pid})" = 0 ]; do :; done\n'
        "kill -9 $asking; systemctl kill -s KILL telemetry-rotation.service; true"
    )


def test_every_secret_of_the_plan_is_replaced_by_one_rotation(pi: SamplePi) -> None:
    replaced = [str(path) for rotation in ROTATIONS.values() for path in rotation.secrets]
    assert sorted(replaced) == sorted(digests(pi))


@pytest.mark.parametrize("name", ROTATIONS)
def test_the_old_one_works_until_it_is_replaced_and_is_refused_from_then_on(pi: SamplePi, name: str) -> None:
    rotation = ROTATIONS[name]
    pi.run(KEEP_OLD)
    before, rights_before = digests(pi), rights(pi)
    assert ended(pi, rotation.old_fails) == WORKS
    assert pi.run(rotation.run) == f"rotated {name}"
    assert ended(pi, rotation.old_fails) == REFUSED
    assert ended(pi, rotation.new_works) == WORKS
    after = digests(pi)
    assert {path for path in before if after[path] != before[path]} == {str(path) for path in rotation.secrets}
    assert rights(pi) == rights_before  # and no file more


def test_the_station_is_whole_when_all_of_it_is_replaced(pi: SamplePi) -> None:
    for name in ROTATIONS:
        pi.run(f"telemetry-rotate {name}")
    assert_whole(pi)


def test_values_stand_in_no_log(pi: SamplePi) -> None:
    pi.run(KEEP_OLD)
    pi.run("telemetry-rotate mqtt; telemetry-rotate database")
    values = f"for file in {KEYS}/*.password {OLD}{KEYS}/*.password {OLD}{KEYS}/app.key; do cat $file; echo; done > /run/values"
    assert pi.run(f"{values}; grep -cE '.{{40}}' /run/values") == "9"
    logs = "{ journalctl -o cat; find /var/log -name '*.log' -exec cat {} +; }"
    assert pi.run(f"{logs} | grep -c .") > "0"
    assert pi.run(f"sed -i '/^$/d' /run/values; {logs} | grep -cFf /run/values; rm /run/values") == "0"


class TestRefusal:
    def test_no_answer_is_no_refusal(self, pi: SamplePi) -> None:
        pi.run(KEEP_OLD)
        units = "telemetry-ingest telemetry-recorder telemetry-status mosquitto nginx ssh postgresql@17-main"
        pi.run(f"systemctl stop {units}")
        try:
            asked = [rotation.old_fails for rotation in ROTATIONS.values()]
            assert {command: ended(pi, command) for command in asked} == dict.fromkeys(asked, NOT_ASKED)
        finally:
            pi.run(f"systemctl start {units}")

    def test_an_old_credential_that_is_missing_is_no_refusal(self, pi: SamplePi) -> None:
        pi.run(f"rm -rf {OLD}")
        asked = [rotation.old_fails for rotation in ROTATIONS.values()]
        assert {command: ended(pi, command) for command in asked} == dict.fromkeys(asked, NOT_ASKED)

    def test_one_of_several_that_still_works_is_told(self, pi: SamplePi) -> None:
        pi.run(KEEP_OLD)
        pi.run("telemetry-rotate mqtt")
        pi.run(f"cp {KEYS}/mqtt-recorder.password {OLD}{KEYS}/")
        assert pi.run(f"telemetry-selftest login --old {OLD}") == "still works: the password of recorder"

    def test_a_server_that_was_not_told_still_shows_the_old_key(self, pi: SamplePi) -> None:
        pi.run(KEEP_OLD)
        python(pi, "from telemetry import change, credentials as c; change.begin('tls', c.tls()); change.carry_out('tls')")
        assert "still works: the key of nginx" in pi.run(f"telemetry-selftest tls --old {OLD}")
        pi.run("systemctl start telemetry-rotation.service")
        assert ended(pi, ROTATIONS["tls"].old_fails) == REFUSED


class TestInterruption:
    @pytest.mark.parametrize("name", ROTATIONS)
    def test_a_rotation_that_is_killed_is_carried_out_all_the_same(self, pi: SamplePi, name: str) -> None:
        pi.run(KEEP_OLD)
        interrupt(pi, name)
        pi.run(CARRIED_OUT)
        pi.run("systemctl start telemetry-rotation.service")  # waits for one that is still running
        assert ended(pi, ROTATIONS[name].old_fails) == REFUSED
        assert ended(pi, ROTATIONS[name].new_works) == WORKS

    def test_one_that_has_not_begun_to_be_carried_out_has_changed_nothing(self, pi: SamplePi) -> None:
        pi.run(KEEP_OLD)
        python(pi, "from telemetry import change, credentials; change.begin('mqtt', credentials.mqtt())")
        assert ended(pi, ROTATIONS["mqtt"].old_fails) == WORKS
        assert ended(pi, ROTATIONS["mqtt"].new_works) == WORKS
        assert pi.run("telemetry-rotate mqtt") == "rotated mqtt"
        assert ended(pi, ROTATIONS["mqtt"].old_fails) == REFUSED

    def test_one_that_has_changed_half_of_its_files_goes_on_where_it_was(self, pi: SamplePi) -> None:
        rights_before = rights(pi)
        half = (
            "from telemetry import change, credentials; files = credentials.tls(); change.begin('tls', files)\n"
            "for path in list(files)[:3]: path.with_name(f'.{path.name}.new').rename(path)"
        )
        python(pi, half)
        pi.run("systemctl start telemetry-rotation.service")
        assert_whole(pi)
        assert rights(pi) == rights_before

    def test_every_note_can_be_read_while_they_are_encrypted_anew(self, pi: SamplePi) -> None:
        pi.run(f"{_sql(HOLD)} >/dev/null 2>&1 &")
        pi.run(_until(HOLDING))
        pi.run("telemetry-rotate app-key >/dev/null 2>&1 &")
        pi.run(_until(WAITING))
        pi.run("systemctl kill -s KILL telemetry-rotation.service")
        pi.run("telemetry-selftest round-trip && telemetry-selftest decrypt && telemetry-selftest status")
        pi.run(f"{_sql(LET_GO)} && {CARRIED_OUT}")
        assert pi.run(f"wc -w < {KEYS}/app.key") == "1"
        assert ended(pi, ROTATIONS["app-key"].new_works) == WORKS


HOLD = "begin; select 1 from reading where note is not null for update; select pg_sleep(300)"
HOLDING = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
WAITING = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
LET_GO = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"


def _sql(question: str) -> str:
    return f"telemetry-sql {shlex.quote(question)}"


def _until(question: str) -> str:
    """Wait until a question has an answer."""
    return f"timeout 30 sh -c {shlex.quote(f'until {_sql(question)} | grep -q .; do sleep 0.05; done')}"


class TestFailure:
    def test_a_note_that_nobody_can_open_stops_it_and_no_note_is_changed(self, pi: SamplePi) -> None:
        notes = "select md5(string_agg(note, '' order by id)) from reading where id > 0"
        pi.run("telemetry-sql \"insert into reading (id, at, sensor, value, note) values (-1, now(), 'x', 0, 'rubbish')\"")
        before = pi.run(f'telemetry-sql "{notes}"')
        said = pi.run("telemetry-rotate app-key", check=False)
        why = "the application key does not open the note of reading -1; no note was changed"
        assert said == f"telemetry-rotate: app-key is not rotated: {why}"
        assert pi.run(f'telemetry-sql "{notes}"') == before
        pi.run("telemetry-selftest status")
        pi.run('telemetry-sql "delete from reading where id = -1"')
        assert pi.run("telemetry-rotate app-key") == "rotated app-key"
        assert ended(pi, ROTATIONS["app-key"].new_works) == WORKS

    def test_a_service_that_does_not_come_up_is_one_sentence_and_no_other_rotation_waits_for_it(self, pi: SamplePi) -> None:
        pi.run("mkdir -p /run/systemd/system/telemetry-recorder.service.d")
        pi.run("printf '[Service]\\nExecStartPre=/bin/false\\n' > /run/systemd/system/telemetry-recorder.service.d/x.conf")
        pi.run("systemctl daemon-reload")
        try:
            said = pi.run("telemetry-rotate mqtt", check=False)
            assert said.startswith(
                "telemetry-rotate: mqtt is not rotated: systemctl failed: Job for telemetry-recorder.service failed"
            )
            assert len(said.splitlines()) == 1
            assert pi.run("telemetry-rotate database") == "rotated database"
        finally:
            pi.run("rm -r /run/systemd/system/telemetry-recorder.service.d; systemctl daemon-reload")
        assert pi.run("telemetry-rotate mqtt") == "rotated mqtt"
        assert_whole(pi)


def test_the_role_of_the_status_page_is_there_when_only_a_dump_was_loaded(pi: SamplePi) -> None:
    pi.run("systemctl stop telemetry-status && runuser -u postgres -- dropuser dashboard")
    assert ended(pi, "telemetry-selftest database") != WORKS
    pi.run("systemctl start telemetry-status")
    pi.run("telemetry-selftest database && telemetry-selftest status")
