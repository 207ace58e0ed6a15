"""The settings on a phone, through the whole bench building: preview, save, undo, no barriers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.test_states import barriers, overflow
from tests.page.test_whole import Whole
from tests.process.parts import until

pytestmark = pytest.mark.page
SLOW = 60_000
PAGES = ("", "/doors/front", "/days", "/contacts", "/contacts/new", "/chains", "/changes")


@pytest.fixture
def there(browser: Browser, tmp_path: Path) -> Iterator[tuple[Whole, Page]]:
    whole = Whole(tmp_path)
    context = browser.new_context(
        locale="de-DE", viewport={"width": 360, "height": 740}, reduced_motion="reduce"
    )
    context.set_default_timeout(2 * SLOW)
    page = context.new_page()
    whole.log_in(page)
    yield whole, page
    context.close()
    whole.house.end()


def small(page: Page) -> list[Any]:
    """What is there to be tapped and smaller than a finger."""
    found: list[Any] = page.evaluate(
        """() => [...document.querySelectorAll('main button, main input, main select')]
        .filter(e => e.type != 'hidden' && e.type != 'checkbox')
        .filter(e => !e.classList.contains('hidden') && e.checkVisibility())
        .map(e => [e.name, e.getBoundingClientRect().height]).filter(e => e[1] < 44)"""
    )
    return found


def mode(whole: Whole) -> str:
    return str(whole.house.snapshot()["doors"]["front"]["mode"])


def test_no_page_of_the_settings_has_a_barrier(there: tuple[Whole, Page]) -> None:
    whole, page = there
    for path in PAGES:
        page.goto(f"{whole.url}/settings{path}")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert barriers(page) == [], path
        assert overflow(page) == 0, path
        assert small(page) == [], path


def test_an_exception_is_previewed_saved_and_taken_back(there: tuple[Whole, Page]) -> None:
    whole, page = there
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    last = (today + timedelta(days=2)).isoformat()
    page.goto(whole.url + "/settings/days")
    form = page.locator("#doors-front-exceptions")
    form.get_by_role("button", name="Zeile hinzufügen").click()
    expect(form.locator("fieldset")).to_have_count(2, timeout=SLOW)
    form.locator("[name='first.0']").fill(today.isoformat())
    form.locator("[name='last.0']").fill(last)
    form.locator("[name='mode.0']").select_option("hold_open")
    form.get_by_role("button", name="Vorschau").click()
    expect(page.locator("#note")).to_contain_text("noch ist nichts gespeichert", ignore_case=True,
                                                  timeout=SLOW)  # fmt: skip
    expect(page.locator("#preview li").first).to_contain_text("Dauerauf (bisher Automatik)")
    assert mode(whole) == "automatic"
    form.locator("[name='last.0']").fill("2020-01-01")
    form.locator("button", has_text="Speichern").last.click()
    expect(form.locator("fieldset.wrong")).to_have_count(1, timeout=SLOW)
    expect(form.locator("fieldset.wrong")).to_contain_text("endet, bevor es beginnt")
    assert barriers(page) == []
    form.locator("[name='last.0']").fill(last)
    form.locator("button", has_text="Speichern").last.click()
    expect(page.locator("#note.good")).to_contain_text("Gespeichert", timeout=SLOW)
    until(lambda: mode(whole) == "hold_open", what="the exception counts")
    page.goto(whole.url + "/settings/changes")
    expect(page.locator(".changes li").first).to_contain_text(re.compile("Neu: .* Dauerauf"))
    page.locator("#undo").click()
    expect(page.locator("#note.good")).to_contain_text("Entfällt", timeout=SLOW)
    until(lambda: mode(whole) == "automatic", what="the exception is gone")
    assert barriers(page) == []
    assert overflow(page) == 0
