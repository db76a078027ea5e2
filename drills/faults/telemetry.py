"""Faults of the sample Pi alone: its database, its services, its certificates. An owner's own are written like these."""

from muster.faults import fault

READINGS = '"$(ls -d /var/backups/telemetry/readings/readings-* | sort | tail -n 1)"'
EVENTS = '"$(ls -d /var/backups/telemetry/events/events-* | sort | tail -n 1)"'
KEYS = "/etc/telemetry/keys"
UNITS = "/etc/systemd/system"
SITE = "/etc/nginx/sites-available/telemetry"

SERVER = r"""
export PATH=/usr/lib/postgresql/17/bin:$PATH PGHOST=/tmp/server PGOPTIONS="-c client_min_messages=error"
as_postgres() { runuser -u postgres -- "$@"; }
if [ ! -d /tmp/server ]; then
    install -d -o postgres -g postgres -m 700 /tmp/server
    as_postgres initdb -D /tmp/server/data -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
    sed -i -e "1i unix_socket_directories = '/tmp/server'" -e "1i listen_addresses = ''" -e '1i fsync = off' \
        /tmp/server/data/postgresql.conf
    as_postgres pg_ctl -D /tmp/server/data -l /tmp/server/log -w start >/dev/null
    as_postgres createuser telemetry
fi
as_postgres dropdb --if-exists telemetry
as_postgres createdb -O telemetry -T template0 telemetry
as_postgres pg_restore -d telemetry --exit-on-error < $dump
"""

WITHOUT_WAL = """
cp $dump /tmp/live.db
sqlite3 /tmp/live.db 'delete from event where id > (select max(id) - 30 from event)'
sqlite3 /tmp/live.db 'pragma journal_mode = wal' >/dev/null
cat /tmp/live.db > $dump
"""

A_DAY_AGO = "update event set at = strftime('%Y-%m-%dT%H:%M:%fZ', at, '-1 day')"


def edit(bed, change, write="pg_dump -Fc -Z none telemetry"):
    """Back the Pi up with a dump in which a change (SQL) was made; `write` dumps it, on standard output."""
    bed.back_up_again(
        f'dump={READINGS}\n{SERVER}\nas_postgres psql -qX -v ON_ERROR_STOP=1 -d telemetry -c "{change}"\n'
        f'as_postgres sh -c "{write}" > /tmp/new.dump\ncat /tmp/new.dump > $dump'
    )


def loaded_by_psql(table):
    """A load that goes on after an error, and ends with 0."""
    readings = table["data"]["readings"]
    readings["load"] = readings["load"].replace("pg_restore -d telemetry --exit-on-error", "psql -q -d telemetry")


@fault("backup", "metric-differs", caught_by="drill")
def the_newest_readings_are_missing(bed):
    """The dump loads, and the newest rows are not in it."""
    edit(bed, "delete from reading where id > (select max(id) - 20 from reading)")
    return "readings"


@fault("backup", "metric-differs", caught_by="drill")
def the_values_are_wrong(bed):
    """There are as many readings as before, and half of them say something else."""
    edit(bed, "update reading set value = value + 1 where id % 2 = 0")
    return "sum"


@fault("backup", "invariant-broken", caught_by="drill")
def counts_and_sums_are_right_and_values_are_not(bed):
    """A faulty cable: half of some readings are far too high and half as much too low, so that no figure of all tells."""
    edit(bed, "update reading set value = value + case when id % 2 = 0 then 5000 else -5000 end where id between 11 and 20")
    return "plausible"


@fault("backup", "rpo-missed", caught_by="drill")
def one_table_is_a_day_old(bed):
    """Nothing was stored in one table since yesterday; all else is new, and every unit is active."""
    bed.back_up_again(f'sqlite3 {EVENTS} "{A_DAY_AGO}"')
    return "RPO of events"


@fault("recovery", "metric-differs", caught_by="drill")
def a_sequence_is_behind(bed):
    """All rows are back, and the next one would get a number that is taken."""
    edit(bed, "alter table reading alter column id restart with 1")
    return "newest-ids"


@fault("drill", "metric-differs", caught_by="drill")
def the_table_is_empty(bed):
    """The database comes back with its tables and without one row."""
    edit(bed, "delete from reading")
    return "readings"


@fault("backup", "role-missing", caught_by="drill")
def a_role_is_missing(bed):
    """The dump gives rights to a role that a clean server does not have."""
    make = "do \\$\\$ begin create role grafana; exception when duplicate_object then null; end \\$\\$"
    edit(bed, f"{make}; grant select on reading to grafana")
    return "readings"


@fault("backup", "dump-damaged")
def a_plain_dump_was_cut_off(bed):
    """A dump in plain SQL ends in the middle; psql restores half of the rows and exits with 0."""
    bed.change_plan(loaded_by_psql)
    edit(bed, "select 1", "pg_dump telemetry | head -c 9000")
    return "readings"


