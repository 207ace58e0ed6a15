"""Commands from MQTT: which are heard, and which are refused and why. Pure.

A command is one JSON object. Everything that could make a queued, repeated, forged or stale
message move a relay is refused here; what is let through the panel still meets the rules of
the building. Refusing is the answer to everything that is not understood: nothing raises.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

from gateway.core.events import ATTENDS_MOST, MODES
from gateway.core.facts import Json
from gateway.mqtt.signature import sign
from gateway.wire import read_json

PAYLOAD_MOST = 8 * 1024
TTL_S = 5.0
TTL_MOST_S = 30.0
FUTURE_MS = 2_000
START_TOLERANCE_MS = 2_000
MARK_TOLERANCE_MS = 300_000
IDS_KEPT_MS = int(2 * TTL_MOST_S * 1000) + MARK_TOLERANCE_MS
"""A clock may go back by the tolerance, and what was said before that is fresh again."""
IDS_MOST = 10_000
ID_MOST = 64
TEXT_MOST = 200
BURST = 20
PER_S = 5.0
_NAMES = {
    ("door", "open"): "open_door",
    ("door", "mode"): "set_mode",
    ("alarm", "acknowledge"): "acknowledge_alarm",
    ("call", "acknowledge"): "acknowledge_call",
}
"""Everything that can be asked for: what it is for and what shall be done. A call cannot be
ended from here, by nobody."""
_RIGHTS = {
    "open_door": "open",
    "acknowledge_alarm": "acknowledge",
    "acknowledge_call": "acknowledge",
}
"""What an issuer with limited rights must be allowed for a command; any other is refused."""


class Hours(Protocol):
    """Hours of the week (:class:`gateway.settings.values.calendar.Days`)."""

    def at(self, day: date, minute: int) -> str | None:
        """``None``: not in this minute of this day."""


@dataclass(frozen=True, slots=True)
class DoorHours:
    """When a door may be opened. ``lines``: as the configuration has them."""

    lines: tuple[str, ...]
    hours: Hours


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody who may command. Without a key it is admitted by the broker's access list alone,
    on a topic that carries its name: there the list decides who speaks in that name.
    ``may``: what it may ask for, ``None``: every command. ``doors``: those that it may open.
    ``next_key``: replaces ``key`` with the first command that is signed with it."""

    key: bytes | None = field(default=None, repr=False)
    may: frozenset[str] | None = None
    doors: Mapping[str, DoorHours] = field(default_factory=dict)
    next_key: bytes | None = field(default=None, repr=False)

    def allows(self, name: str, args: Mapping[str, Json], local: datetime | None) -> bool:
        """Whether it may ask for this command at this local time."""
        if self.may is None:
            return True
        if _RIGHTS.get(name) not in self.may:
            return False
        if name != "open_door":
            return True
        door = self.doors.get(str(args["door"]))
        if door is None or local is None:
            return False
        return door.hours.at(local.date(), local.hour * 60 + local.minute) is not None

    def shown(self) -> dict[str, object]:
        """What it may, for ``info``: the centre shows what it can ask for."""
        doors = {name: list(one.lines) for name, one in self.doors.items()}
        return {"may": sorted(self.may or ()), "doors": doors}


@dataclass(frozen=True, slots=True)
class Accepted:
    """For the panel: ``args`` are the fields of the building's command."""

    id: str
    name: str
    actor: str
    args: Mapping[str, Json]
    life_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """``reason`` is a key of the refusal catalogue."""

    id: str
    name: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks as they stand."""

    mono_ms: int
    utc_ms: int
    trusted: bool
    started_utc_ms: int | None
    """When ``control`` (or ``link``, the later of them) was started."""
    mark_utc_ms: int | None = None
    """The latest civil time that was settled: a clock that went back is behind it."""
    local: datetime | None = None
    """The time of day in the gateway's zone."""


