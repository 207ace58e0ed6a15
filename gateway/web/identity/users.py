"""Who may do what: users, their sessions and API tokens, in ``STATE/web/web.sqlite``.

Passwords are kept as argon2id hashes, session ids and tokens as SHA-256 of 256 random
bits: who reads the file can log in as nobody. Every method is short and may be called
from any thread and process; verifying a password is slow on purpose and wants a thread.
"""

from __future__ import annotations

import secrets
import socket
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import time
from typing import NamedTuple

from gateway.push.subscriptions import Subscription
from gateway.web.identity.accounts import (
    PASSWORDS,
    ROLES,
    Role,
    Token,
    User,
    good_name,
    good_password,
    hashed,
    known_role,
    normal_name,
    password_forms,
)
from gateway.web.identity.factors import Factors
from gateway.web.identity.sessions import SESSION_IDLE_S, SESSION_LIFE_S
from gateway.web.identity.tokens import Tokens
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import Author, Uptime, kernel_uptime

__all__ = [
    "ROLES", "SESSION_IDLE_S", "SESSION_LIFE_S", "Role", "Token", "User", "Users",
    "hashed",
]  # fmt: skip


USERS_MOST = 500
REMOVED_MOST = 500
"""Users that were removed, whose names stay behind their numbers."""
PASSWORD_LONGEST = 800
"""Characters of a typed password that are looked at: 200, decomposed."""


@cache
def _hash_of_nobody() -> str:
    """What a password is compared with where there is no such user."""
    return PASSWORDS.hash(secrets.token_urlsafe(16))


def users_file(state: Path) -> Path:
    """Where the users are. A folder of the page's own, the only one that it may write."""
    return state / "web" / "web.sqlite"


class Verified(NamedTuple):
    """A right password. ``password_hash``: what it was compared with; ``composed``: the form in
    which it is to be hashed anew, or empty."""

    user: User
    password_hash: str
    composed: str


