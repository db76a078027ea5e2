"""telemetry-recorder: events from MQTT into SQLite, one commit each, through one connection that stays open."""

import json
import sqlite3
import sys

from telemetry import mqtt
from telemetry.settings import EVENTS_DB, Failed

SCHEMA = "create table if not exists event (id integer primary key, at text not null, kind text not null, detail text not null)"


def main() -> None:
    """Store events until the broker goes away."""
    try:
        database = sqlite3.connect(EVENTS_DB, isolation_level=None, timeout=10)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        database.execute(SCHEMA)
    except sqlite3.Error as error:
        raise Failed(f"cannot use {EVENTS_DB}: {error}") from None

    def store(payloads: list[bytes]) -> None:
        for payload in payloads:
            try:
                event = json.loads(payload)
                database.execute(
                    "insert into event (at, kind, detail) values (?, ?, ?)",
                    (event["at"], event["kind"], event["detail"]),
                )
            except (ValueError, KeyError, TypeError) as error:
                sys.stderr.write(f"not an event, left out: {error!r}\n")

    try:
        mqtt.consume("recorder", "telemetry/event/#", store)
    except sqlite3.Error as error:
        raise Failed(f"{EVENTS_DB} took no event: {error}") from None
