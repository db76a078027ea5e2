"""What was measured is compared with what was sealed, and nothing is ever equal to nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from muster.checks.metrics import compare, moment


@pytest.mark.parametrize(
    ("value", "expected", "tolerance"),
    [
        ("42", "42", "0%"),
        ("42\n", " 42", "0%"),
        ("42.0", "42", "0%"),
        ("+42", "42", "0%"),
        (".5", "0.5", "0%"),
        ("1e3", "1000", "0%"),
        ("99", "100", "1%"),
        ("101", "100", "1%"),
        ("-99", "-100", "1%"),
        ("0.3", "0.1", "0.2"),
        ("97", "100", "3"),
        ("103", "100", "3"),
        ("ok", "ok", "0%"),
        ("42|7.5|ok", "42|7.5|ok", "0%"),
        ("0|42", "0|42", "0%"),
        ("a b\nc", "a  b c", "0%"),
        ("1,234", "1,234", "0%"),
    ],
)
def test_what_is_within_the_tolerance_passes(value: str, expected: str, tolerance: str) -> None:
    assert compare(value, expected, tolerance) == ""


@pytest.mark.parametrize(
    ("value", "expected", "tolerance"),
    [
        ("41", "42", "0%"),
        ("98.9", "100", "1%"),
        ("101.1", "100", "1%"),
        ("-42", "42", "0%"),
        ("96", "100", "3"),
        ("0", "42", "50%"),
        ("", "42", "100%"),
        ("42", "42 7", "0%"),
        ("42 7", "42", "0%"),
        ("Ok", "ok", "100%"),
        ("ok", "42", "100%"),
        ("42", "ok", "100%"),
        ("12345678901234567891", "12345678901234567890", "0%"),
        ("nan", "42", "100%"),
        ("inf", "42", "100%"),
        ("error: no such table", "42", "0%"),
    ],
)
def test_what_differs_is_told_with_both_values(value: str, expected: str, tolerance: str) -> None:
    said = compare(value, expected, tolerance)
    assert said.startswith(f"is {value}, and was {expected}")
    assert f"tolerance {tolerance}" in said


@pytest.mark.parametrize(
    "nothing", ["0", "0.0", "-0", "0e5", "", " \n", "0|0|0.00", "NaN", "inf", "-Infinity", "NULL", "None", "0, nan"]
)
@pytest.mark.parametrize("tolerance", ["0%", "100%", "5"])
def test_nothing_compared_with_nothing_never_passes(nothing: str, tolerance: str) -> None:
    assert "compares nothing" in compare(nothing, nothing, tolerance)


def test_a_long_value_is_cut_short() -> None:
    assert len(compare("x" * 500, "y" * 500, "0%")) < 220


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T09:00:00Z", (2026, 3, 1, 9)),
        ("2026-03-01T10:00:00+01:00", (2026, 3, 1, 9)),
        ("2026-03-01 09:00:00", (2026, 3, 1, 9)),
        ("2026-03-01 09:00:00.123456+00", (2026, 3, 1, 9)),
        (" 1772355600 \n", (2026, 3, 1, 9)),
        ("1772355600.25", (2026, 3, 1, 9)),
        ("2026-03-01", (2026, 3, 1, 0)),
        ("20260301", (2026, 3, 1, 0)),
    ],
)
def test_a_moment_is_read_however_it_is_written(text: str, expected: tuple[int, ...]) -> None:
    assert moment(text).astimezone(UTC).replace(minute=0, second=0, microsecond=0) == datetime(*expected, tzinfo=UTC)  # type: ignore[misc]


def test_a_fraction_of_a_second_is_kept() -> None:
    assert moment("1772355600.25").microsecond == 250_000


@pytest.mark.parametrize(
    "text", ["", "soon", "42", "0", "infinity", "2026-13-01", "1e300", "17723556000000", "9" * 400, "NULL", "-5"]
)
def test_what_is_no_moment_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the caller tells it in a sentence of its own
        moment(text)
