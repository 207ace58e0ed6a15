"""Points: each there, of the right kind, used by somebody, and by nobody else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.point_roles import ALL, DOOR, FIRE, ROOM, TOGETHER, WATCHED, PointRole
from gateway.settings.checks.draft import Draft
from gateway.settings.model.configuration import Point
from gateway.settings.model.drivers import words
from gateway.settings.model.named_points import points_of
from gateway.settings.values.problems import near, suggest
from gateway.settings.values.reading import Loc, Part
from gateway.settings.values.types import POINT_PATTERN


@dataclass(frozen=True, slots=True)
class Use:
    """Somebody names a point."""

    point: str
    role: str
    kinds: tuple[str, ...]
    owner: str
    part: Part[Any]
    loc: Loc


def uses(draft: Draft) -> Iterator[Use]:
    """Every place where a point is named."""
    for name, door in draft.doors.items():
        yield from _uses(f"doors.{name}", door, DOOR)
    for name, room in draft.rooms.items():
        yield from _uses(f"rooms.{name}", room, ROOM)
    for name, watch in draft.watch.items():
        yield from _uses(f"watch.{name}", watch, (WATCHED,))
    if draft.house is not None:
        yield from _uses("fire", draft.house, (FIRE,))


def _uses(owner: str, part: Part[Any], roles: Iterable[PointRole]) -> Iterator[Use]:
    if part.value is not None:
        for role, point, loc in points_of(part.value, roles):
            yield Use(point, role.name, role.kinds, owner, part, loc)


def check(draft: Draft) -> None:
    """Report everything that is wrong with the points and with the use of them."""
    found = list(uses(draft))
    _existing(draft, found)
    _conflicts(draft, found)
    _unused(draft, {use.point for use in found})
    _pins(draft)
    _header_lines(draft)
    _simulated(draft)
    _references(draft)


def _existing(draft: Draft, found: list[Use]) -> None:
    for use in found:
        if use.point not in draft.points:
            fitting = [
                name
                for name, part in draft.points.items()
                if part.value is None or part.value.kind in use.kinds
            ]
            draft.report(
                use.part,
                use.loc,
                f"there is no point {use.point}",
                suggest(use.point, fitting or draft.points, "the points are")
                + " (points are listed under points:)",
            )
            continue
        point = draft.points[use.point].value
        if point is not None and point.kind not in use.kinds:
            wanted = " or ".join(use.kinds)
            draft.report(
                use.part,
                use.loc,
                f"{use.point} is a {point.kind}, {use.role} wants a {wanted}",
                f"name a {wanted}, or change the driver of {use.point}",
            )


def _conflicts(draft: Draft, found: list[Use]) -> None:
    first: dict[str, list[Use]] = {}
    for use in found:
        point = draft.points.get(use.point)
        if use.role == "watched" or point is None:
            continue
        if point.value is not None and point.value.kind not in use.kinds:
            continue
        for other in first.get(use.point, []):
            same = use.role == other.role
            if same and ALL[use.role].shared and (use.owner != other.owner or use.role == "fire"):
                continue
            if frozenset({use.role, other.role}) in TOGETHER:
                continue
            draft.report(
                use.part,
                use.loc,
                f"{use.point} is {other.role} of {other.owner} already",
                "each terminal has one meaning: give this one a point of its own",
            )
            break
        first.setdefault(use.point, []).append(use)


def _unused(draft: Draft, used: set[str]) -> None:
    """A name that is misspelt where it is used is told there, and not here again."""
    unknown = {name for name in used | draft.uncertain if name not in draft.points}
    used = used | {best for name in unknown if (best := near(name, draft.points))}
    for name, part in draft.points.items():
        if not re.match(POINT_PATTERN, name):
            continue  # nobody could use it, and that has been told
        if name not in used and name not in draft.uncertain:
            draft.reading.problem(
                part.mark,
                part.key,
                "is used by nobody",
                "name it under doors, rooms, fire or watch, or remove the line",
            )


def _pins(draft: Draft) -> None:
    """One terminal, one point; the same sensor twice is one sensor."""
    taken: dict[object, str] = {}
    for name, part in draft.points.items():
        point = part.value
        if point is None or point.driver.startswith("simulated"):
            continue
        key = _terminal(point)
        if key is None:
            continue
        if key in taken:
            draft.report(
                part,
                (_terminal_field(part),),
                f"is the terminal of {taken[key]} already",
                "every point has a terminal of its own: check the wiring list",
            )
        taken.setdefault(key, name)
    _shared_pins(draft, taken)
    _bus_lines(draft)


BUS_PINS: Mapping[int, tuple[str, str]] = {0: ("gpio0", "gpio1"), 1: ("gpio2", "gpio3")}
"""I²C bus -> its lines on the header."""
SERIAL_PORTS = frozenset({"/dev/ttyAMA0", "/dev/ttyS0", "/dev/serial0"})
SERIAL_PINS = ("gpio14", "gpio15")


def occupied(draft: Draft) -> Mapping[str, str]:
    """Lines of the header that a bus or serial port of this configuration uses -> what uses
    them."""
    lines: dict[str, str] = {}
    for name, part in draft.points.items():
        settings = part.value.settings if part.value is not None else None
        bus, port = getattr(settings, "bus", None), getattr(settings, "port", None)
        for line in BUS_PINS.get(bus, ()) if isinstance(bus, int) else ():
            lines.setdefault(line, f"I²C bus {bus} of {name}")
        for line in SERIAL_PINS if port in SERIAL_PORTS else ():
            lines.setdefault(line, f"the serial port {port} of {name}")
    return lines


def header_line(point: Point) -> str:
    """The line of the header that a point is wired to, such as ``gpio17``; empty: none."""
    values = {f.name: getattr(point.settings, f.name) for f in dataclasses.fields(point.settings)}
    for name, meaning in words(type(point.settings)).items():
        if "pin" in meaning and not values.get("chip"):
            return _pin(str(values[name]))
    return ""


_NUMBERED = re.compile(r"\s*(?:GPIO|BCM|BOARD|J8:)?\s*-?\d+\s*", re.IGNORECASE)
"""A pin that is meant to be one of the header: its number there, in one of the ways to write it."""


def _header_lines(draft: Draft) -> None:
    """A number without a chip is one of the header's lines, and which it has is known. A name may
    be that of a line of any chip."""
    for part in draft.points.values():
        if part.value is None or part.value.driver.startswith("simulated"):
            continue
        settings = part.value.settings
        for field, meaning in words(type(settings)).items():
            own = "pin" in meaning and not getattr(settings, "chip", "")
            text = str(getattr(settings, field)) if own or "shared pin" in meaning else ""
            if field not in (part.node.entries or {}) or not (own or text):
                continue
            if _pin(text) in LINES or draft.may_stay("line of the header", part.value.name):
                continue
            if own and not _NUMBERED.fullmatch(text):
                continue  # the name of a line: whichever chip has it
            other = "; a line of another chip needs chip: as well" if own else ""
            draft.report(
                part,
                (field,),
                f"the header has no line {text[:60]!r}",
                f"write GPIO2 to GPIO27, or its number on the header, such as J8:11{other}",
            )


def _bus_lines(draft: Draft) -> None:
    """A line of a bus cannot be a contact or relay as well."""
    lines = occupied(draft)
    for part in draft.points.values():
        if part.value is None or part.value.driver.startswith("simulated"):
            continue
        user = lines.get(header_line(part.value))
        if user is not None and not draft.may_stay("line of a bus", part.value.name):
            draft.report(
                part,
                (_terminal_field(part),),
                f"is a line of {user}",
                "wire it to another terminal",
            )


def _shared_pins(draft: Draft, taken: Mapping[object, str]) -> None:
    """A line that the points of one chip share is nobody else's, and the chip has no other."""
    chips: dict[object, tuple[str, object]] = {}
    lines: dict[object, tuple[str, object]] = {}
    for name, part in draft.points.items():
        if part.value is None:
            continue
        settings = part.value.settings
        for field, meaning in words(type(settings)).items():
            if "shared pin" not in meaning or not getattr(settings, field):
                continue
            line = ("", _pin(str(getattr(settings, field))))
            chip = _marked(settings, {"chip"})
            owner, theirs = chips.setdefault(line, (name, chip))
            first, other = lines.setdefault(chip, (name, line))
            message = ""
            if line in taken:
                message = f"is the terminal of {taken[line]} already"
            elif theirs != chip:
                message = f"is the line of another chip already, see {owner}"
            elif other != line:
                message = f"is another line than that of {first}, which is on the same chip"
            if message:
                draft.report(
                    part, (field,), message, "each chip has one line of its own: check the wiring"
                )


