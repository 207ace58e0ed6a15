"""What a gateway has to make of a button's edges, by the kernel's own record of them.

Each press of the test bounces, and is meant to be one. Where the host stops the emulated machine
in the middle of a bounce, the line is quiet for longer than ``settle`` in between: then the button
was pressed twice, as far as anybody in the machine can know. So the record decides how many
presses there were, and no press is left out for having been disturbed.

Instants are the kernel's stamps in whole milliseconds, as the gateway counts them.
"""

from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[int, bool]


def presses(edges: list[Edge], settle_ms: int) -> list[int]:
    """The instants of the edges that began a press: the line became active, stayed so for
    ``settle_ms``, and had been inactive for as long since the press before.

    ``edges``: (instant, active), oldest first. The line is inactive and quiet before them."""
    found: list[int] = []
    settled = level = False
    since_ms = 0
    for at_ms, active in edges:
        if active == level:
            continue  # the level before was over when the kernel came to read it
        if level != settled and at_ms - since_ms >= settle_ms:
            settled = level
            if settled:
                found.append(since_ms)
        level, since_ms = active, at_ms
    if level and not settled:
        found.append(since_ms)
    return found


@dataclass(frozen=True)
class Judgement:
    """``presses``: how many there were by the record. ``twice``: served, and none of these: the
    line was not quiet. ``missed``: not served. Both are instants of edges."""

    presses: int
    twice: list[int]
    missed: list[int]


def judge(edges: list[Edge], served_ms: list[int], settle_ms: int) -> Judgement:
    """Compare the record with what was served, by the instant of the edge that began it."""
    missed, twice = presses(edges, settle_ms), list[int]()
    there_were = len(missed)
    for at_ms in served_ms:
        if at_ms in missed:
            missed.remove(at_ms)
        else:
            twice.append(at_ms)
    return Judgement(there_were, twice, missed)


def around(edges: list[Edge], at_ms: int) -> str:
    """For people: how long the line kept each level before and after an edge."""
    near = [edge for edge in edges if abs(edge[0] - at_ms) < 250]
    return " ".join(
        f"{'|' if begin == at_ms else ''}{'active' if active else 'inactive'} {end - begin}"
        for (begin, active), (end, _) in pairwise(near)
    )
