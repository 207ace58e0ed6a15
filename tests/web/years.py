"""A journal of a building that has been running for a while, written at once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.core.facts import KINDS
from gateway.journal.schema import HOUR_MS, LANE_INDEX, connect, create

DAY_MS = 86_400_000


class Years:
    """One boot; ``utc_ms`` of facts is civil time."""

    def __init__(self, path: Path, begin_utc_ms: int) -> None:
        self.begin = begin_utc_ms
        self.db = connect(path)
        create(self.db, "0123456789ab")
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO boot VALUES (1, 'b', 1)")
        self.db.execute("INSERT INTO clock VALUES (1, 1, 0, ?)", (begin_utc_ms,))
        self._row = 0
        self._series: dict[tuple[str, str, str], int] = {}

    def series(self, kind: str, subject: str, quantity: str = "") -> int:
        key = (kind, subject, quantity)
        if key not in self._series:
            self._series[key] = len(self._series) + 1
            self.db.execute("INSERT INTO series VALUES (?, ?, ?, ?)", (self._series[key], *key))
        return self._series[key]

    def fact(self, utc_ms: int, kind: str, subject: str, **data: Any) -> None:
        self._row += 1
        self.db.execute(
            "INSERT INTO fact VALUES (?, ?, ?, ?, 1, ?, NULL, NULL, ?)",
            (self._row, LANE_INDEX[KINDS[kind].lane], self._row, self.series(kind, subject),
             utc_ms - self.begin, json.dumps(data)),
        )  # fmt: skip

    def opening(self, utc_ms: int, door: str, press_to_open_ms: int | None) -> None:
        self.fact(utc_ms, "door_opened", door, press_to_open_ms=press_to_open_ms,
                  cause="request", assumed=False)  # fmt: skip

    def hour(self, utc_ms: int, point: str, quantity: str, count: int, gaps: int) -> None:
        self.db.execute(
            "INSERT INTO hour VALUES (?, 1, ?, ?, ?, 0, 0, 0)",
            (self.series("reading", point, quantity), (utc_ms - self.begin) // HOUR_MS, count,
             gaps),
        )  # fmt: skip

    def close(self) -> None:
        self.db.execute("COMMIT")
        self.db.close()


def lines(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()
