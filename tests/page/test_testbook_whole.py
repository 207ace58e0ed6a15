"""The test book against the whole building on the bench: everything real but the wires."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.test_whole import Whole

pytestmark = pytest.mark.page
PRESSES = {
    "Abstelltaster im Raum": "wc.cancel",
    "Anwesenheitstaster": "wc.presence",
    "an der Schnur": "wc.cord",
    "Taster innen": "front.button_inside",
    "Taster außen": "front.button_outside",
    "Funksender": "front.remote",
}
"""What a person presses when the page says so."""


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[tuple[Whole, Page]]:
    whole = Whole(tmp_path)
    context = browser.new_context(locale="de-DE", viewport={"width": 360, "height": 740})
    page = context.new_page()
    whole.log_in(page)
    yield whole, page
    context.close()
    whole.house.end()


def walk(whole: Whole, page: Page, kind: str) -> list[str]:
    """Do what the page says, step by step, and sign; the steps as the record tells them."""
    page.goto(whole.url + "/maintenance")
    page.locator(f"#testbook form:has([value={kind}]) button").click()
    done = 0
    while True:
        page.locator("#step, #note").first.wait_for()
        if page.locator("#note").count():
            break
        text = page.locator("#step").inner_text()
        if page.locator("#seen").count():
            for said, point in PRESSES.items():
                if said in text:
                    whole.portier("bench", "press", point)
            page.locator("#seen.good").wait_for(timeout=60_000)
        page.locator("#walk button.act").first.click()
        done += 1
        expect(page.locator("#walk tbody tr")).to_have_count(done)
    page.locator("#walk button.act").click()
    expect(page.locator("#walk > .answer")).to_contain_text("Alles war in Ordnung")
    return page.locator("#walk tbody tr").all_inner_texts()


def test_both_walks_through_the_bench_building(page: tuple[Whole, Page]) -> None:
    whole, there = page
    call = walk(whole, there, "call")
    assert len(call) == 10
    assert sum("vom Gateway gemessen" in step for step in call) == 6, call
    door = walk(whole, there, "door")
    assert sum("vom Gateway gemessen" in step for step in door) == 6, door
    there.goto(whole.url + "/")
    expect(there.locator("#h-doors")).to_be_attached()
    assert "überfällig" not in there.locator("main").inner_text()
    expect(there.locator("#room-wc")).not_to_contain_text("Test bis")
    told = there.request.get(whole.url + "/api/v1/testbook").json()
    assert [one["passed"] for one in told["pages"]] == [True, True]
    audit = there.request.get(whole.url + "/api/v1/audit?limit=1000").json()
    signed = [one for one in audit if one["action"] == "testbook_signed"]
    assert len(signed) == 2
