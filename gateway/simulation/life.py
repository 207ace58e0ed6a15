"""A building's life in virtual time: the plan, N days and a seed in; what happened out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from gateway.core.events import CivilTime, Mode, RelayFault
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.plan import BuildingPlan
from gateway.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda, Deed, about, drawn, often
from gateway.simulation.days import Day
from gateway.simulation.doors import DoorWorld
from gateway.simulation.host import BLOCKED_MOST_MS, Host
from gateway.simulation.meters import Meters, coarse
from gateway.simulation.oracles.building import Oracles
from gateway.simulation.oracles.reload import ReloadOracle
from gateway.simulation.oracles.room_tests import TestModeOracle
from gateway.simulation.pranks import prank
from gateway.simulation.reloads import SPARE, Reloads, spare_room
from gateway.simulation.report import Report
from gateway.simulation.room_tests import RoomTests
from gateway.simulation.rooms import RoomWorld
from gateway.simulation.staff import Staff
from gateway.simulation.troubles import Troubles
from gateway.simulation.weather import Weather

MODES: tuple[Mode, ...] = ("automatic", "exit_only", "hold_open", "night", "off")
CROWD = ((7, 2.0), (8, 4.0), (9, 2.5), (10, 2.5), (11, 2.5), (12, 4.0), (13, 3.0), (14, 2.5),
         (15, 2.5), (16, 3.0), (17, 2.0), (18, 0.7), (21, 0.3))  # fmt: skip
"""Hour of a working day -> people at a door in it, on average."""


class Life:
    """One building with its people. ``days``: the calendar; its length is how long it lives."""

    def __init__(
        self,
        plan: BuildingPlan,
        days: Sequence[Day],
        seed: int,
        weather: Weather | None = None,
    ) -> None:
        self.plan = plan = coarse(plan)
        self.days = days
        self.seed = seed
        self.weather = Weather.drawn(seed) if weather is None else weather
        self.chance = random.Random(f"{seed}/life")
        self.agenda = Agenda()
        self.host = Host(plan, self.agenda, seed, days[0].utc_ms)
        self.host.disk_late = self.weather.disk_late
        self.host.blank_clock = self.weather.blank_clock
        self.host.on_clock.append(self._clock_seen)
        self.meters = Meters(plan, self.host, self.agenda, seed)
        self.doors = {d.id: DoorWorld(d, self.host, self.agenda, seed) for d in plan.doors}
        self.rooms = {
            r.id: RoomWorld(r, self.host, self.meters, self.agenda, seed) for r in plan.rooms
        }
        self.faults: Counter[str] = Counter()
        later = random.Random(f"{seed}/later")
        self.tests = [
            RoomTests(room, self.host, self.agenda, later, self.faults)
            for room in self.rooms.values()
            if self.weather.prolonged and (room.plan.cords or room.plan.lines)
        ]
        rooms, reloads = dict(self.rooms), None
        if self.weather.reloads:
            spare = RoomWorld(spare_room(plan), self.host, self.meters, self.agenda, seed)
            rooms[SPARE] = spare
            reloads = Reloads(spare, self.host, self.agenda, later, self.faults)
        self.reloads = reloads
        self.troubles = Troubles(
            self.host, self.agenda, later, self.faults, self._set_clock, self._lose_clock
        )
        fails = self.weather.message_fails
        self.staff = Staff(rooms, self.host, self.agenda, seed, fails)
        self.oracles = Oracles(plan, self.host, self.agenda, self.doors, rooms, self.staff)
        for tests in self.tests:
            TestModeOracle(tests, self.agenda, self.oracles)
        if reloads is not None:
            ReloadOracle(reloads, rooms, self.host, self.agenda, self.oracles)
        self.report = Report()
        self.host.on_fact.append(self._told)
        self._broken: set[str] = set()
        for room in self.rooms.values():
            room.on_pull.append(self._fate)
            if reloads is not None:
                room.on_pull.append(partial(reloads.in_a_call, self.weather.reloads))

    def live(self, progress: Callable[[int], None] | None = None) -> None:
        """All the days; ``progress`` is told each day that is over."""
        self.host.start()
        self._begin()
        for number, day in enumerate(self.days):
            self._plan_day(day)
            self.host.live_until((number + 1) * DAY)
            if progress is not None:
                progress(number + 1)

    @property
    def digest(self) -> str:
        """SHA-256 over all facts and effects in their order."""
        return self.host.digest.hexdigest()

    def _told(self, fact: Fact) -> None:
        self.report.take(fact, self.agenda.now, self.host.boot_ms)

    # --- habits ----------------------------------------------------------------------------

    def _plan_day(self, day: Day) -> None:
        """Who comes today, and when."""
        chance = self.chance
        begins_ms = day.utc_ms - self.days[0].utc_ms - self.agenda.now
        for hour, people in CROWD:
            share = 1.0 if day.works else 0.04
            for door in self.doors.values():
                for _ in range(drawn(chance, people * share)):
                    side = "outside" if chance.random() < (0.7 if hour < 12 else 0.4) else "inside"
                    self._at(begins_ms, hour, partial(self._passes, door, side))
            for room in self.rooms.values():
                for _ in range(drawn(chance, people * share * 0.4)):
                    self._at(begins_ms, hour, room.visit)
        if day.works:
            self.agenda.later(begins_ms + 7 * HOUR, lambda: self._work(True))
            self.agenda.later(begins_ms + 18 * HOUR, lambda: self._work(False))
            for hour in (9, 15):
                self._at(begins_ms, hour, self.staff.looks_at_the_list)
            for door in self.doors.values():
                self._at(begins_ms, 10, partial(door.staff_open, "delivery"))
        if day.monday and day.works:
            for room in self.rooms.values():
                self._at(begins_ms, 8, room.tested)

    def _at(self, begins_ms: Ms, hour: int, do: Deed) -> None:
        self.agenda.later(begins_ms + hour * HOUR + self.chance.randrange(HOUR), do)

    def _work(self, at_work: bool) -> None:
        self.staff.at_work = at_work

    def _passes(self, door: DoorWorld, side: str) -> None:
        if self.chance.random() < self.weather.blocked / 20:
            self.agenda.later(1, self._blocks)
        door.passes(side, staffed=self.staff.at_work)

    # --- weather ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """Everything that may go wrong, as often as this life's weather says."""
        weather, agenda, chance = self.weather, self.agenda, self.chance
        doors, rooms = list(self.doors.values()), list(self.rooms.values())

        def some(what: str, per_day: float, do: Deed) -> None:
            def happens() -> None:
                self.faults[what] += 1
                do()

            often(agenda, chance, per_day, happens)

        for door in doors:
            some("pushed by hand", weather.by_hand, door.by_hand)
            some("wedged", weather.wedged, door.wedge)
            some("operator dead", weather.operator_dead, door.operator_dies)
            some("leaf wire cut", weather.wire_cut, door.leaf_wire)
            some("mode chosen", weather.modes, partial(self._mode, door))
            if door.plan.activators:
                some("button stuck", weather.stuck, door.stick)
                some("wire loose", weather.chatter, door.chatter)
                some("button lost", weather.wire_cut, door.lose_button)
        for room in rooms:
            some("cord cut", weather.cord_cut, room.cord_cut)
            some("cord unknown", weather.wire_cut, room.cord_unknown)
            some("leak", weather.leaks, room.leak)
        some("relay broken", weather.relay_broken, self._relay)
        some("fire alarm", weather.fire, self._fire)
        some("clock step", weather.clock_step, self._clock_step)
        some("clock lost", weather.clock_lost, self._clock_lost)
        some("clock years wrong", weather.clock_years, self._clock_years)
        some("killed", weather.restarts, self._killed)
        some("power cut", weather.power_cuts, self._power_cut)
        some("loop blocked", weather.blocked, self._blocks)
        some("meter silent", weather.meter_silent, self.meters.silent)
        some("nothing can be sent", weather.outages, self.staff.outage)
        some("prank", weather.pranks, lambda: prank(self.host, self.plan, chance))
        self._begin_later()

    def _begin_later(self) -> None:
        """The kinds that have a random stream of their own, and count what became of them."""
        weather, agenda, troubles = self.weather, self.agenda, self.troubles
        chance = troubles.chance
        for door in self.doors.values():
            often(agenda, chance, weather.jams, partial(troubles.jam, door))
            often(agenda, chance, weather.held_at_start, partial(troubles.hold_over_start, door))
            often(agenda, chance, weather.bounces, partial(troubles.bouncing_press, door))
            often(agenda, chance, weather.overrides, partial(self._chosen, door))
        for room in self.rooms.values():
            often(agenda, chance, weather.bounces / 20, partial(troubles.bouncing_pull, room))
        for tests in self.tests:
            often(agenda, chance, weather.prolonged, partial(self._prolonged, tests))
        if self.reloads is not None:
            often(agenda, chance, weather.reloads, self.reloads.happens)
        often(agenda, chance, weather.clock_restarts, troubles.restart_under_a_wrong_clock)

    def _prolonged(self, tests: RoomTests) -> None:
        self.faults["test mode prolonged"] += 1
        tests.prolong()

    def _blocks(self) -> None:
        self.host.block(self.chance.randrange(20, BLOCKED_MOST_MS))

    def _killed(self) -> None:
        self.host.end(self.chance.randrange(SECOND, 8 * SECOND), power=False)

    def _fate(self) -> None:
        """What goes wrong likes to do it while somebody waits for help."""
        if self.chance.random() < self.weather.restarts:
            self.faults["killed in a call"] += 1
            self.agenda.later(self.chance.randrange(5 * MINUTE), self._killed)

    def _power_cut(self) -> None:
        self.host.end(20 * SECOND + about(self.chance, 20 * MINUTE), power=True)

    def _mode(self, door: DoorWorld) -> None:
        self.oracles.excused_ms = self.agenda.now
        for_ms = about(self.chance, 2 * HOUR)
        door.staff_mode(self.chance.choice(MODES), for_ms)
        self.agenda.later(4 * for_ms + 6 * HOUR, lambda: self._mode_over(door))

    def _chosen(self, door: DoorWorld) -> None:
        chance = self.troubles.chance
        for_ms = 3 * HOUR + about(chance, 2 * HOUR)
        self.oracles.excused_ms = self.agenda.now
        self.troubles.choose_mode(door, chance.choice(MODES), for_ms)
        self.agenda.later(4 * for_ms + 6 * HOUR, lambda: self._mode_over(door))

    def _mode_over(self, door: DoorWorld) -> None:
        """Long after: it is over now, whatever the clocks said."""
        door.overrides = max(0, door.overrides - 1)

    def _relay(self) -> None:
        """A relay cannot be switched for a while; its driver says so."""
        points = sorted(self.host.lit)
        if not points:
            return
        point = self.chance.choice(points)
        if point in self._broken:
            return
        self._broken.add(point)
        for door in self.doors.values():
            door.broken.add(point)
        self.host.tell(RelayFault(point, "no such line"))

        def mended() -> None:
            self._broken.discard(point)
            for door in self.doors.values():
                door.broken.discard(point)
            self.oracles.excused_ms = self.agenda.now
            self.host.tell(RelayFault(point, ""))

        self.agenda.later(about(self.chance, HOUR), mended)

    def _fire(self) -> None:
        points = sorted({d.plan.fire.point for d in self.doors.values() if d.plan.fire})
        for point in points:
            self._fire_at(point, True)
            self.agenda.later(about(self.chance, 10 * MINUTE), partial(self._fire_at, point))

    def _fire_at(self, point: str, active: bool = False) -> None:
        self.oracles.excused_ms = self.agenda.now
        self.host.edge(point, active)

    def _clock_step(self) -> None:
        step_ms = self.chance.randrange(-HOUR, HOUR)
        self._set_clock(step_ms, about(self.chance, HOUR))

    def _clock_years(self) -> None:
        """The time service is wrong, too: nothing may be lost by it."""
        years = self.chance.randrange(1, 12) * self.chance.choice((-1, 1))
        self._set_clock(years * 365 * DAY, about(self.chance, HOUR))

    def _clock_lost(self) -> None:
        self._lose_clock(about(self.chance, HOUR))

    def _set_clock(self, step_ms: Ms, for_ms: Ms) -> None:
        """The wall clock is wrong for a while."""
        self.host.clock_step_ms = step_ms
        self._clock_told()

        def right() -> None:
            self.host.clock_step_ms = 0
            self._clock_told()

        self.agenda.later(for_ms, right)

    def _lose_clock(self, for_ms: Ms) -> None:
        """Nobody vouches for the wall clock for a while."""
        self.host.clock_trusted = False
        self._clock_told()

        def found() -> None:
            self.host.clock_trusted = True
            self._clock_told()

        self.agenda.later(for_ms, found)

    def _clock_seen(self) -> None:
        self.oracles.clock_ms = self.oracles.excused_ms = self.agenda.now

    def _clock_told(self) -> None:
        self._clock_seen()
        self.host.tell(CivilTime(self.host.utc_ms, self.host.clock_trusted))
