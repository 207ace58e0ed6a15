"""The contract of every driver: it turns electricity into ``active`` and nothing else.

A driver is one file (or package) of this folder. It has

* ``class Settings``: a frozen dataclass; every field carries a unit in its docstring;
* ``KIND``: ``"contact"``, ``"relay"`` or ``"meter"``;
* ``open(settings, emit, *, name) -> Device``.

``driver: sht4x`` in the configuration imports ``drivers.sht4x``: the name is the
registration. Drivers know neither the gateway nor each other.

Everything that means something (settling, holding, stuck detection) is in the core. A
driver never filters edges, never waits, and hands over the *initial* level: no edge yet
is not "off". What goes wrong is a :class:`DriverFault` from ``open`` or ``drive``, or a
report whose value is ``None`` with a reason, from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SETTINGS_DOC = "attribute docstrings describe the fields"


class DriverFault(Exception):
    """The world failed, not we: a missing chip, a line in use, a sensor that is silent.

    The message names the remedy where there is one."""


@dataclass(frozen=True, slots=True)
class ContactReport:
    """``active``: what the wiring means; ``None``: not known, with the reason.

    ``edge_ns``: CLOCK_MONOTONIC nanoseconds of the edge, from the kernel where it stamps
    edges; ``None`` where nobody saw the edge (the initial level)."""

    active: bool | None
    edge_ns: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """One value of one quantity, in the unit of its name; ``None``: no value, with the reason."""

    quantity: str
    value: float | None
    reason: str = ""


Emit = Callable[[ContactReport | MeterReport], None]
"""Called from any thread; returns at once and never raises."""


class Device(Protocol):
    """An open contact or meter. It reports through ``emit`` until it is closed."""

    def close(self) -> None:
        """Let go of the hardware. A second call does nothing."""


class Relay(Protocol):
    """An open relay, off until it is told otherwise."""

    def drive(self, on: bool) -> None:
        """Switch. Raises :class:`DriverFault` where it cannot; returns when the line has its
        level."""

    def close(self) -> None:
        """Off first, then let go. A second call does nothing."""
