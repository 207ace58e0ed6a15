"""Wrong passwords lock out who sends them, and nobody out of their usual browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.core.facts import Json
from gateway.journal.audit import AuditEntry
from gateway.web.identity.browsers import USERS_MOST, Browser, Browsers
from gateway.web.identity.login_audit import KEYS_MOST, LoginAudit
from gateway.web.identity.login_limits import Attempt, LoginLimits
from tests.web.conftest import PASSWORD, Clock, Web
from tests.web.test_audit import write

pytestmark = pytest.mark.thorough

WRONG = "a wrong password"


def log_in(web: Web, peer: str, name: str, password: str, cookie: str = "") -> httpx.Response:
    """From an address of its own."""
    headers = {"Cookie": cookie} if cookie else {}
    form = {"name": name, "password": password}
    return web.runner.run(_log_in(web, peer, form, headers))


async def _log_in(
    web: Web, peer: str, form: dict[str, str], headers: dict[str, str]
) -> httpx.Response:
    transport = httpx.ASGITransport(app=web.app, client=(peer, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=web.base) as client:
        return await client.post("/login", data=form, headers=headers)


def browser_cookie(answer: httpx.Response) -> str:
    (found,) = [c for c in answer.headers.get_list("set-cookie") if "portier-browser" in c]
    assert "HttpOnly" in found
    assert "SameSite=strict" in found
    return found.partition(";")[0]


@pytest.fixture
def anna(web: Web) -> Web:
    """With a clock that stands still: nothing is given back meanwhile."""
    web.add("anna", "staff")
    web.site.logins = LoginLimits(Clock(0.0))
    return web


def test_who_guesses_locks_out_only_the_own_address(anna: Web) -> None:
    told = [log_in(anna, "203.0.113.9", "anna", WRONG).status_code for _ in range(6)]
    assert told == [401] * 5 + [429]
    assert log_in(anna, "192.0.2.1", "anna", PASSWORD).status_code == 303


@pytest.mark.parametrize(("other", "status"), [("2001:db8:0:1::9", 429), ("2001:db8:0:2::1", 303)])
def test_the_addresses_of_one_network_are_one_peer(anna: Web, other: str, status: int) -> None:
    """Whoever has one address of a /64 has 18 quintillion."""
    for n in range(5):
        assert log_in(anna, f"2001:db8:0:1::{n + 1:x}", "anna", WRONG).status_code == 401
    assert log_in(anna, other, "anna", PASSWORD).status_code == status


def test_ipv4_in_its_ipv6_form_is_the_same_peer(anna: Web) -> None:
    for _ in range(5):
        log_in(anna, "192.0.2.7", "anna", WRONG)
    assert log_in(anna, "::ffff:192.0.2.7", "anna", PASSWORD).status_code == 429
    assert log_in(anna, "::ffff:192.0.2.8", "anna", PASSWORD).status_code == 303


def test_nobody_is_locked_out_of_their_usual_browser(anna: Web) -> None:
    """Whatever others do: guess from everywhere, and from the very same address."""
    cookie = browser_cookie(log_in(anna, "192.0.2.1", "anna", PASSWORD))
    for n in range(40):
        log_in(anna, f"198.51.100.{n}", "anna", WRONG)
    for _ in range(20):
        log_in(anna, "192.0.2.1", "anna", WRONG)
    stranger = log_in(anna, "203.0.113.5", "anna", PASSWORD)
    assert stranger.status_code == 429
    assert log_in(anna, "192.0.2.1", "anna", PASSWORD, cookie).status_code == 303
    assert log_in(anna, "203.0.113.5", "anna", PASSWORD, cookie).status_code == 303


def test_nor_by_a_flood_of_other_names(anna: Web) -> None:
    cookie = browser_cookie(log_in(anna, "192.0.2.1", "anna", PASSWORD))
    for n in range(70):
        log_in(anna, f"198.51.{n}.1", f"x{n}", "")
    assert log_in(anna, "203.0.113.5", "anna", PASSWORD).status_code == 429
    assert log_in(anna, "203.0.113.5", "anna", PASSWORD, cookie).status_code == 303


def test_a_known_browser_is_limited_too(anna: Web) -> None:
    cookie = browser_cookie(log_in(anna, "192.0.2.1", "anna", PASSWORD))
    told = [log_in(anna, f"192.0.2.{n}", "anna", WRONG, cookie).status_code for n in range(6)]
    assert told == [401] * 5 + [429]
    assert log_in(anna, "192.0.2.9", "anna", PASSWORD).status_code == 303


def test_a_browser_is_known_for_its_own_users_only(anna: Web) -> None:
    """Who has an account has a known browser; it is no way to guess at another's."""
    anna.add("mallory", "view")
    cookie = browser_cookie(log_in(anna, "192.0.2.66", "mallory", PASSWORD))
    told = [log_in(anna, "192.0.2.66", "anna", WRONG, cookie).status_code for _ in range(6)]
    assert told == [401] * 5 + [429]


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
        lambda value: value.replace(".1.", ".1-2.", 1),
        lambda value: value.rpartition(".")[0],
        lambda value: ".1." + value.rpartition(".")[2],
        lambda value: "." * 3_000,
    ],
)
def test_a_forged_cookie_is_none(anna: Web, forge: Callable[[str], str]) -> None:
    name, _, value = browser_cookie(log_in(anna, "192.0.2.1", "anna", PASSWORD)).partition("=")
    anna.add("mallory", "view")
    for _ in range(5):
        log_in(anna, "192.0.2.2", "anna", WRONG)
    answer = log_in(anna, "192.0.2.2", "anna", PASSWORD, f"{name}={forge(value)}")
    assert answer.status_code == 429


