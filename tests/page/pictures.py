"""The pictures of the manuals: ``python -m tests.page.pictures`` takes them anew.

Starts the demo building, with sixty days behind it, and takes what the manuals show, in both
languages and in the light theme.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, sync_playwright

from gateway.app.cli.main import cli
from gateway.web.help.manuals import PICTURES
from gateway.web.identity.users import Users, users_file
from tests.identity import start_session
from tests.page.conftest import ARGS
from tests.process.parts import ROOT, House, until
from tests.process.parts_mqtt import free_port

LOCALES = {"de": "de-DE", "en": "en-GB"}
DAYS = "60"
OPENINGS = {8: 9, 9: 3, 10: 5, 11: 4, 12: 7, 13: 3, 14: 5}
"""Hour of the day the pictures show -> how often the door opens in it."""


def take(page: Page, language: str, name: str) -> None:
    page.evaluate("document.fonts.ready")
    page.screenshot(path=PICTURES / language / f"{name}.png")
    page.close()


def opened(browser: Browser, secret: str, url: str, language: str, width: int, height: int) -> Page:
    """A page of somebody who is logged in, with nothing on it that only the demo has."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=LOCALES[language], color_scheme="light"
    )
    context.add_cookies([{"name": "portier-session", "value": secret, "url": url}])
    return context.new_page()


def live_until_three(house: House) -> None:
    """People at the door until 15:00 by the building's clock, whatever time it is here."""
    zone = ZoneInfo("Europe/Berlin")
    for hour, openings in OPENINGS.items():
        now = datetime.fromtimestamp(now_utc_ms(house) / 1000, zone)
        ahead = now.replace(hour=hour, minute=5, second=0) - now
        if ahead > timedelta():
            house.bench("travel", by_ms=int(ahead.total_seconds() * 1000))
            for _ in range(openings):
                house.bench("press", point="front.button_outside", for_ms=200)
                house.bench("travel", by_ms=120_000)


def now_utc_ms(house: House) -> int:
    told = house.snapshot()
    return int(told["now_ms"]) + int(told["utc_offset_ms"])


def main() -> None:
    config = ROOT / "config" / "demo.yaml"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        state, port = Path(folder) / "state", free_port()
        options = ["--config", str(config), "--state", str(state), "--days", DAYS, "--only-build"]
        cli(["demo", *options], standalone_mode=False)
        house = House(config, state, {"PORT": str(port)})
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        try:
            process = house.run()
            until(lambda: process.said("Ready after"), 60)
            url = f"http://127.0.0.1:{port}"
            users = Users(users_file(state))
            users.set_password("admin", "a good password")
            secret = start_session(users, users.by_name("admin").id)
            users.close()
            live_until_three(house)
            for language in LOCALES:
                (PICTURES / language).mkdir(parents=True, exist_ok=True)
                page = opened(browser, secret, url, language, 1280, 900)
                page.goto(url)
                page.locator(".door, .board").first.wait_for()
                if (skip := page.locator(".tour [value=skip]")).count():
                    skip.click()
                    page.locator(".tour").wait_for(state="detached")
                take(page, language, "overview")
                page = opened(browser, secret, url, language, 1280, 900)
                page.goto(f"{url}/history?view=climate&range=7d")
                page.locator("canvas").first.wait_for()
                take(page, language, "history")
            house.bench("press", point="wc.cord", for_ms=100)
            for language in LOCALES:
                page = opened(browser, secret, url, language, 390, 780)
                page.goto(url)
                page.locator(".call.raised").wait_for()
                take(page, language, "call-phone")
        finally:
            browser.close()
            house.end()


if __name__ == "__main__":
    main()
