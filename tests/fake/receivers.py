"""Receivers on loopback that really take what is sent: mail over SMTP, and anything over HTTP."""

from __future__ import annotations

import email.policy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Request:
    """One HTTP request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Web:
    """An HTTP server: what it got, and where it is. It answers with `statuses` in turn, and with 200 when they are used up."""

    port: int = 0
    got: list[Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.got]


@contextmanager
def web() -> Iterator[Web]:
    received = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            received.got.append(Request(self.command, self.path, {**self.headers}, body))
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST  # noqa: N815  # names that the library looks for

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Post:
    """An SMTP server: the mail that it got, and where it is."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # a name of the library
        message = message_from_bytes(envelope.content or b"", policy=email.policy.default)  # type: ignore[arg-type]  # bytes unless told
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 OK"


@contextmanager
def post() -> Iterator[Post]:
    received = Post(free_port())
    controller = Controller(received, hostname="127.0.0.1", port=received.port)  # it takes no port 0
    controller.start()
    try:
        yield received
    finally:
        controller.stop()
