"""A contact: what the wires let through, and how metal bounces.

Durations are integers, all in one unit, whichever the caller has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Wiring = Literal["normally_open", "normally_closed"]


@dataclass(frozen=True, slots=True)
class Contact:
    """A bool input. ``pressed`` is the mechanics, :attr:`active` what the wires let through."""

    wiring: Wiring = "normally_open"
    pressed: bool = False
    fault: Literal["", "stuck", "cut", "unknown"] = ""

    @property
    def active(self) -> bool | None:
        """A cut wire is an open circuit: active where the contact is normally closed."""
        if self.fault == "unknown":
            return None
        if self.fault == "cut":
            return self.wiring == "normally_closed"
        return self.pressed


def bouncing(level: bool, lasts: Iterable[int]) -> list[tuple[int, bool]]:
    """The edges of a contact that changes to ``level`` and bounces: after how long, and to which
    level. ``lasts``: how long it stays at this level and at the other by turns, before it settles;
    an even number of them ends where it should."""
    edges, at = [(0, level)], 0
    for lasts_for in lasts:
        at, level = at + lasts_for, not level
        edges.append((at, level))
    return edges
