"""What a plan says about the disk that the Pi boots from."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from muster.errors import PlanError
from muster.plan import Plan, load
from tests.fake.machine import write_plan


def _plan(folder: Path, adapt: str, paths: str = '["/etc", "/boot/firmware/cmdline.txt"]') -> Plan:
    path = write_plan(folder)
    path.write_text(path.read_text().replace('["/etc/app"]', paths).replace('paths = ["/etc/keys"]', 'paths = ["/srv/keys"]'))
    path.write_text(path.read_text() + f"\n[boot]\nadapt = {adapt}\n")
    return load(path)


def test_restored_files_that_name_the_disk_can_be_told(tmp_path: Path) -> None:
    plan = _plan(tmp_path, '["/etc/fstab", "/boot/firmware/cmdline.txt"]')
    assert plan.boot.adapt == (PurePosixPath("/etc/fstab"), PurePosixPath("/boot/firmware/cmdline.txt"))


def test_nothing_is_adapted_unless_the_plan_says_so(tmp_path: Path) -> None:
    assert _plan(tmp_path, "[]").boot.adapt == ()


def test_what_no_dataset_brings_back_cannot_be_adapted(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r'\[boot\] adapt: "/boot/firmware/cmdline.txt" is in no dataset'):
        _plan(tmp_path, '["/etc/fstab", "/boot/firmware/cmdline.txt"]', '["/etc"]')


@pytest.mark.parametrize("adapt", ['["etc/fstab"]', '"/etc/fstab"', "[1]"])
def test_what_is_no_list_of_full_paths_is_refused(tmp_path: Path, adapt: str) -> None:
    with pytest.raises(PlanError, match="boot"):
        _plan(tmp_path, adapt)
