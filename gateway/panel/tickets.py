"""The signed links of messages: who has the link may do the one thing it names, for a while.

``notify`` makes a token for each message, ``web`` reads it. Both sign with the key in the
state folder, which ``control`` makes once. A token names a function (a receiver), never a
person, and is good for one call or one test message only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

KEY_FILE = "link.key"
GROUP = "portier-ticket"
"""The Unix group that may read the key: the roles that make and read tokens."""
LIFE_S = 12 * 3600
LONGEST = 2_000
"""Characters of a token that anybody will look at."""
SALT = "portier.message.v1"

Kind = Literal["call", "test"]


class TicketError(Exception):
    """The token cannot be used. ``reason``: ``expired``, ``bad_signature`` or ``no_key``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a link is for. ``about``: the call's id (for a test message empty); ``delivery``: the
    message it came with; ``expires_utc_s``: seconds since 1970."""

    receiver: str
    about: str
    delivery: str
    kind: Kind
    expires_utc_s: int


def make_key(state: Path) -> None:
    """Make the key where there is none, for the group of the roles that use it."""
    path = state / KEY_FILE
    if path.exists():
        return
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    with contextlib.suppress(KeyError, ImportError, PermissionError):
        import grp

        os.chown(new, -1, grp.getgrnam(GROUP).gr_gid)
    new.replace(path)


@dataclass(frozen=True, slots=True)
class Tickets:
    """Makes and reads tokens with the key of a state folder, which is read each time: it may be
    made, or thrown away to void all links, while the role runs."""

    state: Path

    def make(self, ticket: Ticket) -> str:
        """The token. Raises :class:`TicketError`."""
        parts = [ticket.receiver, ticket.about, ticket.delivery, ticket.kind, ticket.expires_utc_s]
        return str(self._signer().dumps(parts))

    def read(self, token: str, now_utc_s: float | None = None) -> Ticket:
        """What the token is for, if it is ours and still good (``now_utc_s``: the machine's
        clock where it is not given). Raises :class:`TicketError`."""
        from itsdangerous import BadData

        if len(token) > LONGEST:
            raise TicketError("bad_signature")
        try:
            loaded = self._signer().loads(token)
        except (BadData, UnicodeError):
            raise TicketError("bad_signature") from None
        match loaded:
            case [str(receiver), str(about), str(delivery), "call" | "test" as kind, int(expires)]:
                ticket = Ticket(receiver, about, delivery, kind, expires)
            case _:
                raise TicketError("bad_signature")
        if (time.time() if now_utc_s is None else now_utc_s) >= ticket.expires_utc_s:
            raise TicketError("expired")
        return ticket

    def _signer(self) -> URLSafeSerializer:
        from itsdangerous import URLSafeSerializer

        try:
            key = (self.state / KEY_FILE).read_text(encoding="utf-8").strip()
        except OSError:
            raise TicketError("no_key") from None
        if not key:
            raise TicketError("no_key")
        return URLSafeSerializer(key, salt=SALT, signer_kwargs={"digest_method": _sha256})


def _sha256(data: bytes = b"") -> Any:
    import hashlib

    return hashlib.sha256(data)
