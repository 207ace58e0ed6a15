"""Who is told, from the configuration: addresses are read here, for ``notify`` alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.notify.addresses import Accounts, Address, AddressError, reader
from gateway.notify.texts import Sender
from gateway.settings.model.configuration import Settings
from gateway.settings.model.rooms import Contact

if TYPE_CHECKING:
    from gateway.notify.deliveries import Deliveries
    from gateway.notify.devices import Devices

NOTHING_TO_DO = 69
"""Exit status of the role where nobody is to be told anything (EX_UNAVAILABLE)."""


def sender(settings: Settings) -> Sender:
    """What messages say of the building."""
    gateway, web = settings.gateway, settings.web
    return Sender(
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


def devices(settings: Settings, config: Path, state: Path) -> Devices:
    """Where push messages go."""
    # Late: each role imports this file, and its log would come before the settings of logs.
    from gateway.notify.devices import Devices, PushSettings

    push, web = settings.push, settings.web
    host = urlsplit(web.public_url).hostname if web is not None and web.public_url else None
    mail = push.mail or f"portier@{host or 'portier.invalid'}"
    ca = config.absolute().parent / push.ca if push.ca else None
    return Devices(state, PushSettings(push.hosts, ca, mail))


def ways(contact: Contact, accounts: Accounts, push: Devices) -> tuple[Address, ...]:
    """How a contact is reached, by channel."""
    from gateway.notify.devices import PushWay

    found: list[Address] = [reader(secret, accounts) for secret in contact.channels]
    if contact.push is not None:
        found.append(PushWay(push, contact.push))
    return tuple(found)


def run(settings: Settings, config: Path, state: Path, stop: threading.Event) -> int:
    """Be ``notify`` until ``stop`` is set; the exit status."""
    from gateway.notify.main import NotifySettings
    from gateway.notify.main import run as tell

    heartbeat = settings.heartbeat
    if not settings.contacts and heartbeat is None:
        rooms = ", ".join(unheard(settings))
        calls = f"; nobody outside hears of a call in {rooms}" if rooms else ""
        sys.stderr.write(f"no messages are sent: there are no contacts: and no heartbeat:{calls}\n")
        return NOTHING_TO_DO
    push = devices(settings, config, state)
    accounts = Accounts.of(settings.messages)
    tell(
        NotifySettings(
            sender(settings),
            state,
            {name: ways(one, accounts, push) for name, one in settings.contacts.items()},
            None if heartbeat is None else (reader(heartbeat.url), heartbeat.every_ms / 1000),
            devices=push if settings.contacts and settings.web is not None else None,
            bench=settings.gateway.bench,
        ),
        stop,
    )
    return 0


def try_out(
    settings: Settings, config: Path, state: Path, receiver: str
) -> Iterator[tuple[int, str]]:
    """Send a test message by hand over every channel of a contact: (channel, what failed)."""
    from gateway.notify import texts
    from gateway.notify.deliveries import Deliveries
    from gateway.notify.devices import PushWay

    text = texts.build(sender(settings), "test", {}, by_hand=True)
    deliveries, push = Deliveries(), devices(settings, config, state)
    try:
        accounts = Accounts.of(settings.messages)
        for number, way in enumerate(ways(settings.contacts[receiver], accounts, push)):
            try:
                address = way()
                if isinstance(way, PushWay):
                    payload = texts.push(sender(settings), "test", {})
                    yield number, _try_push(deliveries, push, way.whom, payload)
                    continue
            except AddressError as error:
                yield number, str(error)
            else:
                yield number, deliveries.send_and_wait(address, text)
    finally:
        deliveries.close()


def _try_push(deliveries: Deliveries, push: Devices, whom: str, payload: str) -> str:
    """To each device; what failed, where none has taken it."""
    reasons = []
    for device in push.to(whom):
        address = push.address(device)
        reasons.append(deliveries.wait(partial(deliveries.push, address, payload)))
    return "" if "" in reasons else ", ".join(reasons)
