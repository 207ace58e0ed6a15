"""The second factor: a code from an app (TOTP, RFC 6238), and codes for when the app is lost.

The secret of a factor is kept as it is, because codes are reckoned from it; alone it opens
nothing. Recovery codes are kept as hashes of 64 random bits.

No code is accepted twice, also where the disk does not answer and the process ends meanwhile. A
code of the app is accepted from memory, because somebody stands at the door; a process that
begins accepts none that one before it may have accepted. A recovery code has no time by which it
could be told apart: it is accepted once the file has that it is used.
"""

from __future__ import annotations

import hmac
import math
import secrets
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Literal

import pyotp

from gateway.web.identity.accounts import hashed
from gateway.web.identity.sessions import Sessions
from gateway.web.storage.errors import UserError
from gateway.web.storage.store import NEVER, Author, Moment, Uptime, kernel_uptime

STEP_S = 30
SKEW_STEPS = 1
"""A telephone's clock may be this many steps off."""
RECOVERY_CODES = 10
Judged = Literal["", "code", "recovery", "early", "waits"]
"""Of a code: wrong; right, of the app or of the list; right, but an earlier process may have
accepted it; a recovery code that is being written down as used."""


def _tidy(code: str) -> str:
    return "".join(c for c in code[:60].lower() if c.isalnum())


def _recovery(user_id: int, code: str) -> str:
    return hashed(f"recovery:{user_id}:{_tidy(code)}")


