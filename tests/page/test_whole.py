"""Everything real: ``portier run`` on the bench, a browser on a phone, an MQTT subscriber."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from playwright.sync_api import Browser, Page, expect

from tests.process.parts import ROOT, House, Process, alive, children, until
from tests.process.parts_mqtt import free_port

pytestmark = pytest.mark.page
OWN_PASSWORD = "correct horse battery"


class Whole:
    """The bench building, started as people start it."""

    def __init__(self, state: Path) -> None:
        self.port = free_port()
        self.house = House(ROOT / "config" / "bench.yaml", state, {"PORT": str(self.port)})
        self.process = self.house.run()
        until(lambda: self.process.said("Ready after") and self.process.said("First log-in"))
        self.password = self.said(r"user admin, password (\S+)")
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self, pattern: str) -> str:
        found = re.search(pattern, "\n".join(self.process.lines))
        assert found is not None, self.process.lines
        return found[1]

    def log_in(self, page: Page, *, tap: bool = False) -> None:
        """As the first admin; by mouse, or ``tap`` with a finger. The first time with the first
        password, and then the page wants another."""
        page.goto(self.url)
        page.locator("#name").fill("admin")
        page.locator("#password").fill(self.password)
        button = page.get_by_role("button", name="Anmelden")
        button.tap() if tap else button.click()
        if self.password != OWN_PASSWORD:
            page.locator("#new").fill(OWN_PASSWORD)
            page.locator("#again").fill(OWN_PASSWORD)
            button = page.get_by_role("button", name="Kennwort speichern")
            button.tap() if tap else button.click()
            page.wait_for_url(self.url + "/")
            self.password = OWN_PASSWORD
        expect(page.locator("#door-front")).to_contain_text("Geschlossen")

    def portier(self, *arguments: str) -> list[str]:
        """Another command of the command line, to its end; what it says."""
        process: Process = self.house.portier(*arguments, "--state", str(self.house.state))
        assert process.wait() == 0, process.lines
        return process.lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    made = Whole(tmp_path_factory.mktemp("whole"))
    yield made
    made.house.end()


@pytest.fixture(scope="module")
def heard(whole: Whole) -> Iterator[list[str]]:
    """The topics of all events, as somebody else on the broker hears them."""
    topics: list[str] = []
    joined: list[bool] = []

    def message(client: Client, userdata: None, message: MQTTMessage) -> None:
        topics.append(message.topic)

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = message
    client.on_subscribe = lambda *_: joined.append(True)
    client.connect("127.0.0.1", int(whole.said(r"127\.0\.0\.1:(\d+) \(MQTT 5\)")))
    client.subscribe("portier/csg-office/event/#", qos=1)
    client.loop_start()
    until(lambda: joined)
    yield topics
    client.disconnect()
    client.loop_stop()


@pytest.fixture(scope="module")
def phone(browser: Browser, whole: Whole) -> Iterator[Page]:
    with logged_in(browser, whole) as page:
        yield page


@contextmanager
def logged_in(browser: Browser, whole: Whole) -> Iterator[Page]:
    """Somebody who logged in with a phone, for the first time in this building."""
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, locale="de-DE", has_touch=True
    )
    page = context.new_page()
    whole.log_in(page, tap=True)
    yield page
    context.close()


def closed(page: Page) -> None:
    """The leaf of the bench closes by itself after a few seconds."""
    expect(page.locator("#door-front .state")).to_contain_text("Geschlossen", timeout=60_000)


def test_two_taps_on_a_phone_open_the_door_and_the_leaf_answers(
    whole: Whole, phone: Page, heard: list[str]
) -> None:
    closed(phone)
    button = phone.locator("[data-open=front] button")
    button.tap()
    expect(button).to_contain_text("Jetzt öffnen")
    button.tap()
    expect(phone.locator("#answer-front")).to_contain_text("Offen nach")
    expect(phone.locator("#door-front .state")).to_contain_text("Offen")
    event = "portier/csg-office/event"
    until(lambda: {f"{event}/door_request/front", f"{event}/door_opened/front"} <= set(heard))
    assert heard.index(f"{event}/door_request/front") < heard.index(f"{event}/door_opened/front")


def test_a_press_at_the_door_is_seen_live(whole: Whole, phone: Page, heard: list[str]) -> None:
    closed(phone)
    heard.clear()
    whole.portier("bench", "press", "front.button_outside")
    expect(phone.locator("#door-front .state")).to_contain_text("Offen")
    expect(phone.locator("#door-front")).to_contain_text("Taster")
    until(lambda: "portier/csg-office/event/door_opened/front" in heard)


def test_the_command_line_says_what_the_page_shows(whole: Whole, phone: Page) -> None:
    told = json.loads("".join(whole.portier("status", "--json")))
    assert told["doors"]["front"]["name"] == "Haupteingang"
    assert told["guarantees"]["door_by_button"]["value"] == "yes"
    shown = phone.locator("[data-part=guarantees] li.yes").count()
    assert shown == sum(one["value"] == "yes" for one in told["guarantees"].values())


def test_ctrl_c_stops_everything(browser: Browser, tmp_path: Path) -> None:
    """With the page open: its live stream must not hold up the stop."""
    whole = Whole(tmp_path)
    try:
        with logged_in(browser, whole):
            until(lambda: len(children(whole.process.pid)) == 5, what="broker and four roles")
            pids = [whole.process.pid, *children(whole.process.pid)]
            os.kill(whole.process.pid, signal.SIGINT)
            assert whole.process.wait() == 0
            assert not [pid for pid in pids if alive(pid)]
    finally:
        whole.house.end()
