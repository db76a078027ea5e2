"""Three copies, on two media, one elsewhere: what counts, what only looks like it, and what nobody could see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from muster.backups.manifest import Manifest, Mount
from muster.inspection import here
from muster.inspection.copies import Copy, behind, media, not_independent, too_close
from muster.inspection.places import Place, place
from muster.plan import Plan, load
from tests.fake.inspecting import inspected, of
from tests.fake.machine import write_plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USB = Place("usb", "usb-ssd", offsite=False, key="1:2", devices=frozenset({"a"}))
AWAY = Place("away", "disk", offsite=True, key="store:22/pi", host="store")
TABLE = r"""/dev/sda1 / ext4 rw 0 0
nas:/volume /mnt/nas nfs4 rw 0 0
pi@tiny-pi.lan:/backup /mnt/back fuse.sshfs rw 0 0
//store/share /mnt/with\040space cifs rw 0 0
"""


def _codes(*found: Copy) -> dict[str, str]:
    return {finding.code: finding.severity for finding in too_close("rows", found)}


def _plan(folder: Path, *repositories: str) -> Plan:
    path = write_plan(folder)
    more = "".join(f"[repositories.{one.partition('=')[0]}]\n{one.partition('=')[2]}\n" for one in repositories)
    path.write_text(path.read_text().replace("[data.etc]", f"{more}\n[data.etc]"))
    return load(path)


def _remote(url: str) -> str:
    return f'away=url = "{url}"\nmedia = "disk"\noffsite = true\npassword = {{ file = "password" }}'


def test_two_copies_on_two_media_one_elsewhere_are_enough() -> None:
    assert _codes(Copy(USB), Copy(AWAY)) == {}


def test_one_copy_is_too_few_and_is_no_question_of_media() -> None:
    assert _codes(Copy(AWAY)) == {"too-few-copies": "error"}
    assert _codes(Copy(USB)) == {"too-few-copies": "error", "no-offsite": "error"}


@pytest.mark.parametrize("wrong", ["does not open", "is too old"])
def test_a_copy_that_is_no_good_does_not_count(wrong: str) -> None:
    [few, none] = too_close("rows", [Copy(USB), Copy(AWAY, wrong)])
    assert (few.code, none.code) == ("too-few-copies", "no-offsite")
    assert f"away {wrong}" in few.what


def test_a_copy_that_nobody_saw_leaves_the_question_open() -> None:
    assert _codes(Copy(USB), Copy(AWAY, unseen=True)) == {"too-few-copies": "unproven", "no-offsite": "unproven"}
    assert _codes(Copy(AWAY), Copy(USB, unseen=True)) == {"too-few-copies": "unproven"}


def test_a_copy_that_nobody_saw_does_not_excuse_what_it_could_not_mend() -> None:
    second = Place("usb2", "usb-ssd", offsite=False, key="1:3")
    assert _codes(Copy(USB), Copy(second, unseen=True))["no-offsite"] == "error"


def test_a_copy_on_the_pis_own_disk_does_not_count() -> None:
    card = Place("card", "sd", offsite=False, key="3:3", with_the_pi=True)
    assert _codes(Copy(AWAY), Copy(card)) == {"too-few-copies": "error"}


def test_two_names_for_one_folder_are_one_copy() -> None:
    again = Place("usb-again", "ssd", offsite=True, key="1:2")
    assert "too-few-copies" in _codes(Copy(USB), Copy(again))
    [finding] = not_independent(USB, again, [])
    assert (finding.code, finding.severity) == ("copies-not-independent", "error")


def test_a_mirror_of_the_files_is_a_warning() -> None:
    [finding] = not_independent(USB, AWAY, ["b" * 64])
    assert (finding.code, finding.severity) == ("copies-not-independent", "warning")
    assert not list(not_independent(USB, AWAY, []))


def test_copies_on_one_kind_of_medium_are_on_one() -> None:
    twin = Place("twin", "usb-ssd", offsite=True, key="store:22/pi")
    assert _codes(Copy(USB), Copy(twin)) == {"one-medium": "error"}


def test_one_disk_is_one_medium_whatever_the_plan_calls_it() -> None:
    other = Place("other", "disk", offsite=False, key="1:3", devices=frozenset({"a", "b"}))
    assert len(media([USB, other])) == 1
    assert len(media([USB, AWAY, other])) == 1, "what two words and one disk tie together is one"
    assert len(media([USB, Place("c", "tape", offsite=False, key="9", devices=frozenset({"c"}))])) == 2


def test_a_host_that_the_plan_calls_both_is_named() -> None:
    near = Place("near", "ssd", offsite=False, key="store:22/two", host="store")
    [finding] = not_independent(near, AWAY, [])
    assert (finding.code, finding.severity, finding.where) == ("offsite-not-elsewhere", "warning", "away")


class TestBehind:
    def test_a_copy_that_stopped_while_another_goes_on_is_named(self) -> None:
        found = [Copy(USB, newest=NOW), Copy(AWAY, newest=NOW - 3 * HOUR)]
        [finding] = behind("rows", found, None, HOUR)
        assert finding.where == "away/rows"
        assert "3:00:00 older" in finding.what

    def test_a_repository_with_a_slower_rhythm_is_not_behind(self) -> None:
        weekly = tuple(NOW - timedelta(days=3 + 7 * week) for week in range(4))
        assert not list(behind("rows", [Copy(USB, newest=NOW), Copy(AWAY, newest=weekly[0], listed=weekly)], None, HOUR))

    def test_a_repository_is_not_behind_within_a_window_of_its_own(self) -> None:
        slow = Copy(AWAY, newest=NOW - timedelta(days=6), window=timedelta(days=8))
        assert not list(behind("rows", [Copy(USB, newest=NOW), slow], HOUR, HOUR))
        slow = Copy(AWAY, newest=NOW - timedelta(days=9), window=timedelta(days=8))
        assert list(behind("rows", [Copy(USB, newest=NOW), slow], HOUR, HOUR))

    def test_what_is_too_old_by_itself_is_not_told_twice(self) -> None:
        assert not list(behind("rows", [Copy(USB, newest=NOW), Copy(AWAY, newest=NOW - 3 * HOUR, stale=True)], HOUR, HOUR))

    def test_a_single_copy_is_behind_nothing(self) -> None:
        assert not list(behind("rows", [Copy(USB, newest=NOW)], None, HOUR))
        assert not list(behind("rows", [Copy(USB, unseen=True)], None, HOUR))


class TestPlaces:
    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("sftp:backup@store.example.org:/restic", ""),
            ("sftp:backup@10.8.0.4:/restic", ""),
            ("rest:https://store.example.org:8000/pi", ""),
            ("s3:s3.example.org/bucket", ""),
            ("sftp:backup@localhost:/restic", "leads back"),
            ("sftp://backup@[::1]:2222//restic", "leads back"),
            ("sftp:backup@127.0.0.9:/restic", "leads back"),
            ("sftp:backup@tiny-pi:/restic", "is the Pi itself"),
            ("sftp:backup@Tiny-Pi.lan:/restic", "is the Pi itself"),
            ("sftp:backup@192.0.2.7:/restic", "is the Pi itself"),
            ("sftp:backup@nas.local:/restic", "only the network at home"),
            ("sftp:backup@tiny-pi.example.org:/restic", ""),
            ("offsite-disk", "a folder of the host that inspects"),
        ],
    )
    def test_a_place_is_elsewhere_unless_something_speaks_against_it(self, tmp_path: Path, url: str, why: str) -> None:
        sealed = Manifest(hostname="tiny-pi", sealed_at=NOW, addresses=("192.0.2.7", "127.0.0.1"))
        found = place(_plan(tmp_path, _remote(url)), "away", sealed, TABLE)
        assert (why in found.at_home) if why else not found.at_home
        assert found.elsewhere == (not why)

    def test_a_folder_that_another_host_lends_is_elsewhere(self, tmp_path: Path) -> None:
        assert place(_plan(tmp_path, _remote("/mnt/nas/pi")), "away", None, TABLE).elsewhere
        assert not place(_plan(tmp_path, _remote("/mnt/back/pi")), "away", None, TABLE).elsewhere

    def test_the_pi_knows_what_its_own_disks_are(self, tmp_path: Path) -> None:
        def sealed(**facts: object) -> Manifest:
            mount = Mount.model_validate({"at": "/mnt/x", "source": "/dev/sda1", "device": "8:1"} | facts)
            return Manifest(hostname="tiny-pi", sealed_at=NOW, mounts={"repositories.away": mount})

        plan = _plan(tmp_path, _remote("offsite-disk"))
        assert "a disk of its own" in place(plan, "away", sealed(), TABLE).at_home
        assert place(plan, "away", sealed(transport="network"), TABLE).elsewhere
        assert place(plan, "away", sealed(with_system=True), TABLE).with_the_pi
        assert not place(plan, "away", sealed(with_system=True, exists=False), TABLE).with_the_pi
        assert "/dev/sda1 of the Pi" in place(plan, "away", sealed(), TABLE).devices

    def test_one_folder_has_one_key_however_it_is_written(self, tmp_path: Path) -> None:
        (tmp_path / "plans").mkdir()
        (tmp_path / "plans" / "link").symlink_to("usb")
        plan = _plan(tmp_path, _remote("link"))
        assert place(plan, "away", None, "").key == place(plan, "usb", None, "").key

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("sftp:a@store:/pi", "sftp://b@STORE:22//pi/", True),
            ("sftp:a@store:pi", "sftp:b@store:pi", False),
            ("sftp:a@store:pi", "sftp://a@store/pi", True),
            ("sftp:a@store:/pi", "sftp:a@store:/pi2", False),
            ("sftp:a@store:/pi", "sftp://a@store:2222//pi", False),
            ("rest:http://store:8000/pi/", "rest:http://store:8000/pi", True),
            ("s3:s3.example.org/bucket", "s3:s3.example.org/bucket/", True),
        ],
    )
    def test_one_url_is_one_place(self, tmp_path: Path, one: str, other: str, *, same: bool) -> None:
        keys = {place(_plan(tmp_path / name, _remote(url)), "away", None, "").key for name, url in (("1", one), ("2", other))}
        assert (len(keys) == 1) == same

    @pytest.mark.parametrize(
        ("path", "host"),
        [("/srv/x", ""), ("/mnt/nas/x", "nas"), ("/mnt/back", "tiny-pi.lan"), ("/mnt/with space/x", "store"), ("/mnt/nasty", "")],
    )
    def test_a_mount_names_its_host(self, path: str, host: str) -> None:
        assert here.host_of_mount(PurePosixPath(path), TABLE) == host


def test_the_copies_of_a_plan_are_judged_and_told(tmp_path: Path) -> None:
    record = inspected(tmp_path)
    assert {finding.where for finding in of(record, "no-offsite")} == {"etc", "rows", "media", "keys"}
    assert {one.subject for one in record.looked if one.check == "copies"} == {"etc", "rows", "media", "keys"}
