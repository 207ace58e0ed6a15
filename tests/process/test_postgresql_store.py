"""The PostgreSQL store by itself, before a real server: what it makes of points and of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest

from gateway.core.facts import Lane
from gateway.journal.schema import HOUR_MS
from gateway.recorder.points import Origin, Point, fields_of, tags_of
from gateway.recorder.stores import postgresql_schema
from gateway.recorder.stores.expiry import SWEEP_EVERY_MS
from gateway.recorder.stores.postgresql import PostgresqlStore
from gateway.recorder.stores.store import StoreDownError
from gateway.settings.values.store_address import parse
from gateway.wire import Event
from tests.process.parts_mqtt import eventually, running
from tests.process.parts_postgresql import PASSWORD, Postgresql

pytestmark = pytest.mark.process

DAY_MS = 86_400_000
NOW = time.time_ns() // 1_000_000
T0 = NOW // HOUR_MS * HOUR_MS - 48 * HOUR_MS
"""The begin of an hour that is over."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    one = Postgresql(tmp_path_factory.mktemp("server"))
    with running(one):
        yield one
    one.remove()


@pytest.fixture
def empty(server: Postgresql) -> Postgresql:
    """The server without any table of ours."""
    with server.admin() as db:
        db.execute("DROP SCHEMA IF EXISTS portier CASCADE")
    return server


@pytest.fixture
def store(empty: Postgresql) -> Iterator[PostgresqlStore]:
    one = opened(empty)
    yield one
    one.close()


def opened(server: Postgresql, **more: Any) -> PostgresqlStore:
    return PostgresqlStore(parse(server.store), PASSWORD, **more)


def point(
    seq: int,
    utc_ms: int | None = NOW,
    *,
    kind: str = "reading",
    gateway: str = "csg",
    lane: str = "routine",
    at_ms: int | None = None,
    **data: Any,
) -> Point:
    """``lane``: as it is stored; ``at_ms``: the point's time, where it is not the event's."""
    its: Lane = "urgent" if lane.startswith("urgent") else "routine"
    if kind == "reading":
        data = {"quantity": "temperature", "value": 20.0} | data
    event = Event(gateway, "j1", its, seq, "b1", 1_000, utc_ms, kind, "wc.climate", data, False)
    time_ms = at_ms if at_ms is not None else utc_ms or 0
    return Point(kind, tags_of(event), fields_of(event, True), time_ms, Origin(event, lane))


def hours(server: Postgresql) -> list[tuple[Any, ...]]:
    """Hour after T0, mean, low, high, count, gaps and covered minutes."""
    return server.query(
        "SELECT ((extract(epoch FROM hour) * 1000)::bigint - %s) / 3600000, mean, low, high, count,"
        " gaps, covered_ms / 60000.0 FROM portier.hours ORDER BY series, hour",
        (T0,),
    )


def count(server: Postgresql, table: str) -> int:
    ((found,),) = server.query(f"SELECT count(*) FROM portier.{table}")
    return int(found)


