"""The second factor in a browser: set up, asked for at the door, and without barriers."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import PASSWORD, Gateway, is_live
from tests.page.test_states import LOOKS, barriers, look, overflow

pytestmark = pytest.mark.page


@pytest.mark.parametrize("style", LOOKS)
def test_a_door_leads_to_the_code_and_then_opens(
    browser: Browser, tmp_path: Path, style: dict[str, object]
) -> None:
    house = Gateway(tmp_path, second_factor="doors")
    page = look(browser, house, style, "staff")
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(house.url)
    is_live(page)
    button = page.locator("[data-open=front] button")
    button.click()
    page.locator("button.armed").wait_for()
    button.click()
    page.wait_for_url("**/second-factor?next=%2F")
    assert house.control.commands == []
    assert barriers(page) == []
    page.locator("#factor-password").fill(PASSWORD)
    page.locator("form[action='/account/factor'] button").click()
    secret = page.locator("code.secret:not(.long)").inner_text().replace(" ", "")
    expect(page.get_by_role("img").locator("svg")).to_be_visible()
    assert barriers(page) == []
    assert overflow(page) == 0
    page.locator("#code").fill("000000")
    page.locator("button.act").click()
    expect(page.locator(".answer.bad")).to_be_visible()
    assert barriers(page) == []
    page.locator("#code").fill(pyotp.TOTP(secret).now())
    page.locator("button.act").click()
    expect(page.locator(".codes li")).to_have_count(10)
    assert barriers(page) == []
    assert overflow(page) == 0
    page.locator("main a.button").click()
    page.goto(house.url + "/account")
    assert barriers(page) == []
    page.goto(house.url + "/second-factor")
    assert barriers(page) == []
    page.goto(house.url)
    is_live(page)
    button.click()
    page.locator("button.armed").wait_for()
    button.click()
    expect(page.locator("#answer-front")).to_have_class("answer good")
    assert said == []
    page.context.close()
    house.close()
