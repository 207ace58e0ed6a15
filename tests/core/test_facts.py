"""What the table of facts says of a kind."""

from __future__ import annotations

import pytest

from gateway.core.facts import is_evidence


@pytest.mark.parametrize(
    ("kind", "is_kept"),
    [
        ("call_raised", True),
        ("alarm_raised", True),
        ("message", True),
        ("door_opened", False),
        ("reading", False),
        ("of_a_later_version", False),
    ],
)
def test_calls_alarms_and_messages_are_removed_last(kind: str, is_kept: bool) -> None:
    assert is_evidence(kind) is is_kept
