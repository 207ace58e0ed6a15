"""What all routes of the centre share: the picture, the users and what was granted to them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.sites.audit import Audit
from gateway.sites.building import SiteBuilding
from gateway.sites.grants import Grants, Rights
from gateway.sites.history.records import StoredRecords
from gateway.sites.interfaces import CentreSeen
from gateway.sites.options import CentreOptions
from gateway.sites.overview import Broker, Overview
from gateway.sites.streams import SiteStreams
from gateway.sites.summary import Summaries
from gateway.web.identity.accounts import Who
from gateway.web.identity.users import Users
from gateway.web.options import YEAR_MS
from gateway.web.places import Place
from gateway.web.site import PageSite
from gateway.web.storage.saver import Saver

PLACES = (
    Place("status", "/", "view", "house", main=True),
    Place("alarms", "/alarms", "view", "bell", main=True),
    Place("events", "/logbook", "view", "list", main=True),
    Place("history", "/history", "view", "history", main=True),
    Place("fleet", "/fleet", "view", "activity", main=True),
    Place("people", "/people", "admin", "users", main=True),
    Place("site_audit", "/audit", "admin", "pencil"),
    Place("account", "/account", "view", "user"),
)
"""A role stands for that of the centre: ``admin`` is its owner, ``view`` everybody else."""


class CentreSite(PageSite):
    """Made once at start. ``audit`` is what the commands of ``centre`` report to."""

    handover: Audit
    hub: SiteStreams
    options: CentreOptions
    calls_part = "sites/parts/calls.html"
    styles = ("sites.css",)

    def __init__(
        self, options: CentreOptions, centre: CentreSeen, users: Users, audit: Audit, saver: Saver
    ) -> None:
        super().__init__(options, users, saver)
        self.centre = centre
        self.audit = self.handover = audit
        self.grants = Grants(options.users, options.groups)
        self.summaries = Summaries(centre)
        opens = options.open_history
        self.records = None if opens is None else StoredRecords(opens)
        self.hub = SiteStreams(
            users, self.overview, self.rights, audit.looked, limit=options.max_live
        )
        centre.on_change.append(self.hub.changed)

    @property
    def control(self) -> Broker:  # type: ignore[override]  # made anew, so that it is never old
        return Broker(self.centre)

    @property
    def places(self) -> Sequence[Place]:
        return PLACES

    def role_key(self, who: Who) -> str:
        return "site_role.owner" if who.role == "admin" else "site_role.user"

    def rights(self, who: Who | None) -> Rights:
        """What somebody may; nothing where nobody is logged in."""
        if who is None:
            return Rights(frozenset())
        return self.grants.rights_of(who, self.users)

    def presenter(self, language: str, who: Who | None) -> Overview:
        return self.overview(language, self.rights(who))

    def overview(self, language: str, rights: Rights) -> Overview:
        return Overview(
            self.centre,
            self.summaries,
            self.words(language),
            rights,
            self.options.groups,
            self.options.issuer,
            self.users.name_of,
        )

    def note_all_looks(self, who: Who, overview: Overview) -> None:
        """Somebody is shown every call that stands at a site that they may see."""
        for one in overview.calls:
            self.audit.looked(who.actor, one.site, one.call.id)

    def building(self, gateway: str) -> SiteBuilding | None:
        seen = self.centre.picture.gateways.get(gateway)
        return None if seen is None else SiteBuilding(self.centre, seen)

    def close(self) -> None:
        self.grants.close()
        if self.records is not None:
            self.records.close()


def audit_of(options: CentreOptions, saver: Saver) -> Audit:
    """The audit in the file of the users, which has to be there."""
    return Audit(options.users, saver, life_ms=options.retention.get("audit", YEAR_MS))