def _terminal_field(part: Part[Point]) -> str:
    """The key at which to say that a terminal is another's: one that is written."""
    meanings = words(type(part.value.settings)) if part.value is not None else {}
    pins = [name for name, meaning in meanings.items() if "pin" in meaning]
    terminals = [name for name, meaning in meanings.items() if meaning & {"terminal", "chip"}]
    written = part.node.entries or {}
    return next((name for name in pins + terminals if name in written), "driver")


def _terminal(point: Point) -> object:
    settings = point.settings
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    for name, meaning in words(type(settings)).items():
        if "pin" in meaning:
            return (str(values.get("chip", "")), _pin(str(values[name])))
    if together := _marked(settings, {"chip", "terminal"}):
        return together
    return (point.driver, repr(settings)) if values else None


def _marked(settings: Any, marks: set[str]) -> tuple[tuple[str, object], ...]:
    """The settings that name a chip, or a terminal of a chip, with their values."""
    meanings = words(type(settings)).items()
    return tuple(sorted((n, getattr(settings, n)) for n, meaning in meanings if meaning & marks))


HEADER = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
    21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19,
    36: 16, 37: 26, 38: 20, 40: 21,
}  # fmt: skip
"""The Raspberry Pi's 40 pins: the number on the header and the GPIO behind it."""
LINES = frozenset(f"gpio{number}" for number in HEADER.values())
"""The lines that the header has."""


