"""Durations and sizes carry units: a bare number is an error that says which units fit."""

from __future__ import annotations

import re
from decimal import Decimal

from gateway.settings.values.problems import near, phrase

DURATION_MS = {
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
"""A year has 365 days: it is a life of data, not a date."""

SIZE_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3}

DURATION_PATTERN = r"^\d+(\.\d+)? ?(ms|s|min|h|d|w|y)$"
SIZE_PATTERN = r"^\d+(\.\d+)? ?(B|kB|KB|MB|GB)$"

LONGEST_MS = 100 * DURATION_MS["y"]
LARGEST_BYTES = 10**15

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]{1,6})?) ?([^\W\d]*)\Z")
_SPOKEN = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
    "year": "y",
    "years": "y",
    "a": "y",
    "sek": "s",
    "std": "h",
    "tag": "d",
    "tage": "d",
    "jahr": "y",
    "jahre": "y",
}


class UnitError(ValueError):
    """A text is no quantity; ``hint`` is the remedy."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def duration_ms(text: str) -> int:
    """``500 ms``, ``2 min``, ``1.5 h`` in whole milliseconds.

    :raises UnitError: there is no unit, another one, or the value is no whole number of
        milliseconds
    """
    return _quantity(text, DURATION_MS, LONGEST_MS, "duration", "ms, s, min, h, d, w or y")


def size_bytes(text: str) -> int:
    """``1 GB`` in bytes.

    :raises UnitError: there is no unit, or another one
    """
    return _quantity(text, SIZE_BYTES, LARGEST_BYTES, "size", "B, KB, MB or GB")


def tidy(text: str) -> str:
    """The text without blanks at its ends, and with one space where it has any in between."""
    return " ".join(text.split())


def _quantity(text: str, units: dict[str, int], most: int, what: str, fit: str) -> int:
    match = _QUANTITY.match(text) if len(text) <= 64 else None
    if match is None and len(text) <= 64 and _QUANTITY.match(tidy(text)):
        raise UnitError(
            phrase("{text} has blanks that do not belong there", text=_short(text)),
            phrase("write {text}", text=tidy(text)),
        )
    if match is None:
        example = "500 ms" if units is DURATION_MS else "1 GB"
        raise UnitError(
            phrase("{text} is not a {what}", text=_short(text), what=phrase(what)),
            phrase("write for example {example}", example=example),
        )
    number, unit = match.groups()
    if not unit:
        raise UnitError(
            phrase("{number} has no unit", number=number),
            phrase(
                "write {number} followed by {units}, for example {number} {unit}",
                number=number,
                units=phrase(fit),
                unit=("ms" if Decimal(number) >= 100 else "s") if units is DURATION_MS else "MB",
            ),
        )
    if unit not in units:
        best = _SPOKEN.get(unit.casefold()) if units is DURATION_MS else None
        best = best or near(unit, units)
        remedy = phrase("the units are {units}", units=phrase(fit))
        if best:
            remedy = phrase("did you mean {best}?", best=f"{number} {best}")
        raise UnitError(phrase("the unit {unit} is not known here", unit=_short(unit)), remedy)
    value = Decimal(number) * units[unit]
    if value != int(value):
        finest = f"1 {next(iter(units))}"
        message = phrase("{text} is finer than {finest}", text=text, finest=finest)
        raise UnitError(message, phrase("round it"))
    if value > most:
        raise UnitError(phrase("{text} is too large", text=text), phrase("check the unit"))
    return int(value)


def say_ms(duration: int) -> str:
    """A duration as one would write it in the configuration."""
    for unit in ("y", "w", "d", "h", "min", "s"):
        if duration and duration % DURATION_MS[unit] == 0:
            return f"{duration // DURATION_MS[unit]} {unit}"
    return f"{duration} ms"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")
