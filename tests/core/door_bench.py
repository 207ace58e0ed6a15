"""One door on the bench: it is told events at their times and lives its deadlines between."""

from __future__ import annotations

from gateway.core.door import door
from gateway.core.door.door import Door, DoorEvent
from gateway.core.door.rules import RequestKind
from gateway.core.effects import Drive, Reply
from gateway.core.events import Mode
from gateway.core.facts import KINDS, Fact, Json
from gateway.core.instant import Ms
from gateway.core.machine import Step
from gateway.core.plan import DoorPlan, FirePlan, OnFire, Side
from tests import plans

PLAN = plans.door("front", "Front", "activation", leaf="leaf", left_open_after_ms=120_000)
"""A pulse drive with a leaf contact and nothing else."""

STRIKE = plans.door("front", "Front", "activation", leaf="leaf", strike="strike")
MAINTAINED = plans.maintained_door("front", "Front", "activation", leaf="leaf")
HOLD = plans.door("front", "Front", "activation", leaf="leaf", hold_open="hold")
BLIND = plans.door("front", "Front", "activation")
"""No leaf contact."""
TOGGLE = plans.door("front", "Front", "activation", leaf="leaf", toggle=True)
LAMP = plans.door("front", "Front", "activation", leaf="leaf", indicator=plans.indicator("lamp"))


def fire(action: OnFire) -> FirePlan:
    return FirePlan("fire", action)


class Bench:
    """A door, its relays as they are driven, and everything it ever said."""

    def __init__(self, plan: DoorPlan = PLAN, *, leaf: bool | None = False, at: Ms = 0) -> None:
        self.now = at
        self.facts: list[Fact] = []
        self.replies: list[Reply] = []
        self.levels: dict[str, bool] = {}
        self.drives: list[tuple[Ms, str, bool]] = []
        self.door: Door = self._note(door.start(plan, at))
        self.drives.clear()
        if plan.leaf is not None and leaf is not None:
            self.leaf(at, leaf)

    def until(self, now: Ms) -> Door:
        """Live every deadline up to ``now`` at its own time."""
        while (due := door.wake_at(self.door)) is not None and due <= now:
            self.now = max(due, self.now)
            self._note(door.step(self.door, None, self.now))
        self.now = now
        return self.door

    def at(self, now: Ms, event: DoorEvent) -> Door:
        self.until(now)
        return self._note(door.step(self.door, event, now))

    def press(
        self,
        now: Ms,
        kind: RequestKind = "button",
        side: Side | None = "outside",
        *,
        hold_ms: Ms | None = None,
        edge_ms: Ms | None = None,
    ) -> str:
        """Somebody presses; what came of it."""
        edge_ms = now if edge_ms is None else edge_ms
        return self._ask(now, door.Requested(kind, side, f"front.{kind}", hold_ms, edge_ms))

    def staff(self, now: Ms, note: str = "", *, command: str = "c1", expires_ms: Ms = 10**9) -> str:
        """Staff ask; what came of it."""
        return self._ask(
            now,
            door.Requested(
                "staff",
                None,
                None,
                None,
                now,
                by="web:7",
                via="web",
                command=command,
                note=note,
                expires_ms=expires_ms,
            ),
        )

    def leaf(self, now: Ms, is_open: bool | None) -> Door:
        return self.at(now, door.LeafSeen(is_open, now))

    def mode(self, now: Ms, mode: Mode) -> Door:
        return self.at(now, door.ModeChanged(mode, "override"))

    def fire(self, now: Ms, active: bool | None) -> Door:
        return self.at(now, door.FireSeen(active))

    def told(self, kind: str) -> list[dict[str, Json]]:
        """The data of every fact of this kind."""
        return [dict(fact.data) for fact in self.facts if fact.kind == kind]

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def times(self, point: str) -> list[Ms]:
        """When this relay was switched, on first, off second, and so on."""
        switched = [(ms, on) for ms, name, on in self.drives if name == point]
        assert [on for _, on in switched] == [i % 2 == 0 for i in range(len(switched))]
        return [ms for ms, _ in switched]

    def standing(self) -> list[str]:
        return [kind for kind, _ in self.door.conditions]

    def _ask(self, now: Ms, request: door.Requested) -> str:
        before = len(self.told("door_request"))
        self.at(now, request)
        answers = self.told("door_request")[before:]
        if not answers:
            return "waits"
        (answer,) = answers
        reason = answer["reason"]
        return f"{answer['outcome']}: {reason}" if reason else str(answer["outcome"])

    def _note(self, step: Step[Door]) -> Door:
        self.door = step.state
        for fact in step.facts:
            assert set(fact.data) <= set(KINDS[fact.kind].fields), fact
        self.facts += step.facts
        for effect in step.effects:
            match effect:
                case Drive(point=point, on=on):
                    self.levels[point] = on
                    self.drives.append((self.now, point, on))
                case Reply():
                    self.replies.append(effect)
        return self.door
