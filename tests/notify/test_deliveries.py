"""Deliveries that can be ended: servers that hang, drip, redirect or never stop, each on loopback,
beside one that works."""

from __future__ import annotations

import os
import queue
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.notify import deliveries, delivery_process
from gateway.notify.deliveries import Deliveries
from gateway.notify.texts import Text
from tests.process.sinks import Webhook, serving

pytestmark = pytest.mark.thorough

TEXT = Text("NOTRUF: WC", "In „WC“ ruft jemand um Hilfe.")
SHORT_S, LONG_S = 4.0, 50.0
"""In the place of 10 s: to see the limit, and for a busy machine never to reach it."""
Serve = Callable[[socket.socket, threading.Event], None]


class Hostile(socketserver.ThreadingTCPServer):
    """A server that never comes to an end; ``reached`` counts who has connected."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, serve: Serve) -> None:
        self.serve, self.over = serve, threading.Event()
        self.reached: queue.SimpleQueue[None] = queue.SimpleQueue()
        super().__init__(("127.0.0.1", 0), _Connection)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def server_close(self) -> None:
        self.over.set()
        super().server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: Hostile

    def handle(self) -> None:
        self.server.reached.put(None)
        try:
            self.server.serve(self.request, self.server.over)
        except OSError:
            return  # the other side has been ended


def silent(_sock: socket.socket, over: threading.Event) -> None:
    over.wait()


def drips(sock: socket.socket, over: threading.Event) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not over.wait(0.05):
        sock.sendall(b"x")


def drips_headers(sock: socket.socket, over: threading.Event) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.05):
        sock.sendall(b"x")


def continues(sock: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.001):
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def limited(limit_s: float) -> list[str]:
    """The command of a delivery process that ends a delivery after so long."""
    code = f"""
import sys
from gateway.notify import delivery_process as process
class Limited(process.DeliveryProcess):
    def __init__(self, sock, work, rehearse):
        super().__init__(sock, work, rehearse, {limit_s})
