"""The fields of a message: read one, or say what it should have been."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from gateway.core.facts import Json

MAX_TEXT = 500
"""Characters of a name or free text in a command."""
MAX_LIFE_MS = 60_000
"""A command may not ask to live longer than this from when it is read."""

Via = Literal["web", "cli", "mqtt", "bench", "link"]
VIAS: tuple[Via, ...] = ("web", "cli", "mqtt", "bench", "link")
Raw = Mapping[str, Json]


class Malformed(ValueError):
    """The client sent what is no message. The text says what was wrong with it."""


class MalformedField(Malformed):
    """A field is there and not as it should be. The message is answered with an error and the
    connection goes on: a part that is newer than the other must not lose it. ``id``: of the
    message, or empty."""

    id = ""


def wrong(raw: Raw, key: str, should: str) -> Malformed:
    """What to raise for a field; one that is not there at all makes it no message."""
    return (MalformedField if key in raw else Malformed)(f"{key}: {should}")


def text(raw: Raw, key: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str) or len(value) > MAX_TEXT or (not value and default is None):
        raise wrong(raw, key, f"a text of 1 to {MAX_TEXT} characters")
    return value


def integer(raw: Raw, key: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
        raise wrong(raw, key, "an integer")
    return value


def boolean(raw: Raw, key: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise wrong(raw, key, "true or false")
    return value


def number(raw: Raw, key: str) -> float:
    value = raw.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        raise wrong(raw, key, "a number")
    return float(value)


def table(raw: Raw, key: str) -> dict[str, Json]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise wrong(raw, key, "an object")
    return value


def via(raw: Raw) -> Via:
    """Over which interface the sender was asked."""
    name = raw.get("via")
    if name not in VIAS:
        raise wrong(raw, "via", f"one of {', '.join(VIAS)}")
    return name


def duration(raw: Raw, key: str) -> int:
    value = integer(raw, key)
    if value < 0:
        raise wrong(raw, key, "not negative")
    return value


def pairs(raw: Raw, key: str, most: int) -> tuple[tuple[str, str], ...]:
    """A list of at most ``most`` pairs of texts; absent: none."""
    found = []
    for one in _listed(raw, key, most):
        match one:
            case [str(first), str(second)]:
                found.append((first[:MAX_TEXT], second[:MAX_TEXT]))
            case _:
                raise wrong(raw, key, "pairs of texts")
    return tuple(found)


def numbered(raw: Raw, key: str, most: int) -> tuple[tuple[str, int], ...]:
    """A list of at most ``most`` pairs of a text and a number from 0; absent: none."""
    found = []
    for one in _listed(raw, key, most):
        match one:
            case [str(name), int(number)] if type(number) is int and 0 <= number < 2**53:
                found.append((name[:MAX_TEXT], number))
            case _:
                raise wrong(raw, key, "pairs of a text and a number")
    return tuple(found)


def _listed(raw: Raw, key: str, most: int) -> list[Json]:
    value = raw.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise wrong(raw, key, f"a list of at most {most} pairs")
    return value


def maybe(raw: Raw, key: str, read: Callable[[Raw, str], int]) -> int | None:
    return None if raw.get(key) is None else read(raw, key)
