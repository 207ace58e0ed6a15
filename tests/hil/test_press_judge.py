"""The judge of the presses, on records that are made here."""

from __future__ import annotations

import pytest

from tests.hil.guest.press_judge import around, judge, presses

SETTLE_MS = 30
QUIET_TWICE = (0, 41, 76, 120)
"""The host has stopped the machine in both levels of a bounce."""
BOUNCE = (0, 1, 2, 3, 4)
RELEASE = (120, 121, 122)


def edges(*at_ms: int) -> list[tuple[int, bool]]:
    """Edges at these instants, each to the other level; the first one presses."""
    return [(at, i % 2 == 0) for i, at in enumerate(at_ms)]


def begun(*at_ms: int) -> list[int]:
    found: list[int] = presses(edges(*at_ms), SETTLE_MS)
    return found


def test_a_bounce_that_was_never_quiet_is_one_press() -> None:
    assert begun(*BOUNCE, *RELEASE) == [4]


def test_a_bounce_that_was_quiet_in_both_levels_is_two_presses() -> None:
    assert begun(*QUIET_TWICE) == [0, 76]
    assert begun(0, 41, 70, 120) == [0], "it was quiet as active only"
    assert begun(0, 1, 41, 76, 77, 120) == [41], "as inactive only"


def test_a_spike_is_no_press_and_no_end_of_one() -> None:
    assert begun(0, 29) == []
    assert begun(0, 50, 79, 200) == [0]


@pytest.mark.parametrize(("ended_ms", "begins"), [(29, []), (30, [0])])
def test_settle_is_the_least_that_is_quiet(ended_ms: int, begins: list[int]) -> None:
    assert begun(0, ended_ms) == begins


def test_what_the_line_does_last_was_quiet() -> None:
    assert begun(5) == [5]
    assert begun() == []


def test_an_edge_without_a_change_does_not_begin_anew() -> None:
    """The kernel reads the level after it has stamped the edge, and may come too late."""
    assert presses([(0, True), (20, True), (31, False)], SETTLE_MS) == [0]


def test_served_twice_although_the_line_was_not_quiet_is_a_fault() -> None:
    judged = judge(edges(*BOUNCE, *RELEASE), [0, 4], SETTLE_MS)
    assert (judged.presses, judged.twice, judged.missed) == (1, [0], [])


def test_the_same_press_served_twice_is_a_fault() -> None:
    judged = judge(edges(*BOUNCE, *RELEASE), [4, 4], SETTLE_MS)
    assert (judged.presses, judged.twice, judged.missed) == (1, [4], [])


def test_served_twice_where_the_line_was_quiet_in_between_is_none() -> None:
    judged = judge(edges(*QUIET_TWICE), [0, 76], SETTLE_MS)
    assert (judged.presses, judged.twice, judged.missed) == (2, [], [])


def test_a_press_that_nobody_served_is_a_fault() -> None:
    assert judge(edges(*QUIET_TWICE), [0], SETTLE_MS).missed == [76]
    assert judge(edges(*BOUNCE, *RELEASE), [], SETTLE_MS).missed == [4]


def test_people_are_shown_how_long_the_line_kept_each_level() -> None:
    assert around(edges(*QUIET_TWICE, 5000), 76) == "active 41 inactive 35 |active 44"
