"""Answers the clients of the panel: passes their messages on, and assembles the snapshot.

It runs in the panel's thread, beside the loop, and never waits for the disk: messages about a call
go through that thread. ``grown`` alone is called by the journal's threads; commands and facts are
handed to the loop."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gateway.control.bench import Bench
from gateway.control.clock import Clock
from gateway.control.controller import Controller
from gateway.control.guarantee_changes import GuaranteeChanges
from gateway.control.guarantees import Guarantees, LinkSeen, Observed, RecorderSeen
from gateway.control.inbox import Inbox
from gateway.control.journal_cursors import Cursors, Question, Seen
from gateway.control.points import Points
from gateway.core.building.snapshot import snapshot
from gateway.core.building.state import Building
from gateway.core.events import CertificateState, CommandRefused, Delivered, Issuer
from gateway.core.facts import Fact, Json, Lane
from gateway.core.instant import Ms, UtcMs
from gateway.core.notification.ways import Way
from gateway.journal.audit import AuditEntry
from gateway.panel import messages as m

if TYPE_CHECKING:
    from gateway.panel.snapshot_types import (
        BrokerShown,
        GatewayShown,
        IdentityShown,
        LinkShown,
        Snapshot,
    )

CURSORS_EVERY_MS: Ms = 1_000
CURSORS_VOID_MS: Ms = 5_000
"""What was read of the journal's cursors says nothing about unsent facts after so long."""
ASK_EVERY_MS: Ms = 1_000
"""How often at most the command path is asked whether it answers."""
RECORDERS_MOST = 100
"""Recorders that are remembered although nobody expects them."""
LANES_OUT: tuple[Lane, ...] = ("urgent", "routine")
"""The lanes that leave the gateway: ``PUBLISHED`` of ``gateway/wire.py``, which is too much to
import here."""


class JournalAccess(Protocol):
    """What the panel handler needs of the journal: to store cursors, to forget an actor, to
    flush."""

    def overdue_ms(self, now_ms: Ms) -> Ms: ...

    def sent(self, lane: Lane, seq: int) -> None: ...

    def recorded(
        self, recorder: str, journal: str, lanes: Mapping[str, int], *, keep: bool
    ) -> None: ...

    def forget(self, actor: str) -> None: ...

    def flush(self) -> None: ...


class CursorReader(Protocol):
    """What the panel handler needs of :class:`gateway.control.journal_cursors.JournalCursors`."""

    @property
    def seen(self) -> Seen | None: ...

    def ask(self, question: Question) -> None: ...


class Listeners(Protocol):
    """The points whose values ``link`` reports. Others are skipped: ``link`` may have read another
    configuration."""

    def tell(self, told: m.PointTold) -> None: ...

    def lose(self, reason: str) -> None: ...


Editor = Callable[[m.SettingsAsked, Callable[[Mapping[str, object]], None]], None]
"""Reads or changes the overlay in a thread of its own, and answers once."""


