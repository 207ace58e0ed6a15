"""The ``record`` role: put the parts together and run until told to stop."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import structlog

from gateway.damage import ERRORS
from gateway.mqtt.settings import BrokerSettings
from gateway.mqtt.subscription import Subscription
from gateway.recorder import damage, rejects
from gateway.recorder import state as state_file
from gateway.recorder.recorder import CALM_MS, Recorder, filters
from gateway.recorder.state import RecorderState, StateLock
from gateway.recorder.stores.store import Store
from gateway.settings.values.share import ALL, Share
from gateway.settings.values.store_address import LIMIT_BYTES, StoreAddress

log = structlog.get_logger("recorder")


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """What the configuration says about recording."""

    broker: BrokerSettings
    store: StoreAddress
    state: Path
    """The folder of ``recorder.sqlite`` and, for ``sqlite``, ``record.sqlite``."""
    name: str
    silent_after_ms: int
    gateways: tuple[str, ...] = ()
    """Which gateways; empty: all. Several recorders divide them by list, or by share."""
    exclusive: bool = True
    """Nobody else can read the state file meanwhile; see :class:`RecorderState`."""
    secret: str | None = field(default=None, repr=False)
    """The token (v2) or password (1.x, PostgreSQL) of the store."""
    lives_ms: Mapping[str, int] = field(default_factory=dict)
    """How long each retention class is stored; what is older is removed from SQLite and
    PostgreSQL."""
    limit_bytes: int = LIMIT_BYTES
    """How large the SQLite store may become."""
    share: Share = ALL
    """Of the gateways that it hears, which it takes."""


def open_store(
    address: StoreAddress,
    state: Path,
    secret: str | None = None,
    lives_ms: Mapping[str, int] | None = None,
    limit_bytes: int = LIMIT_BYTES,
    gateways: Sequence[str] = (),
) -> Store:
    """The store that the configuration names; it has been checked before. ``lives_ms``: how long
    each retention class is stored, and ``limit_bytes`` how large it may become, where the
    recorder itself removes what is over; ``gateways``: of which, none: of all."""
    if address.kind == "influx":
        from gateway.recorder.stores.influx import InfluxStore

        return InfluxStore(
            address.url,
            org=address.org,
            bucket=address.bucket,
            token=secret or "",
            forgets_ms=address.forgets_ms,
        )
    if address.kind == "influx1":
        from gateway.recorder.stores.influx1 import Influx1Store

        return Influx1Store(
            address.url, database=address.database, username=address.user, password=secret
        )
    if address.kind == "postgresql":
        from gateway.recorder.stores.postgresql import PostgresqlStore

        return PostgresqlStore(address, secret, lives_ms, gateways)
    if address.kind == "sqlite":
        from gateway.recorder.stores.sqlite import SqliteStore

        return SqliteStore(state / address.file, lives_ms, limit_bytes)
    if address.kind == "none":
        raise ValueError(f"no store: {address.text}")
    assert_never(address.kind)


def run(settings: RecorderSettings, stop: threading.Event) -> None:
    """Record until ``stop`` is set.

    :raises StateInUseError: another process records with this state
    :raises sqlite3.Error: the state file cannot be read or written
    :raises UnknownFormat: a file is of another version; nothing was changed
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    path = settings.state / f"recorder-{settings.name}.sqlite"
    lock = StateLock(path)
    history: Path | None = None
    # first the state, which says what there was; of the state its list says that
    list_file = Path(rejects.path_of(path))
    is_new = not (list_file.is_file() and list_file.stat().st_size)
    damage.look(path, state_file.FORMAT, state_file.read_all, is_new=is_new)  # is asked for again
    had = state_file.before(path)
    refused = damage.look(list_file, rejects.FORMAT, rejects.counts, is_new=not had.list)
    if settings.store.kind == "sqlite":
        from gateway.recorder.stores import recent
        from gateway.recorder.stores.sqlite import FORMAT

        file = settings.state / settings.store.file
        is_new = had.store.partition(" ")[2] != settings.store.text
        history = damage.look(file, FORMAT, is_new=is_new)
        with contextlib.suppress(*ERRORS):  # another recorder has it, or it is put aside
            recent.FORMAT.check(recent.path_of(file))
    store = open_store(
        settings.store,
        settings.state,
        settings.secret,
        settings.lives_ms,
        settings.limit_bytes,
        settings.gateways,
    )
    state = RecorderState(path, exclusive=settings.exclusive)
    for one in filter(None, (history, refused)):
        state.note_damage(one, state.journals() or settings.gateways)
    if history is not None:
        state.set_meta("store", " ")  # said; the next one is another, for which all is asked again
    subscription = Subscription(settings.broker, filters(settings.gateways))
    recorder = Recorder(
        settings.name,
        subscription,
        store,
        state,
        store_name=settings.store.text,
        silent_after_ms=settings.silent_after_ms,
        share=settings.share,
        calm_ms=CALM_MS,
    )

    def wake() -> None:
        stop.wait()
        subscription.wake()

    threading.Thread(target=wake, name="stop", daemon=True).start()
    gc.collect()
    gc.freeze()  # what is imported stays: no batch shall be searched together with it
    log.info("recording", name=settings.name, store=settings.store.kind)
    try:
        recorder.run(stop)
    finally:
        subscription.close()
        store.close()
        state.close()
        lock.close()