process.DeliveryProcess = Limited
sys.exit(process.main(["messages"]))
"""
    return [sys.executable, "-c", code]


@pytest.fixture
def short() -> Iterator[Deliveries]:
    """Deliveries that are ended sooner."""
    made = Deliveries(command=limited(SHORT_S))
    yield made
    made.close()


@pytest.fixture
def usual() -> Iterator[Deliveries]:
    made = Deliveries(command=limited(LONG_S))
    yield made
    made.close()


def hanging(address: str) -> str:
    return f"json://{address}/x?rto=60&cto=60"


HOSTILE = [silent, drips, drips_headers, continues]


@pytest.mark.parametrize("serve", HOSTILE)
def test_a_healthy_channel_does_not_wait_for_one_that_never_ends(
    usual: Deliveries, serve: Serve
) -> None:
    """With threads, a healthy address was refused as busy after eight messages, for ever."""
    bad, hook = Hostile(serve), Webhook()
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    with serving(bad), serving(hook):
        for _ in range(12):
            usual.send(hanging(bad.address), TEXT, lambda reason: answers.put(("bad", reason)))
        bad.reached.get(timeout=60)
        good = f"json://{hook.address}/x"
        usual.send(good, TEXT, lambda reason: answers.put(("good", reason)))
        assert answers.get(timeout=60) == ("good", "")
        usual.close()


@pytest.mark.parametrize("serve", HOSTILE)
def test_a_delivery_that_never_ends_is_ended(short: Deliveries, serve: Serve) -> None:
    bad, hook = Hostile(serve), Webhook()
    with serving(bad), serving(hook):
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        for _ in range(3):
            short.send(hanging(bad.address), TEXT, answers.put)
        outcomes = [answers.get(timeout=60) for _ in range(3)]
        assert outcomes.count("timeout") >= 2
        assert set(outcomes) <= {"timeout", "busy"}, "busy: it never had a place"
        assert short.send_and_wait(f"json://{hook.address}/x", TEXT) == ""
        assert len(children(short)) <= 2, "the last one, and the one that waits"


def test_many_hanging_addresses_leave_room_for_a_healthy_one(short: Deliveries) -> None:
    """Once known to hang, all of them together have half of the places."""
    bad, hook = Hostile(silent), Webhook()
    with serving(bad), serving(hook):
        everywhere = [f"{hanging(bad.address)}&n={n}" for n in range(delivery_process.PLACES)]
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        for address in everywhere:
            short.send(address, TEXT, answers.put)
        assert {answers.get(timeout=60) for _ in everywhere} == {"timeout"}
        for address in everywhere * 2:
            short.send(address, TEXT, answers.put)
        good = f"json://{hook.address}/x"
        short.send(good, TEXT, lambda reason: answers.put(f"good {reason}"))
        assert answers.get(timeout=60) == "good "


def test_of_one_address_two_are_under_way_and_the_others_wait_their_turn(
    usual: Deliveries,
) -> None:
    hook = Webhook()
    with serving(hook):
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        for _ in range(10):
            usual.send(f"json://{hook.address}/x", TEXT, answers.put)
        assert [answers.get(timeout=60) for _ in range(10)] == [""] * 10
    assert len(hook.posted) == 10


def test_an_answer_of_any_size_does_not_take_the_memory(usual: Deliveries) -> None:
    def endless(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1000):
            if over.is_set():
                return
            sock.sendall(bytes(1_000_000))

    bad = Hostile(endless)
    with serving(bad):
        assert usual.send_and_wait(f"json://{bad.address}/x", TEXT) == "error: MemoryError"


def test_a_redirect_is_no_receipt(usual: Deliveries) -> None:
    """Red before: the page that it led to answered 200, and the message counted as delivered."""
    hook = Webhook()

    def elsewhere(sock: socket.socket, _over: threading.Event) -> None:
        sock.recv(65_536)
        sock.sendall(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n"
            b"Location: http://" + hook.address.encode() + b"/login\r\n\r\n"
        )

    portal = Hostile(elsewhere)
    with serving(portal), serving(hook):
        assert usual.send_and_wait(f"json://{portal.address}/x", TEXT) == "http 302"
        assert usual.beat(f"http://{portal.address.replace('127.0.0.1', 'localhost')}/x") == (
            "http 302"
        )
    assert hook.fetched == []


def test_a_beat_that_drips_is_ended(short: Deliveries) -> None:
    bad, hook = Hostile(drips_headers), Webhook()
    with serving(bad), serving(hook):
        assert short.beat(f"http://{bad.address}/x") == "timeout"
        assert short.beat(f"http://{hook.address}/x") == ""


def test_an_address_is_checked_without_sending(usual: Deliveries) -> None:
    assert usual.wait(lambda done: usual.check("secretpassword", done)) == "address"
    assert usual.wait(lambda done: usual.check("json://127.0.0.1/x", done)) == ""


def test_a_process_that_is_killed_is_answered_for_and_started_again(usual: Deliveries) -> None:
    bad, hook = Hostile(silent), Webhook()
    with serving(bad), serving(hook):
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        usual.send(hanging(bad.address), TEXT, answers.put)
        bad.reached.get(timeout=60)
        assert usual.pid is not None
        os.kill(usual.pid, signal.SIGKILL)
        assert answers.get(timeout=60) == "error: ended"
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""


def test_a_process_that_is_stopped_is_replaced(
    usual: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Webhook()
    with serving(hook):
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""
        assert usual.pid is not None
        os.kill(usual.pid, signal.SIGSTOP)
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        usual.send(f"json://{hook.address}/x", TEXT, answers.put)
        monkeypatch.setattr(deliveries, "WITHIN_S", -1.0)  # it is late by now
        usual.send(f"json://{hook.address}/x", TEXT, answers.put)
        assert answers.get(timeout=60).startswith("error")
        monkeypatch.undo()
        answers.get(timeout=60)
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""


def test_what_a_stopped_process_finds_when_it_goes_on_is_not_sent(usual: Deliveries) -> None:
    hook = Webhook()
    with serving(hook):
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""
        pid, answers = usual.pid, queue.SimpleQueue[str]()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deliveries, "WITHIN_S", 0.2)
            usual.send(f"json://{hook.address}/x", Text("late", "late"), answers.put)
        with pytest.raises(queue.Empty):
            answers.get(timeout=0.4)
        os.kill(pid, signal.SIGCONT)
        assert answers.get(timeout=60) == "busy"
        assert usual.send_and_wait(f"json://{hook.address}/x", TEXT) == ""
        assert len(hook.posted) == 2


def test_a_process_that_cannot_start_is_an_answer() -> None:
    nothing = Deliveries(command=["/nonexistent/program"])
    assert nothing.send_and_wait("json://127.0.0.1/x", TEXT) == "error: FileNotFoundError"
    nothing.close()
    ends = Deliveries(command=["/bin/true"])
    assert ends.send_and_wait("json://127.0.0.1/x", TEXT).startswith("error: ")
    ends.close()


def test_nothing_is_left_when_it_is_closed(usual: Deliveries) -> None:
    bad = Hostile(silent)
    with serving(bad):
        usual.send(hanging(bad.address), TEXT, lambda _: None)
        bad.reached.get(timeout=60)
        process = usual.pid
        workers = children(usual)
        usual.close()
    assert usual.pid is None
    for pid in (process, *workers):
        assert not Path(f"/proc/{pid}").exists()
    assert usual.send_and_wait("json://127.0.0.1/x", TEXT) == "error: BrokenPipeError"


def test_an_address_is_on_no_command_line_and_in_no_environment(usual: Deliveries) -> None:
    bad = Hostile(silent)
    with serving(bad):
        usual.send(f"json://user:password@{bad.address}/x?rto=60", TEXT, lambda _: None)
        bad.reached.get(timeout=60)
        for pid in (usual.pid, *children(usual)):
            for name in ("cmdline", "environ"):
                assert b"password@" not in Path(f"/proc/{pid}/{name}").read_bytes()


def children(made: Deliveries) -> list[int]:
    pid: Any = made.pid
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]
