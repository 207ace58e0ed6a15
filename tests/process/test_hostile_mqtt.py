"""Somebody whom the broker lets in means harm: floods, odd packets, and messages that are kept.

Their packets are built byte by byte: a client's library would not send most of them.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.process.parts import BUILDING, House, Process, house, roles_of, until
from tests.process.parts_mqtt import Mosquitto, free_port

pytestmark = pytest.mark.process

OPEN = "portier/test/command/door/front/open"
RECORDED = "portier/test/recorded/main"
EVENT = "portier/test/event/door_opened/front"
MEMORY_MOST_KB = 150_000
"""``link`` has 56 MB by itself."""
NUMBERS = count()


def text(raw: str | bytes) -> bytes:
    data = raw.encode() if isinstance(raw, str) else raw
    return struct.pack("!H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (128 if rest else 0)])
        if not rest:
            return bytes([head]) + length + body


def publish(topic: str | bytes, payload: bytes, properties: bytes = b"", head: int = 0x30) -> bytes:
    number = b"" if head & 6 == 0 else struct.pack("!H", 1 + next(NUMBERS) % 60_000)
    size = packet(0, properties)[1 : -len(properties) or None] if properties else b"\0"
    return packet(head, text(topic) + number + size + properties + payload)


def command(**fields: object) -> bytes:
    issued = (datetime.now(UTC) - timedelta(milliseconds=50)).isoformat()
    raw = {"id": f"c{next(NUMBERS)}", "issued_at": issued, "ttl": 5, "by": "x"}
    return json.dumps(raw | fields).encode()


def stranger(port: int) -> socket.socket:
    """Somebody who is connected, with MQTT 5 and a keep-alive of a minute."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    name = f"stranger{next(NUMBERS)}"
    sock.sendall(packet(0x10, text("MQTT") + b"\x05\x02\0\x3c\0" + text(name)))
    assert sock.recv(200)[0] == 0x20
    return sock


ODD: dict[str, bytes] = {
    "a byte order mark": b"\x26" + text("a") + text("\ufeff"),
    "a format that is none": b"\x01\x07",
    "two topics for the answer": b"\x08" + text("a") + b"\x08" + text("b"),
    "an answer to the broker": b"\x08" + text("$SYS/broker/x"),
    "an answer to everybody": b"\x08" + text("a/#"),
    "an answer that is no text": b"\x08" + text(b"\xff\xfe"),
    "an answer with a long name": b"\x08" + text("x" * 60_000),
    "5,000 properties": (b"\x26" + text("a") + text("b")) * 5_000,
    "no such property": b"\x7e\x05",
    "an alias": b"\x23\0\x05",
}
TOPICS: dict[str, str | bytes] = {
    "60,000 characters": "portier/test/command/" + "a" * 60_000,
    "1,000 levels": "portier/test/command/door/" + "a/" * 1_000 + "open",
    "no text": OPEN.encode() + b"\xff",
    "the broker's": "$SYS/portier",
    "a share": f"$share/x/{OPEN}",
    "a filter": "portier/test/command/#",
}


def odd_packets() -> Iterator[bytes]:
    for properties in ODD.values():
        for head in (0x30, 0x32, 0x34):
            yield publish(OPEN, command(), properties, head)
        # the broker keeps these, and sends them again at each connection
        yield publish(RECORDED, b"{}", properties, 0x33)
        yield publish(EVENT, b"{}", properties, 0x33)
    for topic in TOPICS.values():
        yield publish(topic, command())
    for name in ("+/#", "../../event", "x" * 60_000):
        yield publish(OPEN, command(id=name))
    yield publish(OPEN, b"x" * 5_000_000)
    yield publish(OPEN, command(), head=0x31)


def recorded_claim() -> bytes:
    name = f"r{next(NUMBERS)}"
    claim = {"journal": "x", "lanes": {"urgent": 2**53}}
    return publish(f"portier/test/recorded/{name}", json.dumps(claim).encode())


def flood(port: int, seconds: float) -> int:
    """10,000 a second, as far as the broker takes them: commands, claims, births. How many."""
    with stranger(port) as sock:
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            births = publish("homeassistant/status", b"online") * 20
            many = [publish(OPEN, command()) for _ in range(60)]
            many += [recorded_claim() for _ in range(20)]
            sock.sendall(b"".join(many) + births)
            sent += 100
            time.sleep(max(0.0, sent / 10_000 - (seconds - (end - time.monotonic()))))
        return sent


def served(place: House) -> float:
    """The button opens the door; how long it took, in seconds."""
    until(lambda: place.snapshot()["points"]["front.button"]["active"] is False)
    before = place.snapshot()["doors"]["front"]["counters"]["requests"]
    began = time.monotonic()
    place.bench("press", point="front.button", for_ms=100)
    until(lambda: place.snapshot()["doors"]["front"]["counters"]["requests"] > before)
    return time.monotonic() - began


def answered(port: int) -> bool:
    """Whether a good command is answered; the broker's queue may still be long."""
    with stranger(port) as sock:
        sock.sendall(packet(0x82, b"\0\x01\0" + text("portier/test/response/+") + b"\0"))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            sock.sendall(publish(OPEN, command()))
            sock.settimeout(1)
            with contextlib.suppress(TimeoutError):
                if re.search(rb'"status":"(accepted|merged|extended)"', sock.recv(65_536)):
                    return True
        return False


