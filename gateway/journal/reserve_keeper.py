"""Keeps the newest state in the reserve for as long as the journal has not taken it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from gateway.core.facts import Json
from gateway.core.instant import Ms
from gateway.journal.queue import Queue
from gateway.journal.reserve import NumberedState, Reserve
from gateway.journal.store import UNREADABLE

WAIT_MS = 300
"""A state that the journal has not taken for so long goes to the reserve; at once while the
journal takes nothing."""
RETRY_MS = 1_000
RETRY_FIRST_MS = 60_000
"""The pause after a failure; the second one until the room for the reserve is there."""


class ReserveKeeper:
    """``path``: the journal's; ``queue`` knows the newest state; ``now_ms`` is the clock of the
    journal's threads; ``fails``: whether the journal takes nothing now.

    Nothing is written before :meth:`adopt` has compared the reserve with the journal.
    """

    def __init__(
        self, path: Path, queue: Queue, now_ms: Callable[[], Ms], fails: Callable[[], bool]
    ) -> None:
        self._queue = queue
        self._now_ms = now_ms
        self._fails = fails
        self._reserve = Reserve(path)
        self._changed = threading.Condition(threading.Lock())
        self._due = False
        self._adopted = False
        self._closing = False
        self.journal = ""
        """The id of the journal whose state it is."""
        self._reserved = 0
        """The number of the state in the reserve; 0: none."""
        self._taken = 0
        """That of the newest state that the journal has."""
        # A thread of its own: the journal's may wait for a disk that does not answer.
        self._thread = threading.Thread(target=self._watch, name="reserve", daemon=True)

    def start(self) -> None:
        """Start the thread that writes the reserve."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> None:
        """Write what the journal has not taken, and wait at most ``timeout`` seconds for that."""
        self._closing = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def wake(self) -> None:
        """There is a newer state."""
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def taken(self, number: int) -> None:
        """The journal has the state of this number."""
        self._taken = number
        self.wake()

    def adopt(
        self,
        saved: dict[str, Json] | None,
        number: int | None,
        journal: str,
        *,
        mended: bool = False,
    ) -> dict[str, Json] | None:
        """The newest state at the start: what this journal has saved, or what the reserve holds.

        ``number`` ``None``: a version without a reserve has saved it, and last; or it cannot be
        read. Then the reserve's is the newest that can be, and nobody knows whether it was the
        last. ``mended``: the journal has a new id. A reserve of no journal is of a start at which
        this one could not be read."""
        reserved = self._reserve.read()
        if self._reserve.unread:
            saved, number = {**(saved or {}), "format": UNREADABLE}, number or 0
        self._taken = number or 0
        if reserved is not None:
            whose, newest = reserved
            journal = journal or whose
            self._reserved = newest.number
            ours = mended or whose in (journal, "")
            if ours and saved is not None and saved.get("format") == UNREADABLE:
                saved = {**newest.state, **saved}
            elif ours and number is not None and newest.number > number:
                aside = {
                    name: saved[name] for name in ("journal_aside",) if saved and name in saved
                }
                saved = {**newest.state, **aside}
            else:
                self._taken = max(self._taken, newest.number)  # it is to be emptied
        self.journal = journal
        self._queue.state_number = max(self._queue.state_number, self._taken, self._reserved)
        self._adopted = True
        return saved

    def _watch(self) -> None:
        waits_since_ms: Ms | None = None
        not_before_ms: Ms = 0
        prepared = False
        while True:
            ends = self._closing
            now_ms = self._now_ms()
            newest = self._queue.newest_state
            waits = newest is not None and newest.number > max(self._taken, self._reserved)
            if not waits:
                waits_since_ms = None
            elif waits_since_ms is None:
                waits_since_ms = now_ms
            due_ms: Ms | None = None
            if waits_since_ms is not None:
                due_ms = waits_since_ms + (0 if self._fails() or ends else WAIT_MS)
            elif 0 < self._reserved <= self._taken or not (prepared or ends):
                due_ms = 0
            if due_ms is not None and self._adopted and now_ms >= max(due_ms, not_before_ms):
                try:
                    self._write(newest if waits else None)
                    prepared = True
                except OSError:  # no room for it yet, or the disk fails altogether
                    not_before_ms = now_ms + (RETRY_MS if prepared else RETRY_FIRST_MS)
                    if not ends:
                        continue
            if ends:
                return
            until_ms = None if due_ms is None else max(due_ms, not_before_ms)
            with self._changed:
                if not self._due:
                    wait_s = None if until_ms is None else max(0, until_ms - now_ms) / 1000
                    self._changed.wait(wait_s)
                self._due = False

    def _write(self, newest: NumberedState | None) -> None:
        """Hold ``newest`` there, or nothing any more. Raises :class:`OSError`."""
        self._reserve.prepare()
        if newest is not None:
            self._reserve.save(self.journal, newest, durable=self._fails())
            self._reserved = newest.number
        elif 0 < self._reserved <= self._taken:
            self._reserve.empty()
            self._reserved = 0
