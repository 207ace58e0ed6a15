"""What the centre reads of the PostgreSQL store, before a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.schema import HOUR_MS
from gateway.recorder.stores import postgresql_hours
from gateway.recorder.stores.postgresql import PostgresqlStore
from gateway.recorder.stores.postgresql_connection import PostgresqlConnection
from gateway.recorder.stores.store import StoreDownError
from gateway.settings.values.secrets import Secret
from gateway.settings.values.store_address import parse
from gateway.sites.history.postgresql import PostgresqlHistory
from gateway.sites.history.stored import QuestionTooLong, StoreUnreadable, Wanted
from gateway.wire import calendar_time
from tests.process.parts_mqtt import running
from tests.process.parts_postgresql import PASSWORD, Postgresql
from tests.sites.recorded import CASES, DAY_MS, T0, Recorded, point

pytestmark = pytest.mark.process
SERIES, YEAR_HOURS = 300, 24 * 365


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
def on(empty: Postgresql) -> Iterator[Recorded]:
    store = PostgresqlStore(parse(empty.store), PASSWORD)
    history = PostgresqlHistory(parse(empty.store), lambda: PASSWORD)
    assert store.identity()
    yield Recorded(store, history, has_boots=True)
    history.close()
    store.close()


@pytest.mark.parametrize("rolled_up", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_store_is_read_like_the_embedded_one(
    on: Recorded, case: Callable[[Recorded], None], rolled_up: bool
) -> None:
    """Whether the recorder has computed the means of the hours yet, or not."""

    def roll_up() -> None:
        assert isinstance(on.store, PostgresqlStore)
        while postgresql_hours.roll_up(on.store._open()):
            pass

    if rolled_up:
        on.finish = roll_up
    case(on)


def test_what_was_recorded_late_is_in_the_mean_before_the_hour_is_computed_anew(
    on: Recorded,
) -> None:
    on.write(point(1, T0, value=10.0))
    assert isinstance(on.store, PostgresqlStore)
    while postgresql_hours.roll_up(on.store._open()):
        pass
    on.write(point(2, T0 + 15 * 60_000, value=20.0))
    assert on.means(T0, T0 + HOUR_MS, 1) == [
        (0, 10.0, round((15 * 10 + 30 * 20) / 45, 4), 20.0, 2, 45)
    ]


def test_events_of_long_ago_and_of_a_clock_that_runs_ahead_are_found(on: Recorded) -> None:
    ahead = calendar_time(0).replace(year=2100)
    on.write(
        point(1, T0 - 900 * DAY_MS, "door_opened", "front", cause="hand"),
        point(2, int(ahead.timestamp() * 1000), "door_closed", "front"),
    )
    found = on.history.events(Wanted(("bad-1",), ("door_opened", "door_closed")))
    assert [one.kind for one in found] == ["door_closed", "door_opened"]
    assert (found[1].journal, found[1].boot) == ("j1", "b1")


def test_the_second_event_of_a_number_keeps_its_lane(on: Recorded, empty: Postgresql) -> None:
    on.write(point(1, T0, "door_opened", "front", cause="hand"))
    empty.query("UPDATE portier.events SET lane = lane || ':0badcafe' RETURNING 1")
    (one,) = on.history.events(Wanted(("bad-1",)))
    assert one.lane == "urgent"


def test_without_tables_or_server_it_is_said_and_it_goes_on_afterwards(
    empty: Postgresql,
) -> None:
    history = PostgresqlHistory(parse(empty.store), lambda: PASSWORD)
    with pytest.raises(StoreUnreadable, match="nothing was recorded"):
        history.events(Wanted(("bad-1",)))
    store = PostgresqlStore(parse(empty.store), PASSWORD)
    assert store.write([point(1, T0, "door_opened", "front", cause="hand")]) == []
    assert len(history.events(Wanted(("bad-1",)))) == 1
    with empty.admin() as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='portier'")
    with pytest.raises(StoreUnreadable):
        history.events(Wanted(("bad-1",)))
    assert len(history.events(Wanted(("bad-1",)))) == 1
    history.close()
    store.close()


def test_without_the_password_there_is_no_history(tmp_path: Path, empty: Postgresql) -> None:
    secret = Secret("database_password", (tmp_path,))
    history = PostgresqlHistory(parse(empty.store), secret.read)
    with pytest.raises(StoreUnreadable, match="database_password"):
        history.quantities("bad-1", "wc.climate")


def test_a_question_has_an_end_and_nothing_can_be_written(on: Recorded, empty: Postgresql) -> None:
    assert isinstance(on.history, PostgresqlHistory)
    with pytest.raises(QuestionTooLong):
        PostgresqlHistory(parse(empty.store), lambda: PASSWORD, within_s=0.2)._ask(
            lambda db: db.rows("SELECT pg_sleep(20)")
        )
    with pytest.raises(StoreDownError, match="25006"):
        on.history._open().run("DELETE FROM events")


def test_every_question_uses_an_index_among_many_hours_and_events(
    on: Recorded, empty: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPLAIN of what is really asked: no table with rows of all gateways is read as a whole."""
    on.write(point(1, T0, value=1.0), point(2, T0, "contact_changed", "front.leaf", active=True))
    empty.query(
        "INSERT INTO portier.series (gateway, point, quantity)"
        " SELECT 'g' || n, 'wc.climate', 'temperature_c' FROM generate_series(2, %s) n"
        " RETURNING 1",
        (SERIES,),
    )
    empty.query(
        "INSERT INTO portier.hours SELECT s, 4, 0, %s + h * interval '1 hour', 20, 19, 21, 3600000"
        " FROM generate_series(1, %s) s, generate_series(0, %s) h ON CONFLICT DO NOTHING"
        " RETURNING 1",
        (calendar_time(T0), SERIES, YEAR_HOURS // 10),
    )
    empty.query(
        "INSERT INTO portier.events SELECT 'g' || n %% 200, 'j', 'routine', n, k, 'front.leaf',"
        " %s + n * interval '1 minute', true, 'b', n, '{}' FROM generate_series(1, 60000) n,"
        " LATERAL (SELECT (ARRAY['reading', 'reading', 'contact_changed', 'door_opened'])"
        " [1 + n %% 4] AS k) kinds RETURNING 1",
        (calendar_time(T0),),
    )
    with empty.admin() as db:
        for table in ("events", "hours", "series", "readings", "hours_due"):
            db.execute(f"ANALYZE portier.{table}".encode())
    asked: list[tuple[str, Any]] = []
    rows = PostgresqlConnection.rows

    def listen(self: PostgresqlConnection, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        asked.append((sql, values))
        return rows(self, sql, values)

    monkeypatch.setattr(PostgresqlConnection, "rows", listen)
    year = (T0, T0 + 365 * DAY_MS)
    history = on.history
    assert isinstance(history, PostgresqlHistory)
    assert len(history.buckets("bad-1", "wc.climate", "temperature_c", year, 365, year[1])) > 30
    history.buckets("bad-1", "wc.climate", "temperature_c", (T0, T0 + HOUR_MS), 60, year[1])
    history.levels("g7", "front.leaf", year)
    assert history.events(Wanted(("g7", "g8"), ("door_opened",), limit=20))
    assert history.events(Wanted(("g7",), None, T0, T0 + DAY_MS, oldest_first=True))
    questions = [(sql, values) for sql, values in asked if "FROM events" in sql or "hour" in sql]
    assert len(questions) >= 8
    for sql, values in questions:
        plan = "\n".join(str(line) for (line,) in rows(history._open(), f"EXPLAIN {sql}", values))
        for table in ("events", "hours"):
            assert f"Seq Scan on {table} " not in plan, f"{sql}\n{plan}"
