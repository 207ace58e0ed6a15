"""The places of the navigation: which pages there are, for whom, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.web.identity.accounts import Role, Who


class Place(NamedTuple):
    """A page of the navigation. ``main``: it stands in the rail, not only under *More*."""

    name: str
    address: str
    role: Role
    icon: str
    main: bool = False


MENU = (
    Place("status", "/", "view", "house", main=True),
    Place("alarms", "/alarms", "view", "bell", main=True),
    Place("history", "/history", "maintenance", "history", main=True),
    Place("events", "/events", "view", "list", main=True),
    Place("testbook", "/maintenance#testbook", "maintenance", "book-check", main=True),
    Place("maintenance", "/maintenance", "maintenance", "wrench", main=True),
    Place("settings", "/settings", "admin", "settings", main=True),
    Place("points", "/points", "view", "activity"),
    Place("users", "/users", "admin", "users"),
    Place("audit", "/audit", "admin", "pencil"),
    Place("kept", "/kept", "view", "lock"),
    Place("help", "/help", "view", "help"),
    Place("account", "/account", "view", "user"),
    Place("bench", "/bench", "staff", "flask"),
)
BAR_MOST = 3
"""Places of the phone's bar, beside *More*."""


def menu(bench: bool) -> list[Place]:
    """All places of a gateway; that of the bench where there is one."""
    return [place for place in MENU if bench or place.name != "bench"]


def bar(who: Who | None, places: Sequence[Place]) -> list[str]:
    """What the phone's bar leads to: the first places that somebody may see."""
    may_see = [place.name for place in places if who is not None and who.may(place.role)]
    return [*may_see[:BAR_MOST], "more"]


def here(path: str, places: Sequence[Place]) -> str:
    """The place that a page belongs to; empty where it belongs to none."""
    if path in ("/", "/more"):
        return "more" if path == "/more" else "status"
    for start, place in WITHIN.items():
        if path.startswith(start):
            return place
    found = (p.name for p in places if p.address != "/" and path.startswith(p.address))
    return next(found, "")


WITHIN = {"/maintenance/testbook": "testbook", "/timeline/": "alarms", "/sites/": "status"}
"""Pages that have no place of their own, by how their address begins."""
