"""From the journal to the store, through a real broker and real stores, whatever is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.parts_mqtt import Mosquitto, Role, eventually, running, sqlite_points
from tests.process.stand_in import StandIn

pytestmark = pytest.mark.process


@pytest.fixture
def control(tmp_path: Path) -> Iterator[StandIn]:
    one = StandIn(tmp_path)
    one.start()
    yield one
    one.close()


def roles(folder: Path, broker: Mosquitto, store: str) -> tuple[Role, Role]:
    at = {"host": "127.0.0.1", "port": broker.port}
    link = Role(folder, "link", "link", {"gateway": "csg", "broker": at, "state": str(folder)})
    record = Role(
        folder,
        "record",
        "record",
        {"name": "main", "broker": at, "state": str(folder / "record"), "store": store},
    )
    return link, record


def expected(control: StandIn) -> list[tuple[str, int]]:
    """Kind and number of everything in the journal, each once."""
    return sorted((row.kind, row.seq) for row in control.rows())


def test_what_is_in_the_journal_comes_into_the_store_and_is_told_back(
    tmp_path: Path, control: StandIn
) -> None:
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, "sqlite")
    with running(broker, link, record):
        for number in range(100):
            control.opening(number)
        eventually(lambda: control.settled(300))
        store = tmp_path / "record" / "record.sqlite"
        eventually(lambda: len(sqlite_points(store)) >= 300, what=lambda: len(sqlite_points(store)))
        assert sorted((k, seq) for k, _, seq in sqlite_points(store)) == expected(control)
        own = {(row.kind, row.seq): row.utc_ms for row in control.rows()}
        # whole ms, moved only where two of one series share one
        assert all(0 <= at - (own[kind, seq] or 0) < 100 for kind, at, seq in sqlite_points(store))
        heads = control.reader.heads()
        eventually(lambda: control.reader.cursors().sent["urgent"] == heads["urgent"])
        eventually(
            lambda: control.reader.cursors().recorded.get("main", ("", {}))[1]
            == {"urgent": heads["urgent"], "routine": heads["routine"]}
        )


def test_a_broker_that_is_killed_and_loses_its_queue_loses_nothing(
    tmp_path: Path, control: StandIn
) -> None:
    """mqtt-io, paho#634: what was in the broker when it died is asked for again."""
    broker = Mosquitto(tmp_path)
    link, record = roles(tmp_path, broker, "sqlite")
    store = tmp_path / "record" / "record.sqlite"
    with running(broker, link, record):
        eventually(lambda: "connected" in record.log())
        record.kill()  # its persistent session now queues at the broker
        for number in range(300):
            control.opening(number)
        heads = eventually(lambda: control.settled(900) and control.reader.heads())
        eventually(lambda: control.reader.cursors().sent["urgent"] == heads["urgent"])
        broker.kill()
        record.start()
        broker.start()
        began = time.monotonic()
        eventually(lambda: len(sqlite_points(store)) >= 900, 60, lambda: record.log()[-3000:])
        assert sorted((k, seq) for k, _, seq in sqlite_points(store)) == expected(control)
        assert time.monotonic() - began < 60
