"""The history: its range by keyboard, buttons, mouse and fingers, marks, gaps, clock changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # no stubs
from playwright.sync_api import CDPSession, Page, expect

from gateway.core.facts import Fact
from gateway.journal.queue import Batch
from gateway.web.presenter.terminals import Terminals
from tests.page.conftest import Gateway, Open, until

pytestmark = pytest.mark.page
SERVED = {
    "front.leaf": ("Haupteingang", "leaf"),
    "front.activation": ("Haupteingang", "activation"),
    "wc.climate": ("Barrierefreies WC", "room_climate"),
}
OWNERS = {"front.leaf": ("front",), "front.activation": ("front",), "wc.climate": ("bad",)}
HOUR_MS = 3_600_000
FIRST, LAST = "2026-06-10T08:00:00Z", "2026-06-10T12:00:00Z"
ADDRESS = f"/history?points=wc.climate,front.leaf&from={FIRST}&to={LAST}"


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


class House:
    """A gateway whose past can be written."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._facts: list[Fact] = []

    def at(self, text: str, kind: str, subject: str, *, later_ms: int = 0, **data: object) -> None:
        offset = self.gateway.control.state["utc_offset_ms"]
        self._facts.append(Fact(kind, subject, utc_ms(text) + later_ms - offset, data))  # type: ignore[arg-type]  # JSON

    def readings(self, start: str, minutes: range) -> None:
        for minute in minutes:
            self.at(start, "reading", "wc.climate", later_ms=minute * 60_000,
                    quantity="temperature_c", value=20 + minute / 60)  # fmt: skip

    def write(self) -> None:
        before = self.gateway.site.hub.row
        self.gateway.control.journal.append(Batch(facts=tuple(self._facts)))
        self._facts.clear()
        until(lambda: self.gateway.site.hub.row > before)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    gateway = Gateway(tmp_path, terminals=Terminals(SERVED, owners=OWNERS))
    house = House(gateway)
    house.readings(FIRST, range(240))
    house.at("2026-06-10T09:00:00Z", "contact_changed", "front.leaf", active=True, initial=False)
    house.at("2026-06-10T09:00:00Z", "door_opened", "front", cause="hand", assumed=False)
    house.at("2026-06-10T09:01:00Z", "contact_changed", "front.leaf", active=False, initial=False)
    house.at("2026-06-10T10:30:00Z", "call_raised", "bad", call="bad-1", cause="cord", pulls=1,
             test=False)  # fmt: skip
    house.at("2026-06-10T11:30:00Z", "alarm_raised", "front/left_open", severity="fault", count=1)
    house.at("2026-06-10T11:30:30Z", "door_opened", "wc", cause="hand", assumed=False)
    house.write()
    yield house
    gateway.close()


@pytest.fixture
def gateway(house: House) -> Gateway:
    return house.gateway


def shown(page: Page) -> tuple[int, int]:
    """The range that the address says, in seconds from 2026-06-10 08:00 UTC."""
    query = parse_qs(urlsplit(page.url).query)
    first, last = (utc_ms(query[name][0]) - utc_ms(FIRST) for name in ("from", "to"))
    return round(first / 1000), round(last / 1000)


def becomes(page: Page, wanted: Callable[[tuple[int, int]], bool]) -> None:
    """Wait until the address, the text, the form and the data of the charts say this range."""
    until(lambda: bool(page.evaluate("1") and wanted(shown(page))))
    start, end = (utc_ms(FIRST) / 1000 + second for second in shown(page))
    page.wait_for_function(
        """([start, end]) => {
           const charts = document.getElementById("charts");
           const data = JSON.parse(charts.dataset.history);
           return Math.abs(data.from - start) < 1 && Math.abs(data.to - end) < 1
             && !charts.hasAttribute("aria-busy"); }""",
        arg=[start, end],
        timeout=60_000,
    )  # fmt: skip


def opened(visit: Open, address: str = ADDRESS, **options: object) -> Page:
    page = visit(address, **options)
    expect(page.locator("#charts canvas").first).to_be_visible()
    return page


SHIFTS = """() => new Promise((told) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) sum += one.value; })
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => told(sum))));
})"""


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_jumps_when_the_charts_are_drawn(visit: Open, width: int) -> None:
    page = opened(visit, viewport={"width": width, "height": 800})
    assert page.evaluate(SHIFTS) < 0.05


