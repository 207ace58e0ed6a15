"""Who may do what: users, tokens, and the audit chain."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import ConfigDict, Field
from starlette.requests import Request

from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.building.models import AuditTold
from gateway.web.building.records import Unavailable
from gateway.web.identity.sessions import session_id
from gateway.web.identity.users import Token, User, hashed
from gateway.web.people import changes
from gateway.web.people.ended_logins import ENDED, ended
from gateway.web.people.session_models import SessionId, SessionShape, session_shape
from gateway.web.shared.models import (
    NewToken,
    NewUser,
    Role,
    Strict,
    TokenShape,
    UserShape,
    VerdictShape,
    problems,
)
from gateway.web.shared.problems import Problem
from gateway.web.site import Site
from gateway.wire import calendar_time

router = APIRouter(tags=["people"])
UserId = Annotated[int, Path(ge=1, le=2**53)]


class NewRole(Strict):
    role: Role
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "staff"}]})


class SetPassword(Strict):
    password: str = Field(min_length=10, max_length=200)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"password": "ein langer Satz"}]}
    )


def shape(user: User) -> UserShape:
    return UserShape(id=user.id, name=user.name, role=user.role)


@router.get("/api/v1/users", operation_id="list_users", summary="All users", responses=problems())
async def users(who: Admin, site: TheSite) -> list[UserShape]:
    """All users that can log in."""
    return [shape(user) for user in site.users.list_users()]


@router.post(
    "/api/v1/users",
    operation_id="add_user",
    summary="Add a user",
    status_code=201,
    responses=problems(409),
)
async def add_user(wanted: NewUser, who: AdminProved, site: TheSite) -> UserShape:
    """A new user, who chooses nothing yet: the password is the one given here."""
    return shape(await changes.add_user(site, who, wanted.name, wanted.role, wanted.password))


@router.put(
    "/api/v1/users/{user}/role",
    operation_id="set_user_role",
    summary="Give a user another role",
    responses=problems(404, 409),
)
async def set_role(user: UserId, wanted: NewRole, who: AdminProved, site: TheSite) -> UserShape:
    """Give a user another role; their log-ins end, and the tokens they have made that may more
    than that. 409 for the last administrator."""
    return shape(await changes.set_role(site, who, site.users.by_id(user), wanted.role))


@router.put(
    "/api/v1/users/{user}/password",
    operation_id="set_user_password",
    summary="Set the password of a user",
    status_code=204,
    responses=problems(404),
)
async def set_password(
    user: UserId, wanted: SetPassword, who: AdminProved, site: TheSite
) -> Response:
    """Set the password of a user who has forgotten it; their log-ins end."""
    await changes.set_password(site, who, site.users.by_id(user), wanted.password)
    return Response(status_code=204)


@router.delete(
    "/api/v1/users/{user}",
    operation_id="remove_user",
    summary="Remove a user",
    status_code=204,
    responses=problems(404, 409),
)
async def remove_user(user: UserId, who: AdminProved, site: TheSite) -> Response:
    """The user can log in no more, and the tokens the user has made end; the journal keeps the
    name. 409 for the last administrator."""
    await changes.remove_user(site, who, site.users.by_id(user))
    return Response(status_code=204)


@router.delete(
    "/api/v1/users/{user}/second-factor",
    operation_id="remove_user_second_factor",
    summary="Remove the second factor of a user",
    status_code=204,
    responses=problems(404),
)
async def remove_factor(user: UserId, who: AdminProved, site: TheSite) -> Response:
    """Take away the second factor of a user who has lost the app and the recovery codes."""
    await changes.remove_factor(site, who, site.users.by_id(user))
    return Response(status_code=204)


@router.get(
    "/api/v1/users/{user}/sessions",
    operation_id="list_user_sessions",
    summary="The log-ins of a user",
    responses=problems(404),
)
async def sessions_of(user: UserId, who: Admin, site: TheSite) -> list[SessionShape]:
    """Where a user is logged in, the last used first."""
    found = site.users.list_sessions(site.users.by_id(user).id)
    return [session_shape(one, session_id(who.session)) for one in found]


@router.delete(
    "/api/v1/users/{user}/sessions",
    operation_id="end_user_sessions",
    summary="End all log-ins of a user",
    status_code=204,
    responses=problems(404) | ENDED,
)
async def end_all_of(request: Request, user: UserId, who: Admin, site: TheSite) -> Response:
    """End all log-ins of a user, one's own included. 200 where the disk does not answer: they
    have ended, and a restart before it answers undoes that."""
    return ended(request, site, await changes.end_sessions(site, who, site.users.by_id(user)))


@router.delete(
    "/api/v1/users/{user}/sessions/{session}",
    operation_id="end_user_session",
    summary="End one log-in of a user",
    status_code=204,
    responses=problems(404) | ENDED,
)
async def end_one_of(
    request: Request, user: UserId, session: SessionId, who: Admin, site: TheSite
) -> Response:
    """End one log-in of a user. 200: as with all of them."""
    durable = await changes.end_session(site, who, site.users.by_id(user), session)
    return ended(request, site, durable)


@router.get(
    "/api/v1/tokens", operation_id="list_tokens", summary="All access tokens", responses=problems()
)
async def tokens(who: Admin, site: TheSite) -> list[TokenShape]:
    """All tokens that have not run out, without their secret."""
    return [_token_shape(site, token) for token in site.users.list_tokens()]


def _token_shape(site: Site, token: Token, secret: str | None = None) -> TokenShape:
    return TokenShape(
        name=token.name,
        role=token.role,
        expires=calendar_time(token.expires * 1000),
        by=token.by,
        orphaned=site.users.is_orphaned(token),
        token=secret,
    )


@router.post(
    "/api/v1/tokens",
    operation_id="add_token",
    summary="Make an access token",
    status_code=201,
    responses=problems(409),
)
async def add_token(wanted: NewToken, who: AdminProved, site: TheSite) -> TokenShape:
    """A new token; this answer is the only one that holds it."""
    secret = await changes.add_token(site, who, wanted.name, wanted.role, wanted.days)
    made = site.users.token(hashed(secret))
    if made is None:  # revoked in the same instant
        raise Problem(404, "unknown_token")
    return _token_shape(site, made, secret)


@router.delete(
    "/api/v1/tokens/{name}",
    operation_id="revoke_token",
    summary="Revoke an access token",
    status_code=204,
    responses=problems(404),
)
async def revoke_token(name: str, who: Admin, site: TheSite) -> Response:
    """The token counts no more; streams it opened end."""
    await changes.revoke_token(site, who, name)
    return Response(status_code=204)


@router.get(
    "/api/v1/audit",
    operation_id="list_audit_entries",
    summary="The audit chain",
    responses=problems(503),
)
async def audit(
    who: Admin,
    site: TheSite,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[AuditTold]:
    """The audit chain, oldest first: who did what, each entry bound to the one before."""
    try:
        return await site.records.audit(after, limit)
    except Unavailable as error:
        raise Problem(503, "no_journal", str(error), Retry_After="1") from None


@router.get(
    "/api/v1/audit/verdict",
    operation_id="verify_audit_chain",
    summary="Verify the audit chain",
    responses=problems(503),
)
async def verdict(who: Admin, site: TheSite) -> VerdictShape:
    """Whether the whole chain is as it was written."""
    try:
        found = await site.records.verify()
    except Unavailable as error:
        raise Problem(503, "no_journal", str(error), Retry_After="1") from None
    return VerdictShape(
        intact=found.broken is None,
        entries=found.entries,
        removed=found.removed,
        broken=found.broken,
        reason=found.reason,
    )
