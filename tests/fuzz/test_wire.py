"""The wire and who reads it: an event that came in can be stored, or is refused and set aside."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import wire
from gateway.core.facts import KINDS
from gateway.mqtt.subscription import Connected, Happening, Received
from gateway.recorder.points import Point, fields_of, line, tags_of
from gateway.recorder.recorder import Recorder
from gateway.recorder.state import RecorderState
from gateway.recorder.stores.sqlite import SqliteStore
from gateway.wire import Row, WireError
from tests.fuzz.draws import HALF, TEXTS, TREES, deep, fuzz, tampered

pytestmark = pytest.mark.thorough

VALUES: dict[str, Any] = {"str": "a", "int": 7, "float": 2.5, "bool": True, "range": [1, 4]}
ROWS = [
    Row(
        n, kind.lane, n, "boot-1", 5_000 + n, 1_700_000_000_000 + n, kind.name, "wc.climate",
        {name: VALUES[wanted.rstrip("?")] for name, wanted in kind.fields.items()},
    )
    for n, kind in enumerate(KINDS.values(), 1)
    if kind.lane in wire.PUBLISHED
]  # fmt: skip
GOOD: list[dict[str, Any]] = [
    wire.to_cloudevent("csg", "j1", row, late=row.row % 2 == 0) for row in ROWS
]
"""One event of every kind that leaves a gateway."""
BAD = st.sampled_from(GOOD).flatmap(tampered)


@fuzz(400)
@given(BAD | TREES)
@example({**GOOD[0], "type": "portier.brand_new.v1", "data": {"n": 10**400}})
def test_what_is_let_in_goes_out_the_same_and_whatever_else_comes_is_a_wire_error(
    tree: Any,
) -> None:
    try:
        said: Any = wire.read_json(json.dumps(tree).encode())
    except ValueError:
        return
    try:
        event = wire.from_cloudevent(said)
    except WireError as error:
        str(error).encode()
        return
    assert said["id"] == f"{event.gateway}/{event.journal}/{event.lane}/{event.seq}"
    assert (event.subject, event.boot) == (said["subject"], said["bootid"])
    assert (event.mono_ms, event.late) == (said["monotonicms"], said.get("late", False))
    assert event.data == said.get("data", {})
    row = Row(
        1, event.lane, event.seq, event.boot, event.mono_ms, event.utc_ms, event.kind,
        event.subject, event.data,
    )  # fmt: skip
    sent = wire.to_cloudevent(event.gateway, event.journal, row, late=event.late)
    assert wire.from_cloudevent(json.loads(json.dumps(sent))) == event


@fuzz(100)
@given(st.binary(max_size=60) | TREES.map(lambda tree: json.dumps(tree).encode()))
@example(b"[" * 10_000)
@example(f'{{"a":{deep(60)}}}'.encode())
def test_bytes_are_json_that_can_be_written_on_or_a_value_error(data: bytes) -> None:
    try:
        found = wire.read_json(data)
    except ValueError:
        return
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    assert found == json.loads(data)


def read_line(text: str) -> tuple[list[str], dict[str, str]]:
    """Line protocol by its own rules: measurement and tags, and fields, still escaped."""
    parts: list[str] = [""]
    escaped = quoted = False
    for char in text:
        if char == " " and not escaped and not quoted:
            parts.append("")
            continue
        if char == '"' and not escaped and len(parts) == 2:
            quoted = not quoted
        escaped = char == "\\" and not escaped
        parts[-1] += char
    series, fields, time = parts
    assert time.lstrip("-").isdecimal()
    found: dict[str, str] = {}
    for part in _split(fields, ","):
        name, value = _split(part, "=")
        assert name not in found
        found[name] = value
    return _split(series, ",", quotes=False), found


def _split(text: str, at: str, *, quotes: bool = True) -> list[str]:
    parts, escaped, quoted = [""], False, False
    for char in text:
        if char == at and not escaped and not quoted:
            parts.append("")
            continue
        if char == '"' and not escaped:
            quoted = quotes and not quoted
        escaped = char == "\\" and not escaped
        parts[-1] += char
    return parts


NAMES = TEXTS | st.text('a,= "\\\n\t', max_size=6)


@fuzz(200)
@given(st.sampled_from(GOOD), NAMES, st.dictionaries(NAMES, TREES | NAMES, max_size=4))
@example(GOOD[0], "x", {"a b": 1, "c,d=1": 2})
@example(GOOD[0], "x", {"\n": 1})
@example(GOOD[0], "x", {"": 1})
def test_whatever_a_newer_gateway_says_is_one_line_with_its_own_tags_and_fields(
    good: dict[str, Any], subject: str, more: dict[str, Any]
) -> None:
    try:
        text = json.dumps({**good, "subject": subject, "data": {**good["data"], **more}})
        event = wire.from_cloudevent(wire.read_json(text.encode()))
    except ValueError:
        return
    point = Point(event.kind, tags_of(event), fields_of(event, True), 1_700_000_000_000)
    written = line(point)
    assert "\n" not in written
    series, fields = read_line(written)
    assert [part.partition("=")[0] for part in series[1:]] == [name for name, _ in point.tags]
    assert len(fields) == len(point.fields)
    assert fields["seq"] == f"{event.seq}i"
    assert "" not in fields


class Broker:
    """Delivers these messages and keeps what was acknowledged; waiting makes it later."""

    def __init__(self, messages: Iterable[Happening]) -> None:
        self.queue = deque(messages)
        self.acknowledged: list[Received] = []
        self.now_ms = 1_000

    def pump(self, wait_s: float) -> None:
        self.now_ms += int(wait_s * 1_000) + 1

    def take(self) -> Happening | None:
        return self.queue.popleft() if self.queue else None

    def acknowledge(self, messages: Iterable[Received]) -> None:
        self.acknowledged += messages

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        topic.encode()
        return True


def received(what: str, payload: bytes, mid: int = 1) -> Received:
    return Received(1, mid, f"portier/csg/{what}", payload, False)


def event(tree: Any) -> Received:
    return received("event/door_opened/front", json.dumps(tree).encode())


ABSENT = {"journal": "j1", "lane": "urgent", "ranges": [[1, 4], [9, 9]], "reason": "expired"}
HEALTH = {"journal": "j1", "boot": "boot-1", "sent": {"urgent": 4}, "heads": {"urgent": 4}}
NOISE = st.one_of(
    BAD.map(event),
    st.sampled_from([{**GOOD[0], "time": None}, {**GOOD[3], "time": None, "bootid": "b"}])
    .flatmap(tampered)
    .map(event),
    tampered(ABSENT).map(lambda tree: received("absent", json.dumps(tree).encode())),
    tampered(HEALTH).map(lambda tree: received("health", json.dumps(tree).encode())),
    st.tuples(
        st.sampled_from(["event/x/y", "absent", "health", "availability", "", "event"]),
        st.binary(max_size=40) | TREES.map(lambda tree: json.dumps(tree).encode()),
    ).map(lambda both: received(*both)),
)
TRUSTED = next(e for e in GOOD if e["type"] == "portier.clock_trusted.v1")
UNTIMED = {key: value for key, value in GOOD[0].items() if key != "time"}
FAR = {**TRUSTED, "data": {"utc_offset_ms": 2**63 - 1}}


@fuzz(120)
@given(st.lists(NOISE, max_size=6), st.sampled_from(ROWS))
@example([event({**GOOD[1], "subject": HALF})], ROWS[0])
@example([received("absent", json.dumps({**ABSENT, "journal": HALF}).encode())], ROWS[0])
@example([event(FAR), event({**UNTIMED, "monotonicms": 2**63 - 1})], ROWS[1])
@example(
    [event({**GOOD[1], "time": "1970-01-01T00:00:00.000Z", "monotonicms": 2**63 - 1})], ROWS[0]
)
@example([event({**GOOD[1], "type": "portier.x.v1", "data": {"n": 10**400}})], ROWS[0])
def test_nothing_that_comes_in_keeps_a_recorder_from_storing_the_next_good_event(
    noise: list[Received], row: Row
) -> None:
    good = wire.to_cloudevent("csg", "another", row, late=False)
    broker = Broker([Connected(1), *noise, event(good)])
    store, state = SqliteStore(Path(":memory:")), RecorderState(":memory:")
    recorder = Recorder(
        "r", broker, store, state, silent_after_ms=300_000, now_ms=lambda: broker.now_ms,
        utc_ms=lambda: 1_700_000_100_000,
    )  # fmt: skip
    for _ in range(3):
        recorder.turn(threading.Event())
        broker.now_ms += 60_000
    assert len(broker.acknowledged) == len(noise) + 1
    stored = store._open().execute("SELECT measurement, seq FROM points JOIN series ON id = series")
    assert (row.kind, row.seq) in stored.fetchall()
    store.close()
    state.close()
