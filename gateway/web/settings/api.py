"""The settings that may be changed on the page, for programs. Wiring stays in the file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.settings.answers import settled
from gateway.web.shared.models import Strict, problems
from gateway.web.shared.problems import Problem

router = APIRouter(tags=["settings"])
IfMatch = Annotated[
    str | None, Header(description="The version that the change is based on, from ETag.")
]
Lines = dict[str, str]
Steps = list[dict[str, str]]


class DoorSections(Strict):
    """Lines as in the configuration: ``mon-fri 07:00-18:00`` and the mode."""

    schedule: Lines | None = None
    exceptions: Lines | None = None


class ContactSections(Strict):
    """``channels``: names of secrets, never addresses."""

    channels: list[dict[str, str]] | None = None
    hours: list[str] | None = None


class Sections(Strict):
    """All that the overlay says. What it does not name counts as in the file."""

    doors: dict[str, DoorSections] = Field(default_factory=dict)
    contacts: dict[str, ContactSections] = Field(default_factory=dict)
    escalations: dict[str, Steps] = Field(default_factory=dict)
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"doors": {"front": {"exceptions": {"2026-12-24": "night"}}}}]
        },
    )


class Back(Strict):
    to: str | None = Field(None, max_length=40, description="A version of `before`; the newest.")
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": None}]})


class PreviewShape(BaseModel):
    """One entry a day; times are the building's own clock."""

    preview: list[dict[str, Any]]


class SettingsShape(PreviewShape):
    """``overlay`` changes, ``effective`` counts; ``problems``: why the overlay was left out;
    ``addresses``: those of contacts to which no message can go, each with the remedy."""

    version: str
    overlay: dict[str, Any]
    effective: dict[str, Any]
    problems: list[str]
    addresses: list[str]
    before: list[dict[str, Any]]
    timezone: str
    holidays: str | None


def _based_on(if_match: str | None) -> str:
    if not if_match:
        raise Problem(428, "needs_version")
    return if_match.strip().removeprefix("W/").strip('"')


def _plain(sections: Sections) -> dict[str, Any]:
    return sections.model_dump(exclude_none=True, exclude_defaults=True)


def _shape(answer: dict[str, Any], response: Response) -> SettingsShape:
    response.headers["ETag"] = f'"{answer["version"]}"'
    addresses = [one["text"] for one in answer.get("addresses", ())]
    return SettingsShape(**{**answer, "addresses": addresses})


@router.get("/api/v1/settings", summary="The settings", responses=problems(503))
async def settings(who: Admin, site: TheSite, response: Response) -> SettingsShape:
    """What may be changed, what counts now, and the next 14 days."""
    return _shape(settled(await site.house.settings("show", {}, who)), response)


@router.put(
    "/api/v1/settings", summary="Change the settings", responses=problems(412, 413, 422, 428, 503)
)
async def put_settings(
    sections: Sections,
    who: AdminProved,
    site: TheSite,
    response: Response,
    if_match: IfMatch = None,
) -> SettingsShape:
    """Write all of the overlay. Said twice, it is done once."""
    args: dict[str, Any] = {"version": _based_on(if_match), "sections": _plain(sections)}
    answer = await site.house.settings("put", args, who, site.author(who, "admin", "fresh").judge)
    return _shape(settled(answer), response)


@router.post(
    "/api/v1/settings/preview",
    summary="Try a change of the settings",
    responses=problems(413, 422, 503),
)
async def preview(sections: Sections, who: Admin, site: TheSite) -> PreviewShape:
    """The next 14 days as they would be; nothing is changed."""
    args = {"sections": _plain(sections)}
    return PreviewShape(**settled(await site.house.settings("preview", args, who)))


@router.post(
    "/api/v1/settings/undo",
    summary="Go back to earlier settings",
    responses=problems(404, 412, 422, 428, 503),
)
async def undo(
    wanted: Back,
    who: AdminProved,
    site: TheSite,
    response: Response,
    if_match: IfMatch = None,
) -> SettingsShape:
    """Go back to an earlier version, as a new one."""
    args: dict[str, Any] = {"version": _based_on(if_match)}
    if wanted.to is not None:
        args["to"] = wanted.to
    answer = await site.house.settings("undo", args, who, site.author(who, "admin", "fresh").judge)
    return _shape(settled(answer), response)
