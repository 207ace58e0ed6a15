"""Every page in every state: no barrier, no overflow, nothing said on the console.

A state is brought about once and then looked at in every width and theme, and with forced
colours: the page stays, only the window changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]  # no stubs
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import Gateway, is_live
from tests.page.fake import alarm, contact, door, guarantee, now_ms, room

pytestmark = pytest.mark.page
PAGES = (
    "/", "/alarms", "/events", "/history?points=wc.climate,front.leaf", "/points", "/kept",
    "/account", "/more", "/users", "/audit", "/bench", "/points/test?point=front.activation",
    "/system", "/maintenance", "/help", "/help/signs",
)  # fmt: skip
Theme = Literal["light", "dark"]
WIDTHS = (320, 360, 768, 1280)
THEMES: tuple[Theme, ...] = ("light", "dark")
LOCALES = ("de-DE", "en-GB")
LOOKS = [
    pytest.param({"color_scheme": theme, "width": width, "locale": locale}, id=f"{theme}-{width}")
    for theme, width, locale in (
        ("light", 1280, "de-DE"),
        ("dark", 1280, "en-GB"),
        ("dark", 360, "de-DE"),
        ("light", 360, "en-GB"),
    )
]
"""For pages that are looked at once."""
VIOLATIONS = """
    async (rules) => (await axe.run({ resultTypes: ["violations"], rules }))
        .violations.flatMap((v) => v.nodes.map((node) =>
            `${v.id}: ${node.target} ${node.failureSummary}`))
"""
TOO_SMALL = """
    [...document.querySelectorAll("[data-acts], #ring")].filter((b) => b.offsetParent)
        .map((b) => [b.textContent.trim(), b.getBoundingClientRect()])
        .filter(([, box]) => box.height < 44 || box.width < 44)
        .map(([text, box]) => `${text}: ${box.width} × ${box.height}`)
