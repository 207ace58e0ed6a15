"""What the centre knows of gateways from what they publish."""

from __future__ import annotations

import copy
import json
from typing import Any, cast

import pytest

from gateway.core import snapshot_types as building
from gateway.core.facts import Json
from gateway.link import state
from gateway.mqtt.topics import Topics
from gateway.panel import snapshot_types as panel
from gateway.sites.picture import expected_calls, gateway_picture, limits, states
from gateway.sites.picture.gateway_picture import GatewayPicture
from gateway.sites.picture.untrusted import Clock
from gateway.sites.summary import summary_of
from gateway.wire import Row, to_cloudevent
from tests.simulation.test_snapshots import SHOWN, moments
from tests.sites.published import OFFSET_MS, UTC_MS, Centre, health, retained

CSG = Topics("csg")


def known_moments(name: str) -> list[Any]:
    """Those at which the gateway's clock is set."""
    return [one for one in moments(name) if one["utc_offset_ms"] is not None]


def moment() -> Any:
    """One at which a good deal is to be seen."""
    return next(one for one in known_moments("bench") if one["alarms"] and one["guarantees"])


def seen(snapshot: Any) -> tuple[Centre, GatewayPicture]:
    """A centre that has everything which a gateway publishes."""
    centre = Centre("csg")
    centre.connect()
    centre.take_all(retained("csg", snapshot))
    centre.take(CSG.health, health(snapshot))
    return centre, centre.picture.gateways["csg"]


