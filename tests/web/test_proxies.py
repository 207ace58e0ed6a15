"""Behind a reverse proxy: whom it names is believed, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from gateway.web.identity.login_limits import LoginLimits
from gateway.web.shared.proxies import Forwarded, Trusted
from tests.web.conftest import PASSWORD, Clock, Web

PROXY, OTHER_PROXY, STRANGER = "127.0.0.1", "10.0.3.9", "203.0.113.9"
WRONG = {"name": "anna", "password": "a wrong password"}
RIGHT = {"name": "anna", "password": PASSWORD}


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path, trusted_proxies=(PROXY, "10.0.3.0/28"))
    web.add("anna", "staff")
    web.site.logins = LoginLimits(Clock(0.0))
    yield web
    web.close()


def ask(
    web: Web,
    peer: str,
    method: str = "POST",
    path: str = "/login",
    form: dict[str, str] | None = None,
    **headers: str,
) -> httpx.Response:
    """From a peer, with headers such as ``x_forwarded_for``."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=web.app, client=(peer, 1234))
        named = {n.replace("_", "-").encode(): value.encode() for n, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url=web.base) as client:
            return await client.request(method, path, data=form, headers=named)

    return web.runner.run(run())


def locked_after_guesses(web: Web, peer: str, forwarded: Callable[[int], str]) -> bool:
    """Whether guesses end, however often the sender names another address."""
    told = [ask(web, peer, form=WRONG, x_forwarded_for=forwarded(n)).status_code for n in range(6)]
    return told[-1] == 429


def test_each_client_of_a_trusted_proxy_is_limited_by_itself(behind: Web) -> None:
    assert locked_after_guesses(behind, PROXY, lambda _: STRANGER)
    answer = ask(behind, PROXY, form=RIGHT, x_forwarded_for="192.0.2.1")
    assert answer.status_code == 303


def test_a_client_cannot_choose_its_address(behind: Web) -> None:
    """What it writes itself stands left of what the proxy adds."""
    assert locked_after_guesses(behind, PROXY, lambda n: f"198.51.100.{n}, {STRANGER}")


def test_nor_by_naming_a_trusted_proxy(behind: Web) -> None:
    assert locked_after_guesses(behind, PROXY, lambda n: f"1.2.3.{n}, {STRANGER}, {OTHER_PROXY}")
    assert ask(behind, PROXY, form=RIGHT, x_forwarded_for="192.0.2.1").status_code == 303


def test_who_is_no_trusted_proxy_is_not_believed(behind: Web) -> None:
    assert locked_after_guesses(behind, STRANGER, lambda n: f"198.51.100.{n}")


def test_without_the_setting_nobody_is(web: Web) -> None:
    web.add("anna", "staff")
    web.site.logins = LoginLimits(Clock(0.0))
    with capture_logs() as logs:
        assert locked_after_guesses(web, PROXY, lambda n: f"198.51.100.{n}")
    hints = [log for log in logs if "trusted_proxies" in log["event"]]
    assert [(log["sender"], log["log_level"]) for log in hints] == [(PROXY, "warning")]  # once
    secure = ask(web, PROXY, form=RIGHT, x_forwarded_proto="https")
    assert "strict-transport-security" not in secure.headers
    assert "secure" not in secure.headers.get("set-cookie", "").lower()


@pytest.mark.parametrize("sender", [PROXY, f"::ffff:{PROXY}", OTHER_PROXY])
def test_https_at_the_proxy_makes_cookies_secure(behind: Web, sender: str) -> None:
    answer = ask(behind, sender, form=RIGHT, x_forwarded_for=STRANGER, x_forwarded_proto="https")
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert cookie.startswith("__Host-portier-")
        assert "; Secure" in cookie
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    sent = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    headers: dict[str, Any] = {"cookie": sent, "x_forwarded_proto": "https"}
    assert ask(behind, sender, "GET", "/api/v1/me", **headers).json()["name"] == "anna"
    assert ask(behind, sender, "GET", "/api/v1/me", cookie=sent).status_code == 401


def test_the_host_that_browsers_know_is_the_origin(behind: Web) -> None:
    """nginx sends its upstream's name as Host unless told otherwise."""
    own = {"host": "127.0.0.1:8080", "origin": "https://door.example"}
    refused = ask(behind, PROXY, form=RIGHT, **own)
    assert refused.status_code == 403
    told = ask(behind, PROXY, form=RIGHT, **own, x_forwarded_host="door.example")
    assert told.status_code == 303
    evil = own | {"origin": "https://evil.example"}
    assert (
        ask(behind, PROXY, form=RIGHT, **evil, x_forwarded_host="door.example").status_code == 403
    )
    stranger = ask(behind, STRANGER, form=RIGHT, **own, x_forwarded_host="door.example")
    assert stranger.status_code == 403


