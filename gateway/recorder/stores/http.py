"""One store behind HTTP: requests that end in time, and answers that are the store's.

http.client of the standard library, because the whole exchange needs one deadline (a server
that sends a byte every few seconds would hold the recorder for ever), and because status,
headers and body decide together who has answered. A redirect is an answer like any other and
is never followed: body and credentials stay with the address that the configuration names.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import math
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog

from gateway.recorder.points import Point, counted, line, probe_point
from gateway.recorder.stores.store import (
    BadPointsError,
    Rejected,
    Store,
    StoreDownError,
    TooLargeError,
    bisect,
)

log = structlog.get_logger("recorder.http")

BODY_BYTES_MOST = 1_048_576
_REASON_MOST = 300
_MARKS = ("x-influxdb-version", "x-influxdb-build", "x-server-hostname", "cluster-uuid")
"""Headers by which InfluxDB and VictoriaMetrics are known; a page of something else has none."""
_NO_SUCH_PAGE = "/is-this-a-store"
_DROPPED = re.compile(r"partial write.*dropped", re.IGNORECASE | re.DOTALL)


class Answer(NamedTuple):
    """One answer. Names of headers are in lower case; of the body at most 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Status and body as one short line."""
        body = " ".join(self.body[:_REASON_MOST].decode("utf-8", "replace").split())
        return f"HTTP {self.status} {body}".strip()

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people."""
        kind = self.headers.get("content-type", "").casefold()
        return "html" in kind or self.body.lstrip()[:1] == b"<"

    @property
    def is_marked(self) -> bool:
        """Whether it says that InfluxDB or VictoriaMetrics has written it."""
        return any(name in self.headers for name in _MARKS)


class Endpoint:
    """One connection, made when it is needed and used again.

    Raises :class:`StoreDownError` with ``lost`` where there is no whole answer in time.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._url = urlsplit(url)
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._reading: Any = None

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One request and its answer, within the time limit as a whole."""
        deadline = time.monotonic() + self._timeout_s
        try:
            connection = self._connected()
            sock = connection.sock
            sock.settimeout(self._timeout_s)
            bounded: Any = _Bounded(sock, deadline)
            self._reading = bounded.file
            made: Any = partial(http.client.HTTPResponse, bounded)
            connection.response_class = lambda _sock, **more: made(**more)  # type: ignore[assignment]  # made for this deadline
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            data = response.read(BODY_BYTES_MOST)
            if not response.isclosed() and response.read(1):
                self.close()  # there is more of it than anybody needs
            headers = {name.casefold(): value for name, value in response.getheaders()}
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise StoreDownError(f"{type(error).__name__}: {error}", lost=True) from error
        return Answer(response.status, headers, data)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and self._connection.sock is not None:
            if not select.select([self._connection.sock], [], [], 0)[0]:
                return self._connection
            self.close()  # closed by the store meanwhile, or it says what nobody asked
        host, port = self._url.hostname or "localhost", self._url.port
        if self._url.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        self._connection.connect()
        return self._connection

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        for part in (self._connection, self._reading):
            if part is not None:
                with contextlib.suppress(OSError):
                    part.close()
        self._reading = self._connection = None


class _Bounded:
    """A socket for http.client to read an answer from until a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.file = io.BufferedReader(_Reading(sock, deadline))

    def makefile(self, _mode: str) -> Any:
        return self.file


class _Reading(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)  # the socket stays open until this is closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no whole answer in time")
        self._sock.settimeout(left_s)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class HttpStore(Store):
    """What the stores behind HTTP share: who has answered, and what that means for points."""

    takes_health = True

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        forgets_ms: int,
        utc_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.forgets_ms = forgets_ms
        self._endpoint = endpoint
        self._path = path
        self._utc_ms = utc_ms
        self._honest = False
        self._before: list[str] = []
        self._suspects: set[int] = set()

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Write all points; refused ones are found, tried again after a probe, and returned."""
        lines = [_lines_of(point) for point in points]
        if lines != self._before:  # what was suspected belongs to other points
            self._before, self._suspects = lines, set()
        rejected = bisect(lines, self._send, self._probe, self.between, self._suspects)
        self._before, self._suspects = [], set()
        return rejected

    def _probe(self) -> None:
        self._send([line(probe_point(self._utc_ms()))])

    def _send(self, lines: Sequence[str]) -> None:
        """Raises :class:`BadPointsError`, :class:`TooLargeError` or :class:`StoreDownError`."""
        single = [(text, index) for index, lot in enumerate(lines) for text in lot.split("\n")]
        body = "\n".join(text for text, _ in single).encode()
        self._judge(self._post(body), [index for _, index in single])

    def _post(self, body: bytes) -> Answer:
        return self._ask("POST", self._path, body)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        try:
            return self._endpoint.request(method, path, body)
        except StoreDownError:
            self._honest = False
            raise

    def _judge(self, answer: Answer, owners: Sequence[int]) -> None:
        """``owners``: of each line that was sent, which point it is of."""
        status = answer.status
        if status == 413:
            if answer.is_marked and not answer.is_page:
                raise BadPointsError(answer.text)
            raise TooLargeError(answer.text)
        if status == 429 or (status >= 500 and not _DROPPED.search(answer.text)):
            after = _seconds(answer.headers.get("retry-after"))
            raise StoreDownError(answer.text, after)
        if not self._is_store(answer):
            raise StoreDownError(
                f"this answer is not the store's: {answer.text}", code="not_the_store"
            )
        if status == 204:
            return
        if status in {400, 422} or status >= 500:
            raise BadPointsError(
                answer.text, {owners[at] for at in _lines(answer.body, len(owners))}
            )
        code = "store_refuses" if 400 <= status < 500 else "not_the_store"
        raise StoreDownError(answer.text, code=code)

    def _is_store(self, answer: Answer) -> bool:
        if answer.is_page or 300 <= answer.status < 400:
            self._honest = False  # something else is in front of it: ask again who is there
            return False
        if answer.is_marked:
            self._know()
            return True
        return not self.known_by_header and self._says_no()

    def _know(self) -> None:
        if not self.known_by_header:
            log.debug("store known by its header")
        self.known_by_header = True

    def _says_no(self) -> bool:
        """Of an answer without a header, before the store is known: whether a page that no store
        has is refused there, without a header too. What says yes to everything (the page of a
        hotel's network, a sink) is no store; and where the store shows its header now, the
        answer before was another's."""
        if not self._honest:
            answer = self._ask("GET", _NO_SUCH_PAGE)
            if answer.is_marked:
                self._know()
                return False
            self._honest = answer.status >= 400 and not answer.is_page
        return self._honest

    def close(self) -> None:
        """Close the connection."""
        self._endpoint.close()


def _lines_of(point: Point) -> str:
    """A point in line protocol, and below it the one by which it is counted."""
    more = counted(point)
    return line(point) if more is None else f"{line(point)}\n{line(more)}"


def _lines(body: bytes, count: int) -> list[int]:
    """Which of the lines the store names as refused, counted from 0, where it does. InfluxDB 3
    lists ``line_number``; the v2 API has ``line``. Both count from 1."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    listed = found.get("data")
    rows = [found, *listed] if isinstance(listed, list) else [found]
    numbers = [row.get("line_number", row.get("line")) for row in rows if isinstance(row, dict)]
    return [number - 1 for number in numbers if type(number) is int and 0 < number <= count]


def _seconds(text: object) -> float | None:
    """Retry-After in seconds; its form as a date is not worth the trouble."""
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return None if math.isnan(seconds) else max(0.0, min(seconds, 3600.0))
