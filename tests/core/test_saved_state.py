"""What survives a restart, and what is only seen to be well again after one."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.core import building
from gateway.core.building.saved_state import SAVED, read
from gateway.core.building.snapshot import snapshot
from gateway.core.events import (
    CertificateState,
    CivilTime,
    JournalState,
    Level,
    Reading,
    RelayFault,
)
from gateway.core.facts import KINDS, Json
from gateway.core.plan import BuildingPlan
from gateway.core.saved_values import Times
from tests.core.building_bench import FRONT, OFFSET, PLAN, SMALL, Bench
from tests.core.room_bench import RoomBench

STATES = Path(__file__).parents[1] / "fixtures"


def levels(bench: Bench, **active: bool | None) -> None:
    """The first level of every contact after a start; inactive where nothing is named."""
    for contact in bench.building.plan.contacts:
        name = contact.point.replace(".", "_")
        default = contact.point == "house.mains"
        bench.at(bench.now, Level(contact.point, active.get(name, default), bench.now))
    bench.until(bench.now + 30)


# --- overrides, service, counters ---------------------------------------------------------


def test_when_a_door_was_last_open_survives_restarts_and_waits_for_the_clock() -> None:
    bench = Bench()
    bench.opening(1000)
    opened_ms = bench.building.doors["front"].counters.opened.ms
    assert opened_ms is not None

    def shown(of: Bench) -> Any:
        return cast("Any", snapshot(of.building, of.now))["doors"]["front"]["last_opened_ms"]

    again = bench.restarted(trusted=False, later_ms=60_000)
    assert shown(again) is None
    again = again.restarted()  # a start that never learned the time hands it on
    offset_ms = again.building.clock.offset_ms
    assert offset_ms is not None
    assert cast("int", shown(again)) + offset_ms == OFFSET + opened_ms
    again.opening(again.now + 1000)
    assert shown(again) == again.building.doors["front"].counters.opened.ms


def test_who_opened_a_door_last_is_known_after_a_restart() -> None:
    """Each reload of ``control`` took it from the page."""

    def asked(of: Bench) -> list[Any]:
        shown = cast("Any", snapshot(of.building, of.now))["doors"]["front"]
        return [shown["last_request"], shown["last_refusal"]]

    bench = Bench()
    bench.mode(500, "night")
    bench.open(1_000)  # without a reason
    bench.mode(1_500, "automatic")
    bench.open(2_000)
    bench.level(3_000, "front.leaf", True)
    bench.level(9_000, "front.leaf", False)
    request, refusal = asked(bench)
    assert (request["outcome"], request["by"], request["at_ms"]) == ("accepted", "web:3", 2_000)
    assert (refusal["reason"], refusal["at_ms"]) == ("reason_needed", 1_000)
    again = bench.restarted(trusted=False)
    assert asked(again) == [None, None]  # nobody can say yet when that was
    again.at(again.now, CivilTime(OFFSET + 60_000, True))
    since = 60_000 - again.now
    assert asked(again) == [
        request | {"at_ms": 2_000 - since},
        refusal | {"at_ms": 1_000 - since},
    ]
    again = again.restarted(later_ms=60_000)
    assert asked(again)[0] | {"at_ms": 0} == request | {"at_ms": 0}
    again.press(again.now + 1_000)
    assert asked(again)[0]["activator"] == "front.inside"


@pytest.mark.parametrize(
    "entry", [None, 3, "x", [], {}, {"outcome": 1}, {"outcome": "accepted", "by": ["x"]},
              {"outcome": "accepted", "at_utc_ms": "now"}],
)  # fmt: skip
def test_a_last_request_that_cannot_be_read_is_none(entry: Json) -> None:
    bench = Bench(kept={"counters": {"front": {"openings": 3, "last_request": entry}}})
    shown = cast("Any", snapshot(bench.building, bench.now))["doors"]["front"]
    assert (shown["last_request"], shown["counters"]["openings"]) == (None, 3)


def test_what_is_kept_of_a_door_changes_with_what_is_written_at_once_only() -> None:
    """The last request must cost no commit of its own."""
    bench = Bench()
    before, told = bench.kept()["counters"], len(bench.facts)
    for now in range(1_000, 40_000, 250):
        if now == 2_000:
            bench.open(now)
        elif now in (4_000, 12_000):
            bench.level(now, "front.leaf", now == 4_000)
        else:
            bench.until(now)
        after = bench.kept()["counters"]
        lanes = {KINDS[fact.kind].lane for fact in bench.facts[told:]}
        assert after == before or "urgent" in lanes
        before, told = after, len(bench.facts)


def test_an_override_survives_and_rules_whether_the_clock_is_known_or_not() -> None:
    bench = Bench()
    bench.mode(1000, "off", for_ms=3_600_000)
    again = bench.restarted(trusted=False, later_ms=60_000)
    assert again.building.doors["front"].mode == "off"
    again.at(200, CivilTime(OFFSET + 61_000, True))
    front = again.building.doors["front"]
    assert (front.mode, front.mode_by, front.mode_until_utc_ms) == (
        "off",
        "web:3",
        OFFSET + 3_601_000,
    )
    again.until(200 + 3_540_000)
    assert again.building.doors["front"].mode_source == "schedule"


def test_an_override_whose_end_passed_while_we_were_off_is_gone() -> None:
    bench = Bench()
    bench.mode(1000, "off", for_ms=60_000)
    again = bench.restarted(later_ms=60_000)
    assert again.building.doors["front"].mode == "automatic"
    assert again.kept()["overrides"] == {}


def test_an_override_of_a_boot_that_never_knew_the_time_survives_and_ends_with_its_span() -> None:
    bench = Bench(trusted=False)
    bench.mode(1000, "off", for_ms=60_000)
    again = Bench(kept=bench.kept(), trusted=False)
    assert again.building.doors["front"].mode == "off"
    again.until(60_999)
    assert again.shown()["doors"]["front"]["mode"] == "off"
    again.until(61_000)
    assert again.shown()["doors"]["front"]["mode"] == "automatic"


def test_service_goes_on_for_as_long_as_it_was_meant_to() -> None:
    bench = Bench()
    bench.service(1000, 3_600_000)
    kept = bench.kept()
    again = Bench(kept=kept, trusted=False)
    assert again.kept()["service"] == kept["service"]  # also over a second restart
    again.at(200, CivilTime(OFFSET + 1_801_000, True))
    assert again.building.doors["front"].service_until_ms == 200 + 1_800_000
    late = bench.restarted(later_ms=3_600_000)
    assert late.building.doors["front"].service_until_ms is None


def test_service_of_a_door_that_is_no_more_ends() -> None:
    bench = Bench()
    bench.service(1000, 3_600_000, door="back")
    again = Bench(SMALL, kept=bench.kept())
    assert again.building.service == {}


def test_the_counters_of_a_door_go_on() -> None:
    bench = Bench()
    bench.opening(1000)
    again = bench.restarted()
    again.opening(1000)
    counted = again.building.doors["front"].counters
    assert (counted.openings, counted.requests) == (2, 2)


def test_what_is_kept_changes_only_when_something_of_it_does() -> None:
    bench = Bench()
    before = bench.kept()
    bench.level(1000, "front.presence", True)
    assert bench.kept() == before
    assert json.loads(json.dumps(before)) == before


# --- alarms -------------------------------------------------------------------------------


def test_an_acknowledgement_is_never_lost_and_the_alarm_stays_the_same() -> None:
    """home-assistant#94857."""
    bench = Bench()
    bench.level(1000, "front.fault", True)
    bench.acknowledge(2000, "front/operator_fault")
    again = bench.restarted(levels=False)
    assert again.alarms() == {"front/operator_fault": "acknowledged"}
    levels(again, front_fault=True)
    one = again.building.alarms.by_id["front/operator_fault"]
    assert (one.state, one.count, one.acknowledged_by) == ("acknowledged", 1, "web:3")
    assert one.raised_utc_ms == OFFSET + 1030
    assert again.raised() == []


