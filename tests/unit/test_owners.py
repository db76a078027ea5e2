"""Files go to the owners that they had by name, in an order in which no id is taken for another."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from muster.backups.manifest import Manifest
from muster.backups.owners import ACCOUNTS, Accounts, accounts, by_number, create_missing, put_right


def sealed(users: dict[str, int], groups: dict[str, int], members: dict[str, list[str]] | None = None) -> Manifest:
    return Manifest.model_validate(
        {
            "hostname": "pi",
            "sealed_at": "2026-03-01T09:00:00Z",
            "users": {
                name: {"uid": uid, "gid": groups.get(name, uid), "home": f"/home/{name}", "groups": (members or {}).get(name, [])}
                for name, uid in users.items()
            },
            "groups": groups,
        }
    )


def machine(users: dict[str, int], groups: dict[str, int], members: dict[str, set[str]] | None = None) -> Accounts:
    return Accounts(users, groups, {name: frozenset(those) for name, those in (members or {}).items()})


def test_accounts_are_read_from_what_the_machine_prints() -> None:
    found = accounts("root:x:0:0:root:/root:/bin/bash\npi:x:1000:1001::/home/pi:/bin/sh\n\nroot:x:0:\naudio:x:29:pi,app\n")
    assert found.users == {"root": 0, "pi": 1000}
    assert found.groups == {"root": 0, "audio": 29}
    assert found.members["audio"] == {"pi", "app"}


def test_of_two_names_for_one_number_the_first_is_meant_as_programs_show_it() -> None:
    assert by_number({"root": 0, "pi": 1000, "toor": 0}) == {0: "root", 1000: "pi"}


def test_number_0_is_root_whoever_else_has_it() -> None:
    assert by_number({"eve": 0, "root": 0}) == {0: "root"}


def test_files_of_root_are_not_given_to_another_name_of_root() -> None:
    users = {"eve": 0, "root": 0, "app": 900}
    assert create_missing(sealed(users, {"app": 900}), machine({"root": 0, "app": 77}, {"app": 900})) == []
    assert "eve" not in put_right(sealed(users, {}), machine({"root": 0, "eve": 999, "app": 77}, {}), ["/srv"], "/run/x")


@pytest.mark.skipif(shutil.which("getent") is None, reason="this host has no getent")
def test_accounts_are_read_from_a_real_machine() -> None:
    output = subprocess.run(["sh", "-c", ACCOUNTS], capture_output=True, check=True, text=True).stdout
    assert accounts(output).users["root"] == 0


def test_what_the_machine_has_is_not_made_again() -> None:
    assert create_missing(sealed({"app": 900}, {"app": 900}), machine({"app": 77}, {"app": 78})) == []


def test_a_missing_user_is_made_with_its_groups_after_these() -> None:
    manifest = sealed({"app": 900}, {"app": 900, "extra": 901}, {"app": ["extra"]})
    assert create_missing(manifest, machine({}, {})) == [
        "groupadd --system --gid 900 app",
        "groupadd --system --gid 901 extra",
        "useradd --system --no-create-home --home-dir /home/app --shell /usr/sbin/nologin --gid app --groups extra --uid 900 app",
    ]


def test_an_id_that_is_taken_is_left_to_the_machine() -> None:
    commands = create_missing(sealed({"app": 900}, {"app": 901}), machine({"other": 900}, {"another": 901}))
    assert commands[0] == "groupadd --system app"
    assert "--uid" not in commands[1]
    assert "--gid app" in commands[1]


def test_a_user_is_put_into_the_groups_that_it_is_not_in() -> None:
    manifest = sealed({"app": 900}, {"app": 900, "audio": 29, "video": 44}, {"app": ["audio", "video"]})
    assert create_missing(manifest, machine({"app": 900}, {"app": 900, "audio": 29, "video": 44}, {"audio": {"app"}})) == [
        "usermod --append --groups video app"
    ]


def test_nobody_is_never_made() -> None:
    assert create_missing(sealed({"nobody": 65534}, {"nogroup": 65534}), machine({}, {})) == []


def test_odd_names_stay_one_word() -> None:
    commands = create_missing(sealed({"a b;c": 900}, {"a b;c": 900}), machine({}, {}))
    assert commands[0].endswith("'a b;c'")
    assert commands[1].endswith("'a b;c'")


def test_nothing_is_done_where_all_ids_agree() -> None:
    assert put_right(sealed({"app": 900}, {"app": 900}), machine({"app": 900, "x": 5}, {"app": 900}), ["/srv"], "/run/x") == ""


def test_users_that_the_machine_does_not_have_are_left_alone() -> None:
    assert put_right(sealed({"app": 900}, {}), machine({}, {}), ["/srv"], "/run/x") == ""


def test_everything_is_listed_before_anything_is_changed() -> None:
    script = put_right(
        sealed({"a": 1, "b": 2}, {"g": 3}), machine({"a": 2, "b": 1}, {"g": 4}), ["/srv/x y"], "/run/x"
    ).splitlines()
    first_change = min(number for number, line in enumerate(script) if "chown" in line or "chgrp" in line)
    listed = "\n".join(script[:first_change])
    for part in ("-uid 1 -fprint0 u1", "-uid 2 -fprint0 u2", "-gid 3 -fprint0 g3", "-perm /6000", "getfattr", "getfacl"):
        assert part in listed, part
    assert not any("find" in line for line in script[first_change:])
    assert "find '/srv/x y' " in listed
    assert {"xargs -0r chown -h a < u1", "xargs -0r chown -h b < u2", "xargs -0r chgrp -h g < g3"} <= set(script)


def test_bits_and_capabilities_are_put_back_after_the_owners() -> None:
    script = put_right(sealed({"a": 1}, {}), machine({"a": 2}, {}), ["/srv"], "/run/x")
    assert (
        script.index("chown") < script.index("xargs -0r -n 2 chmod < setuid") < script.index("setfattr") < script.index("setfacl")
    )


def test_a_script_stops_at_its_first_failure() -> None:
    assert put_right(sealed({"a": 1}, {}), machine({"a": 2}, {}), ["/srv"], "/run/x").startswith("set -e\n")


@pytest.mark.skipif(os.geteuid() != 0 or not all(map(shutil.which, ("getfattr", "getfacl"))), reason="needs root, attr and acl")
def test_two_owners_whose_ids_changed_places_change_places(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    for name, uid in (("of daemon", 2), ("of bin", 1)):  # as the lost Pi had them
        (place / name).write_text("x")
        os.chown(place / name, uid, 0)
    (place / "of daemon").chmod(0o4755)
    manifest = sealed({"daemon": 2, "bin": 1}, {})
    script = put_right(manifest, machine({"daemon": 1, "bin": 2}, {}), [str(place)], str(tmp_path / "scratch"))
    subprocess.run(["sh", "-c", script], check=True)
    assert (place / "of daemon").stat().st_uid == 1
    assert (place / "of bin").stat().st_uid == 2
    assert (place / "of daemon").stat().st_mode & 0o7777 == 0o4755
