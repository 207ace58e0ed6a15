"""Manuals and signs in a real browser: their pictures load, and each sign is a sheet of its own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from gateway.web.help.manuals import NAMES
from tests.page.conftest import Gateway, Open
from tests.page.test_states import barriers, overflow

pytestmark = pytest.mark.page


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
@pytest.mark.parametrize("name", NAMES)
def test_a_manual_is_readable_on_a_phone(visit: Open, name: str, locale: str) -> None:
    page = visit(f"/help/{name}", "view", locale=locale, viewport={"width": 360, "height": 740})
    for picture in page.locator(".manual img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("(one) => one.naturalWidth") > 300
    assert overflow(page) <= 0
    assert barriers(page) == []


def test_the_page_of_the_certificate_needs_no_log_in(browser: Browser, gateway: Gateway) -> None:
    """Whoever is warned by the browser must not be asked for a password first."""
    page = browser.new_page(locale="de-DE", viewport={"width": 360, "height": 740})
    page.goto(f"{gateway.url}/help/certificate")
    expect(page.locator("h1")).to_have_text("Damit Telefone dieser Seite vertrauen")
    expect(page.get_by_text("Hier ist nichts zu tun")).to_be_visible()
    assert overflow(page) <= 0
    assert barriers(page) == []
    page.close()


def test_on_paper_there_are_only_the_signs(visit: Open) -> None:
    page = visit("/help/signs", "view", viewport={"width": 1280, "height": 900})
    page.emulate_media(media="print")
    expect(page.locator(".sign")).to_have_count(3)
    for other in (".rail", ".top", "footer"):
        expect(page.locator(other)).to_be_hidden()
