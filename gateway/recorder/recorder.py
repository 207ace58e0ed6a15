"""The recorder: messages in batches into the store, acknowledged when they are there.

One turn: gather (by size or 200 ms), prepare, write (again and again until the store has
them), commit, acknowledge, then ask for what is missing and say how far everything is
recorded. While the store is down nothing is acknowledged, so the broker holds back.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.recorder import silent
from gateway.recorder.book import UNKNOWN_KEPT_MS, Batch, Book
from gateway.recorder.gaps import Asking, ask, reopened
from gateway.recorder.points import Point
from gateway.recorder.sequences import Key
from gateway.recorder.state import RecorderState
from gateway.recorder.store import Rejected, Store, StoreDownError
from gateway.recorder.subscribe import Connected, Happening, Lost, Received

log = structlog.get_logger("recorder")

BATCH_MOST = 2_000
BATCH_MS = 200
IDLE_MS = 250
SAY_MS = 1_000
IDENTITY_MS = 15_000
CHORES_MS = 60_000
BACK_OFF_FIRST_S = 0.2
BACK_OFF_MOST_S = 30.0


class Broker(Protocol):
    """What the recorder does at the broker."""

    def pump(self, wait_s: float) -> None: ...
    def take(self) -> Happening | None: ...
    def acknowledge(self, messages: Iterable[Received]) -> None: ...
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool: ...


def filters(gateways: Iterable[str]) -> list[tuple[str, int]]:
    """What to subscribe, with QoS; no gateways named: all."""
    return [
        (f"portier/{gateway}/{topic}", qos)
        for gateway in (list(gateways) or ["+"])
        for topic, qos in (("event/#", 1), ("absent", 1), ("availability", 1), ("health", 0))
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
        store_name: str = "",
        silent_after_ms: int = 300_000,
        now_ms: Callable[[], int] = _monotonic_ms,
        utc_ms: Callable[[], int] = _utc_ms,
    ) -> None:
        self._name = name
        self._broker = broker
        self._store = store
        self._state = state
        self._book = Book(state)
        self._store_name = store_name
        self._silent_after_ms = silent_after_ms
        self._now_ms = now_ms
        self._utc_ms = utc_ms
        self._asking: dict[Key, Asking] = {}
        self._said: dict[str, bytes] = {}
        self._said_ms = -SAY_MS
        self._hearing: dict[str, silent.Hearing] = {}
        self._silence: list[Point] = []
        self._checked_ms: int | None = None
        self._chores_ms = -CHORES_MS
        self._connected = False

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            self.turn(stop)

    def turn(self, stop: threading.Event) -> None:
        """One batch, which may be empty."""
        batch, messages = self._gather(stop)
        now_ms, utc_ms = self._now_ms(), self._utc_ms()
        self._listen(now_ms, utc_ms)
        chores = now_ms - self._chores_ms >= CHORES_MS
        if chores:
            self._chores_ms = now_ms
            self._state.forget_old(utc_ms)
        self._book.prepare(
            batch, utc_ms, unknown_before_ms=utc_ms - UNKNOWN_KEPT_MS if chores else 0
        )
        if not self._write(batch, stop):
            return
        self._broker.acknowledge(messages)
        self._ask()
        self._say()

    # --- gathering ----------------------------------------------------------------------

    def _gather(self, stop: threading.Event) -> tuple[Batch, list[Received]]:
        batch, messages = Batch(), list[Received]()
        deadline_ms: int | None = None
        waited = False
        while len(messages) < BATCH_MOST and not stop.is_set():
            got = self._broker.take()
            if isinstance(got, Received):
                messages.append(got)
                self._take(batch, got)
                if deadline_ms is None:
                    deadline_ms = self._now_ms() + BATCH_MS
            elif got is not None:
                self._connection(got)
            elif deadline_ms is None:
                if waited:
                    break
                self._broker.pump(IDLE_MS / 1000)
                waited = True
            elif (left_ms := deadline_ms - self._now_ms()) > 0:
                self._broker.pump(left_ms / 1000)
            else:
                break
        return batch, messages

    def _connection(self, got: Connected | Lost) -> None:
        self._connected = isinstance(got, Connected)
        if isinstance(got, Connected):
            log.info("connected", generation=got.generation)
            self._said.clear()
            self._asking = {key: reopened(one) for key, one in self._asking.items()}
        else:
            log.warning("connection lost", reason=got.reason)

    def _take(self, batch: Batch, got: Received) -> None:
        parts = got.topic.split("/", 3)
        if len(parts) < 3 or parts[0] != "portier":
            return
        gateway, what, now_ms = parts[1], parts[2], self._now_ms()
        if what == "availability":
            online = got.payload == b"online"
            self._hearing[gateway] = silent.available(self._hearing.get(gateway), online, now_ms)
            if online:
                if gateway not in self._book.journals:
                    self._introduce(gateway)
                for key, one in self._asking.items():
                    if key.gateway == gateway:
                        self._asking[key] = reopened(one)
            return
        if not got.retained:
            before = self._hearing.get(gateway)
            if before is not None and before.silent_since_ms is not None:
                self._silent_point(gateway, 0, self._utc_ms())
            self._hearing[gateway] = silent.heard(before, now_ms)
        if what == "event":
            self._book.event(batch, gateway, got.topic, got.payload)
        elif what == "absent":
            self._book.absent(batch, gateway, got.payload)
        elif what == "health":
            self._book.health(batch, gateway, got.payload)

    def _listen(self, now_ms: int, utc_ms: int) -> None:
        for gateway, hearing in self._hearing.items():
            after = silent.listen(hearing, self._silent_after_ms, now_ms)
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
        tries = 0
        while True:
            try:
                self._check_identity()
                rejected: list[Rejected] = []
                if batch.points:
                    rejected = self._store.write(batch.points)
                if self._silence:
                    self._store.write(self._silence)
                    self._silence.clear()
                break
            except StoreDownError as down:
                if down.lost:
                    self._checked_ms = None
                if not batch.points and not self._silence:
                    # nothing to write: what needs no store must not wait for it
                    rejected = []
                    break
                pause_s = min(BACK_OFF_FIRST_S * 2**tries, BACK_OFF_MOST_S)
                pause_s = max(pause_s, down.retry_after_s or 0.0)
                log.warning("store down", reason=down.reason, retry_s=round(pause_s, 1))
                tries = min(tries + 1, 16)
                if not self._wait(pause_s * random.uniform(0.7, 1.0), stop):
                    return False
        for bad in rejected:
            log.warning("point set aside", reason=bad.reason, topic=batch.texts[bad.index][0])
        self._book.commit(batch, rejected, self._utc_ms())
        return True

    def _wait(self, pause_s: float, stop: threading.Event) -> bool:
        """Keep the connection alive meanwhile; ``False`` if told to stop."""
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0:
            if stop.is_set():
                return False
            self._broker.pump(min(left_s, 0.2))
        return True

    def _check_identity(self) -> None:
        """A store that was restarted (or is another one) may have lost what it took.

        :raises StoreDownError: it does not answer
        """
        now_ms = self._now_ms()
        if self._checked_ms is not None and now_ms - self._checked_ms < IDENTITY_MS:
            return
        identity = self._store.identity() or ""
        known = self._state.meta("store")
        now = f"{identity} {self._store_name}"
        if known is not None and known != now:
            another = known.partition(" ")[2] != self._store_name or not self._store.forgets_ms
            last_ms = self._state.last_mark_ms()
            self._book.go_back(
                None if another else last_ms - self._store.forgets_ms, self._utc_ms()
            )
            log.warning("store restarted or replaced: asking again for what it may have lost")
        if known != now:
            self._state.set_meta("store", now)
        self._checked_ms = now_ms

    # --- talking to the gateways --------------------------------------------------------

    def _ask(self) -> None:
        if not self._connected:
            return
        now_ms = self._now_ms()
        for key, known in self._book.lanes.items():
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
                topic = f"portier/{key.gateway}/replay/{self._name}"
                self._broker.publish(topic, json.dumps(payload).encode())
                log.info("asked again", gateway=key.gateway, lane=key.lane, range=request)

    def _introduce(self, gateway: str) -> None:
        """What it sent before we listened, it tells in its health message, which it then sends
        at once. Nothing of this is to be kept."""
        text = json.dumps({"journal": "", "lanes": {}}).encode()
        self._broker.publish(f"portier/{gateway}/recorded/{self._name}", text)

    def _say(self) -> None:
        now_ms = self._now_ms()
        if not self._connected or now_ms - self._said_ms < SAY_MS:
            return
        for gateway in list(self._book.journals):
            recorded = self._book.recorded(gateway)
            if recorded is None:
                continue
            payload: dict[str, object] = {"journal": recorded[0], "lanes": recorded[1]}
            hearing = self._hearing.get(gateway)
            if hearing is not None and hearing.silent_since_ms is not None:
                payload["silent_for_s"] = (now_ms - hearing.silent_since_ms) // 60_000 * 60
            text = json.dumps(payload).encode()
            if text != self._said.get(gateway) and self._broker.publish(
                f"portier/{gateway}/recorded/{self._name}", text, retain=True
            ):
                self._said[gateway] = text
                self._said_ms = now_ms
