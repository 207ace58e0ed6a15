"""What stands behind the panel: takes what clients say to where it belongs, and assembles
the snapshot. All of it runs in the panel's thread, away from the loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from gateway.control.bench import Bench
from gateway.control.clock import Clock
from gateway.control.controller import Controller
from gateway.control.eye import Cursors
from gateway.control.guarantees import Guarantees, Outside
from gateway.control.inbox import Inbox
from gateway.core.events import CommandRefused, Delivered, Issuer
from gateway.core.facts import Json, Lane
from gateway.core.machine import Ms, UtcMs
from gateway.core.snapshot import snapshot
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Batch
from gateway.panel import messages as m

LANES_OUT: tuple[Lane, ...] = ("urgent", "routine")
"""The lanes that leave the gateway."""
CURSORS_EVERY_S = 1.0


class Keeps(Protocol):
    """What the desk wants of the journal: cursors of those who read it, and audit entries."""

    def append(self, batch: Batch) -> None: ...

    def sent(self, lane: Lane, seq: int) -> None: ...

    def recorded(
        self, recorder: str, journal: str, lanes: Mapping[str, int], *, keep: bool
    ) -> None: ...

    def forget(self, actor: str) -> None: ...


class Looks(Protocol):
    """What the desk wants of :class:`gateway.control.eye.Eye`."""

    def first_after(self, lane: Lane, seq: int) -> tuple[Ms | None, UtcMs | None]: ...

    def cursors(self) -> Cursors: ...


class Listeners(Protocol):
    """The points whose values ``link`` tells. A point that is none of them is passed over: the
    two may have read the configuration at different times."""

    def tell(self, told: m.PointTold) -> None: ...

    def lose(self, reason: str) -> None: ...


Editor = Callable[[m.SettingsAsked, Callable[[Mapping[str, object]], None]], None]
"""Looks at or changes the overlay in a thread of its own, and answers once."""


class Desk:
    """See the module. ``identity`` are the fixed parts of the snapshot's ``gateway``."""

    def __init__(
        self,
        *,
        controller: Controller,
        inbox: Inbox,
        clock: Clock,
        journal: Keeps,
        eye: Looks,
        bench: Bench | None,
        guarantees: Guarantees,
        identity: Mapping[str, Json],
        mqtt: bool,
        recorders: tuple[str, ...],
        listeners: Listeners | None = None,
        messages: bool = False,
        heartbeat: bool = False,
        editor: Editor | None = None,
    ) -> None:
        self._controller = controller
        self._inbox = inbox
        self._clock = clock
        self._journal = journal
        self._eye = eye
        self._bench = bench
        self._guarantees = guarantees
        self._identity = identity
        self._recorders = recorders
        self._listeners = listeners
        self._link: str | None = "link_away" if mqtt else None
        self._messages: str | None = "notify_away" if messages else None
        self._heartbeat: str | None = "notify_away" if heartbeat else None
        self._editor = editor
        self._heads: dict[Lane, int] = {}
        self._sent: dict[Lane, int] = {}
        self._recorded: dict[str, tuple[str, Mapping[str, int]]] = {}
        self._knows_cursors = False
        self._cursors_at = float("-inf")
        self._far: tuple[Ms, UtcMs | None] = (0, None)
        self.journal_reason = ""
        self.journal_id = ""

    # --- from the journal's thread --------------------------------------------------------

    def grown(self, journal: str, heads: Mapping[Lane, int]) -> None:
        """The journal reaches this far."""
        self.journal_id = journal
        self._heads = {**self._heads, **heads}

    # --- the panel's handler --------------------------------------------------------------

    def command(self, message: m.CommandMessage) -> str:
        command = message.command
        command = replace(command, expires_ms=self._clock.from_ms(command.expires_ms))
        here = replace(message, command=command)
        taken = self._inbox.offer(lambda now: self._controller.command(here, now))
        return "" if taken else "limit"

    def told(self, message: m.Message) -> None:
        match message:
            case m.Sent(lane, seq):
                self._sent[lane] = max(seq, self._sent.get(lane, 0))
                self._journal.sent(lane, seq)
            case m.Recorded():
                self._told_recorded(message)
            case m.LinkTold(connected, reason):
                self._link = "" if connected else reason or "link_away"
            case m.PointTold():
                self._point(message)
            case m.Hello("notify"):
                self._notify("")
            case m.DeliveredTold(delivery, ok, reason):
                self._delivered(ok, reason)
                self._inbox.offer(Delivered(delivery, ok, reason))
            case m.HeartbeatTold(ok):
                self._heart(ok)
            case m.ClockTold(trusted):
                self._controller.clock_told(trusted)
            case m.AuditNote(actor, action, detail):
                self._audit(actor, action, detail)
            case m.Forget(actor, user):
                self._journal.forget(user)
                self._audit(actor, "forget", {"subject": user})
            case m.Refused():
                self._refused(message)
            case _:
                raise m.Malformed("not for control")

    def bench(self, message: m.Bench, answer: Callable[[Mapping[str, object]], None]) -> None:
        if self._bench is None:
            answer({"error": "not_a_bench"})
        else:
            self._bench.do(message.do, message.args, answer)

    def settings(
        self, message: m.SettingsAsked, answer: Callable[[Mapping[str, object]], None]
    ) -> None:
        if self._editor is None:
            answer({"status": "refused", "reason": "not_written"})
        else:
            self._editor(message, answer)

    def gone(self, role: m.Role) -> None:
        if role == "link" and self._listeners is not None:
            self._listeners.lose("link_away")
        if role == "link" and self._link is not None:
            self._link = "link_away"
        elif role == "notify":
            self._notify("notify_away")

    def snapshot(self) -> Mapping[str, object]:
        building, _ = self._controller.view
        now = self._clock.now_ms()
        made: dict[str, Any] = dict(snapshot(building, now))
        gateway = dict(made.get("gateway", {})) | dict(self._identity)
        gateway["journal"] = self.journal_id
        gateway["overflows"] = self._inbox.overflows
        made["gateway"] = gateway
        made["guarantees"] = self._guarantees.look(made, self._outside(now), now)
        return made

    # --- inside ---------------------------------------------------------------------------

    def _audit(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        def task(now: Ms) -> None:
            self._controller.audit(_entry(actor, action, detail, now))

        self._inbox.do(task)

    def _told_recorded(self, told: m.Recorded) -> None:
        """Whoever may publish may make up names: only who is expected is remembered."""
        expected = told.recorder in self._recorders
        if expected:
            self._recorded[told.recorder] = (told.journal, told.lanes)
        self._journal.recorded(told.recorder, told.journal, told.lanes, keep=expected)

    def _point(self, told: m.PointTold) -> None:
        if self._listeners is not None:
            self._listeners.tell(told)

    def _heart(self, ok: bool) -> None:
        if self._heartbeat is not None:
            self._heartbeat = "" if ok else "heartbeat_failed"

    def _notify(self, reason: str) -> None:
        self._messages = None if self._messages is None else reason
        self._heartbeat = None if self._heartbeat is None else reason

    def _delivered(self, ok: bool, reason: str) -> None:
        """A message that failed because ``notify`` was away says no more than that it was."""
        if self._messages not in (None, "notify_away") and reason != "notify_away":
            self._messages = "" if ok else "delivery_failed"

    def _refused(self, message: m.Refused) -> None:
        issuer = Issuer(message.actor, message.via)
        self._inbox.offer(CommandRefused(message.id, message.name, issuer, message.reason))
        detail: dict[str, Json] = {"outcome": f"refused: {message.reason}", "command": message.id}
        self._audit(message.actor, message.name, detail)

    def _outside(self, now: Ms) -> Outside:
        self._look_at_cursors(now)
        missing = tuple(name for name in self._recorders if name not in self._recorded)
        return Outside(
            journal=self.journal_reason,
            link=self._link,
            backlog=_behind(self._heads, self._sent) if self._link is not None else 0,
            oldest_unsent_ms=self._far[0],
            expected=self._recorders,
            missing=missing,
            behind=_behind(self._heads, self._least()),
            recorded_until_utc_ms=self._far[1],
            trusted=self._controller.trust.trusted,
            messages=self._messages,
            heartbeat=self._heartbeat,
        )

    def _least(self) -> dict[Lane, int]:
        """What the least of the expected recorders has, per lane."""
        told = [self._recorded.get(name, ("", {})) for name in self._recorders]
        # the numbers of another journal say nothing about this one
        have = [lanes if journal == self.journal_id else {} for journal, lanes in told]
        return {lane: min((h.get(lane, 0) for h in have), default=0) for lane in LANES_OUT}

    def _look_at_cursors(self, now: Ms) -> None:
        at = time.monotonic()
        if at - self._cursors_at < CURSORS_EVERY_S:
            return
        self._cursors_at = at
        with _unreadable():
            if not self._knows_cursors:
                found = self._eye.cursors()
                self.journal_id = self.journal_id or found.journal
                self._heads = {**found.heads, **self._heads}
                self._sent = {**found.sent, **self._sent}
                kept = {name: (found.journal, lanes) for name, lanes in found.recorded.items()}
                self._recorded = {**kept, **self._recorded}
                self._knows_cursors = True
            self._far = (self._oldest_unsent(now), self._recorded_until(now))

    def _oldest_unsent(self, now: Ms) -> Ms:
        if self._link is None:
            return 0
        ages = [0]
        for lane in LANES_OUT:
            if self._heads.get(lane, 0) > self._sent.get(lane, 0):
                mono_ms, utc_ms = self._eye.first_after(lane, self._sent.get(lane, 0))
                if mono_ms is None and utc_ms is not None:
                    mono_ms = utc_ms - self._controller.trust.offset_ms
                ages.append(now - mono_ms if mono_ms is not None else 0)
        return max(ages)

    def _recorded_until(self, now: Ms) -> UtcMs | None:
        trust = self._controller.trust
        if not self._recorders or any(name not in self._recorded for name in self._recorders):
            return None
        until = now + trust.offset_ms if trust.trusted else None
        for lane, have in self._least().items():
            if self._heads.get(lane, 0) > have:
                _, utc_ms = self._eye.first_after(lane, have)
                if utc_ms is not None:
                    until = utc_ms if until is None else min(until, utc_ms)
        return until


@contextmanager
def _unreadable() -> Iterator[None]:
    """The journal cannot be read just now: the old numbers stand until the next look."""
    try:
        yield
    except OSError:
        return


def _behind(heads: Mapping[Lane, int], have: Mapping[Lane, int]) -> int:
    return sum(max(0, heads.get(lane, 0) - have.get(lane, 0)) for lane in LANES_OUT)


def _entry(actor: str, action: str, detail: Mapping[str, Json], now: Ms) -> AuditEntry:
    rest = {key: value for key, value in detail.items() if key not in ("subject", "outcome")}
    return AuditEntry(
        actor,
        action,
        str(detail.get("subject", "")),
        str(detail.get("outcome", "done")),
        now,
        json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else "",
    )
