"""Mending a torn journal: everything that can be read goes into a new file.

Theory of operation. ``inspect`` and ``check`` say what is wrong with a file. ``salvage``
then builds ``….salvage`` from the raw pages (:mod:`gateway.journal.pages`), names it
``….salvaged`` once it is complete and on the disk, and ``finish`` puts it in the place of the
broken file, which is set aside. ``finish`` can be repeated: a power cut in between costs
nothing. The new file has a new journal id: of its numbers, some that were given before may
have been lost, and may be given again.

A file of a schema that this version does not know is no torn journal. ``begin_beside`` sets it
aside as it is, in the same way and under a name of its own (``….schema-…``), and a new journal
takes its place with the state that was saved in it, as far as that can be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.core.facts import LANES, Json
from gateway.formats import UnknownFormat, uri
from gateway.journal import audit, schema, uptime
from gateway.journal.audit import AuditEntry
from gateway.journal.pages import Pages, Record, Value, torn
from gateway.journal.reserve import Kept
from gateway.journal.schema import HOUR_MS, LANE_INDEX, REASONS

KEEP_BROKEN, KEEP_BROKEN_BYTES = 3, 1_000_000_000
"""Files that are set aside: how many, and how large together. The newest always is."""
MARKS = ("broken", "schema")
"""Within the names of files that were set aside: torn ones, and those of another version."""
BROKEN_LIFE_MS = 90 * 86_400_000
"""A journal that was set aside holds what the new one has removed by its lives."""
_PLAUSIBLE_S = 1_767_225_600
"""2026-01-01: no file of ours is older, unless the clock was wrong."""
CHECK_WITHIN_S = 0.5
_OURS = frozenset(
    line.split()[2] for line in schema.SCHEMA.splitlines() if line.startswith("CREATE TABLE")
)
_LARGEST = 2**53
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Recovered:
    """What salvage came to. ``lost`` counts the numbers that have no row any more."""

    reason: str
    kept: int
    lost: int


JOURNALS = ("-wal", "-shm", "-journal")
"""Files of SQLite beside one of its own."""


def side(path: Path, ending: str) -> Path:
    """The file beside ``path`` with this ending, such as ``-wal``."""
    return path.with_name(path.name + ending)


def inspect(path: Path) -> str:
    """What is plainly wrong with the file, or an empty text. Takes a moment, changes nothing.

    :raises UnknownFormat: it is not damaged, but of another version or program
    :raises sqlite3.OperationalError: it cannot be read now (no rights, disk errors), as
        :class:`OSError`
    """
    if path.is_dir():
        return "a directory is in its place"
    wal = side(path, "-wal")
    if path.stat().st_size == 0:
        return "empty" if wal.exists() and wal.stat().st_size else ""
    connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            return ""  # its creation was cut short: there is nothing in it yet
        reason = wrong(path, connection)
    except schema.DAMAGED as error:
        known = any(words in str(error) for words in schema.DAMAGED_WORDS)
        if isinstance(error, sqlite3.OperationalError) and not known:
            raise
        return str(error) if isinstance(error, sqlite3.Error) else "the schema is not text"
    finally:
        used = _used_frames(side(path, "-shm"))
        connection.close()
    if reason:
        return reason
    return "the write-ahead log is torn" if used is not None and torn(path, wal, used) else ""


def wrong(path: Path, connection: sqlite3.Connection) -> str:
    """What is wrong with the head of a file that is open, or an empty text.

    :raises UnknownFormat: it is of another version, or somebody else's
    :raises sqlite3.Error: it is damaged
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    ours = "fact" in tables or len(tables & _OURS) > len(_OURS) // 2
    meta: dict[object, object] = {}
    try:
        meta = dict(connection.execute("SELECT key, value FROM meta WHERE key <> 'kept'"))
    except sqlite3.OperationalError as error:
        if ours or "no such" not in str(error):
            raise
    found = meta.get("schema")
    if not isinstance(found, str) and ours:
        return "the journal does not say its schema"
    if found != str(schema.VERSION):
        raise schema.unknown(path, found)
    journal = meta.get("journal")
    return "" if journal and isinstance(journal, str) else "the journal has no id"


