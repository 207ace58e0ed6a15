"""Writes the text of a first configuration from a list of terminals.

A list has one line for each thing; what follows ``#`` is a comment:

    gateway csg-office "Geschäftsstelle"
    door front "Haupteingang"
    room wc "Barrierefreies WC"
    GPIO17 front.button_outside "X1:2 Taster außen"
    GPIO27 front.activation
    GPIO22 wc.cord

Only the gateway and terminals are needed: a door or room without a line of its own has its id as
name. The written text passes the same checks as every configuration.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.settings.model.configuration import Gateway
from gateway.settings.model.limits import PULSE_MS
from gateway.settings.values.problems import suggest

TIMEZONE: Final[str] = Gateway.model_fields["timezone"].default


@dataclass(frozen=True, slots=True)
class Use:
    """What a terminal is used for. ``question``: how it is asked for. ``key``: its key in the door
    or room; empty: it is an activator with the settings ``activator``. ``wiring``: of a contact;
    empty: it is a relay with the further settings ``relay``. ``many``: the key takes a list."""

    question: str
    key: str
    wiring: str = ""
    activator: str = ""
    relay: str = ""
    many: bool = False


OPEN, CLOSED = "normally_open", "normally_closed"
LASTING = ", max_on: unlimited"
DOOR: Final[Mapping[str, Use]] = {
    "activation": Use("the relay that makes the door operator open", "activation"),
    "hold_open": Use("the relay that holds the door open", "hold_open", relay=LASTING),
    "leaf": Use("the reed contact of the leaf, closed while the door is closed", "leaf", CLOSED),
    "button_inside": Use("the button inside", "", OPEN, "kind: button, side: inside"),
    "button_outside": Use("the button outside", "", OPEN, "kind: button, side: outside"),
    "remote": Use(
        "the receiver of the radio remote", "", OPEN, "kind: remote, side: outside, hold_open: 20 s"
    ),
    "key_switch": Use("the key switch", "", OPEN, "kind: key_switch, side: outside"),
}
"""Name of a role of a terminal at a door -> its use, in the order in which they are asked for."""
ROOM: Final[Mapping[str, Use]] = {
    "cord": Use("the emergency pull cord, closed at rest", "cord", CLOSED, many=True),
    "cancel": Use("the button in the room that ends a call", "cancel", OPEN),
    "presence": Use("the button that staff press when they have arrived", "presence", OPEN),
    "lamp": Use("the reassurance lamp beside the caller", "reassurance", relay=LASTING),
    "room_lamp": Use("the lamp over the door of the room", "lamp", relay=LASTING),
    "sounder": Use("the sounder", "sounder", relay=LASTING),
    "pir": Use("the motion sensor, closed at rest", "motion", CLOSED, many=True),
    "door": Use("the reed contact of the room's door, closed while it is closed", "door", CLOSED),
    "leak": Use("the water sensor", "leak", OPEN),
}
"""The same for a room."""
ALL: Final[Mapping[str, Use]] = {**DOOR, **ROOM}
FIRST_PIN, LAST_PIN = 2, 27
"""Of the 40-pin header of a Raspberry Pi; GPIO0 and GPIO1 are for the chip of an add-on board."""


class ListError(ValueError):
    """The list cannot be read; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """One line about a terminal. ``pin``: such as ``GPIO17``; ``owner``: the id of its door or
    room; ``role``: a name in :data:`DOOR` or :data:`ROOM`."""

    pin: str
    owner: str
    role: str
    label: str = ""


@dataclass(slots=True)
class Plan:
    """The content of a list. ``names``: id of a door or room -> what people call it."""

    id: str = ""
    name: str = ""
    timezone: str = TIMEZONE
    holidays: str = ""
    names: dict[str, str] = field(default_factory=dict)
    terminals: list[Terminal] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Take one line of the list. Raises :class:`ListError`; then nothing has changed."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ListError(f"{line.strip()!r} has a quotation mark without its second") from error
        if not words:
            return
        first, rest = words[0], words[1:]
        if first in ("gateway", "door", "room"):
            if not 1 <= len(rest) <= 2:
                raise ListError(f'write: {first} ID "NAME"')
            name = rest[-1]
            if first == "gateway":
                self.id, self.name = rest[0], name
            else:
                self.names[rest[0]] = name
        elif first in _OF_GATEWAY:
            if len(rest) != 1:
                raise ListError(f"write: {first} {_OF_GATEWAY[first]}")
            setattr(self, first, rest[0])
        else:
            self._add_terminal(pin(first), rest)

    def _add_terminal(self, where: str, rest: list[str]) -> None:
        if not 1 <= len(rest) <= 2 or rest[0].count(".") != 1:
            raise ListError(f'write: {where} front.button_outside "X1:2 Taster außen"')
        owner, role = rest[0].split(".")
        if role not in ALL:
            remedy = suggest(role, ALL, "known are")
            raise ListError(f"{role!r} is no role of a terminal; {remedy}")
        for one in self.terminals:
            if one.pin == where:
                raise ListError(f"{where} is {one.owner}.{one.role} already; take another terminal")
            if (one.owner, one.role) == (owner, role):
                raise ListError(f"{owner}.{role} is at {one.pin} already; remove one of the two")
        label = rest[1] if len(rest) > 1 else ""
        self.terminals.append(Terminal(where, owner, role, label))

    def check(self) -> None:
        """Check that nothing is missing. Raises :class:`ListError`."""
        if not self.id:
            raise ListError('no line names the gateway; write: gateway csg-office "Office"')
        if not self.terminals:
            raise ListError("no line names a terminal; write: GPIO17 front.button_outside")
        for owner in dict.fromkeys(one.owner for one in self.terminals):
            roles = self.roles(owner)
            if roles & set(DOOR) and roles & set(ROOM):
                raise ListError(f"{owner} has roles of a door and of a room; give each its own id")
            if roles & set(DOOR) and "activation" not in roles:
                raise ListError(f"nothing opens the door {owner}; write: GPIO… {owner}.activation")

    def roles(self, owner: str) -> set[str]:
        """The roles that terminals of this door or room have."""
        return {one.role for one in self.terminals if one.owner == owner}

    def owners(self, roles: Mapping[str, Use]) -> list[str]:
        """The doors, for :data:`DOOR`, or the rooms, in the order of the list."""
        return list(dict.fromkeys(one.owner for one in self.terminals if one.role in roles))


