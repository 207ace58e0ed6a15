"""The recorder deletes nothing by a clock in doubt."""

from __future__ import annotations

import threading

import pytest

from gateway.recorder.deletion_clock import SAVE_EVERY_MS, DeletionClock
from gateway.recorder.recorder import DOUBT
from tests.recorder.conftest import Bench

UTC_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
MINUTE_MS = 60_000


def test_without_a_saved_time_the_first_day_is_in_doubt() -> None:
    clock = DeletionClock(None)
    assert not clock.is_settled(5, UTC_MS)
    assert not clock.is_settled(5 + DAY_MS - 1, UTC_MS + DAY_MS - 1)
    assert clock.is_settled(5 + DAY_MS, UTC_MS + DAY_MS)


def test_a_clock_that_steps_is_in_doubt_for_a_day() -> None:
    for step_ms in (HOUR_MS + 1, -HOUR_MS - 1, 10 * YEAR_MS, -10 * YEAR_MS):
        clock = DeletionClock(UTC_MS)
        assert clock.is_settled(0, UTC_MS)
        assert clock.is_settled(1_000, UTC_MS + 1_000 + HOUR_MS)
        assert not clock.is_settled(2_000, UTC_MS + 2_000 + step_ms)
        assert not clock.is_settled(2_000 + DAY_MS - 1, UTC_MS + 2_000 + DAY_MS + step_ms)
        assert clock.is_settled(2_000 + DAY_MS, UTC_MS + 2_000 + DAY_MS + step_ms)


def test_another_step_lets_the_day_begin_again() -> None:
    clock = DeletionClock(UTC_MS)
    assert clock.is_settled(0, UTC_MS)
    assert not clock.is_settled(1, UTC_MS + YEAR_MS)
    assert not clock.is_settled(DAY_MS, UTC_MS + DAY_MS)
    assert not clock.is_settled(DAY_MS + 5, UTC_MS + DAY_MS + 5)
    assert clock.is_settled(2 * DAY_MS, UTC_MS + 2 * DAY_MS)


def test_the_first_time_of_a_start_has_to_follow_the_last_settled_one() -> None:
    for ahead_ms, follows in ((0, True), (7 * DAY_MS, True), (8 * DAY_MS, False), (-DAY_MS, False)):
        assert DeletionClock(UTC_MS).is_settled(5, UTC_MS + ahead_ms) is follows


@pytest.mark.parametrize(
    ("off_ms", "goes_on"), [(0, True), (7 * DAY_MS, True), (8 * DAY_MS, False), (-DAY_MS, False)]
)
def test_the_day_is_summed_over_starts_that_follow_each_other(off_ms: int, goes_on: bool) -> None:
    """A recorder that is started every few hours, with a clock that nobody confirms, never deleted
    anything."""
    doubt, utc_ms = "", UTC_MS
    for _ in range(5):
        clock = DeletionClock(None, doubt)
        assert not clock.is_settled(5, utc_ms)
        utc_ms += 4 * HOUR_MS
        assert not clock.is_settled(5 + 4 * HOUR_MS, utc_ms)
        doubt = clock.doubt(5 + 4 * HOUR_MS, utc_ms)
    clock = DeletionClock(None, doubt)
    utc_ms += off_ms
    clock.is_settled(5, utc_ms)
    assert clock.is_settled(5 + 4 * HOUR_MS, utc_ms + 4 * HOUR_MS) is goes_on
    assert (clock.doubt(5 + 4 * HOUR_MS, utc_ms + 4 * HOUR_MS) == "") is goes_on


def test_a_doubt_is_saved_once_an_hour_and_what_is_no_doubt_begins_anew() -> None:
    for saved in ("", "x", "1", "1 x", "-5 7", f"{DAY_MS}"):
        clock = DeletionClock(None, saved)
        assert not clock.is_settled(0, UTC_MS)
        assert not clock.doubt_due(HOUR_MS - 1)
        assert clock.doubt_due(HOUR_MS)
        assert clock.doubt(HOUR_MS, UTC_MS + HOUR_MS) == f"{HOUR_MS} {UTC_MS + HOUR_MS}"
        assert not clock.doubt_due(2 * HOUR_MS - 1)
    assert not DeletionClock(UTC_MS).doubt_due(DAY_MS)


@pytest.mark.parametrize("killed", [False, True])
def test_a_recorder_that_is_started_every_few_hours_sweeps_after_a_day(
    bench: Bench, killed: bool
) -> None:
    swept = bench.store.swept
    stop = threading.Event()
    stop.set()
    for _ in range(8):
        bench.turn(MINUTE_MS)
        bench.turn(4 * HOUR_MS - MINUTE_MS)
        if not killed:
            bench.recorder.run(stop)  # it is told to stop
        bench.again()
        bench.now_ms = 5  # another boot
    assert swept[0] is None
    assert swept[-1] is not None
    assert bench.state.meta(DOUBT) == ""


def test_the_settled_time_is_saved_once_a_day() -> None:
    clock = DeletionClock(None)
    assert clock.due(UTC_MS)
    assert not clock.due(UTC_MS + SAVE_EVERY_MS - 1)
    assert clock.due(UTC_MS + SAVE_EVERY_MS)


def test_a_clock_that_settled_far_back_is_saved_although_it_lies_before() -> None:
    clock = DeletionClock(UTC_MS)
    assert not clock.is_settled(0, UTC_MS - YEAR_MS)
    assert clock.is_settled(DAY_MS, UTC_MS - YEAR_MS + DAY_MS)
    assert clock.due(UTC_MS - YEAR_MS + DAY_MS)


def test_ledger_and_store_are_cleaned_by_the_same_clock_and_not_while_it_is_in_doubt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[int] = []
    swept = bench.store.swept
    monkeypatch.setattr(bench.state, "forget_old", deleted.append)

    def cleans(ms: int) -> bool:
        deleted.clear()
        swept.clear()
        bench.turn(ms)
        assert deleted == [one for one in swept if one is not None]
        return deleted == [bench.utc_ms]

    assert not cleans(MINUTE_MS)  # no time has been saved yet
    assert cleans(DAY_MS)
    bench.again()
    assert cleans(MINUTE_MS)  # follows the saved one
    bench.utc_ms += 10 * YEAR_MS
    assert not cleans(MINUTE_MS)
    assert not cleans(MINUTE_MS)
    bench.again()  # a start of the recorder settles nothing
    assert not cleans(MINUTE_MS)
    assert cleans(DAY_MS)


def test_a_step_between_two_looks_at_the_ledger_stops_the_sweep_at_once(bench: Bench) -> None:
    swept = bench.store.swept
    bench.turn()
    bench.turn(DAY_MS)
    assert swept == [None, bench.utc_ms]
    bench.utc_ms += YEAR_MS
    bench.turn(1_000)
    assert swept[2:] == [None]
