"""Replies to commands that wait until the fact that answers them is durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.effects import Reply
from gateway.core.instant import Ms

WITHIN_MS = 400
"""Whoever gave a command is answered within this time, whatever the disk does."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """``until_ms``: it waits at most so long."""

    reply: Reply
    until_ms: Ms


class PendingReplies:
    """``now_ms`` is the clock of the journal's threads. ``on_late`` gets replies that waited too
    long; they are given without the name of a fact. It is called on the thread of this class, or
    of whoever calls :meth:`give_up`."""

    def __init__(self, now_ms: Callable[[], Ms], on_late: Callable[[list[Reply]], None]) -> None:
        self._now_ms = now_ms
        self._on_late = on_late
        self._changed = threading.Condition(threading.Lock())
        self._pending: list[_Pending] = []
        self._closing = False
        # A thread of its own: the journal's may wait for a disk that does not answer.
        self._thread = threading.Thread(target=self._watch, name="replies", daemon=True)

    def start(self) -> None:
        """Start the thread that watches over them."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> None:
        """Give up what still waits, and wait at most ``timeout`` seconds for the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def add(self, replies: Sequence[Reply]) -> None:
        """Let them wait for their facts."""
        until_ms = self._now_ms() + WITHIN_MS
        with self._changed:
            self._pending.extend(_Pending(reply, until_ms) for reply in replies)
            self._changed.notify_all()

    def take(self, written: Sequence[Reply]) -> list[Reply]:
        """Those of ``written`` that still wait; they wait no more."""
        ids = {id(reply) for reply in written}
        with self._changed:
            taken = [one.reply for one in self._pending if id(one.reply) in ids]
            self._pending = [one for one in self._pending if id(one.reply) not in ids]
        return taken

    def give_up(self, until_ms: Ms | None = None) -> None:
        """Hand over all, or those that wait until ``until_ms`` at most."""
        with self._changed:
            late = [one for one in self._pending if until_ms is None or one.until_ms <= until_ms]
            self._pending = [one for one in self._pending if until_ms and one.until_ms > until_ms]
        if late:
            self._on_late([one.reply for one in late])

    def _watch(self) -> None:
        while not self._closing:
            with self._changed:
                first_ms = min((one.until_ms for one in self._pending), default=None)
                now_ms = self._now_ms()
                if not self._closing and (first_ms is None or first_ms > now_ms):
                    self._changed.wait(None if first_ms is None else (first_ms - now_ms) / 1000)
            self.give_up(self._now_ms())
        self.give_up()
