"""InfluxDB's v2 API (also VictoriaMetrics, which speaks it) through influxdb-client.

The lines are made by :func:`gateway.recorder.points.line` and handed to the library's
synchronous ``WriteApi`` as bytes: its batching mode drops points after its last retry
without an error, and its point objects are slow. Retrying is the recorder's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from gateway.recorder.points import Point, line
from gateway.recorder.store import BadPointsError, Rejected, StoreDownError, bisect

_BAD = frozenset({400, 413, 422})
_STARTED = re.compile(
    rb"^(?:vm_app_start_timestamp|process_start_time_seconds)(?:\{[^}]*\})? ([0-9.eE+]+)",
    re.MULTILINE,
)


class InfluxStore:
    """A store behind ``/api/v2/write``."""

    def __init__(
        self,
        url: str,
        *,
        org: str,
        bucket: str,
        token: str = "",
        timeout_s: float = 10.0,
        forgets_ms: int = 300_000,
    ) -> None:
        self.forgets_ms = forgets_ms
        self._bucket = bucket
        self._timeout_s = timeout_s
        self._client: Any = InfluxDBClient(
            url=url,
            token=token,
            org=org,
            timeout=int(timeout_s * 1000),
            enable_gzip=False,
            retries=False,
        )
        self._write = self._client.write_api(write_options=SYNCHRONOUS)
        self._pool = urllib3.PoolManager(retries=False)
        self._url = url

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Write all points; bad ones are found by halves and returned."""
        return bisect([line(point) for point in points], self._send)

    def _send(self, lines: Sequence[str]) -> None:
        try:
            self._write.write(
                bucket=self._bucket,
                record="\n".join(lines).encode(),
                write_precision=WritePrecision.MS,
            )
        except ApiException as error:
            if error.status in _BAD:
                raise BadPointsError(_reason(error.status, error.body)) from error
            after = (error.headers or {}).get("Retry-After")
            raise StoreDownError(_reason(error.status, error.body), _seconds(after)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreDownError(f"{type(error).__name__}: {error}", lost=True) from error

    def identity(self) -> str | None:
        """When the store was started, as its metrics say; ``None`` if it has none."""
        try:
            answer = self._pool.request("GET", f"{self._url}/metrics", timeout=self._timeout_s)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreDownError(f"{type(error).__name__}: {error}", lost=True) from error
        found = _STARTED.search(answer.data) if answer.status == 200 else None
        return found[1].decode() if found else None

    def close(self) -> None:
        """Close the connections."""
        self._write.close()
        self._client.close()
        self._pool.clear()


def _reason(status: int, body: object) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    return f"HTTP {status} {text[:300]}".strip()


def _seconds(text: object) -> float | None:
    """Retry-After in seconds; its form as a date is not worth the trouble."""
    try:
        return max(0.0, min(float(str(text)), 3600.0))
    except ValueError:
        return None