def as_seen(shown: Any, keys: set[str], shift_ms: int) -> dict[str, Any]:
    """These keys of a part of the gateway's own snapshot, with its instants on the centre's
    monotonic clock."""

    def moved(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {one: moved(one, it) for one, it in value.items()}
        is_instant = key in INSTANTS
        return value + shift_ms if is_instant and value is not None else value

    return {key: moved(key, value) for key, value in shown.items() if key in keys}


INSTANTS = {
    "since_ms", "at_ms", "test_until_ms", "occupancy_since_ms", "evidence_ms", "last_opened_ms",
    "service_until_ms", "acknowledged_ms", "seen_ms", "attended_ms", "attend_by_ms",
}  # fmt: skip
DOOR = {
    "name", "mode", "mode_source", "mode_until_utc_ms", "mode_by", "scheduled_mode", "state",
    "since_ms", "assumed", "leaf", "activation", "strike", "hold_open", "fire", "bolt",
    "operator_fault", "last_request", "press_to_open_ms", "last_result", "alarms",
    "last_opened_ms", "service_until_ms", "next_mode", "can_open",
}  # fmt: skip
ROOM = {"name", "test_until_ms", "cords", "lamps", "leak", "alarms"}
CALL = {
    "id", "state", "test", "since_ms", "cause", "points", "pulls", "acknowledged_by",
    "acknowledged_ms", "attends", "seen_by", "seen_ms", "attended_ms", "attend_by_ms",
}  # fmt: skip
POINT = {"kind", "active", "since_ms", "reason", "faults"}
ALARM = {
    "id", "subject", "kind", "severity", "state", "count", "acknowledged_by", "detail"
}  # fmt: skip
GUARANTEE = {"ok", "value", "since_ms", "reason", "subject", "evidence_ms", "void_after_ms",
             "aside_count"}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_gateway_publishes_is_shown_as_the_gateway_shows_it(name: str) -> None:
    for theirs in known_moments(name):
        _, gateway = seen(theirs)
        shift_ms = theirs["utc_offset_ms"] - OFFSET_MS
        ours = cast("Any", gateway.snapshot)
        assert gateway.complete
        for id, door in theirs["doors"].items():
            assert as_seen(ours["doors"][id], DOOR, 0) == as_seen(door, DOOR, shift_ms)
        for id, room in theirs["rooms"].items():
            assert as_seen(ours["rooms"][id], ROOM, 0) == as_seen(room, ROOM, shift_ms)
            if room["call"] is None:
                assert ours["rooms"][id]["call"] is None
            else:
                call = ours["rooms"][id]["call"]
                assert as_seen(call, CALL, 0) == as_seen(room["call"], CALL, shift_ms)
        for id, point in theirs["points"].items():
            if point.get("exported", True):
                assert as_seen(ours["points"][id], POINT, 0) == as_seen(point, POINT, shift_ms)
        assert [as_seen(one, ALARM, 0) for one in ours["alarms"]] == [
            as_seen(one, ALARM, shift_ms) for one in theirs["alarms"]
        ]
        if gateway.fresh:
            for id, guarantee in theirs["guarantees"].items():
                assert as_seen(ours["guarantees"][id], GUARANTEE, 0) == as_seen(
                    {"subject": "", "void_after_ms": None, **guarantee}, GUARANTEE, shift_ms
                )


def test_each_part_has_the_keys_of_the_gateways_own_snapshot() -> None:
    clock = Clock(OFFSET_MS)
    call = {"call": {"state": "raised"}, "leak": {}, "climate": {}}
    room: Any = states.room("WC", call, clock)
    assert states.door("Front", {}, clock).keys() == building.DoorShown.__annotations__.keys()
    assert room.keys() == building.RoomShown.__annotations__.keys()
    assert room["call"].keys() == building.CallShown.__annotations__.keys()
    assert room["lamps"].keys() == building.LampsShown.__annotations__.keys()
    assert room["leak"].keys() == building.LeakShown.__annotations__.keys()
    assert room["climate"].keys() == building.ClimateShown.__annotations__.keys()
    point = building.PointShown.__annotations__.keys() - {"exported"}
    assert states.point("contact", {}, clock).keys() == point
    (alarm,) = states.alarms([{"id": "front/forced"}], clock)
    assert alarm.keys() == building.AlarmShown.__annotations__.keys()
    numbers = panel.GuaranteeNumbers.__annotations__.keys()
    guarantee = panel.GuaranteeShown.__annotations__.keys() - numbers
    assert states.guarantee({}, clock).keys() == guarantee
    _, gateway = seen(moment())
    whole = cast("Any", gateway.snapshot)
    assert whole.keys() == panel.Snapshot.__annotations__.keys()
    assert whole["gateway"].keys() == panel.GatewayShown.__annotations__.keys()


# --- presence, freshness, age -------------------------------------------------------------


def changed(snapshot: Any, **keys: Any) -> Any:
    return {**snapshot, **keys}


def without_private_points(snapshot: Any) -> Any:
    """A building of which everything is published."""
    points = {id: one for id, one in snapshot["points"].items() if one.get("exported", True)}
    return changed(snapshot, points=points)


def whole() -> tuple[Centre, GatewayPicture]:
    centre, gateway = seen(without_private_points(moment()))
    assert gateway.complete
    assert gateway.fresh
    return centre, gateway


def test_nothing_is_known_before_the_first_message() -> None:
    centre = Centre("csg")
    gateway = centre.picture.gateways["csg"]
    assert (gateway.presence, gateway.snapshot, gateway.fresh) == ("unknown", None, False)
    centre.connect()
    assert gateway.snapshot is None
    assert set(gateway.lacks) == {"availability", "info", "state/alarms"}


def test_a_gateway_that_goes_is_offline_since_then_and_not_fresh() -> None:
    centre, gateway = whole()
    assert not gateway.presence_since_utc_ms  # it was so before the centre looked
    centre.wait(4_000)
    changes = gateway.changes
    assert centre.take(CSG.availability, b"offline") == "csg"
    since = (gateway.presence_since_utc_ms, gateway.fresh_since_utc_ms)
    assert (str(gateway.presence), since) == ("offline", (centre.utc_ms, centre.utc_ms))
    assert not gateway.fresh
    assert gateway.changes > changes
    assert {one["value"] for one in guarantees(gateway).values()} == {"unknown"}
    assert {one["reason"] for one in guarantees(gateway).values()} == {"no_panel"}


def guarantees(gateway: GatewayPicture) -> Any:
    return cast("Any", gateway.snapshot)["guarantees"]


def test_a_lost_connection_makes_everything_unknown_until_it_is_heard_again() -> None:
    centre, gateway = whole()
    texts = retained("csg", without_private_points(moment()))
    centre.take(CSG.availability, b"offline")
    centre.take(CSG.availability, b"online")
    online_utc_ms = gateway.presence_since_utc_ms
    centre.wait(1_000)
    lost_utc_ms = centre.utc_ms
    centre.lose()
    assert (gateway.presence, gateway.presence_since_utc_ms) == ("unknown", lost_utc_ms)
    assert (gateway.fresh, gateway.fresh_since_utc_ms) == (False, lost_utc_ms)
    assert gateway.snapshot is not None  # what was known last, greyed
    centre.wait(60_000)
    centre.lose()
    assert gateway.presence_since_utc_ms == lost_utc_ms
    centre.connect()
    assert not gateway.complete
    assert set(gateway.lacks) == {topic.removeprefix("portier/csg/") for topic in texts}
    shown = cast("Any", gateway.snapshot)
    assert shown["doors"]["front"]["state"] != "unknown"  # still as known last, and not fresh
    assert shown["points"]["front.leaf"]["active"] is None
    for number, (topic, text) in enumerate(texts.items(), start=1):
        waiting = {one.removeprefix("portier/csg/") for one in list(texts)[number - 1 :]}
        assert gateway.fresh == all(one.startswith("state/point/") for one in waiting)
        centre.take(topic, text, kept=True)
        assert gateway.complete == (number == len(texts))
    assert gateway.fresh
    assert cast("Any", gateway.snapshot)["points"]["front.leaf"]["active"] is not None
    assert gateway.presence_since_utc_ms == online_utc_ms


def test_a_gateway_that_was_another_before_the_connection_broke_is_so_since_nobody_knows() -> None:
    centre, gateway = whole()
    centre.take(CSG.availability, b"offline")
    centre.take(CSG.availability, b"online")
    centre.lose()
    centre.connect()
    centre.take(CSG.availability, b"offline", kept=True)
    assert gateway.presence == "offline"
    assert not gateway.presence_since_utc_ms


def test_states_for_which_the_gateway_does_not_vouch_are_not_fresh() -> None:
    centre, gateway = whole()
    texts = retained("csg", moment())
    centre.take(CSG.alarms, state.stale(texts[CSG.alarms]))
    assert not gateway.fresh
    centre.take(CSG.door("front"), state.stale(texts[CSG.door("front")]))
    centre.take(CSG.alarms, texts[CSG.alarms])
    assert not gateway.fresh
    centre.take(CSG.door("front"), texts[CSG.door("front")])
    assert gateway.fresh


def test_guarantees_are_unknown_once_the_health_is_old() -> None:
    centre, gateway = whole()
    known = guarantees(gateway)
    assert {one["value"] for one in known.values()} != {"unknown"}
    assert centre.wait(gateway_picture.HEALTH_MS - 1) == []
    heard_ms = gateway.health_utc_ms
    centre.take_all(retained("csg", moment()), kept=False)
    assert centre.wait(1) == ["csg"]
    assert (gateway.health_overdue, gateway.silent) == (True, False)
    assert {one["value"] for one in guarantees(gateway).values()} == {"unknown"}
    assert {one["reason"] for one in guarantees(gateway).values()} == {"no_health"}
    assert gateway.fresh  # its states are retained, and are sent when they change
    assert [one.kind for one in summary_of(gateway).troubles] == ["no_health"]
    assert centre.wait(1) == []
    centre.take(CSG.health, health(moment()))
    assert not gateway.health_overdue
    assert guarantees(gateway).keys() == known.keys()
    assert {one["value"] for one in guarantees(gateway).values()} != {"unknown"}
    assert heard_ms != gateway.health_utc_ms


def test_a_health_that_the_broker_kept_is_none() -> None:
    centre = Centre("csg")
    centre.connect()
    centre.take(CSG.health, health(moment()), kept=True)
    assert centre.picture.gateways["csg"].health is None


def test_what_the_broker_kept_of_a_gateway_that_is_gone_is_not_so_for_ever() -> None:
    """The broker was away when the gateway was switched off: it was told by nobody."""
    centre = Centre("csg")
    centre.connect()
    centre.take_all(retained("csg", moment()))
    gateway = centre.picture.gateways["csg"]
    assert (gateway.presence, gateway.fresh) == ("online", True)
    assert centre.wait(gateway_picture.HEALTH_MS - 1) == []
    assert centre.wait(1) == ["csg"]
    assert (gateway.presence, gateway.silent, gateway.fresh) == ("unknown", True, False)
    assert gateway.presence_since_utc_ms is None  # it was never heard
    (trouble,) = summary_of(gateway).troubles
    assert trouble.kind == "site_silent"
    assert centre.wait(10 * gateway_picture.HEALTH_MS) == []
    centre.take_all(retained("csg", moment()))  # the same once more
    assert (gateway.presence, gateway.fresh) == ("unknown", False)


@pytest.mark.parametrize(
    "topic", [CSG.availability, CSG.alarms, CSG.health, f"{CSG.events}/door_opened/front"]
)
def test_a_silent_gateway_is_there_again_when_it_is_heard(topic: str) -> None:
    centre, gateway = whole()
    heard_utc_ms = gateway.heard_utc_ms
    centre.wait(gateway_picture.HEALTH_MS)
    assert (gateway.silent, gateway.presence_since_utc_ms) == (True, heard_utc_ms)
    payload = retained("csg", moment()).get(topic) or health(moment())
    assert centre.take(topic, payload) == "csg"
    assert (gateway.silent, gateway.presence, gateway.fresh) == (False, "online", True)
    assert gateway.presence_since_utc_ms == centre.utc_ms
    assert not gateway.health_overdue


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("recorded/main", b'{"journal": "j1", "lanes": {"urgent": 1}}'),
        ("replay/main", b"{}"),
        ("command/door/front/open", b"{}"),
        ("availability", b"offline"),
    ],
)
def test_what_others_write_below_its_name_is_no_sign_of_a_gateway(
    topic: str, payload: bytes
) -> None:
    """The recorder, whoever commands it, and the broker in place of one that has died."""
    centre, gateway = whole()
    heard_utc_ms = gateway.heard_utc_ms
    centre.wait(1_000)
    centre.take(f"{CSG.root}/{topic}", payload)
    assert gateway.heard_utc_ms == heard_utc_ms


