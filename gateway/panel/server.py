"""The panel's server: one thread, one Unix socket, bounded in everything.

Nothing that a client does can hold up ``control``. The controller only sets a flag or puts
a short note into a queue (:meth:`Server.changed`, :meth:`Server.answered`,
:meth:`Server.committed`); this thread makes the snapshot, once for all clients, at most
twenty times a second, besides one for each client that comes. A client that reads slowly gets
the newest snapshot when it is ready for one, and none of those between.

An answer to a command waits for its fact to be on disk so that it can name it, but no
longer than :data:`ANSWER_WITHIN_S`: a full disk must not make the door look dead. It is sent after
a snapshot that already shows what the command did.

Each role has places of its own (:mod:`gateway.panel.places`). Each client has a token bucket: one
that floods is read more slowly. There is a limit of commands for each client and for each person it
speaks for (:mod:`gateway.panel.shares`); commands beyond it are refused. An error in serving one
client, even a bug of ours, closes only that client. An error of the server itself ends its thread,
and :mod:`gateway.threads` the process.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Protocol

from gateway.core.effects import Reply, Send, Status
from gateway.core.events import Issuer
from gateway.panel import places, rights
from gateway.panel.address import short
from gateway.panel.messages import (
    MAX_LIFE_MS,
    MAX_LINE,
    AuditNote,
    Bench,
    ClockTold,
    CommandMessage,
    DeliveredTold,
    DeviceTestAsked,
    DeviceTested,
    Forget,
    Hello,
    Malformed,
    MalformedField,
    Message,
    Refused,
    Role,
    SettingsAsked,
    encode,
    parse,
)
from gateway.panel.places import Place
from gateway.panel.shares import Asked, Bucket, Shares
from gateway.printable import in_a_text

OUT_MOST = 256
"""Answers that wait for one client to read them; with more it is closed."""
SNAPSHOT_EVERY_S = 0.05
ANSWER_WITHIN_S = 0.5
SNAPSHOT_WITHIN_S = 2.0
"""One is made at least this often: ages and cursors change without an event."""
IDLE_TICK_S = 1.0
HELLO_WITHIN_S = 5.0
READ_WITHIN_S = 30.0
"""A client that takes nothing for this long is closed; its place is free again."""
ACCEPT_AGAIN_S = 0.5
"""Where nobody can be let in (no descriptor, no memory), it is tried again after so long."""
TESTS_MOST = 20
"""Tests of devices under way."""
LINES_PER_S, LINES_BURST = 1_000.0, 2_000.0
"""What is read of one client; the rest waits in its socket."""


class Handler(Protocol):
    """What stands behind the panel. Called in the server's thread; must not block."""

    def command(self, message: CommandMessage) -> str:
        """Pass a command on. The reason if it cannot even be queued, else empty."""

    def told(self, message: Message) -> None:
        """Anything that needs no answer."""

    def bench(self, message: Bench, answer: Callable[[Mapping[str, object]], None]) -> None:
        """Do it and call ``answer`` once, from any thread."""

    def settings(
        self, message: SettingsAsked, answer: Callable[[Mapping[str, object]], None]
    ) -> None:
        """Look at or change the overlay and call ``answer`` once, from any thread."""

    def snapshot(self) -> Mapping[str, object]:
        """The state as it is now."""

    def gone(self, role: Role) -> None:
        """The last client of this role has closed its connection."""


@dataclass(slots=True, eq=False)
class _Client:
    sock: socket.socket
    uid: int
    user: str
    since: float
    place: Place
    lines: Bucket
    commands: Shares
    role: Role | None = None
    inbuf: bytearray = field(default_factory=bytearray)
    out: deque[bytes] = field(default_factory=deque)
    partial: memoryview = field(default_factory=lambda: memoryview(b""))
    snapshot: bytes | None = None
    rows: bytes | None = None
    took: float = 0.0
    """When it last took a byte while there was something to take."""
    closing: bool = False
    slowed: bool = False
    """It has used its lines up and is not read for a while."""
    interest: int = 0
    """What the selector waits for; 0: it does not know this client."""

    @property
    def listens(self) -> bool:
        """To the state of things; ``notify`` hears of messages only."""
        return self.role not in (None, "notify") and not self.closing


@dataclass(slots=True)
class _Answer:
    """To a command. ``made``: how many snapshots there had been when the building gave it."""

    reply: Reply
    since: float
    made: int
    fact: str | None = None


