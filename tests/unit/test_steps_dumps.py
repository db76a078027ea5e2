"""What a dump's own bytes tell, and what the words of a load mean."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
from pathlib import Path

import pytest

from muster.backups import dumps

PLAIN = b"--\n-- PostgreSQL database dump\n--\n\nselect 1;\n%s--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n"


def _look(path: Path) -> dumps.Look:
    done = subprocess.run(["sh", "-c", dumps.looking(str(path))], capture_output=True, check=True, text=True)
    return dumps.seen(done.stdout)


def _database(path: Path, mode: str = "delete") -> bytes:
    database = sqlite3.connect(path)
    database.execute(f"pragma journal_mode = {mode}")
    database.execute("create table event (id integer primary key, text text)")
    database.executemany("insert into event (text) values (?)", [("x" * 100,)] * 1000)
    database.commit()
    database.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (PLAIN % (b"x" * 5000), ""),
        ((PLAIN % (b"x" * 5000))[:3000], "cut off"),
        (b"-- PostgreSQL database cluster dump\n\n-- PostgreSQL database cluster dump complete\n", ""),
        (b"-- PostgreSQL database cluster dump\n\n-- PostgreSQL database dump complete\n", "cut off"),
        (b"/*M!999999\\- enable the sandbox mode */\n-- MariaDB dump 10.19\n\n-- Dump completed on 2026-01-01\n", ""),
        (b"-- MySQL dump 10.13\n\ninsert into", "cut off"),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n", ""),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nINSERT INTO", "cut off"),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nROLLBACK; -- due to errors\n", "cut off"),
        (b"PGDMP anything, which only its own program can judge", ""),
        (b"a format that nobody knows", ""),
        (b"\n", "holds nothing"),
    ],
)
def test_text_dump_is_judged_by_its_end(tmp_path: Path, content: bytes, wrong: str) -> None:
    dump = tmp_path / "a dump"
    dump.write_bytes(content)
    said = dumps.wrong_with(_look(dump))
    assert wrong in said
    assert bool(said) == bool(wrong)


def test_database_is_judged_by_the_pages_it_promises(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    whole = _database(dump)
    assert dumps.wrong_with(_look(dump)) == ""
    dump.write_bytes(whole[: len(whole) // 2])
    assert dumps.wrong_with(_look(dump)) == f"is cut off: {len(whole) // 2} of {len(whole)} bytes are there"


def test_database_in_wal_mode_may_miss_its_newest_rows(tmp_path: Path) -> None:
    _database(tmp_path / "plain")
    _database(tmp_path / "wal", "wal")
    assert not _look(tmp_path / "plain").wants_wal
    assert _look(tmp_path / "wal").wants_wal


def test_compressed_dump_is_unpacked_to_be_judged(tmp_path: Path) -> None:
    dump = tmp_path / "dump with space.gz"
    dump.write_bytes(gzip.compress(bytes(range(256)) * 100))
    command = dumps.tester(_look(dump), str(dump))
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode == 0
    dump.write_bytes(dump.read_bytes()[:-20])
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode != 0
    (tmp_path / "text").write_text("plain")
    assert dumps.tester(_look(tmp_path / "text"), "text") == ""


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ('pg_restore: error: could not execute query: ERROR:  role "grafana" does not exist', "role-missing", "role grafana"),
        ('ERROR:  extension "postgis" is not available', "extension-missing", "extension postgis"),
        ("pg_restore: error: unsupported version (1.16) in file header", "dump-too-new", "(1.16)"),
        ("pg_restore: error: could not read from input file: end of file", "dump-damaged", "cut off"),
        ("Error: database disk image is malformed", "dump-damaged", "cut off"),
        ("gzip: stdin: unexpected end of file", "dump-damaged", "cut off"),
        ('ERROR:  could not extend file "base/16384/1249": No space left on device', "disk-full", "too small"),
    ],
)
def test_words_of_a_load_name_the_cause(words: str, code: str, says: str) -> None:
    cause = dumps.cause(words)
    assert cause is not None
    assert cause.code == code
    assert says in cause.what
    assert cause.fix


def test_unknown_words_are_no_cause() -> None:
    assert dumps.cause("Permission denied") is None


@pytest.mark.parametrize(
    "words",
    [
        "ERROR:  division by zero",
        'psql:<stdin>:42: ERROR:  relation "reading" does not exist',
        "NOTICE:  fine\npsql:/tmp/dump.sql:42: FATAL:  terminating connection",
        "pg_restore: error: could not execute query",
        "pg_restore: warning: errors ignored on restore: 3",
        "Error: near line 5: no such table: event",
        "Parse error near line 5: no such table: event",
        "ERROR 1064 (42000) at line 3: You have an error in your SQL syntax",
    ],
)
def test_load_that_complains_is_heard(words: str) -> None:
    assert dumps.complaint(words)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "NOTICE:  table has no errors",
        "pg_restore: connecting to database for restore",
        "psql:<stdin>:5: NOTICE:  there was no error",
        "loaded 3 rows of table error_log",
        'psql:<stdin>:14: ERROR:  role "postgres" already exists',
    ],
)
def test_load_that_only_talks_is_left_alone(words: str) -> None:
    assert dumps.complaint(words) == ""
