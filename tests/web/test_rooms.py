"""Rooms and calls over page and API: seen by everybody, ended by nobody from here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.web.presenter.terminals import Terminals
from tests.page.fake import alarm, called, now_ms, room
from tests.web.conftest import Web, snapshot
from tests.web.test_access import routes


def calling(**values: object) -> dict[str, object]:
    """A building in which somebody calls."""
    return snapshot(rooms={"wc": room("WC", call=called("wc-7", **values))})


def test_a_call_is_told_and_acknowledged_by_its_id(web: Web) -> None:
    headers = web.token("staff")
    assert web.call("GET", "/api/v1/calls", headers=headers).json() == []
    web.see(calling())
    (call,) = web.call("GET", "/api/v1/calls", headers=headers).json()
    assert (call["room"], call["id"], call["state"]) == ("wc", "wc-7", "raised")
    assert call["raised"].endswith("Z")
    assert call["messages"][1]["at"].endswith("Z")
    answer = web.call("POST", "/api/v1/calls/wc-7/acknowledge", headers=headers)
    assert answer.status_code == 202
    command = web.panel.commands[0]
    assert (command["name"], command["args"]) == ("acknowledge_call", {"call": "wc-7"})


def test_a_call_that_does_not_stand_is_not_found(web: Web) -> None:
    web.panel.answer = {"status": "refused", "reason": "unknown_call", "fact": None}
    answer = web.call("POST", "/api/v1/calls/wc-1/acknowledge", headers=web.token("staff"))
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_call")


def test_whoever_may_only_look_acknowledges_nothing(web: Web) -> None:
    answer = web.call("POST", "/api/v1/calls/wc/acknowledge", headers=web.token("view"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "role")
    assert web.panel.commands == []


def test_no_address_ends_a_call(shared: Web) -> None:
    """Every address that there is, with every method, and words people would try."""
    paths = {route.path for _, route in routes()}
    assert len(paths) > 50
    ends = [path for path in paths if any(w in path for w in ("cancel", "clear", "silence"))]
    assert ends == []
    headers = shared.token("admin")
    for path in ("cancel", "clear", "attend", "end", "reset"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = shared.call(method, f"/api/v1/calls/wc/{path}", headers=headers)
            assert answer.status_code in (404, 405)
    assert shared.call("DELETE", "/api/v1/calls/wc", headers=headers).status_code in (404, 405)


def test_occupancy_is_told_to_staff_only(web: Web) -> None:
    told = web.call("GET", "/api/v1/rooms/wc", headers=web.token("staff")).json()
    assert told["occupancy"] == "vacant"
    for path in ("/api/v1/rooms/wc", "/api/v1/rooms", "/api/v1/status"):
        assert "occupancy" not in web.call("GET", path, headers=web.token("view")).text
    assert "<b>frei</b>" not in web.as_("view").get("/").text
    assert "<b>frei</b>" in web.as_("staff").get("/").text


def test_test_mode_begins_and_ends(web: Web) -> None:
    headers = web.token("staff")
    path = "/api/v1/rooms/wc/test"
    assert web.call("PUT", path, headers=headers, json={"minutes": 5}).status_code == 202
    assert web.call("DELETE", path, headers=headers).status_code == 202
    assert [c["args"] for c in web.panel.commands] == [
        {"room": "wc", "for_ms": 300_000},
        {"room": "wc", "for_ms": 0},
    ]
    assert web.call("PUT", path, headers=headers, json={"minutes": 31}).status_code == 422


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("de", ("Test verlängern", "Dauer ab jetzt", "30 Minuten nach seinem Beginn")),
        ("en", ("Prolong test mode", "Duration from now", "30 minutes after it began")),
    ],
)
def test_a_test_that_runs_can_be_prolonged_on_the_page(
    web: Web, language: str, says: tuple[str, ...]
) -> None:
    """With the limits that ``control`` has: it says where there is no more of it."""
    staff, headers = web.as_("staff"), {"Accept-Language": language}
    assert says[0] not in staff.get("/", headers=headers).text
    web.see(snapshot(rooms={"wc": room("WC", test_until_ms=now_ms() + 600_000)}))
    page = staff.get("/", headers=headers).text
    for text in says:
        assert text in page
    assert page.count('action="/rooms/wc/test"') == 2, "and it can be ended"
    offered = re.findall(r'<option value="(\d+)"', page[page.index('id="test-wc"') :])
    assert offered == ["5", "10", "15", "20"]
    for minutes in offered:
        form = {"for": minutes, "csrf": staff.csrf}
        assert staff.post("/rooms/wc/test", data=form).status_code == 303
    assert [c["args"]["for_ms"] for c in web.panel.commands] == [
        int(minutes) * 60_000 for minutes in offered
    ]
    web.panel.answer = {"status": "refused", "reason": "test_limit", "fact": None}
    refused = staff.post("/rooms/wc/test", data={"for": "20", "csrf": staff.csrf}, headers=headers)
    assert refused.status_code == 409
    assert "30" in refused.text


@pytest.mark.parametrize(("role", "shown"), [("maintenance", True), ("staff", False)])
def test_a_room_leads_to_the_history_of_its_climate(tmp_path: Path, role: str, shown: bool) -> None:
    """Whoever may see the history; as a door does to that of its leaf."""
    web = Web(tmp_path, terminals=Terminals(climates={"wc": "wc.climate"}))
    web.see(snapshot(rooms={"wc": room("WC"), "bath": room("Bad")}))
    page = web.as_(role).get("/", headers={"Accept-Language": "de"}).text
    link = (
        '<a href="/history?points=wc.climate">Verlauf'
        '<span class="hidden">: Verlauf von Temperatur und Feuchte, WC</span></a>'
    )
    assert (link in page) == shown
    assert page.count("/history?points=wc.climate") == shown
    web.close()


@pytest.mark.parametrize("page", ["/", "/alarms", "/events", "/kept", "/account"])
def test_a_call_stands_first_on_every_page(web: Web, page: str) -> None:
    web.see(calling())
    html = web.as_("staff").get(page).text
    assert "Notruf: WC" in html
    assert html.index("Notruf: WC") < html.index("<h1")
    assert 'action="/calls/acknowledge"' in html
    assert "hausmeister" in html


def test_a_call_is_acknowledged_without_javascript(web: Web) -> None:
    web.see(calling())
    staff = web.as_("staff")
    form = {"call": "wc-7", "csrf": staff.csrf}
    answer = staff.post("/calls/acknowledge", data=form, headers={"Referer": web.base + "/alarms"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
    assert web.panel.commands[0]["args"] == {"call": "wc-7"}


def test_a_seen_call_says_by_whom_and_until_when_somebody_must_come(web: Web) -> None:
    staff = web.as_("staff")
    actor = f"web:{web.users.by_name('staff').id}"
    web.see(calling(state="acknowledged", acknowledged_by=actor, attend_by_ms=0))
    html = staff.get("/").text
    assert "staff ist seit" in html
    assert 'action="/calls/acknowledge"' not in html
    assert "wird wieder gerufen" in html


def test_a_call_that_was_only_seen_says_so_and_can_still_be_taken(web: Web) -> None:
    web.see(calling(seen_by="mqtt:sites", seen_ms=0))
    html = web.as_("staff").get("/", headers={"Accept-Language": "de"}).text
    assert "Zentrale hat den Notruf um" in html
    assert "Es ist noch niemand unterwegs." in html
    assert 'action="/calls/acknowledge"' in html
    english = web.as_("view").get("/", headers={"Accept-Language": "en"}).text
    assert "staff saw the call at" in english


def test_a_call_says_who_goes_where_another_has_said_so(web: Web) -> None:
    """The name is for staff, on the page and for programs."""
    web.see(calling(state="acknowledged", acknowledged_by="mqtt:sites", attends="Anna Weber"))
    assert "Anna Weber ist seit" in web.as_("staff").get("/").text
    view = web.as_("view").get("/").text
    assert "Anna Weber" not in view
    assert "Personal ist seit" in view
    for address in ("/api/v1/calls", "/api/v1/rooms", "/api/v1/rooms/wc", "/api/v1/status"):
        assert "Anna" not in web.call("GET", address, headers=web.token("view")).text
    (call,) = web.call("GET", "/api/v1/calls", headers=web.token("staff")).json()
    assert (call["acknowledged_by"], call["attends"]) == ("mqtt:sites", "Anna Weber")
    assert (call["seen_by"], call["seen"]) == (None, None)


def test_a_call_says_by_what_each_message_went(web: Web) -> None:
    web.see(calling())
    page = web.as_("staff").get("/", headers={"Accept-Language": "de"}).text
    assert re.search(r"hausmeister</b>: übersprungen \(nicht im Dienst\)", page)
    assert "empfang</b>: SMS übergeben" in page
    (call,) = web.call("GET", "/api/v1/calls", headers=web.token("staff")).json()
    assert [one["medium"] for one in call["messages"]] == ["", "sms"]


def test_a_test_call_rings_nowhere(web: Web) -> None:
    web.see(calling(test=True))
    presenter = web.site.scene_for("de", names=True)
    assert (presenter.alert, [call.ringing for call in presenter.calls]) == ("", [False])
    web.see(calling())
    presenter = web.site.scene_for("de", names=True)
    assert presenter.alert == "Notruf aus WC. Bitte sofort hingehen."


def test_a_leak_that_is_dry_again_can_be_reset(web: Web) -> None:
    staff = web.as_("staff")
    for wet in (True, False):
        leak = {"wet": wet, "latched": True, "valve_closed": True}
        told = snapshot(rooms={"wc": room("WC", leak=leak)}, alarms=[alarm("wc", "leak", "urgent")])
        web.see(told)
        assert ('action="/alarms/reset"' in staff.get("/alarms").text) is not wet
    answer = staff.post("/alarms/reset", data={"alarm": "wc/leak", "csrf": staff.csrf})
    assert answer.status_code == 303
    assert web.panel.commands[-1]["name"] == "reset_alarm"


def test_an_admin_confirms_a_time_that_is_in_doubt(web: Web) -> None:
    admin = web.as_("admin")
    assert "/clock/confirm" not in admin.get("/alarms").text
    web.see(snapshot(clock_settled=False, clock_doubt="jumped"))
    assert "/clock/confirm" not in web.as_("maintenance").get("/alarms").text
    assert 'action="/clock/confirm"' in admin.get("/alarms").text
    answer = admin.post("/clock/confirm", data={"csrf": admin.csrf})
    assert answer.status_code == 303
    assert web.panel.commands[-1]["name"] == "confirm_clock"
    assert web.panel.commands[-1]["args"] == {}


def test_a_test_does_not_look_like_a_call(web: Web) -> None:
    """The card of the room said so in red, beside a box that said that it is a test."""
    web.see(calling(test=True))
    page = web.as_("staff").get("/", headers={"Accept-Language": "de"}).text
    assert "<b>Test läuft</b>" in page
    assert "tile of-call is-call" not in page
    web.see(calling())
    assert "tile of-call is-call" in web.as_("staff").get("/").text


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("de", "unterwegs nach 10\u202fs, Anwesenheit nicht gemeldet, abgestellt nach 24\u202fs"),
        ("en", "on the way after 10\u202fs, presence not reported, ended after 24\u202fs"),
    ],
)
def test_a_past_call_says_what_did_not_happen(web: Web, language: str, line: str) -> None:
    past = {
        "id": "wc-1", "raised_utc_ms": 1_714_557_600_000, "test": False,
        "acknowledged_after_ms": 9_998, "attended_after_ms": None, "cancelled_after_ms": 24_019,
    }  # fmt: skip
    web.see(snapshot(rooms={"wc": room("WC", last_calls=[past])}))
    page = web.as_("staff").get("/", headers={"Accept-Language": language}).text
    assert line in page
