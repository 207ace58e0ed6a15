"""Screens that were paired as displays. Each has a secret of its own in its browser, of which the
checksum is kept; it does not run out, and an administrator takes it away."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.web.storage.errors import UserError
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.store import Author

DISPLAYS_MOST = 20
CODES_MOST = 5
CODE_LIFE_S = 600.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS displays (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
  created REAL NOT NULL, heard REAL NOT NULL DEFAULT 0);
"""


@dataclass(frozen=True, slots=True)
class Display:
    """``heard``: when somebody has last confirmed that they heard its sound; 0: never. Seconds
    since 1970."""

    id: int
    name: str
    hash: str
    created: float
    heard: float = 0.0

    @property
    def actor(self) -> str:
        """How the audit chain knows it."""
        return f"display:{self.id}"


@dataclass(slots=True)
class _Code:
    name: str
    author: Author
    until: float


class Displays:
    """The screens, and the codes that pair the next ones. A code is in memory only: it lives for
    ten minutes and works once. ``clock``: seconds that never go back."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = PageTables(path, SCHEMA)
        self._now, self._clock = now, clock
        self._lock = threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._by_hash = {one.hash: one for one in self._read()}

    def _read(self) -> list[Display]:
        sql = "SELECT id, name, hash, created, heard FROM displays ORDER BY id"
        return [Display(*row) for row in self._file.rows(sql)]

    def all(self) -> list[Display]:
        """In the order in which they were paired."""
        return sorted(self._by_hash.values(), key=lambda one: one.id)

    def find(self, secret: str) -> Display | None:
        """The display that has this secret."""
        return self._by_hash.get(_hashed(secret)) if secret else None

    def make_code(self, name: str, author: Author) -> str:
        """Eight digits that pair one screen under this name. Raises :class:`UserError`."""
        name = name.strip()
        if not 1 <= len(name) <= 40 or not name.isprintable():
            raise UserError("bad_name", "a name has 1 to 40 printable characters")
        with self._lock:
            now = self._clock()
            self._codes = {code: one for code, one in self._codes.items() if one.until > now}
            if len(self._by_hash) >= DISPLAYS_MOST:
                raise UserError("too_many_displays", f"there are {DISPLAYS_MOST} displays")
            while len(self._codes) >= CODES_MOST:
                del self._codes[next(iter(self._codes))]
            code = f"{secrets.randbelow(10**8):08d}"
            self._codes[code] = _Code(name, author, now + CODE_LIFE_S)
        return code

    def pair(self, typed: str) -> tuple[Display, str] | None:
        """The new display and its secret; ``None`` for a code that is none, is over, or was used.
        Whoever made the code is judged again."""
        code = "".join(letter for letter in typed[:40] if letter.isdigit())
        with self._lock:
            known = self._codes.pop(code, None)
        if known is None or known.until <= self._clock():
            return None
        secret = secrets.token_urlsafe(32)
        row = (known.name, _hashed(secret), self._now())
        with self._file.change(known.author) as db:
            sql = "INSERT INTO displays (name, hash, created) VALUES (?, ?, ?)"
            number = db.execute(sql, row).lastrowid or 0
        made = Display(number, *row)
        self._by_hash[made.hash] = made
        return made, secret

    def remove(self, id: int, author: Author | None = None) -> Display | None:
        """Take a display's rights away; it. They are gone at once, also where the disk waits."""
        found = next((one for one in self.all() if one.id == id), None)
        if found is not None:
            if author is not None:
                author.judge()
            self._by_hash.pop(found.hash, None)
            with self._file.change() as db:
                db.execute("DELETE FROM displays WHERE id = ?", (id,))
        return found

    def confirm_sound(self, display: Display) -> None:
        """Somebody at the display has heard it."""
        now = self._now()
        with self._file.change() as db:
            db.execute("UPDATE displays SET heard = ? WHERE id = ?", (now, display.id))
        if display.hash in self._by_hash:
            self._by_hash[display.hash] = replace(display, heard=now)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
