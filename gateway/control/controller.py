"""The loop: the one thread that steps the building.

It takes one thing from the inbox at a time, steps, carries the effects out, and only then
hands facts to the journal, whose thread does the writing. It waits for nothing but the
inbox and the next deadline of the building: not for disk, network or another thread.

The building is told the present and the time of each edge. It lives a level that comes late
at its edge, before the deadlines that lie between; what is due up to now is lived at the
next turn. Before time alone decides anything, every edge until then is read and stepped; a
driver's thread that hands over edges at that moment is let finish.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway.control.clock import Clock, Reports, Trust
from gateway.control.inbox import Inbox, Item
from gateway.control.points import Points
from gateway.control.watchdog import Watchdog
from gateway.core import building as core
from gateway.core.effects import Drive, Reply, Send
from gateway.core.events import CivilTime, Event, Level, RelayFault
from gateway.core.facts import Fact, Json
from gateway.core.instant import Ms
from gateway.core.machine import Step, replace
from gateway.core.plan import BuildingPlan
from gateway.core.signals import clock as civil
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Batch
from gateway.journal.store import UNREADABLE

if TYPE_CHECKING:  # its import waits until the door works
    from gateway.panel.messages import CommandMessage

Saved = Mapping[str, Json] | None
CIVIL_EVERY_MS: Ms = 60_000
LOOK_EVERY_MS: Ms = 1_000
WAITING_MOST = 1_000
"""Commands that the building has not answered yet (an interlock may keep one waiting)."""


class JournalLike(Protocol):
    """What the controller wants of a journal; none of it blocks or raises."""

    @property
    def readable(self) -> bool: ...

    @property
    def was_clean(self) -> bool | None: ...

    def append(self, batch: Batch) -> None: ...

    @property
    def past(self) -> civil.Past: ...

    def settled(self, settled: bool) -> None: ...

    def clock(self, utc_offset_ms: int, trusted: bool) -> None: ...

    def saved_state(self, timeout: float) -> Mapping[str, Json] | None: ...


class Controller:
    """See the module. ``changed`` is called after each step that showed something new and
    ``answered`` with each reply, ``send`` with each message for people, ``looked`` about once a
    second, ``unread`` with the error of a saved state that counts as unreadable, all in this
    thread: they must return at once. ``bench``: its clock travels."""

    def __init__(
        self,
        plan: BuildingPlan,
        *,
        clock: Clock,
        inbox: Inbox,
        points: Points,
        journal: JournalLike,
        watchdog: Watchdog,
        trusted: bool,
        started: Mapping[str, Json],
        changed: Callable[[], None],
        answered: Callable[[Reply], None],
        send: Callable[[Send], None] = lambda message: None,
        looked: Callable[[Trust, Ms], None] = lambda trust, now: None,
        unread: Callable[[Exception], None] = lambda error: None,
        bench: bool = False,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._inbox = inbox
        self._points = points
        self._journal = journal
        self._watchdog = watchdog
        self._started = started
        self._changed = changed
        self._answered = answered
        self._send = send
        self._looked = looked
        self._unread = unread
        self._now = clock.now_ms()
        self._building: core.Building
        self._trust = Trust(trusted, clock.utc_offset_ms(), self._now)
        self._reports = Reports()
        self._bench = bench
        self._settled: bool | None = None
        self._look_at = self._civil_at = self._now
        self._faults: dict[str, str] = {}
        self._commands: dict[str, CommandMessage] = {}
        self._saved_state: dict[str, Json] | None = None
        self._remembers = False
        self._stopping: str | None = None
        self._turned_kernel_ms: int | None = None

    # --- what others may read, from any thread --------------------------------------------

    @property
    def view(self) -> tuple[core.Building, Ms]:
        """The building as it stands, immutable, and when it was stepped last."""
        return self._building, self._now

    @property
    def remembers(self) -> bool:
        """Whether what the last run has left is known, or known to be unreadable."""
        return self._remembers

    @property
    def trust(self) -> Trust:
        return self._trust

    @property
    def turned_kernel_ms(self) -> int | None:
        """When the loop last made a full turn, by the kernel's clock; ``None``: not yet."""
        return self._turned_kernel_ms

    # --- life -----------------------------------------------------------------------------

    def begin(self, patience_s: float) -> None:
        """Start the building with what the last run has left, where that can be read within
        ``patience_s``; else without, and it is restored as soon as it can."""
        saved = self._journal.saved_state(patience_s)
        known = self._journal.readable
        if known and saved is None:
            saved = {}  # there is nothing to be read, which is something else than not yet
        self._now = max(self._now, self._clock.now_ms())
        self._carry_out(self._restored(saved, partial(core.start, self._plan)), None)
        for one in self._plan.relays:
            if self._points.is_open(one.point) and one.point not in self._faults:
                self._step(RelayFault(one.point, ""), self._now)
        self._adopt()
        self._step(CivilTime(self._now + self._trust.offset_ms, self._trust.trusted), self._now)
        self._civil_at = self._now + CIVIL_EVERY_MS
        if self._trust.trusted:
            self._trusted_fact()
        if known:
            self._remember()

    def run(self) -> str:
        """Turn until :meth:`stop` was called; why it was."""
        while self._stopping is None:
            self.turn(self._inbox.take(self._wait_s()))
        return self._stopping

    def stop(self, reason: str) -> None:
        """From any thread, and from a signal handler."""

        def task(_now: Ms) -> None:
            self._stopping = self._stopping or reason

        self._inbox.do(task)

    @property
    def stopping(self) -> bool:
        return self._stopping is not None

    # --- one turn -------------------------------------------------------------------------

    def turn(self, item: Item | None) -> None:
        """Live up to now, and take in one item."""
        now = max(self._now, self._clock.now_ms())
        due = core.wake_at(self._building)
        if due is not None and due <= now:
            item = self._edges_first(item, now)
        if item is None:
            self._step(None, now)
        elif callable(item):
            item(now)
        else:
            self._step(item, now)
        if now >= self._look_at or now >= self._civil_at:
            self._look(max(now, self._now))
        self._turned_kernel_ms = self._clock.kernel_ms()
        self._watchdog.turned(time.monotonic())  # here, so that a bench's journey feeds it, too

    def _edges_first(self, item: Item | None, now: Ms) -> Item | None:
        """Step every edge until ``now``; what is left of the item. Whether a line was quiet, or a
        leaf late, is judged by when its edges were, never by when somebody came to read them: on
        a busy machine the thread that reads is later than the deadline of the first edge."""
        self._points.catch_up()
        level = item if type(item) is Level else None
        for edge in self._inbox.edges(now, level):
            self._step(edge, now)
        return None if level is not None else item

    def wake_at(self) -> Ms:
        """When something happens of itself next, for a journey of the bench's clock."""
        due = core.wake_at(self._building)
        return self._civil_at if due is None else min(due, self._civil_at)

    def _wait_s(self) -> float:
        due = core.wake_at(self._building)
        wait_s = self._watchdog.wait_s(time.monotonic())
        if due is None:
            return wait_s
        return min(wait_s, (due * 1_000_000 - self._clock.now_ns()) * 1e-9)

    def command(self, message: CommandMessage, now: Ms) -> None:
        """Step a command, as a task of the inbox."""
        command = message.command
        if len(self._commands) >= WAITING_MOST or command.id in self._commands:
            reason = "duplicate" if command.id in self._commands else "limit"
            self._write((), (Reply(command.id, "refused", reason),))
            return
        self._commands[command.id] = message
        self._step(command, now)

    def _step(self, event: Event | None, now: Ms) -> None:
        self._now = max(self._now, now)
        self._carry_out(core.step(self._building, event, self._now), event)

    def _carry_out(self, step: Step[core.Building], event: Event | None) -> None:
        self._building = step.state
        replies: tuple[Reply, ...] = ()
        faults: list[RelayFault] = []
        for effect in step.effects:
            if type(effect) is Drive:
                reason = self._points.drive(effect.point, effect.on)
                if reason and self._faults.get(effect.point) != reason:
                    faults.append(RelayFault(effect.point, reason))
                    self._faults[effect.point] = reason
            elif type(effect) is Reply:
                replies += (effect,)
            elif type(effect) is Send:
                self._send(effect)
        if type(event) is RelayFault and not event.reason:
            self._faults.pop(event.point, None)
        if step.facts or replies:
            self._write(step.facts, replies)
        if (settled := civil.settled(step.state.clock)) != self._settled:
            self._settled = settled
            self._journal.settled(settled)
        if event is not None or step.facts or step.effects:
            self._changed()
        for fault in faults:
            self._step(fault, self._now)

    # --- facts ----------------------------------------------------------------------------

    def fact(self, kind: str, data: Mapping[str, Json]) -> None:
        """Write a fact about the gateway itself. In the controller's thread."""
        self._write((Fact(kind, self._plan.gateway, self._now, data),), ())
        self._changed()

    def record(self, facts: Sequence[Fact]) -> None:
        """Write facts that were observed outside the building. In the controller's thread."""
        self._write(facts, ())

    def audit(self, entry: AuditEntry) -> None:
        """In the controller's thread."""
        self._journal.append(Batch(audit=(entry,)))

    def _write(self, facts: Sequence[Fact], replies: tuple[Reply, ...]) -> None:
        audit = []
        for reply in replies:
            message = self._commands.pop(reply.command, None)
            if message is not None:
                audit.append(_audited(message, reply, self._now))
            self._answered(reply)
        saved: dict[str, Json] | None = None
        if self._remembers:  # else what the last run has left is not read yet, and must stay
            saved = core.state_to_save(self._building)
            if saved == self._saved_state:
                saved = None
            else:
                self._saved_state = saved
        self._journal.append(Batch(tuple(facts), saved, replies, tuple(audit)))

    # --- what the last run has left -------------------------------------------------------

    def _recall(self) -> None:
        """Perhaps the journal can be read now, and could not at the start."""
        if not self._journal.readable:
            return
        saved = self._journal.saved_state(0.0)
        self._carry_out(self._restored(saved or {}, partial(core.restore, self._building)), None)
        if not self._trust.trusted and self._adopt():
            self._trusted_fact()
        self._remember()

    def _restored(
        self, saved: Saved, restore: Callable[..., Step[core.Building]]
    ) -> Step[core.Building]:
        """A saved state that ends in an error would end every start in it, and the door with it. It
        counts as one that cannot be read: alarms say so, and people look."""
        try:
            return restore(saved, self._now, self._past())
        except Exception as error:
            if not saved:
                raise
            self._unread(error)
            return restore({"format": UNREADABLE}, self._now, civil.Past())

    def _past(self) -> civil.Past:
        past = self._journal.past if self._journal.readable else civil.Past()
        if not self._bench:
            return past
        return replace(past, travels=True, own=self._clock.journey.offset_ms is not None)

    def _adopt(self) -> bool:
        """Take over the trust of an earlier start within this boot of the kernel: the time service
        has not changed its mind because this process was started again."""
        known = self._building.clock
        if self._trust.trusted or not known.trusted or known.offset_ms is None:
            return False
        self._trust = Trust(True, known.offset_ms, self._now)
        return True

    def _remember(self) -> None:
        self._remembers = True
        self.fact("gateway_started", {**self._started, "clean": bool(self._journal.was_clean)})

    # --- civil time -----------------------------------------------------------------------

    def clock_told(self, role: str, trusted: bool | None) -> None:
        """A role says whether the time service trusts the wall clock, or has left (``None``).
        Any thread."""

        def task(now: Ms) -> None:
            self._reports.take(role, trusted, self._clock.kernel_ms())
            self._look(now)

        self._inbox.do(task)

    def _look(self, now: Ms) -> None:
        self._look_at = now + LOOK_EVERY_MS
        if not self._remembers:
            self._recall()
        self._looked(self._trust, now)
        before = self._trust
        told = self._reports.trusted(self._clock.kernel_ms())
        self._trust, step_ms = before.seen(self._clock.utc_offset_ms(), now, told)
        if self._trust is before and now < self._civil_at:
            return
        self._civil_at = now + CIVIL_EVERY_MS
        trust = self._trust
        self._step(CivilTime(now + trust.offset_ms, trust.trusted), now)
        if step_ms:
            self.fact("clock_stepped", {"by_ms": step_ms, "utc_offset_ms": trust.offset_ms})
        if trust.trusted and (step_ms or not before.trusted):
            self._trusted_fact()

    def _trusted_fact(self) -> None:
        offset_ms = self._trust.offset_ms
        self._journal.clock(offset_ms, True)
        self.fact("clock_trusted", {"utc_offset_ms": offset_ms})


def _audited(message: CommandMessage, reply: Reply, now: Ms) -> AuditEntry:
    command = message.command
    subject = ""
    for name in ("door", "alarm", "point", "room", "call", "delivery"):
        subject = subject or str(getattr(command, name, ""))
    outcome = f"{reply.status}: {reply.reason}" if reply.reason else reply.status
    detail: dict[str, Json] = {"command": command.id, "via": command.issuer.via}
    for name in ("reason", "mode", "until_utc_ms", "for_ms"):
        value = getattr(command, name, None)
        if value not in (None, ""):
            detail[name] = value
    detail.update(message.audit)
    text = json.dumps(detail, ensure_ascii=False, sort_keys=True)
    return AuditEntry(command.issuer.name, message.name, subject, outcome, now, text)
