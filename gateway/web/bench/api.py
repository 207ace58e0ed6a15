"""The bench: simulated points only. 404 on a gateway with real ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field, StrictBool, StrictFloat

from gateway.web.access import Staff, TheSite
from gateway.web.bench import actions
from gateway.web.shared.models import Strict, problems

router = APIRouter(tags=["bench"])
Point = Annotated[str, Path(max_length=200)]


class Press(Strict):
    for_ms: int = Field(actions.PRESS_MS, ge=1, le=60_000)
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"for_ms": 300}]})


class Value(Strict):
    """``value``: true and false hold a contact, a number is what a meter measures."""

    value: StrictBool | StrictFloat
    quantity: str = Field("", max_length=100, description="Of a meter that measures several.")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"value": True}, {"value": 21.5, "quantity": "temperature_c"}]
        },
    )


@router.post(
    "/api/v1/bench/points/{point}/press",
    operation_id="press_point",
    summary="Press a simulated contact",
    status_code=204,
    responses=problems(404, 409, 503),
)
async def press(point: Point, who: Staff, site: TheSite, wanted: Press | None = None) -> Response:
    """Press a simulated contact, and let it go again after a while."""
    await actions.press(site, point, (wanted or Press.model_validate({})).for_ms)
    return Response(status_code=204)


@router.put(
    "/api/v1/bench/points/{point}",
    operation_id="set_point",
    summary="Set a simulated point",
    status_code=204,
    responses=problems(404, 409, 503),
)
async def set_value(point: Point, wanted: Value, who: Staff, site: TheSite) -> Response:
    """Hold a simulated contact on or off, or let a simulated meter measure something."""
    await actions.set_value(site, point, wanted.value, wanted.quantity)
    return Response(status_code=204)
