"""What the journal says of runs, guarantees and sensors: read in few, bounded questions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from gateway.core.instant import UtcMs
from gateway.web.building.records import Records
from gateway.web.system.availability import Change, Run, State, faults
from gateway.wire import Row

RUN_KINDS = ("gateway_started", "gateway_stopped")
SENSOR_ALARMS = frozenset(
    {
        "contact_stuck", "contact_chattering", "contact_unknown", "relay_fault", "relay_limit",
        "meter_silent", "implausible", "meter_frozen", "cord_stuck", "line_cut", "line_short",
        "fire_contact_unknown",
    }
)  # fmt: skip
"""Alarms that say that a point itself cannot be relied on."""
FACTS_MOST = 5_000
"""Of each of the three questions; what lies before the oldest of them is unknown."""
CRASHES_MOST = 60
"""Starts without an orderly stop of which the last fact before is looked up; before them there is
a gap up to the start."""
_STATES: dict[object, State] = {"yes": "yes", "no": "no", "not_configured": "off"}


@dataclass(slots=True)
class Past:
    """``runs`` of control; ``changes`` of each guarantee; ``sensors``: of each point."""

    runs: list[Run] = field(default_factory=list)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    sensors: dict[str, list[Change]] = field(default_factory=dict)


async def read_past(
    records: Records,
    guarantees: Collection[str],
    points: Collection[str],
    begin_utc_ms: UtcMs,
    until_utc_ms: UtcMs,
) -> Past:
    """What is known from ``begin_utc_ms`` on. ``until_utc_ms``: when control was last heard.
    Raises :class:`gateway.web.building.records.Unavailable`."""
    starts = await _newest(records, RUN_KINDS)
    past = Past(await _runs(records, starts, begin_utc_ms, until_utc_ms))
    told = await _newest(records, ("guarantee_changed",))
    for name in guarantees:
        past.changes[name] = [
            _change(row) for row in told if row.subject == name and row.utc_ms is not None
        ]
    alarms = await _newest(records, ("alarm_raised", "alarm_cleared"))
    cut_utc_ms = alarms[0].utc_ms if len(alarms) == FACTS_MOST else None
    said = await records.first_said(points)
    for point in points:
        since = said.get(point)
        if since is not None and cut_utc_ms is not None:
            since = max(since, cut_utc_ms)
        past.sensors[point] = faults(_alarms_of(alarms, point), since)
    return past


async def _newest(records: Records, kinds: Collection[str]) -> list[Row]:
    """The newest facts of these kinds, oldest first."""
    rows = await records.before(None, FACTS_MOST, kinds=list(kinds))
    return rows[::-1]


def _change(row: Row) -> Change:
    data = row.data
    reason, about = str(data.get("reason") or ""), str(data.get("about") or "")
    return Change(row.utc_ms or 0, _STATES.get(data.get("value"), "unknown"), reason, about)


def _alarms_of(rows: Iterable[Row], point: str) -> list[tuple[UtcMs, str, bool]]:
    found = []
    for row in rows:
        subject, _, kind = row.subject.partition("/")
        if subject == point and kind in SENSOR_ALARMS and row.utc_ms is not None:
            found.append((row.utc_ms, kind, row.kind == "alarm_raised"))
    return found


async def _runs(
    records: Records, rows: list[Row], begin_utc_ms: UtcMs, until_utc_ms: UtcMs
) -> list[Run]:
    """From each start to its stop; after a failure to the last fact before the next start."""
    runs: list[Run] = []
    looked = 0
    end_utc_ms: UtcMs | None = until_utc_ms
    for place in range(len(rows) - 1, -1, -1):  # from now backwards
        row = rows[place]
        if row.kind == "gateway_stopped":
            end_utc_ms = row.utc_ms
            continue
        if row.utc_ms is not None and end_utc_ms is not None and end_utc_ms > row.utc_ms:
            runs.append(Run(row.utc_ms, end_utc_ms))
        if row.utc_ms is not None and row.utc_ms < begin_utc_ms:
            break
        end_utc_ms = None
        stopped = place > 0 and rows[place - 1].kind == "gateway_stopped"
        if not stopped and looked < CRASHES_MOST:
            looked += 1
            before = await records.before(row.row, 1)
            end_utc_ms = before[0].utc_ms if before else None
    return runs[::-1]
