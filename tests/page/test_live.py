"""Live values, a lost connection that heals, and one stream for many tabs."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from gateway.web.live import streams as live
from tests.page.conftest import Gateway, Open, is_live, until
from tests.page.test_calls import SAID

pytestmark = pytest.mark.page


def test_values_change_without_reloading(gateway: Gateway, visit: Open) -> None:
    page = visit("/")
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open", leaf="open"))
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    gateway.control.raise_alarm("front", "left_open", "fault")
    expect(page.locator("#alarms")).to_contain_text("Haupteingang steht offen")
    expect(page.locator("nav .count")).to_have_text("1")
    page.get_by_role("button", name="Als gesehen markieren").click()
    expect(page.locator("#alarms")).to_contain_text("gesehen von admin")
    expect(page.get_by_role("button", name="Als gesehen markieren")).to_have_count(0)


def test_night_asks_for_a_reason_where_it_stands(gateway: Gateway, visit: Open) -> None:
    page = visit("/", role="staff")
    reason = page.locator("#reason-front")
    expect(reason).to_be_hidden()
    page.get_by_text("Betriebsart ändern").first.click()
    page.locator("#mode-front").select_option("night")
    page.locator("#for-front").select_option("2h")
    page.get_by_role("button", name="Betriebsart setzen").first.click()
    expect(page.locator("#door-front")).to_contain_text("Nacht")
    expect(reason).to_be_visible()
    page.locator("#open-front").click()
    page.locator("#open-front").click()
    expect(page.locator("#answer-front")).to_contain_text("Grund eintragen")
    reason.fill("Lieferung")
    page.locator("#open-front").click()
    expect(page.locator("#answer-front")).to_contain_text("Offen nach")
    assert gateway.control.commands[-1].reason == "Lieferung"


def test_a_refusal_says_why_and_the_button_says_that_it_cannot(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", role="staff")
    can = {"staff": {"ok": False, "reason": "mode_off", "needs_reason": False}}
    gateway.control.change(lambda s: s["doors"]["front"].update(mode="off", can_open=can))
    button = page.locator("#open-front")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#why-front")).to_contain_text("Die Betriebsart ist Aus")
    button.click(force=True)
    button.click(force=True)
    assert gateway.control.commands == []


TICKS = ".guarantees li.yes"


def test_a_lost_gateway_is_said_and_heals(gateway: Gateway, visit: Open) -> None:
    page = visit("/", quiet=False)
    expect(page.locator("#door-front .state")).to_be_visible()
    is_live(page)
    gateway.stop_serving()
    expect(page.locator("#lost")).to_contain_text("Keine Verbindung zum Gateway seit")
    expect(page.locator("#open-front")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(TICKS)).to_have_count(0)
    expect(page.locator(".guarantees li.unknown")).to_have_count(4)
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    gateway.serve()
    expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    expect(page.locator(TICKS)).to_have_count(4)
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    expect(page.locator("#open-front")).not_to_have_attribute("aria-disabled", "true")


class Tap:
    """A TCP connection that can freeze: everything stays open and nothing comes any more."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self.running = threading.Event()
        self.running.set()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65_536):
                self.running.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Everything that is open breaks off, and nobody is there any more."""
        self.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.running.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


SHOWN = """
    window.shown = 0;
    new MutationObserver(() => { window.shown ||= Date.now(); })
        .observe(document.getElementById("lost"), { attributeFilter: ["hidden"] });
"""


def shown_after_s(page: Page, since: float) -> float:
    """When the page said that it is lost, by its own clock, after ``since`` (seconds of 1970)."""
    expect(page.locator("#lost")).to_be_visible()
    return float(page.evaluate("window.shown")) / 1000 - since


@pytest.fixture
def tapped(gateway: Gateway) -> Iterator[Tap]:
    tap = Tap(gateway.port)
    gateway.url = f"http://127.0.0.1:{tap.port}"
    yield tap
    tap.close()


def test_a_frozen_connection_is_said_within_twelve_seconds_and_heals(
    tapped: Tap, visit: Open
) -> None:
    page = visit("/", quiet=False)
    is_live(page)
    page.evaluate(SHOWN)
    since = time.time()
    tapped.running.clear()
    assert shown_after_s(page, since) <= 12
    tapped.running.set()
    expect(page.locator("#lost")).to_be_hidden(timeout=60_000)


def test_a_cut_connection_is_said_within_three_seconds(tapped: Tap, visit: Open) -> None:
    page = visit("/", quiet=False)
    is_live(page)
    page.evaluate(SHOWN)
    since = time.time()
    tapped.cut()
    assert shown_after_s(page, since) <= 3


def test_a_reader_that_reads_nothing_is_dropped_and_nobody_else_notices(
    gateway: Gateway, visit: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through real sockets: what it does not take stays with it, then its connection ends."""
    monkeypatch.setattr(live, "BEAT_S", 0.1)
    monkeypatch.setattr(live, "STUCK_S", 1.0)
    page = visit("/")
    is_live(page)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", gateway.port))
    slow.sendall(
        b"GET /api/v1/live?view=page HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Cookie: portier-session=%b\r\n\r\n" % (gateway.port, gateway.session().encode())
    )
    hub = gateway.site.hub
    until(lambda: len(hub.clients) == 2)
    frame = b": %b\n\n" % (b"x" * 100_000)
    loop = gateway.server.servers[0].get_loop()

    def flood() -> bool:
        for channel in list(hub._channels.values()):
            loop.call_soon_threadsafe(channel.put, frame)
        return len(hub.clients) == 1

    until(flood)
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    expect(page.locator("#lost")).to_be_hidden()
    slow.close()


