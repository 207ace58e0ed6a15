"""Tables of the page beside the users, in ``STATE/web/web.sqlite``.

Each use opens the file and closes it again: that is rare, and leaves nothing open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gateway.web.storage.damage import watched
from gateway.web.storage.store import WAL_BYTES, WRITE_WITHIN_S, Author


class PageTables:
    """Tables of the page's own in the file of the users; ``schema`` makes them where missing.

    May be used from any thread and process; a change waits for the disk, and is therefore never
    made in an event loop."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        with watched(path), closing(self._open()) as db:
            db.executescript(schema)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=WRITE_WITHIN_S)
        db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA foreign_keys=ON")
        return db

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of one question."""
        with watched(self._path), closing(self._open()) as db:
            return db.execute(sql, values).fetchall()

    @contextmanager
    def change(self, author: Author | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction; what fails leaves nothing behind. Raises what ``author`` is answered who
        may not change anything."""
        with watched(self._path), closing(self._open()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                if author is not None:
                    author.judge()
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
