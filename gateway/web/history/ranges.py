"""A range of time as it stands in an address and in two form fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from gateway.web.building.view import iso
from gateway.web.shared.models import FIRST_YEAR, LAST_YEAR
from gateway.wire import calendar_time, utc_ms_of


@dataclass(frozen=True, slots=True)
class Range:
    """``to`` is not included; ``None`` is open."""

    from_utc_ms: int | None
    to_utc_ms: int | None

    @classmethod
    def read(cls, start: str, end: str, zone: tzinfo) -> Range:
        """From ISO 8601 texts, local where they have no offset; what is no time is open."""
        first, last = _moment(start, zone), _moment(end, zone)
        if first is not None and last is not None and first >= last:
            first, last = last, first + 60_000
        return cls(first, last)

    def filled(self, now: datetime, span: timedelta) -> Range:
        """Without open ends: up to ``now``, ``span`` long."""
        to = self.to_utc_ms if self.to_utc_ms is not None else int(now.timestamp() * 1000)
        since = self.from_utc_ms
        if since is None or since >= to:
            since = to - int(span.total_seconds() * 1000)
        return Range(since, to)

    def whole(self) -> tuple[int, int]:
        """Both ends of one without open ends. Raises :class:`ValueError`."""
        if self.from_utc_ms is None or self.to_utc_ms is None:
            raise ValueError("a range with an open end")
        return self.from_utc_ms, self.to_utc_ms

    def query(self) -> dict[str, str]:
        """As an address takes it: in UTC, so that the hour that comes twice is clear."""
        ends = (("from", self.from_utc_ms), ("to", self.to_utc_ms))
        return {name: iso(utc_ms) or "" for name, utc_ms in ends if utc_ms is not None}

    def fields(self, zone: tzinfo) -> tuple[str, str]:
        """As ``datetime-local`` fields take them."""

        def local(utc_ms: int | None) -> str:
            if utc_ms is None:
                return ""
            return calendar_time(utc_ms, zone).strftime("%Y-%m-%dT%H:%M")

        return local(self.from_utc_ms), local(self.to_utc_ms)


def unread(*texts: str) -> bool:
    """Whether one of them was given and is no time, or none in a year that there is."""
    return any(text and _moment(text, UTC) is None for text in texts)


def _moment(text: str, zone: tzinfo) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    return utc_ms_of(moment, zone)
