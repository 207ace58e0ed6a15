"""InfluxDB 1.x (Debian and Raspberry Pi OS package 1.6) through its own write endpoint.

It has no v2 API before 1.8. What it has acknowledged is on the disk (its log is synced on
every write), so it forgets nothing.
"""

from __future__ import annotations

import base64
from urllib.parse import urlencode

from gateway.recorder.stores.http import Answer, Endpoint, HttpStore


class Influx1Store(HttpStore):
    """A store behind ``/write``. The database is created when it is missing."""

    def __init__(
        self,
        url: str,
        *,
        database: str,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if username:
            pair = base64.b64encode(f"{username}:{password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        query = urlencode({"db": database, "precision": "ms"})
        super().__init__(Endpoint(url, headers, timeout_s), f"/write?{query}", forgets_ms=0)
        name = database.replace("\\", "\\\\").replace('"', '\\"')
        create = urlencode({"q": f'CREATE DATABASE "{name}"'})
        self._create = f"/query?{create}"

    def _post(self, body: bytes) -> Answer:
        answer = super()._post(body)
        if answer.status == 404 and b"database not found" in answer.body and answer.is_marked:
            self._ask("POST", self._create, b"")
            answer = super()._post(body)
        return answer

    def identity(self) -> str | None:
        """It does not tell, and need not: it forgets nothing."""
        return None
