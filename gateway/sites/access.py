"""Who may call a route of the centre, as types of its parameters: ``at: StaffAt``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from gateway.sites.interfaces import GatewaySeen
from gateway.sites.page_site import CentreSite
from gateway.sites.presenter import SitePresenter
from gateway.web.identity.accounts import Role, Who
from gateway.web.identity.auth import Needs, Proof
from gateway.web.page import language_of
from gateway.web.shared.problems import Problem


def _centre(request: Request) -> CentreSite:
    site: CentreSite = request.app.state.site
    return site


TheCentre = Annotated[CentreSite, Depends(_centre)]


@dataclass(frozen=True, slots=True)
class At:
    """Somebody at a site. ``role``: what they are there."""

    who: Who
    seen: GatewaySeen
    role: Role
    presenter: SitePresenter

    def note_looks(self, site: CentreSite) -> None:
        """Whoever looks is shown the calls that stand there."""
        for room in self.presenter.control.rooms.values():
            call = room.get("call")
            if call and call["state"] != "quiet":
                site.audit.looked(self.who.actor, self.seen.id, str(call["id"]))


class NeedsAt(Needs):
    """The dependency by which a route about one site (``{site}`` in its address) says which role is
    needed there. A site that somebody may not see does not exist for them."""

    def __init__(self, role_at: Role, proof: Proof = "login") -> None:
        super().__init__("view", proof, always=True)
        self.role_at = role_at

    @property
    def least_role(self) -> Role | None:
        return self.role_at

    async def __call__(self, request: Request) -> At:  # type: ignore[override]  # says more
        who = await super().__call__(request)
        assert who is not None  # noqa: S101  # a role is needed
        site = _centre(request)
        rights, gateway = site.rights(who), str(request.path_params["site"])
        seen, role = site.centre.picture.gateways.get(gateway), rights.role_at(gateway)
        presenter = site.overview(language_of(request), rights).site(gateway)
        if seen is None or role is None or presenter is None:
            raise Problem(404, "unknown_site")
        if not rights.may(gateway, self.role_at):
            raise Problem(403, "role_here")
        return At(who, seen, role, presenter)


ViewAt = Annotated[At, Depends(NeedsAt("view"))]
StaffAt = Annotated[At, Depends(NeedsAt("staff"))]
StaffAtProved = Annotated[At, Depends(NeedsAt("staff", "fresh"))]
MaintenanceAt = Annotated[At, Depends(NeedsAt("maintenance"))]
