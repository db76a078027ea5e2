"""A Pi that runs its services by docker compose, backed up for real, and recovered without a registry: whole, and broken."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from images.sample_pi import as_root
from images.stack_pi import StackPi
from muster.machines import container, engine
from muster.machines.kinds import Choice
from muster.plan import load
from muster.record import Record
from muster.session import Options, Session, new_run
from tests.system.breaking import _concluded, found, told

ARCHITECTURE = "arm64" if os.uname().machine == "aarch64" else "amd64"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackPi]:
    client = engine.connect()
    folder = tmp_path_factory.mktemp("stack")
    labels = container.owner_labels(new_run(), "stack")
    try:
        with StackPi(client, folder / "living", labels, ARCHITECTURE) as pi:
            pi.backup()
            yield pi
    finally:
        container.remove_labelled(client, labels)
        if os.getuid():  # what containers wrote is root's, and pytest could not remove it
            as_root(client, folder, ["sh", "-c", "rm -rf ./*"])


def recover(home: Path, out: Path, choice: Choice | None = None, change: Callable[[str], str] = str) -> Record:
    """Drill the recovery of the newest backup in `home`, as of now; `change` is made to the text of the plan first."""
    plan = home / f"{out.name}.toml"
    plan.write_text(change((home / "plan.toml").read_text()))
    session = Session(Options(out, new_run(), lost_at=datetime.now(UTC), machine=choice or Choice()), say=lambda _: None)
    return _concluded(session, session.drill(load(plan), "disk-loss"))


@contextlib.contextmanager
def changed(living: StackPi, *edits: str) -> Iterator[None]:
    """Have the compose file say something else for a while."""
    living.run("cp -a /opt/stack/compose.yaml /root")
    try:
        living.run(f"sed -i {shlex.join(word for edit in edits for word in ('-e', edit))} /opt/stack/compose.yaml")
        yield
    finally:
        living.run("cp -a /root/compose.yaml /opt/stack")


def test_a_stack_comes_back_from_its_backup_alone(living: StackPi, tmp_path: Path) -> None:
    record = recover(living.home, tmp_path)
    assert record.verdict == "recovered", told(record)
    assert not [finding for finding in record.findings if finding.severity == "error"], told(record)
    seen = "\n".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert "stack/base:1" in seen
    assert "not-a-real-token" not in seen


def test_what_docker_would_make_up_for_in_silence_is_named(living: StackPi, tmp_path: Path) -> None:
    with changed(living, "1i name: house", "0,/stack.base:[$]{TAG}/s//stack\\/other:9/"):
        living.backup(environment="STACK_IMAGES=stack/base:1")

    def without_env(plan: str) -> str:
        return re.sub(r"(?ms)^\[(data\.env|repositories\.vault)\].*?(?=^\[)", "", plan).replace('"env", ', "")

    record = recover(living.home, tmp_path, change=without_env)
    assert record.verdict == "failed", told(record)
    assert "house_readings" in found(record, "volume-under-another-name", "stack", "what came back is stack_readings").what
    found(record, "image-not-in-backup", "stack", "stack/other:9")
    found(record, "compose-env-missing", "stack", "TAG")


def test_a_container_that_is_up_for_an_instant_each_time_is_down(living: StackPi, tmp_path: Path) -> None:
    with changed(living, "s#while :; do#cat /secrets/key || exit 3; while :; do#", "0,/restart: .*/s//restart: always/"):
        living.backup()
    record = recover(living.home, tmp_path, change=lambda plan: plan.replace('within = "60s"', 'within = "20s"'))
    assert record.verdict == "failed", told(record)
    finding = found(record, "container-restarts", "stack", "sensor")
    assert "exit status 3" in finding.what
    assert "/secrets/key" in finding.evidence


class TestOnAVirtualMachine:
    """An arm64 Pi with a kernel of its own, and containers of that architecture, which the Pi beside it only makes."""

    @pytest.fixture(scope="class")
    def elsewhere(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackPi]:
        client = engine.connect()
        folder = tmp_path_factory.mktemp("arm64")
        labels = container.owner_labels(new_run(), "stack-arm64")
        try:
            with StackPi(client, folder / "living", labels, "arm64") as pi:
                pi.backup()
                yield pi
        finally:
            container.remove_labelled(client, labels)

    def test_a_stack_comes_back_after_a_real_boot(self, elsewhere: StackPi, tmp_path: Path) -> None:
        record = recover(elsewhere.home, tmp_path, Choice("vm", "arm64"))
        assert record.verdict == "recovered", told(record)
        assert record.steps["boot"].outcome == "done", told(record)