def test_an_alarm_that_is_over_is_cleared_only_when_that_is_seen() -> None:
    bench = Bench()
    bench.level(1000, "front.fault", True)
    again = bench.restarted(levels=False)
    again.until(4000)
    assert again.alarms() == {"front/operator_fault": "active"}
    levels(again)
    assert again.alarms() == {"front/operator_fault": "cleared"}
    third = again.restarted()
    assert third.alarms() == {"front/operator_fault": "cleared"}  # until somebody has seen it


def test_a_shelf_survives() -> None:
    bench = Bench()
    bench.level(1000, "front.fault", True)
    bench.shelve(2000, "front/operator_fault", 3_600_000)
    again = bench.restarted(levels=False)
    levels(again, front_fault=True)
    assert again.alarms() == {"front/operator_fault": "shelved"}
    again.until(3_700_000)
    assert again.alarms()["front/operator_fault"] == "active"


def test_a_stuck_button_is_no_request_after_a_restart() -> None:
    bench = Bench()
    bench.level(1000, "front.outside", True)
    bench.level(2000, "front.leaf", True)
    bench.level(9000, "front.leaf", False)
    bench.until(40_000)
    again = bench.restarted(levels=False)
    levels(again, front_outside=True)
    assert again.drives == []
    assert again.alarms() == {"front.outside/contact_stuck": "active"}
    again.level(1000, "front.outside", False)
    assert again.alarms() == {"front.outside/contact_stuck": "cleared"}


