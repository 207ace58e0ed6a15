"""What is said over the panel: one JSON object a line, checked before anybody acts on it.

A client says ``hello`` with its role first. Then it may send commands, what became of
events (``sent``, ``recorded``), what it knows of the clock and the broker, audit entries,
and on a bench what a person at the terminal strip would do. ``control`` answers with
``snapshot``, ``rows``, ``reply`` and ``bench``. ``notify`` hears of messages only (``send``, and
``device_test`` for the page), says what became of each (``delivered``, ``device_tested``) and of
the heartbeat, and every 10 s that it works (``notify``).

:func:`parse` takes one line of a client and gives a typed message. It raises
:class:`MalformedField` for a field that is not as it should be, which is answered with an error,
and :class:`Malformed` for anything else, after which the connection is closed: who cannot speak
the language has no business at the door.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.core.facts import LANES, Json, Lane
from gateway.panel.commands import COMMANDS, CommandMessage, command
from gateway.panel.fields import (
    MAX_LIFE_MS,
    MAX_TEXT,
    Malformed,
    MalformedField,
    Raw,
    Via,
    boolean,
    duration,
    integer,
    maybe,
    number,
    numbered,
    pairs,
    table,
    text,
    via,
    wrong,
)
from gateway.wire import read_json

__all__ = [
    "CLOCK_ROLES",
    "COMMANDS",
    "HEALTH_MS",
    "MAX_LIFE_MS",
    "MAX_TEXT",
    "AuditNote",
    "Bench",
    "BrokerLimits",
    "CertificatesTold",
    "ClockTold",
    "CommandMessage",
    "DeliveredTold",
    "DeviceTestAsked",
    "DeviceTested",
    "Forget",
    "HeartbeatTold",
    "Hello",
    "LinkTold",
    "Malformed",
    "MalformedField",
    "Message",
    "NotifyTold",
    "PointTold",
    "Recorded",
    "Refused",
    "Role",
    "Sent",
    "SettingsAsked",
    "encode",
    "parse",
]  # fmt: skip

MAX_LINE = 65_536
"""Bytes of one line from a client, its line feed included."""
MAX_SNAPSHOT = 4 * 1024 * 1024
"""Bytes of one line from control that a client accepts."""
HEALTH_MS = 30_000
"""How often ``link`` publishes its health, and says on the panel that it does."""
Role = Literal["web", "link", "notify", "record", "cli"]
ROLES: tuple[Role, ...] = ("web", "link", "notify", "record", "cli")
CLOCK_ROLES: tuple[Role, ...] = ("link", "web", "notify")
"""Who may ask the time service."""


@dataclass(frozen=True, slots=True)
class Hello:
    role: Role


@dataclass(frozen=True, slots=True)
class Refused:
    """The sender refused a command itself, and the journal shall know."""

    id: str
    name: str
    reason: str
    actor: str
    via: Via


@dataclass(frozen=True, slots=True)
class Sent:
    lane: Lane
    seq: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """``aside``: points that it set aside and that are neither retried nor acknowledged.
    ``foreign``: messages that were not the gateway's."""

    recorder: str
    journal: str
    lanes: Mapping[str, int]
    aside: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class ClockTold:
    """Whether the time service trusts the wall clock, with one reading of both clocks. ``role``:
    of the client that says so."""

    trusted: bool
    utc_ms: int
    monotonic_ms: int
    role: Role = "link"


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker said when the connection was made. ``None``: it names no limit."""

    retain_available: bool = True
    maximum_qos: int = 2
    maximum_packet_size: int | None = None
    topic_alias_maximum: int = 0
    server_keep_alive_s: int | None = None


@dataclass(frozen=True, slots=True)
class LinkTold:
    """The connection to the broker. ``heard_ms``: monotonic ms of the last PUBACK or PINGRESP.
    ``aside``: the newest (topic, reason) of messages that the broker will not take, of
    ``aside_count`` in all."""

    connected: bool
    reason: str
    heard_ms: int | None = None
    keepalive_ms: int | None = None
    aside: tuple[tuple[str, str], ...] = ()
    aside_count: int = 0
    broker: BrokerLimits | None = None


@dataclass(frozen=True, slots=True)
class PointTold:
    """The value of a point that ``link`` listens to: a level (no ``quantity``), or a number.

    ``None``: not known, for ``reason``. ``fresh``: the edge was seen, at ``monotonic_ms``."""

    point: str
    value: bool | float | None
    quantity: str
    reason: str
    fresh: bool
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class DeliveredTold:
    """What became of a message that ``notify`` was given."""

    delivery: str
    ok: bool
    reason: str
    medium: str = ""


@dataclass(frozen=True, slots=True)
class DeviceTestAsked:
    """The page asks for a test message to one device. ``device``: its name, never its address."""

    id: str
    device: str


@dataclass(frozen=True, slots=True)
class DeviceTested:
    """What became of it: ``reason`` empty where the push service has taken it."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeartbeatTold:
    """Whether the address outside heard that the gateway lives."""

    ok: bool
    reason: str


