"""Files that come and go by themselves are not missed; those that a backup leaves out are."""

from __future__ import annotations

import pytest

from muster.backups.filelist import SealedFile
from muster.backups.trees import Entry, Tree
from muster.inspection.motion import gone
from muster.plan.model import Dataset


def missing(kind: str, sealed: list[str], listed: list[str]) -> set[str]:
    dataset = Dataset.model_validate({"class": kind, "paths": ["/srv"]})
    tree: Tree = dict.fromkeys(listed, Entry("file", 0o644, 9, "0", "0"))
    files = {path: SealedFile(path, "file", 0o644, "root", "root", 0, 0, 9) for path in sealed}
    return set(files) - set(tree) - gone(dataset, files, tree)


@pytest.mark.parametrize(
    "name",
    [".app.conf.swp", "app.conf~", ".#app.conf", "state.json.tmp", ".state.tmp42", "a.mkv.part", "rows.db-journal", ".nfs00a1"],
)
def test_what_a_program_writes_beside_a_file_may_be_gone(name: str) -> None:
    assert missing("config", [f"/srv/{name}"], []) == set()


@pytest.mark.parametrize(
    "name", ["app.conf", "mqtt.py", "template", "tmpfiles.conf", "journal", "poetry.lock", "kitchen-temp.csv", ".env"]
)
def test_a_file_of_the_configuration_may_not(name: str) -> None:
    assert missing("config", [f"/srv/{name}"], [f"/srv/new-{number}" for number in range(9)]) == {f"/srv/{name}"}


def test_a_folder_that_loses_its_oldest_files_to_new_ones_misses_none() -> None:
    before = [f"/srv/cam/{number}.ts" for number in range(100)]
    after = [f"/srv/cam/{number}.ts" for number in range(40, 140)]
    assert missing("data", before, after) == set()


def test_a_folder_that_was_left_out_is_missed_whatever_is_new_elsewhere() -> None:
    before = [f"/srv/cam/{number}.ts" for number in range(100)]
    assert missing("data", before, [f"/srv/other/{number}.ts" for number in range(100)]) == set(before)


def test_of_a_folder_that_loses_more_than_it_gets_the_rest_is_missed() -> None:
    before = [f"/srv/cam/{number}.ts" for number in range(100)]
    assert len(missing("data", before, ["/srv/cam/new.ts"])) == 99
