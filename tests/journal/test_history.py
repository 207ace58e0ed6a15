"""Charts and exports: means, gaps, levels, marks; and files that Excel opens."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.core.facts import Fact, Json
from gateway.journal.queries import export, history, means
from gateway.journal.queries.export import Wanted
from gateway.journal.queries.history import Bucket
from gateway.journal.store import Store
from tests.journal.journal_desk import UTC_OFFSET_MS, opened, read, reading, work

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
T0 = UTC_OFFSET_MS


def test_buckets_hold_min_mean_max_and_count(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(*(reading(at * 1_000, at) for at in range(60)), utc_offset_ms=T0))
    found = history.buckets(read(path), "wc.climate", "temperature", T0, T0 + 60_000, 3)
    assert found == [
        Bucket(T0, 0.0, 9.5, 19.0, 20, 20_000),
        Bucket(T0 + 20_000, 20.0, 29.5, 39.0, 20, 20_000),
        Bucket(T0 + 40_000, 40.0, 49.5, 59.0, 20, 20_000),
    ]
    store.close(clean=False)


def test_gaps_are_gaps_and_where_nothing_was_told_there_is_no_bucket(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(reading(0, 20.0), reading(15_000, None), utc_offset_ms=T0))
    store.write(work(reading(32_000, None)))
    found = history.buckets(read(path), "wc.climate", "temperature", T0, T0 + 50_000, 5)
    assert found == [
        Bucket(T0, 20.0, 20.0, 20.0, 1, 10_000),
        Bucket(T0 + 10_000, 20.0, 20.0, 20.0, 0, 5_000),
        Bucket(T0 + 30_000, None, None, None, 0, 0),
    ]
    store.close(clean=False)


def test_wide_buckets_come_from_the_roll_ups_and_agree_with_the_facts(path: Path) -> None:
    store = Store(path, "boot-1")
    facts = [reading(at * 600_000, float(at % 37)) for at in range(1_000)]
    store.write(work(*facts, utc_offset_ms=T0 - T0 % HOUR_MS))
    begin = T0 - T0 % HOUR_MS
    wide = history.buckets(read(path), "wc.climate", "temperature", begin, begin + 7 * DAY_MS, 7)
    values = [float(at % 37) for at in range(1_000)]
    for day, bucket in enumerate(wide):
        part = values[day * 144 : (day + 1) * 144]
        assert (bucket.min, bucket.max, bucket.count) == (min(part), max(part), len(part))
        if day < 6:
            assert bucket.mean == pytest.approx(sum(part) / len(part))
            assert bucket.covered_ms == DAY_MS
    assert sum(bucket.count for bucket in wide) == 1_000
    store.close(clean=False)


def test_thinned_readings_are_valid_for_as_long_as_they_say(path: Path) -> None:
    store = Store(path, "boot-1")
    mean: dict[str, Json] = {
        "quantity": "temperature",
        "value": 10.0,
        "min": 1.0,
        "max": 30.0,
        "count": 3,
    }
    lasts: dict[str, Json] = {"covers": [1, 3], "lasts_s": 1.0, "covered_s": 0.5}
    store.write(
        work(
            Fact("reading", "wc.climate", 1_000, {**mean, **lasts}),
            reading(2_000, 20.0),
            utc_offset_ms=T0,
        )
    )
    found = history.buckets(read(path), "wc.climate", "temperature", T0, T0 + 2_500, 1)
    assert found == [Bucket(T0, 1.0, 15.0, 30.0, 4, 1_000)]
    counted = means.counts(store.connection, 1, 1, (0, 0))
    assert counted == {0: (1, 0)}, "a mean is not counted again"
    store.close(clean=False)


def test_readings_thinned_by_an_older_version_are_their_hour_and_are_marked(path: Path) -> None:
    store = Store(path, "boot-1")
    mean: dict[str, Json] = {
        "quantity": "temperature",
        "value": 10.0,
        "min": 1.0,
        "max": 30.0,
        "count": 3,
    }
    fact = Fact("reading", "wc.climate", HOUR_MS // 2, {**mean, "covers": [1, 3]})
    store.write(work(fact, utc_offset_ms=T0))
    found = history.buckets(read(path), "wc.climate", "temperature", T0, T0 + 2 * HOUR_MS, 8)
    assert [(bucket.mean, bucket.covered_ms) for bucket in found] == [(10.0, None)] * 4
    assert [bucket.count for bucket in found] == [0, 0, 3, 0]
    store.close(clean=False)


def test_history_runs_over_restarts_and_unknown_time_is_left_out(path: Path) -> None:
    for number in range(3):
        store = Store(path, f"boot-{number}")
        offset = None if number == 1 else T0 + number * 10_000
        store.write(work(reading(1_000, float(number)), utc_offset_ms=offset))
        store.close(clean=True)
    found = history.buckets(read(path), "wc.climate", "temperature", T0, T0 + 30_000, 3)
    assert [(bucket.utc_ms, bucket.mean) for bucket in found] == [(T0, 0.0), (T0 + 20_000, 2.0)]
    assert found[0].covered_ms == 1, "nothing is known after the last word of a run"


@pytest.mark.parametrize(("begin", "end", "number"), [(5, 5, 1), (6, 5, 1), (0, 5, 0)])
def test_an_empty_range_is_refused(path: Path, begin: int, end: int, number: int) -> None:
    with pytest.raises(ValueError, match="range"):
        history.buckets(read(path), "p", "q", begin, end, number)


def test_a_point_that_nobody_knows_has_no_history(path: Path) -> None:
    Store(path, "boot-1").close(clean=True)
    assert history.buckets(read(path), "p", "q", 0, 5, 1) == []
    assert history.levels(read(path), "p", 0, 5) == []
    assert history.series(read(path)) == []


def test_what_tells_about_a_person_has_its_levels_for_as_long_as_it_is_saved(path: Path) -> None:
    """Motion and room doors stay on the gateway for a day; their history was always empty."""
    store = Store(path, "boot-1")
    data: dict[str, Json] = {"active": True, "reason": None, "initial": False}
    store.write(work(Fact("presence_changed", "wc.pir", 5_000, data), utc_offset_ms=T0))
    assert history.levels(read(path), "wc.pir", T0, T0 + 60_000) == [(T0 + 5_000, True)]
    store.close(clean=False)


def test_levels_begin_with_the_one_before_the_range(path: Path) -> None:
    def level(at_ms: int, active: bool | None) -> Fact:
        return Fact("contact_changed", "front.leaf", at_ms, {"active": active, "initial": False})

    store = Store(path, "boot-1")
    store.write(work(level(1_000, True), level(5_000, False), utc_offset_ms=T0))
    store.write(work(level(7_000, None), opened(9_000)))
    store.close(clean=True)
    store = Store(path, "boot-2")
    store.write(work(level(500, True), utc_offset_ms=T0 + 20_000))
    store.close(clean=True)
    assert history.levels(read(path), "front.leaf", T0 + 2_000, T0 + 60_000) == [
        (T0 + 2_000, True),
        (T0 + 5_000, False),
        (T0 + 7_000, None),
        (T0 + 9_000, None),  # the last word of the first run: unknown from here
        (T0 + 20_500, True),
    ]


def test_states_are_facts_with_the_starts_and_ends_of_the_gateway_between_them(
    path: Path,
) -> None:
    def mode(at_ms: int, name: str, door: str = "front") -> Fact:
        return Fact("door_mode", door, at_ms, {"mode": name, "source": "schedule"})

    started = Fact(
        "gateway_started", "g", 100, {"version": "0", "configuration": "", "clean": True}
    )
    store = Store(path, "boot-1")
    store.write(work(started, mode(1_000, "night"), mode(5_000, "automatic"), utc_offset_ms=T0))
    store.write(work(mode(7_000, "off"), mode(7_500, "night", "back"), opened(9_000)))
    store.close(clean=True)
    store = Store(path, "boot-2")
    store.write(work(started, mode(500, "night"), utc_offset_ms=T0 + 20_000))
    store.close(clean=True)
    found = history.states(read(path), "front", ("door_mode",), T0 + 6_000, T0 + 60_000)
    assert [(one.utc_ms - T0, one.kind, one.data.get("mode")) for one in found] == [
        (100, "gateway_started", None),
        (5_000, "door_mode", "automatic"),  # the last before the range, not all of them
        (7_000, "door_mode", "off"),
        (9_000, "", None),  # the last word of the first run: unknown from here
        (20_100, "gateway_started", None),
        (20_500, "door_mode", "night"),
    ]


def test_states_are_the_newest_where_there_are_too_many(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_STATES", 3)
    store = Store(path, "boot-1")
    facts = [Fact("door_mode", "front", at, {"mode": str(at)}) for at in range(1, 9)]
    store.write(work(*facts, utc_offset_ms=T0))
    found = history.states(read(path), "front", ("door_mode",), T0 + 2, T0 + 60_000)
    assert [one.data["mode"] for one in found] == ["1", "6", "7", "8"]
    store.close(clean=False)


def test_marks_are_the_facts_about_a_door(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(*(opened(at) for at in range(20)), opened(3, "back"), utc_offset_ms=T0))
    found = history.marks(read(path), "front", T0 + 5, T0 + 15, limit=4)
    assert [row.mono_ms for row in found] == [11, 12, 13, 14]
    store.close(clean=False)


def test_counts_are_about_subjects_and_the_alarms_about_them(path: Path) -> None:
    store = Store(path, "boot-1")
    alarm = Fact("alarm_raised", "front/left_open", 15, {"severity": "fault", "count": 1})
    other = Fact("alarm_raised", "frontier/left_open", 15, {"severity": "fault", "count": 1})
    store.write(
        work(*(opened(at) for at in range(20)), opened(3, "back"), alarm, other, utc_offset_ms=T0)
    )
    kinds = ("door_opened", "alarm_raised")
    found = history.counts(read(path), ["front"], kinds, T0, T0 + 20, 2)
    assert found == [
        (T0, "door_opened", "front", 10),
        (T0 + 10, "door_opened", "front", 10),
        (T0 + 15, "alarm_raised", "front/left_open", 1),
    ]
    told = history.marks(read(path), ["front"], T0 + 14, T0 + 17, 10, kinds)
    assert [(row.kind, row.mono_ms) for row in told] == [
        ("door_opened", 14), ("door_opened", 15), ("alarm_raised", 15), ("door_opened", 16),
    ]  # fmt: skip
    store.close(clean=False)


# --- export


@pytest.fixture
def exported(path: Path) -> Path:
    store = Store(path, "boot-1")
    store.write(work(reading(0, 21.5), Fact("motion", "wc.pir", 1, {"active": True})))
    store.write(work(opened(2, note='say "hi"; =1+1'), utc_offset_ms=T0))
    store.write(work(Fact("reading", "=cmd", 3, {"quantity": "-x", "value": None})))
    store.close(clean=True)
    return path


def test_a_file_begins_with_the_value_that_applied(path: Path) -> None:
    """Of a steady meter it was empty between two heartbeats."""
    store = Store(path, "boot-1")
    level = Fact("contact_changed", "hall", 2_000, {"active": True, "initial": False})
    facts = [reading(0, 20.0), reading(1_000, 21.0), reading(9_000, 22.0), opened(500)]
    store.write(work(*facts, level, reading(3_000, 5.0, "hall"), utc_offset_ms=T0))
    store.close(clean=True)
    store = Store(path, "boot-2")
    store.write(work(reading(0, 30.0), utc_offset_ms=T0 + 20_000))
    store.close(clean=True)

    def values(subject: str, begin_ms: int, **more: Any) -> list[str]:
        wanted = Wanted(T0 + begin_ms, T0 + 8_000, subject=subject, **more)
        return [r["value"] for r in _rows("".join(export.plain_csv(read(path), wanted)), ",")]

    assert values("wc.climate", 4_000) == []
    assert values("wc.climate", 4_000, before=True) == ["21.0"]
    assert values("wc.climate", 4_000, before=True, kinds=["motion"]) == []
    assert values("hall", 4_000, before=True) == ["", "5.0"], "a level says so in its data"
    assert values("front", 4_000, before=True) == [], "what happened does not apply later"
    assert [r.mono_ms for r in history.before(read(path), "wc.climate", T0 + 30_000)] == [0]


def _rows(text: str, delimiter: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_plain_csv(exported: Path) -> None:
    text = "".join(export.plain_csv(read(exported), Wanted()))
    rows = _rows(text, ",")
    assert [row["row"] for row in rows] == ["1", "3", "4"]
    assert rows[0]["value"] == "21.5"
    assert rows[0]["time"] == "2023-11-14T22:13:20.000+00:00"
    assert json.loads(rows[1]["data"])["note"] == 'say "hi"; =1+1'
    assert rows[2]["subject"] == "'=cmd", "a spreadsheet must not take it for a formula"


def test_german_csv_opens_in_excel(exported: Path) -> None:
    text = "".join(export.german_csv(read(exported), Wanted(), ZoneInfo("Europe/Berlin")))
    assert text[0] == "\ufeff"
    rows = _rows(text[1:], ";")
    assert rows[0]["value"] == "21,5"
    assert rows[0]["time"] == "14.11.2023 23:13:20,000", "Excel takes this for a time"
    assert rows[0]["utc_offset"] == "UTC+0100"


def test_jsonl_and_the_local_lane_only_when_asked(exported: Path) -> None:
    def kinds(wanted: Wanted) -> list[str]:
        text = "".join(export.jsonl(read(exported), wanted))
        return [json.loads(line)["kind"] for line in text.splitlines()]

    assert kinds(Wanted()) == ["reading", "door_opened", "reading"]
    assert kinds(Wanted(local=True)) == ["reading", "motion", "door_opened", "reading"]
    assert kinds(Wanted(kinds=["door_opened"])) == ["door_opened"]
    assert kinds(Wanted(from_utc_ms=T0 + 2, to_utc_ms=T0 + 3)) == ["door_opened"]


def test_an_export_is_paged_and_says_how_far_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_ROWS", 10)
    store = Store(path, "boot-1")
    store.write(work(*(opened(at) for at in range(35))))
    pages = list(export.pages(read(path), Wanted()))
    assert [len(rows) for _, rows in pages] == [10, 10, 10, 5]
    assert pages[-1][0] == 1.0
    store.close(clean=False)


def test_times_that_are_not_known_are_left_empty(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(opened(1)))
    assert _rows("".join(export.plain_csv(read(path), Wanted())), ",")[0]["time"] == ""
    assert json.loads("".join(export.jsonl(read(path), Wanted())))["time"] is None
    store.close(clean=False)


def test_the_hour_that_comes_twice_in_autumn_can_be_told_apart() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    twice = [export.local_time(1_698_539_400_000 + hour * HOUR_MS, berlin) for hour in (0, 1)]
    assert twice == ["2023-10-29T02:30:00.000+02:00", "2023-10-29T02:30:00.000+01:00"]
