"""Events as rows of PostgreSQL, and what its errors mean. Pure.

A row is known by gateway, journal, lane and sequence. None of them depends on a clock: an event
whose time is learnt later, or is corrected, is the same row.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from zlib import crc32

from gateway.recorder.points import Point
from gateway.recorder.stores.store import BadPointsError, StoreDownError

OWN_LANE = "recorder"
"""Of what the recorder itself has noticed, with the journal "" and the time as sequence."""
VERSION_NEEDED = 150_000
"""PostgreSQL 15, as ``server_version_num`` says it."""
SERVER = (
    "current_setting('server_version_num')::int, current_setting('server_version'),"
    " current_setting('server_encoding'),"
    " pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
)
"""What :func:`unusable` judges a server by, as columns of a query."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class EventRow(NamedTuple):
    """One row of ``events``. Times are UTC ms, ``data`` is JSON."""

    gateway: str
    journal: str
    lane: str
    sequence: int
    kind: str
    subject: str
    time_ms: int
    time_known: bool
    boot: str
    monotonic_ms: int
    data: str


def row_of(point: Point) -> EventRow:
    """The row of a point's event."""
    if point.origin is None:
        return _own(point)
    event, lane, time_known = point.origin
    return EventRow(
        event.gateway,
        event.journal,
        lane,
        event.seq,
        event.kind,
        event.subject,
        # its own time: only time-series stores need one that no other event has
        point.time_ms if event.utc_ms is None else event.utc_ms,
        time_known,
        event.boot,
        event.mono_ms,
        _encode(event.data),
    )


def _own(point: Point) -> EventRow:
    """Of a point that no gateway has sent. Writing it twice changes nothing, either."""
    tags = dict(point.tags)
    gateway = tags.get("gateway", "")
    fields = {name: value for name, value in point.fields.items() if name != "seq"}
    lane = f"{OWN_LANE}:{crc32(repr(point.series).encode()):08x}"
    return EventRow(
        gateway, "", lane, point.time_ms, point.measurement, tags.get("subject", gateway),
        point.time_ms, True, "", 0, _encode(fields),
    )  # fmt: skip


def failure(state: str, message: str) -> StoreDownError | BadPointsError:
    """What an error of PostgreSQL means for the events. ``state``: its SQLSTATE; empty where the
    connection was lost or refused."""
    text = _WHERE.sub("", " ".join(message.split()))[:300]
    named = f"PostgreSQL {state}: {text}" if state else f"PostgreSQL: {text}"
    if state[:2] in _OF_THE_EVENT:
        return BadPointsError(named)
    if not state:
        refused = any(word in text for words in _NOT_LET_IN.values() for word in words)
        return StoreDownError(
            named + _remedy(text),
            lost=not refused,
            code="store_refuses" if refused else "store_down",
        )
    remedy = _REMEDIES.get(state, "")
    code = "store_refuses" if state in _REFUSES or state[:2] == "28" else "store_down"
    # without its tables it is another store: whoever asks for its identity makes them anew
    return StoreDownError(
        named + (f"; {remedy}" if remedy else ""),
        lost=state[:2] in {"08", "57"} or state in _GONE,
        code=code,
    )


_OF_THE_EVENT = {"22", "54"}
"""Classes of errors that a value causes: one that is out of range, one that no JSON may hold, one
that is too long for an index."""
_GONE = {"42P01", "3F000", "42703"}
_REFUSES = {"25006", "3D000", "42501", *_GONE}
_REMEDIES = {
    "25006": "it is a standby or read-only: write the address of the primary",
    "3D000": "make the database: createdb -O USER DATABASE",
    "42501": "the user must own the schema portier, or may make it: "
    "GRANT CREATE ON DATABASE … TO …",
    "53100": "its disk is full: make room",
    "53200": "raise max_locks_per_transaction or its memory",
    "53300": "raise max_connections",
    "57014": "it took too long: is it overloaded, or does somebody hold a lock?",
    "28P01": "is the password the user's?",
}
_NOT_LET_IN = {
    "28P01": ("password authentication failed", "no password supplied", "Passwort-Authentifi"),
    "3D000": ("does not exist", "existiert nicht"),
    "28000": ("pg_hba.conf", "Peer authentication failed", "Peer-Authentifizierung"),
    "tls": ("certificate", "SSL", "root.crt"),
}
"""What a connection is refused with, which comes without an SQLSTATE, in English and German."""
_WHERE = re.compile(r"^connection failed: (connection to server .{0,200}? failed: )?")
"""What libpq puts before the reason; the address is known."""
_HBA = "allow it in pg_hba.conf, for this user, database and machine"
_TLS = (
    "the server needs a certificate of its name, from an authority that this machine trusts "
    "(?sslrootcert=FILE)"
)


def _remedy(text: str) -> str:
    for state, words in _NOT_LET_IN.items():
        if any(word in text for word in words):
            return f"; {_REMEDIES.get(state) or (_TLS if state == 'tls' else _HBA)}"
    return ""


def time_of(ms: str) -> str:
    """The instant of UTC ms, in SQL. ``ms``: an expression."""
    return f"timestamptz 'epoch' + {ms} * interval '1 millisecond'"


def unusable(version: int, version_text: str, encoding: str, *, read_only: bool) -> str:
    """Why this server cannot be the store; empty: it can."""
    if version < VERSION_NEEDED:
        return (
            f"PostgreSQL {version_text} is too old; 15 is the oldest that is supported: upgrade it"
        )
    if encoding != "UTF8":
        return (
            f"the database has the encoding {encoding}, which does not hold every text; make one "
            "with UTF8: createdb -E UTF8 -T template0 DATABASE"
        )
    if read_only:
        return f"PostgreSQL is read-only; {_REMEDIES['25006']}"
    return ""
