"""Who may do what: users, their sessions and API tokens, in ``STATE/web/web.sqlite``.

Passwords are kept as argon2id hashes, session ids and tokens as SHA-256 of 256 random
bits: who reads the file can log in as nobody. Every method is short and may be called
from any thread and process; verifying a password is slow on purpose and wants a thread.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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

__all__ = ["ROLES", "Role", "Token", "User", "UserError", "Users", "hashed"]
SESSION_LIFE_S = 30 * 86_400
SESSION_IDLE_S = 7 * 86_400
SEEN_EVERY_S = 60
TOKEN_DAYS_MAX = 3650
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
  password TEXT NOT NULL, language TEXT NOT NULL DEFAULT '', armed_s INTEGER NOT NULL DEFAULT 15,
  created REAL NOT NULL, removed REAL);
CREATE TABLE IF NOT EXISTS sessions (
  hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id), created REAL NOT NULL,
  seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE, created REAL NOT NULL, expires REAL NOT NULL, by TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


@cache
def _hash_of_nobody() -> str:
    """What a password is compared with where there is no such user."""
    return PASSWORDS.hash(secrets.token_urlsafe(16))


def users_file(state: Path) -> Path:
    """Where the users are. A folder of the page's own, the only one that it may write."""
    return state / "web" / "web.sqlite"


class Users:
    """The store. ``now`` gives seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.RLock()
        path.parent.mkdir(mode=0o750, exist_ok=True)
        path.touch(0o600, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(SCHEMA)
        self._nobody = _hash_of_nobody()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        with self._lock:
            row: tuple[object, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def secret(self, name: str) -> bytes:
        """32 random bytes of this installation, made on first use."""
        with self._change() as db:
            db.execute(
                "INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, secrets.token_bytes(32))
            )
            row = db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(row[0])

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
            db.execute("UPDATE users SET password = ? WHERE id = ?", (password_hash, user.id))
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
        self.add_user("admin", "admin", password)
        return password

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

    def start_session(self, user_id: int) -> str:
        """The secret for the cookie; it is kept nowhere else."""
        secret, now = secrets.token_urlsafe(32), self._now()
        with self._change() as db:
            db.execute(
                "DELETE FROM sessions WHERE created < ? OR seen < ?",
                (now - SESSION_LIFE_S, now - SESSION_IDLE_S),
            )
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)", (hashed(secret), user_id, now, now)
            )
        return secret

    def session(self, session_hash: str, *, touch: bool = True) -> User | None:
        """The user of a session that still counts. ``touch``: it is being used right now."""
        now = self._now()
        row = self._one(
            "SELECT u.id, u.name, u.role, u.language, u.armed_s, s.seen FROM sessions s"
            " JOIN users u ON u.id = s.user WHERE s.hash = ? AND s.created > ? AND s.seen > ?"
            " AND u.removed IS NULL",
            session_hash,
            now - SESSION_LIFE_S,
            now - SESSION_IDLE_S,
        )
        if row is None:
            return None
        if touch and now - float(str(row[5])) > SEEN_EVERY_S:
            with self._change() as db:
                db.execute("UPDATE sessions SET seen = ? WHERE hash = ?", (now, session_hash))
        return User(*row[:5])  # type: ignore[arg-type]  # the columns of the SELECT above

    def end_session(self, session_hash: str) -> None:
        with self._change() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (session_hash,))

    # --- tokens ----------------------------------------------------------------------

    def add_token(self, name: str, role: str, days: int, by: str) -> str:
        """The token itself, shown once."""
        if not 1 <= days <= TOKEN_DAYS_MAX:
            raise UserError("bad_days", f"a token lives 1 to {TOKEN_DAYS_MAX} days")
        secret, now = "portier_" + secrets.token_urlsafe(32), self._now()
        values = (good_name(name), known_role(role), hashed(secret), now, now + days * 86_400, by)
        try:
            with self._change() as db:
                db.execute("DELETE FROM tokens WHERE expires < ?", (now,))
                db.execute(
                    "INSERT INTO tokens (name, role, hash, created, expires, by)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
        except sqlite3.IntegrityError as error:
            raise UserError("name_taken", f"there is a token {name} already") from error
        return secret

    def list_tokens(self) -> list[Token]:
        with self._lock:
            rows = self._db.execute(
                "SELECT id, name, role, created, expires FROM tokens ORDER BY name"
            ).fetchall()
        return [Token(*row) for row in rows]

    def token(self, token_hash: str) -> Token | None:
        """The token behind a hash, while it has not run out."""
        row = self._one(
            "SELECT id, name, role, created, expires FROM tokens WHERE hash = ? AND expires > ?",
            token_hash,
            self._now(),
        )
        return Token(*row) if row else None  # type: ignore[arg-type]  # SQL row

    def revoke_token(self, name: str) -> None:
        with self._change() as db:
            if not db.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount:
                raise UserError("unknown_token", f"no such token: {name}")
