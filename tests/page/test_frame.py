"""What frames every page: navigation, the pill, the theme; and the overview's first screen."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Gateway, Open, is_live, until
from tests.page.fake import called, now_ms, room

pytestmark = pytest.mark.page
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True,
}  # fmt: skip


# --- navigation ------------------------------------------------------------------------------


def places(page: Page) -> list[str]:
    """The words of the places that can be seen."""
    return [one.inner_text().split("\n")[0] for one in page.locator(".rail li:visible").all()]


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("admin", ["Übersicht", "Meldungen", "Verlauf", "Mehr"]),
        ("view", ["Übersicht", "Meldungen", "Logbuch", "Mehr"]),
    ],
)
def test_the_phone_has_four_places_at_the_bottom(visit: Open, role: str, shown: list[str]) -> None:
    page = visit("/", role, **PHONE)
    assert places(page) == shown
    box = page.locator(".rail").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == 740
    page.locator(".rail").get_by_text("Mehr").tap()
    expect(page.locator(".list a").first).to_be_visible()
    expect(page.locator(".rail [aria-current=page]")).to_contain_text("Mehr")


def test_the_rail_names_every_main_place_and_marks_the_one_that_is_shown(visit: Open) -> None:
    page = visit("/maintenance")
    assert places(page) == [
        "Übersicht", "Meldungen", "Verlauf", "Logbuch", "Prüfbuch", "Wartung", "Einstellungen",
        "Mehr",
    ]  # fmt: skip
    expect(page.locator(".rail [aria-current=page]")).to_have_text("Wartung")


def test_the_menu_closes_on_escape_and_outside(visit: Open) -> None:
    page = visit("/")
    menu, out = page.locator(".rail .menu"), page.get_by_role("button", name="Abmelden")
    menu.locator("summary").click()
    expect(out).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(out).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.locator("#main").click(position={"x": 400, "y": 5})
    expect(out).to_be_hidden()


def test_a_page_that_is_none_keeps_the_navigation(visit: Open) -> None:
    page = visit("/no/such/page", quiet=False)
    expect(page.locator(".rail").get_by_text("Meldungen")).to_be_visible()
    expect(page.locator(".pill")).to_be_visible()


def test_the_theme_is_chosen_without_javascript_and_stays(visit: Open) -> None:
    page = visit("/more", java_script_enabled=False, color_scheme="light")
    html = page.locator("html")
    for theme, ground in (("Dunkel", "rgb(15, 21, 27)"), ("Hell", "rgb(242, 245, 248)")):
        page.locator("main").get_by_role("button", name=theme).click()
        page.goto(page.url.replace("/more", "/"))
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        page.goto(page.url + "more")
    page.locator("main").get_by_role("button", name="System").click()
    expect(html).not_to_have_attribute("data-theme", re.compile("."))


# --- the pill --------------------------------------------------------------------------------


def test_the_pill_says_how_the_building_is_and_opens_the_system_status(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/account")
    pill = page.locator(".pill")
    expect(pill).to_have_text("Alles in Ordnung")
    gateway.control.raise_alarm("front", "left_open", "fault")
    expect(pill).to_have_text("1 Störung")
    gateway.control.raise_alarm("wc", "did_not_open", "urgent")
    expect(pill).to_have_text("2 Störungen")
    gateway.control.call()
    expect(pill).to_have_text("Notruf")
    gateway.control.change(lambda s: s["alarms"].clear())
    gateway.control.change(lambda s: s["rooms"]["bad"].update(room("Barrierefreies WC")))
    expect(pill).to_have_text("Alles in Ordnung")
    pill.click()
    expect(page.locator("#system li").first).to_be_visible()


BROKEN_WORDS = """
    (pill) => {
        const text = pill.querySelector("span").firstChild, range = new Range();
        return [...text.data.matchAll(/\\S+/g)].filter((word) => {
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return range.getClientRects().length > 1;
        }).map(String);
    }
