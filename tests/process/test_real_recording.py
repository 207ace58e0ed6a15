"""A front door of real life, fourteen days of it, through all running processes.

Every opening of the recorded main door happens at its own second at the simulated terminal
strip, one second after a press of the outside button. What the stores hold at the end is
the recording, to the millisecond, although everything between was killed on the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOT_SHIPPED, SHARED
from tests.process.parts import house
from tests.process.parts_mqtt import (
    Influx1,
    Mosquitto,
    Role,
    Victoria,
    eventually,
    running,
    sqlite_points,
)

pytestmark = pytest.mark.process

RECORDING = SHARED / "data" / "adl-home-a" / "sensors.txt"
PRESS_BEFORE_MS = 1_000
PRESS_MS = 200
START = "2011-11-28T00:00:00+00:00"

BUILDING = """
gateway: {id: home, name: A home, bench: true}
points:
  front.button_outside: {driver: simulated_contact}
  front.leaf: {driver: simulated_contact}
  front.activation: {driver: simulated_relay}
doors:
  front:
    activation: {point: front.activation, pulse: 500 ms}
    leaf: front.leaf
    activators: [{point: front.button_outside, kind: button, side: outside}]
    left_open_after: 2 min
mqtt: {host: 127.0.0.1, port: PORT, tls: none}
"""

Opening = tuple[int, int]


def recorded_openings() -> list[Opening]:
    """When the main door opened and closed, UTC ms."""
    found = []
    for line in RECORDING.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[4] == "Maindoor":
            found.append((_ms(fields[0], fields[1]), _ms(fields[2], fields[3])))
    return found


def _ms(day: str, time: str) -> int:
    return int(datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC).timestamp() * 1000)


def edges(openings: list[Opening], offset_ms: int) -> list[list[Any]]:
    """What happens at the terminal strip, in the gateway's monotonic milliseconds."""
    happens: list[list[Any]] = []
    for opened, closed in openings:
        happens += [
            [opened - PRESS_BEFORE_MS, "front.button_outside", True],
            [opened - PRESS_BEFORE_MS + PRESS_MS, "front.button_outside", False],
            [opened, "front.leaf", True],
            [closed, "front.leaf", False],
        ]
    return [[at - offset_ms, point, active] for at, point, active in happens]


def test_a_recorded_door_is_in_every_store_exactly_whatever_was_killed(tmp_path: Path) -> None:
    if not RECORDING.exists():
        pytest.skip(f"the recording is {NOT_SHIPPED}")
    openings = recorded_openings()
    assert len(openings) == 31
    broker, influx, victoria = Mosquitto(tmp_path), Influx1(tmp_path), Victoria(tmp_path)
    at = {"host": "127.0.0.1", "port": broker.port}
    place = house(tmp_path, BUILDING.replace("PORT", str(broker.port)))

    def recorder(name: str, store: str) -> Role:
        settings = {"name": name, "broker": at, "state": str(tmp_path / name), "store": store}
        return Role(tmp_path, f"record-{name}", "record", settings)

    link = Role(
        tmp_path, "link", "link", {"gateway": "home", "broker": at, "state": str(place.state)}
    )
    recorders = [
        recorder("influx", influx.store),
        recorder("sqlite", "sqlite"),
        recorder("victoria", victoria.store),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(place.end)
        place.control("--bench-start", START)
        stack.enter_context(running(broker, influx, victoria, link, *recorders))
        shown = eventually(lambda: (s := place.snapshot())["clock_trusted"] and s)
        offset_ms = shown["utc_offset_ms"]

        def live(first: int, last: int) -> None:
            place.bench("play", edges=edges(openings[first:last], offset_ms))

        def sent() -> bool:
            """The broker has everything that happened so far."""
            health = place.snapshot()["guarantees"]["forwarding"]
            return bool(health["ok"]) and health["backlog"] == 0

        live(0, 8)
        for one in recorders:
            one.kill()
        live(8, 14)  # queued at the broker …
        eventually(sent)
        broker.kill()  # … and lost with it
        live(14, 17)
        broker.start()
        for one in recorders:
            one.start()
        live(17, 20)
        influx.kill()
        victoria.kill()
        live(20, 25)
        influx.start()
        victoria.start()
        recorders[1].kill()
        live(25, 28)
        recorders[1].start()
        link.kill()
        live(28, 31)
        link.start()

        in_sqlite = tmp_path / "sqlite" / "record.sqlite"
        for points in (lambda: sqlite_points(in_sqlite), influx.points, victoria.points):
            _holds_the_recording(points, openings)
        rows = [row for row in place.rows() if row.lane != "local"]
        wanted = sorted((row.kind, row.seq) for row in rows)
        for points in (lambda: sqlite_points(in_sqlite), influx.points):
            _holds_each_fact_once(points, wanted)
        (opened,) = influx.query("SELECT press_to_open_ms, cause FROM door_opened")
        assert opened["values"] == [[at_ms, PRESS_BEFORE_MS, "request"] for at_ms, _ in openings]
        (closed,) = influx.query("SELECT open_ms FROM door_closed")
        assert closed["values"] == [[end, end - begin] for begin, end in openings]
        # VictoriaMetrics keeps no texts but every number
        assert [
            value for kind, _, value in victoria.points("open_ms") if kind == "door_closed"
        ] == [end - begin for begin, end in openings]
        leaf = influx.query("SELECT active FROM contact_changed WHERE point = 'front.leaf'")
        changes = [(at_ms, value) for at_ms, value in leaf[0]["values"] if at_ms >= openings[0][0]]
        assert changes == [change for begin, end in openings for change in ((begin, 1), (end, 0))]
        accepted = influx.query("SELECT outcome FROM door_request")[0]["values"]
        assert {outcome for _, outcome in accepted} == {"accepted"}


def _holds_the_recording(
    points: Callable[[], list[tuple[str, int, int]]], openings: list[Opening]
) -> None:
    expected = {
        "door_request": [opened - PRESS_BEFORE_MS for opened, _ in openings],
        "door_opened": [opened for opened, _ in openings],
        "door_closed": [closed for _, closed in openings],
    }

    def found() -> dict[str, list[int]]:
        all_points = points()
        return {kind: [at for name, at, _ in all_points if name == kind] for kind in expected}

    eventually(lambda: found() == expected, 120, found)


def _holds_each_fact_once(
    points: Callable[[], list[tuple[str, int, int]]], wanted: list[tuple[str, int]]
) -> None:
    """Not the door alone: every fact that left the gateway."""

    def found() -> list[tuple[str, int]]:
        return sorted((kind, seq) for kind, _, seq in points())

    eventually(lambda: found() == wanted, 120, found)
