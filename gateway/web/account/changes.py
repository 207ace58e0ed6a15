"""What people change about themselves: the same for the page and the API.

All of it raises :class:`Problem`: 403 ``needs_person`` for an access token, which has neither
a password nor preferences, and 429 for who guesses.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pyotp

from gateway.web.identity.accounts import Who, password_forms
from gateway.web.people.changes import on_people
from gateway.web.people.ended_logins import end_log_ins
from gateway.web.shared.problems import NotLoggedIn, Problem
from gateway.web.site import PageSite
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import Author


def person(who: Who) -> int:
    """The id of the user who asks."""
    if who.user_id is None:
        raise Problem(403, "needs_person")
    return who.user_id


def _own(site: PageSite, who: Who, action: str) -> Author:
    """For a change that everybody can make again and again: it leaves an entry once a minute, or
    it would push out what others have done; the others are counted."""
    noted = not site.own_audit.is_noted(action, "", person(who))
    return replace(site.author(who), is_noted=noted)


async def _on_own(site: PageSite, who: Who, action: str, author: Author) -> None:
    """After such a change."""
    await on_people(site)
    await site.own_audit.note(action, "", person(who), is_written=author.is_noted)


async def check_password(site: PageSite, who: Who, password: str) -> None:
    """Raises :class:`Problem` 422 ``wrong_password``; it may be tried as often as at the log-in.
    Wrong passwords at the log-in do not count here: whoever asks is logged in."""
    person(who)
    key = who.session  # a stolen session does not lock the others out
    if not site.password_limit.take(key):
        raise Problem(429, "limit", Retry_After="30")
    if await asyncio.to_thread(site.users.verify, who.name, password) is None:
        raise Problem(422, "wrong_password")
    site.password_limit.forget(key)


async def change_password(site: PageSite, who: Who, old: str, new: str) -> None:
    """Needs the old one; all other log-ins of this person end. Raises :class:`UserError` for
    one that is too short, or the same again."""
    await check_password(site, who, old)
    if password_forms(new)[0] == password_forms(old)[0]:
        raise UserError("same_password", "the new password is the one of before")
    await _set_password(site, who, new)


async def _set_password(site: PageSite, who: Who, new: str) -> None:
    author = _own(site, who, "password_changed")
    try:
        await site.saver.run(
            site.users.set_password, who.name, new, keep_session=who.session, author=author
        )
    except UserError as error:
        if error.key == "unknown_user":  # whoever asks was removed before their change's turn
            raise NotLoggedIn from None
        raise
    await _on_own(site, who, "password_changed", author)


async def replace_first_password(site: PageSite, who: Who, new: str) -> None:
    """Replace the one that the first start printed, with which this person has logged in. Raises
    :class:`Problem` 403 ``role`` once it is replaced, and as :func:`change_password` does."""
    if not site.identity.has_first_password(who):
        raise Problem(403, "role")
    if not site.password_limit.take(who.session):
        raise Problem(429, "limit", Retry_After="30")
    if await asyncio.to_thread(site.users.verify, who.name, new) is not None:
        raise UserError("same_password", "the new password is the one of before")
    await _set_password(site, who, new)
    site.password_limit.forget(who.session)


async def set_preferences(site: PageSite, who: Who, language: str, armed_s: int) -> None:
    """``language``: empty, or not spoken here, as the browser wishes. Raises
    :class:`UserError`."""
    known = language if language in site.options.languages else ""
    await site.saver.run(
        site.users.set_preferences, person(who), known, armed_s, author=site.author(who)
    )


async def end_session(site: PageSite, who: Who, session: str) -> bool:
    """End one log-in of one's own by its id. Raises :class:`Problem` 404. Whether it is durable,
    see :func:`end_log_ins`."""
    if who.user_id is None:
        raise Problem(404, "unknown_session")
    author = _own(site, who, "sessions_ended")
    if not site.users.forget_sessions(who.user_id, id=session, author=author):
        raise Problem(404, "unknown_session")
    durable = await end_log_ins(site)
    await _on_own(site, who, "sessions_ended", author)
    return durable


async def end_other_sessions(site: PageSite, who: Who) -> bool:
    """End all log-ins of one's own but the one that asks; the same."""
    author = _own(site, who, "sessions_ended")
    if not site.users.forget_sessions(person(who), keep=who.session, author=author):
        return await end_log_ins(site)  # of those that were ended before
    durable = await end_log_ins(site)
    await _on_own(site, who, "sessions_ended", author)
    return durable


# --- the second factor -------------------------------------------------------------------


def _wanted(site: PageSite, who: Who) -> int:
    """The user's id, where the owner wants second factors at all."""
    if site.identity.second_factor == "off":
        raise Problem(404, "factor_off")
    return person(who)


async def begin_factor(site: PageSite, who: Who, password: str) -> tuple[str, str]:
    """The secret of a new factor and its address for an app; it counts once it is confirmed."""
    user = _wanted(site, who)
    if site.users.has_factor(user):
        raise Problem(422, "factor_there")
    await check_password(site, who, password)
    secret = await site.saver.run(site.users.begin_factor, user, author=site.author(who))
    return secret, _address(site, who, secret)


def begun_factor(site: PageSite, who: Who, secret: str) -> tuple[str, str]:
    """The same again for whoever has seen this secret already; else two empty texts."""
    if not site.users.begun_factor(_wanted(site, who), secret):
        return "", ""
    return secret, _address(site, who, secret)


def _address(site: PageSite, who: Who, secret: str) -> str:
    issuer = f"Portier {site.options.name}"
    return str(pyotp.TOTP(secret).provisioning_uri(name=who.name, issuer_name=issuer))


async def confirm_factor(site: PageSite, who: Who, code: str) -> list[str] | None:
    """With a first code the factor counts: its recovery codes, told once. ``None``: wrong."""
    user = _wanted(site, who)
    if site.users.has_factor(user):
        raise Problem(422, "factor_there")
    if not site.factor_limit.take(str(user)):
        wait_s = int(site.factor_limit.wait_s(str(user))) + 1
        raise Problem(429, "limit", Retry_After=str(wait_s))
    codes = await site.saver.run(site.users.confirm_factor, user, code, author=site.author(who))
    if codes is None:
        return None
    site.factor_limit.forget(str(user))
    site.users.take_proof(who.session)
    await site.saver.soon(site.users.save_codes)
    await on_people(site)
    return codes


async def remove_factor(site: PageSite, who: Who, password: str) -> None:
    """Needs the password, and of its route a code: the password alone does not get round it."""
    user = person(who)
    await check_password(site, who, password)
    await site.saver.run(site.users.remove_factor, user, author=site.author(who, proof="fresh"))
    await on_people(site)
