"""Who may open a door in which mode: the table of requests, and nothing else.

The rows are the kinds of people who ask, the columns the five positions of the programme
switch that every European door operator has. It is data, so that it can be read beside
the page it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.core.events import MODES, Mode
from gateway.core.plan import ActivatorKind, DoorPlan, Side

RequestKind = ActivatorKind | Literal["staff"]
Verdict = Literal["yes", "no", "already open", "egress", "with a reason"]
Row = Literal["inside button", "outside button, remote", "key switch, reader", "staff"]


def _row(*verdicts: Verdict) -> Mapping[Mode, Verdict]:
    return dict(zip(MODES, verdicts, strict=True))


REQUESTS: Final[Mapping[Row, Mapping[Mode, Verdict]]] = {
    #                              automatic exit_only    hold_open     night      off
    "inside button": _row("yes", "yes", "already open", "egress", "no"),
    "outside button, remote": _row("yes", "no", "already open", "no", "no"),
    "key switch, reader": _row("yes", "yes", "already open", "yes", "no"),
    "staff": _row("yes", "yes", "already open", "with a reason", "no"),
}

LOCKED: Final[frozenset[Mode]] = frozenset({"night"})
"""Modes in which a leaf that leaves *closed* by itself was forced. In ``exit_only`` people
leave by the handle, in ``off`` the leaf is moved by hand: both are no burglary."""


def row_of(kind: RequestKind, side: Side | None) -> Row:
    """The row of :data:`REQUESTS` for whoever asks. The side of a remote is ignored: people carry
    it."""
    if kind == "staff":
        return "staff"
    if kind in ("key_switch", "reader"):
        return "key switch, reader"
    if kind == "button" and side == "inside":
        return "inside button"
    return "outside button, remote"


UNTRUSTED: Final[frozenset[Mode]] = frozenset({"automatic", "hold_open"})
"""Modes in which a button over radio or network opens: there everybody may."""


def refusal(
    plan: DoorPlan,
    mode: Mode,
    kind: RequestKind,
    side: Side | None,
    note: str,
    *,
    trusted: bool = True,
) -> str:
    """Why ``mode`` refuses this request (a key of the reasons), or an empty text: it may open.
    ``trusted``: it is hard to forge."""
    verdict = REQUESTS[row_of(kind, side)][mode]
    if verdict == "no" or (verdict == "egress" and plan.egress == "never"):
        return f"mode_{mode}"
    if verdict == "with a reason" and not note.strip():
        return "reason_needed"
    return "" if trusted or mode in UNTRUSTED else "untrusted"


def can_hold(plan: DoorPlan) -> bool:
    """Whether the door can be held open at all: by its relay for it, or a maintained activation."""
    return plan.hold_open is not None or plan.pulse_ms is None


def takes(plan: DoorPlan, mode: Mode) -> bool:
    """Whether this mode can be set: a door that cannot be held open is not told to be."""
    return mode != "hold_open" or can_hold(plan)
