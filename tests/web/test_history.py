"""Charts, tables, searches and lives of alarms, as the server makes them."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.journal.history import Bucket
from gateway.web import searching
from gateway.web.pages import records
from gateway.web.pages.charts import CHART_BUCKETS, Gap, _lane_summary, gaps
from gateway.web.pages.ranges import Range
from gateway.web.words import Words
from tests.page.fake import contact
from tests.web.conftest import Web, snapshot
from tests.web.years import DAY_MS, Years

BEGIN = 1_750_000_000_000 - 1_750_000_000_000 % DAY_MS
MINUTE_MS = 60_000
METER = contact(None, kind="meter", quantities={"temperature_c": {"value": 1.0, "at_ms": 0}})


def told(*minutes: int) -> list[Bucket]:
    return [Bucket(BEGIN + minute * MINUTE_MS, 1.0, 1.0, 1.0, 1) for minute in minutes]


DAY = Range(BEGIN, BEGIN + DAY_MS)
"""Its buckets are 2.4 minutes wide."""
WIDTH = DAY_MS // CHART_BUCKETS


def test_a_gap_is_longer_than_a_meter_is_ever_quiet() -> None:
    buckets = told(0, 10, 20, 31, 60)
    now = BEGIN + 61 * MINUTE_MS
    gap = Gap(BEGIN + 31 * MINUTE_MS + WIDTH, BEGIN + 60 * MINUTE_MS)
    assert gaps(buckets, DAY, now, 15 * MINUTE_MS) == [gap]
    assert gaps(buckets, DAY, now, 30 * MINUTE_MS) == []
    assert gaps(told(0, 1, 2, 3, 20), DAY, BEGIN + 21 * MINUTE_MS, None) == [
        Gap(BEGIN + 3 * MINUTE_MS + WIDTH, BEGIN + 20 * MINUTE_MS)
    ]


def test_a_meter_that_fell_silent_has_a_gap_until_now_and_none_in_the_future() -> None:
    now = BEGIN + 100 * MINUTE_MS
    gap = Gap(BEGIN + 10 * MINUTE_MS + WIDTH, now)
    assert gaps(told(0, 10), DAY, now, 15 * MINUTE_MS) == [gap]
    assert gaps(told(0, 10), DAY, BEGIN + 11 * MINUTE_MS, 15 * MINUTE_MS) == []
    assert gaps([], DAY, now, None) == []


def test_the_hour_that_comes_twice_says_which_it_is() -> None:
    german, english = (Words(name, ZoneInfo("Europe/Berlin")) for name in ("de", "en"))
    first = 1_792_888_200_000  # 2026-10-25 02:30 in summer time
    assert german.moment(first, ms=False) == "25.10.26 02:30:00 MESZ"
    assert german.moment(first + 3_600_000, ms=False) == "25.10.26 02:30:00 MEZ"
    assert english.moment(first + 3_600_000, ms=False) == "25/10/2026 02:30:00 CET"
    assert german.moment(first + 7_200_000, ms=False) == "25.10.26 03:30:00"


def test_the_last_hour_is_the_last_hour_in_the_hour_that_comes_twice() -> None:
    """Local times without an offset would mean the first of the two."""
    from datetime import UTC, datetime
    from urllib.parse import parse_qs

    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    query = parse_qs(dict(records._quick(now, ["a"]))["hour"])
    asked = Range.read(query["from"][0], query["to"][0], ZoneInfo("Europe/Berlin"))
    assert asked.whole() == (1_792_888_200_000, 1_792_891_860_000)


def test_the_button_of_the_shown_span_says_so() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 6, 10, 8, tzinfo=UTC)
    now_ms = int(now.timestamp() * 1000)
    assert records._span(now, now_ms - DAY_MS, now_ms + MINUTE_MS) == "day"
    assert records._span(now, now_ms - DAY_MS, now_ms) == "day"
    assert records._span(now, now_ms - 2 * DAY_MS, now_ms) == ""
    assert records._span(now, now_ms - 3 * DAY_MS, now_ms - 2 * DAY_MS) == ""


def test_a_lane_says_how_much_of_the_time_it_was_active() -> None:
    """Before the range it was active already, and what comes after now is not yet."""
    words, now = Words("de", ZoneInfo("Europe/Berlin")), BEGIN + DAY_MS // 2
    changes = [(BEGIN - 5000, True), (BEGIN + DAY_MS // 4, False), (now - DAY_MS // 8, True)]
    assert _lane_summary(changes, DAY, now, words) == "3 Wechsel, 37,5 % der Zeit aktiv."
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
    assert 590 <= len(buckets) <= CHART_BUCKETS
    assert sum(bucket[4] for bucket in buckets) == pytest.approx(525_600, abs=60)
    assert {(bucket[1], bucket[3]) for bucket in buckets} == {(0, 49)}
    assert len(answer.text) < 100_000


def written(web: Web, count: int) -> None:
    years = Years(web.options.journal, BEGIN)
    for number in range(count):
        years.fact(BEGIN + number * 1000, "door_opened", f"d{number % 7}", cause=f"c{number}")
    years.close()


def rows(page: str) -> list[str]:
    return re.findall(r"<td>(?:cause: |Ursache: )?(c\d+)", page)


def test_a_search_looks_through_what_is_kept_and_goes_on(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(web, 900)
    client = web.as_("view")
    assert rows(client.get("/events?q=D3+c101").text) == ["c101"]
    assert rows(client.get("/events?q=d4+c101").text) == []
    monkeypatch.setattr(searching, "MOST", 500)
    page = client.get("/events?q=c101").text
    assert rows(page) == []
    further = re.search(r'href="(/events\?[^"]*before=\d+)"', page)
    assert further
    assert rows(client.get(html.unescape(further[1])).text) == ["c101"]


def test_paging_shows_every_event_once(web: Web) -> None:
    written(web, 250)
    client, address, seen = web.as_("view"), "/events", []
    while address:
        page = client.get(address).text
        seen += rows(page)
        found = re.search(r'href="(/events\?[^"]*before=\d+)"', page)
        address = html.unescape(found[1]) if found else ""
    assert seen == [f"c{number}" for number in range(249, -1, -1)]


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
    assert "von jana zurückgestellt für 1 h" in first
    assert "nach 7 s" in first
    assert "jana" not in web.as_("view").get("/alarms").text
