"""A value out of a message: its text, or one place in its JSON. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST = 64 * 1024
"""Bytes of a message that are looked at."""
TOPIC_LONGEST = 200


class Unreadable(ValueError):
    """The message is not what the settings say it is. The text says why."""


class Missing(ValueError):
    """The message says nothing about the value."""


def check_topic(topic: str) -> None:
    """Raises :class:`ValueError` where a topic is not that of one thing."""
    if not topic or len(topic) > TOPIC_LONGEST or not set(topic).isdisjoint("+#\0"):
        raise ValueError(f"topic is {topic!r}, not that of one thing (without + and #)")


def content(payload: bytes) -> Any:
    """What a message says: its JSON, or its text where it is no JSON. Raises
    :class:`Unreadable`."""
    if len(payload) > LONGEST:
        raise Unreadable(f"the message is longer than {LONGEST} bytes")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise Unreadable("the message is no text") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def at(found: Any, path: str) -> Any:
    """What lies at a dotted path (``battery.level``; ``a.0`` in a list); the whole without one.
    Raises :class:`Missing`, or :class:`Unreadable` where there is no JSON to look into."""
    if path and not isinstance(found, dict | list):
        raise Unreadable("the message is no JSON object")
    for key in path.split(".") if path else ():
        if isinstance(found, list) and re.fullmatch(r"\d{1,4}", key) and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            raise Missing(f"the message has no {path}")
    return found


def word(found: Any) -> str:
    """A value as the settings write it: ``true``, ``on``, ``1``."""
    return found.strip().casefold() if isinstance(found, str) else json.dumps(found).casefold()
