"""Who may do what: the caller, users, tokens, and the audit chain."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from gateway.web.access import Admin, AdminProved, HalfIn, TheSite, View
from gateway.web.api.models import (
    Code,
    Me,
    NewToken,
    NewUser,
    SessionShape,
    TokenShape,
    UserShape,
    VerdictShape,
    problems,
)
from gateway.web.people import on_people, user_problem
from gateway.web.problems import Problem
from gateway.web.proving import prove
from gateway.web.records import Unavailable
from gateway.web.sessions import session_id
from gateway.web.users import User, UserError

router = APIRouter(tags=["people"])
UserId = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/api/v1/me", responses=problems())
async def me(who: View) -> Me:
    """Who is asking, as the audit chain knows them."""
    return Me(actor=who.actor, name=who.name, role=who.role)


def shape(user: User) -> UserShape:
    return UserShape(id=user.id, name=user.name, role=user.role)


@router.get("/api/v1/users", responses=problems())
async def users(who: Admin, site: TheSite) -> list[UserShape]:
    """All users that can log in."""
    return [shape(user) for user in site.users.list_users()]


@router.post("/api/v1/users", status_code=201, responses=problems(409))
async def add_user(wanted: NewUser, who: AdminProved, site: TheSite) -> UserShape:
    """A new user."""
    try:
        user = await asyncio.to_thread(
            site.users.add_user, wanted.name, wanted.role, wanted.password
        )
    except UserError as error:
        raise user_problem(error) from None
    await on_people(site, who, "user_added", subject=f"web:{user.id}", role=user.role)
    return shape(user)


@router.get("/api/v1/users/me/sessions", responses=problems())
async def sessions(who: View, site: TheSite) -> list[SessionShape]:
    """One's own log-ins, the last used first. None for an API token: it has no session."""
    found = [] if who.user_id is None else site.users.list_sessions(who.user_id)
    return [
        SessionShape(
            id=s.id,
            begun=datetime.fromtimestamp(s.begun, UTC),
            seen=datetime.fromtimestamp(s.seen, UTC),
            browser=s.browser,
            this=s.id == session_id(who.session),
        )
        for s in found
    ]


@router.post("/api/v1/me/second-factor", status_code=204, responses=problems())
async def second_factor(given: Code, who: HalfIn, site: TheSite) -> Response:
    """A code of the second factor, for this session. Where the owner wants one, requests are
    answered 403 ``second_factor`` until then; those with an API token never are."""
    if not await prove(site, who, given.code):
        raise Problem(403, "wrong_code")
    return Response(status_code=204)


@router.delete("/api/v1/users/me/sessions", status_code=204, responses=problems())
async def end_others(who: View, site: TheSite) -> Response:
    """End all log-ins of one's own but the one that asks; their streams end."""
    if who.user_id is not None:
        site.users.end_sessions(who.user_id, keep=who.session)
        await on_people(site, who, "sessions_ended", subject=who.actor)
    return Response(status_code=204)


@router.delete("/api/v1/users/me/sessions/{session}", status_code=204, responses=problems(404))
async def end_one(session: str, who: View, site: TheSite) -> Response:
    """End one log-in of one's own."""
    if who.user_id is None or not site.users.end_session_of(who.user_id, session):
        raise Problem(404, "unknown_session")
    await on_people(site, who, "sessions_ended", subject=who.actor)
    return Response(status_code=204)


@router.delete("/api/v1/users/{user}/sessions", status_code=204, responses=problems(404))
async def end_all_of(user: UserId, who: Admin, site: TheSite) -> Response:
    """End all log-ins of a user, one's own included."""
    if user not in {known.id for known in site.users.list_users()}:
        raise Problem(404, "unknown_user")
    site.users.end_sessions(user)
    await on_people(site, who, "sessions_ended", subject=f"web:{user}")
    return Response(status_code=204)


@router.get("/api/v1/tokens", responses=problems())
async def tokens(who: Admin, site: TheSite) -> list[TokenShape]:
    """All tokens that have not run out, without their secret."""
    return [
        TokenShape(name=t.name, role=t.role, expires=datetime.fromtimestamp(t.expires, UTC))
        for t in site.users.list_tokens()
    ]


@router.post("/api/v1/tokens", status_code=201, responses=problems(409))
async def add_token(wanted: NewToken, who: AdminProved, site: TheSite) -> TokenShape:
    """A new token; this answer is the only one that holds it."""
    try:
        secret = site.users.add_token(wanted.name, wanted.role, wanted.days, who.actor)
    except UserError as error:
        raise user_problem(error) from None
    await on_people(site, who, "token_added", subject=f"token:{wanted.name}", role=wanted.role)
    made = next(token for token in site.users.list_tokens() if token.name == wanted.name.strip())
    return TokenShape(
        name=made.name,
        role=made.role,
        expires=datetime.fromtimestamp(made.expires, UTC),
        token=secret,
    )


@router.delete("/api/v1/tokens/{name}", status_code=204, responses=problems(404))
async def revoke_token(name: str, who: Admin, site: TheSite) -> Response:
    """The token counts no more; streams it opened end."""
    try:
        site.users.revoke_token(name)
    except UserError as error:
        raise user_problem(error) from None
    await on_people(site, who, "token_revoked", subject=f"token:{name}")
    return Response(status_code=204)


@router.get("/api/v1/audit", responses=problems(503))
async def audit(
    who: Admin,
    site: TheSite,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[dict[str, Any]]:
    """The audit chain, oldest first: who did what, each entry bound to the one before."""
    try:
        return await site.records.audit(after, limit)
    except Unavailable as error:
        raise Problem(503, "no_journal", str(error), Retry_After="1") from None


@router.get("/api/v1/audit/verdict", responses=problems(503))
async def verdict(who: Admin, site: TheSite) -> VerdictShape:
    """Whether the whole chain is as it was written."""
    try:
        found = await site.records.verify()
    except Unavailable as error:
        raise Problem(503, "no_journal", str(error), Retry_After="1") from None
    return VerdictShape(
        intact=found.broken is None,
        entries=found.entries,
        broken=found.broken,
        reason=found.reason,
    )
