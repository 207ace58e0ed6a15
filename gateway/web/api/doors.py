"""Doors: their state, opening them, their mode."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header

from gateway.web.access import Staff, TheSite, View
from gateway.web.api.models import Accepted, OpenRequest, problems
from gateway.web.house import Answer
from gateway.web.opening import open_door
from gateway.web.problems import Problem
from gateway.web.view import doors_json

router = APIRouter(tags=["doors"])


def accepted(answer: Answer) -> Accepted:
    """The good answer to a command. Raises :class:`Problem` for a bad one: 409, or 503."""
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    if not answer.done:
        raise Problem(409, answer.reason or "unknown")
    return Accepted(status=answer.status, command=answer.command, fact=answer.fact)  # type: ignore[arg-type]  # narrowed by done


@router.get("/api/v1/doors", responses=problems())
async def doors(who: View, site: TheSite) -> list[dict[str, Any]]:
    """All doors in the order of the configuration."""
    return doors_json(site.house)


@router.get("/api/v1/doors/{door}", responses=problems(404))
async def one_door(door: str, who: View, site: TheSite) -> dict[str, Any]:
    """One door."""
    for found in doors_json(site.house):
        if found["id"] == door:
            return found
    raise Problem(404, "unknown_door")


@router.post("/api/v1/doors/{door}/open", status_code=202, responses=problems(404, 409, 503))
async def open_(
    door: str,
    who: Staff,
    site: TheSite,
    wanted: OpenRequest | None = None,
    idempotency_key: Annotated[str | None, Header(max_length=100)] = None,
) -> Accepted:
    """Ask for a door. The same ``Idempotency-Key`` gives the same answer and opens once."""
    reason = wanted.reason if wanted else ""
    return accepted(await open_door(site, who, door, reason, idempotency_key or uuid4().hex))
