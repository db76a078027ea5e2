"""Secrets are told from what only looks so: by names, by content that never leaves the machine, and by where they lie."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from muster.findings import Finding
from muster.inspection import secretlike
from muster.inspection.classification import looking_like_secrets, once
from muster.inspection.secretlike import Likeness
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
FERNET = "x" * 43 + "=\n"


@pytest.mark.parametrize(
    "name",
    [
        "tls.key", "server.pem", "id_ed25519", "ID_RSA", "ssh_host_ecdsa_key", ".env", ".env.production", "web.env", ".pgpass",
        ".netrc", "keys.kdbx", ".git-credentials", "private_key.txt", "wg0.conf", ".my.cnf", "credentials.json",
    ],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert secretlike.by_name(f"/srv/a/{name}")


@pytest.mark.parametrize(
    "name",
    [
        "id_ed25519.pub",
        "monkey",
        "key",
        "keyboard.conf",
        "a.keys",
        "server.crt",
        ".env.example",
        "photo.jpg",
        "environment",
        "pem",
    ],
)
def test_names_of_other_things_are_left_alone(name: str) -> None:
    assert not secretlike.by_name(f"/srv/tls.key/{name}")


@pytest.mark.parametrize(
    ("name", "content", "like"),
    [
        ("tls.key", KEY, "key"),
        ("with space.pem", "text before\n" + KEY.replace("OPENSSH ", ""), "key"),
        ("server.pem", KEY.replace("OPENSSH", "RSA"), "key"),
        ("a.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", "key"),
        ("age.key", "# created: 2026\nAGE-SECRET-KEY-1QQQ\n", "key"),
        ("wg0.conf", "[Interface]\nPrivateKey = " + FERNET, "key"),
        ("backup.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "key"),
        (".pgpass", "localhost:5432:*:app:hunter2\n", "password"),
        (".netrc", "machine nas login pi password hunter2\n", "password"),
        (".git-credentials", "https://pi:hunter2@example.invalid\n", "password"),
        (".my.cnf", "[client]\npassword=hunter2\n", "password"),
        (".env", "DEBUG=1\nDB_PASSWORD=hunter2\n", "perhaps"),
        ("app.env", "export API_KEY=abcdefgh\n", "perhaps"),
        ("app.key", FERNET, "perhaps"),
        ("tls.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "nothing"),
        ("public.pem", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", "nothing"),
        ("ca.pem", f"-----BEGIN CERTIFICATE-----\nMIIB\n{FERNET}-----END CERTIFICATE-----\n", "nothing"),
        ("slides.key", "PK a presentation\n", "nothing"),
        (".env", "LANG=de\nPASSWORD=\n", "nothing"),
        (".pgpass", "# host:port:db:user:password\n", "nothing"),
        (".netrc", "", "nothing"),
    ],
)
def test_content_tells_what_a_name_cannot(tmp_path: Path, name: str, content: str, like: Likeness) -> None:
    (tmp_path / name).write_text(content)
    assert seen(tmp_path, f"/{name}") == {f"/{name}": like}


@pytest.mark.parametrize("package", ["node_modules/tls/test", "venv/lib/python3.13/site-packages/tls", "src/test/fixtures"])
def test_a_key_that_a_package_brings_along_is_only_worth_a_look(tmp_path: Path, package: str) -> None:
    folder = tmp_path / "opt" / package
    folder.mkdir(parents=True)
    (folder / "rsa.pem").write_text(KEY)
    (tmp_path / "opt" / "rsa.pem").write_text(KEY)
    paths = f"/opt/{package}/rsa.pem", "/opt/rsa.pem"
    assert [*seen(tmp_path, *paths).values()] == ["perhaps", "key"]


def test_a_password_store_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.kdbx").write_bytes(bytes.fromhex("03d9a29a67fb4bb5"))
    assert seen(tmp_path, "/a.kdbx") == {"/a.kdbx": "store"}


def test_what_was_not_restored_is_judged_by_its_name(tmp_path: Path) -> None:
    assert seen(tmp_path, "/id_rsa", "/a.pem", "/.netrc") == {"/id_rsa": "unseen", "/a.pem": "nothing", "/.netrc": "unseen"}


def test_nothing_of_the_content_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PASSWORD=hunter2hunter2\n")
    command = secretlike.looking(str(tmp_path), ["/.env"])
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("perhaps\n", "")


def seen(root: Path, *paths: str) -> dict[str, Likeness]:
    done = subprocess.run(["sh", "-c", secretlike.looking(str(root), paths)], capture_output=True, check=True, text=True)
    return secretlike.likenesses(done.stdout, paths)


class TestFindings:
    def test_what_surely_is_a_secret_is_an_error_and_the_rest_a_warning(self) -> None:
        findings = looking_like_secrets(
            {"usb": {"/a": "perhaps", "/b": "key", "/c": "nothing", "/d": "password", "/e": "unseen"}}
        )
        assert [(finding.where, finding.severity) for finding in findings] == [
            ("/b", "error"),
            ("/d", "error"),
            ("/a", "warning"),
            ("/e", "warning"),
        ]

    def test_a_file_in_two_repositories_is_one_finding(self) -> None:
        [finding] = looking_like_secrets({"usb": {"/a": "unseen"}, "offsite": {"/a": "key"}})
        assert "usb and offsite" in finding.what
        assert finding.severity == "error"

    def test_of_very_many_the_first_are_told_and_the_rest_is_counted(self) -> None:
        findings = looking_like_secrets({"usb": {f"/{number:03}": "key" for number in range(50)}})
        assert len(findings) == 21
        assert "30 more files" in findings[-1].what
        assert findings[-1].severity == "error"

    def test_what_all_copies_have_is_told_once_and_what_one_has_is_told_of_that(self) -> None:
        def finding(what: str) -> Finding:
            return Finding("secret-missing", "error", "keys", what, "fix")

        single = once({"vault": [finding("a")], "offsite": [finding("a"), finding("b")]})
        assert [(one.where, one.what) for one in single] == [("keys", "a"), ("offsite/keys", "b")]


def node(path: str, **more: object) -> str:
    facts = {"message_type": "node", "path": path, "type": "file", "mode": 0o600, "size": 22, "uid": 0, "gid": 0}
    return json.dumps(facts | {"mtime": NOW.isoformat()} | more)


def holding(*nodes: str, repository: str = "usb") -> dict[str, Any]:
    """The answer of a repository that holds these, too."""
    usual = [node(path) for path in ("/etc/app/app.conf", "/var/backups/rows/rows-20260301", "/srv/media/a.jpg")]
    return {f"{repository}.* ls ": (0, "\n".join([*(usual if repository == "usb" else []), *nodes]))}


class TestInspection:
    def test_a_healthy_system_says_nothing(self, tmp_path: Path) -> None:
        record = inspected(tmp_path)
        for dataset in ("etc", "rows", "media", "keys"):
            assert record.steps[f"classification:{dataset}"].outcome == "done"

    def test_a_secret_in_an_ordinary_repository_is_named(self, tmp_path: Path) -> None:
        [finding] = of(inspected(tmp_path, holding(node("/etc/keys/app.key"))), "secret-in-plain-sight")
        assert (finding.severity, finding.where) == ("error", "usb")
        assert "/etc/keys/app.key" in finding.what

    def test_a_private_key_among_ordinary_files_is_named(self, tmp_path: Path) -> None:
        answers = holding(node("/etc/app/tls.key")) | {"grep -qaE": (0, "key\n")}
        record = inspected(tmp_path, answers | {"sha256sum -z": (0, _lying("/etc/app/tls.key"))})
        [finding] = of(record, "secret-looking")
        assert (finding.severity, finding.where) == ("error", "/etc/app/tls.key")

    def test_where_the_plan_keeps_secrets_anyway_a_key_is_no_finding(self, tmp_path: Path) -> None:
        answers = holding(node("/etc/app/tls.key")) | {"grep -qaE": (0, "key\n")}
        answers |= {"sha256sum -z": (0, _lying("/etc/app/tls.key"))}
        change = 'repositories = ["vault"]', 'repositories = ["vault", "usb"]'
        record = inspected(tmp_path, answers, change=lambda plan: plan.replace(*change))
        assert of(record, "secret-looking", "secret-in-plain-sight") == []

    def test_a_repository_that_cannot_be_seen_is_named(self, tmp_path: Path) -> None:
        record = inspected(tmp_path, {r"usb.* snapshots$": (1, "connect: connection refused")})
        [one] = [one for one in record.looked if (one.check, one.subject) == ("classification", "keys")]
        assert "usb could not be looked into" in one.weaker
        assert record.steps["classification:etc"].outcome == "error"

    def test_a_loose_mode_is_an_error_even_without_a_manifest(self, tmp_path: Path) -> None:
        [finding] = of(inspected(tmp_path, holding(node("/etc/keys/app.key", mode=0o644), repository="vault")), "mode-too-open")
        assert finding.where == "keys"

    def test_an_old_secret_is_due_as_of_the_moment_that_is_looked_at(self, tmp_path: Path) -> None:
        record = inspected(tmp_path, change=lambda plan: plan.replace('mode = "0600"', 'mode = "0600"\nrotate_every = "1m"'))
        assert of(record, "secret-overdue")
        record = inspected(tmp_path, change=lambda plan: plan.replace('mode = "0600"', 'mode = "0600"\nrotate_every = "90d"'))
        assert not of(record, "secret-overdue")


def _lying(path: str) -> str:
    return f"f 600 22 0 0 {NOW.timestamp()} 7 .{path}\0\0\0{'0' * 64}  .{path}\0\0/usr/bin/getfattr\n"
