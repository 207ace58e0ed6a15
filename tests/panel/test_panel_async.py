"""The panel for asyncio: what is overtaken is left out, everything else comes, in order."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.panel.client import AsyncPanelClient, ControlAway
from gateway.panel.messages import MAX_LINE, encode
from gateway.panel.server import Server


@asynccontextmanager
async def saying(*lines: bytes) -> AsyncIterator[AsyncPanelClient]:
    """A client of somebody who says all of this in one go, and then nothing more."""
    with tempfile.TemporaryDirectory() as folder:
        path, gone = Path(folder) / "panel.sock", asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"".join(lines))
            await writer.drain()
            await reader.read()
            writer.close()
            await writer.wait_closed()
            gone.set()

        server = await asyncio.start_unix_server(serve, str(path))
        async with server:
            yield AsyncPanelClient(path, "web")
            async with asyncio.timeout(20):
                await gone.wait()


def snapshot(number: int, filling: str = "") -> bytes:
    return encode({"type": "snapshot", "snapshot": {"now_ms": number, "filling": filling}})


def rows(head: int) -> bytes:
    return encode({"type": "rows", "journal": "j", "head": head})


async def heard(client: AsyncPanelClient, last: int) -> list[int]:
    """The numbers of everything up to the rows that reach ``last``."""
    numbers = []
    async with asyncio.timeout(20), aclosing(client.messages()) as messages:
        async for message in messages:
            if message["type"] == "snapshot":
                numbers.append(message["snapshot"]["now_ms"])
            elif message["type"] == "rows":
                numbers.append(message["head"])
                if message["head"] == last:
                    return numbers
    raise AssertionError("it ended")


def test_snapshots_that_came_while_we_were_busy_are_overtaken_by_the_newest() -> None:
    async def work() -> list[int]:
        said = (snapshot(1), rows(10), snapshot(2), snapshot(3), rows(11))
        async with saying(*said) as client:
            return await heard(client, 11)

    assert asyncio.run(work()) == [10, 3, 11]


def test_a_long_message_comes_whole_however_it_is_cut() -> None:
    async def work() -> list[int]:
        async with saying(snapshot(1, "ä" * 20 * MAX_LINE), rows(10)) as client:
            return await heard(client, 10)

    assert asyncio.run(work()) == [1, 10]


def test_what_is_no_line_ends_the_connection() -> None:
    async def work() -> str:
        async with (
            saying(b"nonsense\n") as client,
            asyncio.timeout(20),
            aclosing(client.messages()) as messages,
        ):
            return json.dumps(await anext(messages))

    assert asyncio.run(work()) == '{"type": "away"}'


def test_a_control_that_says_nothing_more_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.panel.client.SILENT_S", 0.1)

    async def run() -> list[str]:
        kinds = []
        async with (
            saying(snapshot(1)) as client,
            asyncio.timeout(20),
            aclosing(client.messages()) as messages,
        ):
            async for message in messages:
                kinds.append(message["type"])
                if message["type"] == "away":
                    break
        return kinds

    assert asyncio.run(run()) == ["snapshot", "away"]


def test_a_control_that_takes_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.panel.client.SEND_WITHIN_S", 0.1)

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as hung:
            hung.bind(f"{folder}/panel.sock")
            hung.listen()
            client = AsyncPanelClient(Path(folder) / "panel.sock", "web")
            messages = client.messages()
            following = asyncio.ensure_future(anext(messages))
            async with asyncio.timeout(20):
                while not client.connected:  # noqa: ASYNC110 - it says so to nobody
                    await asyncio.sleep(0)
                with pytest.raises(ControlAway):
                    await _send_for_ever(client)
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await messages.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("line", [b"[1]\n", b"nothing\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_message_ends_the_connection_and_not_the_client(line: bytes) -> None:
    async def run() -> list[str]:
        async with (
            saying(snapshot(1), line, snapshot(2)) as client,
            asyncio.timeout(20),
            aclosing(client.messages()) as messages,
        ):
            kinds: list[str] = []
            while "away" not in kinds:
                kinds.append((await anext(messages))["type"])
        return kinds

    assert asyncio.run(run())[-1] == "away"


async def _send_for_ever(client: AsyncPanelClient) -> None:
    while True:
        await client.send({"type": "x", "filling": "x" * 60_000})


def test_a_command_that_was_not_understood_fails_at_once_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    """Waiting for an answer that never comes would look like a control that hangs."""

    class Handler:
        def snapshot(self) -> dict[str, object]:
            return {"now_ms": 1}

        def gone(self, role: str) -> None:
            return

    async def work() -> tuple[str, bool]:
        client = AsyncPanelClient(tmp_path / "panel.sock", "web")
        connected = asyncio.Event()

        async def listen() -> None:
            async for _ in client.messages():
                connected.set()

        task = asyncio.create_task(listen())
        async with asyncio.timeout(60):
            await connected.wait()
            message = {"type": "command", "id": "c1", "name": "knock", "actor": "web:1"}
            with pytest.raises(ControlAway) as caught:
                await client.ask(message, 3_600)
        still = client.connected
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return str(caught.value), still

    server = Server(tmp_path / "panel.sock", cast("Any", Handler()))
    server.start()
    try:
        assert asyncio.run(work()) == ("name: unknown command 'knock'", True)
    finally:
        server.close()
