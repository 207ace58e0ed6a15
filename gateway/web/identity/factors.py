"""The second factor: a code from an app (TOTP, RFC 6238), and codes for when the app is lost.

The secret of a factor is kept as it is, because codes are reckoned from it; alone it opens
nothing. Recovery codes are kept as hashes of 64 random bits.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Literal

import pyotp

from gateway.web.identity.accounts import UserError, hashed
from gateway.web.identity.sessions import Sessions
from gateway.web.kept.store import NEVER, Moment, Uptime, kernel_uptime

STEP_S = 30
SKEW_STEPS = 1
"""A telephone's clock may be this many steps off."""
RECOVERY_CODES = 10


def _tidy(code: str) -> str:
    return "".join(c for c in code[:60].lower() if c.isalnum())


def _recovery(user_id: int, code: str) -> str:
    return hashed(f"recovery:{user_id}:{_tidy(code)}")


class Factors(Sessions):
    """At most one factor for each user; it counts once it has been confirmed with a code. A code
    is used up, and a log-in proved, at once; the file has that a moment later."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time,
        uptime: Callable[[], Uptime] = kernel_uptime,
    ) -> None:
        super().__init__(path, now, uptime)
        self._steps: dict[int, int] = {}
        """User -> the newest step whose code was used, where the file does not have it yet."""
        self._used: set[tuple[int, str]] = set()
        """(user, hash) of recovery codes that are used up and still in the file."""

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

    def begun_factor(self, user_id: int, secret: str) -> bool:
        """Whether this is the secret that waits to be confirmed."""
        return bool(
            self._one(
                "SELECT 1 FROM factors WHERE user = ? AND secret = ? AND confirmed = 0",
                user_id,
                secret,
            )
        )

    def confirm_factor(self, user_id: int, code: str) -> list[str] | None:
        """From now on it counts: the recovery codes, shown once. ``None`` for a wrong code."""
        with self._change() as db:
            step = self._step_of(user_id, code)
            if self.has_factor(user_id) or step is None:
                return None
            db.execute("UPDATE factors SET step = ? WHERE user = ?", (step, user_id))
            codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
            db.execute("UPDATE factors SET confirmed = 1 WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            db.executemany(
                "INSERT INTO recovery VALUES (?, ?)",
                [(user_id, _recovery(user_id, code)) for code in codes],
            )
        return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]

    def use_code(self, user_id: int, code: str) -> Literal["", "code", "recovery"]:
        """:meth:`take_code`, written at once."""
        kind = self.take_code(user_id, code)
        self.save_codes()
        return kind

    def take_code(self, user_id: int, code: str) -> Literal["", "code", "recovery"]:
        """Whether ``code`` is right, and of which kind; it is used up by that. To be followed by
        :meth:`save_codes`; writes nothing itself."""
        with self._memory:
            if not self.has_factor(user_id):
                return ""
            step = self._step_of(user_id, code)
            if step is not None:
                self._steps[user_id] = step
                return "code"
            one = (user_id, _recovery(user_id, code))
            known = self._one("SELECT 1 FROM recovery WHERE user = ? AND hash = ?", *one)
            if known is None or one in self._used:
                return ""
            self._used.add(one)
            return "recovery"

    def save_codes(self) -> None:
        """Write which codes are used up, and which log-ins have been proved by them."""
        with self._memory:
            steps, used, proved = dict(self._steps), set(self._used), dict(self._proved)
        with self._change() as db:
            db.executemany(
                "UPDATE factors SET step = max(step, ?) WHERE user = ?",
                [(step, user) for user, step in steps.items()],
            )
            db.executemany("DELETE FROM recovery WHERE user = ? AND hash = ?", list(used))
            db.executemany(
                "UPDATE sessions SET proved = ?, proved_up = ? WHERE hash = ?",
                [(*at, session_hash) for session_hash, at in proved.items()],
            )
        with self._memory:
            self._used -= used
            self._steps = {k: v for k, v in self._steps.items() if steps.get(k) != v}
            self._proved = {k: v for k, v in self._proved.items() if proved.get(k) != v}

    def _step_of(self, user_id: int, code: str) -> int | None:
        """The step of a right code. It counts once, and none that is older than the last one."""
        row = self._one("SELECT secret, step FROM factors WHERE user = ?", user_id)
        if row is None:
            return None
        totp, now = pyotp.TOTP(str(row[0])), int(self._now() // STEP_S)
        used = max(int(str(row[1])), self._steps.get(user_id, 0))
        for step in range(now - SKEW_STEPS, now + SKEW_STEPS + 1):
            right = hmac.compare_digest(totp.generate_otp(step).encode(), _tidy(code).encode())
            if right and step > used:
                return step
        return None

    def remove_factor(self, user_id: int) -> None:
        with self._change() as db:
            db.execute("DELETE FROM factors WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            sessions = db.execute("SELECT hash FROM sessions WHERE user = ?", (user_id,)).fetchall()
            db.execute("UPDATE sessions SET proved = 0 WHERE user = ?", (user_id,))
        with self._memory:
            self._steps.pop(user_id, None)
            self._used = {one for one in self._used if one[0] != user_id}
            for (session_hash,) in sessions:
                self._proved.pop(session_hash, None)
            for one in self._unsaved.values():
                if one.user_id == user_id:
                    one.proved = NEVER

    def prove(self, session_hash: str) -> None:
        """:meth:`take_proof`, written at once."""
        self.take_proof(session_hash)
        self.save_codes()

    def take_proof(self, session_hash: str) -> None:
        """This session has just given a right code. To be followed by :meth:`save_codes`."""
        with self._memory:
            made = self._unsaved.get(session_hash)
            if made is not None:
                made.proved = self._moment()
            self._proved[session_hash] = self._moment()

    def proved_ago_s(self, session_hash: str) -> float | None:
        """Seconds since a session gave a right code, at least the uptime since; ``None``: never."""
        row = self._one("SELECT proved, proved_up FROM sessions WHERE hash = ?", session_hash)
        saved = Moment(float(str(row[0])), float(str(row[1]))) if row else NEVER
        at, now = self._proved.get(session_hash, saved), self._moment()
        return max(now.civil - at.civil, now.up - at.up) if at.civil else None
