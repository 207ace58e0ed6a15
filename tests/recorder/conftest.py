"""Events as a gateway sends them, and a recorder without network."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from gateway.mqtt.subscription import Connected, Happening, Received
from gateway.recorder.points import Point
from gateway.recorder.recorder import Recorder
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.store import Rejected, Store, StoreDownError
from gateway.wire import Row, to_cloudevent

T0 = 1_700_000_000_000


def event(
    seq: int,
    *,
    kind: str = "reading",
    subject: str = "wc.climate",
    lane: Any = "routine",
    utc_ms: int | None = T0,
    mono_ms: int = 1_000,
    boot: str = "b1",
    journal: str = "j1",
    data: dict[str, Any] | None = None,
    late: bool = False,
) -> dict[str, Any]:
    if data is None:
        data = {"quantity": "temperature", "value": 21.5}
    row = Row(seq, lane, seq, boot, mono_ms, utc_ms, kind, subject, data)
    return dict(to_cloudevent("csg", journal, row, late=late))


class FakeStore(Store):
    """A store in memory: points by series and time, and troubles on demand."""

    def __init__(self) -> None:
        self.points: dict[Any, Point] = {}
        self.troubles: deque[Exception] = deque()
        self.bad: set[int] = set()
        self.writes = 0
        self.name: str | None = "one"
        self.swept: list[int | None] = []
        """The UTC ms of each call of ``expire``."""
        self.cannot_expire: Exception | None = None

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        if self.troubles:
            raise self.troubles.popleft()
        self.writes += 1
        rejected = []
        for index, point in enumerate(points):
            if point.fields["seq"] in self.bad:
                rejected.append(Rejected(index, "HTTP 400 field type conflict"))
            else:
                # without its event, which may be late when it comes again
                self.points[point.series, point.time_ms] = point._replace(origin=None)
        return rejected

    def identity(self) -> str | None:
        return self.name

    def expire(self, now_ms: int, utc_ms: int | None) -> None:
        self.swept.append(utc_ms)
        if self.cannot_expire is not None:
            raise self.cannot_expire

    def close(self) -> None:
        pass

    def seqs(self) -> list[int]:
        return sorted(int(point.fields["seq"]) for point in self.points.values())


class FakeBroker:
    def __init__(self) -> None:
        self.came: deque[Happening] = deque([Connected(1)])
        self.acknowledged: list[int] = []
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.mid = 0

    def pump(self, wait_s: float) -> None:
        pass

    def take(self) -> Happening | None:
        return self.came.popleft() if self.came else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        self.acknowledged += [message.mid for message in messages]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        self.published.append((topic, json.loads(payload)))
        return True

    def give(self, topic: str, payload: bytes, retained: bool = False) -> int:
        self.mid += 1
        self.came.append(Received(1, self.mid, f"portier/csg/{topic}", payload, retained))
        return self.mid

    def event(self, one: dict[str, Any]) -> int:
        return self.give(f"event/{one['type']}", json.dumps(one).encode())


class Bench:
    """A recorder whose broker, store and clocks are in the hand of the test."""

    def __init__(self) -> None:
        self.broker, self.store = FakeBroker(), FakeStore()
        self.state = RecorderState(":memory:")
        self.now_ms = 10_000
        self.utc_ms = T0 + 60_000
        self.again()

    def again(self) -> None:
        """A recorder that starts with the state that the last one left."""
        self.recorder = Recorder(
            "main",
            self.broker,
            self.store,
            self.state,
            now_ms=lambda: self.now_ms,
            utc_ms=lambda: self.utc_ms,
            silent_after_ms=60_000,
        )

    def turn(self, ms: int = 0) -> None:
        import threading

        self.now_ms += ms
        self.utc_ms += ms
        # the deadline of a batch does not pass by itself here
        before = self.now_ms
        broker = self.broker

        def pump(wait_s: float) -> None:
            self.now_ms += int(wait_s * 1000) + 1

        broker.pump = pump  # type: ignore[method-assign]  # the clock of this test
        self.recorder.turn(threading.Event())
        self.now_ms = before

    def asked(self) -> list[dict[str, Any]]:
        return [text for topic, text in self.broker.published if "/replay/" in topic]

    def recorded(self) -> dict[str, Any]:
        return [text for topic, text in self.broker.published if "/recorded/" in topic][-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.state.close()


__all__ = ["T0", "Bench", "StoreDownError", "event"]
