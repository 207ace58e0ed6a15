"""Mending a torn journal: everything that can be read goes into a new file.

Theory of operation. ``inspect`` and ``check`` say what is wrong with a file. ``salvage``
then has ``….salvage`` built from the raw pages (:mod:`gateway.journal.salvage`, in a process of
its own), names it ``….salvaged`` once it is complete and on the disk, and ``finish`` puts it in
the place of the broken file, which is set aside. ``finish`` can be repeated: a power cut in
between costs nothing. The new file has a new journal id: of its numbers, some that were given
before may have been lost, and may be given again.

A file of a schema that this version does not know is no torn journal. ``begin_beside`` sets it
aside as it is, in the same way and under a name of its own (``….schema-…``), and a new journal
takes its place with the state that was saved in it, as far as that can be read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway import regular, set_aside
from gateway.core.facts import Json
from gateway.formats import UnknownFormat, uri
from gateway.journal import raw_files, reserve, schema, uptime
from gateway.journal.pages import torn
from gateway.journal.reserve import NumberedState
from gateway.set_aside import beside

CHECK_WITHIN_S = 0.5
Build = Callable[[Path, Path, str, str, str], tuple[int, int]]
"""See :func:`gateway.journal.salvage.build`."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What salvage came to. ``lost`` counts the numbers that have no row any more."""

    reason: str
    kept: int
    lost: int


def inspect(path: Path) -> str:
    """What is plainly wrong with the file, or an empty text. Takes a moment, changes nothing.

    :raises UnknownFormat: it is not damaged, but of another version or program
    :raises sqlite3.OperationalError: it cannot be read now (no rights, disk errors), as
        :class:`OSError`
    """
    wal = beside(path, "-wal")
    if found := _no_file(path) or _no_file(wal):
        return found
    if path.stat().st_size == 0:
        return "empty" if wal.exists() and wal.stat().st_size else _emptied(path)
    connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            return _emptied(path)  # else its creation was cut short
        reason = wrong(path, connection)
    except schema.DAMAGED as error:
        known = any(words in str(error) for words in schema.DAMAGED_WORDS)
        if isinstance(error, sqlite3.OperationalError) and not known:
            raise
        return str(error) if isinstance(error, sqlite3.Error) else "the schema is not text"
    finally:
        used = _used_frames(beside(path, "-shm"))
        connection.close()
    if reason:
        return reason
    return "the write-ahead log is torn" if used is not None and torn(path, wal, used) else ""


def _no_file(path: Path) -> str:
    """What lies at ``path`` instead of a file; to open a pipe may wait for ever."""
    if path.is_dir():
        return "a directory is in its place"
    return f"{path.name} is no file" if path.exists() and not path.is_file() else ""


def gone(path: Path) -> str:
    """What became of a journal that was at ``path`` and is not there any more; an empty text where
    there was none. Raises :class:`OSError`."""
    return "missing" if not path.exists() and reserve.there(path) else ""


def _emptied(path: Path) -> str:
    return "empty" if reserve.there(path) else ""


def is_new(path: Path) -> bool:
    """Whether there is a folder for a journal, and none was ever in it."""
    with contextlib.suppress(OSError):
        return path.parent.is_dir() and nothing_here(path)
    return False


def nothing_here(path: Path) -> bool:
    """Whether there is neither a journal nor a trace of one; one that cannot be read is one. Of a
    file without tables and without a reserve the creation was cut short."""
    try:
        if reserve.there(path):
            return False
        path.lstat()
        regular.check(path)
        with contextlib.closing(sqlite3.connect(uri(path, "ro"), uri=True)) as db:
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return bool(tables == 0)
    except FileNotFoundError:
        return not path.is_symlink()
    except (*schema.DAMAGED, OSError):
        return False


