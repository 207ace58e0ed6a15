"""How the page's role tells whoever has started it how to log in: over a pipe, so that the first
password is in no file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass

ANNOUNCE = "PORTIER_ANNOUNCE"
"""The descriptor on which the page's role says how to log in, instead of in its log."""


@dataclass(frozen=True, slots=True)
class LogIn:
    """``password``: only at the first start, never again."""

    url: str = ""
    password: str = ""
    initial: bool = False
    """Nobody has replaced the password of the first start yet."""


class Announcement:
    """A pipe from the page's role to this process."""

    def __init__(self) -> None:
        self._read, self.fd = os.pipe()
        os.set_blocking(self._read, False)

    def log_in(self, password: str = "") -> LogIn:
        """What the role has said last; a password of any time, or the one that is known here."""
        text = b""
        with suppress(BlockingIOError):
            while more := os.read(self._read, 65_536):
                text += more
        said = [json.loads(line) for line in text.splitlines()]
        if not said:
            return LogIn()
        password = next((one["password"] for one in said if one["password"]), password)
        return LogIn(said[-1]["url"], password, said[-1]["initial"])

    def close(self) -> None:
        os.close(self._read)
        os.close(self.fd)


def announce(url: str, password: str | None, initial: bool) -> bool:
    """Say how to log in to whoever has started this process; whether somebody wanted to know."""
    fd = os.environ.get(ANNOUNCE, "")
    if not fd.isdecimal():
        return False
    said = {"url": url, "password": password or "", "initial": initial}
    try:
        os.write(int(fd), json.dumps(said).encode() + b"\n")
    except OSError:
        return False
    return True
