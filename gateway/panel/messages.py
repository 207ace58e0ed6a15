"""What is said over the panel: one JSON object a line, checked before anybody acts on it.

A client says ``hello`` with its role first. Then it may send commands, what became of
events (``sent``, ``recorded``), what it knows of the clock and the broker, audit entries,
and on a bench what a person at the terminal strip would do. ``control`` answers with
``snapshot``, ``rows``, ``reply`` and ``bench``.

:func:`parse` takes one line of a client and gives a typed message, or raises
:class:`Malformed`, after which the connection is closed: who cannot speak the language has
no business at the door.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from gateway.core.events import (
    MODES,
    AcknowledgeAlarm,
    AnyCommand,
    Issuer,
    OpenDoor,
    SetMode,
    SetService,
    ShelveAlarm,
    TestRelay,
)
from gateway.core.facts import LANES, Json, Lane

MAX_LINE = 65_536
"""Bytes of one line from a client, its line feed included."""
MAX_SNAPSHOT = 4 * 1024 * 1024
"""Bytes of one line from control that a client accepts."""
MAX_TEXT = 500
"""Characters of a name or free text in a command."""
MAX_LIFE_MS = 60_000
"""A command may not ask to live longer than this from when it is read."""

Role = Literal["web", "link", "notify", "record", "cli"]
ROLES: tuple[Role, ...] = ("web", "link", "notify", "record", "cli")
Via = Literal["web", "cli", "mqtt", "bench"]
VIAS: tuple[Via, ...] = ("web", "cli", "mqtt", "bench")


class Malformed(ValueError):
    """The client sent what is no message. The text says what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Hello:
    role: Role


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """A command for the building, and what its sender wants to see beside it in the audit."""

    name: str
    command: AnyCommand
    audit: Mapping[str, Json]


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
    recorder: str
    journal: str
    lanes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClockTold:
    """Whether the time service trusts the wall clock, with one reading of both clocks."""

    trusted: bool
    utc_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class LinkTold:
    connected: bool
    reason: str


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
    | AuditNote
    | Forget
    | Bench
)

_Raw = Mapping[str, Json]


