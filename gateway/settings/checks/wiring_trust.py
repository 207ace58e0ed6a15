"""Wiring trust: how hard a terminal must be to forge for what it means to a door or room.

A wire is in the wall. A radio telegram can be recorded and sent again by whoever stands near;
over the network whoever reaches the broker can send anything. What ends a call, opens a locked
door or steers one on fire must therefore be wired.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.core.point_roles import ALL, Trust
from gateway.settings.checks.draft import Draft
from gateway.settings.checks.points import Use, uses
from gateway.settings.model.configuration import Point
from gateway.settings.model.doors import Door


class _Any(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True


ANY: Final = _Any()
"""Accepts every terminal, for whoever judges something else than the wiring."""

ORDER: Final[tuple[Trust, ...]] = ("wired", "radio", "network")
OVER: Final[Mapping[Trust, str]] = {
    "wired": "by wire",
    "radio": "by radio",
    "network": "over the network",
}


def suffices(trust: Trust, role: str) -> bool:
    """Whether a driver of this trust may have the role."""
    return ORDER.index(trust) <= ORDER.index(ALL[role].trust)


def role_of(draft: Draft, use: Use) -> str:
    """The role of a use, by its name in :data:`ALL`: of an activator its kind, of a cord that
    is a meter ``line``, else the role of the use."""
    if use.role == "activator":
        door: Door | None = use.part.value
        return "" if door is None else door.activators[int(use.loc[1])].kind
    point = _point(draft, use.point)
    measured = point is not None and point.kind == "meter"
    return "line" if use.role == "cord" and measured else use.role


def check(draft: Draft) -> None:
    """Report every terminal that is easier to forge than its role allows."""
    for use in uses(draft):
        point = _point(draft, use.point)
        if point is None or point.kind not in use.kinds:
            continue
        role = role_of(draft, use)
        mute = role == "cord" and without_life_sign(point)
        if suffices(point.trust, role) and not mute:
            continue
        if draft.may_stay(role, use.point):
            continue
        if not suffices(point.trust, role):
            least = "wired" if ALL[role].trust == "wired" else "wired or a radio device"
            draft.report(
                use.part,
                use.loc,
                f"{use.point} is reported {OVER[point.trust]} ({point.driver}) and could be forged",
                f"{role.replace('_', ' ')} of {use.owner} must be {least}",
            )
        else:
            draft.report(
                use.part,
                use.loc,
                f"{use.point} is a radio cord without life signals: nobody notices when it is dead",
                "take a device that sends them and write alive_within: 24 h, or wire the cord",
            )


def without_life_sign(point: Point) -> bool:
    """Whether a radio device could be dead without anybody noticing."""
    settings = point.settings
    alive = getattr(settings, "alive_within_ms", 0) or not getattr(settings, "is_button", False)
    return point.trust == "radio" and not alive


def _point(draft: Draft, point: str) -> Point | None:
    part = draft.points.get(point)
    return None if part is None else part.value
