"""Connections that send nothing, or a little at a time, and peers and users with too many."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from pytest_mock import MockerFixture
from uvicorn.server import ServerState

from gateway.web import middleware, serve
from gateway.web.live import streams as live
from gateway.web.live.hub import View
from gateway.web.live.streams import TooMany
from gateway.web.shared import connections
from gateway.web.shared.connections import BoundedProtocol, protocol_for
from gateway.web.shared.proxies import Trusted
from tests.web.conftest import Client, Web

REQUEST = b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"


class Line(asyncio.Transport):
    """A connection without a socket."""

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.peer, self.sent, self.aborted, self.closed = peer, b"", False, False
        self.wrote = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self.peer, 1), "sockname": ("192.0.2.200", 443)}.get(name, default)

    def write(self, data: Any) -> None:
        self.sent += data
        self.wrote.set()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Handle:
    def __init__(self, seconds: float, done: Callable[[], None]) -> None:
        self.seconds, self.done, self.cancelled = seconds, done, False

    def cancel(self) -> None:
        self.cancelled = True


class Place:
    """A server's connections, and timers that run out when a test says so."""

    def __init__(self, *, per_peer: int = 3, limit: int = 100, trusted: tuple[str, ...] = ()):
        self.kind = protocol_for(Trusted(trusted), per_peer=per_peer)
        self.config = uvicorn.Config(
            self.app, http=self.kind, limit_concurrency=limit, log_config=None, interface="asgi3"
        )
        self.state = ServerState()
        self.timers: list[Handle] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answers.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self, peer: str = "192.0.2.1") -> tuple[Line, BoundedProtocol]:
        loop = Timed(asyncio.get_running_loop(), self.timers)
        made = self.kind(self.config, self.state, {}, loop)  # type: ignore[arg-type]  # a part of it
        line = Line(peer)
        made.connection_made(line)
        return line, made

    def late(self) -> None:
        """The time for a head is over, wherever it still runs."""
        for timer in [t for t in self.timers if not t.cancelled and t.seconds == 10.0]:
            timer.cancelled = True
            timer.done()

    async def answered(self, line: Line, count: int = 1) -> None:
        while line.sent.count(b"200 OK") < count:
            await line.wrote.wait()
            line.wrote.clear()
            assert b" 500 " not in line.sent


