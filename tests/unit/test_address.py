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


def test_another_port_keeps_all_else_of_a_url() -> None:
    assert through_port("rest:https://pi:word@nas:8000/pi/", 61000) == "rest:https://pi:word@nas:61000/pi/"
