"""Events become points of a time series. Pure.

Measurement = kind; tags ``gateway``, ``subject``, ``point``, ``quantity`` (nothing of high
cardinality); fields numbers and short texts, always ``seq``. What may differ between the
first sending and a replay (``late``) is no part of a point: writing twice changes nothing.

Stores behind HTTP get a second point of some facts (:func:`counted`), in the measurement ``fact``:
there what the fact says in words is a tag, so that it can be counted where texts are not stored.
It has a measurement of its own because a tag is part of what a store knows a series by: in the
series that exist, a fact that is sent again after an update would be a second one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from sys import float_info
from typing import TYPE_CHECKING, NamedTuple

from gateway.core.facts import KINDS

if TYPE_CHECKING:
    from gateway.wire import Event

Value = int | float | str
Tags = tuple[tuple[str, str], ...]
Series = tuple[str, Tags]
TEXT_MOST = 200
"""Characters of a text that reach the store."""


class Origin(NamedTuple):
    """The event that a point was made of, for stores that save whole events. ``lane``: its own, or
    what :func:`gateway.recorder.sequences.key_of_second_event` has made of it."""

    event: Event
    lane: str
    time_known: bool = True


class Point(NamedTuple):
    """One point. Tags are ordered by name, empty ones left out; time is UTC ms."""

    measurement: str
    tags: Tags
    fields: Mapping[str, Value]
    time_ms: int
    origin: Origin | None = None
    """``None`` of a point of the recorder's own. No part of what a time-series store gets."""

    @property
    def series(self) -> Series:
        """What a store knows a series by."""
        return self[:2]


def probe_point(now_utc_ms: int) -> Point:
    """The recorder's own point, by which it learns whether the store takes anything at all."""
    return Point("recorder", (), {"probe": 1}, now_utc_ms)


_ABOUT_POINTS = frozenset(row.name for row in KINDS.values() if row.life in {"points", "climate"})
_TYPES = {
    row.name: {name: wanted.rstrip("?") for name, wanted in row.fields.items()}
    for row in KINDS.values()
}
_NO_FIELDS = frozenset({"quantity", "seq", "time_known", "time"})


def tags_of(event: Event) -> Tags:
    """The tags of the event's series."""
    activator, quantity = event.data.get("activator"), event.data.get("quantity")
    return _tags(
        event.gateway,
        event.subject,
        event.subject
        if event.kind in _ABOUT_POINTS
        else activator
        if isinstance(activator, str)
        else "",
        quantity if isinstance(quantity, str) else "",
    )


@lru_cache(maxsize=20_000)
def _tags(gateway: str, subject: str, point: str, quantity: str) -> Tags:
    tags = {"gateway": gateway, "point": point, "quantity": quantity, "subject": subject}
    return tuple((name, text) for name, text in tags.items() if text)


def _field(value: object, wanted: str) -> Value | None:
    """One value in the type that the catalogue gives the field, so that a store never
    meets two types in one column. Kinds from a newer gateway: every number is a float."""
    if isinstance(value, bool):
        return int(value) if wanted in {"bool", "int", ""} else float(value)
    if isinstance(value, int | float):
        if wanted == "int" and value == int(value):
            return int(value)
        if wanted == "str":
            return str(value)
        return float(value) if abs(value) <= float_info.max else None
    if isinstance(value, str) and wanted in {"str", ""}:
        return value if len(value) <= TEXT_MOST else value[: TEXT_MOST - 1] + "…"
    return None


def fields_of(event: Event, time_known: bool) -> dict[str, Value]:
    """The fields of the event's point. A value that is null is left out: gaps are gaps.
    So is a name that no kind of ours would have, which line protocol might take for a tag."""
    types = _TYPES.get(event.kind, {})
    fields: dict[str, Value] = {"seq": event.seq}
    for name, value in event.data.items():
        if name not in _NO_FIELDS and name.isascii() and name.isidentifier():
            kept = _field(value, types.get(name, ""))
            if kept is not None:
                fields[name] = kept
    if not time_known:
        fields["time_known"] = 0
    return fields


COUNTED: Mapping[str, tuple[str, ...]] = {
    "alarm_raised": ("severity",),
    "call_acknowledged": ("test",),
    "call_attended": ("test",),
    "call_cancelled": ("test",),
    "call_raised": ("cause", "test"),
    "call_seen": ("test",),
    "command_refused": ("reason",),
    "door_mode": ("mode", "source"),
    "door_opened": ("cause",),
    "door_request": ("activator_kind", "outcome", "reason", "side"),
    "message": ("result",),
    "refusals_counted": ("outcome", "reason"),
}
"""Kind -> the fields that are tags of its point in ``fact``: words of short lists."""
_WORD = re.compile(r"[a-z0-9_:-]{1,40}")
OTHER = "other"
"""Instead of a word that is none."""


def counted(point: Point) -> Point | None:
    """The point by which a fact is counted, at the same time; ``None``: its kind has none.

    ``count`` is 1, and of counted refusals their number; a time ``after_ms`` is there, too. Besides
    the tags of the fact itself it has ``kind``, what the fact says in words, and of alarms
    ``alarm``, their kind."""
    names = COUNTED.get(point.measurement)
    if names is None:
        return None
    tags = dict(point.tags) | {"kind": point.measurement}
    for name in names:
        if (value := point.fields.get(name)) is not None:
            tags[name] = _word(value)
    if point.measurement == "alarm_raised":
        tags["alarm"] = _word(tags.get("subject", "").rpartition("/")[2])
    count = point.fields.get("count", 1) if point.measurement == "refusals_counted" else 1
    fields = {"count": count}
    if (after_ms := point.fields.get("after_ms")) is not None:
        fields["after_ms"] = after_ms
    return Point("fact", tuple(sorted(tags.items())), fields, point.time_ms)


def _word(value: Value) -> str:
    text = str(value)
    return text if _WORD.fullmatch(text) else OTHER


_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\ ", "\r": r"\ ", "\\": "/"})
_TEXT = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})
_prefixes: dict[Series, str] = {}
_PREFIXES_MOST = 20_000


def prefix(series: Series) -> str:
    """Measurement and tags of a line, escaped."""
    known = _prefixes.get(series)
    if known is None:
        measurement, tags = series
        known = ",".join(
            (
                measurement.translate(_TAG),
                *(f"{name}={value.translate(_TAG)}" for name, value in tags),
            )
        )
        if len(_prefixes) >= _PREFIXES_MOST:
            _prefixes.clear()
        _prefixes[series] = known
    return known


def line(point: Point) -> str:
    """The point in line protocol, its time in whole milliseconds.

    Built by hand: the client library's own point objects cost three times as much
    as everything else that the recorder does to an event.
    """
    parts = []
    for name, value in point.fields.items():
        if isinstance(value, str):
            parts.append(f'{name}="{value.translate(_TEXT)}"')
        elif isinstance(value, int):
            parts.append(f"{name}={value}i")
        else:
            parts.append(f"{name}={value!r}")
    return f"{prefix(point.series)} {','.join(parts)} {point.time_ms}"