class Timed:
    """The loop, with timers of the test."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timers: list[Handle]) -> None:
        self._loop, self._timers = loop, timers

    def call_later(self, seconds: float, done: Callable[[], None]) -> Handle:
        self._timers.append(Handle(seconds, done))
        return self._timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(work)


def test_a_connection_that_sends_no_head_is_closed() -> None:
    async def run() -> None:
        place = Place()
        silent, _ = place.connect()
        dripping, drips = place.connect()
        for byte in REQUEST[:20]:
            drips.data_received(bytes([byte]))
        place.late()
        assert (silent.aborted, dripping.aborted) == (True, True)

    asyncio.run(run())


def test_a_request_may_be_answered_as_slowly_as_it_takes() -> None:
    async def run() -> None:
        place = Place()
        place.answers.clear()
        line, made = place.connect()
        made.data_received(REQUEST)
        place.late()
        assert not line.closed
        place.answers.set()
        await place.answered(line)
        place.late()
        assert not line.closed  # kept alive, for uvicorn's own time

    asyncio.run(run())


@pytest.mark.parametrize("drip", [b"G", REQUEST[:-1]])
def test_the_next_request_of_a_connection_is_waited_for_no_longer(drip: bytes) -> None:
    async def run() -> None:
        place = Place()
        line, made = place.connect()
        made.data_received(REQUEST)
        await place.answered(line)
        made.data_received(drip)
        place.late()
        assert line.aborted

    asyncio.run(run())


def test_nor_is_a_body_that_nobody_has_waited_for() -> None:
    """Answered before its body came, which then comes drop by drop."""

    async def run() -> None:
        place = Place()
        line, made = place.connect()
        made.data_received(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 90\r\n\r\n")
        await place.answered(line)
        made.data_received(b"x")
        place.late()
        assert line.aborted

    asyncio.run(run())


def test_requests_one_after_the_other_go_on() -> None:
    async def run() -> None:
        place = Place()
        line, made = place.connect()
        for count in range(1, 4):
            made.data_received(REQUEST[:10])
            made.data_received(REQUEST[10:])
            await place.answered(line, count)
        place.answers.clear()
        made.data_received(REQUEST + REQUEST)  # both at once
        place.answers.set()
        await place.answered(line, 5)
        place.late()
        assert not line.closed

    asyncio.run(run())


def test_a_peer_has_so_many_connections_and_others_have_theirs() -> None:
    async def run() -> None:
        place = Place(per_peer=3)
        mine = [place.connect(f"2001:db8::{n + 1:x}") for n in range(4)]
        assert [line.closed for line, _ in mine] == [False] * 3 + [True]
        refused, made = mine[3]
        assert refused.sent.startswith(b"HTTP/1.1 503 ")
        head, _, body = refused.sent.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        made.data_received(REQUEST)  # sent before it knew
        assert b"200 OK" not in refused.sent
        other, _ = place.connect("2001:db8:0:1::1")
        assert not other.closed
        for _, gone in mine:
            gone.connection_lost(None)
        assert place.kind.peers == {"2001:db8:0:1::/64": 1}
        again, _ = place.connect("2001:db8::1")
        assert not again.closed

    asyncio.run(run())


@pytest.mark.parametrize("peer", ["10.0.3.4", "::ffff:10.0.3.4", "127.0.0.1", "::1"])
def test_a_proxy_has_the_connections_of_all_its_clients(peer: str) -> None:
    async def run() -> None:
        place = Place(per_peer=3, trusted=("10.0.3.0/28",))
        assert not any(place.connect(peer)[0].closed for _ in range(10))

    asyncio.run(run())


def test_where_all_are_taken_the_oldest_silent_one_goes() -> None:
    """Strangers from many addresses keep nobody out who has a request."""

    async def run() -> None:
        place = Place(limit=6)
        working, made = place.connect("198.51.100.1")
        made.data_received(REQUEST)
        silent = [place.connect(f"203.0.113.{n}") for n in range(4)]
        line, mine = place.connect("192.0.2.1")
        assert [one.aborted for one, _ in silent] == [True] + [False] * 3
        place.connect("192.0.2.2")  # before the first one is gone for good
        assert [one.aborted for one, _ in silent] == [True] * 2 + [False] * 2
        for _, gone in silent[:2]:
            gone.connection_lost(None)
        mine.data_received(REQUEST)
        await place.answered(line)
        assert not working.closed

    asyncio.run(run())


def test_where_all_are_taken_who_sends_no_body_goes_before_who_has_just_come() -> None:
    """A head alone is no request: hundreds of them kept everybody else out."""

    async def run() -> None:
        place = Place(limit=5)
        place.answers.clear()
        waiting = [place.connect(f"203.0.113.{n}") for n in range(4)]
        for _, one in waiting:
            one.data_received(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 9\r\n\r\na")
        waiting[0][1].data_received(b"b")  # a piece at a time is no better
        line, mine = place.connect("192.0.2.1")
        assert [one.aborted for one, _ in waiting] == [True] + [False] * 3
        waiting[0][1].connection_lost(None)
        waiting[1][1].data_received(b"12345678")  # whose body is there is answered
        mine.data_received(REQUEST)
        place.connect("192.0.2.2")
        assert [one.aborted for one, _ in waiting] == [True, False, True, False]
        place.answers.set()
        await place.answered(line)
        await place.answered(waiting[1][0])

    asyncio.run(run())


def test_the_server_runs_with_these_limits(web: Web) -> None:
    config = serve.config_of(web.site)
    config.load()
    assert issubclass(config.http_protocol_class, BoundedProtocol)
    assert config.get_loop_factory() is connections.Loop
    other = serve.config_of(web.site)
    assert other.http is not config.http  # each counts for itself


@pytest.mark.parametrize("tls", [True, False])
def test_a_handshake_has_as_long_as_a_head(mocker: MockerFixture, tls: bool) -> None:
    given = mocker.patch.object(uvloop.Loop, "create_server", mocker.AsyncMock())
    loop = connections.Loop()
    try:
        loop.run_until_complete(loop.create_server(None, ssl=object() if tls else None))
    finally:
        loop.close()
    assert given.call_args.kwargs.get("ssl_handshake_timeout") == (10.0 if tls else None)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 524_288, (2048, 524_288)), (1024, resource.RLIM_INFINITY, (2048, -1)),
        (1024, 1500, (1500, 1500)), (4096, 8192, None), (resource.RLIM_INFINITY,) * 2 + (None,),
    ],
)  # fmt: skip
def test_there_are_files_for_all_of_them(
    mocker: MockerFixture, soft: int, hard: int, wanted: tuple[int, int] | None
) -> None:
    mocker.patch.object(resource, "getrlimit", return_value=(soft, hard))
    changed = mocker.patch.object(resource, "setrlimit")
    connections.allow_files()
    assert [call.args[1] for call in changed.call_args_list] == ([wanted] if wanted else [])


@pytest.mark.parametrize("error", [PermissionError(), ValueError()])
def test_a_system_that_forbids_more_files_is_no_reason_to_end(
    mocker: MockerFixture, error: Exception
) -> None:
    mocker.patch.object(resource, "getrlimit", return_value=(1024, 4096))
    mocker.patch.object(resource, "setrlimit", side_effect=error)
    connections.allow_files()


# --- bodies ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/session", "/login"])
def test_a_body_that_does_not_end_is_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.0)
    sent = {"Content-Type": "application/json", "Accept": "application/json"}
    if path == "/login":
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    answer = web.runner.run(_dripping(web, path, sent))
    assert answer["status"] == 408
    assert answer["headers"][b"connection"] == b"close"


async def _dripping(web: Web, path: str, sent: dict[str, str]) -> dict[str, Any]:
    begins = [{"type": "http.request", "body": b"{", "more_body": True}]
    told: dict[str, Any] = {}

    async def receive() -> Any:
        if begins:
            return begins.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            told.update(status=message["status"], headers=dict(message["headers"]))

    headers = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": headers, "scheme": "http", "http_version": "1.1",
        "server": ("door", 80), "client": ("192.0.2.1", 1), "root_path": "", "state": {},
    }  # fmt: skip
    await web.app(scope, receive, send)
    return told


def test_whoever_waits_for_an_answer_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose body is there: that its client stays is no body that does not end."""
    monkeypatch.setattr(middleware, "BODY_S", 0.0)
    assert web.as_("view").get("/api/v1/me").status_code == 200


