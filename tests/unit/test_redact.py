"""No value of a secret survives, in whatever way a program writes it; everything else does."""

from __future__ import annotations

import base64
import json
import shlex
import time
from urllib.parse import quote

import pytest

from muster.redact import MARK, Redactor

VALUE = "pa ss'w\"o\\rd&5/+é"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\nAAAAtzc2gtZWQyNTUxOQ\n-----END OPENSSH PRIVATE KEY-----"


def told(*secrets: str, keep: tuple[str, ...] = ()) -> Redactor:
    redactor = Redactor()
    redactor.keep(keep)
    for secret in secrets:
        redactor.add(secret)
    return redactor


def test_a_value_is_taken_out_wherever_it_stands() -> None:
    assert told("hunter22")("a hunter22 b xhunter22x") == f"a {MARK} b x{MARK}x"


def test_a_redactor_that_knows_nothing_changes_nothing() -> None:
    assert Redactor()("password: hunter22") == "password: hunter22"


@pytest.mark.parametrize(
    "file",
    ["app:hunter22", "app: hunter22", "PASSWORD=hunter22", 'PASSWORD="hunter22"', "export P='hunter22';", '{"app": "hunter22"}',
     "localhost:5432:db:app:hunter22", "x\r\nhunter22\r\ny", "  hunter22  ", "db = postgres://app:hunter22@db/app",
     "a: {b: hunter22},"],
)  # fmt: skip
def test_a_value_is_found_in_the_files_that_hold_it(file: str) -> None:
    assert "hunter22" not in told(file)("it says hunter22.")


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        quote(VALUE, safe=""),
        json.dumps(VALUE),
        repr(VALUE),
        shlex.quote(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode() + b"\n").decode(),
    ],
)
def test_a_value_is_found_in_every_way_of_writing_it(written: str) -> None:
    shown = told(VALUE)(f"-> {written} <-")
    assert MARK in shown
    # At most what a last, incomplete group of base64 says: two bytes.
    assert len(shown) <= len(f"-> {MARK} <-") + 6


def test_the_header_of_basic_authentication_holds_no_password() -> None:
    header = base64.b64encode(b"app:hunter22").decode()
    assert header not in told("app:hunter22")(f"Authorization: Basic {header}")


def test_every_line_of_a_key_is_a_secret_of_its_own() -> None:
    assert told(KEY)("AAAAtzc2gtZWQyNTUxOQ") == MARK


def test_the_lines_around_a_key_are_none() -> None:
    assert (
        told(KEY)("-----END OPENSSH PRIVATE KEY----- is how a key ends") == "-----END OPENSSH PRIVATE KEY----- is how a key ends"
    )


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_a_private_key_nobody_told_of_is_taken_out(kind: str) -> None:
    assert Redactor()(f"a\n-----BEGIN {kind}-----\nMIIB\nabcd\n-----END {kind}-----\nb") == f"a\n{MARK}\nb"


def test_a_private_key_that_was_cut_off_is_taken_out_to_the_end() -> None:
    assert Redactor()("a -----BEGIN RSA PRIVATE KEY-----\nMIIBxyz") == f"a {MARK}"


def test_two_keys_do_not_take_what_stands_between() -> None:
    assert Redactor()(f"{KEY}\nbetween\n{KEY}") == f"{MARK}\nbetween\n{MARK}"


def test_certificates_and_public_keys_stay() -> None:
    text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    assert Redactor()(text) == text


@pytest.mark.parametrize("url", ["rest:https://app:hunter22@nas:8000/", "redis://:hunter22@db"])
def test_a_password_in_a_url_is_taken_out_and_its_user_stays(url: str) -> None:
    assert Redactor()(url) == url.replace("hunter22", MARK)


def test_a_url_without_a_password_stays() -> None:
    text = "see https://example.org:8000/a and sftp://pi@nas/b at 10:30"
    assert Redactor()(text) == text


def test_names_of_the_plan_stay() -> None:
    assert told("mosquitto:hunter22\nuser: telemetry", keep=("mosquitto", "telemetry"))("mosquitto telemetry hunter22") == (
        f"mosquitto telemetry {MARK}"
    )


@pytest.mark.parametrize("secret", ["", "\n", "on", "true", "12345", "a: b", "   "])
def test_a_short_value_mangles_no_words(secret: str) -> None:
    assert told(secret)("on a true 12345 b") == "on a true 12345 b"


def test_the_longer_of_two_values_goes_first() -> None:
    assert told("hunter22", "hunter22-and-more")("hunter22-and-more, hunter22") == f"{MARK}, {MARK}"


def test_values_of_several_secrets_add_up() -> None:
    assert told("hunter22", "swordfish")("hunter22 swordfish") == f"{MARK} {MARK}"


def test_names_that_are_no_text_in_utf_8_do_not_break_it() -> None:
    assert told("hunter\udcff22")("hunter\udcff22") == MARK


def test_a_long_text_takes_no_time() -> None:
    redactor = told("\n".join(f"line-{number}-{'x' * 60}" for number in range(60)))
    text = "1700000000 root /srv/media/photo.jpg\n" * 30_000
    started = time.perf_counter()
    assert redactor(text + "line-7-" + "x" * 60).endswith(MARK)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----" * 5000, "://a:" * 50_000, "://" + "a" * 300_000])
def test_a_hostile_text_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    told("hunter22")(text)
    assert time.perf_counter() - started < 1.0