@fault("recovery", "load-failed", caught_by="drill")
def a_plain_dump_has_an_error(bed):
    """Psql goes on after an error in the dump, and exits with 0."""
    bed.change_plan(loaded_by_psql)
    edit(bed, "select 1", "echo 'select 1 / 0;'; pg_dump telemetry")
    return "readings"


@fault("backup", "metric-differs", caught_by="drill")
def sqlite_was_copied_without_its_wal(bed):
    """The events were copied as a file: sound by all checks, and the newest of them were in the -wal."""
    bed.back_up_again(f"dump={EVENTS}\n{WITHOUT_WAL}")
    return "events"


@fault("recovery", "unit-failed", caught_by="drill")
def a_key_is_gone_from_the_pi(bed):
    """The key of the notes was lost on the Pi long ago; whoever has it in memory runs until the next start."""
    # Without its restarts: whether systemd gives up before the drill does, is a question of how busy the host is.
    bed.back_up_again(f"rm {KEYS}/app.key; sed -i '/^Restart/d' {UNITS}/telemetry-ingest.service")
    return "ingest"


@fault("recovery", "host-key-refused", caught_by="drill")
def the_host_key_is_too_open(bed):
    """The SSH host key can be read by everybody: sshd refuses it, and clients refuse the recovered Pi."""
    bed.change_plan(lambda table: table["data"]["keys"].pop("mode"))
    bed.back_up_again("chmod 0644 /etc/ssh/ssh_host_ed25519_key")
    return "ssh"


@fault("recovery", "unit-not-enabled", caught_by="drill")
def a_service_is_not_enabled(bed):
    """The ingester runs and would not come back after a reboot."""
    bed.back_up_again(f"rm {UNITS}/multi-user.target.wants/telemetry-ingest.service")
    return "ingest"


@fault("recovery", "not-up-after-boot", caught_by="drill")
def services_start_in_the_wrong_order(bed):
    """The ingester starts before its database, gives up, and is never started again."""
    unit = f"{UNITS}/telemetry-ingest.service"
    bed.back_up_again(f"sed -i -e 's/^After=.*/Before=postgresql@17-main.service/' -e '/^Restart/d' {unit}")
    return "ingest"


@fault("recovery", "smoke-failed", caught_by="drill", says="status-page")
def the_default_page_answers(bed):
    """The web server is up and serves somebody else's page."""
    bed.back_up_again(f"sed -i 's,proxy_pass .*,root /usr/share/nginx/html;,' {SITE}")
    return "nginx"


@fault("recovery", "not-ready", caught_by="drill")
def a_config_include_is_missing(bed):
    """The site's own configuration is gone: the web server starts all the same, and listens elsewhere."""
    bed.change_plan(lambda table: table["services"]["nginx"]["ready"].update(within="8s"))
    bed.back_up_again("rm /etc/nginx/sites-enabled/telemetry")
    return "nginx"


@fault("recovery", "smoke-failed", caught_by="drill", says="login")
def a_secret_is_out_of_step(bed):
    """The password of the ingester was changed, and the broker's file has the old one."""
    bed.back_up_again(f"tr 0-9a-f 1-9a-f0 < {KEYS}/mqtt-ingest.password > /tmp/new; cat /tmp/new > {KEYS}/mqtt-ingest.password")
    return "mosquitto"


@fault("backup", "watermark-in-future", caught_by="drill")
def a_reading_is_from_the_future(bed):
    """The Pi's clock was wrong for a while: the newest reading says nothing about how much was lost."""
    edit(bed, "update reading set at = now() + interval '10 days' where id = (select max(id) from reading)")
    return "readings"


@fault("backup", "dump-too-new")
def the_dump_is_of_a_newer_server(bed):
    """The Pi's database was upgraded, and the plan's release has an older one."""
    bed.back_up_again(f"printf '\\001\\177' | dd of={READINGS} bs=1 seek=5 conv=notrunc status=none")
    return "readings"


@fault("backup", "dump-damaged")
def the_events_were_cut_off(bed):
    """The copy of a SQLite database ends in the middle."""
    bed.back_up_again(f"truncate -s 5000 {EVENTS}")
    return "events"


@fault("recovery", "unit-missing", caught_by="drill")
def a_unit_is_gone(bed):
    """The recorder's unit was a file that somebody removed; what runs goes on running until the next boot."""
    bed.back_up_again(f"rm {UNITS}/telemetry-recorder.service")
    return "recorder"


@fault("recovery", "unit-skipped", caught_by="drill")
def a_unit_waits_for_something_else(bed):
    """The recorder starts only where a disk is mounted that the new Pi does not have: systemd calls that a success."""
    bed.back_up_again(f"sed -i '/^\\[Unit\\]/a ConditionPathExists=/mnt/old-disk' {UNITS}/telemetry-recorder.service")
    return "recorder"


@fault("recovery", "unit-failed", caught_by="drill")
def a_folder_lost_its_mode(bed):
    """The folder of the keys is closed to everybody but root, while every key in it is as it was."""
    bed.back_up_again(sealed=f"chmod 0700 {KEYS}")
    return "mosquitto"