def test_a_button_held_at_the_start_is_no_request() -> None:
    """A key switch that was held closed opened its door at every start."""
    bench = Bench(levels=False)
    levels(bench, front_outside=True)
    assert bench.told("door_request") == []


def test_a_door_that_did_not_open_is_a_fault_over_a_restart_whatever_its_leaf_says() -> None:
    """Only a leaf that comes because it was asked proves the drive."""
    bench = Bench()
    bench.press(1_000)
    bench.until(10_000)
    assert bench.alarms()["front/did_not_open"] == "active"
    again = bench.restarted()
    levels(again, front_leaf=False)
    again.until(10_000)
    again.level(10_000, "front.leaf", True)
    again.level(11_000, "front.leaf", False)
    again.until(20_000)
    assert again.alarms()["front/did_not_open"] == "active"


def damaged() -> Bench:
    """A building in which everything stands that can stand."""
    plan = replace(PLAN, notices=(("back", "egress_never"),))
    bench = Bench(plan)
    bench.until(7_300_000)  # beyond the timetable
    bench.press(7_300_000)
    bench.until(7_310_000)
    bench.level(7_310_000, "front.leaf", True)  # late, so that it counts as left open later
    bench.level(7_320_000, "front.bolt", True)
    bench.level(7_320_000, "house.mains", False)
    bench.level(7_320_000, "house.fire", True)
    bench.level(7_320_000, "back.inside", None, "gone")
    bench.at(7_320_100, RelayFault("back.activation", "gone"))
    bench.at(7_320_100, JournalState("disk full"))
    bench.at(7_320_100, CertificateState("page"))
    bench.at(7_320_100, Reading("wc.climate", "temperature_c", 4.0))
    bench.at(7_320_200, Reading("wc.climate", "temperature_c", -127.0))
    bench.until(7_600_000)
    bench.at(7_600_000, CivilTime(0, False))
    bench.until(7_700_000)
    return bench


def test_silence_after_a_restart_is_no_proof_of_health() -> None:
    bench = damaged()
    standing = {name for name, state in bench.alarms().items() if state == "active"}
    again = bench.restarted(trusted=False, levels=False)
    again.until(1000)
    still = {name for name, state in again.alarms().items() if state == "active"}
    # A relay that is told to be off at every start is not on for too long.
    assert standing - still == {"front.activation/relay_limit"}
    assert len(standing) == 14


def test_every_alarm_of_before_clears_once_its_thing_is_seen_to_be_well() -> None:
    bench = damaged()
    before = set(bench.alarms())
    kept = {**bench.kept(), "clock": None}  # the time of the timetable goes back here
    again = Bench(PLAN, kept, levels=False, trusted=False)
    levels(again)
    for quantity_c in (20.0, 20.5):
        again.at(again.now, Reading("wc.climate", "temperature_c", quantity_c))
    again.at(again.now, CivilTime(OFFSET, True))
    again.at(again.now, JournalState(""))
    again.at(again.now, CertificateState(""))
    again.opening(1000, "front")
    again.opening(20_000, "back")
    assert set(again.alarms()) == before
    assert set(again.alarms().values()) == {"cleared"}


def test_faults_of_relays_and_limits_clear_as_they_prove_themselves() -> None:
    kept: dict[str, Json] = {
        "alarms": [
            {"subject": "front.activation", "kind": kind, "severity": "fault", "standing": True}
            for kind in ("relay_limit", "relay_fault")
        ]
    }
    bench = Bench(kept=kept)
    assert bench.alarms()["front.activation/relay_limit"] == "cleared"
    assert bench.alarms()["front.activation/relay_fault"] == "active"
    bench.press(1000)
    assert bench.alarms()["front.activation/relay_fault"] == "cleared"
    bench = Bench(kept=kept)
    bench.at(200, RelayFault("front.activation", "no such line"))
    assert bench.alarms()["front.activation/relay_fault"] == "active"
    bench.at(300, RelayFault("front.activation", ""))
    assert bench.alarms()["front.activation/relay_fault"] == "cleared"
    bench = Bench(kept=kept)
    bench.at(200, RelayFault("front.activation", ""))  # opened without a fault at the start
    assert bench.alarms()["front.activation/relay_fault"] == "cleared"


