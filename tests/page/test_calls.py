"""A call on the page: it comes first, is said once, rings until somebody reacts, and stays."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Gateway, Open
from tests.page.fake import quiet

pytestmark = pytest.mark.page
SAID = """
    window.said = [];
    new MutationObserver(() => {
        const text = document.getElementById("call-alert").textContent.trim();
        if (text) window.said.push(text);
    }).observe(document.getElementById("call-alert"), { childList: true, subtree: true });
"""


def first_thing(page: Page) -> str:
    """What stands highest in the page below its head."""
    return str(page.evaluate("document.querySelector('main section').className"))


def test_a_call_comes_first_is_said_once_and_stays_after_it_was_seen(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", "staff")
    expect(page.locator("#door-front")).to_be_visible()
    page.evaluate(SAID)
    gateway.control.call()
    call = page.locator(".call.raised")
    expect(call.locator("h2")).to_have_text("Notruf: Barrierefreies WC")
    assert first_thing(page).startswith("call raised")
    expect(page).to_have_title("(!) Notruf – Übersicht – Testhaus")
    gateway.control.change(lambda s: s["doors"]["front"].update(state="open"))
    expect(page.locator("#door-front .state")).to_contain_text("Offen")
    gateway.control.change(lambda s: s["rooms"]["bad"]["call"].update(pulls=2))
    expect(call).to_contain_text("2-mal gezogen")
    said = ["Notruf aus Barrierefreies WC. Bitte sofort hingehen."]
    assert page.evaluate("window.said") == said
    call.get_by_role("button", name="Ich gehe hin").click()
    expect(page.locator(".call.acknowledged")).to_contain_text("staff ist seit")
    expect(page).to_have_title("(!) Notruf – Übersicht – Testhaus")
    expect(page.locator("#door-front .act")).to_be_visible()
    gateway.control.change(lambda s: s["rooms"]["bad"].update(call=quiet()))
    expect(page.locator(".call")).to_have_count(0)
    expect(page.locator("#call-over")).to_have_text("Der Notruf ist beendet.")
    expect(page).to_have_title("Übersicht – Testhaus")


@pytest.mark.parametrize("width", [360, 1280])
def test_whoever_has_scrolled_is_led_to_the_call(gateway: Gateway, visit: Open, width: int) -> None:
    page = visit("/", "staff", viewport={"width": width, "height": 740})
    page.locator("footer").scroll_into_view_if_needed()
    gateway.control.call()
    bar, take = page.locator(".to-call"), page.get_by_role("button", name="Ich gehe hin")
    expect(bar).to_be_in_viewport()
    expect(bar).to_contain_text("Notruf: Barrierefreies WC")
    expect(take).not_to_be_in_viewport()
    bar.click()
    expect(take).to_be_in_viewport(ratio=1)
    expect(bar).to_be_hidden()
    page.locator("footer").scroll_into_view_if_needed()
    page.locator(".pill").click()
    expect(take).to_be_in_viewport(ratio=1)
    gateway.control.change(lambda s: s["rooms"]["bad"].update(call=quiet()))
    expect(bar).to_have_count(0)


def test_the_call_of_a_room_without_a_chain_says_that_nobody_gets_a_message(
    gateway: Gateway, visit: Open
) -> None:
    gateway.control.call(messages=[])
    page = visit("/", "staff")
    expect(page.locator(".call")).to_contain_text("Noch niemand.")
    expect(page.locator(".unreachable")).to_have_count(0)
    wrong = {"value": "no", "since_ms": 0, "reason": "no_contact", "subject": "bad"}
    gateway.control.change(lambda s: s["guarantees"].update(messages=wrong))
    expect(page.locator(".unreachable")).to_contain_text("Es geht keine Nachricht hinaus")


def test_a_call_rings_after_a_gesture_in_one_tab_until_it_was_seen(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", "staff")
    other = page.context.new_page()
    other.goto(gateway.url)
    gateway.control.call()
    for tab in (page, other):
        expect(tab.locator(".call.raised")).to_be_visible()
    ringing = page.locator("body.is-ringing")
    page.locator("h3").first.click()
    expect(ringing).to_have_count(1)
    other.bring_to_front()
    other.locator("h3").first.click()
    expect(other.locator("#ring")).to_be_hidden()
    assert other.locator("body.is-ringing").count() == 0
    page.close()
    expect(other.locator("body.is-ringing")).to_have_count(1)
    gateway.control.change(lambda s: s["rooms"]["bad"]["call"].update(state="attended"))
    expect(other.locator("body.is-ringing")).to_have_count(0)


def test_without_a_gesture_the_page_says_that_it_is_silent(gateway: Gateway, visit: Open) -> None:
    page = visit("/", "staff")
    gateway.control.call()
    expect(page.locator("#ring")).to_be_visible()
    expect(page.locator("#ring-note")).to_contain_text("nur, solange sie offen ist")
    page.locator("#ring").click()
    expect(page.locator("#ring")).to_be_hidden()
    expect(page.locator("body.is-ringing")).to_have_count(1)


def test_a_call_is_seen_and_a_door_opened_without_javascript(gateway: Gateway, visit: Open) -> None:
    gateway.control.call()
    page = visit("/", "staff", java_script_enabled=False)
    page.get_by_role("button", name="Ich gehe hin").click()
    expect(page.locator(".call.acknowledged")).to_be_visible()
    page.locator("#open-front").click()
    expect(page.locator("#open-front.armed")).to_be_visible()
