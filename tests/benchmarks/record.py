"""Events that wait at the broker, into each kind of store: the ``record`` role alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mqtt5
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.wire import Row, to_cloudevent
from tests.benchmarks.figures import Figure
from tests.process.parts_mqtt import Influx1, Mosquitto, Part, Role, Victoria, eventually, running

EVENTS = int(os.environ.get("PORTIER_BENCH_EVENTS", "20000"))
GOAL = 15_000
SUBJECTS = 20
T0 = 1_700_000_000_000


def sample(number: int) -> Iterator[tuple[str, bytes]]:
    """Topic and payload: readings, and every fourth a contact that changed."""
    for seq in range(1, number + 1):
        subject = f"hall.sensor{seq % SUBJECTS}"
        kind, data = "reading", dict[str, Any](quantity="temperature", value=20 + seq % 50 / 10)
        if seq % 4 == 0:
            kind, data = "contact_changed", {"active": seq % 8 == 0, "initial": False}
        row = Row(seq, "routine", seq, "boot", seq, T0 + seq, kind, subject, data)
        event = to_cloudevent("bench", "journal", row, late=False)
        topic = f"portier/bench/event/{kind}/{subject.replace('.', '/')}"
        yield topic, json.dumps(event, separators=(",", ":")).encode()


def _client(name: str) -> mqtt.Client:
    return mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)


def _queue(port: int) -> None:
    """A session for the recorder, and every event in its queue."""
    make: Any = Properties  # paho's class carries no types
    stays = make(PacketTypes.CONNECT)
    stays.SessionExpiryInterval = 3600
    recorder = _client("portier-recorder-main")
    subscribed: list[int] = []
    recorder.on_subscribe = lambda *_: subscribed.append(1)
    recorder.connect("127.0.0.1", port, clean_start=False, properties=stays)
    recorder.loop_start()
    recorder.subscribe("portier/+/event/#", qos=1)
    eventually(lambda: subscribed)
    recorder.disconnect()
    recorder.loop_stop()
    publisher = _client("publisher")
    publisher.max_queued_messages_set(0)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    is_json = make(PacketTypes.PUBLISH)
    is_json.ContentType = "application/json"  # as the link says
    told = [
        publisher.publish(topic, payload, qos=1, properties=is_json)
        for topic, payload in sample(EVENTS)
    ]
    eventually(told[-1].is_published, 120)
    publisher.disconnect()
    publisher.loop_stop()


def _through(state: Path) -> int:
    """Up to which number the recorder has accounted for everything."""
    path = state / "recorder-main.sqlite"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute("SELECT coalesce(max(through), 0) FROM lanes").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def _cpu_s(part: Part) -> float:
    """Processor time that a part has used so far."""
    assert part.process is not None
    text = (
        Path(f"/proc/{part.process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    )
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


def _bare_paho(port: int) -> float:
    """Events a second that paho takes from the broker and acknowledges, with nothing behind it."""
    make: Any = Properties
    stays = make(PacketTypes.CONNECT)
    stays.SessionExpiryInterval = 3600
    stays.ReceiveMaximum = 4000
    client = _client("portier-recorder-main")
    came: list[float] = []
    client.on_message = lambda *_: came.append(time.monotonic())
    client.connect("127.0.0.1", port, clean_start=False, properties=stays)
    client.loop_start()
    eventually(lambda: len(came) >= EVENTS, 60)
    client.disconnect()
    client.loop_stop()
    return (EVENTS - 1) / (came[EVENTS - 1] - came[0])


def _bare_mqtt5(port: int) -> float:
    """The same with a socket, and mqtt5 for the packets."""
    hello = mqtt5.ConnectPacket(
        "portier-recorder-main", session_expiry_interval=3600, receive_max=4000
    )
    came, first, rest, first_at = 0, 0, b"", 0.0
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(hello.write())
        while came < EVENTS:
            data = memoryview(rest + sock.recv(262_144))
            used, answers = 0, []
            with contextlib.suppress(IndexError):  # the last one is not whole yet
                while True:
                    packet, size = mqtt5.read(data[used:])
                    used += size
                    if isinstance(packet, mqtt5.PublishPacket):
                        answers.append(mqtt5.PubAckPacket(packet.packet_id or 0).write())
            came += len(answers)
            if not first_at:
                first_at, first = time.monotonic(), came
            rest = bytes(data[used:])
            sock.sendall(b"".join(answers))
        return (came - first) / (time.monotonic() - first_at)


def bare_per_s(take: Callable[[int], float]) -> float:
    """Events a second that a bare library takes out of a full queue."""
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as folder:
        broker = Mosquitto(Path(folder))
        with running(broker):
            _queue(broker.port)
            return take(broker.port)


def _measure(name: str, store: Part | None, bare: float) -> Figure:
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as folder_name:
        folder = Path(folder_name)
        broker = Mosquitto(folder)
        with running(broker, *([store] if store else [])):
            _queue(broker.port)
            url = store.store if isinstance(store, Influx1 | Victoria) else "sqlite"
            state = folder / "state"
            role = Role(
                folder,
                "record",
                "record",
                {
                    "broker": {"host": "127.0.0.1", "port": broker.port},
                    "name": "main",
                    "store": url,
                    "state": str(state),
                    "exclusive": False,  # it is read meanwhile
                },
            )
            role.start()
            try:
                first = eventually(lambda: _through(state), 30, role.log)
                began, cpu_s = time.monotonic(), _cpu_s(role)
                eventually(lambda: _through(state) >= EVENTS, 120, role.log)
                took_s, cpu_s = time.monotonic() - began, _cpu_s(role) - cpu_s
            finally:
                role.stop()
    points = EVENTS - first
    return Figure(
        f"points from broker to {name}", points / took_s, "/s", GOAL, at_least=True, floor=bare,
        note=f"{1000 * cpu_s / points * 1000:.0f} ms of processor per 1,000 points",
    )  # fmt: skip


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="portier-bench-") as name:
        folder = Path(name)
        bare = bare_per_s(_bare_mqtt5)
        paho = bare_per_s(_bare_paho)
        rows: list[Figure] = [
            Figure("events from the broker, bare paho-mqtt", paho, "/s", note="for comparison")
        ]
        rows += [_measure("SQLite", None, bare)]
        if shutil.which("influxd"):
            rows.append(_measure("InfluxDB 1.6", Influx1(folder), bare))
        if shutil.which("victoria-metrics"):
            rows.append(_measure("VictoriaMetrics", Victoria(folder), bare))
        return rows
