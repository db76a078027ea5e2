"""telemetry-rotate: give this station a new credential of one kind, and have everything that uses it go on with the new one.

What is there already is replaced at once or not at all. A unit of its own (telemetry-rotation.service) carries a rotation out
that has begun: whoever asked for it may be interrupted, and so may the unit, which goes on where it was. The old credential is
worth nothing afterwards: sessions that it opened end, and notes are encrypted anew.
"""

import argparse
import fcntl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from cryptography.fernet import InvalidToken

from telemetry import change, credentials, notes, roles
from telemetry.credentials import Files, run
from telemetry.settings import DATABASE, KEYS, Failed, acting_as, secret

UNIT = "telemetry-rotation.service"
SAID = Path("/run/telemetry-rotation.said")  # what the unit said last; its systemd unit says so, too
LOCK = Path("/run/telemetry-rotation.lock")
WITHIN = 100.0  # seconds that a rotation may take
APP_KEY = KEYS / "app.key"
CLIENTS = ("telemetry-ingest", "telemetry-recorder", "telemetry-feed")


@dataclass(frozen=True)
class Rotation:
    """What a credential is replaced with, and what makes the station use it; the latter can be done twice."""

    new: Callable[[], Files]
    use: Callable[[], None]


def restart(*units: str) -> None:
    """Start units anew, in the order of their dependencies; one that its owner has stopped stays so."""
    states = subprocess.run(  # noqa: S603  # fixed words
        ["systemctl", "show", "--property=ActiveState", "--value", *units],  # noqa: S607  # found on the path
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    used = [unit for unit, state in zip(units, states, strict=True) if state != "inactive"]
    if used:
        run(["systemctl", "reset-failed", *used])
        run(["systemctl", "restart", *used])


def use_password() -> None:
    """Have the database know the new password, and end what the old one has opened."""
    roles.ensure()
    roles.end_sessions()


def both_keys() -> Files:
    """Make a new application key, and keep the old one as the second line: until the notes are encrypted anew, both open."""
    return {path: new + b"\n" + secret("app.key").encode() for path, new in credentials.app_key().items()}


def encrypt_anew() -> None:
    """Encrypt every note with the new key, all at once, and then forget the old key."""
    restart("telemetry-ingest")  # from here on it writes with the new one
    try:
        with acting_as("telemetry"):
            database = psycopg2.connect(DATABASE)
        with closing(database), database, database.cursor() as cursor:
            _encrypt_all(cursor)
    except psycopg2.Error as error:
        raise Failed(f"the notes could not be encrypted anew: {error}") from None
    change.replace(APP_KEY, secret("app.key").split()[0].encode())


def _encrypt_all(cursor: psycopg2.extensions.cursor) -> None:
    box = notes.box()
    cursor.execute("select id, note from reading where note is not null for update")
    for number, note in cursor.fetchall():
        try:
            cursor.execute("update reading set note = %s where id = %s", [box.rotate(bytes(note)), number])
        except InvalidToken:
            raise Failed(f"the application key does not open the note of reading {number}; no note was changed") from None


ROTATIONS = {
    "mqtt": Rotation(credentials.mqtt, lambda: restart("mosquitto", *CLIENTS)),
    "database": Rotation(credentials.database, use_password),
    "tls": Rotation(credentials.tls, lambda: restart("mosquitto", "nginx", *CLIENTS)),
    "host-key": Rotation(credentials.host_key, lambda: restart("ssh")),
    "app-key": Rotation(both_keys, encrypt_anew),
}


def finish() -> None:
    """Carry out every rotation that has begun; each says its own failure."""
    failed = False
    for name in change.begun():
        try:
            change.carry_out(name)
            ROTATIONS[name].use()
            change.end(name)
        except (Failed, OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
            failed = True
            sys.stderr.write(f"{name}: {' '.join(str(error).split())}\n")  # one line, for whoever asked for it
    if failed:
        sys.exit(1)


def rotate(name: str) -> None:
    """Replace one credential; one whose replacement was interrupted gets what was meant for it then."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if name not in change.begun():
            change.begin(name, ROTATIONS[name].new())
        deadline = time.monotonic() + WITHIN
        while name in change.begun():
            done = subprocess.run(["systemctl", "start", UNIT], capture_output=True, check=False, text=True)  # noqa: S603, S607
            told = [line for line in _said() if line.startswith(f"{name}: ")]
            if name in change.begun() and (told or time.monotonic() > deadline):
                why = told[-1].removeprefix(f"{name}: ") if told else done.stderr.strip() or "it took too long"
                raise Failed(f"{name} is not rotated: {why}")
            time.sleep(0.1)


def _said() -> list[str]:
    return SAID.read_text().splitlines() if SAID.exists() else []


def main() -> None:
    """Rotate what was named."""
    parser = argparse.ArgumentParser(prog="telemetry-rotate", description=__doc__)
    parser.add_argument("name", nargs="?", choices=ROTATIONS)
    parser.add_argument("--finish", action="store_true", help=f"carry out what has begun: what {UNIT} does")
    options = parser.parse_args()
    if options.finish:
        finish()
    elif options.name:
        rotate(options.name)
        print(f"rotated {options.name}")  # noqa: T201  # what the program says
    else:
        parser.error(f"name one of {', '.join(ROTATIONS)}")