def test_an_event_is_its_name_whatever_its_time_is(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    assert store.write([point(1, NOW), point(2, None, at_ms=NOW)]) == []
    assert store.write([point(1, NOW - 3_600_000), point(2, NOW + 5), point(2, NOW + 6)]) == []
    assert [seq for _, _, seq in empty.points()] == [1, 2]
    assert empty.readings() == 2


def test_the_second_event_of_a_number_is_there_too(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    both = [point(1, value=1.0), point(1, value=2.0, lane="routine:0badcafe")]
    for _ in range(2):
        assert store.write(both) == []
    found = empty.query("SELECT lane, data ->> 'value' FROM portier.events ORDER BY lane")
    assert found == [("routine", "1.0"), ("routine:0badcafe", "2.0")]


def test_what_the_recorder_has_noticed_itself_is_there_once(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    own = Point(
        "gateway_silent", (("gateway", "csg"), ("subject", "csg")), {"seq": 0, "silent": 1}, NOW
    )
    for _ in range(2):
        assert store.write([own]) == []
    found = empty.query("SELECT gateway, kind, subject, data FROM portier.events")
    assert found == [("csg", "gateway_silent", "csg", {"silent": 1})]


def test_points_beyond_one_transaction_are_written_and_a_bad_one_keeps_its_place(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    points = [point(seq) for seq in range(1, 1201)]
    points[777] = point(778, reason="a\0b")
    (bad,) = store.write(points)
    assert (bad.index, bad.reason.partition(":")[0]) == (777, "PostgreSQL 22P05")
    assert count(empty, "events") == empty.readings() == 1199


# --- hours --------------------------------------------------------------------------------


def test_an_hour_has_its_mean_by_time_like_that_of_the_journal(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    """Carried in from the hour before, valid for half an hour, ended by a gap."""
    minute = 60_000
    values = [(-10, 10.0), (10, 20.0), (20, 30.0), (30, None), (40, 40.0)]
    store.write(
        [point(seq, T0 + at * minute, value=value) for seq, (at, value) in enumerate(values, 1)]
    )
    store.expire(0, None)
    assert hours(empty) == [
        (-1, 10.0, 10.0, 10.0, 1, 0, 10.0),
        # 10 min of 10, 10 of 20, 10 of 30, a gap of 10, 20 min of 40
        (0, pytest.approx((100 + 200 + 300 + 800) / 50), 10.0, 40.0, 3, 1, 50.0),
        (1, 40.0, 40.0, 40.0, 0, 0, 10.0),
    ]
    assert count(empty, "hours_due") == 0
    # one that is late ends the one before it
    store.write([point(9, T0 + 50 * minute, value=80.0)])
    store.expire(60_000, None)
    assert hours(empty)[1:] == [
        (0, pytest.approx((100 + 200 + 300 + 400 + 800) / 50), 10.0, 80.0, 4, 1, 50.0),
        (1, 80.0, 80.0, 80.0, 0, 0, 20.0),
    ]


def test_an_hour_that_was_thinned_is_a_part_of_its_mean(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    thinned: dict[str, Any] = {
        "min": 10.0,
        "max": 30.0,
        "count": 60,
        "lasts_s": 3600.0,
        "covered_s": 1800.0,
    }
    store.write([point(1, T0 + 900_000, value=20.0, **thinned)])
    store.expire(0, None)
    assert hours(empty) == [
        (0, 20.0, 10.0, 30.0, 60, 0, 22.5),
        (1, 20.0, 10.0, 30.0, 0, 0, 7.5),
    ]


def test_the_present_hour_waits_until_it_is_over(store: PostgresqlStore, empty: Postgresql) -> None:
    store.write([point(1, NOW)])
    store.expire(0, None)
    assert hours(empty) == []
    assert count(empty, "hours_due") in {1, 2}


def test_readings_that_come_while_their_hour_is_computed_are_in_it_afterwards(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    """Somebody else has taken the hour, has not seen these readings, and is not done yet."""
    store.write([point(1, T0, value=10.0)])
    other = opened(empty)
    with empty.admin() as db, db.transaction():
        db.execute("SELECT 1 FROM portier.hours_due FOR UPDATE")
        writer = threading.Thread(
            target=other.write, args=([point(2, T0 + 1_800_000, value=30.0)],)
        )
        writer.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        eventually(lambda: empty.query(waiting) == [(1,)])
        db.execute("DELETE FROM portier.hours_due")
    writer.join(30)
    assert not writer.is_alive()
    other.close()
    store.expire(0, None)
    assert hours(empty)[0][:2] == (0, pytest.approx(20.0))


# --- lives --------------------------------------------------------------------------------


def sweep(store: PostgresqlStore, now_ms: int = SWEEP_EVERY_MS, utc_ms: int = NOW) -> None:
    for _ in range(200):
        store.expire(now_ms, utc_ms)


def lived(server: Postgresql) -> dict[tuple[str, str], int]:
    return {
        (gateway, kind): number
        for gateway, kind, number in server.query(
            "SELECT gateway, kind, count(*) FROM portier.events GROUP BY 1, 2"
        )
    }


LIVES: Mapping[str, int] = {"doors": 90 * DAY_MS, "climate": 365 * DAY_MS}


def test_each_kind_is_stored_as_long_as_its_class(
    empty: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.recorder.stores.postgresql.REMOVED_MOST", 3)
    store = opened(empty, lives_ms=LIVES)
    for at_days, first in ((100, 1), (10, 100), (400, 200)):
        at_ms = NOW - at_days * DAY_MS
        store.write(
            [point(first + n, at_ms + n, kind="door_opened", cause="request") for n in range(10)]
            + [point(first + 20 + n, at_ms + n) for n in range(10)]
            + [point(first + 40, at_ms, kind="gateway_started")]
        )
    store.expire(0, None)  # while the clock is in doubt nothing is removed
    assert (count(empty, "events"), empty.readings()) == (63, 30)
    assert count(empty, "hours") > 2
    sweep(store)
    assert lived(empty) == {
        ("csg", "door_opened"): 10,
        ("csg", "reading"): 20,
        ("csg", "gateway_started"): 3,  # its class has no life here
    }
    assert empty.readings() == 20
    old = postgresql_schema.month_of(NOW - 400 * DAY_MS).table
    assert empty.query("SELECT to_regclass(%s)", (f"portier.{old}",)) == [(None,)]
    # the month comes again with what is late
    assert store.write([point(999, NOW - 399 * DAY_MS)]) == []
    assert empty.query("SELECT to_regclass(%s) IS NULL", (f"portier.{old}",)) == [(False,)]
    store.close()


def test_a_recorder_of_some_gateways_removes_nothing_of_others(empty: Postgresql) -> None:
    store = opened(empty, lives_ms=LIVES, gateways=("csg",))
    old = NOW - 400 * DAY_MS
    for gateway in ("csg", "other"):
        store.write(
            [point(1, old, gateway=gateway), point(2, old, kind="door_opened", gateway=gateway)]
        )
    store.expire(0, None)
    sweep(store)
    assert lived(empty) == {("other", "reading"): 1, ("other", "door_opened"): 1}
    assert empty.readings() == 1
    assert empty.query(
        "SELECT DISTINCT gateway FROM portier.hours JOIN portier.series ON id = series"
    ) == [("other",)]
    store.close()


def test_readings_of_no_usual_month_are_stored_beside_the_months(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    store.write([point(1, 5), point(2, NOW + 400 * DAY_MS), point(3, NOW)])
    assert count(empty, "readings_default") == 2
    assert count(empty, postgresql_schema.month_of(NOW).table) == 1


# --- which store it is --------------------------------------------------------------------


def test_it_is_another_store_when_its_tables_were_made_anew(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    before = store.identity()
    assert store.identity() == before
    again = opened(empty)
    assert again.identity() == before
    again.close()
    with empty.admin() as db:
        db.execute("DROP SCHEMA portier CASCADE")
    with pytest.raises(StoreDownError) as down:
        store.write([point(1)])
    assert (down.value.code, down.value.lost) == ("store_refuses", True)
    after = store.identity()
    assert after != before
    assert store.write([point(1)]) == []


def test_tables_of_a_version_that_this_one_may_not_write_are_left_alone(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    store.write([point(1)])
    store.close()
    with empty.admin() as db:
        db.execute("UPDATE portier.meta SET value = '9' WHERE name IN ('version', 'oldest')")
    with pytest.raises(StoreDownError, match=r"of version 9.*update it"):
        store.identity()
    with empty.admin() as db:  # newer tables that this one may write
        db.execute("UPDATE portier.meta SET value = '1' WHERE name = 'oldest'")
    assert store.write([point(2)]) == []
    assert empty.query("SELECT value FROM portier.meta WHERE name = 'version'") == [("9",)]


def test_many_recorders_that_start_at_once_make_the_tables_once(empty: Postgresql) -> None:
    stores = [opened(empty) for _ in range(6)]
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(one.identity())) for one in stores
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    for each in stores:
        each.close()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_transaction_that_is_cut_short_leaves_nothing(
    store: PostgresqlStore, empty: Postgresql
) -> None:
    store.write([point(1)])
    with empty.admin() as db, db.transaction():
        db.execute("LOCK TABLE portier.readings IN ACCESS EXCLUSIVE MODE")
        writer = threading.Thread(target=_write_refused, args=(store,))
        writer.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ((pid,),) = eventually(lambda: empty.query(waiting))
        empty.query("SELECT pg_terminate_backend(%s)", (pid,))
        writer.join(30)
        assert not writer.is_alive()
    assert (count(empty, "events"), empty.readings()) == (1, 1)
    assert store.write([point(2)]) == []
    assert (count(empty, "events"), empty.readings()) == (2, 2)


def _write_refused(store: PostgresqlStore) -> None:
    with pytest.raises(StoreDownError) as down:
        store.write([point(2)])
    assert down.value.lost


def test_the_password_is_in_no_error(empty: Postgresql) -> None:
    store = PostgresqlStore(parse(empty.store.replace("portier@", "nobody@")), "a secret word")
    with pytest.raises(StoreDownError) as down:
        store.identity()
    assert down.value.code == "store_refuses"
    assert "a secret word" not in f"{down.value!r} {down.value.__cause__!r}"
    assert isinstance(down.value.__cause__, psycopg.OperationalError | StoreDownError)
