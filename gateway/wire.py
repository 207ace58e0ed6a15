"""How a fact looks outside: CloudEvents 1.0 JSON, its JSON Schemas, and the AsyncAPI document.

One fact has one name everywhere: ``<gateway>/<journal>/<lane>/<sequence>``. Brokers and
recorders count by it, so it is never used twice (see ``gateway.journal``).

The whole wire is in this one file on purpose: what is sent, what is accepted and what is
documented are generated from the same catalogue of kinds and are read side by side.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Literal, NamedTuple, TypeGuard

from gateway.core.events import ATTENDS_MOST, MODES
from gateway.core.facts import KINDS, LANES, Json, Kind, Lane
from gateway.core.instant import Ms, UtcMs

PUBLISHED: tuple[Lane, ...] = ("urgent", "routine")
"""The lanes that leave the gateway; ``local`` never does."""

DEEPEST = 40
"""Levels of what somebody else may nest; Python's own functions follow some hundreds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SHOWN_MS, _LAST_SHOWN_MS = (
    int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds() * 1000) - before_ms
    for year, before_ms in ((2, 0), (9999, 1))
)
LAST_UTC_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, where RFC 3339 ends
_LAST_INT = 2**63 - 1
_TYPE = re.compile(r"portier\.([a-z][a-z0-9_]{0,63})\.v1")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-5][0-9])\.([0-9]{3})Z")
_PART = r"([^/\s\x00-\x1f]{1,128})"
_ORIGIN = re.compile(rf"{_PART}/{_PART}/(urgent|routine)")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


class WireError(ValueError):
    """What came in is not one of our events; the message says why. The sender's fault."""


def read_json(data: bytes) -> object:
    """What somebody else has written as JSON. Raises :class:`ValueError` where it is none, and
    where it could not be written on: half a character (``"\\ud800"``), a number without end,
    or nested deeper than :data:`DEEPEST`."""
    text = data.decode()
    try:
        found: object = _decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(found)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _check_depth(found: object) -> None:
    level = [found]
    for _ in range(DEEPEST + 1):
        dicts = (one.values() for one in level if isinstance(one, dict))
        lists = (one for one in level if isinstance(one, list))
        level = list(chain(*lists, *dicts))
        if not level:
            return
    raise ValueError(f"nested deeper than {DEEPEST} levels")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is no number")
    return value


_decode = json.JSONDecoder(parse_constant=_finite, parse_float=_finite).decode


class Row(NamedTuple):
    """One fact as the journal keeps it. Named tuples, because thousands a second are made.

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


class Event(NamedTuple):
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


def calendar_time(utc_ms: float, zone: tzinfo = UTC) -> datetime:
    """An instant as a date and time of ``zone``. Never raises: what lies outside of the years 2
    to 9998, where every zone has a date, is shown as their first or last instant."""
    within_ms = min(max(utc_ms, _FIRST_SHOWN_MS), _LAST_SHOWN_MS)
    return (_EPOCH + timedelta(milliseconds=within_ms)).astimezone(zone)


def utc_ms_of(moment: datetime, zone: tzinfo) -> UtcMs:
    """The instant of a date and time; one without a zone is of ``zone``."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return int(aware.timestamp() * 1000)


def rfc3339(utc_ms: UtcMs) -> str:
    """``2024-05-01T08:00:00.000Z``. Raises :class:`ValueError` before 1970 and after 9999."""
    if not 0 <= utc_ms <= LAST_UTC_MS:
        raise ValueError(f"no calendar date for {utc_ms} ms")
    minute, ms = divmod(utc_ms, 60_000)
    return f"{_minute(minute)}:{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=64)  # a calendar date costs more than the rest of an event
def _minute(minute: int) -> str:
    """``2024-05-01T08:00``, of the minutes since 1970."""
    return (_EPOCH + timedelta(minutes=minute)).isoformat()[:16]


@lru_cache(maxsize=64)
def _minute_ms(text: str) -> UtcMs:
    """The instant of ``2024-05-01T08:00``. Raises :class:`ValueError`: no such minute."""
    return (datetime.fromisoformat(text + "Z") - _EPOCH) // timedelta(milliseconds=1)


