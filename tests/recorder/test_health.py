"""How gateways are, in stores that dashboards read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.recorder.health import CLOCK_SET_MS, EVERY_MS, PLACES_EVERY_MS, Health
from gateway.recorder.points import Point, line
from gateway.recorder.stores.store import Rejected, Store, StoreDownError
from tests.recorder.conftest import T0, Bench, event

TOLD: dict[str, Any] = {
    "journal": "j1",
    "sent": {"urgent": 0, "routine": 0},
    "guarantees": {
        "call": {"value": "yes"},
        "clock": {"value": "no"},
        "messages": {"value": "unknown"},
        "heartbeat": {"value": "not_configured"},
    },
    "backlog": 3,
    "oldest_unsent_s": 1.5,
    "clock": {"trusted": True, "utc_offset_ms": 1},
    "disk": {"free_bytes": 10, "total_bytes": 20},
    "temperature_c": None,
    "aside_count": 0,
    "places": {"wc.climate": {"room": "wc"}, "front.leaf": {"door": "front", "room": "wc"}},
}


class DashboardStore(Store):
    """Keeps the lines that it takes; ``down`` and ``refuses`` are its troubles."""

    takes_health = True

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.down = False
        self.refuses = ""

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        if self.down:
            raise StoreDownError("down")
        self.batches.append([line(point) for point in points])
        return [
            Rejected(index, "HTTP 400")
            for index, point in enumerate(points)
            if point.measurement == self.refuses
        ]

    def identity(self) -> str | None:
        return "one"

    def close(self) -> None:
        pass


@pytest.fixture
def store(bench: Bench) -> DashboardStore:
    store: Any = DashboardStore()
    bench.store = store
    bench.again()
    return store  # type: ignore[no-any-return]


def tell(bench: Bench, **values: Any) -> None:
    bench.broker.give("health", json.dumps(TOLD | values).encode())


def test_health_is_written_and_what_is_not_known_has_no_number(
    bench: Bench, store: DashboardStore
) -> None:
    tell(bench)
    bench.turn()
    assert store.batches == [
        [
            "health,gateway=csg backlog=3.0,oldest_unsent_s=1.5,refused=0.0,clock_trusted=1.0,"
            f"disk_free_bytes=10.0,disk_total_bytes=20.0 {T0 + 60_000}",
            f"guarantee,gateway=csg,guarantee=call value=1i {T0 + 60_000}",
            f"guarantee,gateway=csg,guarantee=clock value=0i {T0 + 60_000}",
            f"place,door=front,gateway=csg,point=front.leaf,room=wc present=1i {T0 + 60_000}",
            f"place,gateway=csg,point=wc.climate,room=wc present=1i {T0 + 60_000}",
        ]
    ]


def test_it_is_written_once_a_minute_at_most_and_the_newest_only(
    bench: Bench, store: DashboardStore
) -> None:
    for backlog in range(8):
        tell(bench, backlog=backlog)
        bench.turn(ms=30_000)
    first = [batch[0].split()[1].partition(",")[0] for batch in store.batches]
    assert first == [f"backlog={backlog}.0" for backlog in (0, 2, 4, 6)]
    assert [len(batch) for batch in store.batches] == [5, 3, 3, 3]  # places once an hour


def test_places_come_again_after_an_hour_and_when_they_change() -> None:
    health = Health()

    def places(now_ms: int, **values: Any) -> int:
        health.take("csg", json.dumps(TOLD | values).encode(), now_ms, T0)
        found = [one for one in health.due(now_ms) if one.measurement == "place"]
        health.written(now_ms)
        return len(found)

    one = {"a": {"door": "front"}}
    assert places(EVERY_MS) == 2
    assert places(2 * EVERY_MS) == 0
    assert places(3 * EVERY_MS, places=one) == 1
    assert places(4 * EVERY_MS, places=one) == 0
    assert places(4 * EVERY_MS + PLACES_EVERY_MS, places=one) == 1


def test_a_store_that_is_down_holds_nothing_up_for_it(bench: Bench, store: DashboardStore) -> None:
    """It is no fact: what a gateway is like now, its next message says, too."""
    store.down = True
    tell(bench)
    bench.turn()  # would not come back
    store.down = False
    bench.turn(ms=EVERY_MS // 2)
    assert store.batches == []
    tell(bench)
    bench.turn(ms=EVERY_MS // 2)
    assert len(store.batches) == 1


def test_what_the_store_refuses_of_it_is_not_set_aside(bench: Bench, store: DashboardStore) -> None:
    store.refuses = "health"
    tell(bench)
    bench.broker.event(event(1))
    bench.turn()
    assert sum(bench.state.aside_counts().values()) == 0
    assert bench.recorded()["lanes"]["routine"] == 1


def test_a_fact_beside_it_is_still_set_aside_with_its_reason(
    bench: Bench, store: DashboardStore
) -> None:
    store.refuses = "reading"
    tell(bench)
    bench.broker.event(event(1))
    bench.turn()
    assert sum(bench.state.aside_counts().values()) == 1


def test_the_embedded_store_gets_none_of_it(bench: Bench) -> None:
    """Nobody reads it there, and each minute would be a commit on the card."""
    tell(bench)
    bench.turn()
    assert bench.store.writes == 0


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"\xff", b'{"guarantees": 1, "places": [], "disk": null, "clock": "x"}',
     b'{"backlog": 1e400}', b'{"backlog": true, "temperature_c": "hot", "places": {"x": 1}}',
     b'{"guarantees": {"A B": {"value": "yes"}, "call": "yes"}}',
     b'{"places": {"p": 1, "": {}, "q": ["room"]}}',
     b'{"backlog": ' + b"9" * 400 + b"}"],
)  # fmt: skip
def test_what_is_none_makes_no_point(payload: bytes) -> None:
    health = Health()
    health.take("csg", payload, 1, T0)
    assert health.due(EVERY_MS) == []


def test_a_place_that_is_none_is_a_point_somewhere() -> None:
    health = Health()
    payload = b'{"places": {"p": {"room": ""}, "q": {"room": 7, "door": "front"}, "r": {}}}'
    health.take("csg", payload, 1, T0)
    assert [line(point).partition(" ")[0] for point in health.due(EVERY_MS)] == [
        "place,gateway=csg,point=p",
        "place,door=front,gateway=csg,point=q",
        "place,gateway=csg,point=r",
    ]


def test_a_machine_that_has_no_time_yet_writes_none() -> None:
    health = Health()
    health.take("csg", json.dumps(TOLD).encode(), 1, CLOCK_SET_MS - 1)
    assert health.due(EVERY_MS) == []
