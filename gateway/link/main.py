"""The ``link`` role: put the parts together and run until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

import structlog

from gateway.journal.queries.reader import Reader
from gateway.link.commands import Issuer
from gateway.link.discovery import UNDESCRIBED, Described
from gateway.link.link import Clocks, Link, subscriptions
from gateway.link.mqtt import Connection, Inbox, Will
from gateway.link.points import Listening
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.topics import Topics
from gateway.panel import time_service
from gateway.panel.client import PanelClient

log = structlog.get_logger("link")


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What the configuration says about the way out."""

    gateway: str
    broker: BrokerSettings
    state: Path
    """The folder of ``journal.sqlite`` and ``panel.sock``."""
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    """Who may command, with the keys of those who must sign; none: the broker's ACL decides."""
    language: str = ""
    """Home Assistant is told what there is, in this language; empty: it is not."""
    bench: bool = False
    """Nothing but simulated points: the clock is trusted without a time service."""
    listens: tuple[Listening, ...] = ()
    """Points whose values come over MQTT."""
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Point -> the door or room that it is in."""
    described: Described = UNDESCRIBED
    """What Home Assistant is told of the configuration."""
    zone: tzinfo = UTC
    """The gateway's time zone."""


def run(
    settings: LinkSettings,
    stop: threading.Event,
    trusted: Callable[[], bool | None] = time_service.trusted,
) -> None:
    """Forward and command until ``stop`` is set."""
    inbox = Inbox()
    topics = Topics(settings.gateway)
    connection = Connection(
        settings.broker,
        Will(topics.availability, b"offline"),
        subscriptions(topics, home_assistant=bool(settings.language)),
        inbox,
    )
    connection.subscribe({point.topic for point in settings.listens})
    panel = PanelClient(settings.state / "panel.sock", "link", inbox.post)
    reader = Reader(settings.state / "journal.sqlite")
    link = Link(
        settings.gateway,
        inbox,
        connection,
        panel,
        reader,
        settings.state,
        Clocks(trusted=(lambda: True) if settings.bench else trusted),
        settings.issuers,
        settings.language,
        settings.broker.keepalive_s * 1000,
        settings.places,
        settings.described,
        settings.zone,
    )
    link.listen(settings.listens)
    log.info("forwarding", gateway=settings.gateway, host=settings.broker.host)
    panel.start()
    try:
        link.run(stop)
    finally:
        connection.close()
        panel.close()
        reader.close()
