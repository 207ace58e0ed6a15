"""Where somebody is logged in: seen by its owner, ended by its owner and the administration."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.web.identity.sessions import browser_of
from gateway.web.identity.users import Users, hashed
from gateway.web.serve import announce
from tests.identity import start_session
from tests.web.conftest import PASSWORD, Client, Web

FIREFOX = "Mozilla/5.0 (Android 14; Mobile; rv:131.0) Gecko/131.0 Firefox/131.0"


def listed(client: Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get("/api/v1/users/me/sessions").json()
    return found


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIREFOX, "Firefox, Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 "
         "Safari/537.36 Edg/130.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
         "like Gecko) Version/17.0 Mobile/15E148 Safari/604.1", "Safari, iPhone"),
        ("curl/8.0", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_browser_is_named_by_its_family_alone(agent: str, said: str) -> None:
    assert browser_of(agent) == said


def test_one_sees_ones_own_log_ins_and_which_is_this(web: Web) -> None:
    web.add("anna", "staff")
    web.call(
        "POST", "/login", data={"name": "anna", "password": PASSWORD},
        headers={"User-Agent": FIREFOX},
    )  # fmt: skip
    anna, _other = web.as_("anna"), web.as_("staff")
    found = listed(anna)
    assert sorted(str(s["browser"]) for s in found) == ["", "Firefox, Android"]
    assert [s["browser"] for s in found if s["this"]] == [""]
    page = anna.get("/account").text
    assert "Firefox, Android" in page
    assert anna.cookie.partition("=")[2] not in page


def test_the_id_of_a_session_is_not_what_is_kept_of_it(web: Web) -> None:
    anna = web.as_("staff")
    secret = anna.cookie.partition("=")[2]
    assert str(listed(anna)[0]["id"]) not in hashed(secret)


def test_ending_one_leaves_the_others(web: Web) -> None:
    first, second, third = (web.as_("staff") for _ in range(3))
    (id,) = (s["id"] for s in listed(second) if s["this"])
    assert first.call("DELETE", f"/api/v1/users/me/sessions/{id}").status_code == 204
    assert [c.get("/api/v1/me").status_code for c in (first, second, third)] == [200, 401, 200]
    gone = first.call("DELETE", f"/api/v1/users/me/sessions/{id}")
    assert (gone.status_code, gone.json()["reason"]) == (404, "unknown_session")


def test_nobody_ends_the_session_of_another(web: Web) -> None:
    victim, other = web.as_("staff"), web.as_("view")
    (id,) = (s["id"] for s in listed(victim))
    assert other.call("DELETE", f"/api/v1/users/me/sessions/{id}").status_code == 404
    assert other.post("/account/sessions", data={"session": id}).status_code == 404
    assert victim.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("way", ["page", "api", "password"])
def test_all_others_end_and_this_one_stays(web: Web, way: str) -> None:
    here, there, other = web.as_("staff"), web.as_("staff"), web.as_("view")
    if way == "page":
        assert here.post("/account/sessions", data={"do": "others"}).status_code == 303
    elif way == "api":
        assert here.call("DELETE", "/api/v1/users/me/sessions").status_code == 204
    else:
        form = {"old": PASSWORD, "new": PASSWORD + "!"}
        assert here.post("/account/password", data=form).status_code == 303
    assert [c.get("/api/v1/me").status_code for c in (here, there, other)] == [200, 401, 200]
    assert web.panel.audits[-1]["actor"] == f"web:{web.users.by_name('staff').id}"


def test_nobody_fills_the_audit_chain_with_changes_of_their_own(web: Web) -> None:
    """Each entry of a deed pushes out an older one where the chain has reached its share."""
    viewer = web.as_("view")
    for _ in range(20):
        assert viewer.call("DELETE", "/api/v1/users/me/sessions").status_code == 204
    assert web.panel.audits == [], "nothing was ended"
    password = PASSWORD
    for number in range(8):
        web.as_("view")
        assert viewer.call("DELETE", "/api/v1/users/me/sessions").status_code == 204
        form = {"old": password, "new": (password := f"{PASSWORD} {number}")}
        assert viewer.post("/account/password", data=form).status_code == 303
    assert [entry["action"] for entry in web.panel.audits] == ["sessions_ended", "password_changed"]


@pytest.mark.parametrize("way", ["page", "api"])
def test_the_administration_ends_the_sessions_of_a_user(web: Web, way: str) -> None:
    admin, victim = web.as_("admin"), web.as_("staff")
    id = web.users.by_name("staff").id
    if way == "page":
        done = admin.post("/users", data={"do": "sessions", "name": "staff"})
    else:
        done = admin.call("DELETE", f"/api/v1/users/{id}/sessions")
    assert done.status_code in (204, 303)
    assert victim.get("/api/v1/me").status_code == 401
    assert admin.get("/api/v1/me").status_code == 200
    assert web.panel.audits[-1]["action"] == "sessions_ended"
    assert admin.call("DELETE", "/api/v1/users/999/sessions").status_code == 404


def test_a_token_has_no_sessions(web: Web) -> None:
    headers = web.token("staff")
    assert web.call("GET", "/api/v1/users/me/sessions", headers=headers).json() == []
    path = "/api/v1/users/me/sessions/x"
    assert web.call("DELETE", path, headers=headers).status_code == 404


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite"
    old = sqlite3.connect(file)
    old.executescript(
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
        " role TEXT NOT NULL, password TEXT NOT NULL, language TEXT NOT NULL DEFAULT '',"
        " armed_s INTEGER NOT NULL DEFAULT 15, created REAL NOT NULL, removed REAL);"
        "CREATE TABLE sessions (hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id),"
        " created REAL NOT NULL, seen REAL NOT NULL) WITHOUT ROWID;"
        "INSERT INTO users VALUES (1, 'anna', 'staff', '', '', 15, 0, NULL);"
        "INSERT INTO sessions VALUES ('h', 1, 1000, 1000);"
    )
    old.close()
    users = Users(file, lambda: 2000.0)
    assert [s.browser for s in users.list_sessions(1)] == [""]
    start_session(users, 1, "Firefox")
    users.close()
    again = Users(file, lambda: 2000.0)
    assert len(again.list_sessions(1)) == 2
    again.close()


def test_who_still_has_the_first_password_is_reminded(web: Web) -> None:
    first = web.users.first_admin()
    assert first is not None
    html = {"Accept-Language": "en"}
    admin = web.as_("admin")
    assert "Choose a new password" in admin.get("/account", headers=html).text
    assert "still the first password" not in web.as_("staff").get("/account", headers=html).text
    done = admin.post("/account/password", data={"old": first, "new": PASSWORD})
    assert done.status_code == 303
    assert "still the first password" not in admin.get("/account", headers=html).text


def test_the_first_log_in_is_found_where_the_installer_says(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    """``journalctl -u portier-web | grep -i password`` shows it, and nobody sees it twice."""
    announce(web.options, web.users.first_admin())
    told = [line for line in capsys.readouterr().err.splitlines() if "password" in line.lower()]
    assert len(told) == 1
    assert web.users.verify("admin", told[0].split()[-1]) is not None
    announce(web.options, web.users.first_admin())
    assert "password" not in capsys.readouterr().err.lower()
