"""Oneself: logging in and out, preferences, password, log-ins, and the second factor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from gateway.web.access import HalfIn, Public, ThePage, ViewAlways, ViewAlwaysProved
from gateway.web.account import changes
from gateway.web.account.log_in import let_in, log_in, log_out
from gateway.web.account.second_factor import know, prove
from gateway.web.identity.accounts import SecondFactor
from gateway.web.identity.auth import PROOF_LIFE_S, clear_session, csrf_token
from gateway.web.identity.sessions import session_id
from gateway.web.identity.users import hashed
from gateway.web.people.ended_logins import ENDED, ended
from gateway.web.people.session_models import SessionId, SessionShape, session_shape
from gateway.web.shared.models import Code, Me, Strict, problems
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["account"])


class LogIn(Strict):
    name: str = Field(max_length=100)
    password: str = Field(max_length=200)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "empfang", "password": "ein langer Satz"}]},
    )


class Entered(BaseModel):
    """``csrf`` goes into the header ``X-CSRF-Token`` of every change, beside the cookie."""

    csrf: str
    second_factor: bool = Field(description="A code is wanted before anything else.")
    password_change_needed: bool = Field(
        description="Still the first password: all but doors, calls and alarms waits for another."
    )
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"csrf": "9b1c…", "second_factor": False, "password_change_needed": False}]
        }
    )


class Preferences(Strict):
    """``armed_s``: how long the open button of the page stays armed, in seconds."""

    language: Literal["", "de", "en"] = Field("", description="Empty: as the browser wishes.")
    armed_s: int = Field(15, ge=5, le=150)
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"language": "de", "armed_s": 30}]}
    )


class NewPassword(Strict):
    old: str = Field(max_length=200)
    new: str = Field(min_length=10, max_length=200)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"old": "ein langer Satz", "new": "ein anderer Satz"}]},
    )


class Password(Strict):
    password: str = Field(max_length=200, description="One's own, once more.")
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"password": "ein langer Satz"}]}
    )


class FactorShape(BaseModel):
    """``wanted``: where the owner wants a code. ``proved_until``: for this session."""

    wanted: SecondFactor
    enrolled: bool
    proved_until: datetime | None
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"wanted": "doors", "enrolled": True, "proved_until": "2025-05-01T16:00:00Z"}
            ]
        }
    )


class Enrolment(BaseModel):
    """For the app (TOTP, RFC 6238): the secret alone, or with all that belongs to it."""

    secret: str
    uri: str
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/Portier:empfang"}]
        }
    )


class RecoveryCodes(BaseModel):
    """Each counts once, when the app is gone. They are told only here."""

    recovery_codes: list[str]
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"recovery_codes": ["3f0a91b2c4d5e6f7"]}]}
    )


@router.post(
    "/api/v1/session",
    operation_id="log_in",
    status_code=201,
    summary="Log in",
    responses=problems(503),
)
async def enter(
    wanted: LogIn, request: Request, response: Response, who: Public, site: ThePage
) -> Entered:
    """Log in as a user: the answer sets the cookie. Programs better use an access token. Too
    many attempts are answered 429."""
    user, secret = await log_in(site, request, wanted.name, wanted.password)
    let_in(response, request, site, user, secret)
    return Entered(
        csrf=csrf_token(site.identity.secret, hashed(secret)),
        second_factor=site.identity.second_factor == "login",
        password_change_needed=site.users.has_first_password(user.id),
    )


@router.delete(
    "/api/v1/session",
    operation_id="log_out",
    status_code=204,
    summary="Log out",
    responses=problems(404) | ENDED,
)
async def leave(request: Request, who: HalfIn, site: ThePage) -> Response:
    """Log out: the session that asks is not valid any more. An access token has none: 404. 200
    where the disk does not answer: it has ended, and a restart before it answers undoes that."""
    if not who.session:
        raise Problem(404, "unknown_session")
    response = ended(request, site, await log_out(site, who))
    clear_session(response, request, who)
    return response


@router.get("/api/v1/me", operation_id="get_me", summary="Who is asking", responses=problems())
async def me(who: ViewAlways) -> Me:
    """Who is asking, as the audit chain knows them."""
    return Me(actor=who.actor, name=who.name, role=who.role)


@router.get(
    "/api/v1/me/preferences",
    operation_id="get_preferences",
    summary="One's own preferences",
    responses=problems(),
)
async def preferences(who: ViewAlways, site: ThePage) -> Preferences:
    """One's own preferences, as they count on the page."""
    user = site.users.by_id(changes.person(who))
    return Preferences.model_validate({"language": user.language, "armed_s": user.armed_s})


@router.put(
    "/api/v1/me/preferences",
    operation_id="set_preferences",
    summary="Change one's own preferences",
    responses=problems(),
)
async def set_preferences(wanted: Preferences, who: ViewAlways, site: ThePage) -> Preferences:
    """Choose one's own language and how long the open button stays armed."""
    await changes.set_preferences(site, who, wanted.language, wanted.armed_s)
    return await preferences(who, site)