"""


@pytest.mark.parametrize("width", [320, 360])
def test_beside_a_long_name_of_the_building_no_word_of_the_pill_breaks(
    visit: Open, width: int
) -> None:
    page = visit("/", viewport={"width": width, "height": 740})
    is_live(page)
    long = "Wohngenossenschaft Donaudampfschifffahrtsgasse Haus 4"
    page.locator(".brand span").evaluate("(name, text) => name.textContent = text", long)
    pill = page.locator(".pill")
    box = "(n) => n.getBoundingClientRect().toJSON()"
    for text in (
        "Eingeschränkt",
        "Limited",
        "Test der Rufanlage",
        "Verbindung verloren seit 23:59",
    ):
        pill.locator("span").evaluate("(said, text) => said.textContent = text", text)
        assert pill.evaluate(BROKEN_WORDS) == [], text
        name, said = page.locator(".brand").evaluate(box), pill.evaluate(box)
        assert name["right"] <= said["left"] <= said["right"] <= width, text
        assert said["bottom"] <= 56, text
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_pill_says_since_when_the_connection_is_lost(gateway: Gateway, visit: Open) -> None:
    page = visit("/", quiet=False)
    is_live(page)
    gateway.stop_serving()
    expect(page.locator(".pill")).to_contain_text("Verbindung verloren seit")
    expect(page.locator("#lost")).to_contain_text("Taster an der Tür bitte selbst prüfen")
    gateway.serve()
    expect(page.locator(".pill")).to_have_text("Alles in Ordnung", timeout=60_000)


def test_a_dead_controller_says_what_was_last_known_and_what_to_do(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/")
    expect(page.locator("#door-front .was")).to_be_hidden()
    gateway.control.away()
    expect(page.locator(".banner .lost")).to_contain_text("Taster an der Tür bitte selbst prüfen")
    expect(page.locator("#door-front .was")).to_have_text("zuletzt bekannt:")
    plain = visit("/", java_script_enabled=False)
    expect(plain.locator("#door-front .was")).to_be_visible()


# --- the first screen ------------------------------------------------------------------------


def bottom_of(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def in_sight(page: Page, selector: str) -> bool:
    """Whether all of it can be seen without scrolling, above the bar."""
    rail = page.locator(".rail").bounding_box()
    assert rail is not None
    return page.evaluate("scrollY") == 0 and bottom_of(page, selector) <= rail["y"]


def test_the_doors_button_is_in_the_first_screen_whatever_stands_above_it(
    gateway: Gateway, visit: Open
) -> None:
    page = visit("/", "admin", **PHONE)
    is_live(page)
    assert in_sight(page, "#open-front")
    for place, kind in (("front", "did_not_open"), ("front", "left_open"), ("wc", "left_open")):
        gateway.control.raise_alarm(place, kind, "urgent")
    expect(page.locator("#alarms .alarm")).to_have_count(3)
    assert in_sight(page, "#open-front")
    gateway.control.call()
    expect(page.locator("#take-bad")).to_be_visible()
    page.locator("#ring").wait_for()
    assert in_sight(page, "#take-bad")
    assert in_sight(page, "#open-front")
    page.locator("#take-bad").tap()
    page.locator(".call.acknowledged").wait_for()
    assert in_sight(page, "#open-front")
    bath = room("Bad im zweiten Stock", call=called("bath-1"))
    gateway.control.change(lambda s: s["rooms"].update(bath=bath))
    gateway.control.call()
    expect(page.locator(".call .act")).to_have_count(2)
    assert in_sight(page, "#take-bad")
    assert in_sight(page, "#take-bath")
    assert in_sight(page, "#open-front")


def test_what_is_added_to_a_door_never_moves_its_button(gateway: Gateway, visit: Open) -> None:
    page = visit("/")
    is_live(page)
    before = bottom_of(page, "#open-front")
    asked = {"outcome": "refused", "reason": "mode_off", "activator": None, "activator_kind": None,
             "side": None, "by": "web:1", "at_ms": now_ms()}  # fmt: skip
    gateway.control.change(
        lambda s: s["doors"]["front"].update(
            fire=True, operator_fault=True, last_request=asked, last_refusal=asked,
            service_until_ms=now_ms() + 60_000,
        )
    )  # fmt: skip
    expect(page.locator("#door-front .badge")).to_have_count(2)
    expect(page.locator("#door-front .more")).to_contain_text("Servicebetrieb bis")
    assert bottom_of(page, "#open-front") == before


def test_a_fault_stands_on_the_card_it_concerns_with_what_to_do(
    gateway: Gateway, visit: Open
) -> None:
    gateway.control.raise_alarm("front", "left_open", "fault")
    page = visit("/")
    expect(page.locator("#door-front .badge")).to_have_text("Haupteingang steht offen")
    expect(page.locator("#door-front .notice")).to_contain_text("Nachsehen")
    expect(page.locator("#door-wc .badge")).to_have_count(0)


# --- mode, answer, sound ---------------------------------------------------------------------


def test_an_end_that_is_past_keeps_what_was_entered(gateway: Gateway, visit: Open) -> None:
    page = visit("/", "staff")
    page.locator("#change-front summary").click()
    page.locator("#mode-front").select_option("hold_open")
    page.locator("#until-front").fill("00:00")
    page.locator("#change-front").get_by_role("button", name="Betriebsart setzen").click()
    expect(page.locator("#wrong-front")).to_contain_text("schon vorbei")
    expect(page.locator("#until-front")).to_have_value("00:00")
    expect(page.locator("#mode-front")).to_have_value("hold_open")
    assert gateway.control.commands == []


def test_there_is_a_way_back_to_the_schedule(gateway: Gateway, visit: Open) -> None:
    page = visit("/", "staff")
    expect(page.locator("#plan-front")).to_have_count(0)
    gateway.control.change(
        lambda s: s["doors"]["front"].update(mode="night", mode_source="override", mode_by="web:1")
    )
    page.locator("#plan-front").click()
    expect(page.locator("#plan-front")).to_have_count(0)
    assert gateway.control.commands[-1].mode == "schedule"


def test_an_answer_fades_when_it_is_over(gateway: Gateway, visit: Open) -> None:
    page = visit("/", "staff")
    page.clock.install()
    page.reload()
    is_live(page)
    page.locator("#open-front").click()
    page.locator("#open-front").click()
    answer = page.locator("#answer-front")
    expect(answer).to_contain_text("Offen nach")
    gateway.control.change(lambda s: s["doors"]["front"].update(state="closed", since_ms=now_ms()))
    expect(answer).to_contain_text("Wieder zu")
    page.clock.fast_forward(21_000)
    expect(answer).to_be_empty()


def test_the_sound_can_be_tried_before_a_call(visit: Open) -> None:
    page = visit("/", "staff")
    place = page.locator(".holds [data-sound]")
    expect(place).to_contain_text("aus, der Browser")
    place.get_by_role("button", name="Einschalten und anhören").click()
    expect(place).to_contain_text("an, solange")


def test_a_call_says_how_long_it_lasts_and_when_it_is_raised_again(
    gateway: Gateway, visit: Open
) -> None:
    gateway.control.call(raised_ms=now_ms() - 130_000)
    plain = visit("/", java_script_enabled=False)
    expect(plain.locator(".call .tick")).to_have_text(re.compile(r"seit 2\u202fmin 1\d\u202fs"))
    page = visit("/", "staff")
    is_live(page)
    tick = page.locator(".call .say .tick")
    expect(tick).to_have_text(re.compile(r"seit \d+\u202fmin"))
    was = tick.inner_text()
    expect(tick).not_to_have_text(was)
    page.get_by_role("button", name="Ich gehe hin").click()
    expect(page.locator(".call .again .tick")).to_have_text(re.compile(r"in 4\u202fmin \d+\u202fs"))


def test_the_timeline_of_a_call_can_be_reached_from_its_card(gateway: Gateway, visit: Open) -> None:
    gateway.control.fact("call_raised", "bad", call="bad-2", cause="cord", point="wc.cord", pulls=1,
                         test=False, was=None)  # fmt: skip
    gateway.control.call()
    page = visit("/", "staff")
    expect(page.locator("#told-bad[open]")).to_be_visible()
    link = page.locator(".call").get_by_role("link", name="Ablauf dieses Notrufs")
    until(lambda: page.request.get(gateway.url + str(link.get_attribute("href"))).ok)
    link.click()
    expect(page.locator("h1")).to_have_text("Notruf: Barrierefreies WC")
    expect(page.locator(".timeline li")).to_have_count(1)
    expect(page.locator("[data-print]")).to_be_visible()


def test_the_overview_does_not_wait_for_what_today_looked_like(
    gateway: Gateway, visit: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.site.records, "counts", never)
    page = visit("/")
    expect(page.locator("#open-front")).to_be_visible()
    expect(page.locator(".bars")).to_have_count(0)