@pytest.mark.parametrize("width", [360, 1280])
def test_every_chart_stays_within_its_card(visit: Open, width: int) -> None:
    size = {"width": width, "height": 800}
    page = opened(visit, "/history?view=door&range=10.6.2026", viewport=size)
    expect(page.locator("#charts .bars canvas")).to_be_visible()
    for card in page.locator("#charts figure").all():
        outside = card.evaluate("(one) => one.scrollHeight - one.clientHeight")
        assert outside <= 0, card.inner_text()


def test_the_range_is_changed_by_keyboard_and_stands_in_the_address(visit: Open) -> None:
    page = opened(visit)
    charts = page.get_by_role("group", name="Diagramme")
    charts.focus()
    page.keyboard.press("+")
    becomes(page, lambda at: at == (3600, 10_800))
    expect(page.locator("#range-text")).to_have_text("10.06.26 11:00 bis 10.06.26 13:00")
    expect(page.locator("#range-field")).to_have_value("10. Juni, 11:00–13:00")
    expect(page.locator("#tables tbody tr").first).to_contain_text("11:00")
    expect(charts.get_by_role("img", name="Temperatur")).to_have_accessible_name(
        re.compile("120 Werte")
    )
    expect(charts).to_be_focused()
    page.keyboard.press("ArrowRight")
    becomes(page, lambda at: at == (3600 + 1440, 10_800 + 1440))
    page.keyboard.press("-")
    becomes(page, lambda at: at == (1440, 14_400 + 1440))
    page.keyboard.press("0")
    becomes(page, lambda at: at == (0, 14_400))


def test_back_in_the_browser_is_the_range_before(visit: Open) -> None:
    page = opened(visit)
    page.get_by_role("link", name="Vergrößern").click()
    becomes(page, lambda at: at == (3600, 10_800))
    page.get_by_role("link", name="Früher", exact=True).click()
    becomes(page, lambda at: at == (-3600, 3600))
    page.go_back()
    becomes(page, lambda at: at == (3600, 10_800))
    expect(page.locator("#range-text")).to_have_text("10.06.26 11:00 bis 10.06.26 13:00")
    page.go_back()
    becomes(page, lambda at: at == (0, 14_400))
    page.reload()
    expect(page.locator("#range-text")).to_have_text("10.06.26 10:00 bis 10.06.26 14:00")


def test_every_button_is_big_enough(visit: Open) -> None:
    page = opened(visit, viewport={"width": 360, "height": 800})
    expect(page.locator(".marks button").first).to_be_visible()
    for least, buttons in (
        (44, ".range .step, #range-field"),
        (38, ".segmented a"),
        (24, ".marks button"),
    ):
        for button in page.locator(buttons).all():
            box = button.bounding_box()
            assert box
            assert min(box["width"], box["height"]) >= least


def test_dragging_zooms_all_charts(visit: Open) -> None:
    page = opened(visit)
    box = page.locator(".u-over").first.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    page.mouse.up()
    becomes(page, lambda at: abs(at[0] - 3600) < 90 and abs(at[1] - 7200) < 90)


