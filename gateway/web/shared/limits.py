"""Limits in time: token buckets, answers that are given once, and signed notes to ourselves."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")


class Buckets:
    """One bucket per key: ``burst`` at once, then one every ``every_s``.

    Holds at most ``keys`` buckets; the one not used for longest goes first."""

    def __init__(
        self,
        burst: int,
        every_s: float,
        *,
        keys: int = 2000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._every_s, self._keys, self._now = burst, every_s, keys, monotonic
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until ``key`` may go on; 0 while it may."""
        full_at = self._full_at.get(key, 0.0)
        return max(0.0, full_at - self._now() - (self._burst - 1) * self._every_s)

    def take(self, key: str) -> bool:
        """Use one up; ``False`` where none is left."""
        if self.wait_s(key) > 0:
            return False
        now = self._now()
        self._full_at[key] = max(self._full_at.get(key, 0.0), now) + self._every_s
        self._full_at.move_to_end(key)
        while len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)
        return True

    def refund(self, key: str) -> None:
        """Give one back."""
        if key in self._full_at:
            self._full_at[key] -= self._every_s

    def forget(self, key: str) -> None:
        """A full bucket again."""
        self._full_at.pop(key, None)


class Reused(Exception):
    """A key came again with another request."""


class Once(Generic[T]):
    """Does the same thing for the same key only once and gives every caller its answer."""

    LIFE_S: ClassVar[float] = 600

    def __init__(
        self,
        life_s: float = LIFE_S,
        keys: int = 2000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life_s, self._keys, self._now = life_s, keys, monotonic
        self._made: OrderedDict[str, tuple[float, str, asyncio.Future[T]]] = OrderedDict()

    async def do(self, key: str, request: str, work: Callable[[], Awaitable[T]]) -> T:
        """Raises :class:`Reused` where ``key`` stood for another ``request``, and what ``work``
        raises: a refusal is not kept, or trying again later would be refused for it."""
        now = self._now()
        while self._made:
            at, _, _ = next(iter(self._made.values()))
            if at > now - self._life_s and len(self._made) < self._keys:
                break
            self._made.popitem(last=False)
        if key in self._made:
            _, asked, future = self._made[key]
            if asked != request:
                raise Reused(key)
            return await asyncio.shield(future)

        def done(task: asyncio.Future[T]) -> None:
            failed = task.cancelled() or task.exception() is not None
            if failed and self._made.get(key, (0.0, "", None))[2] is task:
                del self._made[key]

        task: asyncio.Future[T] = asyncio.ensure_future(work())
        self._made[key] = (now, request, task)
        task.add_done_callback(done)
        return await asyncio.shield(task)


def uptime_s() -> float:
    """Seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Signer:
    """Short notes that travel through the browser and come back unchanged, or not at all.

    Their life is counted by the machine's uptime, which all its processes share: a clock that is
    set would end them, or leave a door's button armed for as long as it was set back."""

    def __init__(self, secret: bytes, uptime: Callable[[], float] = uptime_s) -> None:
        self._secret, self._uptime = secret, uptime

    def _mark(self, body: str) -> str:
        return hmac.new(self._secret, b"note:" + body.encode(), hashlib.sha256).hexdigest()[:32]

    def sign(self, life_s: float, **note: str) -> str:
        note["at"], note["life"] = str(self._uptime()), str(life_s)
        body = base64.urlsafe_b64encode(json.dumps(note).encode()).decode().rstrip("=")
        return f"{body}.{self._mark(body)}"

    def read(self, text: str) -> dict[str, str]:
        """The note, or an empty one where it is not ours or has run out."""
        body, _, mark = text[:2000].partition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(body).encode()):
            return {}
        note: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if "at" not in note or "life" not in note:  # of an earlier version
            return {}
        return note if 0 <= self._uptime() - float(note["at"]) <= float(note["life"]) else {}