# --- streams -----------------------------------------------------------------------------


def join(web: Web, client: Client, times: int) -> str:
    """Open so many streams; why the last one was refused, or nothing."""
    from gateway.web.identity.accounts import Who
    from gateway.web.identity.users import hashed

    session = hashed(client.cookie.partition("=")[2])
    user = web.users.session(session)
    assert user is not None
    who = Who(f"web:{user.id}", user.name, user.role, user.id, session)
    for _ in range(times):
        try:
            web.site.hub.join(View("", "view"), who)
        except TooMany as error:
            return error.reason
    return ""


def test_one_log_in_has_not_all_streams_and_one_user_neither(web: Web) -> None:
    async def run() -> None:
        first = web.as_("view")
        assert join(web, first, live.PER_SESSION) == ""
        assert join(web, first, 1) == "too_many_streams_session"
        others = [web.as_("view") for _ in range(live.PER_USER // live.PER_SESSION + 1)]
        assert [join(web, one, live.PER_SESSION) for one in others][-1] == "too_many_streams_user"
        assert len(web.site.hub.clients) == live.PER_USER
        assert join(web, web.as_("staff"), live.PER_SESSION) == ""

    web.runner.run(run())


@pytest.mark.parametrize(
    ("limit", "status", "said"),
    [("PER_SESSION", 429, "of this log-in"), ("PER_USER", 429, "of this user"),
     ("_limit", 503, "Too many open")],
)  # fmt: skip
def test_the_refusal_says_why(
    web: Web, monkeypatch: pytest.MonkeyPatch, limit: str, status: int, said: str
) -> None:
    target: Any = web.site.hub if limit == "_limit" else live
    monkeypatch.setattr(target, limit, 0)
    answer = web.as_("view").get("/api/v1/live", headers={"Accept-Language": "en"})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert answer.headers["retry-after"] == "5"


def test_an_access_token_has_not_all_streams_either(web: Web) -> None:
    from gateway.web.identity.accounts import Who

    async def run() -> None:
        tokens = [Who("web:token-1", "t", "view", token=f"hash-{n}") for n in range(2)]
        for _ in range(live.PER_SESSION):
            web.site.hub.join(View("", "view"), tokens[0])
        with pytest.raises(TooMany, match="session"):
            web.site.hub.join(View("", "view"), tokens[0])
        web.site.hub.join(View("", "view"), tokens[1])

    web.runner.run(run())


# --- over a real socket ------------------------------------------------------------------


@asynccontextmanager
async def served(kind: type[BoundedProtocol]) -> AsyncIterator[int]:
    place = Place()
    config = uvicorn.Config(place.app, http=kind, port=0, log_config=None, lifespan="off",
                                interface="asgi3")  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # of older ones
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


def test_a_silent_socket_is_closed_and_a_working_one_answered() -> None:
    async def run() -> None:
        async with served(protocol_for(Trusted(()), head_s=0.05)) as port:
            silent, _writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await silent.read() == b""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            for one in (writer, _writer):
                one.close()

    asyncio.run(run())
