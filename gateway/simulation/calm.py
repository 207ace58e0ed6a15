"""A calm year: people come and go, the climate follows the seasons, and once a month something is
wrong and is mended. One door grows slowly slower: that is there to be found.

Nothing of it is drawn as in :mod:`gateway.simulation.weather`: this is what a building looks like
whose owner can sleep.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.core.effects import Reply
from gateway.core.events import AcknowledgeAlarm, AcknowledgeCall, ResetAlarm, TestRoom
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda
from gateway.simulation.days import Day
from gateway.simulation.doors import DoorWorld
from gateway.simulation.habits import Edge, date_in_month, edges
from gateway.simulation.host import Host
from gateway.simulation.meters import Meters, coarse
from gateway.simulation.world.climate import USUAL

OPENS_MS: Ms = 650
"""From the activation until the leaf moves, of a door in order."""
SLOWER_MS: Ms = 1_100
"""So much longer takes the first door at the end of the year."""
DRIFT_FROM = 0.55
"""Share of the year after which that begins."""
BATTERY_FALLS_V = 0.5
SEEN_MS: tuple[Ms, Ms] = (3 * MINUTE, 11 * MINUTE)
"""After so long somebody has acknowledged an alarm."""
CARETAKER, RECEPTION = "web:2", "web:3"
"""Who does it: the second and third user of the page."""
TESTED = ("01", "04", "07", "10")
"""Months in which somebody walks through the call systems."""
FAULTS = ("left_open", "leak", "did_not_open", "stuck", "silent")
"""What is wrong once a month, in turn."""


class CalmDoor(DoorWorld):
    """A door whose time to open has no chance in it but a little."""

    slower: Callable[[], float] = staticmethod(lambda: 0.0)
    """How far the door has come on its way to :data:`SLOWER_MS`, 0 to 1."""

    def _opens_in_ms(self) -> Ms:
        return OPENS_MS + round(SLOWER_MS * self.slower()) + self.chance.randrange(-90, 90)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that somebody did on the page, for the audit chain."""

    at_ms: Ms
    actor: str
    action: str
    subject: str
    id: str
    outcome: str = ""


