"""telemetry-selftest: prove one thing about this station, end to end, and say the word for it only when it is true.

With --old it is asked whether credentials of before are still worth something: see telemetry.refusals. Exit status 0 says that
one of them is, 1 that every one was refused, and 126 that the question could not be asked.
"""

import argparse
import json
import secrets
import sqlite3
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from cryptography.fernet import InvalidToken

from telemetry import archive, feed, hostkeys, mqtt, refusals, status
from telemetry.settings import (
    CA,
    CLIENTS,
    CONFIG,
    DATABASE,
    EVENTS_DB,
    HOST_KEY,
    MEDIA,
    SERVERS,
    Failed,
    become,
    notes,
    secret,
    stamp,
)

WITHIN = 20.0  # seconds that anything may take to come true
NOTES = 500  # old notes that are opened, at most


def _until(what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"{what} within {WITHIN:.0f} s")
        time.sleep(0.05)


def _refused(user: str | None, password: str | None) -> bool:
    try:
        with mqtt.session(user, password):
            return False
    except PermissionError:
        return True


def _page(path: str) -> Any:  # noqa: ANN401
    """Fetch JSON from the status page the way a visitor does: over TLS, checked against the station's CA."""
    trust = ssl.create_default_context(cafile=CA)
    try:
        with urllib.request.urlopen(f"https://localhost{path}", timeout=WITHIN, context=trust) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code == 404:  # noqa: PLR2004  # not found
            return {}
        raise Failed(f"the status page answers {error.code}: {said[:200]}") from None
    except (OSError, ValueError) as error:
        raise Failed(f"the status page does not answer: {error}") from None


def _ask(question: str) -> list[tuple[Any, ...]]:
    try:
        with psycopg2.connect(DATABASE) as database, database.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()
    except psycopg2.Error as error:
        raise Failed(f"the database does not answer: {error}") from None


def login() -> str:
    """Prove that every client's own password is taken."""
    for user in CLIENTS:
        if _refused(user, secret(f"mqtt-{user}.password")):
            raise Failed(f"the broker refused {user} with the password that the station holds")
    return "accepted"


def stranger() -> str:
    """Prove that a wrong password is refused, and so is a visitor without one."""
    if not _refused("publisher", secrets.token_urlsafe()):
        raise Failed("the broker let in a wrong password")
    if not _refused(None, None):
        raise Failed("the broker let in a stranger without a password")
    return "refused"


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
    _until("the reading that was published is not on the status page", lambda: _page(f"/sensor/{sensor}").get("value") == value)
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

    _until("the event that was published is not in the events", there)
    return "recorded"


def decrypt() -> str:
    """Prove that the oldest notes open with the application key, and each says which reading it belongs to."""
    box = notes()
    rows = _ask(f"select id, at, sensor, note from reading where note is not null order by id limit {NOTES}")  # noqa: S608
    if not rows:
        raise Failed("there is no note to open")
    for number, at, sensor, note in rows:
        try:
            opened = box.decrypt(bytes(note)).decode()
        except InvalidToken:
            raise Failed(f"the application key does not open the note of reading {number}") from None
        if opened != feed.note_of(sensor, stamp(at)):
            raise Failed(f"the note of reading {number} belongs to another reading")
    return f"decrypted {len(rows)} notes"


def page() -> str:
    """Prove that the page, over TLS, says what the database says."""

    def agrees() -> bool:
        said = _page("/status.json")
        count, newest = _ask("select count(*), max(id) from reading")[0]
        at = _ask(f"select at from reading where id = {newest or 0}")  # noqa: S608  # a number of our own
        if not count or not at:
            raise Failed("there is no reading to show")
        shown = said.get("newest", {})
        return bool(said.get("readings") == count and shown.get("id") == newest and shown.get("at") == stamp(at[0][0]))

    _until("the status page does not say what the database says", agrees)
    newest = _page("/status.json")
    datetime.fromisoformat(newest["newest"]["at"])
    return f"served {newest['readings']} readings"


def whole_archive() -> str:
    """Prove that every file of the archive is what it was: content, owner, mode, links, capabilities, ACLs, attributes."""
    return f"intact: {archive.check(MEDIA)} entries"


def database() -> str:
    """Prove that the status page's own password opens the database, for reading and for nothing else."""
    try:
        with closing(status.database_of_readings()) as opened, opened.cursor() as cursor:
            cursor.execute("select count(*) from reading")
            try:
                cursor.execute("delete from reading")
            except psycopg2.errors.InsufficientPrivilege:
                return "reads, and does nothing else"
            raise Failed("the status page may delete readings")  # and has not: nothing was committed
    except psycopg2.Error as error:
        raise Failed(f"the database does not answer the status page: {error}") from None


def tls() -> str:
    """Prove that both servers have the certificates that the station holds, and that its clients trust these."""
    trust = ssl.create_default_context(cafile=CA)
    for server, port in SERVERS.items():
        try:
            with refusals.greeted(port, trust) as greeted:
                shown = greeted.getpeercert(binary_form=True)
        except OSError as error:
            raise Failed(f"the certificate of {server} is not to be trusted: {error}") from None
        if shown != ssl.PEM_cert_to_DER_cert((CONFIG / f"{server}.crt").read_text()):
            raise Failed(f"{server} shows another certificate than the station holds")
    return "trusted"


def host_key() -> str:
    """Prove that SSH clients meet the key that the station holds, now and after the next start."""
    held = hostkeys.public_half(HOST_KEY)
    for when, shown in hostkeys.shown().items():
        if shown != held:
            raise Failed(f"the SSH server {when} shows another key than the station holds")
    return "shown"


TESTS = {
    "login": login, "stranger": stranger, "round-trip": round_trip, "decrypt": decrypt, "record": record, "status": page,
    "archive": whole_archive, "database": database, "tls": tls, "host-key": host_key,
}  # fmt: skip
AS_ROOT = ("archive", "host-key")  # what belongs to several users, and what only root may read


def main() -> None:
    """Run the test that was named."""
    parser = argparse.ArgumentParser(prog="telemetry-selftest", description=__doc__)
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--old", type=Path, metavar="DIR", help="a folder with files of before, under their full paths")
    options = parser.parse_args()
    if options.old:
        sys.exit(refusals.status_of(options.test, options.old))
    if options.test not in AS_ROOT:
        become("telemetry")
    print(TESTS[options.test]())  # noqa: T201  # what the program says
