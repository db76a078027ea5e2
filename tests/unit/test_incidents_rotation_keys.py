"""The keys of a repository are copied from wherever it is, with the credentials that open it, and nothing is written there."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from muster.backups.restic import Restic
from muster.incidents.keys import fetching, sftp_path
from muster.journal import Journal
from muster.machines.console import Console
from muster.plan import Repository, SecretRef
from tests.fake.machine import FakeMachine

KEY = "5" * 64
FILES = {"/pi/config": b"\0sealed", f"/pi/keys/{KEY}": b'{"created":"then"}'}
USER, PASSWORD = "pi", 'o"d\\d value'


class Store(BaseHTTPRequestHandler):
    """A REST server of one repository, read-only, for one user."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self._answer(401, b"")
        elif self.path == "/pi/keys/" and "restic.rest.v2" in self.headers["Accept"]:
            self._answer(200, json.dumps([{"name": KEY, "size": 4}]).encode())
        else:
            self._answer(200 if self.path in FILES else 404, FILES.get(self.path, b""))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"rest:http://127.0.0.1:{server.server_port}/pi/"
    server.shutdown()
    server.server_close()


def opened(url: str, folder: Path) -> Restic:
    repository = Repository(url=url, media="disk", password=SecretRef(env="PASSWORD"))
    return Restic(Console(FakeMachine(), Journal(folder / "journal.jsonl")), "rekey/there", repository)


def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command], env=os.environ | environment, capture_output=True, text=True, check=False, timeout=30
    )


def test_a_local_repository_gives_a_copy(tmp_path: Path) -> None:
    there = tmp_path / "it's there"
    (there / "keys").mkdir(parents=True)
    (there / "config").write_bytes(b"sealed")
    (there / "keys" / KEY).write_bytes(b"{}")
    repository = opened(str(there), tmp_path)
    repository.url = str(there)
    assert run(fetching(repository, str(tmp_path / "copy"))).returncode == 0
    assert (tmp_path / "copy" / "keys" / KEY).read_bytes() == b"{}"
    assert (tmp_path / "copy" / "config").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not shutil.which("curl"), reason="this host has no curl")
class TestOverHttp:
    def test_a_server_gives_a_copy_to_who_logs_in(self, store: str, tmp_path: Path) -> None:
        command = fetching(opened(store, tmp_path), str(tmp_path / "copy"))
        done = run(command, RESTIC_REST_USERNAME=USER, RESTIC_REST_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
        names = {path.name: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
        assert names == {"config": b"\0sealed", KEY: b'{"created":"then"}'}

    @pytest.mark.parametrize("password", ["another", ""])
    def test_nobody_else_gets_one(self, store: str, tmp_path: Path, password: str) -> None:
        command = fetching(opened(store, tmp_path), str(tmp_path / "copy"))
        done = run(command, RESTIC_REST_USERNAME=USER, RESTIC_REST_PASSWORD=password)
        assert done.returncode != 0
        assert "401" in done.stderr


def test_a_server_behind_ssh_is_asked_with_the_keys_of_the_plan(tmp_path: Path) -> None:
    command = fetching(opened("sftp://pi@nas.invalid:2222//srv/re stic", tmp_path), "/run/copy")
    assert "sftp -q -b - -o BatchMode=yes" in command
    assert command.endswith("-P 2222 pi@nas.invalid")
    assert 'get "/srv/re stic/config" "/run/copy/config"' in command
    assert 'get -r "/srv/re stic/keys" "/run/copy"' in command


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sftp:backup@nas:/restic/pi", "/restic/pi"),
        ("sftp:nas:pi", "pi"),
        ("sftp://backup@nas:2222//restic/pi", "/restic/pi"),
        ("sftp://nas/pi", "pi"),
    ],
)
def test_the_path_is_what_the_server_calls_it(url: str, path: str) -> None:
    assert sftp_path(url) == path


def test_nobody_knows_how_to_copy_from_other_backends(tmp_path: Path) -> None:
    assert fetching(opened("s3:bucket.invalid/pi", tmp_path), "/run/copy") == ""