@router.put(
    "/api/v1/me/password",
    operation_id="change_password",
    summary="Change one's own password",
    status_code=204,
    responses=problems(),
)
async def set_password(wanted: NewPassword, who: ViewAlways, site: ThePage) -> Response:
    """Change one's own password; it needs the old one. All other log-ins end."""
    await changes.change_password(site, who, wanted.old, wanted.new)
    return Response(status_code=204)


@router.get(
    "/api/v1/me/second-factor",
    operation_id="get_second_factor",
    summary="Second factor",
    responses=problems(),
)
async def factor(who: HalfIn, site: ThePage) -> FactorShape:
    """Whether a second factor is wanted, set up, and given for this session."""
    ago_s = site.users.proved_ago_s(who.session)
    until = None
    if ago_s is not None and ago_s < PROOF_LIFE_S:
        until = datetime.now(UTC) + timedelta(seconds=PROOF_LIFE_S - ago_s)
    return FactorShape(
        wanted=site.identity.second_factor,
        enrolled=site.users.has_factor(changes.person(who)),
        proved_until=until,
    )


@router.post(
    "/api/v1/me/second-factor",
    operation_id="prove_second_factor",
    status_code=204,
    summary="Give a code",
    responses=problems(503),
)
async def second_factor(given: Code, request: Request, who: HalfIn, site: ThePage) -> Response:
    """A code of the second factor, for this session. Where the owner wants one, requests are
    answered 403 ``second_factor`` until then; those with an API token never are. 503
    ``code_early``: the gateway has just started, and the next code of the app is accepted;
    ``code_waits``: a recovery code that the disk does not take yet."""
    if not await prove(site, request, who, given.code):
        raise Problem(403, "wrong_code")
    response = Response(status_code=204)
    know(response, request, site, who)
    return response


@router.post(
    "/api/v1/me/second-factor/enrolment",
    operation_id="begin_second_factor",
    summary="Begin to set up a second factor",
    status_code=201,
    responses=problems(404),
)
async def begin_factor(given: Password, who: HalfIn, site: ThePage) -> Enrolment:
    """Begin to set up a second factor. It counts once it is confirmed with a first code; one
    that is there stays (422)."""
    secret, uri = await changes.begin_factor(site, who, given.password)
    return Enrolment(secret=secret, uri=uri)


@router.post(
    "/api/v1/me/second-factor/confirmation",
    operation_id="confirm_second_factor",
    summary="Confirm a second factor",
    responses=problems(404),
)
async def confirm_factor(
    given: Code, request: Request, response: Response, who: HalfIn, site: ThePage
) -> RecoveryCodes:
    """A first code from the app: from now on the factor counts, and is given for this session."""
    codes = await changes.confirm_factor(site, who, given.code)
    if codes is None:
        raise Problem(403, "wrong_code")
    know(response, request, site, who)
    return RecoveryCodes(recovery_codes=codes)


@router.post(
    "/api/v1/me/second-factor/removal",
    operation_id="remove_second_factor",
    summary="Remove one's own second factor",
    status_code=204,
    responses=problems(),
)
async def remove_factor(given: Password, who: ViewAlwaysProved, site: ThePage) -> Response:
    """Take one's own second factor away: it needs the password and a code given before."""
    await changes.remove_factor(site, who, given.password)
    return Response(status_code=204)


@router.get(
    "/api/v1/users/me/sessions",
    operation_id="list_own_sessions",
    summary="One's own log-ins",
    responses=problems(),
)
async def sessions(who: ViewAlways, site: ThePage) -> list[SessionShape]:
    """One's own log-ins, the last used first. None for an API token: it has no session."""
    found = [] if who.user_id is None else site.users.list_sessions(who.user_id)
    return [session_shape(one, session_id(who.session)) for one in found]


@router.delete(
    "/api/v1/users/me/sessions",
    operation_id="end_other_sessions",
    summary="End one's other log-ins",
    status_code=204,
    responses=problems() | ENDED,
)
async def end_others(request: Request, who: ViewAlways, site: ThePage) -> Response:
    """End all log-ins of one's own but the one that asks; their streams end. 200: see log out."""
    durable = who.user_id is None or await changes.end_other_sessions(site, who)
    return ended(request, site, durable)


@router.delete(
    "/api/v1/users/me/sessions/{session}",
    operation_id="end_own_session",
    summary="End one of one's own log-ins",
    status_code=204,
    responses=problems(404) | ENDED,
)
async def end_one(request: Request, session: SessionId, who: ViewAlways, site: ThePage) -> Response:
    """End one log-in of one's own. 200: see log out."""
    return ended(request, site, await changes.end_session(site, who, session))
