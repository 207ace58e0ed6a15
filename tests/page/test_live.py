"""Live values, a lost connection that heals, and one stream for many tabs."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Gateway, Open, is_live, until

pytestmark = pytest.mark.page
STATIC = Path(__file__).parents[2] / "gateway" / "web" / "static"


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
    expect(page.locator("#answer-front")).to_contain_text("Die Tür ist offen")
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


def test_a_lost_gateway_is_said_and_heals(gateway: Gateway, visit: Open) -> None:
    page = visit("/", quiet=False)
    expect(page.locator("#door-front .state")).to_be_visible()
    is_live(page)
    gateway.stop_serving()
    expect(page.locator("#lost")).to_contain_text("Keine Verbindung zum Gateway seit")
    expect(page.locator("#open-front")).to_have_attribute("aria-disabled", "true")
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    gateway.serve()
    expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    expect(page.locator("#open-front")).not_to_have_attribute("aria-disabled", "true")


class Tap:
    """A TCP connection that can freeze: everything stays open and nothing comes any more."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self.running = threading.Event()
        self.running.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65_536):
                self.running.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.running.set()
        self._listener.close()


def test_a_frozen_connection_is_said_and_heals(gateway: Gateway, visit: Open) -> None:
    tap = Tap(gateway.port)
    gateway.url = f"http://127.0.0.1:{tap.port}"
    page = visit("/", quiet=False)
    is_live(page)
    tap.running.clear()
    expect(page.locator("#lost")).to_be_visible()
    tap.running.set()
    expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    tap.close()


def test_a_lost_controller_is_said_and_heals(gateway: Gateway, visit: Open) -> None:
    page = visit("/")
    gateway.control.away()
    expect(page.locator(".banner p").first).to_contain_text("Die Steuerung antwortet nicht seit")
    expect(page.locator("#open-front")).to_have_attribute("aria-disabled", "true")
    gateway.control.back()
    expect(page.locator("#open-front")).not_to_have_attribute("aria-disabled", "true")


def test_ten_tabs_share_one_stream_and_hand_it_over(gateway: Gateway, visit: Open) -> None:
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


def test_logging_out_in_one_tab_ends_the_others(gateway: Gateway, visit: Open) -> None:
    page = visit("/", quiet=False)
    other = page.context.new_page()
    other.goto(gateway.url)
    other.locator(".menu summary").click()
    other.get_by_role("button", name="Abmelden").click()
    expect(page.locator("#password")).to_be_visible(timeout=60_000)


def test_events_follow_live(gateway: Gateway, visit: Open) -> None:
    page = visit("/events?kind=door_opened")
    page.locator("#follow").check()
    page.wait_for_url("**follow=1*")
    expect(page.locator("#events")).to_contain_text("Keine Ereignisse")
    is_live(page)
    gateway.control.fact("door_opened", "front", cause="hand", assumed=False)
    expect(page.locator("#events tr").first).to_contain_text("Haupteingang")
    expect(page.locator("#events tr")).to_have_count(1)


def test_history_is_a_chart_with_a_summary_and_a_table(gateway: Gateway, visit: Open) -> None:
    for value in (20.5, 21.5, 22.5):
        gateway.control.fact("reading", "wc.climate", quantity="temperature_c", value=value)
    until(lambda: "22,5" in visit("/events?kind=all").content())
    page = visit("/history?points=wc.climate")
    chart = page.get_by_role("img", name=re.compile("3 Werte, kleinster 20,5, größter 22,5"))
    expect(chart.locator("canvas")).to_be_visible()
    expect(page.locator(".scroll table")).to_contain_text("22,5")
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
    expect(page.locator("#answer-front")).to_contain_text("Die Tür ist offen")


def weight(gateway: Gateway, path: str) -> int:
    """Gzipped bytes of a page and everything it loads."""

    def get(address: str) -> bytes:
        cookie = {"Cookie": f"portier-session={gateway.session()}"}
        request = urllib.request.Request(gateway.url + address, headers=cookie)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    html = get(path)
    files = set(re.findall(rb'(?:src|href)="(/static/[^"]+)"', html))
    bodies = [html] + [get(address.decode()) for address in files]
    for name in ("live.js", "door.js"):
        bodies.append((STATIC / name).read_bytes())
    return sum(len(gzip.compress(body, 6)) for body in bodies)


def test_the_pages_stay_light(gateway: Gateway) -> None:
    assert weight(gateway, "/") <= 25_000
    assert weight(gateway, "/history") <= 60_000