_OF_GATEWAY = {"timezone": TIMEZONE, "holidays": "DE-SN"}


def read(lines: Iterable[str]) -> Plan:
    """Read a list of terminals. Raises :class:`ListError`."""
    plan = Plan()
    for number, line in enumerate(lines, 1):
        try:
            plan.add(line)
        except ListError as error:
            raise ListError(f"line {number}: {error}") from None
    plan.check()
    return plan


def pin(text: str) -> str:
    """``GPIO17`` for ``17``, ``gpio17`` or ``GPIO17``. Raises :class:`ListError`."""
    number = text.upper().removeprefix("GPIO")
    if not re.fullmatch("[0-9]{1,2}", number) or not FIRST_PIN <= int(number) <= LAST_PIN:
        raise ListError(
            f"{text!r} is no terminal; write GPIO{FIRST_PIN} to GPIO{LAST_PIN}, as on the board"
        )
    return f"GPIO{int(number)}"


def text(plan: Plan) -> str:
    """The configuration as YAML, with comments for whoever edits it next."""
    parts = [_HEAD, f"gateway:\n  id: {plan.id}\n  name: {_quoted(plan.name)}\n"]
    parts.append(f"  timezone: {plan.timezone}\n")
    parts.append(f"  holidays: {plan.holidays}\n" if plan.holidays else _HOLIDAYS)
    parts.append("  languages: [de, en]\n\npoints:\n")
    for one in plan.terminals:
        use = ALL[one.role]
        label = f", label: {_quoted(one.label)}" if one.label else ""
        driver = f"gpio_contact, pin: {one.pin}, wiring: {use.wiring}"
        if not use.wiring:
            driver = f"gpio_relay, pin: {one.pin}{use.relay}"
        parts.append(f"  {one.owner}.{one.role}: {{driver: {driver}{label}}}\n")
    for title, roles in (("doors", DOOR), ("rooms", ROOM)):
        owners = plan.owners(roles)
        if owners:
            parts.append(f"\n{title}:\n")
        for owner in owners:
            parts += _owner(plan, owner, roles)
    return "".join([*parts, _REST])


def _owner(plan: Plan, owner: str, roles: Mapping[str, Use]) -> list[str]:
    parts = [f"  {owner}:\n    name: {_quoted(plan.names.get(owner, owner))}\n"]
    has = plan.roles(owner)
    for role, use in roles.items():
        point = f"{owner}.{role}"
        if role not in has or not use.key:
            continue
        if role == "activation":
            parts.append(f"    activation: {{point: {point}, pulse: {PULSE_MS} ms}}\n")
        else:
            parts.append(f"    {use.key}: {f'[{point}]' if use.many else point}\n")
    activators = [role for role, use in roles.items() if role in has and use.activator]
    if activators:
        parts.append("    activators:\n")
    for role in activators:
        parts.append(f"      - {{point: {owner}.{role}, {roles[role].activator}}}\n")
    return parts + ([_SCHEDULE] if roles is DOOR else [])


def _quoted(text: str) -> str:
    """A text in quotation marks, as in JSON, which YAML reads, too."""
    return json.dumps(text, ensure_ascii=False)


_HEAD = """\
# yaml-language-server: $schema=schema.json
# Written by `portier init`. Check every change before you start it: portier check FILE
# Everything that can be set, with comments: config/office.yaml of the release.
#
# Portier is supplementary: the door operator keeps its own safety sensors, a certified call
# system its own wires. Contacts are potential-free; never connect a voltage.

"""
_HOLIDAYS = "  # holidays: DE-SN             # public holidays of a country or state\n"
_SCHEDULE = """\
    # automatic: everybody; exit_only: from inside; hold_open: stays open; night: keys and staff
    schedule:
      mon-fri 07:00-18:00: automatic
      otherwise: night
    egress: always                # the way out is free in every mode but off
"""
_REST = """
# The installer makes these certificates; paths count from the folder of this file.
mqtt:
  host: localhost
  port: 8883
  tls: {ca: tls/ca.pem, cert: tls/gateway.pem, key: tls/gateway.key}
record:
  store: sqlite
  tls: {ca: tls/ca.pem, cert: tls/recorder.pem, key: tls/recorder.key}
web:
  listen: 127.0.0.1:8080
"""
