"""A card that does not answer: who reads, logs in or opens a door does not wait for it. Here the
file is locked by another process, as by one that hangs in the middle of a commit."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from gateway.web.identity.accounts import Who
from gateway.web.identity.users import Users, hashed
from gateway.web.shared.problems import NotLoggedIn
from gateway.web.storage import saver
from gateway.web.storage.store import kernel_uptime
from gateway.web.storage.testbook import Result, Step
from tests.identity import start_session, use_code
from tests.web.conftest import PASSWORD, Client, Web


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver, "SOON_S", 0.05)
    monkeypatch.setattr(saver, "ENDED_S", 0.05)


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


@contextmanager
def restarted(web: Web, tmp_path: Path) -> Iterator[Users]:
    """The users as another process finds them now: what is not in the file is gone."""
    copy = tmp_path / "restarted"
    copy.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{web.options.users}{ending}", copy / f"web.sqlite{ending}")
    with contextlib.closing(Users(copy / "web.sqlite")) as users:
        yield users


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
        assert third.call("DELETE", "/api/v1/session").status_code == 200
        assert third.get("/api/v1/status").status_code == 401
        assert known.call("DELETE", "/api/v1/session").status_code == 200
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


def test_the_end_of_a_log_in_that_a_restart_would_undo_is_not_told_as_done(
    web: Web, tmp_path: Path
) -> None:
    """It ends at once. Whoever ended it is told until when that holds, on the page, too."""
    web.as_("staff")
    here, there, own, other, fourth = (web.as_(role) for role in ("staff",) * 4 + ("admin",))
    admin = web.as_("admin")
    user = web.users.by_name("staff").id
    own_id = web.users.list_sessions(user)
    with hanging(web):
        left = here.post("/logout")
        assert left.headers["location"] == "/login?ended=until_restart"
        assert "Startet das Gerät neu" in web.call("GET", left.headers["location"]).text
        answer = there.call("DELETE", "/api/v1/session")
        assert (answer.status_code, answer.json()["status"]) == (200, "until_restart")
        assert own.call("DELETE", "/api/v1/users/me/sessions").status_code == 200
        assert other.get("/api/v1/status").status_code == 401, "at once"
        ended = admin.call("DELETE", f"/api/v1/users/{user}/sessions")
        assert (ended.status_code, ended.json()["status"]) == (200, "until_restart")
        assert own.get("/api/v1/status").status_code == 401, "at once"
        others = admin.post("/account/sessions", data={"do": "others", "csrf": admin.csrf})
        assert others.headers["location"] == "/account?done=until_restart"
        assert "Startet das Gerät neu" in admin.get(others.headers["location"]).text
        assert fourth.get("/api/v1/status").status_code == 401, "at once"
        form = {"do": "sessions", "name": "staff", "csrf": admin.csrf}
        assert admin.post("/users", data=form).headers["location"] == "/users?done=until_restart"
        assert "Startet das Gerät neu" in admin.get("/users?done=until_restart").text
        with restarted(web, tmp_path) as users:
            assert users.list_sessions(user) == own_id, "which is what they were told"
    assert saved(web) == 1
    assert admin.call("DELETE", "/api/v1/session").status_code == 204


def test_an_end_that_could_not_be_written_is_written_later(web: Web) -> None:
    known = web.as_("staff")
    with full(web.site.saver):
        assert known.call("DELETE", "/api/v1/session").status_code == 200
    assert saved(web) == 1
    web.users.tidy(settled=False)
    assert saved(web) == 0


@contextmanager
def full(of: saver.Saver) -> Iterator[None]:
    """As if there were as many changes as may wait."""
    of._begun += saver.WAITING_MOST
    yield
    of._begun -= saver.WAITING_MOST


def test_a_log_in_that_ends_while_it_is_written_stays_over(web: Web) -> None:
    web.add("staff", "staff")
    web.users.begin_session(web.users.by_name("staff").id)
    insert = web.users._insert_sessions

    def ends_meanwhile(made: Mapping[str, Any]) -> None:
        insert(made)
        for session_hash in made:
            web.users.forget_session(session_hash)

    web.users._insert_sessions = ends_meanwhile  # type: ignore[method-assign]
    web.users.save_sessions()
    assert saved(web) == 1
    assert web.users.list_sessions(1) == []
    web.users.save_ended()
    assert saved(web) == 0


@pytest.fixture
def proving(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path, second_factor="doors")
    yield made
    made.close()


def enrol(web: Web, client: Client) -> tuple[pyotp.TOTP, list[str]]:
    totp = pyotp.TOTP(web.users.begin_factor(1))
    codes = web.users.confirm_factor(1, totp.at(int(time.time()) - 30))
    assert codes is not None
    assert client.post("/api/v1/doors/front/open", json={}).status_code == 403
    return totp, codes


def give(client: Client, code: str) -> tuple[int, str]:
    answer = client.post("/api/v1/me/second-factor", json={"code": code})
    return answer.status_code, "" if answer.status_code == 204 else answer.json()["reason"]


def test_a_code_of_the_app_opens_at_once_and_never_twice(proving: Web, tmp_path: Path) -> None:
    """Somebody stands at the door. A process that begins cannot know which codes the one before
    it has accepted without writing that down: it waits for the next one, and says so."""
    client = proving.as_("staff")
    totp, _ = enrol(proving, client)
    now = int(time.time())
    with hanging(proving):
        assert give(client, totp.at(now)) == (204, "")
        assert give(client, totp.at(now)) == (403, "wrong_code")
        assert client.post("/api/v1/doors/front/open", json={}).status_code == 202
        with restarted(proving, tmp_path) as users:
            used = totp.at(now)
            for _ in range(5):
                assert use_code(users, 1, used) == "early"
            assert use_code(users, 1, totp.at(now + 30)) == "early"
            wait_s, began = users.early_s(), kernel_uptime()
            assert 0 < wait_s <= 60
            users._now = lambda: time.time() + wait_s
            users._uptime = lambda: began._replace(s=kernel_uptime().s + wait_s)
            assert use_code(users, 1, totp.at(now)) in ("", "early")
            assert use_code(users, 1, totp.at(int(users._now()))) == "code"
    with contextlib.closing(Users(proving.options.users)) as users:
        assert use_code(users, 1, totp.at(now)) == ""


def test_a_code_stays_used_where_the_clock_is_set_right_after_the_restart(
    proving: Web, tmp_path: Path
) -> None:
    """A Pi without a clock's battery begins in the past."""
    client = proving.as_("staff")
    totp, _ = enrol(proving, client)
    now = int(time.time())
    with hanging(proving):
        assert give(client, totp.at(now)) == (204, "")
        with restarted(proving, tmp_path) as users:
            users._now = lambda: now - 3600
            assert use_code(users, 1, totp.at(now)) == ""
            users._now = lambda: now + 1
            assert use_code(users, 1, totp.at(now)) == "early"


