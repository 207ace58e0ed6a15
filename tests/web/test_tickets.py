"""The signed link of a message: it shows, its button does one thing, and it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.panel.tickets import Instant, Kind, Ticket, Tickets, make_key
from tests.page.fake import called, room
from tests.web.conftest import Web, snapshot


def link(web: Web, *, kind: Kind = "call", about: str = "wc-7", life_s: int = 60) -> str:
    make_key(web.options.state)
    ticket = Ticket("care", about, f"{about}#3", kind, int(time.time()) + life_s)
    return f"/m/{Tickets(web.options.state).make(ticket)}"


@pytest.fixture
def calling(web: Web) -> Web:
    web.see(snapshot(rooms={"wc": room("WC", call=called("wc-7"))}))
    return web


def test_opening_it_only_shows(calling: Web) -> None:
    answer = calling.call("GET", link(calling))
    assert answer.status_code == 200
    assert "Notruf: WC" in answer.text
    assert calling.panel.sent == []


def test_its_button_acknowledges_as_the_receiver(calling: Web) -> None:
    answer = calling.call("POST", link(calling))
    assert answer.status_code == 200
    assert "Bitte gehen Sie hin" in answer.text
    (command,) = calling.panel.commands
    assert command["name"] == "acknowledge_call"
    assert (command["args"], command["actor"]) == ({"call": "wc-7"}, "link:care")
    assert command["via"] == "link"


def test_a_test_message_is_confirmed(web: Web) -> None:
    path = link(web, kind="test", about="")
    assert "Testnachricht" in web.call("GET", path).text
    assert web.panel.sent == []
    assert "bestätigt" in web.call("POST", path).text
    (command,) = web.panel.commands
    assert (command["name"], command["args"]) == ("confirm_message", {"delivery": "#3"})


def test_it_is_good_for_one_call_only(calling: Web) -> None:
    other = link(calling, about="wc-6")
    assert "ist beendet" in calling.call("GET", other).text
    calling.panel.answer = {"status": "refused", "reason": "unknown_call", "fact": None}
    answer = calling.call("POST", other)
    assert (answer.status_code, "ist beendet" in answer.text) == (200, True)


YEARS_S = 5 * 365 * 86_400


def signed_ahead(web: Web, ahead_s: int, *, kind: Kind = "call", about: str = "wc-7") -> str:
    """By a clock that was so far ahead, or behind, a moment ago."""
    make_key(web.options.state)
    now = Instant.now()
    signed = Instant(now.utc_s + ahead_s, now.uptime_s)
    ticket = Ticket("care", about, f"{about}#3", kind, int(signed.utc_s) + 3600)
    return f"/m/{Tickets(web.options.state).make(ticket, signed)}"


@pytest.mark.parametrize("ahead_s", [YEARS_S, -YEARS_S])
def test_a_clock_that_was_set_leaves_the_link_of_a_standing_call_alive(
    calling: Web, ahead_s: int
) -> None:
    path = signed_ahead(calling, ahead_s)
    assert "Notruf: WC" in calling.call("GET", path).text
    assert "Bitte gehen Sie hin" in calling.call("POST", path).text
    assert calling.panel.commands[-1]["args"] == {"call": "wc-7"}
    message = signed_ahead(calling, ahead_s, kind="test", about="")
    assert "bestätigt" in calling.call("POST", message).text


@pytest.mark.parametrize("ahead_s", [YEARS_S, -YEARS_S])
def test_and_no_link_of_another_one(calling: Web, ahead_s: int) -> None:
    path = signed_ahead(calling, ahead_s, about="wc-6")
    assert calling.call("POST", path).status_code == 404
    assert calling.panel.sent == []
    calling.away()
    assert calling.call("POST", path).status_code == 503  # nobody knows which calls stand


def test_it_ends(calling: Web) -> None:
    path = link(calling, life_s=-1)
    for method in ("GET", "POST"):
        answer = calling.call(method, path)
        assert answer.status_code == 404
        assert "gilt nicht" in answer.text
    assert calling.panel.sent == []


@pytest.mark.parametrize("change", [lambda t: t[:-2], lambda t: t + "x", lambda t: "x" * 5000])
def test_a_forged_one_is_nothing(calling: Web, change: object) -> None:
    path = link(calling)
    forged = "/m/" + change(path.removeprefix("/m/"))  # type: ignore[operator]  # a lambda
    assert calling.call("POST", forged).status_code == 404
    assert calling.panel.sent == []


def test_without_the_key_no_link_is_good(calling: Web, tmp_path: Path) -> None:
    path = link(calling)
    (calling.options.state / "link.key").unlink()
    assert calling.call("POST", path).status_code == 404


def test_another_page_cannot_press_its_button(calling: Web) -> None:
    headers = {"Origin": "https://evil.example"}
    assert calling.call("POST", link(calling), headers=headers).status_code == 403
    assert calling.panel.sent == []


def test_guessing_is_slow(calling: Web) -> None:
    codes = [calling.call("GET", "/m/guess").status_code for _ in range(25)]
    assert (codes[0], codes[-1]) == (404, 429)
