"""The centre at its broker: a thread receives, the event loop keeps the picture.

Nothing is asked of a gateway for it: what gateways have published is retained and comes after each
connection. What does not come in time is asked for once more, a few gateways at a time. There is no
session: what happened while the centre was away is in what is retained.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import structlog

from gateway import threads
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import (
    NO_SESSION,
    Connected,
    Granted,
    Happening,
    Lost,
    Received,
    Refused,
    Subscription,
)
from gateway.mqtt.topics import Topics
from gateway.sites.commands import Commands
from gateway.sites.keys import KeysError
from gateway.sites.picture.picture import Picture
from gateway.sites.picture.urgent_events import URGENT_KINDS

EVERY = Topics("+")
PUMP_S = 0.5
TICK_S = 1.0
BATCH_MOST = 250
"""Messages that are taken in one turn of the event loop, which serves pages as well."""
WAITING_MOST = 50_000
"""Messages that wait for the event loop; then no more are read, and the broker holds them back."""
OUTGOING_MOST = 1_000
"""Commands that wait for the thread."""
EXPIRY_S = 30
"""The longest time that a command is valid: no broker keeps it for longer."""
FLOWS_MS = 1_000
"""While the broker still sends what it has retained, nothing is missing yet."""
FETCHES_AT_ONCE = 8
FETCH_S = 1.0
"""What the broker has retained of one gateway has come within this time of its answer."""
FETCH_ANSWER_S = 10.0
ENROLLED_EVERY_S = 10.0
"""How often it is looked whether gateways were enrolled or revoked."""
CLOSE_WITHIN_S = 2.0
log = structlog.get_logger("sites")

Publish = Callable[[str, bytes], bool]


class Wire(Protocol):
    """The connection; for the centre's thread, but ``wake``."""

    @property
    def reason(self) -> str: ...
    def pump(self, wait_s: float) -> None: ...
    def take(self) -> Happening | None: ...
    def acknowledge(self, messages: Iterable[Received]) -> None: ...
    def publish(self, topic: str, payload: bytes, *, expiry_s: int | None = None) -> bool: ...
    def ask_again(self, name: str, qos: int) -> bool: ...
    def drop(self, name: str) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


def filters() -> list[tuple[str, int]]:
    """What the centre subscribes, with QoS. What is retained comes with QoS 0: brokers limit how
    many messages of QoS 1 wait for one client, and drop the rest."""
    return [
        (EVERY.availability, 0),
        (EVERY.info, 0),
        (EVERY.health, 0),
        (EVERY.states, 0),
        (EVERY.recorded("") + "+", 0),
        (f"{EVERY.root}/response/#", 1),
        *((f"{EVERY.events}/{kind}/#", 1) for kind in URGENT_KINDS),
    ]


def own_settings(settings: BrokerSettings) -> BrokerSettings:
    """Each instance has a client id of its own: two would throw each other out."""
    return replace(settings, client_id=f"{settings.client_id}-{secrets.token_hex(4)}")


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000


