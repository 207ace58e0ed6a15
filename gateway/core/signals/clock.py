"""What the building knows of civil time: the offset to UTC of this boot, its trust, and whether
it is *settled*.

The offset is held still against the jitter of looking at two clocks one after the other;
only a difference of ``STEP_MS`` or more is a step of the wall clock. The facts about it are
told by whoever looks at the clock, outside the core.

A time service can be wrong, too. So what cannot be taken back (deleting by civil time, ending an
override) asks for a settled clock. It is in doubt after a step of more than ``JUMP_MS`` within a
boot, or when a boot's first trusted time lies before the high-water mark of civil time or more
than ``AHEAD_MS`` after it. It settles when a person confirms it, or after ``SETTLE_MS`` of uptime,
summed over boots, on one offset. The mark follows settled time only.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from gateway.core.events import CivilTime
from gateway.core.instant import Ms, UtcMs, clamped, earliest
from gateway.core.machine import Conditions, Step, replace
from gateway.core.saved_values import FLAG, TEXT, WHOLE, Field, Kind, entry_of, one_of
from gateway.core.values import dataclass

STEP_MS = 500
GRACE_MS: Ms = 60_000
"""After a start the time service may take this long before its absence is a notice."""
JUMP_MS: Ms = 3_600_000
AHEAD_MS: Ms = 7 * 86_400_000
SETTLE_MS: Ms = 24 * 3_600_000
SAME_MS: Ms = 60_000
"""Steps up to this are corrections of one offset, and no time before the mark."""

Doubt = Literal["", "jumped", "behind", "ahead"]


@dataclass(frozen=True)
class Past:
    """What is known from outside of the boots before this one. ``boot``: the kernel's boot whose
    monotonic clock ``now`` is; empty: not known, and never the same as another.
    ``last_ms``: the newest monotonic instant of the boot ``last_boot``; ``utc_ms``: the newest
    civil time that was stored. ``travels``: the clock is of a bench that moves it forward, so that
    one boot tells nothing of the next; ``own``: the bench has a time of its own, which nobody
    doubts."""

    boot: str = ""
    uptime_ms: Ms = 0
    """Of all boots before this one."""
    last_boot: str = ""
    last_ms: Ms = 0
    utc_ms: UtcMs | None = None
    travels: bool = False
    own: bool = False


@dataclass(frozen=True)
class Clock:
    """UTC = monotonic + ``offset_ms``, the last that was trusted in this boot."""

    trusted: bool
    since_ms: Ms
    offset_ms: int | None = None
    due_ms: Ms | None = None
    conditions: Conditions = ()
    past: Past = Past()
    doubt: Doubt = ""
    settled_offset_ms: int | None = None
    """The offset of this boot when it was settled: steps are measured against it."""
    mark_utc_ms: UtcMs | None = None
    """The latest settled civil time, but for what goes on now."""
    trial_utc_ms: UtcMs | None = None
    """The latest civil time of the boots before that were in doubt."""
    waited_ms: Ms = 0
    """For how long one offset was in doubt, without what runs since ``counting_ms``."""
    counting_ms: Ms | None = None
    counted_offset_ms: int = 0


def start(now: Ms, past: Past = Past()) -> Clock:  # noqa: B008 - frozen
    """Not trusted until said so."""
    return Clock(False, now, due_ms=now + GRACE_MS, past=past)


def wake_at(clock: Clock) -> Ms | None:
    """When the lack of trust becomes a notice, or the clock settles."""
    return earliest(clock.due_ms, _settles_ms(clock))


def step(clock: Clock, event: CivilTime | None, now: Ms) -> Step[Clock]:
    """A look at the wall clock, or time."""
    if event is None:
        return Step(_aged(clock, now))
    if not event.trusted:
        if not clock.trusted:
            return Step(clock)
        mark_utc_ms, due_ms = mark_of(clock, now), now + GRACE_MS
        lost = replace(clock, trusted=False, since_ms=now, due_ms=due_ms, mark_utc_ms=mark_utc_ms)
        return Step(_paused(lost, now))
    offset_ms = event.utc_ms - now
    if clock.offset_ms is not None and abs(offset_ms - clock.offset_ms) < STEP_MS:
        offset_ms = clock.offset_ms
    if clock.trusted and offset_ms == clock.offset_ms:
        return Step(clock)
    judged = _judged(clock, offset_ms, now)
    since_ms = clock.since_ms if clock.trusted else now
    return Step(
        _shown(replace(judged, trusted=True, since_ms=since_ms, offset_ms=offset_ms, due_ms=None))
    )


def confirm(clock: Clock, now: Ms) -> Clock | None:
    """A person says that the time is right; ``None``: it is not trusted, so there is none."""
    if not clock.trusted or clock.offset_ms is None:
        return None
    return _shown(_settle(replace(clock, mark_utc_ms=None), clock.offset_ms))


def settled(clock: Clock) -> bool:
    """Whether civil time may decide what cannot be taken back."""
    return clock.trusted and not clock.doubt


def mark_of(clock: Clock, now: Ms) -> UtcMs | None:
    """The latest settled civil time, ``None``: there was none yet, or it is a bench's own."""
    if clock.past.own or clock.past.travels:
        return None
    running = utc_of(clock, now) if settled(clock) else None
    known = [mark for mark in (clock.mark_utc_ms, running) if mark is not None]
    return max(known, default=None)


