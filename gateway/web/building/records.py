"""The journal as the page reads it: in threads, and honest when it cannot."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gateway.core.snapshot_types import PointShown
from gateway.journal.audit import Anchor, ChainEntry, Verdict, entries, entries_before, walk
from gateway.journal.queries import history
from gateway.journal.queries.history import Count, StateFact
from gateway.journal.queries.reader import (
    CursorExpired,
    Found,
    JournalUnavailable,
    Reader,
    ReadTooLong,
)
from gateway.web.building.view import iso
from gateway.wire import Row

T = TypeVar("T")
RETRY_S = 1.0
THREADS = 2
"""For questions that may take long, such as a search or a chart."""
WAITING_MOST = 32
"""Of those at one time; more are refused, so that nobody waits for minutes."""
CHAIN_PIECE = 2_000
"""Entries of the audit chain that are verified in one read."""


class Unavailable(Exception):
    """The journal cannot be read right now. ``since``: seconds since 1970."""

    def __init__(self, reason: str, since: float) -> None:
        super().__init__(reason)
        self.since = since


class TooLong(Unavailable):
    """This question takes too long; the journal itself can be read."""


class Expired(Exception):
    """The rows after a cursor are no longer kept."""


@dataclass(frozen=True, slots=True)
class History:
    """Of a meter ``quantities``; of a contact or relay (``lane``) its ``changes``."""

    lane: bool
    quantities: dict[str, list[history.Bucket]] = field(default_factory=dict)
    changes: list[tuple[int, bool | None]] = field(default_factory=list)


class Records:
    """Asks the journal's reader; each thread has its own, opened when it is first needed.

    The live stream and the state of health have a thread of their own: their questions are
    answered at once, and never wait behind a search."""

    def __init__(self, path: Path, threads: int = THREADS) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="journal-read")
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="journal-now")
        self._waiting = 0
        self._local = threading.local()
        self._readers: list[Reader] = []
        self._failed: tuple[float, float, str] | None = None
        """(since, last tried, reason) while it cannot be read."""

    def close(self) -> None:
        """Close the file in every thread; a read that still runs is broken off."""
        for pool in (self._pool, self._quick):
            pool.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.close()
        for pool in (self._pool, self._quick):
            pool.shutdown(wait=True)
        for reader in self._readers:  # one that was about to read had opened the file again
            reader.close()

    async def ask(self, question: Callable[[Reader], T], *, quick: bool = False) -> T:
        """The answer of a reader. ``quick``: the question takes no time. Raises
        :class:`Unavailable` and tries again after a second; raises :class:`TooLong` where it is
        this question alone that gets no answer."""
        loop = asyncio.get_running_loop()
        if quick:
            return await loop.run_in_executor(self._quick, self._answer, question)
        if self._waiting >= WAITING_MOST:
            raise TooLong("too many questions at one time", time.time())
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._pool, self._answer, question)
        finally:
            self._waiting -= 1

    def _answer(self, question: Callable[[Reader], T]) -> T:
        now = time.time()
        if self._failed is not None and now - self._failed[1] < RETRY_S:
            raise Unavailable(self._failed[2], self._failed[0])
        try:
            reader = getattr(self._local, "reader", None)
            if reader is None:
                reader = self._local.reader = Reader(self.path)
                self._readers.append(reader)
            found = question(reader)
        except ReadTooLong as error:
            raise TooLong(str(error), now) from error
        except JournalUnavailable as error:  # the reader has let go of the file by itself
            since = self._failed[0] if self._failed else now
            self._failed = (since, now, str(error))
            raise Unavailable(str(error), since) from error
        self._failed = None
        return found

    async def head(self) -> int:
        return await self.ask(lambda reader: reader.head_row(), quick=True)

    async def oldest(self) -> int:
        """The oldest row that is still kept; 0 in an empty journal."""
        return await self.ask(_oldest, quick=True)

    async def after(self, row: int, limit: int, **filters: Any) -> Found:
        """Rows after a cursor, oldest first. Raises :class:`Expired`."""
        try:
            return await self.ask(
                lambda reader: reader.after_row(row, limit, **filters), quick=not filters
            )
        except CursorExpired as error:
            raise Expired(str(error)) from None

    async def before(self, row: int | None, limit: int, **filters: Any) -> Found:
        """Rows before a cursor, newest first; ``None``: from the newest."""
        return await self.ask(lambda reader: reader.before_row(row, limit, **filters))

    async def around(self, row: int, before: int, after: int, **filters: Any) -> list[Row]:
        """Rows with numbers up to ``before`` less than ``row``, and from it up to less than
        ``after`` more."""
        return await self.ask(
            lambda reader: reader.window(max(0, row - before - 1), row + after - 1, **filters)
        )

    async def history(
        self, id: str, point: PointShown, first: int, last: int, buckets: int, now: int
    ) -> History:
        """What a point (as the snapshot tells it) said between two instants of civil time; the
        newest value of a meter is valid up to ``now`` at most."""
        if point["kind"] != "meter":
            changes = await self.ask(lambda reader: history.levels(reader, id, first, last))
            return History(True, changes=changes)
        found = {}
        for quantity in point.get("quantities") or {}:
            found[quantity] = await self.ask(
                partial(
                    _buckets, id=id, quantity=quantity, first=first, last=last, number=buckets,
                    now=now,
                )
            )  # fmt: skip
        return History(False, quantities=found)

    async def first_said(self, points: Collection[str]) -> dict[str, int]:
        """When each point first said anything that is still kept."""
        return await self.ask(lambda reader: history.first_said(reader, points))

    async def states(
        self, subject: str, kinds: Collection[str], first: int, last: int
    ) -> list[StateFact]:
        """Facts that may change a state of a subject, in order, and the last ones before."""
        return await self.ask(lambda reader: history.states(reader, subject, kinds, first, last))

    async def counts(
        self, subjects: Collection[str], kinds: Collection[str], first: int, last: int, number: int
    ) -> list[Count]:
        """How often facts of these kinds stand about these subjects, per bucket."""
        return await self.ask(
            lambda reader: history.counts(reader, subjects, kinds, first, last, number)
        )

    async def marks(
        self, subjects: Collection[str], kinds: Collection[str], first: int, last: int, limit: int
    ) -> list[Row]:
        """The newest facts of these kinds about these subjects, in order."""
        return await self.ask(
            lambda reader: history.marks(reader, subjects, first, last, limit, kinds)
        )

    async def audit(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Entries of the audit chain, oldest first."""
        found = await self.ask(lambda r: r.read(lambda db: list(entries(db, after, limit))))
        counted = []
        for entry in found:
            values = asdict(entry)
            counted.append({**values, "time": iso(values.pop("utc_ms"))})
        return counted

    async def audit_before(self, before: int | None, limit: int) -> list[ChainEntry]:
        """Entries of the audit chain, newest first."""
        return await self.ask(lambda r: r.read(lambda db: entries_before(db, before, limit)))

    async def verify(self) -> Verdict:
        """Whether the whole audit chain is as it was written; read in pieces, so that a long
        one stays within a read's time."""
        count, removed, anchor = 0, 0, None
        while True:
            verdict, anchor = await self.ask(partial(_walk, anchor=anchor))
            count, removed = count + verdict.entries, removed + verdict.removed
            if verdict.broken is not None or verdict.entries < CHAIN_PIECE:
                return Verdict(count, verdict.broken, verdict.reason, removed)


def _walk(reader: Reader, *, anchor: Anchor | None) -> tuple[Verdict, Anchor]:
    return reader.read(lambda db: walk(db, anchor, CHAIN_PIECE))


def _buckets(
    reader: Reader, *, id: str, quantity: str, first: int, last: int, number: int, now: int
) -> list[history.Bucket]:
    return history.buckets(reader, id, quantity, first, last, number, now)


def _oldest(reader: Reader) -> int:
    rows = reader.after_row(0, 1)
    return rows[0].row if rows else 0
