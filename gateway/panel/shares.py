"""How many commands a client of the panel may give, and of them each person for whom it speaks.

The page is one client for everybody who is logged in, and the link for every issuer: one of them
has a share of the client's commands, and no more. Doors and calls have shares of their own, so
that no flood of anything else is in their way."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gateway.core.events import AcknowledgeCall, AnyCommand, OpenDoor

PER_S, BURST, WAITING_MOST = 100.0, 200.0, 64
"""Of one client, each of doors and calls and of everything else: commands a second, commands at
once, and commands that have no answer yet. The rest is refused."""
PERSON_PER_S, PERSON_BURST, PERSON_WAITING_MOST = 20.0, 40.0, 16
"""The same of each person for whom a client speaks."""
PEOPLE_MOST = 500
"""Persons of one client that are remembered; who has asked for nothing for longest is forgotten."""
URGENT: Final = (OpenDoor, AcknowledgeCall)
"""Commands whose effect somebody waits for, at a door or in a room."""


@dataclass(slots=True)
class Bucket:
    """``burst`` tokens at once, then ``per_s`` of them each second."""

    per_s: float
    burst: float
    at: float
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def has(self, now: float) -> bool:
        """Whether there is one to use up."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        return self.tokens >= 1

    def take(self, now: float) -> bool:
        """Use one up; ``False`` where none is left."""
        if not self.has(now):
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True, eq=False)
class Share:
    """What one may ask for: so many a second, and so many without an answer."""

    bucket: Bucket
    most: int
    waiting: int = 0

    def has_room(self, now: float) -> bool:
        return self.waiting < self.most and self.bucket.has(now)

    def begin(self, now: float) -> None:
        self.bucket.take(now)
        self.waiting += 1


@dataclass(slots=True, eq=False)
class Asked:
    """A command that waits for its answer, in the shares that it takes room of."""

    shares: tuple[Share, ...]

    def end(self) -> None:
        for share in self.shares:
            share.waiting -= 1


class Shares:
    """Those of one client."""

    __slots__ = ("_all", "_people")

    def __init__(self, now: float) -> None:
        self._all = {
            urgent: Share(Bucket(PER_S, BURST, now), WAITING_MOST) for urgent in (True, False)
        }
        self._people: OrderedDict[tuple[str, bool], Share] = OrderedDict()

    def ask(self, command: AnyCommand, now: float) -> Asked | None:
        """Take room for a command; ``None`` where there is none. The person is asked first: what
        one has too many of costs the client nothing."""
        urgent = isinstance(command, URGENT)
        person = self._person((command.issuer.name, urgent), now)
        shares = (person, self._all[urgent])
        if not all(share.has_room(now) for share in shares):
            return None
        for share in shares:
            share.begin(now)
        return Asked(shares)

    def _person(self, key: tuple[str, bool], now: float) -> Share:
        found = self._people.get(key)
        if found is None:
            found = Share(Bucket(PERSON_PER_S, PERSON_BURST, now), PERSON_WAITING_MOST)
            self._people[key] = found
        self._people.move_to_end(key)
        while len(self._people) > PEOPLE_MOST:
            self._people.popitem(last=False)
        return found
