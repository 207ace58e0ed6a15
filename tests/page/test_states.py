"""Every page in every state: no barrier, no overflow, nothing said on the console."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # no stubs
from playwright.sync_api import Browser, Page

from tests.page.conftest import Gateway
from tests.page.fake import now_ms

pytestmark = pytest.mark.page
PAGES = (
    "/", "/alarms", "/events", "/history?points=wc.climate,front.leaf", "/points", "/kept",
    "/account", "/users", "/audit", "/bench", "/points/test?point=front.activation",
    "/maintenance",
)  # fmt: skip
LOOKS = [
    pytest.param({"color_scheme": scheme, "width": width, "locale": locale}, id=f"{scheme}-{width}")
    for scheme, width, locale in (
        ("light", 1280, "de-DE"),
        ("dark", 1280, "en-GB"),
        ("dark", 360, "de-DE"),
        ("light", 360, "en-GB"),
    )
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("house"), bench=True)
    for number in range(60):
        made.control.fact("contact_changed", "front.leaf", active=number % 2 == 0, initial=False)
        made.control.fact("reading", "wc.climate", quantity="temperature_c", value=20 + number / 9)
    worn(made)
    yield made
    made.close()


def worn(house: Gateway) -> None:
    """What maintenance has to look at: a door that gets slower, gaps, calls."""
    today = datetime.now(house.options.zone).date()
    monday = today - timedelta(days=today.weekday())
    with house.site.weeks._file.change() as db:
        db.executemany(
            "INSERT INTO door_weeks VALUES ('front', ?, 50, ?)",
            [((monday - timedelta(weeks=w)).isoformat(), 2000 - 40 * w) for w in range(3, 25)],
        )
    for _ in range(9):
        house.control.fact("door_opened", "front", press_to_open_ms=2000, cause="request",
                           assumed=False)  # fmt: skip
    house.control.fact("reading", "wc.climate", quantity="temperature_c", value=None)
    house.control.fact("call_raised", "bad", call="bad-1", cause="cord", pulls=1, test=False)
    house.control.fact("call_acknowledged", "bad", call="bad-1", by="web:1", after_ms=9000)


def barriers(page: Page) -> list[str]:
    found = Axe().run(page)
    return [
        f"{v['id']}: {node['target']} {node['failureSummary']}"
        for v in found.response["violations"]
        for node in v["nodes"]
    ]


def look(browser: Browser, house: Gateway, style: dict[str, Any], role: str = "admin") -> Page:
    context = browser.new_context(
        color_scheme=style["color_scheme"], locale=style["locale"],
        viewport={"width": style["width"], "height": 800},
    )  # fmt: skip
    context.add_cookies(
        [{"name": "portier-session", "value": house.session(role), "url": house.url}]
    )
    return context.new_page()


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("style", LOOKS)
def test_every_page_is_without_barriers(
    browser: Browser, house: Gateway, style: dict[str, Any]
) -> None:
    page = look(browser, house, style)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES:
        page.goto(house.url + path)
        page.wait_for_function("document.readyState === 'complete'")
        assert (path, barriers(page)) == (path, [])
        assert (path, overflow(page)) == (path, 0)
        assert page.locator("footer").inner_text()
    page.locator(".menu summary").click()
    assert barriers(page) == []
    assert overflow(page) == 0
    assert said == []
    page.context.close()


@pytest.mark.parametrize("style", LOOKS)
def test_alarm_armed_and_lost_are_without_barriers(
    browser: Browser, tmp_path: Path, style: dict[str, Any]
) -> None:
    house = Gateway(tmp_path)
    for kind, severity in (
        ("did_not_open", "urgent"),
        ("left_open", "fault"),
        ("egress_never", "notice"),
        ("forced", "emergency"),
    ):
        house.control.raise_alarm("front", kind, severity)
    house.control.change(
        lambda s: s["doors"]["wc"].update(
            mode="off", state="unknown", fire=True, operator_fault=True, assumed=True,
            service_until_ms=now_ms() + 60_000,
            can_open={"staff": {"ok": False, "reason": "mode_off", "needs_reason": False}},
        )
    )  # fmt: skip
    page = look(browser, house, style)
    page.goto(house.url)
    page.locator(".alarm.emergency").wait_for()
    assert barriers(page) == []
    page.locator("[data-open=front] button").click()
    page.locator("button.armed").wait_for()
    assert barriers(page) == []
    house.control.away()
    page.locator("body.is-lost").wait_for()
    assert barriers(page) == []
    assert page.locator("[data-acts]:not([aria-disabled=true])").count() == 0
    page.goto(house.url + "/alarms")
    assert barriers(page) == []
    page.context.close()
    house.close()


def test_an_empty_house_and_the_doors_outside_are_without_barriers(
    browser: Browser, tmp_path: Path
) -> None:
    house = Gateway(tmp_path)
    house.control.change(lambda s: s.update(doors={}, points={}, guarantees={}))
    page = look(browser, house, {"color_scheme": "light", "width": 360, "locale": "de-DE"}, "view")
    for path in ("/", "/points", "/no/such/page"):
        page.goto(house.url + path)
        assert (path, barriers(page)) == (path, [])
    page.context.clear_cookies()
    page.goto(house.url + "/")
    assert page.url.endswith("/login")
    assert barriers(page) == []
    page.context.close()
    house.close()


def test_nothing_overflows_at_320_px(browser: Browser, house: Gateway) -> None:
    page = look(browser, house, {"color_scheme": "light", "width": 320, "locale": "de-DE"})
    house.control.raise_alarm("front.a_point_with_a_long_name", "contact_stuck", "fault")
    for path in PAGES:
        page.goto(house.url + path)
        assert (path, overflow(page)) == (path, 0)
    small = page.evaluate(
        """[...document.querySelectorAll("[data-acts]")]
           .filter((b) => b.getBoundingClientRect().height < 44).length"""
    )
    assert small == 0
    page.context.close()


def test_forced_colours_and_reduced_motion_keep_the_armed_button_visible(
    browser: Browser, house: Gateway
) -> None:
    context = browser.new_context(forced_colors="active", reduced_motion="reduce", locale="de-DE")
    context.add_cookies([{"name": "portier-session", "value": house.session(), "url": house.url}])
    page = context.new_page()
    page.goto(house.url)
    button = page.locator("[data-open=front] button")
    button.click()
    page.locator("button.armed").wait_for()
    assert button.evaluate("(b) => getComputedStyle(b).borderStyle") == "solid"
    assert button.evaluate("(b) => parseFloat(getComputedStyle(b).transitionDuration)") == 0
    context.close()


@pytest.mark.parametrize("style", LOOKS)
def test_a_call_in_every_state_is_without_barriers(
    browser: Browser, tmp_path: Path, style: dict[str, Any]
) -> None:
    house = Gateway(tmp_path)
    page = look(browser, house, style)
    page.goto(house.url)
    states = (
        {"state": "raised"},
        {"state": "raised", "test": True},
        {"state": "acknowledged", "acknowledged_by": "web:1", "acknowledged_ms": now_ms()},
        {"state": "attended", "attended_ms": now_ms(), "pulls": 3},
    )
    for values in states:
        house.control.call(**values)
        kind = ".test" if values.get("test") else ":not(.test)"
        page.locator(f".call.{values['state']}{kind}").wait_for()
        assert barriers(page) == []
        assert overflow(page) == 0
    house.control.away()
    page.locator("body.is-lost").wait_for()
    assert barriers(page) == []
    page.context.close()
    house.close()
