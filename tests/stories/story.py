"""Stories: plain transcripts of a building's life, replayed through the core.

A story is a text that a caretaker can read::

    Somebody outside presses the button and the door opens.

    mode: automatic
    with: strike

    # A line of comment belongs to what follows.
    08:00:00.000 > front.button_outside pressed
    08:00:00.030 < front.strike on
    08:00:00.030 ! door_request front accepted

``>`` is what the world and people do, ``<`` what the gateway does (a relay, an answer),
``!`` what it writes down. The story is true when a replay of its ``>`` lines gives exactly
its other lines, up to the time of its last line (``> quiet``: nobody does anything).

``python tests/stories/story.py FILE`` prints the replay: a new story is written by writing
what people do, and then reading with care what comes of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from gateway.core import building
from gateway.core.effects import Drive, Effect, Send
from gateway.core.events import (
    AcknowledgeAlarm,
    AcknowledgeCall,
    CivilTime,
    Delivered,
    Event,
    Issuer,
    Level,
    Mode,
    OpenDoor,
    Reading,
    RelayFault,
    ResetAlarm,
    SetMode,
    SetService,
    ShelveAlarm,
    TestRelay,
    TestRoom,
)
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import (
    ActivatorKind,
    BuildingPlan,
    ContactPlan,
    DutyPlan,
    EscalationPlan,
    FirePlan,
    InterlockPlan,
    OnFire,
    ReceiverPlan,
    RelayPlan,
    Side,
    Transition,
)
from tests import plans

BEFORE_MS: Ms = 60_000
"""The building has been running for this long when the story begins, all quiet."""

DAY = "2026-03-02"
"""A Monday."""

LINE = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d) )?(?P<time>\d\d:\d\d:\d\d\.\d{3}) (?P<sign>[<>!]) (?P<text>.+)"
)
UNITS: dict[str, Ms] = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
ACTIVE = {"pressed": True, "open": True, "active": True, "out": True, "pulled": True, "wet": True}
INACTIVE = {"released": False, "closed": False, "inactive": False, "in": False, "dry": False}
SILENT = ("contact_changed", "presence_changed", "relay_changed")
"""Facts that only repeat a ``>`` or ``<`` line."""

CENTRE = Issuer("mqtt:sites", "mqtt")
"""Somebody far away, who looks after many buildings."""


@dataclass(frozen=True)
class Story:
    """The text of a file, taken apart."""

    heading: str
    settings: dict[str, str]
    lines: list[str]
    """Without comments; each with its date where that is another than the line's before."""


