"""Charts, tables, searches and lives of alarms, as the server makes them."""

from __future__ import annotations

import html
import json
import random
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest

from gateway.journal.queries.history import Bucket, grid
from gateway.journal.schema import HOUR_MS
from gateway.web.history.bars import Event, counted, edges_of
from gateway.web.history.charts import (
    CHART_BUCKETS,
    Gap,
    Grid,
    _drawn,
    _lines,
    _summary,
    gaps,
)
from gateway.web.history.lanes import SLOTS, Lane, Span, spans_of
from gateway.web.history.lanes import drawn as drawn_lane
from gateway.web.history.lanes import summary as lane_text
from gateway.web.history.range_bar import shift_of
from gateway.web.history.range_text import SPANS, Chosen, RangeError, read, say
from gateway.web.history.ranges import Range
from gateway.web.presenter.terminals import terminals_of
from gateway.web.shared.words import Words, catalogue
from tests.page.fake import contact
from tests.web.conftest import Web, snapshot
from tests.web.years import DAY_MS, Years

BEGIN = 1_750_000_000_000 - 1_750_000_000_000 % DAY_MS
MINUTE_MS = 60_000
BERLIN = ZoneInfo("Europe/Berlin")


def utc_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


METER = contact(None, kind="meter", quantities={"temperature_c": {"value": 1.0, "at_ms": 0}})


WIDTH_MS = 3 * MINUTE_MS
DAY = Range(BEGIN, BEGIN + DAY_MS)
"""Its buckets are 3 minutes wide."""


def known(*minutes: int, mean: float | None = 1.0) -> list[Bucket]:
    return [Bucket(BEGIN + minute * MINUTE_MS, mean, mean, mean, 0, WIDTH_MS) for minute in minutes]


def a_grid(now_minute: int, chosen: Range = DAY) -> Grid:
    return Grid.of(chosen, BEGIN + now_minute * MINUTE_MS, UTC)


def test_a_gap_is_where_no_value_was_valid() -> None:
    buckets = known(0, 3, 6, 30, 33)
    gap = Gap(BEGIN + 9 * MINUTE_MS, BEGIN + 30 * MINUTE_MS)
    assert gaps(buckets, a_grid(36)) == [gap]
    assert gaps(known(0, 3), a_grid(5)) == []
    assert gaps([], a_grid(5)) == []
    silent = [*known(0), *known(3, mean=None), *known(6)]
    assert gaps(silent, a_grid(8)) == [Gap(BEGIN + WIDTH_MS, BEGIN + 2 * WIDTH_MS)]


def test_a_meter_that_fell_silent_has_a_gap_until_now_and_none_in_the_future() -> None:
    gap = Gap(BEGIN + 6 * MINUTE_MS, BEGIN + 100 * MINUTE_MS)
    assert gaps(known(0, 3), a_grid(100)) == [gap]


def test_a_line_is_steps_that_end_where_nothing_is_known() -> None:
    """Between two heartbeats there was nothing, and a slope where there was a step."""
    buckets = [*known(0, 3), *known(30, mean=2.0)]
    first = BEGIN / 1000
    assert _drawn(buckets, a_grid(31)) == [
        [first, 1.0, 1.0, 1.0, 0],
        [first + 180, 1.0, 1.0, 1.0, 0],
        [first + 360, None, None, None, 0],
        [first + 1800, 2.0, 2.0, 2.0, 0],
        [first + 1860, 2.0, 2.0, 2.0, 0],
    ]
    assert _drawn([], a_grid(31)) == []


@pytest.mark.parametrize(
    ("span_s", "width_s"),
    [
        (10, 1),
        (600, 1),
        (3600, 10),
        (14_400, 30),
        (86_400, 180),
        (604_800, 1800),
        (31_536_000, 86_400),
        (20 * 31_536_000, 13 * 86_400),
    ],
)
def test_buckets_begin_at_whole_minutes_and_hours_of_the_building(
    span_s: int, width_s: int
) -> None:
    zone = ZoneInfo("Asia/Kolkata")  # half an hour beside whole ones
    first = BEGIN + 12_345_678
    begin, width, number = grid(first, first + span_s * 1000, CHART_BUCKETS, zone)
    assert width == width_s * 1000
    assert begin <= first < begin + width
    assert begin + number * width >= first + span_s * 1000
    assert number <= CHART_BUCKETS + 1
    assert (begin + 19_800_000) % width == 0


