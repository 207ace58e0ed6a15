"""What an owner does with users and tokens, and the other answers of pages and API."""

from __future__ import annotations

import re

import pytest

from gateway.sites.grants import Grant
from gateway.web.building.control_client import Answer
from tests.page.fake import now_ms
from tests.sites.centre_web import CentreWeb
from tests.sites.conftest import STAFF
from tests.sites.test_pages import text_of
from tests.web.conftest import PASSWORD, Client, never_in_a_loop

changes_wait_for_no_loop = pytest.fixture(autouse=True)(never_in_a_loop)


@pytest.fixture
def owner(web: CentreWeb) -> Client:
    return web.user("owner", owner=True)


def do(client: Client, what: str, /, **fields: str) -> int:
    return client.post("/people", data={"do": what, **fields}).status_code


# --- people -------------------------------------------------------------------------------


def test_an_owner_makes_owners_and_the_last_one_stays(web: CentreWeb, owner: Client) -> None:
    web.user("anna")
    assert do(owner, "owner", name="owner") == 422  # the last one
    assert do(owner, "owner", name="anna", owner="yes") == 303
    assert web.users.by_name("anna").role == "admin"
    assert do(owner, "owner", name="anna") == 303
    assert web.users.by_name("anna").role == "view"
    assert "role_changed" in [action for _, action, _ in web.audited()]


def test_an_owner_sets_a_password_and_ends_log_ins(web: CentreWeb, owner: Client) -> None:
    anna = web.user("anna", STAFF)
    assert do(owner, "password", name="anna", password="another good sentence") == 303
    assert anna.get("/api/v1/me").status_code == 401
    again = web.call("POST", "/login", data={"name": "anna", "password": "another good sentence"})
    assert again.status_code == 303
    assert do(owner, "sessions", name="anna") == 303
    assert web.users.list_sessions(web.users.by_name("anna").id) == []
    assert do(owner, "password", name="anna", password="short") == 422


def test_an_owner_removes_a_user_and_a_second_factor(web: CentreWeb, owner: Client) -> None:
    web.user("anna", STAFF)
    assert do(owner, "factor", name="anna") == 303
    assert do(owner, "remove", name="anna") == 303
    assert [user.name for user in web.users.list_users()] == ["owner"]
    assert do(owner, "remove", name="anna") == 422


def test_an_owner_makes_a_token_that_is_shown_once(web: CentreWeb, owner: Client) -> None:
    made = owner.post(
        "/people", data={"do": "token", "name": "grafana", "role": "view", "days": "7"}
    )
    found = re.search(r'<code class="secret" id="new-token">([^<]+)</code>', made.text)
    assert found is not None
    headers = {"Authorization": f"Bearer {found.group(1)}"}
    assert len(web.call("GET", "/api/v1/sites", headers=headers).json()) == 3
    assert found.group(1) not in owner.get("/people").text
    assert do(owner, "revoke", name="grafana") == 303
    assert web.call("GET", "/api/v1/sites", headers=headers).status_code == 401


def test_what_no_form_of_ours_says_is_refused(web: CentreWeb, owner: Client) -> None:
    assert do(owner, "king") == 422
    assert do(owner, "grant", name="nobody", where="all:", role="view") == 422
    assert do(owner, "add", name="x" * 50, password=PASSWORD) == 422


# --- answers ------------------------------------------------------------------------------


def test_the_first_tap_runs_out(web: CentreWeb, anna: Client) -> None:
    path = "/sites/bad-1/doors/front/open"
    late = anna.post(path, data={"arm": "not.a.note"})
    shown = anna.get(late.headers["location"].partition("#")[0]).text
    assert "Die Zeit ist abgelaufen." in text_of(shown)
    assert web.centre.commands.asked == []
    assert anna.post("/sites/bad-1/doors/none/open").status_code == 404


def arm(anna: Client, path: str = "/sites/bad-1/doors/front/open") -> str:
    found = re.search(r"armed=([^#]+)", anna.post(path).headers["location"])
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("c1", "accepted"), "Angenommen. Die Tür geht auf"),
        (Answer("c1", "refused", "not_allowed"), "Der Standort erlaubt das der Zentrale nicht"),
        (Answer("c1", "refused", "no_answer"), "Es bleibt nichts liegen"),
    ],
)
def test_what_became_of_a_door_is_said_at_the_door(
    web: CentreWeb, anna: Client, answer: Answer, said: str
) -> None:
    web.centre.commands.answer = answer
    done = anna.post("/sites/bad-1/doors/front/open", data={"arm": arm(anna)})
    html = anna.get(done.headers["location"].partition("#")[0]).text
    found = re.search(r'id="answer-front">([^<]*)<', html)
    assert found is not None
    assert said in found.group(1)


