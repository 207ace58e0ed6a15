"""What today looked like, for the overview: read from the journal beside it, never before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo

from gateway.web.building.control_client import ControlClient
from gateway.web.building.records import Records, Unavailable
from gateway.wire import calendar_time

EVERY_S = 300.0
"""So old a picture may be."""
SOON_S = 20.0
"""So old at most once a door has opened since."""
WAIT_S = 0.15
"""So long the overview waits for its first one."""
ASKED_S = 3600.0
"""Nobody has looked for so long: nothing is read."""
HOUR_MS = 3_600_000
SPAN_MS = 24 * HOUR_MS
CURVE = 48
"""Values of a curve."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``openings``: door -> how often it opened in each hour of today; ``now``: which hour that
    is; ``climates``: room -> its temperature in the last 24 hours, ``None`` where unknown."""

    openings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    now: int = 0
    climates: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


class Today:
    """The newest picture. Read at most every :data:`EVERY_S`, and only while somebody looks."""

    def __init__(
        self,
        control: ControlClient,
        records: Records,
        climates: Mapping[str, str],
        zone: tzinfo,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._records, self._climates = control, records, climates
        self._zone, self._monotonic = zone, monotonic
        self.picture: Picture | None = None
        self._read_at = self._asked_at = float("-inf")
        self._openings: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Somebody looks: have the picture read where it is old. Waits for it for
        :data:`WAIT_S` at most, and only where there is none yet."""
        self._asked_at = self._monotonic()
        reads = self._reading is not None and not self._reading.done()
        openings = self._counted()
        every_s = EVERY_S if openings == self._openings else SOON_S
        if not reads and self._asked_at - self._read_at >= every_s:
            self._read_at, self._openings = self._asked_at, openings
            self._reading = asyncio.create_task(self._read())
            if self.picture is None:
                await asyncio.wait([self._reading], timeout=WAIT_S)

    def close(self) -> None:
        """Break off what is being read."""
        if self._reading is not None:
            self._reading.cancel()

    async def run(self) -> None:
        """Keep it new for pages that stay open, until cancelled."""
        while True:
            await asyncio.sleep(SOON_S)
            if self._monotonic() - self._asked_at < ASKED_S:
                asked = self._asked_at
                await self.look()
                self._asked_at = asked

    def _counted(self) -> dict[str, int]:
        """Door -> how often it has opened, as its snapshot counts."""
        return {id: door["counters"]["openings"] for id, door in self._control.doors.items()}

    async def _read(self) -> None:
        with suppress(Unavailable):
            self.picture = await self._picture()
            for tell in self._control.on_change:
                tell()

    async def _picture(self) -> Picture:
        now = self._control.now_utc_ms
        midnight = calendar_time(now, self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        first = int(midnight.timestamp() * 1000)
        tomorrow = (midnight + timedelta(days=1)).timestamp() * 1000
        hours = round((tomorrow - first) / HOUR_MS)  # 23 or 25 where the clock is set
        openings = {door: [0] * hours for door in self._control.doors}
        if openings:
            for found in await self._records.counts(
                list(openings), ["door_opened"], first, first + hours * HOUR_MS, hours
            ):
                place = (found.utc_ms - first) // HOUR_MS
                if found.subject in openings and 0 <= place < hours:
                    openings[found.subject][place] += found.number
        return Picture(
            {door: tuple(counts) for door, counts in openings.items()},
            (now - first) // HOUR_MS,
            {room: await self._curve(point, now) for room, point in self._climates.items()},
        )

    async def _curve(self, point: str, now: int) -> tuple[float | None, ...]:
        shown = self._control.points.get(point)
        if shown is None:
            return ()
        first, width = now - SPAN_MS, SPAN_MS // CURVE
        history = await self._records.history(point, shown, first, now, CURVE, now)
        values: list[float | None] = [None] * CURVE
        for bucket in history.quantities.get("temperature_c", ()):
            place = (bucket.utc_ms - first) // width
            if 0 <= place < CURVE:
                values[place] = bucket.mean
        return tuple(values)
