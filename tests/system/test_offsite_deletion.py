"""The off-site copy after a compromise: really tried to be deleted with the Pi's credentials, and its account with a new key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from images.sample_pi import STORE, address, replace_key, start_store
from muster.errors import RecoveryError
from muster.incidents.account import renew
from muster.incidents.tryout import try_to_delete
from muster.machines import images
from muster.machines.container import OnNetwork
from muster.plan import load
from muster.session import ChangeKey, Options, Session, new_run
from muster.steps.context import Recovering
from tests.system.breaking import Sample
from tests.system.running import written_plan

OFFSITE = ("offsite", "vault-offsite")


@contextmanager
def lost_pi(
    system: Sample, home: Path, on_network: OnNetwork, change: Callable[[str], str] = str, change_key: ChangeKey | None = None
) -> Iterator[Recovering]:
    """A clean machine with all that the lost Pi had, before anything is recovered on it."""
    plan = load(written_plan(home, change))
    options = Options(system.out, new_run(), lost_at=datetime.now(UTC))
    session = Session(options, lambda _plan, _reached, *told: on_network(*told), say=lambda _: None, change_key=change_key)
    try:
        drill = session.drill(plan, "compromise", first_sign=datetime.now(UTC))
        drill.context.machine.prepare(lambda _: None)
        drill.context.machine.provision()
        yield drill.context
    finally:
        session.close(finish=False)


def store(system: Sample, home: Path, **options: bool) -> OnNetwork:
    """The off-site store of the sample, as a drill sees it unless told otherwise."""
    return lambda network, labels: {
        "offsite": address(start_store(system.client, network, labels, home=home, **options), network)
    }


def rest(system: Sample, *words: str) -> OnNetwork:
    """A REST server of restic repositories, in the store's place."""
    tag = images.with_packages(system.client, "trixie", ["rclone"]).tag

    def started(network: str, labels: Mapping[str, str]) -> Mapping[str, str]:
        command = ["rclone", "serve", "restic", "--addr", "0.0.0.0:8000", *words, "/srv"]
        served = system.client.containers.run(tag, command, detach=True, init=True, network=network, labels=dict(labels))
        up = served.exec_run("timeout 20 sh -c 'until nc -z 127.0.0.1 8000; do sleep 0.1; done'")
        assert up.exit_code == 0, served.logs()
        served.reload()
        return {"offsite": address(served, network)}

    return started


def over_rest(text: str) -> str:
    return text.replace("sftp:backup@offsite:/", "rest:http://offsite:8000/")


def content(folder: Path) -> Mapping[str, str]:
    """All files below a folder, by what is in them."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def attempts(context: Recovering) -> dict[str, bool]:
    """What was tried in the account of both repositories, and whether it was refused."""
    told = [event for event in context.journal.events if event["kind"] == "attempt"]
    assert {event["repository"] for event in told} <= {" and ".join(OFFSITE)}
    return {event["what"]: event["refused"] for event in told}


def test_nothing_that_the_pi_stored_off_site_can_be_deleted(system: Sample) -> None:
    home = system.copy("append-only")
    before = content(home / "offsite")
    with lost_pi(system, home, store(system, home)) as context:
        try_to_delete(context, OFFSITE, "tryout:offsite")
        tried = attempts(context)
    assert len(tried) == 13
    assert all(tried.values())
    assert content(home / "offsite") == before


def test_a_store_elsewhere_that_the_pi_writes_to_keeps_what_was_stored(
    system: Sample, elsewhere: tuple[str, dict[str, str]]
) -> None:
    network, labels = elsewhere
    home = system.copy("writable")
    before = content(home / "offsite")
    host = address(start_store(system.client, network, labels, home=home, read_only=False), network)
    known = home / "secrets" / "known_hosts"
    known.write_text(known.read_text().replace("offsite", host))

    def beside_the_copies(text: str) -> str:
        return text.replace("@offsite:/tryout", "@offsite:/restic").replace("@offsite:", f"@{host}:")

    with lost_pi(system, home, lambda *_: {}, beside_the_copies) as context:
        try_to_delete(context, OFFSITE, "tryout:offsite")
        assert context.machine.relays
        tried = attempts(context)
    assert all(tried.values())
    after = content(home / "offsite")
    assert before.items() < after.items()


def test_an_ordinary_account_is_found_deletable(system: Sample) -> None:
    home = system.copy("deletable")
    with lost_pi(system, home, store(system, home, keeper=False)) as context:
        with pytest.raises(RecoveryError) as caught:
            try_to_delete(context, OFFSITE, "tryout:offsite")
        tried = attempts(context)
    assert caught.value.finding.code == "offsite-deletable"
    assert "have restic forget and prune a snapshot, " in caught.value.finding.what
    assert not any(tried.values())


@pytest.mark.parametrize(("words", "possible"), [(["--append-only"], False), ([], True)])
def test_a_rest_server_is_judged_by_what_it_lets_be_deleted(system: Sample, words: list[str], *, possible: bool) -> None:
    home = system.copy("over-rest")
    with lost_pi(system, home, rest(system, *words), over_rest) as context:
        try:
            try_to_delete(context, OFFSITE, "tryout:offsite")
            found = ""
        except RecoveryError as error:
            found = error.finding.code
        tried = attempts(context)
    assert found == ("offsite-deletable" if possible else "")
    assert tried["delete a snapshot"] is tried["overwrite the config"] is not possible


def test_a_place_that_is_not_there_proves_nothing(system: Sample) -> None:
    home = system.copy("nowhere")
    with (
        lost_pi(system, home, store(system, home), lambda text: text.replace(":/tryout", ":/nowhere/tryout")) as context,
        pytest.raises(RecoveryError) as caught,
    ):
        try_to_delete(context, OFFSITE, "tryout:offsite")
    assert (caught.value.finding.code, caught.value.finding.severity) == ("offsite-not-tried", "unproven")


def test_the_account_takes_a_new_key_and_refuses_the_old_one(system: Sample) -> None:
    home = system.copy("new-key")

    def change(_plan: Any, _repository: str, labels: Mapping[str, str], old: str, new: str) -> bool:  # noqa: ANN401  # as the hook
        return replace_key(system.client, labels, old, new)

    with lost_pi(system, home, store(system, home), change_key=change) as context:
        renew(context, OFFSITE, "account:offsite")
        told = [event for event in context.journal.events if event["kind"] == "rotated"]
        for name in OFFSITE:  # what comes later has the new key, where the old one was
            assert context.restics.get(name) is None or context.restics[name].snapshots("later")
    [rotated] = told
    assert [rotated["old_worked"], rotated["old_refused"], rotated["new_works"]] == [True, True, True]
    assert not [event for event in context.journal.events if event["kind"] == "finding"]


def test_an_account_that_goes_on_to_take_the_old_key_is_found(system: Sample) -> None:
    home = system.copy("both-keys")

    def add(_plan: Any, _repository: str, labels: Mapping[str, str], _old: str, new: str) -> bool:  # noqa: ANN401  # as the hook
        wanted = [f"{name}={value}" for name, value in (STORE | dict(labels)).items()]
        [served] = system.client.containers.list(filters={"label": wanted})
        added = ["sh", "-c", 'echo "$1" >> /run/store/authorized_keys', "sh", new]
        return bool(served.exec_run(added).exit_code == 0)

    with lost_pi(system, home, store(system, home), change_key=add) as context, pytest.raises(RecoveryError) as caught:
        renew(context, OFFSITE, "account:offsite")
    assert caught.value.finding.code == "old-account-works"
