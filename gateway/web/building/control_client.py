"""The connection to ``control``: the newest snapshot of the building, and commands.

While ``control`` is away the last snapshot stays, marked as stale with the instant since when.
Commands given meanwhile are refused, never queued; questions about the settings wait for a restart.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import uuid4

import structlog

from gateway.core.facts import Json
from gateway.panel.client import AsyncPanelClient, ControlAway, command
from gateway.panel.messages import MAX_LINE, encode
from gateway.panel.time_service import REPORT_EVERY_S, report
from gateway.web.building.snapshot_reader import NO_PANEL, SnapshotReader
from gateway.web.shared.limits import Buckets
from gateway.web.shared.problems import Problem

DEVICE_WITHIN_S = 13.0
"""For a test message to a device: ``notify`` answers for it within 10 s."""
REPLY_WITHIN_S = 2.0
SETTINGS_WITHIN_S = 45.0
SETTINGS_CONNECT_S = 1.0
SETTINGS_RESTART_S = 8.0
"""How long a question about the settings waits for ``control`` to come back from a restart that
it has announced."""
RESTART_WITHIN_S = 15.0
"""A restart that was announced and takes longer has failed."""
FRESH_S = 5.0
"""``control`` sends a snapshot every 2 s at least; without one for so long it hangs, whatever its
socket says."""
REPORT_SOON_S = 1.0
COMMANDS_BURST, COMMAND_EVERY_S = 30, 0.25
"""Of one person, for each sort of command: at once, and then one every so often. ``control`` has
one limit for all people of the page together; this one keeps it from being one person's."""
NO_ANSWER, BUSY = "no_answer", "busy"
log = structlog.get_logger("web")


