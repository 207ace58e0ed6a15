"""The settings that may be changed on the page, for programs. Wiring stays in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.settings.values.recipients import Kind
from gateway.web.access import Admin, AdminProved, TheSite
from gateway.web.building.view import iso
from gateway.web.commands import Order
from gateway.web.settings.answers import settled
from gateway.web.shared.models import Accepted, Strict, problems
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


class RoomSections(Strict):
    """``escalation``: the chain of its calls; empty: none."""

    escalation: str | None = None


class GatewaySections(Strict):
    """``holidays``: whose public holidays count, such as DE-SN; empty: nobody's."""

    holidays: str | None = None


class ContactSections(Strict):
    """``channels``: ``{"secret": name}`` of the configuration, or ``{"address": …}`` with the id of
    a saved address or a key of ``addresses``; never an address itself. ``push``: whose devices get
    push messages, a role or the name of a user; empty: nobody's."""

    name: str | None = None
    channels: list[dict[str, str]] | None = None
    push: str | None = None
    hours: list[str] | None = None


class Sections(Strict):
    """All that the overlay says. What it does not name counts as in the file."""

    doors: dict[str, DoorSections] = Field(default_factory=dict)
    contacts: dict[str, ContactSections] = Field(default_factory=dict)
    escalations: dict[str, Steps] = Field(default_factory=dict)
    rooms: dict[str, RoomSections] = Field(default_factory=dict)
    alarms: dict[str, str] = Field(
        default_factory=dict, description="Severity -> the chain of such alarms; empty: none."
    )
    gateway: GatewaySections | None = None
    notes: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Door -> line of an exception -> its reason."
    )
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"doors": {"front": {"exceptions": {"2026-12-24": "night"}}}}]
        },
    )


class NewAddress(Strict):
    """An address of a person. It is saved apart, and nothing ever answers with it."""

    kind: Kind
    to: str = Field(min_length=1, max_length=500)


class NewSections(Sections):
    """All that the overlay shall say, and the addresses that come with it."""

    addresses: dict[str, NewAddress] = Field(default_factory=dict)


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
    ways: dict[str, list[dict[str, str]]] = Field(
        default_factory=dict,
        description="Contact -> its addresses: kind, as much as may be shown, id.",
    )
    kinds: list[str] = Field(default_factory=list, description="Of addresses that can be added.")
    changes: list[dict[str, Any]] = Field(
        default_factory=list, description="What each saved change has changed, the newest first."
    )
    coming: list[dict[str, Any]] = Field(
        default_factory=list, description="The public holidays of the next twelve months."
    )
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
    return sections.model_dump(exclude_none=True, exclude_defaults=True, exclude={"addresses"})


def _shape(answer: dict[str, Any], response: Response) -> SettingsShape:
    response.headers["ETag"] = f'"{answer["version"]}"'
    addresses = [one["text"] for one in answer.get("addresses", ())]
    return SettingsShape(**{**answer, "addresses": addresses})


@router.get(
    "/api/v1/settings", operation_id="get_settings", summary="The settings", responses=problems(503)
)
async def settings(who: Admin, site: TheSite, response: Response) -> SettingsShape:
    """What may be changed, what counts now, and the next 14 days."""
    return _shape(settled(await site.control.settings("show", {}, who)), response)


@router.put(
    "/api/v1/settings",
    operation_id="change_settings",
    summary="Change the settings",
    responses=problems(412, 413, 422, 428, 503),
)
async def put_settings(
    sections: NewSections,
    who: AdminProved,
    site: TheSite,
    response: Response,
    if_match: IfMatch = None,
) -> SettingsShape:
    """Write all of the overlay. Said twice, it is done once."""
    args: dict[str, Any] = {"version": _based_on(if_match), "sections": _plain(sections)}
    if sections.addresses:
        args["addresses"] = {key: one.model_dump() for key, one in sections.addresses.items()}
    answer = await site.control.settings("put", args, who, site.author(who, "admin", "fresh").judge)
    return _shape(settled(answer), response)


@router.post(
    "/api/v1/settings/preview",
    operation_id="preview_settings",
    summary="Try a change of the settings",
    responses=problems(413, 422, 503),
)
async def preview(sections: Sections, who: Admin, site: TheSite) -> PreviewShape:
    """The next 14 days as they would be; nothing is changed."""
    args = {"sections": _plain(sections)}
    return PreviewShape(**settled(await site.control.settings("preview", args, who)))


@router.post(
    "/api/v1/settings/undo",
    operation_id="undo_settings",
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
    answer = await site.control.settings(
        "undo", args, who, site.author(who, "admin", "fresh").judge
    )
    return _shape(settled(answer), response)


class WayShape(BaseModel):
    """One address of a contact. ``shown``: as much of it as may be shown, of ``push`` the role or
    the user whose devices it leads to; ``ok``: whether the
    newest message was handed over, ``null`` where none was tried, and else why not;
    ``confirmed``: whoever got the last test message by hand has said so."""

    kind: str
    shown: str
    ok: bool | None = None
    reason: str = ""
    at: str | None = None
    delivered: str | None = None
    under_way: bool = False
    confirmed: bool = False


def _result(way: Mapping[str, Any]) -> dict[str, Any]:
    at, delivered = way["at_utc_ms"], way["delivered_utc_ms"]
    return {
        "ok": way["ok"],
        "reason": way["reason"],
        "at": None if at is None else iso(at),
        "delivered": None if delivered is None else iso(delivered),
        "under_way": way["under_way"],
        "confirmed": way["confirmed"],
    }


class ContactShape(BaseModel):
    id: str
    name: str
    on_duty: bool | None
    ways: list[WayShape]


@router.get(
    "/api/v1/contacts",
    operation_id="list_contacts",
    summary="Who can be notified",
    responses=problems(503),
)
async def contacts(who: Admin, site: TheSite) -> list[ContactShape]:
    """Every contact with its addresses, masked, and what became of the newest message to each."""
    shown = settled(await site.control.settings("show", {}, who))
    snapshot: Any = site.control.snapshot or {}
    found = []
    for id, one in shown["effective"]["contacts"].items():
        known = (snapshot.get("receivers") or {}).get(id) or {}
        results = known.get("ways", ())
        ways = [
            WayShape(
                kind=way["kind"],
                shown=way["shown"],
                **(_result(results[number]) if number < len(results) else {}),
            )
            for number, way in enumerate(shown["ways"].get(id, ()))
        ]
        on_duty = known.get("on_duty")
        found.append(ContactShape(id=id, name=one.get("name") or id, on_duty=on_duty, ways=ways))
    return found


@router.post(
    "/api/v1/contacts/{contact}/test",
    operation_id="test_contact",
    summary="Send a test message",
    status_code=202,
    responses=problems(404, 409, 503),
)
async def test_contact(contact: str, who: AdminProved, order: Order) -> Accepted:
    """Send a test message now, over every address of a contact. What becomes of it is in
    `GET /api/v1/contacts`."""
    return await order(who, "test_message", {"receiver": contact[:200]})
