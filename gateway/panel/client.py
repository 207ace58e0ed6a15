"""The two clients of the panel: one with a thread of its own, one for asyncio.

Both say ``hello``, hand over every message of ``control``, and come back by themselves
after ``control`` was away. A command is never kept for later: while ``control`` is away
it fails at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.backoff import BackOff
from gateway.core.facts import Json
from gateway.panel.address import short
from gateway.panel.messages import MAX_SNAPSHOT, Role, encode
from gateway.panel.snapshot_types import Snapshot

COMMAND_LIFE_MS = 5_000
"""How long a command of the page or the command line is good for."""
RETRY_FIRST_S = 0.05
RETRY_MOST_S = 1.0
SILENT_S = 10.0
"""``control`` makes a snapshot at least every 2 s; one that says nothing for this long hangs, and
counts as away. ``notify`` gets none, and waits."""
SEND_WITHIN_S = 1.0
"""``control`` that takes nothing for this long hangs, too."""

Received = dict[str, Any]
OnMessage = Callable[[Received], None]


class ControlAway(ConnectionError):
    """There is no ``control`` behind the socket, or it went away before it answered."""


class NotTaken(ValueError):
    """``control`` did not take the message; the text says what is wrong with it."""


def command(
    name: str,
    args: Mapping[str, Json],
    *,
    id: str,
    actor: str,
    via: str,
    life_ms: int = COMMAND_LIFE_MS,
    audit: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """A command message that is void ``life_ms`` from now."""
    now = time.monotonic_ns() // 1_000_000
    return {
        "type": "command",
        "id": id,
        "name": name,
        "actor": actor,
        "via": via,
        "expires_monotonic_ms": now + life_ms,
        "args": dict(args),
        "audit": dict(audit or {}),
    }


def connect(path: Path, role: Role, timeout_s: float) -> socket.socket:
    """A connected socket that has said hello. Raises :class:`ControlAway`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    try:
        with short(path) as address:
            sock.connect(address)
        _say(sock, {"type": "hello", "role": role})
    except OSError as error:
        sock.close()
        raise ControlAway(f"{path}: {error.strerror or error}") from error
    return sock


def _say(sock: socket.socket, message: Mapping[str, object]) -> None:
    """Who has been turned away is told why and hung up on, perhaps before this is sent: the
    reason is read next, and whoever reads learns of the end."""
    with contextlib.suppress(BrokenPipeError):
        sock.sendall(encode(message))


class PanelClient:
    """The panel for threads. ``on_message`` is called in the client's own thread with every
    message, and with ``{"type": "away"}`` when the connection is lost."""

    def __init__(self, path: Path, role: Role, on_message: OnMessage) -> None:
        self._path = path
        self._role: Role = role
        self._on_message = on_message
        self._sock: socket.socket | None = None
        self._sending = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"panel-{role}", daemon=True)

    @property
    def connected(self) -> bool:
        return self._sock is not None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._drop()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=2)

    def send(self, message: Mapping[str, object]) -> bool:
        """Send now; ``False`` if ``control`` is away. Nothing is kept for later."""
        line = encode(message)
        with self._sending:
            sock = self._sock
            if sock is None:
                return False
            try:
                sock.sendall(line)
            except OSError:
                self._drop()
                return False
        return True

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _run(self) -> None:
        back_off = BackOff(RETRY_FIRST_S, RETRY_MOST_S)
        while not self._closing.is_set():
            try:
                sock = connect(self._path, self._role, timeout_s=5)
            except ControlAway:
                self._closing.wait(back_off.next())
                continue
            sock.settimeout(None)
            _limit(sock, socket.SO_SNDTIMEO, SEND_WITHIN_S)
            if self._role != "notify":
                _limit(sock, socket.SO_RCVTIMEO, SILENT_S)
            self._sock = sock
            if self._closing.is_set():
                self._drop()
            back_off.reset()
            self._read(sock)
            self._drop()
            if not self._closing.is_set():
                self._on_message({"type": "away"})
                self._closing.wait(RETRY_FIRST_S)

    def _read(self, sock: socket.socket) -> None:
        try:
            with sock.makefile("rb") as lines:
                while line := lines.readline(MAX_SNAPSHOT):
                    if line[-1:] != b"\n":
                        return  # cut off in the middle, or longer than anything control says
                    message = _read(line)
                    if message is None:
                        return
                    self._on_message(message)
        except OSError:
            return


def _limit(sock: socket.socket, option: int, seconds: float) -> None:
    """How long the kernel waits in a call; then the call fails."""
    whole = int(seconds)
    packed = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, option, packed)


