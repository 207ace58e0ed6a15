"""The contract of every driver: it turns electricity into ``active`` and nothing else.

A driver is one file of this folder. It has

* a docstring that says what it drives and how it is wired;
* ``KIND``: ``"contact"``, ``"relay"`` or ``"meter"``;
* ``TRUST``: how hard it is to forge what it reports: ``"wired"``, ``"radio"`` (a telegram can be
  recorded and sent again) or ``"network"`` (whoever reaches the broker can send it);
* ``class Settings``: a frozen dataclass of the standard library; every field has a
  docstring below it that says what it is and in which unit;
* ``open(settings, emit, *, name)``, which gives a :class:`Device` for a contact or a
  meter and a :class:`Relay` for a relay;
* a meter also ``QUANTITIES``: what it measures, and between which bounds; or, where that
  depends on the settings, ``quantities(settings)``;
* a relay also ``make_safe(settings)``: off, without a running gateway, whoever left it on;
  and ``MAKE_SAFE_NEEDS``, the names of the modules that this imports, if any;
* where it comes back by itself after a report of *unknown*, ``HEALS = True``: it is not
  opened anew then;
* a contact whose edges wait for a thread of the driver, ``catch_up()``: every edge until now has
  been handed to ``emit`` when it returns. It never waits for hardware.

``driver: sht4x`` in the configuration imports ``drivers.sht4x``: the name is the
registration. Drivers know neither the gateway nor each other.

Everything that means something (settling, holding, stuck detection) is in the core. A
driver never filters edges, never waits, and hands over the *initial* level: no edge yet
is not "off". What goes wrong is a :class:`DriverFault` from ``open`` or ``drive``, or a
report whose value is ``None`` with a reason, from any thread.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

Kind = Literal["contact", "relay", "meter"]
Trust = Literal["wired", "radio", "network"]

DurationMs = Annotated[int, "duration"]
"""Milliseconds. Written ``500 ms`` or ``2 min`` in the configuration, under the name of the
field without its ``_ms``: ``every_ms`` is ``every: 60 s``."""

Pin = Annotated[str, "pin"]
"""A terminal of a gpiochip: ``GPIO17``, the name of a line, or its number. One point each."""

SharedPin = Annotated[str, "shared pin"]
"""A terminal of the header that the points of one chip share, such as its interrupt line;
empty where there is none."""

I2cBus = Annotated[int, "chip"]
"""The number of an I²C bus: 1 is ``/dev/i2c-1``. Fields marked ``chip`` name a chip, those
marked ``terminal`` which of its terminals: no two points have the same in all of them."""

I2cAddress = Annotated[int, "i2c address", "chip"]
"""The address of a chip on its bus, written as on the board: ``0x44``."""

RelayName = Annotated[str, "relay"]
"""The name of a relay point of the same configuration; empty where there is none."""


class DriverFault(Exception):
    """The world failed, not we: a missing chip, a line in use, a sensor that is silent.

    ``remedy`` says what to do about it; it is the end of the message, too."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


class InUse(DriverFault):
    """Somebody else has it; perhaps only until they have ended."""


@dataclass(frozen=True, slots=True)
class ContactReport:
    """``active``: what the wiring means; ``None``: not known, with the reason.

    ``edge_ns``: CLOCK_MONOTONIC nanoseconds of the edge, from the kernel where it stamps
    edges, else of the look that found it; ``None`` where nobody saw the edge (the initial
    level, and the level read again after edges were lost)."""

    active: bool | None
    edge_ns: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """One value of one quantity, in the unit of its name; ``None``: no value, with the reason."""

    quantity: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a meter measures. The name ends in its unit; outside of the bounds the sensor
    cannot mean what it says."""

    name: str
    lowest: float
    highest: float


Report = ContactReport | MeterReport
Emit = Callable[[Report], None]
"""Called from any thread; returns at once and never raises."""


class Device(Protocol):
    """An open contact or meter. It reports through ``emit`` until it is closed.

    After a report that says *unknown* because the hardware is gone, open it anew, unless the
    driver says ``HEALS``."""

    def close(self) -> None:
        """Let go of the hardware. A second call does nothing."""


class Relay(Protocol):
    """An open relay, off until it is told otherwise."""

    def drive(self, on: bool) -> None:
        """Switch. Raises :class:`DriverFault` where it cannot; returns when the line has its
        level."""

    def close(self) -> None:
        """Off first, then let go, without an exception. A second call does nothing."""


HUMIDITY_SPARE = 3.0
"""By so many percent a healthy sensor may leave 0 to 100 % in very dry or wet air."""


def humidity_percent(computed: float) -> float:
    """Relative humidity with what lies a little outside of 0 to 100 % cut off, as datasheets have
    it. What lies far outside comes from a dead channel: it stays as it is, so that it is seen to
    be implausible instead of dry or wet."""
    within = min(max(computed, 0.0), 100.0)
    return round(within if abs(computed - within) <= HUMIDITY_SPARE else computed, 2)


HELPERS = frozenset({"gpiod_lines", "gpiod_pins", "polling"})
"""Files of this folder that drivers share and that are no drivers themselves."""


def quantities(driver: Any, settings: Any) -> tuple[Quantity, ...]:
    """What a meter with these settings measures; nothing where the driver is for no meter."""
    measures: Callable[[Any], tuple[Quantity, ...]] | None = getattr(driver, "quantities", None)
    return measures(settings) if measures else getattr(driver, "QUANTITIES", ())


def names() -> tuple[str, ...]:
    """The driver files there are, in alphabetical order."""
    modules = (module for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return tuple(sorted(module.name for module in modules if module.name not in HELPERS))


IN_USE_S = 0.5
"""How long a relay that is in use is tried again. A process that was killed needs a moment to
let go of its lines, and two may be at work on them at once."""


def outputs_off(relays: Mapping[str, tuple[str, Any]]) -> dict[str, DriverFault | None]:
    """Put every relay (point -> its driver's name and settings) to its safe level.

    For after the end of the process that held them, however it ended. One that fails does not
    keep the others on: the result says per point what went wrong (``None``: it is off)."""
    until = time.monotonic() + IN_USE_S
    results = {point: _off(*relay) for point, relay in relays.items()}
    while time.monotonic() < until:
        in_use = [point for point, fault in results.items() if isinstance(fault, InUse)]
        if not in_use:
            break
        time.sleep(0.005)
        results |= {point: _off(*relays[point]) for point in in_use}
    return results


def ready_off(relays: Mapping[str, tuple[str, Any]]) -> None:
    """Import what :func:`outputs_off` will need, so that it can be quick one day."""
    for driver, _ in relays.values():
        module = importlib.import_module(f"drivers.{driver}")
        for needed in getattr(module, "MAKE_SAFE_NEEDS", ()):
            importlib.import_module(needed)


def _off(driver: str, settings: Any) -> DriverFault | None:
    try:
        importlib.import_module(f"drivers.{driver}").make_safe(settings)
    except DriverFault as fault:
        return fault
    except Exception as error:  # noqa: BLE001 - whatever a library throws, the others go off
        return DriverFault(f"{type(error).__name__}: {error}", "switch the board off by hand")
    return None