def test_when_a_gateway_was_heard_says_what_it_sent_and_not_what_was_kept() -> None:
    centre, gateway = whole()
    sent_utc_ms = centre.utc_ms  # its health
    assert gateway.heard_utc_ms == sent_utc_ms
    centre.wait(500)
    centre.take_all(retained("csg", moment()))
    assert gateway.heard_utc_ms == sent_utc_ms
    centre.take(CSG.response("c1"), b"{}")
    assert gateway.heard_utc_ms == centre.utc_ms


def test_instants_follow_the_centres_clock() -> None:
    centre, gateway = whole()
    before = cast("Any", gateway.snapshot)
    at = before["doors"]["front"]["since_ms"] + before["utc_offset_ms"]
    centre.offset_ms += 3_600_000
    assert centre.wait(1) == ["csg"]
    after = cast("Any", gateway.snapshot)
    assert after["utc_offset_ms"] == centre.offset_ms
    assert after["doors"]["front"]["since_ms"] + after["utc_offset_ms"] == at
    call = before["guarantees"]["call"]["since_ms"] + before["utc_offset_ms"]
    assert after["guarantees"]["call"]["since_ms"] + after["utc_offset_ms"] == call
    centre.offset_ms += gateway_picture.OFFSET_MS  # its time service does that all day
    assert centre.wait(1) == []


