"""Open live streams, whatever they show: who may have how many, and what becomes of slow ones.

A *channel* is one way of seeing, such as language and role. Every frame is encoded once and shared
by all who see the same. What happens in one turn of the loop is one piece of bytes, written to the
connection of everybody on the channel in one go, without a task or a copy for each. Who does not
take it for ten seconds is dropped.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.web.live.fragments import Fragments, compact

if TYPE_CHECKING:
    from gateway.web.identity.accounts import Who
    from gateway.web.identity.users import Users

BACKLOG_MOST = 400
"""Pieces that may come while a client still gets what it has missed."""
BEAT_S = 5.0
STUCK_S = 10.0
CHANGES_EVERY_S = 0.1
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
    backlog: list[bytes] | None = field(default_factory=list)
    """What came while the client still gets what it has missed; ``None``: it follows."""
    late_since: float | None = None
    """Since when its connection has not taken everything, as the beats saw it."""

    def follow(self) -> None:
        """From here on everything is written at once."""
        backlog = b"".join(self.backlog or ())
        self.backlog = None
        if backlog:
            self.take(backlog, chunk_of(backlog))

    def take(self, plain: bytes, chunk: bytes) -> None:
        if self.backlog is not None:
            self.backlog.append(plain)
        elif self.wire is not None and not self.wire.is_closing():
            self.wire.write(chunk if self.framed else plain)

    def stuck(self, now: float) -> bool:
        """Whether it has been late for too long, or misses too much already."""
        late = self.wire is not None and self.wire.get_write_buffer_size() > 0
        self.late_since = (self.late_since or now) if late else None
        too_late = self.late_since is not None and now - self.late_since > STUCK_S
        return too_late or len(self.backlog or ()) > BACKLOG_MOST

    def drop(self) -> None:
        if self.wire is not None:
            self.wire.abort()


class Channel:
    """One view: what it shows, and everybody who looks at it."""

    def __init__(self, view: Hashable) -> None:
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


class Streams(ABC):
    """All open streams of a page."""

    changes_every_s = CHANGES_EVERY_S
    """What changes is sent at most so often."""

    def __init__(self, users: Users, *, limit: int = 500) -> None:
        self._users = users
        self._limit = limit
        self._channels: dict[Hashable, Channel] = {}
        self.clients: set[Client] = set()
        self._changed = asyncio.Event()

    @abstractmethod
    def _show(self, view: Hashable) -> Fragments:
        """What is shown now to who sees so."""

    @abstractmethod
    def opening(self, client: Client, last_event_id: int | None) -> AsyncIterator[bytes]:
        """What a client gets first."""

    def _beat_values(self) -> dict[str, object]:
        return {}

    def _is_right(self, client: Client) -> bool:
        """Whether a client still sees what it may."""
        return True

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
            await asyncio.sleep(self.changes_every_s)

    def _close(self, channel: Channel) -> None:
        """Its clients come back, and learn why there is nothing to see."""
        self._channels.pop(channel.view, None)
        for client in channel.clients:
            client.over.set()

    def _refresh(self, channel: Channel) -> None:
        now = self._show(channel.view)
        if channel.parts is not None and (change := now.since(channel.parts)):
            channel.put(change)
        channel.parts = now

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            beat = b"event: beat\ndata: " + compact(self._beat_values()) + b"\n\n"
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
            if not good[key] or not self._is_right(client):
                client.over.set()
            if client.stuck(now):
                log.info("slow live client dropped")
                client.drop()

    def end_all(self) -> None:
        """The server stops: every stream ends, and its client comes back later."""
        for client in self.clients:
            client.over.set()

    def join(self, view: Hashable, who: Who) -> Client:
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