class Replay:
    """A building that lives a story and writes its own transcript."""

    def __init__(self, plan: BuildingPlan, offset_ms: int, day: str, *, trusted: bool) -> None:
        self.plan, self.offset_ms, self.day, self.trusted = plan, offset_ms, day, trusted
        self.lines: list[str] = []
        self.commands = 0
        self.delivery = ""
        self.powered = True
        self.flashing: set[str] = set()
        self.now: Ms = 0
        self.building = building.start(plan, {}, 0).state
        self.levels({})
        self.until(BEFORE_MS)
        self.lines.clear()
        self.day = day

    def restart(self) -> None:
        """With what was kept; contacts are read as they stand."""
        self.powered = True
        self.flashing.clear()
        raw = {point: contact.raw for point, contact in self.building.contacts.items()}
        started = building.start(self.plan, building.state_to_save(self.building), self.now)
        self.building = started.state
        self.note(started.facts, started.effects)
        self.levels(raw)

    def levels(self, active: Mapping[str, bool | None]) -> None:
        for contact in self.plan.contacts:
            self.step(Level(contact.point, bool(active.get(contact.point)), self.now))
        for room in self.plan.rooms:
            for line in room.lines:
                self.step(Reading(line.point, "line_ohm", 10_000.0))
        self.clock(self.trusted)

    def clock(self, trusted: bool) -> None:
        self.trusted = trusted
        self.step(CivilTime(self.now + self.offset_ms, trusted))

    def until(self, now: Ms) -> None:
        while self.powered and (due := building.wake_at(self.building)) is not None:
            if due > now:
                break
            self.now = max(due, self.now)
            self.step(None)
        self.now = now

    def step(self, event: Event | None) -> None:
        step = building.step(self.building, event, self.now)
        self.building = step.state
        self.note(step.facts, step.effects)

    def note(self, facts: tuple[Fact, ...], effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, Drive):
                self.drive(effect)
            elif isinstance(effect, Send):
                self.delivery = effect.delivery
                way = f" (way {effect.channel + 1})" if effect.channel else ""
                self.write("<", f"message to {effect.receiver}{way}: {effect.kind} {effect.about}")
            else:
                answer = (f"answer {effect.status}", effect.reason)
                self.write("<", ": ".join(filter(None, answer)))
        for fact in facts:
            if fact.kind not in SILENT:
                self.write("!", " ".join(filter(None, (fact.kind, fact.subject, words(fact)))))

    def drive(self, effect: Drive) -> None:
        """A relay moves. A lamp that flashes is told to begin and to end."""
        on, flashes = effect.on, any(room.lamp == effect.point for room in self.plan.rooms)
        if flashes and on == (effect.point in self.flashing):
            return  # it flashes already, or has been off
        if flashes and not on and self.building.relays[effect.point].on:
            return  # the dark half
        if flashes:
            self.flashing ^= {effect.point}
        self.write("<", f"{effect.point} {'flashing' if flashes and on else 'on' if on else 'off'}")

    def write(self, sign: str, text: str) -> None:
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.now + self.offset_ms)
        day = at.strftime("%Y-%m-%d")
        date = "" if day == self.day else f"{day} "
        self.day = day
        self.lines.append(f"{date}{at:%H:%M:%S}.{at.microsecond // 1000:03} {sign} {text}")

    def do(self, text: str) -> None:  # noqa: PLR0912 - the words of the stories, a table
        """One ``>`` line."""
        self.write(">", text)
        match text.split():
            case ["quiet"]:
                return
            case ["restart"] | ["power", "on"]:
                self.restart()
            case ["power", "off"]:
                self.powered = False
            case ["clock", "trusted"]:
                self.clock(True)
            case ["clock", "not", "trusted"]:
                self.clock(False)
            case ["message", "arrives"]:
                self.step(Delivered(self.delivery, True))
            case ["message", "fails:", *why]:
                self.step(Delivered(self.delivery, False, " ".join(why)))
            case ["staff", *_]:
                self.step(self.command(text.removeprefix("staff ")))
            case [point, "unknown:", *why]:
                self.step(Level(point, None, self.now, " ".join(why)))
            case [point, "fails:", *why]:
                self.step(RelayFault(point, " ".join(why)))
            case [point, "works", "again"]:
                self.step(RelayFault(point, ""))
            case [point, quantity, "reads", value]:
                self.step(Reading(point, quantity, float(value)))
            case [point, level] if level in ACTIVE | INACTIVE:
                self.step(Level(point, level in ACTIVE, self.now))
            case [point, "let", "go"]:
                self.step(Level(point, False, self.now))
            case [point, "chatters", times, "times"]:
                self.chatter(point, int(times))
            case _:
                raise ValueError(f"nobody knows how to do this: {text}")

    def chatter(self, point: str, times: int) -> None:
        """On and off, ten times a second."""
        for number in range(times * 2):
            self.until(self.now + (50 if number else 0))
            self.step(Level(point, number % 2 == 0, self.now))

    def command(self, text: str) -> Event:  # noqa: PLR0911, PLR0912 - a table
        self.commands += 1
        name, by, ends = f"c{self.commands}", Issuer("web:3", "web"), self.now + 5000
        match text.split():
            case ["opens", door, "because", *why]:
                return OpenDoor(name, by, ends, door, " ".join(why))
            case ["opens", door]:
                return OpenDoor(name, by, ends, door)
            case ["sets", door, "to", mode, "until", clock]:
                until_ms = instant(self.day, f"{clock}:00.000")
                return SetMode(name, by, ends, door, cast("Mode", mode), until_utc_ms=until_ms)
            case ["sets", door, "to", mode, "for", *length]:
                return SetMode(name, by, ends, door, cast("Mode", mode), for_ms=duration(length))
            case ["sets", door, "to", mode]:
                return SetMode(name, by, ends, door, cast("Mode", mode))
            case ["puts", door, "in", "service", "for", *length]:
                return SetService(name, by, ends, door, duration(length))
            case ["ends", "service", "of", door]:
                return SetService(name, by, ends, door, 0)
            case ["acknowledges", alarm]:
                return AcknowledgeAlarm(name, by, ends, alarm)
            case ["shelves", alarm, "for", *length]:
                return ShelveAlarm(name, by, ends, alarm, duration(length))
            case ["resets", alarm]:
                return ResetAlarm(name, by, ends, alarm)
            case ["acknowledges", "the", "call", "in", room]:
                return AcknowledgeCall(name, by, ends, room)
            case ["of", "the", "centre", "see", "the", "call", "in", room]:
                return AcknowledgeCall(name, CENTRE, ends, room, seen_only=True)
            case ["of", "the", "centre", "send", *who, "to", "the", "call", "in", room]:
                return AcknowledgeCall(name, CENTRE, ends, room, attends=" ".join(who))
            case ["tests", "the", "call", "in", room, "for", *length]:
                return TestRoom(name, by, ends, room, duration(length))
            case ["ends", "the", "test", "in", room]:
                return TestRoom(name, by, ends, room, 0)
            case ["tests", point, "for", *length]:
                return TestRelay(name, by, ends, point, duration(length))
        raise ValueError(f"staff do not know how to do this: {text}")


