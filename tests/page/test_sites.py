"""The page of all sites in a browser: no barrier, live values, calls and doors with and without a
script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from gateway.journal.schema import HOUR_MS
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.sites.app import create_server_app
from gateway.sites.grants import Grant
from gateway.sites.history.sqlite import SqliteHistory
from gateway.sites.options import CentreOptions
from gateway.sites.page_site import CentreSite, audit_of
from gateway.web.identity.users import Users
from gateway.web.serve import Server, server_config
from gateway.web.storage.saver import Saver
from tests.identity import start_session
from tests.page.conftest import PASSWORD, is_live, until
from tests.page.fake import guarantee, now_ms
from tests.page.test_states import faults
from tests.process.parts_mqtt import free_port
from tests.sites.centre_web import GROUPS, NOBODY, FakeCentre, FakeGateway
from tests.sites.recorded import MINUTE_MS, opening, point

pytestmark = pytest.mark.page


def record(path: Path, *sites: str) -> None:
    """What happened at each site in the last six hours: openings, a call, the temperature."""
    now = int(time.time() * 1000)
    store = SqliteStore(path)
    for n, site in enumerate(sites):
        call: dict[str, Any] = {"gateway": site, "call": "wc-7", "cause": "cord", "test": False}
        at = now - (4 + n) * HOUR_MS
        bad = store.write(
            [
                *(one for m in range(5) for one in opening(site, now - m * HOUR_MS, 1 + 3 * m)),
                *(
                    point(20 + m, now - m * 10 * MINUTE_MS, gateway=site, value=20 + n + m % 3)
                    for m in range(36)
                ),
                point(70, at, "call_raised", "wc", **call),
                point(71, at + MINUTE_MS, "call_cancelled", "wc", after_ms=MINUTE_MS, **call),
                point(72, at, "contact_changed", "front.leaf", gateway=site, active=False),
            ]
        )
        assert bad == []
    store.close()


class CentreHouse:
    """The page of the centre in a thread of its own, over gateways that the test makes up."""

    def __init__(self, state: Path) -> None:
        recorded = state / "record.sqlite"
        self.options = CentreOptions(
            state=state,
            port=free_port(),
            name="Wohnungsgenossenschaft",
            groups=GROUPS,
            store="sqlite",
            open_history=partial(SqliteHistory, recorded),
        )
        self.url = f"http://127.0.0.1:{self.options.port}"
        self.users = Users(self.options.users)
        saver = Saver()
        audit = audit_of(self.options, saver)
        gateways = [
            FakeGateway("bad-1", "Wohnpark Am Bernsdorfer Bad 1"),
            FakeGateway("bad-2", "Wohnpark Am Bernsdorfer Bad 2"),
            FakeGateway("office", "Geschäftsstelle"),
        ]
        for gateway in gateways:
            gateway.measure()
        record(recorded, *(one.id for one in gateways))
        self.centre = FakeCentre(gateways, audit.command)
        self.site = CentreSite(self.options, self.centre, Users(self.options.users), audit, saver)
        self.users.add_user("owner", "admin", PASSWORD)
        self.users.add_user("anna", "view", PASSWORD)
        anna = self.users.by_name("anna").id
        self.site.grants.give(anna, Grant("group", "Park", "staff"), NOBODY)
        self.server = Server(server_config(self.options, create_server_app(self.site)), self.site)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started)

    def change(self, gateway: str, change: Callable[[FakeGateway], object]) -> None:
        """Something happens at a site."""
        change(self.centre.picture.gateways[gateway])
        loop = self.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(self.centre.changed, gateway)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.users.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CentreHouse]:
    made = CentreHouse(tmp_path)
    yield made
    made.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, house: CentreHouse) -> Iterator[Open]:
    """``visit(path, name)``: a page of somebody who is logged in. What the console said is an
    error at the end."""
    contexts, said = [], []

    def go(path: str = "/", name: str = "anna", **options: object) -> Page:
        options.setdefault("locale", "de-DE")
        context = browser.new_context(**options)  # type: ignore[arg-type]  # as Playwright takes
        contexts.append(context)
        session = start_session(house.users, house.users.by_name(name).id)
        context.add_cookies([{"name": "portier-session-sites", "value": session, "url": house.url}])
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(house.url + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []


def trouble(house: CentreHouse) -> None:
    """A call, an alarm, a site that is away, and one whose calls reach nobody."""
    house.change("bad-1", FakeGateway.call)
    house.change("bad-1", FakeGateway.raise_alarm)

    def away(one: FakeGateway) -> None:
        assert one.building is not None
        one.building["guarantees"]["messages"] = guarantee(now_ms(), "no", "no_contact")

    house.change("bad-2", away)
    house.change("office", lambda one: setattr(one, "presence", "offline"))


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
@pytest.mark.parametrize(
    "path",
    ["/", "/sites/bad-1", "/alarms", "/fleet", "/people", "/audit", "/logbook",
     "/history?quantity=temperature_c", "/history?series=bad-1/front.leaf,bad-2/wc.climate"],
)  # fmt: skip
def test_no_page_has_a_barrier(house: CentreHouse, visit: Open, path: str, locale: str) -> None:
    page = visit(path, "owner", locale=locale)
    is_live(page)
    assert faults(page, forced=False) == []
    trouble(house)
    page.locator(".call.raised").wait_for()
    page.reload()
    is_live(page)
    assert faults(page) == []


def test_a_call_comes_and_is_answered_with_a_name(house: CentreHouse, visit: Open) -> None:
    page = visit()
    is_live(page)
    house.change("bad-2", FakeGateway.call)
    call = page.locator(".call.raised")
    expect(call).to_contain_text("Wohnpark Am Bernsdorfer Bad 2")
    expect(page.locator("#call-alert")).to_contain_text("Standort: Wohnpark Am Bernsdorfer Bad 2")
    call.get_by_label("Wer geht hin?").fill("Frau Weber")
    house.change("bad-2", lambda one: one.call(pulls=3))
    expect(call).to_contain_text("Die Schnur wurde 3-mal gezogen.")
    expect(call.get_by_label("Wer geht hin?")).to_have_value("Frau Weber")  # what is typed stays
    call.get_by_role("button", name="Geht hin").click()
    expect(page.locator(".answer.good:visible")).to_contain_text("Frau Weber geht hin.")
    (asked,) = house.centre.commands.asked
    assert (asked["gateway"], asked["text"]) == ("bad-2", "Frau Weber")


def test_a_call_is_answered_without_a_script(house: CentreHouse, visit: Open) -> None:
    house.change("bad-1", FakeGateway.call)
    page = visit(java_script_enabled=False)
    page.locator(".call.raised").get_by_role("button", name="Als gesehen markieren").click()
    expect(page.locator(".answer.good:visible")).to_contain_text("als gesehen markiert")
    assert [one["text"] for one in house.centre.commands.asked] == [""]


def test_somebody_hears_and_sees_nothing_of_a_site_without_a_right(
    house: CentreHouse, visit: Open
) -> None:
    page = visit()
    is_live(page)
    house.change("office", FakeGateway.call)
    house.change("bad-1", FakeGateway.raise_alarm)
    expect(page.locator("[data-part=alarm-count] .count")).to_have_text("1")
    expect(page.locator(".call")).to_have_count(0)
    assert "Geschäftsstelle" not in page.content()


@pytest.mark.parametrize("script", [True, False])
def test_a_door_opens_with_two_taps(house: CentreHouse, visit: Open, script: bool) -> None:
    page = visit("/sites/bad-1", java_script_enabled=script)
    if script:
        is_live(page)
    door = page.locator("#door-front")
    door.get_by_label("Grund für das Öffnen").fill("Lieferung")
    door.get_by_role("button").click()
    expect(door.locator(".answer")).to_contain_text(
        "Wohnpark Am Bernsdorfer Bad 1, Haupteingang (Geschlossen): Noch einmal tippen"
    )
    assert house.centre.commands.asked == []
    door.get_by_role("button").click()
    expect(door.locator(".answer")).to_contain_text("Die Tür")
    (asked,) = house.centre.commands.asked
    assert (asked["name"], asked["text"]) == ("open_door", "Lieferung")


def test_the_page_of_a_site_follows_it(house: CentreHouse, visit: Open) -> None:
    page = visit("/sites/bad-1")
    is_live(page)
    expect(page.locator("#door-front .state")).to_contain_text("Geschlossen")

    def opened(one: FakeGateway) -> None:
        assert one.building is not None
        one.building["doors"]["front"] |= {"state": "open", "since_ms": now_ms()}

    house.change("bad-1", opened)
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    house.change("bad-1", lambda one: setattr(one, "presence", "offline"))
    expect(page.locator("[data-part=site-connection]")).to_contain_text("nicht verbunden")
    expect(page.locator("#open-front")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#door-front .was")).to_be_visible()  # the last known state
    house.change("bad-1", lambda one: setattr(one, "presence", "online"))
    expect(page.locator("#door-front .was")).to_be_hidden()
    expect(page.locator("#open-front")).not_to_have_attribute("aria-disabled", "true")


WIDTHS = (360, 1280)
RECORDED = ("/logbook", "/history?quantity=temperature_c")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", RECORDED)
def test_history_and_logbook_fit_every_screen(visit: Open, path: str, width: int) -> None:
    page = visit(path, "owner", viewport={"width": width, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_the_charts_of_several_sites_are_drawn(visit: Open) -> None:
    page = visit("/history?quantity=temperature_c", "owner")
    expect(page.locator("figure.chart.meter .plot canvas")).to_have_count(3)
    for place in ("Bad 1", "Bad 2", "Geschäftsstelle"):
        expect(page.locator("figure.chart.meter").filter(has_text=place)).to_have_count(1)
    page.locator("#span-7d").click()
    expect(page.locator("#span-7d")).to_have_attribute("aria-current", "true")
    assert "quantity=temperature_c" in page.url
    expect(page.locator("figure.chart.meter .plot canvas")).to_have_count(3)


def test_the_history_and_the_logbook_are_read_without_a_script(visit: Open) -> None:
    page = visit("/history?quantity=temperature_c", "owner", java_script_enabled=False)
    table = page.locator("#tables details").first
    table.locator("summary").click()
    expect(table.locator("tbody tr").first).to_be_visible()
    page.locator("details.choice summary").click()
    page.get_by_label("Haupteingang, Türblatt").first.check()
    page.locator("#choice button").click()
    expect(page.locator("figure.chart.lane")).to_have_count(1)
    page.goto(page.url.partition("/history")[0] + "/logbook")
    page.get_by_label("Standort", exact=True).select_option("bad-2")
    page.get_by_role("button", name="Anzeigen").click()
    entries = page.locator(".log > li")
    expect(entries).to_have_count(6)
    entries.first.locator("summary").click()
    expect(entries.first.get_by_role("link", name="Zum Standort")).to_be_visible()


def test_pieces_that_did_not_come_are_asked_for_again(house: CentreHouse, visit: Open) -> None:
    """Else the page would show a door as it was, until the site changes again."""
    page = visit("/sites/bad-1")
    is_live(page)
    expect(page.locator("#door-front .state")).to_contain_text("Geschlossen")
    failed = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.fulfill(body="no pieces")  # anything else the browser itself writes to the console

    page.route("**/parts", fail, times=1)

    def opened(one: FakeGateway) -> None:
        assert one.building is not None
        one.building["doors"]["front"] |= {"state": "open", "since_ms": now_ms()}

    house.change("bad-1", opened)
    expect(page.locator("#door-front .state")).to_contain_text("Offen", timeout=15_000)
    assert failed