def from_rfc3339(text: str) -> UtcMs:
    """The instant that :func:`rfc3339` has written. Raises :class:`ValueError` for all else."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise ValueError("is not RFC 3339 in UTC with milliseconds")
    minute, second, ms = parts.groups()
    utc_ms = _minute_ms(minute) + int(second) * 1000 + int(ms)
    if utc_ms < 0:
        raise ValueError("is before 1970")
    return utc_ms


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
    if row.utc_ms is not None and 0 <= row.utc_ms <= LAST_UTC_MS:
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
    kind = _kind(_text(event, "type"))
    gateway, journal, lane, seq = _identity(event)
    mono_ms = event.get("monotonicms")
    if not _is_int(mono_ms):
        raise WireError("monotonicms is not a whole number")
    late = event.get("late", False)
    if not isinstance(late, bool):
        raise WireError("late is neither true nor false")
    data = event.get("data", {})
    _check_data(kind, data)
    boot, subject = _text(event, "bootid"), _text(event, "subject")
    # by position: names cost as much as three of the checks
    return Event(
        gateway, journal, lane, seq, boot, mono_ms, _utc_ms(event), kind, subject, data, late
    )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LAST_INT


def _text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise WireError(f"{key} is not a text of 1 to 512 characters")
    return value


@lru_cache(maxsize=256)  # what thousands of events have in common
def _kind(text: str) -> str:
    """The kind that a type names. Raises :class:`WireError`."""
    found = _TYPE.fullmatch(text)
    if found is None:
        raise WireError("type is not portier.<kind>.v1")
    return found[1]


@lru_cache(maxsize=256)
def _origin(text: str) -> tuple[str, str, Lane, str]:
    """Gateway, journal and lane of an id without its number, and the source that belongs to it.
    Raises :class:`WireError`."""
    parts = _ORIGIN.fullmatch(text)
    if parts is None:
        raise WireError("id is not <gateway>/<journal>/<lane>/<sequence>")
    lane: Lane = "urgent" if parts[3] == "urgent" else "routine"
    return parts[1], parts[2], lane, f"/portier/{parts[1]}"


def _identity(event: Mapping[str, object]) -> tuple[str, str, Lane, int]:
    origin, _, number = _text(event, "id").rpartition("/")
    gateway, journal, lane, source = _origin(origin)
    if _NUMBER.fullmatch(number) is None:
        raise WireError("id is not <gateway>/<journal>/<lane>/<sequence>")
    if event.get("lane") != lane:
        raise WireError("lane is not urgent or routine, or differs from the id")
    if int(number) > _LAST_INT or event.get("sequence") != number.zfill(20):
        raise WireError("sequence differs from the id's number in 20 digits")
    if event.get("source") != source:
        raise WireError("source is not /portier/<gateway>")
    return gateway, journal, lane, int(number)


def _utc_ms(event: Mapping[str, object]) -> UtcMs | None:
    if event.get("time") is None:
        return None
    try:
        return from_rfc3339(_text(event, "time"))
    except WireError:
        raise
    except ValueError as error:
        raise WireError(f"time {error}") from None


def _check_data(kind: str, data: object) -> None:
    if not isinstance(data, dict) or not _TEXTS.issuperset(map(type, data)):
        raise WireError("data is not a JSON object")
    fields, required = _FIELDS.get(kind, _UNKNOWN)
    for name in required:
        if data.get(name) is None:
            raise WireError(f"data.{name} is missing")
    for name, value in data.items():
        if value is not None and name in fields and not fields[name](value):
            raise WireError(f"data.{name} is not of type {KINDS[kind].fields[name]}")


def _is_float(value: object) -> bool:
    return (isinstance(value, float) and math.isfinite(value)) or _is_int(value)


def _is_range(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_int(n) for n in value)


_IS: dict[str, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "float": _is_float,
    "range": _is_range,
}
_FIELDS = {
    kind.name: (
        {name: _IS[wanted.rstrip("?")] for name, wanted in kind.fields.items()},
        tuple(name for name, wanted in kind.fields.items() if not wanted.endswith("?")),
    )
    for kind in KINDS.values()
}
"""Of each kind: how to know a good value of each field, and the fields that must be there."""
_UNKNOWN: tuple[dict[str, Callable[[object], bool]], tuple[str, ...]] = ({}, ())
_TEXTS = {str}

_JSON_TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "range": "array",
}


def data_schema(kind: Kind) -> dict[str, Json]:
    """JSON Schema (2020-12) of the data of one kind. Readers ignore further fields."""
    properties: dict[str, Json] = {}
    required: list[Json] = []
    for name, wanted in kind.fields.items():
        json_type = _JSON_TYPES[wanted.rstrip("?")]
        optional = wanted.endswith("?")
        field: dict[str, Json] = {"type": [json_type, "null"] if optional else json_type}
        if json_type == "array":
            field |= {"items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
        properties[name] = field
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


def event_schema(kind: Kind) -> dict[str, Json]:
    """JSON Schema of one kind's whole CloudEvents object."""
    data = {key: value for key, value in data_schema(kind).items() if key != "$schema"}
    text: dict[str, Json] = {"type": "string", "minLength": 1}
    lane: dict[str, Json] = {"enum": [lane for lane in PUBLISHED if lane == kind.lane]}
    properties: dict[str, Json] = {
        "specversion": {"const": "1.0"},
        "id": {**text, "description": "<gateway>/<journal>/<lane>/<sequence>"},
        "source": {"type": "string", "pattern": "^/portier/[^/]+$"},
        "type": {"const": f"portier.{kind.name}.v1"},
        "subject": text,
        "time": {"type": "string", "format": "date-time", "description": "absent while unknown"},
        "datacontenttype": {"const": "application/json"},
        "lane": lane,
        "sequence": {"type": "string", "pattern": "^[0-9]{20}$"},
        "bootid": text,
        "monotonicms": {"type": "integer"},
        "late": {"type": "boolean"},
        "data": data,
    }
    return {
        "title": kind.name,
        "description": kind.doc,
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in ("time", "datacontenttype")],
    }


