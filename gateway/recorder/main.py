"""The ``record`` role: put the parts together and run until told to stop."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from gateway.recorder.recorder import CALM_MS, Recorder, filters
from gateway.recorder.state import RecorderState, StateLock
from gateway.recorder.store import Store
from gateway.recorder.subscribe import BrokerSettings, Subscription

log = structlog.get_logger("recorder")


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """What the configuration says about recording."""

    broker: BrokerSettings
    store: str
    """``sqlite``, ``sqlite:FILE``, ``influx://HOST:PORT/ORG/BUCKET``,
    ``influx1://[USER@]HOST:PORT/DATABASE``; ``influxs`` and ``influx1s`` for TLS."""
    state: Path
    """The folder of ``recorder.sqlite`` and, for ``sqlite``, ``record.sqlite``."""
    name: str = "main"
    gateways: tuple[str, ...] = ()
    """Which gateways; empty: all. Several recorders divide them by list."""
    silent_after_ms: int = 300_000
    exclusive: bool = True
    """Nobody else can read the state file meanwhile; see :class:`RecorderState`."""
    secret: str | None = field(default=None, repr=False)
    """The token (v2) or password (1.x) of the store."""


def open_store(store: str, state: Path, secret: str | None = None) -> Store:
    """The store that the configuration names. Raises :class:`ValueError` for any other text.

    ``?forgets=SECONDS`` says how far back a killed store may have forgotten what it had
    acknowledged (300 s for the v2 API; InfluxDB 2 may be given 0).
    """
    url = urlsplit(store)
    if url.scheme in {"", "sqlite"}:
        from gateway.recorder.sqlite import SqliteStore

        if store not in {"sqlite", "sqlite:"} and not store.startswith("sqlite:"):
            raise ValueError(f"no store: {store}")
        return SqliteStore(
            state / (store.removeprefix("sqlite").removeprefix(":") or "record.sqlite")
        )
    tls = "https" if url.scheme in {"influxs", "influx1s"} else "http"
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
    path = [unquote(part) for part in url.path.split("/") if part]
    if url.scheme in {"influx", "influxs"}:
        from gateway.recorder.influx import InfluxStore

        org, bucket = ("portier", "portier") if not path else (path[0], path[-1])
        forgets_s = int(parse_qs(url.query).get("forgets", ["300"])[0])
        return InfluxStore(
            f"{tls}://{host}:{url.port or 8086}",
            org=org,
            bucket=bucket,
            token=secret or "",
            forgets_ms=forgets_s * 1000,
        )
    if url.scheme in {"influx1", "influx1s"}:
        from gateway.recorder.influx1 import Influx1Store

        return Influx1Store(
            f"{tls}://{host}:{url.port or 8086}",
            database=path[0] if path else "portier",
            username=unquote(url.username) if url.username else None,
            password=secret,
        )
    raise ValueError(f"no store: {url.scheme}")


def run(settings: RecorderSettings, stop: threading.Event) -> None:
    """Record until ``stop`` is set.

    :raises StateInUseError: another process records with this state
    :raises sqlite3.Error: the state file cannot be read or written
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    path = settings.state / f"recorder-{settings.name}.sqlite"
    lock = StateLock(path)
    store = open_store(settings.store, settings.state, settings.secret)
    state = RecorderState(path, exclusive=settings.exclusive)
    subscription = Subscription(settings.broker, filters(settings.gateways))
    recorder = Recorder(
        settings.name,
        subscription,
        store,
        state,
        store_name=settings.store,
        silent_after_ms=settings.silent_after_ms,
        calm_ms=CALM_MS,
    )

    def wake() -> None:
        stop.wait()
        subscription.wake()

    threading.Thread(target=wake, name="stop", daemon=True).start()
    gc.collect()
    gc.freeze()  # what is imported stays: no batch shall be searched together with it
    log.info("recording", name=settings.name, store=urlsplit(settings.store).scheme or "sqlite")
    try:
        recorder.run(stop)
    finally:
        subscription.close()
        store.close()
        state.close()
        lock.close()