# --- completeness -------------------------------------------------------------------------


def test_what_did_not_come_is_asked_for_after_a_while_and_less_and_less_often() -> None:
    centre = Centre("csg", "away")
    centre.connect()
    texts = retained("csg", without_private_points(moment()))
    front = texts.pop(CSG.door("front"))
    centre.take_all(texts)
    gateway = centre.picture.gateways["csg"]
    assert gateway.lacks == ["state/door/front"]
    assert cast("Any", gateway.snapshot)["doors"]["front"]["state"] == "unknown"
    asked = []
    for second in range(1_300):
        for id in centre.picture.missing(centre.mono_ms):
            centre.picture.fetched(id, centre.mono_ms)
            asked.append((second, id))
        centre.wait(1_000)
    at = [second for second, id in asked if id == "csg"]
    assert at == [5, 15, 35, 75, 155, 315, 635, 1_235]
    assert at == [second for second, id in asked if id == "away"]
    centre.take(CSG.door("front"), front, kept=True)
    assert gateway.complete
    centre.wait(10_000_000)
    assert centre.picture.missing(centre.mono_ms) == ["away"]


def test_points_that_are_named_as_not_published_are_not_missing() -> None:
    theirs = next(
        one
        for one in known_moments("bench")
        if any(point.get("exported") is False for point in one["points"].values())
    )
    _, gateway = seen(theirs)
    assert gateway.complete
    named = json.loads(state.info(theirs, 8, "s"))["unpublished"]
    assert named == [id for id, one in theirs["points"].items() if one.get("exported") is False]
    assert cast("Any", gateway.snapshot)["points"].keys() == theirs["points"].keys() - set(named)