def words(fact: Fact) -> str:  # noqa: PLR0911, PLR0912 - a table
    """What matters of a fact's data, in a few words."""
    data = fact.data
    match fact.kind:
        case "door_request":
            return ": ".join(filter(None, (str(data["outcome"]), cast("str", data["reason"]))))
        case "door_opened":
            assumed = "assumed, " if data["assumed"] else ""
            took_ms = data["press_to_open_ms"]
            who = f" of {data['by']}" if data["by"] else ""
            took = f" after {took_ms} ms" if took_ms else ""
            return f"{assumed}by {data['cause']}{who}{took}"
        case "door_closed":
            took = f"after {data['open_ms']} ms" if data["open_ms"] is not None else ""
            return ", ".join(filter(None, ("assumed" if data["assumed"] else "", took)))
        case "door_mode":
            return f"{data['mode']} by {data['source']}"
        case "door_service":
            return "begins" if data["active"] else "ends"
        case "fire_alarm":
            return {True: "speaks", False: "is over", None: "unknown"}[cast("bool", data["active"])]
        case "alarm_raised":
            count, detail = cast("int", data["count"]), data["detail"]
            times = f", {count} times" if count > 1 else ""
            return f"{data['severity']}{times}" + (f" ({detail})" if detail else "")
        case "alarm_shelved":
            return f"for {data['for_ms']} ms" if data["for_ms"] else "off the shelf"
        case "contact_count":
            return f"{data['changes']} changes"
        case "message":
            reason = f" ({data['reason']})" if data["reason"] else ""
            return f"to {data['receiver']} {data['result']}{reason}"
        case "call_raised":
            again = "" if data["pulls"] == 1 else f", {data['pulls']} pulls"
            was = f" (was {data['was']})" if data["was"] else ""
            return f"{data['call']} by {data['cause']}{again}{was}" + in_test(fact)
        case "call_acknowledged" | "call_seen":
            goes = f", {data['attends']} goes" if data.get("attends") else ""
            return f"{data['call']} by {data['by']} after {data['after_ms']} ms{goes}"
        case "call_attended":
            return f"{data['call']} after {data['after_ms']} ms"
        case "call_cancelled":
            return f"{data['call']} after {data['after_ms']} ms" + in_test(fact)
        case "room_test":
            return "begins" if data["active"] else f"ends: {data['reason']}"
        case "occupancy_changed":
            return f"{data['occupancy']} after {data['for_ms']} ms"
        case "occupancy_hour":
            counts = ("visits", "occupied_ms", "known_ms")
            return ", ".join(f"{name} {data[name]}" for name in counts)
        case "leak":
            return "wet" if data["wet"] else "dry, latched" if data["latched"] else "over"
        case "reading":
            reason = f" ({data['reason']})" if data["reason"] else ""
            return f"{data['quantity']} {'gap' if data['value'] is None else data['value']}{reason}"
        case "refusals_counted":
            return f"{data['count']} more {': '.join(str(data[k]) for k in ('outcome', 'reason'))}"
        case "command_refused":
            return f"{data['name']}: {data['reason']}"
    return ""


