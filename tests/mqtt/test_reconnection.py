"""The pauses between two connections to the broker."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.mqtt import reconnection
from gateway.mqtt.reconnection import TAKEN_OVER_FIRST_S, TAKEN_OVER_MOST_S, Reconnection


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Reconnection:
    """One whose chance is always the longest pause."""
    monkeypatch.setattr(reconnection, "random", SimpleNamespace(random=lambda: 1.0))
    return Reconnection()


def test_pauses_grow_and_start_anew_after_a_connection_that_lasted(late: Reconnection) -> None:
    pauses = [late.pause_s(now, taken_over=False, steady=False) for now in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert late.pause_s(100, taken_over=False, steady=True) == reconnection.FIRST_S


def test_no_two_of_a_fleet_need_come_back_in_one_instant() -> None:
    pauses = {Reconnection().pause_s(0, taken_over=False, steady=False) for _ in range(20)}
    assert len(pauses) > 1
    assert all(reconnection.FIRST_S / 2 <= pause_s <= reconnection.FIRST_S for pause_s in pauses)


def test_who_is_thrown_out_again_and_again_waits_longer_and_longer() -> None:
    one = Reconnection()
    pauses, now = [], 0.0
    for _ in range(7):
        pauses.append(one.pause_s(now, taken_over=True, steady=False))
        now += pauses[-1]
    assert pauses == [TAKEN_OVER_FIRST_S, 30, 60, 120, 240, TAKEN_OVER_MOST_S, TAKEN_OVER_MOST_S]
    assert one.pause_s(now + 9_000, taken_over=True, steady=False) == TAKEN_OVER_FIRST_S