def uptime_of(clock: Clock, now: Ms) -> Ms:
    """The uptime of this machine at an instant of this boot, summed over boots."""
    return clock.past.uptime_ms + now


def settles_in_ms(clock: Clock, now: Ms) -> Ms | None:
    """How much uptime is missing until the clock settles; ``None``: it is not in doubt."""
    if not clock.doubt:
        return None
    due_ms = _settles_ms(clock)
    return SETTLE_MS - clock.waited_ms if due_ms is None else max(0, due_ms - now)


def utc_of(clock: Clock, instant_ms: Ms | None) -> Ms | None:
    """The civil time of an instant, ``None`` while the offset is not known."""
    if instant_ms is None or clock.offset_ms is None:
        return None
    return instant_ms + clock.offset_ms


# --- doubt --------------------------------------------------------------------------------


def _judged(clock: Clock, offset_ms: int, now: Ms) -> Clock:
    """What a new offset, or trust that came back, says about the clock."""
    if clock.past.own:
        return _settle(clock, offset_ms)
    first = clock.offset_ms is None
    if clock.doubt:
        return (_first_in_doubt if first else _step_in_doubt)(clock, offset_ms, now)
    doubt = _first_doubt(clock, now + offset_ms) if first else _step_doubt(clock, offset_ms)
    clock = replace(clock, doubt=doubt, mark_utc_ms=mark_of(clock, now))  # it never goes back
    if doubt:
        return _counted(clock, offset_ms, now)
    return _settle(clock, offset_ms) if first else clock


def _first_in_doubt(clock: Clock, offset_ms: int, now: Ms) -> Clock:
    """The first time of a boot where the one before ended in doubt. Its jump stays one."""
    found, trial = _first_doubt(clock, now + offset_ms), clock.trial_utc_ms
    if not found and clock.doubt != "jumped":
        return _settle(clock, offset_ms)
    again = trial is not None and -SAME_MS <= now + offset_ms - trial <= AHEAD_MS
    doubt = clock.doubt if clock.doubt == "jumped" else found
    waited_ms = clock.waited_ms if again else 0
    return _counting(replace(clock, doubt=doubt, waited_ms=waited_ms), offset_ms, now)


def _step_in_doubt(clock: Clock, offset_ms: int, now: Ms) -> Clock:
    if abs(offset_ms - clock.counted_offset_ms) > JUMP_MS:
        clock = replace(clock, doubt="jumped")
    if abs(offset_ms - clock.counted_offset_ms) > SAME_MS:
        return _counted(clock, offset_ms, now)
    return clock if clock.counting_ms is not None else replace(clock, counting_ms=now)


def _first_doubt(clock: Clock, utc_ms: UtcMs) -> Doubt:
    mark = None if clock.past.travels else clock.mark_utc_ms
    if mark is None or -SAME_MS <= utc_ms - mark <= AHEAD_MS:
        return ""
    return "behind" if utc_ms < mark else "ahead"


def _step_doubt(clock: Clock, offset_ms: int) -> Doubt:
    was = clock.settled_offset_ms
    return "" if was is None or abs(offset_ms - was) <= JUMP_MS else "jumped"


def _settle(clock: Clock, offset_ms: int) -> Clock:
    return replace(
        clock,
        doubt="",
        settled_offset_ms=offset_ms,
        trial_utc_ms=None,
        waited_ms=0,
        counting_ms=None,
    )


