"""State diagrams of the machines of the core, drawn by walking ``step``.

A machine is explored from its start: every event of a small alphabet, and time up to the
next deadline, from every state that was reached. What is drawn is a *view* of the states
(a short name such as ``opening``), with an arrow for every step that leads from one view
to another. So a diagram shows what the code does, and is fresh or the test fails.

To add a machine: write a function that returns ``draw(...)`` and name it in ``DIAGRAMS``.
``python -m tests.house_rules.diagrams`` (in the checkout) writes the file anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.core.door import door, interlock
from gateway.core.door.door import Door
from gateway.core.door.interlock import Interlock, Seen
from gateway.core.events import AcknowledgeAlarm, Issuer, Level, ShelveAlarm
from gateway.core.instant import Ms
from gateway.core.machine import Step
from gateway.core.notification import alarms
from gateway.core.notification.alarms import Alarms
from gateway.core.plan import FirePlan, InterlockPlan
from gateway.core.room import call
from gateway.core.room.call_record import Call
from gateway.core.signals import contact
from gateway.core.signals.contact import Contact
from tests import plans

FILE: Final = Path(__file__).parents[2] / "gateway" / "core" / "DIAGRAMS.md"
LIMIT: Final = 20_000
"""More states than any machine here has, seen as the diagram sees them: an endless walk."""

S = TypeVar("S")
E = TypeVar("E")
Arrow = tuple[str, str, str]


def draw(
    start: S,
    alphabet: Mapping[str, Callable[[Ms], E]],
    step: Callable[[S, E | None, Ms], Step[S]],
    wake_at: Callable[[S], Ms | None],
    view: Callable[[S], str],
    same: Callable[[S], Hashable],
) -> str:
    """A Mermaid diagram of the machine.

    ``alphabet``: the name of each event, and how it is made at an instant. ``view``: the
    name of a state in the diagram. ``same``: two states with the same value behave alike
    and are walked once (leave out instants and counters, or the walk has no end)."""
    arrows: dict[Arrow, None] = {}
    seen, waiting = {same(start)}, deque([(start, 0)])
    while waiting:
        assert len(seen) < LIMIT, "the walk has no end: `same` tells too many states apart"
        state, now = waiting.popleft()
        for name, after, then in _steps(state, now, alphabet, step, wake_at):
            if view(after) != view(state):
                arrows[view(state), view(after), name] = None
            if same(after) not in seen:
                seen.add(same(after))
                waiting.append((after, then))
    return _mermaid(view(start), arrows)


def _steps(
    state: S,
    now: Ms,
    alphabet: Mapping[str, Callable[[Ms], E]],
    step: Callable[[S, E | None, Ms], Step[S]],
    wake_at: Callable[[S], Ms | None],
) -> list[tuple[str, S, Ms]]:
    """Every way to go on: each event one millisecond later, and time up to the next deadline.

    A step that comes at a deadline lives it first, so events are only tried before it."""
    due = wake_at(state)
    ways = [] if due is None else [("time", step(state, None, max(due, now)).state, max(due, now))]
    if due is None or due > now + 1:
        at = now + 1
        ways += [(name, step(state, make(at), at).state, at) for name, make in alphabet.items()]
    return ways


def _mermaid(first: str, arrows: Mapping[Arrow, None]) -> str:
    """Arrows between the same two states are one, with all their reasons."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for source, target, name in sorted(arrows):
        grouped.setdefault((source, target), []).append(name)
    lines = [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in grouped.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```"])


# --- the door -----------------------------------------------------------------------------

DOOR: Final = plans.door(
    "front",
    "Front",
    "activation",
    leaf="leaf",
    strike="strike",
    hold_open="hold",
    left_open_after_ms=60_000,
    fire=FirePlan("fire", "open"),
)
REQUESTS: Final = {
    "request": lambda now: door.Requested("button", "outside", "button", None, now),
}
LEAF: Final = {
    "leaf leaves closed": lambda now: door.LeafSeen(True, now),
    "leaf closed": lambda now: door.LeafSeen(False, now),
    "leaf unknown": lambda now: door.LeafSeen(None, now),
}
MODES: Final = {
    "automatic": lambda _: door.ModeChanged("automatic", "schedule"),
    "hold open": lambda _: door.ModeChanged("hold_open", "schedule"),
    "off": lambda _: door.ModeChanged("off", "schedule"),
}
FIRE: Final = {
    "fire": lambda _: door.FireSeen(True),
    "fire over": lambda _: door.FireSeen(False),
}


def door_diagram() -> str:
    """What the leaf of a door does, as far as anybody can say."""
    return _door({**REQUESTS, **LEAF, **MODES}, lambda one: one.state)


def relays_diagram() -> str:
    """What the relays of a door do: the phase of the opening, and what is on in it."""
    return _door({**REQUESTS, **LEAF, **MODES, **FIRE}, _relays_on)


def interlock_diagram() -> str:
    """Two doors of an interlock, and which of them may open."""
    group = InterlockPlan("lock", ("a", "b"), 10_000)
    told = {"opens": (True, False), "waits": (False, True), "is done": (False, False)}
    alphabet = {
        f"{name} {what}": _always(Seen(name, busy, waits))
        for name in group.doors
        for what, (busy, waits) in told.items()
    }

    def view(lock: Interlock) -> str:
        free = [name for name in group.doors if interlock.free_for(lock, name)]
        return "_and_".join(free) + "_free" if free else "none_free"

    def same(lock: Interlock) -> Hashable:
        return lock.busy, lock.waiting

    start = interlock.start(group, 0).state
    return draw(start, alphabet, interlock.step, interlock.wake_at, view, same)


def contact_diagram() -> str:
    """What is made of the edges of a button: the level that counts, and what is not believed."""
    plan = plans.button("button", chatter_changes=3)
    alphabet: dict[str, Callable[[Ms], Level]] = {
        "pressed": lambda now: Level("button", True, now),
        "released": lambda now: Level("button", False, now),
        "not readable": lambda now: Level("button", None, now, "gone"),
    }

    def view(one: Contact) -> str:
        if one.window_ends_ms is not None:
            return "chattering"
        level = {True: "active", False: "inactive", None: "unknown"}[one.active]
        return "stuck" if one.stuck and one.active else level

    def same(one: Contact) -> Hashable:
        pending, counted = _set(one.settle_at_ms), min(one.counted, 2)
        level = (one.active, one.raw, one.heard, one.stuck)
        return view(one), level, pending, len(one.recent_ms), counted

    return draw(contact.start(plan, 0), alphabet, contact.step, contact.wake_at, view, same)


def alarm_diagram() -> str:
    """The life of one alarm on the list. *none*: not on it."""
    name, by = "door/left_open", Issuer("web:3", "web")
    alphabet: dict[str, Callable[[Ms], alarms.Event]] = {
        "condition comes": _always(alarms.Raised("door", "left_open", "fault")),
        "condition goes": _always(alarms.Cleared("door", "left_open")),
        "acknowledged": lambda now: AcknowledgeAlarm("a", by, now + 5000, name),
        "shelved": lambda now: ShelveAlarm("s", by, now + 5000, name, 3_600_000),
        "off the shelf": lambda now: ShelveAlarm("s", by, now + 5000, name, 0),
    }

    def step(one: Alarms, event: alarms.Event | None, now: Ms) -> Step[Alarms]:
        if isinstance(event, AcknowledgeAlarm | ShelveAlarm) and not alarms.find(one, name):
            return Step(one)
        return alarms.step(one, event, now)

    def view(one: Alarms) -> str:
        alarm = alarms.find(one, name)
        return "none" if alarm is None else alarm.state

    def same(one: Alarms) -> Hashable:
        alarm = alarms.find(one, name)
        if alarm is None:
            return None
        seen = alarm.acknowledged_by is not None
        return alarm.standing, seen, alarm.shelved, alarm.told, _set(alarm.told_ms)

    return draw(Alarms(), alphabet, step, alarms.wake_at, view, same)


def call_diagram() -> str:
    """The call of a room with one cord (*test*: in test mode). *Cancelled*: in the room."""
    # Without a room lamp: its flashing is time that leads nowhere.
    plan = plans.room("wc", "WC", cords=("cord",), cancel="cancel", presence="presence")
    alphabet: dict[str, Callable[[Ms], call.CallEvent]] = {
        "pull": lambda now: call.CordSeen("cord", "pulled", now),
        "let go": lambda now: call.CordSeen("cord", "normal", now),
        "acknowledged": _always(call.Acknowledged("web:3", "web", "a")),
        "attended": lambda now: call.PresencePressed("presence", now),
        "cancelled": lambda now: call.CancelPressed("cancel", now),
        "test": _always(call.TestSet(600_000, "web:3", "t")),
        "test ended": _always(call.TestSet(0, "web:3", "t")),
    }

    def step(one: Call, event: call.CallEvent | None, now: Ms) -> Step[Call]:
        """As the building does it: no test begins while a real call stands."""
        if isinstance(event, call.TestSet) and one.record is not None and not one.record.test:
            return Step(one)
        return call.step(one, event, now)

    def view(one: Call) -> str:
        test = one.record.test if one.record is not None else one.test_until_ms is not None
        stuck = "_cord_stuck" if one.stuck else ""
        return f"test_{one.state}{stuck}" if test else f"{one.state}{stuck}"

    def same(one: Call) -> Hashable:
        record = one.record
        at = record and (_set(record.attend_by.ms), record.test)
        return one.state, at, one.pulled, one.stuck, _set(one.test_until_ms)

    return draw(call.start(plan, 0), alphabet, step, call.wake_at, view, same)


def _always(event: E) -> Callable[[Ms], E]:
    """An event that is the same at every instant."""
    return lambda _: event


def _door(alphabet: Mapping[str, Callable[[Ms], Any]], view: Callable[[Door], str]) -> str:
    start = door.start(DOOR, 0).state
    return draw(start, alphabet, door.step, door.wake_at, view, _without_time)


def _relays_on(one: Door) -> str:
    names = (("strike", one.strike), ("activation", one.activation), ("hold_open", one.hold_open))
    on = [name for name, is_on in names if is_on]
    return "__".join([one.opening.phase, *on])


def _without_time(one: Door) -> Hashable:
    """A door with every instant reduced to whether it is set, and no counters."""
    opening, leaf = one.opening, one.leaf
    given = replace(
        opening,
        until_ms=_set(opening.until_ms),
        lock_at_ms=_set(opening.lock_at_ms),
        hold_until_ms=_set(opening.hold_until_ms),
    )
    asked = leaf.attempt and (leaf.attempt.cause, leaf.attempt.by_ms is None)
    away = leaf.opened and (leaf.opened.cause, leaf.opened.assumed)
    known = (leaf.seen, asked, away, leaf.driven, leaf.kept, leaf.closing)
    clocks = (leaf.close_by_ms, leaf.left_open_at_ms, leaf.assumed_until_ms)
    kinds = tuple(condition.kind for condition in one.conditions)
    return one.mode, one.fire, given, known, tuple(map(_set, clocks)), kinds


def _set(instant_ms: Ms | None) -> Ms | None:
    return None if instant_ms is None else 0


# --- the file -----------------------------------------------------------------------------

DIAGRAMS: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("Door: the leaf", door_diagram),
    ("Door: the relays", relays_diagram),
    ("Interlock of two doors", interlock_diagram),
    ("Emergency call", call_diagram),
    ("Contact", contact_diagram),
    ("Alarm", alarm_diagram),
)
"""Title and maker of every diagram, in the order of the file."""

HEAD: Final = """# The machines of the core, drawn from their code

Written by `tests/house_rules/diagrams.py`, which walks `step` from the start of each
machine and notes what leads where; a test says when this file is no longer what the code
does. *time* is the next deadline of the machine. The essays are in the files themselves.
"""


def document() -> str:
    """The whole of ``DIAGRAMS.md``."""
    parts = [f"## {title}\n\n{_sentence(make)}\n\n{make()}\n" for title, make in DIAGRAMS]
    return "\n".join([HEAD, *parts])


def _sentence(make: Callable[[], str]) -> str:
    assert make.__doc__, f"{make.__name__} says what it draws"
    return make.__doc__.strip()


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
