"""What the history shows of a building: four views of it, and the points that somebody chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.web.site import Site

View = Literal["door", "climate", "use", "calls", "points"]
VIEWS: tuple[View, ...] = ("door", "climate", "use", "calls", "points")
LANES_MOST = 12
POINTS_MOST = 8
_RADIO = ("rssi_dbm", "battery_v", "battery_percent")
"""What radio devices say of themselves is no climate."""
_FIRST = {"door": "24h", "climate": "24h", "use": "7d", "calls": "30d", "points": "24h"}


@dataclass(frozen=True, slots=True)
class Charts:
    """What one view is made of. ``lanes``: (sort, id), where the sort is *point*, *mode*,
    *occupancy* or *call*. ``bars``: what is counted (*openings*, *calls*, *visits*), and whose."""

    view: View
    lanes: tuple[tuple[str, str], ...] = ()
    meters: tuple[str, ...] = ()
    bars: tuple[tuple[str, tuple[str, ...]], ...] = ()
    points: tuple[str, ...] = ()
    """Those that somebody chose."""
    subjects: tuple[str, ...] = ()
    """Doors, rooms and points whose events are ticks, of these ``kinds``: all where it is empty."""
    kinds: tuple[str, ...] = ()

    @property
    def first_range(self) -> str:
        """The range that is shown where none was asked for."""
        return _FIRST[self.view]


def views(site: Site) -> list[View]:
    """Those that this building has something for."""
    control = site.control
    found: list[View] = ["door"] if control.doors else []
    if _climates(site):
        found.append("climate")
    if control.doors or _occupied(site):
        found.append("use")
    if _calling(site):
        found.append("calls")
    return [*found, "points"]


def charts_of(site: Site, view: View, points: list[str]) -> Charts:
    control = site.control
    doors, rooms = list(control.doors), list(control.rooms)
    match view:
        case "door":
            lanes = [lane for door in doors for lane in _door(site, door)]
            bars = [("openings", tuple(doors))]
            return Charts(
                view,
                tuple(lanes[:LANES_MOST]),
                bars=tuple(bars),
                subjects=tuple(doors),
                kinds=("alarm_", "fire_", "door_service"),  # the rest is in lanes and bars
            )
        case "climate":
            return Charts(
                view,
                meters=tuple(_climates(site)[:POINTS_MOST]),
                subjects=tuple(rooms),
                kinds=("alarm_", "leak"),
            )
        case "use":
            occupied = _occupied(site)
            counted = [("openings", tuple(doors))] if doors else []
            return Charts(
                view,
                tuple(("occupancy", room) for room in occupied[:LANES_MOST]),
                bars=(*counted, *(("visits", (room,)) for room in occupied)),
            )
        case "calls":
            calling = _calling(site)
            lanes = [("call", room) for room in calling[:LANES_MOST]]
            counts = (("calls", tuple(calling)),)
            return Charts(view, tuple(lanes), bars=counts, subjects=tuple(calling))
        case _:
            kinds = {point: control.points[point]["kind"] for point in points}
            return Charts(
                view,
                tuple(("point", point) for point in points if kinds[point] != "meter"),
                tuple(point for point in points if kinds[point] == "meter"),
                points=tuple(points),
                subjects=tuple(about(site, points)),
            )


def about(site: Site, points: list[str]) -> list[str]:
    """The points themselves and the doors and rooms they serve: whose events are ticks."""
    owners = site.options.terminals.owners
    return list(dict.fromkeys([*(o for p in points for o in owners.get(p, ())), *points]))


def _door(site: Site, door: str) -> list[tuple[str, str]]:
    served, owners = site.options.terminals.served, site.options.terminals.owners
    leaves = [
        point
        for point in site.control.points
        if served.get(point, ("", ""))[1] == "leaf" and door in owners.get(point, ())
    ]
    return [*(("point", leaf) for leaf in leaves[:1]), ("mode", door)]


def _climates(site: Site) -> list[str]:
    """Meters, those of rooms first."""
    found = [
        point
        for point, shown in site.control.points.items()
        if shown["kind"] == "meter" and any(q not in _RADIO for q in shown.get("quantities") or {})
    ]
    rooms = list(site.options.terminals.climates.values())
    return sorted(found, key=lambda point: point not in rooms)


def _occupied(site: Site) -> list[str]:
    """Rooms of which it is known whether somebody is in them."""
    return [id for id, room in site.control.rooms.items() if room.get("occupancy") is not None]


def _calling(site: Site) -> list[str]:
    """Rooms that somebody can call from."""
    return [id for id, room in site.control.rooms.items() if room.get("call") is not None]
