"""The kinds of time, and whether the wall clock may be believed.

*Monotonic milliseconds* of this boot decide everything. *Civil time* is monotonic time plus
one offset, and is believed once a role has passed on that the time service trusts it. A
wall clock that jumps changes the offset; that is noticed, and is a fact.

On a bench the clock can be moved forward (``travel``), so that a recording of a day is
lived in seconds with its exact times. A controller never sees the difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.instant import Ms, UtcMs

STEP_MS = 500
"""A wall clock that moves by more than this against the monotonic one has been stepped."""

REPORT_VOID_MS = 60_000
"""A role that has said nothing for so long says nothing any more."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _monotonic_ns() -> int:
    return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Journey:
    """The clock of a bench against this machine's. ``offset_ms``: UTC minus monotonic, where the
    bench has a wall time of its own."""

    ahead_ms: Ms = 0
    offset_ms: Ms | None = None


class Clock:
    """Monotonic and wall time of this machine, moved forward by what a bench has travelled.

    ``start_utc_ms``: the wall time that a bench begins with, instead of this machine's.
    ``journey``: what :attr:`journey` was before a restart of the process; it goes on from there."""

    def __init__(
        self,
        *,
        start_utc_ms: UtcMs | None = None,
        journey: Journey | None = None,
        monotonic_ns: Callable[[], int] = _monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._ahead_ms = 0 if journey is None else journey.ahead_ms
        self._held_ms: Ms | None = None
        self.started_ms: Ms = self.now_ms()
        self._fixed: Ms | None = None
        if journey is not None:
            self._fixed = journey.offset_ms
        elif start_utc_ms is not None:
            self._fixed = start_utc_ms - self.started_ms

    @property
    def journey(self) -> Journey:
        """How far the clock of a bench has been moved."""
        held_ms = self._held_ms
        kernel_ms = self.kernel_ms()
        return Journey(self._ahead_ms if held_ms is None else held_ms - kernel_ms, self._fixed)

    def now_ms(self) -> Ms:
        if self._held_ms is not None:
            return self._held_ms
        return self._monotonic_ns() // 1_000_000 + self._ahead_ms

    def now_ns(self) -> int:
        """The same in nanoseconds, for a simulated world that lives on this clock."""
        if self._held_ms is not None:
            return self._held_ms * 1_000_000
        return self._monotonic_ns() + self._ahead_ms * 1_000_000

    def kernel_ms(self) -> int:
        """CLOCK_MONOTONIC of this machine, however far a bench has travelled."""
        return self._monotonic_ns() // 1_000_000

    def utc_offset_ms(self) -> Ms:
        """UTC = monotonic + this, as the wall clock says now."""
        if self._fixed is not None:
            return self._fixed
        wall_ms = self._wall_ns() // 1_000_000
        return wall_ms - self._monotonic_ns() // 1_000_000

    def from_ns(self, kernel_ns: int) -> Ms:
        """A CLOCK_MONOTONIC instant of the kernel, in this clock's milliseconds."""
        return kernel_ns // 1_000_000 + self._ahead_ms

    def from_ms(self, kernel_ms: int) -> Ms:
        """The same for milliseconds, such as the end of a command's life."""
        return kernel_ms + self._ahead_ms

    def travel_to(self, now_ms: Ms) -> None:
        """Jump forward and stand still there until the next jump or :meth:`go_on`, so that
        what is done on the way has exact times. Never moves back."""
        self._held_ms = max(now_ms, self.now_ms())

    def go_on(self) -> None:
        """Run again, from where the journey ended."""
        if self._held_ms is not None:
            self._ahead_ms = self._held_ms - self._monotonic_ns() // 1_000_000
            self._held_ms = None


def boot(clock: Clock) -> str:
    """The name of this start: the kernel's boot and the start's own instant, so that
    ``(boot, monotonic ms)`` says exactly one thing even where a bench clock has travelled."""
    try:
        kernel = BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        kernel = f"unknown-{time.time_ns()}"
    return f"{kernel}-{clock.started_ms}"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of civil time. ``since_ms``: of ``trusted``."""

    trusted: bool
    offset_ms: Ms
    since_ms: Ms

    def seen(self, offset_ms: Ms, now: Ms, told: bool | None) -> tuple[Trust, Ms]:
        """After a look at the offset and at what roles ``told``; and by how much the
        clock was stepped (0: it was not)."""
        step_ms = offset_ms - self.offset_ms
        stepped = abs(step_ms) > STEP_MS
        trusted = self.trusted if told is None else told
        if trusted == self.trusted and not stepped:
            return self, 0
        since_ms = self.since_ms if trusted == self.trusted else now
        return Trust(trusted, offset_ms, since_ms), step_ms if stepped else 0


@dataclass(slots=True)
class Reports:
    """What roles say about the time service. Each of ``link``, ``web`` and ``notify`` asks it,
    because the sandbox of ``control`` forbids the call; where they differ, *untrusted* is taken."""

    _of: dict[str, tuple[bool, int]] = field(default_factory=dict)
    """Role -> what it said last, and when, by the kernel's clock."""

    def take(self, role: str, trusted: bool | None, kernel_ms: int) -> None:
        """A report; ``None``: the role has left."""
        if trusted is None:
            self._of.pop(role, None)
        else:
            self._of[role] = (trusted, kernel_ms)

    def trusted(self, kernel_ms: int) -> bool | None:
        """What they say together; ``None``: nobody has said anything lately."""
        said = [trusted for trusted, at in self._of.values() if kernel_ms - at <= REPORT_VOID_MS]
        return all(said) if said else None
