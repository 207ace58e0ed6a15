"""A store behind HTTP, and what may stand in front of it: the recorder's real client, with this
endpoint instead of a socket.

The store may take a write and say that it did not, and may forget its last two seconds when it is
killed. It refuses single points until somebody has mended it. A proxy answers in its place: pages,
redirects, refusals, a yes to everything, or nothing after the write was carried out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.recorder.points import Point, line
from gateway.recorder.stores.http import Answer
from gateway.recorder.stores.influx import InfluxStore
from gateway.recorder.stores.store import Rejected, StoreDownError
from gateway.simulation.agenda import Agenda
from tests.simulation.delivery_disk import Killed

MARK = {"x-influxdb-version": "v2.7.0", "content-type": "application/json"}
"""By this the store is known."""
HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}
ANSWERS = {
    "400": Answer(400, {}, b"bad request"),
    "a page": Answer(200, HTML, b"<html>welcome</html>"),
    "a log-in": Answer(302, {"location": "https://login.example/"}, b""),
    "401": Answer(401, JSON, b'{"error":"log in"}'),
    "403": Answer(403, HTML, b"<h1>Forbidden</h1>"),
    "404": Answer(404, JSON, b'{"error":"no such host"}'),
    "422": Answer(422, JSON, b'{"line":1,"message":"unprocessable"}'),
    "429": Answer(429, {"retry-after": "3"}, b""),
    "a yes to everything": Answer(204, {}, b""),
    "an empty object": Answer(200, JSON, b"{}"),
    "a gateway error": Answer(502, HTML, b"<h1>Bad Gateway</h1>"),
}
"""What a proxy says by itself."""
TIMES_OUT = "a time-out after the write"
TOO_LARGE = "a limit of two lines"
FLAKY = "an error now and then"
BARE = "no headers of the store"
PROXIES = (*ANSWERS, TIMES_OUT, TOO_LARGE, FLAKY, BARE)
OLDER = ("400", "a page")


class Store(InfluxStore):
    """Points by series and time, as a time-series store knows them."""

    def __init__(self, agenda: Agenda, chance: random.Random, later: random.Random) -> None:
        super().__init__("http://store", org="portier", bucket="portier", forgets_ms=2_000)
        self.agenda, self.chance, self.later = agenda, chance, later
        endpoint: Any = self
        self._endpoint = endpoint
        self._utc_ms = lambda: agenda.now
        self._known: dict[str, Point] = {}
        self.points: dict[Any, Point] = {}
        self.times: dict[Any, int] = {}
        self.down = False
        self.lies = 0.0
        """Share of writes that are done and reported as failed."""
        self.kill: str = ""
        """``before`` or ``after``: the recorder dies at its next write."""
        self.life = 1
        self.writes = 0
        self.in_front = ""
        """What answers instead of the store: one of ``PROXIES``."""
        self.picky = 0
        """Every so-manieth fact is refused; 0: none."""
        self.refused: set[int] = set()
        """Serials of the facts that the store itself has refused."""

    def opened(self) -> None:
        """A new process of the recorder knows nothing of this store."""
        self.known_by_header = self._honest = False
        self._before, self._suspects = [], set()

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        self._known = {line(point): point for point in points}
        return super().write(points)

    # --- the endpoint of the client

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One request, through whatever stands in front."""
        if method == "POST" and self.kill == "before":
            self.kill = ""
            raise Killed
        if self.down:
            raise StoreDownError("connection refused", lost=True)
        lines = (body or b"").decode().split("\n") if method == "POST" else []
        if self.in_front in ANSWERS:
            return ANSWERS[self.in_front]
        if self.in_front == TOO_LARGE and len(lines) > 2:
            return Answer(413, HTML, b"<h1>Request Entity Too Large</h1>")
        flaky = self.in_front == FLAKY and self.later.random() < 0.3
        if flaky and self.later.random() < 0.5:
            return ANSWERS["a gateway error"]
        answer = self._take(lines) if method == "POST" else self._say(path)
        if flaky or self.in_front == TIMES_OUT:
            return Answer(504, HTML, b"<h1>Gateway Timeout</h1>")
        return answer._replace(headers={}) if self.in_front == BARE else answer

    def _say(self, path: str) -> Answer:
        if path == "/metrics":
            return Answer(200, MARK, f"process_start_time_seconds {self.life}".encode())
        return Answer(404, MARK, b'{"code":"not found"}')

    def _take(self, lines: Sequence[str]) -> Answer:
        self.writes += 1
        points = [self._known[text] for text in lines if text in self._known]
        bad = [point for point in points if self._refuses(point)]
        for point in points if not bad or self.chance.random() < 0.5 else ():
            if point not in bad:
                self.points[point.series, point.time_ms] = point
                self.times[point.series, point.time_ms] = self.agenda.now
        if bad:
            return Answer(400, MARK, f"partial write: dropped={len(bad)}".encode())
        if self.kill == "after":
            self.kill = ""
            raise Killed
        if self.chance.random() < self.lies:
            raise StoreDownError("timed out")
        return Answer(204, MARK, b"")

    def _refuses(self, point: Point) -> bool:
        serial = _serial_of(point)
        if serial is None or not self.picky or serial % self.picky:
            return False
        self.refused.add(serial)
        return True

    def close(self) -> None:
        pass

    # --- what becomes of it

    def killed(self) -> None:
        """It forgets its last moments, says another identity, and is down for a while."""
        self.life += 1
        self.down = True
        since_ms = self.agenda.now - self.forgets_ms
        for key in [key for key, at_ms in self.times.items() if at_ms >= since_ms]:
            del self.points[key], self.times[key]

    def back(self) -> None:
        self.down = False

    def serials(self) -> Counter[int]:
        """Serial number of a fact -> how often it is stored."""
        found: Counter[int] = Counter()
        for point in self.points.values():
            serial = _serial_of(point)
            if serial is not None:
                found[serial] += 1
        return found


def _serial_of(point: Point) -> int | None:
    serial = point.fields.get("press_to_open_ms", point.fields.get("value"))
    return int(serial) if isinstance(serial, int | float) else None