def in_test(fact: Fact) -> str:
    return ", a test" if fact.data["test"] else ""


def duration(length: list[str]) -> Ms:
    """``["2", "min"]`` in milliseconds."""
    number, unit = length
    return int(number) * UNITS[unit]


def instant(day: str, clock: str) -> int:
    """A day and a time of day (UTC) as Unix milliseconds."""
    at = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


def parse(text: str) -> Story:
    """Take a file apart: heading, settings, transcript."""
    heading, _, rest = text.partition("\n\n")
    settings: dict[str, str] = {}
    lines: list[str] = []
    for line in filter(None, map(str.strip, rest.splitlines())):
        if line.startswith("#"):
            continue
        if LINE.fullmatch(line):
            lines.append(line)
        else:
            name, _, value = line.partition(": ")
            settings[name] = value
    return Story(heading.strip(), settings, lines)


def timed(story: Story) -> Iterator[tuple[int, str, str]]:
    """Each line's instant (UTC ms), sign and text."""
    day = story.settings.get("day", DAY)
    for line in story.lines:
        found = LINE.fullmatch(line)
        assert found is not None
        day = found["day"] or day
        yield instant(day, found["time"]), found["sign"], found["text"]


def replayed(story: Story) -> list[str]:
    """The transcript that the core itself writes for what is done in the story."""
    lines = list(timed(story))
    offset_ms = lines[0][0] - BEFORE_MS
    day = story.settings.get("day", DAY)
    trusted = story.settings.get("clock") != "not trusted"
    replay = Replay(plan_of(story.settings, day), offset_ms, day, trusted=trusted)
    for utc_ms, sign, text in lines:
        if sign == ">":
            replay.until(utc_ms - offset_ms)
            replay.do(text)
    replay.until(lines[-1][0] - offset_ms)
    return replay.lines


# --- the building of a story --------------------------------------------------------------

ACTIVATORS: tuple[tuple[str, ActivatorKind, Side], ...] = (
    ("button_inside", "button", "inside"),
    ("button_outside", "button", "outside"),
    ("remote", "remote", "outside"),
    ("key", "key_switch", "outside"),
    ("reader", "reader", "outside"),
)


def plan_of(settings: dict[str, str], day: str) -> BuildingPlan:
    """The front door, with what the story's settings add to it or take from it."""
    known = {"mode", "with", "schedule", "day", "clock", "safe mode"}
    assert settings.keys() <= known, f"unknown setting in {settings}"
    parts = [part.strip() for part in settings.get("with", "").split(",") if part.strip()]
    schedule = tuple(transitions(settings.get("schedule", ""), day))
    door = plans.door(
        "front",
        "Front door",
        "front.activation",
        leaf="front.leaf",
        left_open_after_ms=120_000,
        activators=tuple(plans.activator(f"front.{n}", kind, side) for n, kind, side in ACTIVATORS),
        mode=cast("Mode", settings.get("mode", "automatic")),
        safe_mode=cast("Mode", settings.get("safe mode", "automatic")),
        schedule=schedule,
    )
    plan = BuildingPlan(
        "office",
        contacts=(
            *(plans.button(a.point) for a in door.activators),
            plans.contact("front.leaf"),
        ),
        relays=(RelayPlan("front.activation", 30_000),),
        doors=(door,),
    )
    for part in parts:
        plan = with_people(plan, day) if part == "service chain" else add(plan, part)
    return plan


