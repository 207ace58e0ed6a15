"""How a fact looks outside: CloudEvents 1.0 JSON, its JSON Schemas, and the AsyncAPI document.

One fact has one name everywhere: ``<gateway>/<journal>/<lane>/<sequence>``. Brokers and
recorders count by it, so it is never used twice (see ``gateway.journal``).

The whole wire is in this one file on purpose: what is sent, what is accepted and what is
documented are generated from the same catalogue of kinds and are read side by side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from gateway.core.facts import KINDS, LANES, Json, Kind, Lane
from gateway.core.machine import Ms, UtcMs

PUBLISHED: tuple[Lane, ...] = ("urgent", "routine")
"""The lanes that leave the gateway; ``local`` never does."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_UTC_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, where RFC 3339 ends
_LAST_INT = 2**63 - 1
_TYPE = re.compile(r"portier\.([a-z][a-z0-9_]{0,63})\.v1")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SEQUENCE = re.compile(r"[0-9]{20}")
_PART = re.compile(r"[^/\s\x00-\x1f]{1,128}")


class WireError(ValueError):
    """What came in is not one of our events; the message says why. The sender's fault."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact as the journal keeps it.

    ``row`` counts all lanes together and may jump; ``seq`` counts up by one within its
    lane. ``mono_ms`` is an instant of ``boot``'s monotonic clock; ``utc_ms`` is ``None``
    as long as that boot's offset is not known.
    """

    row: int
    lane: Lane
    seq: int
    boot: str
    mono_ms: Ms
    utc_ms: UtcMs | None
    kind: str
    subject: str
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Event:
    """One fact as it comes in from a gateway."""

    gateway: str
    journal: str
    lane: Lane
    seq: int
    boot: str
    mono_ms: Ms
    utc_ms: UtcMs | None
    kind: str
    subject: str
    data: Mapping[str, Json]
    late: bool


def event_id(gateway: str, journal: str, lane: str, seq: int) -> str:
    """The name of a fact, the same on every way out."""
    return f"{gateway}/{journal}/{lane}/{seq}"


def rfc3339(utc_ms: UtcMs) -> str:
    """``2024-05-01T08:00:00.000Z``. Raises :class:`ValueError` before 1970 and after 9999."""
    if not 0 <= utc_ms <= _LAST_UTC_MS:
        raise ValueError(f"no calendar date for {utc_ms} ms")
    text = (_EPOCH + timedelta(milliseconds=utc_ms)).isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


def to_cloudevent(gateway: str, journal: str, row: Row, *, late: bool) -> dict[str, Json]:
    """The event of one row, ready for ``json.dumps``.

    ``late``: it is sent well after it happened (replayed, or held back by an outage).
    Raises :class:`ValueError` for a row of the local lane: those never leave the gateway.
    """
    if row.lane not in PUBLISHED:
        raise ValueError(f"facts of the {row.lane} lane are not published")
    event: dict[str, Json] = {
        "specversion": "1.0",
        "id": event_id(gateway, journal, row.lane, row.seq),
        "source": f"/portier/{gateway}",
        "type": f"portier.{row.kind}.v1",
        "subject": row.subject,
        "datacontenttype": "application/json",
        "lane": row.lane,
        "sequence": f"{row.seq:020d}",
        "bootid": row.boot,
        "monotonicms": row.mono_ms,
        "late": late,
        "data": dict(row.data),
    }
    if row.utc_ms is not None and 0 <= row.utc_ms <= _LAST_UTC_MS:
        event["time"] = rfc3339(row.utc_ms)
    return event


def from_cloudevent(event: object) -> Event:
    """The fact in a CloudEvents object. Raises :class:`WireError`, and nothing else.

    A kind that is not in our catalogue is let through (a newer gateway may send it), as
    are further fields of a known kind; a known field of a wrong type is not.
    """
    if not isinstance(event, dict):
        raise WireError("an event is a JSON object")
    if event.get("specversion") != "1.0":
        raise WireError("specversion is not 1.0")
    kind_match = _TYPE.fullmatch(_text(event, "type"))
    if kind_match is None:
        raise WireError("type is not portier.<kind>.v1")
    gateway, journal, lane, seq = _identity(event)
    mono_ms = event.get("monotonicms")
    if not _is_int(mono_ms):
        raise WireError("monotonicms is not a whole number")
    late = event.get("late", False)
    if not isinstance(late, bool):
        raise WireError("late is neither true nor false")
    data = event.get("data", {})
    _check_data(kind_match[1], data)
    return Event(
        gateway=gateway,
        journal=journal,
        lane=lane,
        seq=seq,
        boot=_text(event, "bootid"),
        mono_ms=mono_ms,
        utc_ms=_utc_ms(event),
        kind=kind_match[1],
        subject=_text(event, "subject"),
        data=data,
        late=late,
    )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LAST_INT


def _text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise WireError(f"{key} is not a text of 1 to 512 characters")
    return value


def _identity(event: Mapping[str, object]) -> tuple[str, str, Lane, int]:
    parts = _text(event, "id").split("/")
    if len(parts) != 4 or not all(_PART.fullmatch(part) for part in parts):
        raise WireError("id is not <gateway>/<journal>/<lane>/<sequence>")
    gateway, journal, lane_text, number = parts
    lane = next((lane for lane in PUBLISHED if lane == lane_text), None)
    if lane is None or event.get("lane") != lane:
        raise WireError("lane is not urgent or routine, or differs from the id")
    sequence = _text(event, "sequence")
    if _SEQUENCE.fullmatch(sequence) is None or not 0 < int(sequence) <= _LAST_INT:
        raise WireError("sequence is not a positive number of 20 digits")
    if number != str(int(sequence)):
        raise WireError("sequence differs from the id")
    if event.get("source") != f"/portier/{gateway}":
        raise WireError("source is not /portier/<gateway>")
    return gateway, journal, lane, int(sequence)


def _utc_ms(event: Mapping[str, object]) -> UtcMs | None:
    if event.get("time") is None:
        return None
    text = _text(event, "time")
    if _TIME.fullmatch(text) is None or not text.isascii():
        raise WireError("time is not RFC 3339 in UTC with milliseconds")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise WireError(f"time: {error}") from None
    utc_ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    if utc_ms < 0:
        raise WireError("time is before 1970")
    return utc_ms


def _check_data(kind: str, data: object) -> None:
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise WireError("data is not a JSON object")
    known = KINDS.get(kind)
    for name, wanted in known.fields.items() if known else ():
        value = data.get(name)
        if value is None:
            if not wanted.endswith("?"):
                raise WireError(f"data.{name} is missing")
        elif not _matches(value, wanted.rstrip("?")):
            raise WireError(f"data.{name} is not of type {wanted}")


def _matches(value: object, wanted: str) -> bool:
    if wanted == "str":
        return isinstance(value, str)
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "int":
        return _is_int(value)
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


_JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}


def data_schema(kind: Kind) -> dict[str, Json]:
    """JSON Schema (2020-12) of the data of one kind. Readers ignore further fields."""
    properties: dict[str, Json] = {}
    required: list[Json] = []
    for name, wanted in kind.fields.items():
        json_type = _JSON_TYPES[wanted.rstrip("?")]
        optional = wanted.endswith("?")
        properties[name] = {"type": [json_type, "null"] if optional else json_type}
        if not optional:
            required.append(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name,
        "description": kind.doc,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
    }


__all__ = [
    "LANES",
    "PUBLISHED",
    "Event",
    "Row",
    "WireError",
    "data_schema",
    "event_id",
    "from_cloudevent",
    "rfc3339",
    "to_cloudevent",
]
