"""Opening a door in two taps, with JavaScript and without."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Gateway, Open

pytestmark = pytest.mark.page


def test_two_taps_open_and_then_the_page_says_what_the_leaf_did(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", role="staff")
    button = page.locator("[data-open=front] button")
    button.click()
    expect(button).to_contain_text("Jetzt öffnen")
    expect(button).to_be_focused()
    expect(page.locator("#answer-front")).to_contain_text("Noch einmal tippen")
    assert gateway.control.commands == []
    button.click()
    expect(page.locator("#answer-front")).to_have_text("Die Tür ist offen (nach 0,2 s).")
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    assert [command.door for command in gateway.control.commands] == ["front"]


def test_two_taps_open_without_javascript(gateway: Gateway, visit: Open) -> None:
    page = visit("/", role="staff", java_script_enabled=False)
    page.locator("[data-open=front] button").click()
    expect(page.locator("[data-open=front] button")).to_contain_text("Jetzt öffnen")
    page.locator("[data-open=front] button").click()
    expect(page.locator("#answer-front")).to_contain_text("Die Tür ist offen")
    assert [command.door for command in gateway.control.commands] == ["front"]


def test_a_leaf_that_stays_closed_is_said(gateway: Gateway, visit: Open) -> None:
    gateway.control.opens_after_s = None
    page = visit("/", role="staff")
    page.locator("[data-open=front] button").click()
    page.locator("[data-open=front] button").click()
    expect(page.locator("#answer-front")).to_contain_text("nicht aufgegangen")


def test_the_armed_button_goes_back_by_itself(gateway: Gateway, visit: Open) -> None:
    gateway.users.set_preferences(gateway.users.by_name("staff").id, "de", 5)
    page = visit("/", role="staff")
    page.clock.install()
    page.reload()
    button = page.locator("[data-open=front] button")
    button.click()
    expect(button).to_contain_text("Jetzt öffnen")
    page.clock.fast_forward(5100)
    expect(button).to_contain_text("Tür öffnen")
    assert gateway.control.commands == []