def test_what_the_gateway_lets_an_issuer_do_is_known() -> None:
    theirs = moment()
    rights = {
        "sites": {"may": ["acknowledge", "open"], "doors": {"front": ["mon-fri 07:00-18:00"]}}
    }
    centre = Centre("csg")
    centre.take(CSG.info, state.info(theirs, 8, "s", issuers=rights), kept=True)
    assert centre.picture.gateways["csg"].info["issuers"] == rights
    centre.take(CSG.info, b'{"issuers":{"sites":{"may":3,"doors":["front"]},"x":7}}', kept=True)
    nothing: dict[str, Json] = {"may": [], "doors": {}}
    assert centre.picture.gateways["csg"].info["issuers"] == {"sites": nothing, "x": nothing}


def test_nothing_is_asked_for_while_the_centre_is_not_connected() -> None:
    centre = Centre("csg")
    centre.wait(10_000)
    assert centre.picture.missing(centre.mono_ms) == []
    centre.connect()
    centre.lose()
    centre.wait(10_000)
    assert centre.picture.missing(centre.mono_ms) == []


def test_points_that_are_not_published_are_not_missing_once_they_were_asked_for() -> None:
    """An older gateway names them all the same."""
    theirs = next(
        one
        for one in known_moments("bench")
        if any(point.get("exported") is False for point in one["points"].values())
    )
    texts = retained("csg", theirs)
    known = json.loads(texts[CSG.info])
    texts[CSG.info] = json.dumps({**known, "unpublished": None}).encode()
    centre = Centre("csg")
    centre.connect()
    centre.take_all(texts)
    gateway = centre.picture.gateways["csg"]
    assert gateway.lacks
    assert all(topic.startswith("state/point/") for topic in gateway.lacks)
    centre.wait(5_000)
    assert centre.picture.missing(centre.mono_ms) == ["csg"]
    centre.picture.fetched("csg", centre.mono_ms)
    centre.take_all(texts)
    assert centre.wait(10_000) == ["csg"]
    assert centre.picture.missing(centre.mono_ms) == []
    assert gateway.complete
    centre.lose()
    centre.connect()
    centre.take_all(texts)
    assert gateway.complete  # that is remembered


def test_a_point_that_is_taken_back_is_not_missing() -> None:
    centre, gateway = whole()
    centre.take(CSG.point("wc.cord"), b"")
    assert gateway.complete
    assert cast("Any", gateway.snapshot)["points"]["wc.cord"]["active"] is None
    centre.take(CSG.door("front"), b"")
    assert gateway.lacks == ["state/door/front"]


def test_another_configuration_names_other_parts() -> None:
    centre, gateway = whole()
    theirs = without_private_points(moment())
    doors = dict(theirs["doors"])
    doors["side.west"] = {**doors.pop("front"), "name": "West"}
    texts = retained("csg", changed(theirs, doors=doors))
    centre.take(CSG.info, texts[CSG.info])
    assert gateway.lacks == ["state/door/side/west"]
    assert list(cast("Any", gateway.snapshot)["doors"]) == ["side.west"]
    centre.take(CSG.door("side.west"), texts[CSG.door("side.west")])
    assert gateway.complete
    assert cast("Any", gateway.snapshot)["doors"]["side.west"]["name"] == "West"


def test_a_name_with_a_dot_and_one_with_an_underscore_are_told_apart_once_they_are_named() -> None:
    centre = Centre("csg")
    centre.connect()
    topic = CSG.point("a.b+c")
    centre.take(topic, b'{"kind":"contact","active":true}', kept=True)
    gateway = centre.picture.gateways["csg"]
    assert list(cast("Any", gateway.snapshot)["points"]) == ["a.b_c"]
    named = {"doors": {}, "rooms": {}, "points": {"a.b+c": "contact"}}
    centre.take(CSG.info, json.dumps(named).encode(), kept=True)
    assert list(cast("Any", gateway.snapshot)["points"]) == ["a.b+c"]


