"""The shape of a log-in, of one's own and of others'."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from gateway.web.identity.sessions import Session
from gateway.wire import calendar_time

SessionId = Annotated[str, Path(max_length=100)]


class SessionShape(BaseModel):
    """``id`` names a log-in and logs nobody in. ``this``: the one that asks."""

    id: str
    begun: datetime
    seen: datetime = Field(description="Last used, to the minute.")
    browser: str = Field(description="Family and system, such as Firefox, Android.")
    this: bool


def session_shape(found: Session, this: str) -> SessionShape:
    """``this``: the id of the session that asks."""
    return SessionShape(
        id=found.id,
        begun=calendar_time(found.begun * 1000),
        seen=calendar_time(found.seen * 1000),
        browser=found.browser,
        this=found.id == this,
    )
