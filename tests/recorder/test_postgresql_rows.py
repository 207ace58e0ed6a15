"""Points as rows of PostgreSQL, and what its errors mean for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.recorder.points import Origin, Point, fields_of, tags_of
from gateway.recorder.recorder import _point_again
from gateway.recorder.rejects import SetAside, decode_point, encode_point, lane_of
from gateway.recorder.stores.postgresql_rows import failure, row_of, unusable
from gateway.recorder.stores.store import BadPointsError, StoreDownError
from gateway.wire import from_cloudevent
from tests.recorder.conftest import T0, event


def point(at_ms: int = T0, lane: str = "", **changes: Any) -> Point:
    one = from_cloudevent(event(7, **changes))
    origin = Origin(one, lane or one.lane)
    return Point(one.kind, tags_of(one), fields_of(one, True), at_ms, origin)


def test_a_row_has_the_whole_event_and_its_own_time() -> None:
    data = {"quantity": "temperature", "value": 21.5, "note": ["a", {"b": None}], "text": "ä" * 300}
    row = row_of(point(T0 + 3, data=data, boot="b2", mono_ms=5))
    assert row[:8] == ("csg", "j1", "routine", 7, "reading", "wc.climate", T0, True)
    assert row[8:10] == ("b2", 5)
    assert json.loads(row.data) == data


def test_an_event_without_a_time_has_that_of_its_point() -> None:
    assert row_of(point(T0 + 3, utc_ms=None)).time_ms == T0 + 3


def test_a_point_of_the_recorders_own_has_a_name_of_its_own() -> None:
    def silent(gateway: str, at_ms: int) -> Point:
        tags = (("gateway", gateway), ("subject", gateway))
        return Point("gateway_silent", tags, {"seq": 0, "silent": 1}, at_ms)

    row = row_of(silent("csg", T0))
    assert row == row_of(silent("csg", T0))
    assert (
        len(
            {row_of(one)[:4] for one in (silent("csg", T0), silent("csg", T0 + 1), silent("b", T0))}
        )
        == 3
    )
    assert (row.gateway, row.kind, row.subject, row.data) == (
        "csg", "gateway_silent", "csg", '{"silent":1}',
    )  # fmt: skip


@pytest.mark.parametrize("lane", ["routine", "routine:0badcafe"])
def test_what_was_set_aside_is_the_same_row_when_it_is_sent_again(lane: str) -> None:
    one = point(T0, lane)
    text = encode_point(one)
    assert decode_point(text) == one._replace(origin=None)
    assert lane_of(text) == (lane if ":" in lane else None)
    aside = SetAside("topic", "reason", json.dumps(event(7)), "csg", point=text)
    assert row_of(_point_again(aside)) == row_of(one)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("22P05", "unsupported Unicode escape sequence"),
        ("22003", "value out of range"),
        ("54000", "index row size 9016 exceeds btree version 4 maximum 2704"),
    ],
)
def test_what_a_value_causes_is_the_events_own_fault(state: str, message: str) -> None:
    found = failure(state, message)
    assert isinstance(found, BadPointsError)
    assert str(found) == f"PostgreSQL {state}: {message}"


@pytest.mark.parametrize(
    ("state", "message", "code", "lost", "says"),
    [
        ("", "server closed the connection unexpectedly", "store_down", True, "closed"),
        ("", "connection refused", "store_down", True, "refused"),
        ("", 'FATAL:  password authentication failed for user "x"', "store_refuses", False,
         "is the password the user's?"),
        ("", 'connection failed: connection to server at "::1", port 1 failed: fe_sendauth: no '
         "password supplied", "store_refuses", False, "PostgreSQL: fe_sendauth"),
        ("", "FATAL:  Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen",
         "store_refuses", False, "is the password the user's?"),
        ("", 'FATAL:  database "x" does not exist', "store_refuses", False, "createdb"),
        ("", 'FATAL:  no pg_hba.conf entry for host "::1"', "store_refuses", False, "allow it"),
        ("", "SSL error: certificate verify failed", "store_refuses", False, "sslrootcert"),
        ("25006", "cannot execute INSERT in a read-only transaction", "store_refuses", False,
         "the primary"),
        ("42501", "permission denied for database portier", "store_refuses", False, "GRANT CREATE"),
        ("42P01", 'relation "events" does not exist', "store_refuses", True, "42P01"),
        ("53100", "could not extend file: No space left on device", "store_down", False,
         "make room"),
        ("57P01", "terminating connection due to administrator command", "store_down", True, ""),
        ("40P01", "deadlock detected", "store_down", False, "40P01"),
        ("XX000", "a fault of its own", "store_down", False, "XX000"),
    ],
)  # fmt: skip
def test_anything_else_is_waited_for(
    state: str, message: str, code: str, lost: bool, says: str
) -> None:
    found = failure(state, message)
    assert isinstance(found, StoreDownError)
    assert (found.code, found.lost) == (code, lost)
    assert says in found.reason
    assert len(found.reason) < 500


@pytest.mark.parametrize(
    ("version", "encoding", "read_only", "says"),
    [
        (150_000, "UTF8", False, ""),
        (180_001, "UTF8", False, ""),
        (140_012, "UTF8", False, "too old; 15 is the oldest that is supported: upgrade it"),
        (150_000, "SQL_ASCII", False, "createdb -E UTF8"),
        (150_000, "UTF8", True, "write the address of the primary"),
    ],
)
def test_a_server_that_cannot_be_the_store_says_why(
    version: int, encoding: str, read_only: bool, says: str
) -> None:
    found = unusable(version, "X.Y", encoding, read_only=read_only)
    assert says in found
    assert bool(found) == bool(says)
