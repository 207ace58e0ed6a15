"""The live stream (Server-Sent Events)."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.web.access import TheSite, ViewAlways
from gateway.web.live.hub import View as Seeing
from gateway.web.live.streams import Client, Streams, TooMany, Wire
from gateway.web.middleware import DIRECT, HEAD
from gateway.web.page import language_of
from gateway.web.shared.models import problems
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["live"])


class Stream(Response):
    """Opens through the server, at the client's pace; then the hub writes to the connection."""

    media_type = "text/event-stream"

    def __init__(self, hub: Streams, client: Client, last_event_id: int | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._client, self._last = hub, client, last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get(HEAD):
            self._hub.leave(self._client)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self._client.wire, self._client.framed = _wire(scope), scope["http_version"] != "1.0"
        tasks = {asyncio.create_task(self._send(send)), asyncio.create_task(_gone(receive))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._hub.leave(self._client)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for frames in self._hub.opening(self._client, self._last):
            await send({"type": "http.response.body", "body": frames, "more_body": True})
        self._client.follow()
        await self._client.over.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _wire(scope: Scope) -> Wire:
    """The server's connection. The server frames a body without a length as chunks from
    HTTP/1.1 on and remembers nothing of them, so others may be written between its own."""
    connection: Wire = scope[DIRECT].__self__.transport
    return connection


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


EXAMPLE = (
    'event: fact\nid: 1742\ndata: {"row": 1742, "kind": "door_opened", "subject": "front"}\n\n'
)


@router.get(
    "/api/v1/live",
    operation_id="follow_live",
    summary="Everything as it happens",
    response_class=Response,
    responses=problems(503)
    | {
        200: {
            "content": {"text/event-stream": {"example": EXAMPLE}},
            "description": "Events status, fact, beat, reset",
        }
    },
)
async def live(
    request: Request,
    who: ViewAlways,
    site: TheSite,
    view: Annotated[str, Query(pattern="^(json|page)$")] = "json",
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """Everything as it happens: ``status`` when something changed (at most ten a second),
    ``fact`` with the journal's row number as id, ``beat`` every 5 s, ``reset`` where the
    events since ``Last-Event-ID`` are no longer kept.

    One log-in or token has 12 streams at most and one user 40 (429), all have 500 (503).

    ``view=page`` gives the pieces of the page instead of JSON."""
    last = after
    if last_event_id is not None and last_event_id.isdigit() and len(last_event_id) < 17:
        last = int(last_event_id)
    seeing = Seeing(language_of(request), who.role) if view == "page" else Seeing("", "view")
    try:
        client = site.hub.join(seeing, who)
    except TooMany as error:
        status = 503 if error.reason == "too_many_streams" else 429
        raise Problem(status, error.reason, Retry_After="5") from None
    return Stream(site.hub, client, last)
