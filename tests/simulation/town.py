"""A front door and its people, wires and weather, drawn from a seed: the world that the core
cannot see, only feel at its terminals.

The town knows the truth: who pressed, whether the leaf moved, what is broken. The oracles
ask the town and never the core's own facts about itself.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gateway.core import building
from gateway.core.effects import Drive, Reply
from gateway.core.events import (
    AcknowledgeAlarm,
    CivilTime,
    Event,
    Issuer,
    Level,
    Mode,
    OpenDoor,
    RelayFault,
    SetMode,
)
from gateway.core.facts import Fact
from gateway.core.machine import Ms, Step
from gateway.core.plan import (
    ActivatorPlan,
    BuildingPlan,
    ContactPlan,
    DoorPlan,
    FirePlan,
    RelayPlan,
    Transition,
)

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
OFFSET = 1_767_225_600_000
"""UTC at the monotonic zero: 1 January 2026, midnight."""

SETTLE_MS: Ms = 30
BLOCKED_MS: Ms = 400
LIMITS_MS = {"front.activation": 5 * MINUTE, "front.hold": HOUR}
"""Short enough to cut in when a fire alarm or an override lasts."""

BUTTONS = ("front.inside", "front.outside", "front.remote")


def plan(days: int) -> BuildingPlan:
    """Automatic by day, night by night, held open by the fire alarm."""
    schedule: list[Transition] = []
    for day in range(-1, days + 2):
        schedule.append(Transition(OFFSET + day * DAY + 7 * HOUR, "automatic"))
        schedule.append(Transition(OFFSET + day * DAY + 18 * HOUR, "night"))
    door = DoorPlan(
        "front",
        "Front door",
        "front.activation",
        leaf="front.leaf",
        hold_open="front.hold",
        operator_fault="front.fault",
        left_open_after_ms=2 * MINUTE,
        activators=(
            ActivatorPlan("front.inside", "button", "inside"),
            ActivatorPlan("front.outside", "button", "outside"),
            ActivatorPlan("front.remote", "remote", "outside", 20 * SECOND),
        ),
        fire=FirePlan("house.fire", "open"),
        schedule=tuple(schedule),
    )
    return BuildingPlan(
        "town",
        contacts=(
            *(ContactPlan(point, stuck_after_ms=30 * SECOND) for point in BUTTONS),
            ContactPlan("front.leaf"),
            ContactPlan("front.fault"),
            ContactPlan("house.fire", fault_severity="urgent"),
        ),
        relays=tuple(RelayPlan(point, limit_ms) for point, limit_ms in LIMITS_MS.items()),
        doors=(door,),
    )


@dataclass
class Weather:
    """What goes wrong in this town, and how often a day (``blocked``: how often a press meets a
    loop that stands still). Drawn from the seed."""

    presses: float
    by_hand: float
    wedged: float
    operator_dead: float
    leaf_cut: float
    stuck: float
    chatter: float
    relay_broken: float
    fire: float
    clock: float
    modes: float
    staff: float
    restarts: float
    blocked: float
    lost_buttons: float

    @classmethod
    def drawn(cls, chance: random.Random) -> Weather:
        def rate(most: float) -> float:
            return most * chance.random() ** 2

        return cls(
            presses=20 + 20 * chance.random(),
            by_hand=rate(6),
            wedged=rate(2),
            operator_dead=rate(1),
            leaf_cut=rate(1),
            stuck=rate(2),
            chatter=rate(1),
            relay_broken=rate(1),
            fire=rate(0.5),
            clock=rate(1),
            modes=rate(4),
            staff=rate(6),
            restarts=rate(2),
            blocked=rate(1),
            lost_buttons=rate(2),
        )


@dataclass
class Town:
    """The truth, and the building that lives in it."""

    seed: int
    days: int
    now: Ms = 0
    pressed: list[tuple[Ms, str]] = field(default_factory=list)
    """True presses: long enough to count, of a contact that was known and inactive."""
    asked: list[Ms] = field(default_factory=list)
    """Staff asked, or a mode or the fire alarm that may hold the door open began or ended."""
    drives: list[tuple[Ms, str, bool]] = field(default_factory=list)
    replies: Counter[str] = field(default_factory=Counter)
    commands: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.weather = Weather.drawn(self.chance)
        self.healing = False
        self.levels: dict[str, bool | None] = {
            point.point: False for point in plan(self.days).contacts
        }
        self.leaf_open = False
        self.close_at: Ms | None = None
        self.broken: Counter[str] = Counter()
        self.busy_until: dict[str, Ms] = {}
        self.step_ms = 0
        self.blocked_until: Ms = 0
        self.inbox: list[Event] = []
        self.agenda: list[tuple[Ms, int, Callable[[], None]]] = []
        self.number = 0
        self.digest = hashlib.sha256()
        self.kept = None
        self.start()

    # --- the building in the town -----------------------------------------------------

    def start(self) -> None:
        """Power on: the building starts with what it kept, and reads its contacts."""
        started = building.start(plan(self.days), self.kept, self.now)
        self.building = started.state
        self.carry_out(started)
        for point, level in self.levels.items():
            self.tell(Level(point, level, self.now, "" if level is not None else "wire cut"))
        self.tell(CivilTime(self.now + OFFSET + self.step_ms, True))

    def tell(self, event: Event | None) -> None:
        """Whatever is told while the loop is blocked waits in its inbox."""
        if self.now < self.blocked_until:
            if event is not None:
                self.inbox.append(event)
        else:
            self.carry_out(building.step(self.building, event, self.now))

    def block(self, for_ms: Ms) -> None:
        """The loop of the gateway stands still (a full disk, a starved processor)."""
        if self.now >= self.blocked_until:
            self.blocked_until = self.now + for_ms
            self.later(for_ms, self.unblock)

    def unblock(self) -> None:
        waiting, self.inbox = self.inbox, []
        for event in waiting:
            self.tell(event)

    def carry_out(self, step: Step[building.Building]) -> None:
        self.building = step.state
        for effect in step.effects:
            if isinstance(effect, Reply):
                self.replies[effect.command] += 1
            else:
                self.drive(effect)
        for fact in step.facts:
            self.remember(fact)
        if step.facts or step.effects:
            self.digest.update(repr((step.facts, step.effects)).encode())

    def remember(self, fact: Fact) -> None:
        self.kinds[fact.kind] += 1
        if fact.kind == "door_request" and fact.data["activator_kind"] != "staff":
            self.outcomes[str(fact.data["outcome"])] += 1
        if fact.kind == "refusals_counted" and str(fact.data["by"]).startswith("front."):
            count = fact.data["count"]
            self.outcomes[str(fact.data["outcome"])] += count if isinstance(count, int) else 0

    def drive(self, effect: Drive) -> None:
        self.drives.append((self.now, effect.point, effect.on))
        if self.broken["relay"]:
            self.later(0, lambda: self.tell(RelayFault(effect.point, "no such line")))
        elif effect.on and not self.broken["operator"]:
            self.later(self.chance.randrange(800, 2500), self.leaf_opens)
        elif not effect.on and self.leaf_open:
            self.leaf_waits()

    # --- the leaf ---------------------------------------------------------------------

    def leaf_opens(self) -> None:
        if self.broken["operator"]:
            return
        self.move(True)
        self.leaf_waits()

    def leaf_waits(self) -> None:
        """The operator holds the leaf for a while, then closes it."""
        self.close_at = self.now + self.chance.randrange(4000, 9000)
        self.later(self.close_at - self.now, self.leaf_closes)

    def leaf_closes(self) -> None:
        held = any(self.building.relays[point].on for point in self.building.relays)
        if self.broken["wedge"] or (held and not self.broken["relay"]):
            self.later(5000, self.leaf_closes)
        elif self.close_at is not None and self.now >= self.close_at:
            self.move(False)

    def move(self, is_open: bool) -> None:
        if self.leaf_open is not is_open:
            self.leaf_open = is_open
            if not self.broken["leaf"]:
                self.bounce("front.leaf", is_open)

    # --- wires ------------------------------------------------------------------------

    def bounce(self, point: str, active: bool) -> None:
        """A mechanical contact: a few edges within ten milliseconds."""
        edges = 2 * self.chance.randrange(0, 3)
        for number in range(edges):
            self.later(
                2 * number,
                lambda on=active if number % 2 == 0 else not active: self.edge(point, on),
            )
        self.later(2 * edges, lambda: self.edge(point, active))

    def edge(self, point: str, active: bool | None, why: str = "") -> None:
        self.levels[point] = active
        self.tell(Level(point, active, self.now, why))

    def press(self, point: str, for_ms: Ms) -> None:
        """A finger, unless it is on another press of this button already."""
        if self.busy_until.get(point, -1) >= self.now or self.levels[point] is not False:
            return
        self.busy_until[point] = self.now + for_ms + 200
        if for_ms >= SETTLE_MS:
            self.pressed.append((self.now, point))
        self.edge(point, True)
        self.later(for_ms, lambda: self.edge(point, False))

    # --- people and weather -----------------------------------------------------------

    def later(self, in_ms: Ms, do: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.agenda, (self.now + in_ms, self.number, do))

    def often(self, per_day: float, do: Callable[[], None]) -> None:
        """``do`` at random, so often a day on average, until the town heals."""
        if per_day <= 0:
            return

        def again() -> None:
            if not self.healing:
                do()
                self.later(round(self.chance.expovariate(per_day / DAY)) + 1, again)

        self.later(round(self.chance.expovariate(per_day / DAY)) + 1, again)

    def fault(
        self, what: str, hours: float, begin: Callable[[], None], end: Callable[[], None]
    ) -> None:
        """Something breaks, and is mended after a while."""
        if self.broken[what]:
            return
        self.broken[what] = 1
        begin()

        def mended() -> None:
            if self.broken.pop(what, 0):
                end()

        self.later(round(self.chance.expovariate(1 / (hours * HOUR))) + SECOND, mended)

    def begin(self) -> None:
        weather, chance = self.weather, self.chance

        def nothing() -> None:
            return

        def finger() -> None:
            if chance.random() < weather.blocked:
                self.later(1, lambda: self.block(chance.randrange(20, BLOCKED_MS)))
            self.press(chance.choice(BUTTONS), chance.choice([10, 29, 30, 60, 150, 400, 2000]))
            if chance.random() < 0.2:
                point = chance.choice(BUTTONS)
                self.later(chance.randrange(50, 8000), lambda: self.press(point, 200))

        def hand() -> None:
            self.move(True)
            self.leaf_waits()

        def stuck() -> None:
            self.press(chance.choice(BUTTONS), chance.randrange(MINUTE, HOUR))

        def chatter() -> None:
            point = chance.choice(BUTTONS)
            for number in range(chance.randrange(30, 80)):
                self.later(number * 500, lambda: self.press(point, 100))

        def mode() -> None:
            chosen: Mode = chance.choice(["automatic", "exit_only", "hold_open", "night", "off"])
            self.command(
                SetMode(
                    *self.envelope(), "front", chosen, for_ms=chance.randrange(MINUTE, 3 * HOUR)
                )
            )

        def relay_works() -> None:
            for point in self.building.relays:
                self.tell(RelayFault(point, ""))

        def cut() -> None:
            self.edge("front.leaf", None, "wire cut")

        def joined() -> None:
            self.edge("front.leaf", self.leaf_open)

        def fire(active: bool) -> None:
            self.asked.append(self.now)
            self.edge("house.fire", active)

        def clock() -> None:
            kind: Literal["step", "lost"] = chance.choice(["step", "lost"])
            if kind == "step":
                self.step_ms = chance.randrange(-HOUR, HOUR)
            self.tell(CivilTime(self.now + OFFSET + self.step_ms, kind == "step"))

        self.often(weather.presses, finger)
        self.often(weather.by_hand, hand)
        self.often(weather.wedged, lambda: self.fault("wedge", 0.2, nothing, nothing))
        self.often(
            weather.operator_dead,
            lambda: self.fault(
                "operator",
                2,
                lambda: self.edge("front.fault", True),
                lambda: self.edge("front.fault", False),
            ),
        )
        self.often(weather.leaf_cut, lambda: self.fault("leaf", 1, cut, joined))
        self.often(weather.stuck, stuck)
        self.often(weather.chatter, chatter)
        self.often(weather.relay_broken, lambda: self.fault("relay", 1, nothing, relay_works))
        self.often(
            weather.fire, lambda: self.fault("fire", 0.2, lambda: fire(True), lambda: fire(False))
        )
        self.often(weather.clock, clock)
        self.often(weather.modes, mode)
        self.often(weather.staff, self.staff)
        self.often(weather.restarts, self.restart)
        self.often(weather.lost_buttons, self.lose_button)

    def lose_button(self) -> None:
        """Its driver fails and comes back, as it were pressed for a while: nobody pressed."""
        point = self.chance.choice(BUTTONS)
        if self.busy_until.get(point, -1) >= self.now or self.levels[point] is not False:
            return
        self.busy_until[point] = self.now + 2 * MINUTE
        self.edge(point, None, "no answer")
        self.later(MINUTE, lambda: self.edge(point, True))
        self.later(MINUTE + 5 * SECOND, lambda: self.edge(point, False))

    def envelope(self) -> tuple[str, Issuer, Ms]:
        name = f"c{len(self.commands)}"
        self.commands.append(name)
        self.asked.append(self.now)
        return name, Issuer("web:3", "web"), self.now + 5000

    def command(self, event: Event) -> None:
        self.tell(event)

    def staff(self) -> None:
        self.command(OpenDoor(*self.envelope(), "front", "delivery"))

    def restart(self) -> None:
        """The process ends and starts again in an instant, while no finger is on a button:
        what presses during it is not the subject here."""
        pressing = any(until >= self.now for until in self.busy_until.values())
        if pressing or self.now < self.blocked_until:
            return
        self.kept = building.kept(self.building)
        self.asked.append(self.now)
        for point, relay in self.building.relays.items():
            if relay.on:
                self.drives.append((self.now, point, False))
        self.start()

    def heal(self) -> None:
        """Everything is mended, the clock is right, staff leave the door to its timetable."""
        if self.now < self.blocked_until:
            self.later(BLOCKED_MS, self.heal)
            return
        self.healing = True
        for what in tuple(self.broken):
            self.broken.pop(what)
        self.step_ms = 0
        self.tell(CivilTime(self.now + OFFSET, True))
        for point in self.building.relays:
            self.tell(RelayFault(point, ""))
        self.command(SetMode(*self.envelope(), "front", "schedule"))
        for point in (*BUTTONS, "front.fault", "house.fire"):
            self.edge(point, False)
        self.busy_until.clear()
        self.edge("front.leaf", self.leaf_open)
        self.leaf_waits()

    def live(self) -> None:
        """The days, then a quiet day to heal in, at whose noon somebody comes in."""
        self.later(self.days * DAY, self.heal)
        self.begin()
        noon = self.days * DAY + 12 * HOUR
        self.run(noon)
        self.press("front.inside", 200)
        self.run(noon + HOUR)
        for alarm in tuple(self.building.alarms.by_id):
            self.command(AcknowledgeAlarm(*self.envelope(), alarm))

    def run(self, until: Ms) -> None:
        while True:
            due = building.wake_at(self.building)
            if due is not None:
                due = max(due, self.blocked_until)
            first = self.agenda[0][0] if self.agenda else until + 1
            self.now = max(self.now, min(until, first if due is None else min(due, first)))
            if first <= self.now:  # what waits in the inbox comes before what is only due
                heapq.heappop(self.agenda)[2]()
            elif due is not None and due <= self.now:
                self.tell(None)
            else:
                return
