"""What the display shows: calls, doors and the time; no person, no occupancy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.web.building.guarantees import guarantees
from gateway.web.presenter.rooms import call_view
from gateway.web.site import Site

STAFF = "staff"
"""Who goes, where it is no function of the configuration."""
SOUND_LIFE_S = 30 * 86_400
"""So long it counts that somebody has heard the sound."""


@dataclass(frozen=True, slots=True)
class DisplayCall:
    """``since_utc_ms``: when it was raised, if that is known; ``going``: who goes, in words."""

    id: str
    room_name: str
    state: str
    test: bool
    ringing: bool
    since_utc_ms: int | None
    text: str
    can_acknowledge: bool


def calls(site: Site, language: str) -> list[DisplayCall]:
    """The calls that stand, those that nobody has answered first."""
    presenter, w = site.scene_for(language, names=False), site.words(language)
    found = []
    for id, room in site.control.rooms.items():
        shown, call = call_view(presenter, id, room), room.get("call")
        if shown is None or not call:
            continue
        text = shown.todo if shown.state == "attended" else w("display.todo")
        if shown.state == "acknowledged":
            text = w("display.going", who=going(site, language, call.get("acknowledged_by")))
        found.append(
            DisplayCall(
                shown.id,
                shown.room_name,
                shown.state,
                shown.test,
                shown.ringing,
                call.get("raised_utc_ms"),
                text if not shown.test else w("display.test"),
                shown.can_acknowledge and not shown.test,
            )
        )
    return sorted(found, key=lambda one: (one.test, not one.ringing))


def functions(site: Site, language: str) -> dict[str, str]:
    """Who can say that they go: the contacts of the configuration, which are functions."""
    staff = site.words(language)("role.staff")
    found = {id: name for id, name in site.options.terminals.receivers.items() if name != staff}
    return {**found, STAFF: staff}


def going(site: Site, language: str, actor: str | None) -> str:
    """The function of whoever goes; of a person who is logged in only that it is staff."""
    via, _, name = (actor or "").partition(":")
    known = functions(site, language)
    return known.get(name, known[STAFF]) if via in ("display", "link") else known[STAFF]


def values(site: Site, language: str, now_s: float, heard: float) -> dict[str, Any]:
    """For the part of the page that changes."""
    control = site.control
    guarantee = guarantees(control).get("call")
    found = calls(site, language)
    return {
        "w": site.words(language),
        "connected": control.connected,
        "calls": found,
        "doors": site.scene_for(language, names=False).doors,
        "functions": functions(site, language),
        "doubt": guarantee is not None and guarantee["value"] not in ("yes", "not_configured"),
        "has_calls": any(room.get("call") for room in control.rooms.values()),
        "unheard": now_s - heard > SOUND_LIFE_S,
        "ringing": any(call.ringing for call in found),
    }