@pytest.mark.parametrize(
    "forwarded", ["", ",", "unknown", "nonsense, ", "[::1", "a" * 5_000, "1.2.3.4:99999999", "é"]
)
@pytest.mark.parametrize("header", ["x_forwarded_for", "x_forwarded_proto", "x_forwarded_host"])
def test_nonsense_from_a_proxy_breaks_nothing(behind: Web, header: str, forwarded: str) -> None:
    answer = ask(behind, PROXY, form=RIGHT, **{header: forwarded})
    assert answer.status_code in (303, 401)


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("10.0.3.1", True), ("10.0.3.16", False), ("::ffff:10.0.3.1", True), ("127.0.0.1", True),
        ("127.0.0.2", False), ("", False), ("localhost", False), ("2001:db8::5", True),
    ],
)  # fmt: skip
def test_who_is_trusted(host: str, trusted: bool) -> None:
    assert (host in Trusted(["127.0.0.1", "10.0.3.0/28", "2001:db8::/64"])) is trusted


def test_the_link_of_a_message_is_guessed_at_per_client(behind: Web) -> None:
    for _ in range(25):
        last = ask(behind, PROXY, "GET", "/m/guess", x_forwarded_for=STRANGER)
    assert last.status_code == 429
    other = ask(behind, PROXY, "GET", "/m/guess", x_forwarded_for="192.0.2.1")
    assert other.status_code == 404


class Gate:
    """An application whose answers wait until the test lets them go."""

    def __init__(self) -> None:
        self.opens = asyncio.Event()
        self.running = 0
        self.begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        self.begun.set()
        try:
            await self.opens.wait()
            await Response("ok")(scope, receive, send)
        finally:
            self.running -= 1


async def answers(
    app: Forwarded, gate: Gate, number: int, peer: str, forwarded: str
) -> list[asyncio.Task[httpx.Response]]:
    """So many requests, as soon as each has got as far as it gets."""
    transport = httpx.ASGITransport(app=app, client=(peer, 1234))
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    asked = []
    for _ in range(number):
        client = httpx.AsyncClient(transport=transport, base_url="http://door")
        gate.begun.clear()
        asked.append(asyncio.create_task(client.get("/", headers=headers)))
        begun = asyncio.create_task(gate.begun.wait())
        await asyncio.wait({asked[-1], begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
    return asked


def codes(asked: list[asyncio.Task[httpx.Response]]) -> list[int]:
    """Of those that are answered."""
    return [task.result().status_code for task in asked if task.done()]


@pytest.mark.parametrize(
    ("forwarded", "other", "refused"),
    [
        (lambda n: STRANGER, "192.0.2.1", [503]),
        (lambda n: f"192.0.2.{n}, {STRANGER}", "192.0.2.1", [503]),
        (lambda n: f"2001:db8:1:2::{n}", "2001:db8:1:3::1", [503]),
        (lambda n: f"198.51.100.{n}", "192.0.2.1", []),
        (lambda n: "", "192.0.2.1", []),
    ],
    ids=["one", "one that names others", "one network", "several", "nobody is named"],
)
def test_one_visitor_behind_a_proxy_has_not_everybodys_requests(
    forwarded: Callable[[int], str], other: str, refused: list[int]
) -> None:
    """As a peer has not everybody's connections: live streams, bodies that come slowly."""

    async def run() -> None:
        gate = Gate()
        app = Forwarded(gate, (PROXY,), per_visitor=3)
        asked = []
        for number in range(1, 5):
            asked += await answers(app, gate, 1, PROXY, forwarded(number))
        assert codes(asked) == refused
        asked += await answers(app, gate, 3, PROXY, other)
        assert codes(asked) == refused, "others have theirs"
        gate.opens.set()
        await asyncio.gather(*asked)
        assert sorted(codes(asked)) == [200] * (7 - len(refused)) + refused
        assert gate.running == 0
        (again,) = await answers(app, gate, 1, PROXY, forwarded(1))
        assert (await again).status_code == 200

    asyncio.run(run())


def test_a_request_that_fails_or_is_broken_off_counts_no_more() -> None:
    async def run() -> None:
        gate = Gate()
        app = Forwarded(gate, (PROXY,), per_visitor=2)
        for _ in range(5):
            (asked,) = await answers(app, gate, 1, PROXY, STRANGER)
            assert not asked.done()
            asked.cancel()
            await asyncio.wait({asked})
        assert gate.running == 0
        gate.opens.set()
        (again,) = await answers(app, gate, 1, PROXY, STRANGER)
        assert (await again).status_code == 200

    asyncio.run(run())


def test_a_proxy_that_is_not_trusted_is_bounded_by_its_connections() -> None:
    """What it names is not believed, here neither."""

    async def run() -> None:
        gate = Gate()
        app = Forwarded(gate, (PROXY,), per_visitor=2)
        asked = await answers(app, gate, 4, STRANGER, "192.0.2.1")
        assert codes(asked) == []
        gate.opens.set()
        await asyncio.gather(*asked)

    asyncio.run(run())
