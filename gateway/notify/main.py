"""The ``notify`` role: put the parts together and run until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.notify import channels
from gateway.notify.heartbeat import Heartbeat
from gateway.notify.role import Notify
from gateway.notify.texts import House
from gateway.panel.client import PanelClient
from gateway.panel.tickets import Tickets

log = structlog.get_logger("notify")


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """What the configuration says about who is told, and how."""

    house: House
    state: Path
    """The folder of ``panel.sock`` and of the key of the links."""
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    heartbeat: str | None = field(default=None, repr=False)
    heartbeat_every_s: float = 300.0


def run(settings: NotifySettings, stop: threading.Event) -> None:
    """Tell people until ``stop`` is set."""
    panel: PanelClient
    heartbeat: Heartbeat | None = None

    def received(message: dict[str, object]) -> None:
        notify.inbox.put(message)

    panel = PanelClient(settings.state / "panel.sock", "notify", received)
    tickets = Tickets(settings.state)
    notify = Notify(settings.house, settings.addresses, tickets, panel, channels.send)
    if settings.heartbeat is not None:
        heartbeat = Heartbeat(
            settings.heartbeat,
            settings.heartbeat_every_s,
            alive=lambda: panel.connected,
            told=lambda reason: _tell(panel, reason),
        )
    log.info("telling", receivers=len(settings.addresses), heartbeat=heartbeat is not None)
    panel.start()
    if settings.addresses:
        channels.warm()
        for receiver, addresses in settings.addresses.items():
            for number, address in enumerate(addresses):
                if address and not channels.understood(address):
                    log.error("address not understood", receiver=receiver, channel=number)
    if heartbeat is not None:
        heartbeat.start()
    try:
        notify.run(stop)
    finally:
        if heartbeat is not None:
            heartbeat.close()
        panel.close()


def _tell(panel: PanelClient, reason: str) -> None:
    panel.send({"type": "heartbeat", "ok": not reason, "reason": reason})
