"""What came back of a copy is held against its snapshot and against what the Pi had; every difference is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from muster.backups.filelist import SealedFile
from muster.backups.trees import Entry
from muster.findings import Finding
from muster.inspection.comparing import Copy, judged
from muster.inspection.restored import Lying
from muster.plan.model import Dataset

AT, AT_NS = 1_700_000_000.123456, 1_700_000_000_123_456_789
PATH = "/etc/app/a"
LISTED = Entry("file", 0o640, 5, "101", "103", AT)
LYING = Lying("file", 0o640, 5, 101, 103, AT + 1e-7, 7, sha256="aa" * 32, xattrs={"user.t": "78"})
SEALED = SealedFile(PATH, "file", 0o640, "app", "app", 101, 103, 5, AT_NS, "aa" * 32, xattrs={"user.t": "78"})


def copy(
    listed: dict[str, Entry] | None = None,
    lying: dict[str, Lying] | None = None,
    sealed: dict[str, SealedFile] | None = None,
    of: str = "config",
    **more: Any,  # noqa: ANN401  # whatever else a copy has
) -> Copy:
    listed = {PATH: LISTED} if listed is None else listed
    lying = {PATH: LYING} if lying is None else lying
    sealed = {PATH: SEALED} if sealed is None else sealed
    names = {"users": {101: "app"}, "groups": {103: "app"}} | more
    dataset = Dataset.model_validate({"class": of, "paths": ["/etc/app"]})
    return Copy("usb/etc", dataset, listed, more.pop("chosen", [*listed]), lying, sealed=sealed, **names)


def codes(findings: list[Finding]) -> list[str]:
    assert all(finding.where == "usb/etc" for finding in findings)
    return [finding.code for finding in findings]


def test_what_is_as_it_was_is_no_finding_and_is_counted() -> None:
    one = copy()
    assert judged(one) == []
    assert (one.seen, one.compared, one.changed) == (1, 1, 0)


@pytest.mark.parametrize(
    ("lying", "says"),
    [
        (replace(LYING, size=4), "size 4 instead of 5"),
        (replace(LYING, mode=0o600), "mode 0600 instead of 0640"),
        (replace(LYING, uid=0), "owner 0:103 instead of 101:103"),
        (replace(LYING, modified=AT + 1), "time"),
        (replace(LYING, type="dir"), "came back as a dir"),
        (None, "is missing"),
    ],
)
@pytest.mark.parametrize("sealed", [None, {PATH: SEALED}])
def test_what_is_not_as_in_the_snapshot_is_told_with_both_sides(
    lying: Lying | None, says: str, sealed: dict[str, SealedFile] | None
) -> None:
    one = copy(lying={PATH: lying} if lying else {}, sealed=sealed)
    one.sealed = sealed
    [finding] = judged(one)
    assert (finding.code, finding.severity) == ("dataset-incomplete", "error")
    assert says in finding.what
    assert says in finding.evidence


@pytest.mark.parametrize(
    ("lying", "sealed", "says"),
    [
        (replace(LYING, sha256="bb" * 32), SEALED, "other content (SHA-256 bbbbbbbb... instead of aaaaaaaa...)"),
        (replace(LYING, xattrs={}), SEALED, "other attributes: none instead of user.t"),
        (replace(LYING, xattrs={"user.t": "79"}), SEALED, "another value of user.t"),
        (LYING, replace(SEALED, xattrs={}), "other attributes: user.t instead of none"),
        (LYING, replace(SEALED, mode=0o600), "mode 0640 instead of 0600"),
        (LYING, replace(SEALED, user="root", uid=0), "owner app:app instead of root:app"),
        (LYING, replace(SEALED, type="dir"), "is a file, and was a dir"),
    ],
)
def test_what_is_unlike_the_pi_is_told_with_both_sides(lying: Lying, sealed: SealedFile, says: str) -> None:
    [finding] = judged(copy(lying={PATH: lying}, sealed={PATH: sealed}))
    assert (finding.code, finding.severity) == ("file-differs", "error")
    assert says in finding.what


def test_owners_are_compared_by_name_as_the_pi_had_it() -> None:
    assert judged(copy(sealed={PATH: replace(SEALED, uid=7, gid=8)})) == []


def test_without_names_numbers_are_compared() -> None:
    assert judged(copy(users={}, groups={})) == []
    assert codes(judged(copy(users={}, groups={}, sealed={PATH: replace(SEALED, uid=7)}))) == ["file-differs"]


def test_a_link_that_leads_elsewhere_is_told() -> None:
    listed, lying = (
        Entry("symlink", 0o777, 0, "101", "103", AT),
        replace(LYING, type="symlink", target="/b", sha256="", xattrs={}),
    )
    was = replace(SEALED, type="symlink", target="/a", sha256="", xattrs={})
    [finding] = judged(copy({PATH: listed}, {PATH: lying}, {PATH: was}))
    assert "leads to /b instead of /a" in finding.what
    assert judged(copy({PATH: listed}, {PATH: lying}, {PATH: replace(was, target="/b")})) == []


def test_hard_links_that_came_apart_are_told() -> None:
    twin = "/etc/app/b"
    sealed = {PATH: SEALED, twin: replace(SEALED, path=twin, links=PATH)}
    listed, lying = {PATH: LISTED, twin: LISTED}, {PATH: LYING, twin: LYING}
    assert judged(copy(listed, lying, sealed)) == []
    [finding] = judged(copy(listed, lying | {twin: replace(LYING, inode=8)}, sealed))
    assert f"{twin} is no longer one file with {PATH}" in finding.what


def test_what_the_snapshot_lacks_is_named() -> None:
    [finding] = judged(copy(sealed={PATH: SEALED, "/etc/app/b": replace(SEALED, path="/etc/app/b")}))
    assert (finding.code, finding.severity) == ("file-missing", "error")
    assert "/etc/app/b" in finding.what


def test_where_files_come_and_go_a_few_may_be_missing() -> None:
    gone = {f"/etc/app/{number}": SEALED for number in range(3)}
    assert judged(copy(sealed={PATH: SEALED, **dict([*gone.items()][:2])}, of="data")) == []
    assert codes(judged(copy(sealed={PATH: SEALED, **gone}, of="data"))) == ["file-missing"]


@pytest.mark.parametrize(("name", "found"), [("home.db", ["file-missing"]), ("home.db-wal", [])])
def test_of_these_few_none_may_be_most_of_what_there_is(name: str, found: list[str]) -> None:
    gone = {f"/etc/app/{name}": replace(SEALED, size=1_000_000)}
    assert codes(judged(copy(sealed={PATH: SEALED, **gone}, of="state"))) == found


def test_what_changed_after_the_seal_is_not_compared_and_is_counted() -> None:
    other, path = "/etc/app/b", replace(SEALED, size=4, sha256="cc" * 32, mode=0o600)
    one = copy({PATH: LISTED, other: LISTED}, {PATH: LYING, other: LYING}, {PATH: path, other: SEALED})
    assert judged(one) == []
    assert (one.seen, one.compared, one.changed) == (2, 1, 1)


def test_when_everything_changed_nothing_is_proven() -> None:
    [finding] = judged(copy(sealed={PATH: replace(SEALED, mtime_ns=AT_NS + 10**9)}))
    assert (finding.code, finding.severity) == ("sample-empty", "unproven")
    assert "changed on the Pi" in finding.what


def test_comparing_nothing_proves_nothing() -> None:
    [finding] = judged(copy({}, {}, {}))
    assert (finding.code, finding.severity) == ("sample-empty", "unproven")


def test_what_the_repository_could_not_give_back_is_damage_and_nothing_else() -> None:
    [finding] = judged(copy(lying={}, broken={PATH: "ciphertext verification failed"}))
    assert finding.code == "repository-damaged"
    assert "ciphertext" in finding.evidence


def test_a_secret_without_a_digest_is_compared_by_its_rights() -> None:
    bare = replace(SEALED, sha256="", xattrs={"security.capability": "01"})
    assert (
        judged(
            copy(
                lying={PATH: replace(LYING, xattrs={"security.capability": "01", "user.t": "78"})},
                sealed={PATH: bare},
                of="secrets",
            )
        )
        == []
    )
    assert codes(judged(copy(sealed={PATH: bare}, of="secrets"))) == ["file-differs"]


def test_attributes_that_the_machine_cannot_read_are_no_difference() -> None:
    assert judged(copy(lying={PATH: replace(LYING, xattrs={})}, xattrs=False)) == []


def test_evidence_is_capped() -> None:
    sealed = {f"/etc/app/{number}": SEALED for number in range(50)}
    [finding] = judged(copy(sealed={PATH: SEALED, **sealed}))
    assert "50 paths" in finding.what
    assert len(finding.evidence.splitlines()) == 10
