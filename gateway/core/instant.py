"""Instants and durations: integer milliseconds of the monotonic clock, or of civil time."""

from __future__ import annotations

from gateway.core.values import dataclass

Ms = int
"""Milliseconds: a duration, or an instant of the monotonic clock of this boot."""

UtcMs = int
"""Milliseconds since 1970-01-01T00:00:00Z, an instant of civil time."""


@dataclass(frozen=True)
class At:
    """An instant: of this boot, of civil time, or both where both are known."""

    ms: Ms | None = None
    utc_ms: UtcMs | None = None

    def placed(self, offset_ms: int, now: Ms) -> At:
        """The same with what follows from the clock. It lies in the past, whatever a clock
        that was ahead has written."""
        if self.ms is None and self.utc_ms is not None:
            return At(min(now, self.utc_ms - offset_ms), self.utc_ms)
        if self.utc_ms is None and self.ms is not None:
            return At(self.ms, self.ms + offset_ms)
        return self

    def ms_by(self, offset_ms: int | None) -> Ms | None:
        """The instant on the clock of this boot. ``offset_ms``: UTC minus monotonic, where it is
        known."""
        if self.ms is not None or self.utc_ms is None or offset_ms is None:
            return self.ms
        return self.utc_ms - offset_ms

    def utc_by(self, offset_ms: int | None) -> UtcMs | None:
        """The instant in civil time, likewise."""
        if self.utc_ms is not None or self.ms is None or offset_ms is None:
            return self.utc_ms
        return self.ms + offset_ms


NEVER = At()


@dataclass(frozen=True)
class ClockKnown:
    """An event of machines: UTC minus monotonic of this boot is known, or has changed."""

    offset_ms: int


def clamped(instant_ms: Ms, now: Ms, span_ms: Ms) -> Ms:
    """A deadline that was computed from civil time, at most ``span_ms`` away and never in the
    past: the clock that wrote it may have been wrong."""
    return max(now, min(instant_ms, now + span_ms))


def earliest(*instants: Ms | None) -> Ms | None:
    """The first of several deadlines, ``None`` where none is set."""
    first = None
    for instant in instants:
        if instant is not None and (first is None or instant < first):
            first = instant
    return first
