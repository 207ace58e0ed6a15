"""Which numbers of a lane are accounted for. Pure.

Every fact has a number within (gateway, journal, lane), counting up by one. The recorder
keeps what it has of each lane as a highest number without a hole (``through``) and the
ranges beyond it (``ahead``). What lies between is a gap, and a gap is asked for again.

A number is *accounted for* when its event is in the store, or when the gateway has said
that it will never come (``absent``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

Range = tuple[int, int]
"""First and last number, both included."""


class Key(NamedTuple):
    """One lane of one journal of one gateway."""

    gateway: str
    journal: str
    lane: str


def key_of_second_event(key: Key, digest: int) -> Key:
    """A key of its own for a second event under a number that is taken: its time in the store, and
    the event itself while it waits for its time, are saved under it."""
    return key._replace(lane=f"{key.lane}:{digest:08x}")


def is_of_second_event(key: Key) -> bool:
    """Whether this is a key that :func:`key_of_second_event` has made."""
    return ":" in key.lane


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same numbers as ordered ranges that neither overlap nor touch."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            if high > result[-1][1]:
                result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return tuple(result)


def as_ranges(numbers: Iterable[int]) -> tuple[Range, ...]:
    """Single numbers as ranges."""
    ordered = sorted(set(numbers))
    if ordered and ordered[-1] - ordered[0] == len(ordered) - 1:
        return ((ordered[0], ordered[-1]),)  # no hole, as nearly always
    return merged((number, number) for number in ordered)


def without(ranges: Iterable[Range], number: int) -> tuple[Range, ...]:
    """The ranges without one number."""
    return tuple(
        part
        for low, high in ranges
        for part in (((low, min(high, number - 1)), (max(low, number + 1), high))
                     if low <= number <= high else ((low, high),))
        if part[0] <= part[1]
    )  # fmt: skip


def covers(ranges: Sequence[Range], number: int) -> bool:
    """Whether one of the ordered ranges holds the number. They may be thousands, one behind
    each fact that was set aside."""
    at = bisect_left(ranges, (number + 1,))
    return at > 0 and number <= ranges[at - 1][1]


@dataclass(frozen=True, slots=True)
class Lane:
    """What is known of one lane."""

    through: int = 0
    """Every number from 1 up to this one is accounted for."""
    ahead: tuple[Range, ...] = ()
    """Accounted for beyond the first gap, ordered."""
    head: int = 0
    """The highest number that is known to have been sent."""

    def has(self, number: int) -> bool:
        """Whether the number is accounted for."""
        return number <= self.through or covers(self.ahead, number)

    def account(self, ranges: Iterable[Range]) -> Lane:
        """Count these ranges as accounted for."""
        through = self.through
        ahead: list[Range] = []
        for low, high in merged((*self.ahead, *ranges)):
            if low <= through + 1:
                through = max(through, high)
            else:
                ahead.append((low, high))
        last = ahead[-1][1] if ahead else through
        return Lane(through=through, ahead=tuple(ahead), head=max(self.head, last))

    def expect(self, head: int) -> Lane:
        """The gateway says that it has sent everything up to ``head``."""
        return self if head <= self.head else replace(self, head=head)

    def drop(self, number: int) -> Lane:
        """Account for one number no more: it is missing again."""
        if number > self.through:
            return replace(self, ahead=without(self.ahead, number))
        rest = ((number + 1, self.through),) if number < self.through else ()
        return replace(self, through=number - 1, ahead=(*rest, *self.ahead))

    def cut(self, head: int) -> Lane:
        """Forget every number beyond ``head``: they were not the gateway's."""
        ahead = tuple((low, min(high, head)) for low, high in self.ahead if low <= head)
        return Lane(through=min(self.through, head), ahead=ahead, head=min(self.head, head))

    def back_to(self, through: int) -> Lane:
        """Forget what lies beyond ``through``: the store may have lost it."""
        if through >= self.through and not self.ahead:
            return self
        return Lane(through=min(through, self.through), ahead=(), head=self.head)

    def gaps(self) -> tuple[Range, ...]:
        """What is missing up to the head, ordered."""
        missing: list[Range] = []
        at = self.through
        for low, high in self.ahead:
            missing.append((at + 1, low - 1))
            at = high
        if self.head > at:
            missing.append((at + 1, self.head))
        return tuple(missing)
