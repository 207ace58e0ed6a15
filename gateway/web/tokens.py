"""Programs that use the API: their tokens, in the file of :mod:`gateway.web.store`."""

from __future__ import annotations

import secrets
import sqlite3

from gateway.web.accounts import Token, UserError, good_name, hashed, known_role
from gateway.web.store import Store

TOKEN_DAYS_MAX = 3650


class Tokens(Store):
    """A token is kept as SHA-256 of 256 random bits."""

    def add_token(self, name: str, role: str, days: int, by: str) -> str:
        """The token itself, shown once."""
        if not 1 <= days <= TOKEN_DAYS_MAX:
            raise UserError("bad_days", f"a token lives 1 to {TOKEN_DAYS_MAX} days")
        secret, now = "portier_" + secrets.token_urlsafe(32), self._now()
        values = (good_name(name), known_role(role), hashed(secret), now, now + days * 86_400, by)
        try:
            self.tidy_tokens()
            with self._change() as db:
                db.execute(
                    "INSERT INTO tokens (name, role, hash, created, expires, by)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
        except sqlite3.IntegrityError as error:
            raise UserError("name_taken", f"there is a token {name} already") from error
        return secret

    def tidy_tokens(self) -> None:
        """Remove those that have run out."""
        with self._change() as db:
            db.execute("DELETE FROM tokens WHERE expires < ?", (self._now(),))

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
