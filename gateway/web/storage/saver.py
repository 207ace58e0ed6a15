"""The one thread that changes the page's own file.

A card may take half a minute for a commit. Nobody who only reads waits for that, and the event
loop never does: whatever is changed is changed here, one after the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

import structlog

from gateway.web.shared.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger("web")
WAITING_MOST = 200
SOON_S = 1.0
ENDED_S = 2.0
"""So long whoever ends a log-in waits, to be told that it is durable."""
CLOSE_WITHIN_S = 1.0


class Saver:
    """Its thread starts with the first change, and does not hold up the end of the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = self._ended = 0

    @property
    def waiting(self) -> int:
        """Changes that are not made yet."""
        return self._begun - self._ended

    async def run(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a change and wait until it is durable; what it raises is raised here. It is made
        also where whoever asked goes away. Raises :class:`Problem` 503 where too many wait."""
        started = self._start(partial(change, *args, **kwargs))
        return await asyncio.shield(asyncio.wrap_future(started))

    async def within(
        self, seconds: float, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """:meth:`run`, waited for so long. Raises :class:`TimeoutError`; the change is made all
        the same, once the disk lets it."""
        async with asyncio.timeout(seconds):
            return await self.run(change, *args, **kwargs)

    async def soon(self, change: Callable[[], object], within_s: float | None = None) -> bool:
        """Write down what memory has already: durable after a moment, or as soon as the disk
        lets it. Whoever asked goes on after ``within_s`` (:data:`SOON_S`); whether it is durable
        by then."""
        try:
            written = asyncio.wrap_future(self._start(change))
        except Problem:  # whoever comes next writes it as well
            return False
        written.add_done_callback(_say_failure)
        await asyncio.wait([written], timeout=SOON_S if within_s is None else within_s)
        return written.done() and not written.cancelled() and written.exception() is None

    def later(self, change: Callable[[], object]) -> None:
        """The same for what nobody waits for. Any thread; never raises."""
        try:
            done = self._start(change)
        except Problem:
            return
        done.add_done_callback(_say_failure)

    def close(self) -> bool:
        """End the thread after what waits; whether it ended in time."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._jobs.put(None)
        thread.join(CLOSE_WITHIN_S)
        return not thread.is_alive()

    def _start(self, change: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self.waiting >= WAITING_MOST:
                raise Problem(503, "disk_busy", Retry_After="10")
            self._begun += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="saver", daemon=True)
                self._thread.start()
        future: Future[T] = Future()
        self._jobs.put(partial(_work, change, future))
        return future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            self._ended += 1


def _work(change: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(change())
    except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
        future.set_exception(error)


def _say_failure(done: Future[Any] | asyncio.Future[Any]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("the disk does not take a change of the page's own", reason=str(error))
