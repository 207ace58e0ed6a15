"""InfluxDB 1.x (Debian and Raspberry Pi OS package 1.6) through its own write endpoint.

It has no v2 API before 1.8. What it has acknowledged is on the disk (its log is synced on
every write), so it forgets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import urllib3

from gateway.recorder.points import Point, line
from gateway.recorder.store import BadPointsError, Rejected, StoreDownError, bisect


class Influx1Store:
    """A store behind ``/write``. The database is created when it is missing."""

    forgets_ms = 0

    def __init__(
        self,
        url: str,
        *,
        database: str,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._url = url
        self._database = database
        self._pool = urllib3.PoolManager(
            retries=False,
            timeout=timeout_s,
            headers=urllib3.make_headers(basic_auth=f"{username}:{password or ''}")
            if username
            else None,
        )

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Write all points; bad ones are found by halves and returned."""
        return bisect([line(point) for point in points], self._send)

    def _send(self, lines: Sequence[str]) -> None:
        body = "\n".join(lines).encode()
        query = urlencode({"db": self._database, "precision": "ms"})
        answer = self._request(f"/write?{query}", body)
        if answer.status == 404 and b"database not found" in answer.data:
            create = f'CREATE DATABASE "{self._database}"'
            self._request(f"/query?{urlencode({'q': create})}", b"")
            answer = self._request(f"/write?{query}", body)
        if answer.status in {200, 204}:
            return
        reason = f"HTTP {answer.status} {answer.data[:300].decode('utf-8', 'replace').strip()}"
        if answer.status in {400, 413, 422}:
            raise BadPointsError(reason)
        after = answer.headers.get("Retry-After", "")
        raise StoreDownError(reason, float(after) if after.isdecimal() else None)

    def _request(self, path: str, body: bytes) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request("POST", self._url + path, body=body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreDownError(f"{type(error).__name__}: {error}", lost=True) from error

    def identity(self) -> str | None:
        """It does not tell, and need not: it forgets nothing."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()