class Users(Factors, Tokens):
    """The store. ``now`` gives seconds since 1970, ``uptime`` those of this boot; ``gateway``: its
    id, which is no password."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time,
        uptime: Callable[[], Uptime] = kernel_uptime,
        *,
        gateway: str = "",
    ) -> None:
        super().__init__(path, now, uptime)
        self._names = (gateway, socket.gethostname())
        self._nobody = _hash_of_nobody()

    def tidy(self, *, settled: bool) -> None:
        """Remove log-ins and tokens that are over: by the uptime since them, and where the clock
        is ``settled`` by civil time, too."""
        self.save_uptime()
        self.save_ended()  # what could not be written when it was done
        self.save_codes()
        self.tidy_devices()
        self.tidy_sessions(settled=settled)
        self.tidy_tokens(settled=settled)

    def tidy_devices(self) -> list[Subscription]:
        """Remove the devices that take no push messages any more, and those of somebody who was
        removed or has another role now, where that could not be done at once; those."""
        roles = {user.id: user.role for user in self.list_users()}
        return self.devices.tidy(lambda one: roles.get(one.user_id) == one.role)

    # --- users -----------------------------------------------------------------------

    def list_users(self) -> list[User]:
        rows = self._all(
            "SELECT id, name, role, language, armed_s FROM users"
            " WHERE removed IS NULL ORDER BY name"
        )
        return [User(*row) for row in rows]

    def by_name(self, name: str) -> User:
        """Raises :class:`UserError` where there is no such user."""
        user = self.find(name)
        if user is None:
            raise UserError("unknown_user", f"no such user: {name}")
        return user

    def find(self, name: str) -> User | None:
        """The user of a name, whichever way its letters are composed; a name that is stored
        exactly as it is typed comes first."""
        users, wanted = self.list_users(), normal_name(name)
        exact = [user for user in users if user.name == name.strip()]
        alike = [user for user in users if normal_name(user.name) == wanted]
        return next(iter(exact + alike), None)

    def _id_of(self, name: str) -> int | None:
        """The same among removed users, too; those who are there come first."""
        there = self.find(name)
        if there is not None:
            return there.id
        rows = self._all("SELECT id, name FROM users WHERE removed IS NOT NULL")
        found = [id for id, known in rows if normal_name(known) == normal_name(name)]
        return found[0] if found else None

    def knows(self, name: str) -> bool:
        """Whether there is, or was, a user of this name whom nobody has asked to forget."""
        return self._id_of(name) is not None

    def by_id(self, user_id: int) -> User:
        """Raises :class:`UserError` where there is no such user, or none any more."""
        for user in self.list_users():
            if user.id == user_id:
                return user
        raise UserError("unknown_user", f"no such user: {user_id}")

    def name_of(self, user_id: int) -> str | None:
        row = self._one("SELECT name FROM users WHERE id = ?", user_id)
        return str(row[0]) if row else None

    def add_user(
        self, name: str, role: str, password: str, *, author: Author | None = None
    ) -> User:
        """Raises :class:`UserError` for a name that is taken, a short password, an unknown role,
        and where there are :data:`USERS_MOST`."""
        if len(self.list_users()) >= USERS_MOST:
            raise UserError("too_many_users", f"there are {USERS_MOST} users; remove one first")
        values = (
            good_name(name),
            known_role(role),
            good_password(password, (name, *self._names)),
            self._now(),
        )
        if self._id_of(name) is not None:
            raise UserError("name_taken", f"there is a user {name} already")
        try:
            with self._change(author) as db:
                made = db.execute(
                    "INSERT INTO users (name, role, password, created) VALUES (?, ?, ?, ?)", values
                )
                self._leave(db, author, "user_added", f"web:{made.lastrowid}", role=values[1])
        except sqlite3.IntegrityError as error:
            raise UserError("name_taken", f"there is a user {name} already") from error
        return self.by_name(name)

    def set_role(self, name: str, role: str, *, author: Author | None = None) -> User:
        """Ends the user's sessions, and the tokens the user has made that may more than that:
        who lost a right loses it at once."""
        user, new = self.by_name(name), known_role(role)
        with self._change(author) as db:
            self._keep_an_admin(user, new)
            loses = ROLES.index(new) < ROLES.index(user.role)
            subject = f"web:{user.id}"
            self._leave(db, author, "role_changed", subject, takes_away=loses, role=new)
            self._end_tokens(db, user.id, new, author)
            db.execute("UPDATE users SET role = ? WHERE id = ?", (new, user.id))
            db.execute("DELETE FROM sessions WHERE user = ?", (user.id,))
        self.devices.remove(lambda one: one.user_id == user.id)
        return self.by_name(name)

    def set_password(
        self, name: str, password: str, *, keep_session: str = "", author: Author | None = None
    ) -> None:
        """Ends all sessions of the user but the one whose hash is ``keep_session``: the one in
        which somebody changes their own."""
        user, own = self.by_name(name), bool(keep_session)
        password_hash = good_password(password, (user.name, *self._names))
        with self._change(author) as db:
            db.execute(
                "UPDATE users SET password = ?, first_password = 0 WHERE id = ?",
                (password_hash, user.id),
            )
            db.execute("DELETE FROM sessions WHERE user = ? AND hash != ?", (user.id, keep_session))
            action = "password_changed" if own else "password_set"
            self._leave(db, author, action, f"web:{user.id}", takes_away=own)
        self.devices.remove(lambda one: one.user_id == user.id and one.session != keep_session)
        with self._memory:
            kept = self._unsaved.get(keep_session)
            if kept is not None:
                kept.known_by = self._known_by(user.id)

    def set_preferences(
        self, user_id: int, language: str, armed_s: int, *, author: Author | None = None
    ) -> None:
        if not 5 <= armed_s <= 150:
            raise UserError("bad_armed", "the armed time is 5 to 150 seconds")
        with self._change(author) as db:
            db.execute(
                "UPDATE users SET language = ?, armed_s = ? WHERE id = ?",
                (language, armed_s, user_id),
            )

    def tour(self, user_id: int) -> int:
        """How many steps of the tour this person has behind them."""
        row = self._one("SELECT tour FROM users WHERE id = ?", user_id)
        return 0 if row is None else int(str(row[0]))

    def set_tour(self, user_id: int, steps: int) -> None:
        with self._change() as db:
            db.execute("UPDATE users SET tour = ? WHERE id = ?", (steps, user_id))

    def remove_user(self, name: str, *, author: Author | None = None) -> None:
        """The user can no longer log in, and the tokens the user has made end; the name stays
        behind the id until :meth:`forget`, or until :data:`REMOVED_MOST` newer users were
        removed."""
        user = self.by_name(name)
        with self._change(author) as db:
            self._keep_an_admin(user, None)
            self._leave(db, author, "user_removed", f"web:{user.id}", takes_away=True)
            self._end_tokens(db, user.id, None, author)
            db.execute("DELETE FROM factors WHERE user = ?", (user.id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user.id,))
            db.execute("DELETE FROM sessions WHERE user = ?", (user.id,))
            db.execute(
                "UPDATE users SET removed = ?, password = '' WHERE id = ?", (self._now(), user.id)
            )
            db.execute(
                "DELETE FROM users WHERE removed IS NOT NULL AND id NOT IN (SELECT id FROM users"
                " WHERE removed IS NOT NULL ORDER BY id DESC LIMIT ?)",
                (REMOVED_MOST,),
            )
        self.devices.remove(lambda one: one.user_id == user.id)

    def forget(self, name: str) -> int:
        """Replaces the name behind the id, so that the id in the journal means nobody.

        Returns the id. Works for removed users too; raises :class:`UserError` for unknown ones.
        """
        user_id = self._id_of(name)
        if user_id is None:
            raise UserError("unknown_user", f"no such user: {name}")
        if self.find(name) is not None:
            self.remove_user(name)
        with self._change() as db:
            db.execute(
                "UPDATE users SET name = ?, language = '', created = 0 WHERE id = ?",
                (f"forgotten-{user_id}", user_id),
            )
        return user_id

    def _end_tokens(
        self, db: sqlite3.Connection, user_id: int, role: Role | None, author: Author | None
    ) -> None:
        for token in self.tokens_above(user_id, role):
            db.execute("DELETE FROM tokens WHERE id = ?", (token.id,))
            self._leave(db, author, "token_revoked", f"token:{token.name}", takes_away=True)

    def _keep_an_admin(self, user: User, role: Role | None) -> None:
        if user.role == "admin" and role != "admin":
            row = self._one("SELECT count(*) FROM users WHERE role = 'admin' AND removed IS NULL")
            if row is None or int(str(row[0])) <= 1:
                raise UserError("last_admin", "the last admin cannot be removed or demoted")

    def first_admin(self) -> str | None:
        """On the first start: makes the user ``admin`` and returns the password, once. A file that
        had users, and lost them to a damage, is no first start."""
        if self._one("SELECT 1 FROM sqlite_sequence WHERE name = 'users'"):
            return None
        password = secrets.token_urlsafe(12)
        made = self.add_user("admin", "admin", password)
        with self._change() as db:
            db.execute("UPDATE users SET first_password = 1 WHERE id = ?", (made.id,))
        return password

    def has_first_password(self, user_id: int) -> bool:
        """Whether the password is still the one of :meth:`first_admin`, which a log has shown."""
        return self._one("SELECT 1 FROM users WHERE id = ? AND first_password", user_id) is not None

    def anybody_has_first_password(self) -> bool:
        """Whether the one of :meth:`first_admin` has not been replaced yet."""
        return self._one("SELECT 1 FROM users WHERE first_password") is not None

    # --- logging in ------------------------------------------------------------------

    def verify(self, name: str, password: str) -> User | None:
        """Takes the same time whether the user exists or not. Slow: call it in a thread."""
        verified = self.verified(name, password)
        if verified is None:
            return None
        if verified.composed:
            self.later(lambda: self.compose(verified))
        return verified.user

    def verified(self, name: str, password: str) -> Verified | None:
        """:meth:`verify`, with what a log-in by it hangs on; to be followed by :meth:`compose`."""
        user = self.find(name)
        row = self._one("SELECT password FROM users WHERE id = ?", user.id) if user else None
        known = str(row[0]) if row and row[0] else self._nobody
        forms = password_forms(password[:PASSWORD_LONGEST])
        right = next((form for form in forms if PASSWORDS.verify(form, known)), None)
        if right is None or user is None:
            return None
        return Verified(user, known, "" if right == forms[0] else forms[0])

    def compose(self, verified: Verified) -> None:
        """Hash a right password anew, as it is hashed today. One that was set meanwhile stays."""
        if verified.composed:
            row = (PASSWORDS.hash(verified.composed), verified.user.id, verified.password_hash)
            with self._change() as db:
                db.execute("UPDATE users SET password = ? WHERE id = ? AND password = ?", row)