def _object(**properties: Json) -> dict[str, Json]:
    return {"type": "object", "properties": properties}


_STRING: dict[str, Json] = {"type": "string"}
_INTEGER: dict[str, Json] = {"type": "integer"}
_INSTANT: dict[str, Json] = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "null where it never was, or the clock is not trusted",
}
_TEXT: dict[str, Json] = {"type": ["string", "null"]}
_LANE: dict[str, Json] = {"enum": list(PUBLISHED)}
_COMMAND: dict[str, Json] = {
    "id": {**_STRING, "description": "names this command; seen twice it is refused"},
    "issued_at": {**_STRING, "format": "date-time"},
    "ttl": {"type": "number", "maximum": 30, "default": 5, "description": "seconds"},
    "by": {**_STRING, "description": "who asks, as the issuer claims it"},
    "sig": {**_STRING, "description": "hex HMAC-SHA256 where the issuer must sign"},
}

# address, parameters, action of the gateway, QoS, retained, what it is, payload
_CHANNELS: tuple[tuple[str, str, tuple[str, ...], str, int, bool, str, dict[str, Json]], ...] = (
    (
        "availability",
        "availability",
        (),
        "send",
        1,
        True,
        "online, or offline as the last will",
        {"enum": ["online", "offline"]},
    ),
    (
        "info",
        "info",
        (),
        "send",
        1,
        True,
        "versions, configuration digest, points, doors, command help",
        _object(
            issuers={
                "type": "object",
                "description": "issuers with limited rights by name",
                "additionalProperties": _object(
                    may={"type": "array", "items": {"enum": ["acknowledge", "open"]}},
                    doors={
                        "type": "object",
                        "description": "the doors that it may open, each with its hours",
                        "additionalProperties": {"type": "array", "items": _STRING},
                    },
                ),
            },
        ),
    ),
    (
        "health",
        "health",
        (),
        "send",
        0,
        False,
        "guarantees with since, backlog, clock, places of the points; every 30 s",
        _object(),
    ),
    (
        "stateDoor",
        "state/door/{door}",
        ("door",),
        "send",
        1,
        True,
        "the current state of a door; stale: true while nobody vouches for it",
        _object(
            can_open={
                **_object(ok={"type": "boolean"}, reason=_STRING, needs_reason={"type": "boolean"}),
                "type": ["object", "null"],
                "description": "whether staff can open it now, and why not",
            },
            next_mode={
                **_object(mode=_STRING, at=_INSTANT),
                "type": ["object", "null"],
                "description": "the next change of the mode that is foreseen",
            },
            service_until=_INSTANT,
            last_opened=_INSTANT,
        ),
    ),
    (
        "statePoint",
        "state/point/{point}",
        ("point",),
        "send",
        1,
        True,
        "the current state of a point; stale: true while nobody vouches for it",
        _object(),
    ),
    (
        "stateRoom",
        "state/room/{room}",
        ("room",),
        "send",
        1,
        True,
        "the current state of a room: its call, cords, lamps, water and climate",
        _object(
            call={
                **_object(
                    id=_TEXT,
                    state={"enum": ["quiet", "raised", "acknowledged", "attended"]},
                    acknowledged_by=_TEXT,
                    attends={**_TEXT, "description": "the name of who goes, where it was given"},
                    seen_by={**_TEXT, "description": "who has seen it and does not go"},
                    seen=_INSTANT,
                    acknowledged=_INSTANT,
                    attended=_INSTANT,
                    attend_by={**_INSTANT, "description": "raised again then if nobody has come"},
                ),
                "type": ["object", "null"],
            },
        ),
    ),
    ("stateAlarms", "state/alarms", (), "send", 1, True, "all alarms that stand", _object()),
    (
        "recorded",
        "recorded/{recorder}",
        ("recorder",),
        "receive",
        1,
        True,
        "the sequence per lane up to which a recorder's store has everything",
        _object(
            journal=_STRING,
            lanes={**_object(urgent=_INTEGER, routine=_INTEGER)},
            aside={**_INTEGER, "description": "points set aside, neither retried nor acknowledged"},
            foreign={**_INTEGER, "description": "messages that were not the gateway's"},
        ),
    ),
    (
        "replay",
        "replay/{recorder}",
        ("recorder",),
        "receive",
        1,
        False,
        "a recorder asks for these numbers again",
        {
            **_object(
                journal=_STRING,
                lane=_LANE,
                **{"from": _INTEGER, "to": _INTEGER},
            ),
            "required": ["journal", "lane", "from", "to"],
        },
    ),
    (
        "absent",
        "absent",
        (),
        "send",
        1,
        False,
        "numbers that will never come, and why",
        _object(
            journal=_STRING,
            lane=_LANE,
            ranges={
                "type": "array",
                "items": {"type": "array", "items": _INTEGER, "minItems": 2, "maxItems": 2},
            },
            reason={"enum": ["thinned", "expired", "lost"]},
        ),
    ),
    (
        "commandDoorOpen",
        "command/door/{door}/open",
        ("door",),
        "receive",
        1,
        False,
        "ask for a door",
        {**_object(**_COMMAND, reason=_STRING), "required": ["id", "issued_at"]},
    ),
    (
        "commandDoorMode",
        "command/door/{door}/mode",
        ("door",),
        "receive",
        1,
        False,
        "override the mode of a door, or end the override with mode schedule",
        {
            **_object(**_COMMAND, mode={"enum": [*MODES, "schedule"]}, until=_STRING),
            "required": ["id", "issued_at", "mode"],
        },
    ),
    (
        "commandAlarmAcknowledge",
        "command/alarm/{alarm}/acknowledge",
        ("alarm",),
        "receive",
        1,
        False,
        "acknowledge an alarm; its id is subject/kind",
        {**_object(**_COMMAND), "required": ["id", "issued_at"]},
    ),
    (
        "commandCallAcknowledge",
        "command/call/{call}/acknowledge",
        ("call",),
        "receive",
        1,
        False,
        "somebody takes care of a call, named by its room or its id; nothing ends a call from here",
        {
            **_object(
                **_COMMAND,
                attends={
                    **_STRING,
                    "maxLength": ATTENDS_MOST,
                    "description": "the name of who goes; without it an issuer with limited rights"
                    " has only seen the call, and sounder and messages continue",
                },
            ),
            "required": ["id", "issued_at"],
        },
    ),
    (
        "response",
        "response/{command}",
        ("command",),
        "send",
        1,
        False,
        "the answer to a command, here or on the response topic of MQTT 5",
        {
            **_object(
                status={"enum": ["accepted", "merged", "extended", "refused"]},
                reason=_STRING,
                fact={"type": ["string", "null"], "description": "id of the event"},
            ),
            "required": ["status"],
        },
    ),
)


