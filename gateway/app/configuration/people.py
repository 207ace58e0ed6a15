"""Who is told, from the configuration: addresses are read here, for ``notify`` alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from gateway.notify.addresses import Accounts, AddressError, reader
from gateway.notify.texts import House
from gateway.settings.model.configuration import Settings

NOTHING_TO_DO = 69
"""Exit status of the role where nobody is to be told anything (EX_UNAVAILABLE)."""


def house(settings: Settings) -> House:
    """What messages say of the building."""
    gateway, web = settings.gateway, settings.web
    return House(
        name=gateway.name,
        languages=tuple(gateway.languages),
        timezone=gateway.timezone,
        page=web.public_url.rstrip("/") if web is not None and web.public_url else None,
        watches={
            name: {str(language): text for language, text in watch.texts.items()}
            for name, watch in settings.watch.items()
        },
    )


def judge(address: str) -> bool:
    """Whether messages can go to this address."""
    from gateway.notify import channels

    return channels.understood(address)


def unheard(settings: Settings) -> list[str]:
    """The rooms whose calls are announced to nobody outside of them."""
    return [
        name
        for name, room in settings.rooms.items()
        if room.cord and (room.escalation is None or not settings.contacts)
    ]


def run(settings: Settings, state: Path, stop: threading.Event) -> int:
    """Be ``notify`` until ``stop`` is set; the exit status."""
    from gateway.notify.main import NotifySettings
    from gateway.notify.main import run as tell

    heartbeat = settings.heartbeat
    if not settings.contacts and heartbeat is None:
        rooms = ", ".join(unheard(settings))
        calls = f"; nobody outside hears of a call in {rooms}" if rooms else ""
        sys.stderr.write(f"no messages are sent: there are no contacts: and no heartbeat:{calls}\n")
        return NOTHING_TO_DO
    accounts = Accounts.of(settings.messages)
    tell(
        NotifySettings(
            house(settings),
            state,
            {
                name: tuple(reader(secret, accounts) for secret in contact.channels)
                for name, contact in settings.contacts.items()
            },
            None if heartbeat is None else reader(heartbeat.url),
            300.0 if heartbeat is None else heartbeat.every_ms / 1000,
            bench=settings.gateway.bench,
        ),
        stop,
    )
    return 0


def try_out(settings: Settings, receiver: str) -> Iterator[tuple[int, str]]:
    """Send a test message by hand over every channel of a contact: (channel, what failed)."""
    from gateway.notify import texts
    from gateway.notify.deliveries import Deliveries

    text = texts.build(house(settings), "test", {}, by_hand=True)
    deliveries = Deliveries()
    try:
        for number, secret in enumerate(settings.contacts[receiver].channels):
            try:
                address = reader(secret, Accounts.of(settings.messages))()
            except AddressError as error:
                yield number, str(error)
            else:
                yield number, deliveries.send_and_wait(address, text)
    finally:
        deliveries.close()