def test_a_short_info_without_lists_makes_all_that_came_the_whole() -> None:
    centre = Centre("csg")
    centre.connect()
    theirs = moment()
    texts = retained("csg", theirs) | {CSG.info: state.info(theirs, 8, "s", brief=True)}
    centre.take_all(texts)
    gateway = centre.picture.gateways["csg"]
    assert gateway.complete
    assert set(cast("Any", gateway.snapshot)["doors"]) == set(theirs["doors"])
    centre.lose()
    centre.connect()
    gone = texts.pop(CSG.door("front"))
    centre.take_all(texts)
    assert gateway.lacks == ["state/door/front"]
    centre.wait(5_000)
    assert centre.picture.missing(centre.mono_ms) == ["csg"]
    centre.picture.fetched("csg", centre.mono_ms)
    centre.wait(10_000)
    assert centre.picture.missing(centre.mono_ms) == []
    assert set(cast("Any", gateway.snapshot)["doors"]) == set(theirs["doors"]) - {"front"}
    assert gone


# --- who is not enrolled, and too much ----------------------------------------------------


def test_strangers_are_counted_by_name_up_to_a_limit() -> None:
    centre = Centre("csg")
    for number in range(limits.STRANGERS_MOST + 5):
        assert centre.take(f"portier/stranger-{number}/availability", b"online") is None
    centre.take("portier/stranger-1/availability", b"online")
    strangers = centre.picture.strangers
    assert strangers["stranger-1"] == 2
    assert strangers[""] == 5
    assert len(strangers) == limits.STRANGERS_MOST + 1
    centre.take(f"portier/{'x' * 10_000}/availability", b"")
    assert max(map(len, strangers)) <= limits.STRANGER_NAME_MOST


def test_topics_that_are_nobodys_change_nothing() -> None:
    centre = Centre("csg")
    for topic in ("", "portier", "portier/", "portier/csg", "portier/csg/", "other/csg/info"):
        assert centre.take(topic, b"{}") is None
    assert not centre.picture.strangers


def test_a_gateway_is_enrolled_and_revoked_while_the_centre_runs() -> None:
    centre, gateway = whole()
    centre.picture.enrol("csg", mono_ms=centre.mono_ms, utc_ms=centre.utc_ms)
    assert centre.picture.gateways["csg"] is gateway
    centre.take("portier/new/availability", b"online")
    centre.picture.enrol("new", mono_ms=centre.mono_ms, utc_ms=centre.utc_ms)
    assert not centre.picture.strangers
    centre.wait(5_000)
    assert centre.picture.missing(centre.mono_ms) == ["new"]  # what is retained came long ago
    centre.picture.revoke("csg")
    assert list(centre.picture.gateways) == ["new"]
    assert centre.take(CSG.availability, b"online") is None


def test_one_gateway_does_not_fill_the_memory() -> None:
    centre = Centre("csg")
    centre.connect()
    gateway = centre.picture.gateways["csg"]
    for number in range(limits.STATES_MOST + 7):
        centre.take(CSG.point(f"p{number}"), b'{"kind":"contact"}')
    assert len(cast("Any", gateway.snapshot)["points"]) == limits.STATES_MOST
    assert gateway.refused == 7

    centre = Centre("csg")
    centre.connect()
    gateway = centre.picture.gateways["csg"]
    text = json.dumps({"kind": "contact", "more": "x" * 60_000}).encode()
    for number in range(50):
        centre.take(CSG.point(f"p{number}"), text)
    taken = len(cast("Any", gateway.snapshot)["points"])
    assert taken == limits.BYTES_MOST // len(text)
    centre.take(CSG.point("p0"), b"")
    centre.take(CSG.point("more"), text)
    assert "more" in cast("Any", gateway.snapshot)["points"]
    for number in range(limits.RECORDERS_MOST + 3):
        centre.take(CSG.recorded(f"r{number}"), b'{"journal":"j","lanes":{"urgent":4}}')
    assert len(gateway.recorded) == limits.RECORDERS_MOST
    assert gateway.recorded["r0"] == {"journal": "j", "lanes": {"urgent": 4}}
    centre.take(CSG.recorded("r0"), b"")
    assert "r0" not in gateway.recorded


def test_a_text_that_is_too_long_makes_its_topic_unknown() -> None:
    centre, gateway = whole()
    long = json.dumps({"state": "open", "more": "x" * limits.TEXT_MOST}).encode()
    centre.take(CSG.door("front"), long)
    assert gateway.unreadable == ["state/door/front"]
    assert cast("Any", gateway.snapshot)["doors"]["front"]["state"] == "unknown"