def test_lines_of_the_table_begin_at_whole_minutes_and_have_the_same_digits() -> None:
    words = Words("de", ZoneInfo("Europe/Berlin"))
    chosen = Range(BEGIN + 12_345, BEGIN + 12_345 + DAY_MS)
    now = BEGIN + 2 * DAY_MS
    grid_ = Grid.of(chosen, now, words.zone)
    buckets = [
        Bucket(
            grid_.begin_utc_ms + place * WIDTH_MS, 20.0, 20.0 + place % 3 / 100, 21.0, 1, WIDTH_MS
        )
        for place in range(480)
    ]
    lines = _lines(buckets, [], grid_, "temperature_c", words)
    assert [line["time"][-3:] for line in lines[1:]] == [":30", ":00"] * 23 + [":30"]
    assert {line["cells"][:3] for line in lines} == {("20,0", "20,0", "21,0")}
    odd = _lines(buckets, [], grid_, "odd", words)
    assert {line["cells"][0] for line in odd} == {"20,00"}


def test_a_window_without_a_reading_shows_the_value_that_is_valid() -> None:
    words = Words("de", ZoneInfo("Europe/Berlin"))
    buckets = known(0, 3)
    assert _summary(buckets, "temperature_c", words) == (
        "Kein neuer Wert; gültig: kleinster 1,0, größter 1,0, letzter 1,0."
    )
    (line,) = _lines(buckets, [], a_grid(6), "temperature_c", words)
    assert line["cells"] == ("1,0", "1,0", "1,0", "0")
    one = [buckets[0]._replace(count=1)]
    assert _summary(one, "temperature_c", words).startswith("1 Wert: 1,0")
    assert _summary([], "temperature_c", words) == words("history.empty")


def test_means_of_an_older_version_are_marked_in_the_table() -> None:
    words = Words("de", ZoneInfo("Europe/Berlin"))
    buckets = [
        Bucket(BEGIN, 1.0, 1.0, 1.0, 9, None), Bucket(BEGIN + WIDTH_MS, 2.0, 2.0, 2.0, 1, WIDTH_MS)
    ]  # fmt: skip
    (line,) = _lines(buckets, [], a_grid(6), "temperature_c", words)
    assert line["cells"][1] == "1,1*"


def test_one_is_not_plural_and_units_stand_close() -> None:
    german, english = (Words(name, ZoneInfo("Europe/Berlin")) for name in ("de", "en"))
    assert english.plural("guarantee.aside_points", 1) == "1 value set aside"
    assert english.plural("guarantee.aside_points", 2) == "2 values set aside"
    assert german.plural("guarantee.aside_points", 1) == "1 Wert zur Seite gelegt"
    assert german.plural("guarantee.aside_points", 0) == "0 Werte zur Seite gelegt"
    assert english.plural("audit.intact", 1_234) == "The chain is intact (1,234 entries)."
    assert [german.lasting(ms) for ms in (3_600_000, 5_400_000, DAY_MS * 2, DAY_MS * 365)] == [
        "1 Stunde", "1,5 Stunden", "2 Tage", "1 Jahr",
    ]  # fmt: skip
    assert german.measured(-0.01, "temperature_c") == "0,0\u202f°C"
    assert german.measured(1013.25, "pressure_hpa") == "1.013,2\u202fhPa"
    assert german.measured(612.4, "co2_ppm") == "612\u202fppm CO₂"
    assert english.measured(3.0, "flow") == "3\u202fflow"
    assert german.ago(3_600_000) == "1\u202fh"


