"""When the certificates of this gateway end and begin, for the notice on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

NOTICE_S = 30 * 86_400.0
"""People see the notice this long before the end. The timer renews 60 days before it."""
EVERY_S = 60.0


class CertificateEnds:
    """``ends`` and ``begins`` return name -> POSIX seconds, ``roots`` the certificates that phones
    should trust. All read files, so they are called in a thread: a disk that hangs delays no
    page."""

    def __init__(
        self,
        ends: Callable[[], Mapping[str, float]],
        roots: Callable[[], Mapping[str, bytes]],
        begins: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._ends, self._roots, self._begins = ends, roots, begins
        self._until: Mapping[str, float] = {}
        self._since: Mapping[str, float] = {}
        self.roots: Mapping[str, bytes] = {}
        self._was_read = False

    async def read(self) -> None:
        """Read the files now."""
        self._until = await asyncio.to_thread(self._ends)
        self._since = await asyncio.to_thread(self._begins)
        self.roots = await asyncio.to_thread(self._roots)
        self._was_read = True

    async def run(self) -> None:
        """Read the files every :data:`EVERY_S`, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(EVERY_S)

    def soon(self, now_s: float) -> list[tuple[str, float]]:
        """Those that end soon or have ended, the first to end first."""
        found = [(name, until) for name, until in self._until.items() if until - now_s < NOTICE_S]
        return sorted(found, key=lambda one: one[1])

    def wrong(self, now_s: float) -> str | None:
        """The names of all of them, with commas, in one order. Empty: all are fine; ``None``: the
        files were not read yet."""
        if not self._was_read:
            return None
        return ", ".join(sorted({name for name, _ in (*self.early(now_s), *self.soon(now_s))}))

    def early(self, now_s: float) -> list[tuple[str, float]]:
        """Those that are not valid yet, the last to begin first."""
        found = [(name, since) for name, since in self._since.items() if since > now_s]
        return sorted(found, key=lambda one: -one[1])