class CalmYear:
    """``days``: the calendar; ``until_ms``: when it ends, in milliseconds since its beginning
    (the end of the last day, if nobody says so)."""

    def __init__(
        self, plan: BuildingPlan, days: Sequence[Day], seed: int, until_ms: Ms | None = None
    ) -> None:
        self.plan = plan = coarse(plan)
        self.days = days
        self.seed = seed
        self.until_ms = len(days) * DAY if until_ms is None else until_ms
        self.agenda = Agenda()
        self.host = Host(plan, self.agenda, seed, days[0].utc_ms)
        self.chance = random.Random(f"{seed}/calm")
        self.doors = {door.id: CalmDoor(door, self.host, self.agenda, seed) for door in plan.doors}
        for door in list(self.doors.values())[:1]:
            door.slower = self._drift
        self.meters = Meters(plan, self.host, self.agenda, seed, self._measured)
        self.faults: Counter[str] = Counter()
        self.commands: list[Command] = []
        self.on_command: list[Callable[[Command], None]] = []
        self.tests: list[tuple[str, Ms]] = []
        """(room, when) of each walk through its call system."""
        self._asked: dict[str, Command] = {}
        self._noise: dict[tuple[str, str], float] = {}
        self.host.on_fact.append(self._told)
        self.host.on_reply.append(self._replied)

    @property
    def digest(self) -> str:
        """SHA-256 over all facts and effects in their order."""
        return self.host.digest.hexdigest()

    # --- time ------------------------------------------------------------------------------

    def live(self, progress: Callable[[int], None] | None = None) -> None:
        """All the days; ``progress`` is told each day that is over."""
        self.host.start()
        for number, day in enumerate(self.days):
            self._plan_day(day)
            begins_ms = day.utc_ms - self.days[0].utc_ms
            self.host.live_until(min(begins_ms + DAY, self.until_ms))
            if progress is not None:
                progress(number + 1)

    def _plan_day(self, day: Day) -> None:
        begins_ms = day.utc_ms - self.days[0].utc_ms - self.agenda.now
        for edge in edges(self.plan, day, self.seed):
            self.agenda.later(begins_ms + edge.at_ms, partial(self._edge, edge))
        if day.date == date_in_month(day, "fault", self.seed):
            at_ms = begins_ms + 10 * HOUR + self.chance.randrange(4 * HOUR)
            self.agenda.later(at_ms, partial(self._fault, day))
        if day.date[5:7] in TESTED and day.date == date_in_month(day, "test", self.seed):
            for number, room in enumerate(self.plan.rooms):
                at_ms = begins_ms + 6 * HOUR + (40 * number) * MINUTE
                self.agenda.later(at_ms, partial(self._test, room.id))

    def _edge(self, edge: Edge) -> None:
        if self.host.levels.get(edge.point) is not None:
            self.host.edge(edge.point, edge.active)

    # --- climate ---------------------------------------------------------------------------

    def _drift(self) -> float:
        begins = DRIFT_FROM * self.until_ms
        return max(0.0, (self.agenda.now - begins) / (self.until_ms - begins))

    def _measured(self, point: str, quantity: str, _low: float, _high: float) -> float:
        """What it is at this time of the year and of the day, and a little noise that lasts."""
        utc_ms = self.host.start_utc_ms + self.agenda.now
        year = math.sin(2 * math.pi * (utc_ms / (365.25 * DAY) - 0.31))  # highest in late July
        day = math.sin(2 * math.pi * (utc_ms % DAY / DAY - 0.375))  # highest at 15 h
        was = self._noise.get((point, quantity), 0.0)
        noise = self._noise[point, quantity] = was * 0.97 + 0.25 * self.chance.gauss(0, 1)
        match quantity:
            case "temperature_c":
                return 21.0 + 2.2 * year + 0.9 * day + 0.45 * noise
            case "humidity_percent":
                return 46.0 + 8.0 * year - 2.5 * day + 2.0 * noise
            case "voltage_v":
                return USUAL[quantity][0] - BATTERY_FALLS_V * self._drift() + 0.01 * noise
        middle, swing = USUAL.get(quantity, (50.0, 0.0))
        return middle + swing * (0.4 * day + 0.3 * noise)

    # --- once a month ----------------------------------------------------------------------

    def _fault(self, day: Day) -> None:
        """The fault of this month; what the building has no part for is left to the next kind."""
        turn = int(day.date[5:7])
        kinds = [FAULTS[(turn + n) % len(FAULTS)] for n in range(len(FAULTS))]
        for kind in kinds:
            if self._can(kind):
                self.faults[kind] += 1
                return

    def _can(self, kind: str) -> bool:
        """Let it happen; whether there is something that it can happen to."""
        door = next((d for d in self.doors.values() if d.plan.leaf and d.plan.activators), None)
        leaky = next((r.leak for r in self.plan.rooms if r.leak is not None), None)
        again = self.agenda.later
        match kind:
            case "left_open" if door is not None and door.plan.left_open_after_ms is not None:
                door.wedge_for(door.plan.left_open_after_ms + 12 * MINUTE)
                door.by_hand()
            case "did_not_open" if door is not None:
                door.stop_operator(True)
                door.press(door.plan.activators[0], 400)
                again(25 * MINUTE, lambda: door.stop_operator(False))
                again(26 * MINUTE, lambda: door.press(door.plan.activators[0], 400))
            case "stuck" if door is not None:
                door.press(door.plan.activators[-1], 18 * MINUTE)
            case "leak" if leaky is not None:
                self.host.edge(leaky, True)
                again(35 * MINUTE, lambda: self.host.edge(leaky, False))
            case "silent" if self.plan.meters:
                self.meters.silence(self.plan.meters[0].point, 90 * MINUTE)
            case _:
                return False
        return True

    def _test(self, room: str) -> None:
        """The quarterly walk through a call system, in test mode."""
        plan = next(r for r in self.plan.rooms if r.id == room)
        if not plan.cords:
            return
        self.tests.append((room, self.agenda.now))
        self._tell(CARETAKER, "test_room", room, partial(TestRoom, room=room, for_ms=30 * MINUTE))
        at_ms = MINUTE
        for cord in plan.cords:
            self._finger(cord, at_ms)
            at_ms += MINUTE
        for point in (plan.presence, plan.cancel):
            if point is not None:
                self._finger(point, at_ms)
                at_ms += MINUTE
        end = partial(TestRoom, room=room, for_ms=0)
        self.agenda.later(at_ms, partial(self._tell, CARETAKER, "test_room", room, end))

    def _finger(self, point: str, in_ms: Ms) -> None:
        for at_ms, active in ((in_ms, True), (in_ms + 600, False)):
            self.agenda.later(at_ms, partial(self._edge, Edge(0, point, active)))

    # --- those who see to it ---------------------------------------------------------------

    def _told(self, fact: Fact) -> None:
        if fact.kind == "alarm_raised":
            wait_ms = self.chance.randrange(*SEEN_MS)
            self.agenda.later(wait_ms, partial(self._acknowledge, fact.subject))
        elif fact.kind == "alarm_cleared" and fact.subject.endswith("/leak"):
            self.agenda.later(MINUTE, partial(self._reset, fact.subject))
        elif fact.kind == "call_raised" and not fact.data["test"]:
            wait_ms = self.chance.randrange(20 * SECOND, 75 * SECOND)
            self.agenda.later(wait_ms, partial(self._goes, fact.subject))

    def _acknowledge(self, alarm: str) -> None:
        if alarm in self.host.building.alarms.by_id:
            self._tell(RECEPTION, "acknowledge_alarm", alarm,
                       partial(AcknowledgeAlarm, alarm=alarm))  # fmt: skip
            if alarm.endswith("/leak"):
                self.agenda.later(45 * MINUTE, partial(self._reset, alarm))

    def _reset(self, alarm: str) -> None:
        if alarm in self.host.building.alarms.by_id:
            self._tell(CARETAKER, "reset_alarm", alarm, partial(ResetAlarm, alarm=alarm))

    def _goes(self, room: str) -> None:
        self._tell(RECEPTION, "acknowledge_call", room, partial(AcknowledgeCall, call=room))

    def _tell(self, by: str, action: str, subject: str, made: Callable[..., object]) -> None:
        id_, issuer, until_ms = self.host.envelope(by)
        self._asked[id_] = Command(self.host.mono_ms, by, action, subject, id_)
        self.host.tell(made(id=id_, issuer=issuer, expires_ms=until_ms))  # type: ignore[arg-type]

    def _replied(self, reply: Reply) -> None:
        asked = self._asked.pop(reply.command, None)
        if asked is None:
            return
        outcome = f"{reply.status}: {reply.reason}" if reply.reason else reply.status
        done = Command(asked.at_ms, asked.actor, asked.action, asked.subject, asked.id, outcome)
        self.commands.append(done)
        for told in self.on_command:
            told(done)
