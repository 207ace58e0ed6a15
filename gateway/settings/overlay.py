"""What may be changed on the page: schedules, exceptions, contacts, their hours, and who is
told after whom.

The overlay is a file of the same form in the state folder. Its values take the place of
those in the configuration and are judged with them; wiring stays in the configuration.
"""

from __future__ import annotations

from gateway.settings.values.problems import meant, said
from gateway.settings.values.reading import Reading
from gateway.settings.values.tree import Node

SECTIONS = ("doors", "contacts", "escalations")
OF_A_DOOR = ("schedule", "exceptions")


def merge(root: Node, overlay: Node, reading: Reading) -> None:
    """Lay ``overlay`` over ``root``, which is changed; what it may not change is reported."""
    for section, (mark, node) in (overlay.entries or {}).items():
        if section not in SECTIONS:
            reading.problem(
                mark,
                section[:60],
                said("cannot be changed in the overlay"),
                meant(section, SECTIONS),
            )
        elif node.entries is None:
            reading.problem(mark, section, said("must be a mapping"), said("write names below it"))
        elif section == "doors":
            _doors(root, node, reading)
        else:
            _names(root, section, overlay)


def _names(root: Node, section: str, overlay: Node) -> None:
    """Names are added or take the place of those that are there; of a contact each value by
    itself, so that its channels can stay in the configuration while its hours change."""
    there = root.child(section)
    new = (overlay.entries or {})[section]
    if there is None or there.entries is None:
        (root.entries or {})[section] = new
        return
    for name, (mark, node) in (new[1].entries or {}).items():
        old = there.child(name)
        if section == "contacts" and old is not None and old.entries and node.entries is not None:
            old.entries.update(node.entries)
        else:
            there.entries[name] = (mark, node)


def _doors(root: Node, doors: Node, reading: Reading) -> None:
    known = root.child("doors")
    names = list((known.entries or {}) if known is not None else {})
    for name, (mark, door) in (doors.entries or {}).items():
        target = known.child(name) if known is not None else None
        if target is None or target.entries is None or door.entries is None:
            reading.problem(mark, f"doors.{name[:60]}", said("is not a door"), meant(name, names))
            continue
        for key, (at, value) in door.entries.items():
            if key in OF_A_DOOR:
                target.entries[key] = (at, value)
                if key == "schedule" and value.entries:
                    target.entries.pop("mode", None)  # it counts only without a schedule
            else:
                reading.problem(
                    at,
                    f"doors.{name}.{key[:60]}",
                    said("cannot be changed in the overlay"),
                    meant(key, OF_A_DOOR),
                )
