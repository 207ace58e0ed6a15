"""InfluxDB's v2 API (also VictoriaMetrics, which speaks it)."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from gateway.recorder.stores.http import Endpoint, HttpStore
from gateway.recorder.stores.store import StoreDownError

_STARTED = re.compile(
    rb"^(?:vm_app_start_timestamp|process_start_time_seconds)(?:\{[^}]*\})? ([0-9.eE+]+)",
    re.MULTILINE,
)


class InfluxStore(HttpStore):
    """A store behind ``/api/v2/write``."""

    def __init__(
        self,
        url: str,
        *,
        org: str,
        bucket: str,
        token: str = "",
        timeout_s: float = 10.0,
        forgets_ms: int,
    ) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Token {token}"
        query = urlencode({"org": org, "bucket": bucket, "precision": "ms"})
        super().__init__(
            Endpoint(url, headers, timeout_s), f"/api/v2/write?{query}", forgets_ms=forgets_ms
        )

    def identity(self) -> str | None:
        """When the store was started, as its metrics say; ``None`` if it has none."""
        answer = self._ask("GET", "/metrics")
        if answer.is_page or 300 <= answer.status < 400 or answer.status >= 500:
            raise StoreDownError(f"no metrics, but {answer.text}", code="not_the_store")
        found = _STARTED.search(answer.body) if answer.status == 200 else None
        return found[1].decode() if found else None
