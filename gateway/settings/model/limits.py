"""How long a relay may be on: what follows from the door, and what must be written."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings.model.doors import Door

PULSE_MS = 500
SHORTEST_PULSE_MS = 20
LONGEST_PULSE_MS = 5000
MARGIN_MS = 1000
"""A pulsed relay may be on for its pulse and this much."""


@dataclass(frozen=True, slots=True)
class DoorRelay:
    """A relay of a door. ``longest_ms``: what the settings ask of it in one go;
    ``default_ms``: its limit where none is written, ``None``: it must be written, because of
    ``why``."""

    point: str
    role: str
    longest_ms: int
    default_ms: int | None
    why: str
    example: str


def pulse_ms(door: Door) -> int | None:
    """The pulse; ``None`` for a maintained activation."""
    if door.activation.maintained_ms is not None:
        return None
    return PULSE_MS if door.activation.pulse_ms is None else door.activation.pulse_ms


def door_relays(door: Door) -> list[DoorRelay]:
    """The relays of a door with their limits."""
    pulse = pulse_ms(door)
    holds = max((a.hold_open_ms or 0 for a in door.activators), default=0)
    fire = door.on_fire is not None and door.on_fire.action == "open"
    if pulse is not None:
        longest = pulse
        default = None if fire else pulse + MARGIN_MS
    else:
        longest = max(door.activation.maintained_ms or 0, 0 if door.hold_open else holds)
        default = None
    relays = [
        DoorRelay(
            door.activation.point,
            "the activation",
            longest,
            default,
            "a fire alarm holds it" if fire else "it is maintained",
            "1 h",
        )
    ]
    if door.strike is not None:
        on = door.strike.lead_ms + longest + door.strike.tail_ms
        free = None if fire or door.leaf is not None or default is None else on + MARGIN_MS
        why = "it stays released while the leaf is open"
        relays.append(DoorRelay(door.strike.point, "the strike", on, free, why, "10 min"))
    if door.hold_open is not None:
        relays.append(
            DoorRelay(door.hold_open, "hold_open", holds, None, "it holds the door open", "12 h")
        )
    if door.indicator is not None:
        patterns = (door.indicator.accepted_ms, door.indicator.refused_ms, door.indicator.fault_ms)
        longest = max((step for pattern in patterns for step in pattern[::2]), default=0)
        relays.append(
            DoorRelay(
                door.indicator.point, "the indicator", longest, longest + MARGIN_MS, "", "10 s"
            )
        )
    return relays
