"""What goes in over MQTT, and comes out where it is kept."""

import json
import secrets
import sqlite3

from telemetry import mqtt
from telemetry.proofs.asking import page, until
from telemetry.settings import EVENTS_DB, Failed, secret, stamp


def _publish(topic: str, message: dict[str, object]) -> None:
    try:
        with mqtt.session("publisher", secret("mqtt-publisher.password")) as client:
            mqtt.publish(client, topic, json.dumps(message))
    except PermissionError as error:
        raise Failed(str(error)) from None


def round_trip() -> str:
    """Prove that a reading which goes in over MQTT comes out of the status page, through broker, ingester and database."""
    sensor, value = f"selftest-{secrets.token_hex(8)}", secrets.randbelow(10**6) / 1000
    _publish(f"telemetry/reading/{sensor}", {"at": stamp(), "sensor": sensor, "value": value})
    until("the reading that was published is not on the status page", lambda: page(f"/sensor/{sensor}").get("value") == value)
    return "stored"


def record() -> str:
    """Prove that an event which goes in over MQTT is in SQLite."""
    token = secrets.token_hex(16)
    _publish("telemetry/event/selftest", {"at": stamp(), "kind": "selftest", "detail": token})

    def there() -> bool:
        try:
            database = sqlite3.connect(f"file:{EVENTS_DB}?mode=ro", uri=True, timeout=5)
            found = database.execute("select count(*) from event where detail = ?", (token,)).fetchone()[0]
            database.close()
        except sqlite3.Error as error:
            raise Failed(f"cannot read {EVENTS_DB}: {error}") from None
        return bool(found == 1)

    until("the event that was published is not in the events", there)
    return "recorded"
