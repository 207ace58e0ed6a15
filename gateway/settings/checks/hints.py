"""What works and could be better: shown by ``portier check``, never an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.settings.checks import hints_people
from gateway.settings.checks.draft import Draft, LinksDraft
from gateway.settings.checks.points import header_line
from gateway.settings.model.configuration import Retention
from gateway.settings.model.rooms import Room
from gateway.settings.values.reading import Loc, Part, place
from gateway.settings.values.store_address import LIMIT_BYTES

TITLES = frozenset({"herr", "frau", "mr", "mrs", "ms", "dr"})
"""Words that stand before a person's name."""


def hints(draft: Draft) -> tuple[str, ...]:
    """The hints in the order of the file. Only for a draft without problems."""
    found = [
        *_people(draft),
        *_cords(draft),
        *_told(draft),
        *_bench(draft),
        *_leafless(draft),
        *_holidays(draft),
        *_special_lines(draft),
        *link_hints(draft),
        *_keyless(draft),
        *_next_keys(draft),
    ]
    for section, name, loc, text in hints_people.found(draft):
        found.append(hint(getattr(draft, section)[name], loc, text))
    return lines(found)


Hint = tuple[str, int, int, str]


def lines(found: Iterable[Hint]) -> tuple[str, ...]:
    """Hints as texts, in the order of the file."""
    return tuple(f"{file}:{line}:{column}: {text}" for file, line, column, text in sorted(found))


def link_hints(draft: LinksDraft) -> list[Hint]:
    """Of what every sort of configuration has."""
    return [*_logs(draft), *_store_limit(draft), *_proxy(draft)]


def _logs(draft: LinksDraft) -> list[Hint]:
    """The roles only write logs; what removes them is the system's journal."""
    part = draft.retention
    if part is None or part.value is None or part.value.logs_ms == Retention().logs_ms:
        return []
    text = (
        "is done by the system's journal: write MaxRetentionSec= into "
        "/etc/systemd/journald.conf.d/50-portier.conf, then systemctl restart systemd-journald"
    )
    return [hint(part, ("logs",), text)]


def _store_limit(draft: LinksDraft) -> list[Hint]:
    """The size of other stores is not ours to limit."""
    part = draft.record
    record = None if part is None else part.value
    if part is None or record is None or record.limit_bytes == LIMIT_BYTES:
        return []
    if record.address.kind == "sqlite":
        return []
    text = f"has no effect: {record.address.kind} has limits of its own, set them there"
    if record.address.kind == "postgresql":
        text = "has no effect: what PostgreSQL stores is limited by retention, and by its disk"
    return [hint(part, ("limit",), text)]


def _proxy(draft: LinksDraft) -> list[Hint]:
    """Who ends TLS for a page that does not do so itself."""
    part = draft.web
    web = None if part is None else part.value
    if part is None or web is None or web.tls is not None or web.trusted_proxies:
        return []
    if not (web.public_url or "").startswith("https://"):
        return []
    text = (
        "is reached by a proxy: write trusted_proxies: [127.0.0.1], or wherever it is, else all "
        "its visitors count as one and cookies are not Secure"
    )
    return [hint(part, ("public_url",), text)]


def _keyless(draft: Draft) -> list[Hint]:
    """Whoever may publish on the topic of an issuer without a key speaks in its name."""
    part, gateway = draft.mqtt, draft.gateway
    if part is None or part.value is None or gateway is None or gateway.value is None:
        return []
    return [
        hint(
            part,
            ("issuers", name),
            "has no key, so it is heard on a topic of its own only: the broker's access list must "
            f"let it, and nobody else, write portier/{gateway.value.id}/issuer/{name}/command/#",
            at_key=True,
        )
        for name, issuer in part.value.issuers.items()
        if issuer.key is None
    ]


def _next_keys(draft: Draft) -> list[Hint]:
    """A change of keys has an end."""
    part = draft.mqtt
    if part is None or part.value is None:
        return []
    text = (
        "is for the time of a change: once a command signed with it has come, key is refused; "
        "then write this one as key and remove next_key"
    )
    return [
        hint(part, ("issuers", name, "next_key"), text)
        for name, issuer in part.value.issuers.items()
        if issuer.next_key is not None
    ]