class Centre:
    """The picture of all gateways that are enrolled, and commands to them.

    Everything is for the event loop in which :meth:`run` runs. ``enrolled``: the names of the
    gateways; it is called again and again, and may raise :class:`KeysError` where they cannot be
    read: then those that are known stay. ``commands`` gets the function that publishes."""

    def __init__(
        self,
        settings: BrokerSettings,
        enrolled: Callable[[], Iterable[str]],
        commands: Callable[[Publish], Commands],
        *,
        wire: Callable[[], Wire] | None = None,
        monotonic_ms: Callable[[], int] = _monotonic_ms,
        utc_ms: Callable[[], int] = _utc_ms,
    ) -> None:
        self._monotonic_ms, self._utc_ms = monotonic_ms, utc_ms
        self._enrolled = enrolled
        self.picture = Picture(())
        self.connected = False
        self.reason = "connecting"
        """Why there is no connection; empty while there is one."""
        self.since_utc_ms = utc_ms()
        """Since when it is connected, or not."""
        self.refused: dict[str, str] = {}
        """Filters that the broker refuses, and why: what comes there is not known."""
        self.enrolments_unreadable = ""
        """Why the gateways that are enrolled cannot be read; empty where they can."""
        self.on_change: list[Callable[[str], None]] = []
        """Called with the gateway that has changed, or ``""`` for the connection."""
        self.commands = commands(self.publish)
        self._wire = wire or (lambda: Subscription(own_settings(settings), filters(), NO_SESSION))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: _Receiver | None = None
        self._closed = asyncio.Event()
        self._generation = 0
        self._to_fetch: deque[str] = deque()
        self._retained_ms = 0
        """When the last message came that the broker had retained."""
        self._fetching: dict[str, int] = {}
        """Gateways of which everything is asked for now, and until when (monotonic ms)."""
        self._enrolled_ms = monotonic_ms()
        self._follow_enrolments()

    async def run(self) -> None:
        """Follow the broker until :meth:`close` is called."""
        self._loop = asyncio.get_running_loop()
        self._receiver = _Receiver(self._wire(), self._loop, self._take)
        self._receiver.start()
        try:
            while not self._closed.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), TICK_S)
        finally:
            self._receiver.close()

    def close(self) -> None:
        """Disconnect."""
        self._closed.set()
        if self._receiver is not None:
            self._receiver.close()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send now, with QoS 1; ``False`` where there is no connection. It is never sent over
        another connection than the one of now."""
        if not self.connected or self._receiver is None:
            return False
        return self._receiver.order(self._generation, lambda wire: _publish(wire, topic, payload))

    # --- what the thread hands over -----------------------------------------------------

    def _take(self, came: list[Happening | str]) -> None:
        """Some of what came, in order; a text is why there is no connection."""
        changed: dict[str, None] = {}
        for one in came:
            if isinstance(one, Received):
                if (gateway := self._received(one)) is not None:
                    changed[gateway] = None
            else:
                self._connection(one)
        for gateway in changed:
            if gateway in self._fetching and self.picture.gateways[gateway].complete:
                self._fetched(gateway)
            self._report(gateway)

    def _received(self, message: Received) -> str | None:
        response = _response(message.topic)
        if response is not None and not message.retained:
            self.commands.answered(*response, message.payload)
        now_ms = self._monotonic_ms()
        if message.retained:
            self._retained_ms = now_ms
        return self.picture.take(
            message.topic,
            message.payload,
            retained=message.retained,
            mono_ms=now_ms,
            utc_ms=self._utc_ms(),
        )

    def _connection(self, got: Connected | Lost | Refused | Granted | str) -> None:
        now: Mapping[str, Any] = {"mono_ms": self._monotonic_ms(), "utc_ms": self._utc_ms()}
        if isinstance(got, Granted):
            gateway = got.filter.split("/")[1]
            if gateway in self._fetching:
                self._fetching[gateway] = self._monotonic_ms() + int(FETCH_S * 1000)
        elif isinstance(got, Refused):
            self._refusal(got)
        elif isinstance(got, Connected):
            log.info("connected", generation=got.generation)
            self._generation = got.generation
            self._be(True, "", now["utc_ms"])
            self.picture.connected(**now)
        elif isinstance(got, Lost):
            log.warning("connection lost", reason=got.reason)
            self._be(False, got.reason, now["utc_ms"])
            self.picture.lost(**now)
        elif not self.connected and got != self.reason:
            self.reason = got
            self._report("")

    def _be(self, connected: bool, reason: str, utc_ms: int) -> None:
        self.connected, self.reason, self.since_utc_ms = connected, reason, utc_ms
        self.refused.clear()
        self._to_fetch.clear()
        self._fetching.clear()
        self._report("")

    def _refusal(self, got: Refused) -> None:
        gateway = got.filter.split("/")[1]
        if gateway != "+":
            log.warning("the broker refuses a subscription", filter=got.filter, reason=got.reason)
            self._fetched(gateway)
            return
        if got.reason:
            log.error(
                "nothing comes here: the broker refuses a subscription; it is tried again",
                filter=got.filter, reason=got.reason,
            )  # fmt: skip
            self.refused[got.filter] = got.reason
        elif self.refused.pop(got.filter, None) is not None:
            log.info("the broker grants the subscription now", filter=got.filter)
        self._report("")

    def _report(self, gateway: str) -> None:
        for changed in self.on_change:
            changed(gateway)

    # --- what is missing ----------------------------------------------------------------

    def _tick(self) -> None:
        now_ms = self._monotonic_ms()
        if now_ms - self._enrolled_ms >= ENROLLED_EVERY_S * 1000:
            self._enrolled_ms = now_ms
            self._follow_enrolments()
        for gateway in self.picture.pass_time(mono_ms=now_ms, utc_ms=self._utc_ms()):
            self._report(gateway)
        for gateway in [one for one, until_ms in self._fetching.items() if now_ms >= until_ms]:
            self._fetched(gateway)
        flows = now_ms - self._retained_ms < FLOWS_MS and not self._fetching
        if self.connected and not self._to_fetch and not flows:
            missing = [one for one in self.picture.missing(now_ms) if one not in self._fetching]
            if missing:
                log.info("asking for what is missing", gateways=len(missing), first=missing[0])
                self._to_fetch.extend(missing)
                self._fetch()

    def _fetch(self) -> None:
        """Ask once more for what is retained, of a few gateways at a time."""
        while self._to_fetch and len(self._fetching) < FETCHES_AT_ONCE and self.connected:
            gateway, now_ms = self._to_fetch.popleft(), self._monotonic_ms()
            known = self.picture.gateways.get(gateway)
            if known is None or known.complete:
                continue
            log.debug("asking for what is missing", gateway=gateway, lacks=known.lacks[:5])
            self.picture.fetched(gateway, now_ms)
            self._fetching[gateway] = now_ms + int(FETCH_ANSWER_S * 1000)
            self._order(partial(_ask_again, gateway))

    def _fetched(self, gateway: str) -> None:
        if self._fetching.pop(gateway, None) is not None:
            self._order(lambda wire: wire.drop(_all_of(gateway)))
        self._fetch()

    def _order(self, order: Callable[[Wire], object]) -> None:
        if self._receiver is not None:
            self._receiver.order(self._generation, order)

    def _follow_enrolments(self) -> None:
        try:
            enrolled = set(self._enrolled())
        except KeysError as error:
            if str(error) != self.enrolments_unreadable:
                log.error("which gateways are enrolled cannot be read", error=str(error))
                self.enrolments_unreadable = str(error)
                self._report("")
            return
        if self.enrolments_unreadable:
            log.info("which gateways are enrolled can be read again")
            self.enrolments_unreadable = ""
            self._report("")
        known = set(self.picture.gateways)
        for gateway in sorted(enrolled - known):
            self.picture.enrol(gateway, mono_ms=self._monotonic_ms(), utc_ms=self._utc_ms())
        for gateway in sorted(known - enrolled):
            self.picture.revoke(gateway)
        for gateway in sorted(enrolled ^ known):
            self._report(gateway)


def _all_of(gateway: str) -> str:
    return f"{Topics(gateway).root}/#"


def _response(topic: str) -> tuple[str, str] | None:
    """Gateway and command that a message answers."""
    root, _, below = topic.partition("/")
    gateway, _, rest = below.partition("/")
    what, _, command = rest.partition("/")
    return (gateway, command) if root == "portier" and what == "response" and command else None


def _ask_again(gateway: str, wire: Wire) -> None:
    wire.ask_again(_all_of(gateway), 0)


def _publish(wire: Wire, topic: str, payload: bytes) -> None:
    if not wire.publish(topic, payload, expiry_s=EXPIRY_S):
        log.warning("a command was not sent", topic=topic)


class _Receiver:
    """The thread with the connection. What came is handed over in batches, and the event loop is
    woken once for all that waits."""

    def __init__(
        self,
        wire: Wire,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[list[Happening | str]], None],
    ) -> None:
        self._wire, self._loop, self._deliver = wire, loop, take
        self._came: deque[Happening | str] = deque()
        self._orders: deque[tuple[int, Callable[[Wire], object]]] = deque()
        self._is_scheduled = False
        self._lock = threading.Lock()
        self._has_room = threading.Event()
        self._closing = False
        self._generation = 0
        self._thread = threading.Thread(target=self._receive, name="broker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """For the event loop."""
        if not self._closing:
            self._closing = True
            self._has_room.set()
            self._wire.wake()
            if self._thread.is_alive():
                self._thread.join(CLOSE_WITHIN_S)

    def order(self, generation: int, order: Callable[[Wire], object]) -> bool:
        """Have the thread do something with the connection of this generation."""
        if len(self._orders) >= OUTGOING_MOST:
            return False
        self._orders.append((generation, order))
        self._wire.wake()
        return True

    def _receive(self) -> None:
        reason = ""
        try:
            while not self._closing:
                self._wire.pump(PUMP_S)
                came = self._drain()
                if self._wire.reason != reason:
                    reason = self._wire.reason
                    came.append(reason)
                self._hand_over([one for one in came if one != ""])
                while self._orders:
                    generation, order = self._orders.popleft()
                    if generation == self._generation:
                        order(self._wire)
        finally:
            self._wire.close()

    def _drain(self) -> list[Happening | str]:
        came: list[Happening | str] = []
        while (one := self._wire.take()) is not None:
            if isinstance(one, Connected):
                self._generation = one.generation
            came.append(one)
        self._wire.acknowledge(one for one in came if isinstance(one, Received) and one.mid)
        return came

    def _hand_over(self, came: list[Happening | str]) -> None:
        if not came:
            return
        with self._lock:
            self._came.extend(came)
            wakes, self._is_scheduled = not self._is_scheduled, True
            if len(self._came) >= WAITING_MOST:
                self._has_room.clear()
            else:
                self._has_room.set()
        if wakes:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._turn)
        while not self._closing and not self._has_room.wait(PUMP_S):
            pass

    def _turn(self) -> None:
        """In the event loop: some of it now, the rest after whatever else is due."""
        with self._lock:
            batch = [self._came.popleft() for _ in range(min(BATCH_MOST, len(self._came)))]
            self._is_scheduled = bool(self._came)
            if len(self._came) < WAITING_MOST:
                self._has_room.set()
        try:
            self._deliver(batch)
        except Exception as error:  # noqa: BLE001 - the loop would only write it down
            threads.fail("broker", error)
            return
        if self._is_scheduled:
            self._loop.call_soon(self._turn)
