"""Commands of the centre to a gateway: signed, sent once, and answered in time or not at all.

The gateway decides about each of them; see :mod:`gateway.link.commands`. Nothing waits here: what
cannot be sent now is refused, and an answer that comes too late is dropped.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import structlog

from gateway.core.events import ATTENDS_MOST
from gateway.mqtt.signature import sign
from gateway.mqtt.topics import Topics
from gateway.settings.model.link import SITES
from gateway.sites.keys import KeysError
from gateway.web.building.control_client import (
    COMMAND_EVERY_S,
    COMMANDS_BURST,
    NO_ANSWER,
    Answer,
)
from gateway.web.shared.limits import Buckets
from gateway.web.shared.problems import Problem
from gateway.wire import read_json, rfc3339

Name = Literal["open_door", "acknowledge_call", "acknowledge_alarm"]
TTL_S = 5.0
TTL_MOST_S = 30.0
ANSWER_AFTER_S = 0.5
"""After the end of its ttl a command is refused at the gateway; so long its answer may be under
way."""
TEXT_MOST = 200
STATUSES = ("accepted", "merged", "extended", "refused")
NO_BROKER, NOT_ENROLLED, CLOCK = "no_broker", "not_enrolled", "clock_untrusted"
NO_KEYS, KEY_NOT_TAKEN, MALFORMED = "keys_unreadable", "key_not_taken_over", "malformed"
OTHER_KEY: Final = ("bad_signature", "unsigned")
"""What a gateway says that has another key, or none, of this centre."""
BEFORE_SIGNATURE: Final = (*OTHER_KEY, "wrong_topic", MALFORMED, "retained", "limit")
"""Refusals that say nothing about the signature; every other answer has found it right."""
UNKNOWN: Final = {
    "open_door": "unknown_door",
    "acknowledge_call": "unknown_call",
    "acknowledge_alarm": "unknown_alarm",
}
log = structlog.get_logger("sites")


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asks of a gateway. ``subject``: a door, a room or call, or an alarm by its id.
    ``by``: the person, ``user:<id>``. ``text``: why the door shall open; who goes to the room."""

    gateway: str
    name: Name
    subject: str
    by: str
    text: str
    ttl_s: float


