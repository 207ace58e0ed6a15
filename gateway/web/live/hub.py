"""The live stream: every frame is encoded once and shared by all who see the same.

A *channel* is one way of seeing (language and role, or plain JSON). What happens in one turn
of the loop is one piece of bytes, written to the connection of everybody on the channel in one
go, without a task or a copy for each. Who does not take it for ten seconds is dropped and
resumes from the journal by its ``Last-Event-ID`` (a row number), so that nothing is missed and
nobody slow costs memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.web.building.records import Expired, Records, Unavailable
from gateway.web.live.fragments import Fragments, compact, fact_frame

if TYPE_CHECKING:
    from gateway.web.building.control_client import ControlClient
    from gateway.web.identity.accounts import Who
    from gateway.web.identity.users import Users
    from gateway.web.presenter.presenter import Presenter
    from gateway.wire import Row

HELD = 400
"""Pieces that may come while a client still gets what it has missed."""
BEAT_S = 5.0
STUCK_S = 10.0
CHANGES_EVERY_S = 0.1
PAGE = 500
RESUME_MOST = 20_000
log = structlog.get_logger("web")


PER_SESSION = 12
"""Streams of one log-in or access token. A browser opens one for all its windows."""
PER_USER = 40
"""Streams of one user, over all log-ins."""


class TooMany(Exception):
    """There are as many live streams as are allowed. ``reason``: ``too_many_streams`` of all,
    ``too_many_streams_session`` or ``too_many_streams_user``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class View:
    """A way of seeing. ``language`` empty: JSON for programs."""

    language: str
    role: str


class Wire(Protocol):
    """The connection of a client: an :class:`asyncio.WriteTransport`."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


@dataclass(eq=False, slots=True)
class Client:
    """One open stream. ``framed``: its connection takes a body as chunks of HTTP/1.1."""

    channel: Channel
    who: Who
    wire: Wire | None = None
    framed: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """The stream ends; its client comes back later."""
    held: list[bytes] | None = field(default_factory=list)
    """What came while the client still gets what it has missed; ``None``: it follows."""
    late_since: float | None = None
    """Since when its connection has not taken everything, as the beats saw it."""

    def follow(self) -> None:
        """From here on everything is written at once."""
        held = b"".join(self.held or ())
        self.held = None
        if held:
            self.take(held, chunk_of(held))

    def take(self, plain: bytes, chunk: bytes) -> None:
        if self.held is not None:
            self.held.append(plain)
        elif self.wire is not None and not self.wire.is_closing():
            self.wire.write(chunk if self.framed else plain)

    def stuck(self, now: float) -> bool:
        """Whether it has been late for too long, or misses too much already."""
        late = self.wire is not None and self.wire.get_write_buffer_size() > 0
        self.late_since = (self.late_since or now) if late else None
        too_late = self.late_since is not None and now - self.late_since > STUCK_S
        return too_late or len(self.held or ()) > HELD

    def drop(self) -> None:
        if self.wire is not None:
            self.wire.abort()


class Channel:
    """One view: what it shows, and everybody who looks at it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.parts: Fragments | None = None
        self.clients: set[Client] = set()
        self._news: list[bytes] = []

    def put(self, frame: bytes) -> None:
        if not self._news:
            asyncio.get_running_loop().call_soon(self.flush)
        self._news.append(frame)

    def flush(self) -> None:
        """Write what has been put."""
        plain = b"".join(self._news)
        self._news.clear()
        if plain:
            chunk = chunk_of(plain)
            for client in self.clients:
                client.take(plain, chunk)


def chunk_of(plain: bytes) -> bytes:
    """As HTTP/1.1 frames a body whose length is not known."""
    return b"%x\r\n%b\r\n" % (len(plain), plain)


class Hub:
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
        self._control, self._records, self._users, self._presenter = (
            control,
            records,
            users,
            presenter,
        )
        self._limit = limit
        self._channels: dict[View, Channel] = {}
        self.clients: set[Client] = set()
        self.row = 0
        """The newest row that was told."""
        self._row_known = False
        self._known_head = 0
        self._changed = asyncio.Event()
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

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for channel in list(self._channels.values()):
                try:
                    self._refresh(channel)
                except Exception:
                    log.exception("view cannot be shown", view=str(channel.view))
                    self._close(channel)
            await asyncio.sleep(CHANGES_EVERY_S)

    def _close(self, channel: Channel) -> None:
        """Its clients come back, and learn why there is nothing to see."""
        self._channels.pop(channel.view, None)
        for client in channel.clients:
            client.over.set()

    def _refresh(self, channel: Channel) -> None:
        now = Fragments.of(self._control, self._scene_of(channel.view), channel.view.role)
        if channel.parts is not None and (change := now.since(channel.parts)):
            channel.put(change)
        channel.parts = now

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
                presenter = self._scene_of(channel.view)
                channel.put(_frames(rows, presenter))
            self.row = rows[-1].row

    def _begin_anew(self) -> None:
        """Everybody shall forget what they have: what came between cannot be told."""
        self.row, self._row_known = self._known_head, True
        for channel in self._channels.values():
            channel.put(_reset(self.row))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            beat = b"event: beat\ndata: " + compact({"row": self.row}) + b"\n\n"
            for view, channel in list(self._channels.items()):
                if channel.clients:
                    channel.put(beat)
                else:
                    del self._channels[view]
            try:
                self.check()
            except sqlite3.Error as error:  # a disk that does not answer: at the next beat
                log.warning("sessions cannot be checked", reason=str(error))

    def check(self) -> None:
        """End the streams of sessions and tokens that no longer count, and of who is stuck."""
        now = time.monotonic()
        good: dict[str, bool] = {}
        for client in list(self.clients):
            who = client.who
            key = who.session or who.token
            if key not in good:
                holder = (
                    self._users.session(key, touch=False) if who.session else self._users.token(key)
                )
                good[key] = holder is not None and holder.role == who.role
            if not good[key]:
                client.over.set()
            if client.stuck(now):
                log.info("slow live client dropped")
                client.drop()

    def end_all(self) -> None:
        """The server stops: every stream ends, and its client comes back later."""
        for client in self.clients:
            client.over.set()

    # --- one client ------------------------------------------------------------------

    def join(self, view: View, who: Who) -> Client:
        """Raises :class:`TooMany`. The caller must :meth:`leave`."""
        if len(self.clients) >= self._limit:
            raise TooMany("too_many_streams")
        key = who.session or who.token
        if sum((one.who.session or one.who.token) == key for one in self.clients) >= PER_SESSION:
            raise TooMany("too_many_streams_session")
        user = who.user_id
        if user is not None and sum(one.who.user_id == user for one in self.clients) >= PER_USER:
            raise TooMany("too_many_streams_user")
        channel = self._channels.get(view)
        if channel is None:
            channel = Channel(view)
            self._refresh(channel)
            self._channels[view] = channel
        client = Client(channel, who)
        channel.clients.add(client)
        self.clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        self.clients.discard(client)
        client.channel.clients.discard(client)

    async def opening(self, client: Client, last_event_id: int | None) -> AsyncIterator[bytes]:
        """What is shown now, and what happened since this client left. What happens meanwhile
        is held for it until it follows."""
        channel, row = client.channel, self.row
        channel.flush()  # up to ``row``: no news for this one
        client.held = []
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
            presenter = self._scene_of(client.channel.view)
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
