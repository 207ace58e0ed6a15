"""The journal's real code, turned by hand, on a disk that fills, fails and loses power.

``Turned`` is the writer without its two threads: the world calls it when something is due, so
that a life is the same whenever it is lived. ``Disk`` is SQLite's real file behind a connection
that can refuse the n-th call, report a commit as failed that has happened, run full (SQLite's
own limit of pages), or take the process away in the middle of a transaction.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.journal import writer
from gateway.journal.writer import Journal


class Killed(BaseException):
    """kill -9: nothing that runs now goes on."""


@dataclass
class Disk:
    """What the disk does to the next calls. All of it heals."""

    chance: random.Random
    fail_in: int = -1
    """So many calls from now one fails; negative: none."""
    after: bool = False
    """It was carried out all the same."""
    kill_in: int = -1
    """So many calls from now the process is gone."""
    broken: bool = False
    """No call succeeds."""
    full: bool = False

    def heal(self) -> None:
        self.fail_in = self.kill_in = -1
        self.broken = self.full = False

    def factory(self) -> type[sqlite3.Connection]:
        """The connections of the journal's writer."""
        disk = self

        class Connection(sqlite3.Connection):
            limited = False

            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                return disk.call(self, lambda: super(Connection, self).execute(sql, *values))

            def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
                return disk.call(self, lambda: super(Connection, self).executemany(sql, *values))

            def limit(self) -> None:
                """As large as it is, and no page more; or as large as it likes."""
                if self.limited is not disk.full and not self.in_transaction:
                    most = 1 if disk.full else 0xFFFF_FFFE
                    super().execute(f"PRAGMA max_page_count = {most}").fetchone()
                    self.limited = disk.full

        return Connection

    def call(self, connection: Any, do: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        """One call of SQLite, as this disk takes it."""
        self.fail_in, self.kill_in = self.fail_in - 1, self.kill_in - 1
        fails, dies = self.fail_in == -1, self.kill_in == -1
        self.fail_in, self.kill_in = max(self.fail_in, -2), max(self.kill_in, -2)
        connection.limit()
        if dies and not self.after:
            raise Killed
        if self.broken or (fails and not self.after):
            raise sqlite3.OperationalError("disk I/O error")
        cursor = do()
        if dies:
            raise Killed
        if fails:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


class Turned(Journal):
    """The writer, one turn at a time."""

    def __init__(self, path: Path, now_ms: Callable[[], int], **settings: Any) -> None:
        super().__init__(path, now_ms=now_ms, lives={}, limit_bytes=10**9, **settings)

    def start(self) -> None:
        """No thread: the world turns it."""

    def _sleep(self) -> bool:
        """The same question as the thread's, without waiting for the answer."""
        now_ms = writer._now_ms()
        with self._queue.changed:
            due_ms = self._queue.due_ms()
        ready = self._store is not None and now_ms >= self._not_before_ms
        return ready and due_ms is not None and now_ms >= due_ms

    def pump(self) -> None:
        """Everything that is due now."""
        for _ in range(50):
            self._turn()
            if not self._sleep():
                break
        self._replies.give_up(writer._now_ms())

    @property
    def rests(self) -> bool:
        """All that was appended is in the file. A cursor may still wait."""
        waits = self._queue.promised_ms() is not None or self._doubt is not None
        return not waits and self._store is not None

    def stop(self) -> None:
        """In order."""
        self._closing = True
        self._run()


def cut_off(path: Path, journal: Turned, chance: random.Random, *, power: bool) -> None:
    """What is on the disk when the process is gone at this instant, put in its place again.

    SQLite tidies up when a connection is closed, and a killed process closes nothing: so the
    files are taken aside as they are. A power cut takes the index of the -wal, too, and may
    leave some of what was on its way to the disk behind the last commit, torn."""
    aside = path.with_name("aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for ending in ("", "-wal", "-shm"):
        file = path.with_name(path.name + ending)
        if file.exists():
            shutil.copyfile(file, aside / file.name)
    store = journal._store
    if store is not None:
        store.connection.close()
        store._last.close()
        journal._store = None
    if power:
        (aside / f"{path.name}-shm").unlink(missing_ok=True)
        wal = aside / f"{path.name}-wal"
        if wal.exists() and chance.random() < 0.5:
            with wal.open("ab") as torn:
                torn.write(chance.randbytes(chance.randrange(1, 9_000)))
    for ending in ("", "-wal", "-shm"):
        name = path.name + ending
        path.with_name(name).unlink(missing_ok=True)
        if (aside / name).exists():
            os.replace(aside / name, path.with_name(name))


def tear(path: Path, chance: random.Random) -> str:
    """A disk that lies or wears out: what was written is gone, or is something else."""
    files = [f for f in (path, path.with_name(path.name + "-wal")) if f.exists()]
    sizes = [(file, file.stat().st_size) for file in files]
    sizes = [(file, size) for file, size in sizes if size]
    if not sizes:
        return "nothing"
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    file, size = chance.choice(sizes)
    if chance.random() < 0.5:
        os.truncate(file, chance.randrange(size))
        return f"{file.suffix} cut"
    with file.open("r+b") as opened:
        opened.seek(chance.randrange(size))
        opened.write(chance.randbytes(chance.choice([1, 512, 4096])))
    return f"{file.suffix} flipped"