_OWN = tuple(
    (
        f"issuer{name[0].upper()}{name[1:]}",
        f"issuer/{{issuer}}/{address}",
        ("issuer", *parameters),
        action,
        qos,
        retained,
        f"{doc}; from an issuer without a key, which is heard here alone",
        payload,
    )
    for name, address, parameters, action, qos, retained, doc, payload in _CHANNELS
    if address.startswith("command/")
)
"""The topics of issuers without a key: the broker's access list says who writes there."""


ShownBy = Literal["certificate", "password", "nothing"]


class Broker(NamedTuple):
    """Where the broker is, and how a client shows who it is. ``host`` and ``port``: empty and 0
    where only whoever reads the document knows."""

    host: str = ""
    port: int = 0
    encrypted: bool = True
    shown_by: ShownBy = "certificate"


_CREDENTIALS: dict[str, Json] = {
    "certificate": {
        "type": "X509",
        "description": "A certificate of the client's own; its common name is the user of the"
        " broker's access list.",
    },
    "password": {"type": "userPassword", "description": "Name and password of the broker's user."},
}


def _server(broker: Broker) -> dict[str, Json]:
    host = f"[{broker.host}]" if ":" in broker.host else broker.host
    server: dict[str, Json] = {
        "host": f"{host}:{broker.port}",
        "protocol": "secure-mqtt" if broker.encrypted else "mqtt",
        "protocolVersion": "5.0",
        "description": "The broker between gateways and everybody else.",
    }
    if not broker.host:
        where: Json = {
            "default": f"localhost:{broker.port or 8883}",
            "description": "name and port",
        }
        server |= {"host": "{broker}", "variables": {"broker": where}}
    if broker.shown_by != "nothing":
        scheme: dict[str, Json] = {"$ref": f"#/components/securitySchemes/{broker.shown_by}"}
        server["security"] = [scheme]
    return server