def test_a_shared_browser_knows_all_its_users(anna: Web) -> None:
    anna.add("bert", "staff")
    first = browser_cookie(log_in(anna, "192.0.2.1", "anna", PASSWORD))
    both = browser_cookie(log_in(anna, "192.0.2.1", "bert", PASSWORD, first))
    for name in ("anna", "bert"):
        for _ in range(5):
            log_in(anna, "192.0.2.1", name, WRONG)
        assert log_in(anna, "192.0.2.1", name, PASSWORD).status_code == 429
        assert log_in(anna, "192.0.2.1", name, PASSWORD, both).status_code == 303


def test_the_cookie_of_a_browser_stays_small() -> None:
    browsers = Browsers(b"secret")
    browser = browsers.new()
    for user in range(2 * USERS_MOST):
        browser = browser.with_user(10**9 + user).with_proof(10**9 + user)
    assert len(browser.users) == len(browser.proved) == USERS_MOST
    assert len(browsers.write(browser)) < 1_000
    assert browsers.read(browsers.write(browser)) == browser
    assert Browsers(b"other").read(browsers.write(browser)) is None
    assert browsers.read(None) is None


def test_right_passwords_do_not_use_up_tries() -> None:
    limits = LoginLimits(Clock(0.0))
    for n in range(200):
        attempt = Attempt(str(n % 50), "192.0.2.1", n % 50)
        assert limits.take(attempt) == (0.0, "")
        limits.succeeded(attempt)


def test_each_limit_says_which_it_is() -> None:
    def last(attempts: list[Attempt]) -> str:
        limits = LoginLimits(Clock(0.0))
        return [limits.take(one)[1] for one in attempts][-1]

    browser = Browser("b", (7,))
    assert last([Attempt("7", "p", 7)] * 6) == "name_here"
    assert last([Attempt("7", f"p{n}", 7) for n in range(31)]) == "name"
    assert last([Attempt(f"?{n}", "p") for n in range(16)]) == "peer"
    assert last([Attempt(f"?{n}", f"p{n}") for n in range(61)]) == "all"
    assert last([Attempt("7", f"p{n}", 7, browser) for n in range(6)]) == "browser"


def test_ones_own_password_can_be_changed_while_strangers_guess(anna: Web) -> None:
    person = anna.as_("anna")
    for _ in range(8):
        log_in(anna, "203.0.113.9", "anna", WRONG)
    form = {"old": PASSWORD, "new": PASSWORD + "!"}
    assert person.post("/account/password", data=form).status_code == 303


