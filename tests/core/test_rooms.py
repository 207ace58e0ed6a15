"""What the rooms' machines mean to each other, seen from the whole building."""

from __future__ import annotations

import pytest
from building_bench import STAFF, Bench

from gateway.core.events import (
    AcknowledgeCall,
    AnyCommand,
    ConfirmMessage,
    ResetAlarm,
    TestRoom,
)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (AcknowledgeCall("c", STAFF, 5000, "wc"), "unknown_call"),
        (TestRoom("c", STAFF, 5000, "wc", 600_000), "unknown_room"),
        (ResetAlarm("c", STAFF, 5000, "wc/leak"), "unknown_alarm"),
        (ConfirmMessage("c", STAFF, 5000, "test#1"), "unknown_message"),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(command: AnyCommand, reason: str) -> None:
    bench = Bench()
    bench.at(200, command)
    assert (bench.replies["c"].status, bench.replies["c"].reason) == ("refused", reason)
    assert [told["reason"] for told in bench.told("command_refused")] == [reason]
