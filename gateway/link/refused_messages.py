"""Messages that the broker refuses: set aside, listed, and tried again. Pure.

A fact's number stays in a list until the broker takes the fact, or the journal has it no more;
the list is saved with the link's state. Everything else (states, what Home Assistant is told,
answers, subscriptions) is only named: it is made anew at each connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.backoff import BackOff
from gateway.core.facts import Lane
from gateway.wire import PUBLISHED

FACTS_MOST = 1_000
"""Numbers of one lane; with more the lane waits."""
TOPICS_MOST = 1_000
NAMED_MOST = 20
RETRY_MS = 60_000
"""How soon a refused state is tried again on the same connection, and a lane that waits."""
RETRY_FACTS_MS = 600_000
"""How often set aside facts are tried again while a connection lasts: access lists change."""
ALONE_FIRST_MS, ALONE_MOST_MS = 600_000, 6 * 3_600_000
"""The pauses between attempts with a message that ends the connection."""
TEXT_MOST = 200


@dataclass(slots=True)
class Refusal:
    """Why a message is not taken. ``ends``: the broker ended the connection over it, so that it
    is tried again alone, at ``due_ms``, after pauses that grow."""

    topic: str
    reason: str
    ends: bool = False
    due_ms: int = 0
    back_off: BackOff[int] = field(
        default_factory=lambda: BackOff(ALONE_FIRST_MS, ALONE_MOST_MS), compare=False
    )
    named_ms: int = 0
    lasting: bool = False
    """For as long as the connection lasts: a subscription, or a limit."""

    def again(self, now_ms: int) -> None:
        """It has ended a connection once more."""
        self.due_ms = now_ms + self.back_off.next()


@dataclass(slots=True)
class RefusedMessages:
    """All of it. ``dirty``: the facts' numbers have changed since they were saved."""

    facts: dict[Lane, dict[int, Refusal]] = field(
        default_factory=lambda: {lane: {} for lane in PUBLISHED}
    )
    topics: dict[str, Refusal] = field(default_factory=dict)
    journal: str = ""
    """Whose numbers they are."""
    dirty: bool = False

    def add_fact(self, lane: Lane, seq: int, refusal: Refusal) -> bool:
        """Remember a number; ``False``: there is no room, the lane has to wait."""
        mine = self.facts[lane]
        if seq not in mine and len(mine) >= FACTS_MOST:
            return False
        mine[seq] = refusal
        self.dirty = True
        return True

    def drop_fact(self, lane: Lane, seq: int) -> None:
        """The broker has it, or the journal has it no more."""
        if self.facts[lane].pop(seq, None) is not None:
            self.dirty = True

    def name(self, refusal: Refusal) -> None:
        """Name a topic (or a filter) that is not a fact's."""
        self.topics.pop(refusal.topic, None)
        if len(self.topics) < TOPICS_MOST:
            self.topics[refusal.topic] = refusal

    def of_journal(self, journal: str) -> None:
        """Numbers of another journal mean nothing any more."""
        if journal != self.journal and self.count_facts:
            self.dirty = True
            self.facts = {lane: {} for lane in PUBLISHED}
        self.journal = journal

    @property
    def count_facts(self) -> int:
        return sum(len(mine) for mine in self.facts.values())

    @property
    def count(self) -> int:
        """Messages that the broker does not take: facts, and topics of anything else."""
        return self.count_facts + len(self.topics)

    def named(self) -> list[list[str]]:
        """``[topic, reason]`` of the newest, each topic once, urgent facts first."""
        found: dict[str, str] = {}
        for lane in PUBLISHED:
            for refusal in reversed(self.facts[lane].values()):
                if len(found) >= NAMED_MOST:
                    break
                found.setdefault(refusal.topic, refusal.reason)
        for refusal in reversed(self.topics.values()):
            if len(found) >= NAMED_MOST:
                break
            found.setdefault(refusal.topic, refusal.reason)
        return [[topic[:TEXT_MOST], reason[:TEXT_MOST]] for topic, reason in found.items()]

    def saved(self) -> dict[str, Any]:
        """The facts' numbers, for the state file; a broker's reason may be of any length."""
        lanes: dict[str, Any] = {
            lane: [
                [seq, one.topic[:TEXT_MOST], one.reason[:TEXT_MOST], one.ends]
                for seq, one in mine.items()
            ]
            for lane, mine in self.facts.items()
        }
        return lanes | {"journal": self.journal}

    def restore(self, saved: object, now_ms: int) -> None:
        """What was saved; what is not understood is left out."""
        lanes = saved if isinstance(saved, Mapping) else {}
        self.journal = str(lanes.get("journal", ""))
        ending: dict[str, Refusal] = {}
        for lane in PUBLISHED:
            rows = lanes.get(lane)
            for row in rows if isinstance(rows, list) else ():
                match row:
                    case [int(seq), str(topic), str(reason), bool(ends)] if seq > 0:
                        if len(self.facts[lane]) < FACTS_MOST:
                            refusal = Refusal(topic, reason, ends, now_ms)
                            if ends:
                                refusal = ending.setdefault(topic, refusal)
                            self.facts[lane][seq] = refusal
