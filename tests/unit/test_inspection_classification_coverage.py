"""What the Pi has is held against what the plan backs up: paths of services first, and the rest piece by piece."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muster.backups.manifest import Manifest
from muster.inspection.coverage import covered, held_by_none, used_by_services, weaker
from muster.plan import Plan, load
from tests.fake.inspecting import inspected, of
from tests.fake.machine import NOW, write_plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = write_plan(tmp_path)
    text = path.read_text().replace('load = "app-load"', 'load = "app-load"\ncovers = ["/var/lib/app"]')
    path.write_text(text.replace('paths = ["/srv/media"]', 'paths = ["/srv/media"]\nexclude = ["/srv/media/cache"]'))
    return load(path)


def sealed(*uncovered: tuple[str, int], whole: bool = True, **services: list[str]) -> Manifest:
    return Manifest.model_validate(
        {
            "hostname": "tiny-pi",
            "sealed_at": NOW,
            "services": {name: {"unit": f"{name}.service", "paths": paths} for name, paths in services.items()},
            "uncovered": [{"path": path, "kind": "folder", "bytes": size, "files": 3} for path, size in uncovered],
            "uncovered_is_whole": whole,
        }
    )


@pytest.mark.parametrize(
    ("path", "is_covered"),
    [
        ("/etc/app", True),
        ("/etc/app/a", True),
        ("/etc/application", False),
        ("/var/lib/app/db", True),  # what a dump stands for
        ("/var/lib/muster/manifest.json", True),
        ("/srv", True),  # its other parts are told piece by piece
        ("/srv/media/cache/a", False),
        ("/opt/app", False),
    ],
)
def test_a_path_is_covered_by_what_holds_it_or_stands_for_it(plan: Plan, path: str, *, is_covered: bool) -> None:
    assert covered(plan, path) is is_covered
    assert bool([*used_by_services(plan, sealed(app=[path]))]) is not is_covered


def test_a_path_of_a_service_that_no_dataset_holds_is_an_error(plan: Plan) -> None:
    [finding] = used_by_services(plan, sealed(app=["/opt/app"]))
    assert (finding.code, finding.severity, finding.where) == ("path-not-covered", "error", "/opt/app")


def test_what_the_owner_has_excluded_is_no_more_than_a_warning(plan: Plan) -> None:
    [finding] = used_by_services(plan, sealed(app=["/srv/media/cache/a.log"]))
    assert (finding.code, finding.severity) == ("not-covered", "warning")
    assert "left out of media by its `exclude`" in finding.what


def test_a_path_of_several_services_is_one_finding(plan: Plan) -> None:
    [finding] = used_by_services(plan, sealed(app=["/opt/a"], web=["/opt/a"]))
    assert "app, web" in finding.what


def test_services_of_an_older_plan_are_left_alone(plan: Plan) -> None:
    assert not [*used_by_services(plan, sealed(gone=["/opt/a"]))]


def test_what_nobody_holds_is_a_warning_each_the_largest_first(plan: Plan) -> None:
    findings = [*held_by_none(plan, sealed(("/opt/small", 5), ("/opt/large", 5000), ("/etc/app/new", 9)))]
    assert [(one.where, one.code, one.severity) for one in findings] == [
        ("/opt/large", "not-covered", "warning"),
        ("/opt/small", "not-covered", "warning"),
    ]
    assert "3 files, 5.0 kB" in findings[0].what


def test_what_a_service_uses_is_not_told_twice(plan: Plan) -> None:
    assert not [*held_by_none(plan, sealed(("/opt/a", 5), app=["/opt/a"]))]


def test_of_very_many_things_the_rest_is_counted(plan: Plan) -> None:
    findings = [*held_by_none(plan, sealed(*((f"/opt/{number}", 5) for number in range(30))))]
    assert len(findings) == 21
    assert "10 more things" in findings[-1].what


def test_a_search_that_did_not_end_is_said(plan: Plan) -> None:
    every = {"db": [], "app": [], "web": []}
    assert weaker(plan, sealed(**every)) == ""
    assert "not searched to the end" in weaker(plan, sealed(whole=False, **every))
    assert "what web uses is not sealed" in weaker(plan, sealed(db=[], app=[]))


def test_without_a_manifest_nothing_is_known(tmp_path: Path) -> None:
    record = inspected(tmp_path)
    assert record.steps["coverage:the Pi"].outcome == "error"
    [finding] = [one for one in of(record, "no-manifest") if one.where == "coverage"]
    assert finding.severity == "unproven"


def test_an_inspection_tells_what_is_not_covered(tmp_path: Path) -> None:
    manifest = sealed(("/opt/b", 5), app=["/opt/a"]).model_dump_json()
    path = "/var/lib/muster/manifest.json"
    facts: dict[str, Any] = {"message_type": "node", "path": path, "type": "file", "mode": 0o600, "size": 9, "uid": 0, "gid": 0}
    record = inspected(tmp_path, {"usb.* ls ": (0, json.dumps(facts)), f"cat .*{path}": (0, manifest)})
    assert [finding.where for finding in of(record, "path-not-covered", "not-covered")] == ["/opt/b", "/opt/a"]
    assert record.steps["coverage:the Pi"].outcome == "failed"
