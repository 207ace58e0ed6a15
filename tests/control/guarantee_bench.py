"""A building in order, with everything that is promised observed just then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.control import guarantees as g
from gateway.control.guarantees import Guarantees, LinkSeen, Observed
from gateway.core import building as core
from gateway.core.events import CivilTime, Delivered, Event, Level, Reading
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.notification.alarms import Alarm
from gateway.core.plan import (
    BuildingPlan,
    EscalationPlan,
    LinePlan,
    MailingPlan,
    ReceiverPlan,
    RelayPlan,
)
from gateway.panel.snapshot_types import GuaranteeShown
from tests import plans

NOW = 1_000_000
UTC = 1_800_000_000_000

PLAN = BuildingPlan(
    gateway="office",
    contacts=(
        plans.button("inside"),
        plans.button("outside"),
        plans.contact("fault"),
        plans.contact("leaf"),
        plans.contact("cord"),
        plans.contact("cancel"),
    ),
    relays=(
        RelayPlan("open", 3_600_000),
        RelayPlan("strike", 3_600_000),
        RelayPlan("lamp", 600_000),
    ),
    meters=(plans.meter("line", ("line_ohm",), 30 * 86_400_000),),
    doors=(
        plans.door(
            "front",
            "Front",
            activation="open",
            strike="strike",
            leaf="leaf",
            operator_fault="fault",
            activators=(
                plans.activator("inside", "button", "inside"),
                plans.activator("outside", "button", "outside"),
            ),
        ),
    ),
    rooms=(
        plans.room(
            "wc",
            "WC",
            cords=("cord",),
            lines=(LinePlan("line", 50, 500, 1_500, 5_000),),
            cancel="cancel",
            lamp="lamp",
            escalation="day",
        ),
    ),
    receivers=(ReceiverPlan("reception", 2), ReceiverPlan("night", 1)),
    escalations=(
        EscalationPlan("day", (plans.step("reception", 0),)),
        EscalationPlan("faults", (plans.step("night", 0),)),
        EscalationPlan("unused", (plans.step("night", 0),)),
    ),
    alarm_escalations=(("urgent", "faults"),),
    mailings=(MailingPlan("test", ("reception", "night"), (UTC + 1_000,), None),),
)
NOTHING: Mapping[str, Json] = {}
BROKEN = frozenset({("reception", 0), ("reception", 1)})
GOOD: dict[str, Any] = {
    "journal": "j",
    "mqtt": True,
    "link": LinkSeen(True, "", NOW, 10_000),
    "recorders": (g.RecorderSeen("main", True, NOW, NOW - 100_000),),
    "recorded_until_utc_ms": 5,
    "trusted": True,
    "clock_seen_ms": NOW,
    "notify": True,
    "notify_ms": NOW,
    "heartbeat_every_ms": 300_000,
    "heartbeat_ok_ms": NOW,
    "turned_ms": NOW,
    "answered_ms": NOW,
}


class World:
    """A building in order at ``NOW`` with everything that is promised observed just then."""

    def __init__(
        self, plan: BuildingPlan = PLAN, saved_state: Mapping[str, Json] = NOTHING, **seen: Any
    ) -> None:
        self.now = NOW - 60_000
        self.building = core.start(plan, saved_state, self.now).state
        self.seen = GOOD | seen
        self.guarantees = Guarantees.of(plan)
        self.event(CivilTime(UTC, True))
        for contact in plan.contacts:
            self.event(Level(contact.point, False, self.now))
        for meter in plan.meters:
            self.event(Reading(meter.point, "line_ohm", 2_000.0))
        self.passes(2_000)
        for mailing in self.building.mailings.values():
            for message in mailing.messages:
                self.event(Delivered(message.delivery, True))
        self.passes(NOW - self.now)

    def event(self, *events: Event) -> World:
        for event in events:
            self.step(event, self.now)
        return self

    def step(self, event: Event | None, now: Ms) -> None:
        """One step of the building, whose messages are left unanswered."""
        self.building = core.step(self.building, event, now).state

    def passes(self, ms: int) -> World:
        """Time moves; what is observed from outside of the building stays as old as it is."""
        self.now += ms
        while (due := core.wake_at(self.building)) is not None and due <= self.now:
            self.step(None, due)
        self.step(None, self.now)
        return self

    def sees(self, **seen: Any) -> World:
        self.seen |= seen
        return self

    def link(self, **changes: Any) -> World:
        return self.sees(link=replace(self.seen["link"], **changes))

    def recorder(self, **changes: Any) -> World:
        return self.sees(recorders=(replace(self.seen["recorders"][0], **changes),))

    def alarm(self, subject: str, kind: str, **changes: Any) -> World:
        """An alarm stands, however it came about."""
        alarm = replace(Alarm(subject, kind, "fault"), **changes)
        by_id = {**self.building.alarms.by_id, alarm.id: alarm}
        self.building = replace(self.building, alarms=replace(self.building.alarms, by_id=by_id))
        return self

    def shut(self, door: str) -> World:
        """The interlock leaves this door no turn."""
        doors = self.building.doors
        kept_shut = {**doors, door: replace(doors[door], free=False)}
        self.building = replace(self.building, doors=kept_shut)
        return self

    def look(self, **seen: Any) -> dict[str, GuaranteeShown]:
        observed = Observed(self.now, self.building, **(self.seen | seen))
        return self.guarantees.evaluate(observed)

    def values(self, **seen: Any) -> dict[str, object]:
        return {name: one["value"] for name, one in self.look(**seen).items()}
