"""From drivers to points: translates a driver's reports and faults into the core's words."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from drivers import ContactReport, Device, DriverFault, MeterReport, Relay, quantities
from gateway.control.clock import Clock
from gateway.control.points import Opened, OpenedRelay, PointFault, Report, Source
from gateway.core.events import Level, Reading


def source(point: str, driver: str, settings: object, clock: Clock) -> Source:
    """How to open ``point`` with the driver of this name and its settings."""
    module = importlib.import_module(f"drivers.{driver}")
    simulated = driver.startswith("simulated")
    # The simulated world lives on the bench's clock, the kernel on its own.
    from_ns: Callable[[int], int] = (lambda ns: ns // 1_000_000) if simulated else clock.from_ns

    def open_(report: Report) -> Opened:
        def emit(told: ContactReport | MeterReport) -> None:
            if type(told) is ContactReport:
                edge_ms = clock.now_ms() if told.edge_ns is None else from_ns(told.edge_ns)
                report(Level(point, told.active, edge_ms, told.reason))
            else:
                meter = cast(MeterReport, told)
                report(Reading(point, meter.quantity, meter.value, meter.reason))

        try:
            opened: Device | Relay = module.open(settings, emit, name=point)
        except Exception as error:
            raise _fault(error) from error
        return _Adapted(cast(Relay, opened)) if module.KIND == "relay" else opened

    names = tuple(quantity.name for quantity in quantities(module, settings))
    # A simulated contact is told its level again; hardware that is gone is opened anew.
    heals = simulated or getattr(module, "HEALS", False)
    return Source(point, module.KIND, open_, names, heals=heals)


class _Adapted(OpenedRelay):
    """A driver's relay whose faults are ours."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def drive(self, on: bool) -> None:
        try:
            self._relay.drive(on)
        except Exception as error:
            raise _fault(error) from error

    def close(self) -> None:
        self._relay.close()


def _fault(error: Exception) -> PointFault:
    """Also what a library below a driver throws is the world's failure, not the loop's."""
    if isinstance(error, DriverFault):
        return PointFault(str(error))
    return PointFault(f"{type(error).__name__}: {error}")
