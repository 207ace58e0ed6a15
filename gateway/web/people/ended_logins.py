"""The message after ending log-ins, while the disk does not answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.web.page import language_of
from gateway.web.site import PageSite
from gateway.web.storage import saver

NOTES = {"until_restart": "session.until_restart"}
"""What was done and does not hold as usual -> its text."""


class UntilRestart(BaseModel):
    """It has ended and the disk does not answer: a restart before it does would undo that."""

    status: Literal["until_restart"] = "until_restart"
    detail: str
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "until_restart", "detail": "Beendet, aber noch nicht gespeichert …"}
            ]
        }
    )


ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": UntilRestart, "description": "Ended, and not written down yet."}
}


def ended(request: Request, site: PageSite, durable: bool) -> Response:
    """The answer to whoever ended a log-in."""
    if durable:
        return Response(status_code=204)
    detail = site.words(language_of(request))("session.until_restart")
    return JSONResponse(UntilRestart(detail=detail).model_dump())


async def end_log_ins(site: PageSite) -> bool:
    """After log-ins were ended in memory: their streams end, and it is written down. Whether that
    is durable. If not, the disk does not answer, and a restart before it does would make them
    valid again: whoever asked is to be told so."""
    site.hub.check()
    return await site.saver.soon(site.users.save_ended, saver.ENDED_S)
