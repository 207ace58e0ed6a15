"""The whole surface in one table: every address, its methods, and who may call them.

What is tried comes from the router itself, and what is expected from the table: neither can
change without the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import Response
from starlette.routing import Mount, Route

from gateway.web.identity.users import ROLES
from gateway.web.programs.openapi import EXAMPLES
from gateway.web.shared.limits import Buckets
from tests.web.conftest import Client, Web

EVERYBODY = "everybody"
DISPLAY = "display"
"""Least role of what is for displays alone: no user may, whatever their role."""
TABLE = """
/                                                   GET view
/doors/{door}/open                                  POST staff
/doors/{door}/mode                                  POST staff
/doors/{door}/service                               POST maintenance
/calls/acknowledge                                  POST staff
/rooms/{room}/test                                  POST staff
/alarms                                             GET view
/alarms/acknowledge                                 POST staff
/alarms/reset                                       POST staff
/alarms/shelve                                      POST maintenance
/clock/confirm                                      POST admin
/events                                             GET view
/history                                            GET maintenance
/system                                             GET view
/points                                             GET view
/points/test                                        GET maintenance, POST maintenance
/maintenance                                        GET maintenance
/maintenance/testbook                               POST maintenance
/maintenance/testbook/{number}                      GET maintenance, POST maintenance
/more                                               GET view
/timeline/{call}                                    GET view
/kept                                               GET view
/help                                               GET view
/help/signs                                         GET view
/help/certificate                                   GET everybody
/help/root.crt                                      GET everybody
/help/next-root.crt                                 GET everybody
/help/{name}                                        GET view
/bench                                              GET staff, POST staff
/users                                              GET admin, POST admin
/settings                                           GET admin
/settings/doors/{door}                              GET admin, POST admin
/settings/days                                      GET admin, POST admin
/settings/contacts                                  GET admin
/settings/contacts/{contact}                        GET admin, POST admin
/settings/chains                                    GET admin
/settings/chains/{chain}                            GET admin, POST admin
/settings/changes                                   GET admin, POST admin
/audit                                              GET admin
/account                                            GET view, POST view
/account/password                                   POST view
/account/sessions                                   POST view
/account/tour                                       POST view
/account/devices                                    POST view
/account/factor                                     POST view
/account/factor/remove                              POST view
/second-factor                                      GET view, POST view
/login                                              GET everybody, POST everybody
/logout                                             POST view
/language                                           POST everybody
/theme                                              POST everybody
/m/{token}                                          GET everybody, POST everybody
/static/{path}                                      GET everybody
/help/pictures/{path}                               GET everybody
/manifest.webmanifest                               GET everybody
/sw.js                                              GET everybody
/offline                                            GET everybody
/display                                            GET everybody
/display/pair                                       POST everybody
/display/acknowledge                                POST display
/display/sound                                      POST display