@dataclass(slots=True)
class Desk:
    """What must be remembered of earlier commands: their ids, and how fast they came."""

    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    """Empty: anybody whom the broker admits may command, unsigned."""
    ids: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Per topic of an issuer, and for the shared one: what is left, and since when."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Issuer -> fingerprint of its key that was replaced and is not accepted any more."""
    dirty: bool = False
    """A key was replaced since this was last saved."""

    def restore(self, saved: object) -> None:
        """Go on with the keys that were replaced before the restart."""
        if isinstance(saved, dict):
            self.replaced = {
                name: print_
                for name, print_ in saved.items()
                if name in self.issuers and isinstance(print_, str)
            }

    def allows(self, now_ms: int, own: str = "") -> bool:
        """One more message, at most :data:`BURST` at once and :data:`PER_S` a second; what comes
        on the topic of one issuer hinders no other."""
        own = own if own in self.issuers else ""
        left, since_ms = self.tokens.get(own, (float(BURST), now_ms))
        left = min(float(BURST), left + max(0, now_ms - since_ms) * PER_S / 1000)
        is_allowed = left >= 1
        self.tokens[own] = left - is_allowed, now_ms
        return is_allowed

    def judge(
        self,
        topic: str,
        parts: tuple[str, ...],
        payload: bytes,
        retained: bool,
        now: Now,
        own: str = "",
    ) -> Accepted | Refused:
        """What becomes of one message on ``command/#``; ``parts`` follow ``command``. ``own``:
        the issuer whose topic it came on, ``issuer/<own>/command/#``."""
        name = _name(parts)
        raw = _parse(payload)
        if raw is None:
            return Refused("", name, "mqtt:", "malformed")
        command_id = raw["id"]
        issuer, reason, is_new = self._issuer(raw, topic, own)
        # a name that is only claimed has not done anything: it is on no fact and in no audit
        actor = "mqtt:" if reason else f"mqtt:{issuer}"
        if retained:
            return Refused(command_id, name, actor, "retained")
        target = _target(parts)
        if target is None:
            return Refused(command_id, name, actor, "malformed")
        name, args = target[0], _args(target[0], target[1], raw)
        if args is None:
            return Refused(command_id, name, actor, "malformed")
        reason = reason or self._time(raw, now)
        reason = reason or self._replayed(raw, issuer, now) or self._once(command_id, now)
        if is_new and not reason:
            self._replace_key(issuer)
        # last, so that a refused command cannot be sent again when the hours have begun
        if not reason and not self._allowed(issuer, name, args, now):
            reason = "not_allowed"
        if reason:
            return Refused(command_id, name, actor, reason)
        if name == "acknowledge_call" and self._only_sees(issuer) and "attends" not in args:
            args = args | {"seen_only": True}
        issued_ms = _utc_ms(raw["issued_at"]) or 0
        life_ms = int(raw["ttl"] * 1000) - max(0, now.utc_ms - issued_ms)
        return Accepted(command_id, name, actor, args, life_ms, raw["by"])

    def _issuer(self, raw: Mapping[str, Any], topic: str, own: str) -> tuple[str, str, bool]:
        """Whose command it is, why it is not believed, and whether its next key has signed it."""
        claimed = raw.get("issuer", own or (raw["by"] if raw["by"] in self.issuers else ""))
        if not self.issuers:
            return "broker", "", False
        if not isinstance(claimed, str) or claimed not in self.issuers:
            return "", "unsigned", False
        issuer = self.issuers[claimed]
        if claimed != own and (own or issuer.key is None):
            return claimed, "wrong_topic", False
        if issuer.key is None:
            return claimed, "", False
        signer = self._signer(claimed, topic, raw)
        return claimed, "" if signer in ("key", "next_key") else signer, signer == "next_key"

    def _signer(self, issuer: str, topic: str, raw: Mapping[str, Any]) -> str:
        """Which key of an issuer has signed, ``key`` or ``next_key``, or why none has."""
        known, sig = self.issuers[issuer], raw.get("sig")
        if sig is None:
            return "unsigned"
        if known.key is not None and _fits(known.key, topic, raw, sig):
            is_replaced = self.replaced.get(issuer) == fingerprint(known.key)
            return "bad_signature" if is_replaced else "key"
        if known.next_key is not None and _fits(known.next_key, topic, raw, sig):
            return "next_key"
        return "bad_signature"

    def _replace_key(self, issuer: str) -> None:
        """The issuer has its next key: whoever still has the one before it is not the issuer."""
        key = self.issuers[issuer].key
        if key is not None and self.replaced.get(issuer) != fingerprint(key):
            self.replaced[issuer], self.dirty = fingerprint(key), True

    def _allowed(self, issuer: str, name: str, args: Mapping[str, Json], now: Now) -> bool:
        """Without issuers, whoever the broker admits may ask for everything."""
        known = self.issuers.get(issuer)
        return known is None or known.allows(name, args, now.local)

    def _only_sees(self, issuer: str) -> bool:
        """Whoever is far away goes to no room: without the name of somebody who goes it has only
        seen the call."""
        known = self.issuers.get(issuer)
        return known is not None and known.may is not None

    def _replayed(self, raw: Mapping[str, Any], issuer: str, now: Now) -> str:
        """A signature makes a command worth recording; after a clock that went back it would be
        fresh again. Who needs no signature needs no recording."""
        if issuer not in self.issuers or self.issuers[issuer].key is None:
            return ""
        if now.mark_utc_ms is None:
            return ""
        issued_ms = _utc_ms(raw["issued_at"]) or 0
        return "too_old" if issued_ms < now.mark_utc_ms - MARK_TOLERANCE_MS else ""

    def _time(self, raw: Mapping[str, Any], now: Now) -> str:
        if not now.trusted:
            return "clock_untrusted"
        issued_ms = _utc_ms(raw["issued_at"])
        if issued_ms is None:
            return "malformed"
        if issued_ms > now.utc_ms + FUTURE_MS:
            return "from_future"
        if now.utc_ms - issued_ms >= raw["ttl"] * 1000:
            return "too_old"
        if now.started_utc_ms is None or issued_ms < now.started_utc_ms - START_TOLERANCE_MS:
            return "before_start"
        return ""

    def _once(self, command_id: str, now: Now) -> str:
        if command_id in self.ids and self.ids[command_id] > now.mono_ms:
            return "duplicate"
        if len(self.ids) >= IDS_MOST:
            self.ids = {one: until for one, until in self.ids.items() if until > now.mono_ms}
            if len(self.ids) >= IDS_MOST:
                return "limit"
        self.ids[command_id] = now.mono_ms + IDS_KEPT_MS
        return ""


