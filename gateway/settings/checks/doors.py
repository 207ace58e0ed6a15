"""Doors: what belongs together, what forbids each other, and what is not safe."""

from __future__ import annotations

from collections.abc import Callable

from gateway.settings.checks.draft import Draft
from gateway.settings.model.configuration import RelayOptions
from gateway.settings.model.doors import Door
from gateway.settings.model.limits import LONGEST_PULSE_MS, SHORTEST_PULSE_MS, door_relays
from gateway.settings.values.problems import phrase, suggest
from gateway.settings.values.reading import Loc, Part
from gateway.settings.values.units import say_ms
from gateway.settings.values.weekly import Rules, gap

Report = Callable[[Loc, str, str], None]


def check(draft: Draft) -> None:
    """Report everything that is wrong with doors, their schedules and their interlocks."""
    for part in draft.doors.values():
        if part.value is not None:
            _door(draft, part, part.value)
    _interlocks(draft)
    _relays(draft)


def _door(draft: Draft, part: Part[Door], door: Door) -> None:
    def report(loc: Loc, message: str, hint: str) -> None:
        draft.report(part, loc, message, hint)

    def lacks(key: str) -> bool:
        return not getattr(door, key) and key not in part.bad

    if door.left_open_after_ms is not None and lacks("leaf"):
        report(
            ("left_open_after",),
            "nobody can tell that the door is open without a leaf contact",
            "add leaf: with the reed contact of the leaf, or remove left_open_after",
        )
    if door.egress == "never" and lacks("egress_reason") and "egress" not in part.bad:
        report(
            ("egress",),
            "never locks people in at night",
            "write egress: always, or egress_reason: with who allowed it and which other way out "
            "there is",
        )
    fire = door.on_fire
    house = draft.house
    if fire is not None and fire.point is None and fire.action != "ignore" and house is not None:
        there = (house.value is not None and house.value.fire) or "fire" in house.bad
        if not there and "on_fire" not in part.bad:
            report(
                ("on_fire",),
                "there is no fire alarm contact",
                "write on_fire: {point: fire.alarm, action: open}, or fire: fire.alarm at the "
                "left margin, with that point in the list",
            )
    _activation(part, door, report)
    _hold_open(part, door, report)
    _schedule(draft, part, door, report)


def _activation(part: Part[Door], door: Door, report: Report) -> None:
    activation = door.activation
    if activation.pulse_ms is not None:
        if activation.maintained_ms is not None:
            report(
                ("activation", "maintained"),
                "pulse and maintained exclude each other",
                "keep pulse for an operator that wants a push, maintained for one that opens as "
                "long as the contact is closed",
            )
        if not SHORTEST_PULSE_MS <= activation.pulse_ms <= LONGEST_PULSE_MS:
            report(
                ("activation", "pulse"),
                f"{say_ms(activation.pulse_ms)} is no pulse",
                f"a pulse lasts {say_ms(SHORTEST_PULSE_MS)} to {say_ms(LONGEST_PULSE_MS)}; for "
                "longer write maintained",
            )
    if activation.maintained_ms == 0:
        report(("activation", "maintained"), "0 s opens nothing", "write for example 5 s")
    indicator = door.indicator
    for key in ("accepted", "refused", "fault"):
        if indicator is not None and sum(getattr(indicator, f"{key}_ms")) > 10_000:
            report(
                ("indicator", key), "the pattern is longer than 10 s", "keep it short: people wait"
            )
    if door.toggle and door.leaf is None and "leaf" not in part.bad:
        report(
            ("toggle",),
            "without a leaf contact nobody knows whether a pulse would close the door",
            "add leaf: with the reed contact of the leaf",
        )


def _hold_open(part: Part[Door], door: Door, report: Report) -> None:
    """Who may hold the door open needs something that holds it."""
    if door.hold_open or door.activation.maintained_ms is not None:
        return
    if part.bad & {"hold_open", "activation"}:
        return
    remedy = phrase(
        "add hold_open: with a relay, or let the activation be maintained instead of pulse"
    )
    for n, activator in enumerate(door.activators):
        if activator.hold_open_ms is not None:
            report(("activators", n, "hold_open"), phrase("nothing can hold the door open"), remedy)
    for key in ("mode", "safe_mode"):
        if getattr(door, key) == "hold_open":
            report((key,), phrase("nothing can hold the door open"), remedy)
    for key in ("schedule", "exceptions"):
        rules: Rules = getattr(door, key)
        lines = [rule.key for rule in rules.rules if rule.value == "hold_open"]
        lines += ["otherwise"] if rules.otherwise == "hold_open" else []
        for line in lines:
            report((key, line), phrase("nothing can hold the door open"), remedy)
    for point, mode in door.mode_switch.items():
        if mode == "hold_open":
            report(("mode_switch", point), phrase("nothing can hold the door open"), remedy)