@dataclass(frozen=True, slots=True)
class NotifyTold:
    """``notify`` works. ``broken``: (receiver, channel) whose address cannot be read now;
    ``heartbeat_ms``: when the last heartbeat succeeded, by the kernel's monotonic clock;
    ``heartbeat_failed``: whether attempts fail since. ``None``: it is not said."""

    broken: tuple[tuple[str, int], ...] = ()
    heartbeat_ms: int | None = None
    heartbeat_failed: bool | None = None


@dataclass(frozen=True, slots=True)
class CertificatesTold:
    """Which certificates end soon, have ended or are not valid yet: their names, with commas."""

    names: str


@dataclass(frozen=True, slots=True)
class AuditNote:
    actor: str
    action: str
    detail: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Forget:
    """Take the details of what ``user`` (such as ``web:3``) did out of the audit chain."""

    actor: str
    user: str


@dataclass(frozen=True, slots=True)
class SettingsAsked:
    """The page asks for the settings that may be changed on it, or changes them.

    ``args``: ``version``, ``sections`` and ``to``, see ``settings/editing/edit.py``."""

    id: str
    actor: str
    do: str
    args: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Bench:
    """Something done to simulated points or the bench clock."""

    id: str
    do: str
    args: Mapping[str, Json]


Message = (
    Hello
    | CommandMessage
    | Refused
    | Sent
    | Recorded
    | ClockTold
    | LinkTold
    | PointTold
    | DeliveredTold
    | DeviceTestAsked
    | DeviceTested
    | HeartbeatTold
    | NotifyTold
    | CertificatesTold
    | AuditNote
    | Forget
    | SettingsAsked
    | Bench
)


