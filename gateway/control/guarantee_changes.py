"""Which changes of guarantees are facts: those that last, and few of one that flaps.

Every fact is a write to the card, so a value is recorded once it has been the same for
:data:`SETTLE_MS`. Each change that is recorded within the hour doubles that time, up to
:data:`SETTLE_MOST_MS`: a guarantee that comes and goes all day leaves about thirty facts. While it
does not come to rest, the worst of the values that it had is recorded in their place, so that what
is broken again and again never looks good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.panel.snapshot_types import GuaranteeShown, GuaranteeValue

KIND = "guarantee_changed"
SETTLE_MS: Ms = 30_000
SETTLE_MOST_MS: Ms = 3_600_000
CALM_MS: Ms = 3_600_000
"""Without a recorded change for so long, the next one is recorded as soon as the first."""
_GRAVITY: dict[GuaranteeValue, int] = {"not_configured": 0, "yes": 1, "unknown": 2, "no": 3}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A value since an instant, and why it is so."""

    value: GuaranteeValue
    reason: str
    about: str
    since_ms: Ms

    @classmethod
    def of(cls, shown: GuaranteeShown, now: Ms) -> _Seen:
        return cls(shown["value"], shown["reason"], shown["subject"], now)


@dataclass(slots=True)
class _Track:
    """One guarantee. ``recorded``: what the journal says of it since this start; ``unsettled_ms``:
    since when it is not simply that; ``worst``: of the values since then; ``changes``: how many."""

    now: _Seen
    worst: _Seen
    unsettled_ms: Ms | None
    recorded: _Seen | None = None
    settle_ms: Ms = SETTLE_MS
    recorded_ms: Ms = 0
    changes: int = 0

    def see(self, seen: _Seen) -> None:
        """Take a value that has just been observed."""
        if seen.value == self.now.value:
            return
        self.now = seen
        if self.unsettled_ms is None:
            self.unsettled_ms, self.worst, self.changes = seen.since_ms, seen, 0
            if seen.since_ms - self.recorded_ms > max(CALM_MS, 2 * self.settle_ms):
                self.settle_ms = SETTLE_MS
        elif _GRAVITY[seen.value] > _GRAVITY[self.worst.value]:
            self.worst = seen
        self.changes += 1

    def due(self, now: Ms) -> _Seen | None:
        """What is to be recorded now."""
        if self.unsettled_ms is None:
            return None
        if now - self.now.since_ms >= self.settle_ms:
            return self._settled(now)
        if now - self.unsettled_ms >= 2 * self.settle_ms:
            return self._unsettled(now)
        return None

    def _settled(self, now: Ms) -> _Seen | None:
        seen, self.unsettled_ms = self.now, None
        return None if self._known(seen) else self._record(seen, now)

    def _unsettled(self, now: Ms) -> _Seen | None:
        """It has held no value: the worst of them applies from the beginning of the unrest."""
        worst = _Seen(self.worst.value, self.worst.reason, self.worst.about, self.unsettled_ms or 0)
        self.unsettled_ms, self.worst = now, self.now
        return None if self._known(worst) else self._record(worst, now)

    def _known(self, seen: _Seen) -> bool:
        return self.recorded is not None and self.recorded.value == seen.value

    def _record(self, seen: _Seen, now: Ms) -> _Seen:
        if self.recorded is not None:
            self.settle_ms = min(2 * self.settle_ms, SETTLE_MOST_MS)
        self.recorded_ms = now
        return seen


@dataclass(slots=True)
class GuaranteeChanges:
    """The changes of all guarantees of one building, since this start of ``control``."""

    _tracks: dict[str, _Track] = field(default_factory=dict)

    def facts(self, shown: Mapping[str, GuaranteeShown], now: Ms) -> list[Fact]:
        """The changes that are to be recorded, given what is observed ``now``."""
        found = []
        for name, one in shown.items():
            seen = _Seen.of(one, now)
            track = self._tracks.get(name)
            if track is None:
                track = self._tracks[name] = _Track(seen, seen, now)
            track.see(seen)
            recorded = track.due(now)
            if recorded is not None:
                found.append(_fact(name, recorded, track))
                track.recorded, track.changes = recorded, 0
        return found


def _fact(name: str, seen: _Seen, track: _Track) -> Fact:
    before = None if track.recorded is None else track.recorded.value
    return Fact(
        KIND,
        name,
        seen.since_ms,
        {
            "value": seen.value,
            "before": before,
            "reason": seen.reason or None,
            "about": seen.about or None,
            "changes": track.changes if track.changes > 1 else None,
        },
    )