def test_a_restart_while_a_call_stands_does_not_announce_it_again(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", quiet=False)
    is_live(page)
    page.evaluate(SAID)
    gateway.control.call()
    expect(page.locator(".call.raised")).to_be_visible()
    gateway.stop_serving()
    expect(page.locator("#lost")).to_be_visible()
    gateway.serve()
    expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    assert page.evaluate("window.said.length") == 1


def test_a_lost_controller_is_said_and_heals(gateway: Gateway, visit: Open) -> None:
    page = visit("/")
    expect(page.locator(TICKS)).to_have_count(4)
    gateway.control.away()
    expect(page.locator(".banner p").first).to_contain_text("Die Steuerung antwortet nicht seit")
    expect(page.locator("#open-front")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(TICKS)).to_have_count(0)
    expect(page.locator(".guarantees li.unknown")).to_have_count(4)
    gateway.control.back()
    expect(page.locator(TICKS)).to_have_count(4)
    expect(page.locator("#open-front")).not_to_have_attribute("aria-disabled", "true")


def test_ten_tabs_share_one_stream_hand_it_over_and_the_tenth_opens_the_door(
    gateway: Gateway, visit: Open
) -> None:
    first = visit("/")
    tabs: list[Page] = [first]
    for _ in range(9):
        tab = first.context.new_page()
        tab.goto(gateway.url)
        tabs.append(tab)
    until(lambda: len(gateway.site.hub.clients) == 1)
    first.close()
    until(lambda: len(gateway.site.hub.clients) == 1)
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    for tab in tabs[1:]:
        expect(tab.locator("#door-front .state")).to_contain_text("Offen")
    assert len(gateway.site.hub.clients) == 1
    button = tabs[-1].locator("#open-front")
    button.click()
    button.click()
    expect(tabs[-1].locator("#answer-front")).to_contain_text("Offen nach")


def test_logging_out_in_one_tab_ends_the_others(gateway: Gateway, visit: Open) -> None:
    page = visit("/", quiet=False)
    other = page.context.new_page()
    other.goto(gateway.url)
    other.locator(".menu summary").click()
    other.get_by_role("button", name="Abmelden").click()
    expect(page.locator("#password")).to_be_visible(timeout=60_000)


def test_events_follow_live(gateway: Gateway, visit: Open) -> None:
    page = visit("/events?kind=door_opened")
    expect(page.locator("#logbook")).to_contain_text("keinen Eintrag")
    is_live(page)
    gateway.control.fact("door_opened", "front", cause="hand", assumed=False)
    expect(page.locator("#logbook li").first).to_contain_text("Haupteingang")
    expect(page.locator("#logbook ol > li")).to_have_count(1)


def test_history_is_a_chart_with_a_summary_and_a_table(gateway: Gateway, visit: Open) -> None:
    for value in (20.5, 21.5, 22.5):
        gateway.control.fact("reading", "wc.climate", quantity="temperature_c", value=value)
    until(lambda: "22,5" in visit("/events?kind=everything").content())
    page = visit("/history?points=wc.climate")
    chart = page.get_by_role("img", name=re.compile("3 Werte, kleinster 20,5, größter 22,5"))
    expect(chart.locator("canvas")).to_be_visible()
    expect(page.locator(".scroll table")).to_contain_text("22,5")
    page.locator("#tables summary").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV für Excel").click()
    text = download.value.path().read_text("utf-8")
    assert text.startswith("\ufeff")
    assert "22,5" in text


def test_everything_works_by_keyboard_alone(gateway: Gateway, visit: Open) -> None:
    page = visit("/", role="staff")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.id") != "open-front":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#answer-front")).to_contain_text("Offen nach")


def weight(gateway: Gateway, visit: Open, path: str) -> int:
    """Bytes that came over the network for a page and everything it loads, without data."""
    page = visit("/health/live", quiet=False)
    loaded: list[Request] = []
    page.on("requestfinished", lambda request: loaded.append(request))  # noqa: PLW0108  # Playwright takes no built-in method
    page.goto(gateway.url + path)
    is_live(page)
    kinds = {"document", "stylesheet", "script", "image", "font"}
    return sum(r.sizes()["responseBodySize"] for r in loaded if r.resource_type in kinds)


def test_the_pages_stay_light(gateway: Gateway, visit: Open) -> None:
    assert 5_000 < weight(gateway, visit, "/") <= 25_000
    assert 5_000 < weight(gateway, visit, "/history") <= 60_000
