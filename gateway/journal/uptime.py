"""Uptime summed over boots: the age of a fact that no wrong clock can change.

The monotonic clock goes on over every start of ``control`` within one boot of the kernel. So the
journal notes for each boot of the kernel which uptime was before it, beside the first of its
starts (a row of ``boot``). What passed between the newest fact and a loss of power is not known and
does not count, so an age is never too high.
"""

from __future__ import annotations

import json
import re
import sqlite3
from bisect import bisect_right
from dataclasses import dataclass

from gateway.core.instant import Ms

KEY = "uptime"
MOST = 1_000
"""Boots of the kernel that are remembered; older facts count as younger."""
_NAME = re.compile(r"(?P<kernel>[0-9a-f-]{36})-(?P<started>\d+)")


@dataclass(frozen=True, slots=True)
class Span:
    """A boot of the kernel. ``first``: the first start (``boot.id``) in it; ``before_ms``: the
    uptime of all boots before it."""

    first: int
    kernel: str
    before_ms: Ms


def kernel_of(boot: str) -> str:
    """The kernel's boot in the name of a start; a name of another form is one of its own."""
    found = _NAME.fullmatch(boot)
    return boot if found is None else found["kernel"]


def spans(db: sqlite3.Connection) -> list[Span]:
    """All that are known, in order. Raises :class:`sqlite3.Error`."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    try:
        return [Span(int(f), str(k), int(b)) for f, k, b in json.loads(row[0])] if row else []
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return []


def last_ms(db: sqlite3.Connection, first: int, before: int = 2**62) -> Ms:
    """The newest instant of the starts from ``first`` on, ``before`` not included."""
    newest: Ms = 0
    for (boot,) in db.execute(
        "SELECT id FROM boot WHERE id >= ? AND id < ? ORDER BY id", (first, before)
    ).fetchall():
        newest = max(newest, last_of_start_ms(db, boot) or 0)
    return newest


def last_of_start_ms(db: sqlite3.Connection, boot: int) -> Ms | None:
    """The instant of the newest fact of one start, ``None``: there is none."""
    row = db.execute(
        "SELECT mono_ms FROM fact WHERE row < coalesce((SELECT first_row FROM boot WHERE id > ?1 "
        "ORDER BY id LIMIT 1), 9223372036854775807) AND row >= (SELECT first_row FROM boot "
        "WHERE id = ?1) AND boot = ?1 ORDER BY row DESC LIMIT 1",
        (boot,),
    ).fetchone()
    return None if row is None else int(row[0])


def begin(db: sqlite3.Connection, boot: int, name: str) -> tuple[list[Span], Ms]:
    """In the caller's transaction: a start begins. All spans with its own as the last, and the
    newest instant of the one before.

    The clock of a bench may be behind what it had travelled to: that is a boot of its own."""
    known, kernel = spans(db), kernel_of(name)
    found, last = _NAME.fullmatch(name), 0
    if known:
        last = last_ms(db, known[-1].first, boot)
        goes_on = found is None or int(found["started"]) >= last
        if known[-1].kernel == kernel and goes_on:
            before = last_ms(db, known[-2].first, known[-1].first) if len(known) > 1 else 0
            return known, before
    before_ms = known[-1].before_ms + last if known else 0
    known = [*known, Span(boot, kernel, before_ms)][-MOST:]
    text = json.dumps([[one.first, one.kernel, one.before_ms] for one in known])
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (KEY, text))
    return known, last


def before_ms(known: list[Span], boot: int) -> Ms | None:
    """The uptime before the kernel's boot of a start, ``None``: the start is older than all that
    are known, so that all of its facts are older than the first of them."""
    at = bisect_right(known, boot, key=lambda span: span.first)
    return known[at - 1].before_ms if at else None