def begin_beside(path: Path, found: UnknownFormat) -> None:
    """Set a file of another version aside as it is; a new journal takes its place. What was saved
    for a restart is taken over as it is; it says for itself in which format it is.

    Raises :class:`OSError` and :class:`sqlite3.Error`; the file is in its place then.
    """
    from gateway.journal.store import UNREADABLE, encode, kept_rows

    kept, number, uptimes = _saved(path)
    aside = _aside(path)
    note: dict[str, Json] = {"format": UNREADABLE} if kept is None else dict(kept)
    note["journal_aside"] = f"{aside.name} (format {found.found}, understood: {found.known})"
    with _built(path) as building, contextlib.closing(schema.connect(building)) as connection:
        schema.create(connection, schema.new_id())
        rows = [("kept", encode(note))] if number is None else kept_rows(Kept(number, note))
        rows += [(uptime.KEY, uptimes)] if uptimes else []
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finish(path, aside)


def _saved(path: Path) -> tuple[Mapping[str, Json] | None, int | None, str | None]:
    """What a journal of another version has saved for a restart, the number of that, and its
    uptimes, if it has them where this version has."""
    from gateway.journal.store import read_kept

    kept: Mapping[str, Json] | None = None
    number: int | None = None
    uptimes: object = None
    with contextlib.suppress(*schema.DAMAGED, OSError):
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
        with contextlib.closing(connection):
            kept, number = read_kept(connection)
            sql = "SELECT value FROM meta WHERE key = ?"
            (uptimes,) = connection.execute(sql, (uptime.KEY,)).fetchone() or (None,)
    return kept, number, uptimes if isinstance(uptimes, str) else None


def _used_frames(shm: Path) -> int | None:
    """How many frames of the -wal SQLite accepts: its index says so after the first read."""
    try:
        with shm.open("rb") as file:
            header = file.read(20)
    except OSError:
        return None
    return int.from_bytes(header[16:20], "little") if len(header) == 20 else None


def check(connection: sqlite3.Connection) -> str:
    """What SQLite finds wrong with the structure of the file within half a second.

    A large file is not finished by then; the rest is read bit by bit later on.
    """
    end = time.monotonic() + CHECK_WITHIN_S
    connection.set_progress_handler(lambda: int(time.monotonic() > end), 10_000)
    try:
        result = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupt" in str(error):
            return ""
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.set_progress_handler(None, 0)
    return "" if result == ("ok",) else str(result[0]).splitlines()[-1]


def salvage(
    path: Path,
    reason: str,
    boot: str,
    pause: Callable[[], None] = lambda: None,
    *,
    gateway: str = "gateway",
) -> Recovered:
    """Put a mended journal in the place of the one at ``path``; ``reason`` is kept in it.

    ``gateway``: its id, the subject of the audit entry.
    ``pause`` is called every few pages: the thread shares its processor with the door.
    Raises :class:`OSError` and :class:`sqlite3.Error` when there is no room for it.
    """
    with _built(path) as building:
        if path.is_dir():
            schema.connect(building).close()
        else:
            _make(building)
        with contextlib.closing(sqlite3.connect(building, isolation_level=None)) as connection:
            recovered = _build(path, connection, reason, boot, gateway, pause)
    finish(path)
    return recovered


def copy_out(path: Path, connection: sqlite3.Connection) -> None:
    """Write what an open journal holds into a file beside ``path``, for :func:`finish` to put in
    place: its own file was removed or replaced while it was open.

    Raises :class:`OSError` and :class:`sqlite3.Error` when there is no room for it.
    """
    with _built(path) as building:
        _make(building)
        connection.execute("VACUUM INTO ?", (str(building),))


@contextlib.contextmanager
def _built(path: Path) -> Iterator[Path]:
    """Where a new journal is built beside ``path``; it is complete, for :func:`finish`, after it
    was left without an error."""
    building = side(path, ".salvage")
    for ending in ("", *JOURNALS):
        side(building, ending).unlink(missing_ok=True)
    try:
        yield building
        sync(building)
        building.rename(side(path, ".salvaged"))
    except BaseException:
        building.unlink(missing_ok=True)
        raise


def _make(building: Path) -> None:
    os.close(os.open(building, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640))