def test_a_timetable_that_had_ended_is_looked_at_anew_once_the_clock_is_known() -> None:
    ended: Json = {"subject": "front", "kind": "schedule_ended", "severity": "notice"}
    bench = Bench(kept={"alarms": [ended]}, trusted=False)
    assert bench.alarms() == {"front/schedule_ended": "active"}
    bench.at(200, CivilTime(OFFSET, True))
    assert bench.alarms() == {"front/schedule_ended": "cleared"}


def test_what_stands_at_something_that_is_no_more_is_over() -> None:
    bench = damaged()
    again = Bench(BuildingPlan("other"), bench.kept(), levels=False, trusted=False)
    ours = {name: state for name, state in again.alarms().items() if not name.startswith("gw/")}
    assert set(ours.values()) == {"cleared"}


def test_a_door_that_lost_its_contacts_has_nothing_to_prove() -> None:
    kept: dict[str, Json] = {
        "alarms": [
            {"subject": "front", "kind": kind, "severity": "fault", "standing": True}
            for kind in ("did_not_open", "forced", "operator_fault", "bolt_mismatch")
        ]
    }
    bare = replace(SMALL, doors=(replace(SMALL.doors[0], leaf=None),))
    assert set(Bench(bare, kept).alarms().values()) == {"cleared"}


# --- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"alarms": 5, "overrides": [], "service": None, "counters": "x"},
        {"alarms": [5, {}, {"subject": "a", "kind": 5}, {"subject": "a", "kind": "b"}]},
        {"alarms": [{"subject": "a", "kind": "forced", "severity": "loud"}]},
        {"alarms": [{"subject": "a", "kind": "no_such_kind", "severity": "fault"}]},
        {"overrides": {"front": 5, "back": {"mode": "sideways", "until_utc_ms": 5}}},
        {"overrides": {"front": {"mode": "off", "until_utc_ms": True}}},
        {"service": {"front": "soon"}, "counters": {"front": 5}},
    ],
)
def test_what_cannot_be_read_is_left_out_and_the_building_starts(kept: dict[str, Json]) -> None:
    was = read(kept)
    assert (was.alarms, was.overrides, was.service, was.counters) == ((), {}, {}, {})
    Bench(kept=kept).opening(1000)


