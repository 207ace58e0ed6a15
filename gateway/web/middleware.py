"""Around every answer: security headers, limits on what comes in, and nothing else."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web.answers import answer
from gateway.web.identity.auth import seen
from gateway.web.shared.problems import Problem

MAX_BODY = 64 * 1024
BODY_S = 20.0
"""So long the whole of a body may take."""
MOST_DIGITS = 12
"""Of a length. Python refuses to read numbers of thousands of them."""
DIRECT = "portier.send"
"""In the scope: the server's own ``send``, whose connection the live stream writes to."""
HEAD = "portier.head"
"""In the scope: the answer is wanted without its body."""
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
    """Adds the headers to every answer and refuses bodies over :data:`MAX_BODY` bytes, and
    those that take longer than :data:`BODY_S`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # The server itself leaves the body out: it knows the method that was asked.
            scope = {**scope, "method": "GET", HEAD: True}

        headers = (*HEADERS, HSTS) if scope["scheme"] == "https" else HEADERS

        async def send_armoured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                known = {name for name, _ in given}
                given += [header for header in headers if header[0] not in known]
                if b"cache-control" not in known:
                    given.append((b"cache-control", b"no-store"))
                message["headers"] = given
            await send(message)

        scope[DIRECT] = send
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > MOST_DIGITS or int(length) > MAX_BODY:
            await self._too_large(scope, receive, send_armoured)
            return
        taken, whole = 0, False
        ends_at = asyncio.get_running_loop().time() + BODY_S

        async def receive_limited() -> Message:
            nonlocal taken, whole
            if whole:  # from here on it waits for the client to leave
                return await receive()
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:  # a body that comes drop by drop
                self._read_by(scope)
                raise HTTPException(408, headers={"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > MAX_BODY:  # a body that did not say how long it is
                    self._read_by(scope)
                    raise HTTPException(413, headers={"Connection": "close"})
            return message

        await self._app(scope, receive_limited, send_armoured)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        """In the reader's language, as every problem; nothing of the body is read."""
        refused = answer(self._read_by(scope), Problem(413, Connection="close"))
        await refused(scope, receive, send)

    def _read_by(self, scope: Scope) -> Request:
        """The request, with who is asking: a body is refused before any route knows it."""
        scope["app"] = self._app
        request = Request(scope)
        if not hasattr(request.state, "who"):
            request.state.who = seen(request)
        return request
