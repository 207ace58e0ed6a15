"""Events from the lines to the disk, and from there to the broker."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from gateway.journal.queries.reader import JournalUnavailable, Reader
from tests.benchmarks.figures import Figure
from tests.benchmarks.record import sample
from tests.benchmarks.whole import whole
from tests.process.parts_mqtt import eventually

SECONDS = 5.0
PER_SECOND = 5_500.0
"""What one loop is asked to take; edges that it cannot are merged, the newest level counts."""


def _numbers(path: Path) -> tuple[int, int]:
    """How many events are kept, and how many of them the broker has acknowledged."""
    try:
        reader = Reader(path)
        with contextlib.closing(reader):
            sent = reader.cursors().sent
            return sum(reader.heads().values()), sum(sent.values())
    except JournalUnavailable:
        return 0, 0


def bare_publish_per_s(port: int, number: int = 10_000) -> float:
    """Events a second that paho hands to the broker with nothing behind it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(64)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    events = list(sample(number))
    began = time.monotonic()
    told = [client.publish(topic, payload, qos=1) for topic, payload in events]
    eventually(told[-1].is_published, 60)
    took_s = time.monotonic() - began
    client.disconnect()
    client.loop_stop()
    return number / took_s


def figures() -> list[Figure]:
    with whole() as it:
        journal = it.state / "journal.sqlite"
        made = it.control(presses=0, per_second=1, events=PER_SECOND, seconds=SECONDS)
        wanted = int(made["changes"])
        until = time.monotonic() + 30
        while _numbers(journal)[0] < wanted and time.monotonic() < until:
            time.sleep(0.1)
        durable = min(wanted, _numbers(journal)[0])
        it.role("link")
        eventually(lambda: _numbers(journal)[1] > 0, 20, (it.folder / "link.log").read_text)
        before, then = _numbers(journal)[1], time.monotonic()
        cpu_s = it.cpu_s("link")
        eventually(lambda: len(set(_numbers(journal))) == 1, 120)
        number = _numbers(journal)[1] - before
        published = number / (time.monotonic() - then)
        per_1000_ms = 1000 * (it.cpu_s("link") - cpu_s) / number * 1000
        bare = bare_publish_per_s(it.mqtt_port)
    return [
        Figure("events from line to disk", durable / SECONDS, "/s", 5000, at_least=True,
               note=f"of {wanted:,} made in {SECONDS:.0f} s {wanted - durable:,} were merged"),
        Figure("events from disk to broker, acknowledged", published, "/s", 5000, at_least=True,
               floor=bare, note=f"{per_1000_ms:.0f} ms of processor per 1,000"),
    ]  # fmt: skip
