"""What ``control`` says about the settings, as an answer to a program."""

from __future__ import annotations

from typing import Any

from gateway.web.shared.problems import Problem

_STATUS = {
    "changed_meanwhile": 412,
    "unknown_version": 404,
    "room_test": 409,
    "too_large": 413,
    "no_panel": 503,
    "no_answer": 503,
    "not_written": 503,
    "limit": 503,
    "busy": 503,
}
RETRY_AFTER = "5"


class SettingsProblem(Problem):
    """A refused overlay: ``errors`` holds everything that is wrong with it."""

    def __init__(self, status: int, reason: str, errors: list[dict[str, str]]) -> None:
        headers = {"Retry_After": RETRY_AFTER} if status == 503 else {}
        super().__init__(status, reason, **headers)
        self.extra = {"errors": errors} if errors else {}


def settled(answer: dict[str, Any]) -> dict[str, Any]:
    """The settings of an answer. Raises :class:`SettingsProblem`."""
    if answer["status"] == "accepted":
        shown: dict[str, Any] = answer["settings"]
        return shown
    reason = str(answer["reason"])
    errors = [
        {"where": error["key"], "what": error["message"], "hint": error["hint"]}
        for error in answer.get("errors", ())
    ]
    raise SettingsProblem(_STATUS.get(reason, 422), reason, errors)
