"""Opening a door in two taps, with JavaScript and without."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Gateway, Open
from tests.page.fake import now_ms

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
    expect(page.locator("#answer-front")).to_have_text("Offen nach 0,2\u202fs.")
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    assert [command.door for command in gateway.control.commands] == ["front"]


def test_two_taps_open_without_javascript(gateway: Gateway, visit: Open) -> None:
    page = visit("/", role="staff", java_script_enabled=False)
    page.locator("[data-open=front] button").click()
    expect(page.locator("[data-open=front] button")).to_contain_text("Jetzt öffnen")
    page.locator("[data-open=front] button").click()
    expect(page.locator("#answer-front")).to_contain_text("Offen nach")
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


def leaf(gateway: Gateway, state: str, **more: object) -> None:
    """The leaf of the front door moves, whoever moved it."""
    seen = {"closed": "closed", "open": "open"}.get(state, "unknown")
    gateway.control.change(
        lambda s: s["doors"]["front"].update(state=state, leaf=seen, since_ms=now_ms(), **more)
    )


def press_twice(page: Page) -> None:
    page.locator("[data-open=front] button").click()
    expect(page.locator("[data-open=front] button")).to_have_class("act armed")
    page.locator("[data-open=front] button").click()


ANSWERS = {
    "de": ("Offen nach 0,2\u202fs.", "Offen nach 0,2\u202fs. Wieder zu"),
    "en": ("Open after 0.2\u202fs.", "Opened after 0.2\u202fs. Closed again"),
}


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("script", [True, False])
def test_the_answer_to_a_press_follows_the_leaf(
    gateway: Gateway, visit: Open, language: str, script: bool
) -> None:
    """It said that the door is open for as long as nobody asked anew."""
    gateway.users.set_preferences(gateway.users.by_name("staff").id, language, 15)
    is_open, was_open = ANSWERS[language]
    page = visit("/", role="staff", java_script_enabled=script)
    press_twice(page)
    answer = page.locator("#answer-front")
    expect(answer).to_have_text(is_open, timeout=30_000)
    leaf(gateway, "closed")
    expect(answer).to_contain_text(was_open, timeout=30_000)
    expect(answer).not_to_have_text(is_open)
    if script:
        leaf(gateway, "open")  # by somebody else, later: nothing of ours to say
        expect(answer).not_to_contain_text("0")


def test_no_other_answer_stays_beside_a_door_that_has_changed(
    gateway: Gateway, visit: Open
) -> None:
    """An extension, a refusal, an armed button: each was said of a door that was so then."""
    page = visit("/", role="staff", quiet=False)  # the browser names each refusal
    button, answer = page.locator("[data-open=front] button"), page.locator("#answer-front")
    leaf(gateway, "open")
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    gateway.control.outcome = "extended"
    press_twice(page)
    expect(answer).to_contain_text("verlängert")
    leaf(gateway, "closed")
    expect(answer).to_be_empty()

    gateway.control.outcome = "refused"
    press_twice(page)
    expect(answer).not_to_be_empty()
    expect(answer).to_have_class("answer bad")
    leaf(gateway, "opening")
    expect(answer).to_be_empty()
    leaf(gateway, "closed")

    expect(page.locator("#door-front .state")).to_contain_text("Geschlossen")
    button.click()
    expect(answer).to_contain_text("Noch einmal tippen")
    off = {"staff": {"ok": False, "reason": "mode_off", "needs_reason": False}}
    leaf(gateway, "closed", mode="off", can_open=off)
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(answer).to_be_empty()


def test_a_door_that_did_not_open_and_is_open_now_is_not_said_to_be_closed(
    gateway: Gateway, visit: Open
) -> None:
    gateway.control.opens_after_s = None
    page = visit("/", role="staff")
    press_twice(page)
    expect(page.locator("#answer-front")).to_contain_text("nicht aufgegangen")
    leaf(gateway, "open")
    expect(page.locator("#answer-front")).to_be_empty()