def _schedule(draft: Draft, part: Part[Door], door: Door, report: Report) -> None:
    if door.mode is not None and door.schedule:
        report(
            ("mode",),
            phrase("counts only without a schedule"),
            phrase("write it as otherwise: there"),
        )
    for rule in door.exceptions.rules:
        if rule.sort != "dates":
            report(
                ("exceptions", rule.key),
                phrase("is no date"),
                phrase("exceptions are for dates; write days of the week under schedule"),
            )
    if door.exceptions.otherwise is not None:
        report(
            ("exceptions", "otherwise"),
            phrase("belongs to the schedule"),
            phrase("write it under schedule"),
        )
    if door.exceptions and not door.schedule and "schedule" not in part.bad:
        report(
            ("exceptions",),
            phrase("there is no schedule to except from"),
            phrase("write a schedule: as well"),
        )
    if part.bad & {"schedule", "exceptions"}:
        return
    whole = together(door)
    missing = gap(whole) if door.schedule else None
    if missing is not None:
        report(
            ("schedule",),
            phrase("says nothing about {when}", when=missing),
            phrase(
                "add otherwise: with the mode for all other times, for example otherwise: night"
            ),
        )
    for line, message, hint in overlaps_of(door):
        report(("exceptions", line), message, hint)
    gateway = draft.gateway
    written: set[str] = set() if gateway is None else {*gateway.bad, *(gateway.node.entries or ())}
    for rule in whole.of("holiday"):
        if "holidays" not in written:
            report(
                ("schedule", rule.key),
                phrase("whose holidays? gateway.holidays is not written"),
                phrase("write holidays: DE-SN (your country and Land) under gateway:"),
            )


def together(door: Door) -> Rules:
    """The schedule with its exceptions."""
    return Rules((*door.schedule.rules, *door.exceptions.rules), door.schedule.otherwise)


def overlaps_of(door: Door) -> list[tuple[str, str, str]]:
    """Dates of the exceptions that are in the schedule, too."""
    from gateway.settings.values.weekly import overlaps

    lines = {rule.key for rule in door.exceptions.rules}
    return [found for found in overlaps(together(door)) if found[0] in lines]


def _interlocks(draft: Draft) -> None:
    for part in draft.interlocks.values():
        if part.value is None:
            continue
        doors = part.value.doors
        for n, door in enumerate(doors):
            if door not in draft.doors:
                draft.report(
                    part,
                    ("doors", n),
                    f"there is no door {door}",
                    suggest(door, draft.doors, "the doors are"),
                )
            elif door in doors[:n]:
                draft.report(part, ("doors", n), f"{door} is here twice", "keep one of the two")
        if len(doors) < 2:
            draft.report(
                part, ("doors",), "one door alone needs no interlock", "name at least two doors"
            )


def _relays(draft: Draft) -> None:
    """Limits: written where they must be, and long enough for what is asked of the relay."""
    for name, part in draft.doors.items():
        if part.value is None or part.bad:
            continue
        for relay in door_relays(part.value):
            point = draft.points.get(relay.point)
            if point is None or point.value is None or point.value.kind != "relay":
                continue
            options = point.value.options
            limit = options.max_on_ms if isinstance(options, RelayOptions) else None
            if limit is None and relay.default_ms is None:
                draft.report(
                    point,
                    ("max_on",),
                    f"{relay.role} of {name} may be on for long ({relay.why}), and no limit is "
                    "written",
                    f"write max_on: {relay.example} (never on for longer) or max_on: unlimited",
                )
            elif isinstance(limit, int) and limit < relay.longest_ms:
                draft.report(
                    point,
                    ("max_on",),
                    f"{say_ms(limit)} is shorter than the {say_ms(relay.longest_ms)} that "
                    f"{relay.role} of {name} needs",
                    f"write max_on: {say_ms(relay.longest_ms + 1000)} or a shorter time there",
                )
