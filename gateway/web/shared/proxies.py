"""Reverse proxies: who a request comes from, over which scheme, and for which host.

What a proxy reports in ``X-Forwarded-*`` is believed only where the connection comes from an
address of ``web.trusted_proxies``; from everybody else these headers are as if they were not
there, since anybody may write them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, cast

import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger("web")
FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
LONGEST_HOST = 255
PER_PEER = 100
"""Connections of one peer; behind a trusted proxy, requests of one visitor. Browsers keep six at
most, and several share an address."""
TOO_MANY_TEXT = b"Too many connections from one peer"
TOO_MANY = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(TOO_MANY_TEXT)).encode()),
    (b"retry-after", b"10"),
]


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """A peer as an address; IPv4 in its IPv6 form is IPv4. ``None``: it is none."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def peer_of(host: str) -> str:
    """What one peer is counted under: an IPv4 address, or the /64 of an IPv6 one, since whoever
    has one of those addresses has them all."""
    found = address_of(host)
    if isinstance(found, IPv6Address):
        return str(ip_network(f"{found}/64", strict=False))
    return host[:LONGEST_HOST] if found is None else str(found)


def peer(request: Request) -> str:
    """The peer of a request, see :func:`peer_of`; of one through a trusted proxy its client."""
    return peer_of(request.client.host) if request.client else ""


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, with us or with a trusted proxy."""
    return bool(request.scope["scheme"] == "https")


class Trusted:
    """The addresses and networks of the proxies that are believed."""

    def __init__(self, proxies: Iterable[str]) -> None:
        self.names = list(proxies)
        self._networks = [ip_network(name) for name in self.names]

    def __contains__(self, host: str) -> bool:
        found = address_of(host)
        return found is not None and any(found in network for network in self._networks)


class VisitorLimit:
    """How many requests of one visitor behind a proxy may run at one time, live streams included.

    A proxy has the connections of all its visitors, so that counting them says nothing
    (:mod:`gateway.web.shared.connections`): behind it a visitor has as many requests as a peer has
    connections. Where the proxy names nobody, nobody is counted: it would be all of them."""

    def __init__(self, app: ASGIApp, trusted: Trusted, most: int) -> None:
        self._app, self._trusted, self._most = app, trusted, most
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = (scope.get("client") or ("", 0))[0]
        if not host or host in self._trusted:
            await self._app(scope, receive, send)
            return
        visitor = peer_of(host)
        if self._running[visitor] >= self._most:
            await send({"type": "http.response.start", "status": 503, "headers": TOO_MANY})
            await send({"type": "http.response.body", "body": TOO_MANY_TEXT})
            return
        self._running[visitor] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[visitor] -= 1
            if not self._running[visitor]:
                del self._running[visitor]


class Forwarded:
    """Puts what trusted proxies report into the scope, around everything that reads it.

    ``X-Forwarded-For`` is read from the right, past trusted proxies, and ``X-Forwarded-Proto``
    becomes the scheme (uvicorn's own middleware does both). ``X-Forwarded-Host`` becomes the
    ``Host``, which nginx rewrites unless told otherwise: browsers name the one they know in
    ``Origin``."""

    def __init__(
        self, app: ASGIApp, proxies: Iterable[str], *, per_visitor: int = PER_PEER
    ) -> None:
        self._app = app
        self._trusted = Trusted(proxies)
        limited = VisitorLimit(app, self._trusted, per_visitor)
        self._inner = ProxyHeadersMiddleware(cast("Any", limited), self._trusted.names)
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host, port = scope.get("client") or ("", 0)
        address = address_of(host)
        if address is not None:
            scope["client"] = (str(address), port)
        if host not in self._trusted:
            self._hint(scope, host)
            await self._app(scope, receive, send)
            return
        named = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
        if named:
            first = named[0].partition(b",")[0].strip()
            if 0 < len(first) <= LONGEST_HOST:
                others = [header for header in scope["headers"] if header[0] != b"host"]
                scope["headers"] = [(b"host", first), *others]
        await self._inner(cast("Any", scope), cast("Any", receive), cast("Any", send))

    def _hint(self, scope: Scope, host: str) -> None:
        """Once: the owner may have forgotten to name the proxy."""
        if not self._warned and any(name in FORWARDED for name, _ in scope["headers"]):
            self._warned = True
            log.warning(
                "X-Forwarded headers are ignored: web.trusted_proxies does not name their sender",
                sender=host,
            )
