"""The server's own loop: it rests, and ends when it shall."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
import uvicorn

from gateway.web import serve


class Ticks(serve.Server):
    """Counts how often it wakes."""

    def __init__(self) -> None:
        super().__init__(uvicorn.Config(lambda: None), cast("Any", None))
        self.ticks = 0
        self.rests = threading.Event()

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        asyncio.get_running_loop().call_soon(self.rests.set)
        return await super().on_tick(counter)


@pytest.mark.parametrize("twice", [False, True])
def test_a_server_at_rest_wakes_for_its_end_only(
    monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    """uvicorn's own loop wakes ten times a second."""
    monkeypatch.setattr(serve, "TICK_S", 3_600.0)
    server = Ticks()
    server.config.load()
    thread = threading.Thread(target=lambda: asyncio.run(server.main_loop()))
    thread.start()
    assert server.rests.wait(30)
    server.should_exit = True
    thread.join(30)
    if twice:
        server.should_exit = True
    assert not thread.is_alive()
    assert server.ticks == 2


def test_a_server_that_shall_end_before_it_began_does_not_wait() -> None:
    server = Ticks()
    server.config.load()
    server.should_exit = True
    asyncio.run(asyncio.wait_for(server.main_loop(), 30))
    assert server.ticks == 1
