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
    A key may hold dots itself (``PM2.5``): the longest that is there is taken.
    Raises :class:`Missing`, or :class:`Unreadable` where there is no JSON to look into."""
    if path and not isinstance(found, dict | list):
        raise Unreadable("the message is no JSON object")
    keys = path.split(".") if path else []
    while keys:
        here = found
        if (
            isinstance(here, list)
            and re.fullmatch(r"\d{1,4}", keys[0])
            and int(keys[0]) < len(here)
        ):
            found, taken = here[int(keys[0])], 1
        else:
            lengths = range(len(keys), 0, -1) if isinstance(here, dict) else ()
            taken = next((n for n in lengths if ".".join(keys[:n]) in here), 0)
            if not taken:
                raise Missing(f"the message has no {path}")
            found = here[".".join(keys[:taken])]
        keys = keys[taken:]
    return found


def word(found: Any) -> str:
    """A value as the settings write it: ``true``, ``on``, ``1``."""
    return found.strip().casefold() if isinstance(found, str) else json.dumps(found).casefold()
