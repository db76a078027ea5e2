"""A service that is containers: what Docker would make up for in silence, and containers that only look up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.findings import Finding
from muster.incidents import Incident
from muster.journal import Journal
from muster.plan import load
from muster.record import Record
from muster.redact import Redactor
from tests.fake import machine as fake
from tests.fake.machine import Answer, FakeMachine, write_plan

LAYERS = "sha256:aa sha256:bb "
VOLUME = "media_photos"
CONFIG = {
    "name": "media",
    "services": {
        "web": {
            "image": "app/web:1",
            "environment": {"APP_TOKEN": "not-for-anyones-eyes", "MODE": "plain-words"},
            "volumes": [
                {"type": "volume", "source": "photos", "target": "/data"},
                {"type": "bind", "source": "/srv/media/www", "target": "/www"},
                {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"},
            ],
        }
    },
    "volumes": {"photos": {"name": VOLUME}},
}
SEALED = {
    "project": "media",
    "env": False,
    "containers": {"web": {"image": "app/web:1", "content": hashlib.sha256(LAYERS.strip().encode()).hexdigest()}},
    "volumes": {VOLUME: 7},
    "owners": {VOLUME: "999:999", "/srv/media/www": "33:33", "/var/run/docker.sock": "0:998"},
}
MOUNTS = f"volume\t{VOLUME}\t999:999\t7\nbind\t/srv/media/www\t33:33\t\nbind\t/var/run/docker.sock\t0:110\t\nthere\t{VOLUME}\n"
RENAMED = MOUNTS.replace("999:999\t7\n", "\t-\n").replace("there\tmedia", "there\tpi")
UP = "web|running||0|0|unless-stopped|T|c1|\n"
STATES, IMAGES, ASKED = r"^ids=", r"^found=\$\(docker image inspect", r"DockerRootDir"

Found = Callable[..., list[Finding]]


def answered(config: Mapping[str, object] = CONFIG, said: str = "", status: int = 0) -> Answer:
    return 0, f"{status}\n{said}== muster configuration\n{json.dumps(config) if not status else ''}"


def numbered(command: str) -> Answer:
    return 0, fake._listing(command)[1].replace("root root", "0 0")


def stack(**changes: object) -> Mapping[str, Answer]:
    """What the Pi sealed of its stack."""
    return {r"cat /var/lib/muster/manifest.json": (0, json.dumps(fake._MANIFEST | {"stacks": {"web": SEALED | changes}}))}


HEALTHY: Mapping[str, Answer | Callable[[str], Answer]] = {
    r"%U %G": numbered,
    r"docker compose config": answered(),
    IMAGES: (0, f"app/web:1\t{LAYERS}\n"),
    ASKED: (0, MOUNTS),
    STATES: (0, UP),
    **stack(),
}


@pytest.fixture
def drilled(tmp_path: Path) -> Callable[..., Record]:
    def drill(answers: Mapping[str, Answer], *, more: str = "") -> Record:
        path = write_plan(tmp_path)
        path.write_text(path.read_text().replace("[services.web]\n", f'[services.web]\ncompose = "/srv/media"\n{more}'))
        incident = Incident("disk-loss", datetime.now(UTC))
        machine = FakeMachine({**answers, **{key: value for key, value in HEALTHY.items() if key not in answers}})
        one = Drill(load(path), incident, machine, Journal(tmp_path / "journal.jsonl", Redactor()), "run", say=lambda _: None)
        with suppress(MusterError, Blocked):
            one.conclude()
        one.machine.destroy()
        one.close()
        return one.record

    return drill


@pytest.fixture
def found(drilled: Callable[..., Record]) -> Found:
    def find(answers: Mapping[str, Answer], *, more: str = "") -> list[Finding]:
        return [one for one in drilled(answers, more=more).findings if not one.code.endswith("-missed")]

    return find


def test_a_healthy_stack_is_left_alone(drilled: Callable[..., Record]) -> None:
    record = drilled({})
    assert not record.findings
    assert record.verdict == "recovered"


def test_no_value_of_a_variable_is_in_the_journal(drilled: Callable[..., Record], tmp_path: Path) -> None:
    drilled({r"docker logs": (0, "started with not-for-anyones-eyes"), STATES: (0, "web|exited||3|0|always|T|c1|\n")})
    text = (tmp_path / "journal.jsonl").read_text()
    assert "not-for-anyones-eyes" not in text
    assert "plain-words" not in text  # no secret by its name, and nothing that a journal needs


@pytest.mark.parametrize(
    ("answers", "code", "severity", "says"),
    [
        ({IMAGES: (0, "app/web:1\tmissing\n")}, "image-not-in-backup", "error", "fetched from a registry"),
        (
            {IMAGES: (0, "app/web:1\tmissing\n"), r"docker compose config": answered(
                CONFIG | {"services": {"web": CONFIG["services"]["web"] | {"build": {}}}}  # type: ignore[index]
            )},
            "image-not-in-backup", "error", "built again",
        ),
        ({IMAGES: (0, "app/web:1\tsha256:aa sha256:cc \n")}, "image-differs", "error", "another app/web:1"),
        ({ASKED: (0, MOUNTS.replace("\t7\n", "\t0\n"))}, "volume-empty", "error", f"{VOLUME} of web had files"),
        ({ASKED: (0, RENAMED), **stack(volumes={"pi_photos": 7})},
         "volume-under-another-name", "error", "what came back is pi_photos"),
        ({ASKED: (0, MOUNTS.replace("33:33", ""))}, "bind-mount-missing", "error", "/srv/media/www, which is not there"),
        ({ASKED: (0, MOUNTS.replace("33:33", "0:0"))}, "mount-owner-differs", "error", "belongs to 0:0, and belonged to 33:33"),
        ({ASKED: (0, MOUNTS.replace("999:999", "0:0"))}, "mount-owner-differs", "error", VOLUME),
        (stack(env=True), "compose-env-missing", "error", "/srv/media/.env of web did not come back"),
        ({r"docker compose config": answered(said='level=warning msg="The \\"TAG\\" variable is not set."\n')},
         "compose-variable-unset", "error", "TAG has no value"),
        ({r"docker compose config": answered(status=95)}, "compose-unreadable", "error", "is not on the recovered machine"),
        ({r"docker compose config": answered(said="env file /srv/media/db.env not found\n", status=14)},
         "compose-unreadable", "error", "db.env not found"),
        ({r"systemctl start docker": (1, "Job failed")}, "unit-failed", "error", "has no containers"),
        ({r"docker compose up": (1, "port is already allocated")}, "stack-not-started", "error", "port"),
        (stack(containers={}), "stack-not-sealed", "unproven", "cannot be told"),
        ({STATES: (0, "web|running||0|0|no|T|c1|\n")}, "container-not-restarted", "error", "web of web would not come back"),
        ({STATES: (0, "web|running||0|0||T|c1|\n")}, "container-not-restarted", "error", "web of web would not come back"),
    ],
)  # fmt: skip
def test_what_docker_makes_up_for_is_named(
    found: Found, answers: Mapping[str, Answer], code: str, severity: str, says: str
) -> None:
    told = [(one.code, one.severity) for one in found(answers) if says in one.what]
    assert told == [(code, severity)]


@pytest.mark.parametrize(
    ("state", "logs", "code", "says"),
    [
        (
            "web|restarting||3|4|always|T|c1|",
            "no such file: /key",
            "container-restarts",
            "4 times, exit status 3); its last words",
        ),
        ("web|running||0|9|always|T|c1|", "no such file: /key", "container-down", ""),
        ("web|exited||1|0|on-failure|T|c1|", "bad key", "container-down", "is exited (exit status 1); its last words: bad key"),
        ("web|created||0|0|always|T|c1|no such device", "", "container-down", "no such device"),
        ("web|running|unhealthy|0|0|always|T|c1|", "", "container-unhealthy", "calls it unhealthy"),
        (
            "web|restarting||255|3|always|T|c1|",
            "exec /web: exec format error",
            "image-of-another-architecture",
            "cannot run here",
        ),
        ("", "", "container-down", "has no container"),
    ],
)
def test_a_container_that_is_not_up_is_told_with_its_last_words(
    found: Found, state: str, logs: str, code: str, says: str
) -> None:
    told = found({r"^systemctl start --no-block docker": (92, ""), STATES: (0, f"{state}\n"), r"docker logs": (0, logs)})
    if "running||" in state:  # up at the moment of asking, and late all the same: what it was started with tells nothing
        assert [one.code for one in told] == ["not-ready"]
    else:
        assert [(one.code, says in one.what) for one in told] == [(code, True)]


def test_one_that_was_restarted_since_it_was_ready_is_no_longer_up(found: Found) -> None:
    counts = iter(["0"])

    def growing(_: str) -> Answer:
        return 0, UP.replace("||0|0|", f"||0|{next(counts, '3')}|")

    [finding] = [one for one in found({STATES: growing}) if one.code.startswith("container")]  # type: ignore[dict-item]
    assert finding.code == "container-restarts"
    assert "3 times" in finding.what


def test_one_that_was_to_run_once_and_ended_well_is_up(found: Found) -> None:
    assert found({STATES: (0, "web|exited||0|0|no|T|c1|\n")}) == []


def test_a_stack_that_a_unit_of_its_own_starts_needs_no_policy(found: Found) -> None:
    assert found({STATES: (0, "web|running||0|0|no|T|c1|\n")}, more='unit = "web-stack.service"\n') == []


def test_a_variable_that_is_blank_on_the_pi_as_well_is_no_finding(found: Found) -> None:
    warning = answered(said='level=warning msg="The \\"TZ\\" variable is not set. Defaulting to a blank string."\n')
    assert found({r"docker compose config": warning, **stack(unset=["TZ"])}) == []


def test_a_volume_that_was_empty_on_the_pi_may_be_empty_again(found: Found) -> None:
    assert found({ASKED: (0, MOUNTS.replace("999:999\t7\n", "\t-\n")), **stack(volumes={VOLUME: 0})}) == []


def test_a_volume_of_another_stack_may_be_called_alike(found: Found) -> None:
    gone = MOUNTS.replace("999:999\t7\n", "\t-\n") + "there\tother_photos\n"
    assert found({ASKED: (0, gone), **stack(volumes={VOLUME: 0})}) == []


def test_a_machine_without_compose_proves_nothing(drilled: Callable[..., Record]) -> None:
    record = drilled({r"docker compose config": answered(status=97)})
    assert record.verdict == "not proven"
    assert "no `docker compose`" in record.steps["start:web"].reason


def test_an_engine_that_does_not_answer_proves_nothing(drilled: Callable[..., Record]) -> None:
    record = drilled({ASKED: (1, "Cannot connect to the Docker daemon")})
    assert record.verdict == "not proven"
    assert "Cannot connect" in record.steps["start:web"].reason


def test_nothing_is_built_and_nothing_fetched(drilled: Callable[..., Record], tmp_path: Path) -> None:
    drilled({})
    journal = (tmp_path / "journal.jsonl").read_text()
    assert "docker compose up -d --no-build --pull never" in journal
    assert "docker pull" not in journal
