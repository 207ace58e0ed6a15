"""The display in Chromium: it rings, it knows when it is blind, and it comes back by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.web.display.access import COOKIE
from gateway.web.identity.auth import cookie_name
from gateway.web.storage.store import Author
from tests.page.conftest import Gateway, until
from tests.page.fake import called

pytestmark = pytest.mark.page
SOUND = """
    window.started = 0;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...at) {
        window.started += 1;
        start.apply(this, at);
    };
"""


def pair(gateway: Gateway, context: BrowserContext) -> Page:
    displays = gateway.site.displays
    paired = displays.pair(displays.make_code("Empfang", Author("web:1")))
    assert paired is not None
    name = cookie_name(COOKIE, gateway.options.gateway, False)
    context.add_cookies([{"name": name, "value": paired[1], "url": gateway.url}])
    page = context.new_page()
    page.goto(gateway.url + "/display")
    return page


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 800})
    made.add_init_script(SOUND)
    yield made
    made.close()


def test_a_screen_is_paired_by_typing_the_code(gateway: Gateway, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(gateway.url + "/display")
    page.get_by_label("Code").fill("0000 0000")
    page.get_by_role("button", name="Koppeln").click()
    expect(page.get_by_role("alert")).to_contain_text("Dieser Code gilt nicht")
    code = gateway.site.displays.make_code("Empfang", Author("web:1"))
    page.get_by_label("Code").fill(f"{code[:4]} {code[4:]}")
    page.get_by_role("button", name="Koppeln").click()
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Haupteingang")).to_be_visible()


def test_a_call_rings_and_who_goes_says_in_which_function(
    gateway: Gateway, context: BrowserContext
) -> None:
    page = pair(gateway, context)
    page.get_by_role("button", name="Ton testen").click()  # and the browser allows sound
    page.get_by_role("button", name="Ja, gehört").click()
    expect(page.get_by_text("nicht bestätigt")).to_have_count(0)
    page.mouse.click(5, 5)
    page.evaluate("window.started = 0")
    gateway.control.change(lambda s: s["rooms"]["bad"].update(call=called()))
    expect(page.get_by_role("heading", name="NOTRUF: ")).to_be_visible()
    deadline = time.monotonic() + 30
    while not page.evaluate("window.started"):
        assert time.monotonic() < deadline, "it does not ring"
    page.get_by_text("Ich gehe hin", exact=True).click()
    page.get_by_role("button", name="Personal").click()
    expect(page.get_by_text("Personal ist unterwegs")).to_be_visible()


def test_it_is_blind_within_five_seconds_and_comes_back(
    gateway: Gateway, context: BrowserContext
) -> None:
    """By its own clock: whether the server is gone, or answers nothing."""
    page = pair(gateway, context)
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    began = time.monotonic()
    page.route("**/api/v1/display", lambda _route: None)  # neither an answer nor an error
    expect(page.get_by_role("heading", name="Keine Verbindung")).to_be_visible()
    assert time.monotonic() - began < 15  # 5 s, on a machine that does much else
    expect(page.get_by_text("Kein Notruf")).to_be_hidden()
    box = page.locator("#blind").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (1280, 800)
    page.unroute("**/api/v1/display")
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    gateway.stop_serving()
    expect(page.get_by_role("heading", name="Keine Verbindung")).to_be_visible()
    gateway.serve()
    expect(page.get_by_text("Kein Notruf")).to_be_visible()


def test_the_time_until_it_is_blind_is_less_than_five_seconds(
    gateway: Gateway, context: BrowserContext
) -> None:
    """With a clock that the test moves."""
    page = pair(gateway, context)
    page.clock.install()
    page.reload()
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    page.route("**/api/v1/display", lambda _route: None)
    page.clock.run_for(4_000)
    assert page.locator("#blind").is_hidden()
    page.clock.run_for(1_000)
    assert page.locator("#blind").is_visible()


def test_a_display_that_was_removed_asks_to_be_paired(
    gateway: Gateway, context: BrowserContext
) -> None:
    page = pair(gateway, context)
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    gateway.site.displays.remove(gateway.site.displays.all()[0].id)
    expect(page.get_by_role("heading", name="Anzeige koppeln")).to_be_visible()


def test_while_control_is_away_it_is_blind(gateway: Gateway, context: BrowserContext) -> None:
    page = pair(gateway, context)
    expect(page.get_by_text("Kein Notruf")).to_be_visible()
    gateway.control.close()
    until(lambda: not gateway.site.control.connected)
    expect(page.get_by_role("heading", name="Keine Verbindung")).to_be_visible()
