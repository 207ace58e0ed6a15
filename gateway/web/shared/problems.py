"""What goes wrong, as an error that a route raises."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

MEDIA = "application/problem+json"
CHANGE_NEEDED = "password_change_needed"


class Problem(Exception):
    """An answer other than success. ``reason`` is a stable key for programs."""

    def __init__(self, status: int, reason: str = "", detail: str = "", **headers: str) -> None:
        super().__init__(detail or reason or str(status))
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.extra: dict[str, Any] = {}
        """More members of the answer, such as everything that is wrong."""


class NotLoggedIn(Problem):
    """Nobody is logged in: a page sends to the log-in, the API answers 401."""

    def __init__(self) -> None:
        super().__init__(401, "not_logged_in", WWW_Authenticate="Bearer")


def for_people(request: Request) -> bool:
    """Whether a page is the better answer than JSON."""
    path = request.url.path
    return not path.startswith(("/api/", "/metrics", "/health/")) and "text/html" in (
        request.headers.get("accept", "")
    )


def path_of(request: Request) -> str:
    """The page that somebody is on: the one asked for, or the one whose form it was."""
    if request.method == "GET":
        return request.url.path
    return urlsplit(request.headers.get("referer", "")).path or "/"
