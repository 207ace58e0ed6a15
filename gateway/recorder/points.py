"""Events become points of a time series. Pure.

Measurement = kind; tags ``gateway``, ``subject``, ``point``, ``quantity`` (nothing of high
cardinality); fields numbers and short texts, always ``seq``. What may differ between the
first sending and a replay (``late``) is no part of a point: writing twice changes nothing.
"""

from __future__ import annotations

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


class Point(NamedTuple):
    """One point. Tags are ordered by name, empty ones left out; time is UTC ms."""

    measurement: str
    tags: Tags
    fields: Mapping[str, Value]
    time_ms: int

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
