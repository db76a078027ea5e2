"""Losses that no run notices: links, empty files, small and hollow dumps, old seals, no history."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups import dumps
from muster.backups.filelist import SealedFile
from muster.backups.manifest import Manifest, Timer
from muster.backups.restic import Snapshot
from muster.backups.trees import Entry, Tree
from muster.inspection import certificates, earlier, history, hollow, links, opening, schedule, sealing, settled
from muster.plan import load
from tests.fake import machine as fake
from tests.fake.inspecting import inspected, of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _snapshot(hours: float, run: str = "", parent: str = "", paths: tuple[str, ...] = ("/etc",)) -> Snapshot:
    tags = (f"run={run}",) if run else ()
    return Snapshot(f"s{hours:g}", NOW + hours * HOUR, "tiny-pi", paths, tags, parent=parent)


def _tree(**sizes: int) -> Tree:
    return {f"/srv/media/{name}": Entry("file", 0o644, size, "0", "0", 1.0) for name, size in sizes.items()}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return fake.write_plan(tmp_path)


class TestStaleSeals:
    def test_a_seal_of_an_earlier_run_is_stale(self) -> None:
        old = Manifest(hostname="tiny-pi", sealed_at=NOW - 90 * 24 * HOUR, run="r0")
        [finding] = sealing.stale(old, [_snapshot(0, "r1")])
        assert (finding.code, finding.severity) == ("manifest-stale", "error")
        assert "90 days" in finding.what

    @pytest.mark.parametrize(
        ("minutes", "sealed", "run"), [(180, "r1", "r1"), (5, "r0", ""), (5, "", "r1"), (-5, "r0", "r1"), (14, "", "")]
    )
    def test_a_seal_of_this_run_is_none(self, minutes: int, sealed: str, run: str) -> None:
        manifest = Manifest(hostname="tiny-pi", sealed_at=NOW - timedelta(minutes=minutes), run=sealed)
        assert not [*sealing.stale(manifest, [_snapshot(0, run)])]

    def test_the_last_run_of_several_snapshots_decides(self) -> None:
        every = [_snapshot(-100, "r0"), _snapshot(-2, "r1"), _snapshot(0, "r1")]
        assert sealing.last_of(every) == every[1:]

    def test_an_inspection_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(fake._FILES, "/var/lib/muster/manifest.json", ("file", 0o600, 300))
        old = fake._MANIFEST | {"run": "r0", "sealed_at": (fake.NOW - 90 * 24 * HOUR).isoformat()}
        record = inspected(tmp_path, {r"cat .*manifest.json": (0, json.dumps(old))})
        assert of(record, "manifest-stale")

    def test_two_machines_with_one_name_are_told(self) -> None:
        one, other = (Manifest(hostname="tiny-pi", sealed_at=NOW, machine_id_sha256=digit * 64) for digit in "ab")
        assert [finding.code for finding in sealing.of_two_machines({"usb": one, "away": other})] == ["manifests-of-two-machines"]
        assert not [*sealing.of_two_machines({"usb": one, "away": one})]


class TestLinks:
    def _out(self, plan: Path, links_to: dict[str, str]) -> dict[str, str]:
        copy = {path: Entry("symlink", 0o777, 0, "0", "0") for path in links_to}
        return links.leads_out(load(plan), copy, links_to)

    def test_a_dataset_that_is_a_link_leads_out(self, plan: Path) -> None:
        assert self._out(plan, {"/srv/media": "/mnt/larger/media"}) == {"/srv/media": "/mnt/larger/media"}

    def test_a_link_to_itself_under_another_disk_leads_out(self, plan: Path) -> None:
        assert self._out(plan, {"/srv/media": "../mnt/media"}) == {"/srv/media": "/mnt/media"}

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("/srv/media/newest", "2026/11"),
            ("/etc/app/current", "/srv/media/a.jpg"),
            ("/etc/app/localtime", "/usr/share/zoneinfo/UTC"),
            ("/etc/app/app.service", "/dev/null"),
            ("/srv/media/lock", "127.0.1.1:+812"),
        ],
    )
    def test_a_link_to_what_is_kept_or_made_anew_does_not(self, plan: Path, path: str, target: str) -> None:
        assert not self._out(plan, {path: target})


class TestEarlier:
    def _lost(self, plan: Path, was: Tree, now: Tree, dataset: str = "media") -> list[tuple[str, str]]:
        found = earlier.lost(load(plan).data[dataset], f"usb/{dataset}", was, now, "yesterday")
        return [(finding.code, finding.severity) for finding in found]

    def test_what_is_like_before_is_left_alone(self, plan: Path) -> None:
        assert not self._lost(plan, _tree(a=10, b=20, c=0, d=9), _tree(a=10, b=21, c=0))

    def test_half_of_the_files_gone_is_named(self, plan: Path) -> None:
        assert self._lost(plan, _tree(a=1, b=1, c=1, d=1, e=1), _tree(a=1, b=1)) == [("snapshot-shrunk", "error")]

    def test_half_of_the_bytes_gone_is_named(self, plan: Path) -> None:
        assert self._lost(plan, _tree(a=200_000, b=1), _tree(a=90_000, b=1)) == [("snapshot-shrunk", "error")]

    def test_a_ring_of_recordings_that_was_renewed_may_be_shorter_than_before(self, plan: Path) -> None:
        was = _tree(a=1, b=1, c=1, d=1, e=1)
        assert self._lost(plan, was, _tree(f=1, g=1)) == [("snapshot-shrunk", "warning")]
        assert self._lost(plan, was, {}) == [("snapshot-shrunk", "error")]

    def test_a_file_that_lost_its_content_is_named(self, plan: Path) -> None:
        was = {"/etc/app/app.conf": Entry("file", 0o644, 120, "0", "0")}
        now = {"/etc/app/app.conf": Entry("file", 0o644, 0, "0", "0")}
        assert self._lost(plan, was, now, "etc") == [("file-emptied", "error")]
        assert not self._lost(plan, now, now, "etc")

    @pytest.mark.parametrize(
        ("name", "named"),
        [("dhcp.leases", False), ("app.log.1", False), ("log/access", False), ("home.log.fault", False), ("app_log.yaml", True)],
    )
    def test_a_file_that_is_emptied_as_a_matter_of_course_is_left_alone(self, plan: Path, name: str, *, named: bool) -> None:
        was, now = ({f"/etc/app/{name}": Entry("file", 0o644, size, "0", "0")} for size in (120, 0))
        assert bool(self._lost(plan, was, now, "etc")) is named

    def test_a_dump_that_lost_its_rows_is_named(self, plan: Path) -> None:
        was = {"/var/backups/rows/rows-20260301": Entry("file", 0o644, 4096, "0", "0")}
        now = {"/var/backups/rows/rows-20260302": Entry("file", 0o644, 900, "0", "0")}
        assert self._lost(plan, was, was | now, "rows") == [("dump-shrunk", "error")]
        assert not self._lost(plan, now, was | now, "rows")

    def test_the_usual_is_in_the_middle_of_what_was_before(self) -> None:
        every = [_snapshot(hour) for hour in range(6)]
        assert earlier.before(every[5], every) == every[2]
        assert earlier.before(every[0], every) is None

    def test_a_backup_of_other_paths_is_compared_with_what_there_is(self) -> None:
        usual, by_hand = _snapshot(0), _snapshot(1, paths=("/etc/app",))
        assert earlier.before(by_hand, [usual, by_hand]) == usual


class TestHistory:
    def _short(self, *listed: Snapshot, others: tuple[Snapshot, ...] = ()) -> list[str]:
        return [finding.code for finding in history.short("usb", listed, [others], NOW + HOUR)]

    def test_a_new_repository_may_be_short(self) -> None:
        assert not self._short(_snapshot(-5), _snapshot(0, parent="s-5"), others=(_snapshot(-6),))

    def test_one_of_which_all_that_is_older_was_removed_is_named(self) -> None:
        assert self._short(_snapshot(0, parent="gone")) == ["history-short"]

    def test_one_that_was_made_anew_is_named(self) -> None:
        assert self._short(_snapshot(0), others=(_snapshot(-200), _snapshot(0))) == ["history-short"]

    def test_one_that_reaches_back_is_left_alone(self) -> None:
        assert not self._short(_snapshot(-100, parent="gone"), _snapshot(0), others=(_snapshot(-900),))

    def test_a_snapshot_from_the_future_is_named(self) -> None:
        assert [one.code for one in history.of_the_future("usb", [_snapshot(9000)], NOW)] == ["snapshot-in-future"]
        assert not [*history.of_the_future("usb", [_snapshot(0.1)], NOW)]


class TestHollowDumps:
    def _said(self, path: Path, content: bytes) -> str:
        path.write_bytes(content)
        look = dumps.Look(len(content), content[:200], content[-600:])
        return subprocess.run(
            ["/bin/sh", "-c", hollow.asking(look, str(path))], capture_output=True, check=True, text=True
        ).stdout

    SCHEMA = b"--\n-- PostgreSQL database dump\n--\nSET x = 0;\nCREATE TABLE t (a int);\n%s-- PostgreSQL database dump complete\n"

    @pytest.mark.parametrize(
        "content",
        [
            SCHEMA % b"",
            SCHEMA % b"COPY public.t (a) FROM stdin;\n\\.\n\n",
            b"-- MariaDB dump 10.19\nCREATE TABLE `t` (a int);\n-- Dump completed\n",
            b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n",
        ],
    )
    def test_a_dump_of_the_schema_alone_is_hollow(self, tmp_path: Path, content: bytes) -> None:
        assert self._said(tmp_path / "dump", content).split() == ["hollow"]

    @pytest.mark.parametrize(
        "content",
        [
            SCHEMA % b"COPY public.t (a) FROM stdin;\n1\n\\.\n\n",
            SCHEMA % b"INSERT INTO public.t VALUES (1);\n",
            b"-- PostgreSQL database cluster dump\nCREATE ROLE app;\n",
            b"-- MariaDB dump 10.19\nINSERT  IGNORE INTO `t` VALUES (1);\n-- Dump completed\n",
            b"something of its own\nwithout a row\n",
        ],
    )
    def test_a_dump_with_a_row_or_of_another_kind_is_not(self, tmp_path: Path, content: bytes) -> None:
        assert not self._said(tmp_path / "dump", content)

    def test_an_archive_of_nothing_is_hollow(self, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
        assert self._said(tmp_path / "dump.gz", pack(b"")).split() == ["hollow"]
        assert not self._said(tmp_path / "dump.gz", pack(b"anything\n"))

    @pytest.fixture
    def pack(self) -> Callable[[bytes], bytes]:
        program = shutil.which("gzip") or "gzip"
        return lambda content: subprocess.run([program, "-c"], input=content, capture_output=True, check=True).stdout

    def test_a_dump_that_is_older_than_its_file_is_stale(self) -> None:
        found = [one.code for one in hollow.faults("rows", "/d", NOW, "made 2026-11-20 12:00:00 UTC\n")]
        assert found == ["dump-stale"]
        assert not [*hollow.faults("rows", "/d", NOW, "made 2026-11-22 23:00:00 UTC\n")]

    def test_a_dump_that_nobody_restored_is_not_proven(self, tmp_path: Path) -> None:
        def small(text: str) -> str:
            return re.sub("$", '\n[inspection]\nsample_bytes = "1K"\n', text, count=1)

        answers = {"sha256sum -z": (0, "\0\0/usr/bin/getfattr\n")}
        [finding] = of(inspected(tmp_path, answers, change=small), "dump-unread")
        assert finding.severity == "unproven"


def test_configuration_that_changed_after_the_seal_is_told() -> None:
    entry = Entry("file", 0o644, 8, "0", "0", 100.0)
    sealed = {"/etc/x": SealedFile("/etc/x", "file", 0o644, "root", "root", 0, 0, 8, 100_000_000_000)}
    assert not [*settled.changed("usb/etc", {"/etc/x": entry}, sealed)]
    [finding] = settled.changed("usb/etc", {"/etc/x": Entry("file", 0o644, 9, "0", "0", 101.0)}, sealed)
    assert (finding.code, finding.severity) == ("changed-since-seal", "warning")


class TestCertificates:
    def test_what_a_service_shows_is_looked_at_and_no_collection(self) -> None:
        names = [
            "/etc/app/web.crt",
            "/etc/le/live/x/fullchain.pem",
            "/etc/ssl/certs/ca.crt",
            "/etc/app/web.key",
            "/etc/app/a.pem",
        ]
        tree = {path: Entry("file", 0o644, 900, "0", "0") for path in names}
        assert certificates.wanted(tree) == names[:2]

    def test_one_that_is_out_of_date_is_named(self) -> None:
        said = "notAfter=2026-11-20 10:00:00Z\n\nnotAfter=2027-11-20 10:00:00Z\n"
        [finding] = certificates.expired("etc", ["/a.crt", "/b.crt", "/c.crt"], said, NOW)
        assert (finding.code, finding.severity) == ("certificate-expired", "warning")
        assert "/a.crt expired on 2026-11-20" in finding.what
        assert finding.evidence.count("\n") == 0


class TestSources:
    def test_a_backup_of_one_folder_by_hand_hides_nothing(self, plan: Path) -> None:
        data = load(plan).data
        usual, by_hand = _snapshot(0), _snapshot(1)
        media, etc, beside = "/srv/media/a.jpg", "/etc/app/app.conf", "/var/lib/muster/manifest.json"
        listed = Entry("file", 0o644, 1, "0", "0")
        held = {usual: dict.fromkeys((media, etc, beside), listed), by_hand: {"/srv/media/2026/b.jpg": listed}}
        found = opening.sources({"etc": usual, "media": by_hand}, data, held)
        assert found == {etc: usual, beside: usual, "/srv/media/2026/b.jpg": by_hand}


class TestNextRun:
    @pytest.mark.parametrize(("days", "codes"), [(1, []), (300, ["timer-late"])])
    def test_a_next_run_later_than_the_window_is_named(self, days: int, codes: list[str]) -> None:
        timer = Timer(unit="b.timer", load_state="loaded", file_state="enabled", active_state="active", sub_state="waiting")
        timer = timer.model_copy(update={"next_elapse": NOW + days * 24 * HOUR, "last_trigger": NOW - HOUR})
        assert [one.code for one in schedule.faults(timer, 26 * HOUR, None, NOW)] == codes
