"""A call: from the cord to the lamp, the page, the broker and the first message, under load."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from gateway.panel import client
from tests.benchmarks.call_control import CANCEL, CORD, LAMP
from tests.benchmarks.figures import Figure, quantile
from tests.benchmarks.live import Crowd, tokens
from tests.benchmarks.whole import Whole, whole
from tests.process.sinks import Webhook, serving

PULLS = 30
EVENTS = 500.0
CLIENTS = 200
ROOM = """rooms:
  wc:
    cord: [wc.cord]
    cancel: wc.cancel
    reassurance: wc.lamp
    escalation: care
contacts: {care: {channels: [!secret care]}}
escalations: {care: [{after: 0 s, notify: care}]}
"""
POINTS = f"""  wc.cord: {{driver: gpio_contact, pin: {CORD}}}
  wc.cancel: {{driver: gpio_contact, pin: {CANCEL}}}
  wc.lamp: {{driver: gpio_relay, pin: {LAMP}, max_on: unlimited}}
"""


def figures() -> list[Figure]:
    """Each pull is settled for 30 ms, which is in every figure."""
    hook = Webhook()
    with whole() as it, serving(hook):
        _with_a_room(it, hook.address)
        out = it.folder / "pulls.json"
        control = it.start(
            "control",
            [sys.executable, "-m", "tests.benchmarks.call_control", str(it.config),
             str(it.state), str(out), str(PULLS), str(EVENTS)],
        )  # fmt: skip
        _until(it, (it.state / "panel.sock").exists, 60)
        for role in ("web", "link", "record", "notify"):
            it.role(role)
        keys, broker = tokens(it), _Broker(it.mqtt_port)
        with (
            Crowd(it.web_port, keys, clients=CLIENTS, history="load.c1"),
            _Page(it.web_port, keys[0]) as page,
            _Messages(hook) as messages,
        ):
            _until(it, lambda: _well(it), 60)
            out.with_suffix(".go").touch()
            _until(it, lambda: out.exists() or control.poll() is not None, 60 + 5 * PULLS)
        broker.close()
        pulls = json.loads(out.read_text()) if out.exists() else []
    edges = [edge for edge, _ in pulls]
    lamp = [(lit - edge) / 1e6 for edge, lit in pulls if lit is not None]
    return [
        *_rows("lamp", lamp, 50.0),
        *_rows("page", _first_after(edges, page.came), 500.0),
        *_rows("broker", _first_after(edges, broker.came), 1_000.0),
        *_rows("first message handed over", _first_after(edges, messages.came), 2_000.0),
    ]


def _until(it: Whole, true: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            logs = {name: (it.folder / f"{name}.log").read_text()[-300:] for name in it.processes}
            raise RuntimeError(f"not within {within_s:.0f} s; {logs}")
        time.sleep(0.1)


def _well(it: Whole) -> bool:
    """Whether everybody who has a part in a call is there."""
    guarantees = client.snapshot(it.state / "panel.sock")["guarantees"]
    there = guarantees["messages"]["reason"] != "notify_away"
    return bool(there and guarantees["forwarding"]["value"] == "yes")


def _rows(what: str, times: list[float], goal: float) -> list[Figure]:
    name = f"cord → {what}, {EVENTS:.0f} events/s, {CLIENTS} live clients"
    if not times:
        return [Figure(f"{name}, missed of {PULLS}", PULLS, "", 0)]
    return [
        Figure(f"{name}, p99", quantile(times, 0.99), "ms", goal,
               note=f"p50 {quantile(times, 0.5):.0f} ms, of {len(times)} pulls"),
        Figure(f"{name}, missed of {PULLS}", PULLS - len(times), "", 0),
    ]  # fmt: skip


def _first_after(edges: list[int], came: list[int]) -> list[float]:
    """Of each pull the first that came before the next pull, in milliseconds."""
    found = []
    for edge, following in zip(edges, [*edges[1:], 2**63], strict=True):
        between = [at for at in came if edge < at < following]
        if between:
            found.append((between[0] - edge) / 1e6)
    return found


def _with_a_room(it: Whole, address: str) -> None:
    """The bench's building with a bathroom in the place of its door."""
    lines = it.config.read_text().splitlines(keepends=True)
    kept = [line for line in lines if f"pin: {CORD}," not in line and f"pin: {CANCEL}," not in line
            and f"pin: {LAMP}" not in line]  # fmt: skip
    text = "".join(kept)
    begin, end = text.index("doors:"), text.index("watch:")
    text = text[:begin] + ROOM + text[end:]
    gone = next(line for line in lines if f"pin: {CANCEL}," in line).split(":")[0].strip()
    number = gone.removeprefix("load.c")
    text = text.replace(f"  load{number}: {{point: {gone}, delay: 1 h}}\n", "")
    it.config.write_text(text.replace("points:\n", f"points:\n{POINTS}", 1))
    secrets = it.folder / "secrets"
    secrets.mkdir()
    (secrets / "care").write_text(f"json://{address}/call\n")


class _Broker:
    """When ``call_raised`` came out of the broker."""

    def __init__(self, port: int) -> None:
        self.came: list[int] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("portier/+/event/call_raised/#", qos=1)
        self._client.loop_start()

    def _message(self, _client: Any, _data: Any, _message: MQTTMessage) -> None:
        self.came.append(time.monotonic_ns())

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()


class _Page:
    """When a page showed that somebody calls: one live stream, read to its frames."""

    def __init__(self, port: int, token: str) -> None:
        self.came: list[int] = []
        self._done = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self._connection.request(
            "GET", "/api/v1/live?view=page", headers={"Authorization": f"Bearer {token}"}
        )
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Page:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join(10)
        self._connection.close()

    def _read(self) -> None:
        ringing = False
        while not self._done.is_set():
            try:
                line = self._answer.fp.readline() if self._answer.fp else b""
            except (OSError, ValueError):
                return
            if not line:
                return
            rings = b'"calls":{"ringing":true}' in line
            if rings and not ringing:
                self.came.append(time.monotonic_ns())
            if b'"calls":{"ringing":' in line:
                ringing = rings


class _Messages:
    """When the first message of each call came to the webhook."""

    def __init__(self, hook: Webhook) -> None:
        self.came: list[int] = []
        self._hook = hook
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Messages:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join(5)

    def _watch(self) -> None:
        seen = 0
        while not self._done.wait(0.002):
            if len(self._hook.posted) > seen:
                seen = len(self._hook.posted)
                self.came.append(time.monotonic_ns())
