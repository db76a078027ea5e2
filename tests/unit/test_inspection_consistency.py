"""Dumps are judged by their age, name and bytes; databases that were copied as files are told from those that were not."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from muster.backups import dumps
from muster.backups.manifest import Manifest
from muster.backups.restic import Snapshot
from muster.backups.trees import Entry, Tree
from muster.errors import RecoveryError
from muster.findings import Finding
from muster.inspection import hot
from muster.inspection.consistency import unversioned
from muster.plan import Plan, load
from muster.steps.load import newest_in, stale
from muster.steps.restore import mixed
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW, write_plan

FILE = Entry("file", 0o640, 100, "0", "0", 1.0)
EMPTY = Entry("file", 0o640, 0, "0", "0", 1.0)
DUMP = "/var/backups/rows/rows-20260301"


def tree(*paths: str, empty: tuple[str, ...] = ()) -> Tree:
    return dict.fromkeys(paths, FILE) | dict.fromkeys(empty, EMPTY)


def severities(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in findings]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load(write_plan(tmp_path))


class TestDatabaseFolders:
    POSTGRES = ("/db/PG_VERSION", "/db/global/pg_control", "/db/base/1/2")
    MYSQL = ("/db/ibdata1", "/db/ib_logfile0", "/db/shop/a.ibd")

    @pytest.mark.parametrize(
        "files",
        [
            (*POSTGRES, "/db/postmaster.pid"),
            (*MYSQL, "/db/ibtmp1"),
            (*MYSQL, "/db/pi.pid"),
            ("/db/ibdata1", "/db/#innodb_redo", "/db/#innodb_temp"),
        ],
    )
    def test_of_a_running_server_are_an_error(self, files: tuple[str, ...]) -> None:
        [finding] = hot.copied_hot("media", tree(*files))
        assert (finding.code, finding.severity, finding.where) == ("database-copied-hot", "error", "media")
        assert "/db" in finding.what

    @pytest.mark.parametrize("files", [POSTGRES, MYSQL])
    def test_without_a_sign_of_a_running_server_are_a_warning(self, files: tuple[str, ...]) -> None:
        assert severities(hot.copied_hot("media", tree(*files))) == [("database-copied-hot", "warning")]

    @pytest.mark.parametrize(
        "files",
        [
            (*POSTGRES, "/db/backup_label"),
            (*POSTGRES, "/db/backup_manifest"),
            (*MYSQL, "/db/xtrabackup_checkpoints"),
            ("/db/PG_VERSION",),
            ("/db/ibdata1",),
            ("/a/PG_VERSION", "/b/global/pg_control"),
            ("/etc/postgresql/17/main/postgresql.conf", "/etc/mysql/my.cnf"),
        ],
    )
    def test_of_good_backups_and_of_other_things_are_silent(self, files: tuple[str, ...]) -> None:
        assert not [*hot.copied_hot("media", tree(*files))]


class TestOpenDatabases:
    @pytest.mark.parametrize(
        "found",
        [
            tree("/a/events.db", "/a/events.db-wal"),
            tree("/a/events", "/a/events-wal", "/a/events-shm"),
            tree("/a/events.db", empty=("/a/events.db-wal", "/a/events.db-shm")),
            tree("/a/events.sqlite3", "/a/events.sqlite3-journal"),
        ],
    )
    def test_are_an_error(self, found: Tree) -> None:
        [finding] = hot.copied_open("etc", found, [])
        assert (finding.code, finding.severity, finding.where) == ("sqlite-copied-open", "error", "etc")
        assert "/a/events" in finding.what

    @pytest.mark.parametrize(
        "found",
        [
            tree("/a/events.db"),
            tree("/a/events.db", empty=("/a/events.db-wal",)),
            tree("/a/events.db", empty=("/a/events.db-journal",)),
            tree("/a/diary", "/a/diary-journal"),
            tree("/a/events-wal"),
        ],
    )
    def test_that_nobody_had_open_are_silent(self, found: Tree) -> None:
        assert not [*hot.copied_open("etc", found, [])]

    def test_that_are_dumps_are_whole_with_what_lies_beside(self) -> None:
        found = tree("/a/events-1.db", "/a/events-1.db-wal")
        assert not [*hot.copied_open("events", found, ["/a/events-1.db"])]

    def test_of_which_there_are_many_are_one_finding(self) -> None:
        found = tree(*(f"/a/{number}.db{end}" for number in range(30) for end in ("", "-wal")))
        [finding] = hot.copied_open("etc", found, [])
        assert "30 SQLite databases" in finding.what
        assert len(finding.evidence.splitlines()) == 10


@pytest.mark.parametrize(
    ("name", "pattern", "versioned"),
    [
        ("/b/rows-20260301", "/b/rows-*", True),
        ("/b/rows-1.dump", "/b/rows-*.dump", True),
        ("/b/rows-monday", "/b/rows-*", False),
        ("/b/rows.dump", "/b/*.dump", False),
        ("/b/rows17.dump", "/b/rows17.dump", False),
        ("/b/pg17-latest.sql", "/b/pg17-*.sql", False),
        ("/b/rows-latest.2", "/b/rows-*.2", False),
        ("/2026/rows", "/2026/*", False),
        ("/b/20260301/rows.sql", "/b/*/rows.sql", True),
        ("/b/rows-7.sql", "/b/rows-[0-9].sql", True),
        ("/b/rows-7.sql", "/b/rows-?.sql", True),
    ],
)
def test_a_name_is_versioned_where_the_pattern_leaves_a_figure_open(name: str, pattern: str, *, versioned: bool) -> None:
    assert dumps.is_versioned(name, pattern) is versioned
    assert severities(unversioned("rows", name, pattern)) == ([] if versioned else [("dump-unversioned", "warning")])


class TestNewest:
    @staticmethod
    def of(pattern: str, **written: float) -> str:
        tree = {f"/b/{name}": Entry("file", 0o640, 100, "0", "0", when) for name, when in written.items()}
        return dumps.matching(tree, pattern)[-1]

    def test_is_told_by_its_name_where_that_begins_with_the_year(self) -> None:
        assert self.of("/b/rows-*", **{"rows-20261122T0300": 3.0, "rows-20261123T0300": 1.0}) == "/b/rows-20261123T0300"
        assert self.of("/b/rows-*", **{"rows-2026-11-22.sql": 3.0, "rows-2026-11-23.sql": 1.0}) == "/b/rows-2026-11-23.sql"

    @pytest.mark.parametrize(
        "names",
        [
            ("rows-Wed.sql", "rows-Mon.sql"),
            ("rows-31-10-2026.sql", "rows-23-11-2026.sql"),
            ("rows-30-10-2026-1115.sql", "rows-23-11-2026-1115.sql"),
            ("rows-9f31c2aa.tar", "rows-3fa1b2c4.tar"),
            ("rows-9.sql", "rows-10.sql"),
        ],
    )
    def test_is_told_by_its_time_where_names_sort_otherwise_than_they_were_written(self, names: tuple[str, str]) -> None:
        assert self.of("/b/rows-*", **dict(zip(names, (1.0, 2.0), strict=True))) == f"/b/{names[1]}"

    def test_of_folders_is_dated_by_its_contents_and_not_by_its_last_part(self) -> None:
        files = {"rows-Sun/1.dat": 9.0, "rows-Sun/toc.dat": 1.0, "rows-Mon/1.dat": 4.0, "rows-Mon/toc.dat": 3.0}
        assert self.of("/b/rows-*", **files) == "/b/rows-Mon/toc.dat"

    def test_that_did_not_come_back_is_not_passed_over(self) -> None:
        there = {"/b/rows-Mon.sql": FILE}
        with pytest.raises(RecoveryError):
            newest_in("rows", "/b/rows-*", there, {"/b/rows-Sun.sql": "ciphertext verification failed"}, "usb")
        dated = {"/b/rows-20261123.sql": FILE}
        assert newest_in("rows", "/b/rows-*", dated, {"/b/rows-20261122.sql": "ciphertext verification failed"}, "usb")


def age(plan: Plan, minutes: float, sealed: Manifest | None = None) -> list[Finding]:
    return [*stale(plan, "rows", DUMP, NOW, written(minutes), sealed)]


def written(*minutes: float) -> Tree:
    """Dumps that are so old, the newest of them last."""
    before = [(f"/var/backups/rows/rows-2025{number:02}01", old) for number, old in enumerate(minutes[:-1], 1)]
    return {
        path: Entry("file", 0o640, 100, "0", "0", (NOW - timedelta(minutes=old)).timestamp())
        for path, old in [*before, (DUMP, minutes[-1])]
    }


class TestAge:
    def test_of_minutes_is_fine_and_of_an_hour_is_stale(self, plan: Plan) -> None:
        assert age(plan, 29) == []
        [finding] = age(plan, 31)
        assert (finding.code, finding.severity, finding.where) == ("dump-stale", "error", "rows")
        assert "0:31:00 older" in finding.what

    def test_is_held_against_a_shorter_rpo(self, tmp_path: Path) -> None:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace('load = "app-load"', 'load = "app-load"\nrpo = "10m"'))
        assert age(load(path), 11)
        assert not age(load(path), 9)

    def test_is_held_against_an_rpo_of_its_own_where_the_owner_allows_for_a_job_of_its_own(self, tmp_path: Path) -> None:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace('load = "app-load"', 'load = "app-load"\nrpo = "26h"'))
        assert not age(load(path), 25 * 60)
        assert age(load(path), 27 * 60)

    def test_of_a_job_of_its_own_may_be_as_long_as_its_pauses_and_never_longer_than_the_rpo(self, tmp_path: Path) -> None:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace('rpo = "1h"', 'rpo = "30h"', 1))
        plan, day = load(path), 24 * 60
        assert not [*stale(plan, "rows", DUMP, NOW, written(2 * day + 50, day + 50, 50), None)]
        assert [*stale(plan, "rows", DUMP, NOW, written(3 * day + 50, 2 * day + 50, day + 50), None)]
        assert [*stale(plan, "rows", DUMP, NOW, written(120, 110, 100), None)]
        assert [*stale(plan, "rows", DUMP, NOW, written(9 * day, 3 * day, 31 * 60), None)]

    def test_of_a_run_that_takes_long_is_that_of_the_run(self, plan: Plan) -> None:
        timer = {"unit": "a.timer", "service_active": "activating", "service_started": NOW - timedelta(minutes=50)}
        sealed = Manifest.model_validate({"hostname": "tiny-pi", "sealed_at": NOW, "timer": timer})
        assert not age(plan, 45, sealed)
        assert age(plan, 55, sealed)
        over = sealed.model_copy(
            update={"timer": sealed.timer and sealed.timer.model_copy(update={"service_active": "inactive"})}
        )
        assert age(plan, 45, over)

    def test_of_a_run_that_is_no_oneshot_is_that_of_the_run(self, plan: Plan) -> None:
        timer = {"unit": "a.timer", "service_active": "active", "service_started": NOW - timedelta(minutes=50)}
        sealed = Manifest.model_validate({"hostname": "tiny-pi", "sealed_at": NOW, "timer": timer})
        assert not age(plan, 45, sealed)
        assert age(plan, 55, sealed)

    def test_beyond_the_rpo_is_stale_whatever_the_run_takes(self, plan: Plan) -> None:
        timer = {"unit": "a.timer", "service_active": "activating", "service_started": NOW - timedelta(hours=3)}
        assert age(plan, 61, Manifest.model_validate({"hostname": "tiny-pi", "sealed_at": NOW, "timer": timer}))


class TestRuns:
    @staticmethod
    def point(**of: tuple[str, float]) -> dict[str, Snapshot]:
        return {
            name: Snapshot(name, NOW - timedelta(minutes=minutes), "tiny-pi", (), (f"run={run}",) if run else ())
            for name, (run, minutes) in of.items()
        }

    @pytest.mark.parametrize(
        ("of", "apart"),
        [
            ({"etc": ("r", 0), "rows": ("r", 90)}, False),
            ({"etc": ("r", 0), "rows": ("s", 50)}, False),
            ({"etc": ("r", 0), "rows": ("s", 61)}, True),
            ({"etc": ("", 0), "rows": ("", 61)}, True),
            ({"etc": ("s", 1), "keys": ("r", 0)}, True),
            ({"etc": ("r", 0), "keys": ("s", 1)}, False),
        ],
    )
    def test_that_differ_are_told_where_it_matters(self, plan: Plan, of: dict[str, tuple[str, float]], *, apart: bool) -> None:
        assert bool(mixed(plan, self.point(**of))) is apart


class TestReading:
    @staticmethod
    def read(path: Path) -> tuple[str, int]:
        shown = subprocess.run(["sh", "-c", dumps.looking(str(path))], capture_output=True, check=True, text=True)
        program, command = dumps.reader(dumps.seen(shown.stdout), str(path))
        stub = path.parent / "sqlite3"  # the program may not be on this host
        lines = ["import sqlite3, sys", "for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]):", "    print(row[0])"]
        stub.write_text("\n".join(["#!/usr/bin/env python3", *lines, ""]))
        stub.chmod(0o755)
        environment = {"PATH": f"{path.parent}:/usr/bin:/bin"}
        return program, subprocess.run(["sh", "-c", command], check=False, capture_output=True, env=environment).returncode

    def test_a_sound_database_is_read_and_a_torn_one_is_not(self, tmp_path: Path) -> None:
        dump = tmp_path / "a dump"
        database = sqlite3.connect(dump)
        database.execute("create table event (id integer primary key, text text)")
        database.executemany("insert into event (text) values (?)", [("x" * 100,)] * 1000)
        database.commit()
        database.close()
        assert self.read(dump) == ("sqlite3", 0)
        content = bytearray(dump.read_bytes())
        content[4096 * 5 : 4096 * 6] = bytes(4096)
        dump.write_bytes(content)
        program, status = self.read(dump)
        assert program == "sqlite3"
        assert status

    def test_a_database_that_only_its_own_program_can_sort_is_not_called_damaged(self, tmp_path: Path) -> None:
        dump = tmp_path / "library.db"
        database = sqlite3.connect(dump)
        database.create_collation("by_title", lambda one, other: (one > other) - (one < other))
        database.execute("create table film (title text collate by_title)")
        database.execute("create index titles on film (title)")
        database.execute("insert into film values ('Metropolis')")
        database.commit()
        database.close()
        assert self.read(dump) == ("sqlite3", dumps.NO_PROGRAM)

    @pytest.mark.parametrize(
        ("head", "program"), [(b"PGDMP\1", "pg_restore"), (b"toc.dat\0", "pg_restore"), (b"-- a text", ""), (b"", "")]
    )
    def test_a_format_is_known_by_its_beginning(self, head: bytes, program: str) -> None:
        assert dumps.reader(dumps.Look(9, head, b""), "/a b")[0] == program

    def test_a_dump_that_is_a_folder_is_read_as_one(self) -> None:
        head = dumps.Look(9, b"PGDMP", b"")
        assert dumps.reader(head, "/b/rows-1/toc.dat")[1].endswith("/dev/null /b/rows-1")


def test_a_dump_is_all_that_belongs_to_it() -> None:
    whole = tree("/b/rows-1/3.dat.gz", "/b/rows-1/toc.dat", "/b/rows-2/3.dat.gz", "/b/rows-2/toc.dat", "/b/a.db", "/b/a.db-wal")
    newest = dumps.matching(whole, "/b/rows-*")[-1]
    assert sorted(dumps.parts(whole, newest)) == ["/b/rows-2/3.dat.gz", "/b/rows-2/toc.dat"]
    assert dumps.parts(whole, "/b/a.db") == ["/b/a.db", "/b/a.db-wal"]


def looked(folder: Path, answers: dict[str, Any]) -> tuple[list[Finding], str, str]:
    record = inspected(folder, answers)
    [one] = [one for one in record.looked if (one.check, one.subject) == ("consistency", "rows")]
    about = [finding for finding in record.findings if finding.code.startswith("dump-") and finding.where == "rows"]
    return about, one.what, one.weaker


def shows(content: bytes) -> str:
    return f"{len(content)}\n{content[:200].hex(' ')}\n.\n{content[-600:].hex(' ')}"


class TestWhole:
    def test_a_healthy_dump_says_nothing(self, tmp_path: Path) -> None:
        findings, what, weaker = looked(tmp_path, {"od -An -v": (0, shows(b"PGDMP\1 and so on"))})
        assert (findings, weaker) == ([], "")
        assert DUMP in what

    def test_no_row_of_it_stands_in_the_journal(self, tmp_path: Path) -> None:
        looked(tmp_path, {"od -An -v": (0, shows(b"insert into login values ('pi', 'hunter2')"))})
        [journal] = tmp_path.glob("journal-*.jsonl")
        assert "od -An -v" in journal.read_text()
        assert b"hunter2".hex(" ") not in journal.read_text()

    def test_a_dump_that_its_program_cannot_read_is_damaged(self, tmp_path: Path) -> None:
        answers = {"od -An -v": (0, shows(b"PGDMP\1")), "pg_restore -f": (1, "pg_restore: error: could not read: end of file")}
        [finding], _, _ = looked(tmp_path, answers)
        assert (finding.code, finding.severity) == ("dump-damaged", "error")
        assert "end of file" in finding.what

    def test_a_dump_of_a_newer_server_is_called_so(self, tmp_path: Path) -> None:
        answers = {"od -An -v": (0, shows(b"PGDMP\1")), "pg_restore -f": (1, "unsupported version (1.99) in file header")}
        [finding], _, _ = looked(tmp_path, answers)
        assert finding.code == "dump-too-new"

    def test_without_its_program_a_dump_is_looked_at_less(self, tmp_path: Path) -> None:
        answers = {"od -An -v": (0, shows(b"PGDMP\1")), "pg_restore -f": (66, "")}
        findings, _, weaker = looked(tmp_path, answers)
        assert findings == []
        assert "the plan's packages have no pg_restore that knows it" in weaker

    def test_a_dump_that_takes_for_ever_is_no_whole_one(self, tmp_path: Path) -> None:
        answers = {"od -An -v": (0, shows(b"PGDMP\1")), "pg_restore -f": (None, "")}
        [finding], _, _ = looked(tmp_path, answers)
        assert "out of time" in finding.what

    def test_a_text_dump_that_is_cut_off_is_damaged(self, tmp_path: Path) -> None:
        [finding], _, _ = looked(tmp_path, {"od -An -v": (0, shows(b"-- PostgreSQL database dump\nselect"))})
        assert finding.code == "dump-damaged"

    def test_of_what_nobody_can_see_nothing_is_known(self, tmp_path: Path) -> None:
        record = inspected(tmp_path, {r"\bsnapshots$": (1, "Fatal: unable to open: connection refused")})
        assert record.steps["consistency:rows"].outcome == "error"
        assert record.steps["one-run:the Pi"].outcome == "error"
        assert "not known" in record.steps["consistency:rows"].reason


def test_old_runs_are_told_as_of_the_snapshot_and_not_of_today(tmp_path: Path) -> None:
    assert of(inspected(tmp_path, as_of=datetime.now(UTC) + timedelta(days=3)), "dump-stale") == []