class PanelHandler:
    """See the module. ``identity`` are the fixed parts of the snapshot's ``gateway``."""

    def __init__(
        self,
        *,
        controller: Controller,
        inbox: Inbox,
        clock: Clock,
        journal: JournalAccess,
        journal_cursors: CursorReader,
        bench: Bench | None,
        guarantees: Guarantees,
        identity: IdentityShown,
        mqtt: bool,
        recorders: tuple[str, ...],
        points: Points,
        listeners: Listeners | None = None,
        heartbeat_every_ms: Ms = 0,
        own_clock: bool = False,
        editor: Editor | None = None,
    ) -> None:
        self._controller = controller
        self._inbox = inbox
        self._clock = clock
        self._journal = journal
        self._journal_cursors = journal_cursors
        self._bench = bench
        self._guarantees = guarantees
        self._changes = GuaranteeChanges()
        self._identity = identity
        self._mqtt = mqtt
        self._recorders = recorders
        self._points = points
        self._listeners = listeners
        self._heartbeat_every_ms = heartbeat_every_ms
        self._own_clock = own_clock
        self._editor = editor
        self._link: m.LinkTold | None = None
        self._link_since_ms: Ms = clock.now_ms()
        self._notify = False
        self._notify_at: int | None = None
        self._broken: frozenset[Way] = frozenset()
        self._heartbeat_failed = False
        # Instants of this process and its peers, by the kernel's clock: a bench may travel.
        self._heartbeat_at: int | None = None
        self._clock_at: int | None = None
        self._reported_at: int | None = None
        self._asked_at: int | None = None
        self._answered_at: int | None = None
        self._looked_at: int | None = None
        self._read_at: int | None = None
        """When that was asked which was read last."""
        self._seen: Seen | None = None
        self._began_at = clock.kernel_ms()
        self._recorder_at: dict[str, int] = {}
        """Recorder -> when its cursor last moved, or nothing was due."""
        self._aside: dict[str, int] = {}
        self._foreign: dict[str, int] = {}
        self._seen_within_head: set[tuple[str, str]] = set()
        """Pairs of journal and recorder whose numbers were once at or below the journal's heads."""
        self._heads: dict[Lane, int] = {}
        self._heads_lock = threading.Lock()
        self._sent: dict[Lane, int] = {}
        self._recorded: dict[str, tuple[str, Mapping[str, int]]] = {}
        self._knows_cursors = False
        self._unsent: dict[Lane, tuple[int, Ms, Ms]] = {}
        """Lane -> the number after which nothing is sent, the instant of the fact that follows,
        and how old that was when it was read."""
        self._recorded_until: UtcMs | None = None
        self.journal_reason = ""
        self.journal_id = ""
        self._ask_path(self._began_at)

    # --- from the journal's threads -------------------------------------------------------

    def grown(self, journal: str, heads: Mapping[Lane, int]) -> None:
        """The journal reaches this far. Both of the journal's threads say so, and the panel's
        reads it meanwhile."""
        with self._heads_lock:
            before = self._heads if journal == self.journal_id else {}
            farther = {lane: max(seq, before.get(lane, 0)) for lane, seq in heads.items()}
            self.journal_id = journal
            self._heads = {**self._heads, **farther}

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
            case m.LinkTold():
                self._on_link(message)
            case m.PointTold():
                self._point(message)
            case m.Hello("notify") | m.NotifyTold():
                self._notify_works(message)
            case m.DeliveredTold() | m.CertificatesTold():
                self._inbox.post(_event_of(message))
            case m.HeartbeatTold(ok):
                self._heart(ok)
            case m.ClockTold(trusted, role=role):
                self._clock_at = self._clock.kernel_ms()
                self._controller.clock_told(role, trusted)
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
        if role in m.CLOCK_ROLES:
            self._controller.clock_told(role, None)
        if role == "link":
            self._journal.flush()  # the next one reads from the file how far this one has sent
            if self._listeners is not None:
                self._listeners.lose("link_away")
            self._on_link_left()
        elif role == "notify":
            self._notify, self._broken = False, frozenset()

    def begin(self) -> None:
        """Have the journal looked at, before somebody asks for the first snapshot."""
        self._look_at_journal(self._clock.now_ms(), self._clock.kernel_ms())

    def snapshot(self) -> Snapshot:
        building, _ = self._controller.view
        now, kernel = self._clock.now_ms(), self._clock.kernel_ms()
        self._look_at_journal(now, kernel)
        gateway: GatewayShown = {
            **self._identity,
            "journal": self.journal_id,
            "overflows": self._inbox.overflows,
        }
        guarantees = self._guarantees.evaluate(self._observed(building, now, kernel))
        shown: Snapshot = {
            **snapshot(building, now),
            "gateway": gateway,
            "link": self._link_shown(now, kernel),
            "guarantees": guarantees,
        }
        self._record(self._changes.facts(guarantees, now))
        self._ask_path(kernel)
        return shown

    # --- inside ---------------------------------------------------------------------------

    def _record(self, facts: list[Fact]) -> None:
        if facts:
            self._inbox.do(lambda _now: self._controller.record(facts))

    def _audit(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        def task(now: Ms) -> None:
            self._controller.audit(_entry(actor, action, detail, now))

        self._inbox.do(task)

    def _told_recorded(self, told: m.Recorded) -> None:
        """Whoever may publish may make up names: only who is expected is remembered."""
        expected = told.recorder in self._recorders
        lanes = self._believed(told)
        if expected:
            if self._recorded.get(told.recorder) != (told.journal, lanes):
                self._recorder_at[told.recorder] = self._clock.kernel_ms()
            self._recorded[told.recorder] = (told.journal, lanes)
            self._aside[told.recorder] = told.aside
            self._foreign[told.recorder] = told.foreign
        self._journal.recorded(told.recorder, told.journal, lanes, keep=expected)

    def _believed(self, told: m.Recorded) -> Mapping[str, int]:
        """A recorder that reports a number above the journal's head shows that the journal is an
        older copy. Where the same recorder has reported less of this journal before, the number, or
        the event behind it, is forged and is limited to the head: the whole journal would be sent
        again otherwise."""
        if told.journal != self.journal_id:
            return told.lanes
        with self._heads_lock:
            heads = {str(lane): head for lane, head in self._heads.items()}
        if not any(seq > heads.get(lane, 0) for lane, seq in told.lanes.items()):
            if told.recorder in self._recorders or len(self._seen_within_head) < RECORDERS_MOST:
                self._seen_within_head.add((told.journal, told.recorder))
            return told.lanes
        if (told.journal, told.recorder) not in self._seen_within_head:
            return told.lanes
        return {lane: min(seq, heads.get(lane, 0)) for lane, seq in told.lanes.items()}

    def _point(self, told: m.PointTold) -> None:
        if self._listeners is not None:
            self._listeners.tell(told)

    def _notify_works(self, told: m.Hello | m.NotifyTold) -> None:
        self._notify, self._notify_at = True, self._clock.kernel_ms()
        if isinstance(told, m.NotifyTold):
            self._broken = frozenset(told.broken)
            if told.heartbeat_failed is not None:
                self._heartbeat_failed = told.heartbeat_failed
            if told.heartbeat_ms is not None:  # it may have succeeded before this control began
                self._heartbeat_at = min(told.heartbeat_ms, self._notify_at)

    def _heart(self, ok: bool) -> None:
        self._heartbeat_failed = not ok
        if ok:
            self._heartbeat_at = self._clock.kernel_ms()

    def _on_link(self, told: m.LinkTold) -> None:
        before = self._link
        if before is None or before.connected != told.connected:
            self._link_since_ms = self._clock.now_ms()
        self._link, self._reported_at = told, self._clock.kernel_ms()

    def _on_link_left(self) -> None:
        if self._link is not None:
            self._link_since_ms = self._clock.now_ms()
        self._link = None

    def _ask_path(self, kernel: int) -> None:
        """Ask the loop something, the way commands go; the answer is seen at the next snapshot.
        One question is under way at a time."""
        asked, answered = self._asked_at, self._answered_at
        waits = asked is not None and (answered is None or answered < asked)
        if waits or (asked is not None and kernel - asked < ASK_EVERY_MS):
            return

        def answer(_now: Ms) -> None:
            self._answered_at = self._clock.kernel_ms()

        if self._inbox.offer(answer):
            self._asked_at = kernel

    def _refused(self, message: m.Refused) -> None:
        issuer = Issuer(message.actor, message.via)
        self._inbox.offer(CommandRefused(message.id, message.name, issuer, message.reason))
        detail: dict[str, Json] = {"outcome": f"refused: {message.reason}", "command": message.id}
        self._audit(message.actor, message.name, detail)

    def _observed(self, building: Building, now: Ms, kernel: int) -> Observed:
        def at(instant: int | None) -> Ms | None:
            """An instant of the kernel's clock, as far back on the building's."""
            return None if instant is None else now - (kernel - instant)

        read = self._read_at is not None and kernel - self._read_at <= CURSORS_VOID_MS
        known = read or self._no_urgent_unsent()
        overdue_ms = self._journal.overdue_ms(now)  # what is not stored is not sent
        urgent_ms, routine_ms = (self._oldest_unsent(lane, now) for lane in LANES_OUT)
        return Observed(
            now_ms=now,
            building=building,
            remembers=self._controller.remembers,
            turned_ms=at(self._controller.turned_kernel_ms),
            answered_ms=at(self._answered_at),
            is_open=self._points.is_open,
            journal=self.journal_id,
            journal_reason=self.journal_reason,
            overdue_ms=overdue_ms,
            mqtt=self._mqtt,
            link=self._link_seen(at),
            backlog=_behind(self._heads, self._sent) if self._mqtt else 0,
            oldest_unsent_ms=max(urgent_ms, routine_ms, overdue_ms),
            oldest_urgent_ms=max(urgent_ms, overdue_ms) if known else None,
            recorders=tuple(self._recorder(name, at, kernel) for name in self._recorders),
            behind=_behind(self._heads, self._least()),
            recorded_until_utc_ms=self._recorded_until,
            trusted=self._controller.trust.trusted,
            clock_seen_ms=now if self._own_clock else at(self._clock_at),
            notify=self._notify,
            notify_ms=at(self._notify_at),
            broken=self._broken,
            heartbeat_every_ms=self._heartbeat_every_ms,
            heartbeat_ok_ms=at(self._heartbeat_at),
            heartbeat_failed=self._heartbeat_failed,
            bench=self._bench is not None,
        )

    def _no_urgent_unsent(self) -> bool:
        """Whether every urgent fact is sent; needs no read of the journal."""
        return self._knows_cursors and self._heads.get("urgent", 0) <= self._sent.get("urgent", 0)

    def _heard_at(self) -> int | None:
        """When ``link`` last heard the broker. A cursor that moves is no evidence: it also passes
        numbers that will never come, and messages that the broker refuses."""
        return None if self._link is None else self._link.heard_ms

    def _link_seen(self, at: Callable[[int | None], Ms | None]) -> LinkSeen | None:
        link = self._link
        if link is None:
            return None
        return LinkSeen(
            link.connected,
            link.reason,
            at(self._heard_at()),
            link.keepalive_ms,
            link.aside,
            link.aside_count,
            at(self._reported_at),
        )

    def _link_shown(self, now: Ms, kernel: int) -> LinkShown | None:
        """The connection to the broker as ``link`` reports it; ``None``: there shall be none."""
        if not self._mqtt:
            return None
        link, heard = self._link, self._heard_at()
        broker = None if link is None else link.broker
        return {
            "connected": link is not None and link.connected,
            "reason": "link_away" if link is None else link.reason,
            "since_ms": self._link_since_ms,
            "heard_ms": None if heard is None else now - (kernel - heard),
            "keepalive_ms": None if link is None else link.keepalive_ms,
            "aside": [] if link is None else [list(one) for one in link.aside],
            "aside_count": 0 if link is None else link.aside_count,
            "broker": None if broker is None else _broker_shown(broker),
        }

    def _recorder(
        self, name: str, at: Callable[[int | None], Ms | None], kernel: int
    ) -> RecorderSeen:
        known = self._knows_cursors and name in self._recorded
        if known and _behind(self._heads, self._has(name)) == 0:
            self._recorder_at[name] = kernel  # nothing is due
        return RecorderSeen(
            name,
            name in self._recorded if self._knows_cursors else None,
            at(self._recorder_at.get(name)),
            at(self._began_at) or 0,
            self._aside.get(name, 0),
            self._foreign.get(name, 0),
        )

    def _has(self, recorder: str) -> Mapping[Lane, int]:
        """What a recorder has of this journal: numbers of another one say nothing."""
        journal, lanes = self._recorded.get(recorder, ("", {}))
        if journal != self.journal_id:
            return {}
        return {lane: lanes.get(lane, 0) for lane in LANES_OUT}

    def _least(self) -> dict[Lane, int]:
        """What the least of the expected recorders has, per lane."""
        have = [self._has(name) for name in self._recorders]
        return {lane: min((h.get(lane, 0) for h in have), default=0) for lane in LANES_OUT}

    def _look_at_journal(self, now: Ms, kernel: int) -> None:
        """Have it read now and then, and take what was read. The first look is for the cursors,
        the next for what they leave open."""
        self._take_seen(now)
        while self._looked_at is None or kernel - self._looked_at >= CURSORS_EVERY_MS:
            self._looked_at = kernel
            self._journal_cursors.ask(self._question(now, kernel))
            self._take_seen(now)

    def _question(self, now: Ms, kernel: int) -> Question:
        trust = self._controller.trust
        utc_ms = now + trust.offset_ms if trust.trusted else None
        if not self._knows_cursors:
            return Question(kernel, utc_ms, cursors=True)
        unrecorded = None
        if self._recorders and all(name in self._recorded for name in self._recorders):
            unrecorded = self._missing(self._least())
        unsent = self._missing(self._sent) if self._mqtt else {}
        return Question(kernel, utc_ms, unsent=unsent, unrecorded=unrecorded)

    def _missing(self, have: Mapping[Lane, int]) -> dict[Lane, int]:
        """The lanes that reach farther than somebody has them, and how far that is."""
        with self._heads_lock:
            heads = dict(self._heads)
        return {
            lane: have.get(lane, 0) for lane in LANES_OUT if heads.get(lane, 0) > have.get(lane, 0)
        }

    def _take_seen(self, now: Ms) -> None:
        seen = self._journal_cursors.seen
        if seen is None or seen is self._seen:
            return
        self._seen = seen
        if seen.cursors is not None:
            if not self._knows_cursors:
                self._take_cursors(seen.cursors)
            return
        self._read_at = seen.asked.at_ms
        self._unsent = {}
        for lane, sent in seen.asked.unsent.items():
            at_ms = self._instant(seen, lane, sent)
            self._unsent[lane] = sent, at_ms, max(0, now - at_ms)
        self._recorded_until = _recorded_until(seen)

    def _take_cursors(self, found: Cursors) -> None:
        with self._heads_lock:
            self.journal_id = self.journal_id or found.journal
            if found.journal != self.journal_id:
                return  # it is a new one meanwhile, and is to be looked at again
            self._heads = {**found.heads, **self._heads}
        self._sent = {**found.sent, **self._sent}
        kept = {name: (found.journal, lanes) for name, lanes in found.recorded.items()}
        self._recorded = {**kept, **self._recorded}
        self._knows_cursors = True
        self._looked_at = None  # what they leave open is read at once

    def _instant(self, seen: Seen, lane: Lane, sent: int) -> Ms:
        """When the first fact happened that was not sent. One of an earlier start whose time was
        never known is as old as this start at least."""
        mono_ms, utc_ms = seen.first[lane, sent]
        if mono_ms is None and utc_ms is not None:
            mono_ms = utc_ms - self._controller.trust.offset_ms
        return self._clock.started_ms if mono_ms is None else mono_ms

    def _oldest_unsent(self, lane: Lane, now: Ms) -> Ms:
        """The age of the first fact of a lane that is not sent; 0: there is none."""
        sent = self._sent.get(lane, 0)
        if lane not in self._unsent or self._heads.get(lane, 0) <= sent:
            return 0
        after, at_ms, age_ms = self._unsent[lane]
        # that one is sent meanwhile, where the number has moved: the next look finds the next
        return max(0, now - at_ms) if after == sent else age_ms


def _recorded_until(seen: Seen) -> UtcMs | None:
    """Up to when everything was recorded, when that was asked."""
    missing = seen.asked.unrecorded
    if missing is None:
        return None
    found = (seen.first[one][1] for one in missing.items())
    known = [utc_ms for utc_ms in (seen.asked.utc_ms, *found) if utc_ms is not None]
    return min(known, default=None)


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


def _broker_shown(limits: m.BrokerLimits) -> BrokerShown:
    return {
        "retain_available": limits.retain_available,
        "maximum_qos": limits.maximum_qos,
        "maximum_packet_size": limits.maximum_packet_size,
        "topic_alias_maximum": limits.topic_alias_maximum,
        "server_keep_alive_s": limits.server_keep_alive_s,
    }


def _event_of(message: m.DeliveredTold | m.CertificatesTold) -> Delivered | CertificateState:
    """The core's event for what another role reports."""
    if isinstance(message, m.CertificatesTold):
        return CertificateState(message.names)
    return Delivered(message.delivery, message.ok, message.reason, message.medium)
