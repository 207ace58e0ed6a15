"""Log-ins that last: the sessions of users, in the file of :mod:`gateway.web.store`."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from gateway.web.accounts import User, hashed
from gateway.web.store import Store

SESSION_LIFE_S = 30 * 86_400
SESSION_IDLE_S = 7 * 86_400
SEEN_EVERY_S = 60
_BROWSERS = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|Chromium/|CriOS/"),
    ("Safari", r"Safari/"),
)
_DEVICES = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("macOS", "Macintosh"),
    ("Linux", "Linux|X11"),
)


def session_id(session_hash: str) -> str:
    """How a session is called where it is listed. The hash itself stays inside."""
    return hashed("name:" + session_hash)[:16]


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in as its owner sees it. ``begun``, ``seen``: seconds since 1970."""

    id: str
    """A name for it that logs nobody in."""
    begun: float
    seen: float
    browser: str
    """Such as ``Firefox, Android``; empty where the browser did not say."""


def browser_of(agent: str) -> str:
    """What somebody recognises their own browser by, and nothing more: no version, no address."""
    agent = agent[:500]
    found = [
        next((name for name, mark in known if re.search(mark, agent)), "")
        for known in (_BROWSERS, _DEVICES)
    ]
    return ", ".join(filter(None, found))


class Sessions(Store):
    """Ids are kept as SHA-256 of 256 random bits."""

    session_life_s: float = SESSION_LIFE_S
    """As configured; never longer than the cookie lives."""

    def start_session(self, user_id: int, browser: str = "") -> str:
        """The secret for the cookie; it is kept nowhere else. ``browser``: see
        :func:`browser_of`."""
        secret, now = secrets.token_urlsafe(32), self._now()
        self.tidy_sessions()
        with self._change() as db:
            db.execute(
                "INSERT INTO sessions (hash, user, created, seen, browser) VALUES (?, ?, ?, ?, ?)",
                (hashed(secret), user_id, now, now, browser),
            )
        return secret

    def tidy_sessions(self) -> None:
        """Remove the log-ins that are over."""
        now = self._now()
        with self._change() as db:
            db.execute(
                "DELETE FROM sessions WHERE created < ? OR seen < ?",
                (now - self.session_life_s, now - SESSION_IDLE_S),
            )

    def session(self, session_hash: str, *, touch: bool = True) -> User | None:
        """The user of a session that still counts. ``touch``: it is being used right now."""
        now = self._now()
        row = self._one(
            "SELECT u.id, u.name, u.role, u.language, u.armed_s, s.seen FROM sessions s"
            " JOIN users u ON u.id = s.user WHERE s.hash = ? AND s.created > ? AND s.seen > ?"
            " AND u.removed IS NULL",
            session_hash,
            now - self.session_life_s,
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

    def list_sessions(self, user_id: int) -> list[Session]:
        """Those of one user that still count, the last used first."""
        now = self._now()
        with self._lock:
            rows = self._db.execute(
                "SELECT hash, created, seen, browser FROM sessions"
                " WHERE user = ? AND created > ? AND seen > ? ORDER BY seen DESC, created DESC",
                (user_id, now - self.session_life_s, now - SESSION_IDLE_S),
            ).fetchall()
        return [Session(session_id(row[0]), *row[1:]) for row in rows]

    def end_session_of(self, user_id: int, id: str) -> bool:
        """End one by its id (see :class:`Session`); ``False`` where the user has none such."""
        with self._change() as db:
            rows = db.execute("SELECT hash FROM sessions WHERE user = ?", (user_id,)).fetchall()
            found = [row for row in rows if session_id(row[0]) == id]
            db.executemany("DELETE FROM sessions WHERE hash = ?", found)
        return bool(found)

    def end_sessions(self, user_id: int, *, keep: str = "") -> int:
        """End all of a user but the one whose hash is ``keep``; how many those were."""
        with self._change() as db:
            return db.execute(
                "DELETE FROM sessions WHERE user = ? AND hash != ?", (user_id, keep)
            ).rowcount
