"""The password of the first start stands in a log: whoever logs in with it chooses another
first. Doors, calls and alarms do not wait for that."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from gateway.web.identity.auth import Needs
from tests.page.fake import alarm, room
from tests.web.conftest import PASSWORD, Web, snapshot
from tests.web.test_access import needs, path_of, routes

HTML = {"Accept": "text/html", "Accept-Language": "en"}
NEVER_WITHHELD = {
    ("GET", "/"), ("GET", "/more"), ("GET", "/timeline/{call}"), ("GET", "/alarms"),
    ("POST", "/doors/{door}/open"), ("POST", "/calls/acknowledge"), ("POST", "/alarms/acknowledge"),
    ("GET", "/api/v1/status"), ("GET", "/api/v1/doors"), ("GET", "/api/v1/doors/{door}"),
    ("GET", "/api/v1/rooms"), ("GET", "/api/v1/rooms/{room}"), ("GET", "/api/v1/calls"),
    ("GET", "/api/v1/alarms"), ("GET", "/api/v1/live"),
    ("POST", "/api/v1/doors/{door}/open"), ("POST", "/api/v1/calls/{call}/acknowledge"),
    ("POST", "/api/v1/alarms/{alarm:path}/acknowledge"),
}  # fmt: skip
"""To see the house, open its doors, answer its calls."""


def own(path: str) -> bool:
    """What is about nobody but oneself, and the way out."""
    mine = (
        "/account",
        "/api/v1/me",
        "/api/v1/users/me/",
        "/api/v1/session",
        "/second-factor",
        "/logout",
    )
    return path.startswith(mine)


WITHHELD = [
    pytest.param(m, r, id=f"{m} {r.path}")
    for m, r in routes()
    if isinstance(found := needs(r)[0], Needs)
    and found.role
    and (m, r.path) not in NEVER_WITHHELD
    and not own(r.path)
]


@pytest.fixture
def first(web: Web) -> str:
    password = web.users.first_admin()
    assert password is not None
    return password


def test_exactly_these_wait_for_nobody() -> None:
    waiting = {
        (m, r.path)
        for m, r in routes()
        if isinstance(found := needs(r)[0], Needs) and found.role and found.always
    }
    assert {route for route in waiting if not own(route[1])} == NEVER_WITHHELD


@pytest.mark.parametrize(("method", "route"), WITHHELD)
def test_all_else_waits_for_a_password_of_ones_own(
    shared: Web, monkeypatch: pytest.MonkeyPatch, method: str, route: APIRoute
) -> None:
    monkeypatch.setattr(type(shared.users), "has_first_password", lambda *_: True)
    admin = shared.as_("admin")
    answer = admin.call(method, path_of(route))
    assert (answer.status_code, answer.json()["reason"]) == (403, "password_change_needed")
    page = admin.call(method, path_of(route), headers=HTML)
    if not route.path.startswith(("/api/", "/metrics")):
        assert (page.status_code, page.headers["location"]) == (303, "/account")
    token = shared.call(method, path_of(route), headers=shared.token("admin"))
    assert '"reason":"password_change_needed"' not in token.text


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_api_says_it_in_the_readers_language(web: Web, first: str, language: str) -> None:
    told = web.as_("admin").get("/api/v1/users", headers={"Accept-Language": language}).json()
    said = {"de": "eigenes Kennwort", "en": "your own password"}[language]
    assert said in told["detail"]


def test_the_door_opens_and_the_call_is_answered_before(web: Web, first: str) -> None:
    web.see(snapshot(alarms=[alarm("front", "left_open", "fault")]))
    admin = web.as_("admin")
    overview = admin.get("/", headers=HTML)
    assert overview.status_code == 200
    assert 'action="/doors/front/open"' in overview.text
    assert "Please choose your own" in overview.text
    armed = admin.post("/doors/front/open", headers=HTML).headers["location"]
    arm = armed.partition("armed=")[2].partition("#")[0]
    assert "said=" in admin.post("/doors/front/open", data={"arm": arm}).headers["location"]
    assert admin.post("/api/v1/doors/front/open").status_code == 202
    assert admin.post("/calls/acknowledge", data={"call": "wc"}).status_code == 303
    assert admin.post("/api/v1/calls/wc/acknowledge").status_code == 202
    seen = admin.post("/alarms/acknowledge", data={"alarm": "front/left_open"})
    assert seen.status_code == 303
    assert [c["name"] for c in web.panel.commands] == [
        "open_door", "open_door", "acknowledge_call", "acknowledge_call", "acknowledge_alarm",
    ]  # fmt: skip


def test_logging_in_leads_to_the_change_and_the_change_leads_on(web: Web, first: str) -> None:
    form = {"name": "admin", "password": first, "next": "/events"}
    entered = web.call("POST", "/login", data=form)
    assert (entered.status_code, entered.headers["location"]) == (303, "/account")
    admin = web.as_("admin")
    account = admin.get("/account", headers=HTML).text
    assert "Choose a new password" in account
    assert "/account/password" in account
    assert admin.get("/users", headers=HTML).headers["location"] == "/account"
    done = admin.post("/account/password", data={"old": first, "new": PASSWORD})
    assert done.headers["location"] == "/account?done=1"
    assert admin.get("/users", headers=HTML).status_code == 200
    assert "Please choose your own" not in admin.get("/", headers=HTML).text
    form = {"name": "admin", "password": PASSWORD, "next": "/events"}
    assert web.call("POST", "/login", data=form).headers["location"] == "/events"


def test_the_same_password_again_is_no_change(web: Web, first: str) -> None:
    admin = web.as_("admin")
    same = admin.post("/account/password", data={"old": first, "new": first}, headers=HTML)
    assert same.status_code == 422
    assert "another password than before" in same.text
    assert admin.get("/api/v1/users").status_code == 403


def test_logging_out_stays_possible(web: Web, first: str) -> None:
    admin = web.as_("admin")
    assert admin.post("/logout").headers["location"] == "/login"
    assert admin.get("/api/v1/me").status_code == 401


def test_a_missing_code_is_asked_for_first(web: Web, first: str) -> None:
    """One page after the other, not in a circle."""
    object.__setattr__(web.site.identity, "second_factor", "login")
    admin = web.as_("admin")
    sent = admin.get("/users", headers=HTML)
    assert sent.headers["location"] == "/second-factor?next=/users"
    assert admin.get("/second-factor", headers=HTML).status_code == 200


def test_others_are_never_asked(web: Web, first: str) -> None:
    web.see(snapshot(rooms={"wc": room("WC")}))
    assert web.as_("maintenance").get("/maintenance", headers=HTML).status_code == 200
    assert "Please choose your own" not in web.as_("view").get("/", headers=HTML).text
