"""The ``notify`` role: put the parts together and run until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.notify import texts
from gateway.notify.addresses import Address, AddressError
from gateway.notify.deliveries import Deliveries
from gateway.notify.devices import Devices, PushWay
from gateway.notify.heartbeat import Heartbeat
from gateway.notify.role import Notify
from gateway.notify.texts import Sender
from gateway.panel import time_service
from gateway.panel.client import PanelClient
from gateway.panel.tickets import Tickets, preload
from gateway.push.keys import make_key

log = structlog.get_logger("notify")


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """What the configuration says about who is told, and how."""

    sender: Sender
    state: Path
    """The folder of ``panel.sock`` and of the key of the links."""
    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=dict, repr=False)
    """Of each contact, by channel; read at each attempt."""
    heartbeat: tuple[Address, float] | None = field(default=None, repr=False)
    """Where to tell that the gateway lives, and how often in seconds."""
    devices: Devices | None = field(default=None, repr=False)
    """Where push messages go; ``None``: nothing here takes any."""
    bench: bool = False
    """Nothing but simulated points: the clock is trusted without a time service."""


def run(settings: NotifySettings, stop: threading.Event) -> None:
    """Tell people until ``stop`` is set."""
    panel: PanelClient
    heartbeat: Heartbeat | None = None

    def received(message: dict[str, object]) -> None:
        notify.inbox.put(message)

    panel = PanelClient(settings.state / "panel.sock", "notify", received)
    tickets = Tickets(settings.state)
    devices = settings.devices
    if devices is not None:
        _make_key(settings.state)
    deliveries = Deliveries(messages=bool(settings.addresses), push=devices is not None)
    notify = Notify(settings.sender, settings.addresses, tickets, panel, deliveries.send)
    notify.push, notify.devices = deliveries.push, devices
    if not settings.bench:
        notify.trusted = time_service.trusted
    if settings.heartbeat is not None:
        url, every_s = settings.heartbeat
        heartbeat = Heartbeat(
            url,
            every_s,
            alive=lambda: panel.connected,
            on_result=lambda reason: _tell(panel, reason),
            beat=deliveries.beat,
        )
        notify.heartbeat = heartbeat.report
    preload()
    for language in settings.sender.languages:
        texts.locale(language)
    log.info("telling", receivers=len(settings.addresses), heartbeat=heartbeat is not None)
    deliveries.start()
    panel.start()
    _examine(settings.addresses, deliveries)
    if heartbeat is not None:
        heartbeat.start()
    try:
        notify.run(stop)
    finally:
        if heartbeat is not None:
            heartbeat.close()
        panel.close()
        deliveries.close()


def _make_key(state: Path) -> None:
    """Without it no device can register; all other messages go out."""
    try:
        make_key(state)
    except OSError as error:
        log.error("no key for push messages", reason=error.strerror)


def _examine(addresses: Mapping[str, tuple[Address, ...]], deliveries: Deliveries) -> None:
    """Name every address that no message can go to, before there is one."""

    def report(receiver: str, number: int) -> Callable[[str], None]:
        def done(reason: str) -> None:
            if reason == "address":
                log.error("address not understood", receiver=receiver, channel=number)

        return done

    for receiver, channels in addresses.items():
        for number, read in enumerate(channels):
            try:
                address = read()
                if isinstance(read, PushWay):
                    continue
            except AddressError as error:
                log.error(
                    "an address cannot be read",
                    receiver=receiver,
                    channel=number,
                    secret=str(error),
                )
            else:
                deliveries.check(address, report(receiver, number))


def _tell(panel: PanelClient, reason: str) -> None:
    panel.send({"type": "heartbeat", "ok": not reason, "reason": reason})
