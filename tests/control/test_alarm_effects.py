"""Every kind of alarm is brought about as the world does it, and the guarantees then say what
``alarm_effects`` says of that kind: no more, and no less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.control import guarantees as g
from gateway.control.alarm_effects import ALARM_EFFECTS, WATCH
from gateway.control.guarantees import GUARANTEES, LinkSeen
from gateway.core import building as core
from gateway.core.effects import Send
from gateway.core.events import (
    AcknowledgeAlarm,
    CertificateState,
    CivilTime,
    Delivered,
    Event,
    Issuer,
    JournalState,
    Level,
    Mode,
    Reading,
    RelayFault,
    SetMode,
)
from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.core.notification.alarms import ALARM_KINDS
from gateway.core.plan import (
    BuildingPlan,
    DoorPlan,
    EscalationPlan,
    FirePlan,
    InterlockPlan,
    LinePlan,
    MailingPlan,
    ReceiverPlan,
    RelayPlan,
    Transition,
)
from tests import plans
from tests.control.guarantee_bench import NOTHING, UTC, World

NAMES = tuple(one.name for one in GUARANTEES)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
STAFF = Issuer("web:1", "web")
BUTTONS = ("front.inside", "front.outside", "back.inside")


def _door(name: str, **more: Any) -> DoorPlan:
    return plans.door(
        name,
        name,
        f"{name}.activation",
        leaf=f"{name}.leaf",
        left_open_after_ms=2 * MINUTE,
        activators=(plans.activator(f"{name}.inside", "button", "inside"), *more.pop("also", ())),
        **more,
    )


FRONT = _door(
    "front",
    also=(plans.activator("front.outside", "button", "outside"),),
    bolt="front.bolt",
    strike="front.strike",
    operator_fault="front.fault",
    fire=FirePlan("fire", "close"),
)
WC = plans.room(
    "wc",
    "WC",
    cords=("wc.cord",),
    lines=(LinePlan("wc.line", 50, 500, 1_500, 5_000),),
    cancel="wc.cancel",
    lamp="wc.lamp",
    escalation="day",
    motion=("wc.pir",),
    door="wc.door",
    no_motion_after_ms=30 * MINUTE,
    leak="wc.leak",
    climate=plans.climate("wc.climate"),
)
TEST = MailingPlan("test", ("reception",), (UTC + 1_000,), None)
CONTACTS = ("front.leaf", "front.bolt", "front.fault", "back.leaf", "wc.cord", "wc.cancel",
            "wc.pir", "wc.door", "wc.leak", "fire", "mains")  # fmt: skip
PLAN = BuildingPlan(
    "office",
    contacts=(
        *(plans.button(point) for point in BUTTONS),
        *(plans.contact(point) for point in CONTACTS),
    ),
    relays=(
        *(RelayPlan(f"{door}.activation", 1_500) for door in ("front", "back")),
        RelayPlan("front.strike", HOUR),
        RelayPlan("wc.lamp", 20 * MINUTE),
    ),
    meters=(
        plans.meter("wc.line", ("line_ohm",), 30 * DAY, frozen_after_ms=DAY),
        plans.meter("wc.climate", ("temperature_c", "humidity_percent"), 30 * DAY),
    ),
    doors=(FRONT, _door("back")),
    interlocks=(InterlockPlan("lobby", ("front", "back"), 5_000),),
    watches=(plans.watch("mains", "mains", "urgent", 1_000, active=True),),
    rooms=(WC,),
    receivers=(ReceiverPlan("reception", 1),),
    escalations=(EscalationPlan("day", (plans.step("reception", 0),)),),
    alarm_escalations=(("urgent", "day"), ("fault", "day")),
    mailings=(TEST,),
)


class House(World):
    """Whatever is sent arrives, and what is observed from outside is always of just now."""

    arrives = True

    def step(self, event: Event | None, now: Ms) -> None:
        step = core.step(self.building, event, now)
        self.building = step.state
        for effect in step.effects:
            if isinstance(effect, Send):
                self.step(Delivered(effect.delivery, self.arrives), now)

    def shows(self) -> dict[str, object]:
        now = dict.fromkeys(
            ("turned_ms", "answered_ms", "clock_seen_ms", "notify_ms", "heartbeat_ok_ms"), self.now
        )
        recorders = (g.RecorderSeen("main", True, self.now, self.now - MINUTE),)
        return self.values(link=LinkSeen(True, "", self.now, 10_000), recorders=recorders, **now)

    def level(self, *points: str, active: bool | None = True) -> House:
        self.event(*(Level(point, active, self.now) for point in points)).passes(100)
        return self

    def press(self, point: str = "front.inside") -> House:
        return self.level(point).level(point, active=False)

    def mode(self, mode: Mode) -> House:
        self.event(SetMode("m", STAFF, self.now + 5_000, "front", mode, None, HOUR))
        return self

    def after(self, ms: Ms) -> House:
        self.passes(ms)
        return self


def house(kept: Mapping[str, Json] = NOTHING, **changes: Any) -> House:
    return House(replace(PLAN, **changes), kept)


def opened() -> House:
    return house().press().level("front.leaf")


def chattering() -> House:
    one = house().level("front.leaf")
    for _ in range(120):
        one.after(40).event(*(Level(point, True, one.now) for point in BUTTONS[:2]))
        one.after(40).event(*(Level(point, False, one.now) for point in BUTTONS[:2]))
    return one.after(100)


def stuck() -> House:
    one = house().level(*BUTTONS[:2]).level("front.leaf").after(8_000)
    return one.level("front.leaf", active=False).after(31_000)


def frozen() -> House:
    one = house()
    for _ in range(2):
        one.event(Reading("wc.line", "line_ohm", 2_000.0))
        one.after(DAY)
    one.event(Reading("wc.line", "line_ohm", 2_000.0))
    return one


def untrusted() -> House:
    one = house()
    one.event(CivilTime(UTC, False)).sees(trusted=False)
    return one.after(2 * MINUTE)


def unsettled() -> House:
    one = house({"clock": {"boot": "b", "mark_utc_ms": UTC + 30 * DAY}})
    return one.after(100)


def ended() -> House:
    schedule = (Transition(UTC - DAY, "automatic"),)
    return house(doors=(replace(FRONT, schedule=schedule), PLAN.doors[1]))


def stuck_cord() -> House:
    return house().level("wc.cord").press("wc.cancel")


def somebody(for_ms: Ms) -> House:
    """Somebody goes in and stays. Motion is seen now and then at first."""
    one = house().level("wc.door").level("wc.door", active=False)
    for _ in range(3):
        one.level("wc.pir").after(5_000).level("wc.pir", active=False).after(10_000)
    return one.after(for_ms)


def moving(for_ms: Ms) -> House:
    one = house().level("wc.door").level("wc.door", active=False)
    for _ in range(for_ms // MINUTE):
        one.level("wc.pir").after(5_000).level("wc.pir", active=False).after(MINUTE)
    return one


def air(temperature_c: float, humidity_percent: float, for_ms: Ms) -> House:
    one = house()
    one.event(Reading("wc.climate", "temperature_c", temperature_c))
    one.event(Reading("wc.climate", "humidity_percent", humidity_percent))
    return one.after(for_ms)


def unheard() -> House:
    one = house()
    one.arrives = False
    one.level("wc.leak").after(10 * MINUTE)
    one.arrives = True  # and later a test arrives again
    for way in one.building.ways:
        assert way == ("reception", 0)
    good = {way: replace(was, ok=True) for way, was in one.building.ways.items()}
    one.building = replace(one.building, ways=good)
    return one


def noticed(subject: str, kind: str) -> Callable[[], House]:
    return lambda: house(notices=((subject, kind),))


def ending() -> House:
    one = house()
    one.event(CertificateState("page"))
    return one


def full() -> House:
    one = house()
    one.event(JournalState("journal_full")).sees(journal_reason="journal_full")
    return one


def faulty() -> House:
    one = house()
    one.event(RelayFault("front.strike", "gone"), RelayFault("wc.lamp", "gone"))
    return one


QUIET: dict[str, Json] = {"call": None}

BROUGHT_ABOUT: Mapping[str, Callable[[], House]] = {
    "did_not_open": lambda: house().press().after(6_000),
    "left_open": lambda: house().level("front.leaf").after(3 * MINUTE),
    "did_not_close": lambda: opened().after(30_000),
    "forced": lambda: house().mode("night").level("front.leaf"),
    "operator_fault": lambda: house().level("front.fault"),
    "bolt_mismatch": lambda: house().level("front.leaf").level("front.bolt").after(30_000),
    "contact_stuck": stuck,
    "contact_chattering": chattering,
    "contact_unknown": lambda: house().level(*BUTTONS[:2], "wc.cord", active=None),
    "relay_fault": faulty,
    "relay_limit": lambda: house().press("wc.cord").after(21 * MINUTE),
    "meter_silent": lambda: house().after(31 * DAY),
    "implausible": house,
    "meter_frozen": frozen,
    "fire": lambda: house().level("fire"),
    "fire_contact_unknown": lambda: house().level("fire", active=None),
    "clock_untrusted": untrusted,
    "clock_jumped": house,
    "clock_unsettled": unsettled,
    "schedule_ended": ended,
    "cord_stuck": stuck_cord,
    "line_cut": house,
    "line_short": house,
    "long_stay": lambda: moving(60 * MINUTE),
    "no_motion": lambda: somebody(40 * MINUTE),
    "leak": lambda: house().level("wc.leak"),
    "frost": lambda: air(2.0, 40.0, HOUR),
    "mould": lambda: air(20.0, 90.0, 7 * HOUR),
    "nobody_told": unheard,
    "test_unconfirmed": lambda: (
        house(mailings=(replace(TEST, confirm_within_ms=DAY),)).after(3 * DAY)
    ),
    "egress_never": noticed("front", "egress_never"),
    "egress_untrusted": noticed("front", "egress_untrusted"),
    "wiring_untrusted": noticed("front.outside", "wiring_untrusted"),
    "setting_adjusted": noticed("retention.calls", "setting_adjusted"),
    "overlay_broken": noticed("office", "overlay_broken"),
    "call_orphaned": lambda: house({"calls": {"gone": {"call": {"id": "gone-1"}}}}),
    "call_unread": lambda: house({"calls": {"wc": {"call": {"state": "raised"}}}}),
    "state_unread": lambda: house(
        {"format": 99, "calls": {"wc": QUIET}}, doors=(replace(FRONT, bolt=None), PLAN.doors[1])
    ),
    "journal_set_aside": lambda: house({"journal_aside": "journal.other"}),
    "journal_full": full,
    "certificate_ends": ending,
    WATCH: lambda: house().level("mains").after(2_000),
}  # fmt: skip
LAST: Mapping[str, Event] = {
    "implausible": Reading("wc.line", "line_ohm", float("nan")),
    "clock_jumped": CivilTime(UTC + 3 * HOUR, True),
    "line_cut": Reading("wc.line", "line_ohm", 9_000.0),
    "line_short": Reading("wc.line", "line_ohm", 5.0),
}
"""What happens last, where that is one event."""
BESIDE: Mapping[str, tuple[str, ...]] = {"nobody_told": ("leak",)}
"""Alarms without which a kind cannot be. They break nothing."""
IN_PART: Mapping[str, tuple[str, ...]] = {"relay_limit": ("call",)}
"""Of a kind at several places one is brought about: the activation of a door has none of its own
limit for long."""


def brought_about(kind: str) -> House:
    one = BROUGHT_ABOUT[kind]()
    if kind in LAST:
        one.event(LAST[kind]).passes(100)
    return one


def test_every_kind_of_alarm_is_decided_and_brought_about() -> None:
    assert set(BROUGHT_ABOUT) == {*ALARM_KINDS, WATCH} == set(ALARM_EFFECTS)
    assert all(one.why for one in ALARM_EFFECTS.values())


def test_a_house_in_order_keeps_every_promise() -> None:
    assert house().shows() == dict.fromkeys(NAMES, "yes")


@pytest.mark.parametrize("kind", ALARM_EFFECTS)
def test_the_guarantees_say_what_the_table_says_of_this_alarm(kind: str) -> None:
    one, effect = brought_about(kind), ALARM_EFFECTS[kind]
    standing = {a.kind.partition(":")[0] for a in one.building.alarms.by_id.values() if a.standing}
    assert standing == {kind, *BESIDE.get(kind, ())}
    broken = IN_PART.get(kind, (*effect.breaks, *effect.neighbours))
    expected = dict.fromkeys(NAMES, "yes") | dict.fromkeys(effect.doubts, "unknown")
    assert one.shows() == expected | dict.fromkeys(broken, "no")


def test_a_call_that_cannot_be_read_is_no_longer_in_doubt_once_somebody_has_looked() -> None:
    one = brought_about("call_unread")
    assert one.look()["call"]["reason"] == "call_unread"
    one.event(AcknowledgeAlarm("a", STAFF, one.now + 5_000, "wc/call_unread"))
    assert one.shows() == dict.fromkeys(NAMES, "yes")


def test_a_door_in_night_by_nobodys_word_opens_again_once_somebody_has_decided() -> None:
    one = brought_about("state_unread")
    found = one.look()["door_by_button"]
    assert (found["reason"], found["subject"]) == ("state_unread", "front")
    assert one.mode("automatic").shows() == dict.fromkeys(NAMES, "yes")
    assert one.mode("night").shows() == dict.fromkeys(NAMES, "yes")  # as somebody wants it


def test_somebody_who_passes_the_other_door_breaks_nothing() -> None:
    one = opened()
    assert one.shows() == dict.fromkeys(NAMES, "yes")
    one.after(30_000)
    found = one.look(turned_ms=one.now)["door_by_button"]
    assert (found["reason"], found["subject"]) == ("interlock", "back")
