"""Rooms, contacts and escalations: names that lead somewhere, and a call that can end."""

from __future__ import annotations

from typing import Any

from gateway.core.point_roles import ROOM
from gateway.settings.checks.draft import Draft
from gateway.settings.model.configuration import DAY, Point, RelayOptions, Watch
from gateway.settings.model.rooms import EscalationStep, Room
from gateway.settings.values.problems import phrase, suggest
from gateway.settings.values.reading import Part

ATTEND_LEAST_MS = 30_000
LINE_OHM = "line_ohm"
LINE_RATIO = 1.5
"""What a line measures at rest and pulled lies at least so far apart: wires and resistors vary."""


def check(draft: Draft) -> None:
    """Report everything that is wrong with rooms, watches, contacts and escalations."""
    for name, part in draft.rooms.items():
        if part.value is not None:
            _room(draft, name, part, part.value)
    for part_watch in draft.watch.values():
        if part_watch.value is not None:
            _watch(draft, part_watch, part_watch.value)
    for contact in draft.contacts.values():
        written = {"channels", "push"} - contact.bad
        if contact.value is not None and len(written) == 2 and not contact.value.ways:
            draft.report(
                contact,
                ("channels",),
                phrase("has no channel"),
                phrase("write channels: [!secret caretaker_url], or push: staff"),
            )
    for escalation in draft.escalations.values():
        if escalation.value is not None:
            _escalation(draft, escalation, escalation.value.steps)
    _messages(draft)
    house = draft.house
    if house is not None and house.value is not None:
        for severity, name in house.value.alarms.items():
            _known(draft, house, ("alarms", severity), "escalation", name)


def _known(draft: Draft, part: Part[Any], loc: tuple[str | int, ...], kind: str, name: str) -> None:
    names = draft.choices(f"{kind}s")
    if name not in names:
        draft.report(
            part,
            loc,
            phrase("there is no {kind} {name}", kind=phrase(kind), name=name),
            phrase(
                "{meant} ({kind}s are listed under {kind}s:)",
                meant=suggest(name, names, f"the {kind}s are"),
                kind=kind,
            ),
        )


def _room(draft: Draft, name: str, part: Part[Room], room: Room) -> None:
    if room.cord and room.cancel is None and "cancel" not in part.bad:
        draft.report(
            part,
            ("cord",),
            "a call could never be ended",
            "add cancel: with the button in the room; nobody can cancel from afar",
        )
    if not room.cord and "cord" not in part.bad:
        for key in (role.key for role in ROOM if role.of_call):
            if getattr(room, key) is not None:
                draft.report(
                    part, (key,), "means nothing without a cord", "add cord: [POINT], or remove it"
                )
    _call(draft, name, part, room)
    _climate(draft, part, room)
    if room.no_motion_after_ms is not None and not room.motion and "motion" not in part.bad:
        draft.report(
            part, ("no_motion_after",), "nothing sees motion", "add motion: [POINT], or remove it"
        )
    if room.valve is not None and room.leak is None and "leak" not in part.bad:
        draft.report(part, ("valve",), "nothing tells it to close", "add leak: with a sensor")
    if room.fan is not None and room.climate is None and "climate" not in part.bad:
        draft.report(part, ("fan",), "nothing tells it to run", "add climate: with a sensor")
    if room.escalation is not None:
        _known(draft, part, ("escalation",), "escalation", room.escalation)
    for key in (role.key for role in ROOM if role.lasting):
        relay = getattr(room, key)
        point = draft.points.get(relay) if relay is not None else None
        options = point.value.options if point is not None and point.value is not None else None
        if point is not None and isinstance(options, RelayOptions) and options.max_on_ms is None:
            draft.report(
                point,
                ("max_on",),
                f"the {key} of {name} is on for as long as it takes, and no limit is written",
                "write max_on: unlimited, or a duration after which it goes off whatever happens",
            )


def _call(draft: Draft, name: str, part: Part[Room], room: Room) -> None:
    """What would let a call be missed."""
    if room.attend_within_ms < ATTEND_LEAST_MS:
        draft.report(
            part,
            ("attend_within",),
            "calls again before anybody can be there",
            "write at least 30 s; 5 min is usual",
        )
    for n, cord in enumerate(room.cord):
        there = draft.points.get(cord)
        point = there.value if there is not None else None
        if point is None or point.kind != "meter":
            continue
        if LINE_OHM not in [quantity for quantity, _, _ in point.quantities]:
            draft.report(
                part,
                ("cord", n),
                f"{cord} measures no {LINE_OHM}",
                "name a meter that measures the line, or wire the cord to a contact",
            )
    for cord, line in room.lines.items():
        kind = point.kind if (there := draft.points.get(cord)) and (point := there.value) else ""
        if cord not in room.cord and "cord" not in part.bad:
            draft.report(
                part, ("lines", cord), "is no cord of this room", f"add it: cord: [{cord}]"
            )
        elif kind == "contact":
            draft.report(
                part,
                ("lines", cord),
                f"{cord} is a contact, it measures nothing",
                "remove it, or take a meter such as ads1115_line",
            )
        low, high = sorted((line.rest_ohm, line.pulled_ohm))
        if high < low * LINE_RATIO:
            draft.report(
                part,
                ("lines", cord),
                f"{line.rest_ohm:g} Ohm at rest and {line.pulled_ohm:g} Ohm pulled are too near",
                f"take resistors that differ by a factor of {LINE_RATIO:g} at least",
            )


