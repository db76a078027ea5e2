"""What faults are made of: choosing files to damage, moments, the users of a Pi, and plans that lead to copies."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from muster.backups.manifest import Manifest
from muster.catalogue import codes
from muster.faults import beds, collecting, copying, packs, table, workshop
from muster.faults.accounts import name_owners
from muster.faults.beds import Beds
from muster.faults.proof import Proof, from_dict
from muster.plan import load
from tests.fake.machine import write_plan

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _proof(**facts: object) -> Proof:
    return from_dict(
        {
            "plan": "tiny", "fault": "a-fault", "group": "backup", "about": "Wrong | bad.", "code": "dump-stale",
            "caught_by": "inspection", "outcome": "caught", "step": "consistency", "where": "rows", "seconds": 2.34, "beside": [],
        } | facts
    )  # fmt: skip


class TestFaultsOfMuster:
    def test_there_are_many_of_every_group_and_each_says_what_is_wrong(self, tmp_path: Path) -> None:
        faults = collecting.faults_for(load(write_plan(tmp_path)))
        assert {one.group for one in faults} == {"repository", "backup", "recovery", "incident", "drill"}
        assert len(faults) >= 60
        assert not [one.name for one in faults if not one.about.endswith(".") or one.about == one.name]

    def test_each_is_made_for_a_finding_that_exists_or_for_none(self, tmp_path: Path) -> None:
        faults = collecting.faults_for(load(write_plan(tmp_path)))
        assert {one.code for one in faults} <= {*codes(), ""}
        assert [one.name for one in faults if not one.code]

    def test_faults_lie_beside_the_plan_or_beside_its_folder(self, tmp_path: Path) -> None:
        plan = load(write_plan(tmp_path))
        source = 'from muster.faults import fault\n@fault("drill", "")\ndef {}(bed):\n    """Nothing."""\n'
        for folder, name in ((tmp_path / "faults", "outer"), (plan.path.parent / "faults", "inner")):
            folder.mkdir()
            (folder / f"{name}.py").write_text(source.format(name))
        assert {"inner", "outer"} <= {one.name for one in collecting.faults_for(plan)}


class TestDamage:
    def test_one_bit_is_flipped_and_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "pack"
        path.write_bytes(b"\x00\x0f\xff")
        path.chmod(0o400)
        packs.flip(path, 1)
        assert path.read_bytes() == b"\x00\x0e\xff"

    def test_packs_come_by_size(self, tmp_path: Path) -> None:
        for name, size in (("aa/large", 30), ("bb/small", 10), ("cc/middle", 20)):
            (tmp_path / "data" / name).parent.mkdir(parents=True)
            (tmp_path / "data" / name).write_bytes(bytes(size))
        assert [path.name for path in packs.packs(tmp_path)] == ["small", "middle", "large"]


class TestMoments:
    @pytest.mark.parametrize("part", [0, 1, 500_000, 999_999])
    def test_a_run_comes_after_the_newest_in_whole_seconds(self, part: int) -> None:
        newest = NOON.replace(microsecond=part)
        moment = workshop._following(newest)
        assert newest < moment <= newest + timedelta(seconds=1)
        assert moment.microsecond == 0

    def test_what_systemd_knew_of_a_timer_moves_along(self) -> None:
        timer = {"unit": "b.timer", "last_trigger": NOON.isoformat(), "next_elapse": None}
        later = workshop._later(timer, timedelta(days=1))
        assert later == {"unit": "b.timer", "last_trigger": (NOON + timedelta(days=1)).isoformat(), "next_elapse": None}
        assert workshop._later(None, timedelta(days=1)) is None


class TestAccounts:
    def _named(self, sealed: Manifest) -> dict[str, bytes]:
        written: dict[str, bytes] = {}
        name_owners(sealed, lambda command, stdin: written.__setitem__(command.rpartition("/")[2], stdin))
        return written

    def test_a_machine_gets_the_users_and_groups_of_the_pi(self) -> None:
        users = {"app": {"uid": 101, "gid": 103, "home": "/srv", "shell": "/bin/sh", "groups": ["media"]}}
        sealed = Manifest.model_validate(
            {"hostname": "pi", "sealed_at": NOON, "users": users, "groups": {"app": 103, "media": 104}}
        )
        assert self._named(sealed) == {"passwd": b"app:x:101:103::/srv:/bin/sh\n", "group": b"app:x:103:\nmedia:x:104:app\n"}

    def test_a_manifest_without_users_leaves_those_of_the_machine(self) -> None:
        assert self._named(Manifest(hostname="pi", sealed_at=NOON)) == {}


class TestCopies:
    def test_a_plan_without_a_dataset_asks_for_nothing_of_it(self) -> None:
        plan = {
            "data": {"etc": {}, "media": {}},
            "watermark": {"media": {}, "photos": {"dataset": "media"}, "log": {"dataset": "etc"}},
            "metrics": {"files": {"dataset": "media"}, "other": {}},
            "invariants": {"whole": {"dataset": "media"}},
            "incidents": {"rot": {"datasets": ["media", "etc"]}},
            "services": {"web": {"uses": ["etc", "media"]}},
            "smoke": {"page": {"uses": ["media"]}},
        }
        assert copying._without(plan, ["media"]) == {
            "data": {"etc": {}},
            "watermark": {"log": {"dataset": "etc"}},
            "metrics": {"other": {}},
            "invariants": {},
            "incidents": {"rot": {"datasets": ["etc"]}},
            "services": {"web": {"uses": ["etc"]}},
            "smoke": {"page": {"uses": []}},
        }

    def test_a_copy_needs_no_server_and_no_folder_of_the_plan(self, tmp_path: Path) -> None:
        plan = load(write_plan(tmp_path))
        entry = {"url": "sftp:h:/r", "password": {"file": "password"}, "ssh_key": {"file": "k"}, "known_hosts": "known"}
        standing = copying._standing_in({"repositories": {"usb": entry}}, plan)
        password = str(plan.path.parent / "password")
        assert standing["repositories"]["usb"] == {"url": "sftp:h:/r", "at": "/mnt/usb", "password": {"file": password}}
        assert {one["code"] for one in standing["accept"]} == set(copying.MASKED)
        led = copying._leading_to(standing, {"usb": tmp_path / "bed" / "usb"})
        assert led["repositories"]["usb"]["url"] == str(tmp_path / "bed" / "usb")
        assert standing["repositories"]["usb"]["url"] == "sftp:h:/r", "each bed has a table of its own"


class TestTable:
    def test_a_page_tells_each_fault_in_its_group(self) -> None:
        page = table.markdown([_proof(), _proof(group="drill", fault="healthy", outcome="unnoticed", seconds=None, where="")])
        assert "| a-fault | Wrong \\| bad. | inspection: consistency | dump-stale, rows | 2.3 s |" in page
        assert "1 fault caught; silent 1 time where nothing was wrong." in page

    @pytest.mark.parametrize("outcome", ["missed", "noticed", "not injected"])
    def test_what_is_not_proven_stands_in_the_headline(self, outcome: str) -> None:
        assert "1 NOT PROVEN: a-fault" in table.headline([_proof(outcome=outcome), _proof(fault="b")])

    def test_proofs_stand_where_people_look_for_them_however_they_came(self) -> None:
        came = [
            _proof(fault="b", group="drill"),
            _proof(fault="c", group="repository", caught_by="drill"),
            _proof(fault="d", group="repository"),
            _proof(fault="a", group="repository"),
        ]
        assert [one.fault for one in table.ordered(came)] == ["a", "d", "c", "b"]

    def test_what_else_was_found_is_told(self) -> None:
        assert "(beside it: file-differs)" in table.markdown([_proof(beside=["file-differs"])])


class TestBeds:
    def test_beds_are_for_their_owner_alone_and_go(self) -> None:
        made = Beds()
        folder = made.make("one")
        (folder / "closed").mkdir(mode=0o000)
        assert made.at.stat().st_mode & 0o777 == 0o700
        made.close()
        assert not made.at.exists()

    def test_beds_of_killed_runs_are_removed_and_those_of_others_stay(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(beds.tempfile, "tempdir", str(tmp_path))
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        dead, alive = tmp_path / f"muster-beds-{gone.pid}-x", tmp_path / f"muster-beds-{os.getpid()}-x"
        dead.mkdir()
        alive.mkdir()
        beds.remove_leftovers()
        assert (dead.exists(), alive.exists()) == (False, True)
