"""What maintenance sees: counters, drift per week, gaps of meters, calls per month."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.journal.queries.reader import Reader
from gateway.web.maintenance.view import Drift, drift, drift_text, picture
from gateway.web.shared.words import Words
from gateway.web.storage.weeks import WEEKS, Week
from tests.page.fake import contact, door, now_ms
from tests.web.conftest import Web, snapshot
from tests.web.years import DAY_MS, Years, lines

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = date(2025, 3, 3)


def weeks(*medians: int | None, openings: int = 50) -> list[Week]:
    return [
        Week(MARCH + timedelta(weeks=number), openings if took else 0, took)
        for number, took in enumerate(medians)
    ]


def test_a_door_that_became_slower_says_since_when_in_one_sentence() -> None:
    found = drift(weeks(1200, 1200, 1300, 1500, 1700, 2000, 2000))
    assert found == Drift(MARCH, 800)
    assert drift_text(Words("en", BERLIN), found) == "Opens 0.8\u202fs later than in March."
    assert drift_text(Words("de", BERLIN), found) == "Öffnet 0,8\u202fs später als im März."


def test_a_small_difference_is_none_and_a_faster_door_is_said_to_be_faster() -> None:
    words = Words("en", BERLIN)
    assert "as fast as in March" in drift_text(words, drift(weeks(*[1200] * 6, 1300)))
    assert "0.7\u202fs sooner" in drift_text(words, drift(weeks(1900, 1900, 0, 0, 0, 1200, 1200)))


@pytest.mark.parametrize(
    "some",
    [
        weeks(),
        weeks(1200, 2000),
        weeks(1200, 1300, 1400, 1500),
        weeks(*[1200] * 9, openings=4),
        weeks(None, None, None),
    ],
    ids=["never", "a fortnight", "a month", "too few each", "never measured"],
)
def test_too_few_openings_make_no_sentence_about_the_drive(some: list[Week]) -> None:
    assert drift(some) == Drift(None, None)
    assert "Zu wenige Öffnungen" in drift_text(Words("de", BERLIN), drift(some))


def test_the_picture_has_a_gap_where_nothing_was_measured_and_says_it_in_words() -> None:
    shown = picture(Words("en", BERLIN), weeks(1200, 1300, None, 2000))
    assert shown is not None
    assert len(shown.lines) == 1  # two weeks make a line, one alone is a dot
    assert len(shown.dots) == 3
    assert "lowest 1.2\u202fs, highest 2\u202fs, last 2\u202fs" in shown.text
    assert picture(Words("en", BERLIN), weeks(None)) is None
    assert picture(Words("en", BERLIN), weeks(1200)) is None, "one dot compares nothing"


def now() -> int:
    return int(time.time() * 1000)


def worn(state: Path, begin_days: int = 100) -> None:
    """A door that gets slower, a meter with gaps, and calls."""
    today = now()
    years = Years(state / "journal.sqlite", today - begin_days * DAY_MS)
    for day in range(begin_days - 1, 0, -1):
        for number in range(3):
            at = today - day * DAY_MS + number * 60_000
            years.opening(at, "front", 1000 + 10 * (begin_days - day))
        years.opening(today - day * DAY_MS, "front", None)  # by hand: nothing to measure
    for hour in range(1, 49):
        years.hour(today - hour * 3_600_000, "wc.climate", "temperature_c", int(hour > 5), hour % 2)
    years.fact(today - 3 * DAY_MS, "alarm_raised", "front/did_not_open", severity="urgent", count=1)
    years.fact(today - 3 * DAY_MS, "alarm_raised", "wc.climate/meter_silent", severity="fault")
    calls = ((1, False, 10_000), (2, False, 30_000), (3, True, 900_000))
    for number, test, after_ms in calls:
        at, call = today - DAY_MS // 2 + number * 1000, f"wc-{number}"
        years.fact(at, "call_raised", "wc", call=call, cause="cord", pulls=1, test=test)
        years.fact(at + 1, "call_raised", "wc", call=call, cause="cord", pulls=2, test=test)
        for kind, more in (
            ("call_acknowledged", 0),
            ("call_acknowledged", 9),
            ("call_cancelled", 5),
        ):
            years.fact(at + 9 + more, kind, "wc", call=call, after_ms=after_ms + more, by="web:7")
    years.close()


def building() -> dict[str, object]:
    told = {"value": 21.0, "at_ms": now_ms()}
    return snapshot(
        doors={"front": door("Haupteingang", counters={
            "openings": 1234, "requests": 1300, "refusals": {"mode_off": 3}})},
        points={"front.leaf": contact(changes=17), "wc.climate": contact(None, kind="meter",
            quantities={"temperature_c": told, "battery_percent": told})},
    )  # fmt: skip


def test_the_page_says_counters_drift_gaps_and_response_times(web: Web) -> None:
    worn(web.options.state)
    web.see(building())
    html = web.as_("maintenance").get("/maintenance").text
    for said in (
        "1.234", "3 × ", "später als im",
        'role="img"', "Zuletzt gehört", "21\u202f%", "5 von", ">17<", "Notrufe je Monat",
    ):  # fmt: skip
        assert said in html, said
    assert "web:7" not in html


def test_the_same_for_programs(web: Web) -> None:
    worn(web.options.state)
    web.see(building())
    told = web.call("GET", "/api/v1/maintenance", headers=web.token("maintenance")).json()
    (front,) = told["doors"]
    assert (front["openings"], front["missed"]) == (1234, 1)
    assert 700 < front["drift_ms"] < 1000
    assert sum(week["openings"] for week in front["weeks"]) == 99 * 3
    (meter,) = told["meters"]
    assert (meter["refused"], meter["silent"]) == (24, 1)
    assert (meter["empty_hours"], meter["hours"]) == (5, 48)
    assert meter["told"] == {"battery_percent": 21.0}
    months = told["rooms"][0]["months"]
    assert (sum(m["calls"] for m in months), sum(m["tests"] for m in months)) == (2, 1)
    assert months[0]["acknowledged_ms"] in (20_000, 10_000, 30_000)  # a month may end in between
    assert months[0]["attended_ms"] is None


def test_medians_of_past_weeks_outlive_the_events(web: Web) -> None:
    worn(web.options.state)
    web.see(building())
    path, headers = "/api/v1/maintenance", web.token("maintenance")
    before = web.call("GET", path, headers=headers).json()["doors"][0]["weeks"]
    web.site.records.close()
    (web.options.state / "journal.sqlite").unlink()
    young = Years(web.options.state / "journal.sqlite", now() - DAY_MS)
    young.opening(now() - 1000, "front", 5000)
    young.close()
    web.site.records = type(web.site.records)(web.options.journal)
    after = web.call("GET", path, headers=headers).json()["doors"][0]["weeks"]
    assert after[:-2] == before[:-2]
    kept = lines(web.options.users, "SELECT count(*) FROM door_weeks")
    assert kept[0][0] <= WEEKS


def test_without_a_journal_the_page_says_so(web: Web) -> None:
    html = web.as_("maintenance").get("/maintenance").text
    assert "Seit" in html or "seit" in html
    assert "Haupteingang" in html
    answer = web.call("GET", "/api/v1/maintenance", headers=web.token("maintenance"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_journal")


def test_weeks_begin_on_monday_by_the_local_clock(web: Web) -> None:
    monday = datetime(2025, 3, 31, tzinfo=BERLIN)  # the night before, the clock was put forward
    at = int(monday.astimezone(UTC).timestamp() * 1000)
    years = Years(web.options.state / "journal.sqlite", at - 10 * DAY_MS)
    years.opening(at - 1, "front", 1000)
    years.opening(at, "front", 2000)
    years.close()
    reader = Reader(web.options.journal)
    found = web.site.weeks.of(reader, "front", at + DAY_MS)
    reader.close()
    assert found == [Week(date(2025, 3, 24), 1, 1000), Week(date(2025, 3, 31), 1, 2000)]
