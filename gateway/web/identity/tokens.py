"""Programs that use the API: their tokens, in the file of :mod:`gateway.web.storage.store`."""

from __future__ import annotations

import secrets
import sqlite3

from gateway.web.identity.accounts import (
    ROLES,
    Role,
    Token,
    good_name,
    hashed,
    known_role,
    normal_name,
)
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import Author, Store

TOKEN_DAYS_MAX = 3650
TOKENS_MOST = 200
COLUMNS = "id, name, role, created, expires, by"


class Tokens(Store):
    """A token is kept as SHA-256 of 256 random bits. It has run out when its life is over by the
    civil clock, or by the summed uptime since it was made."""

    def add_token(
        self, name: str, role: str, days: int, by: str, *, author: Author | None = None
    ) -> str:
        """The token itself, shown once. One that is made with a token belongs to whoever made
        that one, so that it ends with the same person."""
        if not 1 <= days <= TOKEN_DAYS_MAX:
            raise UserError("bad_days", f"a token lives 1 to {TOKEN_DAYS_MAX} days")
        secret, now = "portier_" + secrets.token_urlsafe(32), self._now()
        expires = now + days * 86_400
        self.tidy_tokens(settled=False)
        owner, name, role = self._maker(by), good_name(name), known_role(role)
        values = (name, role, hashed(secret), now, expires, owner, self._now_up())
        if len(self.list_tokens()) >= TOKENS_MOST:
            raise UserError("too_many_tokens", f"there are {TOKENS_MOST} tokens; revoke one first")
        try:
            with self._change(author) as db:
                db.execute(
                    "INSERT INTO tokens (name, role, hash, created, expires, by, created_up)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
                self._leave(db, author, "token_added", f"token:{name}", role=role)
        except sqlite3.IntegrityError as error:
            raise UserError("name_taken", f"there is a token {name} already") from error
        return secret

    def tidy_tokens(self, *, settled: bool) -> None:
        """Remove those that have run out. ``settled``: the civil clock may decide, too."""
        with self._change() as db:
            db.execute("DELETE FROM tokens WHERE created_up + expires - created < ?",
                       (self._now_up(),))  # fmt: skip
            if settled:
                db.execute("DELETE FROM tokens WHERE expires < ?", (self._now(),))

    def list_tokens(self) -> list[Token]:
        return [Token(*row) for row in self._all(f"SELECT {COLUMNS} FROM tokens ORDER BY name")]

    def _maker(self, by: str) -> str:
        """Behind a token (``web:token-5``) whoever made it."""
        made = {f"web:token-{token.id}": token.by for token in self.list_tokens()}
        while by in made:
            by = made.pop(by)
        return by

    def is_orphaned(self, token: Token) -> bool:
        """Whether whoever made it is no user any more, or may less than the token. Only tokens
        of earlier versions can be: those of today end with their maker."""
        by = self._maker(token.by)
        user = by.removeprefix("web:")
        if user.isdigit() and by != user:
            row = self._one("SELECT role FROM users WHERE id = ? AND removed IS NULL", int(user))
            return row is None or ROLES.index(known_role(str(row[0]))) < ROLES.index(token.role)
        return by.startswith("web:token-")

    def tokens_above(self, user_id: int, role: Role | None) -> list[Token]:
        """Those that a user has made, also by way of a token, and that may more than ``role``
        (``None``: all): they end when the user has no more than that."""
        rank = -1 if role is None else ROLES.index(role)
        return [
            token
            for token in self.list_tokens()
            if self._maker(token.by) == f"web:{user_id}" and ROLES.index(token.role) > rank
        ]

    def token(self, token_hash: str) -> Token | None:
        """The token behind a hash, while it has not run out."""
        row = self._one(
            f"SELECT {COLUMNS} FROM tokens WHERE hash = ? AND expires > ?"
            " AND created_up + expires - created > ?",
            token_hash,
            self._now(),
            self._now_up(),
        )
        return Token(*row) if row else None  # type: ignore[arg-type]  # SQL row

    def revoke_token(self, name: str, *, author: Author | None = None) -> None:
        tokens, wanted = self.list_tokens(), normal_name(name)
        exact = [token for token in tokens if token.name == name]
        alike = [token for token in tokens if normal_name(token.name) == wanted]
        if not exact + alike:
            raise UserError("unknown_token", f"no such token: {name}")
        token = (exact + alike)[0]
        with self._change(author) as db:
            db.execute("DELETE FROM tokens WHERE id = ?", (token.id,))
            self._leave(db, author, "token_revoked", f"token:{token.name}", takes_away=True)
