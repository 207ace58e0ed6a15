"""One site in words: what a gateway's own page says of its building, as the centre may show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from gateway.core.snapshot_types import AlarmShown, DoorShown
from gateway.sites.building import Allowed, SiteBuilding
from gateway.web.identity.accounts import Role, may
from gateway.web.presenter.presenter import Presenter
from gateway.web.presenter.terminals import Terminals
from gateway.web.presenter.view_models import AlarmView, DoorView, OverallView, RoomView
from gateway.web.shared.words import Words

SAYS = re.compile(r"mqtt:(?P<issuer>[^ ]+) \(says: user:(?P<id>[0-9]{1,9})\)")
"""How a gateway names somebody whom an issuer has named to it: of the centre that is one of its
users, and of any other a claim."""


def terminals_of(building: SiteBuilding) -> Terminals:
    """The names of points, as far as the gateway publishes them."""
    points = building.seen.info.get("points")
    labels = {str(id): str(name) for id, name in points.items() if name} if points else {}
    return Terminals(labels=labels)


class SitePresenter(Presenter):
    """``role``: that of whoever looks, at this site. ``name_of`` gives the name of a user of the
    centre."""

    control: SiteBuilding

    def __init__(
        self,
        building: SiteBuilding,
        words: Words,
        role: Role,
        allowed: Allowed,
        name_of: Callable[[int], str | None],
    ) -> None:
        self.role = role
        self.allowed = allowed
        self._user_name = name_of
        self.base = f"/sites/{quote(building.seen.id, safe='')}"
        self.alarms_address = f"/alarms?only={quote(building.seen.id, safe='')}"
        super().__init__(
            building,
            words,
            self._actor_name,
            terminals_of(building),
            names=self.may("staff"),
        )

    def may(self, role: Role) -> bool:
        return may(self.role, role)

    @property
    def place(self) -> str:
        """What the site is called."""
        return self.control.name

    def _actor_name(self, actor: str) -> str:
        """Who that is: a user of this centre, or what the gateway calls those of its own."""
        said = SAYS.fullmatch(actor)
        if said is not None and said["issuer"] == self.allowed.issuer:
            id = int(said["id"])
            return self._user_name(id) or self.w("who.gone", name=id)
        via, _, name = actor.partition(":")
        if via == "mqtt" and name.split(" ")[0] == self.allowed.issuer:
            return self.w("who.sites")
        if via in ("web", "mqtt", "link", "display"):  # numbers and names of that gateway
            return self.w(f"site_who.{via}")
        return self.w.get(f"who.{via}", actor, name=name)

    def reason(self, reason: str | None) -> str:
        """The centre has words of its own for what it may not, and for a site that is away."""
        return self.w.get(f"site_reason.{reason}") or super().reason(reason)

    @property
    def connection(self) -> dict[str, str]:
        """``state``: ok or lost, with its sentence."""
        if self.control.connected:
            return super().connection
        kind = self.control.away_reason
        since = ""
        if self.control.since_known:
            since = self.w.clock(self.control.since_utc_ms, self.control.now_utc_ms)
        text = self.w(f"site_trouble.{kind}")
        text = self.w("sites.since", what=text, time=since) if since else text
        return {"state": "lost", "text": text, "advice": self.w("sites.last_known")}

    def _away(self) -> OverallView | None:
        if self.control.connected:
            return None
        return OverallView("lost", "wifi-off", self.w(f"site_trouble.{self.control.away_reason}"))

    def _door(self, id: str, door: DoorShown) -> DoorView:
        view = super()._door(id, door)
        why = self._why_not(id)
        return replace(view, ok=False, why=why) if why else view

    def _why_not(self, door: str) -> str:
        """Why the centre cannot ask for a door at all; what the gateway would say is in the
        door."""
        if not self.allowed.open(door):
            return self.reason("door_not_offered")
        return "" if self.may("staff") else self.reason("role_here")

    @property
    def rooms(self) -> list[RoomView]:
        """Of calls that are over nothing is published as a state."""
        return [replace(room, records=(), has_call=False) for room in super().rooms]

    def hours(self, door: str) -> str:
        """When the gateway lets the centre open a door; empty: always, or never."""
        hours = self.allowed.hours(door)
        return self.w("sites.hours", hours=hours) if hours and self.allowed.open(door) else ""

    def _alarm(self, alarm: AlarmShown) -> AlarmView:
        """What the centre cannot do to it is not offered."""
        view = super()._alarm(alarm)
        may = self.may("staff") and self.allowed.acknowledge and self.control.connected
        return replace(
            view,
            can_acknowledge=view.can_acknowledge and may,
            can_shelve=False,
            can_reset=False,
        )