def test_what_the_leaf_did_comes_by_the_state(web: CentreWeb, anna: Client) -> None:
    done = anna.post("/sites/bad-1/doors/front/open", data={"arm": arm(anna)})
    address = done.headers["location"].partition("#")[0]
    assert 'http-equiv="refresh"' in anna.get(address).text  # nothing known yet
    building = web.gateway("bad-1").building
    assert building is not None
    result = {"result": "opened", "command": "c1", "at_ms": now_ms(), "press_to_open_ms": 300}
    building["doors"]["front"] |= {"state": "open", "since_ms": now_ms(), "last_result": result}
    web.centre.changed("bad-1")
    html = anna.get(address).text
    assert "Offen nach 0,3" in text_of(html)
    assert 'http-equiv="refresh"' not in html


def test_doors_are_asked_for_no_more_often_than_on_a_gateway(web: CentreWeb, anna: Client) -> None:
    path = "/api/v1/sites/bad-1/doors/front/open"
    answers = [anna.post(path).status_code for _ in range(8)]
    assert answers[:6] == [202] * 6
    assert 429 in answers[6:]
    shown = anna.post("/sites/bad-1/doors/front/open", data={"arm": arm(anna)})
    html = anna.get(shown.headers["location"].partition("#")[0]).text
    assert "Zu viele Anfragen." in text_of(html)


def test_a_key_that_was_used_for_something_else_is_refused(web: CentreWeb, anna: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    assert anna.post("/api/v1/sites/bad-1/doors/front/open", headers=headers).status_code == 202
    other = anna.post("/api/v1/sites/bad-2/doors/front/open", headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "key_reused")


def test_a_name_that_is_too_long_goes_to_no_gateway(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").call()
    said = anna.post(
        "/sites/bad-1/calls/acknowledge", data={"call": "wc-1", "attends": "x" * 41, "do": "attend"}
    )
    assert "höchstens 40 Zeichen" in text_of(
        anna.get(said.headers["location"].partition("#")[0]).text
    )
    api = anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge", json={"attends": "x" * 41})
    assert api.status_code == 422
    odd = anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge", json={"attends": "a\u0000b"})
    assert odd.status_code == 422
    assert anna.post("/sites/bad-1/calls/acknowledge", data={}).status_code == 422
    assert anna.post("/sites/bad-1/alarms/acknowledge", data={}).status_code == 422
    assert web.centre.commands.asked == []


def test_an_alarm_is_acknowledged_over_the_api_where_the_gateway_lets_the_centre(
    web: CentreWeb, anna: Client
) -> None:
    path = "/api/v1/sites/bad-1/alarms/front/left_open/acknowledge"
    assert anna.post(path).status_code == 202
    assert web.centre.commands.asked[0]["subject"] == "front/left_open"
    web.gateway("bad-1").rights = {"may": [], "doors": {}}
    assert anna.post(path).json()["reason"] == "calls_not_offered"
    assert anna.post("/api/v1/sites/bad-1/calls/wc-1/acknowledge").status_code == 409
    refused = anna.post("/sites/bad-1/alarms/acknowledge", data={"alarm": "front/left_open"})
    assert "nimmt von der Zentrale keine Bestätigung an" in text_of(
        anna.get(refused.headers["location"]).text
    )


def test_a_form_leads_back_to_where_it_was(web: CentreWeb, anna: Client) -> None:
    form = {"alarm": "front/left_open"}
    for came_from, target in (
        ("/alarms", "/alarms?"), ("/sites/bad-1", "/sites/bad-1?"), ("/fleet", "/?"),
        ("https://evil.example/x", "/?"),
    ):  # fmt: skip
        answer = anna.post(
            "/sites/bad-1/alarms/acknowledge", data=form, headers={"Referer": came_from}
        )
        assert answer.headers["location"].startswith(target)


def test_the_fleet_says_disk_backlog_and_clock(web: CentreWeb, anna: Client) -> None:
    web.gateway("bad-1").health = {
        "backlog": 1_200, "disk": {"free_bytes": 79_900_000_000}, "clock": {"trusted": False},
    }  # fmt: skip
    web.gateway("bad-2").health = {"backlog": None, "disk": 7, "clock": {"trusted": True}}
    shown = text_of(anna.get("/fleet").text)
    for text in ("1.200", "79,9\u202fGB", "nicht synchronisiert"):
        assert text.replace("\u202f", " ") in shown.replace("\u202f", " ")


def test_one_log_in_has_not_all_streams(
    web: CentreWeb, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.live.streams.PER_SESSION", 0)
    assert anna.get("/api/v1/live?view=page").status_code == 429
    monkeypatch.setattr(web.page.hub, "_limit", 0)
    assert anna.get("/api/v1/live").status_code == 503


def test_who_is_not_logged_in_comes_to_the_log_in_and_back(web: CentreWeb) -> None:
    answer = web.call("GET", "/sites/bad-1", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/login?next=/sites/bad-1"
    page = web.call("GET", "/login").text
    assert "/api/v1/live" not in page
    assert "bad-1" not in page


def test_a_site_that_is_not_there_looks_like_one_that_may_not_be_seen(web: CentreWeb) -> None:
    ben = web.user("ben", Grant("site", "bad-1", "admin"))
    answers = [
        ben.get(f"/api/v1/sites/{id}", headers={"Accept-Language": "en"}).json()
        for id in ("office", "nowhere")
    ]
    for answer in answers:
        answer.pop("instance")
    assert answers[0] == answers[1]
