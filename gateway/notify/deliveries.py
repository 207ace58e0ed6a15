"""Starts the process that hands messages over, asks it, and starts it again when it has ended.

Every request is answered once: by the process, or with ``error: …`` where it has ended."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from gateway.notify.addresses import PageAddress
from gateway.notify.delivery_process import LONGEST_PACKET, WITHIN_S
from gateway.notify.texts import Text

log = structlog.get_logger("notify")

ANSWER_WITHIN_S = WITHIN_S + 1.0
"""The process itself ends a delivery sooner."""
STEADY_S = 5.0
"""A process that has ended sooner than this is started again by the next request only."""

Done = Callable[[str], None]
"""Called with what failed, or with nothing, from another thread."""


class Deliveries:
    """The process and what was asked of it. ``messages``: whether any will be sent; a heartbeat
    alone needs no library. ``push``: whether any goes to a device."""

    def __init__(
        self, *, messages: bool = True, push: bool = False, command: Sequence[str] = ()
    ) -> None:
        self._command = list(command) or [
            sys.executable, "-m", "gateway.notify.delivery_process",
            *(["messages"] if messages else []), *(["push"] if push else []),
        ]  # fmt: skip
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: dict[int, tuple[socket.socket, float, Done]] = {}
        self._number = 0
        self._closed = False

    def start(self) -> None:
        """Start the process, where it does not run. Raises :class:`OSError`."""
        with self._lock:
            if self._sock is None and not self._closed:
                self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_PACKET)
        try:
            self._process = subprocess.Popen(
                self._command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, close_fds=True
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._sock = ours
        threading.Thread(
            target=self._read, args=(ours, self._process), name="deliveries", daemon=True
        ).start()

    @property
    def pid(self) -> int | None:
        """Of the process, where it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def send(self, address: str, text: Text, done: Done) -> None:
        """Hand a message over; ``done`` hears what came of it within about 10 s."""
        more: dict[str, object] = {"title": text.title, "body": text.body}
        if isinstance(address, PageAddress) and address.guarded:
            more["hosts"] = list(address.hosts)
        self._ask("send", address, done, **more)

    def push(self, address: str, payload: str, done: Done) -> None:
        """The same to a device, see :func:`gateway.notify.push.send`."""
        self._ask("push", address, done, body=payload)

    def check(self, address: str, done: Done) -> None:
        """Whether the address is understood."""
        self._ask("check", address, done)

    def beat(self, url: str) -> str:
        """Fetch the heartbeat's address and wait for the outcome: what failed, or nothing."""
        return self.wait(lambda done: self._ask("beat", url, done))

    def send_and_wait(self, address: str, text: Text) -> str:
        """As :meth:`send`; what failed, or nothing."""
        return self.wait(lambda done: self.send(address, text, done))

    @staticmethod
    def wait(ask: Callable[[Done], None]) -> str:
        """Ask and wait for the answer."""
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        ask(answers.put)
        try:
            return answers.get(timeout=ANSWER_WITHIN_S)
        except queue.Empty:
            return "timeout"

    def _ask(self, do: str, address: str, done: Done, **more: object) -> None:
        failed, now = "", time.monotonic()
        with self._lock:
            self._end_hanging(now)
            self._number += 1
            number = self._number
            request = {"number": number, "do": do, "address": address, "until_s": now + WITHIN_S}
            packet = json.dumps({**request, **more}, ensure_ascii=False).encode("utf-8", "replace")
            try:
                self._packet(number, packet, now, done)
            except BlockingIOError:
                failed = "busy"
            except OSError as error:
                failed = f"error: {type(error).__name__}"
            if failed:
                self._asked.pop(number, None)
        if failed:
            done(failed)

    def _packet(self, number: int, packet: bytes, now: float, done: Done) -> None:
        """Send it, to a new process where the last one has ended."""
        for last in (False, True):
            if self._sock is None and not self._closed:
                self._start()
            sock = self._sock
            if sock is None or self._closed:
                raise BrokenPipeError
            self._asked[number] = (sock, now, done)
            try:
                sock.send(packet, socket.MSG_DONTWAIT)
            except (BrokenPipeError, ConnectionResetError):
                self._sock = None
                if last:
                    raise
            else:
                return

    def _end_hanging(self, now: float) -> None:
        """Kill a process that answers nothing: it is stopped, or caught in the kernel. Its reader
        answers for what was asked of it, and starts another one."""
        late = any(now - at > 2 * WITHIN_S for _, at, _ in self._asked.values())
        if late and self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and every delivery that is under way."""
        with self._lock:
            self._closed = True
            sock, process = self._sock, self._process
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        if process is not None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _read(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Hand out the answers of one process, until it has ended."""
        since = time.monotonic()
        try:
            while packet := sock.recv(LONGEST_PACKET):
                answer = json.loads(packet)
                with self._lock:
                    asked = self._asked.pop(answer["number"], None)
                if asked is not None:
                    asked[2](answer["reason"])
        except OSError:
            pass  # it ended before it had read all that was asked
        finally:
            self._ended(sock, process, time.monotonic() - since)

    def _ended(self, sock: socket.socket, process: subprocess.Popen[bytes], ran_s: float) -> None:
        sock.close()
        if not self._closed:
            process.kill()
        status = process.wait()
        with self._lock:
            if self._sock is sock:
                self._sock = None
            lost = [number for number, (asked, _, _) in self._asked.items() if asked is sock]
            unanswered = [self._asked.pop(number)[2] for number in lost]
        for done in unanswered:
            done("error: ended")
        if self._closed:
            return
        log.error("the process that hands messages over has ended", status=status)
        if ran_s > STEADY_S:
            with contextlib.suppress(OSError):
                self.start()