def fingers(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_two_fingers_zoom_and_one_moves(visit: Open) -> None:
    page = opened(visit, has_touch=True, is_mobile=True, viewport={"width": 412, "height": 1200})
    over = page.locator(".u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    y, left, width = box["y"] + box["height"] / 2, box["x"], box["width"]

    def at(share: float) -> tuple[float, float]:
        return left + share * width, y

    fingers(session, "touchStart", at(0.4))
    fingers(session, "touchStart", at(0.4), at(0.6))
    for step in range(1, 6):
        fingers(session, "touchMove", at(0.4 - step * 0.02), at(0.6 + step * 0.02))
    fingers(session, "touchEnd")
    becomes(page, lambda at: abs(at[0] - 3600) < 300 and abs(at[1] - 10_800) < 300)

    begin, end = shown(page)
    over.scroll_into_view_if_needed()
    fingers(session, "touchStart", at(0.8))
    for step in range(1, 6):
        fingers(session, "touchMove", at(0.8 - step * 0.1))
    fingers(session, "touchEnd")
    becomes(page, lambda at: at[0] > begin + 2400 and abs((at[1] - at[0]) - (end - begin)) < 5)


def test_what_happened_stands_over_the_charts_in_words(visit: Open) -> None:
    page = opened(visit)
    marks = page.locator(".marks button")
    expect(marks).to_have_count(3)
    expect(marks.nth(0)).to_have_accessible_name(re.compile("Haupteingang: Tür ging auf$"))
    expect(marks.nth(1)).to_have_accessible_name(re.compile("Barrierefreies WC: Notruf"))
    expect(marks.nth(2)).to_have_accessible_name(re.compile("Haupteingang steht offen$"))
    expect(page.locator(".marks")).not_to_contain_text("WC barrierefrei")
    marks.nth(1).focus()
    page.keyboard.press("Enter")
    panel = page.locator("#mark-panel")
    expect(panel).to_contain_text("10.06.26, 12:30:00")
    expect(panel).to_contain_text("Notruf")
    expect(marks.nth(1)).to_have_attribute("aria-expanded", "true")
    panel.get_by_role("button", name="Diese Zeit vergrößern").click()
    becomes(page, lambda at: at == (9000 - 1800, 9000 + 1800))
    expect(page.get_by_role("group", name="Diagramme")).to_be_focused()
    expect(marks).to_have_count(1)
    expect(marks).to_have_attribute("tabindex", "0")
    marks.click()
    panel.get_by_role("link", name="Ereignisse dieser Zeit").click()
    expect(page.locator("#logbook ol > li")).to_have_count(1)
    expect(page.locator("#logbook")).to_contain_text("Barrierefreies WC")


def test_the_same_marks_stand_in_a_table_without_a_script(visit: Open) -> None:
    page = visit(ADDRESS, java_script_enabled=False)
    page.locator("summary", has_text="Ereignisse (3)").click()
    table = page.get_by_role("table", name=re.compile("Ereignisse der gewählten"))
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table).to_contain_text("Haupteingang steht offen")
    expect(page.locator(".plot").first).to_be_hidden()
    page.get_by_role("textbox", name="Zeitraum in Worten").fill("10. Juni 13–14 Uhr")
    page.get_by_role("button", name="Anzeigen").first.click()
    expect(page.locator("#range-text")).to_have_text("10.06.26 13:00 bis 10.06.26 14:00")
    page.get_by_role("link", name="Früher", exact=True).click()
    expect(page.locator("#range-text")).to_have_text("10.06.26 12:00 bis 10.06.26 13:00")
    page.get_by_text("Meldepunkte wählen").click()
    page.get_by_label("Haupteingang, Türkontakt").uncheck()
    page.get_by_role("button", name="Anzeigen").last.click()
    expect(page.locator("#range-text")).to_have_text("10.06.26 12:00 bis 10.06.26 13:00")
    expect(page.locator("figure.lane")).to_have_count(0)
    page.get_by_role("link", name="letzte 7 Tage").click()
    expect(page.locator("#range-field")).to_have_value("letzte 7 Tage")


WRITTEN = """
globalThis.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  written.push(text);
  return fill.call(this, text, ...rest);
};
"""


@pytest.mark.parametrize(
    ("first", "last", "wanted", "missing"),
    [
        ("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z", ["02:00", "02:00 MEZ"], "none"),
        ("2026-03-28T23:00:00Z", "2026-03-29T03:00:00Z", ["01:00", "03:00 MESZ"], "02:00"),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", ["12:00", "18:00"], "11:00"),
    ],
)
def test_the_axis_is_right_where_clocks_change(
    house: House, visit: Open, first: str, last: str, wanted: list[str], missing: str
) -> None:
    house.readings(first, range(30))
    house.write()
    page = visit("/kept", viewport={"width": 1280, "height": 900})
    page.add_init_script(WRITTEN)
    page.goto(re.sub("/kept$", f"/history?points=wc.climate&from={first}&to={last}", page.url))
    expect(page.locator("#charts canvas")).to_be_visible()
    page.wait_for_function("written.some((text) => /^\\d\\d:00/.test(text))", timeout=60_000)
    labels = page.evaluate("written")
    assert [text for text in wanted if text not in labels] == [], labels
    assert missing not in labels


def test_gaps_are_gaps_in_chart_and_table(house: House, visit: Open) -> None:
    house.readings("2026-06-11T08:00:00Z", range(60))
    house.readings("2026-06-11T08:00:00Z", range(180, 240))
    house.write()
    page = opened(
        visit,
        "/history?points=wc.climate&from=2026-06-11T08:00:00Z&to=2026-06-11T12:00:00Z",
    )
    data = json.loads(page.locator("#charts").get_attribute("data-history") or "")
    empty = [bucket for bucket in data["series"][0]["buckets"] if bucket[2] is None]
    assert len(empty) == 1
    expect(page.locator("#tables .hole")).to_have_count(1)
    expect(page.locator("#tables .hole")).to_contain_text(
        "Lücke: nichts gemeldet bis 11.06.26 13:00"
    )


RECTS = """
() => [...document.querySelectorAll(".u-over")].map((over) => {
  const { left, width } = over.getBoundingClientRect();
  return [Math.round(left * 10), Math.round(width * 10)].join();
})
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_lanes_curves_and_ticks_have_one_axis_and_zoom_together(visit: Open, width: int) -> None:
    page = opened(visit, viewport={"width": width, "height": 800})
    for step in range(2):
        assert len(page.locator("#charts canvas").all()) == 2
        assert len(set(page.evaluate(RECTS))) == 1, "the same pixels on the left and the right"
        tick = page.locator(".marks i").first.bounding_box()
        over = page.locator(".u-over").first.bounding_box()
        assert tick
        assert over
        first, last = shown(page)
        wanted = over["x"] + over["width"] * (3600 - first) / (last - first)
        assert abs(tick["x"] + tick["width"] / 2 - wanted) <= 1, "the door opened at 11:00"
        bar = page.evaluate(BAR)
        assert bar is not None
        assert abs(bar - wanted) <= 2, "and its lane says so at the same place"
        if step == 0:
            page.get_by_role("group", name="Diagramme").focus()
            page.keyboard.press("+")
            becomes(page, lambda at: at == (3600, 10_800))
            page.keyboard.press("ArrowLeft")
            becomes(page, lambda at: at == (3600 - 1440, 10_800 - 1440))


BAR = """
() => { // where the first bar of "open" begins, by the colour of its pixels
  const over = document.querySelector(".lane .u-over").getBoundingClientRect();
  const canvas = document.querySelector(".lane canvas");
  const ratio = canvas.width / canvas.getBoundingClientRect().width;
  const at = canvas.getBoundingClientRect();
  const y = Math.round((over.top + over.height / 2 - at.top) * ratio);
  const row = canvas.getContext("2d").getImageData(0, y, canvas.width, 1).data;
  const wanted = getComputedStyle(document.documentElement).getPropertyValue("--act").trim();
  const [r, g, b] = wanted.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  for (let x = 0; x < canvas.width; x++) {
    const near = (index, value) => Math.abs(row[4 * x + index] - value) < 60;
    if (near(0, r) && near(1, g) && near(2, b)) return at.left + x / ratio;
  }
  return null;
}
"""


def test_one_cursor_reads_every_chart(visit: Open) -> None:
    page = opened(visit)
    over = page.locator(".meter .u-over").bounding_box()
    assert over
    page.mouse.move(over["x"] + over["width"] / 4 + 2, over["y"] + 40)
    expect(page.locator(".tip")).to_contain_text("Mi 10.6., 11:00")
    expect(page.locator(".tip")).to_contain_text("21,0")
    expect(page.locator(".meter .now")).to_have_text("21,0\u202f°C")
    expect(page.locator(".lane .now")).to_have_text("offen")
    lines = page.evaluate(
        """[...document.querySelectorAll(".u-cursor-x, .marks .at")]
           .map((line) => Math.round(line.getBoundingClientRect().left))"""
    )
    assert len(lines) == 3
    assert max(lines) - min(lines) <= 2
    lane = page.locator(".lane .u-over").bounding_box()
    assert lane
    page.mouse.move(lane["x"] + lane["width"] / 2, lane["y"] + lane["height"] / 2)
    expect(page.locator(".tip")).to_contain_text("zu")
    expect(page.locator(".tip")).to_contain_text("11:01 bis")
    page.mouse.move(5, 5)
    expect(page.locator(".tip")).to_be_hidden()
    expect(page.locator(".lane .now")).to_have_text("zu")


def test_the_cursor_goes_by_keyboard_and_is_spoken(visit: Open) -> None:
    page = opened(visit)
    page.get_by_role("group", name="Diagramme").focus()
    for _ in range(16):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#spoken")).to_contain_text("11:00")
    expect(page.locator("#spoken")).to_contain_text("Temperatur: 21,0")
    page.keyboard.press("Escape")
    expect(page.locator(".lane .now")).to_have_text("zu")


def test_the_wheel_zooms_with_ctrl_moves_with_shift_and_scrolls_alone(visit: Open) -> None:
    page = opened(visit, viewport={"width": 1280, "height": 500})
    over = page.locator(".meter .u-over").bounding_box()
    assert over
    page.mouse.move(over["x"] + over["width"] / 2, over["y"] + 40)
    page.mouse.wheel(0, 40)
    page.wait_for_function("() => scrollY > 0")
    assert shown(page) == (0, 14_400)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    becomes(page, lambda at: 10_000 < at[1] - at[0] < 12_500)
    first, last = shown(page)
    assert first % 60 == last % 60 == 0, "at whole minutes"
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Shift")
    becomes(page, lambda at: at[0] < first and at[1] - at[0] == last - first)


def test_the_range_in_words_is_taken_and_an_error_keeps_it(visit: Open) -> None:
    page = opened(visit)
    field = page.get_by_role("textbox", name="Zeitraum in Worten")
    field.fill("10. Juni 11–13 Uhr")
    field.press("Enter")
    becomes(page, lambda at: at == (3600, 10_800))
    expect(field).to_have_value("10. Juni, 11:00–13:00")
    expect(field).to_be_focused()
    field.fill("wann auch immer")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="versteht die Seite nicht")).to_be_visible()
    expect(field).to_have_value("wann auch immer")
    expect(page.locator("#charts canvas").first).to_be_visible()
    page.get_by_role("link", name="letzte 24 Stunden").first.click()
    expect(field).to_have_value("letzte 24 Stunden")
    assert "range=24h" in page.url
    page.go_back()
    becomes(page, lambda at: at == (3600, 10_800))


def test_the_first_chart_is_in_the_first_screen_of_a_phone(visit: Open) -> None:
    page = opened(visit, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page.goto(re.sub("points=[^&]*", "view=climate", page.url))
    box = page.locator("#charts figure").first.bounding_box()
    bar = page.locator(".rail").bounding_box()
    assert box
    assert bar
    assert box["y"] + box["height"] <= bar["y"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_period_before_is_a_pale_line(house: House, visit: Open) -> None:
    house.readings("2026-06-09T08:00:00Z", range(240))
    house.write()
    page = opened(visit)
    page.get_by_role("link", name="Vergleichen").click()
    expect(page.locator(".compared")).to_have_text("Blass: 1 Tag früher")
    over = page.locator(".meter .u-over").bounding_box()
    assert over
    page.mouse.move(over["x"] + over["width"] / 2 + 2, over["y"] + 40)
    expect(page.locator(".tip")).to_contain_text("davor: 22,0")
    expect(page.locator(".meter .stats").first).to_contain_text("Mittel davor 22,0")
    assert "compare=1" in page.url


def test_views_show_doors_climate_use_and_calls(visit: Open) -> None:
    page = visit("/history?view=door&range=10.6.2026")
    views = page.get_by_role("navigation", name="Was gezeigt wird")
    charts = page.locator("#charts figcaption strong")
    expect(charts.filter(has_text="Türkontakt")).to_be_visible()
    expect(charts.filter(has_text="Türöffnungen je Stunde")).to_be_visible()
    views.get_by_role("link", name="Klima").click()
    expect(charts.first).to_have_text("Temperatur")
    views.get_by_role("link", name="Nutzung").click()
    expect(charts.first).to_have_text("Belegung")
    views.get_by_role("link", name="Notrufe").click()
    expect(charts.first).to_have_text("Notruf")
    expect(page.locator("#range-field")).to_have_value("10. Juni")
    views.get_by_role("link", name="Mehr").click()
    expect(page.get_by_text("Meldepunkte wählen")).to_be_visible()


DRAWN = """
globalThis.drawn = [];
const stroke = CanvasRenderingContext2D.prototype.stroke;
const Real = Path2D;
globalThis.Path2D = class extends Real {
  constructor(...given) { super(...given); this.steps = []; }
  moveTo(x, y) { this.steps.push([x, y]); super.moveTo(x, y); }
  lineTo(x, y) { this.steps.push([x, y]); super.lineTo(x, y); }
};
CanvasRenderingContext2D.prototype.stroke = function (path) {
  if (path?.steps?.length) drawn.push(path.steps);
  return path ? stroke.call(this, path) : stroke.call(this);
};
"""


def test_a_steady_meter_has_a_line_between_two_heartbeats(house: House, visit: Open) -> None:
    """The chart was empty between two values, and a slope where there was a step."""
    for minute, value in ((0, 21.0), (15, 21.0), (30, 25.0), (45, 25.0)):
        house.at("2026-06-12T08:00:00Z", "reading", "wc.climate", later_ms=minute * 60_000,
                 quantity="temperature_c", value=value)  # fmt: skip
    house.write()
    page = visit("/kept", viewport={"width": 1280, "height": 900})
    page.add_init_script(DRAWN)
    steady = "/history?points=wc.climate&from=2026-06-12T08:03:00Z&to=2026-06-12T08:12:00Z"
    page.goto(re.sub("/kept$", steady, page.url))
    expect(page.locator("#charts canvas")).to_be_visible()
    chart = page.get_by_role("img", name="Temperatur")
    expect(chart).to_have_accessible_name(re.compile("Kein neuer Wert; gültig"))
    expect(page.locator("#charts figcaption")).to_contain_text("21,0")
    expect(page.locator("#tables tbody tr").first).to_contain_text("21,0")
    expect(page.locator("#tables .hole")).to_have_count(0)
    page.wait_for_function("() => drawn.length >= 1", timeout=60_000)
    (level,) = {y for steps in page.evaluate("drawn") for _, y in steps}
    assert level > 0
    stepped = "/history?points=wc.climate&from=2026-06-12T08:20:00Z&to=2026-06-12T08:40:00Z"
    page.goto(re.sub("/history.*$", stepped, page.url))
    expect(page.locator("#charts canvas")).to_be_visible()
    page.wait_for_function("() => drawn.length >= 1", timeout=60_000)
    for steps in page.evaluate("drawn"):
        turns = [(a, b) for a, b in pairwise(steps) if a != b]
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in turns), "no slopes"
        assert len({y for _, y in steps}) == 2


def test_one_value_is_not_plural_and_no_line_begins_at_an_odd_second(
    house: House, visit: Open
) -> None:
    house.at("2026-06-13T08:07:11Z", "reading", "wc.climate", quantity="temperature_c", value=21)
    house.write()
    page = opened(
        visit, "/history?points=wc.climate&from=2026-06-13T08:00:07Z&to=2026-06-13T12:00:07Z"
    )
    expect(page.get_by_role("img", name="Temperatur")).to_have_accessible_name(
        re.compile("1 Wert: 21,0")
    )
    times = page.locator("#tables tbody th").all_text_contents()
    assert times
    assert [time for time in times if not re.fullmatch(r"\S+ \d\d:\d\d(:30)?", time)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_charts_events_and_alarms_are_without_barriers(
    house: House, visit: Open, scheme: str, width: int
) -> None:
    page = opened(visit, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.locator(".marks button").first.click()
    expect(page.locator("#mark-panel")).to_be_visible()
    views = [f"/history?view={view}&range=10.6.2026" for view in ("door", "use", "calls")]
    for path in ("", *views, "/history?range=bald", "/events?q=steht&follow=1", "/alarms"):
        if path:
            page.goto(house.gateway.url + path)
            page.wait_for_function("() => document.readyState === 'complete'")
        found = Axe().run(page).response["violations"]
        assert [(path, one["id"], one["nodes"][0]["html"]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_range_that_cannot_be_had_is_said(gateway: Gateway, visit: Open) -> None:
    page = opened(visit, quiet=False)
    page.route("**/history?**", lambda route: route.abort())
    page.get_by_role("link", name="Vergrößern").click()
    expect(page.locator("#range-text")).to_contain_text("waren nicht zu bekommen")
    page.unroute("**/history?**")
    page.get_by_role("link", name="Verkleinern").click()
    becomes(page, lambda at: at == (0, 14_400))
