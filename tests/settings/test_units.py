"""Durations and sizes: units demanded, and an error says which fit."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.values.units import DURATION_MS, UnitError, duration_ms, say_ms, size_bytes


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500 ms", 500),
        ("500ms", 500),
        ("0 s", 0),
        ("2 min", 120_000),
        ("1.5 h", 5_400_000),
        ("4 h", 14_400_000),
        ("90 d", 90 * 86_400_000),
        ("1 w", 7 * 86_400_000),
        ("1 y", 365 * 86_400_000),
        ("0.25 s", 250),
    ],
)
def test_a_duration_is_milliseconds(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(("text", "size"), [("1 GB", 10**9), ("250 MB", 250_000_000), ("1 B", 1)])
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "500",
            "500 has no unit",
            "write 500 followed by ms, s, min, h, d, w or y, for example 500 ms",
        ),
        ("2 minutes", "the unit 'minutes' is not known here", "did you mean 2 min?"),
        ("2 m", "the unit 'm' is not known here", "did you mean 2 min?"),
        ("3 Sek", "the unit 'Sek' is not known here", "did you mean 3 s?"),
        (
            "3 furlong",
            "the unit 'furlong' is not known here",
            "the units are ms, s, min, h, d, w or y",
        ),
        ("soon", "'soon' is not a duration", "write for example 500 ms"),
        ("5\tmin", r"'5\tmin' has blanks that do not belong there", "write 5 min"),
        ("5  min", "'5  min' has blanks that do not belong there", "write 5 min"),
        (" 5min\n", r"' 5min\n' has blanks that do not belong there", "write 5min"),
        ("5\u00a0min", r"'5\xa0min' has blanks that do not belong there", "write 5 min"),
        ("5 m in", "'5 m in' is not a duration", "write for example 500 ms"),
        ("\u0665 min", "'\u0665 min' is not a duration", "write for example 500 ms"),
        ("-5 s", "'-5 s' is not a duration", "write for example 500 ms"),
        ("0.5 ms", "0.5 ms is finer than 1 ms", "round it"),
        ("999999999 y", "999999999 y is too large", "check the unit"),
        ("99999999999999999999 s", "99999999999999999999 s is too large", "check the unit"),
        ("1 GB", "the unit 'GB' is not known here", "the units are ms, s, min, h, d, w or y"),
    ],
)
def test_a_wrong_duration_has_a_remedy(text: str, message: str, hint: str) -> None:
    with pytest.raises(UnitError) as caught:
        duration_ms(text)
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_a_size_without_unit_names_the_units_of_sizes() -> None:
    with pytest.raises(UnitError) as caught:
        size_bytes("100")
    assert caught.value.hint == "write 100 followed by B, KB, MB or GB, for example 100 MB"


@given(st.integers(0, 10**9), st.sampled_from(sorted(DURATION_MS)))
def test_what_is_said_is_what_is_read(number: int, unit: str) -> None:
    if number * DURATION_MS[unit] <= 100 * DURATION_MS["y"]:
        ms = duration_ms(f"{number} {unit}")
        assert duration_ms(say_ms(ms)) == ms


@given(st.text(max_size=80))
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert duration_ms(text) >= 0
