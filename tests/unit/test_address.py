from __future__ import annotations

import pytest

from muster.backups.address import endpoint, ssh_target, through_port


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("sftp:backup@nas:/restic", "nas:22"),
        ("sftp:nas:relative/path", "nas:22"),
        ("sftp://backup@nas:2222//restic", "nas:2222"),
        ("rest:http://nas:8000/pi", "nas:8000"),
        ("rest:https://pi:word@nas/pi", "nas:443"),
    ],
)
def test_a_remote_repository_has_one_server(url: str, server: str) -> None:
    assert str(endpoint(url)) == server


@pytest.mark.parametrize("url", ["/mnt/usb/restic", "local:/mnt/usb", "s3:https://bucket.invalid/pi"])
def test_others_have_none(url: str) -> None:
    assert endpoint(url) is None


def test_ssh_is_told_user_host_and_port() -> None:
    assert ssh_target("sftp:backup@nas:/restic") == ["backup@nas"]
    assert ssh_target("sftp://backup@nas:2222//restic") == ["-p", "2222", "backup@nas"]


def test_a_certificate_still_fits_through_another_port() -> None:
    assert through_port("rest:https://pi:word@nas:8000/pi/", 61000) == "rest:https://pi:word@nas:61000/pi/"


@pytest.mark.parametrize("host", ["nas", "192.0.2.7"])
def test_without_a_certificate_the_machine_asks_itself(host: str) -> None:
    assert through_port(f"rest:http://pi:word@{host}:8000/pi/", 61000) == "rest:http://pi:word@127.0.0.1:61000/pi/"
