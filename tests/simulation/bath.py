"""A bathroom with a pull cord and the people who use, clean and repair it, drawn from a seed.

The world knows who pulled and who pressed; it carries relays out and keeps what a killed
process would find on its disk: what was written after the last step that had anything to
write. The oracle asks the world only.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.core import building
from gateway.core.effects import Drive, Reply
from gateway.core.events import AcknowledgeCall, CivilTime, Event, Issuer, Level, TestRoom
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.machine import Step
from gateway.core.plan import BuildingPlan, RelayPlan
from tests import plans

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
OFFSET = 1_767_225_600_000
CORDS = ("wc.cord", "wc.shower")
BUTTONS = ("wc.cancel", "wc.presence")
LAMP, ROOM_LAMP, SOUNDER = "wc.lamp", "wc.room_lamp", "wc.sounder"
PLAN = BuildingPlan(
    "town",
    contacts=(
        *(plans.emergency(point) for point in CORDS),
        *(plans.button(point) for point in BUTTONS),
    ),
    relays=tuple(RelayPlan(point, None) for point in (LAMP, ROOM_LAMP, SOUNDER)),
    rooms=(
        plans.room(
            "wc",
            "WC",
            cords=CORDS,
            cancel="wc.cancel",
            presence="wc.presence",
            reassurance=LAMP,
            lamp=ROOM_LAMP,
            sounder=SOUNDER,
        ),
    ),
)
SETTLE_MS: Final = PLAN.contacts[0].settle_ms


@dataclass
class Bath:
    """The truth, and the building that lives in it."""

    seed: int
    now: Ms = 0
    wanted: bool = False
    """Somebody has pulled who is no tester, and nobody has pressed the button since."""
    tested_until: Ms = -1
    """Until then nobody can say from outside whether a pull is a test."""
    lit: dict[str, bool] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.levels: dict[str, bool | None] = dict.fromkeys((*CORDS, *BUTTONS), False)
        self.disk: Mapping[str, Json] | None = None
        self.readable = True
        self.commands = 0
        self.power_on(late_ms=0)

    # --- the process -----------------------------------------------------------------------

    def power_on(self, late_ms: Ms) -> None:
        """The process starts; its disk can be read at once or ``late_ms`` later. What it does
        not write in between is not what it found."""
        self.lit = dict.fromkeys((LAMP, ROOM_LAMP, SOUNDER), False)
        self.readable = late_ms == 0
        self.carry_out(building.start(PLAN, (self.disk or {}) if self.readable else None, self.now))
        for point, level in self.levels.items():
            self.tell(Level(point, level, self.now, "" if level is not None else "wire cut"))
        self.tell(CivilTime(self.now + OFFSET, self.chance.random() < 0.8))
        if not self.readable:
            self.pass_by(late_ms)
            self.readable = True
            self.carry_out(building.restore(self.building, self.disk or {}, self.now))
        self.pass_by(SECOND)

    def tell(self, event: Event | None) -> None:
        self.carry_out(building.step(self.building, event, self.now))

    def carry_out(self, step: Step[building.Building]) -> None:
        self.building = step.state
        for effect in step.effects:
            if isinstance(effect, Drive):
                self.lit[effect.point] = effect.on
        for fact in step.facts:
            self.kinds[fact.kind] += 1
        written = step.facts or any(isinstance(effect, Reply) for effect in step.effects)
        if self.readable and written:
            self.disk = building.state_to_save(self.building)

    def pass_by(self, for_ms: Ms) -> None:
        until = self.now + for_ms
        while (due := building.wake_at(self.building)) is not None and due <= until:
            self.now = max(due, self.now)
            self.tell(None)
        self.now = until

    # --- people and wires ------------------------------------------------------------------

    def edge(self, point: str, active: bool | None) -> None:
        self.levels[point] = active
        self.tell(Level(point, active, self.now, "" if active is not None else "wire cut"))

    def pull(self) -> None:
        point, for_ms = self.chance.choice(CORDS), self.chance.choice([10, 29, 30, 60, 900, 4000])
        if self.levels[point] is not False:
            return
        self.edge(point, True)
        if for_ms >= SETTLE_MS and self.now > self.tested_until:
            self.wanted = True
            self.seen["pull"] += 1
        self.pass_by(for_ms)
        if self.chance.random() < 0.8:
            self.edge(point, False)  # else it hangs
        self.pass_by(100)

    def let_go(self) -> None:
        for point in CORDS:
            if self.levels[point] is not False:
                self.edge(point, False)
        self.pass_by(100)

    def press(self, point: str) -> None:
        if self.levels[point] is not False:
            return
        self.edge(point, True)
        self.pass_by(200)
        self.edge(point, False)
        self.pass_by(100)

    def cancel(self) -> None:
        self.press("wc.cancel")
        self.wanted = False
        self.seen["cancel"] += 1
        self.check_quiet()

    def wire(self) -> None:
        """A cord cannot be read for a while."""
        point = self.chance.choice(CORDS)
        was = self.levels[point]
        self.edge(point, None)
        self.pass_by(self.chance.randrange(MINUTE))
        self.edge(point, was)
        self.pass_by(100)

    def envelope(self) -> tuple[str, Issuer, Ms]:
        self.commands += 1
        return f"c{self.commands}", Issuer("web:3", "web"), self.now + 5000

    def acknowledge(self) -> None:
        self.tell(AcknowledgeCall(*self.envelope(), "wc"))

    def test(self) -> None:
        for_ms = self.chance.choice([0, 2 * MINUTE, 10 * MINUTE])
        self.tell(TestRoom(*self.envelope(), "wc", for_ms))
        self.tested_until = max(self.tested_until, self.now + for_ms)

    def killed(self) -> None:
        """kill -9, and it is back at once."""
        self.seen["killed"] += 1
        self.power_on(self.chance.choice([0, 0, 5 * SECOND]))

    def power_cut(self) -> None:
        """Nobody can call in the dark, but a cord that hangs pulled calls afterwards."""
        self.seen["power cut"] += 1
        self.now += self.chance.randrange(HOUR)
        self.power_on(self.chance.choice([0, 20 * SECOND]))

    def live(self, days: int) -> None:
        deeds = [
            *[self.pull] * 3,
            self.let_go,
            *[self.cancel] * 2,
            lambda: self.press("wc.presence"),
            *[self.acknowledge] * 2,
            self.wire,
            self.test,
            self.killed,
            self.power_cut,
        ]
        while self.now < days * DAY:
            self.pass_by(self.chance.choice([300, 20 * SECOND, 3 * MINUTE, 6 * MINUTE]))
            self.check()
            self.chance.choice(deeds)()
            self.check()
            if not self.wanted and not any(self.lit.values()):
                self.pass_by(self.chance.randrange(HOUR))

    # --- the oracle ------------------------------------------------------------------------

    def check(self) -> None:
        """Who wants help has the light, whatever happened in between."""
        if self.wanted:
            self.seen["checked"] += 1
            assert self.lit[LAMP], f"seed {self.seed}: the call of {self.now} is lost"

    def check_quiet(self) -> None:
        """The button in the room makes it dark and silent, in every state."""
        assert not any(self.lit.values()), f"seed {self.seed}: not cancelled at {self.now}"
