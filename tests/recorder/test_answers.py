"""Who has answered instead of the store, and that no point is lost by it."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recorder.main import open_store
from gateway.recorder.points import Point
from gateway.recorder.stores.store import StoreDownError
from gateway.settings.values.store_address import parse

pytestmark = pytest.mark.thorough

STORES = {"influx": "X-Influxdb-Version", "influx1": "X-Influxdb-Version"}
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
Reply = tuple[int, dict[str, str], bytes]
MARK = {"X-Influxdb-Version": "1.6.7"}
VICTORIA = {"X-Server-Hostname": "vm"}
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}


def point(seq: int, **fields: Any) -> Point:
    return Point("reading", (("gateway", "csg"),), {"seq": seq, **fields}, 1_000 + seq)


POINTS = [point(seq, value=float(seq)) for seq in range(1, 71)]


class Server:
    """Answers as ``reply`` says; what it was sent is in ``asked`` and, if taken, in ``taken``."""

    def __init__(self) -> None:
        self.reply: Callable[[str, str], Reply] = lambda path, body: (204, MARK, b"")
        self.page: Reply = (404, {}, b"")
        self.asked: list[tuple[str, str, Any]] = []
        self.taken: dict[str, str] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked.append((self.path, "", self.headers))
                self._answer(outer.page)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                outer.asked.append((self.path, body, self.headers))
                reply = outer.reply(self.path, body)
                if reply[0] == 204:
                    outer.taken.update({line.rsplit(" ", 1)[1]: line for line in body.splitlines()})
                self._answer(reply)

            def _answer(self, reply: Reply) -> None:
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def facts(self) -> list[str]:
        """What it has taken, without probes."""
        return [line for line in self.taken.values() if not line.startswith("recorder ")]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@contextlib.contextmanager
def store_at(server: Server, scheme: str, folder: Path) -> Iterator[Any]:
    user = "user@" if scheme.startswith("influx1") else ""
    url = f"{scheme}://{user}127.0.0.1:{server.port}/portier"
    with contextlib.closing(open_store(parse(url), folder, "secret")) as store:
        yield store


NOT_THE_STORE: dict[str, Reply] = {
    "200 with a page": (200, HTML, PAGE),
    "200 with a page and no type": (200, {}, PAGE),
    "200 with JSON": (200, JSON, b'{"status":"ok"}'),
    "200 with nothing": (200, {}, b""),
    "202": (202, {}, b""),
    "204 of something that takes everything": (204, {}, b""),
    "400 with a page": (400, HTML, b"<html>Bad request</html>"),
    "401": (401, JSON, b'{"code":"unauthorized"}'),
    "403 with a page": (403, HTML, PAGE),
    "404": (404, {"Content-Type": "text/plain"}, b"404 page not found"),
    "404 of a bucket": (404, MARK | JSON, b'{"code":"not found","message":"bucket not found"}'),
    "405": (405, {}, b""),
    "407": (407, HTML, PAGE),
    "411": (411, HTML, PAGE),
    "413 with a page": (413, HTML, b"<html>too large</html>"),
    "415": (415, {}, b""),
    "421": (421, HTML, PAGE),
    "301": (301, {"Location": "/elsewhere"}, b""),
    "302 to a log-in": (302, {"Location": "/login"}, PAGE),
    "307": (307, {"Location": "/elsewhere"}, b""),
    "308": (308, {"Location": "/elsewhere"}, b""),
    "500 with a page": (500, HTML, PAGE),
    "502": (502, HTML, PAGE),
    "503": (503, {"Retry-After": "nan"}, b""),
    "504": (504, {}, b"gateway timeout"),
    "422 with a page and the header": (422, MARK | HTML, PAGE),
}


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize("answer", NOT_THE_STORE)
def test_what_is_not_the_stores_answer_sets_nothing_aside(
    server: Server, tmp_path: Path, scheme: str, answer: str
) -> None:
    """70 of 70 points were set aside, and lost, while recording was said to be in order."""
    reply = NOT_THE_STORE[answer]
    server.reply = lambda path, body: reply
    server.page = (204, {}, b"") if reply[0] == 204 else (404, {}, b"")
    with store_at(server, scheme, tmp_path) as store:
        with pytest.raises(StoreDownError) as down:
            store.write(POINTS)
        assert down.value.code in {"not_the_store", "store_refuses", "store_down"}
        assert all("elsewhere" not in path and "login" not in path for path, _, _ in server.asked)
        server.reply, server.page = (lambda path, body: (204, MARK, b"")), (404, {}, b"")
        server.taken.clear()
        assert store.write(POINTS) == []
        assert len(server.facts()) == 70


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize("headers", [MARK | JSON, VICTORIA, JSON, {}])
@pytest.mark.parametrize("status", [400, 422])
def test_a_store_that_refuses_its_probe_too_has_refused_no_point(
    server: Server, tmp_path: Path, scheme: str, headers: dict[str, str], status: int
) -> None:
    server.reply = lambda path, body: (status, headers, b'{"error":"no"}')
    with store_at(server, scheme, tmp_path) as store:
        with pytest.raises(StoreDownError) as down:
            store.write(POINTS)
        assert down.value.code == "store_refuses"
        assert len(server.asked) <= 4  # the batch, a page that no store has, the probe


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize(
    "refusal",
    [
        (400, MARK | JSON, b'{"error":"partial write: field type conflict dropped=1"}'),
        (400, VICTORIA, b"cannot parse"),
        (400, {}, b""),
        (422, MARK | JSON, b'{"code":"unprocessable entity","message":"dropped=1"}'),
        (
            500,
            MARK | JSON,
            b'{"code":"internal error","message":"unexpected error writing points to database: '
            b'partial write: points beyond retention policy dropped=1"}',
        ),
        (413, MARK | JSON, b'{"code":"request too large"}'),
    ],
)
def test_only_what_the_store_refuses_beside_its_probe_is_set_aside(
    server: Server, tmp_path: Path, scheme: str, refusal: Reply
) -> None:
    """InfluxDB 2.0 says 500 of a point beyond its retention: it is not down."""
    bad = {"1007", "1042", "1043"}

    def reply(path: str, body: str) -> Reply:
        times = {line.rsplit(" ", 1)[1] for line in body.splitlines()}
        return refusal if times & bad else (204, refusal[1], b"")

    server.reply = reply
    with store_at(server, scheme, tmp_path) as store:
        rejected = store.write(POINTS)
    assert [one.index for one in rejected] == [6, 41, 42]
    assert all(f"HTTP {refusal[0]}" in one.reason for one in rejected)
    assert len(server.facts()) == 67
    writes = [body for path, body, _ in server.asked if "write" in path]
    for one in rejected:  # refused, the probe taken alone, refused again
        tail = [at for at, body in enumerate(writes) if body.endswith(f" {1_001 + one.index}")][-1]
        assert writes[tail - 1].startswith("recorder probe=1i ")
        assert writes[tail - 1].count("\n") == 0


@pytest.mark.parametrize("share", [1, 69, 70])
def test_no_share_of_a_batch_decides(server: Server, tmp_path: Path, share: int) -> None:
    bad = {str(1_000 + seq) for seq in range(1, share + 1)}
    server.reply = lambda path, body: (
        (400, MARK, b"no")
        if {line.rsplit(" ", 1)[1] for line in body.splitlines()} & bad
        else (204, MARK, b"")
    )
    with store_at(server, "influx", tmp_path) as store:
        assert len(store.write(POINTS)) == share
    assert len(server.facts()) == 70 - share
    assert len(server.asked) <= 4 * 70 + 2


def test_a_store_that_was_known_by_its_header_is_never_something_without(
    server: Server, tmp_path: Path
) -> None:
    with store_at(server, "influx", tmp_path) as store:
        store.write(POINTS[:1])
        for headers in ({}, JSON):
            for status in (204, 400):
                server.reply = lambda path, body, s=status, h=headers: (s, h, b"")  # type: ignore[misc]  # bound now
                with pytest.raises(StoreDownError) as down:
                    store.write(POINTS[1:])
                assert down.value.code == "not_the_store"


@pytest.mark.parametrize("scheme", STORES)
def test_a_yes_of_another_before_the_store_is_known_is_not_the_stores(
    server: Server, tmp_path: Path, scheme: str
) -> None:
    """The store shows its header at the next question: what came without one was not its own."""
    server.reply, server.page = (lambda path, body: (204, {}, b"")), (404, MARK, b"")
    with store_at(server, scheme, tmp_path) as store:
        with pytest.raises(StoreDownError) as down:
            store.write(POINTS)
        assert down.value.code == "not_the_store"


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize("between", ["200 with a page", "302 to a log-in"])
def test_after_a_page_a_store_without_a_header_is_asked_again_who_it_is(
    server: Server, tmp_path: Path, scheme: str, between: str
) -> None:
    server.reply, server.page = (lambda path, body: (204, {}, b"")), (404, {}, b"")
    with store_at(server, scheme, tmp_path) as store:
        assert store.write(POINTS) == []
        server.reply = lambda path, body: NOT_THE_STORE[between]
        with pytest.raises(StoreDownError):
            store.write(POINTS)
        server.reply, server.page = (lambda path, body: (204, {}, b"")), (302, {}, b"")
        with pytest.raises(StoreDownError) as down:
            store.write(POINTS)
        assert down.value.code == "not_the_store"


@pytest.mark.parametrize("body", [{"line": 3}, {"data": [{"line_number": 3}]}])
def test_a_line_that_the_store_names_is_not_searched_for(
    server: Server, tmp_path: Path, body: dict[str, Any]
) -> None:
    server.reply = lambda path, text: (
        (400, MARK | JSON, json.dumps(body).encode()) if "seq=3i" in text else (204, MARK, b"")
    )
    with store_at(server, "influx", tmp_path) as store:
        assert [one.index for one in store.write(POINTS)] == [2]
    assert len([path for path, _, _ in server.asked if "write" in path]) == 6


@pytest.mark.parametrize("line", [3, 4, 5, 6])
def test_a_named_line_is_of_its_point_where_some_points_have_two(
    server: Server, tmp_path: Path, line: int
) -> None:
    """A fact is counted by a line of its own, below it."""
    points = [
        *POINTS[:2],
        *(Point("door_opened", (), {"seq": n, "cause": "hand"}, 2_000 + n) for n in (3, 4)),
    ]
    seq = 3 if line < 5 else 4
    body = json.dumps({"line": line}).encode()
    server.reply = lambda path, text: (
        (400, MARK | JSON, body) if f" seq={seq}i" in text else (204, MARK, b"")
    )
    with store_at(server, "influx", tmp_path) as store:
        assert [one.index for one in store.write(points)] == [seq - 1]
    assert len([path for path, _, _ in server.asked if "write" in path]) == 6
    assert "fact,cause=hand,kind=door_opened count=1i 2" in "\n".join(server.facts())


def test_a_way_that_takes_only_small_requests_is_used_in_small_ones(
    server: Server, tmp_path: Path
) -> None:
    server.reply = lambda path, body: (
        (413, HTML, PAGE) if body.count("\n") > 9 else (204, MARK, b"")
    )
    with store_at(server, "influx", tmp_path) as store:
        assert store.write(POINTS) == []
    assert len(server.facts()) == 70


def test_a_store_that_goes_away_while_bad_points_are_searched_for_is_asked_on_later(
    server: Server, tmp_path: Path
) -> None:
    """Everything is written again, for it may have forgotten; what was found is not lost."""

    def reply(path: str, body: str) -> Reply:
        if len(server.asked) == 6:
            return 503, {}, b""
        return (400, MARK, b"no") if "seq=70i" in body else (204, MARK, b"")

    server.reply = reply
    with store_at(server, "influx", tmp_path) as store:
        with pytest.raises(StoreDownError):
            store.write(POINTS)
        server.taken.clear()
        assert [one.index for one in store.write(POINTS)] == [69]
    assert len(server.facts()) == 69


def test_credentials_and_points_stay_with_the_address_that_is_configured(
    server: Server, tmp_path: Path
) -> None:
    thief = Server()
    try:
        where = {"Location": f"http://127.0.0.1:{thief.port}/api/v2/write"}
        server.page = (302, where, b"")
        for status in (301, 302, 303, 307, 308):
            server.reply = lambda path, body, s=status: (s, where, b"")  # type: ignore[misc]  # bound now
            for scheme in STORES:
                with store_at(server, scheme, tmp_path) as store:
                    with pytest.raises(StoreDownError):
                        store.write(POINTS)
                    with contextlib.suppress(StoreDownError):
                        store.identity()
        assert thief.asked == []
        assert any(headers["Authorization"] for _, _, headers in server.asked)
    finally:
        thief.close()


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 204 No Content\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_server_that_drips_holds_nobody_for_long(tmp_path: Path, head: bytes) -> None:
    """A limit for each read is none for the whole: a byte now and then would hold the recorder."""
    from gateway.recorder.stores.http import Endpoint

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.sendall(head)
                while not over.wait(0.01):
                    sock.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        endpoint = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}", {}, 0.3)
        try:
            with pytest.raises(StoreDownError) as down:
                endpoint.request("GET", "/")
            assert down.value.lost
        finally:
            over.set()
            endpoint.close()
            thread.join()


def test_an_answer_without_end_is_not_read_to_its_end(server: Server, tmp_path: Path) -> None:
    server.page = (200, MARK, b"x" * 3_000_000)
    with store_at(server, "influx", tmp_path) as store:
        assert store.identity() is None
        server.page = (200, MARK, b"process_start_time_seconds 17\n")
        assert store.identity() == "17"
        server.page = (200, HTML, PAGE)
        with pytest.raises(StoreDownError):
            store.identity()
