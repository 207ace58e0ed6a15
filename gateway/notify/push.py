"""Hands a push message over (RFC 8030, 8291, 8292): one device, one attempt. The only file that
knows the library for it.

The address comes from a browser. It is judged again before each attempt, the name is looked up
once, and only an address of the internet is called: a host of the configuration alone may be in
the building's network. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from gateway.push import endpoints
from gateway.push.endpoints import Endpoint, EndpointError
from gateway.push.subscriptions import are_keys

TIMEOUT_S = 10.0
"""For each step; :mod:`gateway.notify.delivery_process` limits the whole."""
TTL_S = 3600
"""How long a push service tries to reach a device that is off: later it is no help."""
TAKEN = range(200, 300)
PAYLOAD_MOST = 3_000
"""Bytes; push services take 4,096 encrypted."""


class _Private(OSError):
    """The name leads into a network that is not the internet."""


class _Connection(http.client.HTTPSConnection):
    """Calls the address that was judged, whatever the name leads to a moment later."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=TIMEOUT_S, context=context)
        self._endpoint = endpoint
        self._tls = context

    def connect(self) -> None:
        plain = _connect(self._endpoint)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._endpoint.host)
        except BaseException:
            plain.close()
            raise


def _connect(endpoint: Endpoint) -> socket.socket:
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    allowed = [one for one in found if endpoint.own or is_public(str(one[4][0]))]
    if not allowed:
        raise _Private
    failed: OSError = OSError()
    for family, kind, protocol, _, address in allowed:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


def is_public(text: str) -> bool:
    """Whether an IP address is one of the internet, also where it wraps another one."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if wrapped is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not ip.is_multicast


def send(address: str, payload: str) -> str:
    """One attempt. Empty where the push service has taken it, else why not: ``address``, ``http
    410``, ``connection``, ``timeout``; never a part of the address. ``address``: a device and
    what this gateway needs for it, as :func:`gateway.notify.devices.Devices.address` writes it."""
    try:
        to = json.loads(address)
        endpoint = endpoints.parse(to["endpoint"], to["own_hosts"])
        if not are_keys(to["p256dh"], to["auth"]):
            return "address"
        body, headers = _encrypt(to, payload.encode()[:PAYLOAD_MOST])
    except (EndpointError, ValueError, KeyError, TypeError):
        return "address"
    try:
        return _post(endpoint, body, headers, _trusting(endpoint, to["ca"]))
    except _Private:
        return "address"
    except TimeoutError:
        return "timeout"
    except (OSError, http.client.HTTPException):
        return "connection"


def _encrypt(to: Mapping[str, Any], payload: bytes) -> tuple[bytes, dict[str, str]]:
    from cryptography.hazmat.primitives import serialization
    from webpush import WebPush, WebPushSubscription

    private = str(to["key"]).encode()
    loaded = serialization.load_pem_private_key(private, None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keys = {"p256dh": to["p256dh"], "auth": to["auth"]}
    device = WebPushSubscription.model_validate({"endpoint": to["endpoint"], "keys": keys})
    made = WebPush(private, public, subscriber=to["mail"], ttl=TTL_S).get(payload, device)
    return made.encrypted, {**made.headers, "urgency": "high"}


def _trusting(endpoint: Endpoint, ca: str | None) -> ssl.SSLContext:
    """The system's authorities; of a host of the configuration the one that it names, if any."""
    return ssl.create_default_context(cafile=ca if endpoint.own and ca else None)


def _post(
    endpoint: Endpoint, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext
) -> str:
    connection = _Connection(endpoint, context)
    try:
        sent = {**headers, "Content-Type": "application/octet-stream", "User-Agent": "portier"}
        connection.request("POST", endpoint.path, body, sent)
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status in TAKEN else f"http {status}"


def warm() -> None:
    """Import what the first message needs, before it is needed."""
    import webpush  # noqa: F401
