"""Browsers that somebody has logged in from: their way in stays open while others guess.

A browser gets a signed cookie at a successful log-in ("device cookie", OWASP). Log-ins from it
are limited by themselves, for each user who has logged in there, so that wrong passwords from
elsewhere lock nobody out of their usual browser. The cookie alone opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

LIFE_S = 400 * 86_400
"""The longest that browsers save a cookie."""
USERS_MOST = 20
LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class Browser:
    """``users``: the ids of who has logged in there, the last one first; ``proved``: of who has
    given a right code of the second factor there."""

    id: str
    users: tuple[int, ...] = ()
    proved: tuple[int, ...] = ()

    def with_user(self, user: int) -> Browser:
        return Browser(self.id, _first(user, self.users), self.proved)

    def with_proof(self, user: int) -> Browser:
        return Browser(self.id, self.users, _first(user, self.proved))


def _first(user: int, users: tuple[int, ...]) -> tuple[int, ...]:
    return (user, *(id for id in users if id != user))[:USERS_MOST]


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(user) for user in text.split("-") if user)


class Browsers:
    """Writes and reads the cookie. ``secret``: of this installation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def new(self) -> Browser:
        return Browser(secrets.token_hex(16))

    def write(self, browser: Browser) -> str:
        users = "-".join(map(str, browser.users))
        proved = "-".join(map(str, browser.proved))
        body = f"{browser.id}.{users}.{proved}"
        return f"{body}.{self._mark(body)}"

    def read(self, text: str | None) -> Browser | None:
        """``None`` where there is no cookie, or it was not written here."""
        body, _, mark = (text or "")[:LONGEST].rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(body).encode()):
            return None
        id, users, proved = body.split(".")
        return Browser(id, _ids(users), _ids(proved))

    def _mark(self, body: str) -> str:
        return hmac.new(self._secret, b"browser:" + body.encode(), hashlib.sha256).hexdigest()
