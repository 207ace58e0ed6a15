"""The page as an app: what Chromium says of its manifest, and what it shows without a gateway."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Gateway, Open

pytestmark = pytest.mark.page
READY = "navigator.serviceWorker.ready.then(() => true)"
CONTROLLED = """async () => {
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
        await new Promise((done) => {
            navigator.serviceWorker.addEventListener("controllerchange", done);
        });
}"""


def test_chromium_can_install_it(gateway: Gateway, visit: Open) -> None:
    page = visit()
    assert page.evaluate(READY)
    session = page.context.new_cdp_session(page)
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} <= {"in-incognito"}  # every context here is one
    told = session.send("Page.getAppManifest")
    assert told["errors"] == []
    assert '"name":"Testhaus"' in told["data"]


def test_without_the_gateway_there_is_a_notice_and_no_state(gateway: Gateway, visit: Open) -> None:
    page = visit(quiet=False)
    page.evaluate(CONTROLLED)
    stored = page.evaluate(
        """async () => {
            const found = [];
            for (const name of await caches.keys())
                for (const one of await (await caches.open(name)).keys())
                    found.push(new URL(one.url).pathname);
            return found.sort();
        }"""
    )
    assert stored == ["/offline", "/static/offline.css", "/static/offline.js"]
    gateway.stop_serving()
    page.goto(gateway.url + "/alarms")
    expect(page.get_by_role("heading", name="Keine Verbindung")).to_be_visible()
    expect(page.get_by_text("Haupteingang")).to_have_count(0)
    gateway.serve()
    expect(page.get_by_role("heading", name="Meldungen", exact=True).first).to_be_attached()
    assert page.url.endswith("/alarms")


def test_the_notice_without_a_gateway_has_its_stylesheet(gateway: Gateway, visit: Open) -> None:
    page = visit(quiet=False)
    page.evaluate(CONTROLLED)
    gateway.stop_serving()
    page.goto(gateway.url + "/")
    colour = "getComputedStyle(document.querySelector('.again')).backgroundColor"
    assert page.evaluate(colour) == "rgb(23, 95, 176)"
    gateway.serve()


def test_icons_are_made_of_the_drawing() -> None:
    from gateway.web.shared.render import STATIC
    from tests.page.icons import FILES, drawing

    assert {path.stem for path in (STATIC / "icons").iterdir()} == set(FILES)
    assert 'fill="#0b4f6c"' in drawing("full")
    assert "<rect" not in drawing("badge")
