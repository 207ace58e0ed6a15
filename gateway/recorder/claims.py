"""What a gateway says that it has sent, and what has come beyond that. Pure.

Whoever may publish on a gateway's topics can write any number into an event. A number that leaves
a gap is held back until the gateway itself (``health``: ``journal``, ``sent``, ``heads``) has
so many; where it says twice that it has not, the message is somebody else's. Where a gateway never
says how far it is, there is nothing to compare with, and every number counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.recorder.sequences import Key

HELD_BACK_MOST = 2_000
"""Messages held back in all. What comes beyond that is asked for, if it is the gateway's."""
REST_MS = 2_000
"""A message is on its way for less than this: a claim that is so much later knows of it."""
DENIALS = 2
UNHEARD_MS = 60_000
"""A gateway that says nothing for this long denies nothing."""
UNREPEATED_MS = 600_000
"""What cannot be read, and the gateway has not sent again for this long, is not its own."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A message that waits for its gateway's word. ``reason``: why it cannot be read. ``others``:
    what else has come under its number."""

    key: Key
    seq: int
    topic: str
    text: str
    since_ms: int
    reason: str = ""
    denials: int = 0
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Claims:
    """What each gateway has said last, and what is held back meanwhile."""

    journals: dict[str, str] = field(default_factory=dict)
    reach: dict[Key, int] = field(default_factory=dict)
    """The highest number of each lane that the gateway has, sent or not."""
    held_back: dict[tuple[Key, int], HeldBack] = field(default_factory=dict)
    _heard_ms: dict[str, int] = field(default_factory=dict)
    _tops: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """The highest number of a lane at a claim that was below it, and when that was."""

    def is_known(self, gateway: str) -> bool:
        """Whether it has ever said how far it is."""
        return gateway in self.journals

    def covers(self, key: Key, seq: int) -> bool:
        """Whether the gateway says that it has this number."""
        return seq <= self.reach.get(key, 0)

    def waiting(self) -> set[str]:
        """The gateways whose word is waited for."""
        return {key.gateway for key, seq in self.held_back if not self.covers(key, seq)}

    def hold_back(self, one: HeldBack) -> None:
        """Hold a message back."""
        if len(self.held_back) < HELD_BACK_MOST:
            self.held_back[one.key, one.seq] = one

    def said(
        self, gateway: str, journal: str, reach: Mapping[str, int], now_ms: int
    ) -> tuple[list[HeldBack], list[HeldBack]]:
        """The gateway says how far it is: what is its own of what was held back, lowest number
        first, and what is not."""
        self.journals[gateway], self._heard_ms[gateway] = journal, now_ms
        for lane, head in reach.items():
            self.reach[Key(gateway, journal, lane)] = head
        its, foreign = [], []
        for name, one in sorted(self.held_back.items()):
            if one.key.gateway != gateway:
                continue
            if one.key.journal == journal and self.covers(one.key, one.seq):
                if not one.reason:
                    its.append(self.held_back.pop(name))
                elif now_ms - one.since_ms >= UNREPEATED_MS:
                    foreign.append(self.held_back.pop(name))
            elif one.denials + 1 >= DENIALS and now_ms - one.since_ms >= REST_MS:
                foreign.append(self.held_back.pop(name))
            else:
                self.held_back[name] = replace(one, denials=one.denials + 1)
        return its, foreign

    def unheard(self, now_ms: int) -> Iterator[HeldBack]:
        """What nobody has said anything about: it counts."""
        if self.held_back:
            for name, one in sorted(self.held_back.items()):
                heard_ms = self._heard_ms.get(one.key.gateway, one.since_ms)
                if now_ms - max(one.since_ms, heard_ms) >= UNHEARD_MS:
                    yield self.held_back.pop(name)

    def came(self, key: Key, seq: int) -> None:
        """An event has come, perhaps again. What was said before it and says less was sent before
        it: the broker repeats old words, too."""
        if key in self._tops and not self.covers(key, seq):
            del self._tops[key]

    def is_beyond(self, key: Key, top: int, now_ms: int) -> bool:
        """Whether numbers of this lane, up to ``top``, are not the gateway's: it has said so
        twice of the same ones, and none of them has come meanwhile."""
        reach = self.reach.get(key, 0)
        before = self._tops.get(key)
        if top <= reach:
            self._tops.pop(key, None)
        elif before is None or before[0] <= reach:
            self._tops[key] = top, now_ms
        elif now_ms - before[1] >= REST_MS:
            del self._tops[key]
            return True
        return False