def fingerprint(key: bytes) -> str:
    """Names a key without telling it."""
    return hashlib.sha256(b"portier key\n" + key).hexdigest()[:32]


def _fits(key: bytes, topic: str, raw: Mapping[str, Any], sig: object) -> bool:
    return isinstance(sig, str) and hmac.compare_digest(
        sign(key, topic, raw).encode(), sig.lower().encode("utf-8", "replace")
    )


def _parse(payload: bytes) -> dict[str, Any] | None:
    """The envelope, typed and complete, or ``None``."""
    if len(payload) > PAYLOAD_MOST:
        return None
    try:
        raw = read_json(payload)
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    raw.setdefault("ttl", int(TTL_S))
    raw.setdefault("by", "")
    texts = (raw.get("id"), raw.get("issued_at"), raw["by"])
    if not all(isinstance(text, str) and len(text) <= TEXT_MOST for text in texts):
        return None
    return raw if _good_id(raw["id"]) and _good_ttl(raw["ttl"]) else None


def _good_id(text: str) -> bool:
    """An id becomes a part of a topic."""
    fits = 0 < len(text) <= ID_MOST and text.isprintable()
    return fits and set(text).isdisjoint("/+# ")


def _good_ttl(ttl: object) -> bool:
    return isinstance(ttl, int | float) and not isinstance(ttl, bool) and 0 < ttl <= TTL_MOST_S


def _name(parts: tuple[str, ...]) -> str:
    """The building's name of the command; empty where there is no such one."""
    return _NAMES.get((parts[0], parts[-1]), "") if parts else ""


def _target(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """The command's name and what it is for."""
    if len(parts) < 3 or not all(parts):
        return None
    subject = ".".join(parts[1:-1])
    if len(subject) > TEXT_MOST:
        return None
    if parts[0] == "door" and parts[-1] in {"open", "mode"}:
        return _name(parts), subject
    if parts[0] == "call" and parts[-1] == "acknowledge":
        return "acknowledge_call", subject
    if parts[0] == "alarm" and parts[-1] == "acknowledge" and len(parts) >= 4:
        # an alarm's id is subject/kind; the dots of the subject came as slashes
        return "acknowledge_alarm", f"{'.'.join(parts[1:-2])}/{parts[-2]}"
    return None


def _args(name: str, subject: str, raw: Mapping[str, Any]) -> dict[str, Json] | None:
    """The fields of the building's command, or ``None`` if they are not understood."""
    if name == "open_door":
        reason = raw.get("reason", "")
        if not isinstance(reason, str) or len(reason) > TEXT_MOST:
            return None
        return {"door": subject, "reason": reason}
    if name == "acknowledge_alarm":
        return {"alarm": subject}
    if name == "acknowledge_call":
        return _acknowledgement(subject, raw.get("attends", ""))
    mode = raw.get("mode")
    if not isinstance(mode, str) or mode not in {*MODES, "schedule"}:
        return None
    until, for_s = raw.get("until"), raw.get("for_s")
    args: dict[str, Json] = {"door": subject, "mode": mode}
    if until is not None:
        args["until_utc_ms"] = _utc_ms(until)
    elif for_s is not None:
        number = isinstance(for_s, int | float) and not isinstance(for_s, bool)
        args["for_ms"] = int(for_s * 1000) if number and 0 < for_s < 1e9 else None
    return None if None in args.values() else args


def _acknowledgement(call: str, attends: object) -> dict[str, Json] | None:
    """The fields of an acknowledgement; ``attends``: the name of who goes."""
    if not isinstance(attends, str) or not attends.isprintable():
        return None
    name = attends.strip()
    if len(name) > ATTENDS_MOST:
        return None
    return {"call": call, "attends": name} if name else {"call": call}


def _utc_ms(text: object) -> int | None:
    """RFC 3339 with a zone as UTC ms, or ``None``."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            return None
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return int((instant - epoch).total_seconds() * 1000)
    except (ValueError, OverflowError):
        return None
