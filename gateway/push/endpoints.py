"""Which addresses push messages may go to.

The address comes from a browser, and ``notify`` calls it: without a list anybody who is logged in
could make the gateway call any machine of the building's network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PROVIDERS: Final = {
    "fcm.googleapis.com": "Google",
    "updates.push.services.mozilla.com": "Mozilla",
    "*.push.apple.com": "Apple",
    "*.notify.windows.com": "Microsoft",
}
"""The push services of the browsers; ``*.``: one or more names before it."""
LONGEST = 1_000
HTTPS_PORT = 443
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%?-]*\Z")


class EndpointError(Exception):
    """No message may go there. The text says why and holds nothing of the address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that is allowed. ``own``: its host is in the configuration, so that it may be in
    the building's own network."""

    host: str
    port: int
    path: str
    own: bool = False

    @property
    def origin(self) -> str:
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


def parse(address: str, own_hosts: Iterable[str] = ()) -> Endpoint:
    """What to call for an address that a browser gave. ``own_hosts``: ``HOST`` or ``HOST:PORT`` of
    the configuration. Raises :class:`EndpointError`."""
    if len(address) > LONGEST:
        raise EndpointError("the address is too long")
    if not address.isascii() or re.search(r"[\x00-\x20\x7f\\]", address):
        raise EndpointError("the address has characters that no address has")
    try:
        parts = urlsplit(address)
        port = parts.port or HTTPS_PORT
    except ValueError:
        raise EndpointError("the address cannot be read") from None
    if parts.scheme != "https":
        raise EndpointError("the address is not https")
    if "@" in parts.netloc or parts.fragment:
        raise EndpointError("the address has a user or a fragment")
    host = parts.hostname or ""
    is_plain = parts.netloc.lower() in {host, f"{host}:{port}"}
    if not is_plain or not _HOST.match(host):
        raise EndpointError("the host is no plain name")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _PATH.match(path):
        raise EndpointError("the path has characters that no address has")
    wanted = {host, f"{host}:{port}"} if port == HTTPS_PORT else {f"{host}:{port}"}
    if wanted & {own.lower() for own in own_hosts}:
        return Endpoint(host, port, path, own=True)
    if port != HTTPS_PORT or provider(host) is None:
        raise EndpointError("the host is none of the push services that are allowed")
    return Endpoint(host, port, path)


def provider(host: str) -> str | None:
    """Who runs the push service of this host, where it is one of :data:`PROVIDERS`."""
    for known, name in PROVIDERS.items():
        if host == known or (known.startswith("*.") and host.endswith(known[1:])):
            return name
    return None