def test_every_text_with_a_plural_has_both_forms_in_both_languages() -> None:
    for language in ("de", "en"):
        texts = catalogue(language)
        ones = {key for key in texts if key.endswith("_one")}
        assert {key.removesuffix("_one") for key in ones} <= texts.keys()
        assert ones == {key for key in catalogue("en") if key.endswith("_one")}


def test_the_hour_that_comes_twice_says_which_it_is() -> None:
    german, english = (Words(name, ZoneInfo("Europe/Berlin")) for name in ("de", "en"))
    first = 1_792_888_200_000  # 2026-10-25 02:30 in summer time
    assert german.moment(first, ms=False) == "25.10.26 02:30:00 MESZ"
    assert german.moment(first + 3_600_000, ms=False) == "25.10.26 02:30:00 MEZ"
    assert english.moment(first + 3_600_000, ms=False) == "25/10/2026 02:30:00 CET"
    assert german.moment(first + 7_200_000, ms=False) == "25.10.26 03:30:00"


@pytest.mark.parametrize("text", ["letzte Stunde", "last hour", "1 h", "60 min"])
def test_the_last_hour_is_the_last_hour_in_the_hour_that_comes_twice(text: str) -> None:
    """Local times without an offset would mean the first of the two."""
    now = utc_ms(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert read(text, now, BERLIN).range.whole() == (1_792_888_200_000, 1_792_891_800_000)
    assert read("heute", now, BERLIN).range.to_utc_ms == now + HOUR_MS // 2


NOW = datetime(2026, 11, 30, 15, 23, 17, tzinfo=BERLIN)


def span(text: str) -> str:
    """A range as this test writes it."""
    first, last = read(text, utc_ms(NOW), BERLIN).range.whole()
    ends = (datetime.fromtimestamp(ms / 1000, BERLIN) for ms in (first, last))
    return " ".join(f"{moment:%y-%m-%d %H:%M}" for moment in ends)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (("letzte 7 Tage", "last 7 days", "7d", "7 Tage"), "26-11-23 16:00 26-11-30 16:00"),
        (("letzte 24 Stunden", "24h", "past 24 hours"), "26-11-29 15:30 26-11-30 15:30"),
        (("heute", "Today"), "26-11-30 00:00 26-11-30 16:00"),
        (("gestern", "yesterday", "29.11.", "Sonntag"), "26-11-29 00:00 26-11-30 00:00"),
        (("letzte Woche", "last week", "KW 48", "week 48"), "26-11-23 00:00 26-11-30 00:00"),
        (("letzter Monat", "October", "Okt 2026"), "26-10-01 00:00 26-11-01 00:00"),
        (("letztes Jahr", "2025", "previous year"), "25-01-01 00:00 26-01-01 00:00"),
        (("diese Woche", "this week"), "26-11-30 00:00 26-11-30 16:00"),
        (("letzten Montag", "last Monday", "23/11/2026"), "26-11-23 00:00 26-11-24 00:00"),
        (("letzte 12 Monate", "1y", "1 Jahr"), "25-12-01 00:00 26-12-01 00:00"),
        (
            (
                "1.–7. Dezember", "1 Dec – 7 Dec", "1. bis 7. Dezember", "vom 1. bis 7.12.",
                "1.12.-7.12.2025", "2025-12-01 - 2025-12-07", "1–7 Dec 2025",
                "from 1 Dec to 7 Dec", "Dec 1 – Dec 7, 2025", "01/12/2025 to 07/12/2025",
            ),
            "25-12-01 00:00 25-12-08 00:00",
        ),
        (("28. November – 3. Januar", "28 Nov - 3 Jan"), "26-11-28 00:00 27-01-04 00:00"),
        (("8:00-12:00", "8–12 Uhr", "heute 8:00 bis 12:00", "8 am - 12 pm"),
         "26-11-30 08:00 26-11-30 12:00"),
        (("22:00–4:00", "gestern 22:00 – heute 4:00"), "26-11-29 22:00 26-11-30 04:00"),
        (("gestern 8:00", "29. November, 8 Uhr"), "26-11-29 08:00 26-11-29 09:00"),
        (("seit gestern", "since yesterday"), "26-11-29 00:00 26-11-30 15:25"),
        (("gestern – jetzt",), "26-11-29 00:00 26-11-30 15:24"),
    ],
)  # fmt: skip
def test_a_range_is_read_in_both_languages(texts: tuple[str, ...], wanted: str) -> None:
    assert {text: span(text) for text in texts} == dict.fromkeys(texts, wanted)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gestern abend irgendwann", "unread"), ("", "unread"), ("jetzt", "unread"),
        ("31. Juni", "no_such_day"), ("29. Februar 2025", "no_such_day"),
        ("25:00", "no_such_day"), ("KW 54 2026", "no_such_day"), ("1.1.1890", "no_such_day"),
        ("7. – 1. Dezember 2025", "turned"), ("jetzt - gestern", "turned"),
        ("2027", "future"), ("999 Jahre", "too_long"), ("9999 Jahre", "too_long"),
        ("1.1.1980 – 1.1.2026", "too_long"), ("0 Tage", "unread"),
    ],
)  # fmt: skip
def test_what_is_no_range_says_why(text: str, why: str) -> None:
    with pytest.raises(RangeError) as caught:
        span(text)
    assert caught.value.why == why


