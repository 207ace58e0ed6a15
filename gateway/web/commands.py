"""What a command's answer means over HTTP, for the page and the API alike."""

from __future__ import annotations

from gateway.web.api.models import Accepted
from gateway.web.house import Answer
from gateway.web.problems import Problem

NOT_THERE = frozenset(
    {
        "unknown_door", "unknown_alarm", "unknown_point", "unknown_call", "unknown_room",
        "unknown_message",
    }
)  # fmt: skip


def accepted(answer: Answer) -> Accepted:
    """The good answer. Raises :class:`Problem` for others: 404, 409, or 503 without control."""
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    if not answer.done:
        raise Problem(404 if answer.reason in NOT_THERE else 409, answer.reason or "unknown")
    return Accepted.model_validate(
        {"status": answer.status, "command": answer.command, "fact": answer.fact}
    )