class Server:
    """See the module. ``path``: the socket; its folder must exist. ``group``: the Unix group
    that may connect, where it exists."""

    def __init__(
        self,
        path: Path,
        handler: Handler,
        *,
        group: str = "portier",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._handler = handler
        self._group = group
        self._clock = clock
        self._clients: dict[int, _Client] = {}
        self._notes: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poked = False
        self._dirty = False
        self._snapshot_at = float("-inf")
        self._rows: bytes | None = None
        self._asked: dict[str, tuple[_Client, Asked]] = {}
        self._answers: dict[str, _Answer] = {}
        self._device_tests: dict[str, _Client] = {}
        """Id -> who has asked for a test of a device."""
        self._unshown: list[tuple[_Client, _Answer]] = []
        self._made = 0
        """How many snapshots there have been."""
        self._listens = False
        self._stop = False
        self._farewell: bytes | None = None
        self._accept_at: float | None = None
        self._complained_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._selector = selectors.DefaultSelector()

    # --- for the controller and the journal, from any thread ------------------------------

    def listen(self) -> None:
        """Make the socket. The lock on the state folder is held, so a socket file that lies here
        is stale. Raises :class:`OSError` where that is not possible; then this server is over."""
        try:
            self._bind()
            self._listener.listen(places.ALL)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._wake, selectors.EVENT_READ)
        except OSError:
            self.close()
            raise
        self._listens = True

    def start(self) -> None:
        """Answer from now on. Raises :class:`OSError` as :meth:`listen` does."""
        if not self._listens:
            self.listen()
        self._thread.start()

    def _bind(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        old = os.umask(0o117)
        try:
            with short(self._path) as address:
                self._listener.bind(address)
        finally:
            os.umask(old)
        self._share()

    @property
    def alive(self) -> bool:
        """Whether its thread runs, or has not begun yet; it ends by :meth:`close` only."""
        return self._thread.ident is None or self._stop or self._thread.is_alive()

    def close(self) -> None:
        self._stop = True
        if self._thread.ident is not None:
            self._poke()
            self._thread.join(timeout=1)
        else:
            self._listener.close()
            self._selector.close()
            os.close(self._wake)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def announce(self, reason: Literal["reload", "stop"]) -> None:
        """Say to every client that this server ends soon, and why."""
        line = encode({"type": "closing", "reason": reason})
        self._note(lambda: self._say_farewell(line))

    def changed(self) -> None:
        """There is something new to see."""
        if not self._dirty:
            self._dirty = True
            self._poke()

    def answered(self, reply: Reply) -> None:
        """The building's answer; it goes out when its fact is on disk, or soon without."""
        self._note(lambda: self._hold(reply))

    def committed(self, command: str, fact: str | None) -> None:
        """The fact that answers ``command`` is on disk, or never will be (``None``)."""
        self._note(lambda: self._release(command, fact))

    def rows(self, journal: str, head: int) -> None:
        """The journal has grown up to row ``head``."""
        self._note(lambda: self._tell_rows(journal, head))

    def send(self, message: Send) -> None:
        """Hand a message to ``notify``; where that is away it has failed at once."""
        at_ms = time.monotonic_ns() // 1_000_000
        self._note(lambda: self._hand_over(message, at_ms))

    def _note(self, note: Callable[[], None]) -> None:
        self._notes.put(note)
        self._poke()

    def _poke(self) -> None:
        if not self._poked:
            self._poked = True
            os.eventfd_write(self._wake, 1)

    # --- the thread -----------------------------------------------------------------------

    def _share(self) -> None:
        with contextlib.suppress(KeyError, ImportError, PermissionError):
            import grp

            os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)

    def _run(self) -> None:
        try:
            while not self._stop:
                for key, mask in self._selector.select(self._timeout()):
                    self._ready(key, mask)
                self._do_notes()
                self._release_late()
                self._publish_when_due()
                self._sweep()
            self._do_notes()  # a farewell may be the last of them
        finally:
            for client in list(self._clients.values()):
                self._drop(client)
            self._listener.close()
            self._selector.close()

    def _do_notes(self) -> None:
        while not self._notes.empty():
            self._notes.get()()

    def _timeout(self) -> float:
        now = self._clock()
        due = [now + IDLE_TICK_S, self._snapshot_at + SNAPSHOT_WITHIN_S]
        if self._dirty:
            due.append(self._snapshot_at + self._every_s())
        if self._answers:
            due.append(next(iter(self._answers.values())).since + ANSWER_WITHIN_S)
        if self._accept_at is not None:
            due.append(self._accept_at)
        if any(client.slowed for client in self._clients.values()):
            due.append(now + SNAPSHOT_EVERY_S)
        return max(0.0, min(due) - now)

    def _ready(self, key: selectors.SelectorKey, mask: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj == self._wake:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            self._poked = False  # only now: what is noted from here on is drained below
        else:
            client = self._clients.get(key.fd)
            if client is None:
                return
            if mask & selectors.EVENT_READ:
                self._serve(client, self._read)
            if mask & selectors.EVENT_WRITE and self._clients.get(key.fd) is client:
                self._flush(client)

    def _serve(self, client: _Client, work: Callable[[_Client], None]) -> None:
        """Do something for one client; whatever is wrong with it ends this client only."""
        try:
            work(client)
        except Malformed as error:
            self._fail(client, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake that one client finds costs no other
            self._complain(f"client {client.role} of {client.user}", error)
            self._drop(client)

    def _accept(self) -> None:
        """Let one client in. Where there is no descriptor or no memory for it, nobody is let in
        for a while: whoever waits would be announced again and again."""
        sock = None
        try:
            sock, _ = self._listener.accept()
            self._let_in(sock)
        except (BlockingIOError, ConnectionError):
            pass  # went away again
        except (OSError, MemoryError):
            if sock is not None:
                self._clients.pop(sock.fileno(), None)
                sock.close()
            self._selector.unregister(self._listener)
            self._accept_at = self._clock() + ACCEPT_AGAIN_S

    def _let_in(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        uid = _uid_of(sock)
        user = rights.user_name(uid)
        now = self._clock()
        client = _Client(
            sock,
            uid,
            user,
            now,
            places.place(uid, user, os.getuid(), None),
            Bucket(LINES_PER_S, LINES_BURST, now),
            Shares(now),
            took=now,
        )
        free = self._is_free(client.place)
        if not free and client.place.kind == places.NEW:
            self._drop(next(one for one in self._clients.values() if one.place.kind == places.NEW))
            free = True
        self._clients[sock.fileno()] = client
        self._watch(client)
        if not free:
            self._fail(client, "limit")

    def _is_free(self, wanted: Place) -> bool:
        taken = (one.place for one in self._clients.values() if not one.closing)
        return places.is_free(wanted, taken)

    def _watch(self, client: _Client) -> None:
        """Tell the selector what is wanted of this client now. Raises :class:`OSError`."""
        wanted = 0 if client.slowed else selectors.EVENT_READ
        wanted |= selectors.EVENT_WRITE if client.partial else 0
        if wanted == client.interest:
            return
        if not wanted:
            self._selector.unregister(client.sock)
        elif client.interest:
            self._selector.modify(client.sock, wanted)
        else:
            self._selector.register(client.sock, wanted)
        client.interest = wanted

    def _read(self, client: _Client) -> None:
        try:
            data = client.sock.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        if client.closing:
            return
        client.inbuf += data
        self._lines(client)

    def _lines(self, client: _Client) -> None:
        """Take the lines that have come, as many as this client may say now."""
        fd = client.sock.fileno()
        while not client.closing and (end := client.inbuf.find(b"\n")) >= 0:
            client.slowed = not client.lines.take(self._clock())
            if client.slowed:
                break
            line = bytes(client.inbuf[: end + 1])
            del client.inbuf[: end + 1]
            try:
                self._take(client, parse(line))
            except MalformedField as error:
                self._queue(client, encode({"type": "error", "reason": str(error), "id": error.id}))
            if self._clients.get(fd) is not client:
                return  # it does not read its answers
        if not client.slowed and len(client.inbuf) > MAX_LINE:
            raise Malformed(f"a line is at most {MAX_LINE} bytes")
        self._watch(client)

    def _resume(self, client: _Client) -> None:
        """Go on with a client that was slowed down."""
        client.slowed = False
        self._lines(client)

    def _take(self, client: _Client, message: Message) -> None:
        if isinstance(message, Hello):
            self._greet(client, message)
        elif client.role is None:
            raise Malformed("say hello first")
        elif refusal := rights.refusal(
            client.role, message, speaks_for_itself=client.role == "cli"
        ):
            raise Malformed(refusal)
        elif isinstance(message, CommandMessage):
            self._command(client, message)
        elif isinstance(message, Bench):
            self._bench(client, message)
        elif isinstance(message, SettingsAsked):
            self._settings(client, message)
        elif isinstance(message, DeviceTestAsked):
            self._test_device(client, message)
        elif isinstance(message, DeviceTested):
            self._answer_test(message.id, message.reason)
        elif isinstance(message, AuditNote | Forget | Refused) and client.role == "cli":
            self._handler.told(replace(message, actor=f"cli:{client.user}"))
        else:
            self._handler.told(_of_role(client, message))
            self._dirty = True

    def _greet(self, client: _Client, message: Hello) -> None:
        if not rights.may_be(message.role, client.uid, client.user, os.getuid()):
            raise Malformed(f"{message.role}: not the role of the user {client.user}")
        if client.role not in (None, message.role):
            raise Malformed("hello: once")
        wanted = places.place(client.uid, client.user, os.getuid(), message.role)
        if wanted != client.place and not self._is_free(wanted):
            raise Malformed("limit")
        client.place, client.role = wanted, message.role
        if message.role == "notify":
            self._handler.told(message)
        self._dirty = True
        self._snapshot_at = float("-inf")
        client.rows = self._rows if client.listens else None
        if self._farewell is not None:
            self._queue(client, self._farewell)

    def _command(self, client: _Client, message: CommandMessage) -> None:
        command = message.command
        issuer = command.issuer
        if client.role == "cli":
            issuer = Issuer(f"cli:{client.user}", "cli")
        latest = int(self._clock() * 1000) + MAX_LIFE_MS
        command = replace(command, issuer=issuer, expires_ms=min(command.expires_ms, latest))
        asked = None
        if command.id in self._asked:
            refusal = "duplicate"
        elif (asked := client.commands.ask(command, self._clock())) is None:
            refusal = "limit"
        else:
            refusal = self._handler.command(replace(message, command=command))
        if asked is not None and not refusal:
            self._asked[command.id] = (client, asked)
            return
        if asked is not None:
            asked.end()
        self._reply(client, Reply(command.id, "refused", refusal), None)

    def _bench(self, client: _Client, message: Bench) -> None:
        self._handler.bench(
            message,
            lambda result: self._answer(client, {"type": "bench", "result": result}, message.id),
        )

    def _settings(self, client: _Client, message: SettingsAsked) -> None:
        """``web`` has checked that the person is an admin; no other role may send this."""
        self._handler.settings(
            message, lambda result: self._answer(client, {"type": "reply", **result}, message.id)
        )

    def _test_device(self, client: _Client, message: DeviceTestAsked) -> None:
        """The page asks, ``notify`` answers; control only passes it on."""
        if len(self._device_tests) >= TESTS_MOST:
            self._reply(client, Reply(message.id, "refused", "limit"), None)
            return
        self._device_tests[message.id] = client
        told = {"type": "device_test", "id": message.id, "device": message.device}
        if not self._to_notify(encode(told)):
            self._answer_test(message.id, "notify_away")

    def _answer_test(self, id: str, reason: str) -> None:
        client = self._device_tests.pop(id, None)
        if client is not None:
            status: Status = "refused" if reason else "accepted"
            self._reply(client, Reply(id, status, reason), None)

    def _answer(self, client: _Client, answer: Mapping[str, object], id: str) -> None:
        """What took its time, from any thread."""
        line = encode({**answer, "id": id})
        self._note(lambda: self._queue(client, line))

    # --- what goes out --------------------------------------------------------------------

    def _hold(self, reply: Reply) -> None:
        if reply.command in self._asked:
            self._answers[reply.command] = _Answer(reply, self._clock(), self._made)

    def _release(self, command: str, fact: str | None) -> None:
        """It goes out at once where a snapshot shows what it is about, or else behind the next."""
        answer = self._answers.pop(command, None)
        found = self._asked.pop(command, None) if answer else None
        if answer and found:
            client, asked = found
            asked.end()
            answer.fact = fact
            if self._made > answer.made:
                self._show(client, answer)
            else:
                self._unshown.append((client, answer))
                self._dirty = True

    def _show(self, client: _Client, answer: _Answer) -> None:
        if client.snapshot is not None:  # it reads slowly: the answer would overtake this
            line, client.snapshot = client.snapshot, None
            self._queue(client, line)
        self._reply(client, answer.reply, answer.fact)

    def _release_late(self) -> None:
        now = self._clock()
        for command, answer in list(self._answers.items()):
            if now - answer.since < ANSWER_WITHIN_S:
                break  # in order of time
            self._release(command, None)

    def _reply(self, client: _Client, reply: Reply, fact: str | None) -> None:
        self._queue(
            client,
            encode(
                {
                    "type": "reply",
                    "id": reply.command,
                    "status": reply.status,
                    "reason": reply.reason,
                    "fact": fact,
                }
            ),
        )

    def _hand_over(self, message: Send, at_ms: int) -> None:
        line = encode(
            {
                "type": "send",
                "delivery": message.delivery,
                "receiver": message.receiver,
                "channel": message.channel,
                "kind": message.kind,
                "about": message.about,
                "data": dict(message.data),
                "monotonic_ms": at_ms,
            }
        )
        if not self._to_notify(line):
            self._handler.told(DeliveredTold(message.delivery, False, "notify_away"))

    def _to_notify(self, line: bytes) -> bool:
        """Whether there is anybody."""
        for client in list(self._clients.values()):
            if client.role == "notify" and not client.closing:
                self._queue(client, line)
                return True
        return False

    def _say_farewell(self, line: bytes) -> None:
        self._farewell = line
        for client in list(self._clients.values()):
            if client.role is not None and not client.closing:
                self._queue(client, line)

    def _tell_rows(self, journal: str, head: int) -> None:
        self._rows = encode({"type": "rows", "journal": journal, "head": head})
        for client in list(self._clients.values()):
            if client.listens:
                client.rows = self._rows
                self._flush(client)

    def _publish_when_due(self) -> None:
        age_s = self._clock() - self._snapshot_at
        if age_s >= (self._every_s() if self._dirty else SNAPSHOT_WITHIN_S):
            self._publish()

    def _publish(self) -> None:
        self._dirty = False
        self._snapshot_at = self._clock()
        self._made += 1
        line = encode({"type": "snapshot", "snapshot": self._handler.snapshot()})
        for client in list(self._clients.values()):
            if client.listens:
                client.snapshot = line
                self._flush(client)
        unshown, self._unshown = self._unshown, []
        for client, answer in unshown:
            self._show(client, answer)

    def _every_s(self) -> float:
        """With nobody listening it is still made now and then: the handler notes since when its
        guarantees hold."""
        listened = any(client.listens for client in self._clients.values())
        return SNAPSHOT_EVERY_S if listened else IDLE_TICK_S

    def _queue(self, client: _Client, line: bytes) -> None:
        if len(client.out) >= OUT_MOST:
            self._drop(client)
            return
        client.out.append(line)
        self._flush(client)

    def _next(self, client: _Client) -> bytes | None:
        if client.out:
            return client.out.popleft()
        line = client.rows
        if line is not None:
            client.rows = None
            return line
        line, client.snapshot = client.snapshot, None
        return line

    def _flush(self, client: _Client) -> None:
        if self._clients.get(client.sock.fileno()) is not client:
            return
        try:
            while True:
                if not client.partial:
                    line = self._next(client)
                    if line is None:
                        break
                    client.partial = memoryview(line)
                sent = client.sock.send(client.partial)
                client.partial = client.partial[sent:]
                client.took = self._clock()
            client.took = self._clock()
        except BlockingIOError:
            pass  # the rest when there is room again
        except OSError:
            self._drop(client)
            return
        if client.closing and not client.partial:
            self._drop(client)
            return
        try:
            self._watch(client)
        except OSError:  # no memory to wait for it
            self._drop(client)

    def _fail(self, client: _Client, reason: str) -> None:
        """Say what was wrong, then close."""
        client.closing = True
        client.snapshot = client.rows = None
        self._queue(client, encode({"type": "error", "reason": reason}))

    def _sweep(self) -> None:
        now = self._clock()
        if self._accept_at is not None and now >= self._accept_at:
            self._accept_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        for client in list(self._clients.values()):
            pending = bool(client.partial)
            if (pending and now - client.took > READ_WITHIN_S) or (
                client.role is None and now - client.since > HELLO_WITHIN_S
            ):
                self._drop(client)
            elif client.slowed:
                self._serve(client, self._resume)

    def _complain(self, what: str, error: Exception) -> None:
        """At most one traceback a second: a client may find the same mistake again and again."""
        if self._clock() - self._complained_at >= 1:
            import traceback

            self._complained_at = self._clock()
            lines = "".join(traceback.format_exception(error))
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(in_a_text(f"{what} is closed\n{lines}"))

    def _drop(self, client: _Client) -> None:
        fd = client.sock.fileno()
        if self._clients.get(fd) is not client:
            return
        del self._clients[fd]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.sock)
        client.sock.close()
        if client.role and all(other.role != client.role for other in self._clients.values()):
            self._handler.gone(client.role)
        for id, asker in list(self._device_tests.items()):
            if asker is client:
                del self._device_tests[id]
            elif client.role == "notify":
                self._answer_test(id, "notify_away")
        for command in [key for key, (who, _) in self._asked.items() if who is client]:
            del self._asked[command]
            self._answers.pop(command, None)


def _uid_of(sock: socket.socket) -> int:
    """The user at the other end, as the kernel knows it."""
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


def _of_role(client: _Client, message: Message) -> Message:
    """A report of the clock with the role that has asked the time service; anything else as it
    is."""
    if isinstance(message, ClockTold) and client.role is not None:
        return replace(message, role=client.role)
    return message