class Commands:
    """The commands of one centre. Used in one event loop.

    ``publish`` (topic, payload) sends now, with QoS 1, not retained, or returns ``False``: it never
    queues. ``key``: of a gateway, ``None`` where it is not enrolled. ``trusted``: whether the clock
    of this machine is right. ``audit`` is called with every command and what became of it, also
    of those that were not sent. ``is_confirmed`` and ``confirm``: see
    :class:`gateway.sites.keys.Keys`. ``issuer``: the name of this centre in ``mqtt: issuers`` of
    the gateways."""

    def __init__(
        self,
        publish: Callable[[str, bytes], bool],
        key: Callable[[str], bytes | None],
        *,
        trusted: Callable[[], bool],
        audit: Callable[[Command, Answer], object],
        issuer: str = SITES,
        is_confirmed: Callable[[str], bool] = lambda _: True,
        confirm: Callable[[str, bytes], object] = lambda _, __: None,
        utc_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._key = key
        self._trusted = trusted
        self._audit = audit
        self._issuer = issuer
        self._is_confirmed = is_confirmed
        self._confirm = confirm
        self._utc_ms = utc_ms
        self._limit = Buckets(COMMANDS_BURST, COMMAND_EVERY_S, monotonic=monotonic)
        self._waiting: dict[tuple[str, str], asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[Answer]] = set()

    async def ask(
        self,
        gateway: str,
        name: Name,
        subject: str,
        *,
        by: str,
        reason: str = "",
        attends: str = "",
        ttl_s: float = TTL_S,
    ) -> Answer:
        """Send one command and wait for its answer while it is valid. ``reason``: why the door
        shall open; ``attends``: who goes to the room. It is sent once. What became of it is
        audited, also where whoever asked has stopped waiting.

        :raises Problem: 429, for who asks too often
        """
        if not 0 < ttl_s <= TTL_MOST_S:
            raise ValueError(f"a command is valid for up to {TTL_MOST_S:g} s, not {ttl_s!r}")
        if not self._limit.take(f"{name} {by}"):
            raise Problem(429, "limit", Retry_After="1")
        text = {"open_door": reason, "acknowledge_call": attends}.get(name, "")
        task = asyncio.ensure_future(self._ask(Command(gateway, name, subject, by, text, ttl_s)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def answered(self, gateway: str, command: str, payload: bytes) -> None:
        """Take what came on ``portier/<gateway>/response/<command>``. What nobody waits for is
        dropped."""
        waiting = self._waiting.get((gateway, command))
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(_answer(command, read_json(payload)))
        except ValueError as error:
            log.warning("answer not understood", gateway=gateway, error=str(error))

    async def _ask(self, command: Command) -> Answer:
        answer = Answer("", "refused", NO_ANSWER)  # where this is cancelled
        try:
            try:
                key = self._key(command.gateway)
            except KeysError as error:
                log.error("no command can be signed", error=str(error))
                answer = Answer("", "refused", NO_KEYS)
                return answer
            if key is None:
                answer = Answer("", "refused", NOT_ENROLLED)
            elif refusal := self._refusal(command):
                answer = Answer("", "refused", refusal)
            else:
                answer = await self._send(command, key)
            return answer
        finally:
            self._audit(command, answer)

    def _refusal(self, command: Command) -> str:
        """Why this is not sent; empty: it is."""
        if what(command.name, command.subject) is None:
            return UNKNOWN[command.name]
        if command.name == "acknowledge_call":
            fits = len(command.text) <= ATTENDS_MOST and command.text.isprintable()
        else:
            fits = len(command.text) <= TEXT_MOST and _is_text(command.text)
        if not fits:
            return MALFORMED
        return "" if self._trusted() else CLOCK

    async def _send(self, command: Command, key: bytes) -> Answer:
        id, ttl_s = secrets.token_hex(16), command.ttl_s
        topic = Topics(command.gateway).command(what(command.name, command.subject) or "")
        raw: dict[str, Any] = {
            "id": id,
            "issued_at": rfc3339(self._utc_ms()),
            "ttl": int(ttl_s) if ttl_s == int(ttl_s) else ttl_s,
            "by": command.by,
            "issuer": self._issuer,
        }
        if command.text:
            raw["reason" if command.name == "open_door" else "attends"] = command.text
        raw["sig"] = sign(key, topic, raw)
        place = (command.gateway, id)
        waiting = self._waiting[place] = asyncio.get_running_loop().create_future()
        try:
            if not self._publish(topic, json.dumps(raw).encode()):
                return Answer(id, "refused", NO_BROKER)
            answer = await asyncio.wait_for(waiting, ttl_s + ANSWER_AFTER_S)
        except TimeoutError:
            return Answer(id, "refused", NO_ANSWER)
        finally:
            del self._waiting[place]
        return self._with_key(command.gateway, key, answer)

    def _with_key(self, gateway: str, key: bytes, answer: Answer) -> Answer:
        """The answer, judged by what it says about the key: whether the gateway has taken it
        over."""
        try:
            if answer.done or answer.reason not in BEFORE_SIGNATURE:
                self._confirm(gateway, key)
            elif answer.reason in OTHER_KEY and not self._is_confirmed(gateway):
                return replace(answer, reason=KEY_NOT_TAKEN)
        except KeysError as error:  # the command has its answer all the same
            log.error("whether a key was taken over cannot be noted", error=str(error))
        return answer


def what(name: Name, subject: str) -> str | None:
    """The end of the topic, such as ``door/front/open``. ``None`` where the gateway could not read
    the subject back from it: then it has nothing of that name."""
    place, kind = subject, ""
    if name == "acknowledge_alarm":
        place, _, kind = subject.rpartition("/")
        if not kind:
            return None
    levels = place.split(".")
    fits = len(subject) <= TEXT_MOST and subject.isprintable()
    if not fits or not all(levels) or not set(place + kind).isdisjoint("/+#"):
        return None
    if name == "open_door":
        return "/".join(("door", *levels, "open"))
    if name == "acknowledge_call":
        return "/".join(("call", *levels, "acknowledge"))
    return "/".join(("alarm", *levels, kind, "acknowledge"))


def _is_text(text: str) -> bool:
    """Whether it can be written in UTF-8; half a character cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _answer(command: str, raw: object) -> Answer:
    """Raises :class:`ValueError`."""
    found = raw if isinstance(raw, dict) else {}
    status, reason, fact = (found.get(name) for name in ("status", "reason", "fact"))
    if status not in STATUSES:
        raise ValueError("it has no status")
    reason = reason[:TEXT_MOST] if isinstance(reason, str) else ""
    return Answer(command, str(status), reason, fact[:TEXT_MOST] if isinstance(fact, str) else None)
