"""Nobody's flood of commands is in the way of anybody else's."""

from __future__ import annotations

import pytest

from gateway.panel.tickets import Ticket, Tickets, make_key
from gateway.web.building.control_client import COMMANDS_BURST
from gateway.web.site import ANSWERS_MOST
from tests.page.fake import called, room
from tests.web.conftest import Client, Clock, Web, snapshot

COMMANDS_OF_THE_API = {
    "acknowledge_call": "/api/v1/calls/wc-7/acknowledge",
    "acknowledge_alarm": "/api/v1/alarms/front/left_open/acknowledge",
    "reset_alarm": "/api/v1/alarms/wc/leak/reset",
}
EVERY = COMMANDS_OF_THE_API | {"page": "/calls/acknowledge"}


@pytest.fixture
def calling(web: Web) -> Web:
    """With a clock that stands still: what is used up stays used up."""
    web.site.control._limit._now = Clock(1_000.0)
    web.see(snapshot(rooms={"wc": room("WC", call=called("wc-7"))}))
    return web


def flood(who: Client, path: str, number: int = COMMANDS_BURST * 2) -> list[int]:
    values = {} if path.startswith("/api/") else {"data": {"call": "wc-7"}}
    return [who.post(path, **values).status_code for _ in range(number)]


@pytest.mark.parametrize("path", EVERY.values(), ids=EVERY)
def test_a_person_who_floods_is_slowed_and_nobody_else_is(calling: Web, path: str) -> None:
    told = flood(calling.as_("staff"), path)
    asked = len(calling.panel.commands)
    assert told[-1] == 429
    assert asked < len(told)
    admin = calling.as_("admin")
    assert admin.post("/api/v1/doors/front/open", json={"reason": "x"}).status_code == 202
    assert admin.post("/api/v1/calls/wc-7/acknowledge").status_code == 202
    assert len(calling.panel.commands) == asked + 2


def test_all_log_ins_of_one_person_are_one(calling: Web) -> None:
    for _ in range(2):
        told = flood(calling.as_("staff"), "/api/v1/calls/wc-7/acknowledge")
    assert told[0] == 429


def test_a_flood_of_one_thing_keeps_the_same_person_from_no_other(calling: Web) -> None:
    staff = calling.as_("staff")
    assert flood(staff, COMMANDS_OF_THE_API["acknowledge_alarm"])[-1] == 429
    assert staff.post("/api/v1/calls/wc-7/acknowledge").status_code == 202
    assert staff.post("/api/v1/doors/front/open", json={"reason": "x"}).status_code == 202


def test_nobodys_keys_push_out_those_of_another(
    calling: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door that is asked for once more with the same key does not open once more."""
    calling.site.control._limit._burst = ANSWERS_MOST * 3
    admin, staff = calling.as_("admin"), calling.as_("staff")
    key = {"Idempotency-Key": "k1"}
    assert admin.post("/api/v1/doors/front/open", headers=key).status_code == 202
    assert set(flood(staff, "/api/v1/calls/wc-7/acknowledge", ANSWERS_MOST * 2)) == {202}
    before = len(calling.panel.commands)
    assert admin.post("/api/v1/doors/front/open", headers=key).status_code == 202
    assert len(calling.panel.commands) == before


def test_who_was_refused_for_lack_of_room_may_try_again_with_the_same_key(calling: Web) -> None:
    staff, key = calling.as_("staff"), {"Idempotency-Key": "k1"}
    calling.panel.answer = {"status": "refused", "reason": "limit", "fact": None}
    assert staff.post("/api/v1/doors/front/open", headers=key).status_code == 409
    calling.panel.answer = {"status": "accepted", "reason": "", "fact": None}
    assert staff.post("/api/v1/doors/front/open", headers=key).status_code == 202


def link(web: Web, about: str) -> str:
    make_key(web.options.state)
    ticket = Ticket("care", about, f"{about}#3", "call", 4_000_000_000)
    return f"/m/{Tickets(web.options.state).make(ticket)}"


@pytest.mark.parametrize("guess", ["guess", "a.b.c", "x" * 3_000])
def test_a_right_link_opens_whatever_is_guessed_from_the_same_address(
    calling: Web, guess: str
) -> None:
    right = link(calling, "wc-7")
    told = [calling.call("GET", f"/m/{guess}").status_code for _ in range(30)]
    assert told[-1] == 429
    for _ in range(30):
        assert calling.call("GET", right).status_code == 200
    assert calling.call("POST", right).status_code == 200
    assert calling.panel.commands[-1]["name"] == "acknowledge_call"


def test_one_link_that_is_used_without_end_is_in_no_others_way(calling: Web) -> None:
    """Both are for the same function."""
    one, other = link(calling, "wc-6"), link(calling, "wc-7")
    told = [calling.call("POST", one).status_code for _ in range(COMMANDS_BURST * 2)]
    assert (told[0], told[-1]) == (200, 429)
    assert calling.call("POST", other).status_code == 200
