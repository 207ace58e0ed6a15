"""The second factor: codes from an app, where the owner wants them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from gateway.journal.store import Store
from gateway.web.identity.auth import Needs
from gateway.web.identity.users import Users, hashed
from gateway.web.storage.store import Uptime
from tests.identity import start_session, use_code
from tests.web.conftest import PASSWORD, Client, Clock, Web
from tests.web.test_access import routes

RFC_SECRET = pyotp.totp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").secret
OPEN = "/api/v1/doors/front/open"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_111_111_109.0)


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Iterator[Users]:
    with contextlib.closing(
        Users(tmp_path / "web.sqlite", clock, lambda: Uptime("boot", 1.0))
    ) as users:
        users.add_user("anna", "staff", PASSWORD)
        yield users


def enrolled(users: Users, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
    """A user 1 with a factor; the code that confirmed it lies some steps back."""
    totp = pyotp.TOTP(users.begin_factor(1))
    codes = users.confirm_factor(1, totp.at(int(clock.now)))
    assert codes is not None
    clock.now += 300
    return totp, codes


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"),
        (1_234_567_890, "005924"), (2_000_000_000, "279037"), (20_000_000_000, "353130"),
    ],
)  # fmt: skip
def test_the_codes_are_those_of_rfc_6238(
    users: Users, clock: Clock, at_s: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyotp, "random_base32", lambda: RFC_SECRET)
    clock.now = at_s
    users.begin_factor(1)
    assert users.confirm_factor(1, f"{code[:3]} {code[3:]}") is not None


@pytest.mark.parametrize(("off_s", "kind"), [(-60, ""), (-30, "code"), (30, "code"), (60, "")])
def test_a_clock_may_be_one_step_off(users: Users, clock: Clock, off_s: int, kind: str) -> None:
    totp, _ = enrolled(users, clock)
    assert use_code(users, 1, totp.at(int(clock.now) + off_s)) == kind


def test_a_code_and_every_older_one_counts_once(users: Users, clock: Clock) -> None:
    totp, _ = enrolled(users, clock)
    now = int(clock.now)
    assert use_code(users, 1, totp.at(now)) == "code"
    assert use_code(users, 1, totp.at(now)) == ""
    assert use_code(users, 1, totp.at(now - 30)) == ""
    assert use_code(users, 1, totp.at(now + 30)) == "code"


def test_a_recovery_code_counts_once_and_is_not_kept(
    users: Users, clock: Clock, tmp_path: Path
) -> None:
    _, codes = enrolled(users, clock)
    assert len(set(codes)) == 10
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [c for c in codes if c.replace("-", "").encode() in kept] == []
    assert use_code(users, 1, codes[3].upper()) == "recovery"
    assert use_code(users, 1, codes[3]) == ""
    assert use_code(users, 1, codes[4]) == "recovery"


def test_an_unconfirmed_factor_does_not_count(users: Users, clock: Clock) -> None:
    totp = pyotp.TOTP(users.begin_factor(1))
    assert not users.has_factor(1)
    assert use_code(users, 1, totp.at(int(clock.now))) == ""
    assert users.confirm_factor(1, "000000") is None


def test_it_goes_with_its_user_and_ends_its_proofs(users: Users, clock: Clock) -> None:
    totp, codes = enrolled(users, clock)
    session = hashed(start_session(users, 1))
    users.prove(session)
    assert users.proved_ago_s(session) == 0
    users.remove_factor(1)
    assert users.proved_ago_s(session) is None
    assert use_code(users, 1, totp.at(int(clock.now))) == ""
    assert use_code(users, 1, codes[0]) == ""


# --- over the page and the API -----------------------------------------------------------


class Person(Client):
    """Somebody with an app, in a building whose clock can be moved."""

    totp: pyotp.TOTP
    codes: list[str]


Make = Callable[[str], Web]


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[Web] = []

    def build(level: str) -> Web:
        web = Web(tmp_path, second_factor=level)
        web.users._now = clock
        made.append(web)
        return web

    yield build
    for web in made:
        web.close()


def set_up(web: Web, client: Client, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
    """As people do it, through the page."""
    shown = client.post("/account/factor", data={"do": "begin", "password": PASSWORD})
    assert shown.status_code == 200
    found = re.search(r'class="secret">([A-Z2-7 ]+)<', shown.text)
    assert found
    assert "otpauth://totp/" in shown.text
    totp = pyotp.TOTP(found[1].replace(" ", ""))
    wrong = client.post("/account/factor", data={"do": "confirm", "code": "000000"})
    assert (wrong.status_code, found[1] in wrong.text) == (422, False)
    hidden = re.search(r'name="secret" value="([A-Z2-7 ]+)"', shown.text)
    assert hidden
    entered = {"do": "confirm", "code": "000000", "secret": hidden[1]}
    again = client.post("/account/factor", data=entered)  # a typing error costs no new picture
    assert (again.status_code, found[1] in again.text, "<svg" in again.text) == (422, True, True)
    other = client.post("/account/factor", data=entered | {"secret": "A" * 32})
    assert "A" * 4 + " " + "A" * 4 not in other.text
    done = client.post("/account/factor", data={"do": "confirm", "code": totp.at(int(clock.now))})
    assert done.status_code == 200
    codes = re.findall(r"<li><code>([0-9a-f-]{19})</code>", done.text)
    assert len(codes) == 10
    assert web.panel.audits[-1]["action"] == "factor_added"
    clock.now += 300
    return totp, codes


def write_journal(web: Web) -> None:
    Store(web.options.journal, "boot").close(clean=True)


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("reason", "")


def test_off_asks_nobody(make: Make) -> None:
    web = make("off")
    staff = web.as_("staff")
    assert staff.post(OPEN).status_code == 202
    assert staff.get("/second-factor").status_code == 404
    assert "/account/factor" not in staff.get("/account").text


def test_a_door_wants_a_code_once_in_eight_hours_of_a_session(make: Make, clock: Clock) -> None:
    web = make("doors")
    staff = web.as_("staff")
    assert reason(staff.post(OPEN)) == (403, "second_factor")
    assert web.panel.commands == []
    totp, _ = set_up(web, staff, clock)
    assert staff.post(OPEN).status_code == 202
    clock.now += 8 * 3600
    assert reason(staff.post(OPEN)) == (403, "second_factor")
    given = staff.post("/api/v1/me/second-factor", json={"code": totp.at(int(clock.now))})
    assert given.status_code == 204
    assert staff.post(OPEN).status_code == 202
    assert reason(web.as_("staff").post(OPEN)) == (403, "second_factor")


def test_without_a_script_the_form_leads_to_the_code_and_back(make: Make, clock: Clock) -> None:
    web = make("doors")
    staff, html = web.as_("staff"), {"Accept": "text/html", "Referer": "http://test/"}
    totp, codes = set_up(web, staff, clock)
    clock.now += 9 * 3600
    for path, form in (("/doors/front/open", {}), ("/doors/front/mode", {"mode": "hold_open"})):
        sent = staff.post(path, data=form, headers=html)
        assert (sent.status_code, sent.headers["location"]) == (303, "/second-factor?next=/")
    assert 'autocomplete="one-time-code"' in staff.get("/second-factor?next=/").text
    wrong = staff.post("/second-factor", data={"code": "123", "next": "/"})
    assert wrong.status_code == 422
    right = staff.post("/second-factor", data={"code": totp.at(int(clock.now)), "next": "/"})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert "armed=" in staff.post("/doors/front/open", headers=html).headers["location"]
    elsewhere = {"code": codes[0], "next": "//evil.example"}
    assert staff.post("/second-factor", data=elsewhere).headers["location"] == "/"
    assert web.panel.audits[-1]["action"] == "recovery_used"


def test_an_api_token_is_never_asked(make: Make) -> None:
    web = make("login")
    assert web.call("POST", OPEN, headers=web.token("staff")).status_code == 202


MOVES = {
    ("POST", "/doors/{door}/open"), ("POST", "/doors/{door}/mode"), ("POST", "/points/test"),
    ("POST", "/api/v1/doors/{door}/open"), ("PUT", "/api/v1/doors/{door}/mode"),
    ("POST", "/api/v1/points/{point}/test"), ("POST", "/users"), ("POST", "/api/v1/users"),
    ("POST", "/api/v1/tokens"), ("POST", "/account/factor/remove"),
    ("POST", "/api/v1/me/second-factor/removal"), ("PUT", "/api/v1/users/{user}/role"),
    ("PUT", "/api/v1/users/{user}/password"), ("DELETE", "/api/v1/users/{user}"),
    ("DELETE", "/api/v1/users/{user}/second-factor"),
    ("PUT", "/api/v1/rooms/{room}/test"),
    ("POST", "/clock/confirm"), ("POST", "/api/v1/clock/confirm"),
    ("POST", "/settings/doors/{door}"), ("POST", "/settings/days"), ("POST", "/settings/changes"),
    ("POST", "/settings/chains/{chain}"), ("POST", "/settings/contacts/{contact}"),
    ("POST", "/api/v1/contacts/{contact}/test"), ("PUT", "/api/v1/settings"),
    ("POST", "/api/v1/settings/undo"),
}  # fmt: skip


def test_all_that_moves_a_door_or_lets_somebody_in_wants_a_fresh_code() -> None:
    fresh = {
        (method, route.path)
        for method, route in routes()
        for found in route.dependant.dependencies
        if isinstance(found.call, Needs) and found.call.proof == "fresh"
    }
    assert fresh == MOVES


SILENCES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("PUT", "/api/v1/rooms/wc/test", {"json": {"minutes": 5}}, {}),
    ("POST", "/rooms/wc/test", {"data": {"for": "5"}}, {"data": {"for": "0"}}),
    ("PUT", "/api/v1/doors/front/service", {"json": {"minutes": 5}}, {"json": {"minutes": 0}}),
    ("POST", "/doors/front/service", {"data": {"do": "start", "for": "1h"}},
     {"data": {"do": "end"}}),
    ("POST", "/api/v1/alarms/front/left_open/shelve", {"json": {"minutes": 5}},
     {"json": {"minutes": 0}}),
    ("POST", "/alarms/shelve", {"data": {"alarm": "front/left_open", "for": "1"}},
     {"data": {"alarm": "front/left_open", "for": "0"}}),
]  # fmt: skip
"""What alarms nobody for a while: as it begins, and as it ends."""


@pytest.mark.parametrize(("method", "path", "begins", "ends"), SILENCES)
def test_what_silences_an_alarm_wants_what_a_door_wants_and_its_end_does_not(
    make: Make, method: str, path: str, begins: dict[str, Any], ends: dict[str, Any]
) -> None:
    web = make("doors")
    person = web.as_("maintenance")
    assert reason(person.call(method, path, **begins)) == (403, "second_factor")
    assert web.panel.commands == []
    answer = person.call(method, path, **ends) if ends else person.call("DELETE", path)
    assert answer.status_code in (202, 303)
    assert web.panel.commands[-1]["args"]["for_ms"] == 0
    web.users.prove(hashed(person.cookie.partition("=")[2]))
    assert person.call(method, path, **begins).status_code in (202, 303)
    assert web.panel.commands[-1]["args"]["for_ms"] > 0


@pytest.mark.parametrize("way", ["page", "api", "again"])
def test_the_test_book_is_no_way_around_it(make: Make, way: str) -> None:
    """Its first step begins test mode, and one of its buttons prolongs it."""
    web = make("doors")
    person = web.as_("maintenance")
    write_journal(web)
    page = person.post("/api/v1/testbook", json={"kind": "call", "subject": "wc"}).json()["id"]
    form = {"do": "test"} if way == "again" else {"do": "ok", "step": "begin"}

    def begin() -> httpx.Response:
        if way == "api":
            body = {"step": "begin", "answer": "ok"}
            return person.post(f"/api/v1/testbook/{page}/steps", json=body)
        return person.post(f"/maintenance/testbook/{page}", data=form)

    assert reason(begin()) == (403, "second_factor")
    assert web.panel.commands == []
    web.users.prove(hashed(person.cookie.partition("=")[2]))
    assert begin().status_code in (200, 303)
    assert web.panel.commands[-1]["args"]["for_ms"] > 0


def test_five_wrong_codes_and_then_even_the_right_one_waits(make: Make, clock: Clock) -> None:
    web = make("doors")
    staff = web.as_("staff")
    totp, codes = set_up(web, staff, clock)
    told = [
        staff.post("/api/v1/me/second-factor", json={"code": f"00000{n}"}).status_code
        for n in range(5)
    ]
    assert told == [403] * 5
    late = staff.post("/api/v1/me/second-factor", json={"code": totp.at(int(clock.now))})
    assert reason(late) == (429, "limit")
    assert int(late.headers["retry-after"]) > 600
    assert staff.post("/second-factor", data={"code": codes[0]}).status_code == 429


@pytest.mark.parametrize("over", ["page", "api"])
def test_who_knows_only_the_password_locks_nobody_out_of_their_browser(
    make: Make, clock: Clock, over: str
) -> None:
    web = make("doors")
    owner, thief = web.as_("staff"), web.as_("staff")
    totp, _ = set_up(web, owner, clock)

    def give(person: Client, code: str) -> httpx.Response:
        if over == "page":
            return person.post("/second-factor", data={"code": code})
        return person.post("/api/v1/me/second-factor", json={"code": code})

    known = give(owner, totp.at(int(clock.now)))
    owner.cookie += "; " + known.headers["set-cookie"].partition(";")[0]
    for _ in range(6):
        last = give(thief, "000000")
    assert last.status_code == 429
    clock.now += 60
    assert give(owner, totp.at(int(clock.now))).status_code in (204, 303)
    told = [a["action"] for a in web.panel.audits]
    assert told[-2:] == ["factor_failed", "login_blocked"]  # of the thief
    for _ in range(6):
        last = give(owner, "000000")
    assert last.status_code == 429  # a stolen browser guesses no faster


def test_log_in_shows_nothing_of_the_house_before_the_code(make: Make, clock: Clock) -> None:
    web = make("login")
    first = web.as_("staff")
    totp, _ = set_up(web, first, clock)
    assert first.get("/").status_code == 200
    half, html = web.as_("staff"), {"Accept": "text/html"}
    for path in ("/", "/account", "/events", "/alarms"):
        sent = half.get(path, headers=html)
        assert (sent.status_code, sent.headers["location"]) == (303, f"/second-factor?next={path}")
    assert reason(half.get("/api/v1/status")) == (403, "second_factor")
    assert reason(half.get("/api/v1/live")) == (403, "second_factor")
    asked = half.get("/second-factor").text
    assert "Haupteingang" not in asked
    assert "data-live" not in asked
    assert "/logout" in asked
    right = half.post("/second-factor", data={"code": totp.at(int(clock.now)), "next": "/events"})
    assert right.headers["location"] == "/events"
    assert half.get("/api/v1/status").status_code == 200


def test_the_password_alone_neither_replaces_nor_removes_a_factor(make: Make, clock: Clock) -> None:
    web = make("doors")
    owner = web.as_("staff")
    totp, _ = set_up(web, owner, clock)
    thief = web.as_("staff")
    form = {"do": "begin", "password": PASSWORD}
    assert reason(thief.post("/account/factor", data=form)) == (422, "factor_there")
    removed = thief.post("/account/factor/remove", data={"password": PASSWORD})
    assert reason(removed) == (403, "second_factor")
    wrong = owner.post("/account/factor/remove", data={"password": "wrong password"})
    assert reason(wrong) == (422, "wrong_password")
    gone = owner.post("/account/factor/remove", data={"password": PASSWORD})
    assert gone.status_code == 303
    assert not web.users.has_factor(web.users.by_name("staff").id)
    assert web.panel.audits[-1]["action"] == "factor_removed"
    assert totp.secret not in owner.get("/account").text


def test_the_administration_helps_who_has_lost_the_app(make: Make, clock: Clock) -> None:
    web = make("doors")
    set_up(web, web.as_("staff"), clock)
    admin = web.as_("admin")
    form = {"do": "factor", "name": "staff"}
    assert reason(admin.post("/users", data=form)) == (403, "second_factor")
    set_up(web, admin, clock)
    assert admin.post("/users", data=form).status_code == 303
    assert not web.users.has_factor(web.users.by_name("staff").id)


@pytest.mark.parametrize(
    ("level", "role", "enrolled", "said"),
    [
        ("doors", "staff", False, True),
        ("doors", "admin", False, True),
        ("doors", "staff", True, False),
        ("doors", "view", False, False),
        ("off", "staff", False, False),
    ],
)
def test_whoever_needs_a_second_factor_for_a_door_learns_it_before_the_door(
    make: Make, level: str, role: str, enrolled: bool, said: bool
) -> None:
    web = make(level)
    person = web.as_(role)
    if enrolled:
        secret = web.users.begin_factor(1)
        assert web.users.confirm_factor(1, pyotp.TOTP(secret).at(int(web.users._now())))
    for language, text in (("de", "erst mit einem zweiten Faktor"), ("en", "second factor")):
        page = person.get("/", headers={"Accept-Language": language}).text
        assert ('<a href="/account#h-factor">' in page) == said
        assert (text in page) == said
    if said:
        assert 'id="h-factor"' in person.get("/account").text
