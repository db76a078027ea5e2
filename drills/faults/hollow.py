"""Dumps of the sample Pi that are whole, new, and worth nothing."""

from muster.faults import fault

READINGS = '"$(ls -d /var/backups/telemetry/readings/readings-* | sort | tail -n 1)"'
EVENTS = '"$(ls -d /var/backups/telemetry/events/events-* | sort | tail -n 1)"'

# The year stands in the header of the archive, two bytes before the name of the database and its length.
YEAR_BEFORE = r"""
import sys
dump = bytearray(open(sys.argv[1], "rb").read())
name = dump.index(b"telemetry")
year = name - 5 - 5 - 5 + 1
assert 100 < dump[year] < 200, dump[:name].hex()
dump[year] -= 1
open(sys.argv[1], "wb").write(dump)
"""


@fault("backup", "dump-hollow")
def the_dump_has_the_schema_alone(bed):
    """Somebody tried --schema-only, and left it in the job: the dump loads, and has not one row."""
    schema = "pg_restore --schema-only -f /tmp/schema.sql $dump; cat /tmp/schema.sql > $dump"
    bed.back_up_again(f"dump={READINGS}; {schema}; touch -d @$AT $dump")
    return "readings"


@fault("backup", "dump-hollow")
def the_dump_is_of_a_file_that_was_not_there(bed):
    """The database had moved: sqlite3 made a new one at the old place, and dumped that."""
    bed.back_up_again(
        f"dump={EVENTS}; rm -f /tmp/new.db; sqlite3 /tmp/new.db 'pragma user_version = 1; vacuum'; test -s /tmp/new.db; "
        "cat /tmp/new.db > $dump; touch -d @$AT $dump"
    )
    return "events"


@fault("backup", "dump-stale")
def an_old_dump_gets_a_new_name_each_day(bed):
    """The dump fails, and the job goes on with the last good one under the name of today."""
    bed.back_up_again(f"dump={READINGS}\npython3 - $dump <<'END'\n{YEAR_BEFORE}END\ntouch -d @$AT $dump")
    return "readings"
