"""Means weighted by time: from facts, from stored hours, from thinned readings, over versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.core.facts import Fact
from gateway.journal import backup, recovery
from gateway.journal.queries import history, means
from gateway.journal.queries.history import Bucket
from gateway.journal.queries.reader import boots
from gateway.journal.retention import Upkeep
from gateway.journal.schema import SCHEMA
from gateway.journal.store import Store
from tests.journal.journal_desk import UTC_OFFSET_MS, opened, read, reading, work

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
T0 = UTC_OFFSET_MS - UTC_OFFSET_MS % HOUR_MS
STEADY = [reading(minute * MINUTE_MS, 20.0) for minute in (0, 15, 30, 45)]
BUSY = [
    reading(55 * MINUTE_MS + second * 1_000, 30.0 + second // 10 % 2)
    for second in range(0, 300, 10)
]
"""55 minutes at 20, then changes every 10 s."""
TRUE_MEAN = (55 * 20 + 5 * 30.5) / 60


def about(value: float) -> Any:
    return pytest.approx(value, abs=1e-4)


def upkeep(store: Store, now_ms: int, limit_bytes: int = 10**9, **lives: int) -> Upkeep:
    return Upkeep(
        store,
        lives=lives,
        limit_bytes=limit_bytes,
        now_ms=lambda: now_ms,
        on_written=lambda rows: None,
        note=lambda fact: None,
    )


def one_round(store: Store, now_ms: int, **settings: int) -> None:
    for pause in upkeep(store, now_ms, **settings).run():
        if pause:
            return


def hours(path: Path, count: int, **more: int) -> list[Bucket]:
    end = T0 + count * HOUR_MS
    return history.buckets(read(path), "wc.climate", "temperature", T0, end, count, **more)


def test_an_hour_of_changes_at_its_end_does_not_outweigh_the_rest(path: Path) -> None:
    """Its mean was 28.39."""
    store = Store(path, "boot-1")
    store.write(work(*STEADY, *BUSY, reading(HOUR_MS, 20.0), utc_offset_ms=T0))
    assert hours(path, 1) == [Bucket(T0, 20.0, about(TRUE_MEAN), 31.0, 34, HOUR_MS)]
    quarters = history.buckets(
        read(path), "wc.climate", "temperature", T0 + 30 * MINUTE_MS, T0 + HOUR_MS, 2
    )
    assert quarters[1].mean == pytest.approx((10 * 20 + 5 * 30.5) / 15)
    store.write(work(opened(HOUR_MS + 10 * MINUTE_MS)))
    one_round(store, HOUR_MS + 10 * MINUTE_MS)
    assert store.one("SELECT count(*) FROM hour_mean") == 1
    assert hours(path, 1) == [Bucket(T0, 20.0, about(TRUE_MEAN), 31.0, 34, HOUR_MS)]
    store.close(clean=False)


def test_stored_hours_and_facts_say_the_same_over_runs_and_gaps(path: Path) -> None:
    offset = T0
    for run in range(3):
        store = Store(path, f"boot-{run}")
        store.put_heartbeats({"wc.climate": 20 * MINUTE_MS})
        facts = [
            reading(minute * MINUTE_MS, None if minute % 41 == 0 else float(minute % 13))
            for minute in range(7, 420, 3 + run * 8)
            if not 100 <= minute < 190
        ]
        store.write(work(*facts, utc_offset_ms=offset))
        offset += 8 * HOUR_MS
        store.close(clean=True)
    grid = (24 * HOUR_MS, 24)
    store = Store(path, "boot-3")
    store.write(work(opened(0), utc_offset_ms=offset))
    before = history.buckets(
        read(path), "wc.climate", "temperature", T0, T0 + grid[0], grid[1], offset
    )
    one_round(store, HOUR_MS)
    assert store.one("SELECT count(*) FROM hour_mean") > 15
    after = history.buckets(
        read(path), "wc.climate", "temperature", T0, T0 + grid[0], grid[1], offset
    )
    assert [bucket[:2] + bucket[3:] for bucket in after] == [b[:2] + b[3:] for b in before]
    assert [b.mean for b in after] == pytest.approx([b.mean for b in before])
    fine = history.buckets(
        read(path), "wc.climate", "temperature", T0, T0 + grid[0], 24 * 60, offset
    )
    assert sum(b.covered_ms or 0 for b in fine) == sum(b.covered_ms or 0 for b in after)
    assert sum(b.count for b in fine) == sum(b.count for b in after)
    store.close(clean=False)


def test_what_is_stored_grows_by_the_hour_and_is_written_once(path: Path) -> None:
    store = Store(path, "boot-1")
    keeper = upkeep(store, 10 * HOUR_MS)
    for hour in range(6):
        facts = [reading(hour * HOUR_MS + minute * MINUTE_MS, hour) for minute in range(0, 60, 5)]
        store.write(work(*facts, utc_offset_ms=T0))
        changes = store.connection.total_changes
        list(keeper.roll_up())
        assert store.connection.total_changes - changes == (2 if hour else 0)
        list(keeper.roll_up())
        assert store.connection.total_changes - changes == (2 if hour else 0)
        assert [round(b.mean or 0, 6) for b in hours(path, hour + 1)] == list(range(hour + 1))
    store.close(clean=False)


def test_a_reading_is_valid_for_twice_its_heartbeat_and_then_there_is_a_gap(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(reading(0, 20.0), opened(5 * HOUR_MS), utc_offset_ms=T0))
    assert hours(path, 2) == [Bucket(T0, 20.0, 20.0, 20.0, 1, 30 * MINUTE_MS)]
    store.put_heartbeats({"wc.climate": HOUR_MS})
    assert [b.covered_ms for b in hours(path, 4)] == [HOUR_MS, HOUR_MS]
    assert [b.count for b in hours(path, 4)] == [1, 0], "the second hour has none of its own"
    assert [b.covered_ms for b in hours(path, 4, now_utc_ms=T0 + 61 * MINUTE_MS)] == [
        HOUR_MS,
        MINUTE_MS,
    ], "nothing is known of what comes after now"
    store.close(clean=False)


def test_the_value_before_the_range_is_carried_in(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(reading(0, 20.0), reading(14 * MINUTE_MS, 22.0), utc_offset_ms=T0))
    found = history.buckets(
        read(path), "wc.climate", "temperature", T0 + MINUTE_MS, T0 + 11 * MINUTE_MS, 2
    )
    assert found == [
        Bucket(T0 + MINUTE_MS, 20.0, 20.0, 20.0, 0, 5 * MINUTE_MS),
        Bucket(T0 + 6 * MINUTE_MS, 20.0, 20.0, 20.0, 0, 5 * MINUTE_MS),
    ]
    store.close(clean=False)


def test_a_value_is_valid_over_a_step_of_the_clock(path: Path) -> None:
    store = Store(path, "boot-1")
    stepped = Fact("clock_stepped", "gateway", 5 * MINUTE_MS, {"utc_offset_ms": T0 + HOUR_MS})
    store.write(work(reading(0, 20.0), stepped, opened(20 * MINUTE_MS), utc_offset_ms=T0))
    end = T0 + HOUR_MS + 20 * MINUTE_MS
    found = history.buckets(read(path), "wc.climate", "temperature", T0, end, 16, end)
    assert [(b.utc_ms - T0) // MINUTE_MS for b in found] == [0, 65, 70, 75]
    assert {b.covered_ms for b in found} == {5 * MINUTE_MS}
    store.close(clean=False)


def test_thinned_readings_keep_the_mean_by_time(path: Path) -> None:
    store = Store(path, "boot-1")
    facts = [
        fact
        for hour in range(12)
        for fact in (
            *(Fact("reading", f.subject, f.at_ms + hour * HOUR_MS, f.data) for f in STEADY + BUSY),
        )
    ]
    store.write(work(*facts, *(opened(at) for at in range(500)), utc_offset_ms=T0))
    before = hours(path, 6)
    keeper = upkeep(store, 20 * HOUR_MS)
    keeper._limit_bytes = int(keeper.used_bytes() / 0.81)
    list(keeper.fit())
    thinned = [r for r in read(path).lane("routine", 1, 9_999) if r.data.get("count")]
    assert thinned
    assert thinned[0].data["value"] == about(TRUE_MEAN)
    assert [b.mean for b in hours(path, 6)] == pytest.approx([b.mean for b in before])
    assert [b.covered_ms for b in hours(path, 6)] == [b.covered_ms for b in before]
    store.close(clean=False)


def test_a_gap_in_what_is_thinned_is_not_covered() -> None:
    rows: list[tuple[int, float | None]] = [(0, 1.0), (10, None), (30, 4.0)]
    assert means.thinned(rows, 50, 15) == ((10 * 1.0 + 15 * 4.0) / 25, 25)


# --- files of other versions


OLD_HOUR = "INSERT INTO hour VALUES (?,?,?,?,?,?,?,?)"
OLD_HOURS = f"""INSERT OR REPLACE INTO hour SELECT series, boot, mono_ms / {HOUR_MS}, count(value),
  sum(value IS NULL), total(value), min(value), max(value) FROM fact
  WHERE series IN (SELECT id FROM series WHERE kind = 'reading') GROUP BY 1, 2, 3"""


@pytest.fixture
def of_0_1(path: Path) -> Path:
    """A journal as the version before this table has left it: two hours, one unweighted mean."""
    store = Store(path, "boot-1")
    store.write(work(*STEADY, *BUSY, reading(HOUR_MS, 20.0), utc_offset_ms=T0))
    store.connection.execute(OLD_HOURS)  # it wrote them with each reading
    store.connection.execute("DROP TABLE hour_mean")
    store.close(clean=True)
    return path


def test_an_older_file_is_read_as_it_is(of_0_1: Path) -> None:
    assert hours(of_0_1, 1) == [Bucket(T0, 20.0, about(29.2647), 31.0, 34, None)]


def test_hours_from_before_stay_and_are_marked(of_0_1: Path) -> None:
    store = Store(of_0_1, "boot-1")
    facts = [Fact("reading", f.subject, f.at_ms + HOUR_MS, f.data) for f in STEADY[1:] + BUSY]
    store.write(work(*facts, opened(2 * HOUR_MS + 10 * MINUTE_MS)))
    one_round(store, 3 * HOUR_MS)
    first, second = hours(of_0_1, 2)
    assert (first.mean, first.covered_ms) == (about(29.2647), None)
    assert (second.mean, second.covered_ms) == (about(TRUE_MEAN), HOUR_MS)
    both = history.buckets(read(of_0_1), "wc.climate", "temperature", T0, T0 + 2 * HOUR_MS, 1)
    assert [b.covered_ms for b in both] == [None]
    store.close(clean=False)


def test_readings_are_counted_alike_whether_their_hour_is_stored_or_not(of_0_1: Path) -> None:
    """An older version has counted a part of the running hour; its table is filled as it did."""
    store = Store(of_0_1, "boot-1")
    facts = [reading(HOUR_MS + 1, 1.0), reading(HOUR_MS + 2, None), reading(2 * HOUR_MS, 2.0)]
    store.write(work(*facts, opened(2 * HOUR_MS + 10 * MINUTE_MS)))
    expected = {0: (34, 0), 1: (2, 1), 2: (1, 0)}
    assert means.counts(store.connection, 1, 1, (0, 2)) == expected
    one_round(store, 3 * HOUR_MS)
    assert means.counts(store.connection, 1, 1, (0, 2)) == expected
    stored = store.connection.execute("SELECT hour, count, gaps, sum FROM hour").fetchall()
    assert stored[1:] == [(1, 2, 1, 21.0)], "the running hour is not stored yet"
    store.close(clean=False)


def test_a_new_run_of_an_older_file_begins_with_means_by_time(of_0_1: Path) -> None:
    store = Store(of_0_1, "boot-2")
    store.write(work(*STEADY, *BUSY, utc_offset_ms=T0 + DAY_MS))
    found = history.buckets(
        read(of_0_1), "wc.climate", "temperature", T0 + DAY_MS, T0 + DAY_MS + HOUR_MS, 1
    )
    assert [b.mean for b in found] == pytest.approx([TRUE_MEAN])
    store.close(clean=False)


def test_the_version_before_still_writes_a_file_of_this_one(path: Path) -> None:
    """It knows its tables by name and the number of their columns."""
    store = Store(path, "boot-1")
    store.write(work(*STEADY, utc_offset_ms=T0))
    store.close(clean=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute(OLD_HOUR, (1, 1, 7, 1, 0, 20.0, 20.0, 20.0))
        columns = {
            line.split()[2]: len(db.execute(f"PRAGMA table_info({line.split()[2]})").fetchall())
            for line in SCHEMA.splitlines()
            if line.startswith("CREATE TABLE")
        }
    assert columns == {
        "meta": 2, "series": 4, "boot": 3, "clock": 4, "fact": 9, "absent": 4, "hour": 8,
        "hour_mean": 9, "audit": 12,
    }  # fmt: skip


def test_a_mended_journal_and_a_backup_have_the_means(path: Path, tmp_path: Path) -> None:
    store = Store(path, "boot-1")
    facts = STEADY + BUSY
    store.write(work(*facts, opened(HOUR_MS + 10 * MINUTE_MS), utc_offset_ms=T0))
    one_round(store, HOUR_MS + 10 * MINUTE_MS)
    store.checkpoint()
    store.connection.execute("DELETE FROM fact WHERE value IS NOT NULL")
    store.close(clean=False)
    copy = tmp_path / "copy.sqlite"
    backup.backup(path, copy)
    recovery.salvage(path, "a test", "boot-1")
    for file in (path, copy):
        assert [b.mean for b in hours(file, 1)] == pytest.approx([TRUE_MEAN])


def test_a_backup_of_an_older_file_is_made(of_0_1: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    backup.backup(of_0_1, copy)
    assert hours(copy, 1)[0].covered_ms is None


def test_expired_means_go_with_their_facts(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(*STEADY, *BUSY, opened(3 * DAY_MS), utc_offset_ms=T0))
    one_round(store, 3 * DAY_MS)
    assert store.one("SELECT count(*) FROM hour_mean") == 2
    one_round(store, 3 * DAY_MS, climate=DAY_MS)
    assert store.one("SELECT count(*) FROM hour_mean") == 0
    store.close(clean=False)


# --- heartbeats


def test_heartbeats_are_noted_once_and_damaged_ones_are_the_default(path: Path) -> None:
    store = Store(path, "boot-1")
    store.write(work(reading(0, 1.0)))
    store.put_heartbeats({"wc.climate": 60_000, "nobody": 1})
    changes = store.connection.total_changes
    store.put_heartbeats({"wc.climate": 60_000})
    assert store.connection.total_changes == changes
    store.put_heartbeats({"hall": 5})
    assert means.heartbeats(store.connection) == {"wc.climate": 60_000, "hall": 5}
    valid: Callable[[str], int] = lambda quantity: means.valid_ms(  # noqa: E731  # a short name
        store.connection, "wc.climate", quantity
    )
    assert valid("temperature") == 120_000
    assert valid("dew_point_c") == 1_800_000, "it is computed, and reported every 15 minutes"
    for damaged in ("[", "[1]", '{"wc.climate": "x"}', '{"wc.climate": -1}'):
        store.put_meta(means.HEARTBEATS, damaged)
        assert valid("temperature") == 1_800_000
    store.close(clean=False)


def test_the_end_of_a_run_is_its_last_fact(path: Path) -> None:
    for run in range(3):
        store = Store(path, f"boot-{run}")
        store.write(work(*[opened(at) for at in range(run * 3)]))
        store.close(clean=True)
    db = Store(path, "boot-3").connection
    known = boots(db)
    assert [means.ends_ms(db, known, boot) for boot in sorted(known)] == [0, 2, 5, None]
    db.close()
