"""The recorder: messages in batches into the store, acknowledged when they are there.

One turn: gather (by size or time), prepare, write (again and again until the store has
them), commit, acknowledge, then ask for what is missing and say how far everything is
recorded. While the store is down nothing is acknowledged, so the broker holds back.

Calls and alarms are written at once; what else comes alone waits some seconds for company,
because each write costs an SD card whole blocks. A turn in which nothing came writes nothing.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.backoff import BackOff, spread
from gateway.core.facts import KINDS
from gateway.mqtt.reasons import TAKEN_OVER
from gateway.mqtt.subscription import (
    ENDS_AT_ONCE,
    Connected,
    Granted,
    Happening,
    Lost,
    Received,
    Refused,
)
from gateway.mqtt.topics import Topics
from gateway.recorder import gateway_liveness
from gateway.recorder.deletion_clock import DeletionClock
from gateway.recorder.gaps import Asking, ask, reopened
from gateway.recorder.health import Health
from gateway.recorder.ingest import UNKNOWN_KEPT_MS, Batch, Ingest
from gateway.recorder.points import Origin, Point, fields_of, tags_of
from gateway.recorder.rejects import SetAside, decode_point, lane_of
from gateway.recorder.sequences import Key
from gateway.recorder.state import ANY_GATEWAY, GATEWAYS_MOST, RecorderState
from gateway.recorder.stores.store import Rejected, Store, StoreDownError
from gateway.settings.values.share import ALL, Share
from gateway.wire import from_cloudevent

log = structlog.get_logger("recorder")

BATCH_MOST = 2_000
BATCH_MS = 200
CALM_MS = 5_000
"""How long a few facts that nobody waits for are gathered. Calls and alarms never wait so long."""
CALM_MOST = 8
"""Messages from which on a batch is not calm: more wait at the broker, which sends only some
before the first is acknowledged."""
PROMPT = frozenset(
    row.name for row in KINDS.values() if row.life in {"calls", "alarms"}
) | {"fire_alarm"}  # fmt: skip
IDLE_MS = 500
BUSY_IDLE_MS = 250
"""The same while an answer of a gateway is awaited."""
SAY_MS = 1_000
CLAIM_ASK_MS = 1_000
"""How often gateways are asked how far they are, while something is held back for that."""
IDENTITY_MS = 15_000
UNCONFIRMED_MS = 2 * IDENTITY_MS
"""Longer than a recorder writes, as a rule, without having asked which store it is."""
CHORES_MS = 60_000
SETTLED, DOUBT = "settled_utc_ms", "clock_in_doubt"
CONFIRMED = "store_confirmed_utc_ms"
"""Saved while the store does not tell which one it is: when it last did."""
BACK_OFF_FIRST_S = 0.2
BACK_OFF_MOST_S = 30.0
RETRY_AT_ONCE = 100
"""Points set aside that are sent again in one turn."""
LOG_AGAIN_MS = 600_000
TAKEN_OVER_SHOWN_MS = 3_600_000


class Broker(Protocol):
    """What the recorder does at the broker."""

    def pump(self, wait_s: float) -> None: ...
    def take(self) -> Happening | None: ...
    def acknowledge(self, messages: Iterable[Received]) -> None: ...
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool: ...


def filters(gateways: Iterable[str]) -> list[tuple[str, int]]:
    """What to subscribe, with QoS; no gateways named: all."""
    return [
        (topic, qos)
        for at in map(Topics, list(gateways) or ["+"])
        for topic, qos in (
            (f"{at.events}/#", 1),
            (at.absent, 1),
            (at.availability, 1),
            (at.health, 0),
        )
    ]


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000


class Recorder:
    """Everything but the wiring. ``run`` returns when ``stop`` is set."""

    def __init__(
        self,
        name: str,
        broker: Broker,
        store: Store,
        state: RecorderState,
        *,
        silent_after_ms: int,
        share: Share = ALL,
        store_name: str = "",
        calm_ms: int = BATCH_MS,
        now_ms: Callable[[], int] = _monotonic_ms,
        utc_ms: Callable[[], int] = _utc_ms,
    ) -> None:
        """``calm_ms``: how long a few facts are gathered for which nobody waits. ``share``: of all
        gateways that are heard, which are ours."""
        self._name = name
        self._calm_ms = calm_ms
        self._broker = broker
        self._store = store
        self._state = state
        self._ingest = Ingest(state, marks=store.forgets_ms > 0)
        self._store_name = store_name
        self._silent_after_ms = silent_after_ms
        self._share = share
        self._now_ms = now_ms
        self._utc_ms = utc_ms
        self._asking: dict[Key, Asking] = {}
        self._claim_asked_ms = -CLAIM_ASK_MS
        self._said: dict[str, bytes] = {}
        self._said_ms = -SAY_MS
        self._hearing: dict[str, gateway_liveness.GatewayLiveness] = {}
        self._silence: list[Point] = []
        self._health = Health()
        self._checked_ms: int | None = None
        self._identity_not_before_ms = 0
        self._confirmed_utc_ms: int | None = None
        """When the store was last the one that is known."""
        self._chores_ms = -CHORES_MS
        saved = state.meta(SETTLED) or ""
        self._clock = DeletionClock(
            int(saved) if saved.isdigit() else None, state.meta(DOUBT) or ""
        )
        self._connected = False
        self._waits_for = ""
        self._logged_ms = -LOG_AGAIN_MS
        self._refused: dict[str, str] = {}
        self._taken_over = 0
        self._taken_over_ms = -TAKEN_OVER_SHOWN_MS
        self._retry = True
        self._retry_not_before_ms = 0
        self._stop: threading.Event | None = None
        self._known_by_header = state.meta("store_marked") == store_name
        store.known_by_header = self._known_by_header
        store.between = self._between

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            self.turn(stop)
        self._ingest.save()
        self._save_doubt()

    def turn(self, stop: threading.Event) -> None:
        """One batch, which may be empty."""
        self._stop = stop
        batch, messages = self._gather(stop)
        now_ms, utc_ms = self._now_ms(), self._utc_ms()
        self._listen(now_ms, utc_ms)
        chores = now_ms - self._chores_ms >= CHORES_MS
        if chores:
            self._chores_ms = now_ms
            self._fit()
        settled = self._clock.is_settled(now_ms, utc_ms)
        if chores and settled:
            if self._clock.due(utc_ms):
                self._state.set_meta(SETTLED, str(utc_ms))
            self._state.forget_old(utc_ms)
        if chores and (settled or self._clock.doubt_due(now_ms)):
            self._save_doubt()
        self._ingest.unheard(batch, now_ms)
        self._ingest.prepare(
            batch, utc_ms, unknown_before_ms=utc_ms - UNKNOWN_KEPT_MS if chores and settled else 0
        )
        if not self._write(batch, stop):
            return
        self._broker.acknowledge(messages)
        self._ingest.save_if_due(self._utc_ms())
        self._look_aside(stop)
        self._expire(now_ms, utc_ms if settled else None)
        self._ask()
        self._say()

    def _save_doubt(self) -> None:
        """For how long the clock is in doubt goes on with the next start."""
        doubt = self._clock.doubt(self._now_ms(), self._utc_ms())
        if doubt != (self._state.meta(DOUBT) or ""):
            self._state.set_meta(DOUBT, doubt)

    def _fit(self) -> None:
        self._ingest.fit()
        if len(self._asking) > len(self._ingest.lanes):
            self._asking = {
                key: one for key, one in self._asking.items() if key in self._ingest.lanes
            }

    # --- gathering ----------------------------------------------------------------------

    def _gather(self, stop: threading.Event) -> tuple[Batch, list[Received]]:
        batch, messages = Batch(), list[Received]()
        first_ms = deadline_ms = 0
        waited = False
        while len(messages) < BATCH_MOST and not stop.is_set():
            got = self._broker.take()
            if isinstance(got, Received):
                now_ms = self._now_ms()
                if not messages:
                    first_ms, deadline_ms = now_ms, now_ms + self._calm_ms
                messages.append(got)
                self._take(batch, got)
                if len(messages) >= CALM_MOST or self._is_prompt(got):
                    deadline_ms = min(deadline_ms, max(now_ms, first_ms + BATCH_MS))
            elif got is not None:
                self._connection(got)
            elif not messages:
                if waited:
                    break
                self._broker.pump(self._idle_ms() / 1000)
                waited = True
            elif (left_ms := deadline_ms - self._now_ms()) > 0:
                self._broker.pump(left_ms / 1000)
            else:
                break
        return batch, messages

    def _is_prompt(self, got: Received) -> bool:
        """Whether somebody waits for this: a call, an alarm, an answer to what was asked."""
        parts = got.topic.split("/", 4)
        if len(parts) > 1 and not self._share.takes(parts[1]):
            return False
        if len(parts) < 5 or parts[2] != "event":
            return True
        kind = parts[3]
        return kind in PROMPT or kind not in KINDS or self._is_asking()

    def _is_asking(self) -> bool:
        return any(one.gap_since_ms is not None for one in self._asking.values())

    def _idle_ms(self) -> int:
        return BUSY_IDLE_MS if self._is_asking() else IDLE_MS

    def _connection(self, got: Connected | Lost | Refused | Granted) -> None:
        if isinstance(got, Granted):
            return  # nothing that is retained is asked for again
        if isinstance(got, Refused):
            if got.reason:
                self._refused[got.filter] = got.reason
                log.error(
                    "not recording: the broker refuses a subscription; it is tried again",
                    filter=got.filter, reason=got.reason,
                )  # fmt: skip
            elif self._refused.pop(got.filter, None) is not None:
                log.info("the broker grants the subscription now", filter=got.filter)
            return
        self._connected = isinstance(got, Connected)
        if isinstance(got, Connected):
            log.info("connected", generation=got.generation)
            self._said.clear()
            self._refused.clear()
            self._asking = {key: reopened(one) for key, one in self._asking.items()}
        elif got.reason in {TAKEN_OVER, ENDS_AT_ONCE}:
            now_ms = self._now_ms()
            if now_ms - self._taken_over_ms >= TAKEN_OVER_SHOWN_MS:
                self._taken_over = 0
            self._taken_over += 1
            self._taken_over_ms = now_ms
            log.error(
                "another client takes the connection over: are there two recorders of one name? "
                "Give one of them another name (record: name)",
                name=self._name, reason=got.reason, times=self._taken_over,
            )  # fmt: skip
        else:
            log.warning("connection lost", reason=got.reason)

    def _take(self, batch: Batch, got: Received) -> None:
        """One message. Whatever is in it, it ends nothing but itself."""
        try:
            self._understand(batch, got)
        except Exception as error:  # noqa: BLE001 - anything at all may be in it
            gateway = [*got.topic.split("/", 2), ""][1]
            log.error("a message was not understood", topic=got.topic, reason=repr(error))
            reason = f"not understood: {error!r}"
            self._ingest.set_foreign_aside(batch, gateway, got.topic, reason, got.payload)

    def _understand(self, batch: Batch, got: Received) -> None:
        parts = got.topic.split("/", 3)
        if len(parts) < 3 or parts[0] != "portier" or not self._share.takes(parts[1]):
            return  # of another share: it is acknowledged, and another recorder has it
        gateway, what, now_ms = parts[1], parts[2], self._now_ms()
        self._check_room(gateway)
        if what == "availability":
            online = got.payload == b"online"
            self._hearing[gateway] = gateway_liveness.available(
                self._hearing.get(gateway), online, now_ms
            )
            if online:
                self._said.pop(gateway, None)  # a broker need not have kept it
                if not self._ingest.claims.is_known(gateway):
                    self._introduce(gateway)
                for key, one in self._asking.items():
                    if key.gateway == gateway:
                        self._asking[key] = reopened(one)
            return
        if got.retained:
            # a gateway has none of these kept: they would come again at every connection
            reason = "the broker had kept it, which its gateway never asks for"
            self._ingest.set_foreign_aside(batch, gateway, got.topic, reason, got.payload)
            return
        before = self._hearing.get(gateway)
        if before is not None and before.silent_since_ms is not None:
            self._silent_point(gateway, 0, self._utc_ms())
        self._hearing[gateway] = gateway_liveness.heard(before, now_ms)
        if what == "event":
            self._ingest.event(batch, gateway, got.topic, got.payload, now_ms)
        elif what == "absent":
            self._ingest.absent(batch, gateway, got.payload)
        elif what == "health":
            self._take_health(batch, gateway, got.payload, now_ms)

    def _check_room(self, gateway: str) -> None:
        """Raises :class:`LookupError` where this is one gateway too many."""
        if gateway in self._hearing or gateway in self._ingest.journals:
            return
        known = self._hearing.keys() | self._ingest.journals.keys()
        if sum(map(self._share.takes, known)) >= GATEWAYS_MOST:  # others may have been ours before
            raise LookupError(f"more than {GATEWAYS_MOST} gateways")

    def _take_health(self, batch: Batch, gateway: str, payload: bytes, now_ms: int) -> None:
        self._ingest.health(batch, gateway, payload, now_ms)
        if self._store.takes_health:
            self._health.take(gateway, payload, now_ms, self._utc_ms())

    def _listen(self, now_ms: int, utc_ms: int) -> None:
        for gateway, hearing in self._hearing.items():
            after = gateway_liveness.listen(hearing, self._silent_after_ms, now_ms)
            if after is not hearing:
                self._hearing[gateway] = after
                log.error("gateway silent", gateway=gateway, for_ms=now_ms - hearing.heard_ms)
                self._silent_point(gateway, 1, utc_ms)

    def _silent_point(self, gateway: str, is_silent: int, utc_ms: int) -> None:
        """A point of the recorder's own: measurement ``gateway_silent``, 1 silent, 0 back."""
        tags = (("gateway", gateway), ("subject", gateway))
        self._silence.append(Point("gateway_silent", tags, {"seq": 0, "silent": is_silent}, utc_ms))
        self._said.pop(gateway, None)

    # --- writing ------------------------------------------------------------------------

    def _write(self, batch: Batch, stop: threading.Event) -> bool:
        """Write until the store has it; ``False`` if stopped before."""
        facts = [*batch.points, *self._silence]
        health = self._health.due(self._now_ms())
        points = [*facts, *health]
        back_off = BackOff(BACK_OFF_FIRST_S, BACK_OFF_MOST_S)
        while True:
            try:
                self._check_identity(idle=not points)
                rejected = self._store.write(points) if points else []
                break
            except StoreDownError as down:
                if down.lost:
                    self._checked_ms = None
                if not facts:
                    # nothing to write: what needs no store must not wait for it
                    rejected = []
                    break
                pause_s = spread(back_off.next(), random.random())
                pause_s = max(pause_s, down.retry_after_s or 0.0)
                self._report(down.code, down.reason, pause_s)
                if not self._wait(pause_s, stop):
                    return False
            except _Stopped:
                return False
        self._store_is_known()
        if health:
            rejected = self._without_health(rejected, len(facts))
        for bad in rejected:
            if bad.index >= len(batch.points):  # a point of the recorder's own
                batch.points, own = facts, len(facts) - len(batch.points)
                batch.texts += [("", "")] * own
            topic = batch.texts[bad.index][0]
            log.error("point set aside; see portier record aside", reason=bad.reason, topic=topic)
        self._silence.clear()
        self._ingest.refused(batch, rejected)
        while not self._state.aside_room(batch.aside):
            self._report(
                "aside_full",
                "as much is set aside as may be: portier record aside lists it; retry it, or "
                "acknowledge it",
                BACK_OFF_MOST_S,
            )
            if not self._wait(BACK_OFF_FIRST_S * 5, stop):
                return False
            self._look_aside(stop)
        self._report("", "", 0.0)
        self._ingest.commit(batch, self._utc_ms(), calm=len(batch.events) < CALM_MOST)
        return True

    def _without_health(self, rejected: list[Rejected], facts: int) -> list[Rejected]:
        """Of what was refused, what has to be set aside. How a gateway is comes again in a
        minute."""
        self._health.written(self._now_ms())
        for bad in rejected:
            if bad.index >= facts:
                log.error("the store refuses how a gateway is", reason=bad.reason)
        return [bad for bad in rejected if bad.index < facts]

    def _expire(self, now_ms: int, settled_utc_ms: int | None) -> None:
        """One step of removing what has outlived its class, in a store that we clean ourselves."""
        try:
            self._store.expire(now_ms, settled_utc_ms)
        except StoreDownError as down:  # what is written next meets the same, and waits
            log.error("cannot remove what is over yet", reason=down.reason)

    def _between(self) -> None:
        """Stay alive at the broker while the store is asked many times."""
        if self._stop is not None and self._stop.is_set():
            raise _Stopped
        self._broker.pump(0)

    def _store_is_known(self) -> None:
        if not self._known_by_header and self._store.known_by_header:
            self._known_by_header = True
            self._state.set_meta("store_marked", self._store_name)

    def _report(self, code: str, reason: str, pause_s: float) -> None:
        """Say what the recorder waits for: in the log when it changes and now and then, and to
        the gateways in ``recorded``."""
        now_ms = self._now_ms()
        if code == self._waits_for and (not code or now_ms - self._logged_ms < LOG_AGAIN_MS):
            return
        if code:
            self._logged_ms = now_ms
            log.error("not recording: waiting", what=code, reason=reason, retry_s=round(pause_s, 1))
        else:
            log.info("recording again")
        self._waits_for = code

    def _wait(self, pause_s: float, stop: threading.Event) -> bool:
        """Keep the connection alive meanwhile; ``False`` if told to stop."""
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0:
            if stop.is_set():
                return False
            self._say()
            self._broker.pump(min(left_s, 0.5))
        self._ingest.save_if_due(self._utc_ms())
        return True

    def _check_identity(self, *, idle: bool) -> None:
        """A store that was restarted (or is another one) may have lost what it took.

        :raises StoreDownError: it does not answer
        """
        now_ms = self._now_ms()
        if self._checked_ms is not None and now_ms - self._checked_ms < IDENTITY_MS:
            return
        if idle and now_ms < self._identity_not_before_ms:
            return  # one that is away is not asked in every turn
        self._checked_ms = None
        self._identity_not_before_ms = now_ms + IDENTITY_MS
        identity = self._store.identity()
        known = self._state.meta("store")
        before, _, name = (known or "").partition(" ")
        self._checked_ms = now_ms
        if identity is None and before and name == self._store_name:
            # it does not tell this time, which says nothing; what is written now, another may take
            if not self._state.meta(CONFIRMED):
                self._state.set_meta(CONFIRMED, str(self._last_confirmed_ms()))
            return
        now = f"{identity or ''} {self._store_name}"
        damaged = self._note_damage()
        if known is not None and known != now:
            file = self._store.file
            its = before and name == self._store_name and self._ingest.journals
            if file is not None and its and not damaged:
                self._state.note_replaced(file, self._ingest.journals)
                self._ingest.read_aside()
            another = name != self._store_name or not self._store.forgets_ms
            since_ms = self._last_confirmed_ms() - self._store.forgets_ms
            self._ingest.go_back(None if another else since_ms, self._utc_ms())
            log.warning("store restarted or replaced: asking again for what it may have lost")
        if known != now:
            self._state.set_meta("store", now)
        if self._state.meta(CONFIRMED):
            self._state.set_meta(CONFIRMED, "")
        self._confirmed_utc_ms = self._utc_ms()

    def _last_confirmed_ms(self) -> int:
        """UTC ms until which the store certainly was the one that is known. What it has taken
        since then may have gone to one that was killed, and forgot it."""
        saved = self._state.meta(CONFIRMED) or ""
        if saved.isdigit():
            return int(saved)
        last_ms = self._state.last_mark_ms()
        if self._confirmed_utc_ms is None:  # of the run before nobody knows when it asked last
            return max(0, last_ms - UNCONFIRMED_MS)
        return min(last_ms, self._confirmed_utc_ms)

    def _note_damage(self) -> bool:
        """A store that is a file may have been damaged, and set aside; whether that was new."""
        damaged = self._store.damaged_file
        if damaged is not None:
            self._state.note_damage(damaged, self._ingest.journals)
            self._ingest.read_aside()
            self._store.damaged_file = None
        return damaged is not None

    # --- what was set aside -------------------------------------------------------------

    def _look_aside(self, stop: threading.Event) -> None:
        """Somebody may want points to be sent again, or has acknowledged them."""
        if self._state.changed_outside():
            self._ingest.read_aside()
            self._retry = True
        if not self._retry or self._now_ms() < self._retry_not_before_ms or stop.is_set():
            return
        asked = self._state.aside_asked(RETRY_AT_ONCE)
        if not asked:
            self._retry = False
            return
        try:
            outcomes = self._send_again(asked)
        except StoreDownError as down:
            self._checked_ms = None if down.lost else self._checked_ms
            self._retry_not_before_ms = self._now_ms() + IDENTITY_MS
            log.warning("cannot send again what was set aside yet", reason=down.reason)
        except _Stopped:
            pass
        else:
            self._state.aside_resolve(outcomes)
            self._ingest.read_aside()
            stored = sum(standing == "stored" for _, standing, _ in outcomes)
            log.info("sent again", stored=stored, refused=len(outcomes) - stored)

    def _send_again(self, asked: list[SetAside]) -> list[tuple[int, str, str]]:
        """Number, standing and reason of each. Raises :class:`StoreDownError`."""
        outcomes: list[tuple[int, str, str]] = []
        sent = [one for one in asked if one.point]
        rejected = self._store.write([_point_again(one) for one in sent]) if sent else []
        reasons = {bad.index: bad.reason for bad in rejected}
        for index, one in enumerate(sent):
            reason = reasons.get(index)
            outcomes.append((one.id, "stored" if reason is None else "open", reason or one.reason))
        for one in asked:
            if not one.point:  # it could not be read: perhaps this version can
                batch = Batch()
                reason = self._ingest.again(batch, one)
                if not reason:
                    self._ingest.prepare(batch, self._utc_ms())
                    bad = self._store.write(batch.points) if batch.points else []
                    reason = bad[0].reason if bad else ""
                    if not bad:
                        self._ingest.commit(batch, self._utc_ms())
                outcomes.append((one.id, "open" if reason else "stored", reason or one.reason))
        return outcomes

    # --- talking to the gateways --------------------------------------------------------

    def _ask(self) -> None:
        if not self._connected:
            return
        now_ms = self._now_ms()
        if now_ms - self._claim_asked_ms >= CLAIM_ASK_MS:
            for gateway in self._ingest.claims.waiting():
                self._claim_asked_ms = now_ms
                self._introduce(gateway)
        for key, known in self._ingest.lanes.items():
            if not self._share.takes(key.gateway):
                continue  # it was ours before the number of recorders was changed
            hearing = self._hearing.get(key.gateway)
            if hearing is not None and hearing.offline:
                continue
            asking, request = ask(self._asking.get(key, Asking()), known.lane, now_ms)
            self._asking[key] = asking
            if request is not None:
                payload = {
                    "journal": key.journal,
                    "lane": key.lane,
                    "from": request[0],
                    "to": request[1],
                }
                topic = Topics(key.gateway).replay(self._name)
                self._broker.publish(topic, json.dumps(payload).encode())
                log.info("asked again", gateway=key.gateway, lane=key.lane, range=request)

    def _introduce(self, gateway: str) -> None:
        """What it sent before we listened, it tells in its health message, which it then sends
        at once. Nothing of this is to be kept."""
        text = json.dumps({"journal": "", "lanes": {}}).encode()
        self._broker.publish(Topics(gateway).recorded(self._name), text)

    def _say(self) -> None:
        now_ms = self._now_ms()
        if not self._connected or now_ms - self._said_ms < SAY_MS:
            return
        waits_for = self._waits_for or ("subscription_refused" if self._refused else "")
        for gateway in list(self._ingest.journals):
            recorded = self._ingest.recorded(gateway) if self._share.takes(gateway) else None
            if recorded is None:
                continue
            payload: dict[str, object] = {
                "journal": recorded[0],
                "lanes": recorded[1],
                "aside": sum(self._ingest.aside_counts.get(g, 0) for g in (gateway, ANY_GATEWAY)),
            }
            foreign = self._ingest.foreign_counts.get(gateway, 0)
            if foreign:
                payload["foreign"] = foreign
            hearing = self._hearing.get(gateway)
            if hearing is not None and hearing.silent_since_ms is not None:
                payload["silent_for_s"] = _coarse_s(now_ms - hearing.silent_since_ms)
            if waits_for:
                payload["waits_for"] = waits_for
            if now_ms - self._taken_over_ms < TAKEN_OVER_SHOWN_MS:
                payload["taken_over"] = self._taken_over
            text = json.dumps(payload).encode()
            if text != self._said.get(gateway) and self._broker.publish(
                Topics(gateway).recorded(self._name), text, retain=True
            ):
                self._said[gateway] = text
                self._said_ms = now_ms


class _Stopped(Exception):
    """Told to stop in the middle of a write."""


def _point_again(one: SetAside) -> Point:
    """The point of something that was set aside, as this version makes it, at the same time."""
    before = decode_point(one.point)
    try:
        event = from_cloudevent(json.loads(one.event))
        time_known = bool(before.fields.get("time_known", 1))
        origin = Origin(event, lane_of(one.point) or event.lane, time_known)
        fields = fields_of(event, time_known)
        return Point(event.kind, tags_of(event), fields, before.time_ms, origin)
    except ValueError:  # a point of the recorder's own, or a text that a version of before cut off
        return before


def _coarse_s(silent_ms: int) -> int:
    """Whole minutes, after an hour whole hours: each change is published and kept."""
    step_s = 60 if silent_ms < 3_600_000 else 3_600
    return silent_ms // 1000 // step_s * step_s
