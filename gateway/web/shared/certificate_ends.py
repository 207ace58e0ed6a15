"""When the certificates of this gateway end, for the notice on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

NOTICE_S = 30 * 86_400.0
"""People see the notice this long before the end. The timer renews 60 days before it."""
EVERY_S = 60.0


class CertificateEnds:
    """``ends`` returns name -> POSIX seconds, ``roots`` the certificates that phones should trust.
    Both read files, so they are called in a thread: a disk that hangs delays no page."""

    def __init__(
        self, ends: Callable[[], Mapping[str, float]], roots: Callable[[], Mapping[str, bytes]]
    ) -> None:
        self._ends, self._roots = ends, roots
        self._until: Mapping[str, float] = {}
        self.roots: Mapping[str, bytes] = {}

    async def read(self) -> None:
        """Read the files now."""
        self._until = await asyncio.to_thread(self._ends)
        self.roots = await asyncio.to_thread(self._roots)

    async def run(self) -> None:
        """Read the files every :data:`EVERY_S`, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(EVERY_S)

    def soon(self, now_s: float) -> list[tuple[str, float]]:
        """Those that end soon or have ended, the first to end first."""
        found = [(name, until) for name, until in self._until.items() if until - now_s < NOTICE_S]
        return sorted(found, key=lambda one: one[1])
