"""Asking again and again: 304 while nothing that an answer shows has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.page.fake import alarm, contact, door, room
from tests.web.conftest import Web, snapshot

PATHS = [f"/api/v1/{name}" for name in ("status", "doors", "rooms", "calls", "alarms", "points")]


class Poller:
    """A program that remembers the tag of the last answer."""

    def __init__(self, web: Web, path: str, role: str = "view") -> None:
        self.web, self.path, self.headers = web, path, web.token(role)

    def ask(self) -> httpx.Response:
        answer = self.web.call("GET", self.path, headers=self.headers)
        self.headers["If-None-Match"] = answer.headers["ETag"]
        return answer


@pytest.fixture
def told(web: Web) -> dict[str, Any]:
    """The building with a recorder, a broker and a meter, all of them well."""
    since = web.site.control.now_ms
    meter = {"value": 20.5, "at_ms": since}
    values = snapshot(
        points={
            "front.leaf": contact(),
            "wc.climate": {**contact(), "kind": "meter", "quantities": {"temperature_c": meter}},
        },
        guarantees={
            "recording": {
                "ok": True, "since_ms": since, "reason": "", "backlog": 0,
                "recorded_until_utc_ms": 1_700_000_000_000,
            },
            "forwarding": {
                "ok": True, "since_ms": since, "reason": "", "backlog": 0, "oldest_unsent_ms": 0,
            },
        },
    )  # fmt: skip
    web.see(values)
    return values


@pytest.mark.parametrize("path", PATHS)
def test_the_second_answer_is_304_without_a_body(web: Web, path: str) -> None:
    poller = Poller(web, path)
    first, second = poller.ask(), poller.ask()
    assert (first.status_code, second.status_code) == (200, 304)
    assert second.content == b""
    assert second.headers["ETag"] == first.headers["ETag"]
    assert second.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/doors"])
def test_a_press_is_told_once(web: Web, told: dict[str, Any], path: str) -> None:
    poller = Poller(web, path)
    poller.ask()
    web.see(told | {"doors": {"front": told["doors"]["front"] | {"state": "opening"}}})
    pressed = poller.ask()
    assert pressed.status_code == 200
    assert "opening" in pressed.text
    assert poller.ask().status_code == 304


def test_time_going_on_is_no_change(web: Web, told: dict[str, Any]) -> None:
    """Every snapshot of a busy building says a new time, and how far the recorder has got."""
    poller = Poller(web, "/api/v1/status")
    before = poller.ask().json()
    guarantees = {name: dict(one) for name, one in told["guarantees"].items()}
    guarantees["recording"]["recorded_until_utc_ms"] += 2_000
    guarantees["forwarding"]["oldest_unsent_ms"] = 40
    web.see(told | {"now_ms": told["now_ms"] + 2_000, "guarantees": guarantees})
    after = web.call("GET", "/api/v1/status", headers=web.token("view")).json()
    assert (before["now"], before["guarantees"]) != (after["now"], after["guarantees"])
    assert poller.ask().status_code == 304


def _recorder(told: dict[str, Any]) -> dict[str, Any]:
    behind = told["guarantees"]["recording"] | {"ok": False, "reason": "behind"}
    return {"guarantees": told["guarantees"] | {"recording": behind}}


def _reading(told: dict[str, Any]) -> dict[str, Any]:
    climate = told["points"]["wc.climate"]
    again = {"value": 20.5, "at_ms": told["now_ms"] + 60_000}
    known = climate | {"quantities": {"temperature_c": again}}
    return {"points": told["points"] | {"wc.climate": known}}


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a recorder that falls behind": _recorder,
    "a reading of the same value": _reading,
    "an alarm": lambda _: {"alarms": [alarm("front", "left_open", "fault")]},
    "another door": lambda told: {"doors": told["doors"] | {"back": door("Hof")}},
    "a clock that is trusted no more": lambda _: {"clock_trusted": False},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_answer_shows_is_a_change(web: Web, told: dict[str, Any], change: str) -> None:
    poller = Poller(web, "/api/v1/status")
    poller.ask()
    web.see(told | CHANGES[change](told))
    assert poller.ask().status_code == 200


def test_a_controller_that_goes_away_is_a_change(web: Web) -> None:
    """304 must never hide that the values are old."""
    poller = Poller(web, "/api/v1/status")
    poller.ask()
    web.away()
    assert poller.ask().json()["stale"] is True
    assert poller.ask().status_code == 304
    web.see(snapshot())
    assert poller.ask().json()["stale"] is False


def test_who_sees_more_of_a_room_has_another_tag(web: Web) -> None:
    web.see(snapshot(rooms={"wc": room("WC", occupancy="occupied")}))
    tags = {Poller(web, "/api/v1/rooms", role).ask().headers["ETag"] for role in ("view", "staff")}
    assert len(tags) == 2


@pytest.mark.parametrize("told_as", ["{}", "W/{}", '"other", W/{}', "*"])
def test_the_tag_is_understood_as_http_writes_it(web: Web, told_as: str) -> None:
    headers = web.token("view")
    tag = web.call("GET", "/api/v1/doors", headers=headers).headers["ETag"].removeprefix("W/")
    headers["If-None-Match"] = told_as.format(tag)
    assert web.call("GET", "/api/v1/doors", headers=headers).status_code == 304
    headers["If-None-Match"] = '"other"'
    assert web.call("GET", "/api/v1/doors", headers=headers).status_code == 200


def test_nobody_is_told_304_before_logging_in(web: Web) -> None:
    answer = web.call("GET", "/api/v1/status", headers={"If-None-Match": "*"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_description_says_it(web: Web, path: str) -> None:
    told = web.call("GET", "/api/openapi.json", headers=web.token("view")).json()
    operation = told["paths"][path]["get"]
    assert "If-None-Match" in {one["name"].title() for one in operation["parameters"]}
    assert "now" in operation["responses"]["304"]["description"]
    assert "ETag" in operation["responses"]["200"]["headers"]
    assert "application/json" in operation["responses"]["200"]["content"]
