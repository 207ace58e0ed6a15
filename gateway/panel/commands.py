"""Commands as they come over the panel: one table, and one way to read it.

There is no command that ends an emergency call, and there must never be one: that is done
in the room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.events import (
    ATTENDS_MOST,
    MODES,
    AcknowledgeAlarm,
    AcknowledgeCall,
    AnyCommand,
    ConfirmClock,
    ConfirmMessage,
    Issuer,
    OpenDoor,
    ResetAlarm,
    SetMode,
    SetService,
    ShelveAlarm,
    TestMessage,
    TestRelay,
    TestRoom,
)
from gateway.core.facts import Json
from gateway.panel.fields import (
    Malformed,
    Raw,
    boolean,
    duration,
    integer,
    maybe,
    table,
    text,
    via,
    wrong,
)


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """A command for the building, and what its sender wants to see beside it in the audit."""

    name: str
    command: AnyCommand
    audit: Mapping[str, Json]


def _words(raw: Raw, key: str) -> str:
    """A text that may be missing."""
    return text(raw, key, "")


def _mode(raw: Raw, key: str) -> str:
    mode = raw.get(key)
    if mode != "schedule" and mode not in MODES:
        raise wrong(raw, key, f"one of {', '.join(MODES)}, schedule")
    return str(mode)


def _instant(raw: Raw, key: str) -> int | None:
    return maybe(raw, key, integer)


def _span(raw: Raw, key: str) -> int | None:
    return maybe(raw, key, duration)


def _name(raw: Raw, key: str) -> str:
    """The name of a person, which may be missing."""
    name = _words(raw, key)
    if len(name) > ATTENDS_MOST or not name.isprintable():
        raise wrong(raw, key, f"at most {ATTENDS_MOST} printable characters")
    return name


def _flag(raw: Raw, key: str) -> bool:
    """``True`` or ``False``, which may be missing."""
    return boolean(raw, key) if key in raw else False


_Reader = Callable[[Raw, str], Any]
_COMMANDS: Mapping[str, tuple[type[AnyCommand], Mapping[str, _Reader]]] = {
    "open_door": (OpenDoor, {"door": text, "reason": _words}),
    "set_mode": (
        SetMode,
        {"door": text, "mode": _mode, "until_utc_ms": _instant, "for_ms": _span},
    ),
    "set_service": (SetService, {"door": text, "for_ms": duration}),
    "acknowledge_alarm": (AcknowledgeAlarm, {"alarm": text}),
    "shelve_alarm": (ShelveAlarm, {"alarm": text, "for_ms": duration}),
    "reset_alarm": (ResetAlarm, {"alarm": text}),
    "test_relay": (TestRelay, {"point": text, "for_ms": duration}),
    "acknowledge_call": (
        AcknowledgeCall,
        {"call": text, "attends": _name, "seen_only": _flag},
    ),
    "test_room": (TestRoom, {"room": text, "for_ms": duration}),
    "confirm_message": (ConfirmMessage, {"delivery": text}),
    "test_message": (TestMessage, {"receiver": text}),
    "confirm_clock": (ConfirmClock, {}),
}
"""Name -> the command, and how each of its arguments is read."""
COMMANDS: tuple[str, ...] = tuple(_COMMANDS)
BY_LINK = frozenset({"acknowledge_call", "confirm_message"})
"""What the signed link of a message can ask for."""


def command(raw: Raw) -> CommandMessage:
    """Read one command. Raises :class:`Malformed`."""
    name = text(raw, "name")
    if name not in _COMMANDS:
        raise wrong(raw, "name", f"unknown command {name!r:.60}")
    build, readers = _COMMANDS[name]
    issuer = Issuer(text(raw, "actor"), via(raw))
    if issuer.via == "link" and name not in BY_LINK:
        raise Malformed(f"{name}: not by a link")
    args = table(raw, "args")
    unknown = sorted(set(args) - set(readers))
    if unknown:
        raise wrong(raw, "args", f"unknown {', '.join(unknown)[:100]}")
    values = {key: read(args, key) for key, read in readers.items()}
    made = build(text(raw, "id"), issuer, integer(raw, "expires_monotonic_ms"), **values)
    return CommandMessage(name, made, table(raw, "audit"))
