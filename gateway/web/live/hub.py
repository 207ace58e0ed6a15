"""The live stream of a building: what is shown of it, and the facts of its journal.

Who was away resumes from the journal by its ``Last-Event-ID`` (a row number), so that nothing is
missed and nobody slow costs memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog

from gateway.web.building.records import Expired, Records, Unavailable
from gateway.web.live.fragments import Fragments, fact_frame
from gateway.web.live.streams import Client, Streams

if TYPE_CHECKING:
    from gateway.web.building.control_client import ControlClient
    from gateway.web.identity.accounts import Who
    from gateway.web.identity.users import Users
    from gateway.web.presenter.presenter import Presenter
    from gateway.wire import Row

PAGE = 500
RESUME_MOST = 20_000
log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class View:
    """A way of seeing. ``language`` empty: JSON for programs."""

    language: str
    role: str


class Hub(Streams):
    """All open streams. ``presenter`` makes the building's words for a language and a role."""

    def __init__(
        self,
        control: ControlClient,
        records: Records,
        users: Users,
        presenter: Callable[[str, Who | None], Presenter],
        *,
        limit: int = 500,
    ) -> None:
        super().__init__(users, limit=limit)
        self._control, self._records, self._presenter = control, records, presenter
        self.row = 0
        """The newest row that was told."""
        self._row_known = False
        self._known_head = 0
        self._rows = asyncio.Event()
        control.on_change.append(self._changed.set)
        control.on_rows.append(self._on_rows)

    def _on_rows(self, journal: str, head: int) -> None:
        self._known_head = head
        self._rows.set()

    async def start(self) -> None:
        """Find out where the journal stands, before the first client comes."""
        try:
            self.row = await self._records.head()
            self._row_known = True
        except Unavailable as error:
            log.warning("journal not readable", reason=str(error))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_changes())
            group.create_task(self._tell_rows())
            group.create_task(self._beat())

    # --- what happens ----------------------------------------------------------------

    def _show(self, view: Hashable) -> Fragments:
        seen = cast("View", view)
        return Fragments.of(self._control, self._scene_of(seen), seen.role)

    def _beat_values(self) -> dict[str, object]:
        return {"row": self.row}

    def _scene_of(self, view: View) -> Presenter | None:
        if not view.language:
            return None
        from gateway.web.identity.accounts import Who

        return self._presenter(view.language, Who("", "", view.role))  # type: ignore[arg-type]  # Role

    async def _tell_rows(self) -> None:
        while True:
            await self._rows.wait()
            self._rows.clear()
            try:
                await self._catch_up()
            except Expired:  # another journal, or rows that are gone already
                self._begin_anew()
            except Unavailable as error:
                log.warning("journal not readable", reason=str(error))
                await asyncio.sleep(1)
                self._rows.set()

    async def _catch_up(self) -> None:
        if not self._row_known or self.row > self._known_head:
            self._begin_anew()
        if not self.clients:
            self.row = self._known_head
        while self.row < self._known_head:
            rows = await self._records.after(self.row, PAGE)
            if not rows:
                return
            for channel in list(self._channels.values()):
                presenter = self._scene_of(cast("View", channel.view))
                channel.put(_frames(rows, presenter))
            self.row = rows[-1].row

    def _begin_anew(self) -> None:
        """Everybody shall forget what they have: what came between cannot be told."""
        self.row, self._row_known = self._known_head, True
        for channel in self._channels.values():
            channel.put(_reset(self.row))

    # --- one client ------------------------------------------------------------------

    async def opening(self, client: Client, last_event_id: int | None) -> AsyncIterator[bytes]:
        """What is shown now, and what happened since this client left. What happens meanwhile
        is held for it until it follows."""
        channel, row = client.channel, self.row
        channel.flush()  # up to ``row``: no news for this one
        client.backlog = []
        opening = b"retry: 1000\n\n"
        if channel.parts is not None:
            opening += f"id: {row}\n".encode() if last_event_id is None else b""
            opening += channel.parts.whole()
        yield opening
        if last_event_id is not None:
            async for frame in self._resume(client, last_event_id, row):
                yield frame

    async def _resume(self, client: Client, last: int, until: int) -> AsyncIterator[bytes]:
        reset = _reset(until)
        if last == until:
            return
        try:
            oldest = await self._records.oldest()
            if last > until or last < oldest - 1 or until - last > RESUME_MOST:
                yield reset
                return
            presenter = self._scene_of(cast("View", client.channel.view))
            while last < until:
                rows = [r for r in await self._records.after(last, PAGE) if r.row <= until]
                if not rows:
                    return
                yield _frames(rows, presenter)
                last = rows[-1].row
        except (Unavailable, Expired):
            yield reset


def _frames(rows: list[Row], presenter: Presenter | None) -> bytes:
    """What sensors see of people is not for everybody who has a page open."""
    return b"".join(_frame(row, presenter) for row in rows if row.lane != "local")


def _frame(row: Row, presenter: Presenter | None) -> bytes:
    """A row that cannot be shown is left out, or nobody would see what comes after it."""
    try:
        return fact_frame(row, presenter)
    except Exception:
        log.exception("row cannot be shown", row=row.row)
        return b""


def _reset(row: int) -> bytes:
    return b'id: %d\nevent: reset\ndata: {"row":%d}\n\n' % (row, row)
