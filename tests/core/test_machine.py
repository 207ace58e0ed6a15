"""The copying of states: what ``replace`` promises of its own."""

from __future__ import annotations

import pytest

from gateway.core.door.opening import Opening
from gateway.core.machine import replace


def test_a_copy_differs_in_what_was_named_and_leaves_the_original() -> None:
    was = Opening(due_ms=3)
    now = replace(was, phase="rest", until_ms=7)
    assert now == Opening(phase="rest", until_ms=7, due_ms=3)
    assert was == Opening(due_ms=3)


def test_a_copy_is_as_frozen_as_the_original() -> None:
    with pytest.raises(AttributeError):
        replace(Opening(), due_ms=3).due_ms = 4  # type: ignore[misc] # that it is refused


def test_a_field_that_the_state_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="Opening has no such field"):
        replace(Opening(), dues_ms=3)  # type: ignore[call-arg] # that it is refused
