"""The loop of ``notify``: takes messages from the panel, has each handed over by a process that
can be ended, and answers for every one of them, in time.

Nothing is saved for later: who is notified next is decided by ``control``, which waits no longer
than 15 s. A delivery that hangs is killed after 10 s (:mod:`gateway.notify.delivery_process`).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from gateway.core.effects import ANSWER_MS
from gateway.notify import texts
from gateway.notify.addresses import Address, AddressError, medium
from gateway.notify.devices import Devices, PushWay
from gateway.notify.texts import Sender, Text
from gateway.panel.tickets import LIFE_S, Instant, Kind, Ticket, TicketError, Tickets
from gateway.panel.time_service import REPORT_EVERY_S, report
from gateway.push.subscriptions import Subscription
from gateway.settings.values.recipients import PUSH

log = structlog.get_logger("notify")

GIVE_UP_S = 10.0
"""After this time a delivery is answered for, whatever the process that has it does."""
ANSWER_KEPT_S = 15.0
"""An answer that cannot be given is tried so long; after that ``control`` has gone on."""
CONTROL_WAITS_S = ANSWER_MS / 1000
"""``control`` has gone on by then, and sends what is still wanted again: a message that has waited
longer, because this process stood still, is not handed over."""
WAIT_S = 0.5
"""How often is looked whether ``control`` is back, while something is to be said to it."""
ALIVE_EVERY_S = 10.0
"""How often ``control`` is told that this loop turns, and which addresses cannot be read."""

Send = Callable[[str, Text, Callable[[str], None]], None]
"""Hands a text over to an address and calls back, from any thread, with what failed or nothing."""


Pusher = Callable[[str, str, Callable[[str], None]], None]
"""The same with the message for a device, see :func:`gateway.notify.texts.push`."""


def _no_pusher(_address: str, _payload: str, done: Callable[[str], None]) -> None:
    done("address")


class Panel(Protocol):
    """The way back to ``control``."""

    @property
    def connected(self) -> bool: ...

    def send(self, message: Mapping[str, object]) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Done:
    number: int
    reason: str
    device: Subscription | None = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A message that is being handed over. ``medium``: see :func:`gateway.notify.addresses.medium`;
    ``until_s``: when it is given up."""

    delivery: str
    medium: str
    until_s: float


@dataclass(slots=True)
class _Parts:
    """A message to several devices. ``test``: the id of whoever asked for a test of one."""

    left: int
    test: str = ""