def _how(action: str, qos: int, retained: bool) -> str:
    """How a message of a channel goes over the broker."""
    if action == "send":
        return f"The gateway sends it with QoS {qos}, {'retained' if retained else 'not retained'}."
    return f"The gateway takes it with QoS 0 or 1{'' if retained else ', never retained'}."


def asyncapi(
    gateway: str = "{gateway}", version: str = "1", broker: Broker | None = None
) -> dict[str, Json]:
    """The AsyncAPI 3.0 document of the MQTT interface of one gateway (or of any)."""
    channels: dict[str, Json] = {}
    operations: dict[str, Json] = {}
    messages: dict[str, Json] = {}
    schemas: dict[str, Json] = {}

    def channel(
        name: str, address: str, parameters: tuple[str, ...], names: dict[str, str], doc: str
    ) -> None:
        every = (*(("gateway",) if gateway == "{gateway}" else ()), *parameters)
        entry: dict[str, Json] = {
            "address": f"portier/{gateway}/{address}",
            "description": doc,
            "messages": {key: {"$ref": f"#/components/messages/{it}"} for key, it in names.items()},
        }
        if every:
            entry["parameters"] = {key: {} for key in every}
        channels[name] = entry

    def operation(name: str, action: str, qos: int, retained: bool, doc: str) -> None:
        operations[f"{action}{name[0].upper()}{name[1:]}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": doc,
            "description": _how(action, qos, retained),
            "bindings": {"mqtt": {"qos": qos, "retain": retained, "bindingVersion": "0.2.0"}},
        }

    for name, address, parameters, action, qos, retained, doc, payload in (*_CHANNELS, *_OWN):
        schemas[name] = payload
        messages[name] = {
            "summary": doc,
            "contentType": "text/plain" if name == "availability" else "application/json",
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        channel(name, address, parameters, {name: name}, doc)
        operation(name, action, qos, retained, doc)
    kinds = [kind for kind in KINDS.values() if kind.lane in PUBLISHED]
    for kind in kinds:
        schemas[f"event.{kind.name}"] = event_schema(kind)
        messages[f"event.{kind.name}"] = {
            "summary": kind.doc,
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"#/components/schemas/event.{kind.name}"},
        }
    doc = "one fact as CloudEvents 1.0; dots in the subject become slashes"
    names = {kind.name: f"event.{kind.name}" for kind in kinds}
    channel("event", "event/{kind}/{subject}", ("kind", "subject"), names, doc)
    operation("event", "send", 1, False, doc)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Portier over MQTT",
            "version": version,
            "description": "What a Portier gateway sends and takes. MQTT 5; 3.1.1 is understood.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": "doors"}, {"name": "rooms"}, {"name": "recording"}],
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server(broker or Broker())},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": _CREDENTIALS,
        },
    }


__all__ = [
    "LANES",
    "PUBLISHED",
    "Broker",
    "Event",
    "Row",
    "ShownBy",
    "WireError",
    "asyncapi",
    "calendar_time",
    "data_schema",
    "event_id",
    "event_schema",
    "from_cloudevent",
    "from_rfc3339",
    "rfc3339",
    "to_cloudevent",
]