@pytest.mark.parametrize("language", ["de", "en"])
def test_what_a_range_is_called_is_read_as_the_same_range(language: str) -> None:
    words, drawn = Words(language, BERLIN), random.Random(7)
    for _ in range(2_000):
        day = drawn.random() < 0.5
        clock = (0, 0) if day else (drawn.randrange(24), drawn.randrange(60))
        first = datetime(drawn.choice((2025, 2026)), drawn.randint(1, 11), drawn.randint(1, 28),
                         *clock, tzinfo=BERLIN)  # fmt: skip
        length = timedelta(days=drawn.choice((1, 2, 7, 30, 365)))
        if not day:
            length = timedelta(minutes=drawn.randint(1, 9_000))
        chosen = Chosen(Range(utc_ms(first), utc_ms(first + length)))
        text = say(chosen, utc_ms(NOW), words)
        assert read(text, utc_ms(NOW), BERLIN).range == chosen.range, text
    assert say(Chosen(Range(utc_ms(NOW.replace(month=6, day=1, hour=0, minute=0, second=0)),
                            utc_ms(NOW.replace(month=7, day=1, hour=0, minute=0, second=0)))),
               utc_ms(NOW), words) in ("Juni 2026", "June 2026")  # fmt: skip


@pytest.mark.parametrize("text", SPANS)
def test_spans_begin_and_end_at_whole_buckets(text: str) -> None:
    chosen = read(text, utc_ms(NOW), BERLIN)
    assert chosen.span == text
    grid_ = Grid.of(chosen.range, utc_ms(NOW), BERLIN)
    first, last = chosen.range.whole()
    assert grid_.begin_utc_ms == first
    assert (last - first) % grid_.width_ms == 0 or text == "today"
    assert first % MINUTE_MS == last % MINUTE_MS == 0


def test_a_range_that_is_not_understood_keeps_the_text_and_says_so(web: Web) -> None:
    client = web.as_("maintenance")
    german, english = ({"Accept-Language": language} for language in ("de", "en"))
    asked = {"range": "vor dem Fest", "shown": "letzte 7 Tage", "view": "door"}
    page = client.get("/history", params=asked, headers=german).text
    assert 'value="vor dem Fest"' in page
    assert 'aria-invalid="true"' in page
    assert "versteht die Seite nicht" in page
    assert "last 7 days" in client.get("/history", params=asked, headers=english).text
    assert data_of(page)["to"] - data_of(page)["from"] == 7 * 86_400, "what was shown is shown"