/api/v1/status                                      GET view
/api/v1/live                                        GET view
/api/v1/doors                                       GET view
/api/v1/doors/{door}                                GET view
/api/v1/doors/{door}/open                           POST staff
/api/v1/doors/{door}/mode                           PUT staff
/api/v1/doors/{door}/service                        PUT maintenance
/api/v1/rooms                                       GET view
/api/v1/rooms/{room}                                GET view
/api/v1/rooms/{room}/test                           PUT staff, DELETE staff
/api/v1/calls                                       GET view
/api/v1/calls/{call}/acknowledge                    POST staff
/api/v1/alarms                                      GET view
/api/v1/alarms/{alarm}/acknowledge                  POST staff
/api/v1/alarms/{alarm}/reset                        POST staff
/api/v1/alarms/{alarm}/shelve                       POST maintenance
/api/v1/clock/confirm                               POST admin
/api/v1/points                                      GET view
/api/v1/points/{point}                              GET view
/api/v1/points/{point}/history                      GET maintenance
/api/v1/points/{point}/test                         POST maintenance
/api/v1/bench/points/{point}                        PUT staff
/api/v1/bench/points/{point}/press                  POST staff
/api/v1/counters                                    GET view
/api/v1/guarantees                                  GET view
/api/v1/kept                                        GET view
/api/v1/events                                      GET view
/api/v1/export                                      GET maintenance
/api/v1/maintenance                                 GET maintenance
/api/v1/testbook                                    GET maintenance, POST maintenance
/api/v1/testbook/{number}                           GET maintenance, DELETE maintenance
/api/v1/testbook/{number}/steps                     POST maintenance
/api/v1/testbook/{number}/steps/last                DELETE maintenance
/api/v1/testbook/{number}/signature                 POST maintenance
/api/v1/session                                     POST everybody, DELETE view
/api/v1/me                                          GET view
/api/v1/me/preferences                              GET view, PUT view
/api/v1/me/password                                 PUT view
/api/v1/me/devices                                  GET view, POST view
/api/v1/me/devices/{device}                         DELETE view
/api/v1/me/devices/{device}/test                    POST view
/api/v1/me/second-factor                            GET view, POST view
/api/v1/me/second-factor/enrolment                  POST view
/api/v1/me/second-factor/confirmation               POST view
/api/v1/me/second-factor/removal                    POST view
/api/v1/users/me/sessions                           GET view, DELETE view
/api/v1/users/me/sessions/{session}                 DELETE view
/api/v1/users                                       GET admin, POST admin
/api/v1/users/{user}                                DELETE admin
/api/v1/users/{user}/role                           PUT admin
/api/v1/users/{user}/password                       PUT admin
/api/v1/users/{user}/second-factor                  DELETE admin
/api/v1/users/{user}/sessions                       GET admin, DELETE admin
/api/v1/users/{user}/sessions/{session}             DELETE admin
/api/v1/tokens                                      GET admin, POST admin
/api/v1/tokens/{name}                               DELETE admin
/api/v1/audit                                       GET admin
/api/v1/audit/verdict                               GET admin
/api/v1/display                                     GET display
/api/v1/settings                                    GET admin, PUT admin
/api/v1/settings/preview                            POST admin
/api/v1/settings/undo                               POST admin
/api/v1/contacts                                    GET admin
/api/v1/contacts/{contact}/test                     POST admin

/health/live                                        GET everybody
/health/ready                                       GET everybody
/metrics                                            GET view
/api/openapi.json                                   GET view
"""
"""Address, and for each of its methods the least role; HEAD wherever GET. There is none that
ends a call."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
SAFE = ("GET", "HEAD")
LEAVING = ("/logout", "/api/v1/session")
"""Whoever was there may be logged out."""
PROBLEM = "application/problem+json"
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


def table() -> dict[tuple[str, str], str]:
    """(method, address) -> least role, as the table says."""
    found: dict[tuple[str, str], str] = {}
    for line in filter(None, TABLE.splitlines()):
        path, _, methods = line.partition(" ")
        for one in methods.split(","):
            method, role = one.split()
            assert (method, path) not in found, f"{method} {path} stands in the table twice"
            found[method, path] = role
            if method == "GET":
                found["HEAD", path] = role
    return found


def served(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, address) of everything that the router leads to."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Mount):
            yield from ((method, f"{route.path}/{{path}}") for method in SAFE)
        else:
            assert isinstance(route, Route)
            path = re.sub(r":\w+\}", "}", route.path)
            methods = set(route.methods or ())
            methods |= {"HEAD"} if "GET" in methods else set()  # served by the middleware
            yield from ((method, path) for method in methods)


TOLD = table()
PATHS = sorted({path for _, path in TOLD})


def is_page(path: str) -> bool:
    return not path.startswith(("/api/", "/metrics", "/health/"))


def address(path: str) -> str:
    """With a name that is nobody's; the live stream is asked for a view that it has not."""
    filled = re.sub(r"\{\w+\}", "x", path)
    return f"{filled}?view=none" if path.endswith("/live") else filled


def reason(answer: Response) -> str:
    if answer.headers.get("content-type") != PROBLEM or not answer.content:
        return ""
    return str(answer.json().get("reason", ""))


def check_let_in(answer: Response, said: str) -> None:
    """Whatever it makes of nobody's name: it is not the role, and it does not break."""
    assert reason(answer) not in ("not_logged_in", "role", "csrf", "other_origin"), said
    assert answer.status_code < 500 or answer.status_code == 503, (said, answer.text)


def check_refused(answer: Response, path: str, status: int, said: str) -> None:
    assert answer.status_code == status, said
    media = "text/html; charset=utf-8" if is_page(path) else PROBLEM
    assert answer.headers["content-type"] == media, said