@dataclass(slots=True)
class Notify:
    """See the module. ``addresses``: of each receiver, by channel; read at each attempt, so that
    one that is written or mended while the role runs is used."""

    sender: Sender
    addresses: Mapping[str, tuple[Address, ...]] = field(repr=False)
    tickets: Tickets
    panel: Panel
    send: Send
    clock: Callable[[], float] = time.monotonic
    utc_s: Callable[[], float] = time.time
    uptime_s: Callable[[], float] = lambda: Instant.now().uptime_s
    trusted: Callable[[], bool | None] = lambda: None
    """Whether the time service trusts the clock; ``None``: it cannot be asked."""
    heartbeat: Callable[[], Mapping[str, object]] = dict
    """What is known of the heartbeat."""
    push: Pusher = _no_pusher
    devices: Devices | None = None
    inbox: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    _under_way: dict[int, _Attempt] = field(default_factory=dict)
    """By number."""
    _parts: dict[int, _Parts] = field(default_factory=dict)
    """Number -> how many devices of a message have not been answered for."""
    _unanswered: list[tuple[float, dict[str, object]]] = field(default_factory=list)
    _number: int = 0
    _alive_at: float = float("-inf")
    _clock_at: float = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""

        def wake() -> None:
            stop.wait()
            self.inbox.put(None)

        threading.Thread(target=wake, name="stop", daemon=True).start()
        while not stop.is_set():
            self.turn()

    def turn(self, wait_s: float | None = None) -> None:
        """Take in one thing, give up what hangs, answer what is not answered. ``wait_s``: until
        the next of these is due, where it is not said."""
        if wait_s is None:
            wait_s = max(0.0, self._due() - self.clock())
        try:
            item = self.inbox.get(timeout=wait_s)
        except queue.Empty:
            item = None
        match item:
            case _Done():
                self._done(item)
            case {"type": "send"}:
                self._begin(item)
            case {"type": "device_test", "id": str(id), "device": str(device)}:
                self._test_device(id, device)
            case {"type": "error", "reason": reason}:
                log.error("control does not take us", reason=reason)
            case {"type": "away"}:
                self._clock_at = self._alive_at = float("-inf")
                log.warning("control is away")
        now = self.clock()
        for number, attempt in list(self._under_way.items()):
            if attempt.until_s <= now:
                self._end(number, "timeout")
        self._repeat(now)
        self._report_clock(now)
        if now - self._alive_at >= ALIVE_EVERY_S and self.panel.send(
            {"type": "notify", "broken": self._broken(), **self.heartbeat()}
        ):
            self._alive_at = now

    def _due(self) -> float:
        now = self.clock()
        if self._unanswered or not self.panel.connected:
            return now + WAIT_S
        return min(
            max(self._alive_at + ALIVE_EVERY_S, now),
            max(self._clock_at + REPORT_EVERY_S, now),
            *(attempt.until_s for attempt in self._under_way.values()),
        )

    def _broken(self) -> list[list[str | int]]:
        """The channels whose address cannot be read now: no message can go there."""
        found: list[list[str | int]] = []
        for receiver, channels in self.addresses.items():
            for channel, read in enumerate(channels):
                try:
                    read()
                except AddressError:
                    found.append([receiver, channel])
        return found

    def _report_clock(self, now: float) -> None:
        if now - self._clock_at < REPORT_EVERY_S or not self.panel.connected:
            return
        self._clock_at = now
        trusted = self.trusted()
        if trusted is not None:
            self.panel.send(report(trusted))

    # --- one message ----------------------------------------------------------------------

    def _begin(self, message: Mapping[str, Any]) -> None:
        delivery, receiver = str(message["delivery"]), str(message["receiver"])
        at_ms = message.get("monotonic_ms")
        if isinstance(at_ms, int) and self.clock() - at_ms / 1000 > CONTROL_WAITS_S:
            self._answer(delivery, "timeout")
            return
        channel = int(message["channel"])
        way = self._way(receiver, channel)
        if isinstance(way, PushWay):
            self._begin_push(way, delivery, message, receiver)
            return
        try:
            address = self._address(receiver, channel)
        except AddressError as error:
            self._answer(delivery, error.reason)
            return
        text = self._text(message, receiver)
        number = self._attempt(delivery, medium(address))
        self.send(address, text, lambda reason: self.inbox.put(_Done(number, reason)))

    def _attempt(self, delivery: str, medium: str) -> int:
        """Its number."""
        self._number += 1
        self._under_way[self._number] = _Attempt(delivery, medium, self.clock() + GIVE_UP_S)
        return self._number

    def _begin_push(
        self, way: PushWay, delivery: str, message: Mapping[str, Any], receiver: str
    ) -> None:
        """To every device of the way at once. One that takes it is enough."""
        devices = way.devices.to(way.whom)
        if not devices:
            self._answer(delivery, "no_device", PUSH)
            return
        kind, data = str(message["kind"]), message.get("data") or {}
        link = self._link_of(message, receiver)
        about = str(message.get("about") or "")
        payload = texts.push(self.sender, kind, data, about=about, link=link)
        self._push(devices, payload, delivery, _Parts(len(devices)))

    def _test_device(self, id: str, device: str) -> None:
        """A test message to one device, for who asks on the page."""
        found = self.devices.find(device) if self.devices is not None else None
        if found is None:
            self._answer_test(id, "no_device")
            return
        self._push([found], texts.push(self.sender, "test", {}), "", _Parts(1, id))

    def _push(
        self, devices: list[Subscription], payload: str, delivery: str, parts: _Parts
    ) -> None:
        number = self._attempt(delivery, PUSH)
        self._parts[number] = parts
        for device in devices:
            self._push_to(device, payload, number)

    def _push_to(self, device: Subscription, payload: str, number: int) -> None:
        def done(reason: str) -> None:
            self.inbox.put(_Done(number, reason, device))

        try:
            address = self.devices.address(device) if self.devices is not None else ""
        except AddressError:
            done("address")
        else:
            self.push(address, payload, done)

    def _way(self, receiver: str, channel: int) -> Address | None:
        channels = self.addresses.get(receiver, ())
        return channels[channel] if 0 <= channel < len(channels) else None

    def _address(self, receiver: str, channel: int) -> str:
        """Raises :class:`AddressError` where it cannot be read or used."""
        way = self._way(receiver, channel)
        if way is None:
            raise AddressError(f"{receiver} has no channel {channel}")
        try:
            return way()
        except AddressError as error:
            log.error(
                "an address cannot be read", receiver=receiver, channel=channel, secret=str(error)
            )
            raise

    def _text(self, message: Mapping[str, Any], receiver: str) -> Text:
        kind, data = str(message["kind"]), message.get("data") or {}
        link = self._link_of(message, receiver)
        by_hand = data.get("by_hand") is True
        return texts.build(self.sender, kind, data, link=link, by_hand=by_hand)

    def _link_of(self, message: Mapping[str, Any], receiver: str) -> str | None:
        """Where its receiver acknowledges or confirms it."""
        kind, data = str(message["kind"]), message.get("data") or {}
        now_s = self.utc_s()
        if kind in texts.CALLS:
            return self._link(message, receiver, "call", now_s + LIFE_S)
        if kind == "test":
            within_ms = data.get("confirm_within_ms")
            life_s = within_ms / 1000 if isinstance(within_ms, int) else LIFE_S
            return self._link(message, receiver, "test", now_s + life_s)
        return None

    def _link(
        self, message: Mapping[str, Any], receiver: str, kind: Kind, expires_s: float
    ) -> str | None:
        """Without the page's address, or without a key, the message goes out all the same."""
        if self.sender.page is None:
            return None
        about, delivery = str(message["about"]), str(message["delivery"])
        try:
            ticket = Ticket(receiver, about, delivery, kind, int(expires_s))
            token = self.tickets.make(ticket, Instant(self.utc_s(), self.uptime_s()))
        except TicketError as error:
            log.error("no link in the message", reason=error.reason)
            return None
        return f"{self.sender.page}/m/{token}"

    # --- answers --------------------------------------------------------------------------

    def _done(self, done: _Done) -> None:
        if done.device is not None and self.devices is not None:
            self.devices.result(done.device, done.reason)
        parts = self._parts.get(done.number)
        if parts is not None and done.reason:
            parts.left -= 1
            if parts.left:
                return  # another device may take it
        if done.number in self._under_way:
            self._end(done.number, done.reason)

    def _end(self, number: int, reason: str) -> None:
        attempt = self._under_way.pop(number)
        parts = self._parts.pop(number, None)
        if parts is not None and parts.test:
            self._answer_test(parts.test, reason)
        else:
            self._answer(attempt.delivery, reason, attempt.medium)

    def _answer_test(self, id: str, reason: str) -> None:
        """Nobody waits longer than the page does: it is not repeated."""
        log.info("test of a device", result=reason or "taken")
        self.panel.send({"type": "device_tested", "id": id, "reason": reason})

    def _answer(self, delivery: str, reason: str, medium: str = "") -> None:
        log.info("message", delivery=delivery, result=reason or "delivered")
        answer: dict[str, object] = {
            "type": "delivered",
            "delivery": delivery,
            "ok": not reason,
            "reason": reason,
            "medium": medium,
        }
        if not self.panel.send(answer):
            self._unanswered.append((self.clock() + ANSWER_KEPT_S, answer))

    def _repeat(self, now: float) -> None:
        """What ``control`` could not hear while it was away."""
        waiting, self._unanswered = self._unanswered, []
        for until, answer in waiting:
            if until > now and not self.panel.send(answer):
                self._unanswered.append((until, answer))
