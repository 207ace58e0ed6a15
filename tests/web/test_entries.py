"""Facts grouped into entries: one opening, one call, one alarm is one entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.core.facts import KINDS
from gateway.web.history.entries import KINDS_OF, SPAN_ROWS, Entry, entries
from gateway.wire import Row

BEGIN = 1_764_500_000_000


@dataclass
class Told:
    """A journal that tests write, fact by fact."""

    rows: list[Row] = field(default_factory=list)
    mono_ms: int = 1_000_000
    boot: str = "b1"
    row: int = 0

    def fact(self, kind: str, subject: str = "front", after_ms: int = 1_000, **data: Any) -> Row:
        self.mono_ms += after_ms
        self.row += 1
        utc_ms = BEGIN + self.mono_ms
        lane = KINDS[kind].lane
        made = Row(self.row, lane, self.row, self.boot, self.mono_ms, utc_ms, kind, subject, data)
        self.rows.append(made)
        return made

    def pressed(self, door: str = "front", outcome: str = "accepted", **data: Any) -> Row:
        button = {"activator": f"{door}.button", "activator_kind": "button", "side": "outside"}
        return self.fact("door_request", door, outcome=outcome, **{**button, **data})

    def opens(self, door: str = "front", cause: str = "request") -> Row:
        return self.fact("door_opened", door, cause=cause, press_to_open_ms=400)

    def closes(self, door: str = "front") -> Row:
        return self.fact("door_closed", door, 7_000, open_ms=7_000)

    @property
    def entries(self) -> list[Entry]:
        return entries(self.rows)


def shape(told: Told) -> list[tuple[str, int]]:
    return [(entry.sort, len(entry.facts)) for entry in told.entries]


def test_one_opening_is_one_entry() -> None:
    told = Told()
    told.pressed(), told.opens(), told.closes()
    (entry,) = told.entries
    assert (entry.sort, entry.family, len(entry.facts)) == ("opening", "door", 3)
    assert entry.end is told.rows[2]
    assert entry.opened is told.rows[1]
    assert entry.begun


def test_openings_of_two_doors_overlap() -> None:
    told = Told()
    told.pressed("front"), told.pressed("back")
    told.opens("back"), told.opens("front")
    told.closes("front"), told.closes("back")
    front, back = told.entries
    assert [row.subject for row in front.facts] == ["front"] * 3
    assert [row.subject for row in back.facts] == ["back"] * 3


def test_requests_while_it_is_open_belong_to_the_opening() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.pressed(outcome="merged"), told.pressed(outcome="extended"), told.pressed()
    told.closes()
    assert shape(told) == [("opening", 6)]


def test_a_request_that_opened_nothing_is_not_joined_to_the_next() -> None:
    told = Told()
    told.pressed()
    told.fact("alarm_raised", "front/did_not_open", severity="urgent", count=1)
    told.pressed(), told.opens(), told.closes()
    failed, alarm, opening = told.entries
    assert failed.outcome == "did_not_open"
    assert failed.lost
    assert (alarm.sort, len(opening.facts)) == ("alarm", 3)
    assert opening.outcome == ""


def test_a_door_that_is_left_open_says_so_in_its_entry() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.fact("alarm_raised", "front/left_open", severity="fault", count=1)
    told.closes()
    told.fact("alarm_cleared", "front/left_open", active_ms=7_000)
    opening, alarm = told.entries
    assert opening.outcome == "left_open"
    assert [row.kind for row in alarm.facts] == ["alarm_raised", "alarm_cleared"]


def test_a_missing_closing_does_not_swallow_the_next_opening() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.pressed(outcome="accepted")  # joins: the door is open as far as anybody knows
    told.opens(cause="hand")
    told.closes()
    first, second = told.entries
    assert first.lost
    assert first.end is None
    assert second.end is not None


def test_a_door_pulled_open_by_hand_is_one_entry() -> None:
    told = Told()
    told.opens(cause="hand")
    told.fact("opened_by_hand", "front", 0)
    told.closes()
    assert shape(told) == [("opening", 3)]


def test_a_forced_door_is_no_answer_to_a_request() -> None:
    told = Told()
    told.pressed()
    told.opens(cause="forced")
    assert shape(told) == [("opening", 1), ("opening", 1)]


def test_a_restart_in_the_middle_keeps_the_opening_together() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.fact("gateway_stopped", "gw", reason="SIGTERM")
    told.boot, told.mono_ms = "b2", 5_000
    told.fact("gateway_started", "gw", clean=True, version="1", configuration="c")
    told.closes()
    opening, restart = told.entries
    assert opening.restarted
    assert opening.end is not None
    assert (restart.sort, len(restart.facts), restart.begun) == ("restart", 2, True)


def test_a_start_without_a_stop_is_an_entry_without_a_beginning() -> None:
    told = Told()
    told.fact("gateway_started", "gw", clean=False, version="1", configuration="c")
    assert [(entry.sort, entry.begun) for entry in told.entries] == [("restart", False)]


def test_a_closing_whose_opening_is_unknown_is_an_entry_of_its_own() -> None:
    told = Told()
    told.closes()
    (entry,) = told.entries
    assert (entry.sort, entry.begun, entry.opened) == ("opening", False, None)


def test_equal_refusals_are_one_entry_with_a_number() -> None:
    told = Told()
    for _ in range(3):
        told.pressed(outcome="refused", reason="mode_night")
    told.pressed(outcome="refused", reason="fire")
    told.fact(
        "refusals_counted", "front", 60_000, outcome="refused", reason="mode_night", count=12,
        window_ms=60_000, by=None,
    )  # fmt: skip
    told.fact("door_request", "front", 90_000, outcome="refused", reason="mode_night")
    assert shape(told) == [("refused", 4), ("refused", 1), ("refused", 1)]


def test_a_refusal_while_it_is_open_does_not_end_the_opening() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.pressed(outcome="refused", reason="fire")
    told.closes()
    assert shape(told) == [("opening", 3), ("refused", 1)]


def test_a_call_with_its_messages_is_one_entry() -> None:
    told = Told()
    told.fact("call_raised", "wc", call="wc-1", cause="cord", pulls=1, test=False)
    told.fact(
        "message", "wc", delivery="wc-1#1", receiver="x", about="wc-1", message="call",
        result="sent", channel=0,
    )  # fmt: skip
    told.pressed(), told.opens()
    told.fact("call_acknowledged", "wc", call="wc-1", by="web:1", via="web", after_ms=5_000)
    told.fact("call_raised", "wc", call="wc-1", cause="unattended", pulls=2, test=False)
    told.fact("call_attended", "wc", call="wc-1", point="wc.presence", after_ms=9_000)
    told.fact("call_cancelled", "wc", call="wc-1", point="wc.cancel", test=False)
    told.fact("call_raised", "wc", call="wc-2", cause="cord", pulls=1, test=True)
    call, opening, test = told.entries
    assert (call.sort, len(call.facts)) == ("call", 6)
    assert call.end is not None
    assert (opening.sort, len(test.facts)) == ("opening", 1)


def test_a_call_goes_on_after_a_restart_under_another_id() -> None:
    told = Told()
    told.fact("call_raised", "wc", call="wc-1", cause="cord", pulls=1, test=False)
    told.fact("gateway_started", "gw", clean=False, version="1", configuration="c")
    told.fact("call_raised", "wc", call="wc-9", was="wc-1", cause="restart", pulls=1, test=False)
    told.fact("call_cancelled", "wc", call="wc-9", point="wc.cancel", test=False)
    call, _ = told.entries
    assert len(call.facts) == 3
    assert call.restarted


def test_an_alarm_from_raised_to_cleared_is_one_entry() -> None:
    told = Told()
    told.fact("alarm_raised", "front/left_open", severity="fault", count=1)
    told.fact("alarm_acknowledged", "front/left_open", by="web:1")
    told.fact("alarm_shelved", "front/left_open", by="web:1", for_ms=1)
    told.fact("alarm_cleared", "front/left_open", active_ms=5_000)
    told.fact("alarm_raised", "front/left_open", severity="fault", count=1)
    told.fact("alarm_acknowledged", "back/left_open", by="web:1")
    told_shape = [(entry.sort, len(entry.facts), entry.begun) for entry in told.entries]
    assert told_shape == [("alarm", 4, True), ("alarm", 1, True), ("alarm", 1, False)]


def test_water_is_part_of_its_alarm() -> None:
    told = Told()
    told.fact("leak", "wc", wet=True, latched=True)
    told.fact("alarm_raised", "wc/leak", 0, severity="urgent", count=1)
    told.fact("leak", "wc", wet=False, latched=True)
    told.fact("leak", "wc", wet=False, latched=False, by="web:1")
    told.fact("alarm_cleared", "wc/leak", 0, active_ms=2_000)
    (entry,) = told.entries
    assert (entry.sort, entry.subject, len(entry.facts)) == ("alarm", "wc/leak", 5)


def test_a_visit_lasts_until_the_room_is_vacant() -> None:
    told = Told()
    told.fact("occupancy_changed", "wc", occupancy="occupied", for_ms=9)
    told.fact("occupancy_changed", "wc", 60_000, occupancy="vacant", for_ms=60_000)
    told.fact("occupancy_changed", "wc", occupancy="occupied", for_ms=9)
    assert shape(told) == [("visit", 2), ("visit", 1)]


def test_doors_that_the_schedule_switches_together_are_one_entry() -> None:
    told = Told()
    for door in ("front", "back", "yard"):
        told.fact("door_mode", door, 0, mode="night", source="schedule", until_utc_ms=None)
    told.fact("door_mode", "front", 10_000, mode="night", source="schedule", until_utc_ms=None)
    first, second = told.entries
    assert first.subjects == ["front", "back", "yard"]
    assert second.subjects == ["front"]


@pytest.mark.parametrize(
    ("kind", "sort"), [("door_service", "service"), ("room_test", "room_test")]
)
def test_what_somebody_begins_and_ends_is_one_entry(kind: str, sort: str) -> None:
    told = Told()
    told.fact(kind, "front", active=True, for_ms=9, by="web:1")
    told.fact(kind, "front", active=True, for_ms=9, by="web:1")  # prolonged
    told.fact(kind, "front", active=False)
    told.fact(kind, "front", active=False)
    assert shape(told) == [(sort, 3), (sort, 1)]
    assert not told.entries[1].begun


def test_a_change_of_the_settings_and_its_restart_are_one_entry() -> None:
    told = Told()
    told.fact("configuration_changed", "gw", digest="d", by="web:1")
    told.fact("gateway_stopped", "gw", reason="reload")
    told.fact("gateway_started", "gw", clean=True, version="1", configuration="d")
    told.fact("gateway_stopped", "gw", 120_000, reason="SIGTERM")
    assert shape(told) == [("settings", 3), ("restart", 1)]


def test_a_guarantee_is_one_entry_from_broken_to_good() -> None:
    told = Told()
    told.fact("gateway_started", "gw", clean=True, version="1", configuration="d")
    told.fact("guarantee_changed", "clock", value="yes", before=None)
    told.fact("guarantee_changed", "forwarding", value="no", before="yes", reason="unsent")
    told.fact("guarantee_changed", "forwarding", value="unknown", before="no")
    told.fact("guarantee_changed", "forwarding", value="yes", before="unknown")
    assert shape(told) == [("restart", 2), ("guarantee", 3)]
    assert told.entries[1].end is not None


def test_a_message_goes_with_its_confirmation() -> None:
    told = Told()
    what: dict[str, Any] = {
        "delivery": "t#1",
        "receiver": "x",
        "channel": 0,
        "about": "t",
        "message": "test",
    }
    told.fact("message", "gw", **what, result="sent")
    told.fact("message", "gw", **what, result="delivered")
    told.fact("message_confirmed", "gw", delivery="t#1", receiver="x")
    assert shape(told) == [("delivery", 3)]


def test_what_ends_long_after_it_began_is_seen_when_it_ends() -> None:
    told = Told()
    told.fact("alarm_raised", "front/left_open", severity="fault", count=1)
    told.row += SPAN_ROWS
    told.fact("alarm_cleared", "front/left_open", active_ms=5_000)
    raised, cleared = told.entries
    assert (raised.end, cleared.begun) == (None, False)


def test_each_fact_is_in_one_entry_and_entries_stand_in_order() -> None:
    told = Told()
    for kind in KINDS:
        subject = "front/left_open" if kind.startswith("alarm_") else "front"
        for active in (True, False):
            told.fact(kind, subject, active=active, wet=active, call="c-1", delivery="d#1")
    found = told.entries
    rows = sorted(row.row for entry in found for row in entry.facts)
    assert rows == [row.row for row in told.rows]
    assert [entry.row for entry in found] == sorted(entry.row for entry in found)


def test_the_kinds_of_a_family_are_in_the_catalogue() -> None:
    for kinds in KINDS_OF.values():
        assert set(kinds) <= KINDS.keys()


def test_an_entry_is_about_its_door_its_button_and_its_alarm() -> None:
    told = Told()
    told.pressed(), told.opens()
    told.fact("alarm_raised", "front/left_open", severity="fault", count=1)
    opening, alarm = told.entries
    assert opening.about("front")
    assert opening.about("front.button")
    assert alarm.about("front")
    assert alarm.about("front/left_open")
    assert not opening.about("back")
