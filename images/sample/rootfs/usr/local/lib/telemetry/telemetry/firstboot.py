"""telemetry-firstboot: make on this machine, once, what is its alone: secrets, certificates, the database, the archive."""

import json
import os
import socket

from telemetry import archive, credentials, ingest, roles
from telemetry.credentials import Files, run
from telemetry.settings import CONFIG, HOST_KEY, MEDIA, STATION, stamp


def keep(files: Files) -> None:
    """Write new secrets: never readable to others, not even while they are being written."""
    for path, content in files.items():
        with open(path, "wb", opener=_closed) as file:
            file.write(content)
        credentials.give(path)


def _closed(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def credentials_of_its_own() -> None:
    """Make every secret of the station; the SSH host key is there already where the system makes one."""
    for make in (credentials.tls, credentials.mqtt, credentials.database, credentials.app_key):
        keep(make())
    if not HOST_KEY.exists():
        keep(credentials.host_key())


def database() -> None:
    """Make the roles, the database and its table."""
    run(["runuser", "-u", "postgres", "--", "createuser", "telemetry"])
    create = ["createdb", "-O", "telemetry", "-T", "template0", "-E", "UTF8", "-l", "C.UTF-8", "telemetry"]
    run(["runuser", "-u", "postgres", "--", *create])
    run(["telemetry-sql", ingest.SCHEMA])
    roles.ensure()


def main() -> None:
    """Make everything, and last the stamp that says so."""
    CONFIG.mkdir(parents=True, exist_ok=True)
    credentials_of_its_own()
    database()
    entries = archive.make(MEDIA, int(os.environ.get("MEDIA_MB", "60")), "telemetry")
    STATION.write_text(json.dumps({"hostname": socket.gethostname(), "made_at": stamp(), "media": entries}) + "\n")
