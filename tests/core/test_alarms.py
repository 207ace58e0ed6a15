"""The alarm list: its life after ISA-18.2, storms, shelves, mutes and restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.effects import Reply
from gateway.core.events import AcknowledgeAlarm, Issuer, ShelveAlarm
from gateway.core.instant import ClockKnown, Ms
from gateway.core.notification import alarms
from gateway.core.notification.alarms import (
    Alarm,
    Alarms,
    Cleared,
    Raised,
    Restored,
    Unmuted,
)
from gateway.core.plan import Severity

BY = Issuer("web:3", "web")
LEAF = "front/left_open"
HOUR = 3_600_000


class Bench:
    def __init__(self) -> None:
        self.alarms = Alarms()
        self.told: list[tuple[Ms, str, str]] = []
        self.replies: list[Reply] = []

    def step(self, event: alarms.Event | None, now: Ms) -> None:
        result = alarms.step(self.alarms, event, now)
        self.alarms = result.state
        self.told += [(fact.at_ms, fact.kind, fact.subject) for fact in result.facts]
        self.replies += [effect for effect in result.effects if isinstance(effect, Reply)]

    def until(self, now: Ms) -> None:
        while (due := alarms.wake_at(self.alarms)) is not None and due <= now:
            self.step(None, due)

    def raise_(
        self, now: Ms, kind: str = "left_open", severity: Severity = "fault", muted: bool = False
    ) -> None:
        self.step(Raised("front", kind, severity, "why", muted), now)

    def clear(self, now: Ms, kind: str = "left_open") -> None:
        self.step(Cleared("front", kind), now)

    def acknowledge(self, now: Ms, alarm: str = LEAF) -> Reply:
        self.step(AcknowledgeAlarm("c1", BY, now + 5000, alarm), now)
        return self.replies[-1]

    def shelve(self, now: Ms, for_ms: Ms = HOUR, alarm: str = LEAF) -> Reply:
        self.step(ShelveAlarm("c2", BY, now + 5000, alarm, for_ms), now)
        return self.replies[-1]

    def one(self, alarm: str = LEAF) -> Alarm:
        return self.alarms.by_id[alarm]

    def states(self) -> dict[str, str]:
        return {alarm.id: alarm.state for alarm in alarms.listed(self.alarms)}

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.told]


# --- life ---------------------------------------------------------------------------------


def test_active_acknowledged_gone() -> None:
    bench = Bench()
    bench.raise_(1000)
    assert bench.states() == {LEAF: "active"}
    assert bench.acknowledge(2000) == Reply("c1", "accepted")
    assert (bench.states(), bench.one().acknowledged_by) == ({LEAF: "acknowledged"}, "web:3")
    bench.clear(3000)
    assert bench.states() == {}
    assert bench.kinds() == ["alarm_raised", "alarm_acknowledged", "alarm_cleared"]


def test_cleared_before_it_was_seen_stays_listed_until_it_is() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.clear(2000)
    assert bench.states() == {LEAF: "cleared"}
    bench.acknowledge(3000)
    assert bench.states() == {}


def test_an_alarm_is_acknowledged_once() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.acknowledge(2000)
    assert bench.acknowledge(3000) == Reply("c1", "merged")
    assert bench.kinds().count("alarm_acknowledged") == 1


def test_only_what_is_listed_is_found() -> None:
    bench = Bench()
    bench.raise_(1000, muted=True)
    bench.raise_(1000, kind="forced", severity="urgent")
    assert alarms.find(bench.alarms, LEAF) is None
    assert alarms.find(bench.alarms, "front/nothing") is None
    assert alarms.find(bench.alarms, "front/forced") is not None


def test_clearing_what_does_not_stand_says_nothing() -> None:
    bench = Bench()
    bench.clear(1000)
    bench.raise_(2000)
    bench.clear(3000)
    bench.clear(4000)
    assert bench.kinds() == ["alarm_raised", "alarm_cleared"]


def test_a_condition_told_again_keeps_its_alarm_and_its_acknowledgement() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.acknowledge(2000)
    bench.step(Raised("front", "left_open", "fault", "worse"), 3000)
    one = bench.one()
    assert (one.count, one.acknowledged_by, one.detail) == (1, "web:3", "worse")


# --- storms -------------------------------------------------------------------------------


def test_a_storm_of_one_kind_is_one_alarm_with_a_count_and_few_facts() -> None:
    bench = Bench()
    for second in range(50):
        bench.raise_(1000 + second * 1000)
        bench.clear(1500 + second * 1000)
    assert bench.one().count == 50
    assert bench.kinds() == ["alarm_raised", "alarm_cleared"]
    bench.until(61_000)
    assert bench.kinds() == ["alarm_raised", "alarm_cleared"] * 2
    assert alarms.wake_at(bench.alarms) is None


def test_a_storm_that_ends_standing_is_told_as_standing() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.clear(2000)
    bench.raise_(3000)
    bench.until(61_000)
    assert bench.told[-1] == (61_000, "alarm_raised", LEAF)
    bench.clear(70_000)
    assert bench.told[-1] == (70_000, "alarm_cleared", LEAF)


def test_alarms_of_different_kinds_are_told_each() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.raise_(1001, kind="forced", severity="urgent")
    assert bench.kinds() == ["alarm_raised", "alarm_raised"]


# --- shelves ------------------------------------------------------------------------------


def test_a_shelf_ends_by_itself() -> None:
    bench = Bench()
    bench.raise_(1000)
    assert bench.shelve(2000) == Reply("c2", "accepted")
    assert bench.states() == {LEAF: "shelved"}
    bench.until(2000 + HOUR)
    assert bench.states() == {LEAF: "active"}
    assert bench.kinds() == ["alarm_raised", "alarm_shelved", "alarm_shelved"]


def test_what_comes_back_on_the_shelf_is_told_when_the_shelf_ends() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.shelve(2000)
    bench.clear(3000)
    bench.raise_(200_000)
    assert bench.kinds() == ["alarm_raised", "alarm_shelved", "alarm_cleared"]
    bench.until(2000 + HOUR)
    assert bench.kinds()[-2:] == ["alarm_shelved", "alarm_raised"]


def test_zero_takes_an_alarm_off_the_shelf() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.shelve(2000)
    assert bench.shelve(3000, for_ms=0) == Reply("c2", "accepted")
    assert bench.states() == {LEAF: "active"}
    assert alarms.wake_at(bench.alarms) is None


@pytest.mark.parametrize("for_ms", [-1, alarms.SHELF_LIMIT_MS + 1])
def test_a_shelf_is_limited_to_a_week(for_ms: Ms) -> None:
    bench = Bench()
    bench.raise_(1000)
    assert bench.shelve(2000, for_ms=for_ms) == Reply("c2", "refused", "limit")


@pytest.mark.parametrize("severity", ["emergency", "urgent"])
def test_what_is_urgent_cannot_be_shelved(severity: Severity) -> None:
    bench = Bench()
    bench.raise_(1000, severity=severity)
    assert bench.shelve(2000) == Reply("c2", "refused", "not_shelvable")


# --- service ------------------------------------------------------------------------------


def test_a_fault_of_a_door_in_service_is_raised_when_service_ends() -> None:
    bench = Bench()
    bench.raise_(1000, muted=True)
    assert (bench.states(), bench.told) == ({}, [])
    bench.step(Unmuted(frozenset({"back"})), 1500)
    assert bench.states() == {}
    bench.step(Unmuted(frozenset({"front"})), 2000)
    assert bench.told == [(2000, "alarm_raised", LEAF)]


def test_a_fault_that_came_and_went_in_service_was_the_service() -> None:
    bench = Bench()
    bench.raise_(1000, muted=True)
    bench.clear(2000)
    bench.step(Unmuted(frozenset({"front"})), 3000)
    assert (bench.alarms.by_id, bench.told) == ({}, [])


def test_service_does_not_mute_what_is_urgent() -> None:
    bench = Bench()
    bench.raise_(1000, kind="forced", severity="urgent", muted=True)
    assert bench.kinds() == ["alarm_raised"]


def test_an_alarm_from_before_the_service_only_counts_during_it() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.clear(2000)
    bench.raise_(100_000, muted=True)
    assert (bench.one().count, bench.states()) == (2, {LEAF: "active"})
    assert bench.kinds() == ["alarm_raised", "alarm_cleared"]


# --- clock and restart --------------------------------------------------------------------

WAS = Alarm(
    "front", "left_open", "fault", confirmed=False, raised_utc_ms=5, acknowledged_by="web:3"
)


def test_times_are_known_once_the_clock_is() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.shelve(2000)
    bench.raise_(2500, kind="did_not_open")
    bench.step(ClockKnown(1_000_000), 3000)
    bench.raise_(4000, kind="forced", severity="urgent")
    assert [a.raised_utc_ms for a in alarms.listed(bench.alarms)] == [
        1_001_000,
        1_002_500,
        1_004_000,
    ]
    assert bench.one().shelved_until_utc_ms == 1_002_000 + HOUR
    bench.shelve(5000)
    assert bench.one().shelved_until_utc_ms == 1_005_000 + HOUR


def test_a_condition_that_still_stands_after_a_restart_is_the_same_alarm() -> None:
    """home-assistant#94857: acknowledgements lost on restart."""
    bench = Bench()
    bench.step(Restored(WAS), 0)
    assert bench.states() == {LEAF: "acknowledged"}
    bench.raise_(1000)
    one = bench.one()
    assert (one.count, one.acknowledged_by, one.confirmed, bench.told) == (1, "web:3", True, [])


