"""Of a group of doors one is open at a time."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.door import door, interlock
from gateway.core.door.interlock import Interlock, Seen
from gateway.core.plan import InterlockPlan
from tests.core.door_bench import PLAN, Bench

GROUP = InterlockPlan("lock", ("a", "b", "c"), wait_ms=10_000)


def after(*seen: Seen) -> Interlock:
    state = interlock.start(GROUP, 0).state
    for one in seen:
        state = interlock.step(state, one, 0).state
    return state


def free(state: Interlock) -> list[str]:
    return [name for name in GROUP.doors if interlock.free_for(state, name)]


def test_any_door_may_open_while_none_is() -> None:
    assert free(after()) == ["a", "b", "c"]


def test_a_door_that_is_open_is_the_only_one_that_may_go_on() -> None:
    assert free(after(Seen("b", busy=True, waits=False))) == ["b"]


def test_doors_that_wait_are_served_in_turn() -> None:
    busy = Seen("a", busy=True, waits=False)
    waiting = (Seen("c", busy=False, waits=True), Seen("b", busy=False, waits=True))
    done = Seen("a", busy=False, waits=False)
    assert free(after(busy, *waiting)) == ["a"]
    assert free(after(busy, *waiting, done)) == ["c"]
    assert free(after(busy, *waiting, done, Seen("c", busy=False, waits=False))) == ["b"]


def test_two_doors_that_were_opened_by_hand_leave_none_free() -> None:
    a, b = Seen("a", busy=True, waits=False), Seen("b", busy=True, waits=False)
    assert free(after(a, b)) == []
    assert free(after(a, b, Seen("a", busy=False, waits=False))) == ["b"]


def test_a_door_of_another_group_and_time_alone_change_nothing() -> None:
    state = after(Seen("a", busy=True, waits=False))
    assert interlock.step(state, Seen("z", busy=True, waits=False), 0).state is state
    assert interlock.step(state, None, 99_999).state is state
    assert interlock.wake_at(state) is None


@given(st.lists(st.tuples(st.sampled_from(GROUP.doors), st.booleans(), st.booleans()), max_size=30))
def test_never_are_two_doors_free_once_one_is_busy(seen: list[tuple[str, bool, bool]]) -> None:
    state = after(*(Seen(*one) for one in seen))
    if state.busy:
        assert len(free(state)) <= 1
        assert set(free(state)) <= set(state.busy)
    else:
        assert free(state)  # nobody waits for ever


class Schleuse:
    """Two doors, and the little that ``building`` does between them."""

    def __init__(self, wait_ms: int = 10_000) -> None:
        self.plan = InterlockPlan("lock", ("a", "b"), wait_ms)
        self.lock = interlock.start(self.plan, 0).state
        self.doors = {name: Bench(PLAN) for name in self.plan.doors}

    def until(self, now: int) -> None:
        for bench in self.doors.values():
            bench.until(now)
        while True:
            self._look()
            told = [
                (bench, free)
                for name, bench in self.doors.items()
                if (free := interlock.free_for(self.lock, name)) != bench.door.free
            ]
            if not told:
                return
            for bench, may in told:
                bench.at(now, door.Interlocked(may, self.plan.wait_ms))

    def all_until(self, times: Iterable[int]) -> None:
        for now in times:
            self.until(now)

    def _look(self) -> None:
        for name, bench in self.doors.items():
            seen = Seen(name, bench.door.busy, bench.door.waits)
            self.lock = interlock.step(self.lock, seen, 0).state


@pytest.mark.parametrize("second_wait_ms", [0, 10_000])
def test_a_schleuse_lets_one_person_through_after_the_other(second_wait_ms: int) -> None:
    lock = Schleuse(second_wait_ms)
    a, b = lock.doors["a"], lock.doors["b"]
    lock.until(1000)
    assert a.press(1000) == "accepted"
    lock.until(1000)
    assert b.press(1500) == ("waits" if second_wait_ms else "refused: interlock")
    lock.until(1500)
    a.leaf(2000, True)
    a.leaf(8000, False)
    lock.until(8000)
    assert b.times("activation") == ([8000] if second_wait_ms else [])
    assert a.door.free is not bool(second_wait_ms)


def test_a_door_that_is_opened_by_hand_blocks_the_other_until_it_is_closed() -> None:
    lock = Schleuse()
    a, b = lock.doors["a"], lock.doors["b"]
    a.leaf(1000, True)
    lock.until(1000)
    assert b.press(2000) == "waits"
    lock.all_until(range(2000, 12_001, 1000))
    assert b.told("door_request")[0]["reason"] == "interlock"
