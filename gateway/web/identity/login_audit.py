"""Log-ins, failed ones and lock-outs in the audit chain.

Named is the user whose name was typed, by id, or ``unknown``: what was typed is never written,
since people type passwords there. Of the same kind, name and peer one entry is written in a
minute, and at its end one with a count of the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.core.facts import Json

WINDOW_S = 60.0
KEYS_MOST = 60
"""Different entries in a minute; all further ones are counted together, whoever they name."""
UNKNOWN = "unknown"
VISITOR = f"web:{UNKNOWN}"
"""The actor where nobody is logged in: whose name it is has not done it."""

Entry = dict[str, Json]
Write = Callable[[str, str, Entry], Awaitable[None]]
"""Writes an entry of an actor, an action and details."""


@dataclass(slots=True)
class _Minute:
    actor: str
    action: str
    entry: Entry
    more: int = 0


class LoginAudit:
    """``later`` calls back after so many seconds; the event loop's own where none is passed."""

    def __init__(
        self, write: Write, later: Callable[[float, Callable[[], None]], object] | None = None
    ) -> None:
        self._write = write
        self._later = later or (lambda s, done: asyncio.get_running_loop().call_later(s, done))
        self._minutes: OrderedDict[tuple[str, str, str], _Minute] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def is_noted(self, action: str, peer: str, user: int) -> bool:
        """Whether an entry of this kind was written within the minute: the next is counted."""
        return (action, f"web:{user}", peer) in self._minutes

    async def note(
        self,
        action: str,
        peer: str,
        user: int | None,
        *,
        outcome: str = "",
        is_written: bool = False,
        **detail: Json,
    ) -> None:
        """Write an entry now, or count it. ``outcome`` empty: it was done, by the user.
        ``is_written``: this one is in the chain's outbox already."""
        subject = UNKNOWN if user is None else f"web:{user}"
        actor = VISITOR if outcome else subject
        entry: Entry = {"subject": subject, **detail}
        if outcome:
            entry["outcome"] = f"refused: {outcome}"
        key = (action, subject, peer)
        if key not in self._minutes and len(self._minutes) >= KEYS_MOST:
            key = (action, "", "")  # counted, whoever it is
            actor, entry = VISITOR, {**entry, "subject": UNKNOWN}
        known = self._minutes.get(key)
        if known is not None:
            known.more += not is_written
            return
        self._minutes[key] = _Minute(actor, action, entry)
        self._later(WINDOW_S, lambda: self._end(key))
        if not is_written:
            await self._write(actor, action, entry)

    def _end(self, key: tuple[str, str, str]) -> None:
        minute = self._minutes.pop(key)
        if not minute.more:
            return
        counted = {**minute.entry, "count": minute.more, "window_ms": int(WINDOW_S * 1000)}
        task = asyncio.get_running_loop().create_task(self._written(minute, counted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _written(self, minute: _Minute, entry: Entry) -> None:
        await self._write(minute.actor, minute.action, entry)
