"""What a recorder has set aside, for tests."""

from __future__ import annotations

from gateway.recorder import rejects
from gateway.recorder.rejects import SetAside
from gateway.recorder.state import RecorderState


def asides(state: RecorderState) -> list[SetAside]:
    """Everything that was set aside, oldest first, whatever became of it."""
    return rejects.rows(state._aside)
