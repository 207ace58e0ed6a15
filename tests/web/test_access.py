"""Who may call what: generated from the routes themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from gateway.web.app import ROUTERS
from gateway.web.display.access import NeedsDisplay
from gateway.web.identity.auth import Needs
from gateway.web.identity.users import ROLES, hashed
from tests.web.conftest import PASSWORD, Screen, Web

OPEN = {
    ("GET", "/login"), ("POST", "/login"), ("POST", "/language"), ("POST", "/theme"),
    ("POST", "/api/v1/session"),
    ("GET", "/m/{token}"), ("POST", "/m/{token}"),
    ("GET", "/display"), ("POST", "/display/pair"),
    ("GET", "/manifest.webmanifest"), ("GET", "/sw.js"), ("GET", "/offline"),
    ("GET", "/health/live"), ("GET", "/health/ready"),
    # A phone has to trust the page before anybody logs in there; certificates are public.
    ("GET", "/help/certificate"), ("GET", "/help/root.crt"), ("GET", "/help/next-root.crt"),
}  # fmt: skip


def routes() -> Iterator[tuple[str, APIRoute]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, route


def needs(route: APIRoute) -> list[Needs | NeedsDisplay]:
    kinds = (Needs, NeedsDisplay)
    return [d.call for d in route.dependant.dependencies if isinstance(d.call, kinds)]


ALL = [pytest.param(m, r, id=f"{m} {r.path}") for m, r in routes()]


def path_of(route: APIRoute) -> str:
    return re.sub(r"\{\w+(:path)?\}", "x", route.path)


@pytest.mark.parametrize(("method", "route"), ALL)
def test_every_route_declares_its_role(method: str, route: APIRoute) -> None:
    declared = needs(route)
    assert len(declared) == 1
    assert (declared[0].role is None) == ((method, route.path) in OPEN)


CLOSED = [pytest.param(m, r, id=f"{m} {r.path}") for m, r in routes() if needs(r)[0].role]
FOR_DISPLAYS = [
    pytest.param(m, r, id=f"{m} {r.path}") for m, r in routes() if needs(r)[0].role == "display"
]
FOR_USERS = [param for param in CLOSED if param.id not in {one.id for one in FOR_DISPLAYS}]


@pytest.mark.parametrize(("method", "route"), CLOSED)
def test_nobody_gets_in_without_logging_in(shared: Web, method: str, route: APIRoute) -> None:
    answer = shared.call(method, path_of(route), headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "route"), FOR_USERS)
def test_every_role_below_is_refused(shared: Web, method: str, route: APIRoute) -> None:
    role = needs(route)[0].role
    assert role in ROLES
    for below in ROLES[: ROLES.index(role)]:
        answer = shared.call(method, path_of(route), headers=shared.token(below))
        assert (below, answer.status_code) == (below, 403)


@pytest.mark.parametrize(
    ("method", "route"), [p for p in FOR_USERS if p.values[0] not in ("GET", "HEAD")]
)
def test_a_change_needs_the_token_and_the_origin(shared: Web, method: str, route: APIRoute) -> None:
    client = shared.as_("admin")
    for headers in (
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 32},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = client.call(method, path_of(route), headers=headers)
        assert (headers, answer.status_code) == (headers, 403)
        assert answer.json()["reason"] in ("csrf", "other_origin")


@pytest.mark.parametrize(("method", "route"), FOR_USERS)
def test_a_display_may_nothing_that_a_user_may(shared: Web, method: str, route: APIRoute) -> None:
    """Whatever a route is for: to it a display is nobody."""
    screen = Screen(shared)
    headers = {"Accept": "application/json", "X-CSRF-Token": screen.csrf}
    answer = screen.call(method, path_of(route), headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "route"), FOR_DISPLAYS)
def test_nobody_but_a_display_may_what_it_may(shared: Web, method: str, route: APIRoute) -> None:
    for role in ROLES:
        for answer in (
            shared.as_(role).call(method, path_of(route)),
            shared.call(method, path_of(route), headers=shared.token(role)),
        ):
            assert (role, answer.status_code) == (role, 401)
    assert Screen(shared).call(method, path_of(route)).status_code in (200, 303, 422)


@pytest.mark.parametrize(
    ("method", "route"), [p for p in FOR_DISPLAYS if p.values[0] not in ("GET", "HEAD")]
)
def test_a_change_of_a_display_needs_its_token_and_the_origin(
    shared: Web, method: str, route: APIRoute
) -> None:
    screen = Screen(shared)
    screen.csrf, right = "0" * 32, screen.csrf
    assert screen.call(method, path_of(route)).status_code == 403
    screen.csrf = Screen(shared).csrf  # of another display
    assert screen.call(method, path_of(route)).status_code == 403
    screen.csrf = right
    for forged in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert screen.call(method, path_of(route), headers=forged).status_code == 403


def test_logging_in_from_another_site_is_refused(web: Web) -> None:
    web.add("anna", "staff")
    answer = web.call(
        "POST", "/login", data={"name": "anna", "password": PASSWORD},
        headers={"Origin": "http://evil.example"},
    )  # fmt: skip
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_session_ends_with_logging_out(web: Web) -> None:
    client = web.as_("staff")
    assert client.get("/api/v1/me").json()["role"] == "staff"
    assert client.post("/logout").status_code == 303
    assert client.get("/api/v1/me").status_code == 401


def test_log_in_and_the_cookie_on_loopback(web: Web) -> None:
    web.add("anna", "staff")
    answer = web.call("POST", "/login", data={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("portier-session-portier=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "secure" not in cookie.lower()


def test_the_cookie_under_tls_is_bound_to_the_host(tmp_path: Path) -> None:
    web = Web(tmp_path, tls_cert=Path("c"), tls_key=Path("k"))
    web.add("anna", "staff")
    answer = web.call("POST", "/login", data={"name": "anna", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-portier-session-portier=")
    assert "; Secure" in cookie
    assert "Path=/" in cookie
    assert "strict-transport-security" in answer.headers
    web.close()


def test_nobody_is_sent_to_another_site_after_logging_in(web: Web) -> None:
    web.add("anna", "staff")
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "/a\nb"):
        answer = web.call(
            "POST", "/login", data={"name": "anna", "password": PASSWORD, "next": target}
        )
        assert answer.headers["location"] == "/"


def test_guessing_a_password_is_slowed_down_and_tells_nothing(web: Web) -> None:
    web.add("anna", "staff")

    def guess(name: str) -> list[tuple[int, str]]:
        out = []
        for _ in range(7):
            answer = web.call("POST", "/login", data={"name": name, "password": "wrong"})
            seconds = r"\d+ s\b|\d+ Sek"  # how long to wait still, which time changes
            text = answer.text.replace(f'value="{name}"', "")  # what was typed is shown again
            out.append((answer.status_code, re.sub(seconds, "", text)))
        return out

    known, unknown = guess("anna"), guess("nobody")
    assert [status for status, _ in known] == [401] * 5 + [429] * 2
    assert known == unknown
    right = web.call("POST", "/login", data={"name": "anna", "password": PASSWORD})
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0


def test_a_token_that_ran_out_or_was_revoked_counts_no_more(web: Web) -> None:
    headers = {"Authorization": "Bearer " + web.users.add_token("prom", "view", 1, "test")}
    assert web.call("GET", "/metrics", headers=headers).status_code == 200
    web.users.revoke_token("prom")
    assert web.call("GET", "/metrics", headers=headers).status_code == 401


def test_metrics_need_a_role(web: Web) -> None:
    assert web.call("GET", "/metrics").status_code == 401
    told = web.call("GET", "/metrics", headers=web.token("view")).text
    assert 'portier_door_open{door="front"} 0.0' in told
    assert 'portier_guarantee{name="journal"} 1.0' in told


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"origin": "http://["}, "name=a", 403),
        ({}, "&".join(f"f{number}=1" for number in range(2_000)), 422),
        ({"content-length": "9" * 5_000}, "name=a", 413),
        ({"content-length": "²"}, "name=a", 413),
    ],
    ids=["no address", "too many fields", "a length of many digits", "a length of no digits"],
)
def test_what_no_browser_sends_is_refused(
    web: Web, headers: dict[str, str], body: str, status: int
) -> None:
    """Before anybody is logged in, so anybody on the network can send it."""
    form = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    given = {name: value.encode() for name, value in (form | headers).items()}
    answer = web.call("POST", "/login", content=body, headers=given)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_fields_that_look_like_numbers_are_refused(web: Web) -> None:
    staff = web.as_("maintenance")
    assert staff.post("/account", data={"armed": "²", "language": "de"}).status_code == 422
    found = staff.get("/api/v1/points/front.leaf/history?to=0001-01-01T00:00:00Z")
    assert found.status_code == 422


@pytest.mark.parametrize("csrf", ["in the form", "in the head"])
@pytest.mark.parametrize("lost", ["removed", "demoted", "logged out", "password"])
def test_a_form_that_comes_slowly_is_asked_for_by_who_is_there_at_its_end(
    web: Web, lost: str, csrf: str
) -> None:
    """Whoever lost the right had 20 seconds more, with the last letter of a form held back."""
    admin = web.as_("admin")
    web.add("other", "admin")
    form = f"do=add&name=ghost&role=admin&password={quote(PASSWORD)}&csrf={admin.csrf}"

    async def slowly() -> AsyncIterator[bytes]:
        yield form[:-1].encode()
        match lost:
            case "removed":
                await asyncio.to_thread(web.users.remove_user, "admin")
            case "demoted":
                await asyncio.to_thread(web.users.set_role, "admin", "staff")
            case "logged out":
                web.users.forget_session(hashed(admin.cookie.partition("=")[2]))
            case _:
                await asyncio.to_thread(web.users.set_password, "admin", PASSWORD + "!")
        yield form[-1:].encode()

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if csrf == "in the form":
        admin.csrf = ""
    answer = admin.call("POST", "/users", content=slowly(), headers=headers)
    assert answer.status_code in (303, 401, 403)
    assert "ghost" not in {user.name for user in web.users.list_users()}