def test_a_recovery_code_is_accepted_when_the_file_has_that_it_is_used(
    proving: Web, tmp_path: Path
) -> None:
    client, other = proving.as_("staff"), proving.as_("staff")
    _, codes = enrol(proving, client)
    with hanging(proving):
        for _ in range(6):  # it is right: no try is used up
            assert give(client, codes[0]) == (503, "code_waits")
        assert give(other, codes[0]) == (503, "code_waits")
        page = client.post("/second-factor", data={"code": codes[0], "csrf": client.csrf})
        assert page.status_code == 503
        assert "sobald er als benutzt vermerkt ist" in page.text
        assert client.post("/api/v1/doors/front/open", json={}).status_code == 403
        with restarted(proving, tmp_path) as users:
            assert use_code(users, 1, codes[0]) == "recovery", "nobody has accepted it"
    assert client.post("/api/v1/doors/front/open", json={}).status_code == 202, "meanwhile"
    assert other.post("/api/v1/doors/front/open", json={}).status_code == 403
    assert give(other, codes[0]) == (403, "wrong_code")
    with contextlib.closing(Users(proving.options.users)) as users:
        assert use_code(users, 1, codes[0]) == ""
        assert use_code(users, 1, codes[1]) == "recovery"


def test_a_recovery_code_that_nobody_wrote_down_can_be_given_again(proving: Web) -> None:
    client = proving.as_("staff")
    _, codes = enrol(proving, client)
    with full(proving.site.saver):
        assert give(client, codes[0]) == (503, "disk_busy")
    assert give(client, codes[0]) == (204, "")


