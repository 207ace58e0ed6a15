"""Push messages in Chromium: registering this browser, and a message that really arrives.

Chromium here has no push service: ``subscribe`` is answered by the test, as a push service would
answer it, and the message is put into the service worker where Chromium would put it. All between
is real: permission, registering, the question to ``notify``, the notification, and its click.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.notify import texts
from gateway.notify.texts import Sender
from gateway.panel.client import PanelClient
from gateway.push import keys
from tests.notify.push_service import Browser as Keys
from tests.notify.push_service import text_of
from tests.page.conftest import Gateway, until

pytestmark = pytest.mark.page
HOUSE = Sender("Testhaus", ("de",), "Europe/Berlin")
ADDRESS = "https://fcm.googleapis.com/fcm/send/here"
SUBSCRIBE = """
    PushManager.prototype.subscribe = async function (options) {
        const made = {
            endpoint: %s, options: { applicationServerKey: options.applicationServerKey },
            toJSON: () => ({ endpoint: %s, keys: { p256dh: %s, auth: %s } }),
            unsubscribe: async () => { localStorage.removeItem("made"); return true; },
        };
        localStorage.setItem("made", options.applicationServerKey.length);
        PushManager.prototype.getSubscription = async () => localStorage.getItem("made") && made;
        return made;
    };
"""


class Notify:
    """Stands in for the role: answers tests of devices as it is told to."""

    def __init__(self, state: Path) -> None:
        self.asked: list[str] = []
        self.reason = ""
        self.on_test: Callable[[], None] = lambda: None
        self.panel = PanelClient(state / "panel.sock", "notify", self.hear)
        self.panel.start()
        until(lambda: self.panel.connected)

    def hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "device_test":
            self.asked.append(str(message["device"]))
            told = {"type": "device_tested", "id": message["id"], "reason": self.reason}
            self.panel.send(told)


@pytest.fixture
def notify(gateway: Gateway) -> Iterator[Notify]:
    keys.make_key(gateway.options.state)
    made = Notify(gateway.options.state)
    yield made
    made.panel.close()


def enter(browser: Browser, gateway: Gateway, **options: Any) -> tuple[BrowserContext, Page]:
    context = browser.new_context(locale="de-DE", **options)
    context.grant_permissions(["notifications"], origin=gateway.url)
    context.add_cookies(
        [{"name": "portier-session", "value": gateway.session("staff"), "url": gateway.url}]
    )
    ours = Keys()
    values = (ADDRESS, ADDRESS, text_of(ours.public), text_of(ours.auth))
    context.add_init_script(SUBSCRIBE % tuple(json.dumps(value) for value in values))
    page = context.new_page()
    page.goto(gateway.url + "/account")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    return context, page


def deliver(context: BrowserContext, page: Page, gateway: Gateway, payload: str) -> None:
    """Put a message into the service worker, as the browser's push client does."""
    session = context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(one["registrationId"] for one in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    deadline = time.monotonic() + 30
    while not found and time.monotonic() < deadline:
        page.evaluate("1")
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": gateway.url, "registrationId": found[0], "data": payload},
    )


def shown(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.evaluate(
        """async () => (await (await navigator.serviceWorker.ready).getNotifications())
            .map(({ title, body, data }) => ({ title, body, path: data.path }))"""
    )
    return found


def test_this_browser_is_registered_tried_and_removed(
    browser: Browser, gateway: Gateway, notify: Notify
) -> None:
    context, page = enter(browser, gateway)
    page.get_by_role("button", name="Notrufe auf diesem Gerät empfangen").click()
    note = page.locator("#device-note")
    expect(note).to_contain_text("hat die Testnachricht angenommen")
    [device] = gateway.site.users.devices.all()
    assert device.endpoint == ADDRESS
    assert notify.asked == [device.id]
    row = page.locator(f'[data-device="{device.id}"]')
    expect(row).to_contain_text("dieses hier")
    expect(row).to_contain_text("über Google")
    deliver(context, page, gateway, texts.push(HOUSE, "test", {}))
    expect(note).to_have_text("Die Testnachricht ist auf diesem Gerät angekommen.")
    assert shown(page) == [
        {"title": "Testnachricht", "path": "/",
         "body": "So kommt ein Notruf auf diesem Gerät an. (Testhaus)"},
    ]  # fmt: skip
    notify.reason = "connection"
    row.get_by_role("button", name="Testnachricht senden").click()
    expect(note).to_have_text("Das hat nicht geklappt. Keine Verbindung zum Push-Dienst.")
    row.get_by_role("button", name="Entfernen").click()
    expect(page.get_by_text("Das Gerät ist entfernt.")).to_be_visible()
    assert gateway.site.users.devices.all() == []
    assert page.evaluate("localStorage.getItem('made')") is None
    context.close()


def test_a_call_is_shown_with_room_place_and_time(
    browser: Browser, gateway: Gateway, notify: Notify
) -> None:
    context, page = enter(browser, gateway)
    call = {"room": "WC EG", "raised_utc_ms": 1_714_557_600_000}
    payload = texts.push(HOUSE, "call", call, about="wc-1")
    deliver(context, page, gateway, payload)
    until(lambda: bool(shown(page)))
    assert shown(page) == [
        {"title": "Notruf: WC EG", "body": "Testhaus · 01.05., 12:00 Uhr", "path": "/"}
    ]
    again = texts.push(HOUSE, "call_again", call, about="wc-1")
    deliver(context, page, gateway, again)
    until(lambda: [one["title"] for one in shown(page)] == ["Notruf weiter offen: WC EG"])
    context.close()


def test_a_browser_that_may_show_nothing_says_so(
    browser: Browser, gateway: Gateway, notify: Notify
) -> None:
    context, page = enter(browser, gateway)
    context.clear_permissions()
    page.reload()
    page.get_by_role("button", name="Notrufe auf diesem Gerät empfangen").click()
    expect(page.locator("#device-note")).to_contain_text("erlaubt dieser Seite keine Mitteilungen")
    assert gateway.site.users.devices.all() == []
    context.close()
