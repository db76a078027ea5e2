"""Everything is up, and the data is wrong: each service starts and answers, and only questions about its data tell."""

from __future__ import annotations

from tests.system.breaking import Sample, found, outcome, told

PLAN = "/etc/muster/plan.toml"
ASKED = """
[watermark.alarms]
dataset = "readings"
run = "telemetry-sql 'select max(at) from alarm'"

[invariants.no-reading-twice]
dataset = "readings"
run = "telemetry-sql 'select count(*) - count(distinct (sensor, at)) from reading'"
expect = { matches = "^0$" }
"""
ALARM = "telemetry-sql \"create table alarm as select 1 as id, now() - interval '{age}' as at\""
NO_ALARM = "telemetry-sql 'drop table alarm'"
# Nothing has come in right before the backup, so that all that was sealed had been there to be dumped.
QUIET = "telemetry-sql \"create table kept as table reading; delete from reading where at > now() - interval '3 minutes'\""
LOUD = "telemetry-sql 'insert into reading select * from kept on conflict do nothing; drop table kept'"
SERVICES = ("start:mosquitto", "start:postgresql", "start:ingest", "start:recorder", "start:status", "start:nginx", "still-up")

# As many readings as before, up to the same id, and what came in during the last minute is the first one again and again.
TWICE = """
update reading set (at, sensor, value, note) = (select at, sensor, value, note from reading as other where other.id = 1)
    where at > (select max(at) from reading) - interval '1 minute';
"""
DUMP = """
set -e
export PGOPTIONS="-c client_min_messages=error"
dropdb --if-exists edited; createdb -T template0 edited
pg_dump -Fc telemetry | pg_restore -d edited
psql -qX -v ON_ERROR_STOP=1 -d edited < /tmp/change.sql >&2
pg_dump -Fc edited; dropdb edited
"""


def _dumping(change: str) -> str:
    """The readings are dumped with a `change` (SQL), while what is sealed is that of the living database."""
    files = f"cat > /tmp/change.sql <<'END'\n{change}\nEND\ncat > /tmp/dump.sh <<'END'\n{DUMP}\nEND"
    return f'cp -a {PLAN} /root/plan.toml\n{files}\nsed -i \'s,^dump = "pg_dump.*,dump = "sh /tmp/dump.sh",\' {PLAN}'


def _with_questions(text: str) -> str:
    return text + ASKED


def test_a_drill_whose_units_are_all_active_fails_if_one_table_is_a_day_old(system: Sample) -> None:
    home = system.backed_up("a-table-is-old", ALARM.format(age="1 day"), NO_ALARM)
    record = system.recover(home, change=_with_questions)
    assert outcome(record) == {"done"}, told(record)
    assert record.verdict == "failed"
    assert "by its watermark alarms" in found(record, "rpo-missed", "RPO of readings").what
    assert {finding.code for finding in record.findings} == {"rpo-missed"}, told(record)


def test_partial_data_is_named_while_every_service_works(system: Sample) -> None:
    do = f"{ALARM.format(age='0')}; {QUIET}\n{_dumping(TWICE)}"
    undo = f"mv /root/plan.toml {PLAN}; {LOUD}; {NO_ALARM}"
    record = system.recover(system.backed_up("partial", do, undo), change=_with_questions)
    assert record.verdict == "failed"
    assert "of readings is wrong" in found(record, "invariant-broken", "no-reading-twice", "are up").what
    assert found(record, "watermark-differs", "readings", "did not come back")
    assert outcome(record, *SERVICES, "metric:readings", "watermark:alarms") == {"done"}, told(record)
