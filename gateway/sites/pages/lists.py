"""Lists over all sites: alarms and the fleet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.sites.access import TheCentre
from gateway.sites.overview import Overview
from gateway.sites.presenter import SitePresenter
from gateway.sites.summary import apart
from gateway.web.access import ViewAlways
from gateway.web.page import language_of, page
from gateway.web.presenter.presenter import SEVERITIES
from gateway.web.presenter.view_models import AlarmView
from gateway.web.shared.words import NARROW, Words

router = APIRouter(include_in_schema=False)
ALARMS_MOST = 200
DIGEST_SHORT = 8
STRANGERS_MOST = 20


@dataclass(frozen=True, slots=True)
class PlacedAlarm:
    site: SitePresenter
    alarm: AlarmView


@router.get("/alarms")
async def alarms(
    request: Request, who: ViewAlways, site: TheCentre, only: str = "", said: str = ""
) -> Response:
    """The gravest first; ``only``: those of one site."""
    shown = site.presenter(language_of(request), who)
    found = placed_alarms(shown, only)
    values = {
        "presenter": shown,
        "alarms": found[:ALARMS_MOST],
        "more": max(0, len(found) - ALARMS_MOST),
        "only": only,
        "note": site.signer.read(said),
    }
    return page(request, "sites/alarms.html", values)


def placed_alarms(shown: Overview, only: str = "") -> list[PlacedAlarm]:
    """All alarms of the sites that may be seen, the gravest first."""
    found: list[PlacedAlarm] = []
    for one in shown.sites:
        if not one.alarms or (only and one.id != only):
            continue
        presenter = shown.site(one.id)
        if presenter is None:
            continue
        with apart(one.id):
            found += [PlacedAlarm(presenter, alarm) for alarm in presenter.open_alarms]
    return sorted(
        found,
        key=lambda one: (
            SEVERITIES.index(one.alarm.severity) if one.alarm.severity in SEVERITIES else 9,
            one.alarm.state != "active",
        ),
    )


@dataclass(frozen=True, slots=True)
class FleetRow:
    """``old``: its version is older than the newest there is."""

    id: str
    name: str
    address: str
    presence: str
    wrong: bool
    version: str
    old: bool
    configuration: str
    backlog: str
    disk: str
    clock: str
    clock_wrong: bool
    heard: str


@router.get("/fleet")
async def fleet(request: Request, who: ViewAlways, site: TheCentre) -> Response:
    """What runs where. Nothing is updated from here."""
    shown = site.presenter(language_of(request), who)
    rows = fleet_rows(shown)
    versions = Counter(row.version for row in rows if row.version)
    newest = max(versions, key=version_key, default="")
    values: dict[str, Any] = {"presenter": shown, "rows": rows, "newest": newest}
    values["old"] = sum(row.old for row in rows)
    values["strangers"] = sorted(filter(None, site.centre.picture.strangers))[:STRANGERS_MOST]
    if not shown.rights.owner:
        values["strangers"] = []
    return page(request, "sites/fleet.html", values)


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """For sorting: numbers as numbers; a version with letters (``0.3.0rc1``) comes before others
    of its number."""
    parts: list[tuple[int, int | str]] = []
    for part in version.replace("-", ".").replace("+", ".").split("."):
        number = "".join(c for c in part if c.isdecimal()) or "0"
        parts.append((int(number), 0) if part.isdecimal() else (int(number) - 1, part))
    return tuple((n, -1 if isinstance(rest, str) else 0) for n, rest in parts)


def fleet_rows(shown: Overview) -> list[FleetRow]:
    w = shown.w
    versions = [str(shown.seen(one.id).info.get("version") or "") for one in shown.sites]
    newest = max(map(version_key, filter(None, versions)), default=())
    rows = []
    for one, version in zip(shown.sites, versions, strict=True):
        seen = shown.seen(one.id)
        health: dict[str, Any] = dict(seen.health or {})
        clock = health.get("clock")
        trusted = clock.get("trusted") if isinstance(clock, dict) else None
        backlog = health.get("backlog")
        rows.append(
            FleetRow(
                id=one.id,
                name=one.name,
                address=f"/sites/{one.id}",
                presence=w(f"sites.presence_{seen.presence}"),
                wrong=shown.is_wrong(one),
                version=version,
                old=bool(version) and version_key(version) < newest,
                configuration=str(seen.info.get("configuration") or "")[:DIGEST_SHORT],
                backlog=w.number(backlog, 0) if isinstance(backlog, int) else "",
                disk=_disk(w, health.get("disk")),
                clock=_clock(w, trusted),
                clock_wrong=trusted is False,
                heard=shown.utc(seen.heard_utc_ms),
            )
        )
    return rows


def _clock(w: Words, trusted: object) -> str:
    if not isinstance(trusted, bool):
        return ""
    return w("sites.clock_yes") if trusted else w("sites.clock_no")


def _disk(w: Words, disk: object) -> str:
    """Free space in gigabytes, where the gateway says it."""
    free = disk.get("free_bytes") if isinstance(disk, dict) else None
    if not isinstance(free, int):
        return ""
    return f"{w.number(free / 1e9, 1)}{NARROW}GB"
