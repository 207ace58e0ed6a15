"""What the points are called by people: "Haupteingang, Taster innen" for front.button_inside.

The configuration says which door or room a point serves, and as what; from that come names
in both languages. Watched points have texts of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.point_roles import DOOR, ROOM
from gateway.settings.model.configuration import Settings
from gateway.settings.model.doors import Door
from gateway.settings.model.named_points import points_of
from gateway.settings.model.rooms import Room
from gateway.web.shared.words import Words


class Limit(NamedTuple):
    """A value of a meter at which an alarm begins. ``kind``: the alarm, as in its id."""

    quantity: str
    value: float
    above: bool
    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class Terminals:
    """``served``: point -> (name of door or room, its part there), the part being a key of
    the words. ``labels``: what the electrician wrote. ``watches``: id -> language -> text."""

    served: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    watches: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    receivers: Mapping[str, str] = field(default_factory=dict)
    """Contact -> what staff call it."""
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Point -> ids of the doors and rooms it serves."""
    overrides: Mapping[str, int] = field(default_factory=dict)
    """Door -> how long a mode lasts that staff set without an end, in ms."""
    climates: Mapping[str, str] = field(default_factory=dict)
    """Room -> the point that measures its climate."""
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    """Meter -> where its alarms begin."""

    def points_of(self, owner: str) -> list[str]:
        """All points that serve a door or room, by its id."""
        return [point for point, owners in self.owners.items() if owner in owners]

    def of(self, owner: str) -> list[str]:
        """The points that tell most of a door: its leaf and its activation."""
        parts = {part: point for point, (name, part) in self.served.items() if name == owner}
        return [parts[part] for part in ("leaf", "activation") if part in parts]

    def name(self, words: Words, point: str) -> str:
        """The point's name for people; what the electrician wrote, or its id, where it serves
        nothing."""
        if point not in self.served:
            return self.labels.get(point, point)
        owner, part = self.served[point]
        return f"{owner}, {words.get(f'terminal.{part}', part)}"

    def part(self, words: Words, point: str) -> str:
        """What the point is where it serves, without the name of its door or room."""
        if point not in self.served:
            return self.name(words, point)
        said = words.get(f"terminal.{self.served[point][1]}", point)
        return f"{said} {self.labels[point]}" if point in self.labels else said

    def watch(self, words: Words, id: str) -> str:
        """What the configuration says when this watch trips; empty where it says nothing."""
        texts = self.watches.get(id, {})
        return texts.get(words.language) or next(iter(texts.values()), "")


def terminals_of(settings: Settings) -> Terminals:
    """The names of all points of a configuration; the first use of a point names it."""
    served: dict[str, tuple[str, str]] = {}
    owners: dict[str, tuple[str, ...]] = {}
    for id, door in settings.doors.items():
        for part, point in _door(door):
            served.setdefault(point, (door.name or id, part))
            owners[point] = (*owners.get(point, ()), id)
    for id, room in settings.rooms.items():
        for part, point in _room(room):
            served.setdefault(point, (room.name or id, part))
            owners[point] = (*owners.get(point, ()), id)
    labels = {
        name: label for name, point in settings.points.items() if (label := point.options.label)
    }
    watches: dict[str, dict[str, str]] = {
        id: {str(language): text for language, text in watch.texts.items()}
        for id, watch in settings.watch.items()
        if watch.texts
    }
    receivers = {id: contact.name or id for id, contact in settings.contacts.items()}
    climates = {id: room.climate for id, room in settings.rooms.items() if room.climate}
    overrides = {id: door.override_for_ms for id, door in settings.doors.items()}
    return Terminals(
        served, labels, watches, receivers, owners, overrides, climates, _limits(settings)
    )


def _limits(settings: Settings) -> dict[str, tuple[Limit, ...]]:
    """What is watched, and the frost and mould of rooms."""
    found: dict[str, tuple[Limit, ...]] = {}

    def add(point: str, *limit: Limit) -> None:
        found[point] = (*found.get(point, ()), *limit)

    for id, room in settings.rooms.items():
        if room.climate:
            add(
                room.climate,
                Limit("temperature_c", room.frost_below_c, above=False, kind="frost", subject=id),
                Limit(
                    "humidity_percent", room.mould_above_percent, above=True, kind="mould",
                    subject=id,
                ),
            )  # fmt: skip
    for id, watch in settings.watch.items():
        for value, above in ((watch.above, True), (watch.below, False)):
            if watch.quantity and value is not None:
                add(watch.point, Limit(watch.quantity, value, above, f"watch:{id}", watch.point))
    return found


def _door(door: Door) -> Iterator[tuple[str, str]]:
    for activator in door.activators:
        yield f"{activator.kind}_{activator.side}", activator.point
    for role, point, _ in points_of(door, DOOR):
        if role.terminal:
            yield role.terminal, point


def _room(room: Room) -> Iterator[tuple[str, str]]:
    for role, point, _ in points_of(room, ROOM):
        if role.terminal:
            yield role.terminal, point