def _counted(clock: Clock, offset_ms: int, now: Ms) -> Clock:
    """Count from the beginning."""
    return _counting(replace(clock, waited_ms=0), offset_ms, now)


def _counting(clock: Clock, offset_ms: int, now: Ms) -> Clock:
    return replace(clock, counting_ms=now, counted_offset_ms=offset_ms)


def _paused(clock: Clock, now: Ms) -> Clock:
    """Without trust the time in doubt does not count."""
    if clock.counting_ms is None:
        return clock
    waited_ms = clock.waited_ms + now - clock.counting_ms
    return replace(clock, waited_ms=waited_ms, counting_ms=None)


def _settles_ms(clock: Clock) -> Ms | None:
    if clock.counting_ms is None:
        return None
    return clock.counting_ms + SETTLE_MS - clock.waited_ms


def _aged(clock: Clock, now: Ms) -> Clock:
    due_ms, settles_ms = clock.due_ms, _settles_ms(clock)
    after = clock
    if due_ms is not None and due_ms <= now:
        after = replace(after, due_ms=None)
    if settles_ms is not None and settles_ms <= now:
        after = _settle(after, clock.counted_offset_ms)
    return after if after is clock else _shown(after)


def _shown(clock: Clock) -> Clock:
    """With what is the matter with it as conditions."""
    found: Conditions = ()
    if not clock.trusted and clock.due_ms is None:
        found += (("clock_untrusted", ""),)
    if clock.doubt:
        found += (("clock_jumped" if clock.doubt == "jumped" else "clock_unsettled", clock.doubt),)
    return clock if found == clock.conditions else replace(clock, conditions=found)


# --- over a restart -----------------------------------------------------------------------


def _of_before(boot: str, waited_ms: Ms, **rest: Any) -> Clock:
    waited_ms = clamped(waited_ms, 0, SETTLE_MS)
    return Clock(since_ms=0, past=Past(boot), waited_ms=waited_ms, **rest)


SAVED: Kind[Clock] = entry_of(
    _of_before,
    Field("boot", TEXT, "", of="past.boot"),
    Field("trusted", FLAG, False),
    Field("offset_ms", WHOLE, None),
    Field("doubt", one_of(get_args(Doubt)), ""),
    Field("settled_offset_ms", WHOLE, None),
    Field("mark_utc_ms", WHOLE, None),
    Field("trial_utc_ms", WHOLE, None),
    Field("waited_ms", WHOLE, 0),
    Field("counting_ms", WHOLE, None),
    Field("counted_offset_ms", WHOLE, 0),
)
"""What survives a restart. The monotonic instants are of the boot that it names."""


def restored(clock: Clock, was: Clock | None, past: Past, now: Ms) -> Clock:
    """The clock of this run with what the last one has left, where ``past`` tells which boot that
    was. ``None``: it is not known."""
    if was is not None:
        found = _continued(clock, was, past)
    else:
        found = replace(clock, trusted=False, offset_ms=None, past=past, mark_utc_ms=past.utc_ms)
    if clock.trusted and clock.offset_ms is not None:  # it was known before the journal was
        seen = CivilTime(now + clock.offset_ms, trusted=True)
        return step(replace(found, trusted=False), seen, now).state
    return _shown(found)


def _continued(clock: Clock, was: Clock, past: Past) -> Clock:
    boot, offset_ms = was.past.boot, was.offset_ms
    if boot and boot == past.boot:
        trusted = was.trusted and offset_ms is not None
        return replace(
            was,
            trusted=trusted,
            since_ms=clock.since_ms,
            due_ms=None if trusted else clock.due_ms,
            conditions=clock.conditions,
            past=past,
            counting_ms=was.counting_ms if trusted else None,
        )
    mark, trial, waited_ms = was.mark_utc_ms, was.trial_utc_ms, was.waited_ms
    if boot and boot == past.last_boot and offset_ms is not None:
        last_utc_ms = past.last_ms + offset_ms
        if was.doubt:
            trial = last_utc_ms
        elif was.trusted:
            mark = last_utc_ms if mark is None else max(mark, last_utc_ms)
        if was.counting_ms is not None:
            waited_ms = min(waited_ms + max(0, past.last_ms - was.counting_ms), SETTLE_MS)
    return replace(
        clock,
        trusted=False,
        offset_ms=None,
        past=past,
        doubt=was.doubt,
        mark_utc_ms=mark if mark is not None or was.doubt else past.utc_ms,
        trial_utc_ms=trial,
        waited_ms=waited_ms,
    )
