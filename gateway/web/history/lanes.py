"""State lanes: what a contact, a door's mode, a room's call was, from when to when, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.core.instant import UtcMs
from gateway.journal.queries.history import StateFact
from gateway.web.history.point_history import PointHistory
from gateway.web.history.ranges import Range
from gateway.web.presenter.presenter import Presenter
from gateway.web.shared.words import NARROW, Words
from gateway.web.site import Site

SHARES_MOST = 4
"""So many states are summed up in words."""
DENSE = 800
"""With more spans than this a lane is drawn as shares of :data:`SLOTS` slots."""
SLOTS = 600
JUST_MS = 60_000
"""What lasted until then lasts still: time passes while a page is made."""
MODES = {
    "automatic": "good", "exit_only": "info", "hold_open": "warn", "night": "night", "off": "off",
}  # fmt: skip
CALL_KINDS = ("call_raised", "call_acknowledged", "call_attended", "call_cancelled")
_CALLS = {
    "quiet": "off", "raised": "bad", "acknowledged": "warn", "attended": "info", "test": "test",
}  # fmt: skip
_TONES = {
    "room_cord": "bad", "fire": "bad", "room_leak": "bad", "operator_fault": "bad",
}  # fmt: skip
"""Contacts that are active only when something is wrong."""


class Span(NamedTuple):
    """From ``from_utc_ms`` to before ``to_utc_ms`` it was ``state``; ``None``: not known."""

    from_utc_ms: UtcMs
    to_utc_ms: UtcMs
    state: str | None


@dataclass(frozen=True, slots=True)
class Lane:
    """``words``: state -> its word; ``tones``: state -> how it is coloured. ``resting``: the state
    that asks for no attention; ``subject`` and ``kinds``: what an export of it is made of."""

    title: str
    spans: list[Span]
    words: dict[str, str]
    tones: dict[str, str]
    resting: str
    subject: str
    kinds: tuple[str, ...] = ()
    cut: bool = False
    """Earlier spans are left out: there are too many."""
    place: str = field(default="")
    """The door or room it belongs to, which the title does not say."""


async def lane_of(site: Site, presenter: Presenter, sort: str, id: str, chosen: Range) -> Lane:
    """One lane. Raises :class:`gateway.web.building.records.Unavailable`."""
    if sort == "point":
        return await point_lane(site, presenter, id, chosen)
    first, last = chosen.whole()
    now, words = site.control.now_utc_ms, presenter.w
    name = presenter.subject(id)
    if sort == "mode":
        kinds: tuple[str, ...] = ("door_mode",)
        facts = await site.records.states(id, kinds, first, max(last, now))
        changes = _modes(facts)
        door = site.control.door(id)
        if door is not None and site.control.connected:
            changes = _with_now(changes, str(door["mode"]), _started(site, first), now)
        states = {mode: words(f"mode.{mode}") for mode in MODES}
        title, tones, resting = words("history.lane_mode"), MODES, "automatic"
    elif sort == "call":
        kinds = (*CALL_KINDS, "room_test")
        changes = _calls(await site.records.states(id, CALL_KINDS, first, last))
        states = {state: words(f"history.call_{state}") for state in _CALLS}
        title, tones, resting = words("history.lane_call"), _CALLS, "quiet"
    else:
        kinds = ("occupancy_changed",)
        changes = _beliefs(await site.records.states(id, kinds, first, last))
        states = {
            "occupied": words("history.occupied"), "vacant": words("history.vacant"),
        }  # fmt: skip
        title, tones, resting = words("history.lane_occupancy"), {"occupied": "info"}, "vacant"
    spans = spans_of(changes, first, min(last, now))
    return Lane(
        title, spans, states, {"vacant": "off"} | tones, resting, id, kinds, place=name
    )  # fmt: skip


async def point_lane(
    site: PointHistory, presenter: Presenter, id: str, chosen: Range
) -> Lane:  # fmt: skip
    """The lane of a contact or relay. Raises :class:`gateway.web.building.records.Unavailable`."""
    shown = site.control.points[id]
    first, last = chosen.whole()
    now, words = site.control.now_utc_ms, presenter.w
    found = await site.records.history(id, shown, first, last, 1, now)
    place, part = site.options.terminals.served.get(id, ("", ""))
    kind = "relay" if shown["kind"] == "relay" else "contact"
    key = (
        part.partition("_")[0]
        if part.startswith(("button_", "remote_", "key_", "reader_"))
        else part
    )
    states = {
        state: words.get(f"lane.{key}_{state}") or words(f"level.{kind}_{state}")
        for state in ("on", "off")
    }
    changes: Changes = [
        (at, None if active is None else "on" if active else "off") for at, active in found.changes
    ]
    spans = spans_of(changes, first, min(last, now))
    title = (
        site.options.terminals.part(words, id) if part else site.options.terminals.name(words, id)
    )
    tones = {"on": _TONES.get(part, "info"), "off": "off"}
    cut = bool(changes) and len(changes) >= 20_000 and changes[0][0] > first
    return Lane(title, spans, states, tones, "off", id, cut=cut, place=place)


Changes = list[tuple[UtcMs, str | None]]


def spans_of(changes: Changes, first: UtcMs, until: UtcMs) -> list[Span]:
    """The spans of a range, up to now at most. Neighbours of one state are one."""
    spans: list[Span] = []
    for place, (at, state) in enumerate(changes):
        begin = max(at, first)
        end = changes[place + 1][0] if place + 1 < len(changes) else until
        end = min(max(end, first), until)
        if begin >= end:
            continue
        if spans and spans[-1].state == state and spans[-1].to_utc_ms >= begin:
            spans[-1] = spans[-1]._replace(to_utc_ms=end)
        else:
            spans.append(Span(begin, end, state))
    return [span for span in spans if span.state is not None]


def _modes(facts: Sequence[StateFact]) -> Changes:
    """After a start of the gateway a door is in a mode that it tells where it is a new one."""
    changes: Changes = []
    for fact in facts:
        if fact.kind == "door_mode":
            mode = fact.data.get("mode")
            changes.append((fact.utc_ms, mode if isinstance(mode, str) else None))
        elif fact.kind in ("", "gateway_stopped"):
            changes.append((fact.utc_ms, None))
    return changes


def _with_now(changes: Changes, state: str, started: UtcMs, now: UtcMs) -> Changes:
    """The state that is seen now has been so since the last change; since the gateway's start
    where it has told of none."""
    newest = changes[-1] if changes else None
    if newest is not None and newest[1] is not None:
        return changes
    since = max(started, newest[0]) if newest is not None else started
    return [*changes, (since, state)] if since < now else changes


def _started(site: Site, otherwise: UtcMs) -> UtcMs:
    """When the gateway was started."""
    gateway, offset = site.control.gateway, site.control.utc_offset_ms
    started = gateway.get("started_ms") if gateway else None
    if not isinstance(started, int) or offset is None:
        return otherwise
    return started + offset


def _calls(facts: Sequence[StateFact]) -> Changes:
    """Nobody calls until a call is raised; one that survives a restart is raised again."""
    changes: Changes = []
    test = False
    for fact in facts:
        state: str | None = None
        match fact.kind:
            case "call_raised":
                test = bool(fact.data.get("test"))
                state = "raised"
            case "call_acknowledged":
                state = "acknowledged"
            case "call_attended":
                state = "attended"
            case "call_cancelled" | "gateway_started":
                state, test = "quiet", False
        changes.append((fact.utc_ms, "test" if test and state else state))
    return changes


def _beliefs(facts: Sequence[StateFact]) -> Changes:
    """Whether somebody is in a room: not known from a start of the gateway on until it says so."""
    known = ("occupied", "vacant")
    beliefs = [(fact, fact.data.get("occupancy")) for fact in facts]
    return [
        (fact.utc_ms, belief if isinstance(belief, str) and belief in known else None)
        for fact, belief in beliefs
    ]


# --- in words -----------------------------------------------------------------------------


MOSTLY = 0.98
"""A state that is known for less of the time was not so throughout."""


def summary(lane: Lane, words: Words, whole_ms: int = 0) -> str:
    """How often it changed and how much of the known time each state had. ``whole_ms``: how long
    the range lasts, up to now at most; 0 where that is of no interest."""
    if not lane.spans:
        return words("history.empty")
    known = sum(span.to_utc_ms - span.from_utc_ms for span in lane.spans)
    times: dict[str, int] = {}
    for span in lane.spans:
        state = span.state or ""
        times[state] = times.get(state, 0) + span.to_utc_ms - span.from_utc_ms
    ranked = sorted(times.items(), key=lambda item: (item[0] == lane.resting, -item[1]))
    changes = words.plural("history.lane_changes", len(lane.spans) - 1)
    if len(ranked) == 1:
        state = lane.words.get(ranked[0][0], ranked[0][0])
        if known < MOSTLY * whole_ms:
            return words("history.lane_partly", state=state, duration=lasting(known, words))
        return words("history.lane_always", state=state)
    if lane.resting in times:
        ranked = ranked[:-1]
    shares = "; ".join(
        f"{lane.words.get(state, state)} {lasting(ms, words)}"
        f" ({words.number(100 * ms / known, 1)}{NARROW}%)"
        for state, ms in ranked[:SHARES_MOST]
    )
    return words("history.lane_shares", changes=changes, shares=shares)


def lasting(ms: int, words: Words) -> str:
    """A duration in two units at most: "2 h 5 min"."""
    seconds = max(0, round(ms / 1000))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    day = words("history.unit_day")
    parts = [(days, day), (hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    begin = next((place for place, (number, _) in enumerate(parts) if number), 3)
    two = [f"{number}{NARROW}{unit}" for number, unit in parts[begin : begin + 2] if number]
    return " ".join(two) or f"0{NARROW}s"


def now_of(lane: Lane, chosen: Range, now_utc_ms: UtcMs, words: Words) -> str:
    """What it is at the end of the range, and since when."""
    _, last = chosen.whole()
    newest = lane.spans[-1] if lane.spans else None
    if newest is None or newest.to_utc_ms < min(last, now_utc_ms) - JUST_MS:
        return ""
    return lane.words.get(newest.state or "", newest.state or "")


def drawn(lane: Lane, chosen: Range) -> dict[str, Any]:
    """As the chart takes it: spans of seconds; of a dense lane shares."""
    first, last = chosen.whole()
    one: dict[str, Any] = {
        "kind": "lane",
        "words": lane.words,
        "tones": lane.tones,
        "resting": lane.resting,
    }
    if len(lane.spans) <= DENSE:
        one["spans"] = [
            [round(span.from_utc_ms / 1000, 1), round(span.to_utc_ms / 1000, 1), span.state]
            for span in lane.spans
        ]
    else:
        one["spans"] = []
        one["slots"] = _shares(lane, first, last)
        one["busy"] = max(
            (state for state in lane.words if state != lane.resting),
            key=lambda state: sum(
                s.to_utc_ms - s.from_utc_ms for s in lane.spans if s.state == state
            ),
        )
    return one


def _shares(lane: Lane, first: UtcMs, last: UtcMs) -> list[list[float]]:
    """[from, to, share that was not at rest, spans that began]; slots without a known state are
    absent."""
    width = -((first - last) // SLOTS)
    active, known, began = [0] * (SLOTS + 1), [0] * (SLOTS + 1), [0] * (SLOTS + 1)
    for span in lane.spans:
        is_active = span.state != lane.resting
        began[(span.from_utc_ms - first) // width] += is_active
        for slot in range(
            (span.from_utc_ms - first) // width, (span.to_utc_ms - 1 - first) // width + 1
        ):
            begin = first + slot * width
            part = min(span.to_utc_ms, begin + width) - max(span.from_utc_ms, begin)
            known[slot] += part
            active[slot] += part * is_active
    return [
        [
            round((first + slot * width) / 1000, 1),
            round(min(first + (slot + 1) * width, last) / 1000, 1),
            round(active[slot] / known[slot], 4),
            began[slot],
        ]
        for slot in range(SLOTS)
        if known[slot]
    ]