class Surface(Web):
    """One building with everything that has an address. Who is logged in stays so."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, bench=True)
        self.site.ticket_limit = Buckets(burst=10_000, every_s=1)  # each address is asked often
        self.tokens: dict[str, dict[str, str]] = {role: self.token(role) for role in ROLES}
        self.clients: dict[str, Client] = {}

    def ask(
        self, method: str, path: str, role: str, means: str, accept: dict[str, str]
    ) -> Response:
        if means == "token":
            return self.call(method, address(path), headers={**self.tokens[role], **accept})
        client = self.clients.pop(role, None) or self.as_(role)
        if path not in LEAVING:
            self.clients[role] = client
        return client.call(method, address(path), headers=accept)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    web = Surface(tmp_path_factory.mktemp("surface"))
    yield web
    web.close()


def test_the_table_and_the_router_name_the_same(tmp_path: Path) -> None:
    web = Web(tmp_path)
    app = web.app.inner
    found = set(served(app))
    web.close()
    new = sorted(f"{path}  {method} <least role>" for method, path in found - TOLD.keys())
    assert not new, f"routes without a line in TABLE of {__file__}; add for each: {new}"
    gone = sorted(f"{path}  {method}" for method, path in TOLD.keys() - found)
    assert not gone, f"lines of TABLE in {__file__} without a route; take away: {gone}"
    assert set(TOLD.values()) <= {EVERYBODY, DISPLAY, *ROLES}


def operations(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_operation_is_described_by_somebody(surface: Surface) -> None:
    """A summary made of the function's name says nothing, and no description less."""
    app = surface.app.inner
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            said = f"{sorted(route.methods or ())} {route.path}"
            assert route.summary, f"summary= of {said}"
            assert len(route.description.split()) > 3, said
            assert route.description != route.summary, said
    told = surface.call("GET", "/api/openapi.json", headers=surface.tokens["view"]).json()
    assert "Idempotency-Key" in told["info"]["description"]
    mute = [
        f"{name}: {parameter['name']}"
        for name, operation in operations(told)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert mute == []


def test_every_body_and_every_answer_has_an_example_that_is_one(surface: Surface) -> None:
    told = surface.call("GET", "/api/openapi.json", headers=surface.tokens["view"]).json()
    schemas = told["components"]["schemas"]

    def check(schema: dict[str, Any], example: object) -> None:
        whole = {**schema, "components": told["components"]}
        jsonschema_rs.validator_for(whole, validate_formats=True).validate(example)

    def examples(content: dict[str, Any]) -> list[Any]:
        if "example" in content:
            return [content["example"]]
        schema = content["schema"]
        for one in (schema, *schema.get("anyOf", ())):  # of a body that may be left out
            found = schemas[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            if "examples" in found:
                return list(found["examples"])
        return []

    lacking, used = [], set()
    for name, operation in operations(told):
        if name in EXAMPLES:
            used.add(name)
        parts = [("body", operation["requestBody"])] if "requestBody" in operation else []
        parts += [(s, a) for s, a in operation["responses"].items() if s.startswith("2")]
        for what, part in parts:
            for media, content in part.get("content", {}).items():
                if not (found := examples(content)):
                    lacking.append(f"{name}: {what} {media}")
                for one in found if "schema" in content else ():
                    check(content["schema"], one)
    assert lacking == []
    assert used == set(EXAMPLES), "examples of what is not there"


def test_every_command_is_carried_out_once_per_key(surface: Surface) -> None:
    """Whatever the API answers with 202 takes the key, and the second time sends nothing."""
    told = surface.call("GET", "/api/openapi.json", headers=surface.tokens["view"]).json()
    commands = [name for name, operation in operations(told) if "202" in operation["responses"]]
    assert len(commands) == 12
    for number, name in enumerate(commands):
        method, path = name.split(" ")
        filled = path.replace("{door}", "front").replace("{alarm}", "front/left_open")
        body = {"mode": "night", "minutes": 5} if method == "put" else None
        if body:
            body = {"mode": "night"} if path.endswith("/mode") else {"minutes": 5}
        if path.endswith("/shelve"):
            body = {"minutes": 60}
        role = "admin" if "/clock/" in path or "/contacts/" in path else "maintenance"
        headers = {**surface.tokens[role], "Idempotency-Key": f"once-{number}"}
        before = len(surface.panel.commands)
        first, again = (
            surface.call(
                method.upper(), re.sub(r"\{\w+\}", "x", filled), headers=headers, json=body
            )
            for _ in range(2)
        )
        assert first.status_code == 202, (name, first.text)
        assert again.json() == first.json(), name
        assert len(surface.panel.commands) == before + 1, name
    elsewhere = surface.call(
        "POST", "/api/v1/calls/wc/acknowledge",
        headers={**surface.tokens["maintenance"], "Idempotency-Key": "once-0"},
    )  # fmt: skip
    assert (elsewhere.status_code, reason(elsewhere)) == (422, "key_reused")


def test_nothing_in_the_table_ends_a_call() -> None:
    """Whoever it is and whatever the method: a call is ended in the room."""
    calls = [(method, path) for method, path in TOLD if "/calls" in path]
    assert sorted(calls) == [
        ("GET", "/api/v1/calls"),
        ("HEAD", "/api/v1/calls"),
        ("POST", "/api/v1/calls/{call}/acknowledge"),
        ("POST", "/calls/acknowledge"),
    ]
    assert not [path for path in PATHS if re.search("cancel|clear|silence|attend", path)]


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_logged_in_is_sent_to_the_log_in(surface: Surface, path: str) -> None:
    for (method, of), role in TOLD.items():
        if of != path:
            continue
        said = f"{method} {path} as visitor"
        answer = surface.call(method, address(path), headers=HTML if is_page(path) else JSON)
        if role == EVERYBODY:
            check_let_in(answer, said)
        elif is_page(path) and method in SAFE:
            assert answer.status_code == 303, said
            assert answer.headers["location"].startswith("/login"), said
        else:
            check_refused(answer, path, 401, said)
            if method != "HEAD" and not is_page(path):
                assert reason(answer) == "not_logged_in", said


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("means", ["session", "token"])
def test_every_role_may_do_what_the_table_says(surface: Surface, path: str, means: str) -> None:
    methods = {method: role for (method, of), role in TOLD.items() if of == path}
    for role in ROLES:
        for method, least in methods.items():
            said = f"{method} {path} as {role} by {means}"
            if least == DISPLAY:
                check_refused(surface.ask(method, path, role, means, HTML), path, 401, said)
                continue
            below = least != EVERYBODY and ROLES.index(role) < ROLES.index(least)
            accept = HTML if below and is_page(path) else JSON
            answer = surface.ask(method, path, role, means, accept)
            if not below:
                check_let_in(answer, said)
            else:
                check_refused(answer, path, 403, said)
                if method != "HEAD" and not is_page(path):
                    assert reason(answer) == "role", said


@pytest.mark.parametrize(
    ("method", "path"), [known for known in TOLD if known[0] not in SAFE], ids=" ".join
)
def test_a_change_from_another_site_is_refused(surface: Surface, method: str, path: str) -> None:
    """With a role that may, and with the right token of the session."""
    before = list(surface.panel.sent)
    for forged in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = surface.ask(method, path, "admin", "session", {**JSON, **forged})
        assert (answer.status_code, reason(answer)) == (403, "other_origin"), forged
        if TOLD[method, path] == EVERYBODY:
            answer = surface.call(method, address(path), headers={**JSON, **forged})
            assert (answer.status_code, reason(answer)) == (403, "other_origin"), forged
    assert surface.panel.sent == before


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_is_not_there_is_405_and_says_which_are(surface: Surface, path: str) -> None:
    declared = {method for method, of in TOLD if of == path}
    for method in METHODS:
        if method in declared:
            continue
        answer = surface.ask(method, path, "admin", "token", JSON)
        assert answer.status_code == 405, method
        assert answer.headers["content-type"] == PROBLEM, method
        assert set(answer.headers["allow"].split(", ")) == declared, method


@pytest.mark.parametrize("path", sorted(path for method, path in TOLD if method == "HEAD"))
def test_head_answers_as_get_without_a_body(surface: Surface, path: str) -> None:
    """fastapi-health#18: monitors and link checkers ask with HEAD."""
    surface.site.ticket_limit.forget("127.0.0.1")  # links are limited by address
    for accept in (JSON, HTML):
        with_body = surface.ask("GET", path, "admin", "token", accept)
        without = surface.ask("HEAD", path, "admin", "token", accept)
        assert without.status_code == with_body.status_code
        assert without.headers.get("content-type") == with_body.headers.get("content-type")
        assert without.content == b""


def test_an_address_that_is_not_there_is_404_whoever_asks(surface: Surface) -> None:
    for path in ("/api/v1/none", "/none", "/api/none"):
        for method in METHODS:
            for headers in (JSON, {**JSON, **surface.tokens["admin"]}):
                answer = surface.call(method, path, headers=headers)
                assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
