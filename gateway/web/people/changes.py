"""Changing users and tokens, the same for the page and the API: said in the audit chain, and
streams of whoever lost a right end at once.

What cannot be done raises :class:`UserError`; the application answers that with
:func:`on_user_error`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.core.facts import Json
from gateway.web.answers import answer
from gateway.web.identity.accounts import Who, known_role
from gateway.web.identity.users import Token, User, UserError
from gateway.web.page import language_of
from gateway.web.shared.problems import Problem
from gateway.web.shared.words import Words
from gateway.web.site import Site

_STATUS = {
    "unknown_user": 404, "unknown_token": 404, "name_taken": 409, "last_admin": 409,
    "too_many_users": 409, "too_many_tokens": 409,
}  # fmt: skip


def on_user_error(request: Request, error: Exception) -> Response:
    """What cannot be done about users, as an answer, in its own words: other parts of the page
    have reasons of the same name."""
    assert isinstance(error, UserError)  # noqa: S101  # registered for this class only
    words: Words = request.app.state.site.words(language_of(request))
    detail = words.get(f"people.{error.key}")
    return answer(request, Problem(_STATUS.get(error.key, 422), error.key, detail))


async def on_people(site: Site, who: Who, action: str, **detail: Json) -> None:
    """After every change: into the audit chain, and streams of who lost a right end."""
    site.hub.check()
    await site.house.audit(who, action, **detail)


async def add_user(site: Site, who: Who, name: str, role: str, password: str) -> User:
    user = await site.saver.run(site.users.add_user, name, role, password)
    await on_people(site, who, "user_added", subject=f"web:{user.id}", role=user.role)
    return user


async def set_role(site: Site, who: Who, user: User, role: str) -> User:
    ends = site.users.tokens_above(user.id, known_role(role))
    changed = await site.saver.run(site.users.set_role, user.name, role)
    await on_people(site, who, "role_changed", subject=f"web:{user.id}", role=changed.role)
    await _on_tokens_ended(site, who, ends)
    return changed


async def set_password(site: Site, who: Who, user: User, password: str) -> None:
    """For somebody who has forgotten theirs; their log-ins end."""
    await site.saver.run(site.users.set_password, user.name, password)
    await on_people(site, who, "password_set", subject=f"web:{user.id}")


async def end_sessions(site: Site, who: Who, user: User) -> None:
    await site.saver.run(site.users.end_sessions, user.id)
    await on_people(site, who, "sessions_ended", subject=f"web:{user.id}")


async def end_session(site: Site, who: Who, user: User, session: str) -> None:
    """Raises :class:`Problem` 404 where the user has none such."""
    if not await site.saver.run(site.users.end_session_of, user.id, session):
        raise Problem(404, "unknown_session")
    await on_people(site, who, "sessions_ended", subject=f"web:{user.id}")


async def remove_factor(site: Site, who: Who, user: User) -> None:
    """For somebody who has lost the app and the recovery codes."""
    await site.saver.run(site.users.remove_factor, user.id)
    await on_people(site, who, "factor_removed", subject=f"web:{user.id}")


async def remove_user(site: Site, who: Who, user: User) -> None:
    ends = site.users.tokens_above(user.id, None)
    await site.saver.run(site.users.remove_user, user.name)
    await on_people(site, who, "user_removed", subject=f"web:{user.id}")
    await _on_tokens_ended(site, who, ends)


async def _on_tokens_ended(site: Site, who: Who, ended: list[Token]) -> None:
    """Those that ended with their maker's rights."""
    for token in ended:
        await site.house.audit(who, "token_revoked", subject=f"token:{token.name}")


async def add_token(site: Site, who: Who, name: str, role: str, days: int) -> str:
    """The token itself, told once."""
    secret = await site.saver.run(site.users.add_token, name, role, days, who.actor)
    await on_people(site, who, "token_added", subject=f"token:{name}", role=role)
    return secret


async def revoke_token(site: Site, who: Who, name: str) -> None:
    await site.saver.run(site.users.revoke_token, name)
    await on_people(site, who, "token_revoked", subject=f"token:{name}")
