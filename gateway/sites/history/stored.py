"""What the centre reads of the recorder's store, whichever that is. Pure, apart from the readers
that derive from :class:`StoredHistory`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.facts import Json, Lane
from gateway.core.instant import Ms, UtcMs
from gateway.journal.queries.history import MOST_LEVELS, Bucket
from gateway.journal.queries.means import Parts
from gateway.wire import Row

LEVEL_KINDS = ("contact_changed", "relay_changed")
"""Kinds that say the level of a point. What sensors see of people is in no store."""
READ_WITHIN_S = 5.0
"""For one question."""
READINGS_MOST = 300_000
"""Readings that one question is answered from."""


class StoreUnreadable(Exception):
    """The store cannot be read right now."""


class QuestionTooLong(StoreUnreadable):
    """This question takes too long; the store itself can be read."""


class StoredEvent(NamedTuple):
    """One event of a gateway. ``journal`` and ``boot`` are empty where the store does not have
    them; ``mono_ms`` is UTC then."""

    gateway: str
    journal: str
    lane: Lane
    seq: int
    boot: str
    mono_ms: Ms
    utc_ms: UtcMs
    kind: str
    subject: str
    data: Mapping[str, Json]

    @property
    def order(self) -> tuple[UtcMs, Ms, int]:
        """As it happened, among the events of its gateway."""
        return self.utc_ms, self.mono_ms, self.seq

    def row(self, number: int) -> Row:
        """As a row of its gateway's journal; ``number``: where it comes among others."""
        return Row(
            number, self.lane, self.seq, self.boot, self.mono_ms, self.utc_ms, self.kind,
            self.subject, self.data,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of these gateways and kinds (``None``: all) from an instant to before another
    one. At most ``limit``, and those of the same instant as the last of them."""

    gateways: Collection[str]
    kinds: Collection[str] | None = None
    from_utc_ms: UtcMs | None = None
    to_utc_ms: UtcMs | None = None
    limit: int = 200
    oldest_first: bool = False
    """The oldest ones; otherwise the newest, newest first."""
    subject: str | None = None


class StoredHistory(ABC):
    """A store that is read. Used in one thread. Raises :class:`StoreUnreadable`; the next question
    opens it again."""

    @abstractmethod
    def quantities(self, gateway: str, point: str) -> Sequence[str]:
        """Of which quantities a meter has readings."""

    @abstractmethod
    def buckets(
        self,
        gateway: str,
        point: str,
        quantity: str,
        within: tuple[UtcMs, UtcMs],
        number: int,
        now_utc_ms: UtcMs,
    ) -> list[Bucket]:
        """Means of a meter in ``number`` buckets of equal width, in order; empty ones are absent.
        As :func:`gateway.journal.queries.history.buckets` makes them of a journal."""

    @abstractmethod
    def levels(
        self, gateway: str, point: str, within: tuple[UtcMs, UtcMs]
    ) -> list[tuple[UtcMs, bool | None]]:
        """Changes of a contact or relay, as :func:`gateway.journal.queries.history.levels`."""

    @abstractmethod
    def events(self, wanted: Wanted) -> list[StoredEvent]:
        """Events of some gateways in the order of time."""

    @abstractmethod
    def close(self) -> None:
        """Close the store."""


def width_of(within: tuple[UtcMs, UtcMs], number: int) -> Ms:
    """The width of each bucket. Raises :class:`ValueError` for an empty range or no buckets."""
    first, last = within
    if last <= first or number < 1:
        raise ValueError("a range from earlier to later, in at least one bucket")
    return -((first - last) // number)


def buckets_of(found: Parts, first: UtcMs, width: Ms) -> list[Bucket]:
    """Buckets of a range that begins at ``first``."""
    return [
        Bucket(
            first + place * width,
            one.low,
            one.mean,
            one.high,
            one.count,
            one.covered_ms if one.by_time else None,
        )
        for place, one in sorted(found.items())
    ]


class Level(NamedTuple):
    """A point has changed. ``boot`` is empty where the store does not have it."""

    utc_ms: UtcMs
    active: bool | None
    boot: str


class RunEnd(NamedTuple):
    """The last that is known of a run of a gateway. ``boot``: of the run after it."""

    utc_ms: UtcMs
    boot: str


def level_of(kind: str, data: Mapping[str, Json]) -> bool | None:
    """What a fact says of its point."""
    found = data.get("on" if kind == "relay_changed" else "active")
    return None if found is None else bool(found)


def levels_of(
    levels: Sequence[Level], ends: Sequence[RunEnd], first: UtcMs
) -> list[tuple[UtcMs, bool | None]]:
    """Changes in order, from the level at ``first`` on. Between the last word of one run of the
    machine and the first of the next the level is unknown. Without boots each start of the gateway
    counts as one of the machine. ``levels``: with the last one before the range."""
    merged: list[tuple[UtcMs, bool | None]] = []
    said: Level | None = None
    place = 0
    levels = sorted(levels, key=lambda one: one.utc_ms)
    for end in sorted(ends):
        while place < len(levels) and levels[place].utc_ms <= end.utc_ms:
            said = levels[place]
            merged.append((said.utc_ms, said.active))
            place += 1
        if said is not None and (not said.boot or said.boot != end.boot):
            merged.append((end.utc_ms, None))
    merged += [(one.utc_ms, one.active) for one in levels[place:]]
    before = [change for change in merged if change[0] < first]
    inside = [change for change in merged if change[0] >= first]
    if before:
        inside.insert(0, (first, before[-1][1]))
    return inside[-MOST_LEVELS:]
