"""The pauses between attempts, and that no other file computes its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.backoff import BackOff, pause_after, spread

GATEWAY = Path(__file__).parents[2] / "gateway"
GROWS = re.compile(r"(?i)(pause|wait|retry|back_?off|patience|again).*(\* 2\b|\* \(?2 ?\*\*|<<)")


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    back_off = BackOff(5, 60)
    pauses = [back_off.next() for _ in range(6)]
    assert pauses == [5, 10, 20, 40, 60, 60] == [pause_after(n, 5, 60) for n in range(6)]
    back_off.reset()
    assert back_off.next() == 5


def test_a_shorter_longest_pause_applies_at_once() -> None:
    back_off = BackOff(2.0, 60.0)
    for _ in range(5):
        back_off.next()
    back_off.most = 10.0
    assert [back_off.next(), back_off.next()] == [10, 10]


def test_after_years_of_failures_a_pause_is_still_a_number() -> None:
    assert pause_after(10**9, 0.5, 60.0) == 60


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 4.0), (0.5, 6.0), (1.0, 8.0)])
def test_a_pause_is_spread_over_its_second_half(chance: float, pause_s: float) -> None:
    assert spread(8.0, chance) == pause_s


def test_no_other_file_makes_pauses_grow() -> None:
    found = {
        path.relative_to(GATEWAY).as_posix(): line.strip()
        for path in sorted(GATEWAY.rglob("*.py"))
        if path != GATEWAY / "backoff.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if GROWS.search(line)
    }
    assert found == {}
