"""Backup of the running journal, and putting one back.

A backup is a journal like any other, without the local lane: what never leaves the gateway
does not leave it in a backup either. A restored journal goes on under a new id, because
numbers after the backup were given before. It says that it was restored, and what stands
when it is put back stands on (:mod:`gateway.core.building.merge_backup`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway import regular
from gateway.core.building.merge_backup import merge_backup, standing, unreadable
from gateway.core.facts import Fact, Json
from gateway.formats import UnknownFormat, uri
from gateway.journal import recovery
from gateway.journal.audit import AuditEntry
from gateway.journal.queue import Work
from gateway.journal.reserve import NumberedState, Reserve
from gateway.journal.schema import DAMAGED, LANE_INDEX, NUMBERS_MOST, new_id
from gateway.journal.store import UNREADABLE, Store, read_state
from gateway.set_aside import LOGS, beside

PAGES_PER_STEP = 256
NUMBERS = (
    *(("fact", column) for column in ("row", "seq")),
    *(("absent", column) for column in ("first", "last")),
    *((table, "id") for table in ("series", "boot", "clock")),
    ("audit", "n"),
)
"""Columns that are counted up: behind the highest there must be room."""


class BackupError(Exception):
    """The backup could not be made or put back; the text says why."""


class TakesPlaceLater(BackupError):
    """The journal that was put back is complete and takes its place at the next start; the text
    says why it could not do so now."""


class CallStands(BackupError):
    """A call stands, and only its room ends it; or nobody can read whether one does."""


def backup(source: Path, target: Path, progress: Callable[[float], None] = lambda _: None) -> None:
    """Write a consistent copy of the journal to ``target``, beside its running writer.

    ``progress`` is told how far it is (0 to 1). ``target`` appears only when it is complete.
    Raises :class:`BackupError`.
    """
    part = beside(target, ".part")
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


def restore(
    backup_file: Path,
    target: Path,
    boot: str,
    utc_offset_ms: int | None = None,
    *,
    keep_calls: bool = False,
    source: Path | None = None,
) -> str:
    """Put a backup in the place of the journal at ``target``; returns its new journal id.

    The gateway must be stopped. The journal that was there is set aside, not deleted.
    ``boot``: the name of this start, and how far UTC is from its clock, if that is known.
    ``keep_calls``: also while a call stands, which then stays. ``source``: the file that the audit
    chain names, where that is another one.
    Raises :class:`BackupError`, and then nothing has changed; only after
    :class:`TakesPlaceLater` the next start changes it.
    """
    try:
        regular.check(backup_file)
    except OSError as error:
        raise BackupError(str(error)) from error
    present = _present(target)
    if not keep_calls:
        if calls := standing(present.state):
            raise CallStands(f"the call {', '.join(calls)} stands, and only its room ends it")
        if unreadable(present.state):
            raise CallStands(f"whether a call stands cannot be read in {target}")
    ready = beside(target, ".restore")
    try:
        ready.unlink(missing_ok=True)
        handle = os.open(ready, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        os.close(handle)
        with (
            closing(sqlite3.connect(uri(backup_file, "ro"), uri=True, isolation_level=None)) as old,
            closing(sqlite3.connect(ready, isolation_level=None)) as copy,
        ):
            old.backup(copy)
            _renew(backup_file, copy)
        journal = _go_on(ready, present, source or backup_file, boot, utc_offset_ms)
        recovery.sync(ready)
        ready.rename(beside(target, ".salvaged"))
        try:
            recovery.finish(target)
        except OSError as error:
            raise TakesPlaceLater(
                f"the journal is put back and takes its place at the next start of control, "
                f"because it could not now ({error})"
            ) from error
    except (*DAMAGED, UnknownFormat, OSError) as error:
        raise BackupError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            for ending in ("", *LOGS):
                beside(ready, ending).unlink(missing_ok=True)
    return journal


def _present(target: Path) -> NumberedState:
    """The state that the journal that is to be replaced has saved last, or its reserve. Of a format
    that is not known where it cannot be read."""
    done = beside(target, ".salvaged")  # takes its place at the next start
    path = done if done.exists() else target
    saved: dict[str, Json] | None = None
    number: int | None = 0
    journal = ""
    try:
        if not recovery.nothing_here(path):
            regular.check(path)
            with closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
                saved, number = read_state(db)
                (journal,) = db.execute(
                    "SELECT value FROM meta WHERE key = 'journal'"
                ).fetchone() or ("",)
    except (*DAMAGED, OSError):
        saved, number = {"format": UNREADABLE}, None
    reserve = Reserve(target)
    reserved = reserve.read()
    if reserve.unread:
        saved, number = {**(saved or {}), "format": UNREADABLE}, None
    if reserved is not None and (not journal or reserved[0] in ("", journal)):
        newest = reserved[1]
        if number is not None and newest.number > number:
            return newest
        if saved == {"format": UNREADABLE}:
            return NumberedState(newest.number, {**newest.state, **saved})
    return NumberedState(number or 0, saved or {})


def _go_on(
    ready: Path, present: NumberedState, backup_file: Path, boot: str, utc_offset_ms: int | None
) -> str:
    """Note in the copy that it was put back, and let what stands stand on; the journal's id."""
    with closing(sqlite3.connect(ready)) as db:
        found = db.execute(
            "SELECT subject FROM series WHERE kind = 'gateway_started' ORDER BY id DESC"
        ).fetchone()
    gateway = found[0] if found else "gateway"
    store = Store(ready, boot, gateway=gateway)
    try:
        backup, number = store.saved_state()
        work = Work()
        state = merge_backup(backup or {}, present.state)
        if state != (backup or {}):
            work.saved_state = NumberedState(1 + max(number or 0, present.number), state)
        if store.utc_offset_ms is None:
            work.utc_offset_ms = utc_offset_ms
        now_ms = time.monotonic_ns() // 1_000_000
        rows = store.one("SELECT count(*) FROM fact")
        data: dict[str, Json] = {"reason": "restored", "kept": rows, "lost": 0}
        work.facts.append((0, "urgent", Fact("journal_recovered", gateway, now_ms, data)))
        calls = ", ".join(standing(present.state))
        detail = f"{backup_file}; {rows} rows" + (f"; stands on: {calls}" if calls else "")
        work.audit.append(AuditEntry("cli", "restore", gateway, "done", now_ms, detail))
        store.write(work)
        journal = store.journal
    finally:
        store.close(clean=True)
    with closing(sqlite3.connect(ready)) as db:  # its log does not come along
        mode = db.execute("PRAGMA journal_mode = DELETE").fetchone()
        if mode != ("delete",):
            raise sqlite3.OperationalError(f"{ready} is still in use")
    return str(journal)


def _renew(path: Path, copy: sqlite3.Connection) -> None:
    copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    reason = recovery.wrong(path, copy)
    if reason:
        raise sqlite3.DatabaseError(reason)
    check = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != "ok":
        raise sqlite3.DatabaseError(check)
    for table, column in NUMBERS:
        (highest,) = copy.execute(f"SELECT max({column}) FROM {table}").fetchone()
        if highest is not None and not 0 < highest < NUMBERS_MOST:
            raise sqlite3.DatabaseError(f"{table}.{column} is {highest}, which was never given")
    copy.execute("UPDATE meta SET value = ? WHERE key = 'journal'", (new_id(),))
    copy.execute("DELETE FROM meta WHERE key LIKE 'recorded.%'")
