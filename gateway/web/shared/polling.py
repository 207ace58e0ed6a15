"""What programs ask for again and again: a tag for what an answer shows, and 304 while it
shows the same.

The tag is weak: it stands for what is told, not for its bytes. What moves by itself does not
count, or nothing would ever be the same: the building's own time (``now``), how far the recorder
and the broker have got (``recorded_until``, ``oldest_unsent_ms``), and the instant of the newest
``evidence``. That they fall behind does count, because the value of the guarantee then changes,
and so does that the controller is away (``stale``): who is told 304 knows that the answer of
before is still true.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

T = TypeVar("T")
MOVING = frozenset({"now", "recorded_until", "oldest_unsent_ms", "evidence"})
TAG = {"ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": TAG},
    304: {
        "description": "Nothing that the answer shows has changed. The times that move by"
        " themselves (`now`, `recorded_until`, `oldest_unsent_ms`, `evidence`) do not count;"
        " `stale` does.",
        "headers": TAG,
    },
}
"""For the description of a route that takes a :class:`Poll`."""


class Unchanged(Exception):
    """Whoever asks has it already."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


def _still(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: _still(value) for key, value in answer.items() if key not in MOVING}
    if isinstance(answer, list):
        return [_still(value) for value in answer]
    return answer


def tag_of(answer: Any) -> str:
    """The tag of an answer, as JSON gives it."""
    text = json.dumps(_still(answer), sort_keys=True, separators=(",", ":"))
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _has(tags: str, tag: str) -> bool:
    given = {one.strip().removeprefix("W/") for one in tags.split(",")}
    return "*" in given or tag.removeprefix("W/") in given


class _Poll:
    """Gives an answer its tag. Raises :class:`Unchanged` for who has it already."""

    def __init__(
        self,
        response: Response,
        if_none_match: Annotated[
            str | None, Header(max_length=1000, description="The ETag of the answer of before.")
        ] = None,
    ) -> None:
        self._response = response
        self._known = if_none_match or ""

    def __call__(self, answer: T) -> T:
        tag = tag_of(answer)
        if _has(self._known, tag):
            raise Unchanged(tag)
        self._response.headers["ETag"] = tag
        return answer


Poll = Annotated[_Poll, Depends()]


def on_unchanged(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unchanged)  # noqa: S101  # registered for this class only
    return Response(status_code=304, headers={"ETag": error.tag})