def test_a_form_that_nobody_changed_keeps_the_exact_range(web: Web) -> None:
    asked = {
        "range": "25. Oktober, 02:30–02:45", "shown": "25. Oktober, 02:30–02:45",
        "from": "2025-10-26T01:30:00Z", "to": "2025-10-26T01:45:00Z",
    }  # fmt: skip
    data = data_of(web.as_("maintenance").get("/history", params=asked).text)
    assert (data["from"], data["to"]) == (1_761_442_200, 1_761_443_100)


def test_the_address_says_view_points_range_and_comparison(web: Web) -> None:
    web.see(snapshot(points={"front.leaf": contact(), "wc.climate": METER}))
    client = web.as_("maintenance")
    asked = "/history?view=points&points=wc.climate,front.leaf&range=7d&compare=1"
    page = client.get(asked, headers={"Accept-Language": "de"}).text
    address = re.search(r'data-address="([^"]*)"', page)
    assert address
    assert parse_qs(html.unescape(address[1])) == {
        "view": ["points"], "points": ["wc.climate,front.leaf"], "range": ["7d"], "compare": ["1"],
    }  # fmt: skip
    assert "Blass: 7 Tage früher" in page
    for href in re.findall(r'id="span-[^"]*" href="/history\?([^"]*)"', page):
        query = parse_qs(html.unescape(href))
        assert query["compare"] == ["1"]
        assert query["points"] == ["wc.climate,front.leaf"]


def test_the_range_before_has_the_same_hours_where_clocks_change() -> None:
    def local(month: int, day: int, hour: int = 0) -> int:
        return utc_ms(datetime(2026, month, day, hour, tzinfo=BERLIN))

    week = Range(local(10, 23), local(10, 30))
    assert week.whole()[0] - shift_of(week, BERLIN) == local(10, 16)
    after = Range(local(10, 26), local(11, 2))
    assert after.whole()[0] - shift_of(after, BERLIN) == local(10, 19)
    assert shift_of(Range(local(6, 10, 8), local(6, 10, 12)), BERLIN) == DAY_MS
    assert shift_of(Range(local(6, 10), local(6, 10, 23)), BERLIN) == DAY_MS
    assert shift_of(Range(31_536_000_000, 10**14), BERLIN) == 0, "there is nothing before"


def a_lane(spans: list[Span]) -> Lane:
    return Lane("Türkontakt", spans, {"on": "offen", "off": "zu"}, {}, "off", "front.leaf")


