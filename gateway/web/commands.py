"""Commands in somebody's name: asked once per key, and what the answer means over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Header

from gateway.core.facts import Json
from gateway.web.access import TheSite
from gateway.web.building.control_client import Answer
from gateway.web.building.snapshot_reader import NO_PANEL
from gateway.web.identity.accounts import Who
from gateway.web.shared.limits import Reused
from gateway.web.shared.models import Accepted
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

NOT_THERE = frozenset(
    {
        "unknown_door", "unknown_alarm", "unknown_point", "unknown_call", "unknown_room",
        "unknown_message", "unknown_receiver",
    }
)  # fmt: skip


class _NotSent(Exception):
    """Nobody has judged it: the same key may be used again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


async def once(
    site: Site,
    who: Who,
    key: str,
    name: str,
    args: Mapping[str, Json],
    first: Callable[[], None] = lambda: None,
) -> Answer:
    """Ask ``control`` once per ``key`` of this person; whoever comes again gets that answer.

    ``first`` may refuse before anything is asked. Raises what it raises, and
    :class:`Problem`: 422 for a key that was used for something else, 429 for too many."""

    async def ask() -> Answer:
        first()
        answer = await site.control.ask(name, args, who)
        if answer.reason in (NO_PANEL, "limit"):  # the panel had no room, or it is refused again
            raise _NotSent(answer)
        return answer

    try:
        return await site.answers_of(who).do(key, json.dumps([name, args]), ask)
    except _NotSent as error:
        return error.answer
    except Reused:
        raise Problem(422, "key_reused") from None


class _Order:
    """A request of the API that becomes a command."""

    def __init__(
        self,
        site: TheSite,
        idempotency_key: Annotated[
            str | None,
            Header(
                max_length=100,
                description="Made up by who asks, such as a UUID. For ten minutes the same key"
                " gives the same answer, and the command is carried out once.",
                examples=["6f1c2a9e-5d1b-4c6e-9d43-0a5f6f0f7b11"],
            ),
        ] = None,
    ) -> None:
        self._site = site
        self.key = idempotency_key or uuid4().hex

    async def __call__(self, who: Who, name: str, args: Mapping[str, Json]) -> Accepted:
        return accepted(await once(self._site, who, self.key, name, args))


Order = Annotated[_Order, Depends()]


def accepted(answer: Answer) -> Accepted:
    """The good answer. Raises :class:`Problem` for others: 404, 409, or 503 without control."""
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    if not answer.done:
        raise Problem(404 if answer.reason in NOT_THERE else 409, answer.reason or "unknown")
    return Accepted.model_validate(
        {
            "status": answer.status,
            "command": answer.command,
            "fact": answer.fact,
            "reason": answer.reason,
        }
    )
