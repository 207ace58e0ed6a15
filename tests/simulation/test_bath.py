"""Days in a bathroom: who pulled the cord has the light until somebody presses the button
there, over kill -9, power cuts, wires that cannot be read and tests."""

from __future__ import annotations

import pytest

from tests.simulation.bath import Bath

DAYS = 2


@pytest.mark.parametrize("seed", range(5))
def test_no_call_is_lost_and_none_stands_that_was_cancelled(seed: int) -> None:
    bath = Bath(seed)
    bath.live(DAYS)
    assert min(bath.seen[what] for what in ("pull", "cancel", "killed", "power cut")) > 1
    assert bath.seen["checked"] > 20
    assert {"call_raised", "call_acknowledged", "call_attended", "room_test"} <= bath.kinds.keys()
