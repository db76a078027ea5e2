"""telemetry-roles: have the database know the role that the status page reads with, and its password.

A dump of the database carries no roles, so the status page's unit runs this before each start. It is the password's hash that
goes to the server: the password itself stands in no log of it, and in no command line.
"""

from contextlib import closing

import psycopg2
from psycopg2.extensions import connection, encrypt_password

from telemetry.settings import DASHBOARD, DASHBOARD_PASSWORD, Failed, acting_as, secret

SERVER = "dbname=postgres user=postgres"


def ensure() -> None:
    """Make the role if there is none, and give it the password that the station holds; it reads, and does nothing else."""
    password = secret(DASHBOARD_PASSWORD)
    try:
        with closing(_connected()) as server, server, server.cursor() as cursor:
            cursor.execute("select 1 from pg_roles where rolname = %s", [DASHBOARD])
            if cursor.fetchone() is None:
                cursor.execute(f"create role {DASHBOARD}")
            hashed = encrypt_password(password, DASHBOARD, server, "scram-sha-256")
            cursor.execute(f"alter role {DASHBOARD} login nosuperuser nocreatedb nocreaterole password %s", [hashed])
            cursor.execute(f"grant pg_read_all_data to {DASHBOARD}")
    except psycopg2.Error as error:
        raise Failed(f"the database does not take the role {DASHBOARD}: {error}") from None


def end_sessions() -> None:
    """End every session of the role: whoever logged in with an earlier password is still there."""
    try:
        with closing(_connected()) as server, server, server.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [DASHBOARD])
    except psycopg2.Error as error:
        raise Failed(f"the sessions of {DASHBOARD} cannot be ended: {error}") from None


def _connected() -> connection:
    with acting_as("postgres"):
        return psycopg2.connect(SERVER)


def main() -> None:
    """Do it."""
    ensure()