def test_a_recovery_code_proves_a_log_in_that_is_in_memory_only(proving: Web) -> None:
    proving.add("staff", "staff")
    _, codes = enrol(proving, proving.as_("staff"))
    secret = proving.users.begin_session(1)
    assert give(Client(proving, secret), codes[0]) == (204, "")
    assert proving.users.proved_ago_s(hashed(secret)) is not None


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


ENDS = {
    "removed": ("UPDATE users SET removed = 1, password = '' WHERE name = 'anna'",),
    "demoted": ("UPDATE users SET role = 'staff' WHERE name = 'anna'",),
    "logged out": ("DELETE FROM sessions WHERE user = 1", "DELETE FROM tokens WHERE name = 'anna'"),
}
"""What the command line may do meanwhile, in its own transaction."""
CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/api/v1/users", {"name": "friend", "role": "admin", "password": PASSWORD}),
    ("POST", "/api/v1/tokens", {"name": "friend", "role": "admin", "days": 9}),
    ("PUT", "/api/v1/users/2/role", {"role": "admin"}),
    ("PUT", "/api/v1/users/2/password", {"password": "another good password"}),
    ("DELETE", "/api/v1/users/2", None),
    ("DELETE", "/api/v1/users/2/second-factor", None),
    ("DELETE", "/api/v1/tokens/hers", None),
]
OWN: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PUT", "/api/v1/me/preferences", {"language": "en", "armed_s": 99}),
    ("PUT", "/api/v1/me/password", {"old": PASSWORD, "new": "another good password"}),
]


def all_but_sessions(web: Web) -> dict[str, list[Any]]:
    with contextlib.closing(sqlite3.connect(web.options.users)) as db:
        return {
            table: db.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("users", "tokens", "factors", "recovery")
        }


@pytest.fixture
def asked(web: Web) -> Client:
    """Anna, user 1; user 2 has what there is to change."""
    web.add("anna", "admin")
    web.add("bert", "staff")
    web.add("other", "admin")
    codes = web.users.confirm_factor(2, pyotp.TOTP(web.users.begin_factor(2)).now())
    assert codes is not None
    web.users.add_token("hers", "view", 9, "web:2")
    return web.as_("anna")


async def until_it_waits(
    web: Web, asking: Coroutine[Any, Any, httpx.Response]
) -> asyncio.Task[httpx.Response]:
    """A request, as soon as its change waits for the disk."""
    of, waits = web.site.saver, asyncio.Event()
    start = of._start

    def noted(change: Callable[[], Any]) -> Future[Any]:
        waits.set()
        return start(change)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of, "_start", noted)
        answer = asyncio.create_task(asking)
        async with asyncio.timeout(30):
            await waits.wait()
    return answer


