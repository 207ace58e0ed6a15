"""Two recordings of real rooms, with the settings as they are shipped."""

from __future__ import annotations

import pytest

from tests.benchmarks import real_rooms
from tests.conftest import NOT_SHIPPED

pytestmark = pytest.mark.skipif(not real_rooms.there(), reason=f"the recordings are {NOT_SHIPPED}")


def test_two_weeks_of_a_real_bathroom_are_believed_as_they_were() -> None:
    seen = real_rooms.occupancy()
    assert seen.dropped == 3
    assert seen.f1 >= 0.67
    assert list(seen.missed) == []
    assert seen.long_stays == 0
    assert seen.hours >= 14 * 24


def test_a_week_of_a_real_rooms_air_is_told_in_few_values() -> None:
    air = real_rooms.climate()
    assert air.dew_point_off_k <= 0.3
    assert air.with_dew_point_percent <= 25
    assert air.temperature_off_k <= 0.2
    assert air.humidity_off_percent <= 1.0