def test_what_was_seen_before_the_kept_list_could_be_read_joins_its_alarm() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.step(Restored(WAS), 2000)
    one = bench.one()
    assert (one.state, one.count, one.raised_utc_ms, one.raised_ms) == ("acknowledged", 1, 5, 1000)
    bench = Bench()
    bench.raise_(1000)
    bench.step(Restored(replace(WAS, standing=False, acknowledged_by=None, count=3)), 2000)
    assert bench.one().count == 4


def test_a_shelf_goes_on_after_a_restart() -> None:
    shelved = replace(WAS, shelved=True, shelved_until_utc_ms=1_000_000 + HOUR)
    bench = Bench()
    bench.step(Restored(shelved), 0)
    assert bench.one().shelved_until_ms == alarms.SHELF_LIMIT_MS
    bench.step(ClockKnown(1_000_000), 1000)
    assert bench.one().shelved_until_ms == HOUR
    bench = Bench()
    bench.step(ClockKnown(1_000_000), 0)
    bench.step(Restored(shelved), 1000)
    bench.until(HOUR)
    assert bench.states() == {LEAF: "acknowledged"}


def test_a_shelved_alarm_that_is_gone_and_was_seen_leaves_the_list() -> None:
    bench = Bench()
    bench.raise_(1000)
    bench.acknowledge(1500)
    bench.shelve(2000)
    bench.clear(3000)
    assert bench.alarms.by_id == {}


def test_a_clock_that_is_set_back_hides_no_alarm_for_longer() -> None:
    bench = Bench()
    bench.step(ClockKnown(1_700_000_000_000), 0)
    bench.raise_(1000)
    bench.shelve(2000)
    bench.step(ClockKnown(1_700_000_000_000 - 86_400_000), 3000)
    assert alarms.wake_at(bench.alarms) == 2000 + HOUR


def test_a_shelf_of_a_clock_that_was_ahead_ends_within_its_limit() -> None:
    ahead = replace(WAS, shelved=True, shelved_until_utc_ms=1_800_000_000_000)
    bench = Bench()
    bench.step(Restored(ahead), 0)
    bench.step(ClockKnown(1_700_000_000_000), 1000)
    assert alarms.wake_at(bench.alarms) == alarms.SHELF_LIMIT_MS
