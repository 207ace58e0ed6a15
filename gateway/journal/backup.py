"""Backup of the running journal, and putting one back.

A backup is a journal like any other, without the local lane: what never leaves the gateway
does not leave it in a backup either. A restored journal goes on under a new id, because
numbers after the backup were given before.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.formats import UnknownFormat, uri
from gateway.journal import recovery
from gateway.journal.schema import DAMAGED, LANE_INDEX, new_id

PAGES_PER_STEP = 256


class BackupError(Exception):
    """The backup could not be made or put back; the text says why."""


def backup(source: Path, target: Path, progress: Callable[[float], None] = lambda _: None) -> None:
    """Write a consistent copy of the journal to ``target``, beside its running writer.

    ``progress`` is told how far it is (0 to 1). ``target`` appears only when it is complete.
    Raises :class:`BackupError`.
    """
    part = recovery.side(target, ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with (
            closing(sqlite3.connect(uri(source, "ro"), uri=True, isolation_level=None)) as reading,
            closing(sqlite3.connect(part, isolation_level=None)) as copy,
        ):
            reading.backup(
                copy,
                pages=PAGES_PER_STEP,
                progress=lambda _, left, total: progress(1 - left / total if total else 1.0),
                sleep=0.0,
            )
            _without_local(copy)
        recovery.sync(part)
        part.rename(target)
        recovery.sync(target.parent)
    except (*DAMAGED, OSError) as error:
        raise BackupError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _without_local(copy: sqlite3.Connection) -> None:
    index = LANE_INDEX["local"]
    copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    copy.execute("PRAGMA secure_delete = ON").fetchone()
    copy.execute("BEGIN")
    head = copy.execute(
        "SELECT max(coalesce((SELECT max(seq) FROM fact WHERE lane = ?1), 0),"
        " coalesce((SELECT max(last) FROM absent WHERE lane = ?1), 0)),"
        " (SELECT max(row) FROM fact)",
        (index,),
    ).fetchone()
    local = [
        number
        for (number,) in copy.execute("SELECT DISTINCT series FROM fact WHERE lane = ?", (index,))
    ]
    tables = copy.execute("SELECT name FROM sqlite_master WHERE name IN ('hour', 'hour_mean')")
    for (table,) in tables.fetchall():  # an older version has not made the second one yet
        copy.executemany(f"DELETE FROM {table} WHERE series = ?", [(number,) for number in local])
    copy.execute("DELETE FROM fact WHERE lane = ?", (index,))
    copy.execute("DELETE FROM absent WHERE lane = ?", (index,))
    if head[0]:
        copy.execute("INSERT INTO absent VALUES (?, 1, ?, 'lost')", (index, head[0]))
    if head[1]:
        copy.execute("INSERT OR REPLACE INTO meta VALUES ('row', ?)", (str(head[1]),))
    copy.execute("COMMIT")
    copy.execute("PRAGMA incremental_vacuum").fetchall()


def restore(backup_file: Path, target: Path) -> str:
    """Put a backup in the place of the journal at ``target``; returns its new journal id.

    The gateway must be stopped. The journal that was there is set aside, not deleted.
    Raises :class:`BackupError`, and then nothing has changed.
    """
    ready = recovery.side(target, ".restore")
    try:
        ready.unlink(missing_ok=True)
        handle = os.open(ready, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        os.close(handle)
        with (
            closing(sqlite3.connect(uri(backup_file, "ro"), uri=True, isolation_level=None)) as old,
            closing(sqlite3.connect(ready, isolation_level=None)) as copy,
        ):
            old.backup(copy)
            journal = _renew(backup_file, copy)
        recovery.sync(ready)
        ready.rename(recovery.side(target, ".salvaged"))
        recovery.finish(target)
    except (*DAMAGED, UnknownFormat, OSError) as error:
        raise BackupError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            ready.unlink(missing_ok=True)
    return journal


def _renew(path: Path, copy: sqlite3.Connection) -> str:
    copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    check = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != "ok":
        raise sqlite3.DatabaseError(check)
    reason = recovery.wrong(path, copy)
    if reason:
        raise sqlite3.DatabaseError(reason)
    journal = new_id()
    copy.execute("UPDATE meta SET value = ? WHERE key = 'journal'", (journal,))
    copy.execute("DELETE FROM meta WHERE key LIKE 'recorded.%'")
    return journal
