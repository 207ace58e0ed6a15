"""A whole building on the bench: it is told events at their times and lives in between."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from gateway.core import building
from gateway.core.building.snapshot import snapshot
from gateway.core.building.state import Building
from gateway.core.effects import Drive, Reply, Send
from gateway.core.events import (
    AcknowledgeAlarm,
    CivilTime,
    Event,
    Issuer,
    Level,
    Mode,
    OpenDoor,
    SetMode,
    SetService,
    ShelveAlarm,
    TestRelay,
)
from gateway.core.facts import KINDS, Fact, Json
from gateway.core.instant import Ms, UtcMs
from gateway.core.machine import Step
from gateway.core.plan import (
    BuildingPlan,
    FirePlan,
    InterlockPlan,
    RelayPlan,
    Transition,
)
from gateway.core.snapshot_types import BuildingShown
from tests import plans

OFFSET = 1_700_000_000_000
"""UTC minus monotonic, where the clock is right."""

STAFF = Issuer("web:3", "web")

FRONT = plans.door(
    "front",
    "Front door",
    "front.activation",
    leaf="front.leaf",
    bolt="front.bolt",
    operator_fault="front.fault",
    presence="front.presence",
    left_open_after_ms=120_000,
    activators=(
        plans.activator("front.inside", "button", "inside"),
        plans.activator("front.outside", "button", "outside"),
    ),
    mode_switch=(("front.switch_off", "off"), ("front.switch_night", "night")),
    fire=FirePlan("house.fire", "open"),
    schedule=(
        Transition(OFFSET - 1, "automatic"),
        Transition(OFFSET + 3_600_000, "night"),
        Transition(OFFSET + 7_200_000, "automatic"),
    ),
)

SMALL = BuildingPlan(
    "gw",
    contacts=(plans.contact("front.inside"), plans.contact("front.leaf")),
    relays=(RelayPlan("front.activation", 1500),),
    doors=(
        plans.door(
            "front",
            "Front door",
            "front.activation",
            leaf="front.leaf",
            left_open_after_ms=120_000,
            activators=(plans.activator("front.inside", "button", "inside"),),
        ),
    ),
)
"""One door, one button, one reed contact."""

PLAN = BuildingPlan(
    "gw",
    contacts=(
        *(
            plans.button(f"front.{name}")
            for name in ("inside", "outside", "switch_off", "switch_night")
        ),
        *(plans.contact(f"front.{name}") for name in ("leaf", "bolt", "fault", "presence")),
        plans.button("back.inside"),
        plans.contact("back.leaf"),
        plans.emergency("house.fire"),
        plans.contact("house.mains"),
    ),
    relays=(RelayPlan("front.activation", 1500), RelayPlan("back.activation", 1500)),
    meters=(plans.meter("wc.climate", ("temperature_c",), 180_000),),
    doors=(
        FRONT,
        plans.door(
            "back",
            "Back door",
            "back.activation",
            leaf="back.leaf",
            left_open_after_ms=120_000,
            activators=(plans.activator("back.inside", "button", "inside"),),
            override_for_ms=600_000,
        ),
    ),
    interlocks=(InterlockPlan("lobby", ("front", "back"), 5_000),),
    watches=(
        plans.watch("mains", "house.mains", "urgent", 1000, active=False),
        plans.watch("frost", "wc.climate", "notice", 0, quantity="temperature_c", below=5.0),
    ),
)
"""Two doors that interlock, with everything on the front one."""


class Bench:
    """The building, its relays as they are driven, and everything it ever said."""

    def __init__(
        self,
        plan: BuildingPlan = PLAN,
        kept: Mapping[str, Json] | None = None,
        *,
        trusted: bool = True,
        levels: bool = True,
        past: building.Past = building.UNKNOWN_PAST,
    ) -> None:
        self.facts: list[Fact] = []
        self.replies: dict[str, Reply] = {}
        self.levels: dict[str, bool] = {}
        self.drives: list[tuple[Ms, str, bool]] = []
        self.sent: list[Send] = []
        self.now = 0
        self.commands = count(1)
        self.building: Building = self.note(building.start(plan, kept, 0, past))
        self.drives.clear()
        if levels:
            for contact in plan.contacts:
                self.at(0, Level(contact.point, contact.point == "house.mains", 0))
        if trusted:
            self.at(0, CivilTime(OFFSET, True))
        if levels:
            self.until(100)
            self.facts.clear()

    def note(self, step: Step[Building]) -> Building:
        for fact in step.facts:
            assert fact.data.keys() <= KINDS[fact.kind].fields.keys(), fact
        self.facts += step.facts
        for effect in step.effects:
            if isinstance(effect, Reply):
                assert effect.command not in self.replies, effect
                self.replies[effect.command] = effect
            elif isinstance(effect, Send):
                self.sent.append(effect)
            else:
                self.levels[effect.point] = effect.on
                self.drives.append((self.now, effect.point, effect.on))
        return step.state

    def until(self, now: Ms) -> Building:
        """Wake the building whenever it asked for it."""
        while (due := building.wake_at(self.building)) is not None and due <= now:
            self.now = max(due, self.now)
            self.building = self.note(building.step(self.building, None, self.now))
        self.now = now
        return self.building

    def at(self, now: Ms, event: Event) -> Building:
        self.until(now)
        self.building = self.note(building.step(self.building, event, now))
        return self.building

    def level(self, now: Ms, point: str, active: bool | None, why: str = "") -> Building:
        self.at(now, Level(point, active, now, why))
        return self.until(now + 30)

    def press(self, now: Ms, point: str = "front.inside", for_ms: Ms = 200) -> Building:
        self.level(now, point, True)
        return self.level(now + for_ms, point, False)

    def opening(self, now: Ms, door: str = "front") -> Building:
        """Press, and the leaf goes through one whole opening (10 s)."""
        self.press(now, f"{door}.inside")
        self.level(now + 1500, f"{door}.leaf", True)
        return self.level(now + 10_000, f"{door}.leaf", False)

    # --- commands

    def name(self) -> str:
        return f"c{next(self.commands)}"

    def open(self, now: Ms, door: str = "front", reason: str = "", ttl_ms: Ms = 5000) -> str:
        name = self.name()
        self.at(now, OpenDoor(name, STAFF, now + ttl_ms, door, reason))
        return name

    def mode(
        self,
        now: Ms,
        mode: Mode | str,
        *,
        until_utc_ms: UtcMs | None = None,
        for_ms: Ms | None = None,
        door: str = "front",
    ) -> Reply:
        name = self.name()
        given: Mode = mode  # type: ignore[assignment]  # "schedule" is allowed as well
        self.at(now, SetMode(name, STAFF, now + 5000, door, given, until_utc_ms, for_ms))
        return self.replies[name]

    def service(self, now: Ms, for_ms: Ms, door: str = "front") -> Reply:
        name = self.name()
        self.at(now, SetService(name, STAFF, now + 5000, door, for_ms))
        return self.replies[name]

    def acknowledge(self, now: Ms, alarm: str) -> Reply:
        name = self.name()
        self.at(now, AcknowledgeAlarm(name, STAFF, now + 5000, alarm))
        return self.replies[name]

    def shelve(self, now: Ms, alarm: str, for_ms: Ms) -> Reply:
        name = self.name()
        self.at(now, ShelveAlarm(name, STAFF, now + 5000, alarm, for_ms))
        return self.replies[name]

    def test_relay(self, now: Ms, point: str, for_ms: Ms) -> Reply:
        name = self.name()
        self.at(now, TestRelay(name, STAFF, now + 5000, point, for_ms))
        return self.replies[name]

    # --- what it says

    def told(self, kind: str) -> list[dict[str, Json]]:
        return [dict(fact.data) for fact in self.facts if fact.kind == kind]

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def raised(self) -> list[str]:
        return [fact.subject for fact in self.facts if fact.kind == "alarm_raised"]

    def alarms(self) -> dict[str, str]:
        return {a.id: a.state for a in self.building.alarms.by_id.values() if not a.muted}

    def shown(self) -> BuildingShown:
        return snapshot(self.building, self.now)

    def restarted(self, *, trusted: bool = True, levels: bool = True, later_ms: Ms = 0) -> Bench:
        """The same building after a restart, ``later_ms`` after this instant."""
        again = Bench(self.building.plan, self.kept(), trusted=False, levels=levels)
        if trusted:
            again.at(again.now, CivilTime(OFFSET + self.now + later_ms, True))
        return again

    def kept(self) -> dict[str, Json]:
        return building.state_to_save(self.building)


__all__ = ["FRONT", "OFFSET", "PLAN", "SMALL", "STAFF", "Bench", "Drive"]
