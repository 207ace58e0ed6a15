"""What a connection may hold: how long it may take for a request, and how many a peer may have.

uvicorn waits for ever for the head of a request, and every silent connection counts against the
limit that all share. Requests whose body comes slowly are ended by
:mod:`gateway.web.middleware`.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections import Counter
from typing import Any, ClassVar

import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.web.shared.proxies import PER_PEER, TOO_MANY_TEXT, Trusted, address_of, peer_of

HEAD_S = 10.0
"""So long a connection may take for the TLS handshake, and again for the whole head of each
request."""
FILES = 2048
"""File descriptors: the connections, and those that have not finished their handshake."""
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\nretry-after: 10\r\ncontent-length: %d\r\n\r\n%b"
    % (len(TOO_MANY_TEXT), TOO_MANY_TEXT)
)


class Loop(uvloop.Loop):
    """Gives a TLS handshake as long as a request's head. uvicorn has no setting for that."""

    async def create_server(self, *args: Any, **values: Any) -> Any:
        if values.get("ssl") is not None:
            values.setdefault("ssl_handshake_timeout", HEAD_S)
        return await super().create_server(*args, **values)


def allow_files() -> None:
    """Raise this process's own limit of open files, as far as the system lets it; the unit of
    systemd does it by itself and forbids this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class BoundedProtocol(H11Protocol):
    """One connection. The class attributes belong to one server, see :func:`protocol_for`."""

    trusted: ClassVar[Trusted]
    per_peer: ClassVar[int]
    head_s: ClassVar[float]
    peers: ClassVar[Counter[str]]
    silent: ClassVar[dict[BoundedProtocol, None]]
    """Those that have to send a head or a body, the one that waits for longest first."""

    _peer = ""
    _refused = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        self._peer = peer_of(host)
        self.peers[self._peer] += 1
        if self.peers[self._peer] > self.per_peer and not self._is_exempt(host):
            self._refused = True
            transport.write(REFUSAL)
            transport.close()
            return
        self._wait_for_head()
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) >= limit:
            oldest = next(iter(self.silent))
            oldest._head_is_there()
            oldest.transport.abort()

    def _is_exempt(self, host: str) -> bool:
        """A proxy has the connections of all its clients; who is on this machine may be one
        that nobody has named. The limit that all share bounds them."""
        address = address_of(host)
        return host in self.trusted or (address is not None and address.is_loopback)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_is_there(body=self.cycle.more_body)
        elif not self.transport.is_closing():
            self._wait_for_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:  # the next came meanwhile
            self._head_is_there()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        self.peers[self._peer] -= 1
        if not self.peers[self._peer]:
            del self.peers[self._peer]
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        """From its first byte on; before that a connection that is kept alive has
        :data:`gateway.web.serve.KEEP_ALIVE_S`."""
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self.transport.abort)
            self.silent[self] = None

    def _head_is_there(self, *, body: bool = False) -> None:
        """``body``: it is still to come. It has a time of its own, but where all connections are
        taken, this one may go for another."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if not body:
            self.silent.pop(self, None)


def protocol_for(
    trusted: Trusted, *, per_peer: int = PER_PEER, head_s: float = HEAD_S
) -> type[BoundedProtocol]:
    """The protocol of one server, which counts by itself."""
    values = {
        "trusted": trusted, "per_peer": per_peer, "head_s": head_s,
        "peers": Counter(), "silent": {},
    }  # fmt: skip
    return type("Protocol", (BoundedProtocol,), values)
