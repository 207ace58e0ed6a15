"""How often log-ins may be tried, and by whom. None of these limits locks a user out of a
browser that the user has logged in from before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.web.identity.browsers import Browser
from gateway.web.shared.limits import Buckets


@dataclass(frozen=True, slots=True)
class Attempt:
    """One log-in. ``name``: what the name is counted under; ``user``: whose name it is."""

    name: str
    peer: str
    user: int | None = None
    browser: Browser | None = None

    @property
    def known(self) -> bool:
        """Whether the user has logged in from this browser before."""
        return self.browser is not None and self.user in self.browser.users


class LoginLimits:
    """Buckets for a name from one peer, a name from anywhere, a peer, and everybody; a known
    browser has one of its own instead of all of them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._here = Buckets(burst=5, every_s=30, monotonic=monotonic)
        self._name = Buckets(burst=30, every_s=60, monotonic=monotonic)
        self._peer = Buckets(burst=15, every_s=10, monotonic=monotonic)
        self._all = Buckets(burst=60, every_s=1, monotonic=monotonic)
        self._browser = Buckets(burst=5, every_s=30, monotonic=monotonic)

    def take(self, attempt: Attempt) -> tuple[float, str]:
        """Use one try up: seconds to wait where there is none (else 0), and which limit says
        so: ``browser``, ``name_here``, ``name``, ``peer`` or ``all``."""
        mine = self._of(attempt)
        wait_s, limit = max((bucket.wait_s(key), name) for name, bucket, key in mine)
        if wait_s > 0:
            return wait_s, limit
        for _, bucket, key in mine:
            bucket.take(key)
        return 0.0, ""

    def succeeded(self, attempt: Attempt) -> None:
        """A right password was no guess: what it used up is given back, and no more."""
        for name, bucket, key in self._of(attempt):
            if name in ("browser", "name_here"):
                bucket.forget(key)
            else:
                bucket.refund(key)

    def _of(self, attempt: Attempt) -> tuple[tuple[str, Buckets, str], ...]:
        if attempt.known:
            assert attempt.browser is not None  # noqa: S101  # as known says
            return (("browser", self._browser, f"{attempt.user} {attempt.browser.id}"),)
        return (
            ("name_here", self._here, f"{attempt.peer} {attempt.name}"),
            ("name", self._name, attempt.name),
            ("peer", self._peer, attempt.peer),
            ("all", self._all, ""),
        )