def wrong(path: Path, connection: sqlite3.Connection) -> str:
    """What is wrong with the head of a file that is open, or an empty text.

    :raises UnknownFormat: it is of another version, or somebody else's
    :raises sqlite3.Error: it is damaged
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    ours = "fact" in tables or len(tables & {*schema.TABLES}) > len(schema.TABLES) // 2
    if ours and (foreign := schema.foreign(connection)):
        return foreign  # before anything else of it is asked for: a view need not end
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
    from gateway.journal.store import UNREADABLE, encode, state_rows

    saved, number, uptimes = _saved(path)
    aside = set_aside.next_name(path, _mark(path))
    note: dict[str, Json] = {"format": UNREADABLE} if saved is None else dict(saved)
    note["journal_aside"] = f"{aside.name} (format {found.found}, understood: {found.known})"
    with _built(path) as building, contextlib.closing(schema.connect(building)) as connection:
        schema.create(connection, schema.new_id())
        rows = (
            [("kept", encode(note))] if number is None else state_rows(NumberedState(number, note))
        )
        rows += [(uptime.KEY, uptimes)] if uptimes else []
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finish(path, aside)


def _saved(path: Path) -> tuple[Mapping[str, Json] | None, int | None, str | None]:
    """What a journal of another version has saved for a restart, the number of that, and its
    uptimes, if it has them where this version has."""
    from gateway.journal.store import read_state

    saved: Mapping[str, Json] | None = None
    number: int | None = None
    uptimes: object = None
    with contextlib.suppress(*schema.DAMAGED, OSError):
        connection = sqlite3.connect(uri(path, "ro"), uri=True, isolation_level=None)
        with contextlib.closing(connection):
            saved, number = read_state(connection)
            sql = "SELECT value FROM meta WHERE key = ?"
            (uptimes,) = connection.execute(sql, (uptime.KEY,)).fetchone() or (None,)
    return saved, number, uptimes if isinstance(uptimes, str) else None


def _used_frames(shm: Path) -> int | None:
    """How many frames of the -wal SQLite accepts: its index says so after the first read."""
    try:
        with raw_files.opened(shm) as file:
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
    path: Path, reason: str, boot: str, *, gateway: str = "gateway", build: Build | None = None
) -> Recovered:
    """Put a mended journal in the place of the one at ``path``; ``reason`` is kept in it.

    ``gateway``: its id, the subject of the audit entry. ``build``: who writes the new file,
    otherwise :mod:`gateway.journal.salvage` in a process of its own.
    Raises :class:`OSError` and :class:`sqlite3.Error` when there is no room for it.
    """
    with _built(path) as building:
        _make(building)
        kept, lost = (build or _build_apart)(path, building, reason, boot, gateway)
    finish(path)
    return Recovered(reason, kept, lost)


def _build_apart(
    path: Path, building: Path, reason: str, boot: str, gateway: str
) -> tuple[int, int]:
    import subprocess

    asked = {"path": str(path), "building": str(building), "reason": reason[:1000]}
    line = json.dumps({**asked, "boot": boot, "gateway": gateway}).encode() + b"\n"
    theirs, ours = os.pipe()  # ours stays open: when this process ends, so does that one
    try:
        os.write(ours, line)
        done = subprocess.run(
            [sys.executable, "-m", "gateway.journal.salvage"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        text = f"the process that mends the journal ended with {done.returncode}"
        raise OSError(errno.EIO, text) from None
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"])
    return answer["kept"], answer["lost"]


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
    building = beside(path, ".salvage")
    for ending in ("", *set_aside.LOGS):
        beside(building, ending).unlink(missing_ok=True)
    try:
        yield building
        sync(building)
        building.rename(beside(path, ".salvaged"))
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
        for ending in ("", *set_aside.LOGS):
            beside(beside(path, begun), ending).unlink(missing_ok=True)
    done = beside(path, ".salvaged")
    if not done.exists():
        return
    set_aside.move(path, aside or set_aside.next_name(path, _mark(path)), salvaged=True)
    done.rename(path)
    sync(path.parent)


def _mark(path: Path) -> str:
    """Why a file is set aside, for its name: it is torn, or of another version."""
    try:
        if path.is_file():
            inspect(path)
    except UnknownFormat as error:
        return f"schema-{re.sub(r'[^0-9A-Za-z]+', '_', error.found)[:20]}"
    except (sqlite3.Error, OSError):
        pass
    return set_aside.BROKEN


def sync(path: Path) -> None:
    """Force a file or folder to the disk. Raises :class:`OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
