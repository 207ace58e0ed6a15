"""Sites, calls and alarms as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.events import ATTENDS_MOST
from gateway.web.building.models import AlarmShape, As, StandingCall
from gateway.web.building.view import alarms_json, calls_json, iso, status_json
from gateway.web.identity.accounts import Role
from gateway.web.shared.models import Strict

if TYPE_CHECKING:
    from gateway.sites.overview import Overview
    from gateway.sites.presenter import SitePresenter


class TroubleShape(BaseModel):
    """``kind``: site_offline, site_silent, site_unknown, site_stale, no_health, incomplete,
    unreadable, or the name of a guarantee of the gateway that is *no*; ``reason`` and ``subject``:
    what the gateway says of that."""

    kind: str
    since: datetime | None
    reason: str
    subject: str


class SiteShape(BaseModel):
    """A site. ``role``: that of who asks, there. ``heard``: when the last message came."""

    id: str
    name: str
    groups: list[str]
    role: Role
    presence: Literal["online", "offline", "unknown"]
    since: datetime | None
    heard: datetime | None
    complete: bool
    works: bool
    troubles: list[TroubleShape]
    doors: int
    doors_open: int
    calls: int
    alarms: int
    version: str
    configuration: str


class SiteCallShape(StandingCall):
    """A call and where it is. ``stale``: the site is away, so that it may be over."""

    site: str
    place: str
    stale: bool


class SiteAlarmShape(AlarmShape):
    site: str
    place: str
    stale: bool


SiteTold = Annotated[dict[str, Any], As(SiteShape)]
SiteCallTold = Annotated[dict[str, Any], As(SiteCallShape)]
SiteAlarmTold = Annotated[dict[str, Any], As(SiteAlarmShape)]


class AcknowledgeRequest(Strict):
    attends: str = Field(
        "",
        max_length=ATTENDS_MOST,
        description="The name of whoever goes to the room. Without one the call is only marked as"
        " seen: sounder and notifications go on.",
    )
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"attends": "Frau Weber"}]}
    )


def sites_json(overview: Overview) -> list[dict[str, Any]]:
    """Those that may be seen, in the order of their names."""
    return [site_json(overview, one.id) for one in overview.sites]


def site_json(overview: Overview, id: str) -> dict[str, Any]:
    """Raises :class:`KeyError` for one that is not enrolled."""
    seen = overview.seen(id)
    summary = overview.summary(seen)
    return {
        "id": id,
        "name": summary.name,
        "groups": overview.groups_of(id),
        "role": overview.rights.role_at(id),
        "presence": seen.presence,
        "since": iso(seen.presence_since_utc_ms),
        "heard": iso(seen.heard_utc_ms),
        "complete": seen.complete,
        "works": summary.works,
        "troubles": [
            {
                "kind": one.kind,
                "since": iso(one.since_utc_ms),
                "reason": one.reason,
                "subject": one.subject,
            }
            for one in summary.troubles
        ],
        "doors": summary.doors,
        "doors_open": summary.doors_open,
        "calls": len(summary.calls),
        "alarms": summary.alarms,
        "version": str(seen.info.get("version") or ""),
        "configuration": str(seen.info.get("configuration") or ""),
    }


def _placed(overview: Overview, *, calls: bool) -> Iterator[tuple[SitePresenter, dict[str, Any]]]:
    for one in overview.sites:
        if not (one.calls if calls else one.alarms):
            continue
        presenter = overview.site(one.id)
        if presenter is None:
            continue
        control = presenter.control
        found = calls_json(control, private=presenter.private) if calls else alarms_json(control)
        for told in found:
            place = {"site": one.id, "place": one.name, "stale": control.stale}
            yield presenter, {**told, **place}


def site_calls_json(overview: Overview) -> list[dict[str, Any]]:
    """Every call that stands."""
    return [told for _, told in _placed(overview, calls=True)]


def site_alarms_json(overview: Overview) -> list[dict[str, Any]]:
    return [told for _, told in _placed(overview, calls=False)]


def site_status_json(presenter: SitePresenter) -> dict[str, Any]:
    """The status of a site in the shape of its gateway; ``can_open``: by the centre."""
    told = status_json(presenter.control)
    for door in told["doors"]:
        view = presenter.door(door["id"])
        staff = {**(door.get("can_open") or {}).get("staff", {})}
        if view is not None and not presenter.allowed.open(door["id"]):
            staff |= {"ok": False, "reason": "door_not_offered"}
        door["can_open"] = {"staff": staff}
    return told
