"""The second factor: a code from an app (TOTP, RFC 6238), and codes for when the app is lost.

The secret of a factor is kept as it is, because codes are reckoned from it; alone it opens
nothing. Recovery codes are kept as hashes of 64 random bits.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Literal

import pyotp

from gateway.web.accounts import UserError, hashed
from gateway.web.store import Store

STEP_S = 30
SKEW_STEPS = 1
"""A telephone's clock may be this many steps off."""
RECOVERY_CODES = 10


def _tidy(code: str) -> str:
    return "".join(c for c in code[:60].lower() if c.isalnum())


def _recovery(user_id: int, code: str) -> str:
    return hashed(f"recovery:{user_id}:{_tidy(code)}")


class Factors(Store):
    """At most one factor for each user; it counts once it has been confirmed with a code."""

    def has_factor(self, user_id: int) -> bool:
        return bool(self._one("SELECT 1 FROM factors WHERE user = ? AND confirmed = 1", user_id))

    def begin_factor(self, user_id: int) -> str:
        """A new secret, to be confirmed. Raises :class:`UserError` where there is a factor."""
        secret = pyotp.random_base32()
        with self._change() as db:
            if self.has_factor(user_id):
                raise UserError("factor_there", "there is a second factor already")
            db.execute(
                "INSERT OR REPLACE INTO factors (user, secret) VALUES (?, ?)", (user_id, secret)
            )
        return secret

    def confirm_factor(self, user_id: int, code: str) -> list[str] | None:
        """From now on it counts: the recovery codes, shown once. ``None`` for a wrong code."""
        with self._change() as db:
            if self.has_factor(user_id) or not self._code(user_id, code):
                return None
            codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
            db.execute("UPDATE factors SET confirmed = 1 WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            db.executemany(
                "INSERT INTO recovery VALUES (?, ?)",
                [(user_id, _recovery(user_id, code)) for code in codes],
            )
        return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]

    def use_code(self, user_id: int, code: str) -> Literal["", "code", "recovery"]:
        """Whether ``code`` is right, and of which kind; it is used up by that."""
        with self._change() as db:
            if not self.has_factor(user_id):
                return ""
            if self._code(user_id, code):
                return "code"
            gone = db.execute(
                "DELETE FROM recovery WHERE user = ? AND hash = ?",
                (user_id, _recovery(user_id, code)),
            )
            return "recovery" if gone.rowcount else ""

    def _code(self, user_id: int, code: str) -> bool:
        """Within a change: a code counts once, and none that is older than the last one."""
        row = self._one("SELECT secret, step FROM factors WHERE user = ?", user_id)
        if row is None:
            return False
        totp, used, now = pyotp.TOTP(str(row[0])), int(str(row[1])), int(self._now() // STEP_S)
        for step in range(now - SKEW_STEPS, now + SKEW_STEPS + 1):
            right = hmac.compare_digest(totp.generate_otp(step).encode(), _tidy(code).encode())
            if right and step > used:
                self._db.execute("UPDATE factors SET step = ? WHERE user = ?", (step, user_id))
                return True
        return False

    def remove_factor(self, user_id: int) -> None:
        with self._change() as db:
            db.execute("DELETE FROM factors WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            db.execute("UPDATE sessions SET proved = 0 WHERE user = ?", (user_id,))

    def prove(self, session_hash: str) -> None:
        """This session has just given a right code."""
        with self._change() as db:
            db.execute("UPDATE sessions SET proved = ? WHERE hash = ?", (self._now(), session_hash))

    def proved_ago_s(self, session_hash: str) -> float | None:
        """Seconds since a session gave a right code; ``None``: never."""
        row = self._one("SELECT proved FROM sessions WHERE hash = ?", session_hash)
        at = float(str(row[0])) if row else 0.0
        return self._now() - at if at else None
