"""The API: answers, refusals, one shape for everything that goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.reasons import REASONS
from gateway.web.history import search
from gateway.web.options import ListenError, Options
from gateway.web.shared.limits import Once
from gateway.web.shared.problems import Problem
from gateway.web.shared.render import STATIC
from gateway.web.shared.words import catalogue
from tests.page.fake import alarm
from tests.web.conftest import Web, snapshot
from tests.web.test_access import path_of, routes
from tests.web.test_history import written


def test_open_waits_for_the_answer_and_names_the_fact(web: Web) -> None:
    answer = web.as_("staff").post("/api/v1/doors/front/open", json={"reason": "Lieferung"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    assert answer.json()["fact"] == "g/j/u/1"
    command = web.panel.commands[0]
    assert command["args"] == {"door": "front", "reason": "Lieferung"}
    assert command["actor"] == f"web:{web.users.by_name('staff').id}"


@pytest.mark.parametrize(
    "reason", sorted(reason for reason in REASONS if not reason.startswith("unknown_"))
)
def test_a_refusal_is_409_with_its_reason_in_words(shared: Web, reason: str) -> None:
    shared.panel.answer = {"status": "refused", "reason": reason, "fact": None}
    answer = shared.call("POST", "/api/v1/doors/front/open", headers=shared.token("staff"))
    assert answer.status_code == 409
    assert answer.json()["reason"] == reason
    assert len(answer.json()["detail"]) > 10
    shared.panel.answer = {"status": "accepted", "reason": "", "fact": "g/j/u/1"}


def test_a_mode_that_is_taken_and_does_not_act_yet_says_why(web: Web) -> None:
    """The page said "Mode set" and nothing else, while the other door of the lobby was open."""
    web.panel.answer = {"status": "accepted", "reason": "interlock", "fact": "g/j/u/1"}
    answer = web.call(
        "PUT",
        "/api/v1/doors/front/mode",
        headers=web.token("staff"),
        json={"mode": "hold_open"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (202, "interlock")
    staff = web.as_("staff")
    sent = staff.post("/doors/front/mode", data={"mode": "hold_open", "csrf": staff.csrf})
    page = staff.get(sent.headers["location"], headers={"Accept-Language": "de"}).text
    assert "bewegt sich deshalb noch nicht: Die andere Tür der Schleuse ist offen." in page


def test_the_same_key_opens_once_and_gives_the_same_answer(web: Web) -> None:
    headers = {**web.token("staff"), "Idempotency-Key": "k1"}
    first = web.call("POST", "/api/v1/doors/front/open", headers=headers)
    again = web.call("POST", "/api/v1/doors/front/open", headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(web.panel.commands) == 1
    other = web.call(
        "POST", "/api/v1/doors/front/open", headers=headers, json={"reason": "another"}
    )
    assert (other.status_code, other.json()["reason"]) == (422, "key_reused")
    assert len(web.panel.commands) == 1


def test_one_persons_key_is_not_anothers(web: Web) -> None:
    for _ in range(2):
        headers = {**web.token("staff"), "Idempotency-Key": "k1"}
        assert web.call("POST", "/api/v1/doors/front/open", headers=headers).status_code == 202
    assert len(web.panel.commands) == 2


def test_a_door_is_not_asked_for_without_end(web: Web) -> None:
    headers = web.token("staff")
    codes = [
        web.call("POST", "/api/v1/doors/front/open", headers=headers).status_code for _ in range(8)
    ]
    assert codes == [202] * 6 + [429] * 2


def test_without_control_nothing_is_kept_for_later(web: Web) -> None:
    web.away()
    answer = web.call("POST", "/api/v1/doors/front/open", headers=web.token("staff"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_panel")
    assert web.panel.commands == []


def test_an_answer_that_does_not_come_is_said(web: Web) -> None:
    web.panel.answer = None
    answer = web.call("POST", "/api/v1/doors/front/open", headers=web.token("staff"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_answer")


def test_status_says_that_it_is_stale_and_since_when(web: Web) -> None:
    headers = web.token("view")
    assert web.call("GET", "/api/v1/status", headers=headers).json()["stale"] is False
    web.away()
    told = web.call("GET", "/api/v1/status", headers=headers).json()
    assert told["stale"] is True
    assert told["since"].endswith("Z")
    assert told["doors"][0]["state"] == "closed"


def test_a_mode_until_a_time(web: Web) -> None:
    answer = web.call(
        "PUT", "/api/v1/doors/front/mode", headers=web.token("staff"),
        json={"mode": "night", "until": "2030-01-01T00:00:00+01:00"},
    )  # fmt: skip
    assert answer.status_code == 202
    assert web.panel.commands[0]["args"] == {
        "door": "front", "mode": "night", "until_utc_ms": 1_893_452_400_000,
    }  # fmt: skip


@pytest.mark.parametrize(("minutes", "for_ms"), [(0, 0), (60, 3_600_000), (480, 28_800_000)])
def test_service_mode_begins_and_ends(web: Web, minutes: int, for_ms: int) -> None:
    answer = web.call(
        "PUT", "/api/v1/doors/front/service", headers=web.token("maintenance"),
        json={"minutes": minutes},
    )  # fmt: skip
    assert answer.status_code == 202
    assert web.panel.commands[0]["name"] == "set_service"
    assert web.panel.commands[0]["args"] == {"door": "front", "for_ms": for_ms}


def test_service_mode_is_limited_to_eight_hours_and_to_maintenance(web: Web) -> None:
    path = "/api/v1/doors/front/service"
    long = web.call("PUT", path, headers=web.token("maintenance"), json={"minutes": 481})
    assert long.status_code == 422
    staff = web.call("PUT", path, headers=web.token("staff"), json={"minutes": 60})
    assert (staff.status_code, staff.json()["reason"]) == (403, "role")
    assert web.panel.commands == []


def test_a_relay_is_tested_for_seconds_by_maintenance_only(web: Web) -> None:
    path = "/api/v1/points/front.activation/test"
    assert web.call("POST", path, headers=web.token("staff")).status_code == 403
    headers = web.token("maintenance")
    assert web.call("POST", path, headers=headers, json={"seconds": 61}).status_code == 422
    assert web.panel.commands == []
    assert web.call("POST", path, headers=headers).status_code == 202
    assert web.call("POST", path, headers=headers, json={"seconds": 5}).status_code == 202
    assert [command["args"] for command in web.panel.commands] == [
        {"point": "front.activation", "for_ms": 1000},
        {"point": "front.activation", "for_ms": 5000},
    ]


def test_a_refused_relay_test_says_why(web: Web) -> None:
    web.panel.answer = {"status": "refused", "reason": "in_use", "fact": None}
    answer = web.call(
        "POST", "/api/v1/points/front.activation/test", headers=web.token("maintenance")
    )
    assert (answer.status_code, answer.json()["reason"]) == (409, "in_use")


def test_alarms_are_seen_and_shelved_by_their_id(web: Web) -> None:
    web.see(snapshot(alarms=[alarm("front", "left_open", "fault")]))
    headers = web.token("maintenance")
    seen = web.call("POST", "/api/v1/alarms/front/left_open/acknowledge", headers=headers)
    assert seen.status_code == 202
    shelved = web.call(
        "POST", "/api/v1/alarms/front/left_open/shelve", headers=headers, json={"minutes": 60}
    )
    assert shelved.status_code == 202
    assert [c["args"] for c in web.panel.commands] == [
        {"alarm": "front/left_open"},
        {"alarm": "front/left_open", "for_ms": 3_600_000},
    ]


def test_users_and_tokens_are_made_and_said_in_the_audit(web: Web) -> None:
    headers = web.token("admin")
    made = web.call(
        "POST", "/api/v1/users", headers=headers,
        json={"name": "anna", "role": "staff", "password": "ein langer Satz"},
    )  # fmt: skip
    assert made.status_code == 201
    again = web.call(
        "POST", "/api/v1/users", headers=headers,
        json={"name": "anna", "role": "staff", "password": "ein langer Satz"},
    )  # fmt: skip
    assert (again.status_code, again.json()["reason"]) == (409, "name_taken")
    token = web.call(
        "POST", "/api/v1/tokens", headers=headers, json={"name": "prom", "role": "view"}
    )
    assert token.status_code == 201
    secret = {"Authorization": f"Bearer {token.json()['token']}"}
    assert web.call("GET", "/api/v1/me", headers=secret).json()["role"] == "view"
    listed = web.call("GET", "/api/v1/tokens", headers=headers).json()
    assert all(one["token"] is None for one in listed)
    assert [a["action"] for a in web.panel.audits] == ["user_added", "token_added"]
    assert "anna" not in str(web.panel.audits)


ERRORS = [
    ("GET", "/api/v1/nothing", {}, 404),
    ("GET", "/api/v1/doors/nothing", {}, 404),
    ("DELETE", "/api/v1/doors", {}, 405),
    ("PUT", "/api/v1/doors/front/mode", {"json": {"mode": "open"}}, 422),
    ("PUT", "/api/v1/doors/front/mode", {"content": b"{"}, 422),
    ("POST", "/api/v1/doors/front/open", {"content": b"x" * 70_000}, 413),
    ("GET", "/api/v1/events?limit=0", {}, 422),
    ("GET", "/api/v1/events?kind=nonsense", {}, 422),
    ("GET", "/api/v1/export?format=parquet", {}, 501),
    ("GET", "/api/v1/events", {}, 503),
    ("GET", "/no/such/page", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "values", "status"), ERRORS)
def test_one_shape_for_everything_that_goes_wrong(
    shared: Web, method: str, path: str, values: dict[str, object], status: int
) -> None:
    answer = shared.call(method, path, headers=shared.token("admin"), **values)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {"type", "title", "status", "instance"} <= set(told)
    assert told["status"] == status


@pytest.mark.parametrize("length", ["declared", "not declared"])
@pytest.mark.parametrize("path", ["/api/v1/doors/front/open", "/login", "/account"])
def test_too_large_is_said_in_the_readers_language(web: Web, path: str, length: str) -> None:
    staff, body = web.as_("staff"), b"x" * 70_000
    web.users.set_preferences(web.users.by_name("staff").id, "de", 15)

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    content = body if length == "declared" else pieces()
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": "en"}
    answer = staff.post(path, content=content, headers=form)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Die Anfrage ist zu groß."
    assert answer.json()["instance"] == path


def test_too_large_is_a_page_for_people(web: Web) -> None:
    html = {"Accept": "text/html", "Accept-Language": "en"}
    answer = web.call("POST", "/login", content=b"x" * 70_000, headers=html)
    assert answer.status_code == 413
    assert "The request is too large." in answer.text
    assert "<h1>" in answer.text


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_problem_has_a_title_in_both_languages(language: str) -> None:
    statuses = {400, 401, 403, 404, 405, 409, 410, 412, 413, 422, 428, 429, 500, 501, 503}
    assert [s for s in statuses if f"error.{s}" not in catalogue(language)] == []


@pytest.mark.parametrize("path", sorted({path_of(r) for m, r in routes() if m == "GET"}))
def test_no_page_falls_over_whatever_control_answers(shared: Web, path: str) -> None:
    """The stand-in accepts everything and shows nothing."""
    if path != "/api/v1/live":
        assert shared.call("GET", path, headers=shared.token("admin")).status_code != 500


def test_a_crash_is_a_problem_and_tells_nothing(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("gateway.web.programs.building.status_json", crash)
    answer = web.call("GET", "/api/v1/status", headers=web.token("view"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_a_wrong_value_is_named_and_not_repeated(web: Web) -> None:
    answer = web.call(
        "POST", "/api/v1/users", headers=web.token("admin"),
        json={"name": "x", "role": "staff", "password": "geheim"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.password"
    assert "geheim" not in answer.text


@pytest.mark.parametrize(
    ("headers", "said"),
    [({"Accept-Language": "de"}, "Das ist kein JSON."),
     ({"Accept-Language": "en"}, "This is no JSON."),
     ({"Accept-Language": "en", "Cookie": "portier-language=de"}, "Das ist kein JSON.")],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_readers_language(
    web: Web, headers: dict[str, str], said: str
) -> None:
    answer = web.call(
        "POST", "/api/v1/doors/front/open", content=b'{"reason": "Lie',
        headers={**web.token("staff"), **headers, "Content-Type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["reason"]) == (422, "malformed")
    assert answer.json()["detail"] == ("The request cannot be understood." if said[0] == "T"
                                       else "Die Anfrage ist unverständlich.")  # fmt: skip
    assert answer.json()["errors"][0]["what"] == said


def test_a_wrong_value_says_its_limits_in_german(web: Web) -> None:
    headers = {**web.token("maintenance"), "Accept-Language": "de"}
    for body, said in (
        ({"minutes": 481}, "Das darf höchstens 480 sein."),
        ({"minutes": "bald"}, "Das muss eine ganze Zahl sein."),
        ({}, "Das fehlt."),
        ({"minutes": 5, "hours": 1}, "Das gibt es hier nicht."),
    ):
        answer = web.call("PUT", "/api/v1/doors/front/service", headers=headers, json=body)
        assert answer.status_code == 422
        assert [one["what"] for one in answer.json()["errors"]] == [said]


FAR = ("9999-12-31T23:59:59-05:00", "9001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00")


@pytest.mark.parametrize("far", FAR)
def test_a_time_outside_the_years_that_there_are_is_refused(web: Web, far: str) -> None:
    """Calendars end at 9999; what came back in local time could not be said there."""
    headers = {**web.token("maintenance"), "Accept-Language": "de"}
    for path in ("/api/v1/events", "/api/v1/export", "/api/v1/points/front.leaf/history"):
        for end in ("from", "to"):
            answer = web.call("GET", path, headers=headers, params={end: far})
            assert answer.status_code == 422, path
            (wrong,) = answer.json()["errors"]
            assert wrong == {
                "where": f"query.{end}",
                "what": "Das Jahr muss zwischen 1971 und 9000 liegen.",
            }
    answer = web.call(
        "PUT", "/api/v1/doors/front/mode", headers=headers, json={"mode": "night", "until": far}
    )
    assert answer.status_code == 422
    assert web.panel.commands == []


def test_the_last_moment_of_the_last_year_is_taken(web: Web) -> None:
    params = {"from": "1971-01-01T00:00:00+14:00", "to": "9000-12-31T23:59:59-12:00", "buckets": 1}
    headers = web.token("maintenance")
    written(web, 3)
    for path in ("/api/v1/points/front.leaf/history", "/api/v1/events", "/api/v1/export"):
        asked = params if path.endswith("history") else {"from": params["from"], "to": params["to"]}
        assert web.call("GET", path, headers=headers, params=asked).status_code == 200, path


@pytest.mark.parametrize("page", ["/history", "/events"])
@pytest.mark.parametrize("far", [*FAR, "9999-12-31T23:59", "yesterday"])
def test_the_page_says_that_there_is_no_such_time(web: Web, page: str, far: str) -> None:
    written(web, 3)
    who = web.as_("maintenance")
    for end in ("from", "to"):
        answer = who.get(page, params={end: far}, headers={"Accept-Language": "de"})
        assert answer.status_code == 200
        assert "Diese Zeit gibt es hier nicht." in answer.text
    at_most = {"from": "1971-01-01T00:00", "to": "9000-12-31T23:59"}
    answer = who.get(page, params=at_most, headers={"Accept-Language": "de"})
    assert answer.status_code == 200
    assert "Diese Zeit gibt es hier nicht." not in answer.text


def test_a_mode_until_a_year_that_is_none_is_refused_by_the_form(web: Web) -> None:
    answer = web.as_("staff").post(
        "/doors/front/mode", data={"mode": "night", "until": "9999-12-31T23:59"}
    )
    assert answer.status_code == 422
    assert web.panel.commands == []


def test_events_are_searched_as_the_page_searches_them(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the words of the language that is asked for; ``Link`` leads on to the rest."""
    written(web, 900)
    headers = {**web.token("view"), "Accept-Language": "de"}

    def ask(path: str) -> tuple[list[str], str]:
        answer = web.call("GET", path, headers=headers)
        assert answer.status_code == 200
        link = re.fullmatch('<(.*)>; rel="next"', answer.headers.get("link", '<>; rel="next"'))
        assert link
        return [fact["data"]["cause"] for fact in answer.json()], link[1]

    assert ask("/api/v1/events?q=D3+c101") == (["c101"], "")
    assert ask("/api/v1/events?q=d4+c101") == ([], "")
    assert ask("/api/v1/events?q=ging+c101")[0] == ["c101"]
    headers["Accept-Language"] = "en"
    assert ask("/api/v1/events?q=ging+c101")[0] == []
    assert ask("/api/v1/events?q=opened+c101")[0] == ["c101"]
    monkeypatch.setattr(search, "MOST", 500)
    found, link = ask("/api/v1/events?q=c888")
    assert found == []
    assert ask(link)[0] == ["c888"]
    seen, link = ask("/api/v1/events?limit=400")
    while link:
        more, link = ask(link)
        seen += more
    assert seen == [f"c{number}" for number in range(900)]


