"""From drivers to points: translates a driver's reports and faults into the core's words."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from drivers import ContactReport, Device, DriverFault, MeterReport, Relay, quantities
from drivers.mqtt import subscribers as listeners
from gateway.control.clock import Clock
from gateway.control.points import Opened, OpenedRelay, PointFault, Report, Source
from gateway.core.events import Level, Reading

if TYPE_CHECKING:  # its import waits until the door works
    from gateway.panel.messages import PointTold


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
    far = "radio" if driver.startswith(("mqtt_", "enocean_")) else "wired"
    wired = getattr(module, "TRUST", far) == "wired"
    catch_up = getattr(module, "catch_up", None)
    return Source(point, module.KIND, open_, names, heals=heals, wired=wired, catch_up=catch_up)


class Told:
    """The points of this process whose values ``link`` tells."""

    def tell(self, told: PointTold) -> None:
        report: ContactReport | MeterReport
        if told.quantity:
            value = None if told.value is None else float(told.value)
            report = MeterReport(told.quantity, value, told.reason)
        else:
            edge_ns = told.monotonic_ms * 1_000_000 if told.fresh else None
            active = None if told.value is None else bool(told.value)
            report = ContactReport(active, edge_ns, told.reason)
        listeners.tell(told.point, report)

    def lose(self, reason: str) -> None:
        listeners.lose(reason)


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
