"""Where things are on this station, and the one way to read a secret: from its file, when it is needed."""

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

CONFIG = Path("/etc/telemetry/config")
KEYS = Path("/etc/telemetry/keys")
CA = CONFIG / "ca.crt"
STATION = CONFIG / "station.json"
EVENTS_DB = Path("/var/lib/telemetry/events.db")
STATUS_SOCKET = Path("/run/telemetry-status/http.sock")
MEDIA = Path("/srv/media")
HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
CLIENTS = ("ingest", "recorder", "publisher")  # of the broker
BROKER_PORT = 8883
SERVERS = {"mqtt": BROKER_PORT, "nginx": 443}  # whoever has a key and a certificate, and listens where
DATABASE = "dbname=telemetry user=telemetry"
DASHBOARD = "dashboard"  # the role that reads, and does nothing else
DASHBOARD_PASSWORD = "db-dashboard.password"  # noqa: S105  # the name of its file


class Failed(Exception):  # noqa: N818  # what it says is a sentence for the owner
    """Something is not as it must be; the text is one sentence for the owner."""


def secret(name: str) -> str:
    """Read one secret of the station; raise Failed when it is missing, unreadable or empty."""
    try:
        value = (KEYS / name).read_text().strip()
    except OSError as error:
        raise Failed(f"cannot read the secret {KEYS / name}: {error.strerror}") from None
    if not value:
        raise Failed(f"the secret {KEYS / name} is empty")
    return value


def stamp(when: datetime | None = None) -> str:
    """Write a time (now, unless told otherwise) as ISO 8601 in UTC, in a form that sorts as text."""
    return (when or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def become(user: str) -> None:
    """Go on as `user` for good, when started as root: PostgreSQL knows its roles by the name of the system user."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Be known as `user` for a moment, as root: to a server that asks the system who its client is."""
    entry = pwd.getpwnam(user)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def ready() -> None:
    """Tell systemd that the service does its work now (not merely that its process exists)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(address.replace("@", "\0", 1))
            notify.send(b"READY=1")