def _pin(text: str) -> str:
    """``GPIO17``, ``BCM17``, ``17``, ``J8:11`` and ``BOARD11`` are one line of the header."""
    folded = text.casefold()
    match = re.fullmatch(r"(gpio|bcm|j8:|board)?0*(\d{1,3})", folded, re.ASCII)
    if match is None:
        return folded
    number = int(match[2])
    if match[1] in ("j8:", "board"):
        return f"gpio{HEADER[number]}" if number in HEADER else folded
    return f"gpio{number}"


def _simulated(draft: Draft) -> None:
    if draft.bench():
        return
    for part in draft.points.values():
        if part.value is not None and part.value.driver.startswith("simulated"):
            draft.report(
                part,
                ("driver",),
                "is simulated, but this is no bench",
                "name the real driver, or write bench: true under gateway:",
            )


def _references(draft: Draft) -> None:
    """Points that a driver's own settings name."""
    for part in draft.points.values():
        if part.value is None:
            continue
        settings = part.value.settings
        for name, meaning in words(type(settings)).items():
            target = getattr(settings, name)
            if not target or not meaning & {"relay", "point"}:
                continue
            there = draft.points.get(target)
            relays = [n for n, p in draft.points.items() if p.value and p.value.kind == "relay"]
            if there is None:
                draft.report(part, (name,), f"there is no point {target}", suggest(target, relays))
            elif "relay" in meaning and there.value is not None and there.value.kind != "relay":
                draft.report(
                    part, (name,), f"{target} is a {there.value.kind}", suggest(target, relays)
                )
