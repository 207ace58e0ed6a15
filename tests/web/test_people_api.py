"""The API does what the page does: about oneself, about others, and on the bench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from gateway.web.identity.users import hashed
from tests.page.fake import contact
from tests.web.conftest import PASSWORD, Client, Web, snapshot
from tests.web.test_access import routes

NEW = "ein ganz anderer Satz"
SAME = {
    ("POST", "/login"): ["POST /api/v1/session"],
    ("POST", "/logout"): ["DELETE /api/v1/session"],
    ("POST", "/language"): ["PUT /api/v1/me/preferences"],
    ("POST", "/theme"): [],  # of this browser alone
    ("POST", "/account"): ["PUT /api/v1/me/preferences"],
    ("POST", "/account/password"): ["PUT /api/v1/me/password"],
    ("POST", "/account/sessions"): [
        "DELETE /api/v1/users/me/sessions", "DELETE /api/v1/users/me/sessions/{session}",
    ],
    ("POST", "/second-factor"): ["POST /api/v1/me/second-factor"],
    ("POST", "/account/factor"): [
        "POST /api/v1/me/second-factor/enrolment", "POST /api/v1/me/second-factor/confirmation",
    ],
    ("POST", "/account/factor/remove"): ["POST /api/v1/me/second-factor/removal"],
    ("POST", "/users"): [
        "POST /api/v1/users", "PUT /api/v1/users/{user}/role", "DELETE /api/v1/users/{user}",
        "PUT /api/v1/users/{user}/password", "DELETE /api/v1/users/{user}/sessions",
        "DELETE /api/v1/users/{user}/second-factor", "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{name}",
    ],
    ("POST", "/doors/{door}/open"): ["POST /api/v1/doors/{door}/open"],
    ("POST", "/doors/{door}/mode"): ["PUT /api/v1/doors/{door}/mode"],
    ("POST", "/doors/{door}/service"): ["PUT /api/v1/doors/{door}/service"],
    ("POST", "/points/test"): ["POST /api/v1/points/{point}/test"],
    ("POST", "/calls/acknowledge"): ["POST /api/v1/calls/{call}/acknowledge"],
    ("POST", "/m/{token}"): ["POST /api/v1/calls/{call}/acknowledge"],
    ("POST", "/rooms/{room}/test"): [
        "PUT /api/v1/rooms/{room}/test", "DELETE /api/v1/rooms/{room}/test",
    ],
    ("POST", "/alarms/acknowledge"): ["POST /api/v1/alarms/{alarm:path}/acknowledge"],
    ("POST", "/alarms/reset"): ["POST /api/v1/alarms/{alarm:path}/reset"],
    ("POST", "/clock/confirm"): ["POST /api/v1/clock/confirm"],
    ("POST", "/alarms/shelve"): ["POST /api/v1/alarms/{alarm:path}/shelve"],
    ("POST", "/settings/doors/{door}"): ["PUT /api/v1/settings", "POST /api/v1/settings/preview"],
    ("POST", "/settings/days"): ["PUT /api/v1/settings", "POST /api/v1/settings/preview"],
    ("POST", "/settings/chains/{chain}"): ["PUT /api/v1/settings"],
    ("POST", "/settings/contacts/{contact}"): [
        "PUT /api/v1/settings", "POST /api/v1/contacts/{contact}/test",
    ],
    ("POST", "/settings/changes"): ["PUT /api/v1/settings", "POST /api/v1/settings/undo"],
    ("POST", "/account/devices"): [
        "POST /api/v1/me/devices", "DELETE /api/v1/me/devices/{device}",
        "POST /api/v1/me/devices/{device}/test",
    ],
    ("POST", "/account/tour"): [],  # it leads a person over the page
    ("POST", "/display/pair"): [],  # a display is a browser and nothing else
    ("POST", "/display/acknowledge"): [],
    ("POST", "/display/sound"): [],
    ("POST", "/maintenance/testbook"): ["POST /api/v1/testbook"],
    ("POST", "/maintenance/testbook/{number}"): [
        "POST /api/v1/testbook/{number}/steps", "DELETE /api/v1/testbook/{number}/steps/last",
        "POST /api/v1/testbook/{number}/signature", "DELETE /api/v1/testbook/{number}",
        "PUT /api/v1/rooms/{room}/test",
    ],
    ("POST", "/bench"): [
        "POST /api/v1/bench/points/{point}/press", "PUT /api/v1/bench/points/{point}",
    ],
}  # fmt: skip
"""What every form of the page does, and the routes by which a program does it."""


def test_every_form_of_the_page_has_its_routes() -> None:
    known = {f"{method} {route.path}" for method, route in routes()}
    forms = {
        (method, route.path)
        for method, route in routes()
        if method != "GET" and not route.path.startswith("/api/")
    }
    assert set(SAME) == forms
    assert [way for ways in SAME.values() for way in ways if way not in known] == []


# --- logging in and out ------------------------------------------------------------------


def test_a_program_logs_in_acts_and_logs_out(web: Web) -> None:
    web.add("anna", "staff")
    entered = web.call("POST", "/api/v1/session", json={"name": "anna", "password": PASSWORD})
    assert entered.status_code == 201
    told = entered.json()
    assert (told["second_factor"], told["password_change_needed"]) == (False, False)
    cookie = entered.headers["set-cookie"].partition(";")[0]
    assert "HttpOnly" in entered.headers["set-cookie"]
    headers = {"Cookie": cookie, "Origin": web.base}
    refused = web.call("POST", "/api/v1/doors/front/open", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (403, "csrf")
    headers["X-CSRF-Token"] = told["csrf"]
    assert web.call("POST", "/api/v1/doors/front/open", headers=headers).status_code == 202
    left = web.call("DELETE", "/api/v1/session", headers=headers)
    assert left.status_code == 204
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert web.call("GET", "/api/v1/me", headers=headers).status_code == 401


def test_the_first_log_in_is_told_that_a_password_is_due(web: Web) -> None:
    first = web.users.first_admin()
    assert first is not None
    told = web.call("POST", "/api/v1/session", json={"name": "admin", "password": first}).json()
    assert told["password_change_needed"] is True
    admin = web.as_("admin")
    short = admin.call("PUT", "/api/v1/me/password", json={"old": first, "new": "short"})
    assert (short.status_code, "short" in short.text) == (422, False)
    same = admin.call("PUT", "/api/v1/me/password", json={"old": first, "new": first})
    assert (same.status_code, same.json()["reason"]) == (422, "same_password")
    assert admin.get("/api/v1/users").status_code == 403
    done = admin.call("PUT", "/api/v1/me/password", json={"old": first, "new": NEW})
    assert done.status_code == 204
    assert admin.get("/api/v1/users").status_code == 200


def test_guessing_through_the_api_meets_the_same_limit_as_through_the_page(web: Web) -> None:
    web.add("anna", "staff")
    wrong = {"name": "anna", "password": "wrong password"}
    told = [web.call("POST", "/api/v1/session", json=wrong) for _ in range(4)]
    assert [(one.status_code, one.json()["reason"]) for one in told] == [(401, "login_wrong")] * 4
    assert "set-cookie" not in told[0].headers
    assert web.call("POST", "/login", data=wrong).status_code == 401
    limited = web.call("POST", "/api/v1/session", json=wrong | {"password": PASSWORD})
    assert (limited.status_code, limited.json()["reason"]) == (429, "login_limited")
    assert int(limited.headers["retry-after"]) > 0


def test_another_site_cannot_log_somebody_in(web: Web) -> None:
    web.add("anna", "staff")
    answer = web.call(
        "POST", "/api/v1/session", json={"name": "anna", "password": PASSWORD},
        headers={"Origin": "http://evil.example"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["reason"]) == (403, "other_origin")
    assert "set-cookie" not in answer.headers


# --- oneself -----------------------------------------------------------------------------


def test_ones_own_preferences_are_those_of_the_page(web: Web) -> None:
    anna = web.as_("staff")
    assert anna.get("/api/v1/me/preferences").json() == {"language": "", "armed_s": 15}
    wanted = {"language": "en", "armed_s": 60}
    assert anna.call("PUT", "/api/v1/me/preferences", json=wanted).json() == wanted
    page = anna.get("/account", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in page
    assert 'value="60"' in page
    anna.post("/account", data={"language": "de", "armed": "20"})
    assert anna.get("/api/v1/me/preferences").json() == {"language": "de", "armed_s": 20}
    bad = anna.call("PUT", "/api/v1/me/preferences", json={"armed_s": 4})
    assert (bad.status_code, bad.json()["reason"]) == (422, "malformed")


@pytest.mark.parametrize("way", ["page", "api"])
def test_the_own_password_needs_the_old_one_and_ends_all_others(web: Web, way: str) -> None:
    here, there = web.as_("staff"), web.as_("staff")

    def change(old: str, new: str) -> int:
        if way == "page":
            return here.post("/account/password", data={"old": old, "new": new}).status_code
        told = here.call("PUT", "/api/v1/me/password", json={"old": old, "new": new})
        return told.status_code

    assert change("not the old one", NEW) == 422
    assert there.get("/api/v1/me").status_code == 200
    assert change(PASSWORD, NEW) in (204, 303)
    assert [c.get("/api/v1/me").status_code for c in (here, there)] == [200, 401]
    assert web.users.verify("staff", NEW) is not None
    assert [a["action"] for a in web.panel.audits] == ["password_changed"]


def test_guessing_the_own_password_is_slowed_down(web: Web) -> None:
    anna = web.as_("staff")
    body = {"old": "wrong password", "new": NEW}
    told = [anna.call("PUT", "/api/v1/me/password", json=body) for _ in range(6)]
    assert [one.status_code for one in told] == [422] * 5 + [429]
    assert told[0].json()["reason"] == "wrong_password"
    assert int(told[5].headers["retry-after"]) > 0


OWN: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/api/v1/me/preferences", None),
    ("PUT", "/api/v1/me/preferences", {"language": "de"}),
    ("PUT", "/api/v1/me/password", {"old": PASSWORD, "new": NEW}),
    ("GET", "/api/v1/me/second-factor", None),
    ("POST", "/api/v1/me/second-factor", {"code": "123456"}),
    ("POST", "/api/v1/me/second-factor/enrolment", {"password": PASSWORD}),
    ("POST", "/api/v1/me/second-factor/confirmation", {"code": "123456"}),
    ("POST", "/api/v1/me/second-factor/removal", {"password": PASSWORD}),
]


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Web]:
    """A building whose doors want a code."""
    made = Web(tmp_path, second_factor="doors")
    yield made
    made.close()


@pytest.mark.parametrize(("method", "path", "body"), OWN)
def test_an_access_token_is_no_person(
    doors: Web, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = doors.call(method, path, headers=doors.token("admin"), json=body)
    assert (answer.status_code, answer.json()["reason"]) == (403, "needs_person")
    assert doors.panel.audits == []


def test_an_access_token_cannot_log_out(web: Web) -> None:
    answer = web.call("DELETE", "/api/v1/session", headers=web.token("staff"))
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_session")


def test_a_second_factor_from_the_first_code_to_its_removal(doors: Web) -> None:
    anna, path = doors.as_("staff"), "/api/v1/me/second-factor"
    assert anna.get(path).json() == {"wanted": "doors", "enrolled": False, "proved_until": None}
    wrong = anna.post(f"{path}/enrolment", json={"password": "wrong password"})
    assert (wrong.status_code, wrong.json()["reason"]) == (422, "wrong_password")
    begun = anna.post(f"{path}/enrolment", json={"password": PASSWORD})
    assert begun.status_code == 201
    totp = pyotp.TOTP(begun.json()["secret"])
    assert begun.json()["uri"].startswith("otpauth://totp/")
    refused = anna.post(f"{path}/confirmation", json={"code": "00000000"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "wrong_code")
    done = anna.post(f"{path}/confirmation", json={"code": totp.now()})
    assert done.status_code == 200
    assert len(done.json()["recovery_codes"]) == 10
    told = anna.get(path).json()
    assert told["enrolled"] is True
    assert told["proved_until"] is not None
    assert anna.post("/api/v1/doors/front/open").status_code == 202
    again = anna.post(f"{path}/enrolment", json={"password": PASSWORD})
    assert (again.status_code, again.json()["reason"]) == (422, "factor_there")
    thief = doors.as_("staff").post(f"{path}/removal", json={"password": PASSWORD})
    assert (thief.status_code, thief.json()["reason"]) == (403, "second_factor")
    assert anna.post(f"{path}/removal", json={"password": "wrong"}).status_code == 422
    assert anna.post(f"{path}/removal", json={"password": PASSWORD}).status_code == 204
    assert anna.get(path).json()["enrolled"] is False
    assert [a["action"] for a in doors.panel.audits] == ["factor_added", "factor_removed"]


def test_five_wrong_first_codes_and_even_the_right_one_waits(doors: Web) -> None:
    anna, path = doors.as_("staff"), "/api/v1/me/second-factor"
    totp = pyotp.TOTP(anna.post(f"{path}/enrolment", json={"password": PASSWORD}).json()["secret"])
    wrong = {"code": "00000000"}
    told = [anna.post(f"{path}/confirmation", json=wrong).status_code for _ in range(5)]
    assert told == [403] * 5
    late = anna.post(f"{path}/confirmation", json={"code": totp.now()})
    assert (late.status_code, late.json()["reason"]) == (429, "limit")
    assert int(late.headers["retry-after"]) > 600


def test_where_nobody_wants_a_factor_none_is_set_up(web: Web) -> None:
    anna = web.as_("staff")
    told = anna.post("/api/v1/me/second-factor/enrolment", json={"password": PASSWORD})
    assert (told.status_code, told.json()["reason"]) == (404, "factor_off")
    page = anna.post("/account/factor", data={"do": "begin", "password": PASSWORD})
    assert page.status_code == 404


# --- others ------------------------------------------------------------------------------


class Others:
    """The administration at work on the user ``staff``, by one of the two ways."""

    def __init__(self, web: Web, way: str) -> None:
        self.way, self.web, self.admin = way, web, web.as_("admin")
        self.victim = web.as_("staff")
        self.id = web.users.by_name("staff").id

    def do(self, do: str, call: tuple[str, str, dict[str, str] | None]) -> int:
        method, path, body = call
        if self.way == "page":
            form = {"do": do, "name": "staff", **(body or {})}
            return self.admin.post("/users", data=form).status_code
        return self.admin.call(
            method, f"/api/v1/users/{self.id}{path}", **({"json": body} if body else {})
        ).status_code


@pytest.fixture(params=["page", "api"])
def others(web: Web, request: pytest.FixtureRequest) -> Others:
    return Others(web, request.param)


def said(web: Web) -> list[tuple[str, str]]:
    return [(a["action"], a["detail"]["subject"]) for a in web.panel.audits]


def test_another_role_counts_at_once(web: Web, others: Others) -> None:
    assert others.do("role", ("PUT", "/role", {"role": "view"})) in (200, 303)
    assert others.victim.get("/api/v1/me").status_code == 401
    assert web.users.by_name("staff").role == "view"
    assert said(web) == [("role_changed", f"web:{others.id}")]
    assert web.panel.audits[0]["detail"]["role"] == "view"


def test_a_forgotten_password_is_set_anew(web: Web, others: Others) -> None:
    assert others.do("password", ("PUT", "/password", {"password": NEW})) in (204, 303)
    assert others.victim.get("/api/v1/me").status_code == 401
    assert web.users.verify("staff", NEW) is not None
    assert said(web) == [("password_set", f"web:{others.id}")]
    assert NEW not in str(web.panel.sent)


def test_a_user_is_removed(web: Web, others: Others) -> None:
    assert others.do("remove", ("DELETE", "", None)) in (204, 303)
    assert others.victim.get("/api/v1/me").status_code == 401
    assert said(web) == [("user_removed", f"web:{others.id}")]


def test_a_lost_factor_is_taken_away(web: Web, others: Others) -> None:
    secret = web.users.begin_factor(others.id)
    assert web.users.confirm_factor(others.id, pyotp.TOTP(secret).now()) is not None
    assert others.do("factor", ("DELETE", "/second-factor", None)) in (204, 303)
    assert not web.users.has_factor(others.id)
    assert said(web) == [("factor_removed", f"web:{others.id}")]


def test_the_last_administrator_stays(web: Web) -> None:
    admin = web.as_("admin")
    path = f"/api/v1/users/{web.users.by_name('admin').id}"
    for answer in (
        admin.call("DELETE", path),
        admin.call("PUT", f"{path}/role", json={"role": "staff"}),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (409, "last_admin")
    assert admin.get("/api/v1/me").json()["role"] == "admin"
    assert web.panel.audits == []


UNKNOWN: list[tuple[str, str, dict[str, str] | None]] = [
    ("DELETE", "", None),
    ("PUT", "/role", {"role": "view"}),
    ("PUT", "/password", {"password": NEW}),
    ("DELETE", "/second-factor", None),
    ("GET", "/sessions", None),
    ("DELETE", "/sessions", None),
    ("DELETE", "/sessions/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN)
def test_somebody_who_is_not_there_is_404(
    web: Web, method: str, path: str, body: dict[str, str] | None
) -> None:
    """Removed users count as not there, too."""
    web.add("gone", "staff")
    gone = web.users.by_name("gone").id
    web.users.remove_user("gone")
    for id in (999, gone):
        answer = web.as_("admin").call(method, f"/api/v1/users/{id}{path}", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_user")
    assert web.panel.audits == []


def test_the_administration_sees_log_ins_and_ends_one(web: Web) -> None:
    admin, first, second = web.as_("admin"), web.as_("staff"), web.as_("staff")
    path = f"/api/v1/users/{web.users.by_name('staff').id}/sessions"
    found = admin.get(path).json()
    assert len(found) == 2
    assert [one["this"] for one in found] == [False, False]
    (mine,) = (s["id"] for s in first.get("/api/v1/users/me/sessions").json() if s["this"])
    own = f"/api/v1/users/{web.users.by_name('admin').id}/sessions"
    assert [one["this"] for one in admin.get(own).json()] == [True]
    assert admin.call("DELETE", f"{own}/{mine}").json()["reason"] == "unknown_session"
    assert admin.call("DELETE", f"{path}/{mine}").status_code == 204
    assert [c.get("/api/v1/me").status_code for c in (first, second)] == [401, 200]
    assert said(web) == [("sessions_ended", f"web:{web.users.by_name('staff').id}")]


def test_a_change_of_users_wants_a_fresh_code(doors: Web) -> None:
    admin = doors.as_("admin")
    doors.add("anna", "staff")
    id = doors.users.by_name("anna").id
    for method, path, body in UNKNOWN[:4]:
        answer = admin.call(method, f"/api/v1/users/{id}{path}", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (403, "second_factor")
    assert doors.users.by_name("anna").role == "staff"


# --- the bench ---------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Client]:
    made = Web(tmp_path, bench=True)
    climate = {**contact(), "kind": "meter", "quantities": {"temperature_c": {"value": 20.0}}}
    made.see(snapshot(points={"front.leaf": contact(), "wc.climate": climate}))
    yield made.as_("staff")
    made.close()


def done(client: Client) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in one.items() if key not in ("type", "id")}
        for one in client.web.panel.sent
        if one["type"] == "bench"
    ]


@pytest.mark.parametrize("way", ["page", "api"])
def test_the_bench_is_played_with(bench: Client, way: str) -> None:
    if way == "page":
        for form in (
            {"point": "front.leaf", "do": "press"},
            {"point": "front.leaf", "do": "on"},
            {"point": "wc.climate", "do": "value", "value": "9,5", "quantity": "temperature_c"},
        ):
            assert bench.post("/bench", data=form).status_code == 303
    else:
        path = "/api/v1/bench/points"
        measured = {"value": 9.5, "quantity": "temperature_c"}
        told = [
            bench.post(f"{path}/front.leaf/press"),
            bench.call("PUT", f"{path}/front.leaf", json={"value": True}),
            bench.call("PUT", f"{path}/wc.climate", json=measured),
        ]
        assert [one.status_code for one in told] == [204] * 3
    assert done(bench) == [
        {"do": "press", "point": "front.leaf", "for_ms": 300},
        {"do": "set", "point": "front.leaf", "value": True},
        {"do": "set", "point": "wc.climate", "value": 9.5, "quantity": "temperature_c"},
    ]


def test_a_press_lasts_as_long_as_is_said(bench: Client) -> None:
    path = "/api/v1/bench/points/front.leaf/press"
    assert bench.post(path, json={"for_ms": 40}).status_code == 204
    assert bench.post(path, json={"for_ms": 60_001}).status_code == 422
    assert [one["for_ms"] for one in done(bench)] == [40]


def test_a_number_is_a_number_and_no_text(bench: Client) -> None:
    path = "/api/v1/bench/points/wc.climate"
    for value in ("1", "yes", None, [1]):
        assert bench.call("PUT", path, json={"value": value}).status_code == 422
    assert bench.call("PUT", path, json={"value": 1}).status_code == 204
    assert [(one["value"], type(one["value"])) for one in done(bench)] == [(1.0, float)]


def test_what_the_bench_cannot_do(bench: Client) -> None:
    path = "/api/v1/bench/points"
    unknown = bench.post(f"{path}/nothing/press")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_point")
    assert done(bench) == []
    nan = bench.post("/bench", data={"point": "wc.climate", "do": "value", "value": "nan"})
    assert (nan.status_code, done(bench)) == (422, [])
    bench.web.panel.answer = {"result": {"error": "front.leaf: no value"}}
    refused = bench.call("PUT", f"{path}/front.leaf", json={"value": 3})
    assert (refused.status_code, refused.json()["detail"]) == (409, "front.leaf: no value")
    bench.web.panel.answer = None
    silent = bench.post(f"{path}/front.leaf/press")
    assert (silent.status_code, silent.json()["reason"]) == (503, "no_answer")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/bench/points/front.leaf/press", None),
        ("PUT", "/api/v1/bench/points/front.leaf", {"value": True}),
        ("GET", "/bench", None),
        ("POST", "/bench", None),
    ],
)
def test_real_points_are_no_bench(
    web: Web, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = web.as_("admin").call(method, path, json=body)
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_bench")
    assert web.panel.sent == []


def test_a_new_log_in_is_kept_as_its_hash(web: Web) -> None:
    web.add("anna", "staff")
    entered = web.call("POST", "/api/v1/session", json={"name": "anna", "password": PASSWORD})
    secret = entered.headers["set-cookie"].partition(";")[0].partition("=")[2]
    assert web.users.session(hashed(secret)) is not None
    assert secret not in entered.text
