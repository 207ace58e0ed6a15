"""A building with an accessible bathroom, and everything that can be connected to it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.events import AcknowledgeCall, Reading, TestRoom
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.plan import (
    BuildingPlan,
    EscalationPlan,
    MailingPlan,
    ReceiverPlan,
    RelayPlan,
)
from tests import plans
from tests.core.building_bench import STAFF, Bench

WC = plans.room(
    "wc",
    "Accessible WC",
    cords=("wc.cord", "wc.shower"),
    lines=(plans.line("wc.line"),),
    cancel="wc.cancel",
    presence="wc.presence",
    reassurance="wc.reassurance",
    lamp="wc.lamp",
    sounder="wc.sounder",
    unlock="wc.unlock",
    escalation="care",
    motion=("wc.pir",),
    door="wc.door",
    leak="wc.leak",
    valve="wc.valve",
    climate=plans.climate("wc.climate", fan="wc.fan"),
)
LAMPS = ("wc.reassurance", "wc.lamp", "wc.sounder", "wc.unlock")
BATH = BuildingPlan(
    "gw",
    contacts=(
        *(plans.emergency(f"wc.{name}", chatter_changes=30) for name in ("cord", "shower")),
        *(plans.button(f"wc.{name}", chatter_changes=30) for name in ("cancel", "presence")),
        *(plans.contact(f"wc.{name}", private=True) for name in ("pir", "door")),
        plans.contact("wc.leak"),
        plans.contact("store.leak"),
    ),
    relays=tuple(RelayPlan(point, None) for point in (*LAMPS, "wc.valve", "wc.fan")),
    meters=(
        plans.meter("wc.line", ("line_ohm",), 60_000, (("line_ohm", 0.0, 1_000_000.0),)),
        plans.meter("wc.climate", ("temperature_c", "humidity_percent"), 600_000),
    ),
    rooms=(WC, plans.room("store", "Store room", leak="store.leak")),
    receivers=(ReceiverPlan("caretaker", 2), ReceiverPlan("reception", 1)),
    escalations=(
        EscalationPlan(
            "care",
            (
                plans.step("caretaker", 0),
                plans.last_step("reception", 120_000),
            ),
        ),
    ),
    alarm_escalations=(("urgent", "care"),),
    mailings=(MailingPlan("test", ("caretaker",), (1_700_000_060_000,), 3_600_000),),
)


class RoomBench(Bench):
    """The bathroom on the bench; its line is at rest."""

    def __init__(
        self,
        plan: BuildingPlan = BATH,
        kept: Mapping[str, Json] | None = {},
        *,
        trusted: bool = True,
        levels: bool = True,
    ) -> None:
        super().__init__(plan, kept, trusted=trusted, levels=levels)
        if levels:
            self.ohm(self.now, 10_000.0)
            self.facts.clear()

    def again(self, kept: Mapping[str, Json] | None = None) -> RoomBench:
        """The same building after a restart; nothing has been seen in it yet."""
        kept = self.kept() if kept is None else kept
        return RoomBench(self.building.plan, kept, trusted=False, levels=False)

    def ohm(self, now: Ms, value: float | None) -> None:
        self.at(now, Reading("wc.line", "line_ohm", value))

    def pull(self, now: Ms, point: str = "wc.cord") -> None:
        self.press(now, point, 1000)

    def seen(self, now: Ms, call: str = "wc", *, attends: str = "", seen_only: bool = False) -> str:
        name = self.name()
        self.at(now, AcknowledgeCall(name, STAFF, now + 5000, call, attends, seen_only))
        return " ".join(filter(None, (self.replies[name].status, self.replies[name].reason)))

    def test_mode(self, now: Ms, for_ms: Ms = 600_000, room: str = "wc") -> str:
        name = self.name()
        self.at(now, TestRoom(name, STAFF, now + 5000, room, for_ms))
        return " ".join(filter(None, (self.replies[name].status, self.replies[name].reason)))

    @property
    def state(self) -> str:
        return self.building.calls["wc"].state

    def lit(self) -> list[str]:
        return [point for point in LAMPS if self.building.relays[point].on]
