"""The call of one room on the bench: told events at their times, living in between."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.building.snapshot_rooms import call_shown
from gateway.core.effects import Drive
from gateway.core.facts import KINDS, Fact, Json
from gateway.core.instant import ClockKnown, Ms
from gateway.core.plan import RoomPlan
from gateway.core.room import call, call_saved
from gateway.core.room.call import (
    Acknowledged,
    CallEvent,
    CallSeen,
    CancelPressed,
    CordSeen,
    PresencePressed,
    Restored,
    TestSet,
)
from gateway.core.room.call_record import Call, Cord
from gateway.core.saved_values import Times
from gateway.core.snapshot_types import CallShown
from tests import plans

OFFSET = 1_700_000_000_000
LINE = plans.line("wc.line")
ROOM = plans.room(
    "wc",
    "Accessible WC",
    cords=("wc.cord", "wc.shower"),
    lines=(LINE,),
    cancel="wc.cancel",
    presence="wc.presence",
    reassurance="wc.reassurance",
    lamp="wc.lamp",
    sounder="wc.sounder",
    unlock="wc.unlock",
    escalation="care",
)


class CallBench:
    """``kept`` ``None``: what was kept is not readable (yet)."""

    def __init__(self, plan: RoomPlan = ROOM, kept: Mapping[str, Json] | None = {}) -> None:
        self.now: Ms = 0
        self.facts: list[Fact] = []
        self.relays: dict[str, bool] = {}
        self.drives: list[tuple[Ms, str, bool]] = []
        self.call: Call = call.start(plan, 0)
        if kept is not None:
            self.restore(0, kept)

    def until(self, now: Ms) -> Call:
        while (due := call.wake_at(self.call)) is not None and due <= now:
            self.now = max(due, self.now)
            self._step(None)
        self.now = now
        return self.call

    def at(self, now: Ms, event: CallEvent) -> Call:
        self.until(now)
        return self._step(event)

    def _step(self, event: CallEvent | None) -> Call:
        step = call.step(self.call, event, self.now)
        self.call = step.state
        for fact in step.facts:
            assert fact.data.keys() <= KINDS[fact.kind].fields.keys(), fact
        self.facts += step.facts
        for drive in step.effects:
            assert isinstance(drive, Drive)
            same = self.relays.get(drive.point, False) == drive.on
            assert not same or drive.point == "wc.lamp", "driven to where it is"
            self.relays[drive.point] = drive.on
            self.drives.append((self.now, drive.point, drive.on))
        return self.call

    # --- what people do

    def cord(self, now: Ms, cord: Cord, point: str = "wc.cord") -> Call:
        return self.at(now, CordSeen(point, cord, now))

    def pull(self, now: Ms, point: str = "wc.cord") -> Call:
        """Pulled, and let go a second later."""
        self.cord(now, "pulled", point)
        return self.cord(now + 1000, "normal", point)

    def acknowledge(self, now: Ms, by: str = "web:3", attends: str = "") -> Call:
        return self.at(now, Acknowledged(by, "web", "c1", attends))

    def see(self, now: Ms, by: str = "mqtt:sites") -> Call:
        return self.at(now, CallSeen(by, "mqtt", "c3"))

    def attend(self, now: Ms) -> Call:
        return self.at(now, PresencePressed("wc.presence", now))

    def cancel(self, now: Ms) -> Call:
        return self.at(now, CancelPressed("wc.cancel", now))

    def test(self, now: Ms, for_ms: Ms = 600_000) -> Call:
        return self.at(now, TestSet(for_ms, "web:3", "c2"))

    def restore(self, now: Ms, kept: Mapping[str, Json]) -> Call:
        return self.at(
            now, Restored(call_saved.SAVED.read(dict(kept), Times()) or call_saved.NONE_SAVED)
        )

    def clock(self, now: Ms, offset_ms: int = OFFSET) -> Call:
        return self.at(now, ClockKnown(offset_ms))

    def kept(self, offset_ms: int | None = OFFSET) -> dict[str, Json]:
        saved = call_saved.SAVED.write(self.call, Times(offset_ms))
        assert isinstance(saved, dict)
        return saved

    def restarted(self, *, offset_ms: int | None = OFFSET) -> CallBench:
        """Where it stood, in another boot."""
        return CallBench(self.call.plan, self.kept(offset_ms))

    # --- what it says

    @property
    def shown(self) -> CallShown:
        return call_shown(self.call, OFFSET)

    def told(self) -> list[str]:
        """Each fact as one word, with what matters of it."""
        words = []
        for fact in self.facts:
            data = fact.data
            word = fact.kind.removeprefix("call_")
            if word == "raised":
                word += f" {data['call']} {data['cause']} {data['pulls']}"
            if data.get("test"):
                word += " test"
            if word == "room_test":
                word += f" {data['active']}" + (f" {data['reason']}" if data["reason"] else "")
            words.append(word)
        return words

    def lamps(self) -> str:
        """What is on, in one word each; the room lamp counts in both halves."""
        on = [
            name for name in ("reassurance", "sounder", "unlock") if self.relays.get(f"wc.{name}")
        ]
        flashing = ["flashing"] if self.call.blink_at_ms is not None else []
        return " ".join([*on, *flashing])