def add(plan: BuildingPlan, part: str) -> BuildingPlan:  # noqa: PLR0912 - a table
    """One thing of ``with:``."""
    front = plan.doors[0]
    relay: str | None = None
    limit_ms: Ms | None = None
    contact: ContactPlan | None = None
    match part.split():
        case ["strike"]:
            front, relay = replace(front, strike="front.strike"), "front.strike"
        case ["hold_open"]:
            front, relay = replace(front, hold_open="front.hold_open"), "front.hold_open"
        case ["hold_open", "for", *length]:
            front, relay = replace(front, hold_open="front.hold_open"), "front.hold_open"
            limit_ms = duration(length)
        case ["lamp"]:
            front, relay = replace(front, indicator=plans.indicator("front.lamp")), "front.lamp"
        case ["bolt"]:
            front, contact = replace(front, bolt="front.bolt"), plans.contact("front.bolt")
        case ["operator_fault"]:
            front = replace(front, operator_fault="front.operator_fault")
            contact = plans.contact("front.operator_fault")
        case ["presence"]:
            front = replace(front, presence="front.presence")
            contact = plans.contact("front.presence")
        case ["switch"]:
            front = replace(front, mode_switch=(("front.switch_night", "night"),))
            contact = plans.contact("front.switch_night")
        case ["fire", "open"]:
            # The activation is held for as long as the alarm lasts, so it has no limit.
            plan = replace(plan, relays=(RelayPlan("front.activation", None), *plan.relays[1:]))
            front = replace(front, fire=FirePlan("house.fire", "open"))
            contact = plans.emergency("house.fire")
        case ["fire", action]:
            front = replace(front, fire=FirePlan("house.fire", cast("OnFire", action)))
            contact = plans.emergency("house.fire")
        case ["maintained"]:
            front = replace(front, pulse_ms=None, open_for_ms=5_000)
        case ["toggle"]:
            front = replace(front, toggle=True)
        case ["no", "leaf"]:
            front = replace(front, leaf=None, left_open_after_ms=None)
        case ["egress", "never"]:
            front = replace(front, egress="never")
        case ["wheelchair"]:
            button = plans.activator("front.wheelchair", "button", "outside", hold_open_ms=20_000)
            front = replace(front, activators=(*front.activators, button))
            contact = plans.button("front.wheelchair")
        case ["mains"]:
            watch = plans.watch("mains", "house.mains", "urgent", 10_000, active=True)
            plan = replace(plan, watches=(watch,))
            contact = plans.contact("house.mains")
        case ["climate"]:
            limits = (("temperature_c", -40.0, 80.0),)
            meter = plans.meter("wc.climate", ("temperature_c",), 180_000, limits)
            plan = replace(plan, meters=(*plan.meters, meter))
        case ["bathroom"]:
            return bathroom(plan)
        case ["sensors"]:
            return sensed(plan)
        case ["supervised", "line"]:
            return supervised(plan)
        case ["interlock", "waiting", *length]:
            return interlocked(plan, duration(length) if length != ["not"] else 0)
        case _:
            raise ValueError(f"no such part: {part}")
    if relay is not None:
        plan = replace(plan, relays=(*plan.relays, RelayPlan(relay, limit_ms)))
    if contact is not None:
        plan = replace(plan, contacts=(*plan.contacts, contact))
    return replace(plan, doors=(front, *plan.doors[1:]))


def sensed(plan: BuildingPlan) -> BuildingPlan:
    """A room with motion, a contact at its door, a water sensor and a valve."""
    private, room = ("wc.pir", "wc.door"), next(iter(plan.rooms), plans.room("wc", "WC"))
    room = replace(room, motion=("wc.pir",), door="wc.door", leak="wc.leak", valve="wc.valve")
    contacts = [plans.contact(point, private=point in private) for point in (*private, "wc.leak")]
    return replace(
        plan,
        contacts=(*plan.contacts, *contacts),
        relays=(*plan.relays, RelayPlan("wc.valve", None)),
        rooms=(room, *plan.rooms[1:]),
    )


