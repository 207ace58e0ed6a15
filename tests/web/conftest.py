"""The application without a server: httpx speaks to it in the same thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from gateway.panel.client import AsyncPanelClient, ControlAway
from gateway.web.app import create_app
from gateway.web.building.control_client import ControlClient
from gateway.web.building.records import Records
from gateway.web.identity.login_limits import LoginLimits
from gateway.web.identity.tokens import TOKENS_MOST
from gateway.web.identity.users import Users, users_file
from gateway.web.middleware import Armour
from gateway.web.options import Options
from gateway.web.shared.limits import Buckets
from gateway.web.shared.proxies import Forwarded
from gateway.web.site import PageSite, Site
from gateway.web.storage.displays import DISPLAYS_MOST
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.store import Author, Store
from tests.identity import start_session
from tests.page.fake import contact, door, guarantee, now_ms, room

PASSWORD = "correct horse battery"
ROLES = ("view", "staff", "maintenance", "admin")


_answering: ContextVar[bool] = ContextVar("answering", default=False)


@pytest.fixture(autouse=True)
def _limits_do_not_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of the page by a clock that stands still: on a busy machine requests take so long that
    a limit gives one more meanwhile."""
    still = Clock(1_000.0)
    defaults = Buckets.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "monotonic", still)
    monkeypatch.setattr(LoginLimits.__init__, "__defaults__", (still,))


def never_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the page's own file waits for the card: where a route makes one in the event
    loop, everybody waits. The tests themselves may."""
    call = Forwarded.__call__

    async def answer(self: Forwarded, scope: Scope, receive: Receive, send: Send) -> None:
        token = _answering.set(True)
        try:
            await call(self, scope, receive, send)
        finally:
            _answering.reset(token)

    def guarded(change: Any) -> Any:
        def checked(self: Any, *args: Any) -> Any:
            assert not (_answering.get() and _in_a_loop()), "changed in the event loop"
            return change(self, *args)

        return checked

    monkeypatch.setattr(Forwarded, "__call__", answer)
    for owner, name in ((Store, "_change"), (PageTables, "change")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))


changes_wait_for_no_loop = pytest.fixture(autouse=True)(never_in_a_loop)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class FakePanel(AsyncPanelClient):
    """Answers every command as told, and remembers what was sent."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), "web")
        self.sent: list[Mapping[str, Any]] = []
        self.answer: dict[str, Any] | None = {"status": "accepted", "reason": "", "fact": "g/j/u/1"}

    async def send(self, message: Mapping[str, object]) -> None:
        self.sent.append(message)

    async def ask(self, message: Mapping[str, object], timeout_s: float = 6.0) -> dict[str, Any]:
        self.sent.append(message)
        if self.answer is None:
            raise ControlAway("control did not answer in time")
        return {"type": "reply", "id": message["id"], **self.answer}

    async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
        await asyncio.Event().wait()
        yield {}

    @property
    def commands(self) -> list[Mapping[str, Any]]:
        return [message for message in self.sent if message["type"] == "command"]

    @property
    def audits(self) -> list[Mapping[str, Any]]:
        return [message for message in self.sent if message["type"] == "audit"]


def snapshot(**values: Any) -> dict[str, Any]:
    now = now_ms()
    return {
        "gateway": {"id": "test", "name": "Testhaus"},
        "now_ms": now,
        "utc_offset_ms": int(time.time() * 1000) - now,
        "clock_trusted": True,
        "clock_settled": True,
        "clock_since_ms": now,
        "doors": {"front": door("Haupteingang")},
        "rooms": {"wc": room("WC")},
        "points": {"front.leaf": contact()},
        "alarms": [],
        "fire": None,
        "guarantees": {"journal": guarantee(now)},
        **values,
    }


