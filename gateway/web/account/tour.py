"""The tour of a newcomer over the bench: a card on the overview, one step after the other. How far
each person has come is remembered with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from gateway.web.identity.accounts import Who
from gateway.web.shared.problems import Problem
from gateway.web.site import Site

OVER = 99
"""Of a tour that was gone through or skipped."""


@dataclass(frozen=True, slots=True)
class Step:
    """``word``: of its texts; ``href``: where it takes place; ``number``: from 1 on."""

    word: str
    href: str
    number: int
    count: int

    @property
    def is_last(self) -> bool:
        return self.number == self.count


def _steps(site: Site, who: Who) -> list[tuple[str, str]]:
    """(word, address) of what this building and this person have."""
    points = site.control.points
    served = site.options.terminals.served
    steps = []
    button = next((p for p in points if served.get(p, ("", ""))[1].startswith("button")), "")
    if button:
        steps.append(("press", f"/bench#point-{button}"))
    cord = next((p for p in points if served.get(p, ("", ""))[1] == "room_cord"), "")
    if cord:
        steps.append(("pull", f"/bench#point-{cord}"))
        steps.append(("end", "/bench"))
    steps.append(("look", "/history" if who.may("maintenance") else "/events"))
    return steps


def exists(site: Site, who: Who) -> bool:
    """Whether there is a tour for this person: only a bench has one, for those who may use it."""
    return site.options.bench and who.user_id is not None and who.may("staff")


def step(site: Site, who: Who) -> Step | None:
    """The step that is shown to this person now."""
    if not exists(site, who) or who.user_id is None or not site.control.points:
        return None
    at, steps = site.users.tour(who.user_id), _steps(site, who)
    return None if at >= len(steps) else Step(*steps[at], at + 1, len(steps))


async def move(site: Site, who: Who, do: str, number: str) -> None:
    """``do``: next, skip or again. ``number``: of the step on whose card somebody said *next*, so
    that a card that was sent twice moves one step. Raises :class:`Problem`."""
    if not exists(site, who) or who.user_id is None:
        raise Problem(404, "no_bench")
    if do == "next" and number.isdecimal():
        to = min(int(number[:3]), OVER)
        if to >= len(_steps(site, who)):
            to = OVER
    elif do in ("skip", "again"):
        to = OVER if do == "skip" else 0
    else:
        raise Problem(422, "malformed")
    await site.saver.run(partial(site.users.set_tour, who.user_id, to))
