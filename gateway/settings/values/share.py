"""``share: 2/4``: which gateways a recorder takes that divides all of them with others.

Everybody who knows a gateway's id and the number of shares finds the same one, without asking
anybody: the share K of 1 to N whose sha256 of the text ``K ID`` is the greatest. So a gateway
stays where it is unless its share goes away or a new one takes it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

MOST = 100
"""Shares of one division."""
_WRITTEN = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})\Z", re.ASCII)


class ShareError(ValueError):
    """The text is no share. ``remedy``: what to write instead."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Share:
    """The share ``number`` of ``of``."""

    number: int = 1
    of: int = 1

    def takes(self, gateway: str) -> bool:
        """Whether this gateway is in the share."""
        return self.of == 1 or share_of(gateway, self.of) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


ALL = Share()
"""The share of a recorder that divides with nobody."""


@lru_cache(maxsize=8_192)
def share_of(gateway: str, of: int) -> int:
    """The share, from 1 to ``of``, that a gateway is in."""
    return max(range(1, of + 1), key=lambda share: _weight(share, gateway))


def _weight(share: int, gateway: str) -> bytes:
    return hashlib.sha256(f"{share} {gateway}".encode()).digest()


def parse(text: str) -> Share:
    """A share as it is written. Raises :class:`ShareError`."""
    match = _WRITTEN.match(text.strip())
    if match is None:
        raise ShareError(f"{text[:40]!r} is not a share", "write for example 1/2")
    number, of = int(match[1]), int(match[2])
    if of > MOST:
        raise ShareError(f"{of} shares are too many", f"write at most {MOST}")
    if number > of:
        raise ShareError(f"there is no share {number} of {of}", f"write 1/{of} to {of}/{of}")
    return Share(number, of)
