"""A contact: which levels count, and when it is not believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import Level
from gateway.core.facts import KINDS, Fact, Json
from gateway.core.instant import Ms
from gateway.core.plan import ContactPlan
from gateway.core.signals import contact
from gateway.core.signals.contact import Change, Contact
from tests import plans

PLAN = plans.contact("front.button")
STUCK = plans.button("front.button")


class Bench:
    """One contact, its changes and its facts. It starts inactive and settled at 0."""

    def __init__(self, plan: ContactPlan = PLAN, *, first: bool | None = False) -> None:
        self.contact: Contact = contact.start(plan, 0)
        self.changes: list[Change] = []
        self.facts: list[Fact] = []
        if first is not None:
            self.edge(first, 0)
            self.until(plan.settle_ms)
            self.changes.clear()
            self.facts.clear()

    def step(self, event: Level | None, now: Ms) -> None:
        result = contact.step(self.contact, event, now)
        self.contact = result.state
        self.changes += result.changes
        self.facts += result.facts

    def edge(self, active: bool | None, edge_ms: Ms, now: Ms | None = None, why: str = "") -> None:
        self.step(Level("front.button", active, edge_ms, why), edge_ms if now is None else now)

    def until(self, now: Ms) -> None:
        while (due := contact.wake_at(self.contact)) is not None and due <= now:
            self.step(None, due)

    def levels(self) -> list[tuple[bool | None, Ms]]:
        return [(change.active, change.edge_ms) for change in self.changes]

    def told(self, kind: str = "contact_changed") -> list[tuple[Ms, dict[str, Json]]]:
        return [(fact.at_ms, dict(fact.data)) for fact in self.facts if fact.kind == kind]

    def faults(self) -> list[str]:
        return [kind for kind, _ in self.contact.conditions]


# --- settling -----------------------------------------------------------------------------


def test_a_level_counts_once_it_was_stable_and_is_told_with_the_time_of_its_edge() -> None:
    bench = Bench()
    bench.edge(True, 1000)
    assert contact.wake_at(bench.contact) == 1030
    bench.until(1029)
    assert bench.levels() == []
    bench.until(1030)
    assert bench.levels() == [(True, 1000)]
    assert bench.told() == [(1000, {"active": True, "reason": None, "initial": False})]


def test_a_press_that_ended_before_anyone_looked_counts() -> None:
    """gpiozero#550, #1039, mqtt-io#75: presses lost by debouncing and by polling."""
    bench = Bench()
    bench.edge(True, 1000)
    bench.edge(False, 1030)  # nobody looked in between
    bench.until(2000)
    assert bench.levels() == [(True, 1000), (False, 1030)]


def test_a_spike_shorter_than_settle_never_counts() -> None:
    bench = Bench()
    bench.edge(True, 1000)
    bench.edge(False, 1029)
    bench.until(2000)
    assert bench.levels() == []
    assert contact.wake_at(bench.contact) is None


@pytest.mark.parametrize("late_ms", [0, 5, 200])
def test_a_bounce_of_many_edges_is_one_change_however_late_they_come(late_ms: Ms) -> None:
    bench = Bench()
    edges = [(True, 1000), (False, 1004), (True, 1009), (False, 1011), (True, 1020)]
    for active, edge_ms in edges:
        bench.edge(active, edge_ms, 1020 + late_ms)
    bench.until(3000)
    assert bench.levels() == [(True, 1020)]


def test_a_row_of_late_edges_is_judged_as_a_whole() -> None:
    """A loop that was blocked for 200 ms finds press, bounce and release in one go."""
    bench = Bench()
    for active, edge_ms in [(True, 1000), (False, 1003), (True, 1006), (False, 1100)]:
        bench.until(1200)
        bench.edge(active, edge_ms, 1200)
    bench.until(1201)
    assert bench.levels() == [(True, 1006), (False, 1100)]


def test_edges_stamped_in_the_future_or_in_the_wrong_order_are_clamped() -> None:
    bench = Bench()
    bench.edge(True, 1500, now=1000)
    bench.edge(False, 900, now=1040)
    bench.until(2000)
    assert bench.contact.active is False
    assert bench.contact.raw_ms == 1000


def test_without_settling_every_edge_counts_at_once() -> None:
    bench = Bench(plans.contact("front.button", settle_ms=0))
    bench.edge(True, 1000)
    bench.edge(False, 1000)
    assert bench.levels() == [(True, 1000), (False, 1000)]


def test_a_level_that_is_told_twice_is_one() -> None:
    bench = Bench()
    bench.edge(True, 1000)
    bench.edge(True, 1020)
    bench.until(1030)
    bench.edge(True, 1500)
    assert bench.levels() == [(True, 1000)]


