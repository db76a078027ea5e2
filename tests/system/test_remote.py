"""Repositories on other hosts: reached through a relay, while the machine itself can reach nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from images import sample
from images.sample_pi import address
from muster.machines import images
from tests.system.breaking import Sample, told
from tests.system.running import lost_at

OFFSITE = ("offsite", "vault-offsite")


def lost(home: Path) -> datetime:
    """Right after the last backup: how long other tests took since then is no loss of data."""
    return datetime.fromisoformat(lost_at(home))


def test_an_sftp_server_elsewhere_is_reached(system: Sample, elsewhere: tuple[str, dict[str, str]]) -> None:
    network, labels = elsewhere
    home = system.copy("sftp-elsewhere")
    host = address(sample.start_store(system.client, network, labels, home=home), network)
    known = home / "secrets" / "known_hosts"
    known.write_text(known.read_text().replace("offsite", host))
    record = system.recover(
        home,
        change=lambda text: text.replace("backup@offsite:", f"backup@{host}:"),
        repositories=OFFSITE,
        store=False,
        lost_at=lost(home),
    )
    assert record.verdict == "recovered", told(record)
    assert {point.repository for point in record.restore_points} == set(OFFSITE)


def test_a_rest_server_elsewhere_is_reached(system: Sample, elsewhere: tuple[str, dict[str, str]]) -> None:
    network, labels = elsewhere
    home = system.copy("rest-elsewhere")
    host = address(serve(system, home / "usb", network, labels), network)

    def change(text: str) -> str:
        return text.replace("sftp:backup@offsite:/restic/", f"rest:http://{host}:8000/")

    record = system.recover(home, change=change, repositories=OFFSITE, store=False, lost_at=lost(home))
    assert record.verdict == "recovered", told(record)


def serve(system: Sample, folder: Path, network: str, labels: dict[str, str]) -> Any:  # noqa: ANN401  # a container of docker-py
    """A REST server of restic repositories."""
    tag = images.with_packages(system.client, "trixie", ["rclone"]).tag
    served = system.client.containers.run(
        tag,
        ["rclone", "serve", "restic", "--addr", "0.0.0.0:8000", "/srv/repositories"],
        detach=True,
        init=True,
        network=network,
        labels=labels,
        volumes={str(folder): {"bind": "/srv/repositories", "mode": "ro"}},
    )
    up = served.exec_run("timeout 20 sh -c 'until nc -z 127.0.0.1 8000; do sleep 0.1; done'")
    assert up.exit_code == 0, served.logs()
    served.reload()
    return served


def test_a_server_that_is_gone_is_named(system: Sample, elsewhere: tuple[str, dict[str, str]]) -> None:
    network, labels = elsewhere
    home = system.copy("gone-elsewhere")
    store = sample.start_store(system.client, network, labels, home=home)
    host = address(store, network)
    store.remove(force=True)
    record = system.recover(
        home, change=lambda text: text.replace("backup@offsite:", f"backup@{host}:"), repositories=OFFSITE, store=False
    )
    assert record.verdict == "failed"
    assert "repository-unreachable" in {finding.code for finding in record.findings}, told(record)
