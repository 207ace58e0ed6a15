"""What may be changed on the page: schedules, exceptions, contacts and their hours.

The overlay is a file of the same form in the state folder. Its values take the place of
those in the configuration and are judged with them; wiring stays in the configuration.
"""

from __future__ import annotations

from gateway.settings.problems import meant
from gateway.settings.reading import Reading
from gateway.settings.tree import Node

OF_A_DOOR = ("schedule", "exceptions")


def merge(root: Node, overlay: Node, reading: Reading) -> None:
    """Lay ``overlay`` over ``root``, which is changed; what it may not change is reported."""
    for section, (mark, node) in (overlay.entries or {}).items():
        if section not in ("doors", "contacts"):
            reading.problem(
                mark,
                section[:60],
                "cannot be changed in the overlay",
                meant(section, ("doors", "contacts")),
            )
        elif node.entries is None:
            reading.problem(mark, section, "must be a mapping", "write names below it")
        elif section == "contacts":
            _contacts(root, overlay)
        else:
            _doors(root, node, reading)


def _contacts(root: Node, overlay: Node) -> None:
    there = root.child("contacts")
    new = (overlay.entries or {})["contacts"]
    if there is None or there.entries is None:
        (root.entries or {}).update(contacts=new)
    else:
        there.entries.update(new[1].entries or {})


def _doors(root: Node, doors: Node, reading: Reading) -> None:
    known = root.child("doors")
    names = list((known.entries or {}) if known is not None else {})
    for name, (mark, door) in (doors.entries or {}).items():
        target = known.child(name) if known is not None else None
        if target is None or target.entries is None or door.entries is None:
            reading.problem(mark, f"doors.{name[:60]}", "is not a door", meant(name, names))
            continue
        for key, (at, value) in door.entries.items():
            if key in OF_A_DOOR:
                target.entries[key] = (at, value)
            else:
                reading.problem(
                    at,
                    f"doors.{name}.{key[:60]}",
                    "cannot be changed in the overlay",
                    meant(key, OF_A_DOOR),
                )