class Clock:
    """Seconds that stand still until somebody moves them."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Served:
    """What the server runs for one site. The application in it is the same for all of them: its
    routes cost a tenth of a second, which FastAPI takes at the first request."""

    applications: ClassVar[dict[Callable[[Any], FastAPI], FastAPI]] = {}

    def __init__(self, site: PageSite, create: Callable[[Any], FastAPI] = create_app) -> None:
        if create not in self.applications:
            self.applications[create] = create(site)
        self.inner = self.applications[create]
        self._site = site
        self._armour = Forwarded(Armour(self.inner), site.options.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inner.state.site, self.inner.state.identity = self._site, self._site.identity
        await self._armour(scope, receive, send)


class Web:
    """One application, its parts, and clients for it."""

    def __init__(self, state: Path, **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.panel = FakePanel()
        self.users = Users(users_file(state))
        self.options = Options(state=state, **options)
        self.site = self.runner.run(self._site())
        self.see(snapshot())
        self.app = Served(self.site)
        self.base = "https://test" if self.options.tls else "http://test"

    async def _site(self) -> Site:
        records = Records(self.options.journal)
        return Site(self.options, ControlClient(self.panel), self.users, records)

    def see(self, told: dict[str, Any]) -> None:
        self.site.control._take({"type": "snapshot", "snapshot": told})

    def away(self) -> None:
        self.site.control._take({"type": "away"})

    def add(self, name: str, role: str) -> None:
        self.users.add_user(name, role, PASSWORD)

    def call(self, method: str, path: str, **values: Any) -> httpx.Response:
        return self.runner.run(self._call(method, path, **values))

    async def _call(self, method: str, path: str, **values: Any) -> httpx.Response:
        # The server logs a crash and answers; so does this transport.
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=self.base) as client:
            return await client.request(method, path, **values)

    def as_(self, role: str) -> Client:
        if role not in {user.name for user in self.users.list_users()}:
            self.add(role, role)
        return Client(self, start_session(self.users, self.users.by_name(role).id))

    def token(self, role: str) -> dict[str, str]:
        tokens = self.users.list_tokens()
        if len(tokens) >= TOKENS_MOST:  # of tests before this one
            self.users.revoke_token(tokens[0].name)
        secret = self.users.add_token(f"t-{role}-{time.monotonic_ns()}", role, 1, "test")
        return {"Authorization": f"Bearer {secret}"}

    def close(self) -> None:
        self.site.records.close()
        self.site.saver.close()
        self.users.close()
        self.runner.close()


class Client:
    """A browser with a session; changes carry the token unless ``csrf`` is empty."""

    def __init__(self, web: Web, secret: str) -> None:
        from gateway.web.identity.auth import SESSION, cookie_name, csrf_token
        from gateway.web.identity.users import hashed

        self.web = web
        self.csrf = csrf_token(web.site.identity.secret, hashed(secret))
        name = cookie_name(SESSION, web.options.gateway, web.options.tls)
        self.cookie = f"{name}={secret}"

    def call(self, method: str, path: str, **values: Any) -> httpx.Response:
        headers = {"Cookie": self.cookie, "Origin": self.web.base, **values.pop("headers", {})}
        if method not in ("GET", "HEAD") and self.csrf:
            headers.setdefault("X-CSRF-Token", self.csrf)
        return self.web.call(method, path, headers=headers, **values)

    def get(self, path: str, **values: Any) -> httpx.Response:
        return self.call("GET", path, **values)

    def post(self, path: str, **values: Any) -> httpx.Response:
        return self.call("POST", path, **values)


class Screen:
    """A screen that is paired as a display; its changes carry its token."""

    def __init__(self, web: Web, name: str = "Empfang") -> None:
        from gateway.web.display.access import COOKIE
        from gateway.web.identity.auth import cookie_name, csrf_token

        self.web = web
        if len(web.site.displays.all()) >= DISPLAYS_MOST:  # of tests before this one
            web.site.displays.remove(web.site.displays.all()[0].id)
        paired = web.site.displays.pair(web.site.displays.make_code(name, Author("web:1")))
        assert paired is not None
        self.display, secret = paired
        self.csrf = csrf_token(web.site.identity.secret, f"display:{self.display.hash}")
        cookie = cookie_name(COOKIE, web.options.gateway, web.options.tls)
        self.cookie = f"{cookie}={secret}"

    def call(self, method: str, path: str, **values: Any) -> httpx.Response:
        headers = {"Cookie": self.cookie, "Origin": self.web.base, **values.pop("headers", {})}
        if method not in ("GET", "HEAD"):
            values["data"] = {"csrf": self.csrf, **values.get("data", {})}
        return self.web.call(method, path, headers=headers, **values)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One for tests that change nothing that others see; with every role as a user."""
    web = Web(tmp_path_factory.mktemp("web"), bench=True)
    for role in ROLES:
        web.add(role, role)
    yield web
    web.close()
