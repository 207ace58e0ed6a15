"""The link's one thread: what the broker and ``control`` say, and what follows from it."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

from gateway.core.facts import Lane
from gateway.journal.queries.reader import JournalUnavailable, Reader
from gateway.link import discovery, saved, state
from gateway.link.client import boot_ms
from gateway.link.commands import Accepted, Desk, Issuer, Now, fingerprint
from gateway.link.home_assistant import MIGRATE, HomeAssistant
from gateway.link.mqtt import (
    Acknowledged,
    Connected,
    Inbox,
    Lost,
    Message,
    NotSubscribed,
    Subscribe,
    Subscribed,
)
from gateway.link.points import Listening, Points
from gateway.link.presence import Presence
from gateway.link.publisher import Publisher, Small
from gateway.link.refused_messages import Refusal, RefusedMessages
from gateway.link.retained import Retained
from gateway.mqtt.limits import NO_QOS, NO_RETAIN, TOO_LARGE, Limits
from gateway.mqtt.topics import Topics
from gateway.panel.messages import HEALTH_MS
from gateway.panel.snapshot_types import GuaranteeShown, Snapshot
from gateway.wire import PUBLISHED, read_json

log = structlog.get_logger("link")

HEALTH_ASKED_MS = 1_000
"""How often at most, for recorders that ask."""
CLOCK_MS = 10_000
LOOK_MS = 1_000
REFUSED_PER_S = 5
ANSWERS_KEPT_MS = 10_000
BURST_ITEMS = 500
RECORDED_MS = 1_000
RECORDERS_MOST = 100
"""Recorders in one second; a gateway has one to three."""
BORN_MS = 1_000
"""How often at most Home Assistant is introduced to everything."""
NAME_MOST = 128
"""Characters of the names of a recorder and of a journal."""
LINK_MS = 10_000
"""How often ``control`` hears of the connection, so that its evidence stays fresh."""
LINK_CHANGED_MS = 1_000
SAVE_AGAIN_MS = 10_000
SAVE_WITHIN_S = 0.2
"""Longer than a card takes as a rule; the link goes on meanwhile."""
WAIT_S = 0.5
LOGGED_MOST = 1_000
ONLINE, OFFLINE = b"online", b"offline"
NO_SNAPSHOT = cast("Snapshot", {})
"""While ``control`` is away: every key is missing, as new ones are in one of another version."""
NO_EVIDENCE = cast("GuaranteeShown", {"ok": False, "value": "unknown", "reason": "control_away"})
"""A guarantee that nobody vouches for."""


class Broker(Protocol):
    """The connection, as the link uses it."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> int | None: ...
    def drop(self, reason: str) -> None: ...
    def soon(self) -> None: ...
    def heard_ms(self) -> int | None: ...
    def pump(self, wait_s: float) -> None: ...


