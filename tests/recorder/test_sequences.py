"""Which numbers are accounted for, and what is asked for again."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.recorder.gaps import GRACE_MS, MOST, PATIENCE_MS, Asking, ask
from gateway.recorder.sequences import Lane, as_ranges, covers, merged


def test_numbers_in_order_leave_no_gap() -> None:
    lane = Lane().account(as_ranges([1, 2, 3]))
    assert lane == Lane(through=3, ahead=(), head=3)
    assert lane.gaps() == ()


def test_a_number_beyond_the_next_leaves_a_gap_until_it_is_filled() -> None:
    lane = Lane(through=3, head=3).account([(6, 8)])
    assert lane.gaps() == ((4, 5),)
    assert lane.has(7)
    assert not lane.has(5)
    assert lane.account([(4, 5)]) == Lane(through=8, ahead=(), head=8)


def test_what_the_gateway_says_it_has_sent_is_missed_at_the_end_too() -> None:
    assert Lane(through=3, head=3).expect(5).gaps() == ((4, 5),)


def test_going_back_forgets_what_lies_beyond() -> None:
    lane = Lane(through=10, ahead=((15, 20),), head=20).back_to(4)
    assert lane == Lane(through=4, ahead=(), head=20)
    assert lane.gaps() == ((5, 20),)
    assert Lane(through=4, head=4).back_to(9) == Lane(through=4, head=4)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=30))
def test_accounting_is_the_same_as_a_set_of_numbers(given_ranges: list[tuple[int, int]]) -> None:
    lane, numbers = Lane(), set[int]()
    for low, length in given_ranges:
        lane = lane.account([(low, low + length)])
        numbers |= set(range(low, low + length + 1))
        missing = {n for low, high in lane.gaps() for n in range(low, high + 1)}
        assert missing == set(range(1, lane.head + 1)) - numbers
        assert lane.head == max(numbers)
        assert all(lane.has(n) == (n in numbers) for n in range(1, 80))


@given(st.lists(st.integers(1, 40)))
def test_ranges_are_ordered_and_do_not_touch(numbers: list[int]) -> None:
    ranges = as_ranges(numbers)
    assert {n for low, high in ranges for n in range(low, high + 1)} == set(numbers)
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(ranges))
    assert merged(ranges) == ranges


def test_a_gap_is_given_a_moment_and_then_asked_for_once() -> None:
    lane = Lane(through=1, ahead=((5, 5),), head=5)
    asking, request = ask(Asking(), lane, 0)
    assert request is None
    asking, request = ask(asking, lane, GRACE_MS)
    assert request == (2, 4)
    asking, request = ask(asking, lane, GRACE_MS + 100)
    assert request is None


def test_a_request_whose_answers_stop_is_asked_again_with_growing_pauses() -> None:
    lane = Lane(through=1, head=4)
    asking, now, asked = Asking(gap_since_ms=0), GRACE_MS, []
    for _ in range(600):
        asking, request = ask(asking, lane, now)
        if request:
            asked.append(now)
        now += 100
    pauses = [b - a for a, b in itertools.pairwise(asked)]
    assert pauses == [PATIENCE_MS, 2 * PATIENCE_MS, 4 * PATIENCE_MS]


def test_answers_that_come_keep_the_request_open() -> None:
    lane = Lane(through=0, head=10)
    asking, request = ask(Asking(gap_since_ms=0), lane, GRACE_MS)
    assert request == (1, 10)
    now = GRACE_MS
    for through in range(1, 10):
        now += PATIENCE_MS - 1
        asking, request = ask(asking, Lane(through=through, head=10), now)
        assert request is None
    asking, request = ask(asking, Lane(through=10, head=10), now)
    assert asking == Asking()


def test_a_long_gap_is_asked_for_piece_by_piece() -> None:
    lane = Lane(through=0, head=25_000)
    asking, request = ask(Asking(gap_since_ms=0), lane, GRACE_MS)
    assert request == (1, MOST)
    lane = lane.account([(1, MOST)])
    asking, request = ask(asking, lane, GRACE_MS + 1)
    assert request is None  # rests
    asking, request = ask(asking, lane, GRACE_MS + 2_000)
    assert request == (MOST + 1, 2 * MOST)


def test_small_gaps_are_asked_for_together() -> None:
    lane = Lane(through=1, ahead=((3, 3), (5, 5), (30_000, 30_000)), head=30_000)
    _, request = ask(Asking(gap_since_ms=0), lane, GRACE_MS)
    assert request == (2, 2 + MOST - 1)


@given(st.sets(st.integers(1, 60)), st.integers(0, 62))
def test_ranges_cover_exactly_their_numbers(numbers: set[int], asked: int) -> None:
    assert covers(as_ranges(numbers), asked) == (asked in numbers)
