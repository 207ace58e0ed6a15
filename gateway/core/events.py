"""What can happen to the building: everything that :func:`gateway.core.building.step` takes.

Two sorts: what is reported (:data:`Reported`: the terminal strip, the clock, the journal, and
``notify``), and what people and other roles ask for (commands, which carry an ``id``, an
:class:`Issuer` and the monotonic instant after which they are void). :class:`CommandRefused` is a
command that was refused on its way here.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.instant import Ms, UtcMs
from gateway.core.values import dataclass

Mode = Literal["automatic", "exit_only", "hold_open", "night", "off"]
MODES: tuple[Mode, ...] = ("automatic", "exit_only", "hold_open", "night", "off")


# --- from the terminal strip -------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """The level of a contact, at start and at every edge.

    ``active`` is what the wiring means (pressed, open, pulled), not volts; ``None`` when
    the driver cannot tell. ``edge_ms`` is the instant of the edge itself as the kernel
    stamped it, which may lie before the ``now`` of the step.
    """

    point: str
    active: bool | None
    edge_ms: Ms
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """One value of a meter. ``None`` when the sensor did not answer, with the reason."""

    point: str
    quantity: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class RelayFault:
    """A relay that could not be driven (``reason``), or can be again (empty reason)."""

    point: str
    reason: str


@dataclass(frozen=True)
class CivilTime:
    """The wall clock as it stands at the step's ``now``, and whether it is trusted. ``settled``:
    civil time may end what cannot begin again (see :mod:`gateway.core.signals.clock`)."""

    utc_ms: UtcMs
    trusted: bool
    settled: bool = True


@dataclass(frozen=True)
class JournalState:
    """The journal can (empty reason) or cannot keep what happens."""

    reason: str


@dataclass(frozen=True)
class CertificateState:
    """Which certificates of the gateway end soon, have ended or are not valid yet: their names,
    with commas; empty: none."""

    names: str


@dataclass(frozen=True)
class Delivered:
    """What became of a message (:class:`gateway.core.effects.Send`). ``ok``: the channel has
    taken it; else ``reason`` says why not. ``medium``: such as ``mail``; empty where the address
    was not read."""

    delivery: str
    ok: bool
    reason: str = ""
    medium: str = ""


@dataclass(frozen=True)
class Issuer:
    """Who asks. ``name`` is ``web:<user id>``, ``cli:<unix user>``, ``mqtt:<issuer>``
    or ``link:<receiver>`` (the signed link of a message), ``via`` the interface; neither is a
    person's name."""

    name: str
    via: Literal["web", "cli", "mqtt", "bench", "link"]


@dataclass(frozen=True)
class CommandRefused:
    """A command that somebody refused before it came here (``link``: its signature, its age).
    It is a fact, limited like every refusal, and needs no reply."""

    command: str
    name: str
    issuer: Issuer
    reason: str


# --- commands ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """The envelope of every command: at or after ``expires_ms`` it is refused as ``expired``."""

    id: str
    issuer: Issuer
    expires_ms: Ms


@dataclass(frozen=True)
class OpenDoor(Command):
    door: str
    reason: str = ""


@dataclass(frozen=True)
class SetMode(Command):
    """``mode`` ``"schedule"`` ends an override. ``until_utc_ms`` wins over ``for_ms``; with
    neither the door's ``override_for_ms`` counts."""

    door: str
    mode: Mode | Literal["schedule"]
    until_utc_ms: UtcMs | None = None
    for_ms: Ms | None = None


@dataclass(frozen=True)
class SetService(Command):
    """Service mode of a door: its fault alarms are muted for ``for_ms`` (at most 8 h, 0 ends)."""

    door: str
    for_ms: Ms


@dataclass(frozen=True)
class AcknowledgeAlarm(Command):
    alarm: str


@dataclass(frozen=True)
class ShelveAlarm(Command):
    """Hide a fault or notice for ``for_ms``; 0 takes it off the shelf."""

    alarm: str
    for_ms: Ms


@dataclass(frozen=True)
class TestRelay(Command):
    """Commissioning: switch one relay on for ``for_ms``."""

    __test__ = False  # not a test class, whatever its name says to pytest

    point: str
    for_ms: Ms


ATTENDS_MOST = 40
"""Characters of the name of who goes to a call."""


@dataclass(frozen=True)
class AcknowledgeCall(Command):
    """Somebody goes to a call. ``call`` is a room or the id of a call; ``attends``: the name of who
    goes, where that is another than who asks. ``seen_only``: nobody goes yet, and sounder and
    messages continue. There is no command that ends a call: that is done in the room."""

    call: str
    attends: str = ""
    seen_only: bool = False


@dataclass(frozen=True)
class TestRoom(Command):
    """Test mode of a room for ``for_ms``; 0 ends it."""

    __test__ = False

    room: str
    for_ms: Ms


@dataclass(frozen=True)
class ResetAlarm(Command):
    """Staff have looked: a latched alarm (a leak that is dry again) may go."""

    alarm: str


@dataclass(frozen=True)
class ConfirmMessage(Command):
    """The receiver of a test message has it."""

    delivery: str


@dataclass(frozen=True)
class TestMessage(Command):
    """A test message to ``receiver`` now, over each of their channels."""

    __test__ = False

    receiver: str


@dataclass(frozen=True)
class ConfirmClock(Command):
    """A person has compared the time with another clock: it is right."""


AnyCommand = (
    OpenDoor
    | SetMode
    | SetService
    | AcknowledgeAlarm
    | ShelveAlarm
    | ResetAlarm
    | TestRelay
    | AcknowledgeCall
    | TestRoom
    | ConfirmMessage
    | TestMessage
    | ConfirmClock
)
Reported = Level | Reading | RelayFault | CivilTime | JournalState | CertificateState | Delivered
Event = Reported | CommandRefused | AnyCommand
