"""Hands messages over, each in a process that can be ended; runs as a process of its own.

A thread that waits for a server cannot be ended, and a server that sends a byte now and then
keeps it waiting for ever. So this process has no threads, imports what a delivery needs once, and
forks a process for each delivery, which is killed when its time is over. One that waits for the
next delivery is always there, because forking takes longer than most deliveries.

Requests and answers are JSON, one for each packet of the socket that is standard input:
``{number, do, address, title, body}`` and ``{number, reason}``. ``do``: ``send`` a message,
``push`` one to a device, ``check`` that the address is understood, or ``beat`` (fetch a
heartbeat's address). Addresses may
hold passwords: they come over this socket only, and never reach a command line, the environment or
a log. The process ends when the other end of the socket is closed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.notify import heartbeat
from gateway.notify.guard import Guard
from gateway.notify.texts import Text

WITHIN_S = 10.0
"""A delivery that has not ended after this time is killed, and has failed."""
PLACES = 10
"""Deliveries under way at once; each takes about 8 MB."""
PLACES_ADDRESS = 2
"""Of these, to one address; 1 where the last one had to be killed."""
PLACES_SLOW = PLACES // 2
"""Of these, to all addresses of which the last delivery had to be killed: the others keep the
rest, however many servers hang."""
WAITING_MOST = 200
MEMORY_BYTES = 64_000_000
"""What one delivery may take beyond what is imported: an answer may be of any size."""
LONGEST_PACKET = 1 << 20
LONGEST_REASON = 200

Request = Mapping[str, Any]
Work = Callable[[Request], str]


@dataclass(slots=True)
class _Delivery:
    """``until``: when it is killed (monotonic seconds)."""

    number: int
    address: str
    packet: bytes
    until: float


@dataclass(frozen=True, slots=True)
class _Worker:
    """A forked process, and the socket on which it hears its request and answers."""

    pid: int
    sock: socket.socket


@dataclass(slots=True)
class DeliveryProcess:
    """The loop. ``work`` is called in the forked process and returns what failed, or nothing."""

    sock: socket.socket
    work: Work
    rehearse: Callable[[], object] | None = None
    """Called in each forked process before its request, so that the pages that a delivery writes
    to are its own by then."""
    within_s: float = WITHIN_S
    _waiting: list[_Delivery] = field(default_factory=list)
    _under_way: dict[int, tuple[_Worker, _Delivery]] = field(default_factory=dict)
    """By the process id."""
    _spare: _Worker | None = None
    _slow: set[str] = field(default_factory=set)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> None:
        """Serve until the other end of the socket is closed."""
        self._selector.register(self.sock, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            spare = [self._spare] if self._spare is not None else []
            for worker in (*spare, *(worker for worker, _ in self._under_way.values())):
                self._end(worker)

    def _turn(self) -> bool:
        if self._spare is None:
            self._spare = self._fork()
        now = time.monotonic()
        dues = [
            one.until for one in (*self._waiting, *(one for _, one in self._under_way.values()))
        ]
        wait_s = None if not dues else max(0.0, min(dues) - now)
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                if not self._receive():
                    return False
            elif key.data in self._under_way:
                self._ended(key.data)
            elif self._spare is not None and self._spare.pid == key.data:
                self._end(self._spare)
                self._spare = None
        self._give_up(time.monotonic())
        self._begin()
        return True

    def _receive(self) -> bool:
        try:
            packet = self.sock.recv(LONGEST_PACKET)
        except OSError:
            return False
        if not packet:
            return False
        request = json.loads(packet)
        number, address = int(request["number"]), str(request["address"])
        if len(self._waiting) >= WAITING_MOST:
            self._answer(number, "busy")
        else:
            until = min(time.monotonic() + self.within_s, request["until_s"])
            self._waiting.append(_Delivery(number, address, packet, until))
        return True

    def _begin(self) -> None:
        """Start what waits and has a place, oldest first."""
        taken = Counter(one.address for _, one in self._under_way.values())
        slow = sum(count for address, count in taken.items() if address in self._slow)
        for delivery in list(self._waiting):
            address = delivery.address
            is_slow = address in self._slow
            if taken.total() >= PLACES:
                return
            if taken[address] >= (1 if is_slow else PLACES_ADDRESS):
                continue
            if is_slow and slow >= PLACES_SLOW:
                continue
            self._waiting.remove(delivery)
            if self._hand_over(delivery):
                taken[address] += 1
                slow += is_slow

    def _hand_over(self, delivery: _Delivery) -> bool:
        worker = self._spare or self._fork()
        self._spare = None
        if worker is None:
            self._answer(delivery.number, "busy")
            return False
        self._under_way[worker.pid] = (worker, delivery)
        with contextlib.suppress(OSError):  # it has ended already: its socket says so
            worker.sock.send(delivery.packet)
        return True

    def _fork(self) -> _Worker | None:
        """A process that waits for its request; none where there is no memory, or where the unit
        may have no more processes."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_PACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            others = [worker.sock for worker, _ in self._under_way.values()]
            _child(self, theirs, [self.sock, ours, *others])
        theirs.close()
        self._selector.register(ours, selectors.EVENT_READ, pid)
        return _Worker(pid, ours)

    def _ended(self, pid: int) -> None:
        """A process has said what came of its delivery, or has ended without a word."""
        worker, delivery = self._under_way.pop(pid)
        try:
            text = worker.sock.recv(4 * LONGEST_REASON).decode("utf-8", "replace")
        except OSError:
            text = ""
        if text:
            self._slow.discard(delivery.address)
            self._answer(delivery.number, text.removeprefix("."))
            self._end(worker)
        else:
            self._answer(delivery.number, f"error: ended ({self._end(worker, kill=False)})")

    def _give_up(self, now: float) -> None:
        for delivery in [one for one in self._waiting if one.until <= now]:
            self._waiting.remove(delivery)
            self._answer(delivery.number, "busy")
        for pid, (worker, delivery) in list(self._under_way.items()):
            if delivery.until <= now:
                del self._under_way[pid]
                self._end(worker)
                self._slow.add(delivery.address)
                self._answer(delivery.number, "timeout")

    def _end(self, worker: _Worker, *, kill: bool = True) -> str:
        """End the process; how it has ended."""
        self._selector.unregister(worker.sock)
        worker.sock.close()
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        _, status = os.waitpid(worker.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"status {code}"

    def _answer(self, number: int, reason: str) -> None:
        with contextlib.suppress(OSError):  # nobody is there: the next turn ends
            self.sock.send(json.dumps({"number": number, "reason": reason}).encode())


def _child(server: DeliveryProcess, sock: socket.socket, others: list[socket.socket]) -> None:
    """Wait for one request and do it, in a process of its own; does not return. ``others``: what
    must be closed when the parent closes it."""
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for other in others:
            other.close()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)  # a library may print an address
        if server.rehearse is not None:
            server.rehearse()
        _limit_memory()
        packet = sock.recv(LONGEST_PACKET)
        if packet:
            # The kernel ends it a second later if the parent could not.
            signal.setitimer(signal.ITIMER_REAL, server.within_s + 1.0)
            request = json.loads(packet)
            late = request["until_s"] < time.monotonic()  # it was stopped, with its parent
            reason = "timeout" if late else server.work(request)
            sock.send(f".{reason}"[:LONGEST_REASON].encode())
            status = 0
    finally:
        os._exit(status)


