"""The loop: it lets the machines take their steps, one after the other.

It knows neither doors nor calls. Most pieces of work name a machine and an event: the registry
says how that machine takes it, and the wiring what its step asks of others. Work is done depth
first: what a piece asks for comes before the piece that follows it, so the order of a list is the
order in which things happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from gateway.core.building.registry import MACHINES
from gateway.core.building.state import CONTACT, PRESS, Building
from gateway.core.building.wiring import WIRING, woken
from gateway.core.building.work import (
    At,
    Certificates,
    Do,
    Emit,
    Journal,
    Later,
    Put,
    Service,
    Tell,
    Work,
)
from gateway.core.effects import Effect
from gateway.core.facts import Fact
from gateway.core.instant import Ms
from gateway.core.machine import Broken, Step, replace

DEADLINES_PER_STEP = 1_000_000
"""Upper bound of deadlines in one step. A machine that names a past deadline again and again is a
bug, and would loop for ever."""


class Loop:
    """One step of the building under way. ``building.now_ms`` moves through the deadlines up to
    ``until_ms``. ``present_ms`` is later than that where the loop comes late; relays switch, and
    presses are answered, at ``present_ms`` (see :mod:`gateway.core.building`).

    ``building`` is a copy that nobody else has before the step ends. It is changed in place,
    because each copy would delay the press."""

    __slots__ = ("_fields", "building", "effects", "facts", "present_ms", "until_ms", "wakes")

    def __init__(self, building: Building, until_ms: Ms, present_ms: Ms) -> None:
        self.wakes = dict(building.wakes)
        self.building = replace(building, wakes=self.wakes)
        self._fields = self.building.__dict__
        self.until_ms = until_ms
        self.present_ms = present_ms
        self.facts: list[Fact] = []
        self.effects: list[Effect] = []

    def begin(self) -> None:
        """Every machine names its first deadline."""
        for sort, machine in MACHINES.items():
            of_sort = self._fields[machine.field]
            for name, one in ({"": of_sort} if machine.single else of_sort).items():
                self._wake(sort, name, machine.wake_at(one))

    def pass_deadlines(self) -> None:
        """Process every deadline up to ``until_ms``, each at its own time."""
        passed, due_ms = 0, self.building.wake_ms
        while due_ms is not None and due_ms <= self.until_ms:
            sort, name = min(key for key, at_ms in self.wakes.items() if at_ms == due_ms)
            self._fields["now_ms"] = max(due_ms, self.building.now_ms)
            self.do(woken(sort, name))
            due_ms = min(self.wakes.values(), default=None)
            passed += 1
            if passed > DEADLINES_PER_STEP:
                raise Broken("a machine asks to be woken in the past again and again")
        self._fields["now_ms"] = self.until_ms

    def do(self, work: Sequence[Work]) -> None:
        """Do all of this, and whatever it asks for."""
        fields, waiting = self._fields, [*work[::-1]]
        while waiting:
            piece = waiting.pop()
            if not isinstance(piece, Do):
                if isinstance(piece, Tell):
                    self.facts += piece.facts
                elif isinstance(piece, Emit):
                    self.effects += piece.effects
                else:
                    waiting += self._do_other(piece)[::-1]
                continue
            sort, name, event, start = piece
            machine = MACHINES[sort]
            of_sort = fields[machine.field]
            before = of_sort if machine.single else of_sort.get(name, start)
            if machine.instant == "now":
                step = machine.step(before, event, fields["now_ms"])
            elif machine.instant == "present":
                step = machine.step(before, event, self.present_ms)
            else:
                step = machine.step(before, event, fields["now_ms"], self.present_ms)
            if step.state is not before or step.facts or step.effects or start is not None:
                self._keep(sort, name, step.state)
                waiting += WIRING[sort](self.building, name, before, step)[::-1]

    def _do_other(
        self, piece: Later | Put | At | Service | Journal | Certificates
    ) -> Sequence[Work]:
        """The kinds of work that are rare; what they ask for in turn."""
        match piece:
            case Later(ask, values):
                return ask(self.building, *values)
            case Put():
                return self._put(piece)
            case At(now):
                self._fields["now_ms"] = self.present_ms if now is None else now
            case Service(doors):
                self._fields["service"] = doors
            case Journal(reason):
                self._fields["journal"] = reason
            case Certificates(names):
                self._fields["certificates"] = names
            case _:
                assert_never(piece)
        return ()

    def end(self) -> Step[Building]:
        """The building after the step."""
        self._fields["now_ms"] = self.until_ms
        self._fields["wake_ms"] = min(self.wakes.values(), default=None)
        return Step(self.building, tuple(self.facts), tuple(self.effects))

    def _put(self, piece: Put) -> Sequence[Work]:
        sort, name, after, known = piece
        machine = MACHINES[sort]
        of_sort = self._fields[machine.field]
        before = of_sort if machine.single else of_sort.get(name)
        self._keep(sort, name, after)
        return () if known else WIRING[sort](self.building, name, before, Step(after))

    def _keep(self, sort: int, name: str, after: Any) -> None:
        machine = MACHINES[sort]
        if machine.single:
            self._fields[machine.field] = after
        elif machine.finished is not None and machine.finished(after):
            of_sort = self._fields[machine.field]
            self._fields[machine.field] = {one: of_sort[one] for one in of_sort if one != name}
            self._wake(sort, name, None)
            return
        else:
            self._fields[machine.field] = {**self._fields[machine.field], name: after}
        self._wake(sort, name, machine.wake_at(after))

    def _wake(self, sort: int, name: str, at_ms: Ms | None) -> None:
        if sort == CONTACT and self.building.index.contacts[name].activators:
            sort = PRESS
        if at_ms is None:
            self.wakes.pop((sort, name), None)
        else:
            self.wakes[sort, name] = at_ms
