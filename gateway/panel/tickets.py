"""The signed links of messages: who has the link may do the one thing it names, for a while.

``notify`` makes a token for each message, ``web`` reads it. Both sign with the key in the
state folder, which ``control`` makes once. A token names a function (a receiver), never a
person, and is good for one call or one test message only.

A Pi has no clock battery, so a token may be signed years away from the time at which it is
read. It therefore carries when it was signed both by the civil clock and by the uptime, and its
life as a span:

- By uptime: since it was signed, at least the uptime since has passed (of the same boot), or the
  whole uptime (of a later one). A token older than its life by that is over, whatever any clock
  says; none is good for years.
- By the civil clock: within the span from its signature it is good.
- Where only the civil clock contradicts (signed before the clock was set, or while it was
  ahead), the token is *doubtful*: good while the call or the test message that it names is open,
  which ``control`` knows. So no receiver of a standing call has a dead link.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gateway import durable

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer


KEY_FILE = "link.key"
GROUP = "portier-ticket"
"""The Unix group that may read the key: the roles that make and read tokens."""
LIFE_S = 12 * 3600
LONGEST_LIFE_S = 7 * 86_400
"""Of any token, whatever is asked for."""
LONGEST = 2_000
"""Characters of a token that anybody will look at."""
SALT = "portier.message.v1"

SKEW_S = 60
"""The civil clock may be corrected by so much between two readings without any doubt."""

Kind = Literal["call", "test"]


def preload() -> None:
    """Import what links need, where the start has time for it, before an update may replace it."""
    import itsdangerous  # noqa: F401


class TicketError(Exception):
    """The token cannot be used. ``reason``: ``expired``, ``bad_signature`` or ``no_key``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link is for. ``about``: the call's id (for a test message empty); ``delivery``: the
    message it came with; ``expires_utc_s``: seconds since 1970, by the clock it was signed by.
    ``doubtful``: good only while what it names is open, see the module."""

    receiver: str
    about: str
    delivery: str
    kind: Kind
    expires_utc_s: int
    doubtful: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Instant:
    """``utc_s``: the civil clock, seconds since 1970. ``uptime_s``: since the machine started,
    sleep included; all processes of a machine agree on it."""

    utc_s: float
    uptime_s: float

    @classmethod
    def now(cls) -> Instant:
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))


def make_key(state: Path) -> None:
    """Make the key where there is none, for the group of the roles that use it."""
    path = state / KEY_FILE
    if _key(state) or path.is_dir():
        return
    new = path.with_suffix(".new")
    durable.write(new, f"{secrets.token_urlsafe(32)}\n".encode(), 0o640)
    with contextlib.suppress(KeyError, ImportError, PermissionError):
        import grp

        os.chown(new, -1, grp.getgrnam(GROUP).gr_gid)
    new.replace(path)


def _key(state: Path) -> str:
    """Empty where there is none, or damage has left none."""
    try:
        return (state / KEY_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


@dataclass(frozen=True, slots=True)
class Tickets:
    """Makes and reads tokens with the key of a state folder, which is read each time: it may be
    made, or thrown away to void all links, while the role runs."""

    state: Path

    def make(self, ticket: Ticket, now: Instant | None = None) -> str:
        """The token, signed ``now`` (this instant where it is not passed). Raises
        :class:`TicketError`."""
        now = now or Instant.now()
        parts = [ticket.receiver, ticket.about, ticket.delivery, ticket.kind, ticket.expires_utc_s]
        return str(self._signer().dumps([*parts, int(now.utc_s), int(now.uptime_s)]))

    def read(self, token: str, now: Instant | None = None) -> Ticket:
        """What the token is for, if it is ours and still good, or may be (``doubtful``). Raises
        :class:`TicketError`."""
        from itsdangerous import BadData

        if len(token) > LONGEST:
            raise TicketError("bad_signature")
        try:
            loaded = self._signer().loads(token)
        except (BadData, UnicodeError):
            raise TicketError("bad_signature") from None
        signed: Instant | None
        match loaded:
            case [
                str(receiver), str(about), str(delivery), "call" | "test" as kind, int(expires),
                int(signed_utc_s), int(signed_uptime_s),
            ]:  # fmt: skip
                signed = Instant(signed_utc_s, signed_uptime_s)
            case [str(receiver), str(about), str(delivery), "call" | "test" as kind, int(expires)]:
                signed = None  # by an earlier version
            case _:
                raise TicketError("bad_signature")
        doubtful = _doubtful(expires, signed, now or Instant.now())
        return Ticket(receiver, about, delivery, kind, expires, doubtful)

    def _signer(self) -> URLSafeSerializer:
        from itsdangerous import URLSafeSerializer

        key = _key(self.state)
        if not key:
            raise TicketError("no_key")
        return URLSafeSerializer(key, salt=SALT, signer_kwargs={"digest_method": _sha256})


def _doubtful(expires_utc_s: int, signed: Instant | None, now: Instant) -> bool:
    """Whether the civil clock contradicts a token that is not over by uptime. Raises
    :class:`TicketError` for one that is."""
    if signed is None:
        if now.utc_s >= expires_utc_s:
            raise TicketError("expired")
        return now.utc_s < expires_utc_s - LONGEST_LIFE_S
    life_s = min(expires_utc_s - signed.utc_s, LONGEST_LIFE_S)
    same_boot = now.uptime_s >= signed.uptime_s  # or a later one that is up for longer
    age_s = now.uptime_s - signed.uptime_s if same_boot else now.uptime_s
    if age_s >= life_s:
        raise TicketError("expired")
    return not signed.utc_s - SKEW_S <= now.utc_s < signed.utc_s + life_s


def _sha256(data: bytes = b"") -> Any:
    import hashlib

    return hashlib.sha256(data)
