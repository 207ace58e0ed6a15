"""What is saved of a room's call, as JSON."""

from __future__ import annotations

from typing import Any, cast, get_args

from gateway.core.facts import Json
from gateway.core.instant import NEVER
from gateway.core.plan import RoomPlan
from gateway.core.room.call_record import Call, CallState, Record
from gateway.core.saved_values import (
    FLAG,
    INSTANT,
    NAMES,
    TEXT,
    WHOLE,
    Field,
    Kind,
    Times,
    entry_of,
    list_of,
    one_of,
)


def _record_of_before(points: tuple[str, ...], **rest: Any) -> Record:
    return Record(points=tuple(sorted({*points})), **rest)


_RECORD: Kind[Record] = entry_of(
    _record_of_before,
    Field("id", TEXT),
    Field("was", TEXT, None),
    Field("state", one_of(get_args(CallState)), "raised"),  # to be safe
    Field("test", FLAG, False),
    Field("cause", TEXT, "cord"),
    Field("points", list_of(TEXT), ()),
    Field("pulls", WHOLE, 1),
    Field("since_utc_ms", INSTANT, NEVER, of="since"),
    Field("raised_utc_ms", INSTANT, NEVER, of="raised"),
    Field("acknowledged_utc_ms", INSTANT, NEVER, of="acknowledged"),
    Field("acknowledged_by", TEXT, None),
    Field("attends", TEXT, None),
    Field("seen_utc_ms", INSTANT, NEVER, of="seen"),
    Field("seen_by", TEXT, None),
    Field("attended_utc_ms", INSTANT, NEVER, of="attended"),
    Field("attend_by_utc_ms", INSTANT, NEVER, of="attend_by"),
    Field("acknowledged_after_ms", WHOLE, None),
    Field("attended_after_ms", WHOLE, None),
    Field("cancelled_after_ms", WHOLE, None),
)


_NO_ROOM = cast(RoomPlan, None)
"""A saved call has no plan. Of it ``call_restart`` reads what was saved, and nothing else."""


def _of_before(record: Record | None, last_number: int, **rest: Any) -> Call:
    stands = record is not None and record.state != "quiet"
    return Call(_NO_ROOM, record if stands else None, last_number, **rest)


SAVED: Kind[Call] = entry_of(
    _of_before,
    Field("number", WHOLE, 0, of="last_number"),
    Field("calls", WHOLE, 0),
    Field("tests", WHOLE, 0),
    Field("pulled", NAMES, frozenset()),
    Field("stuck", NAMES, frozenset()),
    Field("test_by", TEXT, None),
    Field("test_ended_utc_ms", INSTANT, NEVER, of="test_ended"),
    Field("call", _RECORD, None, of="record"),
    Field("last", list_of(_RECORD), ()),
)
"""What survives a restart. It is read without its room."""
NONE_SAVED = _of_before(None, 0)


def standing(was: Call) -> str:
    """The id of the call that stood when this was saved; empty: none did, or it was a test."""
    return "" if was.record is None or was.record.test else was.record.id


def unreadable(entry: Json, *, known: bool) -> bool:
    """Whether a call may have stood and cannot be read. ``known``: the format is known, so that a
    room without an entry had none."""
    if not isinstance(entry, dict) or "call" not in entry:
        return not (known and entry is None)
    return entry["call"] is not None and _RECORD.read(entry["call"], Times()) is None
