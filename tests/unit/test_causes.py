"""What restic and SSH say when they fail means one cause, and a cure for it."""

from __future__ import annotations

import pytest

from muster.backups.causes import explain, of_file, of_restore
from muster.machines.machine import Result


def result(status: int | None, err: str = "", out: str = "") -> Result:
    return Result("restic", status, out, err, 90.0)


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (10, "Fatal: repository does not exist: unable to open config file", "no-repository"),
        (10, "", "no-repository"),
        (1, ("Fatal: unable to open config file: stat /x/config: no such file or directory\n"
            "Is there a repository at the following location?\n/x"), "no-repository"),
        (1, "Fatal: unable to open config file: <config/> does not exist", "no-repository"),
        (11, "Fatal: unable to create lock in backend: repository is already locked by PID 7", "repository-locked"),
        (11, "", "repository-locked"),
        (1, "unable to create lock in backend: repository is already locked exclusively", "repository-locked"),
        (12, "Fatal: wrong password or no key found", "wrong-password"),
        (12, "", "wrong-password"),
        (1, "Fatal: wrong password or no key found", "wrong-password"),
        (1, "Resolving password failed: Fatal: /run/muster/usb.password does not exist", "password-missing"),
        (1, "an empty password is not allowed by default", "password-missing"),
        (127, "sh: 1: restic: not found", "no-restic"),
        (127, "bash: line 1: restic: command not found", "no-restic"),
        (1, "subprocess ssh: Host key verification failed.", "host-key-changed"),
        (1, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "host-key-changed"),
        (1, "subprocess ssh: backup@nas: Permission denied (publickey).", "ssh-refused"),
        (1, 'Load key "/run/muster/key": error in libcrypto\nPermission denied (publickey).', "ssh-refused"),
        (1, "ssh: connect to host nas port 22: Connection timed out", "repository-unreachable"),
        (1, "ssh: Could not resolve hostname nas: Name or service not known", "repository-unreachable"),
        (1, "dial tcp 10.0.0.1:8000: connect: connection refused", "repository-unreachable"),
        (1, "dial tcp: lookup nas: no such host", "repository-unreachable"),
        (1, "write /srv/media/a: no space left on device", "disk-full"),
        (1, "open /x/keys/abc: permission denied", "repository-unreadable"),
        (1, ("Fatal: unable to open config file: Lstat /x/config: permission denied\n"
            "Is there a repository at the following location?\nsftp:nas:/x"), "repository-unreadable"),
        (1, "ciphertext verification failed", "repository-damaged"),
        (1, "id abcd not found in repository", "repository-damaged"),
        (1, "unable to load index abcd: invalid data returned", "repository-damaged"),
        (1, "open /x/data/ab/abcd: no such file or directory", "repository-damaged"),
        (1, "something nobody has seen before", "restic-failed"),
        (3, "", "restic-failed"),
        (None, "", "repository-unreachable"),
    ],
)  # fmt: skip
def test_a_failure_has_its_cause(status: int | None, words: str, code: str) -> None:
    finding = explain(result(status, words), "usb")
    assert finding.code == code
    assert finding.where == "usb"
    assert finding.severity == ("unproven" if code == "disk-full" else "error")
    assert finding.what.endswith(".")
    assert finding.fix.endswith(".")


def test_words_on_standard_output_count_too() -> None:
    assert explain(result(1, out='{"message": "wrong password or no key found"}'), "usb").code == "wrong-password"


def test_what_ssh_says_by_itself_comes_first() -> None:
    finding = explain(result(1, "unexpected EOF"), "usb", "backup@nas: Permission denied (publickey).")
    assert (finding.code, finding.evidence) == ("ssh-refused", "backup@nas: Permission denied (publickey).")


def test_an_exit_status_counts_where_ssh_says_nothing_telling() -> None:
    assert explain(result(12, "x"), "usb", "Warning: Permanently added 'nas'").code == "wrong-password"


def test_a_timeout_says_how_long_was_waited() -> None:
    assert explain(result(None), "usb").what == "restic gave no answer in 90 s."


def test_an_unknown_failure_shows_its_own_words() -> None:
    finding = explain(result(7, "strange\n"), "usb")
    assert (finding.what, finding.evidence) == ("restic failed with exit status 7.", "strange")


def test_evidence_is_the_end_of_what_was_said_and_never_endless() -> None:
    assert explain(result(7, "x" * 9000 + "end"), "usb").evidence == "x" * 1497 + "end"


def test_a_restore_that_ended_well_has_no_cause() -> None:
    assert of_restore(result(0), "usb", {}) is None


def test_files_that_are_named_do_not_stop_a_whole_restore() -> None:
    assert of_restore(result(1, "ciphertext verification failed"), "usb", {"/a": "ciphertext verification failed"}) is None


@pytest.mark.parametrize("broken", [{}, {"/a": "write /a: no space left on device"}])
def test_a_full_disk_stops_a_whole_restore(broken: dict[str, str]) -> None:
    finding = of_restore(result(1, "no space left on device"), "usb", broken)
    assert finding is not None
    assert finding.code == "disk-full"


def test_a_file_that_cannot_be_restored_is_named_with_its_dataset() -> None:
    finding = of_file("usb", "media", "/srv/media/a", "ciphertext verification failed")
    assert (finding.code, finding.where) == ("repository-damaged", "media")
    assert finding.what == "/srv/media/a and perhaps more of dataset media cannot be restored from usb."
