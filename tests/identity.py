"""Users, for tests: steps that the page does one after the other, in one call."""

from __future__ import annotations

from gateway.web.identity.factors import Judged
from gateway.web.identity.users import Users


def start_session(users: Users, user_id: int, browser: str = "") -> str:
    """Log a user in; the secret for the cookie. The file has the log-in when this returns."""
    secret = users.begin_session(user_id, browser)
    users.save_sessions()
    return secret


def use_code(users: Users, user_id: int, code: str) -> Judged:
    """Judge a code of the second factor, and write at once that it is used."""
    kind = users.take_code(user_id, code)
    if kind == "recovery":
        users.spend(user_id, code)
    users.save_codes()
    return kind
