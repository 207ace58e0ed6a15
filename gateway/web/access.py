"""The roles as types of a route's parameter: ``who: Staff``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from gateway.core.facts import LANES, Lane
from gateway.web.identity.accounts import Who
from gateway.web.identity.auth import Needs
from gateway.web.site import PageSite, Site
from gateway.wire import PUBLISHED

Public = Annotated[Who | None, Depends(Needs(None))]
View = Annotated[Who, Depends(Needs("view"))]
Staff = Annotated[Who, Depends(Needs("staff"))]
Maintenance = Annotated[Who, Depends(Needs("maintenance"))]
Admin = Annotated[Who, Depends(Needs("admin"))]
HalfIn = Annotated[Who, Depends(Needs("view", "never", always=True))]
"""Somebody who has yet to give the second factor."""
ViewAlways = Annotated[Who, Depends(Needs("view", always=True))]
StaffAlways = Annotated[Who, Depends(Needs("staff", always=True))]
ViewAlwaysProved = Annotated[Who, Depends(Needs("view", "fresh", always=True))]
StaffAlwaysProved = Annotated[Who, Depends(Needs("staff", "fresh", always=True))]
"""Also somebody who has yet to change the first password."""
StaffProved = Annotated[Who, Depends(Needs("staff", "fresh"))]
MaintenanceProved = Annotated[Who, Depends(Needs("maintenance", "fresh"))]
AdminProved = Annotated[Who, Depends(Needs("admin", "fresh"))]
"""For what moves a door, or lets somebody in who then can."""


def lanes_for(who: Who) -> tuple[Lane, ...]:
    """What sensors see of people stays on the gateway, and is for maintenance there."""
    return LANES if who.may("maintenance") else PUBLISHED


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(_site)]


def _page(request: Request) -> PageSite:
    site: PageSite = request.app.state.site
    return site


ThePage = Annotated[PageSite, Depends(_page)]
"""For routes that serve beside any page of Portier, not a gateway's alone."""