def test_a_state_that_there_is_no_room_for_is_not_taken_for_the_one_before() -> None:
    """Else a call would not be shown, and nothing would say so."""
    shown = moment()
    centre, gateway = seen(shown)
    for number in range(20):  # by now there is no room
        filling = json.dumps({"kind": "contact", "more": "x" * 60_000}).encode()
        centre.take(CSG.point(f"p{number}"), filling)
    text = retained("csg", shown)[CSG.room("wc")]
    longer = json.dumps(json.loads(text) | {"more": "x" * 60_000}).encode()
    assert gateway.complete
    assert centre.take(CSG.room("wc"), longer) == "csg"
    assert centre.take(CSG.room("wc"), longer) is None  # that is known
    assert (gateway.lacks, gateway.fresh) == (["state/room/wc"], False)
    assert centre.take(CSG.room("wc"), text) == "csg"
    assert (gateway.lacks, gateway.unreadable, gateway.fresh) == ([], [], True)


def test_a_large_gateway_fits() -> None:
    """As many points as there is room for, with long names."""
    theirs = moment()
    names = [f"staircase-{number:04}.contact_upper_floor" for number in range(900)]
    points = {name: {"kind": "contact", "active": False} for name in names}
    alarms = [{**theirs["alarms"][0], "id": f"{name}/stuck"} for name in names[:400]]
    whole = changed(theirs, points=points, alarms=alarms)
    places = {name: {"room": "staircase", "part": "contact"} for name in names}
    centre = Centre("csg")
    centre.connect()
    centre.take_all(retained("csg", whole))
    told = json.loads(health(whole)) | {"places": places}
    centre.take(CSG.health, json.dumps(told).encode())
    gateway = centre.picture.gateways["csg"]
    assert (gateway.lacks, gateway.refused) == ([], 0)
    shown = cast("Any", gateway.snapshot)
    assert (len(shown["points"]), len(shown["alarms"])) == (900, 400)
    assert gateway.health is not None
    assert len(gateway.health["places"]) == 900


# --- urgent events ------------------------------------------------------------------------


RAISED: dict[str, Json] = {
    "call": "c1", "cause": "cord", "test": False, "point": "wc.cord", "pulls": 1
}  # fmt: skip


ACKNOWLEDGED: dict[str, Json] = {"call": "c1", "by": "web:1", "via": "web", "attends": "Weber"}


def event(gateway: str, seq: int, kind: str = "call_raised") -> bytes:
    data = ACKNOWLEDGED if kind == "call_acknowledged" else RAISED
    row = Row(seq, "urgent", seq, "b1", 5_000, UTC_MS, kind, "wc", data)
    return json.dumps(to_cloudevent(gateway, "j1", row, late=False)).encode()


def test_urgent_events_come_newest_first_and_once() -> None:
    centre = Centre("csg", "bad")
    topic = CSG.event("call_raised", "wc")
    assert centre.take(topic, event("csg", 1)) == "csg"
    assert centre.take(topic, event("csg", 1)) is None
    assert centre.take(topic, event("csg", 2), kept=True) is None  # no gateway keeps one
    assert centre.take(topic, event("bad", 3)) is None  # a foreign one
    assert centre.take(topic, event("csg", 3, kind="reading")) is None
    assert centre.take(topic, b"\xff") is None
    centre.take("portier/bad/event/call_raised/wc", event("bad", 1))
    events = centre.picture.events
    assert [one.event.gateway for one in events] == ["bad", "csg"]
    assert [one.event.seq for one in events.of("csg")] == [1]
    centre.picture.revoke("csg")
    assert [one.event.gateway for one in events] == ["bad"]


def test_no_gateway_drives_out_the_events_of_all_others() -> None:
    centre = Centre("csg", "bad")
    centre.take("portier/bad/event/call_raised/wc", event("bad", 1))
    for number in range(1, 2 * limits.EVENTS_OF_ONE):
        centre.take(CSG.event("call_raised", "wc"), event("csg", number))
    found = list(centre.picture.events)
    assert len(found) == limits.EVENTS_OF_ONE + 1
    assert found[0].event.seq == 2 * limits.EVENTS_OF_ONE - 1
    assert found[-1].event.gateway == "bad"


