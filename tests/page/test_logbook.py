"""The logbook: found by words, followed without a loss or a jump, led from to the history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from gateway.journal.queries.reader import Reader
from gateway.web.presenter.terminals import Terminals
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


ENTRIES = "#logbook li[id^=entry-]"
TOP = "(item) => item.getBoundingClientRect().top"


def test_what_happens_before_the_stream_begins_is_not_lost(gateway: Gateway, visit: Open) -> None:
    page = visit("/alarms")
    waiting = held(page, "**/api/v1/live**")
    with page.expect_request("**/api/v1/live**"):
        page.goto(gateway.url + "/events?show=door")
    expect(page.locator("#logbook")).to_contain_text("keinen Eintrag")
    opened(gateway)
    opened(gateway, "wc")
    let_go(page, waiting)
    expect(page.locator(ENTRIES)).to_have_count(2)
    expect(page.locator(ENTRIES).first).to_contain_text("WC barrierefrei")
    opened(gateway)
    expect(page.locator(ENTRIES)).to_have_count(3)


def test_what_happens_while_another_tab_takes_over_the_stream_is_not_lost(
    gateway: Gateway, visit: Open
) -> None:
    leader = visit("/")
    is_live(leader)
    page = leader.context.new_page()
    page.goto(gateway.url + "/events?show=door")
    is_live(page)
    waiting = held(page, "**/api/v1/live**")
    with page.expect_request("**/api/v1/live**"):
        leader.close()
    opened(gateway)
    let_go(page, waiting)
    expect(page.locator(ENTRIES)).to_have_count(1)


def test_an_entry_grows_in_its_place(gateway: Gateway, visit: Open) -> None:
    """What follows belongs to it; what somebody has opened stays open."""
    page = visit("/events?show=door")
    is_live(page)
    opened(gateway)
    entry = page.locator(ENTRIES)
    expect(entry).to_have_count(1)
    entry.locator("summary").click()
    expect(entry.locator(".log-facts > .fact")).to_have_count(1)
    gateway.control.fact("door_closed", "front", open_ms=7_000, assumed=False)
    expect(entry).to_contain_text("offen 7\u202fs")
    expect(entry).to_have_count(1)
    expect(entry.locator(".log-facts > .fact")).to_have_count(2)
    expect(entry.locator("details")).to_have_attribute("open", "")
    expect(entry.locator("summary")).to_be_focused()


def test_new_entries_do_not_move_what_is_read(gateway: Gateway, visit: Open) -> None:
    for _ in range(40):
        gateway.control.fact("door_opened", "front", cause="hand", assumed=False)
    until(lambda: heads(gateway) > 40)
    page = visit("/events?show=door", viewport={"width": 360, "height": 700})
    is_live(page)
    read = page.locator(ENTRIES).nth(20)
    read.scroll_into_view_if_needed()
    id = read.get_attribute("id")
    top = page.locator(f"#{id}").evaluate(TOP)
    opened(gateway, "wc")
    fresh = page.locator("#fresh")
    expect(fresh).to_have_text("1 neuer Eintrag")
    assert abs(page.locator(f"#{id}").evaluate(TOP) - top) < 1
    fresh.click()
    expect(page.locator(ENTRIES).first).to_be_in_viewport()
    expect(page.locator(ENTRIES).first).to_contain_text("WC barrierefrei")
    expect(fresh).to_be_hidden()


def test_following_can_be_switched_off(gateway: Gateway, visit: Open) -> None:
    page = visit("/events?show=door")
    is_live(page)
    page.get_by_label("Neues sofort zeigen").uncheck()
    opened(gateway)
    opened(gateway)
    page.get_by_label("Neues sofort zeigen").check()
    expect(page.locator(ENTRIES)).to_have_count(2)


def test_following_shows_only_what_is_searched_for(gateway: Gateway, visit: Open) -> None:
    page = visit("/events?q=wc+GEÖFFNET")
    expect(page.locator("#logbook")).to_contain_text("keinen Eintrag")
    is_live(page)
    opened(gateway)
    opened(gateway, "wc")
    expect(page.locator(ENTRIES)).to_have_count(1)
    expect(page.locator(ENTRIES)).to_contain_text("WC barrierefrei")


def test_entries_are_found_and_opened_without_a_script(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    opened(gateway, "wc")
    page = visit("/events", java_script_enabled=False)
    expect(page.locator("#live")).to_be_hidden()
    page.get_by_label("Im Logbuch suchen").fill("haupteingang hand")
    page.get_by_role("button", name="Suchen").click()
    expect(page.locator(ENTRIES)).to_have_count(1)
    page.locator("#logbook summary").click()
    expect(page.locator(".log-facts")).to_contain_text("Tür ging auf")
    page.get_by_role("link", name=re.compile("haupteingang hand")).click()
    page.locator("summary").filter(has_text="Als Datei").click()
    files = page.get_by_role("link", name="CSV für Excel")
    expect(files).to_be_in_viewport(ratio=1)
    page.locator("summary").filter(has_text="Filter").click()
    expect(files).to_be_hidden()
    page.get_by_label("Wo", exact=True).select_option(label="WC barrierefrei")
    page.get_by_role("button", name="Anzeigen").click()
    expect(page.locator(ENTRIES)).to_have_count(1)
    expect(page.locator(ENTRIES)).to_contain_text("WC barrierefrei")
    page.get_by_role("link", name="Notruf", exact=True).click()
    expect(page.locator("#logbook")).to_contain_text("keinen Eintrag")
    assert "subject=wc" in page.url


def test_filters_leave_the_first_screen_of_a_phone_to_the_entries(
    gateway: Gateway, visit: Open
) -> None:
    for _ in range(9):
        gateway.control.fact("door_opened", "front", cause="hand", assumed=False)
    until(lambda: heads(gateway) > 9)
    page = visit("/events", viewport={"width": 360, "height": 740})
    box = page.locator(ENTRIES).first.bounding_box()
    assert box is not None
    assert box["y"] < 740 * 0.4
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_an_entry_leads_to_the_history_around_it(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    page = visit("/events?show=door", role="maintenance")
    page.locator("#logbook summary").click()
    page.get_by_role("link", name=re.compile(r"Verlauf um .*: Haupteingang")).click()
    expect(page.locator("#charts")).to_contain_text("Türkontakt")
    assert "at=" in page.url


def test_who_may_not_see_the_history_is_not_led_there(gateway: Gateway, visit: Open) -> None:
    opened(gateway)
    page = visit("/events", role="staff")
    expect(page.locator(ENTRIES, has_text="Haupteingang")).to_have_count(1)
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
    expect(row).to_contain_text(re.compile(r" \d\d:\d\d von staff"))
    fact("alarm_cleared", "front/left_open", active_ms=125_000)
    expect(row).to_contain_text("nach 2 min")
    fact("alarm_raised", "front/left_open", severity="fault", count=1)
    expect(row).to_have_count(2)
    row.first.get_by_role("link", name="Haupteingang steht offen").first.click()
    expect(page.locator(ENTRIES)).to_have_count(2)
