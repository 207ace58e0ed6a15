"""All that the page and the API of maintenance say of the building at one moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from gateway import set_aside
from gateway.journal.queries.reader import Reader
from gateway.web.building.records import Unavailable
from gateway.web.maintenance import queries
from gateway.web.maintenance.queries import Gaps, Month
from gateway.web.shared.problems import Problem
from gateway.web.site import Site
from gateway.web.storage.weeks import Week

KEEP_EVERY_S = 86_400
KEEP_AGAIN_S = 600
"""While the clock is in doubt nothing is removed; it is soon afterwards."""
SOON_S = 10
log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the journal knows, by door, meter and room; the snapshot holds the rest."""

    missed: Mapping[str, int] = field(default_factory=dict)
    weeks: Mapping[str, list[Week]] = field(default_factory=dict)
    gaps: Mapping[str, Gaps] = field(default_factory=dict)
    months: Mapping[str, list[Month]] = field(default_factory=dict)


async def upkeep_of(site: Site) -> Upkeep:
    """Ask the journal, in short reads. Raises :class:`gateway.web.building.records.Unavailable`."""
    now, ask = site.control.now_utc_ms, site.records.ask
    doors, points = list(site.control.doors), site.control.points
    meters = [id for id, point in points.items() if point["kind"] == "meter"]
    missed = await ask(lambda r: queries.alarms_raised(r, "did_not_open", doors))
    gaps = await ask(lambda r: queries.gaps(r, meters, now))
    weeks, months = {}, {}
    for door in doors:
        weeks[door] = await ask(partial(_weeks, site=site, door=door, now_utc_ms=now))
    for id, room in site.control.rooms.items():
        if room.get("call"):
            months[id] = await ask(
                partial(queries.months, room=id, now_utc_ms=now, zone=site.options.zone)
            )
    return Upkeep(missed, weeks, {gap.point: gap for gap in gaps}, months)


async def keep_weeks(site: Site) -> None:
    """Once a day, work out the weeks of all doors, so that none expires before it is kept and
    the page finds them ready, and remove what has reached its life. Runs until cancelled."""
    while True:
        doors = list(site.control.doors)
        try:
            await site.saver.run(tidy, site)
            for door in doors:
                now = site.control.now_utc_ms
                await site.records.ask(partial(_weeks, site=site, door=door, now_utc_ms=now))
                await asyncio.sleep(1)
        except (Unavailable, Problem):
            doors = []
        except (sqlite3.Error, OSError) as error:  # a disk that takes nothing, for now
            log.warning("weeks cannot be saved", reason=str(error))
            doors = []
        pause_s = KEEP_EVERY_S if site.control.settled else KEEP_AGAIN_S
        await asyncio.sleep(pause_s if doors else SOON_S)


def tidy(site: Site) -> None:
    """Remove what is the page's own and has reached its life. Once a day, and never by a clock
    that is in doubt: what is deleted is gone."""
    settled = site.control.settled
    site.users.tidy(settled=settled)
    if settled:
        site.testbook.tidy(site.control.now_utc_ms)
        set_aside.remove_old(site.options.users, site.control.now_utc_ms)


def _weeks(reader: Reader, *, site: Site, door: str, now_utc_ms: int) -> list[Week]:
    return site.weeks.of(reader, door, now_utc_ms, keep=site.control.settled)
