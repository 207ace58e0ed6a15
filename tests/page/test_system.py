"""The system status over time in a browser: what a bar says, and that it follows what changes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Gateway, Open, is_live
from tests.page.fake import guarantee, now_ms

pytestmark = pytest.mark.page


def test_a_bar_says_its_day_beside_the_pointer(gateway: Gateway, visit: Open) -> None:
    page = visit("/system")
    tip = page.locator("#tip")
    expect(tip).to_be_hidden()
    page.locator("#status-journal .bars g").last.hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("nicht bekannt")
    page.get_by_role("heading", name="Funktionsstatus").hover()
    expect(tip).to_be_hidden()


def test_what_breaks_is_shown_at_once_and_what_is_open_stays_open(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/system")
    is_live(page)
    page.locator("#status-clock summary").first.click()
    broken = guarantee(now_ms(), "no", "journal_full")
    gateway.control.change(lambda s: s["guarantees"].update(journal=broken))
    expect(page.locator("#status-journal")).to_have_class(re.compile("is-bad"))
    expect(page.locator("#status-journal summary").first).to_contain_text("Der Speicher ist voll")
    expect(page.locator("#status-clock > details")).to_have_attribute("open", "")


def test_everything_is_there_as_text_without_a_script(gateway: Gateway, visit: Open) -> None:
    page = visit("/", java_script_enabled=False)
    page.locator("details:has(a[href='/system']) > summary").click()
    page.locator("a[href='/system']").first.click()
    page.locator("#status-journal summary").first.click()
    expect(page.locator("#status-journal")).to_contain_text("Was geschieht, wird gespeichert.")
    expect(page.get_by_role("img", name=re.compile("^Die Uhr stimmt"))).to_be_visible()
