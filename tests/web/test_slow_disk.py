"""A card that does not answer: who reads, logs in or opens a door does not wait for it. Here the
file is locked by another process, as by one that hangs in the middle of a commit."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyotp
import pytest

from gateway.web.identity.users import Users, hashed
from gateway.web.kept import saver
from tests.web.conftest import PASSWORD, Client, Web


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver, "SOON_S", 0.05)


@contextmanager
def hanging(web: Web) -> Iterator[None]:
    """Nobody can write meanwhile; afterwards what waits is written."""
    with contextlib.closing(sqlite3.connect(web.options.users, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    deadline = time.monotonic() + 30
    while web.site.saver.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def log_in(web: Web, role: str = "staff") -> Client:
    answer = web.call("POST", "/api/v1/session", json={"name": role, "password": PASSWORD})
    assert answer.status_code == 201
    name = next(name for name in answer.cookies if "session" in name)
    return Client(web, answer.cookies[name])


def saved(web: Web) -> int:
    with contextlib.closing(sqlite3.connect(web.options.users)) as db:
        return int(db.execute("SELECT count(*) FROM sessions").fetchone()[0])


def test_log_in_door_and_log_out_wait_for_no_card(web: Web) -> None:
    known = web.as_("staff")
    before = saved(web)
    with hanging(web):
        new, third = log_in(web), log_in(web)
        for client in (known, new):
            assert client.get("/").status_code == 200
            assert client.post("/api/v1/doors/front/open", json={}).status_code == 202
        assert len(new.get("/api/v1/users/me/sessions").json()) == 3
        assert third.call("DELETE", "/api/v1/session").status_code == 204
        assert third.get("/api/v1/status").status_code == 401
        assert known.call("DELETE", "/api/v1/session").status_code == 204
        assert known.get("/api/v1/status").status_code == 401
        assert saved(web) == before
    assert saved(web) == 1
    with contextlib.closing(Users(web.options.users)) as users:
        _, _, secret = new.cookie.partition("=")
        assert users.session(hashed(secret)) is not None
    assert new.get("/api/v1/status").status_code == 200


def test_a_session_that_is_used_is_noted_without_waiting(web: Web) -> None:
    known = web.as_("view")
    web.users._now = lambda: time.time() + 600
    with hanging(web):
        for _ in range(3):
            assert known.get("/api/v1/status").status_code == 200
    seen = web.users._all("SELECT seen FROM sessions")[0][0]
    assert seen > time.time() + 500


def test_a_second_factor_is_given_once_and_at_once(tmp_path: Path) -> None:
    web = Web(tmp_path, second_factor="doors")
    client = web.as_("staff")
    totp = pyotp.TOTP(web.users.begin_factor(1))
    now = int(time.time())
    codes = web.users.confirm_factor(1, totp.at(now - 30))
    assert codes is not None
    assert client.post("/api/v1/doors/front/open", json={}).status_code == 403
    with hanging(web):
        for code, status in ((totp.at(now), 204), (totp.at(now), 403), (codes[0], 204)):
            given = client.post("/api/v1/me/second-factor", json={"code": code})
            assert given.status_code == status
        assert client.post("/api/v1/me/second-factor", json={"code": codes[0]}).status_code == 403
        assert client.post("/api/v1/doors/front/open", json={}).status_code == 202
    with contextlib.closing(Users(web.options.users)) as users:
        assert users.use_code(1, codes[0]) == ""
        assert users.use_code(1, totp.at(now)) == ""
        assert users.use_code(1, codes[1]) == "recovery"
    web.close()


def test_who_loses_the_password_loses_a_log_in_that_is_in_memory_only(web: Web) -> None:
    web.add("staff", "staff")
    secret = web.users.begin_session(web.users.by_name("staff").id)
    assert web.users.session(hashed(secret)) is not None
    with contextlib.closing(Users(web.options.users)) as other:  # the command line
        other.set_password("staff", "another good password")
    assert web.users.session(hashed(secret)) is None
    web.users.save_sessions()
    assert saved(web) == 0


def test_what_waits_is_bounded(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver, "WAITING_MOST", 2)
    known = web.as_("admin")
    with hanging(web):
        for _ in range(4):
            web.site.saver.later(partial(web.users.tidy, settled=False))
        answer = known.post(
            "/api/v1/users", json={"name": "x", "role": "view", "password": PASSWORD}
        )
        assert (answer.status_code, answer.json()["reason"]) == (503, "disk_busy")
        assert known.get("/api/v1/status").status_code == 200


def test_the_end_of_the_page_does_not_wait_for_the_card(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "CLOSE_WITHIN_S", 0.05)
    web.add("staff", "staff")
    with hanging(web):
        log_in(web)
        assert not web.site.saver.close()
