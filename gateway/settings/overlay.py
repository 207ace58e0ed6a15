"""What may be changed on the page: schedules, exceptions, whose public holidays count, contacts,
their hours, who is told after whom, and of which room or which alarms.

The overlay is a file of the same form in the state folder. Its values take the place of
those in the configuration and are judged with them; wiring stays in the configuration.
"""

from __future__ import annotations

from gateway.settings.values.problems import phrase, suggest
from gateway.settings.values.reading import Reading
from gateway.settings.values.tree import Node

NOTE_LONGEST = 120
SECTIONS = ("gateway", "doors", "rooms", "contacts", "escalations", "alarms")
NOTES = "notes"
"""Door -> why there is an exception, by its line: for people, and no part of the configuration."""
DEEP = ("doors", "rooms", "contacts", NOTES)
"""Sections in which each value below a name is changed by itself."""
OF_A_DOOR = ("schedule", "exceptions")
OF_A_ROOM = ("escalation",)
OF_THE_GATEWAY = ("holidays",)


def merge(root: Node, overlay: Node, reading: Reading) -> None:
    """Lay ``overlay`` over ``root``, which is changed; what it may not change is reported."""
    for section, (mark, node) in (overlay.entries or {}).items():
        if section == NOTES and node.entries is not None:
            _notes(node, reading)
        elif section not in SECTIONS:
            reading.problem(
                mark,
                section[:60],
                phrase("cannot be changed in the overlay"),
                suggest(section, SECTIONS),
            )
        elif node.entries is None:
            reading.problem(
                mark, section, phrase("must be a mapping"), phrase("write names below it")
            )
        elif section == "doors":
            _parts(root, "doors", node, OF_A_DOOR, reading)
        elif section == "rooms":
            _parts(root, "rooms", node, OF_A_ROOM, reading)
        elif section == "gateway":
            _keys(root.child("gateway"), node, "gateway", OF_THE_GATEWAY, reading)
        else:
            _names(root, section, overlay)


def _names(root: Node, section: str, overlay: Node) -> None:
    """Names are added or take the place of those that are there; of a contact each value by
    itself, so that its channels can stay in the configuration while its hours change. An alarm's
    chain that is empty is none, and so is whose devices get push messages."""
    new = (overlay.entries or {})[section]
    entries = root.entries if root.entries is not None else {}
    if root.child(section) is None:
        entries[section] = (new[0], Node(new[1].mark, entries={}))
    there = root.child(section)
    if there is None or there.entries is None:
        entries[section] = new
        return
    for name, (mark, node) in (new[1].entries or {}).items():
        old = there.child(name)
        if section == "contacts" and old is not None and old.entries and node.entries is not None:
            old.entries.update(node.entries)
            if (push := old.child("push")) is not None and _no(push):
                del old.entries["push"]
        else:
            there.entries[name] = (mark, node)
    for name in [n for n, (_, node) in there.entries.items() if section == "alarms" and _no(node)]:
        del there.entries[name]


def _notes(notes: Node, reading: Reading) -> None:
    for name, (mark, of_door) in (notes.entries or {}).items():
        for line, (at, text) in (of_door.entries or {}).items():
            if text.text is None or not text.text.isprintable() or len(text.text) > NOTE_LONGEST:
                key = f"{NOTES}.{name[:60]}.{line[:60]}"
                reading.problem(
                    at, key, phrase("is too long or not printable"), phrase("write one line")
                )
        if of_door.entries is None:
            text_wrong = phrase("must be a mapping")
            reading.problem(
                mark, f"{NOTES}.{name[:60]}", text_wrong, phrase("write names below it")
            )


def _no(node: Node) -> bool:
    """Whether an overlay says that there is none."""
    return node.text == "" and not node.plain


def _parts(
    root: Node, section: str, parts: Node, allowed: tuple[str, ...], reading: Reading
) -> None:
    known = root.child(section)
    names = list((known.entries or {}) if known is not None else {})
    for name, (mark, part) in (parts.entries or {}).items():
        target = known.child(name) if known is not None else None
        if target is None or target.entries is None or part.entries is None:
            text = phrase("is not a door") if section == "doors" else phrase("is not a room")
            reading.problem(mark, f"{section}.{name[:60]}", text, suggest(name, names))
            continue
        _keys(target, part, f"{section}.{name}", allowed, reading)


def _keys(
    target: Node | None, part: Node, key: str, allowed: tuple[str, ...], reading: Reading
) -> None:
    """Values that take the place of those in the configuration; an empty one takes it away."""
    for name, (at, value) in (part.entries or {}).items():
        if name not in allowed:
            reading.problem(
                at,
                f"{key}.{name[:60]}",
                phrase("cannot be changed in the overlay"),
                suggest(name, allowed),
            )
        elif target is not None and target.entries is not None:
            target.entries[name] = (at, value)
            if _no(value):
                del target.entries[name]
            if name == "schedule" and value.entries:
                target.entries.pop("mode", None)  # it counts only without a schedule
