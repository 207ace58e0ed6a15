"""The live stream: shared frames, resuming without a gap, bounded clients."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from gateway.core.facts import Fact
from gateway.journal.queries.reader import Reader
from gateway.journal.queue import Batch
from gateway.journal.writer import Committed, Journal
from gateway.web.identity.accounts import Who
from gateway.web.live import hub as live_module
from gateway.web.live import streams as streams_module
from gateway.web.live.fragments import Fragments, fact_frame
from gateway.web.live.hub import Hub, View
from gateway.web.live.streams import BACKLOG_MOST, CHANGES_EVERY_S, STUCK_S, Client, TooMany
from tests.identity import start_session
from tests.page.conftest import until
from tests.page.fake import now_ms
from tests.web.conftest import Web, snapshot

PAGE = View("de", "admin")
JSON = View("", "view")
PATIENCE_S = 30
"""For what happens at once, and on a busy machine later."""


class Wire:
    """A connection that takes everything, or, while ``taking`` is false, keeps it waiting."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.taking = True
        self.waiting = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        if self.taking:
            self.came.put_nowait(data)
        else:
            self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Stream:
    """One client; ``next`` gives the next event as (kind, id, data)."""

    def __init__(self, web: Web, view: View = JSON, last: int | None = None) -> None:
        user = web.users.list_users()[0]
        session = start_session(web.users, user.id)
        from gateway.web.identity.users import hashed

        who = Who(f"web:{user.id}", user.name, user.role, user.id, hashed(session))
        self.client: Client = web.site.hub.join(view, who)
        self.client.wire = self.wire = Wire()
        self._frames = self._all(web.site.hub, last)
        self._waiting: list[tuple[str, str, Any]] = []

    async def _all(self, hub: Hub, last: int | None) -> AsyncIterator[bytes]:
        async for frames in hub.opening(self.client, last):
            yield frames
        self.client.follow()
        while True:
            yield await self.wire.came.get()

    async def next(self, kind: str) -> tuple[str, str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._waiting:
                    event = self._waiting.pop(0)
                    if event[0] == kind:
                        return event
                frame = await anext(self._frames)
                for block in frame.decode().split("\n\n"):
                    fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
                    if "event" in fields:
                        data = json.loads(fields["data"])
                        self._waiting.append((fields["event"], fields.get("id", ""), data))


@pytest.fixture
def written(web: Web) -> Iterator[Journal]:
    """A real journal behind the page, whose commits it is told of."""
    loop = web.runner.get_loop()

    def committed(told: Committed) -> None:
        loop.call_soon_threadsafe(web.site.hub._on_rows, told.journal, told.head)

    journal = Journal(
        web.options.journal,
        boot="b",
        limit_bytes=10_000_000,
        routine_wait_ms=40,
        cursor_wait_ms=200,
        lives={},
        on_commit=committed,
        on_state=lambda reason: None,
    )
    journal.start()
    journal.saved_state(PATIENCE_S)
    web.add("admin", "admin")
    yield journal
    journal.close(PATIENCE_S)


def fact(journal: Journal, number: int) -> None:
    journal.append(Batch(facts=(Fact("door_opened", f"d{number}", now_ms(), {"cause": "hand"}),)))


async def reached(web: Web, row: int) -> None:
    """Return when the hub has told everybody of ``row``: a commit comes from another thread."""
    async with asyncio.timeout(PATIENCE_S):
        while web.site.hub.row < row:  # noqa: ASYNC110 - the hub tells clients, not us
            await asyncio.sleep(0.005)


def live(web: Web, work: Any) -> None:
    async def run() -> None:
        await web.site.hub.start()
        hub = asyncio.create_task(web.site.hub.run())
        try:
            await work()
        finally:
            hub.cancel()
            await asyncio.gather(hub, return_exceptions=True)

    web.runner.run(run())


def test_a_change_reaches_every_client_as_the_same_bytes(web: Web, written: Journal) -> None:
    async def work() -> None:
        streams = [Stream(web, PAGE) for _ in range(3)]
        for stream in streams:
            _, _, whole = await stream.next("page")
            assert "Geschlossen" in whole["html:door.front"]
        told = snapshot()
        told["doors"]["front"]["state"] = "open"
        web.see(told)
        for stream in streams:
            _, _, change = await stream.next("page")
            assert "Offen" in change["html:door.front"]
            assert "html:alarms" not in change
        assert len({stream.client.channel for stream in streams}) == 1

    live(web, work)


def test_facts_come_with_their_row_number(web: Web, written: Journal) -> None:
    async def work() -> None:
        stream = Stream(web)
        await stream.next("status")
        fact(written, 1)
        _, row, told = await stream.next("fact")
        assert (told["kind"], told["subject"], str(told["row"])) == ("door_opened", "d1", row)

    live(web, work)


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(
    web: Web, written: Journal
) -> None:
    async def work() -> None:
        stream = Stream(web)
        await stream.next("status")
        fact(written, 1)
        _, row, _ = await stream.next("fact")
        web.site.hub.leave(stream.client)
        for number in range(2, 6):
            fact(written, number)
        await reached(web, 5)
        again = Stream(web, last=int(row))
        fact(written, 6)
        subjects = [(await again.next("fact"))[2]["subject"] for _ in range(5)]
        assert subjects == ["d2", "d3", "d4", "d5", "d6"]

    live(web, work)


@pytest.mark.parametrize("known", [0, 1])
def test_a_cursor_of_another_journal_is_reset(web: Web, written: Journal, known: int) -> None:
    """Whether the hub heard of the newest row before the client came or right after: what
    is newer than the row of the reset comes as a fact, and nothing else does."""

    async def work() -> None:
        if known:
            fact(written, 1)
            await reached(web, 1)
        stream = Stream(web, last=999_999)
        _, row, told = await stream.next("reset")
        assert (int(row), told) == (known, {"row": known})
        for number in range(known + 1, 4):
            fact(written, number)
        rows = [(await stream.next("fact"))[2]["row"] for _ in range(known + 1, 4)]
        assert rows == list(range(known + 1, 4))

    live(web, work)


def test_a_reader_that_takes_nothing_for_too_long_is_dropped_alone(
    web: Web, written: Journal
) -> None:
    async def work() -> None:
        slow, good = Stream(web), Stream(web)
        await slow.next("status")
        await good.next("status")
        slow.client.follow()
        slow.wire.taking = False
        fact(written, 1)
        await good.next("fact")
        now = time.monotonic()
        assert slow.wire.waiting
        assert not slow.client.stuck(now)
        slow.wire.waiting, waiting = 0, slow.wire.waiting
        assert not slow.client.stuck(now + STUCK_S + 1)  # it took everything in between
        slow.wire.waiting = waiting
        assert not slow.client.stuck(now + 5)
        assert not slow.client.stuck(now + 5 + STUCK_S)
        slow.client.late_since = time.monotonic() - STUCK_S - 1
        web.site.hub.check()
        assert slow.wire.aborted
        assert not good.wire.aborted
        fact(written, 2)
        assert (await good.next("fact"))[2]["subject"] == "d2"

    live(web, work)


def test_what_comes_while_a_client_gets_what_it_missed_waits_for_it_but_not_for_ever(
    web: Web, written: Journal
) -> None:
    async def work() -> None:
        first, second = Stream(web), Stream(web)
        await first.next("status")
        opening = web.site.hub.opening(second.client, None)
        await anext(opening)
        fact(written, 1)
        assert (await first.next("fact"))[2]["subject"] == "d1"
        assert second.wire.came.empty()
        second.client.follow()
        assert b'"subject":"d1"' in second.wire.came.get_nowait()
        third = Stream(web)
        await anext(web.site.hub.opening(third.client, None))
        for _ in range(BACKLOG_MOST + 1):
            third.client.channel.put(b"event: beat\ndata: {}\n\n")
            third.client.channel.flush()
        web.site.hub.check()
        assert third.wire.aborted

    live(web, work)


def test_what_was_told_before_a_client_came_is_not_told_to_it_again(
    web: Web, written: Journal
) -> None:
    async def work() -> None:
        first = Stream(web)
        await first.next("status")
        first.client.channel.put(b"event: fact\ndata: {}\n\n")
        second = Stream(web)
        await second.next("status")
        fact(written, 1)
        assert (await second.next("fact"))[2]["subject"] == "d1"

    live(web, work)


def test_everybody_gets_the_same_bytes_in_the_frame_of_their_protocol(
    web: Web, written: Journal
) -> None:
    async def work() -> None:
        old, new, other = Stream(web), Stream(web), Stream(web)
        new.client.framed = other.client.framed = True
        for stream in (old, new, other):
            await stream.next("status")
            stream.client.follow()
        old.client.channel.put(b"x" * 16)
        old.client.channel.flush()
        assert old.wire.came.get_nowait() == b"x" * 16
        chunk = new.wire.came.get_nowait()
        assert chunk == b"10\r\n" + b"x" * 16 + b"\r\n"
        assert other.wire.came.get_nowait() is chunk

    live(web, work)


def test_a_lost_role_ends_the_stream(web: Web, written: Journal) -> None:
    async def work() -> None:
        web.add("second", "admin")
        stream = Stream(web)
        await stream.next("status")
        assert not stream.client.over.is_set()
        web.users.set_role("admin", "view")
        web.site.hub.check()
        assert stream.client.over.is_set()

    live(web, work)


def test_no_more_streams_than_allowed(tmp_path: Path) -> None:
    web = Web(tmp_path, max_live=2)
    web.add("admin", "admin")

    async def work() -> None:
        first, _ = Stream(web), Stream(web)
        with pytest.raises(TooMany):
            Stream(web)
        web.site.hub.leave(first.client)
        Stream(web)

    live(web, work)
    web.close()


def test_a_lost_controller_is_told(web: Web, written: Journal) -> None:
    async def work() -> None:
        stream = Stream(web, PAGE)
        await stream.next("page")
        web.away()
        _, _, change = await stream.next("page")
        assert change["connection"]["state"] == "lost"
        assert change["door:front"]["ok"] is False

    live(web, work)


def test_changes_are_told_at_most_ten_times_a_second(
    web: Web, written: Journal, mocker: MockerFixture
) -> None:
    async def work() -> None:
        stream = Stream(web)
        await stream.next("status")
        told_frames = mocker.spy(stream.client.channel, "put")
        begin = time.monotonic()
        for number in range(100):
            told = snapshot()
            told["doors"]["front"]["press_to_open_ms"] = number
            web.see(told)
            await asyncio.sleep(0.003)
        took_s = time.monotonic() - begin
        # However slow the machine: the pauses between two frames never get shorter.
        assert told_frames.call_count <= took_s / CHANGES_EVERY_S + 2
        while (await stream.next("status"))[2]["doors"][0]["press_to_open_ms"] != 99:
            pass  # the newest is never left out

    live(web, work)


def test_what_sensors_see_of_people_is_told_to_nobody_live(web: Web, written: Journal) -> None:
    async def work() -> None:
        stream = Stream(web)
        await stream.next("status")
        moved = Fact("presence_changed", "wc.pir", now_ms(), {"active": True, "initial": False})
        written.append(Batch(facts=(moved,)))
        fact(written, 1)
        _, _, told = await stream.next("fact")
        assert told["subject"] == "d1"

    live(web, work)


@pytest.mark.parametrize(("role", "seen"), [("view", 0), ("staff", 0), ("maintenance", 1)])
def test_what_sensors_see_of_people_is_for_maintenance(
    web: Web, written: Journal, role: str, seen: int
) -> None:
    moved = Fact("presence_changed", "wc.pir", now_ms(), {"active": True, "initial": False})
    written.append(Batch(facts=(moved,)))
    fact(written, 1)
    with closing(Reader(web.options.journal)) as reader:
        until(lambda: reader.head_row() >= 2)
    found = web.call("GET", "/api/v1/events", headers=web.token(role)).json()
    assert sum(row["kind"] == "presence_changed" for row in found) == seen
    assert ("wc.pir" in web.as_(role).get("/events?kind=everything").text) == bool(seen)


def test_a_view_that_cannot_be_shown_hides_no_other(
    web: Web, written: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One snapshot that one language could not show ended the stream of everybody."""
    of = Fragments.of

    def fail(house: Any, presenter: Any, role: str) -> Fragments:
        if presenter is not None and broken:
            raise KeyError("a mistake of ours")
        return of(house, presenter, role)

    broken = False
    monkeypatch.setattr(Fragments, "of", fail)

    async def work() -> None:
        nonlocal broken
        page, json_ = Stream(web, PAGE), Stream(web, JSON)
        await json_.next("status")
        broken = True
        web.see(snapshot(doors={}))
        assert (await json_.next("status"))[2]["doors"] == []
        async with asyncio.timeout(PATIENCE_S):
            await page.client.over.wait()
        with pytest.raises(KeyError):
            Stream(web, PAGE)
        assert PAGE not in web.site.hub._channels
        broken = False
        Stream(web, PAGE)

    live(web, work)


def test_a_row_that_cannot_be_shown_is_left_out(
    web: Web, written: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(row: Any, presenter: Any) -> bytes:
        if row.subject == "d1":
            raise KeyError("a mistake of ours")
        return fact_frame(row, presenter)

    monkeypatch.setattr(live_module, "fact_frame", fail)

    async def work() -> None:
        stream = Stream(web)
        for number in range(3):
            fact(written, number)
        subjects = [(await stream.next("fact"))[2]["subject"] for _ in range(2)]
        assert subjects == ["d0", "d2"]

    live(web, work)


def test_a_disk_that_does_not_answer_ends_no_stream(
    web: Web, written: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "BEAT_S", 0.01)

    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def work() -> None:
        stream = Stream(web)
        web.site.hub.check = fail  # type: ignore[method-assign]  # the disk is dead
        for _ in range(3):
            await stream.next("beat")

    live(web, work)
