"""Entries for the audit chain that ``control`` has not taken yet, in the file of the users.

Whoever changes users, tokens or the test book leaves the entry in the transaction of the change:
either both are there or neither is, whatever becomes of ``control``, this process or the power.
:mod:`gateway.web.storage.handover` hands them over, in order.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.facts import Json
from gateway.web.storage.errors import UserError

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit_outbox (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  detail TEXT NOT NULL, at REAL NOT NULL, times INTEGER NOT NULL DEFAULT 1);
"""
COLUMNS = "n, id, actor, action, detail, at, times"
MOST = 1_000
"""Entries that wait. A change that would need one more is refused; one that takes a right away
never is: it is counted with the newest of its kind."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry. ``id``: by which it is found in the chain; ``at``: when it was done, in seconds
    since 1970 by this process's clock; ``times``: how often."""

    n: int
    id: str
    actor: str
    action: str
    detail: Mapping[str, Json]
    at: float
    times: int


def leave(
    db: sqlite3.Connection,
    actor: str,
    action: str,
    detail: Mapping[str, Json],
    *,
    at: float,
    takes_away: bool = False,
) -> None:
    """Leave an entry, in the caller's transaction. ``takes_away``: it was a right that ended.

    :raises UserError: ``audit_waits``, where there is no room for it
    """
    (waiting,) = db.execute("SELECT count(*) FROM audit_outbox").fetchone()
    if waiting >= MOST and not takes_away:
        raise UserError(
            "audit_waits",
            f"{waiting} changes wait until control puts them into the audit chain: start it first",
        )
    if waiting >= MOST:
        counted = db.execute(
            "UPDATE audit_outbox SET times = times + 1 WHERE n ="
            " (SELECT max(n) FROM audit_outbox WHERE actor = ? AND action = ?)",
            (actor, action),
        ).rowcount
        if counted:
            return
    db.execute(
        "INSERT INTO audit_outbox (id, actor, action, detail, at) VALUES (?, ?, ?, ?, ?)",
        (secrets.token_hex(8), actor, action, json.dumps(dict(detail)), at),
    )


def entries(rows: Iterable[tuple[Any, ...]]) -> list[Waiting]:
    """Of rows of :data:`COLUMNS`."""
    return [
        Waiting(n, id, actor, action, _detail(detail), at, times)
        for n, id, actor, action, detail, at, times in rows
    ]


def _detail(text: str) -> dict[str, Json]:
    """Of an entry; one that cannot be read holds up no other."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": text[:200]}