def encode(message: Mapping[str, object]) -> bytes:
    """One message as a line. Half a character becomes a question mark."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def parse(line: bytes) -> Message:
    """The message in one line of a client. Raises :class:`Malformed`, and
    :class:`MalformedField` where only a field is wrong."""
    if len(line) > MAX_LINE:
        raise Malformed(f"a line is at most {MAX_LINE} bytes")
    try:
        raw = read_json(line)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise Malformed("a message is a JSON object")
    kind = raw.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Malformed(f"unknown type {kind!r:.60}")
    try:
        return reader(raw)
    except MalformedField as error:
        id = raw.get("id")
        error.id = id if isinstance(id, str) and len(id) <= MAX_TEXT else ""
        raise


# --- messages ---------------------------------------------------------------------------


def _hello(raw: Raw) -> Hello:
    role = raw.get("role")
    if role not in ROLES:
        raise Malformed(f"role: one of {', '.join(ROLES)}")
    return Hello(role)


def _refused(raw: Raw) -> Refused:
    return Refused(
        text(raw, "id", ""),
        text(raw, "name"),
        text(raw, "reason"),
        text(raw, "actor", "unknown"),
        via(raw),
    )


def _lane(raw: Raw) -> Lane:
    lane = raw.get("lane")
    if lane not in LANES:
        raise wrong(raw, "lane", f"one of {', '.join(LANES)}")
    return lane


def _point(raw: Raw) -> PointTold:
    quantity = text(raw, "quantity", "")
    if ("active" in raw) == bool(quantity):
        raise Malformed("point: either active, or a quantity and its value")
    told: Callable[[Raw, str], bool | float] = number if quantity else boolean
    key = "value" if quantity else "active"
    value = None if raw.get(key) is None else told(raw, key)
    return PointTold(
        text(raw, "point"),
        value,
        quantity,
        text(raw, "reason", ""),
        boolean(raw, "fresh"),
        duration(raw, "monotonic_ms"),
    )


def _recorded(raw: Raw) -> Recorded:
    lanes = table(raw, "lanes")
    return Recorded(
        text(raw, "recorder"),
        text(raw, "journal"),
        {name: integer(lanes, name) for name in lanes},
        maybe(raw, "aside", duration) or 0,
        maybe(raw, "foreign", duration) or 0,
    )


ASIDE_MOST = 20
BROKEN_MOST = 1_000
"""Addresses that are named; there are never so many."""


def _link(raw: Raw) -> LinkTold:
    aside = pairs(raw, "aside", ASIDE_MOST)
    count = maybe(raw, "aside_count", duration)
    return LinkTold(
        boolean(raw, "connected"),
        text(raw, "reason", ""),
        maybe(raw, "heard_ms", duration),
        maybe(raw, "keepalive_ms", duration),
        aside,
        len(aside) if count is None else count,
        None if raw.get("broker") is None else _broker(table(raw, "broker")),
    )


def _broker(raw: Raw) -> BrokerLimits:
    none = BrokerLimits()
    retains = none.retain_available
    if raw.get("retain_available") is not None:
        retains = boolean(raw, "retain_available")
    qos = maybe(raw, "maximum_qos", duration)
    return BrokerLimits(
        retains,
        none.maximum_qos if qos is None else qos,
        maybe(raw, "maximum_packet_size", duration),
        maybe(raw, "topic_alias_maximum", duration) or 0,
        maybe(raw, "server_keep_alive_s", duration),
    )


def _bench(raw: Raw) -> Bench:
    args = {key: value for key, value in raw.items() if key not in ("type", "id", "do")}
    return Bench(text(raw, "id"), text(raw, "do"), args)


DEEDS = ("show", "preview", "put", "undo")


def _settings(raw: Raw) -> SettingsAsked:
    do = text(raw, "do")
    if do not in DEEDS:
        raise wrong(raw, "do", f"one of {', '.join(DEEDS)}")
    return SettingsAsked(text(raw, "id"), text(raw, "actor"), do, table(raw, "args"))


_READERS: Mapping[str, Callable[[Raw], Message]] = {
    "hello": _hello,
    "command": command,
    "refused": _refused,
    "sent": lambda raw: Sent(_lane(raw), integer(raw, "seq")),
    "recorded": _recorded,
    "clock": lambda raw: ClockTold(
        boolean(raw, "trusted"), integer(raw, "utc_ms"), integer(raw, "monotonic_ms")
    ),
    "link": _link,
    "point": _point,
    "delivered": lambda raw: DeliveredTold(
        text(raw, "delivery"), boolean(raw, "ok"), text(raw, "reason", ""), text(raw, "medium", "")
    ),
    "device_test": lambda raw: DeviceTestAsked(text(raw, "id"), text(raw, "device")),
    "device_tested": lambda raw: DeviceTested(text(raw, "id"), text(raw, "reason", "")),
    "heartbeat": lambda raw: HeartbeatTold(boolean(raw, "ok"), text(raw, "reason", "")),
    "notify": lambda raw: NotifyTold(
        numbered(raw, "broken", BROKEN_MOST),
        integer(raw, "heartbeat_ms") if "heartbeat_ms" in raw else None,
        boolean(raw, "heartbeat_failed") if "heartbeat_failed" in raw else None,
    ),
    "certificates": lambda raw: CertificatesTold(text(raw, "names", "")),
    "audit": lambda raw: AuditNote(text(raw, "actor"), text(raw, "action"), table(raw, "detail")),
    "forget": lambda raw: Forget(text(raw, "actor"), text(raw, "user")),
    "settings": _settings,
    "bench": _bench,
}
