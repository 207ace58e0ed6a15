"""Events: found by words, followed without a loss, and led from to the history around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from gateway.journal.past.reader import Reader
from gateway.web.scene.terminals import Terminals
from tests.page.conftest import Gateway, Open, is_live, until

pytestmark = pytest.mark.page
SERVED = {
    "front.leaf": ("Haupteingang", "leaf"),
    "front.activation": ("Haupteingang", "activation"),
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path, terminals=Terminals(SERVED, owners=dict.fromkeys(SERVED, ("front",))))
    yield made
    made.close()


def opened(gateway: Gateway, door: str = "front") -> None:
    """A door opens, and the journal has it."""
    before = heads(gateway)
    gateway.control.fact("door_opened", door, cause="hand", assumed=False)
    until(lambda: heads(gateway) > before)


def heads(gateway: Gateway) -> int:
    reader = Reader(gateway.options.journal)
    try:
        return reader.head_row()
    finally:
        reader.close()


def held(page: Page, kind: str) -> list[Route]:
    """Requests of this kind wait here until the test lets them go."""
    waiting: list[Route] = []
    page.route(kind, lambda route: waiting.append(route))  # noqa: PLW0108  # it marks a function
    return waiting


def let_go(page: Page, waiting: list[Route]) -> None:
    until(lambda: bool(page.evaluate("1") and waiting))
    for route in waiting:
        route.continue_()


def test_what_happens_before_the_stream_begins_is_not_lost(gateway: Gateway, visit: Open) -> None:
    page = visit("/alarms")
    waiting = held(page, "**/api/v1/live**")
    with page.expect_request("**/api/v1/live**"):
        page.goto(gateway.url + "/events?kind=door_opened&follow=1")
    expect(page.locator("#events")).to_contain_text("Keine Ereignisse")
    opened(gateway)
    opened(gateway, "wc")
    let_go(page, waiting)
    expect(page.locator("#events tr")).to_have_count(2)
    expect(page.locator("#events tr").first).to_contain_text("WC barrierefrei")
    opened(gateway)
    expect(page.locator("#events tr")).to_have_count(3)


def test_what_happens_while_another_tab_takes_over_the_stream_is_not_lost(
    gateway: Gateway, visit: Open
) -> None:
    leader = visit("/")
    is_live(leader)
    page = leader.context.new_page()
    page.goto(gateway.url + "/events?kind=door_opened&follow=1")
    expect(page.locator("#followed")).to_be_visible()
    waiting = held(page, "**/api/v1/live**")
    with page.expect_request("**/api/v1/live**"):
        leader.close()
    opened(gateway)
    let_go(page, waiting)
    expect(page.locator("#events tr:not(.none)")).to_have_count(1)


def test_nothing_is_told_twice_and_in_order(gateway: Gateway, visit: Open) -> None:
    page = visit("/events?kind=door_opened&follow=1")
    expect(page.locator("#followed")).to_be_visible()
    for number in range(30):
        gateway.control.fact("door_opened", "front", cause=f"c{number}", assumed=False)
    expect(page.locator("#events tr")).to_have_count(30)
    expect(page.locator("#events tr").last).to_contain_text("c0")
    said = [re.search(r"c(\d+)", text) for text in page.locator("#events tr").all_inner_texts()]
    assert [int(found[1]) for found in said if found] == list(range(29, -1, -1))


def test_following_shows_only_what_is_searched_for(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    page = visit("/events?q=wc+GING+auf")
    expect(page.locator("#events")).to_contain_text("Keine Ereignisse")
    page.locator("#follow").check()
    expect(page).to_have_url(re.compile("follow=1"))
    expect(page.locator("#followed")).to_be_visible()
    opened(gateway)
    opened(gateway, "wc")
    expect(page.locator("#events tr:not(.none)")).to_have_count(1)
    expect(page.locator("#events tr")).to_contain_text("WC barrierefrei")
    page.locator("#follow").uncheck()
    expect(page).not_to_have_url(re.compile("follow"))


def test_events_are_found_without_a_script(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    opened(gateway, "wc")
    page = visit("/events", java_script_enabled=False)
    expect(page.locator("#follow")).to_be_hidden()
    page.get_by_label("Suche nach Worten").fill("haupteingang ging")
    page.get_by_role("button", name="Anzeigen").click()
    expect(page.locator("#events tr")).to_have_count(1)
    page.get_by_label("Suche nach Worten").fill("")
    page.get_by_text("Ort und Zeit eingrenzen").click()
    page.get_by_label("Wo", exact=True).select_option(label="WC barrierefrei")
    page.get_by_role("button", name="Anzeigen").click()
    expect(page.locator("#events tr")).to_have_count(1)
    expect(page.locator("#events tr")).to_contain_text("WC barrierefrei")


def test_an_event_leads_to_the_history_around_it(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    page = visit("/events?kind=door_opened", role="maintenance")
    page.get_by_role("link", name=re.compile(r"Verlauf um .*: Haupteingang")).click()
    expect(page.locator("#charts figcaption").nth(1)).to_contain_text("Haupteingang, Türkontakt")
    expect(page.locator(".marks button")).to_have_accessible_name(
        re.compile("Haupteingang: Tür ging auf")
    )
    assert "at=" in page.url


def test_who_may_not_see_the_history_is_not_led_there(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    page = visit("/events?follow=1", role="staff")
    expect(page.locator("#followed")).to_be_visible()
    opened(gateway)
    expect(page.locator("#events tr", has_text="Haupteingang")).to_have_count(2)
    expect(page.locator(".around")).to_have_count(0)


def test_the_life_of_an_alarm_says_who_and_when(gateway: Gateway, visit: Open) -> None:
    user = gateway.users.by_name("staff").id
    fact = gateway.control.fact
    fact("alarm_raised", "front/left_open", severity="fault", count=1)
    page = visit("/alarms")
    row = page.locator("#lives tbody tr")
    expect(row).to_contain_text("Haupteingang steht offen")
    expect(row).to_contain_text("steht noch an")
    fact("alarm_acknowledged", "front/left_open", by=f"web:{user}")
    expect(row).to_contain_text(re.compile(r"\d\d:\d\d:\d\d von staff"))
    fact("alarm_cleared", "front/left_open", active_ms=125_000)
    expect(row).to_contain_text("nach 2 min")
    fact("alarm_raised", "front/left_open", severity="fault", count=1)
    expect(row).to_have_count(2)
    row.first.get_by_role("link", name="Haupteingang steht offen").first.click()
    expect(page.locator("#events tr")).to_have_count(4)
