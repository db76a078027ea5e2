"""telemetry-feed: be the sensors. Publishes readings and as many events over MQTT, like any client from outside."""

import argparse
import itertools
import json
import math
import time
from datetime import UTC, datetime, timedelta

from telemetry import mqtt
from telemetry.notes import worded
from telemetry.settings import Failed, secret, stamp

SENSORS = ("attic", "boiler", "cellar", "garden µ-climate", "greenhouse", "well")
EVENTS = ("door", "motion", "pump", "valve")
NOTE_EVERY = 10  # readings from one note to the next


def reading(number: int, at: str) -> dict[str, object]:
    """Make one reading."""
    sensor = SENSORS[number % len(SENSORS)]
    made: dict[str, object] = {"at": at, "sensor": sensor, "value": round(20 + 8 * math.sin(number / 40), 3)}
    if number % NOTE_EVERY == 0:
        made["note"] = worded(sensor, at)
    return made


def event(number: int, at: str) -> dict[str, object]:
    """Make one event."""
    return {"at": at, "kind": EVENTS[number % len(EVENTS)], "detail": f"number {number}"}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="telemetry-feed", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="readings, and as many events; 0: until stopped")
    parser.add_argument("--rate", type=float, default=0, help="readings a second; 0: as fast as the broker takes them")
    parser.add_argument("--span", type=float, default=0, help="seconds that the readings look back over, up to now")
    return parser.parse_args()


def main() -> None:
    """Publish, and say how much once the broker has taken all of it."""
    options = arguments()
    try:
        with mqtt.session("publisher", secret("mqtt-publisher.password")) as client:
            last = None
            for number in range(options.count) if options.count else itertools.count():
                back = options.span * (1 - (number + 1) / options.count) if options.count else 0
                at = stamp(datetime.now(UTC) - timedelta(seconds=back))
                made = reading(number, at)
                client.publish(f"telemetry/reading/{made['sensor']}", json.dumps(made), qos=1)
                last = client.publish("telemetry/event/station", json.dumps(event(number, at)), qos=1)
                if options.rate:
                    time.sleep(1 / options.rate)
            if last is not None:
                _settle(client, last)
    except PermissionError as error:
        raise Failed(str(error)) from None
    print(f"published {options.count} readings and {options.count} events")  # noqa: T201  # what the program says


def _settle(client: mqtt.paho.Client, last: mqtt.paho.MQTTMessageInfo) -> None:
    last.wait_for_publish(120)
    deadline = time.monotonic() + 60
    while client._out_messages:  # noqa: SLF001  # acknowledgements may come out of order; paho has no public count
        if time.monotonic() > deadline:
            raise Failed("the broker did not take every message")
        time.sleep(0.01)
