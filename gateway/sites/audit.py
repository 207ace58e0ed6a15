"""The audit of the centre: who looked at which site's calls, every command and what became of it,
log-ins, and every change of users and rights. A table in the page's own file.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import structlog

from gateway.core.facts import Json
from gateway.web.building.control_client import Answer
from gateway.web.identity.repair import OwnTable
from gateway.web.options import YEAR_MS
from gateway.web.shared.problems import Problem
from gateway.web.storage.outbox import COLUMNS, entries
from gateway.web.storage.page_tables import PageTables
from gateway.web.storage.saver import Saver

SCHEMA = """
CREATE TABLE IF NOT EXISTS centre_audit (
  n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  gateway TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS centre_audit_at ON centre_audit (at);
"""
ENTRIES_MOST = 200_000
"""The oldest go beyond that."""
REMOVED_AT_ONCE = 2_000
LOOKS_MOST = 20_000
"""Of those remembered, so that a look is noted once."""
DETAIL_MOST = 4_000
TIDY_EVERY_S = 3_600.0
WAITING_MOST = 5_000
"""Entries that wait for the disk."""
log = structlog.get_logger("sites")


def _is_entry(row: Mapping[str, Any]) -> bool:
    texts = (row.get(name) for name in ("actor", "action", "gateway", "detail"))
    return isinstance(row.get("at"), int | float) and all(isinstance(one, str) for one in texts)


REPAIRED = OwnTable(SCHEMA, "centre_audit", "n", _is_entry)


class Entry(NamedTuple):
    """``at``: seconds since 1970. ``actor``: such as ``web:3``; ``gateway``: empty where it is
    about none."""

    n: int
    at: float
    actor: str
    action: str
    gateway: str
    detail: Mapping[str, Json]


class Asked(Protocol):
    """A command, see :class:`gateway.sites.commands.Command`."""

    @property
    def gateway(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def by(self) -> str: ...
    @property
    def text(self) -> str: ...


class Audit:
    """``life_ms``: how long an entry stays. Writes with ``saver``; what waits for the disk is lost
    with the process, except for changes of users, whose entries are in the transaction of the
    change."""

    def __init__(
        self,
        path: Path,
        saver: Saver,
        *,
        life_ms: int = YEAR_MS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._tables = PageTables(path, SCHEMA)
        self._saver, self._life_s, self._wall = saver, life_ms / 1000, wall
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, str, str, str, str]] = []
        self._looks: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    # --- what is noted ----------------------------------------------------------------

    async def note(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        """An entry that is no change of the users' file, such as a log-in."""
        self._write(actor, action, "", detail)

    async def send(self) -> None:
        """After a change of users or rights: take over the entries that it has left."""
        await self._saver.soon(self.take_over)

    def command(self, asked: Asked, answer: Answer) -> None:
        """A command of somebody, and what became of it."""
        detail: dict[str, Json] = {"subject": asked.subject, "status": answer.status}
        if answer.reason:
            detail["reason"] = answer.reason
        if asked.text:
            detail["text"] = asked.text
        actor = asked.by.replace("user:", "web:", 1)
        self._write(actor, asked.name, asked.gateway, detail)

    def looked(self, actor: str, gateway: str, call: str) -> None:
        """Somebody was shown a call; noted once for each of them."""
        key = (actor, gateway, call)
        if key in self._looks:
            return
        self._looks[key] = None
        while len(self._looks) > LOOKS_MOST:
            self._looks.popitem(last=False)
        self._write(actor, "call_looked_at", gateway, {"subject": call})

    def _write(self, actor: str, action: str, gateway: str, detail: Mapping[str, Json]) -> None:
        text = json.dumps(dict(detail), ensure_ascii=False)[:DETAIL_MOST]
        with self._lock:
            if len(self._waiting) >= WAITING_MOST:
                log.error("an entry of the audit is lost: the disk takes none", action=action)
            else:
                self._waiting.append((self._wall(), actor, action, gateway, text))
        self._saver.later(self._flush)

    def _flush(self) -> None:
        """Write what waits; what the disk does not take now waits on. In the saver's thread."""
        with self._lock:
            rows = list(self._waiting)
        if not rows:
            return
        with self._tables.change() as db:
            db.executemany(
                "INSERT INTO centre_audit (at, actor, action, gateway, detail)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        with self._lock:
            del self._waiting[: len(rows)]

    def take_over(self) -> None:
        """Move the entries that changes of users have left into the table."""
        with self._tables.change() as db:
            for one in entries(
                db.execute(f"SELECT {COLUMNS} FROM audit_outbox ORDER BY n")
            ):  # names of columns
                detail: dict[str, Any] = dict(one.detail)
                if one.times > 1:
                    detail["times"] = one.times
                gateway = str(detail.pop("gateway", ""))
                db.execute(
                    "INSERT INTO centre_audit (at, actor, action, gateway, detail)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (one.at, one.actor, one.action, gateway, json.dumps(detail)[:DETAIL_MOST]),
                )
                db.execute("DELETE FROM audit_outbox WHERE n = ?", (one.n,))

    # --- what is read and removed -----------------------------------------------------

    def newest(self, limit: int, before: int | None = None) -> list[Entry]:
        """The newest entries first; ``before``: only those with a lower number."""
        most = 2**62 if before is None else before
        rows = self._tables.rows(
            "SELECT n, at, actor, action, gateway, detail FROM centre_audit WHERE n < ?"
            " ORDER BY n DESC LIMIT ?",
            most,
            limit,
        )
        return [Entry(n, at, by, did, where, _detail(text)) for n, at, by, did, where, text in rows]

    def tidy(self, limit: int = REMOVED_AT_ONCE) -> int:
        """Remove what is over, so many at once; how many that were."""
        with self._tables.change() as db:
            (newest,) = db.execute("SELECT coalesce(max(n), 0) FROM centre_audit").fetchone()
            return db.execute(
                "DELETE FROM centre_audit WHERE n IN (SELECT n FROM centre_audit"
                " WHERE at < ? OR n <= ? ORDER BY n LIMIT ?)",
                (self._wall() - self._life_s, newest - ENTRIES_MOST, limit),
            ).rowcount

    async def run(self) -> None:
        """Remove what is over, again and again, until cancelled."""
        while True:
            try:
                await self._saver.run(self._flush)
                await self._saver.run(self.take_over)
                while await self._saver.run(self.tidy) >= REMOVED_AT_ONCE:
                    pass
            except (sqlite3.Error, OSError, Problem) as error:  # a disk that takes nothing, for now
                log.warning("the audit cannot be tidied", reason=str(error))
            await asyncio.sleep(TIDY_EVERY_S)


def _detail(text: str) -> Mapping[str, Json]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": text[:200]}
