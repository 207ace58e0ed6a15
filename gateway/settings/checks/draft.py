"""The configuration half judged: every part read, their relations not looked at yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from gateway.settings.model.backup import Backup
from gateway.settings.model.configuration import Gateway, House, Journal, Point, Retention, Watch
from gateway.settings.model.doors import Door, Interlock
from gateway.settings.model.link import Heartbeat, Push, Web
from gateway.settings.model.messages import Messages
from gateway.settings.model.rooms import Contact, EscalationStep, Room
from gateway.settings.model.sites import Group, Sites
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.problems import Adjusted, Problem
from gateway.settings.values.reading import Loc, Part, Reading, part_text, place
from gateway.settings.values.types import Model


class Escalation(Model):
    """The steps of one escalation; in the file the list itself."""

    steps: tuple[EscalationStep, ...]
    """Its steps; no unit, a list."""


def wiring_name(role: str, point: str, driver: str) -> str:
    """How a terminal that may stay is remembered: another driver or role is another name."""
    return f"{role} {point} {driver}"


@dataclass(slots=True)
class LinksDraft:
    """What every sort of configuration has: broker, store, page and lives."""

    SECTION: ClassVar[str] = ""
    """The section that says what this is the configuration of."""
    reading: Reading
    mqtt: Part[Any] | None = field(default=None, kw_only=True)
    record: Part[Any] | None = field(default=None, kw_only=True)
    web: Part[Web] | None = field(default=None, kw_only=True)
    retention: Part[Retention] | None = field(default=None, kw_only=True)
    adjust: bool = field(default=False, kw_only=True)
    """Whether a value beyond a bound is replaced by the nearest one, instead of refused."""
    adjusted: list[Adjusted] = field(default_factory=list, kw_only=True)
    """Those that were."""

    def report(self, part: Part[Any], loc: Loc, message: str, hint: str) -> None:
        """A problem at a value of a part; where the value is not there, at the part."""
        mark, key = place(part, loc, at_key=False)
        self.reading.problem(mark, key, message, hint)

    def bound(
        self, part: Part[Any], field_name: str, nearest: Any, shown: str, message: str, hint: str
    ) -> None:
        """A value of a part is beyond what is allowed: a problem, or replaced by ``nearest``
        (``shown``) where a start must not fail. For bounds that a version before did not have."""
        key_in_part = field_name.removesuffix("_ms").removesuffix("_bytes")
        if not self.adjust or part.value is None:
            self.report(part, (key_in_part,), message, hint)
            return
        mark, key = place(part, (key_in_part,), at_key=False)
        problem = Problem(mark.file, mark.line, mark.column, key, message, hint)
        self.adjusted.append(Adjusted(part_text(part, (key_in_part,)), shown, problem))
        part.value = part.value.model_copy(update={field_name: nearest})

    def bench(self) -> bool:
        """Whether the file says ``bench: true``; also where that part has errors of its own."""
        part: Part[Any] | None = getattr(self, self.SECTION)
        if part is None:
            return False
        return part.value is None or bool(part.value.bench) or "bench" in part.bad


@dataclass(slots=True)
class Draft(LinksDraft):
    """All parts of a gateway's configuration by the names of their sections."""

    SECTION: ClassVar[str] = "gateway"
    drivers: Mapping[str, DriverInfo]
    gateway: Part[Gateway] | None = None
    house: Part[House] | None = None
    points: dict[str, Part[Point]] = field(default_factory=dict)
    doors: dict[str, Part[Door]] = field(default_factory=dict)
    rooms: dict[str, Part[Room]] = field(default_factory=dict)
    interlocks: dict[str, Part[Interlock]] = field(default_factory=dict)
    watch: dict[str, Part[Watch]] = field(default_factory=dict)
    contacts: dict[str, Part[Contact]] = field(default_factory=dict)
    escalations: dict[str, Part[Escalation]] = field(default_factory=dict)
    messages: Part[Messages] | None = None
    journal: Part[Journal] | None = None
    push: Part[Push] | None = None
    backup: Part[Backup] | None = None
    heartbeat: Part[Heartbeat] | None = None
    accepted: Collection[str] = ()
    """Names of terminals that may stay although they break a rule of wiring: they were in use
    before that was checked."""
    stays: list[tuple[str, str]] = field(default_factory=list)
    """(role, point) of those that do."""
    uncertain: set[str] = field(default_factory=set)
    """Texts in parts that could not be read whole: points named there may be used."""

    def may_stay(self, role: str, point: str) -> bool:
        """Whether a terminal that breaks a rule of wiring was in use before; it is noted."""
        value = self.points[point].value
        stays = value is not None and wiring_name(role, point, value.driver) in self.accepted
        if stays and (role, point) not in self.stays:
            self.stays.append((role, point))
        return stays

    def sections(self) -> Iterator[tuple[str, Part[Any]]]:
        """Every part that there is, with the name of its section."""
        for name in (one.name for one in fields(self)):
            value = getattr(self, name)
            if isinstance(value, Part):
                yield name, value
            elif isinstance(value, dict) and name != "drivers":
                for part in value.values():
                    yield name, part

    def choices(self, section: str) -> list[str]:
        """The names of a section, in the order of the file."""
        return list(getattr(self, section))


@dataclass(slots=True)
class SitesDraft(LinksDraft):
    """All parts of a centre's configuration by the names of their sections."""

    SECTION: ClassVar[str] = "sites"
    sites: Part[Sites] | None = None
    groups: dict[str, Part[Group]] = field(default_factory=dict)