def test_names_that_the_plan_does_not_know_are_passed_over() -> None:
    bench = Bench()
    bench.mode(1000, "off", door="back")
    bench.opening(2000)
    again = Bench(replace(SMALL, doors=()), kept=bench.kept())
    assert again.building.doors == {}


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_what_each_version_has_written_is_read_and_written_the_same(
    version: str, tmp_path: Path
) -> None:
    with tarfile.open(STATES / f"state-{version}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone()
    state, times = json.loads(text), Times(uptime_ms=1_000)
    was = SAVED.read(state, times)
    assert was is not None
    saved = SAVED.write(was, times)
    assert among(state, {"format": 1, **cast("dict[str, Json]", saved)})
    if version != "0.1":
        after = {"format": 1, **cast("dict[str, Json]", saved)}
        assert json.dumps(of_then(state, after)) == json.dumps(state)


def of_then(was: Any, after: Any) -> Any:
    """What is written today, without the keys that came later."""
    if not (isinstance(was, dict) and isinstance(after, dict)):
        return after
    return {key: of_then(was[key], one) for key, one in after.items() if key in was}


def test_a_version_that_knows_no_more_of_a_call_reads_what_is_written_today() -> None:
    """It skips keys that it does not know, as this one does, and the call stands."""
    bench = RoomBench()
    bench.pull(1000)
    bench.seen(2000, seen_only=True)
    bench.seen(3000, attends="Anna")
    saved = cast("dict[str, Any]", bench.kept())
    record = saved["calls"]["wc"]["call"]
    later = {key: record.pop(key) for key in ("attends", "seen_by", "seen_utc_ms")}
    assert (later["attends"], later["seen_by"]) == ("Anna", "web:3")
    record["later"] = {"of another version": 1}
    before = RoomBench(kept=saved)
    shown = before.shown()["rooms"]["wc"]["call"]
    assert shown is not None
    assert (shown["state"], shown["acknowledged_by"]) == ("acknowledged", "web:3")
    assert (shown["attends"], shown["seen_by"]) == (None, None)


def among(was: Any, after: Any) -> bool:
    """Whether everything that was is there; an earlier version has fewer keys."""
    if not isinstance(was, dict):
        return bool(was == after)
    return was.keys() <= after.keys() and all(among(was[key], after[key]) for key in was)


# --- restored late ------------------------------------------------------------------------


def test_what_could_not_be_read_at_start_is_restored_when_it_can_be() -> None:
    bench = Bench()
    bench.opening(1000)
    bench.level(20_000, "front.fault", True)
    bench.acknowledge(21_000, "front/operator_fault")
    bench.mode(22_000, "off", for_ms=3_600_000)
    again = Bench(trusted=False)
    again.at(200, CivilTime(OFFSET + 60_000, True))
    again.level(300, "front.fault", True)
    again.opening(400, "back")
    again.building = again.note(building.restore(again.building, bench.kept(), again.now))
    assert again.alarms()["front/operator_fault"] == "acknowledged"
    assert again.building.doors["front"].mode == "off"
    assert again.building.doors["front"].counters.openings == 1
    assert again.building.doors["back"].counters.openings == 1


def test_an_override_of_this_start_is_newer_than_the_kept_one() -> None:
    bench = Bench()
    bench.mode(1000, "off", for_ms=3_600_000)
    again = Bench()
    again.mode(1000, "night", for_ms=3_600_000)
    again.building = again.note(building.restore(again.building, bench.kept(), 2000))
    assert again.building.doors["front"].mode == "night"


def test_a_contact_that_was_read_before_the_kept_state_keeps_what_it_said() -> None:
    stuck: dict[str, Json] = {
        "subject": "front.outside",
        "kind": "contact_stuck",
        "severity": "fault",
        "standing": True,
    }
    bench = Bench()
    bench.building = bench.note(building.restore(bench.building, {"alarms": [stuck]}, 200))
    assert bench.alarms() == {"front.outside/contact_stuck": "cleared"}
    assert not bench.building.contacts["front.outside"].stuck
    assert FRONT.id == "front"


# --- a format that is not known -----------------------------------------------------------


def of_another_version(bench: Bench, **more: Json) -> dict[str, Json]:
    return {**bench.kept(), "format": 2, **more}


def test_this_version_names_its_format_and_reads_a_state_of_0_1_which_names_none() -> None:
    bench = Bench()
    bench.mode(1000, "off", for_ms=3_600_000)
    kept = bench.kept()
    assert kept.pop("format") == 1
    again = Bench(kept=kept)
    assert again.building.doors["front"].mode == "off"
    assert again.building.alarms.by_id.keys() & {"gw/state_unread"} == set()


@pytest.mark.parametrize("found", [2, 0, "2", None, True, "unreadable"])
def test_a_state_of_an_unknown_format_opens_no_door_until_staff_decide(found: Json) -> None:
    bench = Bench()
    again = Bench(kept={**bench.kept(), "format": found})
    assert {door.mode for door in again.building.doors.values()} == {"night"}
    assert again.building.alarms.by_id["gw/state_unread"].detail == str(found)
    again.until(30 * 86_400_000)
    modes = {door.mode for door in again.building.doors.values()}
    assert modes == {"night"}, "nobody has decided"
    reply = again.mode(30 * 86_400_000 + 1, "schedule")
    assert reply.status == "accepted"
    assert again.building.doors["front"].mode != "night"
    assert again.building.doors["back"].mode == "night"


def test_what_is_more_restrictive_than_night_stays_so() -> None:
    bench = Bench()
    bench.mode(1000, "off", for_ms=3_600_000)
    bench.mode(1000, "hold_open", for_ms=3_600_000, door="back")
    again = Bench(kept=of_another_version(bench))
    assert again.building.doors["front"].mode == "off"
    assert again.building.doors["back"].mode == "night"


def test_the_alarms_about_a_format_stand_over_restarts_until_somebody_has_seen_them() -> None:
    bench = Bench(kept=of_another_version(Bench(), journal_aside="journal.sqlite.schema-2-x"))
    again = bench.restarted()
    ours = {"gw/state_unread", "gw/journal_set_aside"}
    assert ours <= again.building.alarms.by_id.keys()
    assert again.building.doors["front"].mode == "night"
    for alarm in ours:
        again.acknowledge(again.now, alarm)
    assert not ours & again.building.alarms.by_id.keys()
    assert again.building.doors["front"].mode == "night", "seen is not decided"
