"""The shapes of the API, as OpenAPI documents them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


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


class Accepted(BaseModel):
    """``fact``: event id of the fact that answers the command; null where the disk failed."""

    status: Literal["accepted", "merged", "extended"]
    command: str
    fact: str | None
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
    return {
        status: {"model": ProblemShape, "content": {"application/problem+json": {}}}
        for status in sorted(always | set(statuses))
    }
