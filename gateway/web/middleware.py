"""Around every answer: security headers, a limit on what comes in, and nothing else."""

from __future__ import annotations

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 1024
MOST_DIGITS = 12
"""Of a length. Python refuses to read numbers of thousands of them."""
DIRECT = "portier.send"
"""In the scope: the server's own ``send``, whose connection the live stream writes to."""
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Armour:
    """Adds the headers to every answer and refuses bodies over :data:`MAX_BODY` bytes."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._headers = (*HEADERS, HSTS) if tls else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_armoured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                known = {name for name, _ in given}
                given += [header for header in self._headers if header[0] not in known]
                if b"cache-control" not in known:
                    given.append((b"cache-control", b"no-store"))
                message["headers"] = given
            await send(message)

        scope[DIRECT] = send
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > MOST_DIGITS or int(length) > MAX_BODY:
            await too_large(scope, send_armoured)
            return
        taken = 0
        started = False

        async def receive_limited() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > MAX_BODY:
                    raise BodyTooLarge
            return message

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send_armoured(message)

        try:
            await self._app(scope, receive_limited, send_noting)
        except BodyTooLarge:
            if started:
                raise
            await too_large(scope, send_armoured)


class BodyTooLarge(Exception):
    """A body without a declared length went over the limit."""


async def too_large(scope: Scope, send: Send) -> None:
    body = json.dumps(
        {
            "type": "about:blank",
            "title": "The request is too large.",
            "status": 413,
            "instance": scope["path"],
        }
    ).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