@given(
    pulse_ms=st.integers(1, 200),
    looks=st.lists(st.integers(0, 400), max_size=5),
    late_ms=st.integers(0, 300),
)
def test_what_counts_depends_on_the_edges_and_never_on_who_looked_when(
    pulse_ms: Ms, looks: list[Ms], late_ms: Ms
) -> None:
    bench = Bench()
    now = 1000 + late_ms
    bench.edge(True, 1000, now)
    release = 1000 + pulse_ms
    for look in sorted(1000 + ms for ms in looks):
        if now <= look < release:
            bench.until(look)
            now = look
    bench.edge(False, release, max(now, release))
    bench.until(5000)
    expected = [(True, 1000), (False, release)] if pulse_ms >= PLAN.settle_ms else []
    assert bench.levels() == expected


# --- the first level, and unknown ---------------------------------------------------------


def test_before_its_first_level_a_contact_is_unknown_and_not_off() -> None:
    bench = Bench(first=None)
    assert bench.contact.active is None
    assert bench.contact.reason == "no_level_yet"
    bench.edge(False, 10)
    bench.until(40)
    assert bench.told() == [(10, {"active": False, "reason": None, "initial": True})]
    assert [change.pressed for change in bench.changes] == [False]


def test_a_contact_held_at_start_is_seen_and_is_no_press() -> None:
    bench = Bench(first=None)
    bench.edge(True, 0)
    bench.edge(True, 10)  # reported again: no new edge
    bench.until(30)
    assert bench.changes == [Change(True, 0, pressed=False)]
    assert bench.told() == [(0, {"active": True, "reason": None, "initial": True})]


@pytest.mark.parametrize("pressed_ms", [1, 10, 29, 30, 31, 200])
def test_an_edge_right_after_the_first_report_is_a_press(pressed_ms: Ms) -> None:
    bench = Bench(first=None)
    bench.edge(False, 0)
    bench.edge(True, pressed_ms)
    bench.until(1000)
    assert bench.changes[-1] == Change(True, pressed_ms, pressed=True)


def test_an_edge_right_after_a_driver_came_back_is_a_press() -> None:
    bench = Bench()
    bench.edge(None, 1000, why="chip gone")
    bench.edge(False, 2000)
    bench.edge(True, 2010)
    bench.until(3000)
    assert bench.changes[-1] == Change(True, 2010, pressed=True)


@pytest.mark.parametrize("bounce_ms", [1, 20])
def test_a_contact_held_at_start_that_bounces_is_no_press(bounce_ms: Ms) -> None:
    bench = Bench(first=None)
    bench.edge(True, 0)
    bench.edge(False, 5)
    bench.edge(True, 5 + bounce_ms)
    bench.until(1000)
    assert [change.pressed for change in bench.changes] == [False]
    bench.edge(False, 2000)
    bench.edge(True, 3000)
    bench.until(4000)
    assert bench.changes[-1].pressed


def test_a_contact_that_says_nothing_after_start_is_a_fault_and_no_press_later() -> None:
    bench = Bench(first=None)
    bench.until(contact.FIRST_LEVEL_MS)
    assert bench.contact.conditions == (("contact_unknown", "no_level_yet"),)
    bench.edge(True, 9000)
    bench.until(9030)
    assert bench.faults() == []
    assert [change.pressed for change in bench.changes] == [False]


def test_unknown_counts_at_once_with_its_reason_and_its_end_is_no_press() -> None:
    """GarageQTPi#13, zigbee2mqtt#8126: doors that move when something reconnects."""
    bench = Bench()
    bench.edge(None, 1000, why="chip gone")
    assert bench.contact.conditions == (("contact_unknown", "chip gone"),)
    assert bench.told() == [(1000, {"active": None, "reason": "chip gone", "initial": False})]
    bench.edge(None, 1100, why="still gone")
    bench.edge(None, 1200, why="still gone")
    assert bench.contact.conditions == (("contact_unknown", "still gone"),)
    bench.edge(True, 2000)
    bench.until(2030)
    assert (bench.contact.active, bench.contact.reason, bench.faults()) == (True, "", [])
    assert [change.pressed for change in bench.changes] == [False, False]


def test_a_press_just_before_the_level_is_lost_still_counts() -> None:
    bench = Bench()
    bench.edge(True, 1000)
    bench.edge(None, 1050, why="chip gone")
    assert bench.changes == [Change(True, 1000, pressed=True), Change(None, 1050, pressed=False)]


def test_unknown_as_the_first_word_is_told() -> None:
    bench = Bench(first=None)
    bench.edge(None, 10, why="no chip")
    assert bench.told() == [(10, {"active": None, "reason": "no chip", "initial": True})]
    assert bench.faults() == ["contact_unknown"]


# --- stuck --------------------------------------------------------------------------------


