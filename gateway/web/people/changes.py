"""Changing users and tokens, the same for the page and the API: said in the audit chain, and
streams of whoever lost a right end at once.

What cannot be done raises :class:`UserError`; the application answers that with
:func:`on_user_error`.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.web.answers import answer
from gateway.web.identity.accounts import Who
from gateway.web.identity.repair import mark_seen
from gateway.web.identity.users import User
from gateway.web.page import language_of
from gateway.web.people.ended_logins import end_log_ins
from gateway.web.shared.problems import Problem
from gateway.web.shared.words import Words
from gateway.web.site import PageSite, Site
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import Author

_STATUS = {
    "unknown_user": 404, "unknown_token": 404, "name_taken": 409, "last_admin": 409,
    "too_many_users": 409, "too_many_tokens": 409, "audit_waits": 503,
}  # fmt: skip


def on_user_error(request: Request, error: Exception) -> Response:
    """What cannot be done about users, as an answer, in its own words: other parts of the page
    have reasons of the same name."""
    assert isinstance(error, UserError)  # noqa: S101  # registered for this class only
    words: Words = request.app.state.site.words(language_of(request))
    detail = words.get(f"people.{error.key}")
    return answer(request, Problem(_STATUS.get(error.key, 422), error.key, detail))


async def on_people(site: PageSite) -> None:
    """After every change: streams of who lost a right end, and its entry goes to the chain."""
    site.hub.check()
    await site.handover.send()


def _author(site: PageSite, who: Who) -> Author:
    """As :data:`gateway.web.access.AdminProved` lets them in."""
    return site.author(who, "admin", "fresh")


async def add_user(site: PageSite, who: Who, name: str, role: str, password: str) -> User:
    user = await site.saver.run(
        site.users.add_user, name, role, password, author=_author(site, who)
    )
    await on_people(site)
    return user


async def set_role(site: PageSite, who: Who, user: User, role: str) -> User:
    changed = await site.saver.run(site.users.set_role, user.name, role, author=_author(site, who))
    await on_people(site)
    return changed


async def set_password(site: PageSite, who: Who, user: User, password: str) -> None:
    """For somebody who has forgotten theirs; their log-ins end."""
    await site.saver.run(site.users.set_password, user.name, password, author=_author(site, who))
    await on_people(site)


async def end_sessions(site: PageSite, who: Who, user: User) -> bool:
    """Whether it is durable, see :func:`end_log_ins`."""
    site.users.forget_sessions(user.id, author=site.author(who, "admin"))
    durable = await end_log_ins(site)
    await on_people(site)
    return durable


async def end_session(site: PageSite, who: Who, user: User, session: str) -> bool:
    """The same with one. Raises :class:`Problem` 404 where the user has none such."""
    if not site.users.forget_sessions(user.id, id=session, author=site.author(who, "admin")):
        raise Problem(404, "unknown_session")
    durable = await end_log_ins(site)
    await on_people(site)
    return durable


async def remove_factor(site: PageSite, who: Who, user: User) -> None:
    """For somebody who has lost the app and the recovery codes."""
    await site.saver.run(site.users.remove_factor, user.id, author=_author(site, who))
    await on_people(site)


async def remove_user(site: PageSite, who: Who, user: User) -> None:
    await site.saver.run(site.users.remove_user, user.name, author=_author(site, who))
    await on_people(site)


async def see_repair(site: PageSite, who: Who) -> None:
    """An administrator has looked after the users after their file was damaged."""
    author = site.author(who, "admin", "fresh")
    await site.saver.run(_see_repair, site, author)
    await on_people(site)


def _see_repair(site: PageSite, author: Author) -> None:
    subject = {"subject": site.options.gateway}
    site.users.keep_entry(author.actor, "repair_seen", subject, author=author)
    mark_seen(site.options.users)


async def add_token(site: PageSite, who: Who, name: str, role: str, days: int) -> str:
    """The token itself, told once."""
    secret = await site.saver.run(
        site.users.add_token, name, role, days, who.actor, author=_author(site, who)
    )
    await on_people(site)
    return secret


async def revoke_token(site: PageSite, who: Who, name: str) -> None:
    await site.saver.run(site.users.revoke_token, name, author=site.author(who, "admin"))
    await on_people(site)


def make_display_code(site: Site, who: Who, name: str) -> str:
    """A code that pairs one screen within ten minutes. Raises :class:`UserError`."""
    return site.displays.make_code(name, _author(site, who))


async def remove_display(site: Site, who: Who, id: str) -> None:
    """Take its rights from a display. Raises :class:`Problem` 404."""
    number = int(id[:9]) if id.isdecimal() else 0
    found = await site.saver.run(site.displays.remove, number, site.author(who, "admin"))
    if found is None:
        raise Problem(404, "unknown_display")
    subject = {"subject": found.actor}
    await site.handover.note(who.actor, "display_removed", dict(subject))
