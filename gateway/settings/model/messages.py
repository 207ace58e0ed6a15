"""Messages by the clock: the weekly test and the summary."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from gateway.settings.values.problems import suggest
from gateway.settings.values.types import Duration, Id, Label, Model, SecretValue, wrong
from gateway.settings.values.weekly import DAYS, days_of

_AT = re.compile(r"([a-z,\s-]+?)\s+([0-9]{1,2}):([0-9]{2})\Z")

Moments = tuple[tuple[int, ...], int]
"""Days of the week (0 is Monday), and the minute of the day."""


def _moments(value: object) -> Moments:
    if isinstance(value, tuple):
        return value
    text = value.strip() if isinstance(value, str) else ""
    match = _AT.match(text)
    if match is None:
        raise wrong(f"{text[:40]!r} is no day and time", "write for example mon 08:00")
    days: set[int] = set()
    for word in re.split(r"[,\s]+", match[1].strip()):
        if word == "daily":
            days.update(range(7))
            continue
        try:
            days |= days_of(word)
        except ValueError as error:
            raise wrong(str(error), suggest(word, (*DAYS, "daily"))) from None
    minute = int(match[2]) * 60 + int(match[3])
    if int(match[3]) > 59 or minute >= 1440:
        raise wrong(f"{match[2]}:{match[3]} is no time of day", "times go from 00:00 to 23:59")
    return (tuple(sorted(days)), minute)


MomentsField = Annotated[
    Moments,
    BeforeValidator(_moments),
    WithJsonSchema({"type": "string", "pattern": r"^[a-z, -]+ \d{1,2}:\d{2}$"}),
]


class TestMessage(Model):
    """A message that wants to be confirmed, so that a way that is broken is found in time."""

    __test__ = False  # not a test class, whatever its name says to pytest

    notify: tuple[Id, ...]
    """Whom; no unit, names under contacts."""
    at: MomentsField = ((0,), 480)
    """When; no unit, days and a time such as mon 08:00."""
    confirm_within_ms: Duration = 86_400_000
    """Not confirmed after this time is a fault; a duration."""


class Summary(Model):
    """What is on the alarm list, whatever its severity."""

    notify: tuple[Id, ...]
    """Whom; no unit, names under contacts."""
    at: MomentsField = ((0,), 420)
    """When; no unit, days and a time such as mon 07:00."""


class Messages(Model):
    """The messages by the clock, and over which accounts of the building they go to addresses
    that were entered on the page."""

    test: TestMessage | None = Field(default=None)
    """The weekly test; no unit. None: no test."""
    summary: Summary | None = Field(default=None)
    """The weekly summary; no unit. None: no summary."""
    mail: SecretValue | None = None
    """The account that sends e-mail; no unit, !secret and the name of a file with an address of
    Apprise that has {to} where the recipient goes."""
    sms: SecretValue | None = None
    """The gateway or provider that sends SMS; no unit, likewise."""
    telegram: SecretValue | None = None
    """The bot that sends to Telegram; no unit, likewise."""
    page_hosts: tuple[Label, ...] = ()
    """Machines that an address from the page may name although they are this one or a service of
    its network; no unit, names or numbers. Nothing if it is not written."""