def _climate(draft: Draft, part: Part[Room], room: Room) -> None:
    if room.fan_below_percent >= room.fan_above_percent:
        draft.report(
            part,
            ("fan_below_percent",),
            "the fan would never rest",
            "write a value below fan_above_percent, by 5 or more",
        )
    for key in ("mould_above_percent", "fan_above_percent", "fan_below_percent"):
        if not 0 <= getattr(room, key) <= 100:
            draft.report(part, (key,), "is no humidity", "write a value from 0 to 100")
    if not -40 <= room.frost_below_c <= 20:
        draft.report(part, ("frost_below_c",), "is no limit for frost", "5 is usual")


def _messages(draft: Draft) -> None:
    part = draft.messages
    if part is None or part.value is None:
        return
    for kind, one in (("test", part.value.test), ("summary", part.value.summary)):
        if one is None:
            continue
        for n, name in enumerate(one.notify):
            _known(draft, part, (kind, "notify", n), "contact", name)
        if len(set(one.notify)) != len(one.notify):
            draft.report(part, (kind, "notify"), "names somebody twice", "write each once")
        if not one.notify and kind not in part.bad:
            draft.report(part, (kind, "notify"), "names nobody", "write notify: [caretaker]")
    test = part.value.test
    if test is not None and test.confirm_within_ms > DAY * 6:
        message = "is longer than until the next test"
        draft.report(part, ("test", "confirm_within"), message, "write 24 h, for example")


def _escalation(draft: Draft, part: Part[Any], steps: tuple[EscalationStep, ...]) -> None:
    last = -1
    if not steps:
        hint = phrase("write [{{after: 0 s, notify: caretaker}}]")
        draft.report(part, (), phrase("has no steps"), hint)
    for n, step in enumerate(steps):
        _known(draft, part, ("steps", n, "notify"), "contact", step.notify)
        if (step.after_ms is None) == (step.every_ms is None):
            draft.report(
                part,
                ("steps", n),
                phrase("wants either after or every"),
                phrase("write after: 60 s, for example"),
            )
        elif step.every_ms is not None:
            if n != len(steps) - 1 or n == 0:
                draft.report(
                    part,
                    ("steps", n, "every"),
                    phrase("repeats for ever and must be the last of several steps"),
                    phrase("move it to the end, behind a step with after"),
                )
            if step.every_ms < 10_000:
                draft.report(
                    part,
                    ("steps", n, "every"),
                    phrase("floods the phone"),
                    phrase("write at least 10 s"),
                )
        elif step.after_ms is not None:
            if step.after_ms <= last:
                draft.report(
                    part,
                    ("steps", n, "after"),
                    phrase("is not later than the step before it"),
                    phrase("sort the steps; after counts from the call, not from the step before"),
                )
            last = step.after_ms


def _watch(draft: Draft, part: Part[Watch], watch: Watch) -> None:
    there = draft.points.get(watch.point)
    point = there.value if there is not None else None
    if point is None:
        return
    if point.kind == "contact":
        for key in ("quantity", "above", "below"):
            if getattr(watch, key) is not None:
                message = f"{watch.point} is a contact, it has no values"
                draft.report(part, (key,), message, "write active: yes")
    elif point.kind == "meter":
        _watched_meter(draft, part, watch, point)


def _watched_meter(draft: Draft, part: Part[Any], watch: Watch, point: Point) -> None:
    known = [name for name, _, _ in point.quantities]
    if watch.active is not None:
        hint = "write quantity: and above: or below:"
        draft.report(part, ("active",), f"{watch.point} is a meter", hint)
    if watch.quantity is None and "quantity" not in part.bad:
        draft.report(part, (), "quantity is missing", f"write quantity: {' or '.join(known)}")
    if watch.quantity is not None and watch.quantity not in known:
        message = f"{watch.point} has no {watch.quantity}"
        draft.report(part, ("quantity",), message, suggest(watch.quantity, known))
    if watch.above is None and watch.below is None and not part.bad & {"above", "below"}:
        draft.report(part, (), "has no limit", "write above: or below: with a value")
    if watch.hysteresis < 0:
        draft.report(part, ("hysteresis",), "is negative", "write a value above 0")
    for key in (k for k in ("below", "above") if getattr(watch, k) is not None):
        value = getattr(watch, key)
        for name, lowest, highest in point.quantities:
            if name == watch.quantity and not lowest <= value <= highest:
                draft.report(
                    part,
                    (key,),
                    f"{value:g} can never be measured",
                    f"{name} lies between {lowest:g} and {highest:g}",
                )
