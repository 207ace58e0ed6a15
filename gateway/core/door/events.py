"""What a door is told: all that :func:`gateway.core.door.door.step` takes."""

from __future__ import annotations

from typing import Literal

from gateway.core.door.rules import RequestKind
from gateway.core.events import Mode
from gateway.core.instant import Ms, UtcMs
from gateway.core.plan import Side
from gateway.core.values import dataclass

ModeSource = Literal["schedule", "override", "switch", "safe", "fire"]


@dataclass(frozen=True)
class Requested:
    """Somebody asks for the door. ``pressed_ms``: the edge of the press, or the instant of the
    command; ``note``: the reason that staff gave; at ``expires_ms`` a command is void."""

    kind: RequestKind
    side: Side | None
    activator: str | None
    hold_open_ms: Ms | None
    pressed_ms: Ms
    by: str | None = None
    via: str | None = None
    command: str | None = None
    note: str = ""
    expires_ms: Ms | None = None


@dataclass(frozen=True)
class LeafSeen:
    """The leaf contact: open, closed, or not known. ``edge_ms``: when it changed."""

    open: bool | None
    edge_ms: Ms


@dataclass(frozen=True)
class BoltSeen:
    """The bolt contact: the bolt is out, is not, or is not known."""

    locked: bool | None


@dataclass(frozen=True)
class OperatorFaultSeen:
    """The operator's own fault contact."""

    active: bool | None


@dataclass(frozen=True)
class PresenceSeen:
    """Somebody stands in the doorway."""

    active: bool | None


@dataclass(frozen=True)
class FireSeen:
    """The fire alarm contact of this door; ``None`` keeps the level that was known last."""

    active: bool | None


@dataclass(frozen=True)
class ModeChanged:
    """Another mode rules, or the same one from another source."""

    mode: Mode
    source: ModeSource
    until_utc_ms: UtcMs | None = None
    by: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class ServiceSet:
    """Service mode for so long; 0 ends it. While it lasts ``building`` mutes fault alarms."""

    for_ms: Ms
    by: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class RelayFailed:
    """A relay of this door could not be driven, or can be again (empty reason)."""

    point: str
    reason: str


@dataclass(frozen=True)
class RelayLimited:
    """The time limit of a relay of this door has switched it off, or whoever switched it on has
    let go since (not ``limited``)."""

    point: str
    limited: bool


@dataclass(frozen=True)
class RelayTested:
    """Commissioning has switched a relay of this door on for so long."""

    for_ms: Ms
    by: str


@dataclass(frozen=True)
class Interlocked:
    """Whether the interlock leaves this door free to open, and how long a request may wait
    where it does not (0: refused at once)."""

    free: bool
    wait_ms: Ms = 0


DoorEvent = (
    Requested
    | LeafSeen
    | BoltSeen
    | OperatorFaultSeen
    | PresenceSeen
    | FireSeen
    | ModeChanged
    | ServiceSet
    | RelayFailed
    | RelayLimited
    | RelayTested
    | Interlocked
)
