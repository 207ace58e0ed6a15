"""Many gateways over a few connections: what each of them publishes, and events at any rate.

The texts are those of ``gateway.link.state``, the connections the project's own. A gateway here has
no journal: what a recorder asks for again is not answered.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from gateway.core.facts import Json, Lane
from gateway.link import state
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import NO_SESSION, Connected, Subscription
from gateway.mqtt.topics import Topics
from gateway.wire import Row, to_cloudevent

CONNECTIONS_MOST = 8
HEALTH_S = 30.0
BOOT, JOURNAL = "boot-1", "journal-1"
URGENT_EVERY = 10
"""Of so many events one is of a door; the others are readings and contacts."""
WITHIN_S = 120.0


def names(gateways: int) -> list[str]:
    return [f"site-{number:04}" for number in range(gateways)]


def building(gateway: str, points: int = 20, *, now_ms: int, utc_ms: int) -> Any:
    """A snapshot: two doors, two rooms with a cord and a climate, and contacts for the rest."""
    request = {
        "outcome": "accepted", "reason": None, "activator": "front.button_outside",
        "activator_kind": "button", "side": "outside", "by": None, "at_ms": now_ms - 60_000,
    }  # fmt: skip
    result = {
        "result": "opened", "command": None, "at_ms": now_ms - 58_000, "press_to_open_ms": 1_900
    }  # fmt: skip
    door: dict[str, Any] = {
        "name": "Haupteingang", "mode": "automatic", "mode_source": "schedule",
        "mode_until_utc_ms": None, "mode_by": None, "scheduled_mode": "automatic",
        "next_mode": {"mode": "night", "utc_ms": utc_ms + 3_600_000}, "state": "closed",
        "since_ms": now_ms - 50_000, "assumed": False, "leaf": "closed", "activation": False,
        "strike": None, "hold_open": None, "fire": False, "service_until_ms": None, "bolt": None,
        "operator_fault": False, "last_request": request, "last_refusal": None,
        "last_opened_ms": now_ms - 58_000, "press_to_open_ms": 1_900, "last_result": result,
        "can_open": {"staff": {"ok": True, "reason": "", "needs_reason": False}}, "alarms": [],
    }  # fmt: skip
    call: dict[str, Any] = {
        "id": None, "state": "quiet", "test": False, "since_ms": now_ms - 900_000,
        "raised_ms": None, "raised_utc_ms": None, "cause": "", "points": [], "pulls": 0,
        "acknowledged_by": None, "acknowledged_ms": None, "attended_ms": None,
        "attend_by_ms": None, "messages": [], "next_message_ms": None,
    }  # fmt: skip
    room: dict[str, Any] = {
        "name": "Barrierefreies WC", "call": call, "test_until_ms": None, "test_by": None,
        "cords": {"wc.cord": "normal"}, "last_calls": [],
        "lamps": {"reassurance": False, "lamp": "off", "sounder": False, "unlock": None},
        "occupancy": None, "occupancy_since_ms": None, "exported": False,
        "leak": {"wet": False, "latched": False, "valve_closed": None},
        "climate": {
            "point": "wc.climate", "temperature_c": 21.4, "humidity_percent": 45.0,
            "dew_point_c": 9.1, "at_ms": now_ms - 30_000, "fan": False,
        },
        "alarms": [],
    }  # fmt: skip
    contact = {
        "kind": "contact", "active": False, "raw": False, "since_ms": now_ms - 70_000,
        "reason": "", "faults": [], "changes": 4, "quantities": {},
    }  # fmt: skip
    meter = contact | {
        "kind": "meter", "active": None,
        "quantities": {
            "temperature_c": {"value": 21.4, "at_ms": now_ms - 30_000, "reason": ""},
            "humidity_percent": {"value": 45.0, "at_ms": now_ms - 30_000, "reason": ""},
        },
    }  # fmt: skip
    guarantee = {
        "ok": True, "value": "yes", "since_ms": now_ms - 800_000, "reason": "", "subject": "",
        "evidence_ms": now_ms, "void_after_ms": 20_000,
    }  # fmt: skip
    kinds = [("front.leaf", contact), ("wc.cord", contact), ("wc.climate", meter)]
    kinds += [(f"hall.contact{number}", contact) for number in range(max(0, points - len(kinds)))]
    return {
        "gateway": {
            "id": gateway, "name": f"Haus {gateway}", "timezone": "Europe/Berlin",
            "version": "0.3.0", "boot": BOOT, "started_ms": now_ms - 900_000,
            "configuration": "c" * 64, "journal": JOURNAL, "overflows": 0,
        },
        "now_ms": now_ms,
        "utc_offset_ms": utc_ms - now_ms,
        "clock_trusted": True,
        "doors": {"front": door, "yard": door | {"name": "Hof"}},
        "rooms": {"wc": room, "bath": room | {"name": "Bad"}},
        "points": dict(kinds[:points]),
        "alarms": [],
        "guarantees": dict.fromkeys(
            ("door_by_button", "door_by_staff", "call", "messages", "journal", "forwarding",
             "recording", "clock"), guarantee,
        ),
    }  # fmt: skip


def health(snapshot: Any) -> bytes:
    return state.health(
        snapshot, journal=JOURNAL, sent={"urgent": 9, "routine": 40}, heads={"urgent": 9},
        backlog=0, oldest_unsent_ms=None, disk={"free_bytes": 9_000_000_000}, temperature_c=48.2,
        places={point: {"room": "wc"} for point in snapshot["points"]},
    )  # fmt: skip


def retained(gateway: str, snapshot: Any) -> dict[str, bytes]:
    """Every topic that the broker keeps of a gateway."""
    topics = Topics(gateway)
    return {
        topics.availability: b"online",
        topics.info: state.info(snapshot, 8, "session-1"),
        **state.states(topics, snapshot),
    }


class Connection:
    """One connection with a thread of its own, which sends whatever waits."""

    def __init__(self, port: int, number: int) -> None:
        settings = BrokerSettings(f"many-{number}-{time.monotonic_ns()}", "127.0.0.1", port)
        self._wire = Subscription(settings, [("portier/nobody", 0)], NO_SESSION)
        self._waiting: list[tuple[str, bytes, bool]] = []
        self._lock = threading.Lock()
        self._ends = False
        self.connected = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name=f"many-{number}", daemon=True)
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        with self._lock:
            self._waiting.append((topic, payload, retain))
        self._wire.wake()

    @property
    def is_idle(self) -> bool:
        """Whether the broker has acknowledged everything."""
        return not self._waiting and not self._wire.unacknowledged

    def close(self) -> None:
        self._ends = True
        self._wire.wake()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ends:
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for number, (topic, payload, retain) in enumerate(waiting):
                if not self._wire.publish(topic, payload, retain=retain):
                    with self._lock:  # the window is full: the rest goes after the next answers
                        self._waiting = waiting[number:] + self._waiting
                    break
                self.sent += 1
            self._wire.pump(0.02 if self._waiting else 0.2)
            while (one := self._wire.take()) is not None:
                if isinstance(one, Connected):
                    self.connected.set()
        self._wire.close()


class ManyGateways:
    """So many gateways with so many points each, over at most :data:`CONNECTIONS_MOST`
    connections."""

    def __init__(
        self, port: int, gateways: int, points: int = 20, connections: int = CONNECTIONS_MOST
    ) -> None:
        self.names = names(gateways)
        self.points = points
        self.events = 0
        self._sequences: dict[tuple[str, Lane], Iterator[int]] = {}
        self._connections = [
            Connection(port, number) for number in range(min(connections, CONNECTIONS_MOST))
        ]
        for one in self._connections:
            if not one.connected.wait(WITHIN_S):
                raise OSError(f"no broker at port {port}")

    def close(self) -> None:
        for one in self._connections:
            one.close()

    def snapshot(self, gateway: str) -> Any:
        """Of now."""
        return building(
            gateway,
            self.points,
            now_ms=time.monotonic_ns() // 1_000_000,
            utc_ms=time.time_ns() // 1_000_000,
        )

    def publish(self, gateway: str, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Over the connection of this gateway."""
        number = int(gateway.rpartition("-")[2])
        connection = self._connections[number % len(self._connections)]
        connection.publish(topic, payload, retain=retain)

    def introduce(self, gateways: Sequence[str] = ()) -> int:
        """Publish everything that is retained; how many topics that are."""
        topics = 0
        for gateway in gateways or self.names:
            for topic, payload in retained(gateway, self.snapshot(gateway)).items():
                self.publish(gateway, topic, payload, retain=True)
                topics += 1
        return topics

    def wait(self) -> None:
        """Until the broker has acknowledged everything."""
        until = time.monotonic() + WITHIN_S
        while not all(one.is_idle for one in self._connections):
            if time.monotonic() > until:
                raise OSError("the broker does not acknowledge")
            time.sleep(0.02)

    def event(self, gateway: str, kind: str, subject: str, data: dict[str, Json]) -> None:
        """One event, with the next number of its lane."""
        lane: Lane = "routine" if kind in ("reading", "contact_changed") else "urgent"
        seq = next(self._sequences.setdefault((gateway, lane), count(1)))
        mono_ms, utc_ms = time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000
        row = Row(seq, lane, seq, BOOT, mono_ms, utc_ms, kind, subject, data)
        event = to_cloudevent(gateway, JOURNAL, row, late=False)
        text = json.dumps(event, separators=(",", ":")).encode()
        self.publish(gateway, Topics(gateway).event(kind, subject), text)
        self.events += 1

    def call(self, gateway: str, room: str = "wc") -> None:
        """Somebody pulls the cord in a room: the state, and the event."""
        snapshot = self.snapshot(gateway)
        shown = snapshot["rooms"][room]
        raised = {"id": f"{room}-1", "state": "raised", "cause": "cord", "points": ["wc.cord"]}
        call = shown["call"] | raised | {"pulls": 1, "since_ms": snapshot["now_ms"]}
        snapshot["rooms"] = {room: shown | {"call": call | {"raised_ms": snapshot["now_ms"]}}}
        topic = Topics(gateway).room(room)
        self.publish(gateway, topic, state.states(Topics(gateway), snapshot)[topic], retain=True)
        data: dict[str, Json] = {"call": f"{room}-1", "cause": "cord", "point": "wc.cord"}
        self.event(gateway, "call_raised", room, data | {"pulls": 1, "test": False})

    def something(self, number: int) -> None:
        """An event of everyday life, and the state that changes with it."""
        gateway = self.names[number % len(self.names)]
        topics, snapshot = Topics(gateway), self.snapshot(gateway)
        if number % URGENT_EVERY == 0:
            is_open = number % (2 * URGENT_EVERY) == 0
            door = snapshot["doors"]["front"] | {
                "state": "open" if is_open else "closed", "since_ms": snapshot["now_ms"]
            }  # fmt: skip
            snapshot |= {"doors": {"front": door}, "rooms": {}, "points": {}}
            topic = topics.door("front")
            data: dict[str, Json] = {"cause": "request"} if is_open else {"open_ms": 4_000}
            kind = "door_opened" if is_open else "door_closed"
            self.event(gateway, kind, "front", data | {"assumed": False})
        elif number % 3 == 0:
            value = 20 + number % 50 / 10
            point = snapshot["points"]["wc.climate"]
            point["quantities"]["temperature_c"] |= {"value": value, "at_ms": snapshot["now_ms"]}
            snapshot |= {"doors": {}, "rooms": {}, "points": {"wc.climate": point}}
            topic = topics.point("wc.climate")
            data = {"quantity": "temperature_c", "value": value}
            self.event(gateway, "reading", "wc.climate", data)
        else:
            point = snapshot["points"]["front.leaf"] | {
                "active": number % 2 == 0, "since_ms": snapshot["now_ms"]
            }  # fmt: skip
            snapshot |= {"doors": {}, "rooms": {}, "points": {"front.leaf": point}}
            topic = topics.point("front.leaf")
            data = {"active": number % 2 == 0, "initial": False}
            self.event(gateway, "contact_changed", "front.leaf", data)
        self.publish(gateway, topic, state.states(topics, snapshot)[topic], retain=True)

    def play(self, per_s: float, until: Callable[[], bool]) -> None:
        """Events at this rate, evenly, and the health of each gateway every 30 s."""
        began, sent, healths = time.monotonic(), 0, 0
        while not until():
            passed_s = time.monotonic() - began
            while sent < passed_s * per_s:
                self.something(sent)
                sent += 1
            while healths < passed_s * len(self.names) / HEALTH_S:
                gateway = self.names[healths % len(self.names)]
                text = health(self.snapshot(gateway))
                self.publish(gateway, Topics(gateway).health, text)
                healths += 1
            time.sleep(0.005)


@contextmanager
def many(port: int, gateways: int, points: int = 20) -> Iterator[ManyGateways]:
    """Gateways that are there and have published everything."""
    made = ManyGateways(port, gateways, points)
    try:
        made.introduce()
        made.wait()
        yield made
    finally:
        made.close()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.many_gateways",
        description="Play many gateways before a broker on this machine, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateways", type=int, default=1_000)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--events", type=float, default=200.0, help="a second, of all together")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args(arguments)
    with many(options.port, options.gateways, options.points) as gateways:
        print(f"{options.gateways} gateways have published everything", flush=True)
        until = time.monotonic() + options.seconds
        gateways.play(options.events, lambda: time.monotonic() >= until)
        gateways.wait()
        print(f"{gateways.events} events", flush=True)


if __name__ == "__main__":
    main()