class Factors(Sessions):
    """At most one factor for each user; it applies once it has been confirmed with a code."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time,
        uptime: Callable[[], Uptime] = kernel_uptime,
    ) -> None:
        super().__init__(path, now, uptime)
        self._began_s = uptime().s
        self._own_factors: set[int] = set()
        """Users whose secret was made here: no earlier process has seen a code of it."""
        self._steps: dict[int, int] = {}
        """User -> the newest step whose code was used, where the file does not have it yet."""
        self._used: set[tuple[int, str]] = set()
        """(user, hash) of recovery codes that are being written down as used."""

    def has_factor(self, user_id: int) -> bool:
        return bool(self._one("SELECT 1 FROM factors WHERE user = ? AND confirmed = 1", user_id))

    def begin_factor(self, user_id: int, *, author: Author | None = None) -> str:
        """A new secret, to be confirmed. Raises :class:`UserError` where there is a factor."""
        secret = pyotp.random_base32()
        with self._change(author) as db:
            if self.has_factor(user_id):
                raise UserError("factor_there", "there is a second factor already")
            db.execute(
                "INSERT OR REPLACE INTO factors (user, secret) VALUES (?, ?)", (user_id, secret)
            )
        self._own_factors.add(user_id)
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

    def confirm_factor(
        self, user_id: int, code: str, *, author: Author | None = None
    ) -> list[str] | None:
        """From now on it counts: the recovery codes, shown once. ``None`` for a wrong code."""
        with self._change(author) as db:
            step, kind = self._step_of(user_id, code)
            if self.has_factor(user_id) or kind != "code":
                return None
            db.execute("UPDATE factors SET step = ? WHERE user = ?", (step, user_id))
            codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
            db.execute("UPDATE factors SET confirmed = 1 WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            db.executemany(
                "INSERT INTO recovery VALUES (?, ?)",
                [(user_id, _recovery(user_id, code)) for code in codes],
            )
            self._leave(db, author, "factor_added", f"web:{user_id}")
        return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]

    def take_code(self, user_id: int, code: str) -> Judged:
        """Judge a code. One of the app (``code``) is used up and accepted by that, to be followed
        by :meth:`save_codes`; a ``recovery`` code is reserved, and accepted by :meth:`spend`.
        Writes nothing itself."""
        with self._memory:
            if not self.has_factor(user_id):
                return ""
            step, kind = self._step_of(user_id, code)
            if kind == "code":
                self._steps[user_id] = step
            if kind:
                return kind
            one = (user_id, _recovery(user_id, code))
            if self._one("SELECT 1 FROM recovery WHERE user = ? AND hash = ?", *one) is None:
                return ""
            if one in self._used:
                return "waits"
            self._used.add(one)
            return "recovery"

    def spend(
        self, user_id: int, code: str, session_hash: str = "", *, author: Author | None = None
    ) -> bool:
        """Write down that a recovery code is used and, in the same transaction, that a log-in is
        proved by it. ``False``: somebody else has used or removed it meanwhile."""
        one, now = (user_id, _recovery(user_id, code)), self._moment()
        try:
            with self._change(author) as db:
                gone = db.execute("DELETE FROM recovery WHERE user = ? AND hash = ?", one)
                spent = gone.rowcount > 0
                if spent:
                    self._leave(db, author, "recovery_used", f"web:{user_id}", takes_away=True)
                    db.execute(
                        "UPDATE sessions SET proved = ?, proved_up = ? WHERE hash = ?",
                        (*now, session_hash),
                    )
        finally:
            with self._memory:
                self._used.discard(one)
        with self._memory:
            self._proved.pop(session_hash, None)
            if spent and session_hash in self._unsaved:  # the file does not know it
                self._prove(session_hash, now)
        return spent

    def release(self, user_id: int, code: str) -> None:
        """Give back a reserved recovery code that nobody will write down as used."""
        with self._memory:
            self._used.discard((user_id, _recovery(user_id, code)))

    def save_codes(self) -> None:
        """Write which codes of the app are used up, and which log-ins have been proved."""
        with self._memory:
            steps, proved = dict(self._steps), dict(self._proved)
        if not steps and not proved:
            return
        with self._change() as db:
            db.executemany(
                "UPDATE factors SET step = max(step, ?) WHERE user = ?",
                [(step, user) for user, step in steps.items()],
            )
            db.executemany(
                "UPDATE sessions SET proved = ?, proved_up = ? WHERE hash = ?",
                [(*at, session_hash) for session_hash, at in proved.items()],
            )
        with self._memory:
            self._steps = {k: v for k, v in self._steps.items() if steps.get(k) != v}
            self._proved = {k: v for k, v in self._proved.items() if proved.get(k) != v}

    def _step_of(self, user_id: int, code: str) -> tuple[int, Literal["", "code", "early"]]:
        """The step of a right code. It is accepted once, and none that is older than the last
        one; ``early``: see :meth:`_accepted_before`."""
        row = self._one("SELECT secret, step FROM factors WHERE user = ?", user_id)
        if row is None:
            return 0, ""
        totp, now = pyotp.TOTP(str(row[0])), int(self._now() // STEP_S)
        used = max(int(str(row[1])), self._steps.get(user_id, 0))
        before = 0 if user_id in self._own_factors else self._accepted_before()
        for step in range(now - SKEW_STEPS, now + SKEW_STEPS + 1):
            right = hmac.compare_digest(totp.generate_otp(step).encode(), _tidy(code).encode())
            if right and step > used:
                return step, "code" if step > before else "early"
        return 0, ""

    def _accepted_before(self) -> int:
        """The newest step whose code a process before this one may have accepted without writing
        it down. By the clock of now, which may have been set right since this one began."""
        began = self._now() - (self._uptime().s - self._began_s)
        return int(began // STEP_S) + SKEW_STEPS

    def early_s(self) -> int:
        """Seconds until the code that the app shows is accepted by this process."""
        return max(1, math.ceil((self._accepted_before() + 1) * STEP_S - self._now()))

    def remove_factor(self, user_id: int, *, author: Author | None = None) -> None:
        with self._change(author) as db:
            db.execute("DELETE FROM factors WHERE user = ?", (user_id,))
            db.execute("DELETE FROM recovery WHERE user = ?", (user_id,))
            sessions = db.execute("SELECT hash FROM sessions WHERE user = ?", (user_id,)).fetchall()
            db.execute("UPDATE sessions SET proved = 0 WHERE user = ?", (user_id,))
            self._leave(db, author, "factor_removed", f"web:{user_id}")
        with self._memory:
            self._steps.pop(user_id, None)
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
            self._prove(session_hash, self._moment())

    def _prove(self, session_hash: str, now: Moment) -> None:
        made = self._unsaved.get(session_hash)
        if made is not None:
            made.proved = now
        self._proved[session_hash] = now

    def proved_ago_s(self, session_hash: str) -> float | None:
        """Seconds since a session gave a right code, at least the uptime since; ``None``: never."""
        row = self._one("SELECT proved, proved_up FROM sessions WHERE hash = ?", session_hash)
        saved = Moment(float(str(row[0])), float(str(row[1]))) if row else NEVER
        at, now = self._proved.get(session_hash, saved), self._moment()
        return max(now.civil - at.civil, now.up - at.up) if at.civil else None
