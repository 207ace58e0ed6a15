"""Rooms and their calls. A call can be acknowledged here; it is ended in the room only."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.core.facts import Json
from gateway.web.access import Staff, StaffAlways, StaffProved, TheSite, ViewAlways
from gateway.web.building.models import CallTold, RoomTold
from gateway.web.building.view import calls_json, rooms_json
from gateway.web.commands import Order
from gateway.web.shared.models import Accepted, RoomTestRequest, problems
from gateway.web.shared.polling import RESPONSES as TAGGED
from gateway.web.shared.polling import Poll
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["rooms"])


@router.get(
    "/api/v1/rooms", operation_id="list_rooms", summary="All rooms", responses=problems() | TAGGED
)
async def rooms(who: ViewAlways, site: TheSite, poll: Poll) -> list[RoomTold]:
    """All rooms. Whether one is occupied is told to staff only."""
    return poll(rooms_json(site.control, private=who.may("staff")))


@router.get(
    "/api/v1/rooms/{room}", operation_id="get_room", summary="One room", responses=problems(404)
)
async def one_room(room: str, who: ViewAlways, site: TheSite) -> RoomTold:
    """One room, as in the list of all."""
    for found in rooms_json(site.control, private=who.may("staff")):
        if found["id"] == room:
            return found
    raise Problem(404, "unknown_room")


@router.put(
    "/api/v1/rooms/{room}/test",
    operation_id="begin_room_test",
    summary="Begin a test of the call system",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def begin_test(
    room: str, wanted: RoomTestRequest, who: StaffProved, order: Order
) -> Accepted:
    """Pulls light the lamps and alarm nobody, for so many minutes. Refused during a call. Where
    a second factor is wanted, a code given within 8 hours is needed to begin or prolong a test;
    ending it never needs one."""
    args: dict[str, Json] = {"room": room[:200], "for_ms": wanted.minutes * 60_000}
    return await order(who, "test_room", args)


@router.delete(
    "/api/v1/rooms/{room}/test",
    operation_id="end_room_test",
    summary="End a test of the call system",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def end_test(room: str, who: Staff, order: Order) -> Accepted:
    """End the test now, before its time is over."""
    args: dict[str, Json] = {"room": room[:200], "for_ms": 0}
    return await order(who, "test_room", args)


@router.get(
    "/api/v1/calls",
    operation_id="list_calls",
    summary="The calls that stand",
    responses=problems() | TAGGED,
)
async def calls(who: ViewAlways, site: TheSite, poll: Poll) -> list[CallTold]:
    """The calls that stand. Calls of the past are events of the kinds ``call_*``."""
    return poll(calls_json(site.control, private=who.may("staff")))


@router.post(
    "/api/v1/calls/{call}/acknowledge",
    operation_id="acknowledge_call",
    summary="Answer a call",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def acknowledge(call: str, who: StaffAlways, order: Order) -> Accepted:
    """Somebody takes care: the sounder falls silent, the light stays. ``call`` is the id of a
    call or of its room. Nothing can end a call from here."""
    return await order(who, "acknowledge_call", {"call": call[:200]})
