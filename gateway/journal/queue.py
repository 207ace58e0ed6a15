"""What waits to be written: bounded, urgent before routine, nothing forgotten silently.

A fact that must be dropped because memory is full still takes its number: it becomes one of
``lost`` and the journal answers for it with ``absent: lost``. Dropped are the oldest of the
local lane, then of the routine lane, and of the urgent lane only when nothing else is left.

Every commit wears the card, so each has a cause. Urgent facts, commands' replies and changes
of the saved state are due at once. Routine facts wait, so that a minute of them is one commit;
cursors ride on the next commit. What waits goes along with whatever is due first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter

from gateway.core.effects import Reply
from gateway.core.facts import KINDS, LANES, Fact, Json, Lane
from gateway.core.instant import Ms
from gateway.journal.audit import TEXT_MOST, AuditEntry
from gateway.journal.refusals import Refusals
from gateway.journal.reserve import NumberedState

_DROP_ORDER: tuple[Lane, ...] = ("local", "routine", "urgent")
_AUDIT_LIMIT = 5_000
_STRANGERS = 100
"""Recorders that nobody expects, in one transaction."""
FORGET_MOST = 1_000
"""User ids that are to be forgotten, in one transaction: a gateway has fewer users."""
GATHERED_MOST = 500
"""Facts that wait; with more of them the transaction is due, whatever lane they are of."""
FIRST_WAIT_MS: Ms = 1_000
"""What a start finds is durable, and seen, this soon: a wait while :meth:`Queue.hasten` is
in force."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of the controller leaves behind.

    ``saved_state`` is the state that must survive a restart, ``None`` when it has not changed; it
    is written in the same transaction as the urgent facts it belongs to.
    """

    facts: tuple[Fact, ...] = ()
    saved_state: Mapping[str, Json] | None = None
    replies: tuple[Reply, ...] = ()
    audit: tuple[AuditEntry, ...] = ()


@dataclass(slots=True)
class Work:
    """What one transaction writes. ``facts`` carry the order in which they arrived."""

    facts: list[tuple[int, Lane, Fact]] = field(default_factory=list)
    lost: dict[Lane, int] = field(default_factory=dict)
    saved_state: NumberedState | None = None
    audit: list[AuditEntry] = field(default_factory=list)
    audit_lost: int = 0
    replies: list[Reply] = field(default_factory=list)
    sent: dict[Lane, int] = field(default_factory=dict)
    recorded: dict[str, tuple[str, Mapping[str, int], bool]] = field(default_factory=dict)
    """Per recorder: which journal, up to which numbers, and whether that is kept."""
    utc_offset_ms: int | None = None
    forget: list[str] = field(default_factory=list)
    promised_ms: Ms | None = None
    """By when the first of it should have been committed; ``None``: it holds cursors only."""

    def __bool__(self) -> bool:
        return bool(
            self.facts
            or self.lost
            or self.saved_state is not None
            or self.audit
            or self.audit_lost
            or self.sent
            or self.recorded
            or self.utc_offset_ms is not None
            or self.forget
        )


class Queue:
    """Shared by the thread that appends and the thread that writes; held for microseconds."""

    def __init__(self, limit: int, routine_wait_ms: Ms, cursor_wait_ms: Ms) -> None:
        self.changed = threading.Condition(threading.Lock())
        self._limit = limit
        self._routine_wait_ms = routine_wait_ms
        self._cursor_wait_ms = cursor_wait_ms
        self._lanes: dict[Lane, deque[tuple[int, Lane, Fact]]] = {lane: deque() for lane in LANES}
        self._count = 0
        self._arrived = 0
        self._rest = Work()
        self._due_ms: Ms | None = None
        self._promised_ms: Ms | None = None
        self._hasty_until_ms: Ms = 0
        self._refusals = Refusals()
        self.state_number = 0
        """Of the newest state that was to be saved, also by earlier runs."""
        self.newest_state: NumberedState | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, batch: Batch, now_ms: Ms) -> None:
        """Take a batch in. Never waits for the disk; drops what there is no room for."""
        with self.changed:
            due_ms: Ms | None = now_ms + self._wait_ms(now_ms) if batch.facts else None
            for fact in batch.facts:
                kind = KINDS.get(fact.kind)
                lane: Lane = kind.lane if kind else "routine"
                self._arrived += 1
                self._lanes[lane].append((self._arrived, lane, fact))
                self._count += 1
                if lane == "urgent":
                    due_ms = now_ms
            if batch.saved_state is not None:
                self.state_number += 1
                self._rest.saved_state = self.newest_state = NumberedState(
                    self.state_number, batch.saved_state
                )
                due_ms = now_ms
            if batch.audit and self._audit(batch.audit, now_ms):
                due_ms = now_ms
            if batch.replies:
                self._rest.replies.extend(batch.replies)
                due_ms = now_ms
            self._bound()
            if self._count >= GATHERED_MOST:
                due_ms = now_ms
            if due_ms is not None:
                if self._promised_ms is None or due_ms < self._promised_ms:
                    self._promised_ms = due_ms
                self._wake(due_ms)

    def _audit(self, entries: Iterable[AuditEntry], now_ms: Ms) -> bool:
        """Take in what is written of them; whether that is anything."""
        written = [*self._refusals.over(now_ms), *self._refusals.admit(entries, now_ms)]
        self._rest.audit.extend(written)
        counts_ms = self._refusals.due_ms()
        if counts_ms is not None:
            self._wake(counts_ms)
        return bool(written)

    def hasten(self, until_ms: Ms) -> None:
        """Until then routine facts wait only :data:`FIRST_WAIT_MS`."""
        with self.changed:
            self._hasty_until_ms = until_ms

    def flush(self, now_ms: Ms) -> None:
        """Whatever waits is due now."""
        with self.changed:
            if self._due_ms is not None:
                self._wake(now_ms)

    def wake(self, at_ms: Ms) -> None:
        """There is something to do at ``at_ms``, though nothing may wait."""
        with self.changed:
            self._wake(at_ms)

    def _wait_ms(self, now_ms: Ms) -> Ms:
        wait_ms = self._routine_wait_ms
        return min(wait_ms, FIRST_WAIT_MS) if now_ms < self._hasty_until_ms else wait_ms

    def promised_ms(self) -> Ms | None:
        """By when the oldest of what waits should have been committed. Any thread."""
        return self._promised_ms

    def sent(self, lane: Lane, seq: int, now_ms: Ms) -> None:
        with self.changed:
            self._rest.sent[lane] = max(seq, self._rest.sent.get(lane, 0))
            self._wake(now_ms + self._cursor_wait_ms)

    def recorded(
        self, recorder: str, journal: str, lanes: Mapping[str, int], now_ms: Ms, *, keep: bool
    ) -> None:
        with self.changed:
            known = keep or recorder in self._rest.recorded
            if known or len(self._rest.recorded) < _STRANGERS:
                self._rest.recorded[recorder] = (journal, dict(lanes), keep)
                self._wake(now_ms + self._cursor_wait_ms)

    def clock(self, utc_offset_ms: int, now_ms: Ms) -> None:
        with self.changed:
            self._rest.utc_offset_ms = utc_offset_ms
            self._wake(now_ms)

    def forget(self, actor: str, now_ms: Ms) -> None:
        with self.changed:
            actor = actor[:TEXT_MOST]
            if actor not in self._rest.forget and len(self._rest.forget) < FORGET_MOST:
                self._rest.forget.append(actor)
            self._wake(now_ms)

    def due_ms(self) -> Ms | None:
        """When the next transaction is due; ``None``: nothing waits. Call it holding the lock."""
        return self._due_ms

    def take(self, most: int, now_ms: Ms | None = None) -> Work:
        """Everything that waits; when that is more than ``most`` facts, urgent ones first.
        ``now_ms`` ``None``: nothing comes any more, so counts that are not complete go, too."""
        with self.changed:
            self._rest.audit.extend(self._refusals.over(now_ms))
            work, self._rest, self._due_ms = self._rest, Work(), None
            work.promised_ms, self._promised_ms = self._promised_ms, None
            if self._count <= most:
                work.facts = list(merge(*self._lanes.values(), key=itemgetter(0)))
                for lane in self._lanes.values():
                    lane.clear()
            else:
                for name in LANES:
                    lane = self._lanes[name]
                    while lane and len(work.facts) < most:
                        work.facts.append(lane.popleft())
                self._due_ms, self._promised_ms = 0, work.promised_ms
                if self._lanes["urgent"] and work.saved_state is not None:
                    self._rest.saved_state, work.saved_state = work.saved_state, None
            self._count -= len(work.facts)
            counts_ms = self._refusals.due_ms()
            if counts_ms is not None and (self._due_ms is None or counts_ms < self._due_ms):
                self._due_ms = counts_ms
            return work

    def put_back(self, work: Work, now_ms: Ms, retry_ms: Ms) -> None:
        """The transaction failed: all of it waits again, before whatever came meanwhile."""
        with self.changed:
            for item in reversed(work.facts):
                self._lanes[item[1]].appendleft(item)
            self._count += len(work.facts)
            rest = self._rest
            for lane, count in work.lost.items():
                rest.lost[lane] = rest.lost.get(lane, 0) + count
            if rest.saved_state is None:
                rest.saved_state = work.saved_state
            rest.audit[:0] = work.audit
            rest.audit_lost += work.audit_lost
            for lane, seq in work.sent.items():
                rest.sent[lane] = max(seq, rest.sent.get(lane, 0))
            rest.recorded = {**work.recorded, **rest.recorded}
            rest.forget[:0] = work.forget
            if rest.utc_offset_ms is None:
                rest.utc_offset_ms = work.utc_offset_ms
            both = [at_ms for at_ms in (work.promised_ms, self._promised_ms) if at_ms is not None]
            self._promised_ms = min(both, default=None)
            self._bound()
            self._due_ms = now_ms + retry_ms

    def _bound(self) -> None:
        for lane in _DROP_ORDER:
            waiting = self._lanes[lane]
            while waiting and self._count > self._limit:
                waiting.popleft()
                self._count -= 1
                self._rest.lost[lane] = self._rest.lost.get(lane, 0) + 1
        excess = len(self._rest.audit) - _AUDIT_LIMIT
        if excess > 0:
            del self._rest.audit[:excess]
            self._rest.audit_lost += excess

    def _wake(self, due_ms: Ms) -> None:
        if self._due_ms is None or due_ms < self._due_ms:
            self._due_ms = due_ms
            self.changed.notify_all()