def _read(line: bytes) -> Received | None:
    """A message of ``control``; ``None`` for what is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def ask(
    path: Path, message: Mapping[str, object], *, role: Role = "cli", timeout_s: float = 6.0
) -> Received:
    """Send one message that carries an ``id`` and wait for the answer to it, for the command
    line. Raises :class:`ControlAway`, and :class:`NotTaken` for ``error`` answers."""
    deadline = time.monotonic() + timeout_s
    with connect(path, role, timeout_s) as sock, sock.makefile("rb") as lines:
        try:
            _say(sock, message)
            while time.monotonic() < deadline:
                line = lines.readline(MAX_SNAPSHOT)
                if not line:
                    break
                got = _read(line) or {}
                if got.get("type") == "error":
                    raise NotTaken(str(got.get("reason")))
                if got.get("id") == message["id"] and got.get("type") in ("reply", "bench"):
                    return got
            else:
                raise ControlAway(f"control has not answered for {timeout_s:g} s")
        except OSError as error:
            raise ControlAway(str(error)) from error
    raise ControlAway("control went away before it answered")


def snapshot(path: Path, *, role: Role = "cli", timeout_s: float = 5.0) -> Snapshot:
    """The present snapshot. Raises :class:`ControlAway`."""
    for message in messages(path, role=role, timeout_s=timeout_s):
        if message.get("type") == "snapshot":
            found: Snapshot = message["snapshot"]
            return found
    raise ControlAway("control went away before it answered")


def messages(path: Path, *, role: Role = "cli", timeout_s: float | None = None) -> Any:
    """Every message of one connection, until it ends. Raises :class:`ControlAway` at the start."""
    with connect(path, role, timeout_s or 5.0) as sock, sock.makefile("rb") as lines:
        sock.settimeout(timeout_s)
        try:
            while (line := lines.readline(MAX_SNAPSHOT)) and (message := _read(line)) is not None:
                yield message
        except OSError as error:
            raise ControlAway(str(error)) from error


_SNAPSHOT = b'{"type":"snapshot"'


async def _newest(reader: asyncio.StreamReader, silent_s: float | None) -> AsyncIterator[bytes]:
    """Every line but the snapshots that a newer one has overtaken: whoever is late shows how
    things stand now, not how they stood when it began to be late. Ends with the connection,
    and at a line that is longer than anything ``control`` says. Raises :class:`TimeoutError`
    where nothing comes for ``silent_s``."""
    rest = b""
    while data := await asyncio.wait_for(reader.read(2 * MAX_SNAPSHOT), silent_s):
        *lines, rest = (rest + data).split(b"\n")
        snapshots = [place for place, line in enumerate(lines) if line.startswith(_SNAPSHOT)]
        stale = set(snapshots[:-1])
        for place, line in enumerate(lines):
            if place not in stale:
                yield line
        if len(rest) > MAX_SNAPSHOT:
            return


class AsyncPanelClient:
    """The panel for asyncio.

    ``async for message in client.messages()`` yields every message for ever, and
    ``{"type": "away"}`` each time ``control`` goes; ``send`` and ``ask`` work meanwhile.
    """

    def __init__(self, path: Path, role: Role) -> None:
        self._path = path
        self._role = role
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[str, asyncio.Future[Received]] = {}

    @property
    def connected(self) -> bool:
        return self._writer is not None

    async def send(self, message: Mapping[str, object]) -> None:
        """Send now. Raises :class:`ControlAway`; nothing is kept for later."""
        writer = self._writer
        if writer is None:
            raise ControlAway("control is away")
        try:
            writer.write(encode(message))
            await asyncio.wait_for(writer.drain(), SEND_WITHIN_S)
        except OSError as error:  # also where it is not taken in time
            raise ControlAway(str(error)) from error

    async def ask(self, message: Mapping[str, object], timeout_s: float = 6.0) -> Received:
        """Send a message that carries an ``id`` and wait for its answer. Raises
        :class:`ControlAway`. Somebody must be iterating :meth:`messages` meanwhile."""
        key = str(message["id"])
        future: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        try:
            await self.send(message)
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError as error:
            raise ControlAway("control did not answer in time") from error
        finally:
            self._waiting.pop(key, None)

    async def messages(self) -> AsyncGenerator[Received, None]:
        back_off = BackOff(RETRY_FIRST_S, RETRY_MOST_S)
        while True:
            try:
                with short(self._path) as address:
                    reader, writer = await asyncio.open_unix_connection(address, limit=MAX_SNAPSHOT)
            except OSError:
                await asyncio.sleep(back_off.next())
                continue
            back_off.reset()
            try:
                writer.write(encode({"type": "hello", "role": self._role}))
                self._writer = writer
                silent_s = None if self._role == "notify" else SILENT_S
                async for line in _newest(reader, silent_s):
                    message = _read(line)
                    if message is None:
                        break
                    self._resolve(message)
                    yield message
            except (OSError, ValueError):
                pass  # cut off, silent, or a line too long: the next connection starts afresh
            finally:
                self._writer = None
                writer.close()
                self._fail_waiting()
            yield {"type": "away"}
            await asyncio.sleep(RETRY_FIRST_S)

    def _resolve(self, message: Received) -> None:
        if message.get("type") in ("reply", "bench"):
            future = self._waiting.pop(str(message.get("id")), None)
            if future is not None and not future.done():
                future.set_result(message)
        elif message.get("type") == "error":
            future = self._waiting.pop(str(message.get("id")), None)
            if future is not None and not future.done():
                future.set_exception(ControlAway(str(message.get("reason"))))

    def _fail_waiting(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ControlAway("control went away before it answered"))
        self._waiting.clear()
