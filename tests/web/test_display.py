"""The display at reception: pairing, what it shows and does not, who goes, and its rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.web.options import Options
from gateway.web.presenter.terminals import Terminals
from gateway.web.storage.displays import CODE_LIFE_S, CODES_MOST, DISPLAYS_MOST, Displays
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import Author
from tests.living_files import contents
from tests.page.fake import alarm, called, door, now_ms, quiet, room
from tests.web.conftest import Clock, Screen, Web, snapshot

RECEIVERS = {"hausmeister": "Hausmeister", "pflege": "Pflegedienst"}


@pytest.fixture
def web(tmp_path: Path) -> Any:
    made = Web(tmp_path, terminals=Terminals(receivers=RECEIVERS))
    yield made
    made.close()


def code_of(web: Web, name: str = "Empfang") -> str:
    html = web.as_("admin").post("/users", data={"do": "display", "name": name}).text
    found = re.search(r"<code class=\"secret\">(\d{4} \d{4})</code>", html)
    assert found is not None
    return found[1]


def pair(web: Web, code: str) -> Any:
    return web.call("POST", "/display/pair", data={"code": code}, headers={"Origin": web.base})


def in_call(web: Web, **values: Any) -> None:
    web.see(snapshot(rooms={"wc": room("WC EG", call=called(**values), occupancy="occupied")}))


# --- pairing -----------------------------------------------------------------------------


def test_a_screen_is_paired_by_a_code_of_an_admin(web: Web) -> None:
    assert "Anzeige koppeln" in web.call("GET", "/display").text
    answer = pair(web, code_of(web))
    assert (answer.status_code, answer.headers["location"]) == (303, "/display")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("portier-display-portier=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    [display] = web.site.displays.all()
    assert display.name == "Empfang"
    headers = {"Cookie": cookie.partition(";")[0]}
    assert web.call("GET", "/api/v1/display", headers=headers).status_code == 200
    html = web.as_("admin").get("/users").text
    assert "Ton noch nie bestätigt" in html
    actions = [one["action"] for one in web.panel.audits]
    assert "display_paired" in actions


def test_a_code_works_once_and_not_for_long(tmp_path: Path) -> None:
    clock = Clock(0.0)
    displays = Displays(tmp_path / "web.sqlite", clock=clock)
    author = Author("web:1")
    code = displays.make_code("Empfang", author)
    assert displays.pair(f"{code[:4]} {code[4:]}") is not None
    assert displays.pair(code) is None
    code = displays.make_code("Empfang", author)
    clock.now += CODE_LIFE_S
    assert displays.pair(code) is None
    assert displays.pair("") is None
    assert displays.pair("x" * 10_000) is None
    codes = [displays.make_code("Empfang", author) for _ in range(CODES_MOST + 1)]
    assert displays.pair(codes[0]) is None
    assert displays.pair(codes[-1]) is not None


def test_guessing_codes_is_slowed_down(web: Web) -> None:
    statuses = [pair(web, f"{number:08d}").status_code for number in range(14)]
    assert statuses[:10] == [403] * 10
    assert statuses[-1] == 429
    assert web.site.displays.all() == []


def test_who_may_make_a_code_no_more_pairs_nothing(web: Web) -> None:
    code = code_of(web)
    web.add("boss", "admin")
    web.users.set_role("admin", "view")
    assert pair(web, code).status_code in (401, 403)
    assert web.site.displays.all() == []


def test_a_display_has_a_name_and_there_are_not_many(tmp_path: Path) -> None:
    displays = Displays(tmp_path / "web.sqlite")
    for name in ("", "  ", "x" * 41, "a\nb"):
        with pytest.raises(UserError):
            displays.make_code(name, Author("web:1"))
    codes = []
    for _ in range(DISPLAYS_MOST):
        codes.append(displays.make_code("Empfang", Author("web:1")))
        assert displays.pair(codes[-1]) is not None
    with pytest.raises(UserError):
        displays.make_code("Empfang", Author("web:1"))


def test_a_display_outlives_a_restart_and_ends_when_it_is_removed(web: Web) -> None:
    screen = Screen(web)
    again = Displays(web.options.users)
    assert [one.name for one in again.all()] == ["Empfang"]
    web.as_("admin").post("/users", data={"do": "remove_display", "id": str(screen.display.id)})
    assert screen.call("GET", "/api/v1/display").status_code == 401
    assert "Anzeige koppeln" in screen.call("GET", "/display").text
    assert Displays(web.options.users).all() == []
    answer = web.as_("admin").post("/users", data={"do": "remove_display", "id": "99"})
    assert answer.status_code == 404


def test_the_secret_is_not_stored(web: Web) -> None:
    screen = Screen(web)
    secret = screen.cookie.partition("=")[2]
    web.site.displays.confirm_sound(screen.display)
    for file, content in contents(web.options.state):
        assert secret.encode() not in content, file


# --- what it shows -----------------------------------------------------------------------


def test_it_shows_calls_doors_and_nothing_of_people(web: Web) -> None:
    in_call(web)
    told = Screen(web).call("GET", "/api/v1/display").json()
    assert told["connected"] is True
    assert told["ringing"] is True
    html = told["html"]
    assert "NOTRUF: WC EG" in html
    for function in ("Hausmeister", "Pflegedienst", "Personal"):
        assert f">{function}</button>" in html
    for person in ("Belegt", "belegt", "occupied", "admin", "21,3"):
        assert person not in html


def test_without_a_call_it_says_so_only_where_one_would_arrive(web: Web) -> None:
    screen = Screen(web)
    assert "Kein Notruf" in screen.call("GET", "/api/v1/display").json()["html"]
    now = now_ms()
    doubt = {"ok": False, "value": "unknown", "since_ms": now, "reason": "cord_unknown",
             "subject": "wc", "evidence_ms": now, "void_after_ms": 2_000}  # fmt: skip
    web.see(snapshot(guarantees={"call": doubt}))
    html = screen.call("GET", "/api/v1/display").json()["html"]
    assert "Kein Notruf" not in html
    assert "nicht sicher" in html


def test_a_building_without_cords_has_no_calls_to_show(web: Web) -> None:
    web.see(snapshot(rooms={}))
    assert "Notruf" not in Screen(web).call("GET", "/api/v1/display").json()["html"]


def test_while_control_is_away_nothing_of_it_counts(web: Web) -> None:
    screen = Screen(web)
    web.away()
    told = screen.call("GET", "/api/v1/display").json()
    assert told["connected"] is False
    assert "Kein Notruf" not in told["html"]
    assert 'data-connected="no"' in screen.call("GET", "/display").text


def test_a_test_of_the_call_system_rings_nowhere(web: Web) -> None:
    in_call(web, test=True)
    told = Screen(web).call("GET", "/api/v1/display").json()
    assert told["ringing"] is False
    assert "Test der Rufanlage: WC EG" in told["html"]
    assert "Ich gehe hin" not in told["html"]


def test_who_is_on_the_way_is_a_function_and_no_person(web: Web) -> None:
    screen = Screen(web)
    web.add("anna", "staff")
    anna = f"web:{web.users.by_name('anna').id}"
    for actor, shown in (
        ("display:pflege", "Pflegedienst ist unterwegs"),
        ("link:hausmeister", "Hausmeister ist unterwegs"),
        (anna, "Personal ist unterwegs"),
        ("display:staff", "Personal ist unterwegs"),
    ):
        in_call(web, state="acknowledged", acknowledged_by=actor, acknowledged_ms=now_ms())
        told = screen.call("GET", "/api/v1/display").json()
        assert shown in told["html"], actor
        assert "anna" not in told["html"]
        assert told["ringing"] is False


# --- who goes ----------------------------------------------------------------------------


def test_who_goes_says_in_which_function(web: Web) -> None:
    in_call(web)
    screen = Screen(web)
    answer = screen.call(
        "POST", "/display/acknowledge", data={"call": "bad-2", "function": "pflege"}
    )
    assert answer.status_code == 303
    [command] = web.panel.commands
    assert (command["name"], command["args"]) == ("acknowledge_call", {"call": "bad-2"})
    assert (command["actor"], command["via"]) == ("display:pflege", "web")


def test_a_function_that_is_none_is_refused(web: Web) -> None:
    in_call(web)
    for function in ("", "admin", "anna", "web:1", "pflege/x"):
        answer = Screen(web).call(
            "POST", "/display/acknowledge", data={"call": "bad-2", "function": function}
        )
        assert answer.status_code == 422
    assert web.panel.commands == []


def test_no_answer_of_control_is_no_success(web: Web) -> None:
    in_call(web)
    web.panel.answer = None
    answer = Screen(web).call(
        "POST", "/display/acknowledge", data={"call": "bad-2", "function": "staff"}
    )
    assert answer.status_code == 503


def test_pages_say_who_goes_by_function(web: Web) -> None:
    words = web.site.words("de")
    assert web.site.name_of("display:pflege", words) == "Pflegedienst, an der Anzeige"
    assert web.site.name_of("display:staff", words) == "Personal, an der Anzeige"


# --- the sound ---------------------------------------------------------------------------


def test_the_sound_counts_only_when_somebody_has_heard_it(web: Web) -> None:
    screen = Screen(web)
    note = "Der Ton dieser Anzeige ist nicht bestätigt"
    assert note in screen.call("GET", "/api/v1/display").json()["html"]
    assert screen.call("POST", "/display/sound").status_code == 303
    assert note not in screen.call("GET", "/api/v1/display").json()["html"]
    assert "Ton bestätigt" in web.as_("admin").get("/users").text
    other = Screen(web, "Werkstatt")
    assert note in other.call("GET", "/api/v1/display").json()["html"]


def test_what_was_heard_long_ago_counts_no_more(web: Web) -> None:
    screen = Screen(web)
    web.site.displays._now = lambda: 1_000.0
    web.site.displays.confirm_sound(screen.display)
    html = screen.call("GET", "/api/v1/display").json()["html"]
    assert "nicht bestätigt" in html


def test_everything_works_without_a_script(web: Web) -> None:
    in_call(web)
    html = Screen(web).call("GET", "/display").text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html
    assert "<details>" in html
    assert 'action="/display/acknowledge"' in html
    assert not re.search(r"<script(?![^>]*src=)|style=|onclick", html)


def test_what_the_building_shows_else_is_not_on_it(web: Web) -> None:
    web.see(
        snapshot(
            doors={"front": door("Haupteingang", mode_by="web:1")},
            rooms={"wc": room("WC", call=quiet())},
            alarms=[alarm("wc", "long_stay", "notice")],
        )
    )
    html = Screen(web).call("GET", "/api/v1/display").json()["html"]
    assert "Haupteingang" in html
    assert "long_stay" not in html
    assert "nachsehen" not in html
    assert Options(state=web.options.state).terminals.receivers == {}