def meanwhile(
    web: Web, ends: tuple[str, ...], method: str, path: str, **values: Any
) -> tuple[int, str]:
    """A request whose change waits for the disk while somebody else's is made."""

    async def both() -> httpx.Response:
        with contextlib.closing(sqlite3.connect(web.options.users, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            answer = await until_it_waits(web, web._call(method, path, **values))
            for sql in ends:
                db.execute(sql)
            db.execute("COMMIT")
        return await answer

    answer = web.runner.run(both())
    return answer.status_code, answer.json().get("reason", "") if answer.content else ""


@pytest.mark.parametrize(
    ("ends", "method", "path", "body"),
    [(ends, *change) for ends in ENDS for change in CHANGES]
    + [(ends, *change) for ends in ("removed", "logged out") for change in OWN],
)
def test_a_right_that_ended_while_the_disk_did_not_answer_changes_nothing(
    web: Web, asked: Client, ends: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    headers = {"Cookie": asked.cookie, "Origin": web.base, "X-CSRF-Token": asked.csrf}
    before = all_but_sessions(web)
    found = meanwhile(web, ENDS[ends], method, path, headers=headers, json=body)
    assert found == ((403, "role") if ends == "demoted" else (401, "not_logged_in"))
    after = all_but_sessions(web)
    for state in (before, after):
        state["users"] = state["users"][1:]  # without Anna
    assert after == before


def test_a_token_that_was_revoked_meanwhile_makes_none(web: Web, asked: Client) -> None:
    headers = {"Authorization": f"Bearer {web.users.add_token('anna', 'admin', 9, 'web:1')}"}
    sql = ("DELETE FROM tokens WHERE name = 'anna'",)
    body = {"name": "friend", "role": "admin", "days": 9}
    found = meanwhile(web, sql, "POST", "/api/v1/tokens", headers=headers, json=body)
    assert found == (401, "not_logged_in")
    assert [token.name for token in web.users.list_tokens()] == ["hers"]


def test_of_two_changes_that_wait_the_first_decides_about_the_second(
    web: Web, asked: Client
) -> None:
    other = web.as_("other")

    async def both() -> list[httpx.Response]:
        asks = []
        for client, method, path, body in (
            (other, "DELETE", "/api/v1/users/1", None),
            (asked, "POST", "/api/v1/tokens", {"name": "friend", "role": "admin", "days": 9}),
        ):
            headers = {"Cookie": client.cookie, "Origin": web.base, "X-CSRF-Token": client.csrf}
            asking = web._call(method, path, headers=headers, json=body)
            asks.append(await until_it_waits(web, asking))
        db.execute("COMMIT")
        return await asyncio.gather(*asks)

    with contextlib.closing(sqlite3.connect(web.options.users, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        answers = web.runner.run(both())
    assert [answer.status_code for answer in answers] == [204, 401]
    assert [token.name for token in web.users.list_tokens()] == ["hers"]


def test_a_page_of_the_test_book_is_signed_by_who_still_may(web: Web) -> None:
    web.add("maintenance", "maintenance")
    book, secret = web.site.testbook, start_session(web.users, 1)
    page = book.begin("door", "front", "Haupteingang", [Step("look", "look", False)],
                      after_row=0, now=1)  # fmt: skip
    book.answer(page, "look", Result("ok", False, 1, None))
    who = Who("web:1", "maintenance", "maintenance", 1, hashed(secret))
    web.users.end_session(hashed(secret))
    found = book.page(page.id)
    assert found is not None
    with pytest.raises(NotLoggedIn):
        book.sign(found, 1, "", 2, author=web.site.author(who, "maintenance"))
    assert book.signed_pages(9) == []


def test_whoever_was_removed_before_their_change_began_is_not_logged_in(
    web: Web, asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password's change looks for its user first, and may find none any more."""
    change = web.users.set_password

    def late(*args: Any, **kwargs: Any) -> None:
        with contextlib.closing(sqlite3.connect(web.options.users)) as db, db:
            db.execute(*ENDS["removed"])
        change(*args, **kwargs)

    monkeypatch.setattr(web.users, "set_password", late)
    body = {"old": PASSWORD, "new": "another good password"}
    told = asked.call("PUT", "/api/v1/me/password", json=body)
    assert (told.status_code, told.json()["reason"]) == (401, "not_logged_in")