def encode(message: Mapping[str, object]) -> bytes:
    """One message as a line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse(line: bytes) -> Message:
    """The message in one line of a client. Raises :class:`Malformed`."""
    if len(line) > MAX_LINE:
        raise Malformed(f"a line is at most {MAX_LINE} bytes")
    try:
        raw = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise Malformed("a message is a JSON object")
    kind = raw.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Malformed(f"unknown type {kind!r:.60}")
    return reader(raw)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


# --- fields -----------------------------------------------------------------------------


def _text(raw: _Raw, key: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str) or len(value) > MAX_TEXT or (not value and default is None):
        raise Malformed(f"{key}: a text of 1 to {MAX_TEXT} characters")
    return value


def _int(raw: _Raw, key: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**53:
        raise Malformed(f"{key}: an integer")
    return value


def _bool(raw: _Raw, key: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise Malformed(f"{key}: true or false")
    return value


def _object(raw: _Raw, key: str) -> dict[str, Json]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise Malformed(f"{key}: an object")
    return value


def _via(raw: _Raw) -> Via:
    via = raw.get("via")
    if via not in VIAS:
        raise Malformed(f"via: one of {', '.join(VIAS)}")
    return via


def _duration(raw: _Raw, key: str) -> int:
    value = _int(raw, key)
    if value < 0:
        raise Malformed(f"{key}: not negative")
    return value


def _maybe(raw: _Raw, key: str, read: Callable[[_Raw, str], int]) -> int | None:
    return None if raw.get(key) is None else read(raw, key)


# --- messages ---------------------------------------------------------------------------


def _hello(raw: _Raw) -> Hello:
    role = raw.get("role")
    if role not in ROLES:
        raise Malformed(f"role: one of {', '.join(ROLES)}")
    return Hello(role)


def _command(raw: _Raw) -> CommandMessage:
    name = _text(raw, "name")
    build = _COMMANDS.get(name)
    if build is None:
        raise Malformed(f"unknown command {name!r:.60}")
    issuer = Issuer(_text(raw, "actor"), _via(raw))
    args = _object(raw, "args")
    command, known = build((_text(raw, "id"), issuer, _int(raw, "expires_monotonic_ms")), args)
    unknown = sorted(set(args) - known)
    if unknown:
        raise Malformed(f"args: unknown {', '.join(unknown)[:100]}")
    return CommandMessage(name, command, _object(raw, "audit"))


_Envelope = tuple[str, Issuer, int]
_Built = tuple[AnyCommand, set[str]]


def _open_door(envelope: _Envelope, args: _Raw) -> _Built:
    return OpenDoor(*envelope, _text(args, "door"), _text(args, "reason", "")), {"door", "reason"}


def _set_mode(envelope: _Envelope, args: _Raw) -> _Built:
    mode = args.get("mode")
    if mode != "schedule" and mode not in MODES:
        raise Malformed(f"mode: one of {', '.join(MODES)}, schedule")
    return SetMode(
        *envelope,
        _text(args, "door"),
        cast(Literal["schedule"], mode),
        _maybe(args, "until_utc_ms", _int),
        _maybe(args, "for_ms", _duration),
    ), {"door", "mode", "until_utc_ms", "for_ms"}


def _set_service(envelope: _Envelope, args: _Raw) -> _Built:
    return SetService(*envelope, _text(args, "door"), _duration(args, "for_ms")), {
        "door",
        "for_ms",
    }


def _acknowledge_alarm(envelope: _Envelope, args: _Raw) -> _Built:
    return AcknowledgeAlarm(*envelope, _text(args, "alarm")), {"alarm"}


def _shelve_alarm(envelope: _Envelope, args: _Raw) -> _Built:
    return ShelveAlarm(*envelope, _text(args, "alarm"), _duration(args, "for_ms")), {
        "alarm",
        "for_ms",
    }


def _test_relay(envelope: _Envelope, args: _Raw) -> _Built:
    return TestRelay(*envelope, _text(args, "point"), _duration(args, "for_ms")), {
        "point",
        "for_ms",
    }


_COMMANDS: Mapping[str, Callable[[_Envelope, _Raw], _Built]] = {
    "open_door": _open_door,
    "set_mode": _set_mode,
    "set_service": _set_service,
    "acknowledge_alarm": _acknowledge_alarm,
    "shelve_alarm": _shelve_alarm,
    "test_relay": _test_relay,
}
COMMANDS: tuple[str, ...] = tuple(_COMMANDS)


def _refused(raw: _Raw) -> Refused:
    return Refused(
        _text(raw, "id", ""),
        _text(raw, "name"),
        _text(raw, "reason"),
        _text(raw, "actor", "unknown"),
        _via(raw),
    )


def _lane(raw: _Raw) -> Lane:
    lane = raw.get("lane")
    if lane not in LANES:
        raise Malformed(f"lane: one of {', '.join(LANES)}")
    return lane


def _recorded(raw: _Raw) -> Recorded:
    lanes = _object(raw, "lanes")
    return Recorded(
        _text(raw, "recorder"), _text(raw, "journal"), {name: _int(lanes, name) for name in lanes}
    )


def _bench(raw: _Raw) -> Bench:
    args = {key: value for key, value in raw.items() if key not in ("type", "id", "do")}
    return Bench(_text(raw, "id"), _text(raw, "do"), args)


_READERS: Mapping[str, Callable[[_Raw], Message]] = {
    "hello": _hello,
    "command": _command,
    "refused": _refused,
    "sent": lambda raw: Sent(_lane(raw), _int(raw, "seq")),
    "recorded": _recorded,
    "clock": lambda raw: ClockTold(
        _bool(raw, "trusted"), _int(raw, "utc_ms"), _int(raw, "monotonic_ms")
    ),
    "link": lambda raw: LinkTold(_bool(raw, "connected"), _text(raw, "reason", "")),
    "audit": lambda raw: AuditNote(
        _text(raw, "actor"), _text(raw, "action"), _object(raw, "detail")
    ),
    "forget": lambda raw: Forget(_text(raw, "actor"), _text(raw, "user")),
    "bench": _bench,
}
