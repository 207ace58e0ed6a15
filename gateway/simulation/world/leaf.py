"""A leaf of a door, and the operator that moves it.

    closed -> opening -> open -> closing -> closed
                 ^                  |
                 +---- asked -------+

Somebody asks the operator; after a while it acts (a closing leaf turns round at once). An open leaf
counts down, anew each time that the operator acts or is let go, and closes at the end, unless
something holds it open.

Instants and durations are integers, all in one unit, whichever the caller has. How long things
take, which relays ask and hold, and whether the strike locks the leaf, is the caller's: a bench
takes it from its settings and its terminal strip, the simulator draws it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Position = Literal["closed", "opening", "open", "closing"]
Jammed = Literal["", "shut", "open"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """``opens_in``: from closed until it is open; ``closes_in``: from open until it is closed.
    ``tries_again``: after so long the operator tries again to close a leaf that is held open;
    ``None``: not before it is let go.

    ``starts``: when the operator acts, once for each time that it was asked. ``until``: when the
    leaf has come to the end of what it does. ``jam``: where it stays once it is there. A ``dead``
    operator does not act; the leaf closes all the same."""

    opens_in: int = 0
    closes_in: int = 0
    tries_again: int | None = None
    position: Position = "closed"
    starts: tuple[int, ...] = ()
    until: int | None = None
    jam: Jammed = ""
    dead: bool = False

    @property
    def is_open(self) -> bool:
        """What the contact of the leaf sees: it has left closed."""
        return self.position != "closed"

    @property
    def instants(self) -> tuple[int, ...]:
        """When something happens of itself."""
        return self.starts if self.until is None else (*self.starts, self.until)

    @property
    def wake_at(self) -> int | None:
        return min(self.instants, default=None)


def asked(leaf: Leaf, now: int, starts_in: int, *, toggles: bool = False) -> Leaf:
    """The operator is asked to open, and acts ``starts_in`` later; a closing leaf turns round at
    once. With ``toggles`` an open leaf begins to close at once."""
    if leaf.dead or leaf.position == "opening":
        return leaf
    if leaf.position == "closing":
        return replace(leaf, position="opening", until=now + starts_in + leaf.opens_in)
    if toggles and leaf.position == "open" and leaf.jam != "open":
        return replace(leaf, position="closing", until=now + leaf.closes_in)
    return replace(leaf, starts=tuple(sorted((*leaf.starts, now + starts_in))))


def let_go(leaf: Leaf, now: int, stays: int) -> Leaf:
    """The operator is asked no more, or the hand lets go: an open leaf counts down anew."""
    return replace(leaf, until=now + stays) if leaf.position == "open" else leaf


def pushed(leaf: Leaf) -> Leaf:
    """Somebody opens the leaf by hand, and holds it."""
    return leaf if not leaf.is_open and leaf.jam == "shut" else replace(leaf, position="open")


def advanced(leaf: Leaf, at: int, stays: Callable[[], int], *, locked: bool, held: bool) -> Leaf:
    """Process the deadline ``at``, which is :attr:`Leaf.wake_at`. The leaf's own movement ends
    before the operator acts. ``stays``: how long an open leaf stays so; ``locked``: the strike does
    not let a closed one go; ``held``: something keeps an open one open."""
    if leaf.until != at:
        return _started(replace(leaf, starts=leaf.starts[1:]), at, stays, locked=locked)
    match leaf.position:
        case "opening":
            return replace(leaf, position="open", until=at + stays())
        case "open" if held or leaf.jam == "open":
            again = leaf.tries_again
            return replace(leaf, until=None if again is None else at + again)
        case "open":
            return replace(leaf, position="closing", until=at + leaf.closes_in)
        case _:
            return replace(leaf, position="closed", until=None)


def _started(leaf: Leaf, at: int, stays: Callable[[], int], *, locked: bool) -> Leaf:
    """The operator acts."""
    if leaf.dead or leaf.position == "opening" or (locked and not leaf.is_open):
        return leaf
    if leaf.position == "open" or (leaf.position == "closed" and leaf.jam == "shut"):
        return replace(leaf, until=at + stays())  # its programme runs, whatever the leaf does
    return replace(leaf, position="opening", until=at + leaf.opens_in)