def test_a_key_that_met_nobody_may_be_used_again(web: Web) -> None:
    """While ``control`` was away nothing was asked: the same key asks later, and then once."""
    headers = {**web.token("staff"), "Idempotency-Key": "k1"}
    web.away()
    assert web.call("POST", "/api/v1/doors/front/open", headers=headers).status_code == 503
    web.see(snapshot())
    for _ in range(2):
        assert web.call("POST", "/api/v1/doors/front/open", headers=headers).status_code == 202
    assert len(web.panel.commands) == 1


def test_a_key_whose_answer_was_lost_asks_nobody_again(web: Web) -> None:
    """Whether the door was opened is not known: a second press must be somebody's will."""
    headers = {**web.token("staff"), "Idempotency-Key": "k1"}
    web.panel.answer = None
    for _ in range(2):
        answer = web.call("POST", "/api/v1/doors/front/open", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (503, "no_answer")
    assert len(web.panel.commands) == 1


def test_the_description_documents_every_route_and_answer(web: Web) -> None:
    told = web.call("GET", "/api/openapi.json", headers=web.token("view")).json()
    for method, route in routes():
        if route.path.startswith("/api/v1/"):
            path = route.path.replace(":path", "")
            operation = told["paths"][path][method.lower()]
            assert operation["description"]
            assert {"401", "403", "422", "500"} <= set(operation["responses"])
    shapes = told["components"]["schemas"]
    for name in (
        "OpenRequest", "ModeRequest", "ServiceRequest", "TestRequest", "NewUser", "NewToken",
        "ShelveRequest", "Accepted",
    ):  # fmt: skip
        assert shapes[name]["examples"]


@pytest.mark.parametrize("path", sorted({path_of(r) for m, r in routes() if m == "GET"}))
def test_every_answer_is_armoured(shared: Web, path: str) -> None:
    if path == "/api/v1/live":
        return
    answer = shared.call("GET", path, headers=shared.token("admin"))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    kept = path in ("/manifest.webmanifest", "/offline", "/sw.js")  # they tell of no state
    assert answer.headers["cache-control"] == ("no-cache" if kept else "no-store")


def test_health_says_which_part_fails(web: Web) -> None:
    assert web.call("GET", "/health/live").json() == {"status": "ok"}
    ready = web.call("GET", "/health/ready")
    assert ready.status_code == 503
    assert ready.json() == {"status": "failed", "panel": "ok", "journal": "failed"}


def test_files_of_others_are_unchanged() -> None:
    vendor = STATIC / "vendor"
    named = re.findall(r"\| `([^`]+)` .*`([0-9a-f]{64})` \|", (vendor / "README.md").read_text())
    assert {name for name, _ in named} >= {"icons.svg", "uplot-1.6.32.min.js"}
    assert len(named) == 3
    for name, checksum in named:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == checksum


def test_static_files_with_their_hash_are_kept_for_ever(shared: Web) -> None:
    page = shared.call("GET", "/login").text
    address = re.search(r'href="(/static/portier.css[^"]+)"', page)
    assert address is not None
    answer = shared.call("GET", address.group(1))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert shared.call("GET", "/static/portier.css").headers["cache-control"] == "no-cache"
    assert shared.call("GET", "/static/../users.py").status_code == 404


def test_plain_http_stays_on_this_machine() -> None:
    Options(state=Path(), host="::1").check()
    Options(state=Path(), host="0.0.0.0", tls_cert=Path("c"), tls_key=Path("k")).check()
    with pytest.raises(ListenError, match="Plain HTTP is for"):
        Options(state=Path(), host="0.0.0.0").check()


def test_a_refusal_is_not_kept_for_its_key() -> None:
    """Who was asked to wait may try again with the same key."""

    async def twice() -> str:
        once: Once[str] = Once()
        answers: list[Problem | str] = [Problem(429, "limit"), "opened"]

        async def work() -> str:
            answer = answers.pop(0)
            if isinstance(answer, Problem):
                raise answer
            return answer

        with pytest.raises(Problem):
            await once.do("key", "open front", work)
        await asyncio.sleep(0)
        return await once.do("key", "open front", work)

    assert asyncio.run(twice()) == "opened"