def with_people(plan: BuildingPlan, day: str) -> BuildingPlan:
    """Who is told of a call in the bathroom: the caretaker (08:00 to 16:00), after a minute the
    reception (07:00 to 18:00, by two ways), then every two minutes the care service (06:00 to
    22:00)."""
    hours = (("caretaker", 1, "08", "16"), ("reception", 2, "07", "18"))
    every = (*hours, ("care_service", 1, "06", "22"))
    receivers = []
    for name, channels, begin, end in every:
        night = DutyPlan(instant(day, "00:00:00.000") - 1, False)
        on, off = (instant(day, f"{hour}:00:00.000") for hour in (begin, end))
        duty = (night, DutyPlan(on, True), DutyPlan(off, False))
        receivers.append(ReceiverPlan(name, channels, duty))
    steps = (
        plans.step("caretaker", 0),
        plans.step("reception", 60_000),
        plans.last_step("care_service", 120_000),
    )
    return replace(
        plan,
        receivers=tuple(receivers),
        escalations=(EscalationPlan("care", steps),),
        rooms=tuple(replace(room, escalation="care") for room in plan.rooms),
    )


def interlocked(plan: BuildingPlan, wait_ms: Ms) -> BuildingPlan:
    """A second door of which only one may be open."""
    inner = plans.door(
        "inner",
        "Inner door",
        "inner.activation",
        leaf="inner.leaf",
        left_open_after_ms=120_000,
        activators=(plans.activator("inner.button_inside", "button", "inside"),),
    )
    return replace(
        plan,
        contacts=(
            *plan.contacts,
            plans.button("inner.button_inside"),
            plans.contact("inner.leaf"),
        ),
        relays=(*plan.relays, RelayPlan("inner.activation", 30_000)),
        doors=(*plan.doors, inner),
        interlocks=(InterlockPlan("lobby", ("front", "inner"), wait_ms),),
    )


def bathroom(plan: BuildingPlan) -> BuildingPlan:
    """An accessible bathroom with a cord, two buttons and three lamps; the cord's wire is
    normally closed."""
    room = plans.room(
        "wc",
        "Accessible WC",
        cords=("wc.cord",),
        cancel="wc.cancel",
        presence="wc.presence",
        reassurance="wc.lamp",
        lamp="wc.room_lamp",
        sounder="wc.sounder",
    )
    buttons = tuple(plans.button(f"wc.{n}") for n in ("cancel", "presence"))
    lamps = tuple(RelayPlan(f"wc.{n}", None) for n in ("lamp", "room_lamp", "sounder"))
    return replace(
        plan,
        contacts=(*plan.contacts, plans.emergency("wc.cord"), *buttons),
        relays=(*plan.relays, *lamps),
        rooms=(*plan.rooms, room),
    )


def supervised(plan: BuildingPlan) -> BuildingPlan:
    """The bathroom has a second cord, on a line with resistors: 10 kOhm at rest, 4.7 pulled."""
    line = plans.line("wc.line")
    meter = plans.meter("wc.line", ("line_ohm",), 86_400_000)
    room = replace(plan.rooms[0], lines=(line,))
    return replace(plan, meters=(*plan.meters, meter), rooms=(room, *plan.rooms[1:]))


def transitions(text: str, day: str) -> Iterator[Transition]:
    """``06:00 night, 07:00 automatic, 2026-03-03 07:00 automatic``"""
    for row in filter(None, map(str.strip, text.split(","))):
        *date, clock, mode = row.split()
        day = date[0] if date else day
        yield Transition(instant(day, f"{clock}:00.000"), cast("Mode", mode))


if __name__ == "__main__":
    told = parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join(replayed(told)))
