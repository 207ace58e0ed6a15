"""Handing entries over to ``control`` for the audit chain, in order and each once.

``control`` does not answer an entry. It is taken out of the outbox when it is found in the chain;
where the journal cannot be read here, when ``control`` says that nothing waits for its commit and
has been there since. After a connection that was lost, or a start of this process, the chain is
looked at before anything is sent again.

Log-ins and failed ones are no changes: while ``control`` is away they wait in memory, so many as
there is room for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from gateway.core.facts import Json
from gateway.journal.audit import ChainEntry, entries_before
from gateway.panel.client import ControlAway
from gateway.web.building.control_client import ControlClient
from gateway.web.building.records import Records, Unavailable
from gateway.web.shared.problems import Problem
from gateway.web.storage.outbox import Waiting
from gateway.web.storage.saver import Saver
from gateway.web.storage.store import Store

PIECE = 100
"""Entries on their way at one time."""
LOOKED_AT = 1_000
"""Entries of the chain, the newest ones."""
LATE_S = 10.0
"""An entry that comes later says when it was done."""
SURE_S = 10.0
"""So long ``control`` has to be there after an entry, and say that nothing waits for its commit."""
GIVEN_UP_S = 60.0
"""The same for one that is not in the chain, which can be read: waiting would help no more."""
MEMORY_MOST = 200
TURN_S = 1.0
log = structlog.get_logger("web")


class HandOver:
    """``control`` says when ``control`` is there. ``gateway``: its id."""

    def __init__(
        self,
        users: Store,
        control: ControlClient,
        records: Records,
        saver: Saver,
        gateway: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._users, self._control, self._records, self._saver = users, control, records, saver
        self._gateway, self._monotonic, self._wall = gateway, monotonic, wall
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._sent: dict[int, float] = {}
        """Number -> when it was sent over the present connection."""
        self._connection = control.connections
        _, self._doubtful = users.count_entries()
        """Up to this number entries may have been sent before."""
        self._memory: list[tuple[str, str, Mapping[str, Json], float]] = []
        self._left_out = 0
        control.on_change.append(self._woken.set)

    def count(self) -> int:
        """How many entries wait for the chain."""
        return self._users.count_entries()[0] + len(self._memory)

    async def note(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        """An entry that is no change; it waits in memory while ``control`` is away."""
        if self._control.connected and not self._memory:
            with contextlib.suppress(ControlAway):
                await self._control.audit(actor, action, detail)
                return
        if len(self._memory) >= MEMORY_MOST:
            self._left_out += 1
        else:
            self._memory.append((actor, action, detail, self._wall()))

    async def send(self) -> None:
        """After a change: hand over what waits, as far as ``control`` takes it."""
        async with self._lock:
            await self._send()

    async def run(self) -> None:
        """Hand over what waits whenever ``control`` is there, which a snapshot every 2 s says. Runs
        until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._control.connected and self.count():
                await self.turn()
                await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """Take out what the chain has, and send the rest."""
        async with self._lock:
            try:
                await self._take_out()
                await self._send()
            except (sqlite3.Error, OSError, Problem) as error:  # a disk that takes nothing, for now
                log.warning("entries for the audit chain wait", reason=str(error))

    async def _take_out(self) -> None:
        self._look_at_connection()
        waiting = self._users.waiting_entries(PIECE)
        chain: set[str] | None = None
        with contextlib.suppress(Unavailable):
            chain = await self._records.ask(
                lambda reader: reader.read(lambda db: _ids(entries_before(db, None, LOOKED_AT)))
            )
        done = [one.n for one in waiting if self._is_done(one, chain)]
        if done:
            await self._saver.run(self._users.remove_entries, done)
            for n in done:
                self._sent.pop(n, None)
        self._doubtful = 0  # what the chain does not have was not taken

    def _is_done(self, one: Waiting, chain: set[str] | None) -> bool:
        if chain is not None and one.id in chain:
            return True
        sent = self._sent.get(one.n)
        journal = self._control.guarantees.get("journal")
        committed = journal is not None and journal.get("value") == "yes"
        if sent is None or not (self._control.connected and committed):
            return False
        passed_s = self._monotonic() - sent
        if chain is not None and passed_s >= GIVEN_UP_S:
            log.warning("an entry is not in the audit chain", entry=one.id, action=one.action)
        return passed_s >= (SURE_S if chain is None else GIVEN_UP_S)

    def _look_at_connection(self) -> None:
        """What went over one that was lost may have arrived."""
        if self._control.connections != self._connection:
            self._connection = self._control.connections
            self._doubtful = max(self._sent, default=self._doubtful)
            self._sent.clear()

    async def _send(self) -> None:
        self._look_at_connection()
        if not self._control.connected:
            return
        waiting = self._users.waiting_entries(PIECE)
        if waiting and waiting[0].n <= self._doubtful:
            return  # the turn looks at the chain first
        with contextlib.suppress(ControlAway):
            for one in waiting:
                if one.n not in self._sent:
                    await self._control.audit(one.actor, one.action, self._detail_of(one))
                    self._sent[one.n] = self._monotonic()
            if len(waiting) < PIECE:
                await self._send_memory()

    def _detail_of(self, one: Waiting) -> dict[str, Json]:
        detail: dict[str, Json] = {**one.detail, "entry": one.id, **self._late(one.at)}
        return detail | ({"times": one.times} if one.times > 1 else {})

    def _late(self, at: float) -> dict[str, Json]:
        return {"done_utc_ms": int(at * 1000)} if abs(self._wall() - at) > LATE_S else {}

    async def _send_memory(self) -> None:
        while self._memory:
            actor, action, detail, at = self._memory[0]
            await self._control.audit(actor, action, {**detail, **self._late(at)})
            del self._memory[0]
        if self._left_out:
            detail = {"subject": self._gateway, "outcome": "lost", "times": self._left_out}
            await self._control.audit("gateway", "audit", detail)
            self._left_out = 0


def _ids(entries: Sequence[ChainEntry]) -> set[str]:
    """Of those entries that came out of an outbox."""
    found = set()
    for entry in entries:
        if entry.detail and '"entry"' in entry.detail:
            with contextlib.suppress(ValueError, AttributeError):
                found.add(str(json.loads(entry.detail).get("entry")))
    return found
