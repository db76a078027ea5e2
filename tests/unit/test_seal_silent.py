"""A server that went away must not keep a backup waiting for ever: its mounts are asked from afar, and not touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from muster import seal_program
from muster.seal import mounted, silent
from muster.seal.errors import SealError
from muster.seal.files import walk
from muster.seal.paths import children, is_there
from muster.seal.plan import covered_roots
from muster.seal.reach import see_that_all_answers

# A file system whose server never says a word, in a mount namespace of its own: whoever touches it waits until killed.
DEAD = """
exec 3<>/dev/fuse
mount -i -t fuse.sshfs -o fd=3,rootmode=40000,user_id=0,group_id=0 nas:/share "$1"
shift
exec timeout --signal=KILL 30 "$@"
"""
SEALING = "import sys; from muster.seal import command, silent; silent.ANSWER_WITHIN = 0.5; sys.exit(command.main())"


def beside_a_dead_mount(point: Path, *command: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(Path(seal_program.__file__).parents[1])}
    typed = ["unshare", "--mount", "bash", "-ec", DEAD, "bash", str(point), *command]
    return subprocess.run(typed, env=known, capture_output=True, text=True, check=False)


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """Where a mount is dead, as soon as a program runs beside it."""
    point = tmp_path / "srv/nas"
    point.mkdir(parents=True)
    if not Path("/dev/fuse").exists() or beside_a_dead_mount(point, "true").returncode:
        pytest.skip("only root may mount here")
    return point


def sealed(nas: Path, plan: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    pi = nas.parents[1]
    (pi / "etc").mkdir()
    (pi / "etc/a").write_text("12345", encoding="utf-8")
    head = f'name = "garden"\nhostname = "garden-pi"\nmanifest = "{pi}/var/manifest.json"\n'
    (pi / "plan.toml").write_text(head + plan.format(pi=pi), encoding="utf-8")
    arguments = ["--plan", str(pi / "plan.toml"), "--run", "r1", "--look-within", "0"]
    done = beside_a_dead_mount(nas, sys.executable, "-c", SEALING, *arguments)
    written = pi / "var/manifest.json"
    return done, json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}


ETC = '[data.etc]\nclass = "config"\npaths = ["{pi}/etc"]\n'


class TestRealMountsThatAreDead:
    def test_a_repository_there_is_told_as_gone_and_the_rest_is_sealed(self, nas: Path) -> None:
        done, manifest = sealed(nas, ETC + '[repositories.nas]\nurl = "../nas"\nat = "{pi}/srv/nas/restic"\n')
        assert (done.returncode, manifest["datasets"]["etc"]["files"]) == (0, 1)
        assert manifest["mounts"]["repositories.nas"] == {"at": f"{nas}/restic", "exists": False}
        assert done.stderr == f"muster-seal: the network mount {nas} does not answer, and is not looked at\n"

    @pytest.mark.parametrize("path", ["srv/nas", "srv/nas/media", "srv"])
    def test_a_dataset_there_is_refused_in_one_sentence(self, nas: Path, path: str) -> None:
        done, manifest = sealed(nas, ETC + f'[data.media]\nclass = "data"\npaths = ["{{pi}}/{path}"]\n')
        assert (done.returncode, manifest) == (1, {})
        assert done.stderr.startswith("muster-seal: dataset media needs the network mount ")
        assert str(nas) in done.stderr
        assert done.stderr.count("\n") == 1

    def test_a_dataset_that_leaves_it_out_is_sealed(self, nas: Path) -> None:
        (nas.parent / "film").touch()
        done, manifest = sealed(nas, '[data.media]\nclass = "data"\npaths = ["{pi}/srv"]\nexclude = ["{pi}/srv/nas"]\n')
        assert (done.returncode, manifest["datasets"]["media"]["files"]) == (0, 1)


@pytest.fixture
def dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount that answers here, and is said to be dead: what touches it all the same is found out by what it sees."""
    point = tmp_path / "nas"
    (point / "film").mkdir(parents=True)
    for module in ("silent", "files", "reach"):
        monkeypatch.setattr(f"muster.seal.{module}.silent", lambda: frozenset({str(point)}))
    return point


class TestWhatIsNotTouched:
    @pytest.mark.parametrize("path", ["nas", "nas/film", "./nas//film", "other/../nas", "link", "link/film", "far/film", "round"])
    def test_the_way_there_is_known_by_its_names(self, dead: Path, path: str) -> None:
        (dead.parent / "link").symlink_to("nas")
        (dead.parent / "far").symlink_to(dead.parent / "link")
        (dead.parent / "round").symlink_to("other/../link")
        (dead.parent / "other").mkdir()
        assert silent.is_silent(f"{dead.parent}/{path}")
        assert not is_there(f"{dead.parent}/{path}")
        assert children(f"{dead.parent}/{path}") == []

    @pytest.mark.parametrize("path", ["", "nas2", "loop", "gone/nas"])
    def test_other_ways_are_free(self, dead: Path, path: str) -> None:
        (dead.parent / "nas2").mkdir()
        (dead.parent / "loop").symlink_to("loop")
        assert not silent.is_silent(f"{dead.parent}/{path}")

    def test_a_link_to_it_is_a_file_of_its_own(self, dead: Path) -> None:
        (dead.parent / "link").symlink_to("nas")
        assert [path for path, _ in walk(f"{dead.parent}/link", lambda _: False)] == [f"{dead.parent}/link"]
        see_that_all_answers({"data": {"a": {"paths": [f"{dead.parent}/link"]}}}, dead.parent / "manifest.json")

    def test_a_walk_goes_around_it(self, dead: Path) -> None:
        (dead.parent / "a").touch()
        assert [path for path, _ in walk(str(dead.parent), lambda _: False)] == [str(dead.parent), f"{dead.parent}/a"]
        assert list(walk(f"{dead}/film", lambda _: False)) == []

    def test_what_a_dump_stands_for_may_be_there(self, dead: Path) -> None:
        assert covered_roots({"data": {"db": {"paths": [], "covers": [f"{dead}/db"]}}}) == {f"{dead}/db": f"{dead}/db"}

    def test_the_manifest_may_not(self, dead: Path) -> None:
        with pytest.raises(SealError, match=r"the manifest .* does not answer"):
            see_that_all_answers({"data": {}}, dead / "manifest.json")


def test_a_mount_that_answers_is_not_silent_however_it_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(str(tmp_path), "nfs4", "nas:/x"), (f"{tmp_path}/gone", "cifs", "//nas/x"), ("/", "fuse", "/dev/a")]
    monkeypatch.setattr(mounted, "table", lambda: rows)
    assert silent.silent.__wrapped__() == frozenset()
