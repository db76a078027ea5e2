"""What a plan says of services that are containers, and what is filled in for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muster.errors import PlanError
from muster.machines import nesting
from muster.plan import Plan, build
from muster.steps import serve
from muster.steps.compose import project

PLAN: dict[str, Any] = {
    "schema": 1,
    "name": "house",
    "hostname": "house-pi",
    "objectives": {"rpo": "1h", "rto": "1h"},
    "repositories": {"usb": {"url": "usb", "media": "usb-ssd", "password": {"file": "password"}}},
    "data": {
        "stack": {"class": "config", "paths": ["/opt/stack"]},
        "rows": {"class": "state", "paths": ["/var/lib/docker/volumes/stack_rows"]},
        "etc": {"class": "config", "paths": ["/etc/docker"]},
    },
    "services": {"stack": {"compose": "/opt/stack", "uses": ["stack", "rows"]}},
    "smoke": {"page": {"service": "stack", "run": "true"}},
}


def plan(**changes: object) -> Plan:
    return build(PLAN | changes, Path("/plans/house.toml"))


def test_the_unit_of_containers_is_the_engine_s_unless_they_have_one() -> None:
    assert plan().services["stack"].unit == "docker.service"
    own = PLAN["services"]["stack"] | {"unit": "house.service"}
    assert plan(services={"stack": own}).services["stack"].unit == "house.service"


def test_what_users_of_containers_own_keeps_its_numbers() -> None:
    assert {name: data.owners for name, data in plan().data.items()} == {"stack": "numbers", "rows": "numbers", "etc": "names"}


def test_secrets_keep_the_names_that_the_pi_has_sealed() -> None:
    env = {"class": "secrets", "paths": ["/opt/stack/.env"]}
    held = {"class": "config", "paths": ["/opt/stack"], "exclude": ["/opt/stack/.env"]}
    assert plan(data=PLAN["data"] | {"stack": held, "env": env}).data["env"].owners == "names"


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ({"compose": "/opt/house", "uses": ["stack"]}, '"/opt/house" is in no dataset; add it to the `paths` of one'),
        ({"compose": "/opt/stack", "uses": ["rows"]}, '"/opt/stack" is in the dataset "stack"; add it to `uses`'),
        ({"uses": ["stack"], "containers": ["page"]}, "means nothing without compose"),
        ({"compose": "opt/stack", "uses": ["stack"]}, "is not a full path on the Pi"),
    ],
)
def test_a_stack_that_could_not_come_back_is_a_mistake(service: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        plan(services={"stack": service})


class TestTheComposeFile:
    CONFIG = """{"name": "house", "services": {
        "db": {"image": "db:1", "volumes": [{"type": "volume", "source": "rows"}, {"type": "tmpfs", "target": "/tmp"}]},
        "web": {"build": {}, "depends_on": {"db": {}}, "volumes": [{"type": "bind", "source": "/srv"}]},
        "other": {"image": "other:1", "environment": {"DB_PASSWORD": "hunter-two", "MODE": "quick", "EMPTY_KEY": null}}},
        "volumes": {"rows": {"name": "house_rows"}, "old": {"name": "elsewhere", "external": true}}}"""

    def test_names_are_those_that_docker_uses(self) -> None:
        found = project.parse(self.CONFIG, [])
        assert found.volumes == ("house_rows",)
        assert found.binds == ("/srv",)
        assert found.external == {"elsewhere"}
        assert found.images == {"db:1": ["db"], "house-web": ["web"], "other:1": ["other"]}

    def test_a_part_comes_with_what_it_depends_on_and_nothing_else(self) -> None:
        assert list(project.parse(self.CONFIG, ["web"]).parts) == ["db", "web"]

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', '{"name": "x", "services": {"a": null}}'])
    def test_what_describes_no_services_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"compose describes no services|Expecting value"):
            project.parse(text, [])

    def test_a_part_that_the_file_has_not_is_refused(self) -> None:
        with pytest.raises(ValueError, match="page"):
            project.parse(self.CONFIG, ["page"])

    def test_only_what_looks_like_a_secret_is_taken_for_one(self) -> None:
        assert list(project.secrets_in(self.CONFIG)) == ["hunter-two"]
        assert list(project.secrets_in("no json")) == []


class TestContainersInContainers:
    USUAL: dict[str, Any] = {"cap_add": ["SYS_ADMIN"], "command": ["/sbin/init"]}  # noqa: RUF012  # read alone

    def test_only_a_plan_with_an_engine_gets_the_rights_for_one(self) -> None:
        assert nesting.wanted(["nginx", "docker.io"])
        assert not nesting.wanted(["nginx", "docker-compose"])

    @pytest.mark.parametrize(
        "command", [["/sbin/init"], ["/bin/sh", "-c", "mount -o remount,rw /sys/fs/cgroup && exec /sbin/init"]]
    )
    def test_what_systemd_needs_stays(self, command: list[str]) -> None:
        made = nesting.arguments(self.USUAL | {"command": command})
        assert made["cap_add"] == ["SYS_ADMIN", "NET_ADMIN"]
        assert made["command"][-1].endswith("exec /sbin/init")

    def test_a_host_where_it_does_not_work_is_told_of_a_machine_where_it_does(self) -> None:
        assert nesting.refusal("iptables: Permission denied").endswith(
            "(iptables: Permission denied): drill with --drill-machine vm."
        )


def test_containers_are_made_anew_where_a_unit_would_be_restarted() -> None:
    both = plan(services=PLAN["services"] | {"web": {}, "own": PLAN["services"]["stack"] | {"unit": "own.service"}})
    script = serve.restarting(both, ["web", "own", "stack"])
    assert script.startswith("systemctl restart web.service own.service; (")
    assert "docker.service" not in script  # that would bring containers back with the variables that they were made with
    assert "--force-recreate" in script
