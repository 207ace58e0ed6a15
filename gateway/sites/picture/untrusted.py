"""Values out of somebody else's JSON: the value where it has the type that is due, else unknown.

A gateway of another version, or a stranger who may write on its topics, can send anything.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.instant import Ms, UtcMs
from gateway.printable import in_a_line
from gateway.sites.picture.limits import WORDS_MOST
from gateway.wire import from_rfc3339

WHOLE_MOST = 2**53
"""Beyond it not every program reads the same number."""
_SHORT = 24
_NOTHING: Mapping[str, Any] = {}


def text_or_none(value: object) -> str | None:
    """Without what turns the direction of writing or ends a line: a name could look like that of
    another place."""
    if not isinstance(value, str):
        return None
    shown = value[:WORDS_MOST]
    if not shown.isprintable():
        shown = in_a_line(shown)[:WORDS_MOST]
    return sys.intern(shown) if len(shown) <= _SHORT else shown


def text(value: object, otherwise: str = "") -> str:
    found = text_or_none(value)
    return otherwise if found is None else found


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > WHOLE_MOST:
        return None
    return value


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if abs(value) > WHOLE_MOST or not math.isfinite(value):
        return None
    return value


def texts(value: object, most: int) -> list[str]:
    if not isinstance(value, list):
        return []
    return [one for one in map(text_or_none, value[:most]) if one is not None]


def fields(value: object) -> Mapping[str, Any]:
    """An object of JSON; empty where it is none."""
    return value if isinstance(value, dict) else _NOTHING


@dataclass(frozen=True, slots=True)
class Clock:
    """The centre's clock. ``utc_offset_ms``: UTC minus monotonic."""

    utc_offset_ms: int

    def utc(self, value: object) -> UtcMs | None:
        """Civil time out of RFC 3339."""
        if not isinstance(value, str):
            return None
        try:
            return from_rfc3339(value)
        except ValueError:
            return None

    def mono(self, value: object) -> Ms | None:
        """RFC 3339 as an instant of the centre's monotonic clock (negative before its boot)."""
        utc_ms = self.utc(value)
        return None if utc_ms is None else utc_ms - self.utc_offset_ms
