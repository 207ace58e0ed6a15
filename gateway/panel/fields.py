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


def text(raw: Raw, key: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str) or len(value) > MAX_TEXT or (not value and default is None):
        raise Malformed(f"{key}: a text of 1 to {MAX_TEXT} characters")
    return value


def integer(raw: Raw, key: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
        raise Malformed(f"{key}: an integer")
    return value


def boolean(raw: Raw, key: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise Malformed(f"{key}: true or false")
    return value


def number(raw: Raw, key: str) -> float:
    value = raw.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        raise Malformed(f"{key}: a number")
    return float(value)


def table(raw: Raw, key: str) -> dict[str, Json]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise Malformed(f"{key}: an object")
    return value


def via(raw: Raw) -> Via:
    """Over which interface the sender was asked."""
    name = raw.get("via")
    if name not in VIAS:
        raise Malformed(f"via: one of {', '.join(VIAS)}")
    return name


def duration(raw: Raw, key: str) -> int:
    value = integer(raw, key)
    if value < 0:
        raise Malformed(f"{key}: not negative")
    return value


def maybe(raw: Raw, key: str, read: Callable[[Raw, str], int]) -> int | None:
    return None if raw.get(key) is None else read(raw, key)
