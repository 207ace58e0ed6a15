"""The shapes of the API, as OpenAPI documents them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

FIRST_YEAR, LAST_YEAR = 1971, 9000
"""What is asked for outside is a slip of the hand, and calendars end at 9999."""


def _within(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise PydanticCustomError(
            "year", "The year is not between {ge} and {le}", {"ge": FIRST_YEAR, "le": LAST_YEAR}
        )
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within)]
"""RFC 3339 with offset, in a year that there is."""


class Strict(BaseModel):
    """What comes in: unknown fields are an error, not a surprise."""

    model_config = ConfigDict(extra="forbid")


class ProblemShape(BaseModel):
    """RFC 9457. ``reason`` is a stable key for programs; the texts are for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    reason: str | None = None
    instance: str | None = None
    errors: list[dict[str, str]] | None = None


class OpenRequest(Strict):
    reason: str = Field("", max_length=200, description="Why; required in night mode.")
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Lieferung"}]}
    )


class ModeRequest(Strict):
    mode: Literal["automatic", "exit_only", "hold_open", "night", "off", "schedule"]
    until: Moment | None = Field(
        None, description="RFC 3339 with offset; without it as long as the configuration says."
    )
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"mode": "night", "until": "2025-05-01T18:00:00+02:00"}]},
    )


class ServiceRequest(Strict):
    minutes: int = Field(ge=0, le=8 * 60, description="0 ends it.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 60}]})


class TestRequest(Strict):
    __test__ = False  # not a test class, whatever its name says to pytest
    seconds: int = Field(1, ge=1, le=60, description="Never longer than the relay's own limit.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seconds": 1}]})


class RoomTestRequest(Strict):
    minutes: int = Field(10, ge=1, le=30, description="It ends by itself.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 10}]})


class ShelveRequest(Strict):
    minutes: int = Field(ge=0, le=7 * 24 * 60, description="0 takes it off the shelf.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"minutes": 60}]})


Role = Literal["view", "staff", "maintenance", "admin"]


class NewUser(Strict):
    name: str = Field(min_length=1, max_length=40, description="Printable characters.")
    role: Role
    password: str = Field(min_length=10, max_length=200)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "empfang", "role": "staff", "password": "ein langer Satz"}]
        },
    )


class UserShape(BaseModel):
    id: int
    name: str
    role: Role


class Code(Strict):
    code: str = Field(min_length=6, max_length=40, description="Six digits, or a recovery code.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "287082"}]})


class VerdictShape(BaseModel):
    """``broken``: number of the first entry that is not as it was written, and why. ``removed``:
    refusals that the gateway has removed for lack of room, as entries say."""

    intact: bool
    entries: int
    removed: int
    broken: int | None
    reason: str


class NewToken(Strict):
    name: str = Field(min_length=1, max_length=40, description="Printable characters.")
    role: Role
    days: int = Field(365, ge=1, le=3650)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "prometheus", "role": "view", "days": 365}]},
    )


class TokenShape(BaseModel):
    """``by``: who made it, such as ``web:3`` or ``cli:root``. ``orphaned``: whoever that was is no
    user any more, or may less than the token. ``token`` is there only in the answer that makes
    it."""

    name: str
    role: Role
    expires: datetime
    by: str = ""
    orphaned: bool = False
    token: str | None = None


class Me(BaseModel):
    actor: str
    name: str
    role: Role


class Bucket(BaseModel):
    """``time``: its begin. ``count``: the readings in it; 0 with values where one from before was
    still valid, 0 with null where the meter was asked and said nothing. Where nothing was said or
    valid there is no bucket. ``covered_s``: for how long a value was known; null where an older
    version has summed up some of it, so that the mean is of the readings and not of the time."""

    time: datetime
    min: float | None
    mean: float | None
    max: float | None
    count: int
    covered_s: float | None = None


class Change(BaseModel):
    """From ``time`` on the contact or relay was ``active``; null is unknown."""

    time: datetime
    active: bool | None


class HistoryShape(BaseModel):
    """Of a meter ``quantities``, of a contact or relay ``changes``."""

    point: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    quantities: dict[str, list[Bucket]]
    changes: list[Change]


class Accepted(BaseModel):
    """``fact``: event id of the fact that answers the command; null where the disk failed.
    ``reason``: what the command has met although it was taken, such as the other door of a lobby
    that is open, or a door that is open already; empty: nothing."""

    status: Literal["accepted", "merged", "extended"]
    command: str
    fact: str | None
    reason: str = ""
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "accepted",
                    "command": "2f1c",
                    "fact": "csg-office/8d3e/urgent/1742",
                }
            ]
        }
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of every error a route can answer with."""
    always = {401, 403, 422, 429, 500}
    return {status: {"model": ProblemShape} for status in sorted(always | set(statuses))}