def test_a_lane_says_how_often_it_changed_and_how_much_of_the_time() -> None:
    """Before the range it was open already, and what comes after now is not yet."""
    words, until = Words("de", BERLIN), BEGIN + DAY_MS // 2
    spans = spans_of(
        [
            (BEGIN - 5000, "on"), (BEGIN + DAY_MS // 4, "off"), (BEGIN + DAY_MS // 4 + 1, "off"),
            (until - DAY_MS // 8, "on"), (until + 1, "off"),
        ], BEGIN, until,
    )  # fmt: skip
    assert spans == [
        Span(BEGIN, BEGIN + DAY_MS // 4, "on"),
        Span(BEGIN + DAY_MS // 4, until - DAY_MS // 8, "off"),
        Span(until - DAY_MS // 8, until, "on"),
    ]
    assert lane_text(a_lane(spans), words) == "2 Wechsel; offen 9\u202fh (75\u202f%)."
    assert lane_text(a_lane(spans[:1]), words) == "Durchgehend offen."
    hour = [Span(BEGIN, BEGIN + HOUR_MS, "on")]
    assert lane_text(a_lane(hour), words, HOUR_MS) == "Durchgehend offen."
    partly = "offen; bekannt sind nur 1\u202fh dieser Zeit."
    assert lane_text(a_lane(hour), words, DAY_MS) == partly
    assert lane_text(a_lane([]), words) == words("history.empty")


def test_what_is_not_known_is_no_span() -> None:
    changes = [(BEGIN, "on"), (BEGIN + 10, None), (BEGIN + 20, "on")]
    assert spans_of(changes, BEGIN, BEGIN + 30) == [
        Span(BEGIN, BEGIN + 10, "on"), Span(BEGIN + 20, BEGIN + 30, "on")
    ]  # fmt: skip


def test_a_lane_with_many_spans_is_drawn_as_shares() -> None:
    length = DAY_MS // 2_000
    spans = [
        Span(
            BEGIN + place * length, BEGIN + (place + 1) * length, "on" if place % 4 == 0 else "off"
        )
        for place in range(2_000)
    ]
    lane = drawn_lane(a_lane(spans), DAY)
    assert lane["spans"] == []
    assert len(lane["slots"]) == SLOTS
    assert sum(slot[2] for slot in lane["slots"]) / SLOTS == pytest.approx(0.25, abs=0.01)
    assert sum(slot[3] for slot in lane["slots"]) == 500
    assert lane["busy"] == "on"


def test_the_mode_of_a_door_is_what_its_facts_say(web: Web) -> None:
    """Also before the range; nothing is known of it while the gateway is stopped."""
    begin = web.site.control.now_utc_ms - DAY_MS + HOUR_MS
    years = Years(web.options.journal, begin - DAY_MS)
    years.fact(begin - 3 * HOUR_MS, "door_mode", "front", mode="night", source="schedule")
    years.fact(begin + HOUR_MS, "door_mode", "front", mode="automatic", source="schedule")
    years.fact(begin + 2 * HOUR_MS, "gateway_stopped", "test", reason="update")
    years.fact(begin + 4 * HOUR_MS, "door_mode", "front", mode="off", source="override")
    years.close()
    lane = lane_data(web, "door", 1)
    assert [span[2] for span in lane["spans"]] == ["night", "automatic", "off"]
    ends = [[round(at - begin / 1000) for at in span[:2]] for span in lane["spans"]]
    assert ends[1] == [3600, 7200]
    assert ends[2][0] == 4 * 3600
    assert lane["words"]["night"] == "Nacht"


def test_a_mode_without_a_fact_is_known_since_the_start(web: Web) -> None:
    Years(web.options.journal, web.site.control.now_utc_ms - DAY_MS).close()
    web.see(
        snapshot(gateway={"id": "test", "name": "T", "started_ms": snapshot()["now_ms"] - 5000})
    )
    (one,) = lane_data(web, "door", 1)["spans"]
    assert one[2] == "automatic"
    assert one[0] == pytest.approx(web.site.control.now_utc_ms / 1000 - 5, abs=30)


def lane_data(web: Web, view: str, place: int) -> Any:
    answer = web.as_("maintenance").get(
        "/history", params={"view": view, "range": "24h"}, headers={"Accept-Language": "de"}
    )
    return [one for one in data_of(answer.text)["series"] if one["kind"] == "lane"][place - 1]


def test_a_call_is_a_lane_and_one_restart_ends_what_was_known(web: Web) -> None:
    begin = web.site.control.now_utc_ms - 5 * HOUR_MS
    years = Years(web.options.journal, begin)
    years.fact(begin, "gateway_started", "test", version="1", configuration="c", clean=True)
    years.fact(begin + HOUR_MS, "call_raised", "wc", call="a", cause="cord", pulls=1, test=False)
    years.fact(begin + HOUR_MS + 1000, "call_acknowledged", "wc", call="a", by="web:1", via="web")
    years.fact(begin + 2 * HOUR_MS, "call_cancelled", "wc", call="a", test=False)
    years.fact(begin + 3 * HOUR_MS, "call_raised", "wc", call="b", cause="cord", pulls=1, test=True)
    years.fact(begin + 3 * HOUR_MS + 9000, "gateway_stopped", "test", reason="update")
    years.fact(begin + 4 * HOUR_MS, "gateway_started", "test", version="1", configuration="c",
               clean=True)  # fmt: skip
    years.close()
    spans = lane_data(web, "calls", 1)["spans"]
    assert [span[2] for span in spans] == [
        "quiet", "raised", "acknowledged", "quiet", "test", "quiet",
    ]  # fmt: skip
    assert spans[5][0] - spans[4][1] == pytest.approx(3600 - 9, abs=1), "nobody knows"


def test_openings_are_counted_per_day_and_by_weekday(web: Web) -> None:
    monday = utc_ms(datetime(2025, 5, 5, tzinfo=BERLIN))
    years = Years(web.options.journal, monday)
    for day in range(28):
        for number in range(3 if day % 7 == 0 else 1):
            years.opening(monday + day * DAY_MS + 8 * HOUR_MS + number, "front", None)
    years.close()
    answer = web.as_("maintenance").get(
        "/history", params={"view": "use", "range": "5.5.2025 - 1.6.2025"},
        headers={"Accept-Language": "de"},
    )  # fmt: skip
    assert "keine Türöffnung" not in answer.text
    door = web.as_("maintenance").get(
        "/history?view=door&range=5.5.2025", headers={"Accept-Language": "de"}
    )
    assert "3 gesamt" in door.text
    assert "keine Türöffnung" not in door.text, "openings are bars there, and no ticks"
    bars = next(one for one in data_of(answer.text)["series"] if one["kind"] == "bars")
    assert [bin_[2] for bin_ in bars["bins"]] == ([3] + [1] * 6) * 4
    assert "Am meisten: 8–9 Uhr mit 1,3." in answer.text
    assert "Am meisten: Mo mit 3." in answer.text
    assert "36 gesamt, am meisten 3" in answer.text


def test_bins_are_days_of_the_building_where_clocks_change() -> None:
    first = utc_ms(datetime(2026, 10, 24, tzinfo=BERLIN))
    unit, edges = edges_of(first, first + 5 * DAY_MS, BERLIN)
    assert unit == "day"
    assert {(b - a) // HOUR_MS for a, b in pairwise(edges)} == {24, 25}
    found = counted([Event(edges[1] - 1, 2), Event(edges[1], 5)], edges)
    assert [one.number for one in found][:3] == [2, 5, 0]
    assert [edges_of(first, first + days * DAY_MS, BERLIN)[0] for days in (1, 10, 365, 2000)] == [
        "hour", "day", "week", "month",
    ]  # fmt: skip


def test_visits_are_counts_of_hours_and_no_person_is_in_them(web: Web) -> None:
    begin = web.site.control.now_utc_ms // HOUR_MS * HOUR_MS - 60 * HOUR_MS
    years = Years(web.options.journal, begin)
    for hour in range(1, 61):
        years.fact(begin + hour * HOUR_MS, "occupancy_hour", "wc", visits=2,
                   occupied_ms=HOUR_MS // 2, known_ms=HOUR_MS)  # fmt: skip
    years.close()
    answer = web.as_("maintenance").get(
        "/history", params={"view": "use", "range": "letzte 60 Stunden"},
        headers={"Accept-Language": "de"},
    )  # fmt: skip
    bars = [one for one in data_of(answer.text)["series"] if one["kind"] == "bars"][1]
    assert {bin_[2] for bin_ in bars["bins"][1:-1]} == {2}
    assert "mit 50\u202f%." in answer.text


def test_limits_of_the_configuration_have_their_names(tmp_path: Path) -> None:
    from gateway.app.configuration import load

    text = (Path(__file__).parents[2] / "config" / "bench.yaml").read_text(encoding="utf-8")
    file = tmp_path / "bench.yaml"
    file.write_text(
        text + "\nwatch:\n  boiler: {point: wc.climate, quantity: temperature_c, below: 12,"
        " texts: {de: Heizung aus, en: Heating off}}\n", encoding="utf-8",
    )  # fmt: skip
    web = Web(tmp_path, terminals=terminals_of(load.settings(file)))
    Years(web.options.journal, BEGIN).close()
    web.see(snapshot(points={"wc.climate": METER}))
    answer = web.as_("maintenance").get("/history?view=climate", headers={"Accept-Language": "de"})
    (series,) = [one for one in data_of(answer.text)["series"] if one["kind"] == "meter"]
    assert series["limits"] == [[5.0, "Frost", False], [12.0, "Heizung aus", False]]
    web.close()


def test_a_building_without_rooms_has_no_view_of_calls(web: Web) -> None:
    web.see(snapshot(rooms={}))
    page = web.as_("maintenance").get("/history").text
    assert 'id="view-door"' in page
    assert 'id="view-calls"' not in page
    assert 'id="view-climate"' not in page
    fallen_back = web.as_("maintenance").get("/history?view=calls").text
    assert 'id="view-door" href' in fallen_back


def test_an_empty_range_says_what_will_appear_here(web: Web) -> None:
    Years(web.options.journal, BEGIN).close()
    web.see(snapshot(points={"wc.climate": METER}))
    answer = web.as_("maintenance").get(
        "/history",
        params={"view": "climate", "range": "gestern"},
        headers={"Accept-Language": "de"},
    )
    assert "sobald ein Sensor Werte meldet" in answer.text
    assert "<figure" not in answer.text


def data_of(page: str) -> Any:
    found = re.search(r'data-history="([^"]*)"', page)
    assert found
    return json.loads(html.unescape(found[1]))


def test_a_year_of_a_minute_series_is_a_small_page(web: Web) -> None:
    years = Years(web.options.journal, BEGIN)
    number = years.series("reading", "wc.climate", "temperature_c")
    years.db.execute(
        "INSERT INTO fact WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 525600) SELECT i, 1, i, ?, 1, i * 60000, i % 50, NULL, NULL FROM n",
        (number,),
    )
    years.db.execute(
        "INSERT INTO hour SELECT series, boot, mono_ms / 3600000, count(value), 0, total(value), "
        "min(value), max(value) FROM fact GROUP BY 1, 2, 3"
    )
    years.close()
    web.see(snapshot(points={"wc.climate": METER}))
    query = Range(BEGIN, BEGIN + 365 * DAY_MS).query()
    client = web.as_("maintenance")
    answer = client.get("/history", params={"points": "wc.climate", **query})
    buckets = data_of(answer.text)["series"][0]["buckets"]
    assert 365 <= len(buckets) <= 368, "a bucket a day"
    assert sum(bucket[4] for bucket in buckets) == pytest.approx(525_600, abs=60)
    assert {(bucket[1], bucket[3]) for bucket in buckets} == {(0, 49)}
    assert len(answer.text) < 100_000


def written(web: Web, count: int) -> None:
    years = Years(web.options.journal, BEGIN)
    for number in range(count):
        years.fact(BEGIN + number * 1000, "door_opened", f"d{number % 7}", cause=f"c{number}")
    years.close()


def test_a_life_tells_of_shelving_and_begins_anew_once_it_was_seen(web: Web) -> None:
    web.add("jana", "staff")
    by = f"web:{web.users.by_name('jana').id}"
    years = Years(web.options.journal, BEGIN)
    alarm = "front/left_open"
    years.fact(BEGIN, "alarm_raised", alarm, severity="fault", count=1)
    years.fact(BEGIN + 1000, "alarm_cleared", alarm, active_ms=1000)
    years.fact(BEGIN + 2000, "alarm_raised", alarm, severity="fault", count=2)
    years.fact(BEGIN + 3000, "alarm_acknowledged", alarm, by=by)
    years.fact(BEGIN + 4000, "alarm_shelved", alarm, by=by, for_ms=3_600_000)
    years.fact(BEGIN + 9000, "alarm_cleared", alarm, active_ms=7000)
    years.fact(BEGIN + 10_000, "alarm_raised", alarm, severity="fault", count=1)
    years.close()
    page = web.as_("staff").get("/alarms", headers={"Accept-Language": "de"}).text
    again, first = page.split('<th scope="row">')[1:]
    assert "noch nicht" in again
    assert "steht noch an" in again
    assert "2-mal" in first
    assert "von jana zurückgestellt für 1\u202fh" in first
    assert "nach 7\u202fs" in first
    assert "jana" not in web.as_("view").get("/alarms").text
