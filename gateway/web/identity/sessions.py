"""Log-ins that last: the sessions of users, in the file of :mod:`gateway.web.storage.store`.

A log-in is valid, and its end applies, from the moment it is made: what is not in the file yet is
in memory, so that nobody waits for the disk at the door. A log-in that was never written ends with
the process. An end that was never written does not outlast it: whoever ends a log-in is told so,
see :func:`gateway.web.account.log_in.end_log_ins`.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time

from gateway.push.subscriptions import Subscriptions
from gateway.web.identity.accounts import User, hashed
from gateway.web.storage.store import NEVER, Author, Moment, Store, Uptime, kernel_uptime

SESSION_LIFE_S = 30 * 86_400
SESSION_IDLE_S = 7 * 86_400
SEEN_EVERY_S = 60
SESSIONS_MOST = 50
"""Of one user; a further log-in ends the one that was not used for longest."""
_COUNTS = "s.created > ? AND s.seen > ? AND s.created_up >= ? AND s.seen_up >= ?"
"""Of :meth:`Sessions._oldest`."""
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


UNSAVED_MOST = 1_000
"""Log-ins that are not in the file yet; the oldest of more end."""


@dataclass(slots=True)
class _Unsaved:
    """A log-in that is in memory only. It counts while its user has the password and the role of
    then: whoever changes those in another process ends the log-ins of the file."""

    user_id: int
    created: Moment
    browser: str
    known_by: tuple[object, ...] | None
    proved: Moment = NEVER


class Sessions(Store):
    """Ids are kept as SHA-256 of 256 random bits.

    A log-in is over when it is too old, or was not used for too long, by the civil clock or by
    the summed uptime."""

    session_life_s: float = SESSION_LIFE_S
    """As configured; never longer than the cookie lives."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time,
        uptime: Callable[[], Uptime] = kernel_uptime,
    ) -> None:
        super().__init__(path, now, uptime)
        self._memory = threading.Lock()
        self._unsaved: dict[str, _Unsaved] = {}
        self._being_saved: set[str] = set()
        """Hashes of those of them that are being written right now."""
        self._ended: set[str] = set()
        """Hashes of log-ins that are over and still in the file. As many as the file has at most:
        none is left out, or it would be valid again."""
        self._left: set[str] = set()
        """Hashes of log-ins that somebody has ended, whose devices are still to be removed."""
        self.devices = Subscriptions(path.parent.parent if path.parent.name == "web" else path)
        """Those that take push messages. One belongs to the log-in that made it and goes when
        somebody ends that; a log-in that runs out by itself takes nobody's messages away."""
        self._notes: list[tuple[Author, int]] = []
        """Who has ended log-ins of whom: entries that are to be left with that. At most one for
        each log-in that ended."""
        self._seen: dict[str, Moment] = {}
        self._proved: dict[str, Moment] = {}

    def begin_session(self, user_id: int, browser: str = "", password_hash: str = "") -> str:
        """The secret for the cookie; it is kept nowhere else. ``browser``: see
        :func:`browser_of`; ``password_hash``: what the password was compared with, so that a log-in
        with one that was changed meanwhile counts for nothing. To be followed by
        :meth:`save_sessions`; writes nothing itself."""
        secret = secrets.token_urlsafe(32)
        known_by = self._known_by(user_id)
        if password_hash and known_by is not None:
            known_by = (password_hash, known_by[1])
        made = _Unsaved(user_id, self._moment(), browser, known_by)
        with self._memory:
            self._unsaved[hashed(secret)] = made
            while len(self._unsaved) > UNSAVED_MOST:
                del self._unsaved[next(iter(self._unsaved))]
        return secret

    def save_sessions(self) -> None:
        """Write the log-ins of which the file does not know."""
        self.tidy_sessions(settled=False)
        with self._memory:
            made = dict(self._unsaved)
            self._being_saved |= made.keys()
        saved = False
        try:
            self._insert_sessions(made)
            saved = True
        finally:
            with self._memory:  # both at once: one that ends in between is in the file
                self._being_saved -= made.keys()
                for key in made if saved else ():
                    self._unsaved.pop(key, None)

    def _insert_sessions(self, made: Mapping[str, _Unsaved]) -> None:
        rows = [
            (key, one.user_id, one.browser, *one.created, *one.created, *one.proved, *one.known_by)
            for key, one in made.items()
            if one.known_by is not None
        ]
        with self._change() as db:
            # compared here: another process may be changing the password right now
            db.executemany(
                "INSERT OR IGNORE INTO sessions (hash, user, browser, created, created_up,"
                " seen, seen_up, proved, proved_up) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
                " FROM users WHERE id = ?2 AND password = ?10 AND role = ?11 AND removed IS NULL",
                rows,
            )
            db.executemany(
                "DELETE FROM sessions WHERE user = ?1 AND hash NOT IN (SELECT hash FROM sessions"
                " WHERE user = ?1 ORDER BY seen_up DESC, created_up DESC LIMIT ?2)",
                [(user_id, SESSIONS_MOST) for user_id in {row[1] for row in rows}],
            )

    def _known_by(self, user_id: int) -> tuple[object, ...] | None:
        return self._one(
            "SELECT password, role FROM users WHERE id = ? AND removed IS NULL", user_id
        )

    def tidy_sessions(self, *, settled: bool) -> None:
        """Remove the log-ins that are over. ``settled``: the civil clock may decide, too."""
        *civil, created_up, seen_up = self._oldest()
        with self._change() as db:
            db.execute(
                "DELETE FROM sessions WHERE created_up < ? OR seen_up < ?", (created_up, seen_up)
            )
            if settled:
                db.execute("DELETE FROM sessions WHERE created < ? OR seen < ?", civil)

    def _oldest(self) -> tuple[float, float, float, float]:
        """When a log-in that still counts has begun and was used at the earliest: by the civil
        clock and by the summed uptime."""
        now, now_up = self._now(), self._now_up()
        return (
            now - self.session_life_s, now - SESSION_IDLE_S,
            now_up - self.session_life_s, now_up - SESSION_IDLE_S,
        )  # fmt: skip

    @staticmethod
    def _is_over(since: Moment, now: Moment, life_s: float) -> bool:
        return since.civil <= now.civil - life_s or since.up < now.up - life_s

    def session(self, session_hash: str, *, touch: bool = True) -> User | None:
        """The user of a session that still counts. ``touch``: it is being used right now."""
        now = self._moment()
        if session_hash in self._ended:
            return None
        made = self._unsaved.get(session_hash)
        if made is not None:
            over = self._is_over(made.created, now, self.session_life_s)
            if over or made.known_by is None or made.known_by != self._known_by(made.user_id):
                return None
            row = self._one(
                "SELECT id, name, role, language, armed_s FROM users WHERE id = ?", made.user_id
            )
            return None if row is None else User(*row)  # type: ignore[arg-type]  # its columns
        row = self._one(
            "SELECT u.id, u.name, u.role, u.language, u.armed_s,"
            " s.created, s.created_up, s.seen, s.seen_up FROM sessions s"
            " JOIN users u ON u.id = s.user WHERE s.hash = ? AND u.removed IS NULL",
            session_hash,
        )
        if row is None:
            return None
        created, saved = (Moment(float(str(row[at])), float(str(row[at + 1]))) for at in (5, 7))
        seen = self._seen.get(session_hash, saved)
        old = self._is_over(created, now, self.session_life_s)
        if old or self._is_over(seen, now, SESSION_IDLE_S):
            return None
        passed_s = max(abs(now.civil - seen.civil), now.up - seen.up)
        if touch and passed_s > SEEN_EVERY_S:
            with self._memory:
                self._seen[session_hash] = now
            self.later(self._save_seen)
        return User(*row[:5])  # type: ignore[arg-type]  # the columns of the SELECT above

    def _save_seen(self) -> None:
        with self._memory:
            seen = dict(self._seen)
        if not seen:
            return  # one that came before has written them all
        with self._change() as db:
            db.executemany(
                "UPDATE sessions SET seen = ?, seen_up = ? WHERE hash = ?",
                [(*at, session_hash) for session_hash, at in seen.items()],
            )
        with self._memory:
            for session_hash, at in seen.items():
                if self._seen.get(session_hash) == at:
                    del self._seen[session_hash]

    def forget_session(self, session_hash: str) -> None:
        """End one in memory. To be followed by :meth:`save_ended`; writes nothing itself."""
        with self._memory:
            self._forget(session_hash)

    def _forget(self, session_hash: str) -> None:
        self._left.add(session_hash)
        made = self._unsaved.pop(session_hash, None)
        if made is None or session_hash in self._being_saved:
            self._ended.add(session_hash)

    def save_ended(self) -> None:
        """Remove those that are over from the file with their devices, and leave the entries about
        that."""
        self._remove_left()
        with self._memory:
            ended, notes = set(self._ended), list(self._notes)
        if not ended and not notes:
            return
        with self._change() as db:
            db.executemany("DELETE FROM sessions WHERE hash = ?", [(one,) for one in ended])
            for author, user_id in notes:
                self._leave(db, author, "sessions_ended", f"web:{user_id}", takes_away=True)
        with self._memory:
            self._ended -= ended
            del self._notes[: len(notes)]

    def _remove_left(self) -> None:
        with self._memory:
            left = set(self._left)
        if left:
            self.devices.remove(lambda one: one.session in left)
            with self._memory:
                self._left -= left

    def list_sessions(self, user_id: int) -> list[Session]:
        """Those of one user that still count, the last used first."""
        now = self._moment()
        rows = self._all(
            f"SELECT hash, created, seen, browser FROM sessions s WHERE user = ? AND {_COUNTS}"
            " ORDER BY seen DESC, created DESC",
            user_id,
            *self._oldest(),
        )
        made = [
            (key, one.created.civil, one.created.civil, one.browser)
            for key, one in reversed(self._unsaved.items())
            if one.user_id == user_id and not self._is_over(one.created, now, self.session_life_s)
        ]
        known = {key for key, *_ in made} | self._ended
        made += [row for row in rows if row[0] not in known]
        return [Session(session_id(row[0]), *row[1:]) for row in made]

    def end_session(self, session_hash: str) -> None:
        """:meth:`forget_session`, written at once."""
        self.forget_session(session_hash)
        self.save_ended()

    def end_sessions(self, user_id: int, *, keep: str = "") -> int:
        """:meth:`forget_sessions`, written at once."""
        ended = self.forget_sessions(user_id, keep=keep)
        self.save_ended()
        return ended

    def forget_sessions(
        self,
        user_id: int,
        *,
        keep: str = "",
        id: str | None = None,
        author: Author | None = None,
    ) -> int:
        """End all of a user in memory, but the one whose hash is ``keep``; ``id``: only the one
        that is called so (see :class:`Session`). How many those were. To be followed by
        :meth:`save_ended`; writes nothing itself."""
        with self._memory:
            hashes = {key for key, one in self._unsaved.items() if one.user_id == user_id}
            rows = self._all("SELECT hash FROM sessions WHERE user = ?", user_id)
            hashes |= {row[0] for row in rows} - self._ended
            ends = {key for key in hashes - {keep} if id is None or session_id(key) == id}
            for key in ends:
                self._forget(key)
            if ends and author is not None:
                self._notes.append((author, user_id))
        return len(ends)