# --- the audit chain ---------------------------------------------------------------------


def audited(web: Web) -> list[tuple[str, str, Any]]:
    return [(a["action"], a["actor"], a["detail"]["subject"]) for a in web.panel.audits]


def test_log_ins_failures_and_lock_outs_are_audited_by_id(anna: Web) -> None:
    id = f"web:{anna.users.by_name('anna').id}"
    for _ in range(8):
        log_in(anna, "192.0.2.1", "anna", WRONG)
    log_in(anna, "192.0.2.2", "anna", PASSWORD)
    assert audited(anna) == [
        ("login_failed", "web:unknown", id),
        ("login_blocked", "web:unknown", id),
        ("login", id, id),
    ]
    outcomes = [a["detail"].get("outcome") for a in anna.panel.audits]
    assert outcomes == ["refused: login_wrong", "refused: login_limited", None]


def test_what_was_typed_is_never_written(anna: Web) -> None:
    """People type the password into the field for the name."""
    log_in(anna, "192.0.2.1", PASSWORD, "")
    log_in(anna, "192.0.2.1", "anna", "hunter2 hunter2")
    for _ in range(8):
        log_in(anna, "192.0.2.1", "nobody we know", "")
    written = str(anna.panel.audits)
    assert "unknown" in written
    assert [t for t in (PASSWORD, "hunter2", "nobody we", "192.0.2") if t in written] == []


class Minutes:
    """Collects entries; the minute is over when the test says so."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, Json]]] = []
        self.ends: list[Callable[[], None]] = []
        self.audit = LoginAudit(self._write, lambda _s, done: self.ends.append(done))

    async def _write(self, actor: str, action: str, entry: dict[str, Json]) -> None:
        self.entries.append((actor, action, entry))

    async def over(self) -> None:
        ends, self.ends = self.ends, []
        for end in ends:
            end()
        await asyncio.gather(*self.audit._tasks)


def test_repeats_are_one_entry_now_and_one_with_a_count() -> None:
    async def run() -> list[Any]:
        minutes = Minutes()
        for _ in range(5):
            await minutes.audit.note("login_failed", "p", 3, outcome="login_wrong")
        await minutes.audit.note("login_failed", "q", 3, outcome="login_wrong")
        await minutes.audit.note("login", "p", 3)
        assert len(minutes.entries) == 3
        await minutes.over()
        await minutes.over()
        return minutes.entries

    *first, last = asyncio.run(run())
    assert len(first) == 3
    assert last == (
        "web:unknown", "login_failed",
        {"subject": "web:3", "outcome": "refused: login_wrong", "count": 4, "window_ms": 60_000},
    )  # fmt: skip


def test_a_flood_of_peers_fills_neither_the_chain_nor_memory() -> None:
    async def run() -> list[Any]:
        minutes = Minutes()
        for n in range(1_000):
            await minutes.audit.note("login_blocked", f"p{n}", n, outcome="login_limited")
        assert len(minutes.entries) <= KEYS_MOST + 1
        await minutes.over()
        return minutes.entries

    entries = asyncio.run(run())
    assert len(entries) <= KEYS_MOST + 2
    assert entries[-1][2]["count"] == 1_000 - KEYS_MOST - 1
    assert entries[-1][2]["subject"] == "unknown"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", ("unbekannt", "Anmeldung misslungen", "Benutzername oder Kennwort stimmt nicht.")),
        ("en", ("unknown", "Log-in failed", "User name or password is wrong.")),
    ],
)
def test_the_page_says_it_in_words(web: Web, language: str, said: tuple[str, ...]) -> None:
    write(web, AuditEntry("web:unknown", "login_failed", "unknown", "refused: login_wrong", 1, ""))
    shown = web.as_("admin").get("/audit", headers={"Accept-Language": language}).text
    assert [text for text in said if text not in shown] == []
    assert "login_" not in shown
