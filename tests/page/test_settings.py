"""The settings on a phone, through the whole bench building: preview, save, undo, no barriers."""

from __future__ import annotations

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


@pytest.fixture
def there(browser: Browser, tmp_path: Path) -> Iterator[tuple[Whole, Page]]:
    whole = Whole(tmp_path)
    context = browser.new_context(
        locale="de-DE", viewport={"width": 360, "height": 740}, java_script_enabled=True
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
        .filter(e => e.type != 'hidden' && !e.classList.contains('hidden') && e.checkVisibility())
        .map(e => [e.name, e.getBoundingClientRect().height]).filter(e => e[1] < 44)"""
    )
    return found


def mode(whole: Whole) -> str:
    return str(whole.house.snapshot()["doors"]["front"]["mode"])


def test_an_exception_is_previewed_saved_and_taken_back(there: tuple[Whole, Page]) -> None:
    whole, page = there
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    last = (today + timedelta(days=2)).isoformat()
    page.goto(whole.url + "/settings")
    rows = page.locator("table.days tbody tr")
    assert 1 <= rows.count() < 14, "days that are the same are one line"
    end = today + timedelta(days=13)
    expect(rows.last.locator("th")).to_contain_text(f"{end.day}.{end.month}.")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert barriers(page) == []
    assert overflow(page) == 0
    assert small(page) == []
    form = page.locator("#doors-front-exceptions")
    form.get_by_role("button", name="Zeile hinzufügen").click()
    expect(form.locator("fieldset")).to_have_count(2, timeout=SLOW)
    form.locator("[name='first.0']").fill(today.isoformat())
    form.locator("[name='last.0']").fill(last)
    form.locator("[name='mode.0']").select_option("hold_open")
    form.get_by_role("button", name="Vorschau").click()
    expect(page.locator("#note")).to_contain_text("noch ist nichts gespeichert", ignore_case=True,
                                                  timeout=SLOW)  # fmt: skip
    expect(rows.first).to_contain_text("Ausnahme: 00:00 Dauerauf")
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
    page.goto(whole.url + "/settings")
    expect(rows.first).to_contain_text("Dauerauf")
    page.locator("#undo").click()
    expect(page.locator("#note.good")).to_contain_text("Zurückgenommen", timeout=SLOW)
    expect(page.locator("table.days")).not_to_contain_text("Dauerauf")
    until(lambda: mode(whole) == "automatic", what="the exception is gone")
    assert barriers(page) == []
    assert overflow(page) == 0
