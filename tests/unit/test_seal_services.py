"""The services of a Pi, with the paths that they use and that no package brings back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muster.backups.manifest import ServiceFacts
from muster.seal import services
from muster.seal.packaged import Packages
from tests.fake.sealing import SHOW, Answers, answering, debian


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return answering(monkeypatch)


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return debian(tmp_path)


class TestServices:
    def plan(self, *covered: str) -> dict[str, Any]:
        return {"services": {"app": {}, "db": {"unit": "db@1.service"}}, "data": {"app": {"paths": covered}}}

    @pytest.fixture
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(services, "KEPT", (str(tmp_path),))
        monkeypatch.setattr(services, "_processes", dict)
        return tmp_path

    def told(self, packages: Packages, programs: Answers, app: str, *covered: str) -> ServiceFacts:
        programs({SHOW: f"ActiveState=active\n{app}\n\nActiveState=inactive\n"})
        described = services.services(self.plan(*covered), packages)
        assert described["db"] == {"unit": "db@1.service", "active": "inactive", "paths": []}
        return ServiceFacts.model_validate(described["app"])

    def test_paths_that_the_unit_names(self, packages: Packages, programs: Answers, kept: Path) -> None:
        for name in ("app.service", "a.conf", "b.conf", "env", "run", "ready"):
            (kept / name).touch()
        (kept / "start").symlink_to("run")
        lines = [
            f"FragmentPath={kept}/app.service", f"EnvironmentFiles={kept}/env (ignore_errors=yes)",
            f"ExecStart={{ path={kept}/start ; argv[]={kept}/start -c {kept}/a.conf --more={kept}/b.conf /nowhere ; pid=1 }}",
            f"ExecStart={{ path=/bin/sh ; argv[]=/bin/sh {kept}/ready ; pid=2 }}",
        ]  # fmt: skip
        told = self.told(packages, programs, "\n".join(lines))
        assert (told.unit, told.active) == ("app.service", "active")
        names = ("a.conf", "app.service", "b.conf", "env", "ready", "run", "start")
        assert told.paths == tuple(f"{kept}/{name}" for name in names)

    def test_what_a_package_brings_as_it_is_is_no_path_of_the_owners(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "default.conf").write_text("default", encoding="utf-8")
        (kept / "changed.conf").write_text("mine", encoding="utf-8")
        for name in ("default.conf", "changed.conf"):
            packages.defaults[f"{kept}/{name}"] = packages.defaults["/etc/app/app.conf"]
        told = self.told(packages, programs, f"ExecStart={{ argv[]=/bin/app {kept}/default.conf {kept}/changed.conf ; }}")
        assert told.paths == (f"{kept}/changed.conf",)

    def test_an_empty_folder_is_none_and_a_folder_with_files_is(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "empty").mkdir()
        (kept / "full").mkdir()
        (kept / "full/row").touch()
        assert self.told(packages, programs, f"WorkingDirectory={kept}/full {kept}/empty").paths == (f"{kept}/full",)

    def test_many_files_of_one_folder_are_told_as_the_folder(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "base").mkdir()
        files = [f"{kept}/base/{number}" for number in range(services.TOGETHER + 1)]
        for file in files:
            Path(file).touch()
        assert self.told(packages, programs, f"ExecStart={{ argv[]=/bin/db {' '.join(files)} ; }}").paths == (f"{kept}/base",)
        few = " ".join(files[1:])
        assert len(self.told(packages, programs, f"ExecStart={{ argv[]=/bin/db {few} ; }}").paths) == services.TOGETHER

    def test_a_folder_speaks_for_what_is_in_it(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "app/deep").mkdir(parents=True)
        (kept / "app/deep/row").touch()
        (kept / "application").touch()
        told = self.told(packages, programs, f"ExecStart={{ argv[]=/bin/x {kept}/app/deep/row {kept}/application {kept}/app ; }}")
        assert told.paths == (f"{kept}/app", f"{kept}/application")

    def test_a_folder_whose_content_is_all_covered_is_no_path_of_its_own(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "app/db").mkdir(parents=True)
        (kept / "app/db/row").touch()
        line = f"WorkingDirectory={kept}/app\nExecStart={{ argv[]=/bin/x {kept}/app/db/row ; }}"
        assert self.told(packages, programs, line, f"{kept}/app/db").paths == (f"{kept}/app/db/row",)

    def test_a_folder_that_datasets_hold_a_part_of_speaks_for_none_of_it(
        self, packages: Packages, programs: Answers, kept: Path
    ) -> None:
        (kept / "app/db").mkdir(parents=True)
        (kept / "app/db/row").touch()
        files = [f"{kept}/app/{number:02}" for number in range(services.TOGETHER + 1)]
        for file in files:
            Path(file).touch()
        line = f"WorkingDirectory={kept}/app\nExecStart={{ argv[]=/bin/x {kept}/app/db/row {' '.join(files)} ; }}"
        told = self.told(packages, programs, line, f"{kept}/app/db")
        assert told.paths == (f"{kept}/app", *files, f"{kept}/app/db/row")

    def test_a_file_behind_a_link_is_told_as_the_plan_spells_it(self, packages: Packages, programs: Answers, kept: Path) -> None:
        (kept / "disk/www").mkdir(parents=True)
        (kept / "disk/www/index").touch()
        (kept / "web").symlink_to("disk")
        line = f"ExecStart={{ argv[]=/bin/x {kept}/disk/www/index ; }}"
        assert self.told(packages, programs, line, f"{kept}/web/www").paths == (f"{kept}/web/www/index",)
        assert self.told(packages, programs, line, f"{kept}/web").paths == (
            f"{kept}/disk/www/index",
        )  # restic keeps the link alone

    def test_a_process_is_seen_with_its_arguments_and_open_files(self, tmp_path: Path) -> None:
        with (tmp_path / "open").open("w"):
            used = services._used(Path("/proc/self"))
        assert str(tmp_path / "open") in used
        assert str(Path.cwd()) in used
        assert not any(path.startswith("/dev") for path in used)

    def test_a_process_that_is_gone_uses_nothing(self) -> None:
        assert services._used(Path("/proc/0")) == set()
