"""A real Chromium before the real web role, with the fake building behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from gateway.web.app import make_site
from gateway.web.identity.accounts import SecondFactor
from gateway.web.identity.users import Users
from gateway.web.options import Options
from gateway.web.presenter.terminals import Terminals
from gateway.web.serve import Server, config_of
from gateway.web.site import Site
from tests.identity import start_session
from tests.page.fake import FakeControl
from tests.process.parts_mqtt import free_port

PASSWORD = "correct horse battery"
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


expect.set_options(timeout=30_000)  # for what happens at once, and on a busy machine later


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class Gateway:
    """The web role in a thread of its own, and the building behind it."""

    def __init__(
        self,
        state: Path,
        *,
        bench: bool = False,
        second_factor: SecondFactor = "off",
        terminals: Terminals | None = None,
    ) -> None:
        self.control = FakeControl(state).start()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = Options(
            state=state,
            port=self.port,
            name="Testhaus",
            bench=bench,
            second_factor=second_factor,
            terminals=terminals or Terminals(),
        )
        self.users = Users(self.options.users)
        for role in ("view", "staff", "maintenance", "admin"):
            self.users.add_user(role, role, PASSWORD)
        self.site: Site
        self.serve()

    def serve(self) -> None:
        self.site = make_site(self.options, Users(self.options.users))
        self.server = Server(config_of(self.site), self.site)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started and self.site.control.connected)

    def stop_serving(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)

    def close(self) -> None:
        self.stop_serving()
        self.users.close()
        self.control.close()

    def session(self, name: str = "admin") -> str:
        return start_session(self.users, self.users.by_name(name).id)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no /usr/bin/chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.close()


Open = Callable[..., Page]


def is_live(page: Page) -> None:
    """Wait until the page has its first values from the live stream."""
    expect(page.locator("[data-was]").first).to_be_attached()


@pytest.fixture
def visit(browser: Browser, gateway: Gateway) -> Iterator[Open]:
    """``visit(path, role=..., **context)``: a page of somebody who is logged in.

    Whatever the console said is an error at the end unless the page's ``noise`` allows it."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def go(path: str = "/", role: str = "admin", **options: object) -> Page:
        options.setdefault("locale", "de-DE")
        quiet = options.pop("quiet", True)
        context = browser.new_context(**options)  # type: ignore[arg-type]  # as Playwright takes
        contexts.append(context)
        context.add_cookies(
            [{"name": "portier-session", "value": gateway.session(role), "url": gateway.url}]
        )
        page = context.new_page()
        if quiet:
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(gateway.url + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []
