"""The pieces of the page of one site, each made again when the site has changed."""

from __future__ import annotations

from typing import Any

from gateway.sites.presenter import SitePresenter
from gateway.web.live.fragments import building_parts
from gateway.web.shared.render import fragment

NOTHING = {"view": True, "staff": False, "maintenance": False, "admin": False}
"""What is done on a gateway's own page, and not from the centre."""


def site_parts(site: SitePresenter) -> dict[str, Any]:
    values = building_parts(site, NOTHING)
    may = {**NOTHING, "staff": site.may("staff")}
    shown = {"presenter": site, "site": site, "w": site.w, "may": may, "csrf": ""}
    values["stale"] = site.control.stale
    values["html:alarms"] = fragment("parts/alarms.html", shown)
    values["html:site-connection"] = fragment("sites/parts/connection.html", shown)
    for door in site.doors:
        values[f"door:{door.id}"]["name"] = confirmation(site, door.name, door.state_text)
    return values


def confirmation(site: SitePresenter, door: str, state: str) -> str:
    """What is asked before a door opens: its place, the door, and what it does now."""
    return site.w("sites.door_named", place=site.place, door=door, state=state)
