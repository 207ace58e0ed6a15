"""How gateways are, as points of the recorder's own: for dashboards, and no part of the journal.

``health`` is sent every 30 s and is no fact: nobody asks again for one that was missed, and the
newest says it all. So it is written once a minute at most, together with what comes anyway, and
what the gateway does not know has no number. All points are the recorder's, at the time of their
receipt, and have no ``seq``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.recorder.points import Point, Value
from gateway.wire import read_json

EVERY_MS = 60_000
PLACES_EVERY_MS = 3_600_000
PLACES_MOST = 1_000
CLOCK_SET_MS = 1_577_836_800_000
"""2020: a machine without a clock of its own starts before, and has no time to give to a point."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TEXT_MOST = 128


@dataclass(slots=True)
class Health:
    """The newest of each gateway, until it is written."""

    _newest: dict[str, list[Point]] = field(default_factory=dict)
    _written_ms: int = -EVERY_MS
    _placed: dict[str, tuple[list[Point], int]] = field(default_factory=dict)
    """Which places were written of each gateway, and when."""

    def take(self, gateway: str, payload: bytes, now_ms: int, utc_ms: int) -> None:
        """One message of ``health``. ``now_ms``: by the monotonic clock."""
        try:
            raw = read_json(payload)
        except ValueError:
            return
        if not isinstance(raw, dict) or utc_ms < CLOCK_SET_MS:
            return
        self._newest[gateway] = [
            *_numbers(gateway, raw, utc_ms),
            *_guarantees(gateway, raw, utc_ms),
            *self._places(gateway, raw, now_ms, utc_ms),
        ]

    def _places(
        self, gateway: str, raw: Mapping[str, object], now_ms: int, utc_ms: int
    ) -> Iterator[Point]:
        """Where the points are: when that changes, and once an hour."""
        points = list(_places(gateway, raw, utc_ms))
        known, at_ms = self._placed.get(gateway, ([], 0))
        same = [one.tags for one in known] == [one.tags for one in points]
        if points and not (same and now_ms - at_ms < PLACES_EVERY_MS):
            yield from points

    def due(self, now_ms: int) -> list[Point]:
        """What is to be written now, if it is time for it."""
        if not self._newest or now_ms - self._written_ms < EVERY_MS:
            return []
        return [point for points in self._newest.values() for point in points]

    def written(self, now_ms: int) -> None:
        """What was due is in the store, or the store would not have it."""
        for gateway, points in self._newest.items():
            if places := [point for point in points if point.measurement == "place"]:
                self._placed[gateway] = places, now_ms
        self._newest.clear()
        self._written_ms = now_ms


def _numbers(gateway: str, raw: Mapping[str, object], utc_ms: int) -> Iterator[Point]:
    clock, disk = _object(raw.get("clock")), _object(raw.get("disk"))
    trusted = clock.get("trusted")
    found: dict[str, float | None] = {
        "backlog": _number(raw.get("backlog")),
        "oldest_unsent_s": _number(raw.get("oldest_unsent_s")),
        "refused": _number(raw.get("aside_count")),
        "clock_trusted": float(trusted) if isinstance(trusted, bool) else None,
        "disk_free_bytes": _number(disk.get("free_bytes")),
        "disk_total_bytes": _number(disk.get("total_bytes")),
        "temperature_c": _number(raw.get("temperature_c")),
    }
    fields: dict[str, Value] = {name: one for name, one in found.items() if one is not None}
    if fields:
        yield Point("health", (("gateway", gateway),), fields, utc_ms)


def _guarantees(gateway: str, raw: Mapping[str, object], utc_ms: int) -> Iterator[Point]:
    """1 *yes*, 0 *no*; none of what is unknown or not configured."""
    for name, one in sorted(_object(raw.get("guarantees")).items()):
        value = _object(one).get("value")
        if _NAME.fullmatch(name) and value in ("yes", "no"):
            tags = (("gateway", gateway), ("guarantee", name))
            yield Point("guarantee", tags, {"value": int(value == "yes")}, utc_ms)


def _places(gateway: str, raw: Mapping[str, object], utc_ms: int) -> Iterator[Point]:
    for point, place in sorted(_object(raw.get("places")).items())[:PLACES_MOST]:
        if not isinstance(place, dict) or not 0 < len(point) <= _TEXT_MOST:
            continue
        tags = {"gateway": gateway, "point": point} | {
            name: value
            for name in ("door", "room")
            if isinstance(value := place.get(name), str) and 0 < len(value) <= _TEXT_MOST
        }
        yield Point("place", tuple(sorted(tags.items())), {"present": 1}, utc_ms)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
