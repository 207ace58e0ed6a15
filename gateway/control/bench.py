"""The bench: doing what people at the terminal strip do, and moving the clock forward.

Only where the configuration says ``bench: true``, and only to simulated points. A journey
through time goes from deadline to deadline, of the building and of the simulated world,
and does at each what is due then; so a recording of a day is lived in seconds, with the
same facts at the same instants every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gateway.control.clock import Clock
from gateway.control.controller import Controller
from gateway.control.inbox import Inbox
from gateway.core.building.state import Building
from gateway.core.facts import Json
from gateway.core.instant import Ms, UtcMs

Answer = Callable[[Mapping[str, object]], None]
BOUNCES_MOST = 100
LIVE_MOST_MS = 86_400_000
"""Of life that goes on in one go: others wait for the controller meanwhile."""
Habits = Callable[[UtcMs, UtcMs], Sequence[tuple[UtcMs, str, bool]]]
"""What people do after one instant and until another: (when, contact, active), in order."""
MS_MOST = 10 * 366 * 86_400_000
"""Of a press and of a journey: ten years."""
STEPS_MOST = 5_000_000
"""Deadlines of one journey: a loop that does not come forward is a bug, not a long way."""


class World(Protocol):
    """The simulated world as the bench uses it. Raises :class:`KeyError` for a point that is
    not simulated, or is of another kind, :class:`ValueError` for a value that it cannot have."""

    def press(self, point: str, for_ms: int = 200, *, bounces: int = 0) -> None: ...

    def set(self, point: str, value: bool | float | None, quantity: str = "") -> None: ...

    def feed(self, point: str, active: bool, edge_ns: int) -> None: ...

    def stick(self, point: str) -> None: ...

    def cut(self, point: str) -> None: ...

    def break_(self, point: str) -> None: ...

    def mend(self, point: str) -> None: ...

    def push(self, leaf: str, for_ms: int | None = None) -> None: ...

    def jam(self, leaf: str, *, shut: bool) -> None: ...

    def show(self) -> Mapping[str, Mapping[str, object]]: ...

    def wake_at_ns(self) -> int | None: ...

    def advance(self) -> None: ...


class Wrong(ValueError):
    """The bench was asked for what it does not know. The text says what."""


class Bench:
    """``do`` is called in the panel's thread; journeys are made in the controller's. ``flush`` has
    the journal written: by the bench's clock what waits there is due after a journey. ``habits``:
    of the people who come while life goes on."""

    def __init__(
        self,
        world: World,
        controller: Controller,
        inbox: Inbox,
        clock: Clock,
        flush: Callable[[], None] = lambda: None,
        habits: Habits = lambda _from, _until: (),
    ) -> None:
        self._habits = habits
        self._flush = flush
        self._world = world
        self._controller = controller
        self._inbox = inbox
        self._clock = clock

    def do(self, what: str, args: Mapping[str, Json], answer: Answer) -> None:
        """Do it, and answer once: ``{"ok": true, …}`` or ``{"error": text}``."""
        if what in ("travel", "play", "live") or "at_ms" in args:
            self._inbox.do(lambda _now: answer(self._safely(what, args)))
        else:
            answer(self._safely(what, args))

    def _safely(self, what: str, args: Mapping[str, Json]) -> Mapping[str, object]:
        try:
            return {"ok": True, **self._do(what, args)}
        except KeyError as error:
            return {"error": f"{error.args[0]}: no such simulated point, or one of another kind"}
        except (ValueError, TypeError, OverflowError) as error:
            return {"error": str(error)}

    def _do(self, what: str, args: Mapping[str, Json]) -> Mapping[str, object]:
        match what:
            case "press":
                bounces = _int(args, "bounces", 0, most=BOUNCES_MOST)
                self._world.press(_point(args), _int(args, "for_ms", 200), bounces=bounces)
            case "set":
                return self._set(args)
            case "show":
                return {"points": self._world.show(), "now_ms": self._clock.now_ms()}
            case "world":
                self._change(args)
            case "travel":
                return self._journey([(self._target(args), None)])
            case "play":
                edges = _edges(args)
                self._near(max(at_ms for at_ms, _ in edges))
                return self._journey(edges)
            case "live":
                return self._live(args)
            case _:
                raise Wrong(f"{what}: the bench knows press, set, show, world, travel, play, live")
        return {}

    def _set(self, args: Mapping[str, Json]) -> Mapping[str, object]:
        value = args.get("value")
        if value is not None and not isinstance(value, bool | int | float):
            raise Wrong("value: true, false, a number or null")
        if "at_ms" in args:
            at_ms = self._near(_int(args, "at_ms", most=None))
            return self._journey([(at_ms, (_point(args), bool(value)))])
        self._world.set(_point(args), value, str(args.get("quantity", "")))
        return {}

    def _change(self, args: Mapping[str, Json]) -> None:
        point = _point(args)
        changes: dict[str, Callable[[], None]] = {
            "stick": lambda: self._world.stick(point),
            "cut": lambda: self._world.cut(point),
            "break": lambda: self._world.break_(point),
            "mend": lambda: self._world.mend(point),
            "push": lambda: self._world.push(
                point, _int(args, "for_ms") if args.get("for_ms") is not None else None
            ),
            "jam_shut": lambda: self._world.jam(point, shut=True),
            "jam_open": lambda: self._world.jam(point, shut=False),
        }
        change = changes.get(str(args.get("change")))
        if change is None:
            raise Wrong(f"change: one of {', '.join(changes)}")
        change()

    # --- journeys, in the controller's thread ---------------------------------------------

    def _target(self, args: Mapping[str, Json]) -> Ms:
        if args.get("by_ms") is not None:
            return self._clock.now_ms() + _int(args, "by_ms")
        to_ms = self._near(_int(args, "to_ms", most=None))
        if to_ms < self._clock.now_ms():
            raise Wrong("that time has passed; the bench's clock goes forward only")
        return to_ms

    def _live(self, args: Mapping[str, Json]) -> Mapping[str, object]:
        """Go on for ``by_ms`` with people who come and go. Nobody who has called for help is left
        alone for that; ``goes_on``: a call within the time before is one of these people's."""
        by_ms = _int(args, "by_ms", most=LIVE_MOST_MS)
        room = calling(self._controller.view[0])
        if room and args.get("goes_on") is not True:
            raise Wrong(f"a call stands in {room}; end it with the button in the room first")
        now, offset_ms = self._clock.now_ms(), self._clock.utc_offset_ms()
        simulated = self._world.show()
        stops: list[tuple[Ms, tuple[str, bool] | None]] = [
            (utc_ms - offset_ms, (point, active))
            for utc_ms, point, active in self._habits(now + offset_ms, now + by_ms + offset_ms)
            if point in simulated
        ]
        return self._journey([*stops, (now + by_ms, None)])

    def _near(self, at_ms: Ms) -> Ms:
        if at_ms - self._clock.now_ms() > MS_MOST:
            raise Wrong("at most ten years at once")
        return at_ms

    def _journey(self, stops: list[tuple[Ms, tuple[str, bool] | None]]) -> Mapping[str, object]:
        """Live from stop to stop, and let an edge happen at each that has one."""
        try:
            self._clock.travel_to(self._clock.now_ms())
            for at_ms, edge in stops:
                self._live_until(at_ms)
                if edge is not None:
                    self._world.feed(edge[0], edge[1], at_ms * 1_000_000)
                    self._settle()
            return {"now_ms": self._clock.now_ms()}
        finally:
            self._clock.go_on()
            self._flush()

    def _live_until(self, target: Ms) -> None:
        for _ in range(STEPS_MOST):
            if self._controller.stopping:
                return
            self._settle()
            due = self._controller.wake_at()
            world_ns = self._world.wake_at_ns()
            if world_ns is not None:
                due = min(due, -(-world_ns // 1_000_000))
            if due >= target or self._clock.now_ms() >= target:
                break
            self._clock.travel_to(due)
        self._clock.travel_to(target)
        self._settle()

    def _settle(self) -> None:
        """Let everything happen that is due now."""
        self._world.advance()
        while (item := self._inbox.take(0)) is not None:
            self._controller.turn(item)
            self._world.advance()
        self._controller.turn(None)


def calling(building: Building) -> str:
    """A room whose call stands, or empty."""
    calls = building.calls.items()
    return next((room for room, call in calls if call.record is not None), "")


def _point(args: Mapping[str, Json]) -> str:
    point = args.get("point")
    if not isinstance(point, str):
        raise Wrong("point: the name of a point")
    return point


def _int(
    args: Mapping[str, Json], key: str, default: int | None = None, most: int | None = MS_MOST
) -> int:
    """Without ``most`` an instant, which may be before this machine was switched on."""
    value = args.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"{key}: whole milliseconds" if key.endswith("_ms") else f"{key}: an integer")
    if most is not None and not 0 <= value <= most:
        raise Wrong(f"{key}: 0 to {most}")
    return value


def _edges(args: Mapping[str, Json]) -> list[tuple[Ms, tuple[str, bool] | None]]:
    edges = args.get("edges")
    stops: list[tuple[Ms, tuple[str, bool] | None]] = []
    for edge in edges if isinstance(edges, list) else []:
        match edge:
            case [int(at_ms), str(point), bool(active)]:
                stops.append((at_ms, (point, active)))
            case _:
                raise Wrong("edges: a list of [ms, point, true or false]")
    if not stops:
        raise Wrong("edges: a list of [ms, point, true or false]")
    return stops