def test_held_for_too_long_is_stuck_and_counts_again_after_it_was_inactive() -> None:
    bench = Bench(STUCK)
    bench.edge(True, 1000)
    bench.until(30_999)
    assert bench.contact.held
    bench.until(31_000)
    assert (bench.contact.held, bench.faults()) == (False, ["contact_stuck"])
    bench.edge(None, 40_000, why="chip gone")
    bench.edge(True, 41_000)
    bench.until(80_000)
    assert (bench.contact.held, bench.faults()) == (False, ["contact_stuck"])
    bench.edge(False, 90_000)
    bench.until(90_030)
    assert bench.faults() == []
    bench.edge(True, 91_000)
    bench.until(91_030)
    assert bench.contact.held
    assert bench.changes[-1].pressed


def test_a_contact_that_was_stuck_before_the_restart_is_no_press_after_it() -> None:
    still = contact.start(STUCK, 0, stuck=True)
    bench = Bench(first=None)
    bench.contact = still
    bench.edge(True, 0)
    bench.until(30)
    assert [change.pressed for change in bench.changes] == [False]
    assert bench.faults() == ["contact_stuck"]


def test_a_contact_without_a_limit_may_be_active_for_ever() -> None:
    bench = Bench()
    bench.edge(True, 1000)
    bench.until(10**9)
    assert bench.faults() == []


# --- chattering ---------------------------------------------------------------------------

CHATTER = plans.contact("front.button", chatter_changes=4, chatter_window_ms=60_000)


def chatter(bench: Bench, changes: int, at_ms: Ms, every_ms: Ms = 1000) -> None:
    for index in range(changes):
        edge_ms = at_ms + index * every_ms
        bench.until(edge_ms)
        bench.edge(not bench.contact.active, edge_ms)
        bench.until(edge_ms + 30)


def test_more_changes_than_a_person_makes_are_a_fault_and_are_counted_not_told() -> None:
    bench = Bench(CHATTER)
    chatter(bench, 20, 1000)
    assert bench.faults() == ["contact_chattering"]
    assert len(bench.told()) == 4
    assert len(bench.changes) == 20  # the level itself goes on counting
    bench.until(5030 + 60_000)
    assert bench.told("contact_count") == [(65_030, {"changes": 16, "window_ms": 60_000})]
    assert bench.faults() == ["contact_chattering"]


def test_calm_again_after_a_quiet_window_with_the_level_told_as_it_is() -> None:
    bench = Bench(CHATTER)
    chatter(bench, 7, 1000)
    assert bench.contact.active is True
    bench.until(5030 + 60_000)  # three more changes: too many for calm
    bench.until(5030 + 120_000)
    assert bench.faults() == []
    assert bench.told()[-1] == (7000, {"active": True, "reason": None, "initial": False})
    assert [data["changes"] for _, data in bench.told("contact_count")] == [3]
    assert contact.wake_at(bench.contact) is None


def test_calm_with_the_level_that_was_told_last_needs_no_more_words() -> None:
    bench = Bench(CHATTER)
    chatter(bench, 6, 1000)
    bench.until(5030 + 60_000)
    assert bench.faults() == []
    assert len(bench.told()) == 4


def test_as_many_changes_over_a_longer_time_are_just_a_busy_door() -> None:
    bench = Bench(CHATTER)
    chatter(bench, 20, 1000, every_ms=20_000)
    assert bench.faults() == []
    assert len(bench.told()) == 20


def test_time_alone_changes_nothing_before_a_deadline() -> None:
    bench = Bench()
    before = bench.contact
    bench.step(None, 10_000)
    assert bench.contact is before


# --- what tells about a person ------------------------------------------------------------


def test_a_private_contact_says_what_it_sees_in_the_local_lane_only() -> None:
    bench = Bench(plans.contact("front.button", private=True))
    bench.edge(True, 1000)
    bench.until(2000)
    assert bench.told("presence_changed") == [
        (1000, {"active": True, "reason": None, "initial": False})
    ]
    assert KINDS["presence_changed"].lane == "local"


def test_a_hundred_changes_in_a_minute_are_a_busy_door_and_no_fault() -> None:
    """An entrance with fifty people in a minute is not broken."""
    bench = Bench(plans.contact("front.button"))
    chatter(bench, 100, 1000, every_ms=600)
    assert bench.faults() == []
    chatter(bench, 1, 61_000)
    assert bench.faults() == ["contact_chattering"]


def test_how_often_a_private_contact_chatters_is_not_told() -> None:
    bench = Bench(replace(CHATTER, private=True))
    chatter(bench, 20, 1000)
    assert bench.faults() == ["contact_chattering"]
    bench.until(300_000)
    assert {fact.kind for fact in bench.facts} == {"presence_changed"}
