"""A crowd before the page: live streams that are read, and a history that is asked for."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from gateway.web.identity.users import Users, users_file
from tests.benchmarks.figures import Figure, quantile
from tests.benchmarks.whole import ROOT, Whole, whole
from tests.process.parts_mqtt import free_port

CLIENTS = 200
EVENTS = 50.0
SECONDS = 20.0
SETTLES_S = 3.0
"""Until the page has found the control that was started last."""
STREAMS = 10
"""Of one access token."""
SAMPLED = 10
"""Every how manieth client notes when its frames came; reading all of them is load enough."""
_FACT = re.compile(rb"id: (\d+)\nevent: fact")


def floor() -> tuple[float, list[float]]:
    """Share of a core and milliseconds of each frame, with nothing but a loop that writes."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bare_live", str(port), str(CLIENTS), str(EVENTS),
         "5"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _listening(port, lambda: "the floor of the live page does not start")
        with Crowd(port, [""], clients=CLIENTS) as crowd:
            out, _ = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    found = json.loads(out)
    return found["share"], _late_ms(dict(found["commits"]), crowd)


def _late_ms(durable_ns: dict[int, int], crowd: Crowd) -> list[float]:
    return [(at - durable_ns[row]) / 1e6 for row, at in crowd.came if row in durable_ns]


def figures() -> list[Figure]:
    """From the commit of a fact until a client has read its frame."""
    bare_share, bare_ms = floor()
    with whole() as it:
        it.control(presses=1, per_second=1, events=0, seconds=10)  # makes plan and journal
        it.stop("control")
        it.role("web")
        with Crowd(it.web_port, tokens(it), clients=CLIENTS, view="page") as crowd:
            before = it.cpu_s("web")
            found = it.control(presses=0, per_second=1, events=EVENTS, seconds=SECONDS)
            share = (it.cpu_s("web") - before) / SECONDS
            size_mb = it.memory_mb("web")
            time.sleep(1.0)  # the last frames
    settled_ns = found["commits"][0][1] + SETTLES_S * 1e9
    durable_ns = {row: at for row, at in found["commits"] if at > settled_ns}
    late_ms = _late_ms(durable_ns, crowd)
    wanted = len(durable_ns) * len(range(0, CLIENTS, SAMPLED))
    what = f"live page, {CLIENTS} clients × {EVENTS:.0f} events/s"
    return [
        Figure(f"{what}, of one core", share * 100, "%", 25.0, floor=bare_share * 100),
        Figure(f"{what}, commit → client, p99", quantile(late_ms, 0.99), "ms", 25.0,
               floor=quantile(bare_ms, 0.99),
               note=f"p50 {quantile(late_ms, 0.5):.1f} ms; the clients' own reading is in it"),
        Figure(f"{what}, frames missed", wanted - len(late_ms), "", 0),
        Figure("memory of web, 200 live clients", size_mb, "MB"),
    ]  # fmt: skip


def tokens(it: Whole) -> list[str]:
    """Tokens that may see everything, for ten streams each, since one may not have them all;
    waits for the page to be there."""
    _listening(it.web_port, lambda: (it.folder / "web.log").read_text()[-2000:])
    users = Users(users_file(it.state))
    try:
        count = range(CLIENTS // STREAMS + 1)
        return [users.add_token(f"bench-{n}", "maintenance", 1, "bench") for n in count]
    finally:
        users.close()


def _listening(port: int, why_not: Callable[[], str]) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(why_not())
        time.sleep(0.1)


class Crowd:
    """``clients`` streams read by one thread, and one more thread that asks for ``history``.

    ``came``: row and instant (monotonic ns) of the facts that every tenth client read."""

    def __init__(
        self, port: int, tokens: list[str], *, clients: int, history: str = "", view: str = "json"
    ) -> None:
        self.frames = 0
        self.came: list[tuple[int, int]] = []
        self._port = port
        self._view = view
        self._headers = {"Authorization": f"Bearer {tokens[0]}"}
        self._history = history
        self._done = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._socks = [
            self._connect(tokens[number // STREAMS % len(tokens)], number)
            for number in range(clients)
        ]
        self._threads = [threading.Thread(target=self._read, daemon=True)]
        if history:
            self._threads.append(threading.Thread(target=self._ask, daemon=True))

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(5)
        for sock in self._socks:
            sock.close()

    def _connect(self, token: str, number: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        sock.sendall(
            f"GET /api/v1/live?view={self._view} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, number % SAMPLED == 0)
        return sock

    def _read(self) -> None:
        while not self._done.is_set():
            for key, _events in self._selector.select(0.2):
                sock: Any = key.fileobj
                data = b""
                with contextlib.suppress(OSError):
                    data = sock.recv(65_536)
                if not data:
                    self._selector.unregister(sock)
                self.frames += data.count(b"\nid:") + data.count(b"\nevent:")
                if key.data:
                    now_ns = time.monotonic_ns()
                    self.came += [(int(row), now_ns) for row in _FACT.findall(data)]

    def _ask(self) -> None:
        while not self._done.wait(0.2):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with contextlib.suppress(OSError, http.client.HTTPException):
                path = f"/api/v1/points/{self._history}/history"
                connection.request("GET", path, headers=self._headers)
                connection.getresponse().read()
            connection.close()
