"""A crowd before the page: live streams that are read, and a history that is asked for."""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import subprocess
import threading
import time
from typing import Any

from tests.benchmarks.whole import ROOT, Whole, portier


def token(it: Whole) -> str:
    """A token that may see everything; waits for the page to be there."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", it.web_port)):
            break
        if time.monotonic() > deadline:
            raise RuntimeError((it.folder / "web.log").read_text()[-2000:])
        time.sleep(0.1)
    done = subprocess.run(
        [*portier(), "token", "add", "bench", "--role", "maintenance", "--state", str(it.state)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


class Crowd:
    """``clients`` streams read by one thread, and one more thread that asks for ``history``."""

    def __init__(self, port: int, token: str, *, clients: int, history: str) -> None:
        self.frames = 0
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        self._history = history
        self._done = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._socks = [self._connect(token) for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._ask, daemon=True),
        ]

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

    def _connect(self, token: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        sock.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)
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

    def _ask(self) -> None:
        while not self._done.wait(0.2):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with contextlib.suppress(OSError, http.client.HTTPException):
                path = f"/api/v1/points/{self._history}/history"
                connection.request("GET", path, headers=self._headers)
                connection.getresponse().read()
            connection.close()