def _limit_memory() -> None:
    """Where the machine runs out of memory this process goes first; where it may limit itself, it
    does not come so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        lines = dict(line.split(":", 1) for line in status.splitlines())
        limit = int(lines["VmData"].split()[0]) * 1024 + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def work(request: Request) -> str:
    """Do what is asked; what failed, or nothing."""
    if request["do"] == "beat":
        return heartbeat.call(request["address"])
    if request["do"] == "push":
        from gateway.notify import push

        return push.send(request["address"], request["body"])
    from gateway.notify import channels

    if request["do"] == "check":
        return "" if channels.understood(request["address"]) else "address"
    text = Text(request["title"], request["body"])
    if "hosts" not in request:
        return channels.send(request["address"], text)
    guard = Guard(request["hosts"])  # this process makes one delivery and ends
    guard.install()
    reason = channels.send(request["address"], text)
    return "forbidden" if reason and guard.refused else reason


def main(names: list[str]) -> int:
    """``names``: ``messages`` where messages will be sent, ``push`` where some go to devices, so
    that what they need is imported before the first one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with the process that has started it
    rehearse = None
    if "messages" in names:
        from gateway.notify import channels

        channels.rehearse()
        rehearse = channels.rehearse
    if "push" in names:
        from gateway.notify import push

        push.warm()
    gc.collect()
    gc.freeze()  # pages that no collection touches stay shared with every delivery
    with socket.socket(fileno=os.dup(0)) as sock:
        DeliveryProcess(sock, work, rehearse).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
