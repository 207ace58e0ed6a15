"""Who may do what: users, their sessions and API tokens, in ``STATE/web/web.sqlite``.

Passwords are kept as argon2id hashes, session ids and tokens as SHA-256 of 256 random
bits: who reads the file can log in as nobody. Every method is short and may be called
from any thread and process; verifying a password is slow on purpose and wants a thread.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import time

from gateway.web.accounts import (
    PASSWORDS,
    ROLES,
    Role,
    Token,
    User,
    UserError,
    good_name,
    good_password,
    hashed,
    known_role,
)
from gateway.web.factors import Factors
from gateway.web.sessions import SESSION_IDLE_S, SESSION_LIFE_S, Sessions
from gateway.web.tokens import Tokens

__all__ = [
    "ROLES", "SESSION_IDLE_S", "SESSION_LIFE_S", "Role", "Token", "User", "UserError", "Users",
    "hashed",
]  # fmt: skip


@cache
def _hash_of_nobody() -> str:
    """What a password is compared with where there is no such user."""
    return PASSWORDS.hash(secrets.token_urlsafe(16))


def users_file(state: Path) -> Path:
    """Where the users are. A folder of the page's own, the only one that it may write."""
    return state / "web" / "web.sqlite"


class Users(Sessions, Tokens, Factors):
    """The store. ``now`` gives seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float] = time) -> None:
        super().__init__(path, now)
        self._nobody = _hash_of_nobody()

    def tidy(self) -> None:
        """Remove log-ins and tokens that are over."""
        self.tidy_sessions()
        self.tidy_tokens()

    # --- users -----------------------------------------------------------------------

    def list_users(self) -> list[User]:
        with self._lock:
            rows = self._db.execute(
                "SELECT id, name, role, language, armed_s FROM users"
                " WHERE removed IS NULL ORDER BY name"
            ).fetchall()
        return [User(*row) for row in rows]

    def by_name(self, name: str) -> User:
        """Raises :class:`UserError` where there is no such user."""
        for user in self.list_users():
            if user.name == name.strip():
                return user
        raise UserError("unknown_user", f"no such user: {name}")

    def by_id(self, user_id: int) -> User:
        """Raises :class:`UserError` where there is no such user, or none any more."""
        for user in self.list_users():
            if user.id == user_id:
                return user
        raise UserError("unknown_user", f"no such user: {user_id}")

    def name_of(self, user_id: int) -> str | None:
        row = self._one("SELECT name FROM users WHERE id = ?", user_id)
        return str(row[0]) if row else None

    def add_user(self, name: str, role: str, password: str) -> User:
        """Raises :class:`UserError` for a name that is taken, a short password, an unknown role."""
        values = (good_name(name), known_role(role), good_password(password), self._now())
        try:
            with self._change() as db:
                db.execute(
                    "INSERT INTO users (name, role, password, created) VALUES (?, ?, ?, ?)", values
                )
        except sqlite3.IntegrityError as error:
            raise UserError("name_taken", f"there is a user {name} already") from error
        return self.by_name(name)

    def set_role(self, name: str, role: str) -> User:
        """Ends the user's sessions: who lost a right loses it at once."""
        user, new = self.by_name(name), known_role(role)
        with self._change() as db:
            self._keep_an_admin(user, new)
            db.execute("UPDATE users SET role = ? WHERE id = ?", (new, user.id))
            db.execute("DELETE FROM sessions WHERE user = ?", (user.id,))
        return self.by_name(name)

    def set_password(self, name: str, password: str, *, keep_session: str = "") -> None:
        """Ends all sessions of the user but the one whose hash is ``keep_session``."""
        user, password_hash = self.by_name(name), good_password(password)
        with self._change() as db:
            db.execute(
                "UPDATE users SET password = ?, first_password = 0 WHERE id = ?",
                (password_hash, user.id),
            )
            db.execute("DELETE FROM sessions WHERE user = ? AND hash != ?", (user.id, keep_session))

    def set_preferences(self, user_id: int, language: str, armed_s: int) -> None:
        if not 5 <= armed_s <= 150:
            raise UserError("bad_armed", "the armed time is 5 to 150 seconds")
        with self._change() as db:
            db.execute(
                "UPDATE users SET language = ?, armed_s = ? WHERE id = ?",
                (language, armed_s, user_id),
            )

    def remove_user(self, name: str) -> None:
        """The user can no longer log in; the name stays behind the id until :meth:`forget`."""
        user = self.by_name(name)
        with self._change() as db:
            self._keep_an_admin(user, None)
            db.execute("DELETE FROM factors WHERE user = ?", (user.id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user.id,))
            db.execute("DELETE FROM sessions WHERE user = ?", (user.id,))
            db.execute(
                "UPDATE users SET removed = ?, password = '' WHERE id = ?", (self._now(), user.id)
            )

    def forget(self, name: str) -> int:
        """Replaces the name behind the id, so that the id in the journal means nobody.

        Returns the id. Works for removed users too; raises :class:`UserError` for unknown ones.
        """
        row = self._one("SELECT id, removed FROM users WHERE name = ?", name.strip())
        if row is None:
            raise UserError("unknown_user", f"no such user: {name}")
        user_id = int(str(row[0]))
        if row[1] is None:
            self.remove_user(name)
        with self._change() as db:
            db.execute(
                "UPDATE users SET name = ?, language = '', created = 0 WHERE id = ?",
                (f"forgotten-{user_id}", user_id),
            )
        return user_id

    def _keep_an_admin(self, user: User, role: Role | None) -> None:
        if user.role == "admin" and role != "admin":
            row = self._one("SELECT count(*) FROM users WHERE role = 'admin' AND removed IS NULL")
            if row is None or int(str(row[0])) <= 1:
                raise UserError("last_admin", "the last admin cannot be removed or demoted")

    def first_admin(self) -> str | None:
        """On the first start: makes the user ``admin`` and returns the password, once."""
        if self._one("SELECT 1 FROM users LIMIT 1"):
            return None
        password = secrets.token_urlsafe(12)
        made = self.add_user("admin", "admin", password)
        with self._change() as db:
            db.execute("UPDATE users SET first_password = 1 WHERE id = ?", (made.id,))
        return password

    def has_first_password(self, user_id: int) -> bool:
        """Whether the password is still the one of :meth:`first_admin`, which a log has shown."""
        return self._one("SELECT 1 FROM users WHERE id = ? AND first_password", user_id) is not None

    # --- logging in ------------------------------------------------------------------

    def verify(self, name: str, password: str) -> User | None:
        """Takes the same time whether the user exists or not. Slow: call it in a thread."""
        row = self._one(
            "SELECT id, name, role, language, armed_s, password FROM users"
            " WHERE name = ? AND removed IS NULL",
            name.strip(),
        )
        good = PASSWORDS.verify(password[:200], str(row[5]) if row else self._nobody)
        return User(*row[:5]) if row and good else None  # type: ignore[arg-type]  # SQL row