def hint(part: Part[Any], loc: Loc, text: str, *, at_key: bool = False) -> Hint:
    """A hint at a value of a part."""
    mark, key = place(part, loc, at_key=at_key)
    return (mark.file, mark.line, mark.column, f"{key}: {text}")


def _person(*names: str | None) -> bool:
    words = [w for name in names for w in re.split(r"[\W_\d]+", (name or "").casefold())]
    return any(word in TITLES for word in words)


def _people(draft: Draft) -> list[Hint]:
    """A log of who came when must not begin by accident."""
    activators = {
        activator.point
        for door in draft.doors.values()
        if door.value is not None
        for activator in door.value.activators
    }
    found = []
    for name in sorted(activators):
        part = draft.points[name]
        label = part.value.options.label if part.value is not None else None
        if _person(name, label):
            text = (
                "is an activator and sounds like a person: every use would be kept under that "
                "name; name the place or the device instead"
            )
            found.append(hint(part, (), text))
    for contact in draft.contacts.values():
        if contact.value is not None and _person(contact.key, contact.value.name):
            text = "sounds like a person; name the function instead, such as caretaker"
            found.append(hint(contact, (), text))
    return found


def _cords(draft: Draft) -> list[Hint]:
    found = []
    for room in draft.rooms.values():
        for cord in room.value.cord if room.value is not None else ():
            point = draft.points[cord]
            if getattr(getattr(point.value, "settings", None), "wiring", "") == "normally_open":
                text = "is a cord wired normally open: a cut wire is silence, not a call"
                found.append(hint(point, ("wiring",), text))
        found += _unwired(draft, room)
    return found


def _unwired(draft: Draft, room: Part[Room]) -> list[Hint]:
    cords = room.value.cord if room.value is not None else ()
    points = [point for cord in cords if (point := draft.points[cord].value) is not None]
    if not points or any(point.trust == "wired" for point in points):
        return []
    text = "has no wired cord: a call depends on batteries and radio; wire at least one"
    return [hint(room, ("cord",), text, at_key=True)]


def _told(draft: Draft) -> list[Hint]:
    """What is reported over the broker, and opens a door."""
    activators = {a.point for d in draft.doors.values() if d.value for a in d.value.activators}
    found = []
    for name in sorted(activators):
        part = draft.points[name]
        if part.value is None or not part.value.driver.startswith("mqtt_"):
            continue
        text = "is an activator over MQTT: whoever may publish there opens the door"
        found.append(hint(part, ("driver",), text))
    return found


def _bench(draft: Draft) -> list[Hint]:
    real = [
        part
        for part in draft.points.values()
        if part.value is not None and not part.value.driver.startswith("simulated")
    ]
    if not draft.bench() or not real:
        return []
    text = "is a real terminal on a bench, whose clock may be made to jump"
    return [hint(part, ("driver",), text) for part in real]


def _leafless(draft: Draft) -> list[Hint]:
    found = []
    for part in draft.doors.values():
        if part.value is not None and part.value.leaf is None:
            text = "has no leaf contact: nobody can tell whether a press opened it"
            found.append(hint(part, (), text))
    return found


SPECIAL_LINES = {
    "gpio0": "is read at the start by boards with an EEPROM",
    "gpio1": "is read at the start by boards with an EEPROM",
    "gpio2": "has a fixed pull-up resistor and is the data line of I²C bus 1",
    "gpio3": "has a fixed pull-up resistor and is the clock line of I²C bus 1",
    "gpio14": "is the serial console unless that is switched off",
    "gpio15": "is the serial console unless that is switched off",
}
"""Lines of the header that have a second meaning."""


def _special_lines(draft: Draft) -> list[Hint]:
    found = []
    for part in draft.points.values():
        line = header_line(part.value) if part.value is not None else ""
        text = SPECIAL_LINES.get(line)
        if text is not None:
            found.append(hint(part, (), f"{line.upper()} {text}; better take another terminal"))
    return found


def _holidays(draft: Draft) -> list[Hint]:
    region = draft.gateway.value.holidays if draft.gateway and draft.gateway.value else None
    found = []
    for part in draft.doors.values():
        plan = part.value.schedule if part.value is not None else None
        if plan and region is not None and not plan.of("holiday"):
            text = f"says nothing about holidays: those of {region} are days like any other"
            found.append(hint(part, ("schedule",), text, at_key=True))
    return found