def memory_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


@pytest.fixture(params=["mosquitto", "embedded"])
def attacked(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[House, Process, int]]:
    """A whole gateway under its supervisor, and the port of its broker, which lets all in."""
    with contextlib.ExitStack() as stack:
        mqtt = "embedded"
        if request.param == "mosquitto":
            broker = Mosquitto(tmp_path)
            broker.start()
            stack.callback(broker.stop)
            mqtt = f"{{host: 127.0.0.1, port: {broker.port}, tls: none}}"
        rest = f"record: {{store: sqlite}}\nweb: {{listen: 127.0.0.1:{free_port()}}}\n"
        place = house(tmp_path, BUILDING + f"mqtt: {mqtt}\n" + rest)
        stack.callback(place.end)
        process = place.run()
        until(lambda: process.said("Ready after") or process.popen.poll() is not None)
        until(lambda: place.snapshot()["guarantees"]["recording"]["ok"], what="no recorder")
        said = re.search(r"127\.0\.0\.1:(\d+) \(MQTT 5\)", "\n".join(process.lines))
        yield place, process, broker.port if said is None else int(said[1])


def test_no_stranger_at_the_broker_keeps_the_door_shut_or_the_gateway_away(
    attacked: tuple[House, Process, int],
) -> None:
    place, process, port = attacked
    roles = roles_of(process, ("control", "link", "record"))
    began = len(process.lines)
    for odd in odd_packets():
        # a broker may hang up on the stranger, but we do not pay for it
        with contextlib.suppress(OSError), stranger(port) as sock:
            sock.sendall(odd)
            sock.settimeout(0.05)
            sock.recv(1)
    assert answered(port), process.lines[-5:]
    sent = flood(port, 2)
    took = served(place)
    assert answered(port)
    assert roles_of(process, tuple(roles)) == roles
    assert {name: kb for name in roles if (kb := memory_kb(roles[name])) > MEMORY_MOST_KB} == {}
    lost = [line for line in process.lines[began:] if "broker lost" in line]
    assert lost == []
    # the recorder, too, has gone on: what has just happened is in its store
    now_ms = time.time_ns() // 1_000_000
    until(
        lambda: (
            (place.snapshot()["guarantees"]["recording"]["recorded_until_utc_ms"] or 0) >= now_ms
        ),
        what="the recorder is away",
    )
    print(f"{sent} messages in 2 s, a press answered after {took:.2f} s")


def test_whoever_may_publish_events_turns_recording_red_only_where_two_claim_one_number(
    attacked: tuple[House, Process, int],
) -> None:
    """With the gateway's real journal: numbers far beyond and nonsense are named, and no more. The
    same number twice is in doubt, and stays so until somebody has looked."""
    place, _, port = attacked

    def recording() -> dict[str, Any]:
        found: dict[str, Any] = place.snapshot()["guarantees"]["recording"]
        return found

    journal = place.snapshot()["gateway"]["journal"]
    place.bench("press", point="front.button")
    until(lambda: recording()["backlog"] == 0, what="not recorded")
    watched = stranger(port)
    head = 60  # more than a building that has just been started has told

    def forged(seq: int, **changed: object) -> bytes:
        event = {
            "specversion": "1.0",
            "id": f"test/{journal}/urgent/{seq}",
            "source": "/portier/test",
            "type": "portier.door_opened.v1",
            "subject": "front",
            "datacontenttype": "application/json",
            "lane": "urgent",
            "sequence": f"{seq:020}",
            "bootid": "elsewhere",
            "monotonicms": 1,
            "late": False,
            "data": {"cause": "request", "assumed": False, "by": None},
        }
        return publish(EVENT, json.dumps(event | changed).encode(), head=0x32)

    for seq in (10**9, 10**9, head):
        watched.sendall(forged(seq) + forged(seq + 1, monotonicms="soon"))
    watched.recv(200)
    place.bench("press", point="front.button")
    until(lambda: recording().get("foreign", 0) >= 4, 120, recording)
    now_ms = time.time_ns() // 1_000_000
    until(
        lambda: recording()["ok"] and (recording()["recorded_until_utc_ms"] or 0) >= now_ms,
        what="not in order again",
    )
    assert recording()["aside"] == 0
    watched.close()
    with stranger(port) as again:
        again.sendall(forged(1))
        again.recv(200)
    until(lambda: recording()["reason"] == "recorder_aside", what="two events of number 1")
    assert recording()["value"] == "no"
    assert recording()["aside"] == 1
    listed = ("record", "aside", "--state", str(place.state))
    told = place.portier(*listed)
    assert told.popen.wait(60) == 0
    until(lambda: told.said("another event has come as number 1 of urgent"), what="not listed")
    assert place.portier(*listed, "--acknowledge", "all").popen.wait(60) == 0
    until(lambda: recording()["ok"], what="not in order after somebody has looked")
    assert place.snapshot()["gateway"]["journal"] == journal, "everything would be sent again"
