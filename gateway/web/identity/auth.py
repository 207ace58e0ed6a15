"""Who is asking, and whether they may. Every route declares its role with :class:`Needs`.

A session comes in a cookie and needs, for every change, the same origin and the session's
own token; an API token comes as ``Authorization: Bearer`` and needs neither, because no
browser sends it by itself.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.web.identity.accounts import SecondFactor, Who
from gateway.web.identity.users import SESSION_LIFE_S, Role, User, Users, hashed
from gateway.web.shared.problems import CHANGE_NEEDED, NotLoggedIn, Problem
from gateway.web.shared.proxies import is_secure

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
MOST_FIELDS = 600
"""Of one form; the longest are the rows of the settings."""


SESSION, BROWSER = "session", "browser"
"""Cookies: of a log-in, and of a browser that somebody has logged in from."""


def cookie_name(what: str, gateway: str, secure: bool) -> str:
    """``__Host-`` where the browser speaks TLS; it does not return that over plain HTTP. The
    gateway's id tells apart several pages of one host: cookies do not know ports."""
    return f"{'__Host-' if secure else ''}portier-{what}-{gateway}"


def _earlier_name(secure: bool) -> str:
    """Of earlier versions, without a gateway: read, so that nobody is logged out, not set."""
    return cookie_name(SESSION, "", secure).removesuffix("-")


def set_cookie(response: Response, request: Request, what: str, value: str, life_s: int) -> None:
    """A cookie of this gateway that no script can read and no other site sends."""
    gateway, secure = identity_of(request).gateway, is_secure(request)
    response.set_cookie(
        cookie_name(what, gateway, secure),
        value,
        max_age=life_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def read_cookie(request: Request, what: str) -> str | None:
    gateway = identity_of(request).gateway
    return request.cookies.get(cookie_name(what, gateway, is_secure(request)))


def set_session(response: Response, request: Request, secret: str) -> None:
    set_cookie(response, request, SESSION, secret, SESSION_LIFE_S)


def clear_session(response: Response, request: Request, who: Who) -> None:
    """Remove the cookie of the log-in that ends. One of an earlier name may be another
    gateway's: it is removed where it is this log-in's."""
    gateway, secure = identity_of(request).gateway, is_secure(request)
    names = [cookie_name(SESSION, gateway, secure)]
    earlier = _earlier_name(secure)
    if hashed(request.cookies.get(earlier, "")) == who.session:
        names.append(earlier)
    for name in names:
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def _session_of(request: Request) -> tuple[str, User] | None:
    """The hash of the session and its user; a cookie of the earlier name comes last."""
    users = identity_of(request).users
    earlier = request.cookies.get(_earlier_name(is_secure(request)))
    for secret in (read_cookie(request, SESSION), earlier):
        session = hashed(secret) if secret else ""
        user = users.session(session) if session else None
        if user is not None:
            return session, user
    return None


def csrf_token(secret: bytes, session_hash: str) -> str:
    return hmac.new(secret, b"csrf:" + session_hash.encode(), hashlib.sha256).hexdigest()[:32]


def identify(request: Request) -> Who | None:
    """Whoever the cookie or token names, or ``None``."""
    identity = identity_of(request)
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        token_hash = hashed(value.strip())
        token = identity.users.token(token_hash)
        if token is None:
            return None
        return Who(f"web:token-{token.id}", token.name, token.role, token=token_hash)
    found = _session_of(request)
    if found is None:
        return None
    session, user = found
    return Who(
        f"web:{user.id}",
        user.name,
        user.role,
        user.id,
        session,
        csrf=csrf_token(identity.secret, session),
        language=user.language,
        armed_s=user.armed_s,
    )


def same_origin(request: Request) -> bool:
    """Whether the browser says that this request comes from our own page.

    Who sends neither header is no browser of today; the token still has to be right."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:  # brackets that hold no address
        return False


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the last counts. Raises
    :class:`Problem` where there are more than any form has."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem(422, "malformed") from None
    return {name: values[-1] for name, values in fields.items()}


async def _token_of(request: Request) -> str:
    header = request.headers.get(CSRF_HEADER)
    if header is not None:
        return header
    return (await form_of(request)).get("csrf", "") if _has_form(request) else ""


def _has_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    return request.method not in SAFE and kind.startswith("application/x-www-form-urlencoded")


Proof = Literal["never", "login", "fresh"]
"""When a route wants the second factor, where the owner wants one: never, at the log-in at the
most, or given within :data:`PROOF_LIFE_S`."""
PROOF_LIFE_S = 8 * 3600


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the page of ``gateway`` knows, and what it asks of them: ``request.app.state.identity``.
    ``secret``: of the tokens that forms carry."""

    users: Users
    gateway: str
    second_factor: SecondFactor
    secret: bytes

    def proved(self, who: Who, proof: Proof) -> bool:
        """Whether a session may go on without a code. API tokens never need one: they are made by
        who had to give one, carry a role of their own, and run out."""
        if self.second_factor == "off" or not who.session or proof == "never":
            return True
        ago_s = self.users.proved_ago_s(who.session)
        if proof == "fresh":
            return ago_s is not None and ago_s < PROOF_LIFE_S
        return self.second_factor == "doors" or ago_s is not None

    def need_fresh_proof(self, who: Who) -> None:
        """For a route of which only some requests need what opening a door needs. Raises
        :class:`Problem` 403 ``second_factor``."""
        if not self.proved(who, "fresh"):
            raise Problem(403, "second_factor")

    def has_first_password(self, who: Who) -> bool:
        """Whether somebody still uses the password that was made at the first start."""
        return who.user_id is not None and self.users.has_first_password(who.user_id)


def identity_of(request: Request) -> Identity:
    found: Identity = request.app.state.identity
    return found


def seen(request: Request) -> Who | None:
    """Whom a page may show the building: nobody who has yet to give the second factor."""
    who = identify(request)
    if who is None or identity_of(request).proved(who, "login"):
        return who
    return None


class Needs:
    """The dependency by which a route says who may call it. ``None``: everybody.

    ``always``: also who has yet to change the first password, which a log has shown. To see
    the building, open its doors and answer its calls is never withheld from who is logged in."""

    def __init__(self, role: Role | None, proof: Proof = "login", *, always: bool = False) -> None:
        self.role = role
        self.proof = proof
        self.always = always

    @property
    def least_role(self) -> Role | None:
        """For the description of the API."""
        return self.role

    async def __call__(self, request: Request) -> Who | None:  # noqa: PLR0912 - a table
        """The body of a form comes first, however slowly it does: who asks is who may when it is
        there."""
        identity = identity_of(request)
        if self.role is not None and _has_form(request) and identify(request) is not None:
            await form_of(request)
        who = identify(request)
        if who is not None and not identity.proved(who, "login"):
            request.state.who = None  # whoever is half in sees nothing of the building
            if self.role is None:
                who = None
        else:
            request.state.who = who
        change = request.method not in SAFE
        if self.role is None:
            if change and not same_origin(request):
                raise Problem(403, "other_origin")
            return who
        if who is None:
            raise NotLoggedIn
        if change and who.session:
            if not same_origin(request):
                raise Problem(403, "other_origin")
            if not hmac.compare_digest((await _token_of(request)).encode(), who.csrf.encode()):
                raise Problem(403, "csrf")
        if not who.may(self.role):
            raise Problem(403, "role")
        if not identity.proved(who, self.proof):
            raise Problem(403, "second_factor")
        if not self.always and identity.has_first_password(who):
            raise Problem(403, CHANGE_NEEDED)
        return who