def finish(path: Path, aside: Path | None = None) -> None:
    """Put a completed salvage in place, if there is one, and set the file before it aside, under
    the name ``aside`` where there is one. What a salvage or restore that was cut short has left
    behind is removed."""
    for begun in (".salvage", ".restore"):
        for ending in ("", *JOURNALS):
            side(side(path, begun), ending).unlink(missing_ok=True)
    done = side(path, ".salvaged")
    if not done.exists():
        return
    aside = aside or _aside(path)
    for ending in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            side(path, ending).rename(side(aside, ending))
    side(path, "-shm").unlink(missing_ok=True)
    done.rename(path)
    sync(path.parent)


def _aside(path: Path) -> Path:
    """The next name for a broken file; the oldest ones beyond the limit are removed."""
    room, left = KEEP_BROKEN_BYTES - _size(path), KEEP_BROKEN - 1
    for old in reversed(_set_aside(path)):
        room, left = room - _size(old), left - 1
        if room < 0 or left < 0:
            _remove(old)
            side(old, "-wal").unlink(missing_ok=True)
    stamp = f"{_mark(path)}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    number = 0
    while side(path, f".{stamp}-{number:03d}").exists():
        number += 1
    return side(path, f".{stamp}-{number:03d}")


def _mark(path: Path) -> str:
    """Why a file is set aside, for its name: it is torn, or of another version."""
    try:
        if path.is_file():
            inspect(path)
    except UnknownFormat as error:
        return f"schema-{re.sub(r'[^0-9A-Za-z]+', '_', error.found)[:20]}"
    except (sqlite3.Error, OSError):
        pass
    return "broken"


def _size(file: Path) -> int:
    """Of a file and its -wal, or of all that is in a folder, in bytes."""
    found = [side(file, "-wal"), *(file.rglob("*") if file.is_dir() else [file])]
    return sum(one.stat().st_size for one in found if one.is_file())


def remove_old(path: Path, now_utc_ms: int) -> int:
    """Remove journals that were set aside longer ago than :data:`BROKEN_LIFE_MS`; how many.
    The age of one that was written under a wrong clock counts from now."""
    removed = 0
    for old in _set_aside(path):
        with contextlib.suppress(OSError):
            written_s = old.stat().st_mtime
            if not _PLAUSIBLE_S <= written_s <= now_utc_ms / 1000 + 86_400:
                os.utime(old, (now_utc_ms / 1000, now_utc_ms / 1000))
            elif written_s * 1000 < now_utc_ms - BROKEN_LIFE_MS:
                _remove(old)
                side(old, "-wal").unlink(missing_ok=True)
                removed += 1
    return removed


def _set_aside(path: Path) -> list[Path]:
    """The journals that were set aside, oldest first."""
    found = [old for mark in MARKS for old in path.parent.glob(f"{path.name}.{mark}-*")]
    found = [old for old in found if not old.name.endswith(("-wal", "-shm"))]
    return sorted(found, key=lambda old: old.name.rpartition("-20")[2])


def _remove(old: Path) -> None:
    if old.is_dir():
        import shutil

        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Force a file or folder to the disk. Raises :class:`OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- building the new file


def _build(
    path: Path,
    connection: sqlite3.Connection,
    reason: str,
    boot: str,
    gateway: str,
    pause: Callable[[], None],
) -> Recovered:
    from gateway.journal.store import KEPT_NUMBER

    for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchone()
    connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    schema.create(connection, schema.new_id())
    connection.execute("CREATE TEMP TABLE number (lane INTEGER, seq INTEGER)")
    connection.execute("BEGIN")
    if not path.is_dir():
        _copy(path, connection, pause)
    if not connection.execute("SELECT 1 FROM meta WHERE key = 'kept'").fetchone():
        # there was a journal, so there may have been a state
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (KEPT_NUMBER,))
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
    return Recovered(reason, kept, lost)


def _copy(path: Path, connection: sqlite3.Connection, pause: Callable[[], None]) -> None:
    """Every record that fits one of our tables."""
    pages = Pages(path, side(path, "-wal"))
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
            if number % 8 == 0:
                pause()
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
    return True


def _number(value: Value) -> bool:
    return isinstance(value, int) and 0 < value < _LARGEST


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