def test_the_table_of_limits_names_each_limit() -> None:
    named = {name for name in vars(limits) if name.isupper()}
    assert {name for name in named if f":data:`{name}`" not in (limits.__doc__ or "")} == set()


# --- states that were lost on the way -----------------------------------------------------


def calling(state: str | None) -> dict[str, bytes]:
    """What the broker has of a gateway with a call in this state."""
    call = None if state is None else {"id": "c1", "state": state, "test": False}
    shown = moment()
    return retained("csg", changed(shown, rooms={"wc": {**shown["rooms"]["wc"], "call": call}}))


@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        (None, "call_raised", "raised"),
        ("raised", "call_acknowledged", "acknowledged"),
        ("acknowledged", "call_attended", "attended"),
        ("attended", "call_cancelled", None),
    ],
)
def test_a_call_whose_state_was_lost_is_asked_for(
    before: str | None, kind: str, after: str | None
) -> None:
    """A broker that has too much for a slow client drops states, and says nothing."""
    centre = Centre("csg")
    centre.connect()
    centre.take_all(calling(before))
    gateway = centre.picture.gateways["csg"]
    assert gateway.complete
    centre.take(CSG.event(kind, "wc"), event("csg", 1, kind))
    assert centre.wait(expected_calls.WITHIN_MS - 1) == []
    assert centre.wait(1) == ["csg"]
    assert (gateway.lacks, gateway.fresh) == (["state/room/wc"], False)
    assert centre.picture.missing(centre.mono_ms) == ["csg"]
    centre.picture.fetched("csg", centre.mono_ms)
    centre.take_all(calling(after))
    assert (gateway.lacks, gateway.fresh) == ([], True)
    assert centre.wait(expected_calls.WITHIN_MS) == []


def test_a_call_whose_state_says_what_its_event_says_is_not_asked_for() -> None:
    centre = Centre("csg")
    centre.connect()
    centre.take_all(calling(None))
    for number, (kind, now) in enumerate(
        [("call_raised", "raised"), ("call_acknowledged", "acknowledged")], start=1
    ):  # a state may come before its event, and the next event before it was looked at
        centre.take_all(calling(now), kept=False)
        centre.take(CSG.event(kind, "wc"), event("csg", number, kind))
    assert centre.wait(expected_calls.WITHIN_MS) == []


def test_a_state_that_does_not_fit_its_event_is_asked_for_once() -> None:
    """What the gateway has retained is so in the end."""
    centre = Centre("csg")
    centre.connect()
    centre.take_all(calling(None))
    gateway = centre.picture.gateways["csg"]
    centre.take(CSG.event("call_raised", "wc"), event("csg", 1))
    centre.wait(expected_calls.WITHIN_MS)
    centre.take_all(calling(None))
    assert gateway.fresh
    assert centre.wait(60_000) == []
    assert gateway.fresh


def test_a_name_turns_no_direction_of_writing() -> None:
    centre, gateway = whole()
    found = json.loads(retained("csg", moment())[CSG.info]) | {"name": "Haus \u202e1\nHaus 2"}
    centre.take(CSG.info, json.dumps(found).encode())
    assert gateway.info["name"] == "Haus \\u202e1\\nHaus 2"


@pytest.mark.parametrize("odd", [b"[]", b"{", b"7", b'"wc"', "ü".encode("latin-1")])
def test_what_cannot_be_read_hides_no_call_and_no_alarm(odd: bytes) -> None:
    """They stay as they were known last, and the gateway is not complete."""
    shown = copy.deepcopy(moment())
    shown["rooms"]["wc"]["call"]["state"] = "raised"
    centre, gateway = seen(shown)
    alarms = len(cast("Any", gateway.snapshot)["alarms"])
    assert alarms
    centre.take(CSG.room("wc"), odd)
    centre.take(CSG.alarms, odd if odd != b"[]" else b"{}")
    assert cast("Any", gateway.snapshot)["rooms"]["wc"]["call"]["state"] == "raised"
    assert len(cast("Any", gateway.snapshot)["alarms"]) == alarms
    assert (gateway.unreadable, gateway.fresh) == (["state/alarms", "state/room/wc"], False)
    texts = retained("csg", shown)
    for topic in (CSG.room("wc"), CSG.alarms):
        centre.take(topic, texts[topic])
    assert (gateway.lacks, gateway.unreadable, gateway.fresh) == ([], [], True)
