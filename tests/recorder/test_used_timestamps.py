"""One instant per point, the same whenever it comes again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.recorder.used_timestamps import KEPT_RUNS, UsedTimestamps, place


def test_two_in_one_millisecond_are_moved_apart_in_order() -> None:
    occupied = UsedTimestamps()
    assert [occupied.take(100) for _ in range(3)] == [100, 101, 102]
    assert occupied.take(101) == 103
    assert occupied.take(50) == 50
    assert occupied.runs == [(50, 50), (100, 103)]


@given(st.lists(st.integers(0, 30), max_size=60))
def test_every_fact_is_alone_in_its_millisecond(times: list[int]) -> None:
    occupied = UsedTimestamps()
    given_times = [occupied.take(ms) for ms in times]
    assert len(set(given_times)) == len(times)
    assert all(at >= own for at, own in zip(given_times, times, strict=True))
    assert all(a[1] + 1 < b[0] for a, b in zip(occupied.runs, occupied.runs[1:], strict=False))


def test_what_was_placed_before_comes_to_the_same_place_again() -> None:
    occupied = UsedTimestamps([(100, 102)])
    assert place(100, True, None, occupied) == 100
    assert place(100, True, 102, occupied) == 102
    assert place(100, False, None, occupied) == 103


def test_the_oldest_are_forgotten_only_while_nothing_is_missing() -> None:
    occupied = UsedTimestamps()
    for ms in range(0, 400, 2):
        occupied.take(ms)
    occupied.trim(whole=False)
    assert len(occupied.runs) == 200
    occupied.trim(whole=True)
    assert len(occupied.runs) == KEPT_RUNS


def test_facts_of_long_ago_that_are_sent_again_do_not_take_each_others_place() -> None:
    """A mended journal has a new name and sends everything: what was given last stays known,
    however many runs are newer."""
    occupied = UsedTimestamps([(ms, ms) for ms in range(10_000, 20_000, 10)])
    assert occupied.take(500) == 500
    occupied.trim(whole=True)
    assert occupied.take(500) == 501
    assert len(occupied.runs) == KEPT_RUNS + 1
    saved = UsedTimestamps(occupied.last(4))
    assert saved.runs == [(500, 501), *((ms, ms) for ms in range(19_960, 20_000, 10))]
    assert saved.take(500) == 502
