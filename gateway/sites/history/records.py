"""The recorder's store as the page asks it: in threads, and honest when it cannot be read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.core.instant import UtcMs
from gateway.core.snapshot_types import PointShown
from gateway.journal.queries.history import Bucket
from gateway.sites.history.stored import (
    QuestionTooLong,
    StoredEvent,
    StoredHistory,
    StoreUnreadable,
    Wanted,
)
from gateway.web.building.records import History, TooLong, Unavailable

T = TypeVar("T")
THREADS = 2
WAITING_MOST = 32
"""Questions at one time; more are refused, so that nobody waits for minutes."""
RETRY_S = 2.0
"""After it could not be read."""


class StoredRecords:
    """``open_store`` makes a reader of the store for each thread."""

    def __init__(self, open_store: Callable[[], StoredHistory]) -> None:
        self._open_store = open_store
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stored-read")
        self._local = threading.local()
        self._readers: list[StoredHistory] = []
        self._waiting = 0
        self._failed: tuple[float, float, str] | None = None
        """(since, last tried, reason) while it cannot be read."""

    def close(self) -> None:
        """Wait for what is being read, and close the store in every thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.close()

    async def ask(self, question: Callable[[StoredHistory], T]) -> T:
        """The answer of a reader. Raises :class:`Unavailable`; :class:`TooLong` where it is this
        question alone that gets no answer."""
        if self._waiting >= WAITING_MOST:
            raise TooLong("too many questions at one time", time.time())
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._answer, question)
        finally:
            self._waiting -= 1

    def _answer(self, question: Callable[[StoredHistory], T]) -> T:
        now = time.time()
        failed = self._failed
        if failed is not None and 0 <= now - failed[1] < RETRY_S:
            raise Unavailable(failed[2], failed[0])
        try:
            reader: StoredHistory | None = getattr(self._local, "reader", None)
            if reader is None:
                reader = self._local.reader = self._open_store()
                self._readers.append(reader)
            found = question(reader)
        except QuestionTooLong as error:
            raise TooLong(str(error), now) from error
        except StoreUnreadable as error:
            since = now if failed is None else failed[0]
            self._failed = (since, now, str(error))
            raise Unavailable(str(error), since) from error
        self._failed = None
        return found

    async def events(self, wanted: Wanted) -> list[StoredEvent]:
        return await self.ask(lambda store: store.events(wanted))

    def of(self, gateway: str) -> GatewayRecords:
        return GatewayRecords(self, gateway)


class GatewayRecords:
    """The records of one gateway, as charts ask for them."""

    def __init__(self, records: StoredRecords, gateway: str) -> None:
        self._records, self._gateway = records, gateway

    async def history(
        self, id: str, point: PointShown, first: UtcMs, last: UtcMs, buckets: int, now: UtcMs
    ) -> History:
        """See :meth:`gateway.web.building.records.Records.history`. A quantity that was recorded
        once is there, too."""
        gateway = self._gateway
        if point["kind"] != "meter":
            changes = await self._records.ask(lambda s: s.levels(gateway, id, (first, last)))
            return History(True, changes=changes)
        shown = point.get("quantities") or {}

        def work(store: StoredHistory) -> Mapping[str, list[Bucket]]:
            quantities = [*shown, *store.quantities(gateway, id)]
            return {
                quantity: store.buckets(gateway, id, quantity, (first, last), buckets, now)
                for quantity in dict.fromkeys(quantities)
            }

        return History(False, quantities=dict(await self._records.ask(work)))
