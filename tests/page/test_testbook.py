"""The walk of the test book in a browser, with and without a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.page.conftest import Gateway, until
from tests.page.test_states import barriers, look, overflow

pytestmark = pytest.mark.page
CALL = "#testbook form:has([value=call]) button"


def fine(page: Page) -> None:
    assert (page.url, barriers(page)) == (page.url, [])
    assert overflow(page) == 0


def walk(house: Gateway, page: Page, *, script: bool) -> None:
    """From the first step to the signature."""

    def seen() -> None:
        if not script:
            until(lambda: bool(page.reload() and page.locator("#seen.good").count()))
        page.locator("#seen.good").wait_for()

    def look_at(page: Page) -> None:
        if script:  # axe is a script, too
            fine(page)

    page.goto(house.url + "/maintenance")
    page.locator(CALL).click()
    look_at(page)
    page.locator("#walk button.act").click()
    page.locator("#seen").wait_for()
    look_at(page)
    house.control.fact(
        "call_raised", "bad", call="bad-9", cause="cord", point="wc.cord", pulls=1, test=True
    )
    seen()
    look_at(page)
    page.locator("#walk button.act").click()
    while page.locator("#note").count() == 0:
        page.locator("#walk .answers, #seen, #note").first.wait_for()
        if page.locator("#seen").count():
            house.control.fact(
                "call_cancelled", "bad", call="bad-9", point="wc.cancel", test=True, after_ms=1
            )
            seen()
        if page.locator("#note").count() == 0:
            page.locator("#walk button.act").first.click()
            page.wait_for_load_state()
    page.fill("#note", "Schnur gekürzt")
    look_at(page)
    page.locator("#walk button.act").click()
    page.locator("#walk > .answer.good").wait_for()
    look_at(page)


@pytest.mark.parametrize(
    ("scheme", "width", "locale"), [("light", 1280, "de-DE"), ("dark", 320, "en-GB")]
)
def test_the_walk_is_without_barriers_and_the_page_sees_what_happens_by_itself(
    browser: Browser, tmp_path: Path, scheme: str, width: int, locale: str
) -> None:
    house = Gateway(tmp_path)
    style = {"color_scheme": scheme, "width": width, "locale": locale}
    page = look(browser, house, style, "maintenance")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    walk(house, page, script=True)
    assert page.locator("[data-print]").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".signature").is_visible()
    assert not page.locator("header.top").is_visible()
    assert said == []
    (signed,) = house.control.audits
    assert signed.action == "testbook_signed"
    page.context.close()
    house.close()


def test_the_walk_works_without_a_script(browser: Browser, tmp_path: Path) -> None:
    house = Gateway(tmp_path)
    context = browser.new_context(java_script_enabled=False, locale="de-DE")
    context.add_cookies(
        [{"name": "portier-session", "value": house.session("maintenance"), "url": house.url}]
    )
    page = context.new_page()
    walk(house, page, script=False)
    assert "Unterschrieben von maintenance" in page.locator("#walk").inner_text()
    page.goto(house.url + "/maintenance")
    assert "wieder fällig bis" in page.locator("#testbook").inner_text()
    context.close()
    house.close()
