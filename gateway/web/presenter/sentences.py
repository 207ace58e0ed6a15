"""What every sentence about the building needs: words, names, instants, and who may read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from gateway.core.events import MODES
from gateway.web.building.snapshot_reader import SnapshotReader
from gateway.web.building.today import Picture
from gateway.web.presenter.terminals import Terminals
from gateway.web.shared.words import Words

FIRST_SEEN_MS = 10_000
"""After a start each contact has been read once within this time."""


class Sentences:
    """``name_of`` turns an actor such as ``web:3`` into a name for people who may see it."""

    base = ""
    """Before the addresses of forms about this building."""
    alarms_address = "/alarms"

    def __init__(
        self,
        control: SnapshotReader,
        words: Words,
        name_of: Callable[[str], str],
        terminals: Terminals,
        *,
        names: bool,
        history: bool = False,
        today: Picture | None = None,
    ) -> None:
        self.control, self.w, self._name_of, self._names = control, words, name_of, names
        self.history = history
        """Whoever looks may see the history, and is led to it."""
        self.today = today
        """What today looked like, for whoever may see the history."""
        self.terminals = terminals
        self.modes = MODES

    @property
    def known(self) -> bool:
        return self.control.snapshot is not None

    @property
    def private(self) -> bool:
        """Whoever looks may know what tells about a person: staff, who are there to help."""
        return self._names

    # --- instants --------------------------------------------------------------------

    def at(self, ms: int | None) -> str:
        """An instant of the building's clock; how long ago while no civil time is known."""
        if ms is None:
            return ""
        offset = self.control.utc_offset_ms
        if offset is None:
            return self.w("time.ago", duration=self.w.ago(self.control.now_ms - ms))
        return self.utc(ms + offset)

    def civil(self, ms: int | None) -> int | None:
        """An instant of the building's clock in milliseconds since 1970, to reckon with."""
        if ms is None:
            return None
        offset = self.control.utc_offset_ms
        if offset is None:
            offset = (self.control.now_utc_ms - self.control.now_ms) // 10_000 * 10_000
        return ms + offset

    def utc(self, utc_ms: int | None) -> str:
        return "" if utc_ms is None else self.w.clock(utc_ms, self.control.now_utc_ms)

    def since(self, ms: int | None) -> str:
        """For an instant that is known also where it lies before the start of ``control``."""
        if ms is None:
            return ""
        if self.control.utc_offset_ms is None:
            return self.w("time.for", duration=self.w.ago(self.control.now_ms - ms))
        return self.w("state.since", time=self.at(ms))

    def seen_since(self, ms: int | None, within_ms: int = FIRST_SEEN_MS) -> str:
        """The same for what ``control`` sees anew at each start: what it saw within ``within_ms``
        of it may have been so for longer."""
        gateway = self.control.gateway
        started_ms = gateway.get("started_ms") if gateway else None
        if ms is None or started_ms is None or not 0 <= ms - started_ms <= within_ms:
            return self.since(ms)
        if self.control.utc_offset_ms is None:
            return self.since(ms)
        return self.w("state.since_at_least", time=self.at(ms))

    def who(self, actor: str | None) -> str:
        if not actor:
            return ""
        return self._name_of(actor) if self._names else self.w("who.staff")

    def goes(self, attends: object, by: str | None) -> str:
        """Who goes to a call: the name that was given, or who acknowledged it."""
        return str(attends) if attends and self._names else self.who(by)

    # --- names and reasons

    def receiver(self, id: str) -> str:
        """Whom a message went to, as staff call them; also those who were added since the start."""
        return self.control.contact_name(id) or self.terminals.receivers.get(id, id)

    def origin(self, request: Mapping[str, Any]) -> str:
        """Where a request came from: the activator as people call it, or who asked."""
        kind, side = request.get("activator_kind"), request.get("side")
        if request.get("activator"):
            name = self.terminals.part(self.w, str(request["activator"]))
            return self.w.get(f"terminal.{kind}_{side}", name)
        return self.who(request.get("by"))

    def reason(self, reason: str | None) -> str:
        """Why something was refused or does not hold, in words; as it is where we have none."""
        if not reason:
            return ""
        return self.w.get(f"reason.{reason}") or self.w.get(f"why.{reason}", reason)

    def call_address(self, call: str) -> str:
        """The page with the timeline of a call."""
        return f"/timeline/{quote(call, safe='')}"

    def message_result(self, result: str, medium: str = "") -> str:
        """What became of a message, and by what it went where that is known."""
        said = self.w.get(f"message_by.{medium}_{result}") if medium else ""
        return said or self.w.get(f"message_result.{result}", result)

    def message_reason(self, reason: str) -> str:
        """Why a message did not arrive, or was not sent, in words."""
        key, _, detail = reason.replace(":", "").partition(" ")
        return self.w.get(f"message_reason.{key}", key, detail=detail)

    def why(self, reason: str) -> str:
        """Why a guarantee is not *yes*, in words."""
        return self.w.get(f"why.{reason}") or self.reason(reason)
