"""Writes what can be read of a torn journal into a new file.

A process of its own, started by :mod:`gateway.journal.recovery`: reading a large journal page by
page keeps a processor busy for minutes, which the door's process has no time for. One line of
standard input says what to do, ``{"path", "building", "reason", "boot", "gateway"}``; standard
output gets ``{"kept", "lost"}`` or ``{"errno", "error"}``. Standard input then stays open, and
when it ends, so does this process: whoever waited is gone.

Theory of operation. The records come from the raw pages (:mod:`gateway.journal.pages`). Each
table and index has its own pattern of columns, by which a record finds its place again. What was
found is made consistent at the end: numbers without a row are marked as lost.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.core.facts import LANES
from gateway.journal import audit, schema
from gateway.journal.audit import AuditEntry
from gateway.journal.pages import Pages, Record, Value
from gateway.journal.schema import HOUR_MS, LANE_INDEX, REASONS
from gateway.journal.store import STATE_NUMBER

_BATCH = 500
_ERRNO = {8: errno.EROFS, 13: errno.ENOSPC}
"""SQLite's code of an error -> the system's. Every other one is told as EIO."""


def main() -> int:
    """The exit status."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path, building = Path(asked["path"]), Path(asked["building"])
    answer: dict[str, object]
    try:
        kept, lost = build(path, building, asked["reason"], asked["boot"], asked["gateway"])
        answer = {"kept": kept, "lost": lost}
    except OSError as error:
        answer = {"errno": error.errno or errno.EIO, "error": str(error)}
    except sqlite3.Error as error:
        code = _ERRNO.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, errno.EIO)
        answer = {"errno": code, "error": str(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # without the buffer, whose lock would outlive the main thread
    os._exit(1)


def build(path: Path, building: Path, reason: str, boot: str, gateway: str) -> tuple[int, int]:
    """Write what can be read of the journal at ``path``, which need be no file, into
    ``building``, an empty file: how many rows are kept, and how many numbers have none any more.

    ``reason`` is kept in the audit chain with ``gateway``, the id of the gateway, as its subject.
    Raises :class:`OSError` and :class:`sqlite3.Error` when there is no room for it.
    """
    with contextlib.closing(sqlite3.connect(building, isolation_level=None)) as connection:
        return _filled(connection, path, reason, boot, gateway)


def _filled(
    connection: sqlite3.Connection, path: Path, reason: str, boot: str, gateway: str
) -> tuple[int, int]:
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchone()
    connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    schema.create(connection, schema.new_id())
    connection.execute("CREATE TEMP TABLE number (lane INTEGER, seq INTEGER)")
    connection.execute("BEGIN")
    if path.is_file():  # else nothing of a journal lies there
        _copy(path, connection)
    if not connection.execute("SELECT 1 FROM meta WHERE key = 'kept'").fetchone():
        # there was a journal, so there may have been a state
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (STATE_NUMBER,))
    lost = _complete(connection)
    kept: int = connection.execute("SELECT count(*) FROM fact").fetchone()[0]
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean', '0')")
    note = AuditEntry(
        "gateway",
        "journal_recovered",
        gateway,
        "done",
        time.monotonic_ns() // 1_000_000,
        f"{reason}; {kept} rows kept, {lost} numbers lost",
    )
    audit.append(connection, boot, None, note)
    connection.execute("COMMIT")
    return kept, lost


def _copy(path: Path, connection: sqlite3.Connection) -> None:
    """Every record that fits one of our tables."""
    pages = Pages(path, path.with_name(path.name + "-wal"))
    rows: dict[str, list[tuple[Value, ...]]] = {}
    try:
        for number in range(1, pages.count + 1):
            for record in pages.records(number):
                for statement, values in _placed(record):
                    batch = rows.setdefault(statement, [])
                    batch.append(values)
                    if len(batch) >= _BATCH:
                        connection.executemany(statement, batch)
                        batch.clear()
    finally:
        pages.close()
    for statement, batch in rows.items():
        connection.executemany(statement, batch)


_TABLES: tuple[tuple[bool, str, str], ...] = (
    # from an index or a table without rowid?, a letter per column, where it goes
    # i int, t text, f number, lower case; capital letters may be null
    (False, "iiiiiiFIT", "INSERT OR IGNORE INTO fact VALUES (?,?,?,?,?,?,?,?,?)"),
    (False, "ittt", "INSERT OR IGNORE INTO series VALUES (?,?,?,?)"),
    (True, "ttti", "INSERT OR IGNORE INTO series (kind, subject, quantity, id) VALUES (?,?,?,?)"),
    (False, "iti", "INSERT OR IGNORE INTO boot VALUES (?,?,?)"),
    (False, "iiii", "INSERT OR IGNORE INTO clock VALUES (?,?,?,?)"),
    (True, "iii", "INSERT INTO number SELECT ?1, ?2 WHERE ?3 > 0"),
    (True, "iiit", "INSERT OR IGNORE INTO absent VALUES (?,?,?,?)"),
    (True, "iiiiifFF", "INSERT OR IGNORE INTO hour VALUES (?,?,?,?,?,?,?,?)"),
    (True, "iiiiiiFFF", "INSERT OR IGNORE INTO hour_mean VALUES (?,?,?,?,?,?,?,?,?)"),
    (True, "tT", "INSERT OR IGNORE INTO meta VALUES (?,?)"),
    (False, "itiIttttTttt", "INSERT OR IGNORE INTO audit VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"),
)


def _placed(record: Record) -> Iterator[tuple[str, tuple[Value, ...]]]:
    from_index, values = record
    for is_index, pattern, statement in _TABLES:
        if (
            is_index is from_index
            and len(pattern) == len(values)
            and all(_fits(value, letter) for value, letter in zip(values, pattern, strict=True))
            and _plausible(pattern, values)
        ):
            yield statement, values
            return


def _fits(value: Value, letter: str) -> bool:
    if value is None:
        return letter.isupper()
    if letter in "iI":
        return isinstance(value, int)
    if letter in "fF":
        return isinstance(value, (int, float))
    return isinstance(value, str)


def _plausible(pattern: str, values: tuple[Value, ...]) -> bool:
    """Whether a record of the right shape also makes sense; bytes may have been flipped."""
    if pattern == "iiiiiiFIT":
        row, lane, seq, text = values[0], values[1], values[2], values[8]
        return _number(row) and _number(seq) and lane in range(len(LANES)) and _is_data(text)
    if pattern == "iii":
        return values[0] in range(len(LANES)) and _number(values[1])
    if pattern == "iiit":
        _, first, last, reason = values
        return (
            values[0] in range(len(LANES))
            and _number(first)
            and _number(last)
            and reason in REASONS
            and isinstance(first, int)
            and isinstance(last, int)
            and first <= last
        )
    if pattern == "tT":
        return values[0] not in ("schema", "journal", "clean")
    if pattern in ("itiIttttTttt", "ittt", "iti", "iiii"):
        return _number(values[0])
    return True


def _number(value: Value) -> bool:
    return isinstance(value, int) and 0 < value < schema.NUMBERS_MOST


def _is_data(text: Value) -> bool:
    if text is None:
        return True
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


def _complete(connection: sqlite3.Connection) -> int:
    """Make what was found consistent; returns how many numbers are lost."""
    run = connection.execute
    run("DELETE FROM fact WHERE series NOT IN (SELECT id FROM series)")
    run("DELETE FROM hour WHERE series NOT IN (SELECT id FROM series)")
    run("DELETE FROM hour_mean WHERE series NOT IN (SELECT id FROM series)")
    run(
        "INSERT INTO boot SELECT boot, 'unknown-' || boot, min(row) FROM fact "
        "WHERE boot NOT IN (SELECT id FROM boot) GROUP BY boot"
    )
    _clock_from_facts(connection)
    run(
        f"""INSERT OR IGNORE INTO hour SELECT series, boot, mono_ms / {HOUR_MS}, count(value),
        sum(value IS NULL), total(value), min(value), max(value) FROM fact
        WHERE count IS NULL AND series IN (SELECT id FROM series WHERE kind = 'reading')
        GROUP BY 1, 2, 3"""
    )
    run("DELETE FROM meta WHERE (key LIKE 'sent.%' OR key = 'row') AND NOT value GLOB '[0-9]*'")
    run(
        "DELETE FROM absent WHERE EXISTS (SELECT 1 FROM fact WHERE fact.lane = absent.lane "
        "AND seq BETWEEN first AND last)"
    )
    lost = 0
    for lane, index in LANE_INDEX.items():
        lost += _mark_lost(connection, index)
        head = _head(connection, index)
        run(
            "UPDATE meta SET value = ?2 WHERE key = ?1 AND CAST(value AS INTEGER) > ?3",
            (f"sent.{lane}", str(head), head),
        )
    return lost


def _clock_from_facts(connection: sqlite3.Connection) -> None:
    """The offsets are in the facts too: boots whose clock page was lost get it from there."""
    known = {boot for (boot,) in connection.execute("SELECT DISTINCT boot FROM clock")}
    found = connection.execute(
        "SELECT boot, mono_ms, data FROM fact WHERE series IN (SELECT id FROM series "
        "WHERE kind IN ('clock_trusted', 'clock_stepped')) ORDER BY row"
    ).fetchall()
    first = True
    for boot, mono_ms, text in found:
        offset = json.loads(text or "{}").get("utc_offset_ms")
        if boot not in known and isinstance(offset, int):
            first = not connection.execute(
                "SELECT 1 FROM clock WHERE boot = ? LIMIT 1", (boot,)
            ).fetchone()
            connection.execute(
                "INSERT INTO clock (boot, from_mono_ms, utc_offset_ms) VALUES (?,?,?)",
                (boot, 0 if first else mono_ms, offset),
            )


def _head(connection: sqlite3.Connection, index: int) -> int:
    head: int = connection.execute(
        """SELECT max(coalesce((SELECT max(seq) FROM fact WHERE lane = ?1), 0),
        coalesce((SELECT max(last) FROM absent WHERE lane = ?1), 0),
        coalesce((SELECT max(seq) FROM number WHERE lane = ?1), 0))""",
        (index,),
    ).fetchone()[0]
    return head


def _mark_lost(connection: sqlite3.Connection, index: int) -> int:
    """Every number up to the head that has neither a row nor an answer is lost."""
    known: list[tuple[int, int]] = []
    for first, last in connection.execute(
        "SELECT first, last FROM absent WHERE lane = ? ORDER BY first", (index,)
    ).fetchall():
        if known and first <= known[-1][1]:  # bytes were flipped: ranges never overlap
            connection.execute("DELETE FROM absent WHERE lane = ? AND first = ?", (index, first))
        else:
            known.append((first, last))
    head = _head(connection, index)
    gaps = connection.execute(
        """SELECT seq + 1, coalesce(next, ?2 + 1) - 1 FROM (
          SELECT seq, lead(seq) OVER (ORDER BY seq) AS next FROM (
            SELECT 0 AS seq UNION ALL SELECT seq FROM fact WHERE lane = ?1))
        WHERE coalesce(next, ?2 + 1) > seq + 1""",
        (index, head),
    ).fetchall()
    lost = place = 0
    for begin, end in gaps:
        at = begin
        while at <= end:
            if place < len(known) and known[place][0] <= at:
                at, place = max(at, known[place][1] + 1), place + 1
                continue
            until = min(known[place][0] - 1, end) if place < len(known) else end
            connection.execute("INSERT INTO absent VALUES (?,?,?,'lost')", (index, at, until))
            lost += until - at + 1
            at = until + 1
    return lost


if __name__ == "__main__":
    sys.exit(main())