class Panel(Protocol):
    """``control``, as the link uses it."""

    def send(self, message: Mapping[str, object]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """An accepted command whose answer is on its way."""

    response_topic: str
    correlation: bytes | None
    until_ms: int


@dataclass(slots=True)
class Clocks:
    """The clocks of this machine; tests bring their own."""

    mono_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    utc_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    trusted: Callable[[], bool | None] = lambda: False
    boot_ms: Callable[[], int] = boot_ms


def subscriptions(topics: Topics, *, home_assistant: bool = False) -> tuple[Subscribe, ...]:
    """What the gateway listens to. Kept commands are not wanted; what recorders have is."""
    born = (Subscribe(discovery.BORN, qos=0),) if home_assistant else ()
    return (
        *born,
        Subscribe(topics.commands, qos=1),
        Subscribe(topics.issuer_commands, qos=1),
        Subscribe(topics.replay("+"), qos=1),
        Subscribe(topics.recorded("+"), qos=1, retained=True),
        Subscribe(topics.info, qos=1, retained=True),
        # A last will of ours counts as our own: it is wanted back, it may come too late.
        Subscribe(topics.availability, qos=1, retained=True),
        Subscribe(topics.states, qos=0, retained=True, own=False),
    )


@dataclass(slots=True)
class Link:
    """See the module."""

    gateway: str
    inbox: Inbox
    broker: Broker
    panel: Panel
    reader: Reader
    folder: Path
    clocks: Clocks
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    language: str = ""
    """Home Assistant is told what there is, in this language; empty: it is not."""
    keepalive_ms: int = 10_000
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Point -> the door or room that it is in."""
    described: discovery.Described = discovery.UNDESCRIBED
    """What Home Assistant is told of the configuration."""
    zone: tzinfo = UTC
    """The gateway's: the hours of doors that an issuer may open are civil time."""
    topics: Topics = field(init=False)
    presence: Presence = field(init=False)
    home: HomeAssistant = field(init=False)
    aside: RefusedMessages = field(default_factory=RefusedMessages)
    retained: Retained = field(default_factory=Retained)
    points: Points = field(init=False)
    publisher: Publisher = field(init=False)
    desk: Desk = field(init=False)
    _writer: saved.Writer = field(init=False)
    _snapshot: Snapshot = field(default_factory=lambda: NO_SNAPSHOT)
    _ahead_ms: int = 0
    """The clock of ``control`` minus this machine's monotonic clock: a bench may jump."""
    _generation: int | None = None
    _window: int = 0
    _reason: str = "connecting"
    _journal_reason: str = ""
    _cursors: dict[Lane, int] = field(default_factory=dict)
    _limits: Limits = field(default_factory=Limits)
    _listens: bool = False
    """Connected, and every subscription is answered."""
    _online: bool | None = None
    """What ``availability`` says on this connection."""
    _names: tuple[str, ...] = ()
    """The guarantees that ``control`` has shown last."""
    _link_ms: int = -LINK_MS
    _link_heard: bool = False
    _link_aside: tuple[int, list[list[str]]] = (0, [])
    _save_ms: int = 0
    _saving: bool = False
    """Facts' numbers are being written, and are not safe yet."""
    _logged: set[tuple[str, str]] = field(default_factory=set)
    _answers: dict[str, Waiting] = field(default_factory=dict)
    _health_ms: int = -HEALTH_MS
    _health_asked: bool = False
    _clock_ms: int = -CLOCK_MS
    _clock: bool | None = None
    _look_ms: int = 0
    _grown: bool = True
    _refusals: tuple[int, int] = (0, 0)
    _complained_ms: int = -1_000
    _recorded_by: dict[str, dict[str, object]] = field(default_factory=dict)
    _recorded_ms: int = -RECORDED_MS
    _is_born: bool = False
    _born_ms: int = -BORN_MS
    _began_utc_ms: int = 0
    _session: str = field(default_factory=lambda: os.urandom(6).hex())
    """Names this run of the link, so that a second gateway with the same id is seen."""
    _introduced: bool = False
    """The broker has had our ``info`` with that name."""

    def __post_init__(self) -> None:
        self.topics = Topics(self.gateway)
        now_ms = self.clocks.mono_ms()
        self._writer = saved.Writer(self._place)
        known = saved.read(self._place)
        self.aside.restore(known.get("aside"), now_ms)
        assistant = self.issuers.get(discovery.ISSUER)
        self.home = HomeAssistant(
            self.topics,
            self.language,
            known.get("home_assistant"),
            "" if assistant is None or assistant.key is not None else discovery.ISSUER,
            self.described,
        )
        self.presence = Presence(now_ms)
        self.publisher = Publisher(
            self.gateway,
            self.reader,
            self.broker.publish,
            self._cursors.__setitem__,
            self.aside,
            self._set_aside,
            self._retained,
        )
        self.desk = Desk(issuers=self.issuers)
        self.desk.restore(known.get("replaced_keys"))
        self._report_replaced_keys()
        self.listen(())
        self._began_utc_ms = self.clocks.utc_ms()

    def listen(self, points: Sequence[Listening]) -> None:
        """Tell ``control`` what is said on the topics of these points."""
        self.points = Points(points, self.panel.send)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            self.turn(self.wait_s())

    @property
    def _place(self) -> Path:
        """The link's own folder; the rest belongs to ``control``."""
        return self.folder / "link"

    def wait_s(self) -> float:
        """How long nothing is due, if nothing comes in."""
        now_ms = self.clocks.mono_ms()
        dues = [self.points.due_ms(), self.presence.due_ms()]
        waits = [due - now_ms for due in dues if due is not None and due > now_ms]
        more = (self.publisher.waits_ms(now_ms), self.home.waits_ms(now_ms))
        waits += [wait for wait in more if wait is not None]
        return min([WAIT_S, *(wait / 1000 for wait in waits)])

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Handle what has come in, then send what there is room for."""
        self.broker.pump(0.0 if not self.inbox.empty() else wait_s)
        with contextlib.suppress(queue.Empty):
            for _ in range(BURST_ITEMS):
                self.handle(self.inbox.get_nowait())
        now_ms = self.clocks.mono_ms()
        self._tell_clock(now_ms)
        self._tell_recorded(now_ms)
        self._born(now_ms)
        self.points.time(now_ms)
        self._present(now_ms)
        self._mend(now_ms)
        if self.home.due or self.home.waits_ms(now_ms) == 0:
            self._show()
        if now_ms - self._look_ms >= LOOK_MS or self._grown:
            self._look(now_ms)
        heard_ms = self.broker.heard_ms()
        if heard_ms is not None:
            self.publisher.heard(heard_ms)
        self.publisher.tick(now_ms, heard_ms)
        self._save(now_ms)
        self._send(now_ms)
        if self._save(now_ms):
            self._tell_cursors()
        if self._listens:
            self._tell_link_again(now_ms)
            every_ms = HEALTH_ASKED_MS if self._health_asked else HEALTH_MS
            if now_ms - self._health_ms >= every_ms:
                self._tell_health(now_ms)
            if self.publisher.frozen(now_ms):
                self.broker.drop("frozen")

    # --- what comes in ------------------------------------------------------------------

    def handle(self, item: object) -> None:
        """One thing that happened."""
        match item:
            case Acknowledged(generation, mid, ok, reason):
                if generation == self._generation:
                    if ok:
                        self.publisher.acknowledged(mid, self.clocks.mono_ms())
                    else:
                        self.publisher.refused(mid, reason, self.clocks.mono_ms())
            case Message():
                self._message(item)
            case Connected():
                self._connected(item)
            case Subscribed(generation):
                if generation == self._generation and not self._listens:
                    self._subscribed()
            case NotSubscribed(generation, wanted, reason):
                if generation == self._generation:
                    self._not_subscribed(wanted, reason)
            case Lost(_, reason, detail, by_broker):
                self._lost(reason, detail, by_broker)
            case dict():
                self._panel(item)

    def _connected(self, new: Connected) -> None:
        log.info("connected", window=new.window, **new.limits.shown())
        now_ms = self.clocks.mono_ms()
        self._generation, self._window, self._limits = new.generation, new.window, new.limits
        self.points.connected(now_ms)
        for topic in [topic for topic, one in self.aside.topics.items() if one.lasting]:
            del self.aside.topics[topic]
        if new.will:
            self._lacks("last will", new.will)
        if not new.limits.retain_available:
            self._lacks(f"{self.topics.root}/#", NO_RETAIN)
        if new.limits.maximum_qos < 1:
            self._lacks(f"{self.topics.root}/event/#", NO_QOS)
        self.home.connected()
        if new.subscribed:
            self._subscribed()

    def _subscribed(self) -> None:
        """From now on we publish, and say that we are connected."""
        now_ms = self.clocks.mono_ms()
        self._listens = True
        self.publisher.connected(self._window, now_ms, self._limits)
        self._online = None
        self._show()
        self._present(now_ms)
        self._health_ms = -HEALTH_MS
        self._tell_link()

    def _lacks(self, topic: str, reason: str) -> None:
        """Name what does not work for as long as this connection lasts."""
        now_ms = self.clocks.mono_ms()
        self.aside.name(Refusal(topic, reason, named_ms=now_ms, lasting=True))
        self._set_aside(topic, reason)

    def _set_aside(self, topic: str, reason: str) -> None:
        """In the log once."""
        if (topic, reason) not in self._logged and len(self._logged) < LOGGED_MOST:
            self._logged.add((topic, reason))
            log.warning("the broker does not take this", topic=topic, reason=reason)

    def _not_subscribed(self, wanted: str, reason: str) -> None:
        self._lacks(wanted, f"subscription: {reason}")
        self.points.not_subscribed(wanted, reason, self.clocks.mono_ms())

    def _retained(self, topic: str, reason: str) -> None:
        """The broker has a retained message, or does not take it."""
        self.home.answered(topic, reason)
        if not reason and self.retained.shown.get(topic) == b"":
            self.home.cleared(topic)

    def _lost(self, reason: str, detail: str, by_broker: bool) -> None:
        if self._generation is not None or reason != self._reason:
            log.warning("broker lost", reason=reason, detail=detail)
        self._generation, self._reason, self._listens = None, reason, False
        self.retained.lost()
        self.points.lost(reason, self.clocks.mono_ms())
        if self.publisher.lost(self.clocks.mono_ms(), by_broker=by_broker):
            self.broker.soon()
        self._tell_link()

    def _panel(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "snapshot":
            first = not self._snapshot
            self._snapshot = message["snapshot"]
            self._ahead_ms = self._snapshot["now_ms"] - self.clocks.mono_ms()
            self._names = tuple(self._snapshot.get("guarantees", {}))
            self.presence.snapshot(self.clocks.mono_ms())
            self._show()
            if first:
                self._clock_ms = -CLOCK_MS
                self._tell_link()
                self.points.again(self.clocks.mono_ms())
        elif kind == "rows":
            self._grown = True
        elif kind == "reply":
            self._answer(message)
        elif kind == "closing":
            self.presence.closing(message.get("reason"))
        elif kind == "away":
            self._snapshot = NO_SNAPSHOT

    def _message(self, message: Message) -> None:
        if message.topic == discovery.BORN:
            self._is_born = self._is_born or message.payload == b"online"
            return
        now_ms = self.clocks.mono_ms()
        waited_ms = 0 if message.after_ms is None else self.clocks.boot_ms() - message.after_ms
        if self.points.message(
            message.topic, message.payload, message.retained, now_ms, waited_ms=waited_ms
        ):
            return
        parts = self.topics.inside(message.topic)
        own, command = self.topics.commanded(parts)
        if command is not None:
            self._command(message, command, own)
        elif len(parts) == 2 and parts[0] == "replay":
            raw = _object(message.payload)
            lane = next((one for one in PUBLISHED if one == raw.get("lane")), None)
            first, last, journal = raw.get("from"), raw.get("to"), raw.get("journal")
            if not (lane and type(first) is int and type(last) is int and type(journal) is str):
                self._complain("replay not understood", parts[1])
            elif not self.publisher.replay(parts[1], journal, lane, first, last):
                self._complain("replay not served", parts[1])
        elif parts == ("info",):
            # Not every broker says who threw us out (Mosquitto 2.0.11 does not): if somebody
            # else has introduced itself as this gateway since we did, there are two of us.
            session = _object(message.payload).get("session")
            if session == self._session:
                self._introduced = True  # the broker has it, and sends it back
            elif self._introduced and session is not None:
                log.error("a second gateway with this id", gateway=self.gateway)
                self.broker.drop("taken_over")
            elif session is None:
                self.retained.came(message.topic, message.payload, message.retained, now_ms)
        elif parts == ("availability",) or parts[:1] == ("state",):
            self.retained.came(message.topic, message.payload, message.retained, now_ms)
        elif len(parts) == 2 and parts[0] == "recorded":
            self._recorded(parts[1], _object(message.payload))

    def _recorded(self, recorder: str, raw: Mapping[str, Any]) -> None:
        """How far a recorder has come; what cannot be told to ``control`` is passed over."""
        journal, lanes = raw.get("journal"), raw.get("lanes")
        if journal == "":
            self._health_asked = True  # it has never heard of us: there is our journal
        elif isinstance(journal, str) and isinstance(lanes, dict):
            known = {k: v for k, v in lanes.items() if k in PUBLISHED and type(v) is int}
            told = 0 < len(recorder) <= NAME_MOST and len(journal) <= NAME_MOST
            if not told or not all(0 <= seq <= 2**53 for seq in known.values()):
                self._complain("recorded not understood", recorder)
            elif recorder in self._recorded_by or len(self._recorded_by) < RECORDERS_MOST:
                counts = {"aside": 0} | {
                    name: raw[name]
                    for name in ("aside", "foreign")
                    if type(raw.get(name)) is int and 0 <= raw[name] <= 2**53
                }
                self._recorded_by[recorder] = {
                    "type": "recorded", "recorder": recorder, "journal": journal, "lanes": known,
                    **counts,
                }  # fmt: skip

    def _tell_recorded(self, now_ms: int) -> None:
        """The newest of each recorder, once a second: a flood ends here."""
        if self._recorded_by and now_ms - self._recorded_ms >= RECORDED_MS:
            for message in self._recorded_by.values():
                self.panel.send(message)
            self._recorded_by, self._recorded_ms = {}, now_ms

    def _complain(self, what: str, recorder: str) -> None:
        """Of all that is not understood, one line a second."""
        now_ms = self.clocks.mono_ms()
        if now_ms - self._complained_ms >= 1_000:
            self._complained_ms = now_ms
            log.warning(what, recorder=recorder[:NAME_MOST])

    def _born(self, now_ms: int) -> None:
        """Home Assistant has started: it is introduced to everything again."""
        if self._is_born and now_ms - self._born_ms >= BORN_MS:
            self._is_born, self._born_ms = False, now_ms
            for topic, payload in self.retained.shown.items():
                self.publisher.show(topic, payload)

    # --- whether the gateway is there ---------------------------------------------------

    def _present(self, now_ms: int) -> None:
        """Say so when ``control`` is heard no more, or again: then its states come first."""
        is_there = self.presence.state(now_ms)
        if not self._listens or is_there is None or is_there == self._online:
            return
        self._online = is_there
        if is_there:
            self._put(self.topics.availability, ONLINE)
            return
        log.warning("nothing is heard of control", states=len(self.retained.shown))
        self._put(self.topics.availability, OFFLINE)
        head = f"{self.topics.root}/state/"
        for topic, payload in (self.retained.strangers | self.retained.shown).items():
            marked = state.stale(payload)
            if topic.startswith(head) and marked != payload:
                self._put(topic, marked)

    def _mend(self, now_ms: int) -> None:
        """What somebody else wrote on our retained topics is written over; what a part of the
        building has left there that is no more, is cleared."""
        for topic, payload in self.retained.due(now_ms, self._online):
            log.warning("somebody else wrote on a topic of this gateway", topic=topic)
            self._put(topic, payload)

    def _put(self, topic: str, payload: bytes) -> None:
        """Publish a retained text."""
        self.retained.write(topic, payload, self.clocks.mono_ms())
        self.publisher.show(topic, payload)

    # --- commands -----------------------------------------------------------------------

    def _command(self, message: Message, parts: tuple[str, ...], own: str) -> None:
        now_ms = self.clocks.mono_ms()
        if not self.desk.allows(now_ms, own):
            self._refuse("", "command", "mqtt:", "limit", message.topic)
            return
        verdict = self.desk.judge(
            message.topic, parts, message.payload, message.retained, self._now(now_ms), own
        )
        topic = message.response_topic or self.topics.response(verdict.id)
        if isinstance(verdict, Accepted):
            self._report_replaced_keys()
            self._answers = {k: a for k, a in self._answers.items() if a.until_ms > now_ms}
            self._answers[verdict.id] = Waiting(
                topic, message.correlation, now_ms + ANSWERS_KEPT_MS
            )
            sent = self.panel.send(
                {
                    "type": "command",
                    "id": verdict.id,
                    "name": verdict.name,
                    "actor": verdict.actor,
                    "via": "mqtt",
                    "expires_monotonic_ms": now_ms + verdict.life_ms,
                    "args": dict(verdict.args),
                    "audit": {"says": verdict.by},
                }
            )
            if not sent:
                self._answer({"id": verdict.id, "status": "refused", "reason": "expired"})
            return
        self._refuse(verdict.id, verdict.name, verdict.actor, verdict.reason, message.topic)
        if verdict.id and not message.retained:
            text = {"status": "refused", "reason": verdict.reason, "fact": None}
            self._respond(topic, text, message.correlation)

    def _now(self, now_ms: int) -> Now:
        started_ms = self._snapshot.get("gateway", {}).get("started_ms")
        offset = self._snapshot.get("utc_offset_ms")
        utc_ms = self.clocks.utc_ms()
        started = None
        if isinstance(started_ms, int):
            # by this machine's clocks, so that a bench that travels changes nothing
            ago_ms = now_ms + self._ahead_ms - started_ms
            started = max(self._began_utc_ms, utc_ms - ago_ms)
        trusted = bool(self._clock) and self._snapshot.get("clock_trusted") is True
        mark = self._snapshot.get("clock_mark_utc_ms")
        mark_utc_ms = mark if isinstance(mark, int) else None
        return Now(
            now_ms, utc_ms, trusted and isinstance(offset, int), started, mark_utc_ms,
            self._local(utc_ms),
        )  # fmt: skip

    def _local(self, utc_ms: int) -> datetime | None:
        try:
            return datetime.fromtimestamp(utc_ms / 1000, self.zone)
        except (ValueError, OverflowError, OSError):  # a clock of no calendar
            return None

    def _report_replaced_keys(self) -> None:
        """In the log once for each issuer whose key in the configuration is not accepted."""
        for name, print_ in self.desk.replaced.items():
            key = self.issuers[name].key
            if key is None or fingerprint(key) != print_ or (name, print_) in self._logged:
                continue
            self._logged.add((name, print_))
            log.warning("the key of this issuer was replaced and is refused now", issuer=name)

    def _answer(self, message: Mapping[str, Any]) -> None:
        waiting = self._answers.pop(str(message.get("id")), None)
        if waiting is not None:
            text = {name: message.get(name) for name in ("status", "reason", "fact")}
            self._respond(waiting.response_topic, text, waiting.correlation)

    def _respond(self, topic: str, text: Mapping[str, Any], correlation: bytes | None) -> None:
        # an answer must not be able to pose as an event or a command of any gateway, nor as its
        # introduction to Home Assistant, which only the gateway may write
        ours = topic.startswith(("portier/", "homeassistant/"))
        ours = ours and not topic.startswith(self.topics.response(""))
        if topic and not ours and topic[0] != "$" and set(topic).isdisjoint("+#"):
            small = Small(topic, state.encode(text), correlation=correlation, answer=True)
            self.publisher.say(small)

    def _refuse(self, command: str, name: str, actor: str, reason: str, topic: str) -> None:
        """Tell ``control`` that the link refused; a flood of refusals is cut off here."""
        second = self.clocks.mono_ms() // 1000
        count = self._refusals[1] + 1 if self._refusals[0] == second else 1
        self._refusals = (second, count)
        if count <= REFUSED_PER_S:
            log.info("command refused", reason=reason, actor=actor, topic=topic)
            self.panel.send(
                {
                    "type": "refused",
                    "id": command,
                    "name": name or "command",
                    "reason": reason,
                    "actor": actor,
                    "via": "mqtt",
                }
            )

    # --- what goes out ------------------------------------------------------------------

    def _look(self, now_ms: int) -> None:
        """Look at the journal: is it readable, is it the same one, has it grown."""
        self._look_ms, self._grown = now_ms, False
        try:
            journal, heads = self.reader.journal_id(), self.reader.heads()
            if journal != self.publisher.journal:
                self.publisher.begin(journal, self.reader.cursors().sent, heads)
                log.info("journal", id=journal, backlog=self.publisher.backlog)
            else:
                self.publisher.grown(heads)
            reason = ""
        except JournalUnavailable as error:
            reason = "journal"
            if not self._journal_reason:
                log.warning("journal not readable", reason=str(error))
        if reason != self._journal_reason:
            self._journal_reason = reason
            self._tell_link()

    def _send(self, now_ms: int) -> None:
        ages = self.publisher.ages
        ages.boot = self._snapshot.get("gateway", {}).get("boot", "")
        ages.now_ms = now_ms + self._ahead_ms
        offset = self._snapshot.get("utc_offset_ms")
        ages.utc_ms = ages.now_ms + offset if isinstance(offset, int) else None
        try:
            self.publisher.fill(now_ms)
        except JournalUnavailable as error:
            log.warning("journal not readable", reason=str(error))
            self._journal_reason = "journal"
            self._tell_link()

    def _tell_cursors(self) -> None:
        for lane in list(self._cursors):
            seq = self._cursors[lane]
            if self.panel.send({"type": "sent", "lane": lane, "seq": seq}):
                del self._cursors[lane]

    def _tell_link(self) -> None:
        ok = self._listens and not self._journal_reason
        reason = self._journal_reason if self._listens else self._reason
        self._link_ms = self.clocks.mono_ms()
        self._link_aside = (self.aside.count, self.aside.named())
        keep_alive_s = self._limits.server_keep_alive_s
        heard_ms = self.broker.heard_ms() if self._listens else None
        self._link_heard = heard_ms is not None
        self.panel.send(
            {
                "type": "link",
                "connected": ok,
                "reason": "" if ok else reason,
                **({} if heard_ms is None else {"heard_ms": heard_ms}),
                "keepalive_ms": keep_alive_s * 1000 if keep_alive_s else self.keepalive_ms,
                "aside": self._link_aside[1],
                "aside_count": self._link_aside[0],
                "broker": self._limits.shown(),
            }
        )

    def _tell_link_again(self, now_ms: int) -> None:
        """Evidence becomes old, and messages are set aside and taken meanwhile."""
        since_ms = now_ms - self._link_ms
        if since_ms < LINK_CHANGED_MS:
            return
        first = not self._link_heard and self.broker.heard_ms() is not None
        if (
            since_ms >= LINK_MS
            or first
            or self._link_aside != (self.aside.count, self.aside.named())
        ):
            self._tell_link()

    def _save(self, now_ms: int) -> bool:
        """Save what has changed; ``False``: it could not be saved, and no cursor may pass it."""
        try:
            if not self._writer.busy:
                if not (self.aside.dirty or self.home.dirty or self.desk.dirty):
                    return True
                if now_ms < self._save_ms:
                    return not self.aside.dirty
                memory = {topic: dict(parts) for topic, parts in self.home.memory.items()}
                known = {
                    "aside": self.aside.saved(),
                    "home_assistant": memory,
                    "replaced_keys": dict(self.desk.replaced),
                }
                self._writer.start(known)
                self._saving = self.aside.dirty
                self.aside.dirty = self.home.dirty = self.desk.dirty = False
                self._writer.wait(SAVE_WITHIN_S)
            if not self._writer.wait(0):
                return not (self.aside.dirty or self._saving)
        except OSError as error:
            log.warning("the state of the link cannot be saved", reason=str(error))
            self._save_ms = now_ms + SAVE_AGAIN_MS
            self.aside.dirty |= self._saving
            self.home.dirty = True
        self._saving = False
        return not self.aside.dirty

    def _tell_clock(self, now_ms: int) -> None:
        if now_ms - self._clock_ms < CLOCK_MS:
            return
        self._clock_ms, self._clock = now_ms, self.clocks.trusted()
        if self._clock is None:  # who cannot ask has nothing to say
            return
        self.panel.send(
            {
                "type": "clock",
                "trusted": self._clock,
                "utc_ms": self.clocks.utc_ms(),
                "monotonic_ms": now_ms,
            }
        )

    def _tell_health(self, now_ms: int) -> None:
        if not self._names and not self._snapshot:
            return
        self._health_ms = now_ms
        shown = self._snapshot
        if not self._online:  # nobody vouches for them
            shown = {**shown, "guarantees": dict.fromkeys(self._names, NO_EVIDENCE)}
        self._health_asked = self._health_asked and not self.publisher.journal
        oldest_ms = None
        try:
            oldest = self.publisher.oldest_unsent() if self.publisher.backlog else None
            if oldest is not None and oldest.boot == self.publisher.ages.boot:
                oldest_ms = max(0, now_ms + self._ahead_ms - oldest.mono_ms)
        except JournalUnavailable:
            pass  # the guarantee says so already
        usage = shutil.disk_usage(self.folder)
        tell = partial(
            state.health,
            shown,
            journal=self.publisher.journal,
            sent={str(lane): flight.cursor for lane, flight in self.publisher.flights.items()},
            heads={str(lane): head for lane, head in self.publisher.heads.items()},
            backlog=self.publisher.backlog,
            oldest_unsent_ms=oldest_ms,
            disk={"free_bytes": usage.free, "total_bytes": usage.total},
            temperature_c=_temperature_c(),
            aside=self.aside.named(),
            aside_count=self.aside.count,
        )
        payload = tell(places=self.places)
        if self._limits.too_large(self.topics.health, payload):
            payload = tell()
        if self._limits.too_large(self.topics.health, payload):
            self._lacks(self.topics.health, TOO_LARGE)
        else:
            self.broker.publish(self.topics.health, payload, qos=0)

    def _show(self) -> None:
        """Publish the states that changed; all of them after a reconnect."""
        now_ms = self.clocks.mono_ms()
        is_there = self.presence.state(now_ms)
        if not self._listens or not self._snapshot or not is_there:
            return
        wanted = state.states(self.topics, self._snapshot)
        wanted[self.topics.info] = self._info()
        told, migrate = self.home.step(self._snapshot, self._limits, now_ms)
        if migrate:
            log.info("home assistant", migrates=self.home.own)
            self.publisher.say(Small(self.home.own, MIGRATE))
            self.retained.shown.pop(self.home.own, None)
        for topic in self.home.too_large:
            self._lacks(topic, TOO_LARGE)
        for topic, payload in (wanted | told).items():
            if self.retained.shown.get(topic) != payload:
                self._put(topic, payload)

    def _info(self) -> bytes:
        """Who we are; without the long lists where the broker does not take them."""
        rights = {name: one.shown() for name, one in self.issuers.items() if one.may is not None}
        whole = state.info(self._snapshot, self._window, self._session, issuers=rights)
        if not self._limits.too_large(self.topics.info, whole):
            return whole
        self._lacks(f"{self.topics.info} (lists)", TOO_LARGE)
        return state.info(self._snapshot, self._window, self._session, brief=True)


def _object(payload: bytes) -> dict[str, Any]:
    try:
        raw = read_json(payload) if len(payload) <= 1_000_000 else None
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _temperature_c(zone: Path = Path("/sys/class/thermal/thermal_zone0/temp")) -> float | None:
    try:
        return int(zone.read_text(encoding="utf-8")) / 1000
    except (OSError, ValueError):
        return None
