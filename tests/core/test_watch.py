"""A watched point: a level or a limit, for long enough."""

from __future__ import annotations

import pytest

from gateway.core.instant import Ms
from gateway.core.signals import watch
from gateway.core.signals.watch import Seen, Watch
from tests import plans

MAINS = plans.watch("mains", "house.mains", "urgent", 10_000, active=False)
FROST = plans.watch(
    "frost", "wc.climate", "notice", 60_000, quantity="temperature_c", below=5.0, hysteresis=1.0
)
HOT = plans.watch(
    "hot", "wc.climate", "notice", 0, quantity="temperature_c", above=30.0, hysteresis=1.0
)


def see(one: Watch, value: bool | float | None, now: Ms) -> Watch:
    return watch.step(one, Seen(value, now), now).state


def test_a_level_stands_after_its_delay_and_clears_at_once() -> None:
    one = see(watch.start(MAINS), False, 1000)
    assert (watch.wake_at(one), one.conditions) == (11_000, ())
    assert watch.step(one, None, 10_999).state is one
    one = watch.step(one, None, 11_000).state
    assert one.conditions == (("watch:mains", ""),)
    assert see(one, True, 12_000).conditions == ()


def test_a_level_that_comes_back_within_the_delay_is_nothing() -> None:
    one = see(see(watch.start(MAINS), False, 1000), True, 5000)
    assert watch.wake_at(one) is None


def test_a_limit_has_a_hysteresis() -> None:
    one = see(watch.start(FROST), 4.5, 0)
    one = see(one, 4.6, 30_000)
    assert watch.wake_at(one) == 60_000  # the delay counts from the first
    one = watch.step(one, None, 60_000).state
    assert one.conditions == (("watch:frost", "temperature_c 4.6"),)
    assert see(one, 5.9, 70_000).conditions != ()
    assert see(one, 6.0, 70_000).conditions == ()


@pytest.mark.parametrize(("value", "stands"), [(30.0, False), (30.1, True)])
def test_a_limit_without_delay_stands_at_once(value: float, stands: bool) -> None:
    assert bool(see(watch.start(HOT), value, 0).conditions) is stands


def test_unknown_neither_raises_nor_clears() -> None:
    one = see(watch.start(HOT), 31.0, 0)
    assert see(one, None, 1).conditions == one.conditions
    pending = see(watch.start(MAINS), False, 0)
    assert watch.wake_at(see(pending, None, 1)) is None
    assert not see(watch.start(MAINS), None, 1).known
