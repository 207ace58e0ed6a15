"""Charts, tables, searches and lives of alarms, as the server makes them."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.journal.past.history import Bucket, grid
from gateway.web.history import pages as records
from gateway.web.history.charts import (
    CHART_BUCKETS,
    Gap,
    Grid,
    _drawn,
    _lane_summary,
    _lines,
    _summary,
    gaps,
)
from gateway.web.history.ranges import Range
from gateway.web.shared.words import Words, catalogue
from tests.page.fake import contact
from tests.web.conftest import Web, snapshot
from tests.web.years import DAY_MS, Years

BEGIN = 1_750_000_000_000 - 1_750_000_000_000 % DAY_MS
MINUTE_MS = 60_000
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
    assert [line["time"][-5:] for line in lines[1:]] == ["30:00", "00:00"] * 23 + ["30:00"]
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


def test_the_last_hour_is_the_last_hour_in_the_hour_that_comes_twice() -> None:
    """Local times without an offset would mean the first of the two."""
    from datetime import datetime
    from urllib.parse import parse_qs

    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    query = parse_qs(dict(records._quick(now, ["a"]))["hour"])
    asked = Range.read(query["from"][0], query["to"][0], ZoneInfo("Europe/Berlin"))
    assert asked.whole() == (1_792_888_200_000, 1_792_891_860_000)


def test_the_button_of_the_shown_span_says_so() -> None:
    from datetime import datetime

    now = datetime(2026, 6, 10, 8, tzinfo=UTC)
    now_ms = int(now.timestamp() * 1000)
    assert records._span(now, now_ms - DAY_MS, now_ms + MINUTE_MS) == "day"
    assert records._span(now, now_ms - DAY_MS, now_ms) == "day"
    assert records._span(now, now_ms - 2 * DAY_MS, now_ms) == ""
    assert records._span(now, now_ms - 3 * DAY_MS, now_ms - 2 * DAY_MS) == ""


def test_a_lane_says_how_much_of_the_time_it_was_active() -> None:
    """Before the range it was active already, and what comes after now is not yet."""
    words, now = Words("de", ZoneInfo("Europe/Berlin")), BEGIN + DAY_MS // 2
    changes: list[tuple[int, bool | None]] = [
        (BEGIN - 5000, True),
        (BEGIN + DAY_MS // 4, False),
        (now - DAY_MS // 8, True),
    ]
    assert _lane_summary(changes, DAY, now, words) == "3 Wechsel, 37,5\u202f% der Zeit aktiv."
    assert _lane_summary([], DAY, now, words) == words("history.empty")


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
