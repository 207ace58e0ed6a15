"""Pictures of every page in every state, to look at: ``python -m tests.page.shots FOLDER``.

Starts the bench building with a supervisor of its own, brings it into one state after the
other, and takes each page as a phone and a desktop show it, light and dark, in both languages.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import BrowserContext, Page, sync_playwright

from gateway.panel.tickets import Ticket, Tickets, make_key
from gateway.web.identity.users import Users, users_file
from tests.identity import start_session
from tests.page.conftest import ARGS, PASSWORD, Gateway
from tests.process.parts import ROOT, House, children, until
from tests.process.parts_mqtt import free_port

WIDTHS = (360, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOCALES = ("de-DE", "en-GB")
WATCH = """
watch:
  boiler:
    point: wc.climate
    quantity: temperature_c
    below: 12
    severity: urgent
    texts: {de: Die Heizung ist ausgefallen, en: The heating has failed}
"""
HOUR = range(60)
DAY_S = 86_400


@dataclass
class Album:
    """The same page in every look. ``names`` restricts what is taken."""

    folder: Path
    url: str
    looks: dict[str, BrowserContext] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        return not self.names or name in self.names

    def take(self, name: str, path: str, do: Callable[[Page], None] | None = None) -> None:
        if not self.wants(name):
            return
        for look, context in self.looks.items():
            page = context.new_page()
            page.goto(self.url + path)
            if do is not None:
                do(page)
            page.evaluate("document.fonts.ready")
            page.screenshot(path=self.folder / f"{name}-{look}.png", full_page=True)
            page.close()


def travel(house: House) -> None:
    """An hour with weather in it, people at the door, and a meter that was silent for a while."""
    for minute in HOUR:
        if not 25 <= minute < 32:
            swing = (minute - 30) ** 2 / 300
            house.bench("set", point="wc.climate", value=21 - swing, quantity="temperature_c")
            house.bench(
                "set", point="wc.climate", value=45 + swing * 4, quantity="humidity_percent"
            )
        if minute % 9 == 4:
            house.bench("press", point="front.button_outside", for_ms=200)
        house.bench("travel", by_ms=60_000)


def go_through(album: Album, house: House, supervisor: int) -> None:
    """Every state, and what is to be seen in it."""
    album.take("quiet", "/")
    album.take("armed", "/", arm)
    if album.wants("door-open"):
        album.take("door-open", "/", open_)
    travel(house)
    album.take("history", "/history?points=wc.climate,front.leaf", charts)
    for view in ("door", "climate", "use", "calls"):
        album.take(f"history-{view}", f"/history?view={view}&range=24h", charts)
    album.take("history-error", "/history?range=irgendwann", charts)
    album.take("history-empty", "/history?view=climate&range=gestern")
    album.take("events", "/events")
    album.take("menu", "/", menu)
    album.take("relay-test", "/points/test?point=front.activation")
    for name in (
        "points",
        "maintenance",
        "kept",
        "settings",
        "users",
        "account",
        "more",
        "bench",
        "no-such-page",
    ):
        album.take(name, f"/{name}")
    walk(album)
    calls(album, house)
    house.command("set_mode", door="front", mode="night", for_ms=3_600_000)
    album.take("night", "/", arm)
    house.bench("world", point="front.leaf", change="push", for_ms=600_000)
    house.bench("set", point="wc.climate", value=9.5, quantity="temperature_c")
    house.bench("world", point="front.remote", change="cut")
    house.bench("set", point="front.button_inside", value=True)
    house.bench("travel", by_ms=180_000)
    house.command("set_service", door="front", for_ms=3_600_000)
    album.take("alarm", "/")
    album.take("alarms", "/alarms")
    album.take("points-faults", "/points")
    album.take("audit", "/audit")
    if album.wants("lost"):
        os.kill(supervisor, signal.SIGSTOP)  # it would start control again
        os.kill(control_of(supervisor), signal.SIGTERM)
        try:
            album.take("lost", "/", lambda page: page.locator("body.is-lost").wait_for())
        finally:
            os.kill(supervisor, signal.SIGCONT)


def token_for(house: House) -> str:
    """The link that a message about the call would carry; this building sends none itself."""
    make_key(house.state)
    call = str(house.snapshot()["rooms"]["wc"]["call"]["id"])
    ticket = Ticket("hausmeister", call, "d1", "call", int(time.time()) + DAY_S)
    return Tickets(house.state).make(ticket)


def walk(album: Album) -> None:
    """The test book of the door: a question, and the record once it is signed."""
    if not (album.wants("testbook") or album.wants("record")):
        return
    page = next(iter(album.looks.values())).new_page()
    page.goto(album.url + "/maintenance")
    page.locator("form[action='/maintenance/testbook'] button").last.click()
    page.locator("#walk").wait_for()
    path = page.url.removeprefix(album.url).partition("#")[0]
    album.take("testbook", path)
    while page.locator("button[value=sign]").count() == 0:
        page.locator("button[value=bad], button[value=ok]").last.click()
    page.locator("button[value=sign]").click()
    album.take("record", path)
    page.close()


def calls(album: Album, house: House) -> None:
    """A call in each of its states, water on the floor, and a test."""

    def is_(state: str) -> None:
        until(lambda: house.snapshot()["rooms"]["wc"]["call"]["state"] == state, what=state)

    house.bench("press", point="wc.cord", for_ms=100)
    is_("raised")
    album.take("call", "/", lambda page: page.locator(".call.raised").wait_for())
    album.take("link", f"/m/{token_for(house)}")
    house.command("acknowledge_call", call="wc")
    house.bench("set", point="wc.leak", value=True)
    album.take("call-seen", "/", lambda page: page.locator(".call.acknowledged").wait_for())
    house.bench("press", point="wc.presence")
    is_("attended")
    until(lambda: house.snapshot()["points"]["wc.cord"]["active"] is False)
    album.take("call-attended", "/alarms", lambda page: page.locator(".call.attended").wait_for())
    call = house.snapshot()["rooms"]["wc"]["call"]["id"]
    album.take("timeline", f"/timeline/{call}")
    house.bench("press", point="wc.cancel")
    is_("quiet")
    house.bench("set", point="wc.leak", value=False)
    house.bench("travel", by_ms=660_000)  # there is no test within 10 min of a call
    house.command("test_room", room="wc", for_ms=600_000)
    house.bench("press", point="wc.cord", for_ms=100)
    is_("raised")
    album.take("call-test", "/", lambda page: page.locator(".call.test").wait_for())
    until(lambda: house.snapshot()["points"]["wc.cord"]["active"] is False)
    house.bench("press", point="wc.cancel")
    is_("quiet")


def factor(album: Album, folder: Path) -> None:
    """A second factor is set up: on a page of its own, whose owner wants one."""
    if not album.wants("second-factor"):
        return
    page_of = Gateway(folder, second_factor="doors")
    secret = page_of.session("staff")
    for context in album.looks.values():
        context.add_cookies([{"name": "portier-session", "value": secret, "url": page_of.url}])

    def begin(page: Page) -> None:
        page.locator("#factor-password").fill(PASSWORD)
        page.locator("form[action='/account/factor'] button").click()
        page.locator(".scan svg").wait_for()

    album.url = page_of.url
    album.take("second-factor", "/second-factor", begin)
    page_of.close()


def control_of(supervisor: int) -> int:
    for pid in children(supervisor):
        if b"control" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    raise LookupError("control")


def arm(page: Page) -> None:
    page.locator("[data-open=front] button").click()
    page.locator("button.armed").wait_for()


def open_(page: Page) -> None:
    arm(page)
    page.locator("[data-open=front] button").click()
    page.locator("#answer-front.good").wait_for(timeout=10_000)


def menu(page: Page) -> None:
    summary = page.locator(".menu summary")
    if summary.is_visible():  # a phone has the page *More* instead
        summary.click()


def charts(page: Page) -> None:
    page.locator("canvas").first.wait_for()


@contextlib.contextmanager
def started(state: Path) -> Iterator[tuple[House, str]]:
    """The bench building with one watched point, and the address of its page."""
    config = state / "bench.yaml"
    config.write_text((ROOT / "config" / "bench.yaml").read_text() + WATCH)
    port = free_port()
    house = House(config, state / "state", {"PORT": str(port)})
    try:
        process = house.run()
        until(lambda: process.said("Ready after") and process.said("First log-in"), 30)
        until(lambda: well(house), 90)
        yield house, f"http://127.0.0.1:{port}"
    finally:
        house.end()


def well(house: House) -> bool:
    """Whether everything that can be observed by now is in order; nobody was told of anything."""
    told = house.snapshot()["guarantees"]
    return all(one["ok"] for name, one in told.items() if name != "messages")


def main(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        started(Path(state)) as (house, url),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        album = Album(folder, url, names=names)
        for width, scheme, locale in product(WIDTHS, SCHEMES, LOCALES):
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, locale=locale,
                is_mobile=width < 600, has_touch=width < 600,
            )  # fmt: skip
            album.looks[f"{width}-{scheme}-{locale[:2]}"] = context
        album.take("login", "/login")
        users = Users(users_file(house.state))
        users.set_password("admin", PASSWORD)  # as everybody has to after the first log-in
        users.add_user("hausmeister", "staff", PASSWORD)
        for context in album.looks.values():
            secret = start_session(users, users.by_name("admin").id)
            context.add_cookies([{"name": "portier-session", "value": secret, "url": url}])
        go_through(album, house, house.processes[0].pid)
        users.close()
        factor(album, Path(state))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]))