"""
CONTRAST = """
    (node) => {
        const tell = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        let behind = node;
        while ((tell(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1)
            behind = behind.parentElement;
        const [a, b] = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor]
            .map((colour) => light(tell(colour))).sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    }
"""


WIDE_STACKS = """
    () => [...document.querySelectorAll(".scroll")].filter((region) => {
        const table = region.querySelector("table.stack");
        return table && getComputedStyle(table).display === "block"
            && region.scrollWidth > region.clientWidth + 1;
    }).map((region) => region.getAttribute("aria-label"))
"""
"""Tables whose cells are put below each other, so that nobody has to push them to the side."""


def barriers(page: Page, *, without: str = "") -> list[str]:
    """What axe finds, ``without`` one of its rules."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    rules = {without: {"enabled": False}} if without else {}
    return list(page.evaluate(VIOLATIONS, rules))


def german(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.lang") == "de")


def contrasts(page: Page, selector: str) -> dict[str, float]:
    """How much each of these stands out from what is behind it."""
    found = page.locator(selector).filter(visible=True)
    return {
        one.evaluate("(n) => n.id || n.className || n.tagName"): one.evaluate(CONTRAST)
        for one in found.all()
    }


def overflow(page: Page) -> int:
    """Pixels that stand out to the right."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def faults(page: Page, widths: tuple[int, ...] = WIDTHS, *, forced: bool = True) -> list[str]:
    """What is wrong with the page as it stands.

    German is looked at in one half of all widths and themes, English in the other: each width
    in both themes, each language in every width and both themes; and with forced colours."""
    found: list[str] = []

    def note(look: str, without: str = "") -> None:
        found.extend(f"{look}: {text}" for text in barriers(page, without=without))
        found.extend(f"{look}: too small: {text}" for text in page.evaluate(TOO_SMALL))
        wide_stacks = page.evaluate(WIDE_STACKS)
        found.extend(f"{look}: has to be pushed to the side: {name}" for name in wide_stacks)
        if wide := overflow(page):
            found.append(f"{look}: {wide} px too wide")

    first = 0 if page.evaluate("document.documentElement.lang") == "de" else 1
    page.emulate_media(reduced_motion="reduce")  # no colour on its way to another
    for place, width in enumerate(widths, first):
        theme = THEMES[place % 2]
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        note(f"{width} {theme}")
    if not forced:
        return found
    page.emulate_media(forced_colors="active")
    # axe reads the colour of a text where forced colours do not show; we read what is painted.
    note("forced colours", without="color-contrast")
    weak = contrasts(page, "[data-acts]:not([aria-disabled]), h2, h3, .state, .answer")
    found.extend(f"forced colours: {name}: {c:.1f}" for name, c in weak.items() if c < 4.5)
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")
    return found


def enter(browser: Browser, house: Gateway, locale: str, role: str = "admin") -> Page:
    """Somebody who is logged in, in a context of their own."""
    style = {"color_scheme": "light", "width": 1280, "locale": locale}
    return look(browser, house, style, role)


def look(browser: Browser, house: Gateway, style: dict[str, Any], role: str = "admin") -> Page:
    """The same with a look of :data:`LOOKS`."""
    context = browser.new_context(
        color_scheme=style["color_scheme"], locale=style["locale"],
        viewport={"width": style["width"], "height": 800},
    )  # fmt: skip
    context.add_cookies(
        [{"name": "portier-session", "value": house.session(role), "url": house.url}]
    )
    return context.new_page()


# --- the states of the status page -----------------------------------------------------------

Bring = Callable[[Gateway, Page], object]
STATES: dict[str, Bring] = {}


def state(bring: Bring) -> Bring:
    STATES[bring.__name__] = bring
    return bring


@state
def quiet(house: Gateway, page: Page) -> None:
    expect(page.locator(".pill")).to_have_text(
        "Alles in Ordnung" if german(page) else "All in order"
    )
    expect(page.locator("#alarms")).to_be_hidden()


@state
def call(house: Gateway, page: Page) -> None:
    house.control.call()
    page.locator(".call.raised").wait_for()
    page.locator("#ring").wait_for()


@state
def call_of_a_test(house: Gateway, page: Page) -> None:
    house.control.call(test=True)
    page.locator(".call.test").wait_for()


@state
def acknowledged(house: Gateway, page: Page) -> None:
    house.control.call(state="acknowledged", acknowledged_by="web:1", acknowledged_ms=now_ms())
    page.locator(".call.acknowledged").wait_for()


@state
def attended(house: Gateway, page: Page) -> None:
    house.control.call(state="attended", attended_ms=now_ms(), pulls=3)
    page.locator(".call.attended").wait_for()


@state
def alarms(house: Gateway, page: Page) -> None:
    """One of each severity, one of them seen, and a door that tells everything it can."""
    for kind, severity in (
        ("did_not_open", "urgent"),
        ("left_open", "fault"),
        ("egress_never", "notice"),
        ("forced", "emergency"),
    ):
        house.control.raise_alarm("front", kind, severity)
    house.control.raise_alarm("wc", "left_open", "fault", state="acknowledged",
                              acknowledged_by="web:1", count=4)  # fmt: skip
    house.control.change(
        lambda s: s["doors"]["wc"].update(
            mode="off", state="unknown", fire=True, operator_fault=True, assumed=True,
            hold_open=True, service_until_ms=now_ms() + 60_000,
            can_open={"staff": {"ok": False, "reason": "mode_off", "needs_reason": False}},
        )
    )  # fmt: skip
    page.locator(".alarm.emergency").wait_for()


@state
def armed(house: Gateway, page: Page) -> None:
    house.users.set_preferences(house.users.by_name("admin").id, "", 150)
    page.reload()
    is_live(page)
    page.locator("[data-open=front] button").click()
    page.locator("button.armed").wait_for()


@state
def opened(house: Gateway, page: Page) -> None:
    button = page.locator("[data-open=front] button")
    button.click()
    button.click()
    page.locator("#answer-front.good").wait_for()


@state
def error(house: Gateway, page: Page) -> None:
    """A door that refuses, one that stays closed, and guarantees that do not hold."""
    house.control.opens_after_s = None
    can = {"staff": {"ok": True, "reason": "", "needs_reason": True}}
    house.control.change(lambda s: s["doors"]["wc"].update(mode="night", can_open=can))
    house.control.change(
        lambda s: s["guarantees"].update(
            journal=guarantee(now_ms(), "no", "journal_full"),
            clock=guarantee(now_ms(), "unknown", "clock_unwatched"),
            forwarding=guarantee(now_ms(), "not_configured", "not_configured"),
        )
    )
    expect(page.locator(".alarm.failed")).to_have_count(1)
    page.locator("#h-guarantees > summary").click()
    page.locator(".guarantees .no").wait_for()
    for id in ("front", "wc"):
        button = page.locator(f"[data-open={id}] button")
        button.click()
        button.click()
        page.locator(f"#answer-{id}.bad").wait_for()


@state
def lost_gateway(house: Gateway, page: Page) -> None:
    house.control.call()
    page.locator(".call.raised").wait_for()
    house.stop_serving()
    page.locator("#lost").wait_for()


@state
def lost_control(house: Gateway, page: Page) -> None:
    house.control.raise_alarm("front", "did_not_open", "urgent")
    page.locator(".alarm.urgent").wait_for()
    house.control.away()
    page.locator("body.is-lost").wait_for()
    expect(page.locator("[data-acts]:not([aria-disabled=true])")).to_have_count(0)


@state
def empty(house: Gateway, page: Page) -> None:
    house.control.change(lambda s: s.update(doors={}, rooms={}, points={}, guarantees={}))
    page.locator("[data-part=guarantees] p").wait_for(state="attached")
    page.reload()
    is_live(page)
    expect(page.locator(".door, .room")).to_have_count(0)


@state
def long_lists(house: Gateway, page: Page) -> None:
    """Two calls, more alarms than the page shows, and eight doors with long names."""
    name = "Donaudampfschifffahrtsgesellschaftskapitänszimmer {}"

    def many(s: dict[str, Any]) -> None:
        for n in range(8):
            s["doors"][f"door{n}"] = door(name.format(n), alarms=[])
            s["rooms"][f"room{n}"] = room(name.format(n))
            s["points"][f"building.floor{n}.a_point_with_a_long_name"] = contact(n % 2 == 0)
            s["alarms"].append(alarm(f"door{n}", "left_open", "fault", count=n + 1))

    house.control.change(many)
    house.control.call()
    page.reload()
    is_live(page)
    house.control.change(lambda s: s["rooms"]["room7"].update(call=s["rooms"]["bad"]["call"]))
    expect(page.locator(".call.raised")).to_have_count(2)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("bring", STATES.values(), ids=STATES)
def test_the_status_page_is_without_barriers_in_every_state(
    browser: Browser, tmp_path: Path, bring: Bring, locale: str
) -> None:
    house = Gateway(tmp_path)
    page = enter(browser, house, locale)
    page.goto(house.url)
    is_live(page)
    bring(house, page)
    assert faults(page) == []
    page.context.close()
    house.close()


# --- the other pages ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("house"), bench=True)
    for number in range(60):
        made.control.fact("contact_changed", "front.leaf", active=number % 2 == 0, initial=False)
        made.control.fact("reading", "wc.climate", quantity="temperature_c", value=20 + number / 9)
    made.control.raise_alarm("front.a_point_with_a_long_name", "contact_stuck", "fault")
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


@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_is_without_barriers(browser: Browser, house: Gateway, locale: str) -> None:
    """The same for every page, whose answer keeps the strict policy and whose console is silent."""
    page = enter(browser, house, locale)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES:
        answer = page.goto(house.url + path)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert not {"unsafe", "http:", "https:", "*", "data:"} & set(policy.split())
        assert "unsafe" not in policy
        is_live(page)
        assert (path, faults(page, (320, 1280))) == (path, [])
        assert page.locator("footer").inner_text()
    page.locator(".menu summary").click()
    assert faults(page, (320, 1280)) == []
    assert said == []
    page.context.close()


def test_an_empty_house_and_the_doors_outside_are_without_barriers(
    browser: Browser, tmp_path: Path
) -> None:
    house = Gateway(tmp_path)
    house.control.change(lambda s: s.update(doors={}, rooms={}, points={}, guarantees={}))
    page = enter(browser, house, "de-DE", "view")
    for path in ("/", "/points", "/alarms", "/events", "/no/such/page"):
        page.goto(house.url + path)
        assert (path, faults(page, (320,))) == (path, [])
    page.context.clear_cookies()
    page.goto(house.url + "/")
    assert page.url.endswith("/login")
    assert faults(page) == []
    page.context.close()
    house.close()


# --- what axe cannot see -----------------------------------------------------------------------


def test_forced_colours_and_reduced_motion_keep_the_armed_button_visible(
    browser: Browser, house: Gateway
) -> None:
    page = enter(browser, house, "de-DE")
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.goto(house.url)
    button = page.locator("[data-open=front] button")
    button.click()
    page.locator("button.armed").wait_for()
    assert button.evaluate("(b) => getComputedStyle(b).borderStyle") == "solid"
    assert button.evaluate("(b) => parseFloat(getComputedStyle(b).transitionDuration)") == 0
    page.context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_the_words_of_a_call_and_of_an_emergency_stand_out(
    browser: Browser, tmp_path: Path, theme: Theme
) -> None:
    house = Gateway(tmp_path)
    page = enter(browser, house, "de-DE")
    page.emulate_media(color_scheme=theme)
    page.goto(house.url)
    is_live(page)
    call(house, page)
    house.control.raise_alarm("front", "forced", "emergency")
    page.locator(".alarm.emergency").wait_for()
    for selector, least in (
        (".call h2", 4.5), (".call .say", 4.5), (".call button.act", 4.5), (".call summary", 4.5),
        (".alarm.emergency b", 7), (".alarm .meta", 4.5), (".pill", 4.5),
    ):  # fmt: skip
        contrast = page.locator(selector).first.evaluate(CONTRAST)
        assert (selector, contrast) >= (selector, least)
    solid = page.locator(".call").evaluate("(n) => getComputedStyle(n).backgroundColor")
    assert solid == {"light": "rgb(194, 15, 28)", "dark": "rgb(207, 27, 40)"}[theme]
    page.context.close()
    house.close()


TAB_STOPS = """
    [...document.querySelectorAll("main a, main button, main input, main select, main summary")]
        .filter((n) => n.offsetParent && n.tabIndex >= 0 && n.checkVisibility())
        .map((n) => n.id || n.textContent.trim())
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_the_focus_goes_from_the_call_to_the_doors_as_the_eye_does(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    """Tab goes from top to bottom within each column, the call before everything else."""
    house = Gateway(tmp_path)
    house.control.raise_alarm("front", "left_open", "fault")
    house.control.call()
    page = enter(browser, house, "de-DE")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(house.url)
    is_live(page)
    page.locator("#ring").wait_for()
    page.locator("#main").press("Shift")  # from the first key on it may ring
    page.locator("#ring").wait_for(state="hidden")
    went: list[tuple[str, float, float]] = []
    for _ in page.evaluate(TAB_STOPS):
        page.keyboard.press("Tab")
        went.append(
            tuple(
                page.evaluate(
                    """(() => {
                        const n = document.activeElement, box = n.getBoundingClientRect();
                        const column = n.closest(".card, .board > section, .call, .ring");
                        return [n.id || n.textContent.trim(),
                                box.top + scrollY, column.getBoundingClientRect().left];
                    })()"""
                )
            )
        )
    order = [name for name, _, _ in went]
    assert order == page.evaluate(TAB_STOPS)
    assert order[0] == "take-bad"
    assert order.index("ack-front-left_open") < order.index("open-front") < order.index("open-wc")
    tops: dict[float, float] = {}
    for name, top, column in went:
        assert top >= tops.get(column, 0) - 24, name  # side by side may differ in height
        tops[column] = top
    page.context.close()
    house.close()
