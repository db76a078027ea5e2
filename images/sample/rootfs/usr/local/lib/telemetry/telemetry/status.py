"""telemetry-status: what the station knows, as a page, on a socket for nginx. Every request asks the database anew."""

import html
import json
import socketserver
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

import psycopg2
from cryptography.fernet import InvalidToken
from psycopg2.extensions import connection

from telemetry import notes
from telemetry.settings import DASHBOARD, DASHBOARD_PASSWORD, STATUS_SOCKET, ready, secret, stamp

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Telemetry</title><h1>Telemetry</h1>
<p>{readings} readings; the newest is {value} from {sensor} at {at}.</p><p>Last note: {note}</p></html>
"""


def database_of_readings() -> connection:
    """Log in to the database, with the password that the station holds now."""
    return psycopg2.connect(dbname="telemetry", user=DASHBOARD, password=secret(DASHBOARD_PASSWORD))


def one(cursor: Any, where: str = "", *values: str) -> dict[str, Any]:  # noqa: ANN401
    """Fetch the newest reading, or the newest that `where` (a constant of this module) asks for; empty when there is none."""
    cursor.execute(f"select id, at, sensor, value, note from reading {where} order by id desc limit 1", values)  # noqa: S608
    row = cursor.fetchone()
    return {} if row is None else {"id": row[0], "at": stamp(row[1]), "sensor": row[2], "value": row[3], "note": row[4]}


def status() -> dict[str, Any]:
    """Say how many readings there are, which is the newest, and what the last note says."""
    with database_of_readings() as database, database.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        cursor.execute("select count(*) from reading")
        readings = cursor.fetchone()[0]
        newest, noted = one(cursor), one(cursor, "where note is not null")
    newest.pop("note", None)
    note = notes.box().decrypt(bytes(noted["note"])).decode() if noted else None
    return {"readings": readings, "newest": newest, "note": note}


def sensor(name: str) -> dict[str, Any]:
    """Fetch the newest reading of one sensor."""
    with database_of_readings() as database, database.cursor() as cursor:
        found = one(cursor, "where sensor = %s", name)
    found.pop("note", None)
    return found


def answer(path: str) -> tuple[int, str, str]:
    """Answer one request: HTTP status, type and body."""
    try:
        if path == "/":
            said = status()
            page = PAGE.format(
                readings=said["readings"],
                note=html.escape(said["note"] or "none"),
                **{key: html.escape(str(said["newest"].get(key))) for key in ("value", "sensor", "at")},
            )
            return 200, "text/html; charset=utf-8", page
        if path == "/status.json":
            return 200, "application/json", json.dumps(status())
        if path.startswith("/sensor/"):
            found = sensor(unquote(path.removeprefix("/sensor/")))
            return (200 if found else 404), "application/json", json.dumps(found)
    except psycopg2.Error as error:
        return 503, "text/plain", f"the database does not answer: {error}"
    except InvalidToken:
        return 500, "text/plain", "the application key does not open the newest note"
    return 404, "text/plain", "no such page"


class Handler(BaseHTTPRequestHandler):
    """One request from nginx."""

    def do_GET(self) -> None:
        """Answer."""
        code, kind, body = answer(self.path)
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: nginx has the log, and a socket has no client address to write."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a socket in the file system."""

    daemon_threads = True


def main() -> None:
    """Serve until told to stop."""
    notes.box()  # better to fail here than at the first visitor
    secret(DASHBOARD_PASSWORD)
    STATUS_SOCKET.unlink(missing_ok=True)
    with Server(str(STATUS_SOCKET), Handler) as server:
        STATUS_SOCKET.chmod(0o666)
        ready()
        server.serve_forever()
