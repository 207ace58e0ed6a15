"""Asking a gateway for something in somebody's name: the same for the page and the API.

The gateway decides. What it would refuse anyway is refused here with its reason; nothing waits for
a gateway that is away.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from gateway.core.events import ATTENDS_MOST
from gateway.sites.access import At
from gateway.sites.building import NO_BROKER, OFFLINE, SILENT, STALE, UNKNOWN
from gateway.sites.page_site import CentreSite
from gateway.web.building.control_client import NO_ANSWER, Answer
from gateway.web.identity.accounts import Who
from gateway.web.shared.limits import Reused
from gateway.web.shared.models import Accepted
from gateway.web.shared.problems import Problem

UNANSWERED = frozenset(
    {NO_ANSWER, NO_BROKER, OFFLINE, SILENT, UNKNOWN, STALE, "keys_unreadable", "clock_untrusted"}
)
"""Reasons why no gateway has judged a command."""
NOT_THERE = frozenset({"unknown_door", "unknown_call", "unknown_alarm", "unknown_room"})
REASON_MOST = 200


class _NotSent(Exception):
    """No gateway has judged it: the same key may be used again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


def by(who: Who) -> str:
    """How a gateway knows somebody of the centre."""
    return who.actor.replace("web:token-", "token:", 1).replace("web:", "user:", 1)


async def open_door(site: CentreSite, at: At, door: str, reason: str, key: str) -> Answer:
    """Ask for a door, once per ``key`` of this person. Raises :class:`Problem`: 404 for a door that
    is not there, 422 for a key used for something else, 429 for too many."""
    if door not in at.presenter.control.doors:
        raise Problem(404, "unknown_door")
    if not at.presenter.allowed.open(door):
        return Answer("", "refused", "door_not_offered")

    async def ask() -> Answer:
        if not site.door_limit.take(at.who.actor):
            raise Problem(429, "limit", Retry_After="2")
        return await site.centre.commands.ask(
            at.seen.id, "open_door", door, by=by(at.who), reason=reason[:REASON_MOST]
        )

    return await _once(site, at, key, ["open_door", at.seen.id, door, reason], ask)


async def acknowledge_call(site: CentreSite, at: At, call: str, attends: str, key: str) -> Answer:
    """``attends``: the name of whoever goes to the room; without one the call is only marked as
    seen, and goes on. ``call``: its id, or that of its room."""
    if not at.presenter.allowed.acknowledge:
        return Answer("", "refused", "calls_not_offered")
    name = " ".join(attends.split())
    if not name and not at.presenter.allowed.see:
        return Answer("", "refused", "seen_not_offered")
    if len(name) > ATTENDS_MOST or not name.isprintable():
        raise Problem(422, "attends_wrong")

    async def ask() -> Answer:
        return await site.centre.commands.ask(
            at.seen.id, "acknowledge_call", call, by=by(at.who), attends=name
        )

    return await _once(site, at, key, ["acknowledge_call", at.seen.id, call, name], ask)


async def acknowledge_alarm(site: CentreSite, at: At, alarm: str, key: str) -> Answer:
    if not at.presenter.allowed.acknowledge:
        return Answer("", "refused", "calls_not_offered")

    async def ask() -> Answer:
        return await site.centre.commands.ask(at.seen.id, "acknowledge_alarm", alarm, by=by(at.who))

    return await _once(site, at, key, ["acknowledge_alarm", at.seen.id, alarm], ask)


async def _once(
    site: CentreSite, at: At, key: str, what: list[str], ask: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Whoever comes again with the same key gets the same answer."""

    async def judged() -> Answer:
        away = at.presenter.control.away_reason
        answer = Answer("", "refused", away) if away else await ask()
        if answer.reason in UNANSWERED:
            raise _NotSent(answer)
        return answer

    try:
        return await site.answers_of(at.who).do(key, json.dumps(what), judged)
    except _NotSent as error:
        return error.answer
    except Reused:
        raise Problem(422, "key_reused") from None


def accepted(at: At, answer: Answer) -> Accepted:
    """The good answer of the API. Raises :class:`Problem` for others: 404, 409, or 503 where no
    gateway has answered."""
    if answer.done:
        return Accepted.model_validate(
            {
                "status": answer.status,
                "command": answer.command,
                "fact": answer.fact,
                "reason": answer.reason,
            }
        )
    raise refused(at, answer)


def refused(at: At, answer: Answer) -> Problem:
    """Why not, in words."""
    reason = answer.reason or "unknown"
    detail = at.presenter.reason(reason)
    if reason in UNANSWERED:
        return Problem(503, reason, detail, Retry_After="1")
    return Problem(404 if reason in NOT_THERE else 409, reason, detail)