class Asker(Protocol):
    """Whoever is behind a command; ``actor`` is ``web:<user id>``."""

    @property
    def actor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command. ``fact``: the event id of the fact that answers it."""

    command: str
    status: str
    reason: str = ""
    fact: str | None = None

    @property
    def done(self) -> bool:
        return self.status in ("accepted", "merged", "extended")

    @property
    def unanswered(self) -> bool:
        return self.reason in (NO_PANEL, NO_ANSWER)


class ControlClient(SnapshotReader):
    """``on_change`` is called after every new snapshot and change of the connection,
    ``on_rows`` with the journal's head after commits with facts; a slow client gets the newest
    only."""

    def __init__(
        self,
        panel: AsyncPanelClient,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(monotonic=monotonic, wall=wall)
        self._panel = panel
        self.connections = 0
        """How many connections have been lost."""
        self._restarts_until = float("-inf")
        self._showing: asyncio.Task[dict[str, Any]] | None = None
        self._asking: set[asyncio.Future[Any]] = set()
        self._lost_at = monotonic()
        self._takes_over_until = float("-inf")
        self.settings_seen: dict[str, Any] | None = None
        """The settings as ``control`` has said last."""
        self._limit = Buckets(COMMANDS_BURST, COMMAND_EVERY_S, monotonic=monotonic)
        self.on_change: list[Callable[[], None]] = []
        self.on_rows: list[Callable[[str, int], None]] = []

    def contact_name(self, id: str) -> str:
        """What people call a contact, as the settings that were seen last say; else empty."""
        contacts = (self.settings_seen or {}).get("effective", {}).get("contacts", {})
        return str((contacts.get(id) or {}).get("name") or "")

    @property
    def taking_over(self) -> bool:
        """Whether settings were saved just now, for which ``control`` starts again."""
        return self.restarting or self._monotonic() < self._takes_over_until

    @property
    def restarting(self) -> bool:
        """``control`` has said that it goes to start again, or was given new settings, and may
        still come back from it."""
        until = max(self._restarts_until, self._takes_over_until)
        return not self.connected and self._monotonic() < until

    async def run(self) -> None:
        """Follow ``control`` until cancelled."""
        loop = asyncio.get_running_loop()
        silence: asyncio.TimerHandle | None = None
        try:
            async for message in self._panel.messages():
                try:
                    self._take(message)
                except (KeyError, TypeError, ValueError) as error:
                    log.warning("panel message not understood", error=repr(error))
                if silence is not None and message.get("type") in ("snapshot", "away"):
                    silence.cancel()
                    silence = None
                if self.connected and silence is None:
                    silence = loop.call_later(FRESH_S, self.silent)
        finally:
            if silence is not None:
                silence.cancel()

    def silent(self) -> None:
        """No snapshot has come for :data:`FRESH_S`: what was shown last is no evidence any more."""
        if self.connected:
            log.warning("control sends no snapshots", for_s=FRESH_S)
            self._connection(False)
            for asked in self._asking:
                asked.cancel()  # it hangs: nobody waits for what it may still say
            self._changed()

    def _take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "snapshot":
            int(message["snapshot"]["now_ms"])
            self.snapshot = message["snapshot"]
            self._received = self._monotonic()
            self._connection(True)
            self._changed()
        elif kind == "rows":
            for told in self.on_rows:
                told(str(message["journal"]), int(message["head"]))
        elif kind == "closing":
            if message.get("reason") == "reload":
                self._restarts_until = self._monotonic() + RESTART_WITHIN_S
        elif kind == "away":
            self.connections += 1
            self._connection(False)
            self._changed()
            if self.restarting:  # when that is over, it is shown that nobody answers
                asyncio.get_running_loop().call_later(RESTART_WITHIN_S + 0.1, self._changed)

    def _connection(self, connected: bool) -> None:
        if connected:
            self._restarts_until = float("-inf")
        if connected != self.connected:
            self.connected = connected
            self._lost_at = self._monotonic()
            self._takes_over_until = float("-inf") if connected else self._takes_over_until
            self.since_utc_ms = int(self._wall() * 1000)
            self.changed_ms = None if self.snapshot is None else self.now_ms

    def _changed(self) -> None:
        for changed in self.on_change:
            changed()

    async def ask(
        self,
        name: str,
        args: Mapping[str, Json],
        who: Asker,
        *,
        id: str | None = None,
        via: Literal["web", "link"] = "web",
        share: str = "",
    ) -> Answer:
        """Send one command and wait for its answer, two seconds at most. ``via`` ``link``: by
        the signed link of a message. ``share``: whose limit it counts in, where that is not the
        asker's. Raises :class:`Problem` 429 for who asks too often."""
        key = id or uuid4().hex
        if not self.connected:
            return Answer(key, "refused", NO_PANEL)
        if not self._limit.take(f"{name} {share or who.actor}"):
            raise Problem(429, "limit", Retry_After="1")
        message = command(name, args, id=key, actor=who.actor, via=via)
        try:
            reply = await self._panel.ask(message, REPLY_WITHIN_S)
        except ControlAway:
            return Answer(key, "refused", NO_ANSWER)
        fact = reply.get("fact")
        return Answer(
            key, str(reply["status"]), str(reply.get("reason") or ""), str(fact) if fact else None
        )

    async def report_clock(self, trusted: Callable[[], bool | None]) -> None:
        """Report what the time service says, until cancelled; who cannot ask it says nothing."""

        def message() -> Mapping[str, object] | None:
            found = trusted()
            return None if found is None else report(found)

        await self._report(message)

    async def report_certificates(self, wrong: Callable[[], str | None]) -> None:
        """Report which certificates end soon or are not valid (names, with commas), until
        cancelled. ``None``: not known yet, so nothing is reported."""

        def message() -> Mapping[str, object] | None:
            names = wrong()
            return None if names is None else {"type": "certificates", "names": names}

        await self._report(message)

    async def _report(self, message: Callable[[], Mapping[str, object] | None]) -> None:
        """Send this again and again while there is a connection; ``None``: there is nothing."""
        while True:
            found = message() if self._panel.connected else None
            if found is not None:
                with suppress(ControlAway):
                    await self._panel.send(found)
            await asyncio.sleep(REPORT_EVERY_S if self._panel.connected else REPORT_SOON_S)

    async def audit(self, actor: str, action: str, detail: Mapping[str, Json]) -> None:
        """Send an entry for the audit chain, see :mod:`gateway.web.storage.handover`. Raises
        :class:`ControlAway`."""
        entry = {"type": "audit", "actor": actor, "action": action, "detail": dict(detail)}
        await self._panel.send(entry)

    async def settings(
        self,
        do: str,
        args: Mapping[str, Json],
        who: Asker,
        judge: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        """Look at or change what the page may change. ``control`` starts anew after a change:
        whoever asks then waits for it, and ``judge`` raises where they may not any more. Whoever
        asks what there is while somebody else does gets the same answer. The answer has ``status``
        and ``reason``."""
        if do != "show":
            return await self._settings(do, args, who, judge)
        if self._showing is None or self._showing.done():
            self._showing = asyncio.ensure_future(self._settings(do, args, who))
        return copy.deepcopy(await asyncio.shield(self._showing))

    async def _settings(
        self,
        do: str,
        args: Mapping[str, Json],
        who: Asker,
        judge: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        message: dict[str, Json] = {
            "type": "settings", "id": uuid4().hex, "actor": who.actor, "do": do, "args": dict(args)
        }  # fmt: skip
        if len(encode(message)) > MAX_LINE:
            return {"status": "refused", "reason": "too_large"}
        began = self._monotonic()
        while True:
            if do in ("put", "undo"):
                await self._taken_over()
            if not await self._back(began):
                return {"status": "refused", "reason": NO_PANEL}
            judge()
            try:
                answer = await self._asked(message)
            except ControlAway:
                if self.restarting:
                    continue  # it was not begun; said twice, it is done once
                return {"status": "refused", "reason": NO_ANSWER}
            break
        if answer.get("status") == "accepted" and not isinstance(answer.get("settings"), dict):
            return {"status": "refused", "reason": NO_ANSWER}  # of another version than this one
        if answer.get("status") == "accepted" and do != "preview":
            before = (self.settings_seen or {}).get("version")
            self.settings_seen = copy.deepcopy(answer["settings"])
            if do != "show" and answer["settings"].get("version") != before:
                self._takes_over_until = self._monotonic() + RESTART_WITHIN_S
        return answer

    async def _asked(self, message: Mapping[str, Json]) -> dict[str, Any]:
        """Raises :class:`ControlAway`, also where ``control`` begins to hang meanwhile."""
        asked = asyncio.ensure_future(self._panel.ask(message, SETTINGS_WITHIN_S))
        self._asking.add(asked)
        try:
            return dict(await asked)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                asked.cancel()
                raise
            raise ControlAway("control hangs") from None
        finally:
            self._asking.discard(asked)

    async def _taken_over(self) -> None:
        """Wait until what was saved last applies: a change that came meanwhile could be written and
        its answer lost."""
        while (left_s := self._takes_over_until - self._monotonic()) > 0:
            await self.change(left_s)

    async def _back(self, began: float) -> bool:
        """Whether ``control`` is there; waits for one that starts again."""
        while not self.connected:
            restarts = self.restarting
            within_s = SETTINGS_RESTART_S if restarts else SETTINGS_CONNECT_S
            since = began if restarts else min(began, self._lost_at)
            if self._monotonic() - since >= within_s:
                return False
            await asyncio.sleep(0.1)
        return True

    async def test_device(self, device: str) -> str:
        """Have ``notify`` send a test message to a device. Empty where the push service has taken
        it, else why not."""
        if not self.connected:
            return NO_PANEL
        message: dict[str, Json] = {"type": "device_test", "id": uuid4().hex, "device": device}
        try:
            reply = await self._panel.ask(message, DEVICE_WITHIN_S)
        except ControlAway:
            return NO_ANSWER
        return str(reply.get("reason") or "")

    async def change(self, within_s: float) -> None:
        """Wait for the next snapshot or change of the connection, and no longer than that."""
        changed = asyncio.Event()
        self.on_change.append(changed.set)
        try:
            await asyncio.wait_for(changed.wait(), max(0.0, within_s))
        except TimeoutError:
            pass
        finally:
            self.on_change.remove(changed.set)

    async def bench(
        self, do: str, args: Mapping[str, Json], within_s: float = REPLY_WITHIN_S
    ) -> Mapping[str, Any]:
        """Do something to simulated points. Raises :class:`ControlAway`."""
        return await self._panel.ask(
            {"type": "bench", "id": uuid4().hex, "do": do, **args}, within_s
        )
